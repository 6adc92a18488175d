// SPDX-License-Identifier: BSD-2-Clause
//! Where the parts of one ring are.

/// Words of a cache line, which the two sides' indices do not share.
const LINE: usize = 8;

/// Place and shape of a ring, in words. Both sides make the same one out of the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    first: usize,
    capacity: u64,
    entry: usize,
}

impl Layout {
    /// Words before the slots.
    pub const HEADER: usize = 4 * LINE;

    /// A ring of `capacity` entries of `entry` words, whose first word is number `first`. `None` for a
    /// capacity that is not a power of two, an entry without a word, and what no memory can hold.
    #[must_use]
    pub const fn new(first: usize, capacity: u64, entry: usize) -> Option<Self> {
        if !capacity.is_power_of_two()
            || capacity > 1 << 32
            || entry == 0
            || entry > 1 << 16
            || first > 1 << 40
        {
            return None;
        }
        Some(Self { first, capacity, entry })
    }

    /// The largest ring that a region of `bytes` holds by itself. `None` if not even one entry fits.
    #[must_use]
    pub const fn in_region(bytes: usize, entry: usize) -> Option<Self> {
        let mut capacity = 1 << 20;
        while capacity > 0 {
            if let Some(layout) = Self::new(0, capacity, entry)
                && layout.words() * size_of::<u64>() <= bytes
            {
                return Some(layout);
            }
            capacity /= 2;
        }
        None
    }

    /// Number of entries that fit.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Words from the first to the last.
    #[must_use]
    pub const fn words(&self) -> usize {
        // CAST: `new` bounds the capacity.
        #[allow(clippy::cast_possible_truncation)]
        let capacity = self.capacity as usize;
        Self::HEADER + capacity * self.entry
    }

    pub(crate) const fn tail(&self) -> usize {
        self.first
    }

    pub(crate) const fn head(&self) -> usize {
        self.first + LINE
    }

    pub(crate) const fn wanted_tail(&self) -> usize {
        self.first + 2 * LINE
    }

    pub(crate) const fn wanted_head(&self) -> usize {
        self.first + 3 * LINE
    }

    /// First word of the slot of an entry.
    pub(crate) const fn slot(&self, index: u64) -> usize {
        // CAST: less than the capacity.
        #[allow(clippy::cast_possible_truncation)]
        let place = (index & self.capacity.wrapping_sub(1)) as usize;
        // Nothing wraps: `new` bounds all of it, and this is computed for every entry.
        self.first.wrapping_add(Self::HEADER).wrapping_add(place.wrapping_mul(self.entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capacity_is_a_power_of_two() {
        for capacity in [0, 3, 6, 1 << 33] {
            assert_eq!(Layout::new(0, capacity, 4), None);
        }
        assert_eq!(Layout::new(0, 4, 0), None);
        for capacity in [1, 2, 64, 1 << 20] {
            assert!(Layout::new(0, capacity, 4).is_some());
        }
    }

    #[test]
    fn a_region_is_filled_as_far_as_a_power_of_two_goes() {
        assert_eq!(Layout::in_region(0x10000, 4).map(|layout| layout.capacity()), Some(1024));
        assert_eq!(Layout::in_region(Layout::HEADER * 8 + 32, 4).map(|layout| layout.capacity()), Some(1));
        assert_eq!(Layout::in_region(Layout::HEADER * 8 + 24, 4), None);
    }

    #[test]
    fn each_index_has_a_cache_line_and_slots_follow_and_wrap() {
        let ring = Layout::new(100, 4, 3).unwrap();
        assert_eq!([ring.tail(), ring.head(), ring.wanted_tail(), ring.wanted_head()], [100, 108, 116, 124]);
        assert_eq!([0, 1, 3, 4, 7].map(|index| ring.slot(index)), [132, 135, 141, 132, 141]);
        assert_eq!(ring.words(), 32 + 12);
    }
}
