// SPDX-License-Identifier: BSD-2-Clause
//! Walking and changing the tables. A lower table is complete and in memory before the entry that leads
//! to it is written, for an engine may be walking this address space at any moment.

use super::format::{ENTRIES, Format, Level};
use super::{Cursor, Ppgtt, Reserved, Root};
use crate::address::{DmaPage, PageRun, VaRange};
use crate::error::Error;
use crate::memory::Cache;
use crate::memory::pool::{PageList, Pool};
use crate::mmio::Bus;
use crate::platform::Hardware;

const LARGE_PAGES: u32 = 512;
/// 4 KiB pages of a 64 KiB page.
const GROUP: u32 = 16;

fn read<H: Hardware>(bus: &Bus<H>, table: DmaPage, index: u32) -> u64 {
    bus.hw.read_u64(table.at(index * 8))
}

impl Ppgtt {
    fn write<H: Hardware>(&self, bus: &mut Bus<H>, table: DmaPage, index: u32, entry: u64) {
        bus.hw.write_u64(table.at(index * 8), entry);
        bus.publish(table.at(index * 8), 8);
    }

    fn fill<H: Hardware>(&self, bus: &mut Bus<H>, table: DmaPage, level: Level, from: u32, to: u32) {
        let count = to.saturating_sub(from) as usize;
        bus.hw.write_u64_run(table.at(from * 8), self.scratch.entry(level), 0, count);
        bus.publish(table.at(from * 8), count * 8);
    }

    /// The table that an entry of a table of `level` leads to; `None` for scratch and for a leaf.
    fn table_below(&self, pool: &Pool, entry: u64, level: Level) -> Option<DmaPage> {
        if entry == self.scratch.entry(level) || level == Level::PD && Format::is_large(entry) {
            return None;
        }
        pool.page_at(Format::address(entry))
    }

    /// The uppermost table for `va` and its level.
    fn top(&self, va: u64) -> (DmaPage, Level) {
        match &self.root {
            Root::Pml4(table) => (*table, Level::PML4),
            // Two bits of the address select the directory; the range was checked against 4 GiB.
            Root::Directories(tables) => (tables[(va >> 30 & 3) as usize], Level::PD),
        }
    }

    /// Counts the tables that a bind of `range` needs, and refuses a range that is not free.
    pub(super) fn tables_needed<H: Hardware>(
        &self,
        bus: &Bus<H>,
        pool: &mut Pool,
        range: VaRange,
    ) -> Result<u64, Error> {
        match self.root {
            Root::Pml4(table) => self.count(bus, pool, table, Level::PML4, range.start().get(), range.end()),
            Root::Directories(tables) => {
                let mut needed = 0;
                for (index, table) in (0u64..).zip(tables) {
                    let (low, high) = (index << 30, (index + 1) << 30);
                    let (start, end) = (range.start().get().max(low), range.end().min(high));
                    if start < end {
                        needed += self.count(bus, pool, table, Level::PD, start, end)?;
                    }
                }
                Ok(needed)
            }
        }
    }

    fn count<H: Hardware>(
        &self,
        bus: &Bus<H>,
        pool: &mut Pool,
        table: DmaPage,
        level: Level,
        start: u64,
        end: u64,
    ) -> Result<u64, Error> {
        if level == Level::PT {
            // An overlap with what is bound: only a table that holds something needs a look.
            if *pool.live(table) != 0 {
                let last = level.index(end - 1);
                for index in level.index(start)..=last {
                    if read(bus, table, index) != self.scratch.entry(level) {
                        return Err(Error::Overlap);
                    }
                }
            }
            return Ok(0);
        }
        let mut needed = 0;
        let mut va = start;
        while va < end {
            let next = ((va | (level.entry_bytes() - 1)) + 1).min(end);
            let entry = read(bus, table, level.index(va));
            needed += if entry == self.scratch.entry(level) {
                tables_of_empty(level.below(), va, next)
            } else if let Some(below) = self.table_below(pool, entry, level) {
                self.count(bus, pool, below, level.below(), va, next)?
            } else {
                return Err(Error::Overlap); // a 2 MiB entry
            };
            va = next;
        }
        Ok(needed)
    }

    /// The page directory for `va`, made of reserved tables where it or one above it is missing.
    pub(super) fn directory_for<H: Hardware>(
        &mut self,
        bus: &mut Bus<H>,
        pool: &mut Pool,
        va: u64,
        tables: &mut PageList,
    ) -> DmaPage {
        let (mut table, mut level) = self.top(va);
        while level > Level::PD {
            let index = level.index(va);
            let entry = read(bus, table, index);
            table = match self.table_below(pool, entry, level) {
                Some(below) => below,
                None => {
                    let Some(new) = pool.pop(tables) else {
                        debug_assert!(false, "reserved too few tables");
                        return table;
                    };
                    self.fill(bus, new, level.below(), 0, ENTRIES);
                    self.write(bus, table, index, Format::pointer(pool.address(new)));
                    *pool.live(table) += 1;
                    new
                }
            };
            level = level.below();
        }
        table
    }

