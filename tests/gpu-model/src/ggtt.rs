// SPDX-License-Identifier: BSD-2-Clause
//! The global GTT: one 64-bit entry per 4 KiB, behind BAR0 + 8 MiB.
//!
//! An entry that the CPU wrote must not be used before a write to GFX_FLSH_CNTL (0x101008). The model gives the
//! new value at once but remembers which entries are not flushed yet, so that a use of one is reported. Flushes
//! are counted in an epoch; an entry is unflushed while it carries the current epoch.

use crate::commands::Generation;
use crate::platform::Platform;

const PRESENT: u64 = 1;

/// Entries per lazily allocated page of the table.
const PAGE: usize = 512;

/// One page: the entries, and for each the epoch in which the CPU wrote it (0: none).
#[derive(Clone)]
struct Page {
    entries: [u64; PAGE],
    written: [u32; PAGE],
}

/// The entries.
#[derive(Clone)]
pub struct Ggtt {
    /// A table of 8 MiB has few entries in most tests: pages exist from their first write on.
    pages: Vec<Option<Box<Page>>>,
    count: usize,
    epoch: u32,
    address: u64,
    reserved: u64,
}

impl std::fmt::Debug for Ggtt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ggtt").field("entries", &self.count).finish_non_exhaustive()
    }
}

/// What a lookup found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// DMA address of the page, if the entry is present.
    pub page: Option<u64>,
    /// The entry was written since the last flush.
    pub unflushed: bool,
}

impl Ggtt {
    /// Everything absent.
    #[must_use]
    pub fn new(platform: &Platform) -> Self {
        let (address, reserved) = if platform.generation == Generation::Gen12 {
            // [45:12] address; [11:1] local memory, VF and reserved: zero on integrated parts.
            (0x0000_3fff_ffff_f000, 0xffff_c000_0000_0ffe)
        } else {
            (0x0000_007f_ffff_f000, 0xffff_ff80_0000_0ffe)
        };
        let count = platform.ggtt_entries();
        Self { pages: vec![None; count.div_ceil(PAGE)], count, epoch: 1, address, reserved }
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.count as u64
    }

    /// Never true.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Size of the address space in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.len() * 4096
    }

    /// Page and slot of an entry.
    fn index(&self, index: u64) -> Option<(usize, usize)> {
        usize::try_from(index)
            .ok()
            .filter(|index| *index < self.count)
            .map(|index| (index / PAGE, index % PAGE))
    }

    /// Value of an entry, and the epoch in which the CPU wrote it; 0 beyond the table.
    fn slot(&self, index: u64) -> (u64, u32) {
        let found = self.index(index).and_then(|(page, slot)| Some((self.pages.get(page)?.as_ref()?, slot)));
        found.map_or((0, 0), |(page, slot)| (page.entries[slot], page.written[slot]))
    }

    /// Value of an entry; 0 beyond the table.
    #[must_use]
    pub fn entry(&self, index: u64) -> u64 {
        self.slot(index).0
    }

    /// The CPU writes an entry. Answers the reserved bits that are set in `value`.
    pub fn write(&mut self, index: u64, value: u64) -> u64 {
        let epoch = self.epoch;
        self.put(index, value, epoch)
    }

    /// A command streamer writes an entry; this is serialised and needs no flush.
    pub fn update(&mut self, index: u64, value: u64) -> u64 {
        self.put(index, value, 0)
    }

    fn put(&mut self, index: u64, value: u64, epoch: u32) -> u64 {
        let Some((page, slot)) = self.index(index) else { return 0 };
        if let Some(page) = self.pages.get_mut(page) {
            let page = page.get_or_insert_with(|| Box::new(Page { entries: [0; PAGE], written: [0; PAGE] }));
            page.entries[slot] = value;
            page.written[slot] = epoch;
        }
        value & self.reserved
    }

    /// GFX_FLSH_CNTL was written.
    pub const fn flush(&mut self) {
        // An epoch of 0 marks entries that need no flush; after 2^32 flushes old marks may repeat.
        self.epoch = if self.epoch == u32::MAX { 1 } else { self.epoch + 1 };
    }

    /// Translates entry number `index`; `None` beyond the table.
    #[must_use]
    pub fn find(&self, index: u64) -> Option<Found> {
        self.index(index)?;
        let (entry, written) = self.slot(index);
        Some(Found {
            page: (entry & PRESENT != 0).then_some(entry & self.address),
            unflushed: written == self.epoch,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::by_name;

    #[test]
    fn an_entry_is_unflushed_until_the_next_flush() {
        let mut ggtt = Ggtt::new(by_name("tgl").unwrap());
        assert_eq!(ggtt.write(5, 0x1234_5001), 0);
        assert_eq!(ggtt.find(5), Some(Found { page: Some(0x1234_5000), unflushed: true }));
        ggtt.flush();
        assert_eq!(ggtt.find(5), Some(Found { page: Some(0x1234_5000), unflushed: false }));
    }

    #[test]
    fn an_entry_written_by_a_command_needs_no_flush() {
        let mut ggtt = Ggtt::new(by_name("skl").unwrap());
        ggtt.update(5, 0x7001);
        assert_eq!(ggtt.find(5), Some(Found { page: Some(0x7000), unflushed: false }));
    }

    #[test]
    fn reserved_bits_are_told_and_not_part_of_the_address() {
        let mut skl = Ggtt::new(by_name("skl").unwrap());
        assert_eq!(skl.write(0, 1 << 39 | 0x5000 | 3), 1 << 39 | 2);
        assert_eq!(skl.find(0).and_then(|found| found.page), Some(0x5000));
        let mut tgl = Ggtt::new(by_name("tgl").unwrap());
        assert_eq!(tgl.write(0, 1 << 39 | 0x5001), 0, "Gen12 addresses have 46 bits");
        assert_eq!(tgl.write(0, 0x5003), 2, "no local memory");
    }

    #[test]
    fn every_entry_keeps_its_own_value_over_the_pages_of_the_table() {
        let mut ggtt = Ggtt::new(by_name("tgl").unwrap());
        let places = [0, 1, 511, 512, 513, 1023, 1024, (1 << 20) - 1];
        for index in places {
            assert_eq!((ggtt.entry(index), ggtt.find(index).map(|found| found.page)), (0, Some(None)));
            ggtt.write(index, (index + 1) << 12 | 1);
        }
        for index in places {
            assert_eq!(ggtt.entry(index), (index + 1) << 12 | 1);
        }
        assert_eq!(ggtt.entry(2), 0);
    }

    #[test]
    fn beyond_the_table_is_nothing() {
        let mut ggtt = Ggtt::new(by_name("skl").unwrap());
        ggtt.write(1 << 20, 1);
        ggtt.write(u64::MAX, 1);
        assert_eq!(ggtt.find(1 << 20), None);
        assert_eq!(ggtt.find((1 << 20) - 1).and_then(|found| found.page), None);
    }
}
