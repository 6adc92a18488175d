// SPDX-License-Identifier: BSD-2-Clause
//! Where a client puts its objects in a GPU address space, if it does not want to number the places itself.

use gpu_protocol::PAGE_SIZE;

/// A range of GPU virtual addresses: whole pages.
///
/// ```
/// use gpu_client::{Range, Ranges};
///
/// let mut ranges: Ranges<4> = Ranges::new(0x1000, 0x4000);
/// assert_eq!(ranges.allocate(1, 1), Some(Range { address: 0x1000, size: 0x1000 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

/// Hands out ranges of one address space: first fit, freed ranges joined with their neighbours. `N` is the
/// most free pieces that it can remember, and nothing is allocated.
///
/// ```
/// use gpu_client::Ranges;
///
/// let mut ranges: Ranges<8> = Ranges::new(0x10_0000, 0x100_0000);
/// let picture = ranges.allocate(640 * 480 * 4, 0x1000).unwrap();
/// let batch = ranges.allocate(0x1000, 0x1000).unwrap();
/// assert_eq!(batch.address, picture.address + picture.size);
/// ranges.free(picture).unwrap();
/// assert_eq!(ranges.allocate(0x1000, 0x1000).unwrap().address, picture.address);
/// ```
#[derive(Clone, Debug)]
pub struct Ranges<const N: usize> {
    /// Free pieces in the order of their addresses; the first `len` are meant.
    free: [Range; N],
    len: usize,
}

/// Why a range was not freed.
///
/// ```
/// use gpu_client::{FreeError, Range, Ranges};
///
/// let mut ranges: Ranges<4> = Ranges::new(0x1000, 0x4000);
/// let free = ranges.free(Range { address: 0x1000, size: 0x1000 });
/// assert_eq!(free, Err(FreeError::NotAllocated));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// All or part of it is free already, or it is empty.
    NotAllocated,
    /// There is no room to remember another free piece; the range stays allocated.
    Fragmented,
}

impl core::fmt::Display for FreeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotAllocated => "the range is not allocated",
            Self::Fragmented => "the address space has too many free pieces to remember",
        })
    }
}

impl core::error::Error for FreeError {}

impl<const N: usize> Ranges<N> {
    /// Hands out the whole pages among `bytes` bytes from `address` on.
    ///
    /// ```
    /// let mut ranges: gpu_client::Ranges<4> = gpu_client::Ranges::new(0x1000, 0x1000);
    /// assert!(ranges.allocate(0x2000, 0x1000).is_none());
    /// ```
    #[must_use]
    pub const fn new(address: u64, bytes: u64) -> Self {
        let end = address.saturating_add(bytes) / PAGE_SIZE * PAGE_SIZE;
        let start = address.div_ceil(PAGE_SIZE).saturating_mul(PAGE_SIZE);
        let size = end.saturating_sub(start);
        let mut free = [Range { address: 0, size: 0 }; N];
        let mut len = 0;
        if N > 0 && size > 0 {
            free[0] = Range { address: start, size };
            len = 1;
        }
        Self { free, len }
    }

    /// Takes `bytes`, rounded up to whole pages, at a multiple of `alignment` (a power of two). `None` if
    /// there is no such range, or it would leave more free pieces than can be remembered.
    ///
    /// ```
    /// let mut ranges: gpu_client::Ranges<4> = gpu_client::Ranges::new(0x1000, 0x80_0000);
    /// assert_eq!(ranges.allocate(1, 0x20_0000).unwrap().address, 0x20_0000);
    /// ```
    pub fn allocate(&mut self, bytes: u64, alignment: u64) -> Option<Range> {
        if bytes == 0 || !alignment.is_power_of_two() {
            return None;
        }
        let size = bytes.checked_next_multiple_of(PAGE_SIZE)?;
        let alignment = alignment.max(PAGE_SIZE);
        for index in 0..self.len {
            let piece = self.free[index];
            let end = piece.address + piece.size;
            let Some(address) = piece.address.checked_next_multiple_of(alignment) else { continue };
            if address.checked_add(size).is_none_or(|taken| taken > end) {
                continue;
            }
            let before = Range { address: piece.address, size: address - piece.address };
            let after = Range { address: address + size, size: end - address - size };
            match (before.size, after.size) {
                (0, 0) => self.remove(index),
                (_, 0) => self.free[index] = before,
                (0, _) => self.free[index] = after,
                // A piece more than before.
                _ if self.len == N => continue,
                _ => {
                    self.free[index] = before;
                    self.insert(index + 1, after);
                }
            }
            return Some(Range { address, size });
        }
        None
    }

