// SPDX-License-Identifier: BSD-2-Clause
//! Untyped memory and empty slots.

use core::ops::Range;

use image_spec::Location;
use image_untyped::{Block, Memory, Step};
use sel4::cap::Untyped;
use sel4::{BootInfo, CPtr, NodePath, Object, RETYPE_FAN_OUT_LIMIT, Slot, WORD_BITS, initial};

use crate::failure::{During, Failure};

/// Blocks that are remembered: the kernel hands out at most 320, and the way to a physical address leaves some ten
/// behind. What cannot be remembered is lost memory, no error.
pub(crate) const MAX_BLOCKS: usize = 1024;

/// Our own slot of a number.
pub(crate) const fn slot(number: u64) -> Slot {
    Slot::new(initial::CNODE, number, WORD_BITS)
}

/// What objects are made of and where their capabilities go.
pub(crate) struct Pool<'b> {
    memory: Memory<'b>,
    free: Range<u64>,
}

impl<'b> Pool<'b> {
    /// Everything that the kernel left, but the first `reserved` slots. `room` is for the accounts.
    pub(crate) fn new(
        boot_info: BootInfo<'_>,
        reserved: u64,
        room: &'b mut [Block],
    ) -> Result<Self, Failure> {
        let Range { start, end } = boot_info.empty_slots();
        if end - start < reserved {
            return Err(Failure::Slots { needed: reserved, free: end - start });
        }
        let mut pool = Self { memory: Memory::new(room), free: start + reserved..end };
        for (slot, untyped) in boot_info.untypeds() {
            pool.memory.add(Block::new(slot, untyped.paddr, untyped.size_bits, untyped.is_device));
        }
        Ok(pool)
    }

    /// An empty slot.
    pub(crate) fn slot(&mut self) -> Result<u64, Failure> {
        self.free.next().ok_or(Failure::Slots { needed: 1, free: 0 })
    }

    /// Makes `count` objects somewhere; their capabilities go to `slot` and following.
    pub(crate) fn make(
        &mut self,
        object: Object,
        slot: u64,
        count: u64,
        name: &'static str,
    ) -> Result<(), Failure> {
        let bits = object.size_bits();
        let mut made = 0;
        while made < count {
            let Some(Step::Take { block, count: now }) = self.memory.anywhere(bits, count - made) else {
                return Err(Failure::Memory { name, bytes: 1 << bits, left: self.memory.left() });
            };
            made += self.take(object, block, slot + made, now, name)?;
        }
        Ok(())
    }

    /// Makes `count` objects at a physical address and following.
    pub(crate) fn make_at(
        &mut self,
        object: Object,
        place: Location,
        slot: u64,
        count: u64,
        name: &'static str,
    ) -> Result<(), Failure> {
        let bits = object.size_bits();
        let mut made = 0;
        while made < count {
            let at = place.paddr + (made << bits);
            match self.memory.towards(at, place.device, bits, count - made) {
                None => return Err(Failure::Absent { name, place: Location { paddr: at, ..place } }),
                Some(Step::Take { block, count: now }) => {
                    made += self.take(object, block, slot + made, now, name)?;
                }
                Some(Step::Fill { block, size_bits }) => {
                    let filler = self.slot()?;
                    let node = NodePath::of(initial::CNODE);
                    self.untyped(block)
                        .retype(Object::Untyped { size_bits }, node, filler, 1)
                        .during("make way to its physical address", name)?;
                    self.memory.filled(block, size_bits, filler);
                }
            }
        }
        Ok(())
    }

    /// Makes up to `count` objects of a block and answers how many.
    fn take(
        &mut self,
        object: Object,
        block: usize,
        slot: u64,
        count: u64,
        name: &'static str,
    ) -> Result<u64, Failure> {
        let count = count.min(RETYPE_FAN_OUT_LIMIT);
        let node = NodePath::of(initial::CNODE);
        self.untyped(block).retype(object, node, slot, count).during("make it", name)?;
        self.memory.took(block, object.size_bits(), count);
        Ok(count)
    }

    fn untyped(&self, block: usize) -> Untyped {
        let tag = self.memory.blocks().get(block).map_or(0, |block| block.tag);
        Untyped::from_cptr(CPtr::new(tag))
    }
}
