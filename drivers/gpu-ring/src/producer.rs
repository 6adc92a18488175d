// SPDX-License-Identifier: BSD-2-Clause
//! The side that appends.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::{Corrupt, Layout, Words, passes};

/// Appends entries of `N` words.
#[derive(Debug)]
pub struct Producer<const N: usize> {
    layout: Layout,
    /// Entries appended.
    tail: u64,
    /// As many of them as the consumer has been shown.
    published: u64,
    /// Entries that the consumer has taken out, when it was last looked at.
    head: u64,
}

/// Why an entry was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// There is no room: the consumer is behind.
    Full,
    /// See [`Corrupt`].
    Corrupt,
}

impl From<Corrupt> for PushError {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt
    }
}

impl core::fmt::Display for PushError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full => f.write_str("the ring is full"),
            Self::Corrupt => Corrupt.fmt(f),
        }
    }
}

impl core::error::Error for PushError {}

impl<const N: usize> Producer<N> {
    /// The producer of a ring that nobody has used yet: its words are 0.
    #[must_use]
    pub const fn new(layout: Layout) -> Self {
        Self { layout, tail: 0, published: 0, head: 0 }
    }

    /// Begins anew, whatever is in the ring, and says so in the words that are the producer's. The consumer
    /// has to do the same, before either uses the ring.
    pub fn reset(&mut self, words: &(impl Words + ?Sized)) {
        (self.tail, self.published, self.head) = (0, 0, 0);
        words.store(self.layout.wanted_head(), 0, Relaxed);
        words.store(self.layout.tail(), 0, Release);
    }

    /// How many entries can be appended now.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn room(&mut self, words: &(impl Words + ?Sized)) -> Result<u64, Corrupt> {
        let head = words.load(self.layout.head(), Acquire);
        let filled = self.tail.wrapping_sub(head);
        // The consumer can have taken out what it was shown, and does not put anything back.
        if filled > self.tail.wrapping_sub(self.head) || filled < self.tail - self.published {
            return Err(Corrupt);
        }
        self.head = head;
        Ok(self.layout.capacity() - filled)
    }

    /// Whether `count` entries can be appended now. Looks at the consumer's index only if they could not when it was looked at
    /// last: room is never taken back.
    ///
    /// # Errors
    /// [`Corrupt`].
    #[inline]
    pub fn has_room(&mut self, words: &(impl Words + ?Sized), count: u64) -> Result<bool, Corrupt> {
        Ok(self.layout.capacity() - (self.tail - self.head) >= count || self.room(words)? >= count)
    }

    /// Appends an entry, which the consumer does not see before [`Self::publish`].
    ///
    /// # Errors
    /// [`PushError`]; nothing was appended.
    #[inline]
    pub fn push(&mut self, words: &(impl Words + ?Sized), entry: &[u64; N]) -> Result<(), PushError> {
        if !self.has_room(words, 1)? {
            return Err(PushError::Full);
        }
        let slot = self.layout.slot(self.tail);
        words.store_row(slot, entry);
        self.tail += 1;
        Ok(())
    }

    /// Shows the consumer everything that was appended. Returns whether it is to be notified.
    #[must_use = "a consumer that is not notified sleeps on"]
    pub fn publish(&mut self, words: &(impl Words + ?Sized)) -> bool {
        let old = core::mem::replace(&mut self.published, self.tail);
        if old == self.tail {
            return false;
        }
        words.store(self.layout.tail(), self.tail, Release);
        words.fence();
        passes(words.load(self.layout.wanted_tail(), Relaxed), old, self.tail)
    }

    /// Asks to be notified when there is room for `count` entries, 1 or more. Returns whether to sleep: not
    /// if there is room already. There never is for more than the capacity: the consumer then notifies when
    /// it takes out what is still to be appended, so many entries beyond the capacity.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn arm(&mut self, words: &(impl Words + ?Sized), count: u64) -> Result<bool, Corrupt> {
        let count = count.max(1);
        if self.room(words)? >= count {
            return Ok(false);
        }
        // There is room for so many once the head is here; the entry before is the one that it passes.
        let head = self.tail + count - self.layout.capacity();
        words.store(self.layout.wanted_head(), head, Relaxed);
        words.fence();
        Ok(self.room(words)? < count)
    }
}