    /// Binds the part of a range that lies in one page table.
    #[expect(clippy::too_many_arguments, reason = "one step of `bind`, split for its length")]
    pub(super) fn bind_chunk<H: Hardware>(
        &mut self,
        bus: &mut Bus<H>,
        pool: &mut Pool,
        directory: DmaPage,
        (va, end): (u64, u64),
        cursor: &mut Cursor<impl FnMut(&Pool) -> Option<PageRun>>,
        (cache, read_only): (Cache, bool),
        reserved: &mut Reserved,
    ) {
        let slot = Level::PD.index(va);
        let entry = read(bus, directory, slot);
        let whole = end - va == Level::PD.entry_bytes();
        let (table, fresh) = match self.table_below(pool, entry, Level::PD) {
            Some(table) => (table, false),
            None => match pool.pop(&mut reserved.tables) {
                Some(table) => (table, true),
                None => return debug_assert!(false, "reserved too few tables"),
            },
        };
        let fits_large =
            |run: &PageRun| run.pages >= LARGE_PAGES && run.address.is_aligned(Level::PD.entry_bytes());
        let large = if whole && fresh && self.format.pages_2m { cursor.peek(pool) } else { None };
        if let Some(run) = large.filter(fits_large) {
            cursor.advance(LARGE_PAGES);
            pool.push(&mut self.deposits, table);
            let leaf = self.format.large_leaf(run.address, cache, read_only);
            self.write(bus, directory, slot, leaf);
            *pool.live(directory) += 1;
            self.mapped += u64::from(LARGE_PAGES);
            return;
        }
        let first = Level::PT.index(va);
        let last = first + Level::PT.index(end - va - 1) + 1;
        if fresh {
            self.fill(bus, table, Level::PT, 0, first);
            self.fill(bus, table, Level::PT, last, ENTRIES);
        }
        let mut index = first;
        let mut groups = whole && fresh && self.format.pages_64k;
        while index < last {
            let Some(run) = cursor.peek(pool) else { break };
            let pages = run.pages.min(last - index);
            let group_bytes = u64::from(GROUP) << 12;
            groups &= index.is_multiple_of(GROUP)
                && pages.is_multiple_of(GROUP)
                && run.address.is_aligned(group_bytes);
            let leaf = self.format.leaf(run.address, cache, read_only);
            bus.hw.write_u64_run(table.at(index * 8), leaf, 1 << 12, pages as usize);
            cursor.advance(pages);
            index += pages;
        }
        bus.publish(table.at(first * 8), ((index - first) * 8) as usize);
        if index < last && fresh {
            self.fill(bus, table, Level::PT, index, last);
        }
        let added = u16::try_from(index - first).unwrap_or(0);
        *pool.live(table) += added;
        self.mapped += u64::from(added);
        if fresh {
            let pointer = Format::pointer(pool.address(table));
            let pointer = if groups && index == last { Format::with_64k(pointer) } else { pointer };
            self.write(bus, directory, slot, pointer);
            *pool.live(directory) += 1;
        }
    }

    /// Unbinds `[start, end)` below `table`. Returns whether the table holds nothing any more.
    #[expect(clippy::too_many_arguments, reason = "one recursion, all of it needed")]
    pub(super) fn unbind_in<H: Hardware>(
        &mut self,
        bus: &mut Bus<H>,
        pool: &mut Pool,
        table: DmaPage,
        level: Level,
        start: u64,
        end: u64,
        emptied: &mut PageList,
    ) -> bool {
        let mut va = start;
        while va < end && *pool.live(table) != 0 {
            let next = ((va | (level.entry_bytes() - 1)) + 1).min(end);
            let index = level.index(va);
            let entry = read(bus, table, index);
            if entry != self.scratch.entry(level)
                && self.unbind_entry(bus, pool, (table, index, entry), level, va, next, emptied)
            {
                self.write(bus, table, index, self.scratch.entry(level));
                *pool.live(table) -= 1;
            }
            va = next;
        }
        *pool.live(table) == 0
    }

