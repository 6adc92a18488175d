// SPDX-License-Identifier: BSD-2-Clause
//! What happens when the hardware or a client's work does not go on.

mod machine;

use gpu_model::registers::forcewake::AckDelay;
use gpu_model::{Options, Timing};
use intel_gpu::device::{EngineClass, Sseu};
use intel_gpu::memory::Object;
use intel_gpu::{Config, ContextId, Error, InitError, Status, Submission};
use machine::{BATCH_END, Machine, Rig, range, start, store, va};

const DATA: u64 = 0x10_0000;
const GOOD: u64 = 0x20_0000;
const SPIN: u64 = 0x30_0000;

fn rig(platform: &str) -> Rig {
    let options = Options { timing: Timing::Deferred, ..Options::default() };
    let config = Config { hang_ns: 50_000_000, preempt_timeout_ns: 20_000_000, ..Config::default() };
    let mut rig = Rig::with(platform, options, config);
    let _data = rig.object_at(DATA, 1);
    let good = rig.object_at(GOOD, 1);
    let mut dwords = store(DATA, 0x600d).to_vec();
    dwords.extend([BATCH_END, 0]);
    rig.write(&good, &dwords);
    // A batch that starts itself again, without a point where it could be preempted.
    let spin = rig.object_at(SPIN, 1);
    rig.write(&spin, &[0x1880_0101, 0x30_0000, 0]);
    rig.settle();
    rig
}

/// Lets time pass until `until` completions have come, 300 ms at most.
fn run(rig: &mut Rig, until: usize) -> Vec<(u64, Status)> {
    rig.turns(3_000, until)
}

/// Writes a status event of the copy engine, as the hardware does (Gen8 to Gen11).
fn status_event(rig: &mut Rig, entry: u64) {
    let gen11 = rig.gpu.platform().generation.is_gen11_or_12();
    let (entries, pointer) = if gen11 { (12, 0x2f * 4) } else { (6, 0x1f * 4) };
    // RING_HWS_PGA, and its GGTT entry, in the upper half of BAR 0.
    let page = rig.model().read32(0x2_2080);
    let ggtt_entry = u64::from(page >> 12) * 8 + 0x80_0000;
    let page = rig.model().bar_read(gpu_model::Bar::Registers, ggtt_entry, 8) & !0xfff;
    let memory = &rig.gpu.hardware().memory;
    let next = (memory.get_u32(page + pointer).expect("mapped") + 1) % entries;
    assert!(memory.set_u64(page + 0x40 + u64::from(next) * 8, entry));
    assert!(memory.set_u32(page + pointer, next));
}

/// Reports of the driver's own mistakes; a batch that spins is its client's affair.
fn check(rig: &mut Rig) {
    let own: Vec<String> =
        rig.model().reports().iter().filter(|report| !report.client).map(ToString::to_string).collect();
    assert!(own.is_empty(), "{own:#?}");
    assert_eq!(rig.gpu.sleeping_accesses(), 0);
}

fn own_timeline(rig: &mut Rig, class: EngineClass, priority: i16) -> ContextId {
    let timeline = rig.gpu.timeline_create().expect("memory");
    let engine = rig.engine(class);
    rig.gpu.context_create(rig.account, engine, rig.vm, timeline, priority).expect("memory")
}

fn a_hang_ends_with_its_engine_reset(platform: &str, class: EngineClass) {
    let mut rig = rig(platform);
    let guilty = own_timeline(&mut rig, class, 0);
    let innocent = own_timeline(&mut rig, class, 0);
    rig.submit(guilty, SPIN, 1);
    rig.submit(innocent, GOOD, 2);
    rig.submit(guilty, GOOD, 3);
    let done = run(&mut rig, 3);
    assert!(done.contains(&(1, Status::Hang)), "{platform}: {done:?}");
    assert!(done.contains(&(2, Status::Done)), "{platform}: {done:?}");
    assert!(done.contains(&(3, Status::Done)), "{platform}: {done:?}");
    let statistics = rig.gpu.statistics();
    assert_eq!((statistics.engine_resets, statistics.gpu_resets), (1, 0), "{platform}");
    // And it goes on.
    rig.submit(guilty, GOOD, 4);
    assert_eq!(run(&mut rig, 1), [(4, Status::Done)]);
    check(&mut rig);
}

#[test]
fn a_batch_without_end_is_stopped_and_its_neighbours_run() {
    for platform in ["bdw", "skl", "glk", "icl", "tgl", "adls"] {
        a_hang_ends_with_its_engine_reset(platform, EngineClass::Copy);
    }
}

#[test]
fn a_render_engine_that_hangs_is_reset_too() {
    for platform in ["skl", "tgl"] {
        a_hang_ends_with_its_engine_reset(platform, EngineClass::Render);
    }
}

