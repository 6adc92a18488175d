// SPDX-License-Identifier: BSD-2-Clause
//! Submission, preemption, lite restore, context images and status events.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

mod rig;

use gpu_model::{Activity, Rule, Timing};
use rig::{Context, Rig, mi};

const PARTS: [&str; 4] = ["bdw", "skl", "icl", "tgl"];
const BATCH: u64 = 0x1234_0000;
/// Dword in the status page that tests wait for and write.
const FLAG: u32 = 0x200;
const MARK: u32 = 0x100;

/// Events as (legacy reason and id) or Gen12 entry, for contexts `away` and `to`.
fn event(rig: &Rig, what: &str, away: Option<&Context>, to: Option<&Context>) -> u64 {
    if rig.is_gen12() {
        let id = |context: Option<&Context>| u64::from(context.map_or(0x7ff, |context| context.id)) << 15;
        let engine = away.or(to).map_or(0, |c| u64::from(c.class) << 3 | u64::from(c.instance) << 6);
        let (new, detail) = match what {
            "started" => (1, 0),
            "preempted" | "lite" => (1, 5),
            _ => (0, 0),
        };
        return new | engine | id(to) | (detail | id(away)) << 32;
    }
    let reason = match what {
        "started" => 0x1,
        "preempted" => 0x2,
        "lite" => 0x8002,
        "switched" => 0x14,
        "completed" => 0x18,
        _ => panic!("{what}"),
    };
    let id = away.map_or(0, |context| rig.descriptor(context, false)[1]);
    reason | u64::from(id) << 32
}

fn put(rig: &Rig, memory: u64, dwords: &[u32]) {
    for (n, dword) in dwords.iter().enumerate() {
        assert!(rig.memory.set_u32(memory + 4 * n as u64, *dword));
    }
}

/// A context whose batch loops for ever over one arbitration point.
fn spinner(rig: &mut Rig, arbitrate: bool) -> (Context, u64) {
    let mut context = rig.context("bcs0");
    let batch = rig.pages(1);
    rig.map(&context, BATCH, batch);
    let check = if arbitrate { mi::ARB_CHECK } else { mi::NOOP };
    put(rig, batch, &[check, mi::NOOP, 0x1880_0101, BATCH as u32, (BATCH >> 32) as u32, 0]);
    rig.emit(&mut context, &mi::batch(BATCH));
    (context, batch)
}

fn marker(rig: &mut Rig, value: u32) -> Context {
    let mut context = rig.context("bcs0");
    let status = rig.status_ggtt("bcs0");
    rig.emit(&mut context, &mi::store_ggtt(status + MARK, value));
    context
}

fn mark(rig: &Rig) -> u32 {
    rig.memory.get_u32(rig.status_page("bcs0") + u64::from(MARK)).unwrap()
}

#[test]
fn two_elements_run_in_order_and_tell_of_every_switch() {
    for name in PARTS {
        let mut rig = Rig::new(name);
        let (mut one, mut two) = (marker(&mut rig, 1), marker(&mut rig, 2));
        rig.submit_two(&mut one, &mut two);
        assert_eq!(mark(&rig), 2);
        let expected = [
            event(&rig, "started", None, Some(&one)),
            event(&rig, "switched", Some(&one), Some(&two)),
            event(&rig, "completed", Some(&two), None),
        ];
        assert_eq!(rig.events("bcs0"), expected, "{name}");
        rig.assert_clean();
    }
}

