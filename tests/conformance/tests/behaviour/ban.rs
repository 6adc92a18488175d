// SPDX-License-Identifier: BSD-2-Clause
//! What follows from hangs, and how contexts end while they run.

use conformance::wire::{Link, param};
use conformance::{Rig, batch};
use gpu_protocol::{CLONE_ALL, ContextCreate, ContextParam, EngineClassInstance, Errno, Operation};

use crate::hanging::{BLITTER, Bench, DATA, DEAF, GATED, RENDER, SECOND_NS, STORE, WATCHDOG_US};

#[test]
fn a_hang_is_told_as_guilt_and_the_context_goes_on() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let (context, other) = (bench.context(0, &[]), bench.context(0, &[]));
        bench.hang(0, context);
        assert_eq!(bench.rig.reset_stats(0, context), Ok([0, 1, 0]), "{platform}");
        assert_eq!(bench.rig.reset_stats(0, other), Ok([0, 0, 0]));
        assert_eq!(bench.rig.reset_stats(0, 0), Ok([0, 0, 0]));
        assert!(bench.works(0, context));
        bench.rig.check();
    }
}

#[test]
fn the_third_hang_within_two_minutes_bans_a_context() {
    let mut bench = Bench::new("tgl");
    let context = bench.context(0, &[]);
    for hangs in 1..=3 {
        assert!(bench.works(0, context));
        bench.hang(0, context);
        assert_eq!(bench.rig.reset_stats(0, context), Ok([0, hangs, 0]));
    }
    assert!(!bench.works(0, context));
    // On no engine.
    assert_eq!(bench.try_batch(0, context, RENDER, STORE), Err(Errno::Io));
    // Its parameters can still be read, and others go on.
    assert_eq!(bench.rig.get(0, context, ContextParam::RECOVERABLE), Ok(1));
    assert!(bench.works(0, 0) && bench.works(1, 0));
    bench.rig.check();
}

/// The driver's two halves see a hang one after the other; the time between is neither's business.
#[test]
fn a_hang_that_bans_a_context_bans_it_for_good_whenever_it_is_told_of() {
    let mut bench = Bench::new("tgl");
    let context = bench.context(0, &[]);
    bench.hang(0, context);
    bench.hang(0, context);
    let fence = bench.batch(0, context, BLITTER, GATED);
    bench.rig.settle();
    bench.rig.model().advance(WATCHDOG_US * 2000);
    // The hardware half sees the hang within the two minutes, the other half hears of it after them.
    bench.rig.driver.gpu().tick();
    assert!(!bench.rig.reached(0, fence));
    bench.later(130);
    bench.wait(0, fence);
    assert!(!bench.works(0, context));
    // Not even with fresh logical states.
    bench.rig.set_engines(0, context, &[EngineClassInstance::new(0, 0)]).unwrap();
    assert_eq!(bench.try_batch(0, context, 0, STORE), Err(Errno::Io));
}

#[test]
fn hangs_that_are_far_apart_do_not_ban_a_context() {
    let mut bench = Bench::new("tgl");
    let context = bench.context(0, &[]);
    for hangs in 1..=6 {
        bench.hang(0, context);
        assert_eq!(bench.rig.reset_stats(0, context), Ok([0, hangs, 0]));
        assert!(bench.works(0, context), "after {hangs}");
        bench.later(70);
    }
}

#[test]
fn the_first_hang_bans_a_context_that_is_not_recoverable_and_what_is_behind_it_is_cancelled() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let context = bench.context(0, &[(ContextParam::RECOVERABLE, 0)]);
        let (data, code, _) = bench.clients[0];
        bench.rig.poke(code.physical + u64::from(STORE), &batch::store(DATA, 77));
        bench.batch(0, context, BLITTER, GATED);
        bench.batch(0, context, BLITTER, STORE);
        let last = bench.batch(0, context, BLITTER, GATED);
        bench.wait(0, last);
        assert_eq!(bench.rig.peek(data.physical), 0, "{platform}: nothing behind the hang was executed");
        assert_eq!(bench.rig.reset_stats(0, context), Ok([0, 1, 0]), "one hang, not two");
        assert!(!bench.works(0, context));
        bench.rig.check();
    }
}

