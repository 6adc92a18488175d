// SPDX-License-Identifier: BSD-2-Clause
//! The register half of BAR0: storage, access counters, names, and the rules that need no other state.
//!
//! - [`RegisterFile`]: one dword per offset below 2 MiB, with counters.
//! - [`forcewake`]: power domains, their ranges and handshake.
//! - [`names`]: register names for messages, and which registers are masked.

pub mod forcewake;
pub mod names;

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// First offset that no register decodes; the upper 6 MiB of the register half are empty.
pub const DECODED: u32 = 0x20_0000;

/// How often a register was accessed by the CPU, and the last value that went over the bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// CPU reads.
    pub reads: u32,
    /// CPU writes.
    pub writes: u32,
    /// Value last read or written.
    pub last: u32,
}

impl Counter {
    const NONE: Self = Self { reads: 0, writes: 0, last: 0 };
}

/// Dwords per lazily allocated page of the file.
const PAGE: usize = 1024;
/// Pages below [`DECODED`].
const PAGES: usize = (DECODED / 4) as usize / PAGE;

/// One page: values and counters.
#[derive(Clone)]
struct Page {
    values: [u32; PAGE],
    counters: [Counter; PAGE],
}

/// Plain storage behind all registers. Side effects live in the modules that own the register.
pub struct RegisterFile {
    pages: Vec<Option<Box<Page>>>,
    /// Registers that commands of a ring wrote: how often, and the last value.
    commanded: BTreeMap<u32, (u32, u32)>,
}

impl std::fmt::Debug for RegisterFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisterFile").finish_non_exhaustive()
    }
}

impl Default for RegisterFile {
    fn default() -> Self {
        Self::new()
    }
}

