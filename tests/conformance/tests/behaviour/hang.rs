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
