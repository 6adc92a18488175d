// SPDX-License-Identifier: BSD-2-Clause
//! Shared memory as a ring sees it.

use core::sync::atomic::{self, Ordering};

use window::Window;

/// Memory of 64-bit words that others read and write too.
///
/// Every access is one atomic access of a whole word, so that a word is never torn; the orderings are those
/// of [`core::sync::atomic`].
pub trait Words {
    /// Number of words.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads a word; 0 outside.
    fn load(&self, index: usize, order: Ordering) -> u64;

    /// Writes a word; nothing happens outside.
    fn store(&self, index: usize, value: u64, order: Ordering);

    /// Reads words in a row, each by itself and without order. Returns false, with nothing read, if they are not all inside.
    #[must_use]
    fn load_row(&self, first: usize, values: &mut [u64]) -> bool {
        let inside = first.checked_add(values.len()).is_some_and(|end| end <= self.len());
        if inside {
            for (index, value) in (first..).zip(values) {
                *value = self.load(index, Ordering::Relaxed);
            }
        }
        inside
    }

    /// Writes words in a row, each by itself and without order; nothing happens outside.
    fn store_row(&self, first: usize, values: &[u64]) {
        for (index, value) in (first..).zip(values) {
            self.store(index, *value, Ordering::Relaxed);
        }
    }

    /// A sequentially consistent fence.
    fn fence(&self) {
        atomic::fence(Ordering::SeqCst);
    }
}

impl Words for Window {
    fn len(&self) -> usize {
        Window::len(self) / size_of::<u64>()
    }

    fn load(&self, index: usize, order: Ordering) -> u64 {
        self.atomic(index).map_or(0, |word| word.load(order))
    }

    fn store(&self, index: usize, value: u64, order: Ordering) {
        if let Some(word) = self.atomic(index) {
            word.store(value, order);
        }
    }

    // An entry of a ring lies inside as a whole, and is looked up once.
    #[inline]
    fn load_row(&self, first: usize, values: &mut [u64]) -> bool {
        let Some(words) = self.atomics(first, values.len()) else { return false };
        for (word, value) in words.iter().zip(values) {
            *value = word.load(Ordering::Relaxed);
        }
        true
    }

    #[inline]
    fn store_row(&self, first: usize, values: &[u64]) {
        for (word, value) in self.atomics(first, values.len()).unwrap_or(&[]).iter().zip(values) {
            word.store(*value, Ordering::Relaxed);
        }
    }
}

impl Words for [atomic::AtomicU64] {
    fn len(&self) -> usize {
        <[atomic::AtomicU64]>::len(self)
    }

    fn load(&self, index: usize, order: Ordering) -> u64 {
        self.get(index).map_or(0, |word| word.load(order))
    }

    fn store(&self, index: usize, value: u64, order: Ordering) {
        if let Some(word) = self.get(index) {
            word.store(value, order);
        }
    }
}

impl<W: Words + ?Sized> Words for &W {
    fn len(&self) -> usize {
        W::len(self)
    }

    fn load(&self, index: usize, order: Ordering) -> u64 {
        W::load(self, index, order)
    }

    fn store(&self, index: usize, value: u64, order: Ordering) {
        W::store(self, index, value, order);
    }

    fn load_row(&self, first: usize, values: &mut [u64]) -> bool {
        W::load_row(self, first, values)
    }

    fn store_row(&self, first: usize, values: &[u64]) {
        W::store_row(self, first, values);
    }

    fn fence(&self) {
        W::fence(self);
    }
}
