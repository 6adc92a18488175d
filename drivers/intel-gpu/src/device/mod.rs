// SPDX-License-Identifier: BSD-2-Clause
//! Which GPU this is. One row per platform says everything that differs between parts and is known
//! from the PCI id; what is fused per piece of silicon is read once at start. There is no "newer than"
//! anywhere: an id that is not in the table is refused.

mod engines;
mod fuses;
mod ids;
mod platforms;

pub use engines::{EngineClass, EngineId, EngineSet};
pub use fuses::{Fuses, Sseu, Topology};
pub use platforms::{Generation, GtLevel, MocsTable, Platform, PlatformName};

use crate::error::InitError;

/// What PCI configuration space says about the function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PciIdentity {
    /// Vendor id; 0x8086.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Revision id.
    pub revision: u8,
    /// GGC, configuration offset 0x50: sizes of GTT and stolen memory.
    pub ggc: u16,
}

impl PciIdentity {
    /// The platform of this device.
    ///
    /// # Errors
    /// [`InitError::UnknownDevice`] when the id is in no row.
    pub fn platform(&self) -> Result<(&'static Platform, GtLevel), InitError> {
        let unknown = InitError::UnknownDevice { vendor: self.vendor, device: self.device };
        if self.vendor != 0x8086 {
            return Err(unknown);
        }
        ids::find(self.device).ok_or(unknown)
    }

    /// Bytes of GGTT that the firmware's PTE storage covers: 2 MiB of PTEs per `1 << GGMS` (PRM:
    /// GGC.GGMS, bits 7:6). 0 when there is none.
    #[must_use]
    pub const fn ggtt_bytes(&self) -> u64 {
        match (self.ggc >> 6) & 3 {
            0 => 0,
            ggms => (1 << ggms) << 20 << 9, // MiB of 8-byte entries, 4 KiB each
        }
    }

    /// Bytes of stolen memory (PRM: GGC.GMS, bits 15:8; from Gen9 on values of 0xf0 and above count
    /// 4 MiB steps).
    #[must_use]
    pub fn stolen_bytes(&self, generation: Generation) -> u64 {
        let gms = u64::from(self.ggc >> 8);
        if generation == Generation::Gen8 || gms < 0xf0 { gms * (32 << 20) } else { (gms - 0xef) * (4 << 20) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(device: u16, ggc: u16) -> PciIdentity {
        PciIdentity { vendor: 0x8086, device, revision: 0, ggc }
    }

    #[test]
    fn ggc_says_how_large_ggtt_and_stolen_memory_are() {
        assert_eq!(identity(0x9a49, 0).ggtt_bytes(), 0);
        assert_eq!(identity(0x9a49, 1 << 6).ggtt_bytes(), 1 << 30);
        assert_eq!(identity(0x9a49, 2 << 6).ggtt_bytes(), 2 << 30);
        assert_eq!(identity(0x9a49, 3 << 6).ggtt_bytes(), 4 << 30);
        assert_eq!(identity(0x1912, 0x0200).stolen_bytes(Generation::Gen9), 64 << 20);
        assert_eq!(identity(0x1912, 0xf000).stolen_bytes(Generation::Gen9), 4 << 20);
        assert_eq!(identity(0x1912, 0xfe00).stolen_bytes(Generation::Gen9), 60 << 20);
        assert_eq!(identity(0x1616, 0xf000).stolen_bytes(Generation::Gen8), 0xf0 * (32 << 20));
    }

    #[test]
    fn a_foreign_vendor_or_an_unlisted_id_is_refused_by_name() {
        let other = PciIdentity { vendor: 0x1002, device: 0x9a49, revision: 0, ggc: 0 };
        assert!(matches!(other.platform(), Err(InitError::UnknownDevice { vendor: 0x1002, .. })));
        let dg1 = identity(0x4905, 0);
        let error = dg1.platform().expect_err("not a part of this driver");
        assert_eq!(error.to_string(), "PCI device 8086:4905 is not a GPU this driver knows");
    }

    #[test]
    fn the_platforms_of_the_device_model_have_the_expected_rows() {
        let expect = [
            (0x1616, PlatformName::Broadwell, Generation::Gen8),
            (0x1912, PlatformName::Skylake, Generation::Gen9),
            (0x5917, PlatformName::KabyLake, Generation::Gen9),
            (0x3185, PlatformName::GeminiLake, Generation::Gen9Lp),
            (0x8a52, PlatformName::IceLake, Generation::Gen11),
            (0x9a49, PlatformName::TigerLake, Generation::Gen12),
            (0x4c8a, PlatformName::RocketLake, Generation::Gen12),
            (0x4680, PlatformName::AlderLakeS, Generation::Gen12),
        ];
        for (id, name, generation) in expect {
            let (platform, _) = identity(id, 0).platform().expect("known");
            assert_eq!((platform.name, platform.generation), (name, generation), "{id:04x}");
        }
    }
}
