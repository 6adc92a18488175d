// SPDX-License-Identifier: BSD-2-Clause
//! The global GTT: what rings, context images and status pages are addressed through.
//!
//! Ranges are handed out from the top down. Every entry from the lowest one handed out (`valid_from`) to
//! the end is valid, pointing at its page or at the scratch page: the command streamer prefetches past
//! the end of what it executes, upwards, and must always find a readable page there; the last entry is
//! never handed out for that reason. Entries below `valid_from` are left as the firmware made them.
//! Nothing of ours is addressed there, what the firmware shows on the screen stays mapped, and a start
//! does not spend a million uncached writes (i915 likewise leaves them alone: intel_ggtt.c,
//! `clear_range` is a no-op outside the VT-d workaround). Of the range below, the part where firmware
//! keeps its framebuffer (the size of stolen memory) is never handed out.

use crate::address::{DeviceAddress, GgttOffset, PAGE_SHIFT};
use crate::error::Error;
use crate::memory::ranges::{From, Ranges, Space};
use crate::mmio::Bus;
use crate::mmio::regs::GgttFlush;
use crate::platform::Hardware;

/// Where the entries begin in BAR 0 (PRM vol 5: GTTMMADR, upper 8 MiB).
const ENTRIES: u32 = 0x80_0000;
const PRESENT: u64 = 1;

/// Pages of the GGTT in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GgttRange {
    first: u32,
    pages: u32,
}

impl GgttRange {
    /// Byte `offset` of the range.
    pub(crate) const fn at(self, offset: u32) -> GgttOffset {
        GgttOffset::new((self.first << PAGE_SHIFT) + offset)
    }
}

#[derive(Debug)]
pub(crate) struct Ggtt {
    space: Space,
    ranges: Ranges,
    total_pages: u32,
    valid_from: u32,
    scratch: u64,
}

impl Ggtt {
    /// A manager for `bytes` of GGTT of which the first `reserved_bytes` are the firmware's, with room
    /// for `capacity` ranges. `scratch` is a zero page.
    pub(crate) fn new(bytes: u64, reserved_bytes: u64, capacity: u32, scratch: DeviceAddress) -> Self {
        let total_pages = u32::try_from(bytes >> PAGE_SHIFT).unwrap_or(1 << 20).min(1 << 20);
        let last = total_pages.saturating_sub(1);
        let reserved = u32::try_from(reserved_bytes >> PAGE_SHIFT).unwrap_or(u32::MAX).min(last / 2);
        Self {
            space: Space::new(reserved.into(), last.into()),
            ranges: Ranges::new(capacity),
            total_pages,
            valid_from: total_pages,
            scratch: scratch.get() | PRESENT,
        }
    }

    pub(crate) const fn bytes(&self) -> u64 {
        (self.total_pages as u64) << PAGE_SHIFT
    }

    /// Takes `pages` entries; they are written by [`Self::map`].
    pub(crate) fn allocate(&mut self, pages: u32) -> Result<GgttRange, Error> {
        let size = pages.into();
        let first = self.ranges.find(&self.space, size, 1, From::Top, 0).ok_or(Error::NoSpace)?;
        self.ranges.insert(&mut self.space, first, size, 0)?;
        let first = u32::try_from(first).map_err(|_| Error::NoSpace)?;
        Ok(GgttRange { first, pages })
    }

    /// Writes the entries of a range: the pages that `pages` yields in order, scratch for the rest. The
    /// caller ends its batch of changes with [`Self::flush`].
    pub(crate) fn map<H: Hardware>(
        &mut self,
        bus: &mut Bus<H>,
        range: GgttRange,
        pages: impl Iterator<Item = DeviceAddress>,
    ) {
        // Valid without a gap, before the range itself becomes usable.
        for page in range.first + range.pages..self.valid_from {
            self.write(bus, page, self.scratch);
        }
        let mut written = 0;
        for (page, address) in (range.first..range.first + range.pages).zip(pages) {
            self.write(bus, page, address.get() | PRESENT);
            written += 1;
        }
        for page in range.first + written..range.first + range.pages {
            self.write(bus, page, self.scratch);
        }
        self.valid_from = self.valid_from.min(range.first);
    }