#[test]
fn what_a_context_runs_on_other_engines_is_cancelled_with_its_ban() {
    let mut bench = Bench::new("tgl");
    let context = bench.context(0, &[(ContextParam::RECOVERABLE, 0)]);
    let hung = bench.batch(0, context, BLITTER, GATED);
    // The other one has not run as long when the first one is found to hang.
    assert!(!bench.rig.wait(WATCHDOG_US * 500, |rig| rig.reached(0, hung)));
    let gated = bench.batch(0, context, RENDER, GATED);
    bench.wait(0, hung);
    assert!(bench.rig.wait(20_000_000, |rig| rig.reached(0, gated)));
    let (data, ..) = bench.clients[0];
    assert_eq!(bench.rig.peek(data.physical + 0x84), 0, "its gate never opened");
    assert_eq!(bench.rig.reset_stats(0, context), Ok([0, 1, 0]));
    bench.rig.check();
}

#[test]
fn a_context_that_is_not_bannable_hangs_as_often_as_it_likes() {
    let mut bench = Bench::with("tgl", true);
    let params = [(ContextParam::BANNABLE, 0), (ContextParam::RECOVERABLE, 0)];
    let context = bench.context(0, &params);
    for hangs in 1..=10 {
        bench.hang(0, context);
        assert_eq!(bench.rig.reset_stats(0, context).unwrap()[1], hangs);
    }
    assert!(bench.works(0, context));
    // Nor is it held against its client.
    bench.rig.context_create(0, 0, &[]).unwrap();
    // What it becomes counts from then on.
    bench.rig.set(0, context, ContextParam::BANNABLE, 1).unwrap();
    bench.hang(0, context);
    assert!(!bench.works(0, context));
}

#[test]
fn making_a_context_recoverable_or_not_counts_from_its_next_hang_on() {
    let mut bench = Bench::new("tgl");
    let context = bench.context(0, &[(ContextParam::RECOVERABLE, 0)]);
    assert!(bench.works(0, context), "its state on the engine exists");
    bench.rig.set(0, context, ContextParam::RECOVERABLE, 1).unwrap();
    bench.hang(0, context);
    assert!(bench.works(0, context));
    bench.rig.set(0, context, ContextParam::RECOVERABLE, 0).unwrap();
    bench.hang(0, context);
    assert!(!bench.works(0, context));
}

#[test]
fn a_banned_client_gets_no_more_contexts_and_the_other_client_does() {
    let mut bench = Bench::new("tgl");
    let survivor = bench.context(0, &[]);
    let mut bans = 0;
    // A ban counts three, a hang soon after the last one counts one; nine are too many.
    while let Ok(context) = bench.rig.context_create(0, 0, &[param(ContextParam::RECOVERABLE, 0)]) {
        let vm = bench.rig.get(0, survivor, ContextParam::VM).unwrap();
        bench.rig.set(0, context, ContextParam::VM, vm).unwrap();
        bench.rig.vm_destroy(0, u32::try_from(vm).unwrap()).unwrap();
        bench.rig.set(0, context, ContextParam::WATCHDOG, WATCHDOG_US).unwrap();
        bench.hang(0, context);
        bans += 1;
        assert!(bans < 10);
    }
    assert_eq!(bans, 3, "3 + 1, three times");
    let create = bench.rig.write_chain(0, 0, &[]);
    bench.rig.refused(0, Operation::ContextCreate, &create, Errno::Io);
    let create =
        bench.rig.write_chain(0, ContextCreate::SINGLE_TIMELINE, &[Link::Clone(survivor, CLONE_ALL)]);
    bench.rig.refused(0, Operation::ContextCreate, &create, Errno::Io);
    // Unknown flags are told first, as a mistake.
    let wrong = ContextCreate { ctx_id: 0, flags: 4, extensions: 0 };
    bench.rig.refused(0, Operation::ContextCreate, &wrong, Errno::Inval);
    // What it has goes on.
    assert!(bench.works(0, survivor));
    bench.rig.context_create(1, 0, &[]).unwrap();
    assert!(bench.works(1, 0));
}