    /// Gives a range back.
    ///
    /// ```
    /// use gpu_client::{FreeError, Ranges};
    ///
    /// let mut ranges: Ranges<4> = Ranges::new(0x1000, 0x4000);
    /// let taken = ranges.allocate(0x1000, 0x1000).unwrap();
    /// assert_eq!(ranges.free(taken), Ok(()));
    /// assert_eq!(ranges.free(taken), Err(FreeError::NotAllocated));
    /// ```
    ///
    /// # Errors
    /// [`FreeError`]; nothing changed.
    pub fn free(&mut self, range: Range) -> Result<(), FreeError> {
        let end = range.address.checked_add(range.size).ok_or(FreeError::NotAllocated)?;
        let next = self.free[..self.len].iter().position(|piece| piece.address + piece.size > range.address);
        let index = next.unwrap_or(self.len);
        let overlaps = self.free[..self.len].get(index).is_some_and(|piece| piece.address < end);
        if range.size == 0 || overlaps {
            return Err(FreeError::NotAllocated);
        }
        let joins_before =
            index > 0 && self.free[index - 1].address + self.free[index - 1].size == range.address;
        let joins_after = index < self.len && self.free[index].address == end;
        match (joins_before, joins_after) {
            (true, true) => {
                self.free[index - 1].size += range.size + self.free[index].size;
                self.remove(index);
            }
            (true, false) => self.free[index - 1].size += range.size,
            (false, true) => {
                self.free[index].address = range.address;
                self.free[index].size += range.size;
            }
            (false, false) if self.len == N => return Err(FreeError::Fragmented),
            (false, false) => self.insert(index, range),
        }
        Ok(())
    }

    /// Bytes that are free.
    ///
    /// ```
    /// assert_eq!(gpu_client::Ranges::<4>::new(0x1000, 0x4000).free_bytes(), 0x4000);
    /// ```
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.free[..self.len].iter().map(|piece| piece.size).sum()
    }

    fn insert(&mut self, index: usize, range: Range) {
        self.free.copy_within(index..self.len, index + 1);
        self.free[index] = range;
        self.len += 1;
    }

    fn remove(&mut self, index: usize) {
        self.free.copy_within(index + 1..self.len, index);
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_never_overlap_and_everything_comes_back(
            steps in prop::collection::vec((any::<bool>(), 1_u64..6, 0_u32..3, any::<prop::sample::Index>()), 1..120),
        ) {
            const PAGES: usize = 64;
            let mut ranges: Ranges<6> = Ranges::new(0x3000, PAGES as u64 * PAGE_SIZE);
            let mut taken: Vec<Range> = vec![];
            let mut owned = [false; PAGES];
            for (allocate, pages, alignment, which) in steps {
                if allocate {
                    let alignment = PAGE_SIZE << alignment;
                    if let Some(range) = ranges.allocate(pages * PAGE_SIZE - 1, alignment) {
                        prop_assert_eq!(range.size, pages * PAGE_SIZE);
                        prop_assert!(range.address.is_multiple_of(alignment));
                        for page in 0..pages {
                            let page = usize::try_from((range.address - 0x3000) / PAGE_SIZE + page).unwrap();
                            prop_assert!(!std::mem::replace(&mut owned[page], true), "page {} twice", page);
                        }
                        taken.push(range);
                    }
                } else if !taken.is_empty() {
                    let index = which.index(taken.len());
                    if ranges.free(taken[index]).is_ok() {
                        let range = taken.swap_remove(index);
                        for page in 0..range.size / PAGE_SIZE {
                            owned[usize::try_from((range.address - 0x3000) / PAGE_SIZE + page).unwrap()] = false;
                        }
                    }
                }
                let free = owned.iter().filter(|owned| !**owned).count() as u64 * PAGE_SIZE;
                prop_assert_eq!(ranges.free_bytes(), free);
            }
        }
    }

    #[test]
    fn what_is_not_allocated_is_not_freed() {
        let mut ranges: Ranges<4> = Ranges::new(0x1000, 0x4000);
        let taken = ranges.allocate(0x2000, 0x1000).unwrap();
        for wrong in [
            Range { size: 0, ..taken },
            Range { size: 0x3000, ..taken },
            Range { address: 0x3000, size: 0x1000 },
            Range { address: u64::MAX, size: 2 },
        ] {
            assert_eq!(ranges.free(wrong), Err(FreeError::NotAllocated), "{wrong:?}");
        }
        assert_eq!(ranges.free_bytes(), 0x2000);
    }
}
