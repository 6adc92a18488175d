// SPDX-License-Identifier: BSD-2-Clause
//! Contexts as clients see them: an address space, a priority, and a logical state on each engine that
//! they have used.

use gpu_protocol::Errno;

use super::domain::ClientId;
use super::space::AddressSpace;
use crate::device::EngineClass;
use crate::gpu::{ContextId, EngineIndex, Gpu};
use crate::handle::Id;
use crate::platform::Hardware;

/// Slots of a context without an engine map of its own: i915's legacy rings (uAPI `I915_EXEC_DEFAULT`,
/// `RENDER`, `BSD`, `BLT`, `VEBOX`).
pub(crate) const LEGACY_SLOTS: usize = 5;

/// Lowest and highest priority that a client can ask for (i915: `I915_CONTEXT_MIN_USER_PRIORITY`).
pub(crate) const PRIORITIES: core::ops::RangeInclusive<i64> = -1023..=1023;

/// The logical state of a context on one engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineContext {
    /// The hardware's context.
    pub(crate) id: ContextId,
    /// Index of its timeline in the client's page of completed points.
    pub(crate) timeline: usize,
}

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) client: ClientId,
    pub(crate) space: Id<AddressSpace>,
    pub(crate) priority: i16,
    /// All engines share the timeline of the first one used.
    pub(crate) single_timeline: bool,
    /// Made when a slot is first used.
    pub(crate) engines: [Option<EngineContext>; LEGACY_SLOTS],
}

/// The slot (two may be the same engine and so the same logical state) and its engine.
///
/// # Errors
/// `EINVAL` for a slot that does not exist or whose engine the part does not have.
pub(crate) fn engine_of_slot<H: Hardware>(gpu: &Gpu<H>, slot: u32) -> Result<(usize, EngineIndex), Errno> {
    let (slot, class) = match slot {
        0 | 1 => (1, EngineClass::Render),
        2 => (2, EngineClass::Video),
        3 => (3, EngineClass::Copy),
        4 => (4, EngineClass::VideoEnhance),
        _ => return Err(Errno::Inval),
    };
    let engine = gpu.engine(class, 0).map_err(|_| Errno::Inval)?;
    Ok((slot, engine))
}
