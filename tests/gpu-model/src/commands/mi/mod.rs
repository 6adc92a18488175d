// SPDX-License-Identifier: BSD-2-Clause
//! MI commands (command type 0): the table says what is legal, the sub-modules execute.

mod atomic;
mod batch;
pub(super) mod flush;
mod math;
mod store;
mod sync;
mod table;

use super::bus::{CommandBus, Generation, Interrupt, Privilege, Space};
use super::exec::{Exec, Flow, Result, Stop};
use super::outcome::{Compare, ErrorKind};
pub(super) use table::column;
use table::{COMMANDS, Command, Engines, op};

/// Most commands: bit 22 of the header selects the global GTT (PRM vol 2a).
const GGTT: u32 = 1 << 22;
/// Source of the privilege rules.
const PRIVILEGE: &str = "PRM, User Mode Privileged Commands";
/// RING_HEAD is reported to this dword of the status page, PRM vol 2c.
const REPORT_HEAD_DWORD: u64 = 4;

/// Executes one MI command.
#[inline]
pub(super) fn execute<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    if exec.header == 0 {
        exec.length = 1;
        return Ok(Flow::Next);
    }
    let opcode = exec.header >> 23 & 0x3f;
    let Some((command, bits)) = COMMANDS[opcode as usize]
        .as_ref()
        .and_then(|command| command.bits[column(exec.generation)].map(|bits| (command, bits)))
    else {
        exec.name = "reserved MI opcode";
        return Err(Stop::Error(
            ErrorKind::UnknownCommand,
            "this MI opcode does not exist on this generation",
        ));
    };
    exec.name = command.name;
    let dwords = if command.dwords.1 == 1 { 1 } else { (exec.header & command.length) + 2 };
    if dwords < command.dwords.0 {
        return Err(Stop::Error(ErrorKind::BadLength, "the length field is too small for the command"));
    }
    exec.set_length(dwords)?;
    if exec.state.skipping && opcode != op::SET_PREDICATE {
        return Ok(skip(exec, opcode));
    }
    check(exec, command, bits)?;
    dispatch(exec, opcode)
}

/// A command inside an active MI_SET_PREDICATE scope.
#[cold]
fn skip<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, opcode: u32) -> Flow {
    if matches!(opcode, op::BATCH_BUFFER_END | op::ARB_CHECK) {
        exec.violation(
            "the scope of MI_SET_PREDICATE must end inside its batch and hold no arbitration point",
            "PRM, MI_SET_PREDICATE",
            String::new(),
        );
    }
    Flow::Next
}

/// The rules that the table states.
#[inline]
fn check<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, command: &Command, bits: u32) -> Result<()> {
    let legal = match command.engines {
        Engines::All => true,
        Engines::Render => exec.is_render(),
        Engines::NotRender => !exec.is_render(),
        Engines::RenderAndCopy => exec.is_render() || exec.engine.class == super::bus::EngineClass::Copy,
    };
    if !legal {
        return Err(Stop::Error(ErrorKind::WrongEngine, "the command does not exist on this engine"));
    }
    if exec.length > command.dwords.1 {
        exec.violation(
            "the length field exceeds the command",
            "PRM vol 2a, command reference",
            format!("{} dwords", exec.length),
        );
    }
    let reserved = exec.header & 0x007f_ffff & !bits;
    if reserved != 0 {
        exec.violation(
            "reserved header bits must be 0",
            "PRM vol 2a, command reference",
            format!("bits {reserved:#x}"),
        );
    }
    Ok(())
}

