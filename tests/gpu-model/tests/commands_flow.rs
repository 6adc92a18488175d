// SPDX-License-Identifier: BSD-2-Clause
//! The flow of a stream: ring, batches, semaphores, arbitration, predication, privilege, prefetch.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

#[path = "commands_support/mod.rs"]
mod support;

use gpu_model::commands::{
    Compare, ErrorKind, Generation, Interrupt, Level, Outcome, SemaphoreSource, Space, StreamState,
    TraceEvent,
};
use support::{
    BATCH, BB_END, BCS, DATA, GENERATIONS, Machine, PPGTT_BASE, RCS, RING, RING_SIZE, bb_start, split,
};

const DATA_LOW: u32 = DATA as u32;
const DATA_HIGH: u32 = (DATA >> 32) as u32;
/// A second batch.
const OTHER: u64 = BATCH + 0x4000;
const THIRD: u64 = BATCH + 0x8000;
const GGTT_BATCH: u64 = 0x5_0000;

fn machine() -> Machine {
    Machine::new(Generation::Gen12, BCS)
}

/// Stores `value` at `DATA + 4 * index`.
fn store(index: u32, value: u32) -> [u32; 4] {
    [0x1000_0002, DATA_LOW + 4 * index, DATA_HIGH, value]
}

fn stored(machine: &mut Machine, count: u64) -> Vec<u32> {
    (0..count).map(|i| machine.read(Space::Ppgtt, DATA + 4 * i)).collect()
}

fn concat(parts: &[&[u32]]) -> Vec<u32> {
    parts.concat()
}

fn second_level(address: u64) -> [u32; 3] {
    let [header, low, high] = bb_start(Space::Ppgtt, address);
    [header | 1 << 22, low, high]
}

// --- ring ---

#[test]
fn the_head_follows_the_tail_around_the_ring_and_counts_wraps() {
    let mut machine = machine();
    for round in 0..3 * RING_SIZE / 0x100 {
        assert_eq!(machine.ring(&[0; 0x40]), Outcome::RingEmpty, "round {round}");
    }
    assert_eq!(machine.state.head_offset(), 0);
    assert_eq!(machine.state.head >> 21, 3);
    assert!(machine.state.is_idle());
}

#[test]
fn a_command_that_straddles_the_end_of_the_ring_hangs() {
    let mut machine = machine();
    machine.state.head = RING_SIZE - 8;
    machine.state.tail = RING_SIZE - 8;
    let Outcome::Error(error) = machine.ring(&store(0, 1)) else { panic!() };
    assert_eq!(error.kind, ErrorKind::Straddle);
    assert_eq!(stored(&mut machine, 1), [0]);
}

#[test]
fn a_command_that_ends_beyond_the_tail_hangs() {
    let mut machine = machine();
    machine.submit(&store(0, 1));
    machine.state.tail -= 8;
    let Outcome::Error(error) = machine.run() else { panic!() };
    assert_eq!(error.kind, ErrorKind::Straddle);
}

#[test]
fn bad_ring_registers_hang() {
    type Case = (fn(&mut StreamState), ErrorKind);
    let cases: [Case; 4] = [
        (|state| state.control = 0, ErrorKind::RingDisabled),
        (|state| state.tail = 4, ErrorKind::BadRing),
        (|state| state.tail = RING_SIZE, ErrorKind::BadRing),
        (|state| state.head = RING_SIZE + 4, ErrorKind::BadRing),
    ];
    for (break_it, kind) in cases {
        let mut machine = machine();
        break_it(&mut machine.state);
        let Outcome::Error(error) = machine.run() else { panic!("{kind:?}") };
        assert_eq!(error.kind, kind);
    }
}

#[test]
fn a_ring_outside_the_ggtt_faults_at_its_fetch() {
    let mut machine = machine();
    machine.state.start = 0x4000_0000;
    machine.state.tail = 8;
    let Outcome::Fault(fault) = machine.run() else { panic!() };
    assert_eq!(fault.fault.address, 0x4000_0000);
    assert_eq!(fault.position.level, Level::Ring);
}

