// SPDX-License-Identifier: BSD-2-Clause
//! Address spaces with many userptr ranges, for the benchmarks of the interval tree.

use intel_gpu::uapi::interval::{Cursor, Interval, IntervalPool, IntervalTree};

const PAGE: u64 = 0x1000;
/// As IGT's `gem_userptr_benchmark` makes them: 64 KiB.
const PAGES_PER_RANGE: u64 = 16;

/// How the ranges lie to each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Each begins where the one before ends.
    Adjacent,
    /// In pairs that overlap by half, as when an object is made anew while the old one is dying.
    Overlapping,
}

/// An address space.
#[derive(Debug)]
pub(crate) struct Ranges {
    pool: IntervalPool<u32>,
    tree: IntervalTree,
    pages: u64,
}

impl Ranges {
    /// `n` ranges, inserted in an order that is not theirs; the pool has room for one more.
    pub(crate) fn new(n: u32, shape: Shape) -> Self {
        let mut pool = IntervalPool::with_capacity(n + 1);
        let mut tree = IntervalTree::new();
        for i in 0..u64::from(n) {
            // A prime that divides no power of ten: every number once.
            let i = i * 7_919 % u64::from(n);
            let page = match shape {
                Shape::Adjacent => i * PAGES_PER_RANGE,
                Shape::Overlapping => (i / 2 * 3 + i % 2) * (PAGES_PER_RANGE / 2),
            };
            let value = u32::try_from(i).expect("n is a u32");
            tree.insert(&mut pool, pages(page, PAGES_PER_RANGE), value).expect("there is room");
        }
        let pages = match shape {
            Shape::Adjacent => u64::from(n) * PAGES_PER_RANGE,
            Shape::Overlapping => u64::from(n) / 2 * 3 * (PAGES_PER_RANGE / 2),
        };
        Self { pool, tree, pages }
    }

    /// One page each, all over the ranges.
    pub(crate) fn places(&self, count: u32) -> Vec<Interval> {
        // Multiples of the golden ratio modulo 1, in 32 bits, are spread evenly in whatever number.
        (0..count)
            .map(|i| (u64::from(i.wrapping_mul(0x9e37_79b9)) * self.pages) >> 32)
            .map(|page| pages(page, 1))
            .collect()
    }

    /// What creating an object asks.
    #[inline(never)]
    pub(crate) fn first_overlap(&self, query: Interval) -> Option<u32> {
        self.tree.first_overlap(&self.pool, query).map(|entry| entry.value)
    }

    /// What an invalidation asks that is done at once. Returns the sum of the values.
    #[inline(never)]
    pub(crate) fn overlaps(&self, query: Interval) -> u64 {
        self.tree.overlaps(&self.pool, query).map(|entry| u64::from(entry.value)).sum()
    }

    /// What an invalidation asks that must let go of the tree in between. Returns the sum of the values.
    #[inline(never)]
    pub(crate) fn walk(&self, query: Interval) -> u64 {
        let mut cursor = Cursor::new();
        let mut sum = 0;
        while let Some(entry) = self.tree.next_overlap(&self.pool, &mut cursor, query) {
            sum += u64::from(entry.value);
        }
        sum
    }

    /// Creates and closes an object.
    #[inline(never)]
    pub(crate) fn insert_and_remove(&mut self, interval: Interval) -> Option<u32> {
        let id = self.tree.insert(&mut self.pool, interval, u32::MAX).ok()?;
        self.tree.remove(&mut self.pool, id)
    }
}

fn pages(first: u64, count: u64) -> Interval {
    Interval::with_size(first * PAGE, count * PAGE).expect("small numbers do not wrap around")
}
