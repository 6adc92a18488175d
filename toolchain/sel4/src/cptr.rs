// SPDX-License-Identifier: BSD-2-Clause
//! Addresses in a capability space.

use crate::cap::CNode;

/// Bits of a capability address.
pub const WORD_BITS: u8 = 64;

/// The address of a capability in the caller's own capability space, resolved to its full depth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct CPtr(u64);

impl CPtr {
    /// No capability: slot 0 of a space is kept empty by convention.
    pub const NULL: Self = Self(0);

    /// The capability at this address.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// The address as the kernel takes it.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// The place of a CNode, for the operations that fill several of its slots: the CNode capability at
/// `index`, `depth` of the space that `root` opens, or `root` itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodePath {
    pub(crate) root: CNode,
    pub(crate) index: u64,
    pub(crate) depth: u8,
}

impl NodePath {
    /// The CNode behind `node` itself.
    pub const fn of(node: CNode) -> Self {
        Self { root: node, index: 0, depth: 0 }
    }

    /// The CNode whose capability lies in `slot`.
    pub const fn at(slot: Slot) -> Self {
        Self { root: slot.root, index: slot.index, depth: slot.depth }
    }
}

/// The place of one capability, which may be empty: `index` resolved to `depth` bits in the space that
/// `root` opens. A CNode capability's own guard counts: its bits come first in `index`.
///
/// The operations on slots (copy, mint, move, delete ...) are methods of this type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    pub(crate) root: CNode,
    pub(crate) index: u64,
    pub(crate) depth: u8,
}

impl Slot {
    /// The slot at `index`, `depth` bits deep in the space that `root` opens. The depth is the sum of
    /// guard sizes and radixes on the way.
    pub const fn new(root: CNode, index: u64, depth: u8) -> Self {
        Self { root, index, depth }
    }

    /// The CNode the address starts from.
    pub const fn root(self) -> CNode {
        self.root
    }

    /// The address below [`root`](Self::root).
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many bits of the address count.
    pub const fn depth(self) -> u8 {
        self.depth
    }
}
