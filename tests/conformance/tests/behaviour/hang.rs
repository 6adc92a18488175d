// SPDX-License-Identifier: BSD-2-Clause
//! Batches that do not end, and hardware that does not go on.

use conformance::wire::{reads, writes};
use conformance::{Rig, Settings, batch};
use gpu_protocol::{Connect, Errno, Operation, VERSION};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;

fn settings(platform: &'static str) -> Settings {
    let mut settings = Settings::new(platform);
    settings.options.instant_budget = 2_000;
    settings
}

#[test]
fn a_hang_ends_its_point_is_published_and_the_other_client_proceeds() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::with(settings(platform));
        let context = rig.context_create(0, 0, &[]).unwrap();
        let code = rig.region(0, 1);
        let object = rig.userptr(0, code);
        rig.poke(code.physical, &batch::endless(CODE));
        let hung = rig.run(0, context, BLITTER, &[reads(object, CODE)], &[], &[code]).unwrap();

        let other = rig.context_create(1, 0, &[]).unwrap();
        let (data, good) = (rig.region(1, 1), rig.region(1, 1));
        let objects = [rig.userptr(1, data), rig.userptr(1, good)];
        rig.poke(good.physical, &batch::store(DATA, 5));
        let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
        let fence = rig.run(1, other, BLITTER, &list, &[], &[data, good]).unwrap();
        rig.close(0, object).unwrap();
        assert_eq!(rig.domain.held(), 3, "the hanging batch still has its page");
        assert!(rig.wait(60_000_000_000, |rig| rig.reached(0, hung) && rig.reached(1, fence)), "{platform}");
        rig.settle();
        assert_eq!(rig.peek(data.physical), 5);
        assert!(rig.notified(0) >= 1 && rig.notified(1) >= 1);
        assert_eq!(rig.domain.held(), 2, "{platform}: and gives it back");
        assert!(rig.driver.gpu().statistics().engine_resets > 0);
        // Both go on.
        let list_again = rig.submit(1, other, BLITTER, &list, &[]).unwrap();
        rig.settle();
        assert!(rig.reached(1, list_again));
        rig.check();
    }
}

#[test]
fn a_batch_that_faults_ends_and_the_next_one_of_another_client_runs() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::with(settings(platform));
        let context = rig.context_create(0, 0, &[]).unwrap();
        let code = rig.region(0, 1);
        let object = rig.userptr(0, code);
        // A command that no streamer knows.
        rig.poke(code.physical, &[0x7fff_ffff, 0x7fff_ffff, batch::END, 0]);
        let bad = rig.run(0, context, BLITTER, &[reads(object, CODE)], &[], &[code]).unwrap();
        let other = rig.context_create(1, 0, &[]).unwrap();
        let (data, good) = (rig.region(1, 1), rig.region(1, 1));
        let objects = [rig.userptr(1, data), rig.userptr(1, good)];
        rig.poke(good.physical, &batch::store(DATA, 5));
        let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
        let fence = rig.run(1, other, BLITTER, &list, &[], &[data, good]).unwrap();
        assert!(rig.wait(60_000_000_000, |rig| rig.reached(0, bad) && rig.reached(1, fence)), "{platform}");
        assert_eq!(rig.peek(data.physical), 5, "{platform}");
    }
}

#[test]
fn lost_interrupts_are_noticed_when_time_passes() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let (data, code) = (rig.region(0, 1), rig.region(0, 1));
    let objects = [rig.userptr(0, data), rig.userptr(0, code)];
    rig.poke(code.physical, &batch::store(DATA, 5));
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    rig.model().injection().lose_interrupts = 1000;
    let fence = rig.run(0, context, BLITTER, &list, &[], &[data, code]).unwrap();
    rig.settle();
    assert!(!rig.reached(0, fence));
    assert!(rig.driver.is_busy());
    assert!(rig.wait(1_000_000_000, |rig| rig.reached(0, fence)));
    assert_eq!(rig.notified(0), 1);
}

#[test]
fn a_wedged_gpu_answers_eio_to_everybody_and_the_driver_stays_alive() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::with(settings(platform));
        let context = rig.context_create(0, 0, &[]).unwrap();
        let code = rig.region(0, 1);
        let object = rig.userptr(0, code);
        rig.poke(code.physical, &batch::endless(CODE));
        let hung = rig.run(0, context, BLITTER, &[reads(object, CODE)], &[], &[code]).unwrap();
        let other = rig.context_create(1, 0, &[]).unwrap();
        let good = rig.region(1, 1);
        let innocent = rig.userptr(1, good);
        rig.poke(good.physical, &[batch::END, 0]);
        let queued = rig.run(1, other, BLITTER, &[reads(innocent, CODE)], &[], &[good]).unwrap();
        rig.model().injection().failing_resets = 1_000;
        let ended = |rig: &Rig| rig.reached(0, hung) && rig.reached(1, queued);
        assert!(rig.wait(60_000_000_000, ended), "{platform}: what was submitted ends");
        assert!(rig.driver.gpu().is_wedged());
        for (client, context, object) in [(0, context, object), (1, other, innocent)] {
            for _ in 0..3 {
                let list = [reads(object, CODE)];
                assert_eq!(rig.submit(client, context, BLITTER, &list, &[]), Err(Errno::Io), "{platform}");
                assert_eq!(rig.context_create(client, 0, &[]), Err(Errno::Io), "{platform}");
            }
            // What a client has can still be given up.
            rig.close(client, object).unwrap();
            rig.context_destroy(client, context).unwrap();
        }
        rig.take_interrupts();
    }
}

