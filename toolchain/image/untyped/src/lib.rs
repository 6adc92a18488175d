// SPDX-License-Identifier: BSD-2-Clause
//! Which block of untyped memory an object is made of.
//!
//! The kernel hands memory out as blocks of 2^n bytes, aligned to their size, and makes objects in a block from
//! its lowest address up, each aligned to its own size; nothing comes back. So a frame at a given physical
//! address is only to be had by using up what lies below it in its block:
//!
//! ```text
//!     block   |------------------------------------------------|
//!             | filler  | filler |fill| frames         | free  |
//!                                     ^ wanted address
//! ```
//!
//! The fillers are smaller blocks of untyped memory, so nothing is lost: they join the others, and objects that
//! may lie anywhere are made of them later.
//!
//! This crate only keeps the accounts, as the kernel does; it makes nothing itself. Who uses it does what
//! a [`Step`] says and tells what has been done. All addresses are physical.
#![no_std]
#![forbid(unsafe_code)]

/// A block of untyped memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whatever its owner calls it by.
    pub tag: u64,
    /// First address, aligned to the size.
    pub base: u64,
    /// log2 of the bytes; at most 62.
    pub size_bits: u8,
    /// Device memory: only frames can be made of it.
    pub device: bool,
    /// Bytes from the base on that are used up.
    used: u64,
}

impl Block {
    /// A block of nothing, to make room of.
    pub const NONE: Self = Self::new(0, 0, 0, true);

    /// A block that nothing has been made of.
    #[must_use]
    pub const fn new(tag: u64, base: u64, size_bits: u8, device: bool) -> Self {
        Self { tag, base, size_bits, device, used: 0 }
    }

    const fn bytes(&self) -> u64 {
        1 << self.size_bits
    }

    /// Bytes that are left for objects of 2^`size_bits` bytes.
    const fn left_for(&self, size_bits: u8) -> u64 {
        if size_bits > self.size_bits {
            return 0;
        }
        self.bytes() - self.used.next_multiple_of(1 << size_bits)
    }

    const fn contains(&self, address: u64) -> bool {
        address >= self.base && address - self.base < self.bytes()
    }
}

/// What to do next. `block` is a position to tell [`Memory`] again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make one untyped block of 2^`size_bits` bytes, then tell [`Memory::filled`].
    Fill {
        /// Of which block.
        block: usize,
        /// log2 of the bytes.
        size_bits: u8,
    },
    /// Make `count` objects, then tell [`Memory::took`].
    Take {
        /// Of which block.
        block: usize,
        /// How many, at least 1.
        count: u64,
    },
}

/// The blocks of a machine.
#[derive(Debug)]
pub struct Memory<'b> {
    blocks: &'b mut [Block],
    len: usize,
}

impl<'b> Memory<'b> {
    /// No memory. The blocks that are added are kept in `room`, whose contents do not matter.
    #[must_use]
    pub fn new(room: &'b mut [Block]) -> Self {
        Self { blocks: room, len: 0 }
    }

    /// The blocks.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        self.blocks.get(..self.len).unwrap_or(&[])
    }

    /// Adds a block. Answers whether there was room; a block without is never used.
    pub fn add(&mut self, block: Block) -> bool {
        match self.blocks.get_mut(self.len) {
            Some(free) => {
                *free = block;
                self.len += 1;
                true
            }
            None => false,
        }
    }

    /// The next step to objects of 2^`size_bits` bytes at `address` and following, at most `count` of them.
    /// `None` when the address is in no block of this kind, device memory or other, or has been used up.
    #[must_use]
    pub fn towards(&self, address: u64, device: bool, size_bits: u8, count: u64) -> Option<Step> {
        let block = self.blocks().iter().position(|block| {
            block.device == device
                && block.contains(address)
                && address - block.base >= block.used
                && size_bits <= block.size_bits
        })?;
        let found = self.blocks().get(block)?;
        let used = found.used;
        let gap = address - found.base - used;
        if gap == 0 {
            let room = (found.bytes() - used) >> size_bits;
            return Some(Step::Take { block, count: count.min(room) });
        }
        // As large as alignment and gap allow. At offset 0 only the gap limits it.
        let aligned = if used == 0 { u32::MAX } else { used.trailing_zeros() };
        let size_bits = u8::try_from(aligned.min(gap.ilog2())).ok()?;
        Some(Step::Fill { block, size_bits })
    }

    /// The block for up to `count` objects of 2^`size_bits` bytes that may lie anywhere: the one that has the
    /// least room. `None` when none has room for even one.
    #[must_use]
    pub fn anywhere(&self, size_bits: u8, count: u64) -> Option<Step> {
        let candidates = self.blocks().iter().enumerate().filter(|(_, block)| !block.device);
        let rooms = candidates.map(|(index, block)| (block.left_for(size_bits) >> size_bits, index));
        let (room, block) = rooms.filter(|&(room, _)| room > 0).min()?;
        Some(Step::Take { block, count: count.min(room) })
    }

    /// Notes that `count` objects of 2^`size_bits` bytes have been made of a block.
    pub fn took(&mut self, block: usize, size_bits: u8, count: u64) {
        if let Some(block) = self.blocks.get_mut(block) {
            block.used = block.used.next_multiple_of(1 << size_bits) + (count << size_bits);
        }
    }

    /// Notes that a [`Step::Fill`] has been done and how the new block is called. Answers whether there was
    /// room to remember it; if not, its memory is lost.
    pub fn filled(&mut self, block: usize, size_bits: u8, tag: u64) -> bool {
        let Some(&Block { base, used, device, .. }) = self.blocks().get(block) else { return false };
        self.took(block, size_bits, 1);
        // The kernel makes no kernel objects of device memory, and frames there only where they are wanted.
        self.add(Block::new(tag, base + used, size_bits, device))
    }

    /// Bytes that are left in the blocks that kernel objects can be made of.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.blocks().iter().filter(|block| !block.device).map(|block| block.bytes() - block.used).sum()
    }
}

#[cfg(test)]
mod tests;