#[test]
fn the_budget_bounds_a_step_and_the_next_step_goes_on() {
    let mut machine = machine();
    machine.submit(&concat(&[&store(0, 1), &store(1, 2), &store(2, 3), &[0; 6]]));
    let step = machine.state.step(&mut machine.bus, 2);
    assert_eq!((step.executed, step.outcome), (2, Outcome::BudgetSpent));
    assert_eq!(stored(&mut machine, 3), [1, 2, 0]);
    let step = machine.state.step(&mut machine.bus, 0);
    assert_eq!((step.executed, step.outcome), (0, Outcome::BudgetSpent));
    let step = machine.state.step(&mut machine.bus, 100);
    assert_eq!((step.executed, step.outcome), (7, Outcome::RingEmpty));
    assert_eq!(stored(&mut machine, 3), [1, 2, 3]);
}

// --- batches ---

#[test]
fn a_batch_returns_to_the_ring() {
    for generation in GENERATIONS {
        let mut machine = Machine::new(generation, BCS);
        assert_eq!(machine.batch(&store(0, 1)), Outcome::RingEmpty);
        assert_eq!(stored(&mut machine, 1), [1]);
        assert!(machine.state.is_idle());
        machine.assert_clean();
        let [TraceEvent::BatchStart { from, to }, TraceEvent::BatchEnd { at }] = machine.bus.events[..]
        else {
            panic!("{:?}", machine.bus.events)
        };
        assert_eq!((from.level, to.level, at.level), (Level::Ring, Level::Batch, Level::Batch));
        assert_eq!((to.address, at.address), (BATCH, BATCH + 16));
    }
}

#[test]
fn a_batch_in_the_upper_half_may_be_named_canonically_or_by_its_plain_48_bits() {
    for (high, broken) in [(0xffff_8000, false), (0x8000, false), (0x0001_8000, true)] {
        let mut machine = machine();
        let [header, ..] = bb_start(Space::Ppgtt, 0);
        let Outcome::Fault(fault) = machine.ring(&[header, 0x1000, high]) else { panic!() };
        assert_eq!(fault.fault.address, 0x8000_0000_1000, "{high:#x}");
        assert_eq!(machine.bus.reports.len(), usize::from(broken), "{high:#x}: {:?}", machine.bus.reports);
    }
}

#[test]
fn the_stream_shows_where_it_is_inside_a_batch_through_its_registers() {
    let mut machine = machine();
    machine.load(Space::Ppgtt, BATCH, &[0, 0, BB_END]);
    machine.submit(&bb_start(Space::Ppgtt, BATCH));
    machine.state.step(&mut machine.bus, 2);
    let read = |relative| machine.state.read_register(relative).unwrap();
    let [low, high] = split(BATCH + 4);
    assert_eq!((read(0x140), read(0x168)), (low | 1, high));
    assert_eq!((read(0x74), read(0x5c)), (low, high));
    assert_eq!(read(0x110), 1 << 5);
    assert_eq!(read(0x34), 12, "the head stands behind the batch start");
}

#[test]
fn a_context_image_that_was_saved_inside_a_batch_resumes_there() {
    let mut machine = machine();
    machine.load(Space::Ppgtt, BATCH, &concat(&[&store(0, 1), &store(1, 2), &[BB_END]]));
    machine.submit(&concat(&[&bb_start(Space::Ppgtt, BATCH), &[0], &store(2, 3)]));
    machine.state.step(&mut machine.bus, 2);
    // The slots of PRM, Command Stream Programming, in their order.
    let slots = [0x034, 0x030, 0x038, 0x03c, 0x168, 0x140, 0x110, 0x11c, 0x114, 0x118];
    let image = slots.map(|slot| (slot, machine.state.read_register(slot).unwrap()));
    let mut restored = StreamState::new();
    for (slot, value) in image {
        assert!(restored.write_register(slot, value, u32::MAX));
    }
    machine.state = restored;
    assert_eq!(stored(&mut machine, 3), [1, 0, 0]);
    assert_eq!(machine.run(), Outcome::RingEmpty);
    assert_eq!(stored(&mut machine, 3), [1, 2, 3]);
}

#[test]
fn registers_that_the_stream_does_not_own_are_not_answered() {
    let mut state = StreamState::new();
    assert_eq!(state.read_register(0x600), None);
    assert!(!state.write_register(0x600, 1, u32::MAX));
}

