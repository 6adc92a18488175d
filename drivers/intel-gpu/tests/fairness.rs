// SPDX-License-Identifier: BSD-2-Clause
//! Nobody waits for ever: turns among equals, what waits for something makes it urgent, and what is passed over gets its
//! turn all the same.

mod machine;

use gpu_model::{Options, Timing};
use intel_gpu::device::EngineClass;
use intel_gpu::{Config, ContextId, Fence, Status, Submission};
use machine::{BATCH_END, Rig, store, va};

const DATA: u64 = 0x10_0000;
/// A batch that ends.
const GOOD: u64 = 0x20_0000;
/// A batch without end that can be preempted.
const POLITE: u64 = 0x30_0000;

/// Parts that preempt within a batch.
const PLATFORMS: [&str; 4] = ["skl", "glk", "icl", "tgl"];
/// Between two looks of the clock.
const TICK_NS: u64 = 100_000;
const TIMESLICE_NS: u64 = 10 * TICK_NS;
const PASSED_OVER_NS: u64 = 20_000_000;

fn rig(platform: &str) -> Rig {
    let options = Options { timing: Timing::Deferred, ..Options::default() };
    let config = Config {
        timeslice_ns: TIMESLICE_NS,
        passed_over_ns: PASSED_OVER_NS,
        hang_ns: 10_000_000_000,
        ..Config::default()
    };
    let mut rig = Rig::with(platform, options, config);
    let _data = rig.object_at(DATA, 1);
    let good = rig.object_at(GOOD, 1);
    let mut dwords = store(DATA, 0x600d).to_vec();
    dwords.extend([BATCH_END, 0]);
    rig.write(&good, &dwords);
    let polite = rig.object_at(POLITE, 1);
    rig.write(&polite, &[0x0280_0000, 0x1880_0101, 0x30_0000, 0]);
    rig.settle();
    rig
}

fn context(rig: &mut Rig, class: EngineClass, priority: i16) -> ContextId {
    let timeline = rig.gpu.timeline_create().expect("memory");
    let engine = rig.engine(class);
    rig.gpu.context_create(rig.account, engine, rig.vm, timeline, priority).expect("memory")
}

/// Submits and returns the point.
fn submit(rig: &mut Rig, context: ContextId, batch: u64, waits: &[Fence], cookie: u64) -> Fence {
    let submission = Submission { context, batch: va(batch), waits, cookie };
    rig.gpu.submit(submission).expect("accepted").fence
}

/// Lets [`TICK_NS`] pass, and `units` of work be done.
fn tick(rig: &mut Rig, units: u64) {
    rig.model().step(units);
    rig.model().advance(TICK_NS);
    while rig.model().take_msi().is_some() {
        rig.gpu.interrupt();
    }
    let _ = rig.gpu.tick();
}

fn running(rig: &Rig, class: EngineClass) -> Option<ContextId> {
    rig.gpu.activity(rig.engine(class)).expect("exists").running
}

/// How long each of `contexts` has been without the engine at most, in ticks, over `ticks`; `each` is done before every
/// one of them.
fn longest_waits(
    rig: &mut Rig,
    contexts: &[ContextId],
    ticks: u32,
    mut each: impl FnMut(&mut Rig, u32),
) -> Vec<u32> {
    let (mut waits, mut longest) = (vec![0; contexts.len()], vec![0; contexts.len()]);
    for now in 0..ticks {
        each(rig, now);
        tick(rig, 30);
        let on = running(rig, EngineClass::Copy);
        for (index, context) in contexts.iter().enumerate() {
            waits[index] = if on == Some(*context) { 0 } else { waits[index] + 1 };
            longest[index] = longest[index].max(waits[index]);
        }
    }
    longest
}

/// A timeslice, the tick at which its end is noticed, and one in which the engine changes over.
const SLICE_TICKS: u32 = 10 + 2;

#[test]
fn equals_without_end_take_turns_and_each_waits_for_one_timeslice_of_each_other() {
    for platform in PLATFORMS {
        let mut rig = rig(platform);
        let contexts: Vec<_> = (0..5).map(|_| context(&mut rig, EngineClass::Copy, 7)).collect();
        for context in &contexts {
            submit(&mut rig, *context, POLITE, &[], 0);
        }
        let longest = longest_waits(&mut rig, &contexts, 1_000, |_, _| {});
        let bound = 4 * SLICE_TICKS;
        assert!(longest.iter().all(|wait| *wait <= bound), "{platform}: {longest:?}, at most {bound}");
    }
}

