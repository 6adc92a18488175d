// SPDX-License-Identifier: BSD-2-Clause
//! What is fused into this piece of silicon: engines, slices, subslices, EUs, crystal clock.
//!
//! Sources: PRM vol 2c (fuse registers, RPM_CONFIG0, CTC_MODE); i915: intel_sseu.c,
//! intel_gt_clock_utils.c, intel_engine_cs.c (`engine_mask_apply_media_fuses`).

use super::{EngineClass, EngineSet, Generation, Platform};

/// GT media fuse: disable bits of VDBOX n at n, of VEBOX n at 16 + n (Gen11/12).
const MEDIA_FUSE: u32 = 0x9140;
/// Gen8/9: slice enable [27:25], subslice disable.
const FUSE2: u32 = 0x9120;
/// EU disable, first of three.
const EU_DISABLE: u32 = 0x9134;
/// Gen11/12: slice enable.
const SLICE_ENABLE: u32 = 0x9138;
/// Gen11: subslice disable; Gen12: dual-subslice enable.
const SUBSLICE: u32 = 0x913c;
const CTC_MODE: u32 = 0xa26c;
const TIMESTAMP_OVERRIDE: u32 = 0x44074;
const RPM_CONFIG0: u32 = 0xd00;

/// Slices, subslices and execution units that are present.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Topology {
    /// Bit s: slice s.
    pub slices: u8,
    /// Bit n of entry s: subslice (Gen12: dual subslice) n of slice s.
    pub subslices: [u8; 3],
    /// Execution units in all.
    pub eu_total: u16,
}

impl Topology {
    /// Subslices in all.
    #[must_use]
    pub fn subslice_total(&self) -> u32 {
        self.subslices.iter().map(|mask| mask.count_ones()).sum()
    }
}

/// What of the render engine a context powers: a part of what is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sseu {
    /// Bit s: slice s.
    pub slices: u8,
    /// Bit n: subslice n of every slice.
    pub subslices: u8,
    /// Fewest execution units of a subslice.
    pub min_eus: u8,
    /// Most execution units of a subslice.
    pub max_eus: u8,
}

impl Sseu {
    /// Nothing.
    pub const NONE: Self = Self { slices: 0, subslices: 0, min_eus: 0, max_eus: 0 };

    /// Everything that a part has (i915: `intel_sseu_from_device_info`).
    #[must_use]
    pub const fn full(platform: &Platform, topology: &Topology) -> Self {
        let eus = platform.max_sseu.2;
        Self { slices: topology.slices, subslices: topology.subslices[0], min_eus: eus, max_eus: eus }
    }
}

/// All that the fuses say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fuses {
    /// Engines that exist.
    pub engines: EngineSet,
    /// Slices, subslices, EUs.
    pub topology: Topology,
    /// Frequency of the command streamers' TIMESTAMP, in Hz.
    pub timestamp_hz: u32,
}

impl Fuses {
    /// Reads the fuses through `read`; needs forcewake of the GT domain. `designed` are the engines of
    /// the part before fuses.
    pub(crate) fn read(platform: &Platform, designed: EngineSet, mut read: impl FnMut(u32) -> u32) -> Self {
        Self {
            engines: engines(platform.generation, designed, &mut read),
            topology: topology(platform, &mut read),
            timestamp_hz: timestamp_hz(platform.generation, &mut read),
        }
    }
}

fn engines(generation: Generation, designed: EngineSet, read: &mut impl FnMut(u32) -> u32) -> EngineSet {
    let mut present = designed;
    if generation.is_gen11_or_12() {
        let disabled = read(MEDIA_FUSE);
        for engine in designed.iter() {
            let bit = match engine.class {
                EngineClass::Video => u32::from(engine.instance),
                EngineClass::VideoEnhance => 16 + u32::from(engine.instance),
                EngineClass::Render | EngineClass::Copy => continue,
            };
            if disabled >> bit & 1 != 0 {
                present.remove(engine);
            }
        }
    }
    present
}

fn topology(platform: &Platform, read: &mut impl FnMut(u32) -> u32) -> Topology {
    match platform.generation {
        Generation::Gen8 | Generation::Gen9 | Generation::Gen9Lp => topology_gen8_9(platform, read),
        Generation::Gen11 => {
            let slices = low_byte(read(SLICE_ENABLE)) & 1;
            let all = mask(platform.max_sseu.1);
            let subslices = !low_byte(read(SUBSLICE)) & all;
            let eus = 8 - low_byte(read(EU_DISABLE)).count_ones();
            let total = subslices.count_ones() * eus;
            Topology { slices, subslices: [subslices, 0, 0], eu_total: total.try_into().unwrap_or(u16::MAX) }
        }
        Generation::Gen12 => {
            let all = mask(platform.max_sseu.1);
            let subslices = low_byte(read(SUBSLICE)) & all;
            // One disable bit per pair of EUs, 16 EUs per dual subslice.
            let eus = 16 - 2 * low_byte(read(EU_DISABLE)).count_ones();
            let total = subslices.count_ones() * eus;
            Topology {
                slices: 1,
                subslices: [subslices, 0, 0],
                eu_total: total.try_into().unwrap_or(u16::MAX),
            }
        }
    }
}