#[test]
fn hangs_of_many_contexts_ban_a_client_only_if_they_are_close_together() {
    for (seconds, expected) in [(61, 12), (1, 9)] {
        let mut bench = Bench::new("tgl");
        let vm = bench.rig.get(0, 0, ContextParam::VM).unwrap();
        let params = [param(ContextParam::VM, vm), param(ContextParam::WATCHDOG, WATCHDOG_US)];
        let mut hangs = 0;
        while hangs < 12
            && let Ok(context) = bench.rig.context_create(0, 0, &params)
        {
            bench.later(seconds);
            bench.hang(0, context);
            bench.rig.context_destroy(0, context).unwrap();
            hangs += 1;
        }
        assert_eq!(hangs, expected, "{seconds} s");
    }
}

#[test]
fn creation_on_a_wedged_device_is_eio() {
    let mut bench = Bench::new("tgl");
    let context = bench.context(0, &[]);
    bench.rig.model().injection().device_gone = true;
    let fence = bench.batch(0, context, BLITTER, GATED);
    bench.wait(0, fence);
    let create = bench.rig.write_chain(0, 0, &[Link::Clone(context, CLONE_ALL)]);
    bench.rig.refused(0, Operation::ContextCreate, &create, Errno::Io);
    // What needs no hardware is still answered.
    assert_eq!(bench.rig.get(0, context, ContextParam::WATCHDOG), Ok(WATCHDOG_US));
    bench.rig.context_destroy(0, context).unwrap();
}

#[test]
fn a_batch_that_waits_behind_a_hang_is_executed_and_was_not_disturbed() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let (guilty, behind) = (bench.context(0, &[]), bench.context(1, &[]));
        let hung = bench.batch(0, guilty, BLITTER, DEAF);
        let (data, code, _) = bench.clients[1];
        bench.rig.poke(code.physical + u64::from(STORE), &batch::store(DATA, 55));
        let fence = bench.batch(1, behind, BLITTER, STORE);
        bench.wait(0, hung);
        bench.wait(1, fence);
        assert_eq!(bench.rig.peek(data.physical), 55);
        assert_eq!(bench.rig.reset_stats(0, guilty), Ok([0, 1, 0]), "{platform}");
        // i915 marks what an engine executes when it is reset, and not what waits in its second port.
        assert_eq!(bench.rig.reset_stats(1, behind), Ok([0, 0, 0]), "{platform}");
        bench.rig.check();
    }
}

#[test]
fn a_batch_that_was_executed_when_the_gpu_was_reset_is_executed_again_and_told_as_innocent() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let params = [(ContextParam::WATCHDOG, 0)];
        let (running, behind) = (bench.context(0, &params), bench.context(1, &params));
        let fences = [bench.batch(0, running, RENDER, GATED), bench.batch(1, behind, RENDER, GATED)];
        bench.rig.settle();
        bench.rig.driver.gpu().reset().unwrap();
        for (client, fence) in fences.into_iter().enumerate() {
            let (data, ..) = bench.clients[client];
            bench.rig.poke(data.physical + 0x80, &[1]);
            bench.wait(client, fence);
            assert_eq!(bench.rig.peek(data.physical + 0x84), 1);
        }
        assert_eq!(bench.rig.reset_stats(0, running), Ok([0, 0, 1]), "{platform}");
        assert_eq!(bench.rig.reset_stats(1, behind), Ok([0, 0, 0]), "{platform}");
        bench.rig.check();
    }
}

#[test]
fn resets_of_the_whole_gpu_are_counted_for_privileged_clients_only() {
    for privileged in [false, true] {
        let mut bench = Bench::with("tgl", privileged);
        bench.rig.driver.gpu().reset().unwrap();
        bench.rig.driver.gpu().reset().unwrap();
        assert_eq!(bench.rig.reset_stats(0, 0), Ok([if privileged { 2 } else { 0 }, 0, 0]));
    }
}