#[test]
fn a_gpu_that_is_gone_ends_every_batch_and_refuses_with_eio() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let code = rig.region(0, 1);
    let object = rig.userptr(0, code);
    rig.poke(code.physical, &batch::endless(CODE));
    let hung = rig.run(0, context, BLITTER, &[reads(object, CODE)], &[], &[code]).unwrap();
    rig.model().injection().device_gone = true;
    assert!(rig.wait(60_000_000_000, |rig| rig.reached(0, hung)));
    assert_eq!(rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]), Err(Errno::Io));
    assert_eq!(rig.context_create(0, 0, &[]), Err(Errno::Io));
    let connect = Connect { version: VERSION, flags: 0 };
    assert_eq!(rig.op(0, Operation::Connect, &connect), Err(Errno::Io));
    // What a client has can still be given up.
    rig.close(0, object).unwrap();
    rig.context_destroy(0, context).unwrap();
}

/// A rig with a GPU that fell off the bus under a batch, and was given up; `objects` are what the batch used, the pages
/// of all of them lent. The handles of the context and of the objects.
fn wedged(platform: &'static str, objects: usize) -> (Rig, u32, Vec<u32>) {
    let mut rig = Rig::with(settings(platform));
    let context = rig.context_create(0, 0, &[]).unwrap();
    let regions: Vec<_> = (0..objects).map(|_| rig.region(0, 1)).collect();
    let handles: Vec<_> = regions.iter().map(|region| rig.userptr(0, *region)).collect();
    rig.poke(regions[0].physical, &batch::endless(CODE));
    let mut list: Vec<_> =
        (1_u64..).zip(&handles[1..]).map(|(at, id)| writes(*id, DATA + at * 4096)).collect();
    list.push(reads(handles[0], CODE));
    let hung = rig.run(0, context, BLITTER, &list, &[], &regions).unwrap();
    assert_eq!(rig.domain.held(), objects);
    rig.model().injection().device_gone = true;
    assert!(rig.wait(60_000_000_000, |rig| rig.reached(0, hung)), "{platform}");
    assert!(rig.driver.gpu().is_wedged());
    (rig, context, handles)
}

/// Register reads so far: a device that is gone would be polled with thousands.
fn register_reads(rig: &mut Rig) -> u64 {
    rig.driver.gpu().hardware().reads
}

#[test]
fn objects_on_a_gpu_that_is_gone_are_closed_without_asking_it() {
    for platform in ["bdw", "skl", "glk", "icl", "tgl"] {
        let (mut rig, context, objects) = wedged(platform, 8);
        let before = register_reads(&mut rig);
        for (closed, object) in (1..).zip(&objects) {
            rig.close(0, *object).unwrap();
            assert_eq!(rig.domain.held(), objects.len() - closed, "{platform}: its page is back");
        }
        assert_eq!(register_reads(&mut rig), before, "{platform}");
        rig.context_destroy(0, context).unwrap();
        assert!(!rig.driver.tick(&mut rig.domain), "{platform}: nothing is left to wait for");
        assert!(!rig.driver.is_busy());
        // The context's place in the GGTT is flushed with one read.
        assert!(register_reads(&mut rig) <= before + 1, "{platform}");
    }
}

#[test]
fn a_client_that_ends_on_a_gpu_that_is_gone_leaves_nothing_behind() {
    for platform in ["bdw", "skl", "glk", "icl", "tgl"] {
        let (mut rig, ..) = wedged(platform, 8);
        let before = register_reads(&mut rig);
        let connect = Connect { version: VERSION, flags: Connect::AFRESH };
        for _ in 0..2 {
            assert_eq!(rig.op(0, Operation::Connect, &connect), Err(Errno::Io));
            assert_eq!((rig.domain.held(), rig.domain.mapped()), (0, 0), "{platform}");
        }
        assert!(!rig.driver.tick(&mut rig.domain) && !rig.driver.is_busy(), "{platform}");
        // The places of its two contexts in the GGTT are flushed with one read each.
        assert!(register_reads(&mut rig) <= before + 2, "{platform}");
    }
}
