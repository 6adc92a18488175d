// SPDX-License-Identifier: BSD-2-Clause
//! Where things lie in an address space: disjoint ranges in a balanced tree whose nodes also know the
//! largest hole beneath them, so that finding a place, finding what is in the way, inserting and
//! removing are all O(log n). The nodes of all spaces come from one pool of fixed size.
//!
//! Holes that are large enough, but not where they would have to be for an aligned range, can be many. After
//! [`PATIENCE`] nodes a search asks for a hole that is large enough wherever it begins, which takes O(log n) again.
//!
//! The tree is a treap: heap-ordered by pseudo-random priorities, which keeps it balanced without any
//! rebalancing state. Positions are in units of the caller's choice (pages for the GGTT, bytes for a
//! PPGTT).

use alloc::vec::Vec;

use crate::error::Error;

const NONE: u32 = u32::MAX;
/// Nodes that a search looks at for the first hole that does.
const PATIENCE: u32 = 256;

/// Where a range may be put. Units are bytes of a GPU virtual address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// Exactly there.
    Fixed(u64),
    /// There if free, else the lowest place below `limit`.
    Hint {
        /// Wanted start.
        start: u64,
        /// One past the last byte that may be used.
        limit: u64,
    },
    /// The lowest free place below `limit`.
    Below {
        /// One past the last byte that may be used.
        limit: u64,
    },
}

/// Which end of the space a search starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum From {
    Bottom,
    Top,
}

/// A range in a space and the number its owner gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) owner: u64,
}

#[derive(Clone, Debug)]
struct Node {
    entry: Entry,
    left: u32,
    right: u32,
    priority: u32,
    /// Start of the lowest range, end of the highest, and largest hole between ranges of this subtree.
    lowest: u64,
    highest: u64,
    hole: u64,
}

/// One address space: `[start, end)`.
#[derive(Debug)]
pub(crate) struct Space {
    root: u32,
    start: u64,
    end: u64,
}

impl Space {
    pub(crate) const fn new(start: u64, end: u64) -> Self {
        Self { root: NONE, start, end }
    }

    pub(crate) const fn end(&self) -> u64 {
        self.end
    }
}

/// The pool of nodes.
#[derive(Debug)]
pub(crate) struct Ranges {
    nodes: Vec<Node>,
    free: u32,
    random: u32,
}

impl Ranges {
    pub(crate) fn new(capacity: u32) -> Self {
        let entry = Entry { start: 0, end: 0, owner: 0 };
        let nodes = (0..capacity)
            .map(|index| Node {
                entry,
                left: if index + 1 < capacity { index + 1 } else { NONE },
                right: NONE,
                priority: 0,
                lowest: 0,
                highest: 0,
                hole: 0,
            })
            .collect();
        Self { nodes, free: if capacity == 0 { NONE } else { 0 }, random: 0x9e37_79b9 }
    }

