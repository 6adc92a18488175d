// SPDX-License-Identifier: BSD-2-Clause
//! Hanging nodes into a tree and taking them off, with the height and the augmentation kept right.
//!
//! Both end in [`IntervalPool::retrace`], which goes from the lowest changed node towards the root and
//! ends as soon as a subtree looks from above as it did before.

use super::pool::{IntervalPool, Link};

impl<V: Copy> IntervalPool<V> {
    /// Adds a node without links to a tree. It is younger than all others.
    pub(super) fn hang(&mut self, root: &mut Link, link: Link) {
        let Some(interval) = self.node(link).map(|node| node.interval) else {
            return;
        };
        let mut parent = Link::NONE;
        let mut before = false;
        let mut below = *root;
        while let Some(node) = self.node(below) {
            parent = below;
            before = (interval.start, interval.last) < (node.interval.start, node.interval.last);
            below = if before { node.left } else { node.right };
        }
        if let Some(node) = self.node_mut(link) {
            node.parent = parent;
        }
        match self.node_mut(parent) {
            Some(node) if before => node.left = link,
            Some(node) => node.right = link,
            None => *root = link,
        }
        self.retrace(root, parent, Link::NONE);
    }

    /// Takes a node off a tree. Its own links are left as they were.
    pub(super) fn unhang(&mut self, root: &mut Link, link: Link) {
        let Some(gone) = self.node(link).cloned() else {
            return;
        };
        if gone.left == Link::NONE || gone.right == Link::NONE {
            let child = if gone.left == Link::NONE { gone.right } else { gone.left };
            self.replace_child(root, gone.parent, link, child);
            self.retrace(root, gone.parent, Link::NONE);
            return;
        }
        // Two children: the next in order, which has no left child, moves to its place.
        let mut next = gone.right;
        while let Some(left) = self.node(next).map(|node| node.left)
            && left != Link::NONE
        {
            next = left;
        }
        let (next_right, next_parent) = self.node(next).map_or((Link::NONE, link), |n| (n.right, n.parent));
        let mut lowest = next;
        if next_parent != link {
            lowest = next_parent;
            self.set_left(next_parent, next_right);
            self.set_right(next, gone.right);
        }
        self.set_left(next, gone.left);
        if let Some(node) = self.node_mut(next) {
            node.height = gone.height;
            node.max_last = gone.max_last;
        }
        self.replace_child(root, gone.parent, link, next);
        // `next` now claims what was true of the node that is gone: it is to be brought up to date in any case.
        self.retrace(root, lowest, next);
    }

    /// Returns every node of a tree to the pool.
    pub(super) fn fell(&mut self, root: &mut Link) {
        let mut link = *root;
        while let Some(node) = self.node_mut(link) {
            // A child is cut off before it is gone to, so that the node is a leaf the second or third time.
            let left = core::mem::replace(&mut node.left, Link::NONE);
            if left != Link::NONE {
                link = left;
                continue;
            }
            let right = core::mem::replace(&mut node.right, Link::NONE);
            if right != Link::NONE {
                link = right;
                continue;
            }
            let parent = node.parent;
            self.release(link);
            link = parent;
        }
        *root = Link::NONE;
    }

    /// Restores height, augmentation and balance of `from` and the nodes above it, as far as they change,
    /// but at least up to `through` where that is a node.
    fn retrace(&mut self, root: &mut Link, from: Link, through: Link) {
        let mut link = from;
        let mut settled = through == Link::NONE;
        while let Some(node) = self.node(link) {
            let before = (node.height, node.max_last);
            let above = node.parent;
            let (left, right) = (self.summary(node.left), self.summary(node.right));
            let after = if left.0 > right.0 + 1 || right.0 > left.0 + 1 {
                let top = self.rotate(root, link, left.0 > right.0);
                self.summary(top)
            } else {
                self.update(link, left, right)
            };
            settled |= link == through;
            if settled && after == before {
                return;
            }
            link = above;
        }
    }

