// SPDX-License-Identifier: BSD-2-Clause
//! Command streamer interpreter, Gen8 to Gen12: what the hardware does with the dwords between a context's head
//! and tail.
//!
//! It is pure: [`StreamState::step`] takes a budget and a [`CommandBus`] and ends in an [`Outcome`]; memory,
//! registers, interrupts, time and reports are the bus' business. Every malformed stream ends as
//! [`Outcome::Error`] or [`Outcome::Fault`]; every broken rule that hardware would punish less visibly becomes a
//! [`Report`] with its source.
//!
//! - [`bus`]: the trait through which commands reach the rest of the device.
//! - [`state`]: the part of a logical context that the streamer owns, also visible as registers.
//! - [`outcome`]: what a step ends with.
//! - `exec`: the loop, addresses, privilege, reports; `fetch`: the prefetch window.
//! - `mi`: MI commands (a table of what is legal, then one file a subject) and PIPE_CONTROL.
//! - `blit`: the copy engine's fills and copies.
//! - `render`: 3D, media and codec commands, skipped by their length.
//!
//! What real parts do and this interpreter does not:
//! - Commands take effect at once and in order; stores are visible before the next command starts, so a missing
//!   flush between a store and its reader cannot be seen here (the bus learns of each flush).
//! - The prefetcher fetches up to 512 bytes and notices only the stream's own stores to the same address.
//! - The Gen12 pre-parser does not run ahead; its switch is only remembered.
//! - Third-level batches, POSH, the resource streamer, observation counters, display events, 3D, media and codec
//!   work, pattern, text and monochrome blits, Yf and 64 KiB tiles, and compression are not executed but reported.

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