    /// Bytes that a pool takes.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        // CAST: widening on every target of this driver.
        capacity as usize * size_of::<Node>()
    }

    /// The lowest range that has a part in `[start, end)`.
    pub(crate) fn first_overlap(&self, space: &Space, start: u64, end: u64) -> Option<Entry> {
        let mut at = space.root;
        let mut found = None;
        while let Some(node) = self.nodes.get(at as usize) {
            if node.entry.end > start {
                found = Some(node.entry);
                at = node.left;
            } else {
                at = node.right;
            }
        }
        found.filter(|entry| entry.start < end)
    }

    /// Finds a hole of `size` at a multiple of `alignment` (a power of two), from the given end of the
    /// space and not beyond `limit` as seen from there. It is the first one, unless very many before it are large enough
    /// but not aligned; then a hole may be missed that is hardly large enough.
    pub(crate) fn find(
        &self,
        space: &Space,
        size: u64,
        alignment: u64,
        from: From,
        limit: u64,
    ) -> Option<u64> {
        let bounds = (space.start, space.end);
        let mut patience = PATIENCE;
        let mut found = self.find_in(space.root, bounds, size, (size, alignment), from, &mut patience);
        if found.is_none() && patience == 0 {
            // No hole of this size is without an aligned place, so the first one that is found is taken.
            let enough = size.checked_add(alignment - 1)?;
            patience = u32::MAX;
            found = self.find_in(space.root, bounds, enough, (size, alignment), from, &mut patience);
        }
        let start = found?;
        let inside = match from {
            From::Bottom => start.checked_add(size)? <= limit,
            From::Top => start >= limit,
        };
        inside.then_some(start)
    }

    /// Puts `[start, start + size)` into the space.
    pub(crate) fn insert(
        &mut self,
        space: &mut Space,
        start: u64,
        size: u64,
        owner: u64,
    ) -> Result<(), Error> {
        let end = start.checked_add(size).ok_or(Error::Invalid)?;
        if size == 0 || start < space.start || end > space.end {
            return Err(Error::Invalid);
        }
        if self.first_overlap(space, start, end).is_some() {
            return Err(Error::Overlap);
        }
        if crate::fail::point() {
            return Err(Error::NoMemory);
        }
        let index = self.free;
        let priority = self.next_random();
        let node = self.nodes.get_mut(index as usize).ok_or(Error::NoMemory)?;
        self.free = node.left;
        *node = Node {
            entry: Entry { start, end, owner },
            left: NONE,
            right: NONE,
            priority,
            lowest: start,
            highest: end,
            hole: 0,
        };
        let (below, above) = self.split(space.root, start);
        let below = self.merge(below, index);
        space.root = self.merge(below, above);
        Ok(())
    }

    /// Takes the range that starts at `start` out.
    pub(crate) fn remove(&mut self, space: &mut Space, start: u64) -> Result<Entry, Error> {
        let (below, rest) = self.split(space.root, start);
        let (found, above) = self.split(rest, start + 1);
        space.root = self.merge(below, above);
        let node = self.nodes.get_mut(found as usize).ok_or(Error::NotFound)?;
        let entry = node.entry;
        node.left = self.free;
        self.free = found;
        Ok(entry)
    }

    /// Takes every range out.
    pub(crate) fn clear(&mut self, space: &mut Space) {
        while let Some(node) = self.nodes.get(space.root as usize) {
            let start = node.entry.start;
            if self.remove(space, start).is_err() {
                break;
            }
        }
    }

    /// Looks among holes of at least `hole` for a place of a size and an alignment, as long as there is patience.
    fn find_in(
        &self,
        at: u32,
        (low, high): (u64, u64),
        hole: u64,
        wanted: (u64, u64),
        from: From,
        patience: &mut u32,
    ) -> Option<u64> {
        let Some(node) = self.nodes.get(at as usize) else {
            let fits = high - low >= hole;
            return fit(low, high, wanted.0, wanted.1, from).filter(|_| fits);
        };
        let largest = node.hole.max(node.lowest - low).max(high - node.highest);
        if largest < hole || *patience == 0 {
            return None;
        }
        *patience -= 1;
        let below = (node.left, (low, node.entry.start));
        let above = (node.right, (node.entry.end, high));
        let sides = if from == From::Bottom { [below, above] } else { [above, below] };
        sides.into_iter().find_map(|(side, bounds)| self.find_in(side, bounds, hole, wanted, from, patience))
    }

    fn next_random(&mut self) -> u32 {
        // xorshift32: any non-zero seed serves; there is no adversary, only sequential patterns.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }

    /// Nodes that start below `key`, and the others.
    fn split(&mut self, at: u32, key: u64) -> (u32, u32) {
        let Some(node) = self.nodes.get(at as usize) else { return (NONE, NONE) };
        if node.entry.start < key {
            let (below, above) = self.split(node.right, key);
            self.nodes[at as usize].right = below;
            self.update(at);
            (at, above)
        } else {
            let (below, above) = self.split(node.left, key);
            self.nodes[at as usize].left = above;
            self.update(at);
            (below, at)
        }
    }

    fn merge(&mut self, below: u32, above: u32) -> u32 {
        let (Some(low), Some(high)) = (self.nodes.get(below as usize), self.nodes.get(above as usize)) else {
            return if below == NONE { above } else { below };
        };
        if low.priority >= high.priority {
            let right = self.merge(low.right, above);
            self.nodes[below as usize].right = right;
            self.update(below);
            below
        } else {
            let left = self.merge(below, high.left);
            self.nodes[above as usize].left = left;
            self.update(above);
            above
        }
    }

    fn update(&mut self, at: u32) {
        let node = &self.nodes[at as usize];
        let (mut lowest, mut highest, mut hole) = (node.entry.start, node.entry.end, 0);
        if let Some(left) = self.nodes.get(node.left as usize) {
            lowest = left.lowest;
            hole = left.hole.max(node.entry.start - left.highest);
        }
        if let Some(right) = self.nodes.get(node.right as usize) {
            highest = right.highest;
            hole = hole.max(right.hole).max(right.lowest - node.entry.end);
        }
        let node = &mut self.nodes[at as usize];
        (node.lowest, node.highest, node.hole) = (lowest, highest, hole);
    }
}