#[test]
fn a_batch_that_is_no_program_is_stopped_by_the_error_it_raises() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let guilty = own_timeline(&mut rig, EngineClass::Copy, 0);
        let bad = rig.object_at(0x40_0000, 1);
        rig.write(&bad, &[0xffff_ffff; 16]);
        rig.submit(guilty, 0x40_0000, 1);
        rig.submit(guilty, GOOD, 2);
        let done = run(&mut rig, 2);
        assert_eq!(done, [(1, Status::Hang), (2, Status::Done)], "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_more_urgent_context_does_not_wait_for_one_that_cannot_be_preempted() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let spinner = own_timeline(&mut rig, EngineClass::Copy, 0);
        let urgent = own_timeline(&mut rig, EngineClass::Copy, 100);
        rig.submit(spinner, SPIN, 1);
        rig.model().step(1_000);
        rig.submit(urgent, GOOD, 2);
        let done = run(&mut rig, 2);
        assert_eq!(done, [(2, Status::Done), (1, Status::Hang)], "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_batch_without_end_that_is_alone_is_asked_before_it_is_stopped() {
    for platform in ["bdw", "skl", "tgl"] {
        let mut rig = rig(platform);
        let guilty = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(guilty, SPIN, 1);
        assert_eq!(run(&mut rig, 1), [(1, Status::Hang)], "{platform}");
        let statistics = rig.gpu.statistics();
        assert_eq!((statistics.pulses, statistics.engine_resets), (1, 1), "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_batch_that_lets_others_run_may_run_for_ever() {
    for platform in ["skl", "glk", "icl", "tgl"] {
        let mut rig = rig(platform);
        let endless = own_timeline(&mut rig, EngineClass::Copy, 0);
        let other = own_timeline(&mut rig, EngineClass::Copy, 0);
        let polite = rig.object_at(0x50_0000, 1);
        rig.write(&polite, &[0x0280_0000, 0x1880_0101, 0x50_0000, 0]);
        rig.submit(endless, 0x50_0000, 1);
        // Ten times as long as a request may run unasked.
        for _ in 0..5_000 {
            rig.model().step(20);
            rig.model().advance(100_000);
            while rig.model().take_msi().is_some() {
                rig.gpu.interrupt();
            }
            let _ = rig.gpu.tick();
        }
        assert_eq!(rig.completions(), [], "{platform}");
        rig.submit(other, GOOD, 2);
        assert_eq!(run(&mut rig, 1), [(2, Status::Done)], "{platform}");
        let statistics = rig.gpu.statistics();
        assert!(statistics.pulses >= 5, "{platform}: {statistics:?}");
        assert_eq!((statistics.engine_resets, statistics.gpu_resets), (0, 0), "{platform}");
        rig.gpu.context_ban(endless).expect("exists");
        assert_eq!(run(&mut rig, 1), [(1, Status::Cancelled)], "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_banned_context_stops_at_once_and_takes_nothing_more() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let banned = own_timeline(&mut rig, EngineClass::Copy, 0);
        let other = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(banned, SPIN, 1);
        rig.submit(banned, GOOD, 2);
        rig.submit(other, GOOD, 3);
        rig.model().step(1_000);
        rig.gpu.context_ban(banned).expect("exists");
        let done = run(&mut rig, 3);
        assert!(done.contains(&(1, Status::Cancelled)), "{platform}: {done:?}");
        assert!(done.contains(&(2, Status::Cancelled)), "{platform}: {done:?}");
        assert!(done.contains(&(3, Status::Done)), "{platform}: {done:?}");
        let refused = Submission { context: banned, batch: va(GOOD), waits: &[], cookie: 4 };
        assert_eq!(rig.gpu.submit(refused), Err(Error::Banned));
        check(&mut rig);
    }
}

#[test]
fn a_lost_interrupt_is_noticed_by_the_clock() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.model().injection().lose_interrupts = 100;
        rig.submit(context, GOOD, 1);
        assert_eq!(run(&mut rig, 1), [(1, Status::Done)], "{platform}");
        assert!(rig.gpu.tick(), "{platform}: its interrupt may still come");
        assert_eq!(run(&mut rig, 1), [], "{platform}: nothing more happens in 300 ms");
        assert_eq!(rig.gpu.statistics().lost_interrupts, 1, "{platform}");
        assert_eq!(rig.gpu.statistics().engine_resets, 0);
        check(&mut rig);
    }
}

#[test]
fn an_interrupt_that_comes_after_the_clock_has_noticed_its_event_is_not_lost() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(context, GOOD, 1);
        rig.model().step(1_000);
        rig.gpu.tick();
        assert_eq!(rig.completions().len(), 1, "{platform}: nobody waits for the interrupt");
        rig.model().advance(50_000_000);
        rig.gpu.tick();
        assert_eq!(run(&mut rig, 1), [], "{platform}: it is delivered now");
        assert_eq!(rig.gpu.statistics().lost_interrupts, 0, "{platform}");
        assert!(rig.gpu.statistics().interrupts > 0, "{platform}");
    }
}

