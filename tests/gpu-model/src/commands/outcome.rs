// SPDX-License-Identifier: BSD-2-Clause
//! What one call of `step` ends with.

use std::fmt;

use super::bus::{Fault, Position, Space};

/// Result of `step`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Commands completed in this call, NOOPs and predicated commands included.
    pub executed: u64,
    /// Why the call returned.
    pub outcome: Outcome,
}

/// Why `step` returned. The state is consistent in every case: calling `step` again continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Head equals tail at ring level: the context has nothing to do.
    RingEmpty,
    /// The budget is spent; possibly in the middle of a blit, never in the middle of another command.
    BudgetSpent,
    /// An arbitration point was passed, arbitration is on and the bus said that somebody waits. The context may
    /// be switched out here.
    ArbitrationPoint,
    /// A semaphore is not satisfied. The stream stands before the command; the next `step` compares again. The
    /// context may be switched out if [`SemaphoreWait::arbitration`] is set.
    Waiting(SemaphoreWait),
    /// The command streamer cannot parse or execute a command: it hangs with EIR bit 0. A further `step` ends in
    /// the same error.
    Error(CommandError),
    /// A memory access failed. A further `step` tries the command again.
    Fault(CommandFault),
    /// A command reset the engine that executes it: the stream is lost and must not be stepped again.
    Reset,
}

/// Where the value of a semaphore is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SemaphoreSource {
    /// A dword in memory.
    Memory {
        /// Address space.
        space: Space,
        /// Byte address.
        address: u64,
    },
    /// A register (MMIO offset).
    Register(u32),
}

/// Comparison operators of semaphores and of the Gen12 conditional batch end (PRM vol 2a).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compare {
    /// memory > inline
    Greater,
    /// memory >= inline
    GreaterOrEqual,
    /// memory < inline
    Less,
    /// memory <= inline
    LessOrEqual,
    /// memory == inline
    Equal,
    /// memory != inline
    NotEqual,
}

/// An unsatisfied semaphore wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SemaphoreWait {
    /// The MI_SEMAPHORE_WAIT.
    pub position: Position,
    /// What is compared.
    pub source: SemaphoreSource,
    /// Operator.
    pub compare: Compare,
    /// Inline operand.
    pub data: u32,
    /// What was found last.
    pub found: u32,
    /// Polling mode; in signal mode memory is compared again only after a signal.
    pub poll: bool,
    /// Gen12 wait token (0 = none).
    pub token: u8,
    /// Arbitration was enabled when the wait was found unsatisfied.
    pub arbitration: bool,
}

/// Reasons for a command streamer to hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Opcode or client that does not exist on this generation.
    UnknownCommand,
    /// Command of another engine (blitter command on the render engine, ...).
    WrongEngine,
    /// The length field does not fit the command.
    BadLength,
    /// A field has a value that the command does not define.
    BadField,
    /// The command would continue beyond the end of the ring or beyond the tail.
    Straddle,
    /// RING_CTL has no enable bit.
    RingDisabled,
    /// RING_HEAD or RING_TAIL lie outside the ring, or the tail is not 8-byte aligned.
    BadRing,
    /// Batch nesting deeper than the hardware has storage for.
    Nesting,
}

/// A hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// Why.
    pub kind: ErrorKind,
    /// Name of the command, as in the PRM; empty if the ring's registers do not let one be fetched.
    pub command: &'static str,
    /// First dword of the command (IPEHR).
    pub header: u32,
    /// Where it stands.
    pub position: Position,
    /// The rule in words.
    pub reason: &'static str,
}

impl CommandError {
    /// The command and its place, for a report.
    #[must_use]
    pub fn subject(&self) -> String {
        subject(self.command, self.header, self.position)
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:#010x} at {}: {}", self.kind, self.header, self.position, self.reason)
    }
}

/// A command and its place.
fn subject(command: &str, header: u32, position: Position) -> String {
    if command.is_empty() {
        return format!("command fetch at {position}");
    }
    format!("{command} ({header:#010x}) at {position}")
}

/// A memory access of a command, or its fetch, that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandFault {
    /// What failed.
    pub fault: Fault,
    /// Name of the command, as in the PRM; empty if its fetch failed.
    pub command: &'static str,
    /// First dword of the command; of the command before it if the fetch failed.
    pub header: u32,
    /// Where the command stands.
    pub position: Position,
}

impl CommandFault {
    /// The command and its place, for a report.
    #[must_use]
    pub fn subject(&self) -> String {
        subject(self.command, self.header, self.position)
    }
}

impl fmt::Display for CommandFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {:#010x} at {}", self.fault, self.header, self.position)
    }
}