fn dispatch<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, opcode: u32) -> Result<Flow> {
    match opcode {
        op::NOOP => {
            // Bit 22 writes bits [21:0] to NOPID.
            if exec.header & 1 << 22 != 0 {
                exec.state.noop_id = exec.header & 0x003f_ffff;
            }
            Ok(Flow::Next)
        }
        op::USER_INTERRUPT => {
            exec.bus.interrupt(Interrupt::User);
            Ok(Flow::Next)
        }
        op::STORE_DATA_IMM => store::data_imm(exec),
        op::STORE_DATA_INDEX => store::data_index(exec),
        op::LOAD_REGISTER_IMM => store::load_register_imm(exec),
        op::STORE_REGISTER_MEM => store::store_register_mem(exec),
        op::LOAD_REGISTER_MEM => store::load_register_mem(exec),
        op::LOAD_REGISTER_REG => store::load_register_reg(exec),
        op::COPY_MEM_MEM => store::copy_mem_mem(exec),
        op::UPDATE_GTT => store::update_gtt(exec),
        op::MATH => math::execute(exec),
        op::ATOMIC => atomic::execute(exec),
        op::FLUSH_DW => flush::flush_dw(exec),
        op::BATCH_BUFFER_START => batch::start(exec),
        op::BATCH_BUFFER_END => Ok(batch::end(exec)),
        op::CONDITIONAL_BATCH_BUFFER_END => batch::conditional_end(exec),
        op::SEMAPHORE_WAIT => sync::semaphore_wait(exec),
        op::SEMAPHORE_SIGNAL => sync::semaphore_signal(exec),
        op::ARB_CHECK => Ok(sync::arb_check(exec)),
        op::ARB_ON_OFF => Ok(sync::arb_on_off(exec)),
        op::SET_PREDICATE => sync::set_predicate(exec),
        op::PREDICATE => Ok(sync::predicate(exec)),
        op::REPORT_HEAD => report_head(exec),
        op::SUSPEND_FLUSH => Ok(privileged(exec)),
        // No caches and no power wells to act on; addresses are not translated.
        op::CLFLUSH | op::FORCE_WAKEUP => Ok(Flow::Next),
        op::WAIT_FOR_EVENT | op::WAIT_FOR_EVENT_2 => {
            if exec.privilege() == Privilege::NonPrivileged {
                return Ok(exec.deny());
            }
            exec.unexecuted("display events do not exist in this model; the wait is over at once");
            Ok(Flow::Arbitrate)
        }
        op::LOAD_SCAN_LINES_INCL | op::LOAD_SCAN_LINES_EXCL | op::DISPLAY_FLIP => {
            if exec.privilege() == Privilege::NonPrivileged {
                return Ok(exec.deny());
            }
            exec.unexecuted("there is no display in this model");
            Ok(Flow::Next)
        }
        op::SET_CONTEXT => {
            exec.violation(
                "contexts are switched by submission; MI_SET_CONTEXT is for ring buffer mode only",
                "PRM, MI_SET_CONTEXT",
                String::new(),
            );
            Ok(Flow::Next)
        }
        op::REPORT_PERF_COUNT => {
            exec.unexecuted("observation counters are out of the model's scope");
            Ok(Flow::Next)
        }
        op::RS_CONTROL
        | op::RS_CONTEXT
        | op::RS_STORE_DATA_IMM
        | op::URB_ATOMIC_ALLOC
        | op::URB_CLEAR
        | op::LOAD_URB_MEM
        | op::STORE_URB_MEM
        | op::TOPOLOGY_FILTER
        | op::SET_APPID => {
            exec.unexecuted("resource streamer, URB and protected content are out of the model's scope");
            Ok(Flow::Next)
        }
        _ => Err(Stop::Error(ErrorKind::UnknownCommand, "this MI opcode does not exist on this generation")),
    }
}

/// A command without effect in the model that only privileged code may use.
fn privileged<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Flow {
    if exec.privilege() == Privilege::NonPrivileged { exec.deny() } else { Flow::Next }
}

/// MI_REPORT_HEAD: RING_HEAD to the hardware status page.
fn report_head<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    if exec.privilege() == Privilege::NonPrivileged {
        return Ok(exec.deny());
    }
    let page = exec.bus.hardware_status_page();
    exec.write_u32(Space::Ggtt, page + REPORT_HEAD_DWORD * 4, exec.state.head)?;
    Ok(Flow::Next)
}

/// Address space of an operand whose GGTT bit makes the whole command a privileged one. `None`: denied.
fn strict_space<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, ggtt: bool) -> Option<Space> {
    match (ggtt, exec.privilege()) {
        (false, _) => Some(Space::Ppgtt),
        (true, Privilege::Privileged) => Some(Space::Ggtt),
        (true, Privilege::NonPrivileged) => None,
    }
}

/// Address space of an operand whose GGTT bit is ignored in non-privileged batches.
fn lenient_space<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, ggtt: bool) -> Space {
    strict_space(exec, ggtt).unwrap_or_else(|| {
        exec.violation("the GGTT bit is ignored in a non-privileged batch", PRIVILEGE, String::new());
        Space::Ppgtt
    })
}

/// Decodes a comparison, PRM vol 2a.
fn compare_operation(code: u32) -> Result<Compare> {
    Ok(match code {
        0 => Compare::Greater,
        1 => Compare::GreaterOrEqual,
        2 => Compare::Less,
        3 => Compare::LessOrEqual,
        4 => Compare::Equal,
        5 => Compare::NotEqual,
        _ => return Err(Stop::Error(ErrorKind::BadField, "compare operations 6 and 7 do not exist")),
    })
}

impl Compare {
    /// `memory` op `inline`, unsigned.
    #[must_use]
    pub const fn holds(self, memory: u32, inline: u32) -> bool {
        match self {
            Self::Greater => memory > inline,
            Self::GreaterOrEqual => memory >= inline,
            Self::Less => memory < inline,
            Self::LessOrEqual => memory <= inline,
            Self::Equal => memory == inline,
            Self::NotEqual => memory != inline,
        }
    }
}

/// Is this Gen12?
fn is_gen12<B: CommandBus + ?Sized>(exec: &Exec<'_, B>) -> bool {
    exec.generation == Generation::Gen12
}
