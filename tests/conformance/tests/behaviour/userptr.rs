// SPDX-License-Identifier: BSD-2-Clause
//! Objects made of clients' pages: creation, and the life of their pages.

use conformance::wire::{handle, reads, transfer, whole_grant, writes};
use conformance::{Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{Errno, Operation, UserptrCreate};
use intel_gpu::fail;
use intel_gpu::uapi::ClientLimits;

const PAGE: u64 = 4096;
const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
/// The blitter's slot.
const BLITTER: u32 = 3;

fn create(user_ptr: u64, user_size: u64, flags: u32) -> UserptrCreate {
    UserptrCreate { user_ptr, user_size, flags, handle: 0 }
}

#[test]
fn every_wrong_creation_has_its_error_and_changes_nothing() {
    let mut rig = Rig::new("tgl");
    let user_end = 1 << 47;
    let wrong = [
        (create(PAGE, PAGE, 4), Errno::Inval),
        (create(PAGE, PAGE, 1 << 30), Errno::Inval),
        (create(PAGE, 0, 0), Errno::Inval),
        (create(PAGE + 1, PAGE, 0), Errno::Inval),
        (create(PAGE, PAGE - 1, 0), Errno::Inval),
        (create(PAGE, PAGE + 8, 0), Errno::Inval),
        (create(0, !(PAGE - 1), 0), Errno::TooBig),
        (create(user_end, PAGE, 0), Errno::Fault),
        (create(user_end - PAGE, 2 * PAGE, 0), Errno::Fault),
        (create(u64::MAX - PAGE + 1, PAGE, 0), Errno::Fault),
        (create(0xffff_8000_0000_0000, PAGE, 0), Errno::Fault),
        // Tiger Lake cannot keep the GPU from writing.
        (create(PAGE, PAGE, 1), Errno::NoDev),
        (create(PAGE, PAGE, 1 << 31), Errno::Perm),
        (create(PAGE, PAGE, 1 << 31 | 1), Errno::NoDev),
    ];
    for (create, errno) in wrong {
        rig.refused(0, Operation::UserptrCreate, &create, errno);
    }
}

#[test]
fn creation_takes_and_asks_for_no_page() {
    let mut rig = Rig::new("tgl");
    // Nothing need be behind the range, not even behind a null address.
    for (address, size) in [(0, PAGE), (0x7fff_ffff_f000, PAGE), (1 << 40, 1 << 40)] {
        let object = rig.userptr_create(0, address, size).unwrap();
        assert_eq!(rig.next_request(0), None);
        assert_eq!(rig.domain.held(), 0);
        rig.close(0, object).unwrap();
    }
    assert_eq!(rig.driver.census().objects, 0);
}

/// It is no object of the first class (i915: pread and pwrite answer EINVAL, since it has no file behind it); its client
/// has the memory itself.
#[test]
fn a_userptr_is_neither_read_nor_written_through_the_driver() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let (code, data) = (rig.region(0, 1), rig.region(0, 1));
    let (code_object, object) = (rig.userptr(0, code), rig.userptr(0, data));
    let name = rig.export(0, object, 1).unwrap();
    let import = rig.import(1, name).unwrap();
    let refused = |rig: &mut Rig| {
        for (client, handle) in [(0, object), (1, import)] {
            for operation in [Operation::GemRead, Operation::GemWrite] {
                rig.refused(client, operation, &transfer(handle, 0, 8), Errno::Inval);
            }
        }
    };
    refused(&mut rig);
    assert_eq!(rig.next_request(0), None, "nobody is asked for its page");
    rig.poke(code.physical, &batch::store(DATA, 7));
    let list = [writes(object, DATA), reads(code_object, CODE)];
    assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
    refused(&mut rig);
    rig.serve(0, &[code, data]);
    rig.set_timing(Timing::Busy);
    rig.submit(0, context, BLITTER, &list, &[]).unwrap();
    refused(&mut rig);
    rig.set_timing(Timing::Instant);
    rig.settle();
    refused(&mut rig);
    assert_eq!(rig.peek(data.physical), 7);
    rig.check();
}

