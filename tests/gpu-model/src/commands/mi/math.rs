// SPDX-License-Identifier: BSD-2-Clause
//! MI_MATH: the 64-bit ALU above the general purpose registers (PRM vol 2a).

use super::super::bus::CommandBus;
use super::super::exec::{Exec, Flow, Result, Stop};
use super::super::outcome::ErrorKind;

/// General purpose register 0, relative to the engine; 64 bits each (PRM vol 2c).
pub(super) const GPR: u32 = 0x600;

/// ALU opcodes, bits [31:20] of an ALU dword.
mod alu {
    pub(super) const NOOP: u32 = 0x000;
    pub(super) const LOAD: u32 = 0x080;
    pub(super) const LOAD0: u32 = 0x081;
    pub(super) const ADD: u32 = 0x100;
    pub(super) const SUB: u32 = 0x101;
    pub(super) const AND: u32 = 0x102;
    pub(super) const OR: u32 = 0x103;
    pub(super) const XOR: u32 = 0x104;
    pub(super) const STORE: u32 = 0x180;
    pub(super) const LOADINV: u32 = 0x480;
    pub(super) const LOAD1: u32 = 0x481;
    pub(super) const STOREINV: u32 = 0x580;
}
/// ALU operands.
mod operand {
    pub(super) const LAST_GPR: u32 = 0x0f;
    pub(super) const SRCA: u32 = 0x20;
    pub(super) const SRCB: u32 = 0x21;
    pub(super) const ACCU: u32 = 0x31;
    pub(super) const ZF: u32 = 0x32;
    pub(super) const CF: u32 = 0x33;
}

/// State of the ALU during one command.
#[derive(Default)]
struct Alu {
    a: u64,
    b: u64,
    accumulator: u64,
    zero: bool,
    carry: bool,
}

const BAD_OPERAND: Stop = Stop::Error(ErrorKind::BadField, "the ALU has no such operand here");

/// MI_MATH.
pub(super) fn execute<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let mut state = Alu::default();
    for index in 1..exec.length {
        let dword = exec.operand(index)?;
        let (opcode, first, second) = (dword >> 20, dword >> 10 & 0x3ff, dword & 0x3ff);
        match opcode {
            alu::NOOP => {}
            alu::LOAD | alu::LOADINV => {
                let value = read_gpr(exec, second)?;
                state.load(first, if opcode == alu::LOAD { value } else { !value })?;
            }
            alu::LOAD0 => state.load(first, 0)?,
            alu::LOAD1 => state.load(first, u64::MAX)?,
            alu::STORE | alu::STOREINV => {
                let value = state.result(second)?;
                write_gpr(exec, first, if opcode == alu::STORE { value } else { !value })?;
            }
            _ => state.compute(opcode)?,
        }
    }
    Ok(Flow::Next)
}

impl Alu {
    fn load(&mut self, source: u32, value: u64) -> Result<()> {
        match source {
            operand::SRCA => self.a = value,
            operand::SRCB => self.b = value,
            _ => return Err(BAD_OPERAND),
        }
        Ok(())
    }

    fn result(&self, code: u32) -> Result<u64> {
        let flag = |set| if set { u64::MAX } else { 0 };
        match code {
            operand::ACCU => Ok(self.accumulator),
            operand::ZF => Ok(flag(self.zero)),
            operand::CF => Ok(flag(self.carry)),
            _ => Err(BAD_OPERAND),
        }
    }

    fn compute(&mut self, opcode: u32) -> Result<()> {
        let (value, carry) = match opcode {
            alu::ADD => self.a.overflowing_add(self.b),
            // The carry of a subtraction is its borrow.
            alu::SUB => self.a.overflowing_sub(self.b),
            alu::AND => (self.a & self.b, false),
            alu::OR => (self.a | self.b, false),
            alu::XOR => (self.a ^ self.b, false),
            _ => {
                return Err(Stop::Error(
                    ErrorKind::BadField,
                    "the ALU has no such opcode on this generation",
                ));
            }
        };
        (self.accumulator, self.carry, self.zero) = (value, carry, value == 0);
        Ok(())
    }
}

/// Reads general purpose register `number`.
pub(super) fn read_gpr<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, number: u32) -> Result<u64> {
    if number > operand::LAST_GPR {
        return Err(BAD_OPERAND);
    }
    let low = exec.engine_register(GPR + 8 * number);
    let high = exec.engine_register(GPR + 8 * number + 4);
    Ok(u64::from(low) | u64::from(high) << 32)
}

/// Writes general purpose register `number`.
pub(super) fn write_gpr<B: CommandBus + ?Sized>(
    exec: &mut Exec<'_, B>,
    number: u32,
    value: u64,
) -> Result<()> {
    if number > operand::LAST_GPR {
        return Err(BAD_OPERAND);
    }
    // CAST: the two halves.
    #[expect(clippy::cast_possible_truncation, reason = "CAST: the two halves")]
    let (low, high) = (value as u32, (value >> 32) as u32);
    exec.set_engine_register(GPR + 8 * number, low);
    exec.set_engine_register(GPR + 8 * number + 4, high);
    Ok(())
}
