// SPDX-License-Identifier: BSD-2-Clause
//! Context status events (CSB) and EXECLIST_STATUS, in the format of each generation.
//!
//! Source: PRM vol 2c, context status buffer and EXECLIST_STATUS; i915:
//! intel_execlists_submission.c.

use super::Active;
use super::descriptor::{Descriptor, NO_CONTEXT};
use crate::commands::Generation;
use crate::platform::EngineFacts;

/// What happened to the contexts of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A queue was loaded while nothing ran.
    Started {
        /// Its first context.
        to: Descriptor,
    },
    /// A new queue took over at an arbitration point.
    Preempted {
        /// The context that ran.
        away: Descriptor,
        /// The first of the new queue; the same context for a lite restore.
        to: Descriptor,
    },
    /// A context ran out of work and the next element of its queue began.
    Switched {
        /// The context that completed.
        away: Descriptor,
        /// The next.
        to: Descriptor,
    },
    /// The last context of a queue ran out of work.
    Completed {
        /// It.
        away: Descriptor,
    },
}

/// Legacy entry bits (Gen8 to Gen11).
mod bits {
    pub(super) const IDLE_TO_ACTIVE: u32 = 1 << 0;
    pub(super) const PREEMPTED: u32 = 1 << 1;
    pub(super) const ELEMENT_SWITCH: u32 = 1 << 2;
    pub(super) const ACTIVE_TO_IDLE: u32 = 1 << 3;
    pub(super) const COMPLETE: u32 = 1 << 4;
    pub(super) const LITE_RESTORE: u32 = 1 << 15;
}

/// Gen12 switch detail: preempted.
const DETAIL_PREEMPTED: u64 = 5;

impl Event {
    /// Reason bits of the legacy format; EXECLIST_STATUS shows the last ones.
    #[must_use]
    pub fn reason(self) -> u32 {
        match self {
            Self::Started { .. } => bits::IDLE_TO_ACTIVE,
            Self::Preempted { away, to } if away.same_context(to) => bits::PREEMPTED | bits::LITE_RESTORE,
            Self::Preempted { .. } => bits::PREEMPTED,
            Self::Switched { .. } => bits::ELEMENT_SWITCH | bits::COMPLETE,
            Self::Completed { .. } => bits::ACTIVE_TO_IDLE | bits::COMPLETE,
        }
    }

    /// The 64-bit entry.
    #[must_use]
    pub fn encode(self, generation: Generation, facts: &EngineFacts) -> u64 {
        let (away, to) = match self {
            Self::Started { to } => (None, Some(to)),
            Self::Preempted { away, to } | Self::Switched { away, to } => (Some(away), Some(to)),
            Self::Completed { away } => (Some(away), None),
        };
        match generation {
            Generation::Gen8 | Generation::Gen9 => {
                u64::from(self.reason()) | u64::from(away.map_or(0, Descriptor::context_id)) << 32
            }
            Generation::Gen11 => u64::from(self.reason()) | u64::from(away.map_or(0, Descriptor::high)) << 32,
            Generation::Gen12 => {
                let new_queue = matches!(self, Self::Started { .. } | Self::Preempted { .. });
                let detail = if matches!(self, Self::Preempted { .. }) { DETAIL_PREEMPTED } else { 0 };
                let half = |context: Option<Descriptor>| {
                    let id = context.map_or(NO_CONTEXT, Descriptor::context_id);
                    u64::from(id) << 15 | u64::from(context.map_or(0, Descriptor::counter)) << 26
                };
                let engine = u64::from(facts.hw_class) << 3 | u64::from(facts.engine.instance) << 6;
                u64::from(new_queue) | engine | half(to) | (detail | half(away)) << 32
            }
        }
    }
}

/// The buffer: MMIO copy of the entries and both pointers.
#[derive(Clone, Debug)]
pub struct StatusBuffer {
    entries: Vec<u64>,
    last: u32,
    write: u32,
    read: u32,
    mask: u32,
    last_reason: u32,
}

