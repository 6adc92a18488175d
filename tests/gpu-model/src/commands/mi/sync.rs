// SPDX-License-Identifier: BSD-2-Clause
//! Semaphores, arbitration and predication.

use super::super::bus::{CommandBus, Interrupt, Privilege, TraceEvent};
use super::super::exec::{Exec, Flow, REGISTER_OFFSET, Result, Stop};
use super::super::outcome::{ErrorKind, SemaphoreSource, SemaphoreWait};
use super::{compare_operation, is_gen12, lenient_space};

/// MI_SEMAPHORE_WAIT header bits, PRM vol 2a.
mod wait {
    pub(super) const GGTT: u32 = 1 << 22;
    pub(super) const REGISTER_POLL: u32 = 1 << 16;
    pub(super) const POLL: u32 = 1 << 15;
}
/// Predicate registers, relative to the engine, PRM vol 2c.
mod predicate_register {
    pub(super) const RESULT_2: u32 = 0x3bc;
    pub(super) const SRC0: u32 = 0x400;
    pub(super) const SRC1: u32 = 0x408;
    pub(super) const DATA: u32 = 0x410;
    pub(super) const RESULT: u32 = 0x418;
}

/// MI_SEMAPHORE_WAIT.
pub(super) fn semaphore_wait<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let header = exec.header;
    let [data, low, high] = exec.operands()?;
    let token = semaphore_token(exec)?;
    let compare = compare_operation(header >> 12 & 7)?;
    let register_poll = header & wait::REGISTER_POLL != 0;
    // Register polling exists since Gen9 and always polls.
    if register_poll && exec.generation == super::Generation::Gen8 {
        return Err(Stop::Error(ErrorKind::BadField, "register poll mode does not exist on Gen8"));
    }
    let poll = register_poll || header & wait::POLL != 0;
    let source = if register_poll {
        SemaphoreSource::Register(low & REGISTER_OFFSET)
    } else {
        let space = lenient_space(exec, header & wait::GGTT != 0);
        SemaphoreSource::Memory { space, address: exec.address(low, high, 3) }
    };
    let waiting = exec.state.wait.is_some_and(|wait| wait.position == exec.position);
    if waiting && !poll && !exec.state.signalled {
        return Err(still_waiting(exec));
    }
    exec.state.signalled = false;
    let found = match source {
        SemaphoreSource::Memory { space, address } => exec.read_u32(space, address)?,
        SemaphoreSource::Register(offset) => match exec.read_register(offset, exec.privilege()) {
            Ok(value) => value,
            Err(_) => return Ok(exec.deny()),
        },
    };
    let position = exec.position;
    if compare.holds(found, data) {
        if waiting {
            exec.bus.trace(TraceEvent::WaitEnd { at: position });
        }
        exec.state.wait = None;
        return Ok(Flow::Next);
    }
    if !waiting {
        exec.bus.trace(TraceEvent::WaitBegin { at: position });
        // No interrupt in register poll mode (PRM, MI_SEMAPHORE_WAIT).
        if !register_poll {
            exec.bus.interrupt(Interrupt::SemaphoreWait);
        }
    }
    exec.state.wait = Some(SemaphoreWait {
        position,
        source,
        compare,
        data,
        found,
        poll,
        token,
        arbitration: exec.state.arbitration,
    });
    Err(still_waiting(exec))
}

fn still_waiting<B: ?Sized>(exec: &mut Exec<'_, B>) -> Stop {
    exec.window.drop();
    Stop::Wait
}

/// The wait token of the 5-dword form, dw4 bits [9:5].
fn semaphore_token<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<u8> {
    if exec.length < 5 {
        return Ok(0);
    }
    if !is_gen12(exec) {
        exec.violation(
            "the 5-dword form exists on Gen12 only",
            "PRM TGL vol 2a, MI_SEMAPHORE_WAIT",
            String::new(),
        );
        return Ok(0);
    }
    let dword = exec.operand(4)?;
    if dword & !0x3e0 != 0 {
        exec.violation(
            "dword 4 holds nothing but the wait token in bits [9:5]",
            "PRM TGL vol 2a, MI_SEMAPHORE_WAIT",
            format!("{dword:#x}"),
        );
    }
    // CAST: five bits.
    Ok((dword >> 5 & 0x1f) as u8)
}

/// MI_SEMAPHORE_SIGNAL.
pub(super) fn semaphore_signal<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [context] = exec.operands()?;
    // CAST: four bits at most. Target engine: [17:15] before Gen12 (PRM vol 2a), up to bit 18 in genxml.
    let target = (exec.header >> 15 & 0xf) as u8;
    exec.bus.signal_semaphore(target, context);
    Ok(Flow::Next)
}

/// MI_ARB_CHECK: an arbitration point; on Gen12 also the switch of the pre-parser (masked, bit 8 over bit 0).
pub(super) fn arb_check<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Flow {
    if is_gen12(exec) && exec.header & 1 << 8 != 0 {
        exec.state.pre_parser_disabled = exec.header & 1 != 0;
        exec.window.drop();
    }
    Flow::Arbitrate
}

/// MI_ARB_ON_OFF, a privileged command.
pub(super) fn arb_on_off<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Flow {
    if exec.privilege() == Privilege::NonPrivileged {
        return exec.deny();
    }
    exec.state.arbitration = exec.header & 1 != 0;
    Flow::Next
}

/// MI_SET_PREDICATE: decides at once whether the following commands are skipped.
pub(super) fn set_predicate<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let slices = |exec: &mut Exec<'_, B>, wanted| exec.bus.slices() != wanted;
    exec.state.skipping = match exec.header & 0xf {
        0 => false,
        1 => exec.engine_register(predicate_register::RESULT_2) & 1 == 0,
        2 => exec.engine_register(predicate_register::RESULT_2) & 1 != 0,
        3 => exec.engine_register(predicate_register::RESULT) & 1 == 0,
        4 => exec.engine_register(predicate_register::RESULT) & 1 != 0,
        5 => slices(exec, 1),
        6 => slices(exec, 2),
        7 => slices(exec, 3),
        15 => true,
        _ => return Err(Stop::Error(ErrorKind::BadField, "this predicate condition does not exist")),
    };
    Ok(Flow::Next)
}

/// MI_PREDICATE: compare, combine with the current result, load (PRM vol 2a).
pub(super) fn predicate<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Flow {
    let wide = |exec: &mut Exec<'_, B>, relative: u32| {
        u64::from(exec.engine_register(relative)) | u64::from(exec.engine_register(relative + 4)) << 32
    };
    let header = exec.header;
    let compared = match header & 3 {
        0 => true,
        1 => false,
        code => {
            let (a, b) = (wide(exec, predicate_register::SRC0), wide(exec, predicate_register::SRC1));
            if code == 2 { a == b } else { a.wrapping_sub(b) == wide(exec, predicate_register::DATA) }
        }
    };
    let current = exec.engine_register(predicate_register::RESULT) & 1 != 0;
    let combined = match header >> 3 & 3 {
        0 => compared,
        1 => compared && current,
        2 => compared || current,
        _ => compared != current,
    };
    match header >> 6 & 3 {
        0 => {}
        2 => exec.set_engine_register(predicate_register::RESULT, u32::from(combined)),
        3 => exec.set_engine_register(predicate_register::RESULT, u32::from(!combined)),
        _ => exec.violation("load operation 1 does not exist", "PRM, MI_PREDICATE", String::new()),
    }
    Flow::Next
}