#[test]
fn a_range_that_overlaps_another_of_the_client_is_einval() {
    let mut rig = Rig::new("tgl");
    let base = 0x4000_0000;
    let object = rig.userptr_create(0, base, 4 * PAGE).unwrap();
    for (address, size) in [
        (base, 4 * PAGE),
        (base - PAGE, 2 * PAGE),
        (base + 3 * PAGE, PAGE),
        (base + PAGE, PAGE),
        (base - PAGE, 8 * PAGE),
    ] {
        rig.refused(0, Operation::UserptrCreate, &create(address, size, 0), Errno::Inval);
    }
    assert!(rig.userptr_create(0, base - PAGE, PAGE).is_ok(), "a neighbour below");
    assert!(rig.userptr_create(0, base + 4 * PAGE, PAGE).is_ok(), "a neighbour above");
    assert!(rig.userptr_create(1, base, 4 * PAGE).is_ok(), "another client's address space");
    rig.close(0, object).unwrap();
    assert_eq!(rig.userptr_create(0, base, 4 * PAGE), Ok(object));
}

#[test]
fn a_range_is_eagain_while_a_closed_object_waits_for_the_gpu() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::new(platform);
        rig.set_timing(Timing::Busy);
        let vm = rig.vm_create(0).unwrap();
        let context = rig.context(0, vm);
        let (code, data) = (rig.region(0, 1), rig.region(0, 2));
        rig.poke(code.physical, &batch::store(DATA, 1));
        let objects = [rig.userptr(0, data), rig.userptr(0, code)];
        let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
        let fence = rig.run(0, context, BLITTER, &list, &[], &[code, data]).unwrap();
        let held = rig.domain.held();
        rig.close(0, objects[0]).unwrap();
        assert_eq!(rig.domain.held(), held, "the GPU still uses the pages");
        rig.refused(0, Operation::UserptrCreate, &create(data.address, PAGE, 0), Errno::Again);
        rig.refused(0, Operation::UserptrCreate, &create(data.address + PAGE, PAGE, 0), Errno::Again);
        assert!(!rig.reached(0, fence));
        rig.set_timing(Timing::Instant);
        rig.settle();
        assert!(rig.reached(0, fence));
        assert_eq!(rig.peek(data.physical), 1);
        assert_eq!(rig.domain.held(), held - 2, "{platform}: given back at completion");
        assert!(rig.userptr_create(0, data.address, data.size).is_ok());
        rig.check();
    }
}

#[test]
fn what_has_finished_unnoticed_is_noticed_before_ranges_are_compared() {
    let mut rig = Rig::new("tgl");
    rig.set_timing(Timing::Busy);
    let context = rig.context_create(0, 0, &[]).unwrap();
    let (code, data) = (rig.region(0, 1), rig.region(0, 2));
    rig.poke(code.physical, &batch::store(DATA, 1));
    let objects = [rig.userptr(0, data), rig.userptr(0, code)];
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    rig.run(0, context, BLITTER, &list, &[], &[code, data]).unwrap();
    rig.close(0, objects[0]).unwrap();
    rig.refused(0, Operation::UserptrCreate, &create(data.address, PAGE, 0), Errno::Again);
    // The batch ends, and nobody tells the driver.
    rig.set_timing(Timing::Instant);
    rig.model().run_until_idle(10_000_000);
    assert_eq!(rig.peek(data.physical), 1);
    assert!(rig.userptr_create(0, data.address, PAGE).is_ok());
    rig.settle();
    rig.check();
}

#[test]
fn a_dying_object_beside_a_live_one_is_einval_for_a_range_over_both() {
    let mut rig = Rig::new("tgl");
    rig.set_timing(Timing::Busy);
    let vm = rig.vm_create(0).unwrap();
    let context = rig.context(0, vm);
    let (data, code) = (rig.region(0, 1), rig.region(0, 1));
    let objects = [rig.userptr(0, data), rig.userptr(0, code)];
    rig.poke(code.physical, &batch::store(DATA, 1));
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    rig.run(0, context, BLITTER, &list, &[], &[code, data]).unwrap();
    rig.close(0, objects[0]).unwrap();
    // The first is dying, the second will not go away by waiting.
    rig.refused(0, Operation::UserptrCreate, &create(data.address, 2 * PAGE, 0), Errno::Inval);
    rig.set_timing(Timing::Instant);
    rig.settle();
    rig.check();
}