#[test]
fn a_watchdog_ends_what_runs_too_long_though_it_lets_others_run() {
    let mut bench = Bench::new("tgl");
    let (watched, free) = (bench.context(0, &[]), bench.context(0, &[(ContextParam::WATCHDOG, 0)]));
    let start = bench.rig.model().now_ns();
    bench.hang(0, watched);
    let taken = bench.rig.model().now_ns() - start;
    assert!((WATCHDOG_US * 1000..SECOND_NS).contains(&taken), "{taken} ns");
    // Without one, what can be preempted may run for ever.
    let fence = bench.batch(0, free, BLITTER, GATED);
    assert!(!bench.rig.wait(30 * SECOND_NS, |rig| rig.reached(0, fence)));
    // And it can be set while the batch runs.
    bench.rig.set(0, free, ContextParam::WATCHDOG, WATCHDOG_US).unwrap();
    assert!(bench.rig.wait(SECOND_NS, |rig| rig.reached(0, fence)));
    assert_eq!(bench.rig.reset_stats(0, free), Ok([0, 1, 0]));
}

#[test]
fn a_watchdog_counts_the_time_that_a_batch_is_executed_however_often_others_take_turns_with_it() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let (watched, free) = (bench.context(0, &[]), bench.context(1, &[(ContextParam::WATCHDOG, 0)]));
        let endless = bench.batch(0, watched, BLITTER, GATED);
        let other = bench.batch(1, free, BLITTER, GATED);
        let start = bench.rig.model().now_ns();
        assert!(bench.rig.wait(10 * SECOND_NS, |rig| rig.reached(0, endless)), "{platform}");
        // It had the engine half of the time.
        let taken = bench.rig.model().now_ns() - start;
        assert!((WATCHDOG_US * 1500..10 * WATCHDOG_US * 1000).contains(&taken), "{platform}: {taken} ns");
        assert_eq!(bench.rig.reset_stats(0, watched), Ok([0, 1, 0]));
        assert_eq!(bench.rig.reset_stats(1, free), Ok([0, 0, 0]));
        let (data, ..) = bench.clients[1];
        bench.rig.poke(data.physical + 0x80, &[1]);
        bench.wait(1, other);
        bench.rig.check();
    }
}

#[test]
fn a_watchdog_may_be_longer_than_the_time_after_which_the_driver_knocks() {
    let mut bench = Bench::new("tgl");
    let context = bench.context(0, &[(ContextParam::WATCHDOG, 15_000_000)]);
    let start = bench.rig.model().now_ns();
    bench.hang(0, context);
    let taken = bench.rig.model().now_ns() - start;
    assert!((15 * SECOND_NS..16 * SECOND_NS).contains(&taken), "{taken} ns");
    assert!(bench.rig.driver.gpu().statistics().pulses > 0);
    assert_eq!(bench.rig.reset_stats(0, context), Ok([0, 1, 0]));
}

#[test]
fn a_persistent_contexts_batch_finishes_after_its_destruction() {
    for platform in ["bdw", "skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let before = bench.rig.driver.census();
        let context = bench.context(0, &[(ContextParam::WATCHDOG, 0)]);
        let gated = bench.batch(0, context, BLITTER, GATED);
        bench.rig.context_destroy(0, context).unwrap();
        assert_eq!(bench.try_batch(0, context, BLITTER, GATED), Err(Errno::NoEnt));
        bench.rig.settle();
        assert!(!bench.rig.reached(0, gated));
        let (data, ..) = bench.clients[0];
        bench.rig.poke(data.physical + 0x80, &[1]);
        bench.wait(0, gated);
        assert_eq!(bench.rig.peek(data.physical + 0x84), 1, "{platform}");
        assert_eq!(bench.rig.driver.gpu().statistics().engine_resets, 0);
        bench.rig.driver.tick(&mut bench.rig.domain);
        assert_eq!(bench.rig.driver.census(), before);
        bench.rig.check();
    }
}

