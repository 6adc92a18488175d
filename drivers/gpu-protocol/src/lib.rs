// SPDX-License-Identifier: BSD-2-Clause
//! The wire interface between the GPU driver domain and its clients: operations, layouts, error
//! numbers. Both sides link this crate; neither side's policy is in it.
//!
//! # Transport
//!
//! A client and the driver share a channel on which the client makes protected calls, a *message
//! area* (memory that both map read-write) and a page of *completed points* (the driver writes, the
//! client only reads).
//!
//! A request is a protected call whose label is the [`Operation`], message register 0 the byte
//! offset of the operation's argument structure in the message area, and register 1 its length in
//! bytes. The driver copies the structure out of the area once and looks only at its copy. The reply's
//! label is 0 or an [`Errno`]; results are in message registers, as each operation says. An operation
//! that failed has changed nothing.
//!
//! Submissions can also go through a pair of rings in shared memory, see [`RingRequest`].
//!
//! Structures, flags and error numbers are those of Linux's i915 for the same thing, in the era of
//! context clone (Linux 5.5 to 5.12), with "user pointer" read as "byte offset in the message area";
//! offset 0 ends a chain of extensions, as a null pointer does there.
//!
//! # Layout
//!
//! Every structure is little-endian, has no padding, and its size and field offsets are fixed by a
//! test. The protocol has a [`VERSION`], checked by [`Operation::Connect`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod buffer;
mod context;
mod errno;
mod error_state;
mod memory;
mod operation;
mod pages;
mod param;
mod rings;
mod statistics;
mod submit;
mod trace;

pub use buffer::{GemBusy, GemCreate, GemTransfer, GemWait};
pub use context::{
    Bond, CLONE_ALL, CloneFlags, ContextCreate, ContextDestroy, ContextParam, ContextSseu, CreateClone,
    CreateSetParam, EngineClassInstance, EnginesHeader, Extension, ExtensionHeader, LoadBalance,
    MAX_ENGINE_SLOTS, MAX_EXTENSIONS, ResetStats,
};
pub use errno::Errno;
pub use error_state::{ReadErrorState, ReadErrorStateFlags};
pub use memory::{GemClose, GemExport, GemImport, UserptrCreate, UserptrFlags, VmCreate, VmDestroy};
pub use operation::{Connect, Operation, Reply};
pub use pages::{
    ClientEntry, Grant, GrantEntry, GrantFlags, GrantRegion, Invalidate, InvalidateReply, InvalidateState,
    InvalidateStatus, OWN_SPACE, PageRequest, Refuse,
};
pub use param::{GetParam, Param};
pub use rings::{RING_ANSWER_WORDS, RING_REQUEST_WORDS, RingAnswer, RingFlags, RingRequest};
pub use statistics::{
    ClientStatistics, EngineStatistics, STATISTICS_CLIENTS, STATISTICS_ENGINES, Statistics,
};
pub use submit::{
    CompletedPoints, Fence, MAX_OBJECTS, ObjectFlags, Submit, SubmitFlags, SubmitObject, TIMELINES_PER_CLIENT,
};
pub use trace::{TRACE_RECORD_WORDS, TraceKind, TraceLog, TraceRecord};

/// Version of this interface. A driver answers [`Operation::Connect`] with `EINVAL` for any other.
pub const VERSION: u32 = 1;

/// Smallest page the GPU, the kernel and a grant know, in bytes.
pub const PAGE_SIZE: u64 = 4096;

/// Smallest message area that a driver accepts, in bytes.
pub const MIN_MESSAGE_AREA: usize = 4096;
