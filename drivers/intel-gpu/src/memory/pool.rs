// SPDX-License-Identifier: BSD-2-Clause
//! The driver's own pages: page tables, context images, rings, status pages, objects in driver memory.
//! A buddy allocator over the DMA region, so that objects can have 64 KiB and 2 MiB runs; every page is
//! charged to an account, and an account that has reached its limit is refused while the others go on.
//!
//! Block addresses are aligned as the *device* sees them: a block of order k starts at a multiple of
//! `4 KiB << k` of device addresses, whatever the region starts with.

use alloc::vec::Vec;

use crate::address::{DeviceAddress, DmaPage, PAGE_SHIFT};
use crate::error::Error;
use crate::handle::{Id, Slab};

/// Largest block: 2 MiB.
pub(crate) const MAX_ORDER: u8 = 9;
const ORDERS: usize = MAX_ORDER as usize + 1;
const NONE: u32 = u32::MAX;

/// Who pays for pages.
#[derive(Debug)]
pub struct Account {
    usage: Usage,
}

/// Handle of an account.
pub type AccountId = Id<Account>;

/// What an account has and may have, in 4 KiB pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Pages in use.
    pub used: u32,
    /// Limit; allocations beyond it are refused with [`Error::Quota`].
    pub limit: u32,
    /// Those in use that are page tables.
    pub tables: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// First page of a free block, linked by `next` and `previous`.
    Free,
    /// First page of an allocated block.
    Used,
    /// Any other page of a block.
    Inside,
}

#[derive(Clone, Debug)]
struct Page {
    /// Free: next free block of this order. Used: link of a [`PageList`].
    next: u32,
    previous: u32,
    state: State,
    order: u8,
    /// Free to use by the owner of an allocated block: live entries of a page table.
    live: u16,
    account: AccountId,
    /// It is a page table.
    table: bool,
}

/// Allocated blocks linked through their own bookkeeping: no memory, constant time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PageList {
    head: u32,
    tail: u32,
    len: u32,
}

impl PageList {
    pub(crate) const fn new() -> Self {
        Self { head: NONE, tail: NONE, len: 0 }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }
}

/// The pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pages: Vec<Page>,
    free: [u32; ORDERS],
    free_pages: u32,
    /// Page frame number of page 0 as the device sees it.
    base_frame: u64,
    accounts: Slab<Account>,
    driver: AccountId,
}

impl Pool {
    /// Bytes that the books of a pool take.
    pub(crate) const fn bytes(count: u32, accounts: u32) -> usize {
        // CAST: widening on every target of this driver.
        count as usize * size_of::<Page>() + Slab::<Account>::bytes(accounts + 1)
    }

    /// A pool over `count` pages that the device sees from `base` on, with room for `accounts` accounts
    /// besides the driver's own, which has no limit.
    pub(crate) fn new(base: DeviceAddress, count: u32, accounts: u32) -> Option<Self> {
        let mut slab = Slab::new(accounts.checked_add(1)?);
        let driver = slab.insert(Account { usage: Usage { used: 0, limit: u32::MAX, tables: 0 } }).ok()?;
        let page = Page {
            next: NONE,
            previous: NONE,
            state: State::Inside,
            order: 0,
            live: 0,
            account: driver,
            table: false,
        };
        let mut pages = Vec::new();
        pages.resize(count as usize, page);
        let mut pool = Self {
            pages,
            free: [NONE; ORDERS],
            free_pages: 0,
            base_frame: base.get() >> PAGE_SHIFT,
            accounts: slab,
            driver,
        };
        let mut at = 0;
        while at < count {
            // The largest block that is aligned for the device and does not reach past the end.
            let mut order = MAX_ORDER;
            while !pool.aligned(at, order) || u64::from(at) + (1 << order) > u64::from(count) {
                order -= 1; // order 0 always fits
            }
            pool.push_free(at, order);
            pool.free_pages += 1 << order;
            at += 1 << order;
        }
        Some(pool)
    }

    pub(crate) const fn driver_account(&self) -> AccountId {
        self.driver
    }