#[test]
fn a_batch_of_a_context_that_is_not_persistent_is_cancelled_without_harm_to_others() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let before = bench.rig.driver.census();
        let context = bench.context(0, &[(ContextParam::PERSISTENCE, 0), (ContextParam::WATCHDOG, 0)]);
        let other = bench.context(1, &[]);
        let gated = bench.batch(0, context, BLITTER, GATED);
        let second = bench.batch(0, context, BLITTER, GATED);
        let (data, code, _) = bench.clients[1];
        bench.rig.poke(code.physical + u64::from(STORE), &batch::store(DATA, 66));
        let behind = bench.batch(1, other, BLITTER, STORE);
        bench.rig.context_destroy(0, context).unwrap();
        let reached = |rig: &Rig| rig.reached(0, gated) && rig.reached(0, second) && rig.reached(1, behind);
        assert!(bench.rig.wait(SECOND_NS, reached), "{platform}");
        bench.rig.settle();
        let theirs = bench.clients[0].0;
        assert_eq!(bench.rig.peek(theirs.physical + 0x84), 0, "it never passed its gate");
        assert_eq!(bench.rig.peek(data.physical), 66);
        assert_eq!(bench.rig.driver.gpu().statistics().engine_resets, 0, "{platform}: it was preempted");
        assert_eq!(bench.rig.reset_stats(1, other), Ok([0, 0, 0]), "nobody was disturbed");
        bench.rig.context_destroy(1, other).unwrap();
        bench.rig.driver.tick(&mut bench.rig.domain);
        assert_eq!(bench.rig.driver.census(), before, "{platform}");
        bench.rig.check();
    }
}

#[test]
fn what_cannot_be_preempted_is_cancelled_by_a_reset_in_time() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let context = bench.context(0, &[(ContextParam::PERSISTENCE, 0), (ContextParam::WATCHDOG, 0)]);
        let deaf = bench.batch(0, context, BLITTER, DEAF);
        bench.rig.context_destroy(0, context).unwrap();
        assert!(bench.rig.wait(2 * SECOND_NS, |rig| rig.reached(0, deaf)), "{platform}");
        assert!(bench.rig.driver.gpu().statistics().engine_resets > 0);
        assert!(bench.works(0, 0));
        bench.rig.check();
    }
}

#[test]
fn a_hang_of_a_destroyed_context_cancels_what_is_behind_it() {
    let mut bench = Bench::new("tgl");
    let context = bench.context(0, &[]);
    let (data, code, _) = bench.clients[0];
    bench.rig.poke(code.physical + u64::from(STORE), &batch::store(DATA, 77));
    bench.batch(0, context, BLITTER, GATED);
    let last = bench.batch(0, context, BLITTER, STORE);
    bench.rig.context_destroy(0, context).unwrap();
    bench.wait(0, last);
    assert_eq!(bench.rig.peek(data.physical), 0);
    bench.rig.check();
}

#[test]
fn a_clone_of_a_banned_context_carries_on() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let banned = bench.context(0, &[(ContextParam::RECOVERABLE, 0)]);
        bench.hang(0, banned);
        assert!(!bench.works(0, banned));
        let clone = bench.rig.context_with(0, 0, &[Link::Clone(banned, CLONE_ALL)]).unwrap();
        assert_eq!(bench.rig.reset_stats(0, clone), Ok([0, 0, 0]), "what happened is no part of the value");
        assert_eq!(bench.rig.get(0, clone, ContextParam::RECOVERABLE), Ok(0));
        bench.rig.context_destroy(0, banned).unwrap();
        assert!(bench.works(0, clone), "{platform}");
        bench.rig.check();
    }
}

