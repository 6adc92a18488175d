// SPDX-License-Identifier: BSD-2-Clause
//! MI_MATH and MI_ATOMIC against plain integer arithmetic.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

#[path = "commands_support/mod.rs"]
mod support;

use gpu_model::commands::{ErrorKind, Generation, Outcome, Space};
use proptest::prelude::*;
use support::{BCS, DATA, Machine, RCS, split};

const SRCA: u32 = 0x20;
const SRCB: u32 = 0x21;
const ACCU: u32 = 0x31;
const ZF: u32 = 0x32;
const CF: u32 = 0x33;

fn alu(opcode: u32, first: u32, second: u32) -> u32 {
    opcode << 20 | first << 10 | second
}

fn math(ops: &[u32]) -> Vec<u32> {
    let mut dwords = vec![0x0d00_0000 | (ops.len() as u32 - 1)];
    dwords.extend(ops);
    dwords
}

/// R2 = R0 op R1, R3 = ZF, R4 = CF.
fn binary(opcode: u32) -> Vec<u32> {
    math(&[
        alu(0x080, SRCA, 0),
        alu(0x080, SRCB, 1),
        alu(opcode, 0, 0),
        alu(0x180, 2, ACCU),
        alu(0x180, 3, ZF),
        alu(0x180, 4, CF),
    ])
}

fn flag(set: bool) -> u64 {
    if set { u64::MAX } else { 0 }
}

proptest! {
    #[test]
    fn math_agrees_with_64_bit_arithmetic(a: u64, b: u64, same: bool) {
        let b = if same { a } else { b };
        let results = [
            (0x100, a.wrapping_add(b), a.checked_add(b).is_none()),
            (0x101, a.wrapping_sub(b), a < b),
            (0x102, a & b, false),
            (0x103, a | b, false),
            (0x104, a ^ b, false),
        ];
        for (opcode, value, carry) in results {
            let mut machine = Machine::new(Generation::Gen9, RCS);
            machine.set_gpr(0, a);
            machine.set_gpr(1, b);
            prop_assert_eq!(machine.ring(&binary(opcode)), Outcome::RingEmpty);
            prop_assert_eq!(machine.gpr(2), value);
            prop_assert_eq!(machine.gpr(3), flag(value == 0));
            prop_assert_eq!(machine.gpr(4), flag(carry));
            machine.assert_clean();
        }
    }

    #[test]
    fn inverting_and_constant_loads_agree_with_their_names(a: u64) {
        let mut machine = Machine::new(Generation::Gen12, BCS);
        machine.set_gpr(15, a);
        machine.ring(&math(&[
            alu(0x480, SRCA, 15), alu(0x081, SRCB, 0), alu(0x103, 0, 0), alu(0x180, 0, ACCU), alu(0x580, 1, ACCU),
            alu(0x481, SRCB, 0), alu(0x102, 0, 0), alu(0x180, 2, ACCU), alu(0x580, 3, ZF), alu(0x000, 0, 0),
        ]));
        prop_assert_eq!(machine.gpr(0), !a);
        prop_assert_eq!(machine.gpr(1), a);
        prop_assert_eq!(machine.gpr(2), !a);
        prop_assert_eq!(machine.gpr(3), flag(a != u64::MAX));
        machine.assert_clean();
    }

    #[test]
    fn atomics_agree_with_integer_arithmetic(
        memory: u128, first: u128, second: u128, code in 1_u32..16, size_code in 0_u32..3,
        inline: bool, returns: bool, equal: bool, contention in 0_u32..3,
    ) {
        let size = 4_usize << size_code;
        let mask = if size == 16 { u128::MAX } else { (1 << (8 * size)) - 1 };
        let (memory, second) = (memory & mask, second & mask);
        let first = if equal { memory } else { first & mask };
        let mut machine = Machine::new(Generation::Gen12, RCS);
        machine.bus.contention = contention;
        machine.set_bytes(Space::Ppgtt, DATA, &memory.to_le_bytes());
        for number in 0..8 {
            machine.set_gpr(number, 0xeeee_eeee_eeee_eeee);
        }
        let [low, high] = split(DATA);
        let header = 0x1780_0000 | size_code << 19 | (code | size_code << 5) << 8 | u32::from(returns) << 16;
        let dword = |value: u128, index: u32| (value >> (32 * index)) as u32;
        let mut command = vec![header | 1, low, high];
        if inline {
            command[0] = header | 9 | 1 << 18;
            for index in 0..4 {
                command.extend([dword(first, index), dword(second, index)]);
            }
        } else {
            machine.set_gpr(0, first as u64);
            machine.set_gpr(1, (first >> 64) as u64);
            machine.set_gpr(2, second as u64);
            machine.set_gpr(3, (second >> 64) as u64);
        }
        prop_assert_eq!(machine.ring(&command), Outcome::RingEmpty);
        machine.assert_clean();

        // What the interference adds before the operation succeeds.
        let old = (memory & !0xff) | ((memory & 0xff) + u128::from(contention)) & 0xff;
        let shift = 128 - 8 * size;
        let signed = |value: u128| (value << shift) as i128 >> shift;
        let new = match code {
            1 => old & first,
            2 => old | first,
            3 => old ^ first,
            4 => first,
            5 => old.wrapping_add(1),
            6 | 15 => old.wrapping_sub(1),
            7 => old.wrapping_add(first),
            8 => old.wrapping_sub(first),
            9 => first.wrapping_sub(old),
            10 => if signed(first) > signed(old) { first } else { old },
            11 => if signed(first) < signed(old) { first } else { old },
            12 => first.max(old),
            13 => first.min(old),
            _ => if first == old { second } else { old },
        } & mask;
        let mut bytes = [0; 16];
        bytes[..size].copy_from_slice(&machine.bytes(Space::Ppgtt, DATA, size));
        prop_assert_eq!(u128::from_le_bytes(bytes), new);
        if size < 16 {
            let beyond = machine.bytes(Space::Ppgtt, DATA + size as u64, 16 - size);
            prop_assert!(beyond.iter().all(|&byte| byte == 0));
        }

        let returned = if code == 15 { new } else { old };
        let keep = 0xeeee_eeee_eeee_eeee_u64;
        let expected = match (returns, size) {
            (false, _) => (keep, keep),
            (true, 4) => (keep & !0xffff_ffff | returned as u64, keep),
            (true, 8) => (returned as u64, keep),
            (true, _) => (returned as u64, (returned >> 64) as u64),
        };
        prop_assert_eq!((machine.gpr(4), machine.gpr(5)), expected);
    }
}

