// SPDX-License-Identifier: BSD-2-Clause
//! A client's GPU address space: the page tables.
//!
//! The tables themselves are the only record of what is mapped where; beside them the pool keeps, for
//! each table, the number of entries that are not scratch, so that an empty table is known and given
//! back. Unused entries point to scratch: at each level a table that leads to the scratch page, so that
//! a stray or prefetched access reads zero instead of hanging the engine.
//!
//! A bind is done in two steps: [`Ppgtt::reserve`] checks the range and takes from the pool every table
//! that will be needed; from there on nothing can fail. A 2 MiB entry keeps the page table it made
//! superfluous as a deposit, so that removing a part of it later (which needs that table) cannot fail
//! either: an unbind never does. Tables that an unbind emptied are not freed but handed to the caller,
//! who gives them back when no engine can be walking them any more.
//!
//! 64 KiB pages are a property of a whole page table (its PDE's IPS bit): a table is marked when one
//! bind filled all of it with 64 KiB runs. All 512 entries are written in any case, so the mark can be
//! taken off without touching the table.

mod format;
mod walk;

pub(crate) use format::Format;
use format::{ENTRIES, Level};

use crate::address::{DeviceAddress, DmaPage, PageRun, VaRange};
use crate::error::Error;
use crate::memory::Cache;
use crate::memory::pool::{AccountId, PageList, Pool};
use crate::mmio::Bus;
use crate::platform::Hardware;

/// The scratch page and a scratch table per level.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Leaf page, PT, PD and, with four levels, PDP.
    pages: [Option<DmaPage>; 4],
    /// The entry that means "unused" in a table of each level.
    entries: [u64; 4],
}

impl Scratch {
    /// Builds scratch page and tables, charged to `account`.
    pub(crate) fn new<H: Hardware>(
        bus: &mut Bus<H>,
        pool: &mut Pool,
        format: &Format,
        account: AccountId,
    ) -> Result<Self, Error> {
        let mut scratch = Self { pages: [None; 4], entries: [0; 4] };
        let levels = if format.four_level() { 4 } else { 3 };
        for level in 0..levels {
            let page = match pool.allocate_table(account) {
                Ok(page) => page,
                Err(error) => {
                    scratch.free(pool);
                    return Err(error);
                }
            };
            scratch.pages[level] = Some(page);
            let fill = if level == 0 { 0 } else { scratch.entries[level - 1] };
            bus.hw.write_u64_run(page.at(0), fill, 0, ENTRIES as usize);
            bus.publish(page.at(0), 4096);
            let address = pool.address(page);
            scratch.entries[level] =
                if level == 0 { format.scratch_leaf(address) } else { Format::scratch_pointer(address) };
        }
        Ok(scratch)
    }

    /// The same scratch for another address space that does not own it: only where nobody can write it.
    pub(crate) const fn shared(&self) -> Self {
        Self { pages: [None; 4], entries: self.entries }
    }

    fn free(&mut self, pool: &mut Pool) {
        for page in self.pages.iter_mut().filter_map(Option::take) {
            pool.free(page);
        }
    }

    const fn entry(&self, level: Level) -> u64 {
        self.entries[level.0 as usize]
    }
}

/// The root of the tables.
#[derive(Debug)]
enum Root {
    /// Page map level 4.
    Pml4(DmaPage),
    /// Four page directories.
    Directories([DmaPage; 4]),
}

/// An address space.
#[derive(Debug)]
pub(crate) struct Ppgtt {
    root: Root,
    format: Format,
    scratch: Scratch,
    account: AccountId,
    /// One page table for each 2 MiB entry.
    deposits: PageList,
    /// 4 KiB pages mapped.
    mapped: u64,
}

/// Tables for one bind: what [`Ppgtt::bind`] needs so that it cannot fail.
#[derive(Debug)]
#[must_use]
pub(crate) struct Reserved {
    range: VaRange,
    tables: PageList,
}

impl Ppgtt {
    /// An empty address space, its tables charged to `account`. `shared` is scratch that it may share.
    pub(crate) fn new<H: Hardware>(
        bus: &mut Bus<H>,
        pool: &mut Pool,
        format: Format,
        shared: Option<&Scratch>,
        account: AccountId,
    ) -> Result<Self, Error> {
        let mut scratch = match shared {
            Some(scratch) => scratch.shared(),
            None => Scratch::new(bus, pool, &format, account)?,
        };
        let (level, count) = if format.four_level() { (Level::PML4, 1) } else { (Level::PD, 4) };
        let mut tables = [DmaPage(0); 4];
        for index in 0..count {
            match pool.allocate_table(account) {
                Ok(page) => tables[index] = page,
                Err(error) => {
                    tables[..index].iter().for_each(|table| pool.free(*table));
                    scratch.free(pool);
                    return Err(error);
                }
            }
            bus.hw.write_u64_run(tables[index].at(0), scratch.entry(level), 0, ENTRIES as usize);
            bus.publish(tables[index].at(0), 4096);
        }
        let root = if count == 1 { Root::Pml4(tables[0]) } else { Root::Directories(tables) };
        Ok(Self { root, format, scratch, account, deposits: PageList::new(), mapped: 0 })
    }