#[test]
fn a_clone_of_a_context_banned_with_batches_in_flight_follows_them_on_their_timeline() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let vm = bench.rig.get(0, 0, ContextParam::VM).unwrap();
        let params =
            [(ContextParam::VM, vm), (ContextParam::RECOVERABLE, 0), (ContextParam::WATCHDOG, WATCHDOG_US)];
        let chain = params.map(|(name, value)| param(name, value));
        let banned = bench.rig.context_create(0, ContextCreate::SINGLE_TIMELINE, &chain).unwrap();
        let hung = bench.batch(0, banned, BLITTER, GATED);
        let skipped = bench.batch(0, banned, RENDER, GATED);
        let clone = bench.rig.context_with(0, 0, &[Link::Clone(banned, CLONE_ALL)]).unwrap();
        let (data, code, _) = bench.clients[0];
        bench.rig.poke(code.physical + u64::from(STORE), &batch::store(DATA, 31));
        // The order on the timeline outlives what becomes of the requests before it.
        let behind = bench.batch(0, clone, BLITTER, STORE);
        assert_eq!((skipped.timeline, behind.timeline), (hung.timeline, hung.timeline));
        bench.wait(0, hung);
        bench.wait(0, behind);
        assert!(bench.rig.reached(0, skipped));
        assert_eq!(bench.rig.peek(data.physical), 31, "{platform}");
        assert_eq!(bench.rig.peek(data.physical + 0x84), 0, "no gate was passed");
        assert_eq!(bench.rig.reset_stats(0, clone), Ok([0, 0, 0]));
        assert!(!bench.works(0, banned) && bench.works(0, clone));
        bench.rig.check();
    }
}

#[test]
fn what_waits_on_the_timeline_of_a_cancelled_context_goes_on() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let vm = bench.rig.get(0, 0, ContextParam::VM).unwrap();
        let chain = [param(ContextParam::VM, vm), param(ContextParam::PERSISTENCE, 0)];
        let source = bench.rig.context_create(0, ContextCreate::SINGLE_TIMELINE, &chain).unwrap();
        let clone = bench.rig.context_with(0, 0, &[Link::Clone(source, CLONE_ALL)]).unwrap();
        let (data, code, _) = bench.clients[0];
        bench.rig.poke(code.physical + u64::from(STORE), &batch::store(DATA, 32));
        let cancelled = bench.batch(0, source, BLITTER, GATED);
        let behind = bench.batch(0, clone, RENDER, STORE);
        bench.rig.settle();
        assert_eq!(bench.rig.peek(data.physical), 0, "it waits");
        bench.rig.context_destroy(0, source).unwrap();
        let reached = |rig: &Rig| rig.reached(0, cancelled) && rig.reached(0, behind);
        assert!(bench.rig.wait(SECOND_NS, reached), "{platform}");
        assert_eq!((bench.rig.peek(data.physical), bench.rig.peek(data.physical + 0x84)), (32, 0));
        assert_eq!(bench.rig.driver.gpu().statistics().engine_resets, 0);
        assert!(bench.works(0, clone));
        bench.rig.check();
    }
}

#[test]
fn a_hang_on_a_shared_timeline_is_its_contexts_own_and_the_others_go_on_in_order() {
    for platform in ["skl", "tgl"] {
        for engine in [BLITTER, RENDER] {
            let mut bench = Bench::new(platform);
            let vm = bench.rig.get(0, 0, ContextParam::VM).unwrap();
            let chain = [param(ContextParam::VM, vm), param(ContextParam::WATCHDOG, WATCHDOG_US)];
            let guilty = bench.rig.context_create(0, ContextCreate::SINGLE_TIMELINE, &chain).unwrap();
            let clone = bench.rig.context_with(0, 0, &[Link::Clone(guilty, CLONE_ALL)]).unwrap();
            let (data, code, _) = bench.clients[0];
            bench.rig.poke(code.physical + u64::from(STORE), &batch::store(DATA, 33));
            let hung = bench.batch(0, guilty, BLITTER, DEAF);
            let behind = bench.batch(0, clone, engine, STORE);
            let last = bench.batch(0, guilty, RENDER, STORE);
            bench.wait(0, last);
            assert!(bench.rig.reached(0, hung) && bench.rig.reached(0, behind));
            assert_eq!((behind.point, last.point), (hung.point + 1, hung.point + 2));
            assert_eq!(bench.rig.peek(data.physical), 33, "{platform}");
            assert_eq!(bench.rig.reset_stats(0, guilty), Ok([0, 1, 0]), "{platform}");
            assert_eq!(bench.rig.reset_stats(0, clone), Ok([0, 0, 0]), "{platform}");
            bench.rig.check();
        }
    }
}