#[test]
fn a_new_queue_preempts_at_an_arbitration_point_and_the_old_context_resumes_in_its_batch() {
    for name in PARTS {
        let mut rig = Rig::new(name);
        let (mut spin, batch) = spinner(&mut rig, true);
        let mut other = marker(&mut rig, 7);
        rig.submit(&mut spin);
        assert!(rig.gpu.is_busy());
        rig.submit(&mut other);
        assert_eq!(mark(&rig), 7, "{name}");
        let expected = [
            event(&rig, "started", None, Some(&spin)),
            event(&rig, "preempted", Some(&spin), Some(&other)),
            event(&rig, "completed", Some(&other), None),
        ];
        assert_eq!(rig.events("bcs0"), expected, "{name}");
        // BB_ADDR with its valid bit, BB_STATE in the PPGTT.
        assert_eq!(rig.image_dword(&spin, 0xf) & 1, 1);
        assert!((0x1234_0000..0x1234_0010).contains(&(rig.image_dword(&spin, 0xf) & !1)));
        assert_eq!(rig.image_dword(&spin, 0x11) & 0x20, 0x20);

        // The loop is cut; resumed, the context returns to its ring and ends.
        put(&rig, batch, &[mi::BATCH_END, 0, mi::BATCH_END, 0]);
        rig.submit(&mut spin);
        assert!(!rig.gpu.is_busy(), "{name}");
        assert_eq!(rig.image_dword(&spin, 5), spin.tail);
        rig.assert_clean();
    }
}

#[test]
fn a_second_level_batch_survives_a_preemption() {
    for name in PARTS {
        let mut rig = Rig::deferred(name);
        let mut context = rig.context("bcs0");
        let (first, second) = (rig.pages(1), rig.pages(1));
        rig.map(&context, BATCH, first);
        rig.map(&context, BATCH + 0x1000, second);
        let status = rig.status_ggtt("bcs0");
        // Batch: call the second level, then end. Second level: a chain of arbitration points.
        put(&rig, first, &[0x18c0_0101, BATCH as u32 + 0x1000, 0, mi::BATCH_END]);
        let mut chain = [mi::ARB_CHECK; 64];
        chain[63] = mi::BATCH_END;
        put(&rig, second, &chain);
        rig.emit(&mut context, &mi::batch(BATCH));
        rig.emit(&mut context, &mi::store_ggtt(status + FLAG, 5));
        let mut other = marker(&mut rig, 9);
        rig.submit(&mut context);
        rig.gpu.step(20);
        rig.submit(&mut other);
        assert!(rig.gpu.run_until_idle(10_000));
        assert_eq!(mark(&rig), 9);
        assert_eq!(
            rig.memory.get_u32(rig.status_page("bcs0") + u64::from(FLAG)),
            Some(0),
            "{name}: not done yet"
        );
        rig.submit(&mut context);
        assert!(rig.gpu.run_until_idle(10_000));
        assert_eq!(rig.memory.get_u32(rig.status_page("bcs0") + u64::from(FLAG)), Some(5), "{name}");
        rig.assert_clean();
    }
}

#[test]
fn without_an_arbitration_point_the_new_queue_stays_pending() {
    for name in PARTS {
        let mut rig = Rig::new(name);
        let (mut spin, batch) = spinner(&mut rig, false);
        let mut other = marker(&mut rig, 7);
        rig.submit(&mut spin);
        rig.submit(&mut other);
        assert_eq!(mark(&rig), 0);
        assert!(rig.gpu.engine("bcs0").unwrap().pending);
        let status = rig.read(0x22234);
        let pending = if rig.is_legacy() { 1 << 2 } else { 1 << 30 };
        assert_ne!(status & pending, 0, "{name}: EXECLIST_STATUS {status:#x}");
        assert_eq!(rig.events("bcs0"), [event(&rig, "started", None, Some(&spin))]);
        put(&rig, batch, &[mi::BATCH_END, 0]);
        rig.read(0x22234);
        assert_eq!(mark(&rig), 7);
        assert_eq!(rig.read(0x22234) & pending, 0);
    }
}

#[test]
fn arbitration_switched_off_holds_a_preemption_back() {
    let mut rig = Rig::new("tgl");
    let mut context = rig.context("bcs0");
    let batch = rig.pages(1);
    rig.map(&context, BATCH, batch);
    put(&rig, batch, &[mi::ARB_CHECK, mi::NOOP, 0x1880_0101, BATCH as u32, 0, 0]);
    rig.emit(&mut context, &[mi::ARB_OFF, mi::NOOP]);
    rig.emit(&mut context, &mi::batch(BATCH));
    rig.emit(&mut context, &[mi::ARB_ON, mi::ARB_CHECK]);
    let mut other = marker(&mut rig, 7);
    rig.submit(&mut context);
    rig.submit(&mut other);
    assert_eq!(mark(&rig), 0);
    put(&rig, batch, &[mi::BATCH_END, 0]);
    rig.read(0x22234);
    assert_eq!(mark(&rig), 7);
    rig.assert_clean();
}

