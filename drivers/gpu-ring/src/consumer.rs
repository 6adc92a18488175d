// SPDX-License-Identifier: BSD-2-Clause
//! The side that takes out.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::{Corrupt, Layout, Words, passes};

/// Takes out entries of `N` words.
#[derive(Debug)]
pub struct Consumer<const N: usize> {
    layout: Layout,
    /// Entries taken out.
    head: u64,
    /// As many of them as the producer has been shown.
    released: u64,
    /// Entries that the producer has published, when it was last looked at.
    tail: u64,
}

impl<const N: usize> Consumer<N> {
    /// The consumer of a ring that nobody has used yet: its words are 0. It is not notified before it
    /// asks to be ([`Self::arm`]).
    #[must_use]
    pub const fn new(layout: Layout) -> Self {
        Self { layout, head: 0, released: 0, tail: 0 }
    }

    /// Begins anew, whatever is in the ring, and says so in the words that are the consumer's. The producer
    /// has to do the same, before either uses the ring.
    pub fn reset(&mut self, words: &(impl Words + ?Sized)) {
        (self.head, self.released, self.tail) = (0, 0, 0);
        words.store(self.layout.wanted_tail(), 0, Relaxed);
        words.store(self.layout.head(), 0, Release);
    }

    /// How many entries there are now.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn available(&mut self, words: &(impl Words + ?Sized)) -> Result<u64, Corrupt> {
        let tail = words.load(self.layout.tail(), Acquire);
        let filled = tail.wrapping_sub(self.head);
        // The producer has room for what it was shown to be taken out, and does not take anything back.
        if tail.wrapping_sub(self.released) > self.layout.capacity() || filled < self.tail - self.head {
            return Err(Corrupt);
        }
        self.tail = tail;
        Ok(filled)
    }

    /// Whether there is an entry. Looks at the producer's index only when all that it showed last has been taken out.
    ///
    /// # Errors
    /// [`Corrupt`].
    #[inline]
    pub fn is_ready(&mut self, words: &(impl Words + ?Sized)) -> Result<bool, Corrupt> {
        Ok(self.head != self.tail || self.available(words)? != 0)
    }

    /// Whether there was another entry when the producer's index was last looked at.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.head != self.tail
    }

    /// Takes an entry out, copied once. The producer cannot use its slot before [`Self::release`].
    ///
    /// # Errors
    /// [`Corrupt`].
    #[inline]
    pub fn pop(&mut self, words: &(impl Words + ?Sized)) -> Result<Option<[u64; N]>, Corrupt> {
        if !self.is_ready(words)? {
            return Ok(None);
        }
        let slot = self.layout.slot(self.head);
        let mut entry = [0; N];
        if !words.load_row(slot, &mut entry) {
            return Err(Corrupt);
        }
        self.head += 1;
        Ok(Some(entry))
    }

    /// Gives the producer the slots of everything that was taken out. Returns whether it is to be notified.
    #[must_use = "a producer that is not notified sleeps on"]
    pub fn release(&mut self, words: &(impl Words + ?Sized)) -> bool {
        let old = core::mem::replace(&mut self.released, self.head);
        if old == self.head {
            return false;
        }
        words.store(self.layout.head(), self.head, Release);
        words.fence();
        passes(words.load(self.layout.wanted_head(), Relaxed), old, self.head)
    }

    /// Asks to be notified when there are `count` entries (1 or more; more than the capacity means a full
    /// ring). Returns whether to sleep: not if there are so many already.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn arm(&mut self, words: &(impl Words + ?Sized), count: u64) -> Result<bool, Corrupt> {
        // A ring that is full of what was taken out and not released would never have so many.
        let most = self.layout.capacity() - (self.head - self.released);
        let count = count.clamp(1, most.max(1));
        if self.available(words)? >= count {
            return Ok(false);
        }
        words.store(self.layout.wanted_tail(), self.head + count, Relaxed);
        words.fence();
        Ok(self.available(words)? < count)
    }
}