#[test]
fn interruptions_by_a_more_urgent_context_do_not_renew_a_timeslice() {
    for platform in PLATFORMS {
        let mut rig = rig(platform);
        let equals: Vec<_> = (0..2).map(|_| context(&mut rig, EngineClass::Copy, 0)).collect();
        let urgent = context(&mut rig, EngineClass::Copy, 1);
        for context in &equals {
            submit(&mut rig, *context, POLITE, &[], 0);
        }
        // Twice in a timeslice, of which it takes a part each time.
        let longest = longest_waits(&mut rig, &equals, 1_000, |rig, now| {
            if now % 5 == 0 {
                submit(rig, urgent, GOOD, &[], 0);
            }
            rig.completions();
        });
        let bound = 3 * SLICE_TICKS;
        assert!(longest.iter().all(|wait| *wait <= bound), "{platform}: {longest:?}, at most {bound}");
    }
}

#[test]
fn new_requests_of_the_running_context_do_not_renew_its_timeslice() {
    for platform in PLATFORMS {
        let mut rig = rig(platform);
        let equals: Vec<_> = (0..3).map(|_| context(&mut rig, EngineClass::Copy, 0)).collect();
        for context in &equals {
            submit(&mut rig, *context, POLITE, &[], 0);
        }
        let busy = equals[0];
        let longest = longest_waits(&mut rig, &equals, 600, |rig, now| {
            if now % 20 == 0 {
                let _ = rig.gpu.submit(Submission { context: busy, batch: va(GOOD), waits: &[], cookie: 0 });
            }
        });
        let bound = 2 * SLICE_TICKS;
        assert!(longest.iter().all(|wait| *wait <= bound), "{platform}: {longest:?}, at most {bound}");
    }
}

/// A timeslice is only cut short by more urgent work: whoever was interrupted goes on before its equals.
#[test]
fn an_interrupted_context_goes_on_with_its_timeslice_before_its_equals() {
    for platform in PLATFORMS {
        let mut rig = rig(platform);
        let equals: Vec<_> = (0..3).map(|_| context(&mut rig, EngineClass::Copy, 0)).collect();
        let urgent = context(&mut rig, EngineClass::Copy, 1);
        for context in &equals {
            submit(&mut rig, *context, POLITE, &[], 0);
        }
        tick(&mut rig, 30);
        let first = running(&rig, EngineClass::Copy);
        assert_eq!(first, Some(equals[0]), "{platform}");
        submit(&mut rig, urgent, GOOD, &[], 1);
        for _ in 0..3 {
            tick(&mut rig, 30);
        }
        assert_eq!(rig.completions().len(), 1, "{platform}");
        assert_eq!(running(&rig, EngineClass::Copy), first, "{platform}");
    }
}

/// More urgent work without end, and `waiting` contexts below it, of which each has one request.
fn passed_over(platform: &str, waiting: &[i16]) {
    let mut rig = rig(platform);
    let endless: Vec<_> = (0..2).map(|_| context(&mut rig, EngineClass::Copy, 1023)).collect();
    for context in &endless {
        submit(&mut rig, *context, POLITE, &[], u64::MAX);
    }
    let began = rig.model().now_ns();
    for (cookie, priority) in (0..).zip(waiting) {
        let context = context(&mut rig, EngineClass::Copy, *priority);
        submit(&mut rig, context, GOOD, &[], cookie);
    }
    // Two periods for each, in the second of which it may have to let the other urgent one go first.
    let bound = (2 * PASSED_OVER_NS + 4 * TIMESLICE_NS) * waiting.len() as u64;
    let mut done = Vec::new();
    while done.len() < waiting.len() {
        tick(&mut rig, 30);
        let waited = rig.model().now_ns() - began;
        assert!(waited <= bound, "{platform}: {done:?} of {waiting:?} after {waited} ns, {bound} allowed");
        done.extend(rig.completions().into_iter().map(|done| done.cookie));
    }
    assert_eq!(rig.gpu.statistics().relieved, waiting.len() as u64, "{platform}: one timeslice for each");
    // And no more than that: the urgent ones have the engine back.
    for _ in 0..SLICE_TICKS {
        tick(&mut rig, 30);
    }
    let on = running(&rig, EngineClass::Copy);
    assert!(on.is_some_and(|on| endless.contains(&on)), "{platform}");
}

