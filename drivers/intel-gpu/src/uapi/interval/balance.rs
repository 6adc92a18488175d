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
            let top = self.rebalance(root, link);
            settled |= link == through;
            if settled && self.node(top).is_some_and(|top| (top.height, top.max_last) == before) {
                return;
            }
            link = above;
        }
    }

    /// Brings a node up to date whose children are, and rotates if they differ in height by two. Returns the
    /// root of the subtree, which was `link`.
    fn rebalance(&mut self, root: &mut Link, link: Link) -> Link {
        let Some(node) = self.node(link) else {
            return link;
        };
        let (left, right) = (node.left, node.right);
        let (left_height, right_height) = (self.height(left), self.height(right));
        if left_height > right_height + 1 {
            if let Some(child) = self.node(left)
                && self.height(child.left) < self.height(child.right)
            {
                self.rotate_left(root, left);
            }
            self.rotate_right(root, link)
        } else if right_height > left_height + 1 {
            if let Some(child) = self.node(right)
                && self.height(child.right) < self.height(child.left)
            {
                self.rotate_right(root, right);
            }
            self.rotate_left(root, link)
        } else {
            self.refresh(link);
            link
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
        let Some(node) = self.node(link) else {
            return;
        };
        let (mut height, mut reach) = (0, node.interval.last);
        if let Some(left) = self.node(node.left) {
            height = left.height;
            reach = reach.max(left.max_last);
        }
        let mut max_last = reach;
        if let Some(right) = self.node(node.right) {
            height = height.max(right.height);
            max_last = max_last.max(right.max_last);
        }
        if let Some(node) = self.node_mut(link) {
            node.height = height + 1;
            node.reach = reach;
            node.max_last = max_last;
        }
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
