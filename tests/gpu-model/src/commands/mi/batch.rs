// SPDX-License-Identifier: BSD-2-Clause
//! Starting and ending batches.
//!
//! The hardware has one place for the address of a first-level batch and one for a second-level batch, no stack
//! (PRM, MI_BATCH_BUFFER_START, "Second Level Batch Buffer"):
//!
//! | executed from | bit 22 | effect |
//! | --- | --- | --- |
//! | ring | 0 | first-level batch starts |
//! | first level | 0 | chain: the first-level batch is replaced |
//! | first level | 1 | second-level batch starts |
//! | second level | 1 | chain: the second-level batch is replaced |
//! | second level | 0 | the first-level batch is replaced, the second level is over |
//!
//! Gen12 with MI_MODE bit 12 instead nests: bit 22 goes one level deeper, clear means chain.

use super::super::bus::{CommandBus, Level, Privilege, Space, TraceEvent};
use super::super::exec::{Exec, Flow, Result, Stop, canonical};
use super::super::outcome::ErrorKind;
use super::super::state::Batch;
use super::{GGTT, compare_operation, is_gen12, strict_space};

/// MI_BATCH_BUFFER_START header bits, PRM vol 2a.
mod start {
    pub(super) const SECOND_LEVEL: u32 = 1 << 22;
    /// Gen12: executed by the POSH pipe only; the render streamer skips it.
    pub(super) const POSH_START: u32 = 1 << 21;
    pub(super) const ADD_OFFSET: u32 = 1 << 16;
    pub(super) const PREDICATE: u32 = 1 << 15;
    pub(super) const RESOURCE_STREAMER: u32 = 1 << 10;
    pub(super) const PPGTT: u32 = 1 << 8;
}
/// MI_CONDITIONAL_BATCH_BUFFER_END header bits, PRM vol 2a.
mod conditional {
    pub(super) const COMPARE: u32 = 1 << 21;
    pub(super) const MASK_MODE: u32 = 1 << 19;
    /// Gen12: only the current level ends.
    pub(super) const CURRENT_LEVEL: u32 = 1 << 18;
}
/// MI_MODE, PRM vol 2c.
const MI_MODE: u32 = 0x09c;
const MI_MODE_NESTED: u32 = 1 << 12;
/// MI_PREDICATE_RESULT_1; bit 0 clear skips a predicated batch start (PRM, MI_BATCH_BUFFER_START; IGT
/// gem_exec_fence uses it on every engine).
const PREDICATE_RESULT_1: u32 = 0x41c;

/// MI_BATCH_BUFFER_START.
pub(super) fn start<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [low, high] = exec.operands()?;
    let header = exec.header;
    if header & start::PREDICATE != 0 && exec.engine_register(PREDICATE_RESULT_1) & 1 == 0 {
        return Ok(Flow::Next);
    }
    if is_gen12(exec) && header & start::POSH_START != 0 {
        return Ok(Flow::Next);
    }
    if header & start::RESOURCE_STREAMER != 0 {
        exec.violation("the resource streamer bit must be 0", "PRM vol 2a", String::new());
    }
    let mut address = exec.plain_address(low, high, 3);
    if header & start::ADD_OFFSET != 0 {
        address = canonical(address.wrapping_add(u64::from(exec.state.batch_offset & !3)));
    }
    // A batch below a non-privileged batch is non-privileged whatever the bit says; the hardware enforces it.
    let space = match exec.privilege() {
        Privilege::Privileged if header & start::PPGTT == 0 => Space::Ggtt,
        _ => Space::Ppgtt,
    };
    let level = target_level(exec, header & start::SECOND_LEVEL != 0)?;
    let from = exec.position;
    // Where the caller goes on.
    let next = from.address.wrapping_add(u64::from(exec.length) * 4);
    exec.state.set_address(if from.level == Level::Ring { next } else { canonical(next) });
    let batch = Batch { valid: true, address, space };
    if level == Level::SecondBatch {
        exec.state.second = batch;
    } else {
        exec.state.batch = batch;
        exec.state.batch_end = u64::MAX;
        exec.state.second = Batch::NONE;
    }
    exec.window.drop();
    let to = exec.state.position();
    exec.bus.trace(TraceEvent::BatchStart { from, to });
    Ok(Flow::Jump)
}

/// Where the new batch's address goes.
fn target_level<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, bit: bool) -> Result<Level> {
    let level = exec.position.level;
    let nested =
        is_gen12(exec) && level != Level::Ring && exec.engine_register(MI_MODE) & MI_MODE_NESTED != 0;
    match (level, bit, nested) {
        (Level::Ring, false, _) | (Level::Batch, false, _) | (Level::SecondBatch, false, false) => {
            Ok(Level::Batch)
        }
        (Level::Batch, true, _) | (Level::SecondBatch, true, false) | (Level::SecondBatch, false, true) => {
            Ok(Level::SecondBatch)
        }
        (Level::Ring, true, _) => {
            Err(Stop::Error(ErrorKind::Nesting, "a second-level batch cannot be started from the ring"))
        }
        (Level::SecondBatch, true, true) => {
            Err(Stop::Error(ErrorKind::Nesting, "third-level batches are not part of this model"))
        }
    }
}

/// MI_BATCH_BUFFER_END.
pub(super) fn end<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Flow {
    match exec.position.level {
        Level::Ring => {
            exec.violation(
                "MI_BATCH_BUFFER_END belongs into a batch",
                "PRM, MI_BATCH_BUFFER_END",
                String::new(),
            );
            return Flow::Next;
        }
        Level::Batch => exec.state.batch.valid = false,
        Level::SecondBatch => exec.state.second.valid = false,
    }
    returned(exec)
}

/// A level ended; the state names the caller's next command already.
fn returned<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Flow {
    exec.window.drop();
    let at = exec.position;
    exec.bus.trace(TraceEvent::BatchEnd { at });
    Flow::Jump
}

/// MI_CONDITIONAL_BATCH_BUFFER_END.
pub(super) fn conditional_end<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [inline, low, high] = exec.operands()?;
    let header = exec.header;
    if header & conditional::COMPARE == 0 {
        return Ok(Flow::Next);
    }
    if exec.position.level == Level::Ring {
        exec.violation(
            "MI_CONDITIONAL_BATCH_BUFFER_END belongs into a batch",
            "PRM, MI_CONDITIONAL_BATCH_BUFFER_END",
            String::new(),
        );
        return Ok(Flow::Next);
    }
    let address = exec.address(low, high, 7);
    let Some(space) = strict_space(exec, header & GGTT != 0) else { return Ok(exec.deny()) };
    let mut memory = exec.read_u32(space, address)?;
    if header & conditional::MASK_MODE != 0 {
        memory &= exec.read_u32(space, address + 4)?;
    }
    // Before Gen12 the batch goes on while memory is greater; the field is reserved.
    let operation = compare_operation(if is_gen12(exec) { header >> 12 & 7 } else { 0 })?;
    if operation.holds(memory, inline) {
        return Ok(Flow::Next);
    }
    // All levels end, unless Gen12's bit 18 is set.
    if is_gen12(exec) && header & conditional::CURRENT_LEVEL != 0 {
        return Ok(end(exec));
    }
    exec.state.second.valid = false;
    exec.state.batch.valid = false;
    Ok(returned(exec))
}
