// SPDX-License-Identifier: BSD-2-Clause
//! What the kernel tells the root task about the machine and its capabilities.
//!
//! The kernel writes a packed structure, whose later fields are not aligned; it is read here byte by
//! byte at offsets that the `abi` gives, which also makes it testable without a kernel.
#![allow(unsafe_code, reason = "the structure is found through a pointer that the kernel hands over")]

use core::ops::Range;

use crate::abi::boot_info as layout;

/// The bytes are not a boot information.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// Untyped memory that the root task owns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UntypedDescriptor {
    /// Physical address; aligned to the size.
    pub paddr: u64,
    /// log2 of the size in bytes.
    pub size_bits: u8,
    /// Device memory: only pages and smaller untyped memory can be made of it, and it is not cleared.
    pub is_device: bool,
}

impl UntypedDescriptor {
    /// Physical addresses that it covers.
    pub const fn range(&self) -> Range<u64> {
        self.paddr..self.paddr + (1 << self.size_bits)
    }
}

/// The boot information.
#[derive(Clone, Copy, Debug)]
pub struct BootInfo<'a>(&'a [u8]);

impl<'a> BootInfo<'a> {
    /// Reads the boot information out of the page that holds it. Longer input is cut.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let bytes = bytes.get(..layout::PAGE_BYTES.min(bytes.len())).ok_or(Malformed)?;
        if bytes.len() < layout::UNTYPED_LIST {
            return Err(Malformed);
        }
        let info = Self(bytes);
        let listed = (bytes.len() - layout::UNTYPED_LIST) / layout::UNTYPED_BYTES;
        let untyped = info.untyped_slots();
        let count = untyped.end.checked_sub(untyped.start).ok_or(Malformed)?;
        // The kernel may own more untyped memory than it can describe: the rest has no descriptor.
        if count.min(layout::MAX_UNTYPEDS as u64) > listed as u64 || info.root_cnode_bits() >= 64 {
            return Err(Malformed);
        }
        Ok(info)
    }

    /// Reads the boot information that the kernel points the root task to at its start.
    ///
    /// # Safety
    ///
    /// `pointer` is what the kernel passed to the entry point; the page stays mapped and unchanged.
    pub unsafe fn from_pointer(pointer: *const u8) -> Result<BootInfo<'static>, Malformed> {
        // SAFETY: the caller promises that this is the kernel's page; the kernel maps it whole.
        BootInfo::from_bytes(unsafe { core::slice::from_raw_parts(pointer, layout::PAGE_BYTES) })
    }

    fn word(&self, offset: usize) -> u64 {
        let mut bytes = [0; 8];
        // `from_bytes` checked that all fields and descriptors lie inside.
        bytes.copy_from_slice(&self.0[offset..offset + 8]);
        u64::from_le_bytes(bytes)
    }

    fn slots(&self, offset: usize) -> Range<u64> {
        self.word(offset)..self.word(offset + 8)
    }

    /// Address of the root task's IPC buffer.
    pub fn ipc_buffer(&self) -> u64 {
        self.word(layout::IPC_BUFFER)
    }

    /// Levels of paging tables in an I/O space; 0 without an IOMMU.
    pub fn io_page_table_levels(&self) -> u64 {
        self.word(layout::IO_PAGE_TABLE_LEVELS)
    }

    /// Empty slots of the root CNode.
    pub fn empty_slots(&self) -> Range<u64> {
        self.slots(layout::EMPTY)
    }

    /// Slots of the capabilities to the pages of the root task's image, from its lowest address up.
    pub fn user_image_frames(&self) -> Range<u64> {
        self.slots(layout::USER_IMAGE_FRAMES)
    }

    /// Slots of the capabilities to the paging tables of the root task.
    pub fn user_image_paging(&self) -> Range<u64> {
        self.slots(layout::USER_IMAGE_PAGING)
    }

    /// Slots of the untyped memory, in the order of the descriptors.
    pub fn untyped_slots(&self) -> Range<u64> {
        self.slots(layout::UNTYPED)
    }

    /// log2 of the number of slots of the root CNode; its guard fills the address up.
    pub fn root_cnode_bits(&self) -> u8 {
        self.0[layout::ROOT_CNODE_BITS]
    }

    /// The processor's time stamp counter, in MHz.
    pub fn tsc_mhz(&self) -> u64 {
        self.word(layout::TSC_MHZ)
    }

    /// The untyped memory: slot in the root CNode, and what it is.
    pub fn untypeds(&self) -> impl Iterator<Item = (u64, UntypedDescriptor)> + use<'a> {
        let info = *self;
        info.untyped_slots().take(layout::MAX_UNTYPEDS).enumerate().map(move |(i, slot)| {
            let at = layout::UNTYPED_LIST + i * layout::UNTYPED_BYTES;
            let descriptor = UntypedDescriptor {
                paddr: info.word(at + layout::UNTYPED_PADDR),
                size_bits: info.0[at + layout::UNTYPED_SIZE_BITS],
                is_device: info.0[at + layout::UNTYPED_IS_DEVICE] != 0,
            };
            (slot, descriptor)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page as the kernel's packed structure lays it out
    /// (seL4: libsel4/include/sel4/bootinfo_types.h), written field by field.
    fn page(untypeds: &[(u64, u8, bool)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut words = |words: &[u64]| words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        words(&[0, 0, 1, 3, 0x40_5000]); // extra length, node, nodes, I/O levels, IPC buffer
        words(&[0x1200, 0x2_0000, 0, 0]); // empty, shared frames
        words(&[0x20, 0x24, 0x24, 0x27]); // image frames, image paging
        words(&[0, 0, 0, 0]); // I/O spaces, extra pages
        bytes.push(17);
        let mut words = |words: &[u64]| words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        words(&[0, 2400]); // domain, TSC
        words(&[0x100, 0x100 + untypeds.len() as u64]);
        for &(paddr, size_bits, is_device) in untypeds {
            bytes.extend(paddr.to_le_bytes());
            bytes.extend([0, 0, size_bits, is_device.into()]);
        }
        bytes.resize(4096, 0);
        bytes
    }

    #[test]
    fn the_packed_fields_and_descriptors_are_found() {
        let page = page(&[(0x100_0000, 24, false), (0xe000_0000, 28, true)]);
        let info = BootInfo::from_bytes(&page).unwrap();
        assert_eq!(info.ipc_buffer(), 0x40_5000);
        assert_eq!(info.io_page_table_levels(), 3);
        assert_eq!(info.empty_slots(), 0x1200..0x2_0000);
        assert_eq!(info.user_image_frames(), 0x20..0x24);
        assert_eq!(info.user_image_paging(), 0x24..0x27);
        assert_eq!(info.root_cnode_bits(), 17);
        assert_eq!(info.tsc_mhz(), 2400);
        let untypeds: Vec<_> = info.untypeds().collect();
        assert_eq!(
            untypeds,
            [
                (0x100, UntypedDescriptor { paddr: 0x100_0000, size_bits: 24, is_device: false }),
                (0x101, UntypedDescriptor { paddr: 0xe000_0000, size_bits: 28, is_device: true }),
            ]
        );
        assert_eq!(untypeds[0].1.range(), 0x100_0000..0x200_0000);
    }

    #[test]
    fn what_cannot_be_a_boot_information_is_refused() {
        let good = page(&[(0, 12, false)]);
        assert!(BootInfo::from_bytes(&good[..100]).is_err(), "too short");
        assert!(BootInfo::from_bytes(&good[..175]).is_err(), "descriptor cut off");
        let mut backward = good.clone();
        backward[153..161].copy_from_slice(&0x200_u64.to_le_bytes());
        assert!(BootInfo::from_bytes(&backward).is_err(), "slots that run backward");
    }
}
