// SPDX-License-Identifier: BSD-2-Clause
//! Objects in the driver's memory.

use conformance::wire::{PAYLOAD, handle, reads, transfer, writes};
use conformance::{Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{
    Connect, Errno, GemBusy, GemCreate, GemTransfer, GemWait, Operation, UserptrCreate, VERSION,
};
use intel_gpu::fail;
use intel_gpu::uapi::{ClientLimits, DriverConfig};
use zerocopy::IntoBytes;

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;
/// Class of the blitter (`I915_ENGINE_CLASS_COPY`) and of the render engine.
const COPY: u16 = 1;
const RENDER: u16 = 0;
const PAGE: u64 = 4096;

/// A client with a context, a buffer for the batch and one for what it writes.
struct World {
    rig: Rig,
    context: u32,
    code: u32,
    data: u32,
}

impl World {
    fn new(platform: &'static str) -> Self {
        Self::with(Settings::new(platform))
    }

    fn with(settings: Settings) -> Self {
        let mut rig = Rig::with(settings);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let (code, data) = (rig.gem_create(0, PAGE).unwrap(), rig.gem_create(0, 2 * PAGE).unwrap());
        Self { rig, context, code, data }
    }

    fn write_code(&mut self, dwords: &[u32]) {
        self.rig.gem_write(0, self.code, 0, dwords.as_bytes()).unwrap();
    }

    fn submit(&mut self) -> Result<gpu_protocol::Fence, Errno> {
        let list = [writes(self.data, DATA), reads(self.code, CODE)];
        self.rig.submit(0, self.context, BLITTER, &list, &[])
    }

    fn refused_transfers(&mut self, argument: GemTransfer, errno: Errno) {
        for operation in [Operation::GemRead, Operation::GemWrite] {
            self.rig.refused(0, operation, &argument, errno);
        }
    }
}

#[test]
fn a_batch_in_driver_memory_writes_into_driver_memory_and_no_page_is_asked_for() {
    for platform in ["bdw", "skl", "icl", "tgl"] {
        let mut world = World::new(platform);
        world.write_code(&batch::store(DATA + PAGE + 8, 0x1234_5678));
        let fence = world.submit().unwrap();
        world.rig.settle();
        assert!(world.rig.reached(0, fence), "{platform}");
        assert_eq!(world.rig.next_request(0), None);
        let data = world.data;
        assert_eq!(world.rig.gem_read(0, data, PAGE + 8, 4).unwrap(), [0x78, 0x56, 0x34, 0x12], "{platform}");
        world.rig.check();
    }
}

#[test]
fn a_new_buffer_is_full_of_zeros_whatever_its_memory_held_before() {
    let mut rig = Rig::new("tgl");
    let zeros = vec![0; 8192];
    for _ in 0..4 {
        let objects: Vec<_> = (0..8).map(|_| rig.gem_create(0, 8192).unwrap()).collect();
        for object in &objects {
            assert_eq!(rig.gem_read(0, *object, 0, 8192).unwrap(), zeros);
            rig.gem_write(0, *object, 0, &[0xa5; 8192]).unwrap();
        }
        for object in objects {
            rig.close(0, object).unwrap();
        }
    }
}

#[test]
fn the_size_of_a_buffer_is_rounded_up_to_pages_and_told() {
    let mut rig = Rig::new("tgl");
    for (asked, got) in [(1, PAGE), (PAGE, PAGE), (PAGE + 1, 2 * PAGE), (300_000, 74 * PAGE)] {
        let words = rig.op(0, Operation::GemCreate, &GemCreate { size: asked, handle: 99, pad: 0 }).unwrap();
        assert_eq!(words[1], got, "{asked}");
        let object = handle(words);
        assert!(rig.gem_read(0, object, got - 1, 1).is_ok());
        assert_eq!(rig.gem_read(0, object, got - 1, 2), Err(Errno::Inval));
    }
}

#[test]
fn a_buffer_without_bytes_is_einval_and_one_larger_than_an_address_space_e2big() {
    let mut rig = Rig::new("tgl");
    let create = |size, pad| GemCreate { size, handle: 0, pad };
    rig.refused(0, Operation::GemCreate, &create(0, 0), Errno::Inval);
    rig.refused(0, Operation::GemCreate, &create(PAGE, 1), Errno::Inval);
    for size in [(1 << 47) + 1, 1 << 48, u64::MAX - 1, u64::MAX] {
        rig.refused(0, Operation::GemCreate, &create(size, 0), Errno::TooBig);
    }
    rig.refused(0, Operation::GemCreate, &create(1 << 47, 0), Errno::NoMem);
}

#[test]
fn beyond_its_quota_of_memory_or_of_objects_a_client_gets_enomem_and_the_other_works_on() {
    let mut settings = Settings::new("tgl");
    settings.limits =
        vec![ClientLimits { driver_pages: 200, objects: 6, ..ClientLimits::DEFAULT }, ClientLimits::DEFAULT];
    let mut world = World::with(settings);
    let create = |pages: u64| GemCreate { size: pages * PAGE, handle: 0, pad: 0 };
    let left = 200 - u64::from(world.rig.snapshot().census.clients[0].driver_pages);
    world.rig.refused(0, Operation::GemCreate, &create(left + 1), Errno::NoMem);
    let all = world.rig.gem_create(0, left * PAGE).unwrap();
    world.rig.refused(0, Operation::GemCreate, &create(1), Errno::NoMem);
    assert!(world.rig.gem_create(1, 256 * PAGE).is_ok());
    world.rig.close(0, all).unwrap();
    // Two objects are there already.
    for _ in 0..4 {
        world.rig.gem_create(0, 1).unwrap();
    }
    world.rig.refused(0, Operation::GemCreate, &create(1), Errno::NoMem);
    assert!(world.rig.gem_create(1, 1).is_ok());
}

#[test]
fn a_creation_for_which_a_pool_has_no_room_leaves_nothing_behind() {
    let mut rig = Rig::new("tgl");
    let (mut failures, mut refused) = (0, 0);
    let before = rig.snapshot();
    loop {
        fail::fail_after(failures);
        let made = rig.gem_create(0, 5 * PAGE);
        let failed = fail::succeed();
        // Without a run of four pages it is made of shorter ones.
        refused += u32::from(made.is_err());
        match made {
            Ok(object) => rig.close(0, object).unwrap(),
            Err(errno) => assert_eq!((errno, failed), (Errno::NoMem, true), "after {failures}"),
        }
        assert_eq!(rig.snapshot(), before, "after {failures}");
        if !failed {
            break;
        }
        failures += 1;
    }
    assert!(refused >= 3, "a page, the object and its handle were each refused once: {refused}");
}

#[test]
fn reading_and_writing_refuse_what_i915_refuses_in_its_order() {
    let mut world = World::new("tgl");
    let (object, end) = (world.data, world.rig.area_len(0) as u64);
    let region = world.rig.region(0, 1);
    let userptr = world.rig.userptr(0, region);
    let good = transfer(object, 0, 8);
    world.refused_transfers(GemTransfer { pad: 1, ..good }, Errno::Inval);
    // Outside the message area, before anything else is looked at.
    for (data, size) in [(end - 7, 8), (end, 1), (0, end + 1), (u64::MAX, 1), (8, u64::MAX)] {
        world.refused_transfers(GemTransfer { handle: 99, data, size, ..good }, Errno::Fault);
    }
    world.refused_transfers(GemTransfer { handle: 99, ..good }, Errno::NoEnt);
    world.refused_transfers(GemTransfer { handle: 0, offset: 3 * PAGE, ..good }, Errno::NoEnt);
    for offset in [2 * PAGE - 7, 2 * PAGE, u64::MAX, u64::MAX - 7] {
        world.refused_transfers(GemTransfer { offset, ..good }, Errno::Inval);
    }
    world.refused_transfers(transfer(userptr, 0, 8), Errno::Inval);
    // Nothing to do is done, wherever.
    let nothing = GemTransfer { handle: 99, offset: u64::MAX, size: 0, data: u64::MAX, pad: 0 };
    for operation in [Operation::GemRead, Operation::GemWrite] {
        assert!(world.rig.op(0, operation, &nothing).is_ok());
    }
}

#[test]
fn bytes_at_any_offset_are_read_and_written_and_those_beside_them_are_left() {
    let mut world = World::new("tgl");
    let object = world.data;
    let mut expected: Vec<u8> = (0..2 * PAGE).map(|at| (at % 251) as u8).collect();
    world.rig.gem_write(0, object, 0, &expected).unwrap();
    for (offset, len) in
        [(0, 1), (1, 1), (3, 2), (5, 7), (511, 2), (509, 600), (4093, 9), (8190, 2), (1021, 5003)]
    {
        let bytes: Vec<u8> =
            (0..len).map(|at| 255 - u8::try_from((offset + at) % 253).expect("a remainder")).collect();
        world.rig.gem_write(0, object, offset as u64, &bytes).unwrap();
        expected[offset..offset + len].copy_from_slice(&bytes);
        assert_eq!(world.rig.gem_read(0, object, offset as u64, len).unwrap(), bytes, "{len} at {offset}");
        assert_eq!(world.rig.gem_read(0, object, 0, 8192).unwrap(), expected, "{len} at {offset}");
    }
    // What is read comes to where it was asked for, and nowhere else.
    world.rig.write_area(0, PAYLOAD, &[0x77; 64]);
    world
        .rig
        .op(0, Operation::GemRead, &GemTransfer { data: PAYLOAD as u64 + 13, ..transfer(object, 3, 21) })
        .unwrap();
    let area = world.rig.read_area(0, PAYLOAD, 64).to_vec();
    assert_eq!((&area[..13], &area[34..]), (&[0x77; 13][..], &[0x77; 30][..]));
    assert_eq!(area[13..34], expected[3..24]);
}

#[test]
fn while_batches_use_a_buffer_it_is_busy_and_whoever_waits_is_told_of_the_end() {
    for platform in ["skl", "tgl"] {
        let mut world = World::new(platform);
        let (data, code) = (world.data, world.code);
        world.write_code(&batch::store(DATA, 7));
        assert_eq!((world.rig.gem_busy(0, data), world.rig.gem_wait(0, data, 0)), (Ok(0), Ok(())));
        world.rig.set_timing(Timing::Busy);
        world.submit().unwrap();
        let copy_reads = 1 << COPY;
        assert_eq!(world.rig.gem_busy(0, data), Ok(GemBusy::answer(copy_reads, Some(COPY))));
        assert_eq!(world.rig.gem_busy(0, code), Ok(GemBusy::answer(copy_reads, None)));
        // Another engine reads the batch, too.
        let render = world.rig.context_create(0, 0, &[]).unwrap();
        world.rig.submit(0, render, 0, &[reads(code, CODE)], &[]).unwrap();
        assert_eq!(world.rig.gem_busy(0, code), Ok(GemBusy::answer(copy_reads | 1 << RENDER, None)));
        // A batch is only read: others may read it as well, and nobody may write it.
        assert!(world.rig.gem_read(0, code, 0, 8).is_ok());
        world.rig.refused(0, Operation::GemWrite, &transfer(code, 0, 8), Errno::Again);
        world.rig.refused(0, Operation::GemRead, &transfer(data, 0, 8), Errno::Again);
        let wait = |handle, timeout_ns| GemWait { handle, flags: 0, timeout_ns };
        world.rig.refused(0, Operation::GemWait, &wait(data, 0), Errno::Time);
        for timeout in [-1, 1, i64::MAX] {
            world.rig.refused(0, Operation::GemWait, &wait(data, timeout), Errno::Again);
        }
        let reply = world.rig.call(0, Operation::GemWait.label(), [0, 16], None);
        assert_eq!((reply.status, reply.count, reply.words[0]), (Err(Errno::Again), 1, 1), "it will be told");
        world.rig.set_timing(Timing::Instant);
        world.rig.settle();
        assert_eq!((world.rig.gem_busy(0, data), world.rig.gem_busy(0, code)), (Ok(0), Ok(0)));
        assert_eq!(world.rig.gem_wait(0, data, -1), Ok(()));
        assert_eq!(world.rig.gem_read(0, data, 0, 4).unwrap(), [7, 0, 0, 0]);
        world.rig.check();
    }
}

#[test]
fn a_client_that_waits_for_anothers_batch_is_notified_once_it_is_done() {
    let mut world = World::new("tgl");
    world.write_code(&batch::store(DATA, 7));
    let name = world.rig.export(0, world.data, 1).unwrap();
    let import = world.rig.import(1, name).unwrap();
    world.rig.set_timing(Timing::Busy);
    world.submit().unwrap();
    assert_eq!(world.rig.gem_wait(1, import, -1), Err(Errno::Again));
    let before = world.rig.notified(1);
    world.rig.set_timing(Timing::Instant);
    world.rig.settle();
    assert_eq!(world.rig.notified(1), before + 1);
    assert_eq!(world.rig.gem_wait(1, import, -1), Ok(()));
    assert_eq!(world.rig.gem_read(1, import, 0, 4).unwrap(), [7, 0, 0, 0]);
    // Nobody waits now, and nobody is notified of others' affairs.
    world.submit().unwrap();
    world.rig.settle();
    assert_eq!(world.rig.notified(1), before + 1);
}

#[test]
fn busy_and_wait_refuse_unknown_objects_and_flags() {
    let mut world = World::new("tgl");
    world.rig.refused(0, Operation::GemBusy, &GemBusy { handle: 99, busy: 0 }, Errno::NoEnt);
    world.rig.refused(0, Operation::GemBusy, &GemBusy { handle: 0, busy: 0 }, Errno::NoEnt);
    world.rig.refused(0, Operation::GemWait, &GemWait { handle: 99, flags: 0, timeout_ns: 0 }, Errno::NoEnt);
    world.rig.refused(0, Operation::GemWait, &GemWait { handle: 99, flags: 1, timeout_ns: 0 }, Errno::Inval);
}

#[test]
fn a_buffer_that_one_client_made_is_used_by_another_and_lives_as_long_as_either_has_it() {
    for platform in ["skl", "tgl"] {
        let mut world = World::new(platform);
        let (data, pages) =
            (world.data, |world: &mut World| world.rig.snapshot().census.clients[0].driver_pages);
        assert_eq!(world.rig.gem_read(1, data, 0, 4), Err(Errno::NoEnt), "handles are each client's own");
        let name = world.rig.export(0, data, 1).unwrap();
        assert_eq!(world.rig.import(0, name), Err(Errno::NoEnt), "it is for the other one");
        let import = world.rig.import(1, name).unwrap();
        assert_eq!(world.rig.import(1, name), Ok(import), "one object, one handle");
        // The second client's GPU writes it, out of a batch of its own; the first one reads it.
        let context = world.rig.context_create(1, 0, &[]).unwrap();
        let code = world.rig.gem_create(1, PAGE).unwrap();
        world.rig.gem_write(1, code, 0, batch::store(0x7000_0000, 0x51).as_bytes()).unwrap();
        let list = [writes(import, 0x7000_0000), reads(code, CODE)];
        let fence = world.rig.submit(1, context, BLITTER, &list, &[]).unwrap();
        world.rig.settle();
        assert!(world.rig.reached(1, fence));
        assert_eq!(world.rig.gem_read(0, data, 0, 4).unwrap(), [0x51, 0, 0, 0]);
        // It is charged to who made it until the last handle goes.
        let before = pages(&mut world);
        world.rig.close(0, data).unwrap();
        assert_eq!(pages(&mut world), before, "{platform}");
        assert_eq!(world.rig.gem_read(1, import, 0, 4).unwrap(), [0x51, 0, 0, 0]);
        world.rig.close(1, import).unwrap();
        world.rig.settle();
        assert!(pages(&mut world) <= before - 2, "{platform}");
        assert_eq!(world.rig.import(1, name), Err(Errno::NoEnt));
        world.rig.check();
    }
}

#[test]
fn what_is_closed_while_the_gpu_uses_it_goes_when_it_is_done() {
    let mut world = World::new("tgl");
    world.write_code(&batch::store(DATA, 7));
    world.rig.set_timing(Timing::Busy);
    world.submit().unwrap();
    let objects = |world: &mut World| world.rig.snapshot().census.objects;
    let (data, code) = (world.data, world.code);
    world.rig.close(0, data).unwrap();
    world.rig.close(0, code).unwrap();
    assert_eq!(objects(&mut world), 2);
    world.rig.set_timing(Timing::Instant);
    world.rig.settle();
    assert_eq!(objects(&mut world), 0);
    assert_eq!(world.rig.snapshot().census.bindings, 0);
    world.rig.check();
}

#[test]
fn an_invalidation_does_not_concern_buffers() {
    let mut world = World::new("tgl");
    world.write_code(&batch::store(DATA, 7));
    world.rig.set_timing(Timing::Busy);
    world.submit().unwrap();
    // All of the client's address space: buffers are not in it.
    assert!(world.rig.invalidate(0, 0, 1 << 47).unwrap().is_done());
    world.rig.set_timing(Timing::Instant);
    world.rig.settle();
    assert_eq!(world.rig.gem_read(0, world.data, 0, 4).unwrap(), [7, 0, 0, 0]);
    world.rig.check();
}

/// A client that holds what another one exported could otherwise keep that one from starting over for ever.
#[test]
fn a_client_that_starts_over_gets_back_what_others_have_imported() {
    let mut world = World::new("tgl");
    let region = world.rig.region(0, 1);
    let userptr = world.rig.userptr(0, region);
    let list = [writes(userptr, DATA), reads(world.code, CODE)];
    world.write_code(&[batch::END, 0]);
    world.rig.run(0, world.context, BLITTER, &list, &[], &[region]).unwrap();
    world.rig.settle();
    let imports = [world.data, userptr].map(|object| {
        let name = world.rig.export(0, object, 1).unwrap();
        world.rig.import(1, name).unwrap()
    });
    let afresh = Connect { version: VERSION, flags: Connect::AFRESH };
    assert!(world.rig.op(0, Operation::Connect, &afresh).is_ok());
    let census = world.rig.snapshot().census;
    assert_eq!((census.objects, census.clients[1].handles[2], world.rig.domain.held()), (0, 0, 0));
    for import in imports {
        assert_eq!(world.rig.close(1, import), Err(Errno::NoEnt));
    }
    world.rig.check();
}

/// Its end would otherwise be taken for that of an object that the invalidation waits for.
#[test]
fn an_unsynchronised_object_that_goes_ends_no_invalidation_of_its_range() {
    let mut settings = Settings { privileged: true, ..Settings::new("tgl") };
    settings.driver = DriverConfig { invalidate_ns: u64::MAX / 2, ..settings.driver };
    let mut rig = Rig::with(settings);
    let (region, codes) = (rig.region(0, 2), [rig.region(0, 1), rig.region(0, 1)]);
    let contexts = [0, 1].map(|_| rig.context_create(0, 0, &[]).unwrap());
    // One page each; the second is not synchronised.
    let objects = [(0, 0), (PAGE, 1 << 31)].map(|(offset, flags)| {
        let create = UserptrCreate { user_ptr: region.address + offset, user_size: PAGE, flags, handle: 0 };
        handle(rig.op(0, Operation::UserptrCreate, &create).unwrap())
    });
    let batches = codes.map(|code| rig.userptr(0, code));
    rig.poke(codes[0].physical, &batch::gated_store("tgl", DATA, 1, DATA + 8, 5));
    rig.poke(codes[1].physical, &[batch::END, 0]);
    // The synchronised object's batch waits for its gate; the other's is done at once, on another engine.
    let lists = [0, 1].map(|which| [writes(objects[which], DATA), reads(batches[which], CODE)]);
    let all = [region, codes[0], codes[1]];
    rig.run(0, contexts[0], BLITTER, &lists[0], &[], &all).unwrap();
    rig.settle_for(1_000_000);
    rig.set_timing(Timing::Busy);
    rig.run(0, contexts[1], 0, &lists[1], &[], &all).unwrap();
    rig.close(0, objects[1]).unwrap();
    let taken = rig.invalidate(0, region.address, region.address + 2 * PAGE).unwrap();
    assert!(!taken.is_done());
    rig.set_timing(Timing::Instant);
    rig.settle_for(1_000_000);
    assert_eq!(rig.snapshot().census.jobs, 1, "one of the batches is done");
    assert!(!rig.invalidate_status(0, taken.ticket).unwrap().is_done(), "the other is not");
    rig.poke(region.physical, &[1]);
    rig.settle();
    assert!(rig.invalidate_status(0, taken.ticket).unwrap().is_done());
}

#[test]
fn the_batch_of_a_hang_in_driver_memory_is_in_the_error_state_and_no_userptr() {
    let mut settings = Settings::new("tgl");
    settings.options.instant_budget = 2_000;
    settings.config.hang_ns = 50_000_000;
    settings.config.preempt_timeout_ns = 20_000_000;
    let mut world = World::with(settings);
    world.write_code(&batch::endless(CODE));
    let fence = world.submit().unwrap();
    let reached = |rig: &Rig| rig.point(0, u64::from(fence.timeline)) >= fence.point;
    assert!(world.rig.wait(60_000_000_000, reached));
    let text = world.rig.driver.error_state().unwrap();
    assert!(text.contains("gtt_offset = 0x00000000 00100000"), "{text}");
    assert!(!text.contains("userptr"), "{text}");
}