#[test]
fn a_first_level_start_inside_a_batch_chains() {
    let mut machine = machine();
    machine.load(Space::Ppgtt, OTHER, &concat(&[&store(1, 2), &[BB_END]]));
    assert_eq!(
        machine.batch(&concat(&[&store(0, 1), &bb_start(Space::Ppgtt, OTHER), &store(2, 3)])),
        Outcome::RingEmpty
    );
    assert_eq!(stored(&mut machine, 3), [1, 2, 0]);
}

#[test]
fn a_second_level_batch_returns_to_the_first() {
    let mut machine = machine();
    machine.load(Space::Ppgtt, OTHER, &concat(&[&store(1, 2), &[BB_END]]));
    machine.batch(&concat(&[&store(0, 1), &second_level(OTHER), &store(2, 3)]));
    assert_eq!(stored(&mut machine, 3), [1, 2, 3]);
    machine.assert_clean();
}

#[test]
fn a_second_level_start_inside_the_second_level_chains() {
    let mut machine = machine();
    machine.load(Space::Ppgtt, OTHER, &concat(&[&second_level(THIRD), &store(3, 9)]));
    machine.load(Space::Ppgtt, THIRD, &concat(&[&store(1, 2), &[BB_END]]));
    machine.batch(&concat(&[&store(0, 1), &second_level(OTHER), &store(2, 3)]));
    assert_eq!(stored(&mut machine, 4), [1, 2, 3, 0]);
}

#[test]
fn a_first_level_start_inside_the_second_level_replaces_the_first() {
    let mut machine = machine();
    machine.load(Space::Ppgtt, OTHER, &bb_start(Space::Ppgtt, THIRD));
    machine.load(Space::Ppgtt, THIRD, &concat(&[&store(1, 2), &[BB_END]]));
    machine.batch(&concat(&[&store(0, 1), &second_level(OTHER), &store(2, 3)]));
    assert_eq!(stored(&mut machine, 3), [1, 2, 0]);
    assert!(machine.state.is_idle());
}

#[test]
fn nested_batches_of_gen12_chain_where_the_bit_is_clear() {
    let mut machine = machine();
    machine.set_register(0x9c, 1 << 12);
    machine.load(Space::Ppgtt, OTHER, &bb_start(Space::Ppgtt, THIRD));
    machine.load(Space::Ppgtt, THIRD, &concat(&[&store(1, 2), &[BB_END]]));
    machine.batch(&concat(&[&store(0, 1), &second_level(OTHER), &store(2, 3)]));
    assert_eq!(stored(&mut machine, 3), [1, 2, 3]);
}

#[test]
fn nesting_beyond_the_hardwares_storage_hangs() {
    let mut ring = machine();
    let Outcome::Error(error) = ring.ring(&second_level(OTHER)) else { panic!() };
    assert_eq!(error.kind, ErrorKind::Nesting);
    let mut third = machine();
    third.set_register(0x9c, 1 << 12);
    third.load(Space::Ppgtt, OTHER, &second_level(THIRD));
    let Outcome::Error(error) = third.batch(&second_level(OTHER)) else { panic!() };
    assert_eq!(error.kind, ErrorKind::Nesting);
}

#[test]
fn a_batch_below_a_non_privileged_batch_is_non_privileged() {
    let mut machine = machine();
    // The command says GGTT; the address is in the PPGTT.
    let [_, low, high] = bb_start(Space::Ppgtt, OTHER);
    machine.load(Space::Ppgtt, OTHER, &concat(&[&store(0, 1), &[BB_END]]));
    machine.batch(&[0x1880_0001, low, high]);
    assert_eq!(stored(&mut machine, 1), [1]);
    machine.assert_clean();
}

#[test]
fn the_batch_offset_is_added_when_asked_for() {
    let mut machine = machine();
    machine.state.write_register(0x158, 0x20, u32::MAX);
    machine.load(Space::Ppgtt, OTHER + 0x20, &concat(&[&store(0, 1), &[BB_END]]));
    let [header, low, high] = bb_start(Space::Ppgtt, OTHER);
    machine.ring(&[header | 1 << 16, low, high]);
    assert_eq!(stored(&mut machine, 1), [1]);
}

