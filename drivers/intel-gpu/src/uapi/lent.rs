// SPDX-License-Identifier: BSD-2-Clause
//! The pool of lent pages. The number of a page in the pool is also the number under which the domain
//! keeps its capability, so one number names both. An object's pages are a chain through the pool in
//! the order of their addresses: nothing is allocated to link them. A page of the pool is a frame as it was
//! lent, of 4 KiB or 2 MiB; or, where frames are lent by the name of their region, all of one grant.

use alloc::vec::Vec;

use crate::address::{DeviceAddress, PAGE_SIZE, PageRun};

const END: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Page {
    device: DeviceAddress,
    next: u32,
    /// Its size in pages of 4 KiB.
    small_pages: u32,
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
    /// Frames.
    len: u32,
    /// Their size in pages of 4 KiB.
    small_pages: u32,
}

impl Chain {
    /// No page.
    pub(crate) const EMPTY: Self = Self { first: END, last: END, len: 0, small_pages: 0 };

    /// There is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of frames.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Their size in pages of 4 KiB.
    pub(crate) const fn small_pages(&self) -> u32 {
        self.small_pages
    }
}

impl LentPages {
    /// A pool of `capacity` pages. The only allocation.
    pub(crate) fn with_capacity(capacity: u32) -> Self {
        let page = |index: u32| Page {
            device: DeviceAddress::new(0),
            small_pages: 0,
            next: if index + 1 < capacity { index + 1 } else { END },
        };
        Self {
            pages: (0..capacity).map(page).collect(),
            free: if capacity == 0 { END } else { 0 },
            free_count: capacity,
        }
    }

    /// Bytes that a pool takes.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        // CAST: widening on every target of this driver.
        capacity as usize * size_of::<Page>()
    }

    /// Number of pages that can still be lent.
    pub(crate) const fn free_pages(&self) -> u32 {
        self.free_count
    }

    /// The number that the next page will have, so that its capability can be put there first.
    pub(crate) fn next_slot(&self) -> Option<u32> {
        (self.free != END).then_some(self.free)
    }

    /// Appends the page of [`LentPages::next_slot`], of so many pages of 4 KiB, to a chain. Returns false, and
    /// does nothing, when the pool is exhausted.
    pub(crate) fn append(&mut self, chain: &mut Chain, device: DeviceAddress, small_pages: u32) -> bool {
        let slot = self.free;
        let page = self.pages.get_mut(slot as usize).filter(|_| !crate::fail::point());
        let Some(page) = page else {
            return false;
        };
        self.free = page.next;
        self.free_count -= 1;
        *page = Page { device, next: END, small_pages };
        if let Some(last) = self.pages.get_mut(chain.last as usize) {
            last.next = slot;
        } else {
            chain.first = slot;
        }
        chain.last = slot;
        chain.len += 1;
        chain.small_pages += small_pages;
        true
    }

    /// The numbers and addresses of a chain's frames, in order.
    pub(crate) fn frames<'a>(
        &'a self,
        chain: &Chain,
    ) -> impl Iterator<Item = (u32, DeviceAddress)> + use<'a> {
        let mut next = chain.first;
        let mut left = chain.len;
        core::iter::from_fn(move || {
            // Bounded by the chain's length, so that not even a damaged chain loops for ever.
            left = left.checked_sub(1)?;
            let slot = next;
            let page = self.pages.get(slot as usize)?;
            next = page.next;
            Some((slot, page.device))
        })
    }

    /// Takes the first page off a chain and frees its place; returns its number, its address and its size in pages of
    /// 4 KiB.
    pub(crate) fn pop(&mut self, chain: &mut Chain) -> Option<(u32, DeviceAddress, u32)> {
        let slot = chain.first;
        let page = self.pages.get_mut(slot as usize)?;
        chain.first = page.next;
        chain.len -= 1;
        chain.small_pages -= page.small_pages;
        let Page { device, small_pages, .. } = *page;
        if chain.first == END {
            chain.last = END;
        }
        page.next = self.free;
        self.free = slot;
        self.free_count += 1;
        Some((slot, device, small_pages))
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
        chain.small_pages += tail.small_pages;
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
            let mut run = PageRun { address: first.device, pages: first.small_pages };
            (next, left) = (first.next, left - 1);
            while left > 0 {
                let Some(page) = self.pages.get(next as usize) else { break };
                if page.device != run.address.offset(u64::from(run.pages) * PAGE_SIZE) {
                    break;
                }
                run.pages += page.small_pages;
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
            assert!(pool.append(&mut a, DeviceAddress::new(page * 0x1000), 1));
            assert!(pool.append(&mut b, DeviceAddress::new(page * 0x10_0000), 1));
        }
        assert_eq!(runs(&pool, &a), [(0x1000, 3)]);
        assert_eq!(runs(&pool, &b), [(0x10_0000, 1), (0x20_0000, 1), (0x30_0000, 1)]);
        assert_eq!(pool.free_pages(), 2);
        pool.join(&mut b, a);
        assert_eq!(b.small_pages(), 6);
        assert_eq!(runs(&pool, &b)[3], (0x1000, 3));
    }

    #[test]
    fn popped_pages_are_free_again_and_an_exhausted_pool_changes_nothing() {
        let mut pool = LentPages::with_capacity(2);
        let mut chain = Chain::EMPTY;
        assert!(pool.append(&mut chain, DeviceAddress::new(0x1000), 1));
        assert!(pool.append(&mut chain, DeviceAddress::new(0x2000), 1));
        assert_eq!(pool.next_slot(), None);
        assert!(!pool.append(&mut chain, DeviceAddress::new(0x3000), 1));
        assert_eq!(chain.small_pages(), 2);
        let first = pool.pop(&mut chain).unwrap();
        assert_eq!(pool.next_slot(), Some(first.0));
        assert_eq!(first.1, DeviceAddress::new(0x1000));
        assert_eq!(runs(&pool, &chain), [(0x2000, 1)]);
        assert!(pool.pop(&mut chain).is_some());
        assert_eq!(pool.pop(&mut chain), None);
        assert_eq!(chain, Chain::EMPTY);
        assert_eq!(pool.free_pages(), 2);
    }

    #[test]
    fn large_frames_count_as_their_small_pages_and_join_into_runs() {
        let mut pool = LentPages::with_capacity(4);
        let mut chain = Chain::EMPTY;
        assert!(pool.append(&mut chain, DeviceAddress::new(0x20_0000), 512));
        assert!(pool.append(&mut chain, DeviceAddress::new(0x40_0000), 512));
        assert!(pool.append(&mut chain, DeviceAddress::new(0x60_0000), 1));
        assert_eq!(runs(&pool, &chain), [(0x20_0000, 1025)]);
        assert_eq!((chain.small_pages(), pool.free_pages()), (1025, 1));
        let frames: Vec<_> = pool.frames(&chain).map(|(slot, device)| (slot, device.get())).collect();
        assert_eq!(frames, [(0, 0x20_0000), (1, 0x40_0000), (2, 0x60_0000)]);
        pool.pop(&mut chain);
        assert_eq!(chain.small_pages(), 513);
    }
}
