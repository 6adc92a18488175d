// SPDX-License-Identifier: BSD-2-Clause
//! What the driver tells of itself while it works: its trace.

use conformance::wire::{reads, writes};
use conformance::{Rig, Settings, Shared, batch};
use gpu_client::{Access, Context, Frames, Gpu, Lendable, UsedObject};
use gpu_protocol::{ContextParam, GrantEntry};
use intel_gpu::Status;
use intel_gpu::trace::Event;

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const GATE: u64 = 0x30_0000;
const BLITTER: u32 = 3;
const SECOND_NS: u64 = 1_000_000_000;

fn rig(platform: &'static str) -> Rig {
    let mut settings = Settings::new(platform);
    settings.options.instant_budget = 2_000;
    let mut rig = Rig::with(settings);
    rig.watch();
    rig
}

/// The kinds of events about engines, in order.
fn story(events: &[(u64, Event)]) -> Vec<&'static str> {
    let name = |event: &Event| match event {
        Event::Submitted { .. } => Some("submitted"),
        Event::Entered { .. } => Some("entered"),
        Event::Left { preempted: true, .. } => Some("preempted"),
        Event::Left { .. } => Some("left"),
        Event::Finished { status: Status::Done, .. } => Some("executed"),
        Event::Finished { status: Status::Hang, .. } => Some("hung"),
        Event::Finished { status: Status::Cancelled, .. } => Some("cancelled"),
        Event::Hang { .. } => Some("hang"),
        Event::Fault { .. } => Some("fault"),
        Event::EngineReset { .. } => Some("engine reset"),
        Event::GpuReset => Some("GPU reset"),
        _ => None,
    };
    events.iter().filter_map(|(_, event)| name(event)).collect()
}

/// Times never go backwards.
fn in_order(events: &[(u64, Event)]) -> bool {
    events.is_sorted_by_key(|(ns, _)| *ns)
}

#[test]
fn a_request_is_told_from_its_pages_to_its_end() {
    for platform in ["bdw", "skl", "tgl"] {
        let mut rig = rig(platform);
        let context = rig.context_create(1, 0, &[]).unwrap();
        let (data, code) = (rig.region(1, 3), rig.region(1, 1));
        rig.poke(code.physical, &batch::store(DATA, 5));
        let list = [writes(rig.userptr(1, data), DATA), reads(rig.userptr(1, code), CODE)];
        let fence = rig.run(1, context, BLITTER, &list, &[], &[data, code]).unwrap();
        rig.settle();
        let events = rig.events();
        assert!(in_order(&events));
        let asked = |event: &Event| match event {
            Event::PagesAsked { client, address, bytes } => Some((*client, *address, *bytes)),
            _ => None,
        };
        let asked: Vec<_> = events.iter().filter_map(|(_, event)| asked(event)).collect();
        assert_eq!(asked, [(1, data.address, data.size), (1, code.address, code.size)], "{platform}");
        let granted = |event: &Event| match event {
            Event::PagesGranted { client: 1, address, pages } => Some((*address, *pages)),
            _ => None,
        };
        let granted: Vec<_> = events.iter().filter_map(|(_, event)| granted(event)).collect();
        assert_eq!(granted, [(data.address, 3), (code.address, 1)], "{platform}");
        let accepted = events.iter().any(
            |(_, event)| matches!(event, Event::Accepted { client: 1, point, .. } if *point == fence.point),
        );
        assert!(accepted, "{platform}: {events:?}");
        assert_eq!(story(&events), ["submitted", "entered", "left", "executed"], "{platform}");
    }
}