#[test]
fn a_predicated_batch_start_needs_predicate_result_1() {
    for engine in [RCS, BCS] {
        let mut machine = Machine::new(Generation::Gen11, engine);
        machine.load(Space::Ppgtt, OTHER, &concat(&[&store(0, 1), &[BB_END]]));
        let [header, low, high] = bb_start(Space::Ppgtt, OTHER);
        machine.ring(&[header | 1 << 15, low, high]);
        assert_eq!(stored(&mut machine, 1), [0]);
        machine.set_register(0x41c, 1);
        machine.ring(&[header | 1 << 15, low, high]);
        assert_eq!(stored(&mut machine, 1), [1]);
    }
}

#[test]
fn the_render_streamer_skips_posh_batches() {
    let mut machine = Machine::new(Generation::Gen12, RCS);
    let [header, low, high] = bb_start(Space::Ppgtt, OTHER);
    assert_eq!(machine.ring(&[header | 1 << 21, low, high]), Outcome::RingEmpty);
    assert!(machine.bus.events.is_empty());
}

#[test]
fn the_resource_streamer_bit_is_reported() {
    let mut machine = Machine::new(Generation::Gen9, RCS);
    machine.load(Space::Ppgtt, OTHER, &[BB_END]);
    let [header, low, high] = bb_start(Space::Ppgtt, OTHER);
    machine.ring(&[header | 1 << 10, low, high]);
    machine.assert_broken("resource streamer");
}

#[test]
fn a_conditional_end_in_the_ring_is_reported_and_ends_nothing() {
    let mut machine = machine();
    // The memory's 0 is not greater than 5, which would end a batch.
    machine.ring(&[0x1b20_0002, 5, DATA_LOW, DATA_HIGH, 0x1000_0002, DATA_LOW, DATA_HIGH, 42]);
    machine.assert_broken("MI_CONDITIONAL_BATCH_BUFFER_END belongs into a batch");
    assert_eq!(machine.read(Space::Ppgtt, DATA), 42);
}

#[test]
fn a_batch_that_starts_itself_again_runs_until_the_budget_is_spent() {
    let mut machine = machine();
    machine.load(Space::Ppgtt, BATCH, &concat(&[&[0], &bb_start(Space::Ppgtt, BATCH)]));
    machine.submit(&bb_start(Space::Ppgtt, BATCH));
    let step = machine.state.step(&mut machine.bus, 1001);
    assert_eq!((step.executed, step.outcome), (1001, Outcome::BudgetSpent));
    // The way to end such a batch: overwrite its first command.
    machine.load(Space::Ppgtt, BATCH, &[BB_END]);
    assert_eq!(machine.run(), Outcome::RingEmpty);
}

#[test]
fn a_batch_end_in_the_ring_is_reported() {
    let mut machine = machine();
    assert_eq!(machine.ring(&[BB_END, 0]), Outcome::RingEmpty);
    machine.assert_broken("belongs into a batch");
}

#[test]
fn a_batch_without_end_faults_where_the_memory_ends() {
    let mut machine = machine();
    let end = PPGTT_BASE + support::MEMORY as u64;
    let Outcome::Fault(fault) = machine.ring(&bb_start(Space::Ppgtt, end - 0x1000)) else { panic!() };
    assert_eq!(fault.fault.address, end);
    assert_eq!(fault.position.level, Level::Batch);
}

#[test]
fn a_conditional_end_before_gen12_ends_unless_memory_is_greater() {
    for generation in [Generation::Gen8, Generation::Gen9, Generation::Gen11] {
        for (memory, inline, goes_on) in [(5, 4, true), (4, 4, false), (3, 4, false), (u32::MAX, 0, true)] {
            let mut machine = Machine::new(generation, BCS);
            machine.load(Space::Ppgtt, OTHER, &[memory]);
            let [low, high] = split(OTHER);
            machine.batch(&concat(&[&[0x1b20_0002, inline, low, high], &store(0, 1)]));
            assert_eq!(stored(&mut machine, 1), [u32::from(goes_on)], "{generation:?} {memory} {inline}");
            machine.assert_clean();
        }
    }
}