impl StatusBuffer {
    /// Reset state: both pointers at the last entry, so that the first event lands in entry 0.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        let (count, last, mask) = if generation >= Generation::Gen11 { (12, 11, 0xf) } else { (6, 5, 0x7) };
        Self { entries: vec![0; count], last, write: last, read: last, mask, last_reason: 0 }
    }

    /// Takes an entry; answers its index.
    pub fn push(&mut self, reason: u32, entry: u64) -> u32 {
        self.write = if self.write >= self.last { 0 } else { self.write + 1 };
        if let Some(slot) = self.entries.get_mut(self.write as usize) {
            *slot = entry;
        }
        self.last_reason = reason;
        self.write
    }

    /// Entry by index, for MMIO.
    #[must_use]
    pub fn entry(&self, index: usize) -> u64 {
        self.entries.get(index).copied().unwrap_or(0)
    }

    /// CONTEXT_STATUS_PTR.
    #[must_use]
    pub const fn pointers(&self) -> u32 {
        self.write | self.read << 8
    }

    /// Write to CONTEXT_STATUS_PTR (masked).
    pub const fn set_pointers(&mut self, value: u32) {
        let enable = value >> 16;
        let new = (self.pointers() & !enable) | (value & enable);
        self.write = new & self.mask;
        self.read = (new >> 8) & self.mask;
    }

    /// EXECLIST_STATUS: low and high dword.
    #[must_use]
    pub(crate) fn execlist_status(
        &self,
        generation: Generation,
        active: Option<&Active>,
        pending: bool,
        arbitration: bool,
    ) -> (u32, u32) {
        let element = u32::from(active.is_some_and(|active| active.element == 1));
        let has = |n: usize| active.is_some_and(|active| active.queue.get(n).is_some());
        let (valid0, valid1) = (has(0) && element == 0, has(1));
        let running = u32::from(active.is_some());
        let descriptor = active.and_then(Active::context);
        let high = descriptor.map_or(0, Descriptor::high);
        if generation <= Generation::Gen9 {
            let low = self.write & 3
                | u32::from(pending) << 2
                | u32::from(valid1) << 3
                | u32::from(valid0) << 4
                | (self.last_reason & 0x1ff) << 5
                | (running * (element + 1)) << 14
                | u32::from(arbitration) << 16
                | (running & element) << 17
                | (running & (1 - element.min(1))) << 18;
            return (low, descriptor.map_or(0, Descriptor::context_id));
        }
        let low = (1 - running)
            | (running << 3)
            | (running << 7)
            | (element << 8)
            | (self.last_reason & 0x7fff) << 12
            | (u32::from(arbitration) << 27)
            | (u32::from(pending) << 30);
        (low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::by_name;

    fn facts(name: &str) -> &'static EngineFacts {
        &by_name(name).unwrap().engines[0]
    }

    fn gen12(id: u32) -> Descriptor {
        Descriptor::new(Generation::Gen12, 0x10_0119, id << 5)
    }

    #[test]
    fn gen12_entries_hold_both_ids() {
        let encode = |event: Event| event.encode(Generation::Gen12, facts("tgl"));
        assert_eq!(encode(Event::Started { to: gen12(1) }), (0x7ff << 47) | (1 << 15) | 1);
        assert_eq!(
            encode(Event::Preempted { away: gen12(1), to: gen12(2) }),
            (1 << 47) | (5 << 32) | (2 << 15) | 1
        );
        assert_eq!(encode(Event::Switched { away: gen12(1), to: gen12(2) }), (1 << 47) | (2 << 15));
        assert_eq!(encode(Event::Completed { away: gen12(1) }), (1 << 47) | (0x7ff << 15));
    }

    #[test]
    fn legacy_entries_hold_reason_bits_and_the_id_of_the_context_that_left() {
        let context = |id| Descriptor::new(Generation::Gen9, 0x10_0119, id);
        let encode = |event: Event| event.encode(Generation::Gen9, facts("skl"));
        assert_eq!(encode(Event::Started { to: context(9) }), 0x1);
        assert_eq!(encode(Event::Preempted { away: context(9), to: context(9) }), 9 << 32 | 0x8002);
        assert_eq!(encode(Event::Switched { away: context(9), to: context(4) }), 9 << 32 | 0x14);
        assert_eq!(encode(Event::Completed { away: context(4) }), 4 << 32 | 0x18);
    }

    #[test]
    fn the_first_event_lands_in_entry_0_and_the_pointer_wraps() {
        for (generation, count) in [(Generation::Gen9, 6), (Generation::Gen12, 12)] {
            let mut buffer = StatusBuffer::new(generation);
            assert_eq!(buffer.pointers(), (count - 1) | (count - 1) << 8);
            for expected in (0..count).chain(0..2) {
                assert_eq!(buffer.push(0, 0), expected);
            }
        }
    }

    #[test]
    fn the_pointer_register_is_masked() {
        let mut buffer = StatusBuffer::new(Generation::Gen12);
        buffer.push(0, 7);
        buffer.set_pointers(0x0f00_0000);
        assert_eq!(buffer.pointers(), 0x0000);
        buffer.set_pointers(0xffff_0b0b);
        assert_eq!(buffer.pointers(), 0x0b0b);
        assert_eq!(buffer.entry(0), 7);
    }
}
