// SPDX-License-Identifier: BSD-2-Clause
//! The capability list. It comes from a device: a list that loops, leaves the space or points into the
//! header ends there.

use crate::{ConfigSpace, Function};

/// What a capability is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CapabilityId {
    /// Power management.
    PowerManagement,
    /// Message-signalled interrupts.
    Msi,
    /// PCI Express.
    Express,
    /// MSI-X.
    MsiX,
    /// Any other number.
    Other(u8),
}

impl CapabilityId {
    const fn from_number(number: u8) -> Self {
        match number {
            0x01 => Self::PowerManagement,
            0x05 => Self::Msi,
            0x10 => Self::Express,
            0x11 => Self::MsiX,
            other => Self::Other(other),
        }
    }
}

/// An entry of the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capability {
    /// What it is.
    pub id: CapabilityId,
    /// Its first register, a multiple of 4 from 0x40 on.
    pub at: u8,
}

/// More entries than fit between the header and the end of the space.
const MOST: usize = (256 - 64) / 4;

impl<C: ConfigSpace> Function<C> {
    /// The first capability that is an `id`.
    pub fn capability(&mut self, id: CapabilityId) -> Option<Capability> {
        const STATUS_HAS_LIST: u32 = 1 << 20;
        if self.read(0x04) & STATUS_HAS_LIST == 0 {
            return None;
        }
        let mut at = self.read8(0x34) & 0xfc;
        for _ in 0..MOST {
            if at < 0x40 {
                return None;
            }
            let header = self.read(at).to_le_bytes();
            if CapabilityId::from_number(header[0]) == id {
                return Some(Capability { id, at });
            }
            at = header[1] & 0xfc;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeSpace;

    #[test]
    fn the_list_is_followed_to_the_capability() {
        let mut space = FakeSpace::new();
        space.set(0x04, 1 << 20);
        space.set(0x34, 0x40);
        space.set(0x40, 0x010c_7009);
        space.set(0x70, 0x0092_ac10);
        space.set(0xac, 0x0000_d005);
        space.set(0xd0, 0x0022_0001);
        let mut function = Function::new(&mut space, FakeSpace::GPU);
        let found = function.capability(CapabilityId::Msi);
        assert_eq!(found, Some(Capability { id: CapabilityId::Msi, at: 0xac }));
        assert_eq!(function.capability(CapabilityId::Express).map(|found| found.at), Some(0x70));
        assert_eq!(function.capability(CapabilityId::MsiX), None);
    }

    #[test]
    fn a_list_that_loops_or_points_into_the_header_ends() {
        let mut space = FakeSpace::new();
        space.set(0x04, 1 << 20);
        space.set(0x34, 0x40);
        space.set(0x40, 0x4009);
        assert_eq!(Function::new(&mut space, FakeSpace::GPU).capability(CapabilityId::Msi), None);
        space.set(0x40, 0x1009);
        assert_eq!(Function::new(&mut space, FakeSpace::GPU).capability(CapabilityId::Msi), None);
    }

    #[test]
    fn without_the_status_bit_there_is_no_list() {
        let mut space = FakeSpace::new();
        space.set(0x34, 0x40);
        space.set(0x40, 0x05);
        assert_eq!(Function::new(&mut space, FakeSpace::GPU).capability(CapabilityId::Msi), None);
    }
}