#[test]
fn a_conditional_end_on_gen12_ends_when_its_comparison_is_false() {
    let [low, high] = split(OTHER);
    for code in 0..6 {
        for memory in [3, 4, 5] {
            let mut machine = machine();
            machine.load(Space::Ppgtt, OTHER, &[memory]);
            machine.batch(&concat(&[&[0x1b20_0002 | code << 12, 4, low, high], &store(0, 1)]));
            let holds = [memory > 4, memory >= 4, memory < 4, memory <= 4, memory == 4, memory != 4];
            assert_eq!(stored(&mut machine, 1), [u32::from(holds[code as usize])], "{code} {memory}");
            machine.assert_clean();
        }
    }
}

#[test]
fn a_conditional_end_without_the_compare_bit_does_nothing() {
    let mut machine = machine();
    machine.batch(&concat(&[&[0x1b00_0002, 4, 0, 0], &store(0, 1)]));
    assert_eq!(stored(&mut machine, 1), [1]);
}

#[test]
fn the_mask_mode_of_a_conditional_end_takes_mask_and_data_from_memory() {
    let [low, high] = split(OTHER);
    for (mask, goes_on) in [(0x0f, false), (0xff, true)] {
        let mut machine = machine();
        machine.load(Space::Ppgtt, OTHER, &[mask, 0xf0]);
        machine.batch(&concat(&[&[0x1b28_0002, 1, low, high], &store(0, 1)]));
        assert_eq!(stored(&mut machine, 1), [u32::from(goes_on)]);
    }
}

#[test]
fn a_conditional_end_ends_all_levels_unless_gen12_limits_it_to_one() {
    let [low, high] = split(DATA + 0x100);
    for (bit, expected) in [(0, 0), (1 << 18, 1)] {
        let mut machine = machine();
        machine.load(Space::Ppgtt, OTHER, &[0x1b20_0002 | bit, 0, low, high, BB_END]);
        assert_eq!(machine.batch(&concat(&[&second_level(OTHER), &store(0, 1)])), Outcome::RingEmpty);
        assert_eq!(stored(&mut machine, 1), [expected]);
    }
}

#[test]
fn context_restore_batches_run_privileged_and_end_by_size_or_by_their_end() {
    for (bytes, end) in [(Some(16), None), (None, Some(BB_END))] {
        let mut machine = machine();
        // A GGTT store, which only privileged code may do.
        let dwords = [0x1040_0002, 0x6_0000, 0, 42];
        machine.load(Space::Ggtt, GGTT_BATCH, &dwords);
        machine.load(Space::Ggtt, GGTT_BATCH + 16, &[end.unwrap_or(0xffff_ffff)]);
        machine.state = StreamState::context_batch(GGTT_BATCH as u32, bytes);
        assert_eq!(machine.run(), Outcome::RingEmpty);
        assert!(machine.state.is_idle());
        assert_eq!(machine.read(Space::Ggtt, 0x6_0000), 42);
        machine.assert_clean();
    }
}

// --- semaphores ---

const WAIT_PPGTT: u32 = 0x0e00_c002; // poll, ==

#[test]
fn a_satisfied_semaphore_passes_with_every_comparison() {
    for generation in GENERATIONS {
        for code in 0..6 {
            for memory in [3, 4, 5] {
                let mut machine = Machine::new(generation, BCS);
                machine.load(Space::Ppgtt, DATA, &[memory]);
                let outcome = machine.ring(&[0x0e00_8002 | code << 12, 4, DATA_LOW, DATA_HIGH]);
                let holds = [memory > 4, memory >= 4, memory < 4, memory <= 4, memory == 4, memory != 4];
                assert_eq!(outcome == Outcome::RingEmpty, holds[code as usize], "{code} {memory}");
                machine.assert_clean();
            }
        }
    }
}

