// SPDX-License-Identifier: BSD-2-Clause
//! Which userptr objects does an invalidated range touch? Ranges, and the search tree that answers.
//!
//! Every address space that lends pages has an [`IntervalTree`] of the ranges of its objects; all trees of
//! the driver take their nodes from one [`IntervalPool`], which is allocated once. A tree alone is a root
//! and a few counters, so the pool is passed to each operation. One slab for all, because the driver's
//! memory is sized at start: a slab a client would have to be as large as the largest client, that many
//! times. Who may have how many is the caller's quota, for which each tree knows its [`IntervalTree::len`].
//!
//! # Structure
//!
//! An AVL tree in the order of (start, last, age). Each node knows two things about the subtree of which it
//! is the root: `max_last`, the highest end in it, and `reach`, the highest end of itself and what is left of
//! it:
//!
//! ```text
//!                       [30,34]
//!                       reach 90, max_last 90
//!                      /                     \
//!        [10,90]                              [50,54]
//!        reach 90, max_last 90                reach 54, max_last 64
//!       /                     \                                    \
//!  [5,12]                      [20,25]                              [60,64]
//!  reach 12, max_last 12       reach 25, max_last 25                reach 64, max_last 64
//! ```
//!
//! A search for what intersects a query first looks at starts alone: behind a node that starts after the
//! query's end, nothing matters. The first node that starts in time and whose `reach` is not before the
//! query's start decides that there is an intersection, at that node or to its left, where everything starts
//! in time; so the way to the leftmost follows the ends alone, by `max_last`. That is one or two comparisons a
//! node, a node is a cache line, and none is looked at beside the way but one at its end.
//!
//! The ranges are closed, [start, last], so that the one which ends at the highest address can be written.
//! Equal and overlapping ranges are allowed: whether a new object may lie over a living one, or over one
//! that is only waiting for its outstanding page requests to die, is for the caller to decide, who finds it
//! with [`IntervalTree::first_overlap`]. Age, a number that no two insertions share, makes the order total; it also tells a [`NodeId`] whose node is gone from the node
//! that took its place, and unlike a generation per slot it does not wrap around.
//!
//! Finding the first intersection, inserting and removing are O(log n): the height is at most
//! 1.44 log2(n + 2). All k intersections are found in O(log n + k) if the ranges do not overlap each other,
//! and in O(log n + k log(n / k)) if they do, since then those that end too early may lie between.
//! Nothing recurses.
//!
//! # Why not a crate
//!
//! The red-black tree of `intrusive-collections` links objects in place as well, but it has no hook by
//! which a rotation could bring the augmentation up to date (and its adapters are unsafe code). Here the
//! links are indices into the pool: nothing is allocated to link a range either, and no code is unsafe.
//!
//! # Walks that survive changes
//!
//! Taking an object's pages away may drop the last reference to it, and so remove ranges from the tree that
//! is being walked. A [`Cursor`] therefore remembers the key of the range that it returned last, and the
//! tree's serial number at that time. While the number is still the same the walk goes on from that node;
//! when it is not, it looks up the first range behind that key. i915 does it in the same way, with the end
//! address of the object instead of the key, which is enough where ranges never overlap (i915:
//! `i915_gem_userptr.c`, the range notifier).
#![forbid(unsafe_code)]

mod balance;
mod pool;
mod search;
#[cfg(test)]
mod tests;

use core::num::NonZeroU64;

pub use pool::IntervalPool;
use pool::{Link, Node};
pub use search::{Cursor, Overlaps};

/// A closed range of addresses, [start, last], never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    start: u64,
    last: u64,
}

impl Interval {
    /// Everything.
    pub const ALL: Self = Self { start: 0, last: u64::MAX };

    /// From the first address to the last; `None` if `last` is below `start`.
    #[must_use]
    pub const fn new(start: u64, last: u64) -> Option<Self> {
        if start <= last { Some(Self { start, last }) } else { None }
    }

    /// `size` bytes from `start`; `None` if that is no byte, or wraps around the end of the address space.
    #[must_use]
    pub const fn with_size(start: u64, size: u64) -> Option<Self> {
        let Some(distance) = size.checked_sub(1) else {
            return None;
        };
        match start.checked_add(distance) {
            Some(last) => Some(Self { start, last }),
            None => None,
        }
    }

    /// The lowest address in it.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.start
    }

    /// The highest address in it.
    #[must_use]
    pub const fn last(self) -> u64 {
        self.last
    }

    /// Whether there is an address in both.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.start <= other.last && other.start <= self.last
    }
}

/// Names a range in a tree until it is removed. No other range of the pool ever has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId {
    link: Link,
    age: NonZeroU64,
}

/// A range as it is found in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<V> {
    /// Its name, for [`IntervalTree::remove`].
    pub id: NodeId,
    /// Where it lies.
    pub interval: Interval,
    /// What was inserted with it.
    pub value: V,
}

/// Every node of the pool is in use; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the pool of ranges is exhausted")
    }
}

impl core::error::Error for Full {}