#[test]
fn a_waiting_semaphore_is_an_arbitration_point_and_is_compared_again_afterwards() {
    for name in PARTS {
        let mut rig = Rig::new(name);
        let mut waiter = rig.context("bcs0");
        let status = rig.status_ggtt("bcs0");
        let wait = mi::wait_ggtt(rig.is_gen12(), status + FLAG, 1);
        rig.emit(&mut waiter, &wait);
        rig.emit(&mut waiter, &mi::store_ggtt(status + FLAG, 2));
        let mut other = marker(&mut rig, 7);
        rig.submit(&mut waiter);
        assert!(matches!(rig.gpu.engine("bcs0").unwrap().activity, Activity::Waiting(_)));
        rig.submit(&mut other);
        assert_eq!(mark(&rig), 7, "{name}");
        rig.submit(&mut waiter);
        let flag = rig.status_page("bcs0") + u64::from(FLAG);
        assert_eq!(rig.memory.get_u32(flag), Some(0));
        assert!(rig.memory.set_u32(flag, 1));
        rig.gpu.step(100);
        assert_eq!(rig.memory.get_u32(flag), Some(2), "{name}");
        rig.assert_clean();
    }
}

#[test]
fn a_lite_restore_takes_only_the_tail() {
    for name in PARTS {
        let mut rig = Rig::new(name);
        let mut context = rig.context("bcs0");
        let status = rig.status_ggtt("bcs0");
        let wait = mi::wait_ggtt(rig.is_gen12(), status + FLAG, 1);
        rig.emit(&mut context, &wait);
        rig.submit(&mut context);
        rig.emit(&mut context, &mi::store_ggtt(status + MARK, 3));
        // Would restart the ring if it were read.
        rig.set_image_dword(&context, 5, 0x800);
        rig.submit(&mut context);
        let flag = rig.status_page("bcs0") + u64::from(FLAG);
        assert!(rig.memory.set_u32(flag, 1));
        rig.gpu.step(100);
        assert_eq!(mark(&rig), 3, "{name}");
        let expected = [
            event(&rig, "started", None, Some(&context)),
            event(&rig, "lite", Some(&context), Some(&context)),
            event(&rig, "completed", Some(&context), None),
        ];
        assert_eq!(rig.events("bcs0"), expected, "{name}");
        assert_eq!(rig.image_dword(&context, 5), context.tail, "the head is saved");
        rig.assert_clean();
    }
}

#[test]
fn general_registers_belong_to_their_context() {
    for name in ["skl", "icl", "tgl"] {
        let mut rig = Rig::new(name);
        let (mut one, mut two) = (rig.context("bcs0"), rig.context("bcs0"));
        let status = rig.status_ggtt("bcs0");
        rig.emit(&mut one, &mi::lri(0x22600, 0x1111));
        rig.emit(&mut two, &mi::lri(0x22600, 0x2222));
        rig.submit(&mut one);
        rig.submit(&mut two);
        // Both were first loaded with restore inhibit; from now on they have saved state.
        let later = if rig.is_legacy() { 0x000f_0008 } else { 0x0009_0008 };
        for context in [&one, &two] {
            rig.set_image_dword(context, 3, later);
        }
        for (context, value) in [(&mut one, 0x1111), (&mut two, 0x2222)] {
            rig.emit(context, &[0x1240_0002, 0x22600, status + MARK, 0]);
            rig.submit(context);
            assert_eq!(mark(&rig), value, "{name}");
        }
        rig.assert_clean();
    }
}