#[test]
fn lost_status_events_end_in_a_reset_and_the_request_is_executed() {
    let mut rig = rig("tgl");
    let context = own_timeline(&mut rig, EngineClass::Copy, 0);
    rig.model().injection().lose_status_events = vec!["bcs0"];
    rig.submit(context, GOOD, 1);
    for _ in 0..20 {
        rig.model().step(200);
        rig.model().advance(100_000);
        rig.gpu.tick();
    }
    rig.model().injection().lose_status_events.clear();
    run(&mut rig, 1_000);
    rig.submit(context, GOOD, 2);
    let done = run(&mut rig, 1);
    assert_eq!(done, [(2, Status::Done)]);
    assert!(rig.gpu.statistics().engine_resets > 0);
}

#[test]
fn an_engine_that_is_never_ready_for_reset_is_reset_all_the_same() {
    let mut rig = rig("tgl");
    let context = own_timeline(&mut rig, EngineClass::Copy, 0);
    rig.model().injection().never_ready_for_reset = vec!["bcs0"];
    rig.submit(context, SPIN, 1);
    assert_eq!(run(&mut rig, 1), [(1, Status::Hang)]);
    rig.submit(context, GOOD, 2);
    assert_eq!(run(&mut rig, 1), [(2, Status::Done)]);
}

#[test]
fn a_failing_engine_reset_becomes_a_gpu_reset() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        let render = own_timeline(&mut rig, EngineClass::Render, 0);
        rig.submit(context, SPIN, 1);
        rig.submit(render, GOOD, 2);
        // Both attempts at the engine fail; each gives up at its first write.
        rig.model().injection().failing_resets = 2;
        let done = run(&mut rig, 2);
        assert!(done.contains(&(1, Status::Hang)), "{platform}: {done:?}");
        assert!(done.contains(&(2, Status::Done)), "{platform}: {done:?}");
        assert_eq!(rig.gpu.statistics().gpu_resets, 1, "{platform}");
        rig.submit(context, GOOD, 3);
        rig.submit(render, GOOD, 4);
        let mut done = run(&mut rig, 2);
        done.sort_by_key(|done| done.0);
        assert_eq!(done, [(3, Status::Done), (4, Status::Done)], "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_gpu_that_cannot_be_reset_is_wedged_and_everything_ends() {
    let mut rig = rig("tgl");
    let context = own_timeline(&mut rig, EngineClass::Copy, 0);
    let render = own_timeline(&mut rig, EngineClass::Render, 0);
    rig.submit(context, SPIN, 1);
    rig.submit(context, GOOD, 2);
    rig.submit(render, SPIN, 3);
    rig.model().injection().failing_resets = 1_000;
    let mut done = run(&mut rig, 3);
    done.sort_by_key(|done| done.0);
    assert_eq!(done.len(), 3);
    assert!(done.iter().all(|done| done.1 != Status::Done), "{done:?}");
    assert!(rig.gpu.is_wedged());
    let refused = Submission { context, batch: va(GOOD), waits: &[], cookie: 4 };
    assert_eq!(rig.gpu.submit(refused), Err(Error::Wedged));
    assert_eq!(rig.gpu.reset(), Err(Error::Wedged));
    // What there was can be taken down.
    rig.gpu.context_destroy(context).expect("exists");
    rig.gpu.context_destroy(render).expect("exists");
    let unbinding = rig.gpu.vm_destroy(rig.vm).expect("no context uses it");
    let unbinding = rig.gpu.release(unbinding).expect_err("nobody confirms it any more");
    assert!(rig.gpu.release_given_up(unbinding).is_ok());
}

#[test]
fn a_device_that_falls_off_the_bus_is_noticed_at_the_next_interrupt() {
    for platform in ["bdw", "skl", "icl", "tgl"] {
        let mut rig = rig(platform);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(context, SPIN, 1);
        rig.model().injection().device_gone = true;
        let started = rig.model().now_ns();
        rig.gpu.interrupt();
        assert!(rig.gpu.is_wedged(), "{platform}");
        let took = rig.model().now_ns() - started;
        assert!(took < 100_000, "{platform}: nothing of it is waited for: {took} ns");
        let done: Vec<_> = rig.completions().iter().map(|done| (done.cookie, done.status)).collect();
        assert_eq!(done, [(1, Status::Cancelled)], "{platform}: nobody is to blame");
        assert_eq!(rig.gpu.error_state(), None, "{platform}: there is nothing to record");
        assert_eq!(rig.gpu.statistics().engine_resets, 0, "{platform}");
        rig.gpu.interrupt();
        assert!(!rig.gpu.tick());
    }
}

#[test]
fn a_device_that_falls_off_the_bus_without_an_interrupt_is_noticed_within_100_ms_of_work() {
    for platform in ["bdw", "skl", "icl", "tgl"] {
        let options = Options { timing: Timing::Deferred, ..Options::default() };
        let mut rig = Rig::with(platform, options, Config::default());
        let spin = rig.object_at(SPIN, 1);
        rig.write(&spin, &[0x1880_0101, 0x30_0000, 0]);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(context, SPIN, 1);
        pass(&mut rig, 5);
        rig.model().injection().device_gone = true;
        let started = rig.model().now_ns();
        while !rig.gpu.is_wedged() {
            rig.model().advance(1_000_000);
            let _ = rig.gpu.tick();
            let waited = rig.model().now_ns() - started;
            assert!(waited <= 102_000_000, "{platform}: {waited} ns");
        }
        let done: Vec<_> = rig.completions().iter().map(|done| (done.cookie, done.status)).collect();
        assert_eq!(done, [(1, Status::Cancelled)], "{platform}");
        assert_eq!(rig.gpu.error_state(), None, "{platform}");
    }
}

