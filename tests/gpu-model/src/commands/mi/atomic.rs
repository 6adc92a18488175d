// SPDX-License-Identifier: BSD-2-Clause
//! MI_ATOMIC (PRM vol 2a; operand sources and post-sync limits: PRM, MI_ATOMIC).

use super::super::bus::CommandBus;
use super::super::exec::{Exec, Flow, Result, Stop};
use super::super::outcome::ErrorKind;
use super::math::{read_gpr, write_gpr};
use super::{GGTT, lenient_space};

/// Header bits.
mod bits {
    pub(super) const POST_SYNC: u32 = 1 << 21;
    pub(super) const INLINE: u32 = 1 << 18;
    pub(super) const RETURN_DATA: u32 = 1 << 16;
}
/// Operation codes of the dword group; the qword group adds 0x20, the octword group 0x40.
mod operation {
    pub(super) const AND: u32 = 0x1;
    pub(super) const OR: u32 = 0x2;
    pub(super) const XOR: u32 = 0x3;
    pub(super) const MOVE: u32 = 0x4;
    pub(super) const INCREMENT: u32 = 0x5;
    pub(super) const DECREMENT: u32 = 0x6;
    pub(super) const ADD: u32 = 0x7;
    pub(super) const SUB: u32 = 0x8;
    pub(super) const REVERSE_SUB: u32 = 0x9;
    pub(super) const SIGNED_MAX: u32 = 0xa;
    pub(super) const SIGNED_MIN: u32 = 0xb;
    pub(super) const MAX: u32 = 0xc;
    pub(super) const MIN: u32 = 0xd;
    pub(super) const COMPARE_WRITE: u32 = 0xe;
    pub(super) const PRE_DECREMENT: u32 = 0xf;
}
/// Attempts before the command gives way to a CPU that changes the same memory all the time. The command is then
/// tried again in the next step.
const ATTEMPTS: u32 = 64;
const SOURCE: &str = "PRM, MI_ATOMIC";

/// Operands of one operation, in the low `size` bytes.
struct Operands {
    first: u128,
    second: u128,
}

/// MI_ATOMIC.
pub(super) fn execute<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [low, high] = exec.operands()?;
    let header = exec.header;
    let size: usize = match header >> 19 & 3 {
        0 => 4,
        1 => 8,
        2 => 16,
        _ => return Err(Stop::Error(ErrorKind::BadField, "data size 3 does not exist")),
    };
    let opcode = header >> 8 & 0xff;
    let group = match size {
        4 => 0x00,
        8 => 0x20,
        _ => 0x40,
    };
    let code = opcode & 0xf;
    if code == 0 || opcode & 0x90 != 0 {
        return Err(Stop::Error(ErrorKind::BadField, "this atomic opcode does not exist"));
    }
    if opcode & 0x60 != group {
        exec.violation("the opcode's group must match the data size", SOURCE, format!("opcode {opcode:#x}"));
    }
    // CAST: 3, 7 or 15.
    #[expect(clippy::cast_possible_truncation, reason = "CAST: 3, 7 or 15")]
    let address = exec.address(low, high, size as u32 - 1);
    let operands = operands(exec, size, code)?;
    let space = lenient_space(exec, header & GGTT != 0);

    let mut bytes = [0; 16];
    exec.read(space, address, &mut bytes[..size])?;
    let mut old = u128::from_le_bytes(bytes);
    let mut attempts = 0;
    let returned = loop {
        let (new, returned) = compute(code, size, old, &operands);
        let found = exec.bus.compare_exchange(space, address, size, old, new)?;
        if found == old {
            break returned;
        }
        old = found & mask(size);
        attempts += 1;
        if attempts == ATTEMPTS {
            return Err(Stop::Budget);
        }
    };
    exec.window.written(space, address, size as u64);
    if header & bits::RETURN_DATA != 0 {
        return_data(exec, size, returned)?;
    }
    Ok(Flow::Next)
}