#[test]
fn a_limit_of_objects_is_enomem() {
    let mut settings = Settings::new("tgl");
    settings.limits[0] = ClientLimits { objects: 4, ..ClientLimits::DEFAULT };
    let mut rig = Rig::with(settings);
    for index in 0..4 {
        assert!(rig.userptr_create(0, index * PAGE, PAGE).is_ok());
    }
    rig.refused(0, Operation::UserptrCreate, &create(16 * PAGE, PAGE, 0), Errno::NoMem);
    rig.close(0, 3).unwrap();
    assert_eq!(rig.userptr_create(0, 16 * PAGE, PAGE), Ok(3));
}

#[test]
fn closed_objects_that_the_gpu_still_uses_count_towards_the_limit() {
    let mut settings = Settings::new("tgl");
    settings.limits = vec![ClientLimits { objects: 3, ..ClientLimits::DEFAULT }; 2];
    let mut rig = Rig::with(settings);
    rig.set_timing(Timing::Busy);
    let vm = rig.vm_create(0).unwrap();
    let context = rig.context(0, vm);
    let regions = [rig.region(0, 1), rig.region(0, 1), rig.region(0, 1)];
    let objects = regions.map(|region| rig.userptr(0, region));
    let list = [reads(objects[0], DATA), reads(objects[1], 2 * DATA), reads(objects[2], CODE)];
    rig.poke(regions[2].physical, &[batch::END, 0]);
    rig.run(0, context, BLITTER, &list, &[], &regions).unwrap();
    for object in objects {
        rig.close(0, object).unwrap();
    }
    let created = (0..6_u64).filter(|index| rig.userptr_create(0, index * PAGE, PAGE).is_ok()).count();
    assert_eq!(created, 0, "the limit is reached by what is dying");
    for index in 0..3 {
        assert!(rig.userptr_create(1, index * PAGE, PAGE).is_ok(), "the other client has its own");
    }
    rig.set_timing(Timing::Instant);
    rig.settle();
    assert!(rig.userptr_create(0, 0, PAGE).is_ok());
}

#[test]
fn closing_gives_every_page_back_after_the_tlbs_are_invalidated() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::new(platform);
        let vm = rig.vm_create(0).unwrap();
        let context = rig.context(0, vm);
        let (code, data, other) = (rig.region(0, 1), rig.region(0, 4), rig.region(0, 4));
        let objects = [rig.userptr(0, data), rig.userptr(0, code)];
        rig.poke(code.physical, &batch::store(DATA, 1));
        let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
        rig.run(0, context, BLITTER, &list, &[], &[code, data]).unwrap();
        rig.settle();
        assert_eq!(rig.domain.held(), 5);
        let invalidations = rig.driver.gpu().statistics().tlb_invalidations;
        rig.close(0, objects[0]).unwrap();
        assert_eq!(rig.domain.held(), 1, "{platform}");
        assert!(rig.driver.gpu().statistics().tlb_invalidations > invalidations);
        // Another object where it was: the model's TLBs forget nothing by themselves, and an access to
        // a page that was given back is reported.
        rig.poke(data.physical, &[7]);
        let second = rig.userptr(0, other);
        let list = [writes(second, DATA), reads(objects[1], CODE)];
        rig.run(0, context, BLITTER, &list, &[], &[code, other]).unwrap();
        rig.settle();
        assert_eq!((rig.peek(data.physical), rig.peek(other.physical)), (7, 1), "{platform}");
        rig.check();
    }
}

#[test]
fn an_object_in_several_address_spaces_leaves_all_of_them_when_it_is_closed() {
    let mut rig = Rig::new("tgl");
    let (code, data) = (rig.region(0, 1), rig.region(0, 1));
    let before = rig.snapshot();
    let objects = [rig.userptr(0, data), rig.userptr(0, code)];
    rig.poke(code.physical, &batch::store(DATA, 1));
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    let contexts: Vec<_> = (0..5).map(|_| rig.context_create(0, 0, &[]).unwrap()).collect();
    for context in &contexts {
        rig.run(0, *context, BLITTER, &list, &[], &[code, data]).unwrap();
    }
    rig.settle();
    assert_eq!(rig.driver.census().bindings, 10);
    // Some address spaces go first, the others after the object: both ends of the chains are cut.
    rig.context_destroy(0, contexts[1]).unwrap();
    rig.context_destroy(0, contexts[4]).unwrap();
    assert_eq!(rig.driver.census().bindings, 6);
    rig.close(0, objects[0]).unwrap();
    assert_eq!((rig.driver.census().bindings, rig.domain.held()), (3, 1));
    for context in [contexts[0], contexts[2], contexts[3]] {
        rig.context_destroy(0, context).unwrap();
    }
    assert_eq!(rig.driver.census().bindings, 0);
    rig.close(0, objects[1]).unwrap();
    assert_eq!(rig.snapshot().census, before.census);
    rig.check();
}

