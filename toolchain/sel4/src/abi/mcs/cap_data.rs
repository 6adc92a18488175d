// SPDX-License-Identifier: BSD-2-Clause
//! The word that a minted capability is specialised with.

use crate::abi::Field;

/// Bits of a badge.
pub const BADGE_BITS: u32 = 64;

// seL4: libsel4/mode_include/64/sel4/shared_types.bf, seL4_CNode_CapData
const GUARD_SIZE: Field = Field::new(0, 6);
const GUARD_BITS: Field = Field::new(6, 58);

/// What a capability is minted or mutated with: its meaning depends on the kind of the capability.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CapData(u64);

impl CapData {
    /// Nothing: the badge 0, and no guard.
    pub const NONE: Self = Self(0);

    /// The badge of an endpoint or notification. All values fit this kernel's [`BADGE_BITS`].
    pub const fn badge(badge: u64) -> Option<Self> {
        Some(Self(badge))
    }

    /// The guard of a CNode: `size` bits of value `guard`; `None` when they do not fit.
    pub const fn guard(guard: u64, size: u8) -> Option<Self> {
        let size = size as u64;
        if !GUARD_SIZE.fits(size) || !GUARD_BITS.fits(guard) || (guard >> size) != 0 {
            return None;
        }
        Some(Self(GUARD_BITS.place(guard) | GUARD_SIZE.place(size)))
    }

    /// The word as the kernel takes it.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_has_all_64_bits() {
        assert_eq!(CapData::badge(u64::MAX).map(CapData::bits), Some(u64::MAX));
    }

    #[test]
    fn a_guard_has_its_size_below_its_bits() {
        assert_eq!(CapData::guard(0, 58).map(CapData::bits), Some(58));
        assert_eq!(CapData::guard(0b101, 3).map(CapData::bits), Some((5 << 6) | 3));
        assert_eq!(CapData::guard(0b101, 2), None, "a guard longer than its size");
        assert_eq!(CapData::guard(0, 64), None, "a size of more than 6 bits");
    }
}