#[test]
fn pages_that_a_memory_server_lends_are_told_of_as_those_of_the_client_that_they_are_for() {
    let mut rig = Rig::with(Settings::served("tgl"));
    rig.watch();
    let server = Settings::SERVER;
    let frames = [rig.region(server, 1), rig.region(server, 1)];
    let address = 0x5000_0000;
    let code = rig.userptr_create(1, address, 4096).unwrap();
    rig.poke(frames[1].physical, &[batch::END, 0]);
    assert!(rig.submit(1, 0, BLITTER, &[reads(code, CODE)], &[]).is_err(), "they are asked for");
    assert_eq!(rig.serve_clients(server, frames), 1);
    rig.submit(1, 0, BLITTER, &[reads(code, CODE)], &[]).unwrap();
    rig.settle();
    let of_memory = |event: &Event| matches!(event, Event::PagesAsked { .. } | Event::PagesGranted { .. });
    let events: Vec<_> = rig.events().into_iter().map(|(_, event)| event).filter(of_memory).collect();
    let asked = Event::PagesAsked { client: 1, address, bytes: 4096 };
    assert_eq!(events, [asked, Event::PagesGranted { client: 1, address, pages: 1 }]);
}

/// As all lending is on a Microkit SDK's kernel.
#[test]
fn pages_that_are_lent_by_their_region_are_told_of_as_those_by_capability() {
    let physical = conformance::client_memory(0);
    let row =
        GrantEntry { channel: conformance::channel(0), paddr: physical, size: 2 * 4096, rights: 7 | 12 << 8 };
    let settings = Settings { rows: vec![row], ..Settings::new("tgl") };
    let shared = Shared::new(Rig::unconnected(settings));
    shared.rig().watch();
    let mut gpu = Gpu::connect(shared.link(0)).unwrap();
    shared.rig().poke(physical, &[batch::END, 0]);
    // Behind the client's two other rows.
    let memory = Lendable { address: 0x5000_0000, size: 2 * 4096, frames: Frames::Region { row: 2 } };
    let code = gpu.create_userptr(memory).unwrap();
    let batch = UsedObject { object: &code, address: DATA, access: Access::Read };
    gpu.submit(&Context::DEFAULT, BLITTER, batch, 0..8, &[]).unwrap();
    shared.rig().settle();
    let of_memory = |event: &Event| {
        matches!(event, Event::PagesAsked { .. } | Event::PagesGranted { .. } | Event::PagesReleased { .. })
    };
    let events: Vec<_> =
        shared.rig().events().into_iter().map(|(_, event)| event).filter(of_memory).collect();
    let asked = Event::PagesAsked { client: 0, address: memory.address, bytes: memory.size };
    assert_eq!(events, [asked, Event::PagesGranted { client: 0, address: memory.address, pages: 2 }]);
    shared.rig().check();
}

#[test]
fn a_hang_is_told_with_its_reset_and_the_batch_that_hung() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let code = rig.region(0, 1);
        rig.poke(code.physical, &batch::endless(CODE));
        let object = rig.userptr(0, code);
        let hung = rig.run(0, context, BLITTER, &[reads(object, CODE)], &[], &[code]).unwrap();
        assert!(rig.wait(60 * SECOND_NS, |rig| rig.reached(0, hung)), "{platform}");
        rig.settle();
        let story = story(&rig.events());
        let at = |what: &str| story.iter().position(|kind| *kind == what);
        let [entered, hang, reset, end] = ["entered", "hang", "engine reset", "hung"].map(at);
        assert!(entered.is_some() && entered < hang && hang < reset && reset < end, "{platform}: {story:?}");
        assert!(at("fault").is_none() && at("executed").is_none(), "{platform}: {story:?}");
    }
}