impl RegisterFile {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Self { pages: vec![None; PAGES], commanded: BTreeMap::new() }
    }

    fn index(offset: u32) -> (usize, usize) {
        let dword = (offset / 4) as usize;
        (dword / PAGE, dword % PAGE)
    }

    /// Stored value; 0 beyond the decoded range.
    #[must_use]
    pub fn get(&self, offset: u32) -> u32 {
        let (page, slot) = Self::index(offset);
        match self.pages.get(page) {
            Some(Some(page)) => page.values[slot],
            _ => 0,
        }
    }

    fn page_mut(&mut self, page: usize) -> Option<&mut Page> {
        let entry = self.pages.get_mut(page)?;
        Some(
            entry
                .get_or_insert_with(|| Box::new(Page { values: [0; PAGE], counters: [Counter::NONE; PAGE] })),
        )
    }

    /// Stores a value; ignored beyond the decoded range.
    pub fn set(&mut self, offset: u32, value: u32) {
        let (page, slot) = Self::index(offset);
        if let Some(page) = self.page_mut(page) {
            page.values[slot] = value;
        }
    }

    /// Applies a write to a masked register: bits 31:16 enable those of 15:0. Answers the new state.
    pub fn set_masked(&mut self, offset: u32, value: u32) -> u32 {
        let mask = value >> 16;
        let state = (self.get(offset) & !mask & 0xffff) | (value & mask);
        self.set(offset, state);
        state
    }

    /// Counts a CPU access.
    pub(crate) fn count(&mut self, offset: u32, write: bool, value: u32) {
        let (page, slot) = Self::index(offset);
        if let Some(page) = self.page_mut(page) {
            let counter = &mut page.counters[slot];
            if write {
                counter.writes = counter.writes.saturating_add(1);
            } else {
                counter.reads = counter.reads.saturating_add(1);
            }
            counter.last = value;
        }
    }

    /// Counts a write by a command of a ring, which may write what it likes.
    pub(crate) fn count_command(&mut self, offset: u32, value: u32) {
        let entry = self.commanded.entry(offset).or_default();
        *entry = (entry.0.saturating_add(1), value);
    }

    /// Counters of a register.
    #[must_use]
    pub fn counter(&self, offset: u32) -> Counter {
        let (page, slot) = Self::index(offset);
        match self.pages.get(page) {
            Some(Some(page)) => page.counters[slot],
            _ => Counter::NONE,
        }
    }

    /// Every touched register, in ascending order.
    pub fn touched(&self) -> impl Iterator<Item = (u32, Counter)> + '_ {
        self.pages.iter().enumerate().filter_map(|(number, page)| Some((number, page.as_ref()?))).flat_map(
            |(number, page)| {
                page.counters.iter().enumerate().filter_map(move |(slot, counter)| {
                    let offset = u32::try_from((number * PAGE + slot) * 4).ok()?;
                    (counter.reads + counter.writes > 0).then_some((offset, *counter))
                })
            },
        )
    }

    /// The touched registers as text, one line each: `0xOFFSET reads=N writes=N last=0xVALUE`; after them, as comments,
    /// those that commands of a ring wrote: `# command 0xOFFSET writes=N last=0xVALUE`.
    #[must_use]
    pub fn listing(&self) -> String {
        let mut text = String::new();
        for (offset, counter) in self.touched() {
            let Counter { reads, writes, last } = counter;
            let _ = writeln!(text, "{offset:#08x} reads={reads} writes={writes} last={last:#x}");
        }
        for (offset, (writes, last)) in &self.commanded {
            let _ = writeln!(text, "# command {offset:#08x} writes={writes} last={last:#x}");
        }
        text
    }

    /// Sets every register of `[start, end)` to 0.
    pub(crate) fn clear(&mut self, start: u32, end: u32) {
        let (first, last) = ((start / 4) as usize, (end / 4) as usize);
        for (number, page) in self.pages.iter_mut().enumerate() {
            let Some(page) = page else { continue };
            let base = number * PAGE;
            let (from, to) = (first.clamp(base, base + PAGE) - base, last.clamp(base, base + PAGE) - base);
            if let Some(values) = page.values.get_mut(from..to) {
                values.fill(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_ring_wrote_is_listed_apart_from_the_accesses_of_the_cpu() {
        let mut file = RegisterFile::new();
        file.count(0x7014, true, 1);
        file.count_command(0x7014, 2);
        file.count_command(0x7014, 3);
        assert_eq!(
            file.listing(),
            "0x007014 reads=0 writes=1 last=0x1\n# command 0x007014 writes=2 last=0x3\n"
        );
    }

    #[test]
    fn a_reader_of_accesses_and_comments_can_read_every_line_of_the_listing() {
        let mut file = RegisterFile::new();
        file.count(0xa188, false, 0x1_0001);
        file.count_command(0x2600, 7);
        for line in file.listing().lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            let [offset, reads, writes, last] = fields[..] else { panic!("{line}") };
            assert!(offset.starts_with("0x") && last.starts_with("last=0x"), "{line}");
            assert!(reads.starts_with("reads=") && writes.starts_with("writes="), "{line}");
        }
    }

    #[test]
    fn a_masked_write_changes_only_the_enabled_bits() {
        let mut file = RegisterFile::new();
        file.set(0x229c, 0x8);
        assert_eq!(file.set_masked(0x229c, 0x8000_8000), 0x8008);
        assert_eq!(file.set_masked(0x229c, 0x0008_0000), 0x8000);
        assert_eq!(file.get(0x229c), 0x8000);
    }

    #[test]
    fn the_listing_has_one_line_per_touched_register() {
        let mut file = RegisterFile::new();
        file.set(0x500, 7);
        file.count(0x2_2550, true, 1);
        file.count(0xd00, false, 0xe);
        file.count(0xd00, false, 0xe);
        assert_eq!(
            file.listing(),
            "0x000d00 reads=2 writes=0 last=0xe\n0x022550 reads=0 writes=1 last=0x1\n"
        );
    }

    #[test]
    fn clearing_a_range_leaves_its_neighbours_and_the_counters() {
        let mut file = RegisterFile::new();
        for offset in [0xffc, 0x1000, 0x3ffc, 0x4000] {
            file.set(offset, 7);
            file.count(offset, true, 7);
        }
        file.clear(0x1000, 0x4000);
        assert_eq!([0xffc, 0x1000, 0x3ffc, 0x4000].map(|offset| file.get(offset)), [7, 0, 0, 7]);
        assert_eq!(file.touched().count(), 4);
    }

    #[test]
    fn offsets_beyond_the_decoded_range_hold_nothing() {
        let mut file = RegisterFile::new();
        file.set(DECODED, 1);
        file.count(0x7f_fffc, true, 1);
        assert_eq!((file.get(DECODED), file.touched().count()), (0, 0));
    }
}
