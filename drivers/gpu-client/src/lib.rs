// SPDX-License-Identifier: BSD-2-Clause
//! What a client domain links: the GPU driver domain's interface as safe Rust.
//!
//! [`Gpu`] is the connection. It is generic over a [`Transport`], which makes one protected call and
//! gives access to the two memories shared with the driver, so that the same library runs in a
//! protection domain (feature `microkit`) and in a host test against the driver core.
//!
//! # The life of a batch
//!
//! 1. [`Gpu::connect`] checks the version; [`Gpu::create_vm`] and [`Gpu::create_context`] make an
//!    address space and a context in it. [`ContextBuilder`] makes contexts that differ from the defaults, or are
//!    clones of others.
//! 2. [`Gpu::create_userptr`] makes objects out of the client's own memory. No page is lent yet.
//!    [`Gpu::create_buffer`] makes them in the driver's memory, for what a client reads and writes seldom.
//! 3. Commands are written into one of them with [`blit::Commands`].
//! 4. [`Gpu::submit`] runs the batch. Where the driver lacks the pages of an object it asks for them;
//!    the library lends them ([`Frames`] says how) and submits again.
//! 5. The domain returns to its event loop; the driver notifies it; [`Gpu::is_complete`] reads the page
//!    of completed points and costs no call.
//!
//! # What sleeps
//!
//! [`Gpu::wait`], [`Gpu::wait_answers`], [`Gpu::wait_idle`], [`Gpu::read`] and [`Gpu::write`] sleep until the GPU is done,
//! [`Gpu::submit`] and [`Gpu::submit_after`] only while pages are somebody else's to lend or on their way out. In a domain
//! that is [`Transport::sleep`]: it takes whatever notifications come, those of other channels, too, and cannot answer calls, so
//! that a call of another domain meanwhile ends this one (`microkit_ext::wait::notified` says why). A domain that others call
//! submits, or asks for the answers of its queue ([`Gpu::ask_for_answers`]), returns to its event loop, and asks
//! [`Gpu::is_complete`] or [`Gpu::next_answer`] when it is notified; it makes objects of pages that it lends itself.
//!
//! # After a hang
//!
//! A batch that does not end is stopped, and its point is reached all the same. [`Gpu::reset_counts`] tells whether
//! the context was to blame. If it is banned ([`Gpu::submit`] answers `EIO`), a clone of it
//! ([`ContextBuilder::clone_of`] with [`CLONE_ALL`]) goes on: fresh logical state, everything else as it was.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod blit;
mod buffer;
mod connection;
mod context;
mod engine_map;
pub mod mi;
#[cfg(feature = "microkit")]
pub mod microkit;
mod owner;
mod payload;
mod queue;
mod ranges;
mod raw;
mod sseu;
mod submission;
#[cfg(feature = "microkit")]
pub mod symbols;
mod transport;
mod userptr;

pub use buffer::Usage;
pub use connection::{Context, Error, Gpu, Object, Vm};
pub use context::{CloneOf, ContextBuilder, ResetCounts};
pub use engine_map::{Balanced, Bonded, EngineMap};
pub use gpu_protocol::{
    CLONE_ALL, CloneFlags, ContextParam, EngineClassInstance, Errno, MAX_ENGINE_SLOTS, Param, UserptrFlags,
};
pub use gpu_protocol::{Operation, Reply};
pub use gpu_ring::Words;
pub use owner::{Backing, Owner, TakenBack, Ticket};
pub use queue::{Answer, Queued};
pub use ranges::{FreeError, Range, Ranges};
pub use sseu::{Place, Sseu};
pub use submission::{Access, After, Fence, UsedObject};
pub use transport::{Frames, Lendable, Transport};

/// The code in the guide is compiled as tests, and what is shown with values is run.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../docs/guide/src/client.md")]
    struct FirstClient;
    #[doc = include_str!("../../../docs/guide/src/rings.md")]
    struct Rings;
    #[doc = include_str!("../../../docs/guide/src/memory.md")]
    struct Memory;
    #[doc = include_str!("../../../docs/guide/src/hangs.md")]
    struct Hangs;
}