#[test]
fn an_unsatisfied_semaphore_waits_with_details_and_passes_later() {
    let mut machine = machine();
    let Outcome::Waiting(wait) = machine.ring(&[WAIT_PPGTT, 7, DATA_LOW, DATA_HIGH]) else { panic!() };
    assert_eq!(wait.source, SemaphoreSource::Memory { space: Space::Ppgtt, address: DATA });
    assert_eq!((wait.compare, wait.data, wait.found, wait.poll), (Compare::Equal, 7, 0, true));
    assert!(wait.arbitration);
    assert_eq!(wait.position.address, u64::from(RING));
    assert_eq!(machine.bus.interrupts, [Interrupt::SemaphoreWait]);
    // Waiting on costs budget and no second interrupt.
    machine.load(Space::Ppgtt, DATA, &[6]);
    let Outcome::Waiting(wait) = machine.run() else { panic!() };
    assert_eq!(wait.found, 6);
    assert_eq!(machine.bus.interrupts.len(), 1);
    machine.load(Space::Ppgtt, DATA, &[7]);
    assert_eq!(machine.run(), Outcome::RingEmpty);
    assert!(machine.state.wait.is_none());
    let ends = machine.bus.events.iter().filter(|event| matches!(event, TraceEvent::WaitEnd { .. })).count();
    assert_eq!(ends, 1);
}

#[test]
fn the_golden_ggtt_poll_is_understood_in_both_forms() {
    let mut machine = machine();
    machine.load(Space::Ggtt, 0x6_0000, &[9]);
    assert_eq!(machine.ring(&[0x0e40_c002, 9, 0x6_0000, 0]), Outcome::RingEmpty);
    let outcome = machine.ring(&[0x0e40_c003, 8, 0x6_0000, 0, 0x3 << 5, 0]);
    let Outcome::Waiting(wait) = outcome else { panic!("{outcome:?}") };
    assert_eq!(wait.token, 3);
    machine.assert_clean();
}

#[test]
fn the_five_dword_form_before_gen12_and_reserved_token_bits_are_reported() {
    let mut old = Machine::new(Generation::Gen11, BCS);
    old.ring(&[WAIT_PPGTT + 1, 0, DATA_LOW, DATA_HIGH, 0]);
    old.assert_broken("Gen12 only");
    let mut new = machine();
    new.ring(&[WAIT_PPGTT + 1, 0, DATA_LOW, DATA_HIGH, 1]);
    new.assert_broken("wait token");
}

#[test]
fn register_polling_exists_since_gen9() {
    let poll = [0x0e01_c002, 5, 0x2_2600, 0];
    let mut old = Machine::new(Generation::Gen8, BCS);
    let Outcome::Error(error) = old.ring(&poll) else { panic!() };
    assert_eq!(error.kind, ErrorKind::BadField);
    let mut machine = Machine::new(Generation::Gen9, BCS);
    let Outcome::Waiting(wait) = machine.ring(&poll) else { panic!() };
    assert_eq!(wait.source, SemaphoreSource::Register(0x2_2600));
    assert!(machine.bus.interrupts.is_empty());
    machine.set_gpr(0, 5);
    assert_eq!(machine.run(), Outcome::RingEmpty);
}

#[test]
fn signal_mode_compares_again_only_after_a_signal() {
    let mut machine = Machine::new(Generation::Gen9, BCS);
    let Outcome::Waiting(wait) = machine.ring(&[0x0e00_4002, 7, DATA_LOW, DATA_HIGH]) else { panic!() };
    assert!(!wait.poll);
    machine.load(Space::Ppgtt, DATA, &[7]);
    assert!(matches!(machine.run(), Outcome::Waiting(_)));
    machine.state.signal_semaphore();
    assert_eq!(machine.run(), Outcome::RingEmpty);
}

#[test]
fn comparisons_6_and_7_hang() {
    let mut machine = machine();
    let Outcome::Error(error) = machine.ring(&[0x0e00_e002, 7, DATA_LOW, DATA_HIGH]) else { panic!() };
    assert_eq!(error.kind, ErrorKind::BadField);
}

// --- arbitration ---

#[test]
fn an_arbitration_point_yields_only_when_somebody_waits_and_arbitration_is_on() {
    let mut machine = machine();
    assert_eq!(machine.ring(&[0x0280_0000, 0]), Outcome::RingEmpty);
    machine.bus.preempt = true;
    assert_eq!(machine.ring(&concat(&[&[0x0280_0000, 0], &store(0, 1)])), Outcome::ArbitrationPoint);
    assert_eq!(stored(&mut machine, 1), [0]);
    assert_eq!(machine.run(), Outcome::RingEmpty);
    assert_eq!(stored(&mut machine, 1), [1]);
    // Off, check, on, check.
    assert_eq!(
        machine.ring(&[0x0400_0000, 0x0280_0000, 0x0400_0001, 0x0280_0000]),
        Outcome::ArbitrationPoint
    );
    assert!(machine.state.is_idle());
    assert!(machine.state.arbitration);
}