/// Operands from the command or from GPR0 to GPR3.
fn operands<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, size: usize, code: u32) -> Result<Operands> {
    let compare = code == operation::COMPARE_WRITE;
    if exec.header & bits::POST_SYNC != 0 {
        return post_sync_operands(exec, size, compare);
    }
    if exec.header & bits::INLINE == 0 {
        if exec.length != 3 {
            exec.violation("without inline data the command has three dwords", SOURCE, String::new());
        }
        let wide = |low: u64, high: u64| u128::from(low) | u128::from(high) << 64;
        let first = wide(read_gpr(exec, 0)?, read_gpr(exec, 1)?);
        let second = wide(read_gpr(exec, 2)?, read_gpr(exec, 3)?);
        return Ok(Operands { first: first & mask(size), second: second & mask(size) });
    }
    // dw3 is the first dword of operand 1, dw4 that of operand 2, and so on alternately.
    let words = match size {
        4 => 1,
        8 => 2,
        _ => 4,
    };
    if exec.length < 3 + 2 * words {
        return Err(Stop::Error(ErrorKind::BadLength, "the inline operands do not fit into the length"));
    }
    let (mut first, mut second) = (0, 0);
    for word in 0..words {
        first |= u128::from(exec.operand(3 + 2 * word)?) << (32 * word);
        second |= u128::from(exec.operand(4 + 2 * word)?) << (32 * word);
    }
    Ok(Operands { first, second })
}

/// The post-sync form: inline data only; dw3 and dw4 are one qword, or the two dwords of a compare-write.
fn post_sync_operands<B: CommandBus + ?Sized>(
    exec: &mut Exec<'_, B>,
    size: usize,
    compare: bool,
) -> Result<Operands> {
    if exec.header & bits::INLINE == 0
        || exec.header & bits::RETURN_DATA != 0
        || size == 16
        || (compare && size == 8)
    {
        exec.violation(
            "a post-sync atomic has inline data, no return data, and dwords or (not for compare) qwords",
            SOURCE,
            String::new(),
        );
    }
    if exec.length < 5 {
        return Err(Stop::Error(ErrorKind::BadLength, "the inline operands do not fit into the length"));
    }
    let (low, high) = (u128::from(exec.operand(3)?), u128::from(exec.operand(4)?));
    Ok(if compare {
        Operands { first: low, second: high }
    } else {
        Operands { first: (low | high << 32) & mask(size), second: 0 }
    })
}

/// New memory value and returned value. The returned value is the old one, but for pre-decrement the new one
/// (PRM, L3 atomics).
fn compute(code: u32, size: usize, old: u128, operands: &Operands) -> (u128, u128) {
    let (first, second) = (operands.first, operands.second);
    let signed = |value: u128| {
        let shift = 128 - 8 * size;
        (value << shift).cast_signed() >> shift
    };
    let new = match code {
        operation::AND => old & first,
        operation::OR => old | first,
        operation::XOR => old ^ first,
        operation::MOVE => first,
        operation::INCREMENT => old.wrapping_add(1),
        operation::DECREMENT | operation::PRE_DECREMENT => old.wrapping_sub(1),
        operation::ADD => old.wrapping_add(first),
        operation::SUB => old.wrapping_sub(first),
        operation::REVERSE_SUB => first.wrapping_sub(old),
        operation::SIGNED_MAX => {
            if signed(old) > signed(first) {
                old
            } else {
                first
            }
        }
        operation::SIGNED_MIN => {
            if signed(old) < signed(first) {
                old
            } else {
                first
            }
        }
        operation::MAX => old.max(first),
        operation::MIN => old.min(first),
        operation::COMPARE_WRITE => {
            if old == first {
                second
            } else {
                old
            }
        }
        _ => old,
    } & mask(size);
    (new, if code == operation::PRE_DECREMENT { new } else { old })
}

/// Returned data goes to GPR4, of octwords also to GPR5; a dword leaves GPR4's upper half.
fn return_data<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, size: usize, value: u128) -> Result<()> {
    // CAST: the two halves.
    #[expect(clippy::cast_possible_truncation, reason = "CAST: the two halves")]
    let (low, high) = (value as u64, (value >> 64) as u64);
    let low = if size == 4 { read_gpr(exec, 4)? & !0xffff_ffff | low } else { low };
    write_gpr(exec, 4, low)?;
    if size == 16 {
        write_gpr(exec, 5, high)?;
    }
    Ok(())
}

/// Mask of `size` bytes.
const fn mask(size: usize) -> u128 {
    if size >= 16 { u128::MAX } else { (1 << (8 * size)) - 1 }
}
