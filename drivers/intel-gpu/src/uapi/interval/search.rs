// SPDX-License-Identifier: BSD-2-Clause
//! Finding what intersects: the first, the next, and the first behind a key.

use core::iter::FusedIterator;
use core::num::NonZeroU64;

use super::pool::{IntervalPool, Link, Node};
use super::{Entry, Interval, NodeId};

/// Where a walk is: see [`IntervalTree::next_overlap`](super::IntervalTree::next_overlap).
///
/// It borrows nothing and can be kept between two turns of an event loop. A new one is before every range.
/// It is meant for one tree; in another one the walk continues behind the same key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub(super) Option<Seen>);

impl Cursor {
    /// Before the first range.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// At a range that was found when the tree had this serial number.
    pub(super) fn at<V>(entry: &Entry<V>, serial: NonZeroU64) -> Self {
        Self(Some(Seen { interval: entry.interval, id: entry.id, serial }))
    }
}

/// The range that a walk found last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    interval: Interval,
    pub(super) id: NodeId,
    /// The tree's. While it has not changed, `id` names a node of the tree.
    pub(super) serial: NonZeroU64,
}

impl<V: Copy> IntervalPool<V> {
    /// Whether a node of a subtree intersects `query`.
    pub(super) fn any(&self, root: Link, query: Interval) -> bool {
        self.deciding(root, query).is_some()
    }

    /// The first node of a subtree that intersects `query`.
    pub(super) fn first(&self, root: Link, query: Interval) -> Link {
        let Some((mut link, mut node)) = self.deciding(root, query) else {
            return Link::NONE;
        };
        // From here on everything starts in time, and `node` or what is left of it ends late enough.
        loop {
            if let Some(left) = self.node(node.left)
                && left.max_last >= query.start
            {
                (link, node) = (node.left, left);
                // Go right for as long as neither this node nor one to its left ends late enough: then one
                // to its right does.
                while node.reach < query.start
                    && let Some(right) = self.node(node.right)
                {
                    (link, node) = (node.right, right);
                }
            } else {
                return link;
            }
        }
    }

    /// The highest node of a subtree that starts in time to intersect `query` and which, or one to the left
    /// of which, ends late enough. If there is none, nothing in the subtree intersects.
    fn deciding(&self, root: Link, query: Interval) -> Option<(Link, &Node)> {
        let mut link = root;
        loop {
            let node = self.node(link)?;
            if node.interval.start > query.last {
                link = node.left;
            } else if node.reach < query.start {
                link = node.right;
            } else {
                return Some((link, node));
            }
        }
    }

    /// The first node behind `from` that intersects `query`.
    pub(super) fn next(&self, from: Link, query: Interval) -> Link {
        let mut link = from;
        while let Some(node) = self.node(link) {
            if self.node(node.right).is_some_and(|right| right.max_last >= query.start) {
                // If what ends late enough there starts too late, so does everything behind it.
                return self.first(node.right, query);
            }
            let mut parent = node.parent;
            let above = loop {
                let Some(above) = self.node(parent) else {
                    return Link::NONE;
                };
                if above.right != link {
                    break above;
                }
                link = parent;
                parent = above.parent;
            };
            link = parent;
            if above.interval.start > query.last {
                return Link::NONE;
            }
            if above.interval.last >= query.start {
                return link;
            }
        }
        Link::NONE
    }

    /// The first node behind the key of `seen` that intersects `query`, whether that node is still there
    /// or not.
    pub(super) fn first_behind(&self, root: Link, seen: &Seen, query: Interval) -> Link {
        let key = (seen.interval.start, seen.interval.last, Some(seen.id.age));
        let mut behind = Link::NONE;
        let mut link = root;
        while let Some(node) = self.node(link) {
            if (node.interval.start, node.interval.last, node.age) > key {
                behind = link;
                link = node.left;
            } else {
                link = node.right;
            }
        }
        match self.node(behind) {
            Some(node) if node.interval.start > query.last => Link::NONE,
            Some(node) if node.interval.last >= query.start => behind,
            _ => self.next(behind, query),
        }
    }
}

/// The ranges that intersect a query, in order of (start, last, age): see
/// [`IntervalTree::overlaps`](super::IntervalTree::overlaps).
#[derive(Clone, Debug)]
pub struct Overlaps<'p, V> {
    pool: &'p IntervalPool<V>,
    query: Interval,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Before { root: Link },
    At(Link),
    End,
}

impl<'p, V: Copy> Overlaps<'p, V> {
    pub(super) fn new(pool: &'p IntervalPool<V>, root: Link, query: Interval) -> Self {
        Self { pool, query, place: Place::Before { root } }
    }
}

impl<V: Copy> Iterator for Overlaps<'_, V> {
    type Item = Entry<V>;

    fn next(&mut self) -> Option<Entry<V>> {
        let link = match self.place {
            Place::Before { root } => self.pool.first(root, self.query),
            Place::At(link) => self.pool.next(link, self.query),
            Place::End => return None,
        };
        let found = self.pool.entry(link);
        self.place = if found.is_some() { Place::At(link) } else { Place::End };
        found
    }
}

impl<V: Copy> FusedIterator for Overlaps<'_, V> {}