#[test]
fn an_engine_of_a_gpu_that_was_given_up_writes_no_memory_any_more() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        let data = rig.object_at(0x80_0000, 1);
        // MI_ATOMIC (increment) without end.
        let counts = rig.object_at(0x90_0000, 1);
        rig.write(&counts, &[0x2f << 23 | 5 << 8 | 1, 0x80_0000, 0, 0x1880_0101, 0x90_0000, 0]);
        rig.submit(context, 0x90_0000, 1);
        rig.model().step(1_000);
        assert!(rig.read(&data)[0] > 10, "{platform}: it runs");
        rig.model().injection().failing_resets = 1_000;
        rig.gpu.reset().expect_err("it cannot be reset");
        let before = rig.read(&data)[0];
        rig.model().step(10_000);
        assert_eq!(rig.read(&data)[0], before, "{platform}");
    }
}

#[test]
fn a_batch_that_causes_events_all_the_time_does_not_put_off_its_end() {
    for platform in ["skl", "glk", "icl"] {
        let mut rig = rig(platform);
        let guilty = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(guilty, SPIN, 1);
        rig.model().step(100);
        let stuck = rig.gpu.hardware().model.now_ns();
        let mut done = Vec::new();
        while done.is_empty() {
            // An event that says nothing of who runs: of a wait for a semaphore.
            status_event(&mut rig, 1 << 14);
            done.extend(rig.turn());
            let waited = rig.model().now_ns() - stuck;
            assert!(waited < 200_000_000, "{platform}: {waited} ns");
        }
        assert_eq!(done, [(1, Status::Hang)], "{platform}");
        assert_eq!(rig.gpu.statistics().lost_interrupts, 0, "{platform}: nothing went on unnoticed");
    }
}

#[test]
fn a_command_error_stops_its_engine_though_another_request_has_just_ended() {
    for platform in ["skl", "icl", "tgl"] {
        let mut rig = rig(platform);
        let first = own_timeline(&mut rig, EngineClass::Copy, 0);
        let second = own_timeline(&mut rig, EngineClass::Copy, 0);
        let bad = rig.object_at(0x40_0000, 1);
        rig.write(&bad, &[0xffff_ffff; 16]);
        rig.submit(first, GOOD, 1);
        rig.submit(second, 0x40_0000, 2);
        rig.submit(first, GOOD, 3);
        // All of it before the driver looks.
        rig.model().step(10_000);
        // By interrupts alone: it is not left to the hang detection.
        let mut done = Vec::new();
        for _ in 0..100 {
            rig.model().step(1_000);
            while rig.model().take_msi().is_some() {
                rig.gpu.interrupt();
            }
            done.extend(rig.completions().into_iter().map(|done| (done.cookie, done.status)));
        }
        done.sort_by_key(|done| done.0);
        assert_eq!(done, [(1, Status::Done), (2, Status::Hang), (3, Status::Done)], "{platform}");
        assert_eq!(rig.gpu.statistics().engine_resets, 1, "{platform}");
        check(&mut rig);
    }
}

/// A GPU that sleeps and a request that has to wake it.
fn asleep(platform: &str) -> (Rig, ContextId) {
    let mut rig = rig(platform);
    let context = own_timeline(&mut rig, EngineClass::Copy, 0);
    rig.submit(context, GOOD, 1);
    assert_eq!(run(&mut rig, 1), [(1, Status::Done)]);
    rig.gpu.power_down();
    assert!(rig.gpu.is_parked());
    (rig, context)
}

