// SPDX-License-Identifier: BSD-2-Clause
//! The RAM of a QEMU guest: ranges of guest-physical addresses, each a piece of a mapped file.

use super::{GuestMemory, MemoryError};
use crate::sys::Region;

/// One range of the guest's memory map.
#[derive(Debug)]
struct Range {
    start: u64,
    region: Region,
}

/// Guest RAM by physical address.
#[derive(Debug, Default)]
pub struct GuestRam {
    ranges: Vec<Range>,
}

impl GuestRam {
    /// No memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Replaces the map by `ranges` of (guest-physical start, memory).
    pub fn replace(&mut self, ranges: impl IntoIterator<Item = (u64, Region)>) {
        self.ranges = ranges.into_iter().map(|(start, region)| Range { start, region }).collect();
    }

    /// Number of ranges.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// The region that holds all of `[address, address + len)`, and the offset in it.
    fn find(&self, address: u64, len: usize) -> Result<(&Region, usize), MemoryError> {
        self.ranges
            .iter()
            .find_map(|range| {
                let offset = usize::try_from(address.checked_sub(range.start)?).ok()?;
                (offset.checked_add(len)? <= range.region.len()).then_some((&range.region, offset))
            })
            .ok_or(MemoryError::Unbacked(address))
    }
}

impl GuestMemory for GuestRam {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        let (region, offset) = self.find(address, buffer.len())?;
        region.read(offset, buffer).then_some(()).ok_or(MemoryError::Unbacked(address))
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), MemoryError> {
        let (region, offset) = self.find(address, data.len())?;
        region.write(offset, data).then_some(()).ok_or(MemoryError::Unbacked(address))
    }

    fn compare_exchange(
        &mut self,
        address: u64,
        size: usize,
        current: u64,
        new: u64,
    ) -> Result<u64, MemoryError> {
        let (region, offset) = self.find(address, size)?;
        region.compare_exchange(offset, size, current, new).ok_or(MemoryError::Unbacked(address))
    }
}
