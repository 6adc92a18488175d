// SPDX-License-Identifier: BSD-2-Clause
//! A client that writes whatever it likes: nothing panics, nothing leaks, the other client works on.

use std::cell::Cell;

use conformance::{Rig, Settings};
use gpu_protocol::{ContextParam, Errno, Operation, PageRequest};
use intel_gpu::uapi::ClientLimits;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::seed;

const AREA: usize = 4096;

#[derive(Clone, Debug)]
struct Call {
    label: u64,
    arguments: [u64; 2],
    /// Dwords written into the area first, each at an offset.
    dwords: Vec<(u16, u32)>,
    capability: Option<u64>,
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => 0..4_u32,
        2 => prop::sample::select(vec![8_u32, 12, 64, 0x100, 0x1000, 0x2000, 0x10_0000, 0x8000_0000, u32::MAX]),
        1 => any::<u32>(),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let label = prop_oneof![
        20 => prop::sample::select(Operation::ALL.to_vec()).prop_map(Operation::label),
        1 => any::<u64>(),
    ];
    let offset = prop_oneof![6 => 0..64_u64, 2 => 0..AREA as u64, 1 => any::<u64>()];
    let length = prop_oneof![
        20 => prop::sample::select(vec![8_u64, 16, 24, 40, 48]),
        1 => any::<u64>(),
    ];
    let capability = prop_oneof![3 => Just(None), 5 => (0..4_u64).prop_map(Some)];
    // Structures are small numbers at small offsets; pointers mostly point back into the area.
    let dwords = vec((0..512_u16, number()), 0..24);
    (label, offset, length, dwords, capability).prop_map(|(label, offset, length, dwords, capability)| Call {
        label,
        arguments: [offset & !7, length],
        dwords,
        capability,
    })
}

/// Returns the number of calls that succeeded.
fn run(platform: &'static str, calls: &[Call]) -> usize {
    let limits = ClientLimits {
        contexts: 4,
        spaces: 4,
        objects: 8,
        lent_pages: 16,
        driver_pages: 200,
        ..ClientLimits::DEFAULT
    };
    let mut rig = Rig::with(Settings { area: AREA, limits: vec![limits; 2], ..Settings::new(platform) });
    let start = rig.snapshot().census;
    for pages in [1, 2, 4, 8] {
        rig.region(0, pages);
    }
    let mut accepted = 0;
    let (mut requests, mut tickets) = (Vec::new(), Vec::new());
    for call in calls {
        for (at, dword) in &call.dwords {
            rig.write_area(0, usize::from(*at) * 4, &dword.to_le_bytes());
        }
        let label = call.label;
        let reply = rig.call(0, label, call.arguments, call.capability);
        assert!(reply.count <= 4);
        accepted += usize::from(reply.status.is_ok());
        match Operation::from_label(label).filter(|_| reply.status.is_ok()) {
            Some(Operation::NextPageRequest) => requests.extend(PageRequest::from_words(reply.words)),
            Some(Operation::Invalidate) => tickets.push(reply.words[1]),
            _ => {}
        }
        if Operation::from_label(label).is_none() {
            assert_eq!(reply.status, Err(Errno::Inval));
        }
        // What hangs is ended: the commands are whatever the pages hold.
        rig.settle();
    }
    let busy = |rig: &Rig| rig.driver.is_busy();
    assert!(rig.wait(60_000_000_000, |rig| !busy(rig)), "something hangs for ever");
    assert!(rig.vm_create(1).is_ok(), "the other client works on");
    rig.vm_destroy(1, 1).unwrap();
    for handle in 1..=8 {
        let _ = rig.close(0, handle);
        let _ = rig.context_destroy(0, handle);
        let _ = rig.vm_destroy(0, handle);
    }
    assert!(rig.wait(60_000_000_000, |rig| !busy(rig)));
    // What the default context has used stays as long as its map of engines.
    rig.write_area(0, AREA / 2, &[0; 8]);
    let none = ContextParam { ctx_id: 0, size: 8, param: ContextParam::ENGINES, value: AREA as u64 / 2 };
    rig.op(0, Operation::ContextSetParam, &none).unwrap();
    rig.set(0, 0, ContextParam::ENGINES, 0).unwrap();
    assert!(rig.wait(60_000_000_000, |rig| !busy(rig)));
    // What the client still owes the driver: answers, questions, and the end of a creation with a probe.
    for request in requests {
        let _ = rig.refuse(0, request, Errno::Fault);
    }
    for ticket in tickets {
        assert!(rig.invalidate_status(0, ticket).unwrap().is_done());
    }
    let last = rig.userptr_create(0, 1 << 46, 4096).unwrap();
    rig.close(0, last).unwrap();
    let end = rig.snapshot().census;
    assert_eq!(end.clients, start.clients);
    assert_eq!((end.objects, end.bindings, end.jobs), (0, 0, 0));
    assert_eq!((end.contexts, end.spaces, end.map_blocks), (start.contexts, start.spaces, start.map_blocks));
    assert_eq!(rig.domain.held(), 0);
    accepted
}

fn fuzz(platform: &'static str) {
    let accepted = Cell::new(0);
    seed::runner(96)
        .run(&vec(call(), 1..60), |calls| {
            accepted.set(accepted.get() + run(platform, &calls));
            Ok(())
        })
        .unwrap();
    assert!(accepted.get() > 100, "only {} calls were good for anything", accepted.get());
}

#[test]
fn whatever_a_client_writes_on_tiger_lake_nothing_panics_and_nothing_leaks() {
    fuzz("tgl");
}

#[test]
fn whatever_a_client_writes_on_skylake_nothing_panics_and_nothing_leaks() {
    fuzz("skl");
}
