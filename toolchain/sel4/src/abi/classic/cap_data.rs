// SPDX-License-Identifier: BSD-2-Clause
//! The word that a minted capability is specialised with.

use crate::abi::Field;

/// Bits of a badge.
pub const BADGE_BITS: u32 = 28;

// seL4: libsel4/include/sel4/types_64.bf
const BADGE: Field = Field::new(0, BADGE_BITS);
const IS_GUARD: u64 = 1 << 31;
const GUARD_SIZE: Field = Field::new(2, 6);
const GUARD_BITS: Field = Field::new(8, 18);

// seL4: include/arch/x86/arch/64/mode/object/structures.bf
const LAST_PORT: Field = Field::new(0, 16);
const FIRST_PORT: Field = Field::new(16, 16);
const PCI_DEVICE: Field = Field::new(0, 16);
const IO_DOMAIN: Field = Field::new(16, 16);

/// What a capability is minted or mutated with: its meaning depends on the kind of the capability.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CapData(u64);

impl CapData {
    /// Nothing: the badge 0, and no guard.
    pub const NONE: Self = Self(0);

    /// The badge of an endpoint or notification; `None` when it has more than [`BADGE_BITS`] bits.
    pub const fn badge(badge: u64) -> Option<Self> {
        if BADGE.fits(badge) { Some(Self(BADGE.place(badge))) } else { None }
    }

    /// The guard of a CNode: `size` bits of value `guard`; `None` when they do not fit.
    pub const fn guard(guard: u64, size: u8) -> Option<Self> {
        let size = size as u64;
        if !GUARD_SIZE.fits(size) || !GUARD_BITS.fits(guard) || (guard >> size) != 0 {
            return None;
        }
        Some(Self(IS_GUARD | GUARD_BITS.place(guard) | GUARD_SIZE.place(size)))
    }

    /// The ports of an I/O port capability: `first` to `last`, both included. The kernel refuses ports
    /// that the capability it is made from does not have.
    pub const fn io_ports(first: u16, last: u16) -> Self {
        Self(FIRST_PORT.place(first as u64) | LAST_PORT.place(last as u64))
    }

    /// The device of an I/O space capability, made from the one to all devices.
    pub const fn io_space(space: IoAddressSpace) -> Self {
        Self(IO_DOMAIN.place(space.domain as u64) | PCI_DEVICE.place(space.requester_id() as u64))
    }

    /// The word as the kernel takes it.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// A device's DMA address space: which PCI function's requests it translates, and under which domain
/// number the IOMMU caches its entries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IoAddressSpace {
    /// The IOMMU's domain number, from 1; two devices must not share one unless they share all tables.
    pub domain: u16,
    /// PCI bus.
    pub bus: u8,
    /// PCI device, less than 32.
    pub device: u8,
    /// PCI function, less than 8.
    pub function: u8,
}

impl IoAddressSpace {
    const fn requester_id(self) -> u16 {
        ((self.bus as u16) << 8) | ((self.device as u16 & 0x1f) << 3) | (self.function as u16 & 7)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_of_28_bits_is_itself_and_a_longer_one_is_refused() {
        assert_eq!(CapData::badge(0xfff_ffff).map(CapData::bits), Some(0xfff_ffff));
        assert_eq!(CapData::badge(0x1000_0000), None);
    }

    #[test]
    fn a_guard_has_its_tag_size_and_bits_in_place() {
        // seL4: libsel4/include/sel4/types_64.bf: tag bit 31, guard 25..8, size 7..2
        assert_eq!(CapData::guard(0, 48).map(CapData::bits), Some(0x8000_0000 | (48 << 2)));
        assert_eq!(CapData::guard(0b101, 3).map(CapData::bits), Some(0x8000_0000 | (5 << 8) | (3 << 2)));
        assert_eq!(CapData::guard(0b101, 2), None, "a guard longer than its size");
        assert_eq!(CapData::guard(1 << 18, 30), None, "a guard of more than 18 bits");
        assert_eq!(CapData::guard(0, 64), None, "a size of more than 6 bits");
    }

    #[test]
    fn ports_and_devices_are_encoded_high_half_first() {
        assert_eq!(CapData::io_ports(0xcf8, 0xcff).bits(), 0x0cf8_0cff);
        let space = IoAddressSpace { domain: 7, bus: 1, device: 2, function: 3 };
        assert_eq!(CapData::io_space(space).bits(), 0x0007_0113);
    }
}