#[test]
fn restore_inhibit_keeps_the_engines_state() {
    let mut rig = Rig::new("tgl");
    let (mut one, mut two) = (rig.context("bcs0"), rig.context("bcs0"));
    let status = rig.status_ggtt("bcs0");
    rig.emit(&mut one, &mi::lri(0x22600, 0x1111));
    rig.submit(&mut one);
    rig.emit(&mut two, &[0x1240_0002, 0x22600, status + MARK, 0]);
    rig.submit(&mut two);
    assert_eq!(mark(&rig), 0x1111, "the first load of the second context loads no GPR");
}

#[test]
fn render_registers_outside_the_documented_list_are_kept_across_switches() {
    let mut rig = Rig::new("tgl");
    let (mut one, mut two) = (rig.context("rcs0"), rig.context("rcs0"));
    let status = rig.status_ggtt("rcs0");
    for context in [&mut one, &mut two] {
        rig.emit(context, &[mi::NOOP, mi::NOOP]);
        rig.submit(context);
        rig.set_image_dword(context, 3, 0x0009_0008);
    }
    rig.emit(&mut one, &mi::lri(0x7018, 0x0008_0008));
    rig.submit(&mut one);
    rig.emit(&mut two, &[0x1240_0002, 0x7018, status + 0x104, 0]);
    rig.submit(&mut two);
    rig.emit(&mut one, &[0x1240_0002, 0x7018, status + 0x100, 0]);
    rig.submit(&mut one);
    let page = rig.status_page("rcs0");
    assert_eq!(rig.memory.get_u32(page + 0x100), Some(8), "the writer has it");
    assert_eq!(rig.memory.get_u32(page + 0x104), Some(0), "the other has not");
    rig.assert_clean();
}

#[test]
fn predicates_are_kept_across_switches() {
    for name in PARTS {
        let mut rig = Rig::new(name);
        let (mut one, mut two) = (rig.context("rcs0"), rig.context("rcs0"));
        let status = rig.status_ggtt("rcs0");
        for context in [&mut one, &mut two] {
            rig.emit(context, &[mi::NOOP, mi::NOOP]);
            rig.submit(context);
            let later = if rig.is_legacy() { 0x000f_0008 } else { 0x0009_0008 };
            rig.set_image_dword(context, 3, later);
        }
        // MI_PREDICATE_SRC0 and MI_PREDICATE_RESULT.
        rig.emit(&mut one, &mi::lri(0x2400, 0xdead_beef));
        rig.emit(&mut one, &mi::lri(0x2418, 1));
        rig.submit(&mut one);
        for (context, at) in [(&mut two, 0x108), (&mut one, 0x100)] {
            rig.emit(context, &[0x1240_0002, 0x2400, status + at, 0]);
            rig.emit(context, &[0x1240_0002, 0x2418, status + at + 4, 0]);
            rig.submit(context);
        }
        let page = rig.status_page("rcs0");
        let found = [0x100, 0x104, 0x108, 0x10c].map(|at| rig.memory.get_u32(page + at));
        assert_eq!(found, [Some(0xdead_beef), Some(1), Some(0), Some(0)], "{name}");
        rig.assert_clean();
    }
}

#[test]
fn a_context_that_is_still_loaded_is_not_read_again_unless_forced() {
    for name in PARTS {
        let mut rig = Rig::new(name);
        let mut context = marker(&mut rig, 1);
        rig.submit(&mut context);
        let status = rig.status_ggtt("bcs0");
        rig.emit(&mut context, &mi::store_ggtt(status + MARK, 2));
        rig.emit(&mut context, &mi::store_ggtt(status + MARK, 3));
        // The driver moves the head over the first store, without forcing.
        rig.set_image_dword(&context, 5, context.tail - 16);
        rig.submit(&mut context);
        rig.assert_broken(&[Rule::ImageNotReloaded]);
        // With force restore the change counts.
        rig.emit(&mut context, &mi::store_ggtt(status + MARK, 4));
        rig.set_image_dword(&context, 5, context.tail);
        context.submitted = false;
        rig.submit(&mut context);
        assert_eq!(mark(&rig), 3, "{name}: the store was skipped");
        rig.assert_clean();
    }
}