#[test]
fn arb_check_switches_the_pre_parser_on_gen12() {
    let mut machine = machine();
    machine.ring(&[0x0280_0101, 0]);
    assert!(machine.state.pre_parser_disabled);
    machine.ring(&[0x0280_0001, 0]);
    assert!(machine.state.pre_parser_disabled, "without the mask bit nothing changes");
    machine.ring(&[0x0280_0100, 0]);
    assert!(!machine.state.pre_parser_disabled);
    machine.assert_clean();
    let mut old = Machine::new(Generation::Gen11, BCS);
    old.ring(&[0x0280_0101, 0]);
    old.assert_broken("reserved header bits");
}

// --- predication ---

#[test]
fn set_predicate_skips_until_the_next_set_predicate() {
    let mut machine = Machine::new(Generation::Gen12, RCS);
    machine.ring(&concat(&[&[0x0080_000f], &store(0, 1), &[0x0080_0000], &store(1, 1)]));
    assert_eq!(stored(&mut machine, 2), [0, 1]);
    machine.assert_clean();
}

#[test]
fn set_predicate_looks_at_results_and_slices() {
    // (condition, result, result 2, slices) -> skipped
    let cases = [
        (1, 0, 0, 1, true),
        (1, 0, 1, 1, false),
        (2, 0, 1, 1, true),
        (2, 0, 0, 1, false),
        (3, 0, 0, 1, true),
        (3, 1, 0, 1, false),
        (4, 1, 0, 1, true),
        (4, 0, 0, 1, false),
        (5, 0, 0, 1, false),
        (5, 0, 0, 2, true),
        (6, 0, 0, 2, false),
        (7, 0, 0, 3, false),
        (7, 0, 0, 1, true),
    ];
    for (condition, result, result_2, slices, skipped) in cases {
        let mut machine = Machine::new(Generation::Gen9, RCS);
        machine.set_register(0x418, result);
        machine.set_register(0x3bc, result_2);
        machine.bus.slices = slices;
        machine.ring(&concat(&[&[0x0080_0000 | condition], &store(0, 1), &[0x0080_0000]]));
        assert_eq!(stored(&mut machine, 1), [u32::from(!skipped)], "condition {condition}");
    }
}

#[test]
fn skipped_commands_still_need_a_length_and_a_batch_end_in_the_scope_is_reported() {
    let mut machine = Machine::new(Generation::Gen9, RCS);
    assert_eq!(
        machine.batch(&concat(&[&[0x0080_000f, BB_END, 0x0080_0000], &store(0, 1)])),
        Outcome::RingEmpty
    );
    assert_eq!(stored(&mut machine, 1), [1]);
    machine.assert_broken("MI_SET_PREDICATE must end inside its batch");
    let mut unknown = Machine::new(Generation::Gen9, RCS);
    assert!(matches!(unknown.ring(&[0x0080_000f, 0x1f80_0000]), Outcome::Error(_)));
}

#[test]
fn predicate_compares_combines_and_loads() {
    let set = |machine: &mut Machine, relative, value: u64| {
        machine.set_register(relative, value as u32);
        machine.set_register(relative + 4, (value >> 32) as u32);
    };
    for header in 0..0x100_u32 {
        if header & !0xdb != 0 || header >> 6 & 3 == 1 {
            continue;
        }
        for (a, b, data, current) in
            [(5, 5, 0, 0), (5, 5, 0, 1), (9, 5, 4, 0), (9, 5, 5, 1), (0, 1 << 32, u64::MAX << 32, 1)]
        {
            let mut machine = Machine::new(Generation::Gen9, RCS);
            set(&mut machine, 0x400, a);
            set(&mut machine, 0x408, b);
            set(&mut machine, 0x410, data);
            machine.set_register(0x418, current);
            machine.ring(&[0x0600_0000 | header, 0]);
            let compared = [true, false, a == b, a.wrapping_sub(b) == data][(header & 3) as usize];
            let old = current == 1;
            let combined =
                [compared, compared && old, compared || old, compared != old][(header >> 3 & 3) as usize];
            let expected = [old, old, combined, !combined][(header >> 6) as usize];
            assert_eq!(machine.register(0x418), u32::from(expected), "{header:#x} {a} {b} {data}");
            machine.assert_clean();
        }
    }
}