#[test]
fn impossible_alu_instructions_hang() {
    for op in [
        alu(0x105, 0, 0),
        alu(0xfff, 0, 0),
        alu(0x080, 0x22, 0),
        alu(0x080, SRCA, 0x10),
        alu(0x180, 0x10, ACCU),
        alu(0x180, 0, SRCA),
    ] {
        let mut machine = Machine::new(Generation::Gen12, RCS);
        let Outcome::Error(error) = machine.ring(&math(&[0, op, 0])) else { panic!("{op:#x}") };
        assert_eq!(error.kind, ErrorKind::BadField);
    }
}

#[test]
fn an_increment_without_operands_increments_a_dword_or_a_qword() {
    let [low, high] = split(DATA);
    for (header, expected) in [(0x1780_0501, 1_u64), (0x1788_2501, 0x1_0000_0000)] {
        let mut machine = Machine::new(Generation::Gen9, BCS);
        if expected > 1 {
            machine.load(Space::Ppgtt, DATA, &[0xffff_ffff]);
        }
        machine.ring(&[header, low, high]);
        assert_eq!(machine.read_u64(Space::Ppgtt, DATA), expected);
        machine.assert_clean();
    }
}

#[test]
fn a_post_sync_atomic_takes_a_qword_or_a_dword_pair() {
    let [low, high] = split(DATA);
    let mut machine = Machine::new(Generation::Gen9, RCS);
    machine.ring(&[0x1780_0003 | 1 << 21 | 1 << 18 | 1 << 19 | 0x24 << 8, low, high, 1, 2]);
    assert_eq!(machine.read_u64(Space::Ppgtt, DATA), 2 << 32 | 1);
    machine.ring(&[0x1780_0003 | 1 << 21 | 1 << 18 | 0xe << 8, low, high, 1, 7]);
    assert_eq!(machine.read_u64(Space::Ppgtt, DATA), 2 << 32 | 7);
    machine.assert_clean();
    machine.ring(&[0x1780_0003 | 1 << 21 | 1 << 18 | 1 << 16 | 0x7 << 8, low, high, 1, 0]);
    machine.assert_broken("post-sync atomic");
}

#[test]
fn wrong_atomics_are_reported_or_hang() {
    let [low, high] = split(DATA);
    let mut group = Machine::new(Generation::Gen9, RCS);
    group.ring(&[0x1780_2501, low, high]);
    group.assert_broken("group must match");
    let mut aligned = Machine::new(Generation::Gen9, RCS);
    aligned.ring(&[0x1788_2501, low + 4, high]);
    aligned.assert_broken("aligned");
    let mut ggtt = Machine::new(Generation::Gen9, RCS);
    ggtt.batch(&[0x17c0_0501, low, high]);
    ggtt.assert_broken("ignored in a non-privileged batch");
    let mut long = Machine::new(Generation::Gen9, RCS);
    long.ring(&[0x1780_0503, low, high, 0, 0]);
    long.assert_broken("three dwords");
    for (header, kind) in [
        (0x1798_0501, ErrorKind::BadField),
        (0x1780_0001, ErrorKind::BadField),
        (0x1780_9501, ErrorKind::BadField),
        (0x1784_0501, ErrorKind::BadLength),
    ] {
        let mut machine = Machine::new(Generation::Gen9, RCS);
        let Outcome::Error(error) = machine.ring(&[header, low, high]) else { panic!("{header:#x}") };
        assert_eq!(error.kind, kind, "{header:#x}");
    }
}

#[test]
fn an_atomic_under_endless_contention_gives_way_and_is_tried_again() {
    let [low, high] = split(DATA);
    let mut machine = Machine::new(Generation::Gen9, RCS);
    machine.bus.contention = 1000;
    machine.submit(&[0x1780_0501, low, high, 0]);
    let step = machine.state.step(&mut machine.bus, 100);
    assert_eq!((step.executed, step.outcome), (0, Outcome::BudgetSpent));
    machine.bus.contention = 0;
    let before = machine.read(Space::Ppgtt, DATA);
    assert_eq!(machine.run(), Outcome::RingEmpty);
    assert_eq!(machine.read(Space::Ppgtt, DATA), before + 1);
}