#[test]
fn a_gpu_that_wakes_only_at_the_second_attempt_goes_on_as_if_nothing_had_been() {
    for platform in ["bdw", "skl", "glk", "icl", "tgl"] {
        let (mut rig, context) = asleep(platform);
        rig.gpu.hardware_mut().refused_wakes = Some(1);
        rig.submit(context, GOOD, 2);
        assert_eq!(rig.gpu.statistics().gpu_resets, 0, "{platform}");
        assert_eq!(run(&mut rig, 1), [(2, Status::Done)], "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_gpu_that_wakes_only_after_a_reset_is_reset_and_executes_what_woke_it() {
    for platform in ["bdw", "skl", "glk", "icl", "tgl"] {
        let (mut rig, context) = asleep(platform);
        rig.gpu.hardware_mut().refused_wakes = Some(2);
        rig.submit(context, GOOD, 2);
        assert!(!rig.gpu.is_wedged(), "{platform}");
        assert_eq!(rig.gpu.statistics().gpu_resets, 1, "{platform}");
        assert_eq!(run(&mut rig, 1), [(2, Status::Done)], "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_gpu_that_does_not_wake_is_reset_and_then_given_up() {
    for platform in ["bdw", "skl", "icl", "tgl"] {
        let (mut rig, context) = asleep(platform);
        rig.model().injection().forcewake = AckDelay::Never;
        let started = rig.model().now_ns();
        rig.submit(context, GOOD, 2);
        assert!(rig.gpu.is_wedged(), "{platform}");
        assert_eq!(rig.gpu.statistics().gpu_resets, 1, "{platform}");
        let took = rig.model().now_ns() - started;
        assert!(took < 5_000_000_000, "{platform}: {took} ns");
        let done: Vec<_> = rig.completions().iter().map(|done| (done.cookie, done.status)).collect();
        assert_eq!(done, [(2, Status::Cancelled)], "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_gpu_that_was_given_up_is_not_asked_to_forget_anything() {
    for platform in ["bdw", "skl", "icl", "tgl"] {
        for parked in [false, true] {
            let mut rig = rig(platform);
            let context = own_timeline(&mut rig, EngineClass::Copy, 0);
            rig.submit(context, GOOD, 1);
            assert_eq!(run(&mut rig, 1), [(1, Status::Done)]);
            if parked {
                rig.gpu.power_down();
                assert!(rig.gpu.is_parked());
            }
            let unbinding = rig.gpu.unbind(rig.vm, range(DATA, 1)).expect("exists");
            rig.model().injection().device_gone = true;
            rig.gpu.give_up();
            let (started, asked) = (rig.model().now_ns(), rig.gpu.statistics().tlb_invalidations);
            assert_eq!(rig.gpu.invalidate_tlbs(), Err(Error::Wedged), "{platform}");
            let unbinding = rig.gpu.release(unbinding).expect_err("nobody has confirmed it");
            // A poll makes the clock go on.
            assert_eq!(rig.model().now_ns(), started, "{platform}, parked: {parked}");
            assert_eq!(rig.gpu.statistics().tlb_invalidations, asked);
            assert_eq!(rig.gpu.release_given_up(unbinding).expect("nothing runs").pages(), 1);
            assert!(!rig.gpu.tick(), "there is nothing to wait for");
        }
    }
}

#[test]
fn a_tlb_invalidation_that_never_ends_keeps_the_pages_until_a_reset() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(context, GOOD, 1);
        assert_eq!(run(&mut rig, 1), [(1, Status::Done)]);
        let unbinding = rig.gpu.unbind(rig.vm, range(DATA, 1)).expect("exists");
        rig.model().injection().stuck_tlb_invalidation = true;
        let unbinding = rig.gpu.release(unbinding).expect_err("the engine may still reach it");
        rig.model().injection().stuck_tlb_invalidation = false;
        rig.gpu.reset().expect("the hardware answers");
        assert_eq!(rig.gpu.release(unbinding).expect("released").pages(), 1);
        check(&mut rig);
    }
}

#[test]
fn a_tlb_invalidation_that_is_not_confirmed_makes_the_clock_reset_the_gpu() {
    for platform in ["bdw", "skl", "icl", "tgl"] {
        let mut rig = rig(platform);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(context, GOOD, 1);
        assert_eq!(run(&mut rig, 1), [(1, Status::Done)]);
        let unbinding = rig.gpu.unbind(rig.vm, range(DATA, 1)).expect("exists");
        rig.model().injection().stuck_tlb_invalidation = true;
        let unbinding = rig.gpu.release(unbinding).expect_err("the engine may still reach it");
        rig.model().injection().stuck_tlb_invalidation = false;
        assert_eq!(rig.gpu.statistics().gpu_resets, 0);
        let _ = rig.gpu.tick();
        assert_eq!(rig.gpu.statistics().gpu_resets, 1, "{platform}");
        let released = rig.gpu.try_release(unbinding).expect("the reset ended with an invalidation");
        assert_eq!(released.pages(), 1);
        // Once is enough.
        let _ = rig.gpu.tick();
        assert_eq!(rig.gpu.statistics().gpu_resets, 1, "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_gpu_that_does_not_wake_for_a_tlb_invalidation_is_reset_once_it_does() {
    for platform in ["bdw", "skl", "glk", "icl", "tgl"] {
        let mut rig = rig(platform);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(context, GOOD, 1);
        assert_eq!(run(&mut rig, 1), [(1, Status::Done)]);
        rig.gpu.power_down();
        assert!(rig.gpu.is_parked());
        let unbinding = rig.gpu.unbind(rig.vm, range(DATA, 1)).expect("exists");
        rig.model().injection().forcewake = AckDelay::Never;
        let unbinding = rig.gpu.release(unbinding).expect_err("the engine may still reach it");
        rig.model().injection().forcewake = AckDelay::None;
        let _ = rig.gpu.tick();
        assert!(!rig.gpu.is_wedged(), "{platform}");
        assert_eq!(rig.gpu.statistics().gpu_resets, 1, "{platform}");
        let released = rig.gpu.try_release(unbinding).expect("the reset ended with an invalidation");
        assert_eq!(released.pages(), 1);
        let _ = rig.gpu.tick();
        assert_eq!(rig.gpu.statistics().gpu_resets, 1, "{platform}: once is enough");
        check(&mut rig);
    }
}

#[test]
fn a_gpu_that_acknowledges_a_wake_up_after_its_time_wakes_the_next_time() {
    for platform in ["bdw", "skl", "glk", "icl", "tgl"] {
        let mut rig = rig(platform);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(context, GOOD, 1);
        assert_eq!(run(&mut rig, 1), [(1, Status::Done)]);
        rig.gpu.power_down();
        let unbinding = rig.gpu.unbind(rig.vm, range(DATA, 1)).expect("exists");
        // The driver gives up after fewer reads than that.
        const LATE: u32 = 100_000;
        rig.model().injection().forcewake = AckDelay::Reads(LATE);
        let unbinding = rig.gpu.release(unbinding).expect_err("the engine may still reach it");
        // The acknowledgement of the GT domain, if it is still asked for, comes now.
        for _ in 0..=LATE {
            rig.model().read32(0x13_0044);
        }
        rig.model().injection().forcewake = AckDelay::None;
        assert_eq!(rig.gpu.release(unbinding).expect("it answers now").pages(), 1, "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_gpu_that_never_wakes_for_a_tlb_invalidation_is_wedged() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(context, GOOD, 1);
        assert_eq!(run(&mut rig, 1), [(1, Status::Done)]);
        rig.gpu.power_down();
        // Where nothing waits for the invalidation, nothing is to be done about it.
        rig.model().injection().forcewake = AckDelay::Never;
        assert_eq!(rig.gpu.invalidate_tlbs(), Err(Error::Timeout), "{platform}");
        let _ = rig.gpu.tick();
        assert!(!rig.gpu.is_wedged(), "{platform}");
        let unbinding = rig.gpu.unbind(rig.vm, range(DATA, 1)).expect("exists");
        assert!(rig.gpu.release(unbinding).is_err(), "{platform}");
        assert!(!rig.gpu.tick());
        assert!(rig.gpu.is_wedged(), "{platform}");
    }
}

#[test]
fn a_gpu_whose_tlb_invalidations_are_not_even_confirmed_after_a_reset_is_wedged() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let context = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(context, GOOD, 1);
        assert_eq!(run(&mut rig, 1), [(1, Status::Done)]);
        let unbinding = rig.gpu.unbind(rig.vm, range(DATA, 1)).expect("exists");
        rig.model().injection().stuck_tlb_invalidation = true;
        let unbinding = rig.gpu.release(unbinding).expect_err("the engine may still reach it");
        assert!(!rig.gpu.tick());
        assert!(rig.gpu.is_wedged(), "{platform}");
        assert!(rig.gpu.try_release(unbinding).is_err(), "{platform}: nobody has confirmed it");
        let refused = Submission { context, batch: va(GOOD), waits: &[], cookie: 2 };
        assert_eq!(rig.gpu.submit(refused), Err(Error::Wedged), "{platform}");
    }
}

#[test]
fn a_device_that_does_not_answer_at_start_is_reported() {
    let mut machine = Machine::new("tgl", Options::default());
    machine.model.injection().device_gone = true;
    let identity = intel_gpu::device::PciIdentity { vendor: 0x8086, device: 0x9a49, revision: 3, ggc: 0xc0 };
    let error = intel_gpu::Gpu::init(machine, identity, Config::default()).expect_err("nobody answers");
    assert!(matches!(error, InitError::DeviceGone { .. }), "{error}");
}

#[test]
fn an_engine_that_executes_nothing_is_reported_with_its_registers() {
    let mut machine = Machine::new("tgl", Options::default());
    machine.model.injection().stuck_engines = vec!["bcs0"];
    let error = start(machine, Config::default()).expect_err("silent");
    assert!(matches!(error, InitError::EngineSilent { engine: "bcs0", .. }), "{error}");
}

#[test]
fn a_gpu_that_takes_seconds_for_its_first_request_comes_up() {
    for platform in ["bdw", "tgl"] {
        let options = Options { timing: Timing::Deferred, ..Options::default() };
        let mut machine = Machine::new(platform, options);
        // Hardly anything is done while the driver waits.
        machine.pause = (100_000_000, 2);
        let gpu = start(machine, Config::default()).expect("it comes up");
        let took = gpu.hardware().model.now_ns();
        assert!(took > 1_000_000_000, "{platform}: {took} ns");
    }
}

#[test]
fn a_reset_that_never_ends_at_start_is_reported() {
    let mut machine = Machine::new("skl", Options::default());
    machine.model.injection().failing_resets = 1_000;
    let error = start(machine, Config::default()).expect_err("stuck");
    assert!(matches!(error, InitError::ResetTimeout { gdrst } if gdrst & 1 == 1), "{error}");
}

/// A batch that adds one to `DATA + 0x40` and ends when `DATA + 0x44` is 1; it can be preempted while it waits.
const COUNT: u64 = 0x60_0000;
/// A batch without end that can be preempted.
const POLITE: u64 = 0x70_0000;

/// [`rig`] with `COUNT` and `POLITE`; also the page of data.
fn rig_with_gate(platform: &str) -> (Rig, Object) {
    let options = Options { timing: Timing::Deferred, ..Options::default() };
    let config = Config { hang_ns: 50_000_000, preempt_timeout_ns: 20_000_000, ..Config::default() };
    let mut rig = Rig::with(platform, options, config);
    let data = rig.object_at(DATA, 1);
    let low = |address: u64| u32::try_from(address).expect("32 bits");
    // MI_ATOMIC (increment); MI_SEMAPHORE_WAIT in polling mode, gen12 with a dword more.
    let token = u32::from(matches!(platform, "tgl" | "adls"));
    let count = [
        [0x2f << 23 | 5 << 8 | 1, low(DATA + 0x40), 0, 0x1c << 23 | 1 << 15 | 4 << 12 | (2 + token)],
        [1, low(DATA + 0x44), 0, 0],
        [BATCH_END, 0, 0, 0],
    ];
    let batches = [
        (COUNT, count.concat()),
        (POLITE, vec![0x0280_0000, 0x1880_0101, low(POLITE), 0]),
        (GOOD, vec![0x1000_0002, low(DATA), 0, 0x600d, BATCH_END, 0]),
        (SPIN, vec![0x1880_0101, low(SPIN), 0]),
    ];
    for (at, dwords) in batches {
        let object = rig.object_at(at, 1);
        rig.write(&object, &dwords);
    }
    rig.settle();
    (rig, data)
}

/// Lets so many milliseconds pass, as [`run`] does; what finishes stays to be taken.
fn pass(rig: &mut Rig, milliseconds: u32) {
    for _ in 0..milliseconds * 10 {
        rig.model().step(200);
        rig.model().advance(100_000);
        while rig.model().take_msi().is_some() {
            rig.gpu.interrupt();
        }
        let _ = rig.gpu.tick();
    }
}

fn open_gate(rig: &mut Rig, data: &Object) {
    rig.gpu.object_write(data, 0x44, &1u32.to_le_bytes()).expect("inside");
}

#[test]
fn a_batch_that_was_preempted_half_way_goes_on_there_after_a_reset() {
    for platform in ["skl", "icl", "tgl"] {
        let (mut rig, data) = rig_with_gate(platform);
        let innocent = own_timeline(&mut rig, EngineClass::Copy, 0);
        let guilty = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(innocent, COUNT, 1);
        pass(&mut rig, 1);
        rig.submit(guilty, SPIN, 2);
        let done = run(&mut rig, 1);
        assert_eq!(done, [(2, Status::Hang)], "{platform}");
        assert_eq!(rig.gpu.statistics().engine_resets, 1, "{platform}");
        assert_eq!(rig.read(&data)[0x10], 1, "{platform}: it had begun");
        pass(&mut rig, 5);
        open_gate(&mut rig, &data);
        assert_eq!(run(&mut rig, 1), [(1, Status::Done)], "{platform}");
        rig.submit(innocent, GOOD, 3);
        assert_eq!(run(&mut rig, 1), [(3, Status::Done)], "{platform}");
        assert_eq!(rig.read(&data)[0x10], 1, "{platform}: it was not executed again");
        check(&mut rig);
    }
}

#[test]
fn a_preempted_batch_that_was_cancelled_ends_with_a_reset_for_anothers_sake() {
    for platform in ["skl", "icl", "tgl"] {
        let (mut rig, _data) = rig_with_gate(platform);
        let cancelled = own_timeline(&mut rig, EngineClass::Copy, 0);
        let guilty = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.submit(cancelled, POLITE, 1);
        rig.submit(cancelled, GOOD, 2);
        pass(&mut rig, 1);
        rig.submit(guilty, SPIN, 3);
        // Until the other one has the engine, and does not give it back.
        pass(&mut rig, 5);
        rig.gpu.context_ban(cancelled).expect("exists");
        let mut done = run(&mut rig, 3);
        done.sort_by_key(|done| done.0);
        let (cancelled, hang) = (Status::Cancelled, Status::Hang);
        assert_eq!(done, [(1, cancelled), (2, cancelled), (3, hang)], "{platform}");
        check(&mut rig);
    }
}

#[test]
fn requests_of_a_shared_timeline_end_in_its_order_when_the_gpu_is_given_up() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let contexts = [rig.context(EngineClass::Copy), rig.context(EngineClass::Render)];
        for (cookie, of) in (1..).zip([0, 1, 0, 0, 1, 0]) {
            rig.submit(contexts[of], SPIN, cookie);
        }
        // It is freed with its last request, which waited for the first context's.
        rig.gpu.context_destroy(contexts[1]).expect("exists");
        rig.gpu.give_up();
        let done = rig.completions();
        let points: Vec<u64> = done.iter().map(|done| done.fence.seqno).collect();
        assert_eq!(points, [1, 2, 3, 4, 5, 6], "{platform}");
        assert!(done.iter().all(|done| done.status == Status::Cancelled), "{platform}: {done:?}");
        // What was given up still answers, and can be taken down.
        rig.gpu.context_set_priority(contexts[0], 7).expect("exists");
        rig.gpu.context_destroy(contexts[0]).expect("exists");
        let unbinding = rig.gpu.vm_destroy(rig.vm).expect("no context uses it");
        let unbinding = rig.gpu.release(unbinding).expect_err("nobody confirms it any more");
        assert!(rig.gpu.release_given_up(unbinding).is_ok(), "{platform}");
    }
}

#[test]
fn a_ban_that_has_followed_from_a_hang_needs_no_second_reset() {
    for platform in ["skl", "tgl"] {
        let mut rig = rig(platform);
        let banned = own_timeline(&mut rig, EngineClass::Copy, 0);
        rig.gpu.context_ban_before(banned, u64::MAX).expect("exists");
        rig.submit(banned, SPIN, 1);
        for cookie in 2..=12 {
            rig.submit(banned, GOOD, cookie);
        }
        let mut done = Vec::new();
        for _ in 0..3_000 {
            // In small steps: the first one's end is to be seen while the others are on the engine.
            rig.model().step(8);
            rig.model().advance(100_000);
            let _ = rig.gpu.tick();
            done.extend(rig.completions().into_iter().map(|done| (done.cookie, done.status)));
            if !done.is_empty() {
                break;
            }
        }
        assert_eq!(done.first(), Some(&(1, Status::Hang)), "{platform}");
        assert_eq!(rig.gpu.context_is_busy(banned), Ok(true), "{platform}: {done:?}");
        rig.gpu.context_ban(banned).expect("exists");
        let left = 12 - done.len();
        done.extend(run(&mut rig, left));
        assert_eq!(done.len(), 12, "{platform}: {done:?}");
        assert!(done[1..].iter().all(|done| done.1 == Status::Cancelled), "{platform}: {done:?}");
        assert_eq!(rig.gpu.statistics().engine_resets, 1, "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_ban_does_not_disturb_what_another_context_executes() {
    for platform in ["skl", "icl", "tgl"] {
        let (mut rig, data) = rig_with_gate(platform);
        let other = own_timeline(&mut rig, EngineClass::Copy, 0);
        let banned = own_timeline(&mut rig, EngineClass::Copy, -1);
        rig.submit(other, COUNT, 1);
        rig.submit(banned, POLITE, 2);
        pass(&mut rig, 2);
        rig.gpu.context_ban(banned).expect("exists");
        pass(&mut rig, 5);
        open_gate(&mut rig, &data);
        pass(&mut rig, 5);
        let mut done = rig.completions();
        done.sort_by_key(|done| done.cookie);
        let ends: Vec<_> = done.iter().map(|done| (done.status, done.disturbed)).collect();
        assert_eq!(ends, [(Status::Done, false), (Status::Cancelled, false)], "{platform}");
        assert_eq!(rig.read(&data)[0x10], 1, "{platform}: executed once");
        assert_eq!(rig.gpu.statistics().engine_resets, 0, "{platform}");
        check(&mut rig);
    }
}

#[test]
fn a_reset_that_takes_a_context_off_lets_the_request_go_on_that_waits_for_that() {
    let mut waited = 0;
    // Wherever the reset comes; also between the first one's end and its context's leaving.
    for steps in 1..40 {
        let mut rig = rig("icl");
        let context = own_timeline(&mut rig, EngineClass::Render, 0);
        rig.submit(context, GOOD, 1);
        rig.gpu.context_set_sseu(context, Sseu { slices: 1, subslices: 1, min_eus: 8, max_eus: 8 }).unwrap();
        rig.submit(context, GOOD, 2);
        rig.model().step(steps);
        rig.gpu.reset().expect("the hardware answers");
        let done = rig.completions();
        waited += usize::from(done.len() == 1);
        let done = [done.into_iter().map(|done| (done.cookie, done.status)).collect(), run(&mut rig, 2)];
        assert_eq!(done.concat(), [(1, Status::Done), (2, Status::Done)], "after {steps} steps");
        check(&mut rig);
    }
    assert!(waited > 0, "the reset never came after the first one's end");
}

#[test]
fn two_contexts_on_one_engine_can_be_cancelled_at_once() {
    for platform in ["skl", "icl", "tgl"] {
        let (mut rig, _data) = rig_with_gate(platform);
        let running = own_timeline(&mut rig, EngineClass::Copy, 0);
        let second = own_timeline(&mut rig, EngineClass::Copy, -1);
        rig.submit(running, POLITE, 1);
        rig.submit(second, POLITE, 2);
        pass(&mut rig, 2);
        // Nothing that the first one causes is seen before the second one.
        rig.gpu.context_cancel(second).expect("exists");
        rig.gpu.context_cancel(running).expect("exists");
        // Less than a request may run unasked.
        pass(&mut rig, 5);
        let mut done: Vec<_> = rig.completions().iter().map(|done| (done.cookie, done.status)).collect();
        done.sort_by_key(|done| done.0);
        assert_eq!(done, [(1, Status::Cancelled), (2, Status::Cancelled)], "{platform}");
        assert_eq!(rig.gpu.statistics().engine_resets, 0, "{platform}");
        check(&mut rig);
    }
}