    pub(crate) fn create_account(&mut self, limit: u32) -> Result<AccountId, Error> {
        self.accounts
            .insert(Account { usage: Usage { used: 0, limit, tables: 0 } })
            .map_err(|_| Error::NoMemory)
    }

    pub(crate) fn destroy_account(&mut self, account: AccountId) -> Result<(), Error> {
        let found = self.accounts.get(account).ok_or(Error::NotFound)?;
        if found.usage.used != 0 || account == self.driver {
            return Err(Error::Busy);
        }
        self.accounts.remove(account);
        Ok(())
    }

    pub(crate) fn usage(&self, account: AccountId) -> Option<Usage> {
        self.accounts.get(account).map(|account| account.usage)
    }

    pub(crate) const fn free_pages(&self) -> u32 {
        self.free_pages
    }

    pub(crate) fn address(&self, page: DmaPage) -> DeviceAddress {
        DeviceAddress::new((self.base_frame + u64::from(page.0)) << PAGE_SHIFT)
    }

    /// The page of the pool that the device sees at `address`.
    pub(crate) fn page_at(&self, address: u64) -> Option<DmaPage> {
        let index = u32::try_from((address >> PAGE_SHIFT).checked_sub(self.base_frame)?).ok()?;
        ((index as usize) < self.pages.len()).then_some(DmaPage(index))
    }

    /// Allocates `1 << order` pages in a row, aligned to their length. The content is whatever was there.
    pub(crate) fn allocate(&mut self, order: u8, account: AccountId) -> Result<DmaPage, Error> {
        if order > MAX_ORDER || crate::fail::point() {
            return Err(Error::NoMemory);
        }
        let count = 1u32 << order;
        let usage = &self.accounts.get(account).ok_or(Error::NotFound)?.usage;
        if usage.limit.saturating_sub(usage.used) < count {
            return Err(Error::Quota);
        }
        let mut from = order;
        while from <= MAX_ORDER && self.free[usize::from(from)] == NONE {
            from += 1;
        }
        if from > MAX_ORDER {
            return Err(Error::NoMemory);
        }
        let block = self.free[usize::from(from)];
        self.unlink(block);
        while from > order {
            from -= 1;
            self.push_free(block + (1 << from), from);
        }
        let page = &mut self.pages[block as usize];
        page.state = State::Used;
        page.order = order;
        page.live = 0;
        page.next = NONE;
        page.account = account;
        page.table = false;
        self.free_pages -= count;
        if let Some(account) = self.accounts.get_mut(account) {
            account.usage.used += count;
        }
        Ok(DmaPage(block))
    }

    /// Allocates a page for a page table.
    pub(crate) fn allocate_table(&mut self, account: AccountId) -> Result<DmaPage, Error> {
        let page = self.allocate(0, account)?;
        if let (Some(place), Some(account)) =
            (self.pages.get_mut(page.0 as usize), self.accounts.get_mut(account))
        {
            place.table = true;
            account.usage.tables += 1;
        }
        Ok(page)
    }

    /// Gives a block back. A page that is not the start of an allocated block is left alone: a bug, but
    /// not one that may corrupt the pool.
    pub(crate) fn free(&mut self, block: DmaPage) {
        let Some(page) = self.pages.get(block.0 as usize) else { return };
        if page.state != State::Used {
            debug_assert!(false, "freed page {} twice", block.0);
            return;
        }
        let (order, account, table) = (page.order, page.account, page.table);
        self.free_pages += 1 << order;
        if let Some(account) = self.accounts.get_mut(account) {
            account.usage.used -= 1 << order;
            account.usage.tables -= u32::from(table);
        }
        let mut start = block.0;
        let mut order = order;
        while order < MAX_ORDER {
            let Some(buddy) = self.buddy(start, order) else { break };
            let other = &self.pages[buddy as usize];
            if other.state != State::Free || other.order != order {
                break;
            }
            self.unlink(buddy);
            self.pages[start.max(buddy) as usize].state = State::Inside;
            start = start.min(buddy);
            order += 1;
        }
        self.push_free(start, order);
    }

