// SPDX-License-Identifier: BSD-2-Clause
//! The pool of lent pages. The number of a page in the pool is also the number under which the domain
//! keeps its capability, so one number names both. An object's pages are a chain through the pool in
//! the order of their addresses: nothing is allocated to link them.

use alloc::vec::Vec;

use crate::address::{DeviceAddress, PAGE_SIZE, PageRun};

const END: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Page {
    device: DeviceAddress,
    next: u32,
}

/// Every page that clients lend, and the free ones.
#[derive(Debug)]
pub(crate) struct LentPages {
    pages: Vec<Page>,
    free: u32,
    free_count: u32,
}

/// A list of lent pages, in address order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    first: u32,
    last: u32,
    len: u32,
}

impl Chain {
    /// No page.
    pub(crate) const EMPTY: Self = Self { first: END, last: END, len: 0 };

    /// Number of pages.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }
}

impl LentPages {
    /// A pool of `capacity` pages. The only allocation.
    pub(crate) fn with_capacity(capacity: u32) -> Self {
        let page = |index: u32| Page {
            device: DeviceAddress::new(0),
            next: if index + 1 < capacity { index + 1 } else { END },
        };
        Self {
            pages: (0..capacity).map(page).collect(),
            free: if capacity == 0 { END } else { 0 },
            free_count: capacity,
        }
    }

    /// Number of pages that can still be lent.
    pub(crate) const fn free_pages(&self) -> u32 {
        self.free_count
    }

    /// The number that the next page will have, so that its capability can be put there first.
    pub(crate) fn next_slot(&self) -> Option<u32> {
        (self.free != END).then_some(self.free)
    }

    /// Appends the page of [`LentPages::next_slot`] to a chain. Returns false, and does nothing, when
    /// the pool is exhausted.
    pub(crate) fn append(&mut self, chain: &mut Chain, device: DeviceAddress) -> bool {
        let slot = self.free;
        let Some(page) = self.pages.get_mut(slot as usize) else {
            return false;
        };
        self.free = page.next;
        self.free_count -= 1;
        *page = Page { device, next: END };
        if let Some(last) = self.pages.get_mut(chain.last as usize) {
            last.next = slot;
        } else {
            chain.first = slot;
        }
        chain.last = slot;
        chain.len += 1;
        true
    }

    /// Takes the first page off a chain and frees its place; returns its number.
    pub(crate) fn pop(&mut self, chain: &mut Chain) -> Option<u32> {
        let slot = chain.first;
        let page = self.pages.get_mut(slot as usize)?;
        chain.first = page.next;
        chain.len -= 1;
        if chain.first == END {
            chain.last = END;
        }
        page.next = self.free;
        self.free = slot;
        self.free_count += 1;
        Some(slot)
    }

    /// The number of the page at `index` of a chain.
    pub(crate) fn slot_at(&self, chain: &Chain, index: u32) -> Option<u32> {
        let mut slot = chain.first;
        for _ in 0..index {
            slot = self.pages.get(slot as usize)?.next;
        }
        (index < chain.len).then_some(slot)
    }

    /// Appends all of `tail` to `chain`.
    pub(crate) fn join(&mut self, chain: &mut Chain, tail: Chain) {
        if tail.len == 0 {
            return;
        }
        if let Some(last) = self.pages.get_mut(chain.last as usize) {
            last.next = tail.first;
        } else {
            chain.first = tail.first;
        }
        chain.last = tail.last;
        chain.len += tail.len;
    }

    /// The device addresses of a chain, in order, neighbours joined into runs.
    pub(crate) fn runs<'a>(&'a self, chain: &Chain) -> impl Iterator<Item = PageRun> + Clone + use<'a> {
        let mut next = chain.first;
        // Bounded by the chain's length, so that not even a damaged chain loops for ever.
        let mut left = chain.len;
        core::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let first = self.pages.get(next as usize)?;
            let mut run = PageRun { address: first.device, pages: 1 };
            (next, left) = (first.next, left - 1);
            while left > 0 {
                let Some(page) = self.pages.get(next as usize) else { break };
                if page.device != run.address.offset(u64::from(run.pages) * PAGE_SIZE) {
                    break;
                }
                run.pages += 1;
                (next, left) = (page.next, left - 1);
            }
            Some(run)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(pool: &LentPages, chain: &Chain) -> Vec<(u64, u32)> {
        pool.runs(chain).map(|run| (run.address.get(), run.pages)).collect()
    }

    #[test]
    fn a_chain_keeps_the_order_in_which_pages_were_lent() {
        let mut pool = LentPages::with_capacity(8);
        let (mut a, mut b) = (Chain::EMPTY, Chain::EMPTY);
        for page in 1..=3 {
            assert!(pool.append(&mut a, DeviceAddress::new(page * 0x1000)));
            assert!(pool.append(&mut b, DeviceAddress::new(page * 0x10_0000)));
        }
        assert_eq!(runs(&pool, &a), [(0x1000, 3)]);
        assert_eq!(runs(&pool, &b), [(0x10_0000, 1), (0x20_0000, 1), (0x30_0000, 1)]);
        assert_eq!(pool.free_pages(), 2);
        pool.join(&mut b, a);
        assert_eq!(b.len(), 6);
        assert_eq!(runs(&pool, &b)[3], (0x1000, 3));
    }

    #[test]
    fn popped_pages_are_free_again_and_an_exhausted_pool_changes_nothing() {
        let mut pool = LentPages::with_capacity(2);
        let mut chain = Chain::EMPTY;
        assert!(pool.append(&mut chain, DeviceAddress::new(0x1000)));
        assert!(pool.append(&mut chain, DeviceAddress::new(0x2000)));
        assert_eq!(pool.next_slot(), None);
        assert!(!pool.append(&mut chain, DeviceAddress::new(0x3000)));
        assert_eq!(chain.len(), 2);
        let first = pool.pop(&mut chain).unwrap();
        assert_eq!(pool.next_slot(), Some(first));
        assert_eq!(runs(&pool, &chain), [(0x2000, 1)]);
        assert!(pool.pop(&mut chain).is_some());
        assert_eq!(pool.pop(&mut chain), None);
        assert_eq!(chain, Chain::EMPTY);
        assert_eq!(pool.free_pages(), 2);
    }
}
