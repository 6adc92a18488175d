// SPDX-License-Identifier: BSD-2-Clause
//! Command streamer interpreter, Gen8 to Gen12.
//!
//! - [`bus`]: the trait through which commands reach memory, registers and interrupts.
//! - [`outcome`]: what a step of the interpreter ends with.
//! - [`state`]: the part of a logical context that the streamer itself owns.

pub mod bus;
pub mod outcome;
pub mod state;

pub use bus::{
    Access, CommandBus, Denied, Engine, EngineClass, Fault, FaultKind, Flush, Generation, Interrupt, Level,
    Position, Privilege, Report, ReportKind, Space, TraceEvent,
};
pub use outcome::{
    CommandError, CommandFault, Compare, ErrorKind, Outcome, SemaphoreSource, SemaphoreWait, Step,
};
pub use state::{Batch, StreamState};