    /// Puts a block at the end of a list.
    pub(crate) fn push(&mut self, list: &mut PageList, block: DmaPage) {
        if let Some(page) = self.pages.get_mut(block.0 as usize) {
            page.next = NONE;
            match self.pages.get_mut(list.tail as usize) {
                Some(last) => last.next = block.0,
                None => list.head = block.0,
            }
            list.tail = block.0;
            list.len += 1;
        }
    }

    /// The blocks of a list and their lengths in pages, in order.
    pub(crate) fn blocks(&self, list: &PageList) -> impl Iterator<Item = (DmaPage, u32)> {
        let mut at = self.first(list);
        core::iter::from_fn(move || {
            let block = at?;
            at = self.after(block);
            Some((block, self.pages_of(block)))
        })
    }

    /// The first block of a list.
    pub(crate) fn first(&self, list: &PageList) -> Option<DmaPage> {
        (list.head != NONE).then_some(DmaPage(list.head))
    }

    /// The block behind `block` in its list.
    pub(crate) fn after(&self, block: DmaPage) -> Option<DmaPage> {
        let next = self.pages.get(block.0 as usize)?.next;
        (next != NONE).then_some(DmaPage(next))
    }

    /// Length of an allocated block in pages.
    pub(crate) fn pages_of(&self, block: DmaPage) -> u32 {
        self.pages.get(block.0 as usize).map_or(0, |page| 1 << page.order)
    }

    /// Moves all blocks of `from` to the end of `to`.
    pub(crate) fn append(&mut self, to: &mut PageList, from: &mut PageList) {
        match self.pages.get_mut(to.tail as usize) {
            Some(last) => last.next = from.head,
            None => to.head = from.head,
        }
        if from.tail != NONE {
            to.tail = from.tail;
        }
        to.len += from.len;
        *from = PageList::new();
    }

    /// Takes the first block.
    pub(crate) fn pop(&mut self, list: &mut PageList) -> Option<DmaPage> {
        let block = list.head;
        let page = self.pages.get_mut(block as usize)?;
        list.head = page.next;
        list.len -= 1;
        page.next = NONE;
        if list.head == NONE {
            list.tail = NONE;
        }
        Some(DmaPage(block))
    }

    /// Frees every block of a list.
    pub(crate) fn free_list(&mut self, list: &mut PageList) {
        while let Some(block) = self.pop(list) {
            self.free(block);
        }
    }

    /// The owner's counter of an allocated block.
    pub(crate) fn live(&mut self, block: DmaPage) -> &mut u16 {
        // In range: blocks come from `allocate` or from `page_at`.
        &mut self.pages[block.0 as usize].live
    }

    const fn aligned(&self, page: u32, order: u8) -> bool {
        (self.base_frame + page as u64) & ((1 << order) - 1) == 0
    }

    fn buddy(&self, block: u32, order: u8) -> Option<u32> {
        let frame = (self.base_frame + u64::from(block)) ^ (1 << order);
        let index = u32::try_from(frame.checked_sub(self.base_frame)?).ok()?;
        ((index as usize) < self.pages.len()).then_some(index)
    }

    fn push_free(&mut self, block: u32, order: u8) {
        let head = self.free[usize::from(order)];
        let page = &mut self.pages[block as usize];
        page.state = State::Free;
        page.order = order;
        page.next = head;
        page.previous = NONE;
        if let Some(old) = self.pages.get_mut(head as usize) {
            old.previous = block;
        }
        self.free[usize::from(order)] = block;
    }