#[test]
fn indirect_and_per_context_batches_run_at_a_restore() {
    for name in ["skl", "icl", "tgl"] {
        let mut rig = Rig::new(name);
        let mut context = marker(&mut rig, 1);
        let status = rig.status_ggtt("bcs0");
        let (ggtt, memory) = rig.ggtt_pages(1);
        // Indirect: one line without an end. Per context: ends by itself.
        let mut indirect = mi::store_ggtt(status + 0x300, 0xaa).to_vec();
        indirect.resize(16, mi::NOOP);
        put(&rig, memory, &indirect);
        let mut per_context = mi::store_ggtt(status + 0x304, 0xbb).to_vec();
        per_context.push(mi::BATCH_END);
        put(&rig, memory + 0x100, &per_context);
        let (at_per_context, at_indirect) = if rig.is_gen12() { (0x13, 0x15) } else { (0x19, 0x1b) };
        rig.set_image_dword(&context, at_per_context, (ggtt + 0x100) | 1);
        rig.set_image_dword(&context, at_indirect, ggtt | 1);
        rig.submit(&mut context);
        let page = rig.status_page("bcs0");
        assert_eq!(rig.memory.get_u32(page + 0x300), Some(0xaa), "{name}");
        assert_eq!(rig.memory.get_u32(page + 0x304), Some(0xbb), "{name}");
        assert_eq!(mark(&rig), 1);
        rig.assert_clean();
    }
}

/// What a context finds in MI_PREDICATE_SRC0 (kept in the render pages), GPR 0 and GPR 1 (in the register page), which it had
/// filled with 0x11, 0x22 and 0x33, after a restore whose indirect batch, at that cache line, wrote 0xaa and 0xbb to the
/// first two and whose per-context batch wrote 0xcc to the third.
fn found_after_context_batches(name: &str, line: u32) -> [Option<u32>; 3] {
    let mut rig = Rig::new(name);
    let mut context = rig.context("rcs0");
    let registers = [0x2400, 0x2600, 0x2608];
    for (register, value) in registers.into_iter().zip([0x11, 0x22, 0x33]) {
        rig.emit(&mut context, &mi::lri(register, value));
    }
    rig.submit(&mut context);
    let (ggtt, memory) = rig.ggtt_pages(1);
    let mut indirect = [mi::lri(0x2400, 0xaa), mi::lri(0x2600, 0xbb)].concat();
    indirect.resize(16, mi::NOOP);
    put(&rig, memory, &indirect);
    put(&rig, memory + 0x100, &[&mi::lri(0x2608, 0xcc)[..], &[mi::BATCH_END]].concat());
    let (at_per_context, at_indirect, at_offset) =
        if rig.is_gen12() { (0x13, 0x15, 0x17) } else { (0x19, 0x1b, 0x1d) };
    let restored = if rig.is_legacy() { 0x000f_0008 } else { 0x0009_0008 };
    for (at, value) in
        [(3, restored), (at_per_context, (ggtt + 0x100) | 1), (at_indirect, ggtt | 1), (at_offset, line << 6)]
    {
        rig.set_image_dword(&context, at, value);
    }
    let status = rig.status_ggtt("rcs0");
    for (n, register) in (0..).zip(registers) {
        rig.emit(&mut context, &[0x1240_0002, register, status + MARK + 4 * n, 0]);
    }
    context.submitted = false;
    rig.submit(&mut context);
    rig.assert_clean();
    let page = rig.status_page("rcs0") + u64::from(MARK);
    [0, 4, 8].map(|at| rig.memory.get_u32(page + at))
}