/// The ranges of one address space.
///
/// A tree belongs to the pool that it first took a node from, until it is empty again; with another pool its
/// operations find nonsense, which debug builds refuse. Dropping a tree does not return its nodes:
/// [`clear`](Self::clear) does.
#[derive(Debug)]
pub struct IntervalTree {
    root: Link,
    len: u32,
    /// The pool's clock when the tree was last empty: all its nodes carry it, no other tree's do.
    tag: NonZeroU64,
    /// The pool's clock at the last change. Two trees never have the same one, except while new.
    serial: NonZeroU64,
}

impl Default for IntervalTree {
    fn default() -> Self {
        Self::new()
    }
}

impl IntervalTree {
    /// A tree with nothing in it.
    #[must_use]
    pub const fn new() -> Self {
        Self { root: Link::NONE, len: 0, tag: NonZeroU64::MIN, serial: NonZeroU64::MIN }
    }

    /// How many ranges there are.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is no range.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A number that is different after every change of the tree.
    #[must_use]
    pub const fn serial(&self) -> u64 {
        self.serial.get()
    }

    /// Adds a range, behind those that are equal to it. O(log n).
    ///
    /// # Errors
    /// [`Full`] if the pool has no node left.
    pub fn insert<V: Copy>(
        &mut self,
        pool: &mut IntervalPool<V>,
        interval: Interval,
        value: V,
    ) -> Result<NodeId, Full> {
        self.check(pool);
        let age = pool.tick();
        if self.root == Link::NONE {
            self.tag = age;
        }
        let link = pool.take(Node::new(interval, age, self.tag), value)?;
        pool.hang(&mut self.root, link);
        self.len += 1;
        self.serial = age;
        Ok(NodeId { link, age })
    }

    /// Removes a range and returns its value; `None` if it is not (or no longer) in this tree. O(log n).
    pub fn remove<V: Copy>(&mut self, pool: &mut IntervalPool<V>, id: NodeId) -> Option<V> {
        let value = self.get(pool, id)?.value;
        pool.unhang(&mut self.root, id.link);
        pool.release(id.link);
        self.len -= 1;
        self.serial = pool.tick();
        Some(value)
    }

    /// The range that `id` names; `None` if it is not (or no longer) in this tree. O(1).
    #[must_use]
    pub fn get<V: Copy>(&self, pool: &IntervalPool<V>, id: NodeId) -> Option<Entry<V>> {
        self.check(pool);
        let node = pool.node(id.link)?;
        if node.age == Some(id.age) && node.tag == self.tag { pool.entry(id.link) } else { None }
    }

    /// Removes every range, as when a client dies. O(n).
    pub fn clear<V: Copy>(&mut self, pool: &mut IntervalPool<V>) {
        self.check(pool);
        pool.fell(&mut self.root);
        self.len = 0;
        self.serial = pool.tick();
    }

    /// The ranges that intersect `query`, in order.
    #[must_use]
    pub fn overlaps<'p, V: Copy>(&self, pool: &'p IntervalPool<V>, query: Interval) -> Overlaps<'p, V> {
        self.check(pool);
        Overlaps::new(pool, self.root, query)
    }

    /// The first of the ranges that intersect `query`. O(log n).
    #[must_use]
    pub fn first_overlap<V: Copy>(&self, pool: &IntervalPool<V>, query: Interval) -> Option<Entry<V>> {
        self.check(pool);
        pool.entry(pool.first(self.root, query))
    }

    /// Whether a range intersects `query`. O(log n).
    #[must_use]
    pub fn any_overlap<V: Copy>(&self, pool: &IntervalPool<V>, query: Interval) -> bool {
        self.check(pool);
        pool.any(self.root, query)
    }

    /// One step of a walk that outlives changes of the tree: the first range that intersects `query` and
    /// lies behind the one that this cursor found last (with a new cursor: the first). The cursor moves to
    /// it; when there is none it stays, so that a later call finds what was added behind it since.
    ///
    /// A range that is in the tree during the whole walk is found once. One that is added during the walk
    /// is found if it lies behind the cursor, and an equal one put back for the one found last does; those
    /// before it are not. `query` may be another one in each call.
    ///
    /// O(log n), and all k steps of a walk through an unchanged tree cost as much as
    /// [`overlaps`](Self::overlaps).
    pub fn next_overlap<V: Copy>(
        &self,
        pool: &IntervalPool<V>,
        cursor: &mut Cursor,
        query: Interval,
    ) -> Option<Entry<V>> {
        self.check(pool);
        let found = pool.entry(match *cursor {
            Cursor(None) => pool.first(self.root, query),
            Cursor(Some(seen)) if seen.serial == self.serial => pool.next(seen.id.link, query),
            Cursor(Some(seen)) => pool.first_behind(self.root, &seen, query),
        })?;
        *cursor = Cursor::at(&found, self.serial);
        Some(found)
    }

    /// That the tree is not used with another pool than the one its nodes are in.
    fn check<V: Copy>(&self, pool: &IntervalPool<V>) {
        debug_assert!(
            self.root == Link::NONE || pool.holds(self.root, self.tag),
            "the tree is of another pool"
        );
    }
}