#[test]
fn what_is_passed_over_for_work_without_end_gets_a_timeslice_within_a_bound() {
    for platform in PLATFORMS {
        passed_over(platform, &[-1023]);
        passed_over(platform, &[-1023, 0, 0, 0, 1022, -5, -5, 511]);
    }
}

/// Also where a batch cannot be preempted, between two of them.
#[test]
fn what_is_passed_over_for_a_stream_of_short_requests_gets_its_turn_within_a_bound_on_every_part() {
    const QUEUED: usize = 8;
    const LAST: u64 = 9;
    for platform in ["bdw", "skl", "kbl", "glk", "icl", "tgl", "rkl", "adls"] {
        let mut rig = rig(platform);
        let urgent: Vec<_> = (0..2).map(|_| context(&mut rig, EngineClass::Copy, 1023)).collect();
        let low = context(&mut rig, EngineClass::Copy, -1023);
        let (mut queued, mut streamed) = ([0; 2], 0);
        let began = rig.model().now_ns();
        let mut submitted = false;
        'wait: loop {
            for (context, queued) in urgent.iter().zip(&mut queued) {
                while *queued < QUEUED {
                    submit(&mut rig, *context, GOOD, &[], u64::from(*context == urgent[1]));
                    *queued += 1;
                }
            }
            if !std::mem::replace(&mut submitted, true) {
                submit(&mut rig, low, GOOD, &[], LAST);
            }
            tick(&mut rig, 20);
            for done in rig.completions() {
                if done.cookie == LAST {
                    break 'wait;
                }
                queued[usize::try_from(done.cookie).expect("small")] -= 1;
                streamed += 1;
            }
            let waited = rig.model().now_ns() - began;
            let bound = 2 * PASSED_OVER_NS + 4 * TIMESLICE_NS;
            assert!(waited <= bound, "{platform}: {waited} ns, {bound} allowed");
        }
        assert!(streamed > 50, "{platform}: there was a stream of {streamed}");
        assert_eq!(rig.gpu.statistics().relieved, 1, "{platform}");
    }
}

#[test]
fn a_relieved_context_without_end_gives_the_engine_back_after_its_timeslice() {
    for platform in PLATFORMS {
        let mut rig = rig(platform);
        let urgent = context(&mut rig, EngineClass::Copy, 5);
        let low = context(&mut rig, EngineClass::Copy, -5);
        submit(&mut rig, urgent, POLITE, &[], 0);
        submit(&mut rig, low, POLITE, &[], 0);
        let mut ticks = [0u32; 2];
        let ticks_in_all = 4_000;
        for _ in 0..ticks_in_all {
            tick(&mut rig, 30);
            let on = running(&rig, EngineClass::Copy);
            ticks[0] += u32::from(on == Some(urgent));
            ticks[1] += u32::from(on == Some(low));
        }
        let relieved = u32::try_from(rig.gpu.statistics().relieved).expect("few");
        assert!(relieved >= 8, "{platform}: every 40 ms of 400, {relieved}");
        assert!((relieved..=relieved * SLICE_TICKS).contains(&ticks[1]), "{platform}: {ticks:?}");
        assert!(ticks[0] > ticks_in_all * 3 / 4, "{platform}: {ticks:?}");
    }
}

#[test]
fn who_waits_for_a_request_makes_it_urgent_until_it_is_complete_and_no_longer() {
    for platform in PLATFORMS {
        let mut rig = rig(platform);
        let low = context(&mut rig, EngineClass::Copy, -1023);
        let middle = context(&mut rig, EngineClass::Copy, 0);
        let high = context(&mut rig, EngineClass::Render, 1023);
        let wanted = submit(&mut rig, low, GOOD, &[], 1);
        submit(&mut rig, high, GOOD, &[wanted], 2);
        // It has more to do all the time.
        submit(&mut rig, low, POLITE, &[], 3);
        submit(&mut rig, middle, GOOD, &[], 4);
        let mut done = Vec::new();
        for _ in 0..20 {
            tick(&mut rig, 200);
            done.extend(rig.completions().into_iter().map(|done| (done.cookie, done.status)));
        }
        done.sort_by_key(|done| done.0);
        let expected = [(1, Status::Done), (2, Status::Done), (4, Status::Done)];
        assert_eq!(done, expected, "{platform}: the low one is low again");
        assert_eq!(rig.gpu.statistics().relieved, 0, "{platform}");
    }
}