#[test]
fn an_indirect_batch_runs_where_its_offset_says_and_a_per_context_batch_at_the_end() {
    // The offsets that i915 gives (i915: intel_lrc.c, lrc_ring_indirect_offset_default): behind the documented registers
    // and before what only the render pages hold.
    for (name, line) in [("bdw", 0x17), ("skl", 0x26), ("icl", 0x1a), ("tgl", 0x0d)] {
        assert_eq!(found_after_context_batches(name, line), [Some(0x11), Some(0xbb), Some(0xcc)], "{name}");
        // Dword 0x40: before the general purpose registers.
        assert_eq!(found_after_context_batches(name, 4), [Some(0x11), Some(0x22), Some(0xcc)], "{name}");
    }
}

#[test]
fn a_context_batch_costs_its_engine_what_its_commands_cost() {
    for name in ["skl", "tgl"] {
        let cost = |lines: u32| {
            let mut rig = Rig::deferred(name);
            let mut context = marker(&mut rig, 1);
            let (ggtt, memory) = rig.ggtt_pages(1);
            put(&rig, memory, &[mi::NOOP; 1024]);
            let at_indirect = if rig.is_gen12() { 0x15 } else { 0x1b };
            rig.set_image_dword(&context, at_indirect, ggtt | lines);
            rig.submit(&mut context);
            let cost = rig.gpu.step(10_000);
            assert_eq!(mark(&rig), 1, "{name}");
            cost
        };
        // A line of the indirect batch has 16 dwords, and each of them is a NOOP.
        assert_eq!(cost(8) - cost(1), 7 * 16, "{name}");
    }
}

#[test]
fn the_context_timestamp_moves_while_the_context_runs_and_is_saved() {
    let mut rig = Rig::new("tgl");
    let (mut spin, batch) = spinner(&mut rig, true);
    rig.submit(&mut spin);
    let before = rig.read(0x223a8);
    rig.gpu.advance(1_000_000);
    let after = rig.read(0x223a8);
    assert!(after - before >= 19_200, "1 ms at 19.2 MHz: {before} {after}");
    put(&rig, batch, &[mi::BATCH_END, 0]);
    rig.read(0x22234);
    assert!(!rig.gpu.is_busy());
    assert!(rig.image_dword(&spin, 0x23) >= after);
    let stopped = rig.read(0x223a8);
    rig.gpu.advance(1_000_000);
    assert_eq!(rig.read(0x223a8), stopped, "idle contexts age not");
}

#[test]
fn the_timestamp_has_the_frequency_of_the_part() {
    for (name, hz) in [("bdw", 12_500_000), ("skl", 12_000_000), ("glk", 19_200_000), ("tgl", 19_200_000u32)]
    {
        let mut rig = Rig::new(name);
        let before = rig.read(0x2358);
        rig.gpu.advance(1_000_000_000);
        let ticks = rig.read(0x2358) - before;
        assert!((hz..hz + 10).contains(&ticks), "{name}: {ticks}");
    }
}

#[test]
fn the_running_descriptor_shows_in_execlist_status() {
    let mut rig = Rig::new("tgl");
    let (mut spin, _) = spinner(&mut rig, true);
    rig.submit(&mut spin);
    let high = rig.descriptor(&spin, false)[1];
    assert_eq!(rig.read(0x22238), high);
    assert_ne!(rig.read(0x22234) & (1 << 7), 0, "active context");
}

#[test]
fn the_status_buffer_reads_the_same_by_mmio() {
    for name in PARTS {
        let mut rig = Rig::new(name);
        let mut context = marker(&mut rig, 1);
        rig.submit(&mut context);
        let pointer = rig.read(0x223a0);
        assert_eq!(pointer & 0xf, 1, "{name}: two events, the last in entry 1");
        let events = rig.events("bcs0");
        for (n, event) in events.iter().enumerate() {
            let low = rig.read(0x22370 + 8 * n as u32);
            let high = rig.read(0x22374 + 8 * n as u32);
            assert_eq!(u64::from(low) | u64::from(high) << 32, *event, "{name}");
        }
    }
}