    /// Takes the address space apart: all its pages go to `emptied`, to be freed when no engine can walk
    /// them any more. Returns the number of 4 KiB pages that were mapped.
    pub(crate) fn dismantle<H: Hardware>(
        mut self,
        bus: &mut Bus<H>,
        pool: &mut Pool,
        emptied: &mut PageList,
    ) -> u64 {
        let everything = VaRange::from_bounds(0, self.format.bytes());
        let mapped = self.unbind(bus, pool, everything, emptied);
        match self.root {
            Root::Pml4(table) => pool.push(emptied, table),
            Root::Directories(tables) => tables.into_iter().for_each(|table| pool.push(emptied, table)),
        }
        for page in self.scratch.pages.into_iter().flatten() {
            pool.push(emptied, page);
        }
        mapped
    }

    /// Values of the PDP registers 0 to 3 in a context image: with four levels the PML4 in the first.
    pub(crate) fn pdp_registers(&self, pool: &Pool) -> [u64; 4] {
        match self.root {
            Root::Pml4(table) => [pool.address(table).get(), 0, 0, 0],
            Root::Directories(tables) => tables.map(|table| pool.address(table).get()),
        }
    }

    /// 4 KiB pages mapped.
    pub(crate) const fn mapped_pages(&self) -> u64 {
        self.mapped
    }

    /// First step of a bind: checks that `range` lies in the address space and is free, and takes the
    /// tables it will need.
    pub(crate) fn reserve<H: Hardware>(
        &self,
        bus: &Bus<H>,
        pool: &mut Pool,
        range: VaRange,
    ) -> Result<Reserved, Error> {
        if range.end() > self.format.bytes() {
            return Err(Error::Invalid);
        }
        let needed = self.tables_needed(bus, pool, range)?;
        let mut tables = PageList::new();
        while u64::from(tables.len()) < needed {
            match pool.allocate_table(self.account) {
                Ok(page) => pool.push(&mut tables, page),
                Err(error) => {
                    pool.free_list(&mut tables);
                    return Err(error);
                }
            }
        }
        Ok(Reserved { range, tables })
    }

    /// Second step of a bind: writes the entries. `next_run` yields exactly the pages of the range;
    /// should they be fewer, the rest stays scratch.
    pub(crate) fn bind<H: Hardware>(
        &mut self,
        bus: &mut Bus<H>,
        pool: &mut Pool,
        mut reserved: Reserved,
        next_run: impl FnMut(&Pool) -> Option<PageRun>,
        cache: Cache,
        read_only: bool,
    ) {
        let mut cursor = Cursor::new(next_run);
        let range = reserved.range;
        let mut va = range.start().get();
        while va < range.end() {
            let end = chunk_end(va, range.end());
            let directory = self.directory_for(bus, pool, va, &mut reserved.tables);
            self.bind_chunk(bus, pool, directory, (va, end), &mut cursor, (cache, read_only), &mut reserved);
            va = end;
        }
        // All that was reserved has been used: the count was exact.
        debug_assert_eq!(reserved.tables.len(), 0);
        pool.free_list(&mut reserved.tables);
    }

    /// Points the range at scratch; tables that became empty are put on `emptied`. Returns the number of
    /// 4 KiB pages that were mapped.
    pub(crate) fn unbind<H: Hardware>(
        &mut self,
        bus: &mut Bus<H>,
        pool: &mut Pool,
        range: VaRange,
        emptied: &mut PageList,
    ) -> u64 {
        let before = self.mapped;
        let end = range.end().min(self.format.bytes());
        match self.root {
            Root::Pml4(table) => {
                self.unbind_in(bus, pool, table, Level::PML4, range.start().get(), end, emptied);
            }
            Root::Directories(tables) => {
                for (index, table) in (0u64..).zip(tables) {
                    let (low, high) = (index << 30, (index + 1) << 30);
                    let (start, end) = (range.start().get().max(low), end.min(high));
                    if start < end {
                        self.unbind_in(bus, pool, table, Level::PD, start, end, emptied);
                    }
                }
            }
        }
        before - self.mapped
    }
}

/// End of the part of `[va, end)` that one page table covers.
fn chunk_end(va: u64, end: u64) -> u64 {
    let next = (va | (Level::PD.entry_bytes() - 1)) + 1;
    next.min(end)
}

/// Takes pages from runs.
struct Cursor<F> {
    next_run: F,
    current: PageRun,
}

impl<F: FnMut(&Pool) -> Option<PageRun>> Cursor<F> {
    fn new(next_run: F) -> Self {
        Self { next_run, current: PageRun { address: DeviceAddress::new(0), pages: 0 } }
    }

    /// The rest of the current run, or the next one; `None` at the end.
    fn peek(&mut self, pool: &Pool) -> Option<PageRun> {
        while self.current.pages == 0 {
            self.current = (self.next_run)(pool)?;
        }
        Some(self.current)
    }

    fn advance(&mut self, pages: u32) {
        self.current.address = self.current.address.offset(u64::from(pages) << 12);
        self.current.pages -= pages;
    }
}

#[cfg(test)]
mod tests;
