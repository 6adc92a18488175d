// SPDX-License-Identifier: BSD-2-Clause
//! Contexts as clients see them.
//!
//! A context is first of all a *value* ([`Value`]): address space, map of engines, flags, scheduling
//! attributes, timeline. Creation builds a value out of defaults and the chain of extensions, and only when all
//! of it is there does the context exist; a clone copies parts of another context's value; a parameter is a
//! field of it. What the GPU has of a context, a logical state on each engine, is made when a slot is first used
//! and is no part of the value.
//!
//! ```text
//!   create.rs   defaults ─► chain: setparam, clone ─► context        destroy.rs  ends it, or cancels it
//!   clone.rs    parts of another value                               states.rs   logical states on engines
//!   params.rs   set and get of one field                             timelines.rs places in the page of points
//!   engines.rs  the map of engines as a structure                    ban.rs      hangs, bans, reset statistics
//!   sseu.rs     slices and subslices as a structure                  map.rs      the pool of maps
//! ```
//!
//! Facts: i915 of Linux 5.5 to 5.12, `gem/i915_gem_context.c`; *drm/i915: Allow userspace to clone contexts on
//! creation*.

mod ban;
mod chain;
mod clone;
mod create;
mod destroy;
mod engines;
pub(crate) mod map;
mod params;
mod sseu;
mod states;
mod timelines;

use gpu_protocol::Errno;

use super::domain::ClientId;
use super::driver::Driver;
use super::space::AddressSpace;
use crate::gpu::ContextId;
use crate::handle::Id;
use crate::platform::Hardware;
use map::EngineMap;

/// The logical state of a context on one slot of its map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineContext {
    /// The hardware's context.
    pub(crate) id: ContextId,
    /// Index of its timeline in the client's page of completed points.
    pub(crate) timeline: usize,
}

/// What clients can switch (i915: `user_flags`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserFlags {
    /// No error state is captured for it.
    pub(crate) no_error_capture: bool,
    /// Hangs can ban it.
    pub(crate) bannable: bool,
    /// Its first hang does not.
    pub(crate) recoverable: bool,
    /// Its requests outlive its destruction.
    pub(crate) persistent: bool,
}

/// How it is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scheduling {
    /// −1023..=1023.
    pub(crate) priority: i16,
    /// Microseconds that a request may run; 0: as long as it lets others run.
    pub(crate) watchdog_us: u64,
}

/// What a context is, apart from what has happened to it. Owns one reference on each of its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    /// `None` only while the context is being created: then it gets its own.
    pub(crate) space: Option<Id<AddressSpace>>,
    pub(crate) map: EngineMap,
    pub(crate) flags: UserFlags,
    pub(crate) scheduling: Scheduling,
    /// The timeline of all its engines, if they share one.
    pub(crate) timeline: Option<usize>,
}

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) client: ClientId,
    pub(crate) value: Value,
    /// Requests in flight.
    pub(crate) jobs: u32,
    /// Hangs that its batches were to blame for.
    guilty: u32,
    /// Batches that were lost to others' hangs and executed again.
    innocent: u32,
    /// When the last two hangs were seen, older first.
    hangs: [Option<u64>; 2],
    /// Takes no more work.
    pub(crate) banned: bool,
}

impl<H: Hardware> Driver<H> {
    /// The context that a client's handle names; 0 is the one that every client has.
    ///
    /// # Errors
    /// `ENOENT`.
    #[inline]
    pub(crate) fn context_of(&self, client: ClientId, handle: u32) -> Result<Id<Context>, Errno> {
        let client = &self.clients[client];
        if handle == 0 { client.default_context } else { client.contexts.get(handle) }.ok_or(Errno::NoEnt)
    }

    /// A context's value.
    ///
    /// # Errors
    /// `ENOENT`.
    fn value_of(&self, id: Id<Context>) -> Result<Value, Errno> {
        self.contexts.get(id).map(|context| context.value).ok_or(Errno::NoEnt)
    }
}