#[test]
fn busy_acknowledges_and_silent_does_not_until_released() {
    let mut rig = Rig::new("tgl");
    rig.gpu.set_timing(Timing::Busy);
    let mut context = marker(&mut rig, 1);
    rig.submit(&mut context);
    assert_eq!(rig.events("bcs0"), [event(&rig, "started", None, Some(&context))]);
    assert_eq!(mark(&rig), 0);
    rig.gpu.set_timing(Timing::Silent);
    let mut other = marker(&mut rig, 2);
    rig.submit(&mut other);
    assert!(rig.events("bcs0").is_empty());
    rig.gpu.set_timing(Timing::Instant);
    assert_eq!(mark(&rig), 2);
    let expected = [
        event(&rig, "preempted", Some(&context), Some(&other)),
        event(&rig, "completed", Some(&other), None),
    ];
    assert_eq!(rig.events("bcs0"), expected);
    rig.submit(&mut context);
    assert_eq!(mark(&rig), 1);
    rig.assert_clean();
}

#[test]
fn deferred_work_waits_for_steps() {
    let mut rig = Rig::deferred("tgl");
    let mut context = marker(&mut rig, 1);
    rig.submit(&mut context);
    assert_eq!((mark(&rig), rig.events("bcs0").len()), (0, 0));
    assert!(rig.gpu.run_until_idle(100));
    assert_eq!((mark(&rig), rig.events("bcs0").len()), (1, 2));
}

#[test]
fn ring_buffer_mode_runs_without_contexts() {
    for name in ["skl", "tgl"] {
        let mut rig = Rig::new(name);
        let (ring, memory) = rig.ggtt_pages(1);
        let status = rig.status_ggtt("bcs0");
        // Execlists off.
        rig.write(0x2229c, if rig.is_legacy() { 0x8000_0000 } else { 0x0008_0000 });
        put(&rig, memory, &mi::store_ggtt(status + MARK, 0x77));
        rig.write(0x22038, ring);
        rig.write(0x22034, 0);
        rig.write(0x2203c, 1);
        rig.write(0x22030, 16);
        assert_eq!(mark(&rig), 0x77, "{name}");
        assert_eq!(rig.read(0x22034), 16);
        assert!(rig.events("bcs0").is_empty());
        rig.assert_clean();
    }
}

#[test]
fn semaphores_synchronise_two_engines() {
    let mut rig = Rig::new("tgl");
    let status = rig.status_ggtt("bcs0");
    let mut waiter = rig.context("bcs0");
    let wait = mi::wait_ggtt(true, status + FLAG, 1);
    rig.emit(&mut waiter, &wait);
    rig.emit(&mut waiter, &mi::store_ggtt(status + MARK, 5));
    rig.submit(&mut waiter);
    let mut setter = rig.context("vcs0");
    rig.emit(&mut setter, &mi::store_ggtt(status + FLAG, 1));
    rig.submit(&mut setter);
    assert_eq!(mark(&rig), 5);
    rig.assert_clean();
}

#[test]
fn a_wait_in_signal_mode_looks_again_when_another_engine_signals_its_context() {
    for name in ["skl", "tgl"] {
        let mut rig = Rig::new(name);
        let status = rig.status_ggtt("bcs0");
        let mut waiter = rig.context("bcs0");
        let mut wait = mi::wait_ggtt(rig.is_gen12(), status + FLAG, 1);
        // Not the polling mode.
        wait[0] &= !(1 << 15);
        rig.emit(&mut waiter, &wait);
        rig.emit(&mut waiter, &mi::store_ggtt(status + MARK, 5));
        rig.submit(&mut waiter);
        let mut setter = rig.context("vcs0");
        // MI_SEMAPHORE_SIGNAL to the copy engine.
        let signal = |context: u32| [0x0d81_0000, context];
        rig.emit(&mut setter, &mi::store_ggtt(status + FLAG, 1));
        rig.emit(&mut setter, &signal(waiter.id + 1));
        rig.submit(&mut setter);
        assert_eq!(mark(&rig), 0, "{name}: another context was meant");
        rig.emit(&mut setter, &signal(waiter.id));
        rig.submit(&mut setter);
        assert_eq!(mark(&rig), 5, "{name}");
        rig.assert_clean();
    }
}