#[test]
fn pages_stay_lent_while_the_gpu_does_not_confirm_that_it_forgot_them() {
    let mut rig = Rig::new("tgl");
    let vm = rig.vm_create(0).unwrap();
    let context = rig.context(0, vm);
    let (code, data) = (rig.region(0, 1), rig.region(0, 1));
    let objects = [rig.userptr(0, data), rig.userptr(0, code)];
    rig.poke(code.physical, &batch::store(DATA, 1));
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    rig.run(0, context, BLITTER, &list, &[], &[code, data]).unwrap();
    rig.settle();
    rig.model().injection().stuck_tlb_invalidation = true;
    rig.close(0, objects[0]).unwrap();
    assert_eq!(rig.domain.held(), 2);
    let spaces = rig.driver.census().spaces;
    // No other way round gives them back either, while the engine may remember them.
    rig.context_destroy(0, context).unwrap();
    rig.vm_destroy(0, vm).unwrap();
    rig.driver.interrupt(&mut rig.domain);
    assert_eq!(rig.domain.held(), 2, "nothing has been confirmed");
    rig.model().injection().stuck_tlb_invalidation = false;
    rig.driver.tick(&mut rig.domain);
    assert_eq!(rig.domain.held(), 1, "confirmed at last");
    rig.close(0, objects[1]).unwrap();
    assert_eq!(rig.driver.census().spaces, spaces - 1);
    assert_eq!(rig.domain.held(), 0);
}

/// Every allocation of what `act` does fails once, in turn; returns how many there are.
fn each_allocation_fails(rig: &mut Rig, mut act: impl FnMut(&mut Rig) -> Result<(), Errno>) -> u32 {
    let before = rig.snapshot();
    for count in 0.. {
        fail::fail_after(count);
        let done = act(rig);
        if !fail::succeed() {
            done.unwrap();
            return count;
        }
        assert_eq!(done, Err(Errno::NoMem), "allocation {count}");
        assert_eq!(rig.snapshot(), before, "allocation {count}");
    }
    unreachable!("it succeeds at last")
}

#[test]
fn a_creation_a_grant_and_a_use_in_which_the_nth_allocation_fails_are_enomem_and_leave_no_trace() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let (code, data) = (rig.region(0, 1), rig.region(0, 3));
    rig.poke(code.physical, &batch::store(DATA, 4));
    let code_object = rig.userptr(0, code);
    // Logical state and timeline are there before anything is counted.
    rig.run(0, context, BLITTER, &[reads(code_object, CODE)], &[], &[code]).unwrap();
    rig.settle();
    // Object, range, handle.
    let wanted = create(data.address, data.size, 0);
    let mut object = 0;
    let made = each_allocation_fails(&mut rig, |rig| {
        rig.op(0, Operation::UserptrCreate, &wanted).map(|words| object = handle(words))
    });
    assert_eq!(made, 3);
    let list = [writes(object, DATA), reads(code_object, CODE)];
    assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
    // A place for each page.
    let grant = whole_grant(rig.next_request(0).unwrap(), data);
    let lent = each_allocation_fails(&mut rig, |rig| rig.grant(0, &grant, data.cnode).map(drop));
    assert_eq!(lent, 3);
    // The binding, its range, a page table, the request and what it uses, at least.
    let used = each_allocation_fails(&mut rig, |rig| {
        // What is exhausted for a while is to be tried again.
        let submitted = rig.submit(0, context, BLITTER, &list, &[]).map(drop);
        submitted.map_err(|errno| if errno == Errno::Again { Errno::NoMem } else { errno })
    });
    assert!(used >= 5, "{used}");
    rig.settle();
    assert_eq!(rig.peek(data.physical), 4);
    rig.check();
}