fn fit(low: u64, high: u64, size: u64, align: u64, from: From) -> Option<u64> {
    let start = match from {
        From::Bottom => low.checked_next_multiple_of(align)?,
        From::Top => high.checked_sub(size)? / align * align,
    };
    (start >= low && start.checked_add(size)? <= high).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: usize = 64;

    /// The naive reference: one owner per unit.
    struct Naive([Option<u64>; SIZE]);

    impl Naive {
        fn fits(&self, start: usize, size: usize) -> bool {
            start + size <= SIZE && self.0[start..start + size].iter().all(Option::is_none)
        }

        fn find(&self, size: usize, align: usize, from: From) -> Option<u64> {
            let starts = (0..SIZE).filter(|start| start % align == 0 && self.fits(*start, size));
            let start = match from {
                From::Bottom => starts.min(),
                From::Top => starts.max(),
            };
            start.map(|start| start as u64)
        }
    }

    proptest! {
        #[test]
        fn placing_finding_and_removing_agree_with_a_naive_map(
            steps in prop::collection::vec((0u8..4, 0usize..SIZE, 1usize..9, 0u32..4, any::<bool>()), 1..200)
        ) {
            let mut ranges = Ranges::new(64);
            let mut space = Space::new(0, SIZE as u64);
            let mut naive = Naive([None; SIZE]);
            for (step, (kind, start, size, align, top)) in steps.into_iter().enumerate() {
                let from = if top { From::Top } else { From::Bottom };
                let align = 1usize << align;
                let owner = step as u64;
                let limit = if top { 0 } else { SIZE as u64 };
                let found = ranges.find(&space, size as u64, align as u64, from, limit);
                prop_assert_eq!(found, naive.find(size, align, from));
                let overlap = ranges.first_overlap(&space, start as u64, (start + size) as u64);
                let expected = naive.0[start..(start + size).min(SIZE)].iter().flatten().next();
                prop_assert_eq!(overlap.map(|entry| entry.owner), expected.copied());
                let place = match kind { 0 => found, 1 => Some(start as u64), _ => None };
                if let Some(place) = place {
                    let at = usize::try_from(place).expect("small");
                    let result = ranges.insert(&mut space, place, size as u64, owner);
                    prop_assert_eq!(result.is_ok(), naive.fits(at, size));
                    if result.is_ok() {
                        naive.0[at..at + size].fill(Some(owner));
                    }
                } else if let Some(owner) = naive.0[start] {
                    let first = naive.0.iter().position(|unit| *unit == Some(owner)).expect("it is there");
                    let entry = ranges.remove(&mut space, first as u64).expect("it is there");
                    prop_assert_eq!(entry.owner, owner);
                    naive.0[first..usize::try_from(entry.end).expect("small")].fill(None);
                } else {
                    prop_assert_eq!(ranges.remove(&mut space, start as u64), Err(Error::NotFound));
                }
            }
            ranges.clear(&mut space);
            prop_assert_eq!(ranges.find(&space, SIZE as u64, 1, From::Bottom, SIZE as u64), Some(0));
            for _ in 0..2 {
                // Every node came back to the pool.
                for unit in 0..SIZE as u64 {
                    prop_assert_eq!(ranges.insert(&mut space, unit, 1, 0), Ok(()));
                }
                ranges.clear(&mut space);
            }
        }
    }

    #[test]
    fn an_exhausted_pool_of_nodes_leaves_the_space_as_it_was() {
        let mut ranges = Ranges::new(1);
        let mut space = Space::new(0, 100);
        assert_eq!(ranges.insert(&mut space, 10, 5, 1), Ok(()));
        assert_eq!(ranges.insert(&mut space, 20, 5, 2), Err(Error::NoMemory));
        assert_eq!(ranges.first_overlap(&space, 20, 25), None);
        assert_eq!(ranges.insert(&mut space, u64::MAX, 5, 2), Err(Error::Invalid));
        assert_eq!(ranges.insert(&mut space, 98, 5, 2), Err(Error::Invalid));
    }

    #[test]
    fn a_search_among_very_many_holes_that_are_not_aligned_ends_and_finds_a_place() {
        // Each hole has 16 units and none of them a whole aligned group of 16.
        let count = 10_000;
        let mut ranges = Ranges::new(count);
        let mut space = Space::new(0, u64::from(count) * 32);
        ranges.insert(&mut space, 0, 8, 0).expect("free");
        for index in 0..u64::from(count) - 2 {
            ranges.insert(&mut space, index * 32 + 24, 16, index).expect("free");
        }
        let mut patience = PATIENCE;
        let bounds = (space.start, space.end);
        let found = ranges.find_in(space.root, bounds, 16, (16, 16), From::Bottom, &mut patience);
        assert_eq!((found, patience), (None, 0), "it has looked at so many and at no more");
        let start = ranges.find(&space, 16, 16, From::Bottom, space.end).expect("there is room at the end");
        assert!(start.is_multiple_of(16) && ranges.first_overlap(&space, start, start + 16).is_none());
        assert_eq!(ranges.find(&space, 64, 64, From::Bottom, space.end), None);
    }

    #[test]
    fn a_limit_confines_the_search() {
        let mut ranges = Ranges::new(4);
        let mut space = Space::new(0, 100);
        ranges.insert(&mut space, 0, 40, 1).expect("free");
        assert_eq!(ranges.find(&space, 10, 1, From::Bottom, 50), Some(40));
        assert_eq!(ranges.find(&space, 11, 1, From::Bottom, 50), None);
        assert_eq!(ranges.find(&space, 10, 1, From::Top, 91), None);
    }
}