fn topology_gen8_9(platform: &Platform, read: &mut impl FnMut(u32) -> u32) -> Topology {
    let fuse2 = read(FUSE2);
    let slices = low_byte(fuse2 >> 25) & mask(platform.max_sseu.0);
    let per_slice = platform.max_sseu.1;
    let disabled_shift = if platform.generation == Generation::Gen8 { 21 } else { 20 };
    let subslice_mask = !low_byte(fuse2 >> disabled_shift) & mask(per_slice);
    let disable = [read(EU_DISABLE), read(EU_DISABLE + 4), read(EU_DISABLE + 8)];
    let mut found = Topology { slices, ..Topology::default() };
    for slice in 0..usize::from(platform.max_sseu.0) {
        if slices >> slice & 1 == 0 {
            continue;
        }
        found.subslices[slice] = subslice_mask;
        for subslice in 0..usize::from(per_slice) {
            if subslice_mask >> subslice & 1 == 0 {
                continue;
            }
            let off = if platform.generation == Generation::Gen8 {
                // Nine 8-bit fields packed without gaps over the three registers.
                let bit = (slice * 3 + subslice) * 8;
                low_byte(disable[bit / 32] >> (bit % 32))
            } else {
                low_byte(disable[slice] >> (subslice * 8))
            };
            found.eu_total += u16::try_from(off.count_zeros()).unwrap_or(0);
        }
    }
    found
}

fn timestamp_hz(generation: Generation, read: &mut impl FnMut(u32) -> u32) -> u32 {
    let crystal_shift = match generation {
        Generation::Gen8 => return 12_500_000,
        Generation::Gen9 | Generation::Gen9Lp => {
            let mode = read(CTC_MODE);
            if mode & 1 != 0 {
                return override_hz(read(TIMESTAMP_OVERRIDE));
            }
            let crystal = if generation == Generation::Gen9Lp { 19_200_000 } else { 24_000_000 };
            return crystal >> (3 - (mode >> 1 & 3));
        }
        Generation::Gen11 | Generation::Gen12 => read(RPM_CONFIG0),
    };
    if read(CTC_MODE) & 1 != 0 {
        return override_hz(read(TIMESTAMP_OVERRIDE));
    }
    let crystal: u32 = match crystal_shift >> 3 & 7 {
        0 => 24_000_000,
        1 => 19_200_000,
        2 => 38_400_000,
        _ => 25_000_000,
    };
    crystal >> (3 - (crystal_shift >> 1 & 3))
}

/// PRM: TIMESTAMP_OVERRIDE: divider [9:0] in MHz minus one, numerator's denominator [15:12] minus one.
const fn override_hz(value: u32) -> u32 {
    let base = ((value & 0x3ff) + 1) * 1_000_000;
    let fraction = (value >> 12 & 0xf) + 1;
    base + 1_000_000 / fraction
}

const fn mask(bits: u8) -> u8 {
    if bits >= 8 { 0xff } else { (1 << bits) - 1 }
}

const fn low_byte(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{EngineId, PciIdentity};

    fn read_all(device: u16, registers: &[(u32, u32)]) -> Fuses {
        let identity = PciIdentity { vendor: 0x8086, device, revision: 0, ggc: 0 };
        let (platform, level) = identity.platform().expect("known");
        Fuses::read(platform, platform.engines_of(level), |offset| {
            registers.iter().find(|entry| entry.0 == offset).map_or(0, |entry| entry.1)
        })
    }

    #[test]
    fn tiger_lake_as_in_the_recorded_probe() {
        let fuses = read_all(0x9a49, &[(0x9138, 1), (0x913c, 0x3f), (0xd00, 0xe)]);
        assert_eq!(fuses.topology.subslice_total(), 6);
        assert_eq!(fuses.topology.eu_total, 96);
        assert_eq!(fuses.timestamp_hz, 19_200_000);
        assert!(fuses.engines.contains(EngineId::VCS2));
    }

    #[test]
    fn a_fused_off_media_engine_does_not_exist() {
        let fuses = read_all(0x9a49, &[(0x9140, 1 << 2 | 1 << 16)]);
        assert!(fuses.engines.contains(EngineId::VCS0));
        assert!(!fuses.engines.contains(EngineId::VCS2));
        assert!(!fuses.engines.contains(EngineId::VECS0));
    }

    #[test]
    fn skylake_gt2_has_24_eus_and_12_mhz() {
        let fuses = read_all(0x1912, &[(0x9120, 1 << 25 | 0b1000 << 20), (0xa26c, 0b100)]);
        assert_eq!(fuses.topology.slices, 1);
        assert_eq!(fuses.topology.subslices, [0b0111, 0, 0]);
        assert_eq!(fuses.topology.eu_total, 24);
        assert_eq!(fuses.timestamp_hz, 12_000_000);
    }

    #[test]
    fn broadwell_eu_fields_are_packed_across_registers() {
        // Slice 1, subslice 0 is bits 31:24 of the first register.
        let fuses = read_all(0x1616, &[(0x9120, 0b011 << 25), (0x9134, 0x0100_0000)]);
        assert_eq!(fuses.topology.eu_total, 2 * 3 * 8 - 1);
    }

    #[test]
    fn ice_lake_eu_fuse_counts_for_every_subslice() {
        let fuses = read_all(0x8a52, &[(0x9138, 1), (0x913c, 0), (0x9134, 0x80), (0xd00, 1 << 3 | 3 << 1)]);
        assert_eq!(fuses.topology.eu_total, 8 * 7);
        assert_eq!(fuses.timestamp_hz, 19_200_000);
    }
}
