// SPDX-License-Identifier: BSD-2-Clause
//! The ring of a context: where the next request goes and how much is free. Positions are bytes.

use crate::address::{DmaPage, GgttOffset};

/// The hardware prefetches by cache lines: the tail must not come into the line of the head.
const GAP: u32 = 64;

/// A ring; its pages are contiguous in the DMA region.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) memory: DmaPage,
    pub(crate) ggtt: GgttOffset,
    size: u32,
    /// Where the next request starts.
    emit: u32,
    /// Everything before this has been executed.
    retired: u32,
}

/// Room for a request: from `start` on, after filling `fill` bytes from the old position with MI_NOOP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Room {
    pub(crate) start: u32,
    pub(crate) fill_from: u32,
    pub(crate) fill: u32,
}

impl Ring {
    /// A ring of `size` bytes, a power of two.
    pub(crate) const fn new(memory: DmaPage, ggtt: GgttOffset, size: u32) -> Self {
        Self { memory, ggtt, size, emit: 0, retired: 0 }
    }

    pub(crate) const fn size(&self) -> u32 {
        self.size
    }

    const fn free(&self) -> u32 {
        self.retired.wrapping_sub(self.emit).wrapping_sub(GAP) & (self.size - 1)
    }

    /// Finds `bytes` in a row. A request does not wrap: what is left before the end is filled with
    /// MI_NOOP instead. `None` when the ring is too full.
    #[inline(always)] // The length of most requests is known.
    pub(crate) const fn room(&self, bytes: u32) -> Option<Room> {
        let rest = self.size - self.emit;
        let fill = if bytes > rest { rest } else { 0 };
        // Strictly less: a full ring would look empty.
        if bytes + fill >= self.free() {
            return None;
        }
        let start = if fill == 0 { self.emit } else { 0 };
        Some(Room { start, fill_from: self.emit, fill })
    }

    /// The place of a position, which may be the ring's end: that is its beginning, for a tail of the ring's size is not
    /// allowed.
    pub(crate) const fn position(&self, at: u32) -> u32 {
        at & (self.size - 1)
    }

    /// The request that was written ends before `end` (which may be the ring's size).
    pub(crate) const fn advance(&mut self, end: u32) {
        self.emit = self.position(end);
    }

    /// Everything before `position` has been executed.
    pub(crate) const fn retire(&mut self, position: u32) {
        self.retired = position & (self.size - 1);
    }

    /// Whether moving the tail from `from` to `to` is a move forward.
    pub(crate) const fn is_forward(&self, from: u32, to: u32) -> bool {
        let distance = to.wrapping_sub(from) & (self.size - 1);
        distance != 0 && distance < self.size / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn ring(size: u32) -> Ring {
        Ring::new(DmaPage(0), GgttOffset::new(0), size)
    }

    #[test]
    fn a_request_that_does_not_fit_before_the_end_starts_at_the_beginning() {
        let mut ring = ring(4096);
        ring.advance(4000);
        ring.retire(3000);
        assert_eq!(ring.room(200), Some(Room { start: 0, fill_from: 4000, fill: 96 }));
        assert_eq!(ring.room(96), Some(Room { start: 4000, fill_from: 4000, fill: 0 }));
        ring.advance(4096);
        assert_eq!(ring.room(8), Some(Room { start: 0, fill_from: 0, fill: 0 }));
    }

    #[test]
    fn an_unmoved_tail_is_not_forward() {
        let ring = ring(4096);
        assert!(!ring.is_forward(8, 8));
        assert!(ring.is_forward(8, 16));
        assert!(ring.is_forward(4088, 0));
        assert!(!ring.is_forward(16, 8));
    }

    proptest! {
        #[test]
        fn requests_in_flight_never_overlap_and_the_tail_keeps_its_distance(
            steps in prop::collection::vec((any::<bool>(), 1u32..40), 1..300)
        ) {
            let mut ring = ring(4096);
            let mut flight: VecDeque<(u32, u32)> = VecDeque::new();
            for (submit, qwords) in steps {
                let bytes = qwords * 8;
                if submit {
                    if let Some(room) = ring.room(bytes) {
                        let end = room.start + bytes;
                        prop_assert!(end <= 4096);
                        for (start, stop) in &flight {
                            prop_assert!(end <= *start || room.start >= *stop);
                            if *start >= end {
                                prop_assert!(*start - end >= 64 || flight.is_empty());
                            }
                        }
                        flight.push_back((room.start, end));
                        ring.advance(end);
                    } else {
                        prop_assert!(!flight.is_empty(), "an empty ring takes every request");
                    }
                } else if let Some((_, end)) = flight.pop_front() {
                    ring.retire(end);
                }
            }
        }
    }
}
