// SPDX-License-Identifier: BSD-2-Clause
//! Arbitrary streams: the interpreter never panics, never leaves the bus' contract (the test bus asserts it),
//! and never does more work than its budget.
//!
//! `PROPTEST_CASES=1000000 cargo test -p gpu-model --test commands_fuzz` fuzzes for longer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

#[path = "commands_support/mod.rs"]
mod support;

use gpu_model::commands::{Engine, EngineClass, Generation, Outcome, Space, StreamState};
use proptest::prelude::*;
use support::{BATCH, BCS, DATA, GENERATIONS, Machine, RCS, RING_SIZE, VCS2, bb_start};

const VECS: Engine = Engine { class: EngineClass::VideoEnhance, instance: 0, base: 0x1c_8000 };
const CCS: Engine = Engine { class: EngineClass::Compute, instance: 0, base: 0x1_a000 };

/// A dword that often means something.
fn dword() -> impl Strategy<Value = u32> {
    let mi = (0..64_u32, 0..8_u32, any::<u32>())
        .prop_map(|(opcode, length, bits)| opcode << 23 | bits & 0x007f_ff00 | length);
    let blit = (
        prop_oneof![Just(0x50_u32), Just(0x53), Just(0x41), Just(0x42), Just(0x03), 0..128_u32],
        0..12_u32,
        any::<u32>(),
    )
        .prop_map(|(opcode, length, bits)| 2 << 29 | opcode << 22 | bits & 0x003f_ff00 | length);
    let render = (0..0x2000_u32, 0..8_u32).prop_map(|(key, length)| 3 << 29 | key << 16 | length);
    let register = (0..0x400_u32).prop_map(|offset| 0x2_2000 + 4 * offset);
    prop_oneof![
        4 => mi,
        3 => blit,
        1 => render,
        2 => Just(DATA as u32),
        2 => Just((DATA >> 32) as u32),
        1 => Just(BATCH as u32),
        1 => register,
        2 => 0..0x40_u32,
        1 => (0..0x40_u32, 0..0x40_u32).prop_map(|(y, x)| y << 16 | x),
        1 => any::<u32>(),
        1 => Just(u32::MAX),
        1 => Just(0),
    ]
}

fn engine() -> impl Strategy<Value = Engine> {
    prop_oneof![3 => Just(BCS), 2 => Just(RCS), 1 => Just(VCS2), 1 => Just(VECS), 1 => Just(CCS)]
}

/// Steps a while; every step obeys its budget.
fn drive(machine: &mut Machine, budget: u64) -> Result<(), TestCaseError> {
    for round in 0..60 {
        let before = machine.state.clone();
        let step = machine.state.step(&mut machine.bus, budget);
        prop_assert!(step.executed <= budget, "{step:?}");
        match step.outcome {
            Outcome::RingEmpty => return Ok(()),
            Outcome::BudgetSpent | Outcome::ArbitrationPoint => {}
            Outcome::Waiting(_) => {
                // Signals and time pass.
                machine.state.signal_semaphore();
                if round > 20 {
                    return Ok(());
                }
            }
            Outcome::Error(error) => {
                let again = machine.state.step(&mut machine.bus, budget);
                prop_assert_eq!(again.outcome, Outcome::Error(error));
                return Ok(());
            }
            Outcome::Fault(_) => {
                prop_assert!(step.executed > 0 || before.level() == machine.state.level());
                return Ok(());
            }
            Outcome::Reset => prop_assert!(false, "this bus resets nothing"),
        }
    }
    Ok(())
}

/// Cases of each property; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(4000), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn arbitrary_rings_and_batches_end_in_an_outcome(
        dwords in proptest::collection::vec(dword(), 1..80), generation in 0..4_usize, engine in engine(),
        place in 0..3_u32, budget in 1..400_u64, preempt: bool, mode: u32,
    ) {
        let mut machine = Machine::new(GENERATIONS[generation], engine);
        machine.bus.preempt = preempt;
        machine.bus.whitelist.extend((0..0x400).map(|register| engine.base + 4 * register));
        machine.set_register(0x9c, mode);
        machine.set_register(0x200, mode);
        machine.set_register(0x41c, mode);
        match place {
            0 => machine.submit(&dwords),
            1 => {
                machine.load(Space::Ppgtt, BATCH, &dwords);
                machine.submit(&bb_start(Space::Ppgtt, BATCH));
            }
            _ => {
                machine.load(Space::Ggtt, 0x5_0000, &dwords);
                machine.submit(&bb_start(Space::Ggtt, 0x5_0000));
            }
        }
        drive(&mut machine, budget)?;
    }

    #[test]
    fn uniformly_random_dwords_end_in_an_outcome(
        dwords in proptest::collection::vec(any::<u32>(), 1..64), generation in 0..4_usize, engine in engine(),
    ) {
        let mut machine = Machine::new(GENERATIONS[generation], engine);
        machine.submit(&dwords);
        drive(&mut machine, 200)?;
    }

    #[test]
    fn arbitrary_stream_registers_end_in_an_outcome(
        values in proptest::collection::vec((0..0x400_u32, any::<u32>()), 0..20),
        addresses in any::<(u64, u64)>(), ring in (any::<u32>(), any::<u32>(), any::<u32>(), 0..0x20_0000_u32), budget in 0..100_u64,
    ) {
        let mut machine = Machine::new(Generation::Gen12, RCS);
        (machine.state.batch.address, machine.state.second.address) = addresses;
        (machine.state.start, machine.state.head, machine.state.tail, machine.state.control) = ring;
        for (register, value) in values {
            machine.state.write_register(4 * register, value, u32::MAX);
        }
        // What was written can be saved and restored.
        let mut restored = StreamState::new();
        for register in 0..0x400 {
            if let Some(value) = machine.state.read_register(4 * register) {
                restored.write_register(4 * register, value, u32::MAX);
            }
        }
        prop_assert_eq!(restored.read_register(0x140), machine.state.read_register(0x140));
        drive(&mut machine, budget.max(1))?;
    }

    #[test]
    fn any_budget_leads_to_the_same_end(
        dwords in proptest::collection::vec(dword(), 1..40), budget in 1..30_u64,
    ) {
        let run = |budget| {
            let mut machine = Machine::new(Generation::Gen12, BCS);
            machine.submit(&dwords);
            let mut outcome = Outcome::BudgetSpent;
            for _ in 0..90_000 / budget + 1 {
                outcome = machine.state.step(&mut machine.bus, budget).outcome;
                if outcome != Outcome::BudgetSpent {
                    break;
                }
            }
            (outcome, machine.state, machine.bus.reports.len())
        };
        let (small, large) = (run(budget), run(100_000));
        // A stream that runs for ever has no end to compare.
        if small.0 != Outcome::BudgetSpent && large.0 != Outcome::BudgetSpent {
            prop_assert_eq!(small, large);
        }
    }
}

#[test]
fn a_full_ring_of_every_single_dword_header_ends() {
    for generation in GENERATIONS {
        for opcode in 0..64_u32 {
            let mut machine = Machine::new(generation, RCS);
            let dwords = vec![opcode << 23; (RING_SIZE / 4 - 16) as usize];
            machine.submit(&dwords);
            drive(&mut machine, 10_000).unwrap();
        }
    }
}
