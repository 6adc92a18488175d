// SPDX-License-Identifier: BSD-2-Clause
//! Timelines: requests that complete in the order they were submitted, whichever contexts they belong
//! to. Each has a slot in memory into which the GPU writes the number of the last completed request;
//! a fence is a point on a timeline.
//!
//! Slots are 64 bytes apart: MI_FLUSH_DW must not write where address bit 5 is set.
//!
//! Numbers have 64 bits here and 32 in memory; a number that is read back extends the last known one,
//! which it cannot be ahead of by 2^31 requests.

use super::{ContextId, Gpu};
use crate::address::{DmaOffset, GgttOffset};
use crate::error::Error;
use crate::handle::Id;
use crate::platform::Hardware;

const SLOT_BYTES: u32 = 64;
const SLOTS_PER_PAGE: u32 = 4096 / SLOT_BYTES;

/// A timeline.
#[derive(Debug)]
pub struct Timeline {
    pub(super) memory: DmaOffset,
    pub(super) slot: GgttOffset,
    /// Number of the last request submitted.
    pub(super) issued: u64,
    /// Number of the last request known to be complete.
    pub(super) completed: u64,
    /// Context of the last request: only within one context is the order kept by the ring.
    pub(super) last_context: Option<ContextId>,
    /// Requests that wait until one of its requests is given to an engine.
    pub(super) starts: u32,
    pub(super) contexts: u32,
    /// Unfinished requests whose rings poll the slot.
    pub(super) polled_by: u32,
    closing: bool,
}

/// Handle of a timeline.
pub type TimelineId = Id<Timeline>;

/// A point on a timeline: complete when its request is. A fence of a timeline that was destroyed is
/// complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Fence {
    /// The timeline.
    pub timeline: TimelineId,
    /// Number of the request on it, from 1.
    pub seqno: u64,
}

impl<H: Hardware> Gpu<H> {
    /// Creates a timeline.
    ///
    /// # Errors
    /// [`Error::NoMemory`], [`Error::NoSpace`] (GGTT).
    pub fn timeline_create(&mut self) -> Result<TimelineId, Error> {
        let timeline = Timeline {
            memory: DmaOffset(0),
            slot: GgttOffset::new(0),
            issued: 0,
            completed: 0,
            last_context: None,
            starts: 0,
            contexts: 0,
            polled_by: 0,
            closing: false,
        };
        let id = self.timelines.insert(timeline).map_err(|_| Error::NoMemory)?;
        match self.timeline_slot(id.index()) {
            Ok((memory, slot)) => {
                if let Some(timeline) = self.timelines.get_mut(id) {
                    (timeline.memory, timeline.slot) = (memory, slot);
                }
                self.bus.hw.write_u32(memory, 0);
                self.bus.publish(memory, 4);
                Ok(id)
            }
            Err(error) => {
                self.timelines.remove(id);
                Err(error)
            }
        }
    }

    /// Where slot `index` is; makes its page when it is the first of it.
    fn timeline_slot(&mut self, index: u32) -> Result<(DmaOffset, GgttOffset), Error> {
        let entry = self.slot_pages.get_mut((index / SLOTS_PER_PAGE) as usize).ok_or(Error::NoMemory)?;
        let (page, range) = match *entry {
            Some(found) => found,
            None => {
                let page = self.pool.allocate(0, self.pool.driver_account())?;
                let range = match self.ggtt.allocate(1) {
                    Ok(range) => range,
                    Err(error) => {
                        self.pool.free(page);
                        return Err(error);
                    }
                };
                let address = self.pool.address(page);
                self.ggtt.map(&mut self.bus, range, core::iter::once(address));
                self.ggtt.flush(&mut self.bus);
                *entry = Some((page, range));
                (page, range)
            }
        };
        let offset = index % SLOTS_PER_PAGE * SLOT_BYTES;
        Ok((page.at(offset), range.at(offset)))
    }

    /// Destroys a timeline: it is freed when its requests are complete and nobody waits for it any more.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`] while a context uses it (one that was destroyed does not
    /// count).
    pub fn timeline_destroy(&mut self, timeline: TimelineId) -> Result<(), Error> {
        let found = self.timelines.get_mut(timeline).filter(|found| !found.closing);
        let found = found.ok_or(Error::NotFound)?;
        if found.contexts != 0 {
            return Err(Error::Busy);
        }
        found.closing = true;
        self.timeline_free_if_done(timeline);
        Ok(())
    }

    /// Frees a timeline that was destroyed, if its slot is not read or written any more.
    pub(super) fn timeline_free_if_done(&mut self, id: TimelineId) {
        let done = self.timelines.get(id).is_some_and(|timeline| {
            timeline.closing && timeline.completed >= timeline.issued && timeline.polled_by == 0
        });
        if done {
            self.timelines.remove(id);
        }
    }

    /// Number of the last request of a timeline that is known to be complete.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn timeline_completed(&self, timeline: TimelineId) -> Result<u64, Error> {
        self.timelines.get(timeline).map(|timeline| timeline.completed).ok_or(Error::NotFound)
    }

    /// Number of the last request that was submitted on a timeline.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn timeline_issued(&self, timeline: TimelineId) -> Result<u64, Error> {
        self.timelines.get(timeline).map(|timeline| timeline.issued).ok_or(Error::NotFound)
    }

    /// Whether the request of a fence is known to be complete.
    #[must_use]
    pub fn is_signalled(&self, fence: Fence) -> bool {
        self.timelines.get(fence.timeline).is_none_or(|timeline| timeline.completed >= fence.seqno)
    }

    /// The number that the GPU has written into the slot of a timeline.
    pub(super) fn timeline_in_memory(&self, timeline: &Timeline) -> u64 {
        let memory = self.bus.hw.read_u32(timeline.memory);
        // CAST: the low half, by intent.
        #[expect(clippy::cast_possible_truncation)]
        let ahead = memory.wrapping_sub(timeline.completed as u32);
        // Behind what is known (a stale value) counts as no progress; ahead of what was issued is
        // nothing that the driver ordered.
        if ahead > i32::MAX.cast_unsigned() {
            timeline.completed
        } else {
            (timeline.completed + u64::from(ahead)).min(timeline.issued)
        }
    }
}