/// The GPU waits at a gate while the owner revokes the page behind it; when the gate opens, the memory refuses the write.
#[test]
fn a_page_fault_is_told_with_its_address_and_counted_for_its_client() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let context = rig.context_create(1, 0, &[]).unwrap();
        let (data, gate, code) = (rig.region(1, 2), rig.region(1, 1), rig.region(1, 1));
        rig.poke(code.physical, &batch::gated_store(platform, GATE, 1, DATA + 0x1008, 5));
        let list = [
            writes(rig.userptr(1, data), DATA),
            writes(rig.userptr(1, gate), GATE),
            reads(rig.userptr(1, code), CODE),
        ];
        let fence = rig.run(1, context, BLITTER, &list, &[], &[data, gate, code]).unwrap();
        rig.settle();
        assert!(!rig.reached(1, fence), "{platform}: it waits");
        rig.domain.revoke(data.physical + 0x1000);
        rig.poke(gate.physical, &[1]);
        assert!(rig.wait(60 * SECOND_NS, |rig| rig.reached(1, fence)), "{platform}");
        rig.settle();
        let events = rig.events();
        let fault = |event: &Event| match event {
            Event::Fault { address, .. } => Some(*address),
            _ => None,
        };
        let faults: Vec<_> = events.iter().filter_map(|(_, event)| fault(event)).collect();
        assert_eq!(faults, [DATA + 0x1000], "{platform}: the page, once");
        let story = story(&events);
        let at = |what: &str| story.iter().position(|kind| *kind == what);
        let [hang, fault, reset, end] = ["hang", "fault", "engine reset", "hung"].map(at);
        assert!(hang.is_some() && hang < fault && fault < reset && reset < end, "{platform}: {story:?}");
        let shown = rig.driver.statistics();
        assert_eq!((shown.clients[0].faults, shown.clients[1].faults), (0, 1), "{platform}");
        assert_eq!((shown.clients[0].hangs, shown.clients[1].hangs), (0, 1), "{platform}");
        assert_eq!(rig.peek(data.physical + 0x1008), 0, "{platform}: nothing is written");
    }
}

/// What is not bound is backed by scratch.
#[test]
fn an_address_that_is_not_bound_is_no_page_fault() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let code = rig.region(0, 1);
        rig.poke(code.physical, &batch::store(0x7000_0000, 5));
        let object = rig.userptr(0, code);
        let fence = rig.run(0, context, BLITTER, &[reads(object, CODE)], &[], &[code]).unwrap();
        rig.settle();
        assert!(rig.reached(0, fence), "{platform}");
        assert_eq!(story(&rig.events()), ["submitted", "entered", "left", "executed"], "{platform}");
        assert_eq!(rig.driver.statistics().clients[0].faults, 0, "{platform}");
    }
}

#[test]
fn a_preemption_is_told_of_the_context_that_had_to_leave() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let patient = rig.context_create(0, 0, &[]).unwrap();
        // The values of parameters are words of 64 bits, negative ones too.
        rig.set(0, patient, ContextParam::PRIORITY, (-100_i64).cast_unsigned()).unwrap();
        let (gate, code) = (rig.region(0, 1), rig.region(0, 1));
        rig.poke(code.physical, &batch::gated_store(platform, GATE, 1, GATE + 8, 5));
        let list = [writes(rig.userptr(0, gate), GATE), reads(rig.userptr(0, code), CODE)];
        let gated = rig.run(0, patient, BLITTER, &list, &[], &[gate, code]).unwrap();
        rig.settle();

        let urgent = rig.context_create(1, 0, &[]).unwrap();
        let (data, store) = (rig.region(1, 1), rig.region(1, 1));
        rig.poke(store.physical, &batch::store(DATA, 6));
        let theirs = [writes(rig.userptr(1, data), DATA), reads(rig.userptr(1, store), CODE)];
        let quick = rig.run(1, urgent, BLITTER, &theirs, &[], &[data, store]).unwrap();
        rig.settle();
        assert!(rig.reached(1, quick) && !rig.reached(0, gated), "{platform}");
        rig.poke(gate.physical, &[1]);
        assert!(rig.wait(60 * SECOND_NS, |rig| rig.reached(0, gated)), "{platform}");
        rig.settle();

        let events = rig.events();
        let owner = |wanted: usize| {
            events.iter().find_map(|(_, event)| match event {
                Event::Accepted { client, context, .. } if *client == wanted => Some(*context),
                _ => None,
            })
        };
        let left = events.iter().find_map(|(_, event)| match event {
            Event::Left { context, preempted: true, .. } => Some(*context),
            _ => None,
        });
        assert_eq!(left, owner(0), "{platform}: {events:?}");
        let entered = |context| {
            let enters =
                |event: &Event| matches!(event, Event::Entered { context: at, .. } if Some(*at) == context);
            events.iter().filter(|(_, event)| enters(event)).count()
        };
        assert_eq!((entered(owner(0)), entered(owner(1))), (2, 1), "{platform}: it came back");
        let story = story(&events);
        assert_eq!(story.iter().filter(|kind| **kind == "executed").count(), 2, "{platform}: {story:?}");
        rig.check();
    }
}