// --- privilege ---

#[test]
fn a_non_privileged_batch_cannot_store_to_the_ggtt() {
    let commands: [&[u32]; 7] = [
        &[0x1040_0002, 0x6_0000, 0, 1],
        &[0x1240_0002, 0x2_2600, 0x6_0000, 0],
        &[0x14c0_0002, 0x2_2600, 0x6_0000, 0],
        &[0x1740_0003, DATA_LOW, DATA_HIGH, 0x6_0000, 0],
        &[0x1080_0001, 0x100, 1],
        &[0x1180_0002, 0x1000, 1, 0],
        &[0x0400_0000],
    ];
    for command in commands {
        let mut machine = machine();
        machine.bus.whitelist.insert(0x2_2600);
        machine.set_gpr(0, 99);
        machine.load(Space::Ggtt, 0x6_0000, &[55]);
        assert_eq!(machine.batch(command), Outcome::RingEmpty, "{:#x}", command[0]);
        assert_eq!(machine.bus.violations.len(), 1, "{:#x}", command[0]);
        assert_eq!(machine.bus.violations[0].0, command[0]);
        assert_eq!(machine.read(Space::Ggtt, 0x6_0000), 55);
        assert_eq!((machine.gpr(0), machine.read(Space::Ppgtt, DATA)), (99, 0));
        assert!(machine.bus.gtt_updates.is_empty() && machine.state.arbitration);
    }
}

#[test]
fn the_same_commands_work_in_a_privileged_batch() {
    let mut machine = machine();
    let dwords = concat(&[&[0x1040_0002, 0x6_0000, 0, 1], &[0x0400_0000]]);
    assert_eq!(machine.batch_in(Space::Ggtt, GGTT_BATCH, &dwords), Outcome::RingEmpty);
    assert_eq!(machine.read(Space::Ggtt, 0x6_0000), 1);
    assert!(!machine.state.arbitration);
    machine.assert_clean();
}

#[test]
fn ggtt_bits_that_the_hardware_ignores_are_reported_and_mean_the_ppgtt() {
    let mut machine = machine();
    machine.load(Space::Ppgtt, DATA, &[7]);
    machine.batch(&[0x0e40_c002, 7, DATA_LOW, DATA_HIGH]);
    machine.assert_broken("ignored in a non-privileged batch");
    assert!(machine.bus.violations.is_empty());
}

#[test]
fn a_non_privileged_batch_writes_whitelisted_registers_only() {
    let mut machine = machine();
    machine.bus.whitelist.insert(0x2_2600);
    machine.batch(&[0x1100_0003, 0x2_2600, 1, 0x2_2000, 2]);
    assert_eq!(machine.gpr(0), 1);
    assert_eq!(machine.register(0), 0);
    assert_eq!(machine.bus.violations.len(), 1);
}

#[test]
fn a_non_privileged_batch_may_write_nopid_but_not_the_ring() {
    let mut machine = machine();
    machine.batch(&[0x1100_0003, 0x2_2094, 5, 0x2_2030, 0x100]);
    assert_eq!(machine.state.noop_id, 5);
    assert_eq!(machine.bus.violations.len(), 1);
}

// --- prefetch ---

#[test]
fn a_batch_sees_its_own_stores_into_the_commands_ahead() {
    let mut machine = machine();
    // The store overwrites the NOOP behind it with a batch end; the store after that must not run.
    let [low, high] = split(BATCH + 16);
    machine.batch(&concat(&[&[0x1000_0002, low, high, BB_END], &[0], &store(0, 1)]));
    assert_eq!(stored(&mut machine, 1), [0]);
}

#[test]
fn a_long_batch_crosses_pages_and_is_fetched_in_windows() {
    let mut machine = machine();
    let mut dwords = vec![0; 3000];
    // A command that lies across the page boundary.
    dwords[1022..1026].copy_from_slice(&store(0, 77));
    machine.batch(&dwords);
    assert_eq!(stored(&mut machine, 1), [77]);
    assert!(machine.bus.fetches < 60, "{} fetches", machine.bus.fetches);
}