    /// Unbinds `[start, end)`, which lies below one entry that is not scratch. Returns whether the entry
    /// is to become scratch.
    #[expect(clippy::too_many_arguments, reason = "one recursion, all of it needed")]
    fn unbind_entry<H: Hardware>(
        &mut self,
        bus: &mut Bus<H>,
        pool: &mut Pool,
        (table, index, entry): (DmaPage, u32, u64),
        level: Level,
        start: u64,
        end: u64,
        emptied: &mut PageList,
    ) -> bool {
        if level == Level::PT {
            self.mapped -= 1;
            return true;
        }
        let whole = end - start == level.entry_bytes();
        let below = match self.table_below(pool, entry, level) {
            Some(below) => below,
            None if whole => {
                // The table that was kept for this 2 MiB entry is not needed any more. No engine ever
                // saw it, but it goes the way of the others.
                if let Some(deposit) = pool.pop(&mut self.deposits) {
                    pool.push(emptied, deposit);
                }
                self.mapped -= u64::from(LARGE_PAGES);
                return true;
            }
            None => match self.split(bus, pool, (table, index, entry)) {
                Some(below) => below,
                None => return false,
            },
        };
        if level == Level::PD {
            if whole {
                // The whole page table falls: its entries need not be written.
                self.mapped -= u64::from(*pool.live(below));
                pool.push(emptied, below);
                return true;
            }
            if Format::is_64k(entry) {
                // From here on the table is one of 4 KiB pages; every entry of it already is.
                self.write(bus, table, index, Format::without_64k(entry));
            }
        }
        let empty = self.unbind_in(bus, pool, below, level.below(), start, end, emptied);
        if empty {
            pool.push(emptied, below);
        }
        empty
    }

    /// Replaces a 2 MiB entry by its deposited page table with the same 512 translations.
    fn split<H: Hardware>(
        &mut self,
        bus: &mut Bus<H>,
        pool: &mut Pool,
        (directory, index, large): (DmaPage, u32, u64),
    ) -> Option<DmaPage> {
        let table = pool.pop(&mut self.deposits);
        debug_assert!(table.is_some(), "a 2 MiB entry without its deposit");
        let table = table?;
        bus.hw.write_u64_run(table.at(0), self.format.split(large, 0), 1 << 12, ENTRIES as usize);
        bus.publish(table.at(0), 4096);
        *pool.live(table) = 512;
        self.write(bus, directory, index, Format::pointer(pool.address(table)));
        Some(table)
    }

    /// What `va` translates to, read from the tables as the hardware would, and whether it can be
    /// written. `None` where scratch is.
    pub(crate) fn translate<H: Hardware>(&self, bus: &Bus<H>, pool: &Pool, va: u64) -> Option<(u64, bool)> {
        let (mut table, mut level) = self.top(va);
        loop {
            let entry = read(bus, table, level.index(va));
            if entry == self.scratch.entry(level) {
                return None;
            }
            if level == Level::PT || level == Level::PD && Format::is_large(entry) {
                let offset = va & (level.entry_bytes() - 1);
                let base = Format::address(entry) & !(level.entry_bytes() - 1);
                return Some((base + offset, entry & 2 != 0));
            }
            table = self.table_below(pool, entry, level)?;
            level = level.below();
        }
    }

    /// Whether `va` is translated by a table of 64 KiB pages, or by a 2 MiB entry.
    #[cfg(test)]
    pub(super) fn size_at<H: Hardware>(&self, bus: &Bus<H>, pool: &Pool, va: u64) -> u64 {
        let (mut table, mut level) = self.top(va);
        loop {
            let entry = read(bus, table, level.index(va));
            if level == Level::PD && Format::is_large(entry) {
                return 2 << 20;
            }
            if level == Level::PD && Format::is_64k(entry) {
                return 64 << 10;
            }
            match self.table_below(pool, entry, level) {
                Some(below) if level > Level::PD => (table, level) = (below, level.below()),
                _ => return 4 << 10,
            }
        }
    }
}

/// Tables for `[start, end)` where there is none: those of `level` and below.
fn tables_of_empty(level: Level, start: u64, end: u64) -> u64 {
    let mut tables = 1;
    let mut level = level;
    while level > Level::PT {
        let bytes = level.entry_bytes();
        tables += (end - 1) / bytes - start / bytes + 1;
        level = level.below();
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::super::chunk_end;
    use super::*;

    #[test]
    fn an_empty_range_needs_a_table_per_2_mib_1_gib_and_512_gib_it_touches() {
        assert_eq!(tables_of_empty(Level::PT, 0, 4096), 1);
        assert_eq!(tables_of_empty(Level::PD, 0, 4096), 2);
        assert_eq!(tables_of_empty(Level::PD, 0x1f_f000, 0x20_1000), 3);
        assert_eq!(tables_of_empty(Level(2), 0x3fff_f000, 0x4000_1000), 1 + 2 + 2);
        assert_eq!(chunk_end(0x1f_f000, 0x40_0000), 0x20_0000);
    }
}
