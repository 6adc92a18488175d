// SPDX-License-Identifier: BSD-2-Clause
//! Whether the machine and the kernel have room for what a specification asks for.
//!
//! The kernel's share is bounded generously: a system that passes boots, one that does not fit is refused here
//! rather than at boot.

use image_spec::{Builder, Object};

use crate::board::Board;
use crate::layout::PAGE;

/// Slots of the initialiser's root CNode (kernel: `CONFIG_ROOT_CNODE_SIZE_BITS`).
const ROOT_SLOTS: u64 = 1 << 17;
/// Slots that the kernel fills besides those of the image's frames, and those for blocks of memory that are left
/// over around fixed physical addresses: 320 untypeds at most, their fractions, paging structures.
const SPARE_SLOTS: u64 = 4096;
/// Memory that the kernel keeps: itself, root CNode, tables of the I/O memory management unit.
const KERNEL_MEMORY: u64 = 12 << 20;

/// What a specification takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Slots of the initialiser's root CNode.
    pub(crate) slots: u64,
    /// Memory for everything that has no physical address of its own.
    pub(crate) object_memory: u64,
    /// Memory for regions.
    pub(crate) region_memory: u64,
    /// Memory of the image.
    pub(crate) image_memory: u64,
}

impl Budget {
    pub(crate) fn of(spec: &Builder, image_memory: u64) -> Self {
        let copies = |frames: u32| {
            let object = spec.objects().get(frames as usize).map(|entry| entry.object);
            u64::from(object.map_or(0, Object::cap_count))
        };
        let mapped: u64 = spec.maps.iter().filter(|map| !map.original).map(|map| u64::from(map.count)).sum();
        let io_mapped: u64 = spec.io_maps.iter().map(|map| copies(map.frames)).sum();
        let io_tables: u64 = spec.io_ranges.iter().map(|range| (range.size >> 21) + 8).sum();
        let mut object_memory = io_tables * PAGE;
        let mut region_memory = 0;
        for entry in spec.objects() {
            match entry.object {
                Object::Frames { at: Some(at), .. } => {
                    region_memory += if at.device { 0 } else { entry.object.frame_bytes() };
                }
                object => object_memory += bytes(object),
            }
        }
        let slots = u64::from(spec.cap_count()) + mapped + io_mapped + io_tables + image_memory / PAGE;
        Self { slots, object_memory, region_memory, image_memory }
    }

    /// Why it does not fit, if it does not.
    pub(crate) fn check(&self, board: &Board) -> Result<(), String> {
        let available = ROOT_SLOTS - SPARE_SLOTS;
        if self.slots > available {
            return Err(format!(
                "the system needs {} capability slots, the kernel offers {available}; larger pages need fewer",
                self.slots
            ));
        }
        let needed = self.object_memory + self.region_memory + self.image_memory + KERNEL_MEMORY;
        if needed > board.memory {
            return Err(format!(
                "the system needs {needed:#x} bytes of memory ({:#x} for regions, {:#x} for programs, stacks and \
                 kernel objects, {:#x} for the image), the board {} has {:#x}",
                self.region_memory, self.object_memory, self.image_memory, board.name, board.memory
            ));
        }
        Ok(())
    }
}

/// Bytes of an object (seL4: `seL4_*Bits` on x86-64).
fn bytes(object: Object) -> u64 {
    match object {
        Object::Endpoint => 16,
        Object::Notification => 32,
        Object::Tcb => 2048,
        Object::CNode { radix } => 32 << radix,
        Object::VSpace | Object::Paging(_) => PAGE,
        Object::Frames { .. } => object.frame_bytes(),
        Object::IoSpace { .. }
        | Object::IoPorts { .. }
        | Object::IoApicIrq { .. }
        | Object::MsiIrq { .. } => 0,
    }
}