    /// Rotates a node up to date whose children differ in height by two, the left one or the right one being the higher.
    /// Returns the root of the subtree, which was `link`.
    fn rotate(&mut self, root: &mut Link, link: Link, left_is_higher: bool) -> Link {
        let Some((left, right)) = self.node(link).map(|node| (node.left, node.right)) else {
            return link;
        };
        if left_is_higher {
            if let Some(child) = self.node(left)
                && self.height(child.left) < self.height(child.right)
            {
                self.rotate_left(root, left);
            }
            self.rotate_right(root, link)
        } else {
            if let Some(child) = self.node(right)
                && self.height(child.right) < self.height(child.left)
            {
                self.rotate_right(root, right);
            }
            self.rotate_left(root, link)
        }
    }

    /// ```text
    ///      link              up
    ///     /    \            /  \
    ///    a      up   ->  link   c
    ///          /  \      /  \
    ///         b    c    a    b
    /// ```
    fn rotate_left(&mut self, root: &mut Link, link: Link) -> Link {
        let Some((up, parent)) = self.node(link).map(|node| (node.right, node.parent)) else {
            return link;
        };
        let Some(b) = self.node(up).map(|node| node.left) else {
            return link;
        };
        self.replace_child(root, parent, link, up);
        self.set_right(link, b);
        self.set_left(up, link);
        self.refresh(link);
        self.refresh(up);
        up
    }

    /// ```text
    ///        link          up
    ///       /    \        /  \
    ///     up      c  ->  a   link
    ///    /  \                /  \
    ///   a    b              b    c
    /// ```
    fn rotate_right(&mut self, root: &mut Link, link: Link) -> Link {
        let Some((up, parent)) = self.node(link).map(|node| (node.left, node.parent)) else {
            return link;
        };
        let Some(b) = self.node(up).map(|node| node.right) else {
            return link;
        };
        self.replace_child(root, parent, link, up);
        self.set_left(link, b);
        self.set_right(up, link);
        self.refresh(link);
        self.refresh(up);
        up
    }

    /// Computes height and augmentation of a node from its children's.
    fn refresh(&mut self, link: Link) {
        if let Some((left, right)) = self.node(link).map(|node| (node.left, node.right)) {
            self.update(link, self.summary(left), self.summary(right));
        }
    }

    /// Height and highest end of a subtree; of none what changes nothing.
    fn summary(&self, link: Link) -> (u8, u64) {
        self.node(link).map_or((0, 0), |node| (node.height, node.max_last))
    }

    /// Writes height and augmentation of a node, whose children's are given. Returns what the subtree has then.
    fn update(&mut self, link: Link, left: (u8, u64), right: (u8, u64)) -> (u8, u64) {
        let Some(node) = self.node_mut(link) else {
            return (0, 0);
        };
        node.height = left.0.max(right.0) + 1;
        node.reach = node.interval.last.max(left.1);
        node.max_last = node.reach.max(right.1);
        (node.height, node.max_last)
    }

    fn height(&self, link: Link) -> u8 {
        self.node(link).map_or(0, |node| node.height)
    }

    /// Puts `new` (or nothing) where `old` is: under `parent`, or at the root.
    fn replace_child(&mut self, root: &mut Link, parent: Link, old: Link, new: Link) {
        match self.node_mut(parent) {
            Some(node) if node.left == old => node.left = new,
            Some(node) => node.right = new,
            None => *root = new,
        }
        if let Some(node) = self.node_mut(new) {
            node.parent = parent;
        }
    }

    fn set_left(&mut self, parent: Link, child: Link) {
        if let Some(node) = self.node_mut(parent) {
            node.left = child;
        }
        if let Some(node) = self.node_mut(child) {
            node.parent = parent;
        }
    }

    fn set_right(&mut self, parent: Link, child: Link) {
        if let Some(node) = self.node_mut(parent) {
            node.right = child;
        }
        if let Some(node) = self.node_mut(child) {
            node.parent = parent;
        }
    }
}
