// SPDX-License-Identifier: BSD-2-Clause
//! Command streamer interpreter, Gen8 to Gen12.
//!
//! - [`bus`]: the trait through which commands reach memory, registers and interrupts.
//! - [`outcome`]: what a step of the interpreter ends with.
//! - [`state`]: the part of a logical context that the streamer itself owns.

mod blit;
pub mod bus;
mod exec;
mod fetch;
mod mi;
pub mod outcome;
mod render;
mod render_table;
pub mod state;

pub use bus::{
    Access, CommandBus, Denied, Engine, EngineClass, Fault, FaultKind, Flush, Generation, Interrupt, Level,
    Position, Privilege, Report, ReportKind, Space, TraceEvent,
};
pub use outcome::{
    CommandError, CommandFault, Compare, ErrorKind, Outcome, SemaphoreSource, SemaphoreWait, Step,
};
pub use state::{Batch, Clip, StreamState};
