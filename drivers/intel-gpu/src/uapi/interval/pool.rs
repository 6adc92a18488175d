// SPDX-License-Identifier: BSD-2-Clause
//! The slab of nodes that all trees share, and the shape of a node.
//!
//! Not a [`Slab`](crate::handle::Slab) as the other pools are: a search follows a dozen links, and a link
//! here is a bare number for which "there is none" and "there is no such slot" are the same bounds check.

use alloc::vec::Vec;
#[cfg(test)]
use core::cell::Cell;
use core::num::NonZeroU64;

use super::{Entry, Full, Interval, NodeId};

/// Position of a node in the pool, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Link(u32);

impl Link {
    /// No node. A pool has at most this many, so that none is at this position.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// A range and its place in a tree. One cache line; the values lie elsewhere.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Node {
    pub(super) interval: Interval,
    /// The highest `last` of this node and its left subtree: of what starts, within this subtree, no later.
    pub(super) reach: u64,
    /// The highest `last` of this node and both its subtrees.
    pub(super) max_last: u64,
    /// The pool's clock at insertion; `None` while the slot is free.
    pub(super) age: Option<NonZeroU64>,
    /// Which tree it is in: [`super::IntervalTree`]'s number of the same name.
    pub(super) tag: NonZeroU64,
    /// In a free slot: the next free one.
    pub(super) left: Link,
    pub(super) right: Link,
    pub(super) parent: Link,
    /// Nodes on the longest way down, this one included. At most 46 with 2^32 nodes.
    pub(super) height: u8,
}

const _: () = assert!(size_of::<Node>() == 64, "a node is a cache line");

impl Node {
    /// A node in no tree.
    pub(super) fn new(interval: Interval, age: NonZeroU64, tag: NonZeroU64) -> Self {
        Self {
            interval,
            reach: interval.last,
            max_last: interval.last,
            age: Some(age),
            tag,
            left: Link::NONE,
            right: Link::NONE,
            parent: Link::NONE,
            height: 1,
        }
    }
}

/// The nodes of all [trees](super::IntervalTree): a fixed number of them, allocated at construction.
///
/// `V` is what a range stands for, such as the number of an object.
#[derive(Debug)]
pub struct IntervalPool<V> {
    /// Grows within its capacity, up to `capacity` slots.
    nodes: Vec<Node>,
    /// Of the node with the same position.
    values: Vec<V>,
    capacity: u32,
    free: Link,
    in_use: u32,
    /// Counts insertions and changes. 2^64 of them do not happen.
    clock: NonZeroU64,
    /// How many nodes were looked at, so that tests can bound it.
    #[cfg(test)]
    pub(super) visits: Cell<u64>,
}

impl<V: Copy> IntervalPool<V> {
    /// Bytes that a pool of so many ranges takes.
    #[must_use]
    pub const fn bytes(capacity: u32) -> usize {
        // CAST: widening on every target of this driver.
        capacity as usize * (size_of::<Node>() + size_of::<V>())
    }

    /// A pool of `capacity` nodes. Nothing is allocated later.
    #[must_use]
    pub fn with_capacity(capacity: u32) -> Self {
        Self {
            nodes: Vec::with_capacity(capacity as usize),
            values: Vec::with_capacity(capacity as usize),
            capacity,
            free: Link::NONE,
            in_use: 0,
            clock: NonZeroU64::MIN,
            #[cfg(test)]
            visits: Cell::new(0),
        }
    }

    /// How many ranges all trees together can have.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How many ranges all trees together have.
    #[must_use]
    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    #[inline]
    pub(super) fn node(&self, link: Link) -> Option<&Node> {
        #[cfg(test)]
        self.visits.set(self.visits.get() + 1);
        self.nodes.get(link.0 as usize)
    }

    #[inline]
    pub(super) fn node_mut(&mut self, link: Link) -> Option<&mut Node> {
        self.nodes.get_mut(link.0 as usize)
    }

    /// Whether a node of the tree with this tag is there.
    pub(super) fn holds(&self, link: Link, tag: NonZeroU64) -> bool {
        self.nodes.get(link.0 as usize).is_some_and(|node| node.age.is_some() && node.tag == tag)
    }

    /// What the caller sees of a node.
    pub(super) fn entry(&self, link: Link) -> Option<Entry<V>> {
        let node = self.node(link)?;
        let value = *self.values.get(link.0 as usize)?;
        Some(Entry { id: NodeId { link, age: node.age? }, interval: node.interval, value })
    }

    /// A number that was not returned before.
    pub(super) fn tick(&mut self) -> NonZeroU64 {
        self.clock = self.clock.saturating_add(1);
        self.clock
    }

    /// Puts a node and its value into a free slot.
    pub(super) fn take(&mut self, node: Node, value: V) -> Result<Link, Full> {
        if crate::fail::point() {
            return Err(Full);
        }
        let free = self.free;
        let link = if let Some(slot) = self.nodes.get_mut(free.0 as usize)
            && let Some(slot_value) = self.values.get_mut(free.0 as usize)
        {
            self.free = slot.left;
            *slot = node;
            *slot_value = value;
            free
        } else {
            let unused = u32::try_from(self.nodes.len()).map_err(|_| Full)?;
            if unused >= self.capacity {
                return Err(Full);
            }
            self.nodes.push(node);
            self.values.push(value);
            Link(unused)
        };
        self.in_use += 1;
        Ok(link)
    }

    /// Makes the slot of a node that is in no tree free.
    pub(super) fn release(&mut self, link: Link) {
        let next = self.free;
        if let Some(node) = self.node_mut(link) {
            node.age = None;
            node.left = next;
            self.free = link;
            self.in_use -= 1;
        }
    }

    /// Checks that no slot is lost. Returns where the slots lie, to see that nothing was allocated again.
    #[cfg(test)]
    pub(super) fn audit(&self) -> (*const Node, *const V) {
        let mut free = Vec::new();
        let mut link = self.free;
        while let Some(node) = self.node(link) {
            assert!(free.len() < self.nodes.len(), "the list of free slots is a ring");
            assert_eq!(node.age, None, "a slot is both free and in use");
            free.push(link);
            link = node.left;
        }
        assert_eq!(free.len() + self.in_use as usize, self.nodes.len(), "a slot is lost");
        assert_eq!(self.values.len(), self.nodes.len());
        (self.nodes.as_ptr(), self.values.as_ptr())
    }
}