    /// Points the entries of a range at scratch again and gives the range back. After
    /// [`Self::flush_and_wait`] the engines do not reach its pages any more.
    pub(crate) fn unmap<H: Hardware>(&mut self, bus: &mut Bus<H>, range: GgttRange) {
        for page in range.first..range.first + range.pages {
            self.write(bus, page, self.scratch);
        }
        self.release(range);
    }

    /// Gives a range back whose entries were never written.
    pub(crate) fn release(&mut self, range: GgttRange) {
        let removed = self.ranges.remove(&mut self.space, range.first.into());
        debug_assert!(removed.is_ok(), "range was not allocated");
    }

    /// Ends a batch of new mappings. As an uncached register write it also drains any write-combining
    /// buffer of the entries before it invalidates (i915: intel_ggtt.c, `gen8_ggtt_invalidate`).
    pub(crate) fn flush<H: Hardware>(&self, bus: &mut Bus<H>) {
        bus.write(GgttFlush::default().with(GgttFlush::ENABLE, 1));
    }

    /// Ends a batch of removals: returns when the device has seen the invalidation.
    pub(crate) fn flush_and_wait<H: Hardware>(&self, bus: &mut Bus<H>) {
        self.flush(bus);
        let _posted: GgttFlush = bus.read();
    }

    fn write<H: Hardware>(&self, bus: &mut Bus<H>, page: u32, entry: u64) {
        bus.hw.write64(ENTRIES + page * 8, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Generation;
    use crate::testing::FakeHardware;

    fn bus() -> Bus<FakeHardware> {
        Bus::new(FakeHardware::new(16), Generation::Gen12, true)
    }

    fn entry(bus: &Bus<FakeHardware>, page: u32) -> u64 {
        bus.hw.register64(ENTRIES + page * 8)
    }

    #[test]
    fn every_entry_from_the_lowest_mapped_one_up_is_valid() {
        let mut bus = bus();
        let mut ggtt = Ggtt::new(64 << 12, 8 << 12, 16, DeviceAddress::new(0x5000));
        let range = ggtt.allocate(3).expect("free");
        ggtt.map(&mut bus, range, [0x10000, 0x20000, 0x30000].into_iter().map(DeviceAddress::new));
        ggtt.flush(&mut bus);
        assert_eq!(range.at(0).page(), 60);
        assert_eq!(
            (59..64).map(|page| entry(&bus, page)).collect::<Vec<_>>(),
            [0, 0x10001, 0x20001, 0x30001, 0x5001]
        );
        assert_eq!(bus.hw.register32(0x10_1008), 1);
    }

    #[test]
    fn an_unmapped_range_points_at_scratch_and_is_handed_out_again() {
        let mut bus = bus();
        let mut ggtt = Ggtt::new(64 << 12, 0, 16, DeviceAddress::new(0x5000));
        let range = ggtt.allocate(2).expect("free");
        ggtt.map(&mut bus, range, [DeviceAddress::new(0x1000); 2].into_iter());
        ggtt.unmap(&mut bus, range);
        ggtt.flush_and_wait(&mut bus);
        assert_eq!(entry(&bus, 61), 0x5001);
        assert_eq!(ggtt.allocate(2), Ok(range));
    }

    #[test]
    fn the_firmwares_part_is_neither_written_nor_handed_out() {
        let mut bus = bus();
        let mut ggtt = Ggtt::new(64 << 12, 8 << 12, 128, DeviceAddress::new(0x5000));
        let mut count = 0;
        while let Ok(range) = ggtt.allocate(1) {
            ggtt.map(&mut bus, range, [DeviceAddress::new(0x1000)].into_iter());
            count += 1;
        }
        assert_eq!(count, 64 - 8 - 1);
        assert!((0..8).all(|page| entry(&bus, page) == 0));
        assert!((8..64).all(|page| entry(&bus, page) & 1 == 1));
    }
}