#[test]
fn urgency_is_passed_on_to_what_is_waited_for_in_turn() {
    for platform in PLATFORMS {
        let mut rig = rig(platform);
        // What spins is on the engine that the model serves last.
        let low = context(&mut rig, EngineClass::Video, -10);
        let between = context(&mut rig, EngineClass::Copy, -10);
        let high = context(&mut rig, EngineClass::Render, 10);
        // Two are in its way: `low` is not even next on the engine.
        for _ in 0..2 {
            let endless = context(&mut rig, EngineClass::Video, 0);
            submit(&mut rig, endless, POLITE, &[], 0);
        }
        let first = submit(&mut rig, low, GOOD, &[], 1);
        let second = submit(&mut rig, between, GOOD, &[first], 2);
        for _ in 0..20 {
            tick(&mut rig, 30);
        }
        assert_eq!(rig.completions(), [], "{platform}: nobody urgent waits");
        submit(&mut rig, high, GOOD, &[second], 3);
        let mut done = Vec::new();
        for _ in 0..20 {
            tick(&mut rig, 200);
            done.extend(rig.completions().into_iter().map(|done| done.cookie));
        }
        assert_eq!(done, [1, 2, 3], "{platform}");
    }
}

#[test]
fn a_waiter_that_becomes_urgent_makes_what_it_waits_for_urgent() {
    for platform in PLATFORMS {
        let mut rig = rig(platform);
        let low = context(&mut rig, EngineClass::Copy, -10);
        let waiter = context(&mut rig, EngineClass::Render, -10);
        for _ in 0..2 {
            let endless = context(&mut rig, EngineClass::Copy, 0);
            submit(&mut rig, endless, POLITE, &[], 0);
        }
        let first = submit(&mut rig, low, GOOD, &[], 1);
        submit(&mut rig, waiter, GOOD, &[first], 2);
        for _ in 0..20 {
            tick(&mut rig, 30);
        }
        assert_eq!(rig.completions(), [], "{platform}");
        rig.gpu.context_set_priority(waiter, 10).expect("exists");
        let mut done = Vec::new();
        for _ in 0..20 {
            tick(&mut rig, 200);
            done.extend(rig.completions().into_iter().map(|done| done.cookie));
        }
        assert_eq!(done, [1, 2], "{platform}");
    }
}

#[test]
fn on_a_shared_timeline_the_context_of_the_point_is_made_urgent_and_not_the_last_one() {
    for platform in PLATFORMS {
        let mut rig = rig(platform);
        let timeline = rig.timeline;
        let engine = rig.engine(EngineClass::Copy);
        let [first, second] = [(); 2]
            .map(|()| rig.gpu.context_create(rig.account, engine, rig.vm, timeline, -10).expect("memory"));
        for _ in 0..2 {
            let endless = context(&mut rig, EngineClass::Copy, 0);
            submit(&mut rig, endless, POLITE, &[], 0);
        }
        let point = submit(&mut rig, first, GOOD, &[], 1);
        submit(&mut rig, second, GOOD, &[], 2);
        let high = context(&mut rig, EngineClass::Render, 10);
        submit(&mut rig, high, GOOD, &[point], 3);
        let mut done = Vec::new();
        for _ in 0..20 {
            tick(&mut rig, 200);
            done.extend(rig.completions().into_iter().map(|done| done.cookie));
        }
        assert_eq!(done, [1, 3], "{platform}: the second one is as it was");
    }
}

#[test]
fn a_cancelled_context_that_polls_for_anothers_endless_request_ends_at_once() {
    for platform in PLATFORMS {
        // Wherever it is when it is cancelled: polling, about to leave, or off the engine.
        for ticks in 0..12 {
            let mut rig = rig(platform);
            let foreign = context(&mut rig, EngineClass::Video, 0);
            let fence = submit(&mut rig, foreign, POLITE, &[], 0);
            tick(&mut rig, 30);
            let polls = context(&mut rig, EngineClass::Copy, 0);
            let other = context(&mut rig, EngineClass::Copy, 0);
            submit(&mut rig, polls, GOOD, &[fence], 1);
            submit(&mut rig, other, POLITE, &[], 0);
            for _ in 0..ticks {
                tick(&mut rig, 3);
            }
            rig.gpu.context_cancel(polls).expect("exists");
            let mut done = Vec::new();
            for _ in 0..100 {
                tick(&mut rig, 30);
                done.extend(rig.completions().into_iter().map(|done| (done.cookie, done.status)));
            }
            assert_eq!(done, [(1, Status::Cancelled)], "{platform}, after {ticks} ticks");
            assert_eq!(rig.gpu.statistics().engine_resets, 0, "{platform}, after {ticks} ticks");
        }
    }
}