    fn unlink(&mut self, block: u32) {
        let Page { next, previous, order, .. } = self.pages[block as usize];
        match self.pages.get_mut(previous as usize) {
            Some(page) => page.next = next,
            None => self.free[usize::from(order)] = next,
        }
        if let Some(page) = self.pages.get_mut(next as usize) {
            page.previous = previous;
        }
        self.pages[block as usize].state = State::Inside;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(base: u64, pages: u32) -> Pool {
        Pool::new(DeviceAddress::new(base), pages, 4).expect("a pool")
    }

    #[test]
    fn a_block_is_aligned_for_the_device_whatever_the_region_starts_with() {
        let mut pool = pool(0x1_0000_3000, 2048);
        let block = pool.allocate(9, pool.driver_account()).expect("2 MiB");
        assert!(pool.address(block).is_aligned(2 << 20));
        assert_eq!(pool.page_at(pool.address(block).get()), Some(block));
    }

    #[test]
    fn an_account_at_its_limit_is_refused_and_another_is_served() {
        let mut pool = pool(0, 64);
        let poor = pool.create_account(1).expect("room");
        let rich = pool.create_account(100).expect("room");
        let page = pool.allocate(0, poor).expect("within the limit");
        assert_eq!(pool.allocate(0, poor), Err(Error::Quota));
        assert!(pool.allocate(0, rich).is_ok());
        assert_eq!(pool.destroy_account(poor), Err(Error::Busy));
        pool.free(page);
        assert_eq!(pool.usage(poor), Some(Usage { used: 0, limit: 1, tables: 0 }));
        assert_eq!(pool.destroy_account(poor), Ok(()));
    }

    #[test]
    fn page_tables_are_counted_among_the_pages_of_their_account_while_they_live() {
        let mut pool = pool(0, 64);
        let account = pool.create_account(10).expect("room");
        let (page, table) =
            (pool.allocate(1, account).expect("room"), pool.allocate_table(account).expect("room"));
        assert_eq!(pool.usage(account), Some(Usage { used: 3, limit: 10, tables: 1 }));
        pool.free(page);
        assert_eq!(pool.usage(account), Some(Usage { used: 1, limit: 10, tables: 1 }));
        pool.free(table);
        // The page's next life is another one.
        let again = pool.allocate(0, account).expect("room");
        assert_eq!(pool.usage(account), Some(Usage { used: 1, limit: 10, tables: 0 }));
        pool.free(again);
        assert_eq!(pool.usage(account), Some(Usage { used: 0, limit: 10, tables: 0 }));
    }

    #[test]
    fn an_exhausted_pool_says_so() {
        let mut pool = pool(0, 2);
        let account = pool.driver_account();
        assert!(pool.allocate(1, account).is_ok());
        assert_eq!(pool.allocate(0, account), Err(Error::NoMemory));
    }

    proptest! {
        /// Against the naive reference of one owner per page.
        #[test]
        fn blocks_never_overlap_and_everything_merges_back(
            base in 0u64..1024, count in 1u32..1500,
            steps in prop::collection::vec((any::<bool>(), 0u8..=9, any::<prop::sample::Index>()), 0..200),
        ) {
            let mut pool = pool(base << PAGE_SHIFT, count);
            let account = pool.driver_account();
            let mut owner = vec![false; count as usize];
            let mut blocks: Vec<(DmaPage, u8)> = Vec::new();
            for (allocate, order, which) in steps {
                if allocate {
                    if let Ok(block) = pool.allocate(order, account) {
                        prop_assert!(pool.address(block).is_aligned(4096 << order));
                        for page in &mut owner[block.0 as usize..][..1 << order] {
                            prop_assert!(!*page);
                            *page = true;
                        }
                        blocks.push((block, order));
                    }
                } else if !blocks.is_empty() {
                    let (block, order) = blocks.swap_remove(which.index(blocks.len()));
                    pool.free(block);
                    owner[block.0 as usize..][..1 << order].fill(false);
                }
                let used = owner.iter().filter(|used| **used).count();
                prop_assert_eq!(pool.free_pages() as usize, count as usize - used);
            }
            for (block, _) in blocks {
                pool.free(block);
            }
            // Merged back as far as alignment allows: the same blocks as at the start.
            let mut fresh = Pool::new(DeviceAddress::new(base << PAGE_SHIFT), count, 4).expect("a pool");
            for order in (0..=MAX_ORDER).rev() {
                loop {
                    let (ours, theirs) = (pool.allocate(order, account), fresh.allocate(order, fresh.driver_account()));
                    prop_assert_eq!(ours.is_ok(), theirs.is_ok());
                    if ours.is_err() { break; }
                }
            }
        }
    }
}
