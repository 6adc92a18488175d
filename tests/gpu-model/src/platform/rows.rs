// SPDX-License-Identifier: BSD-2-Clause
//! The table of platforms.
//!
//! Sources: i915: i915_pci.c and intel_device_info.c (engines, fuses), PRM configurations volumes, lspci dumps
//! (revision, MSI capability), i915: intel_gt_clock_utils.c (timestamp frequencies). Fuses describe the full
//! part of the SKU that the device id names.

use super::{MsiCapability, Platform, engines};
use crate::commands::Generation;

/// Gen8 and Gen9 fuse register 2: slices [27:25], disabled subslices from bit 20 or 21.
const FUSE2: u32 = 0x9120;
/// EU disable, first register (Gen11+: the only one).
const EU_DISABLE: u32 = 0x9134;
/// Gen11+ slice enable.
const SLICE_ENABLE: u32 = 0x9138;
/// Gen11 subslice disable, Gen12 dual-subslice enable.
const SUBSLICE: u32 = 0x913c;
/// Gen11+ disabled video (low) and video-enhance (from bit 16) engines.
const MEDIA_DISABLE: u32 = 0x9140;
/// Second mirror of the fuses that i915 reads.
const MIRROR_FUSE3: u32 = 0x9118;
/// RPM_CONFIG0: crystal in [5:3], timestamp shift in [2:1].
const RPM_CONFIG0: u32 = 0x0d00;
/// CTC_MODE: timestamp source.
const CTC_MODE: u32 = 0xa26c;
/// Graphics frequency capabilities.
const RP_STATE_CAP: u32 = 0x14_5998;
/// Display fuses: every pipe fused off.
const DFSM: u32 = 0x5_1000;

/// No per-vector mask, at the usual place.
const MSI_AC: MsiCapability = MsiCapability { offset: 0xac, maskable: false };
/// With per-vector mask.
const MSI_AC_MASK: MsiCapability = MsiCapability { offset: 0xac, maskable: true };

/// Pipes A to D off, internal display off: a part without display.
const NO_DISPLAY: u32 = 0x5ae0_0080;

/// What Gen9 big-core parts have in common.
const GEN9: Platform = Platform {
    name: "skl",
    title: "Skylake GT2 (HD Graphics 530)",
    device_id: 0x1912,
    revision: 6,
    generation: Generation::Gen9,
    low_power: false,
    llc: true,
    engines: engines::LEGACY,
    ggms: 3,
    msi: MSI_AC,
    // One slice, subslice 3 of four absent, all EUs: 24 EUs.
    fuses: &[
        (FUSE2, 1 << 25 | 0b1000 << 20),
        (EU_DISABLE, 0),
        (0x9138, 0),
        (0x913c, 0),
        // Crystal 24 MHz >> (3 - 2): 12 MHz.
        (CTC_MODE, 2 << 1),
        (DFSM, NO_DISPLAY),
        (RP_STATE_CAP, 0x0007_1216),
    ],
    timestamp_hz: 12_000_000,
    context_timestamp_hz: 12_000_000,
    read_only_pages: true,
    huge_pages: true,
    large_pages: true,
};

/// What Gen12 parts have in common.
const GEN12: Platform = Platform {
    name: "tgl",
    title: "Tiger Lake GT2 (Iris Xe)",
    device_id: 0x9a49,
    revision: 3,
    generation: Generation::Gen12,
    low_power: false,
    llc: true,
    engines: engines::GEN12_TWO_VIDEO,
    ggms: 3,
    msi: MSI_AC,
    // Six dual subslices of 16 EUs: 96 EUs.
    fuses: &[
        (SLICE_ENABLE, 1),
        (SUBSLICE, 0x3f),
        (EU_DISABLE, 0),
        (MEDIA_DISABLE, 0),
        (MIRROR_FUSE3, 0),
        // Crystal 19.2 MHz >> (3 - 3): 19.2 MHz.
        (RPM_CONFIG0, 1 << 3 | 3 << 1),
        (CTC_MODE, 0),
        (DFSM, NO_DISPLAY),
        (RP_STATE_CAP, 0x0002_081a),
    ],
    timestamp_hz: 19_200_000,
    context_timestamp_hz: 19_200_000,
    read_only_pages: false,
    huge_pages: true,
    large_pages: true,
};

/// Every platform of the model.
pub const PLATFORMS: &[Platform] = &[
    Platform {
        name: "bdw",
        title: "Broadwell GT2 (HD Graphics 5500)",
        device_id: 0x1616,
        revision: 9,
        generation: Generation::Gen8,
        msi: MsiCapability { offset: 0x90, maskable: false },
        // One slice, three subslices of eight EUs: 24 EUs.
        fuses: &[
            (FUSE2, 1 << 25),
            (EU_DISABLE, 0),
            (0x9138, 0),
            (0x913c, 0),
            // Straps of the display: internal display off (FUSE_STRAP), PCH display off (SFUSE_STRAP).
            (0x4_2014, 1 << 31),
            (0xc_2014, 1 << 7),
            (RP_STATE_CAP, 0x0006_1213),
        ],
        timestamp_hz: 12_500_000,
        context_timestamp_hz: 12_500_000,
        large_pages: false,
        ..GEN9
    },
    GEN9,
    Platform {
        name: "kbl",
        title: "Kaby Lake-R GT2 (UHD Graphics 620)",
        device_id: 0x5917,
        revision: 7,
        ..GEN9
    },
    Platform {
        name: "glk",
        title: "Gemini Lake (UHD Graphics 600)",
        device_id: 0x3185,
        revision: 3,
        low_power: true,
        llc: false,
        // One slice, two of three subslices, six of eight EUs each: 12 EUs.
        fuses: &[
            (FUSE2, 1 << 25 | 0b1100 << 20),
            (EU_DISABLE, 0x00c0_c0c0),
            (0x9138, 0),
            (0x913c, 0),
            // 19.2 MHz crystal, unshifted.
            (CTC_MODE, 3 << 1),
            (DFSM, NO_DISPLAY),
            (RP_STATE_CAP, 0x0006_0c11),
            // The three DDI PHYs: power good (PORT_CL1CM_DW0), calibrated (PORT_REF_DW3).
            (0x6_c000, 1 << 16),
            (0x6_c18c, 1 << 22),
            (0x16_2000, 1 << 16),
            (0x16_218c, 1 << 22),
            (0x16_3000, 1 << 16),
            (0x16_318c, 1 << 22),
        ],
        timestamp_hz: 19_200_000,
        context_timestamp_hz: 19_200_000,
        ..GEN9
    },
    Platform {
        name: "icl",
        title: "Ice Lake GT2 (Iris Plus)",
        device_id: 0x8a52,
        revision: 7,
        generation: Generation::Gen11,
        engines: engines::GEN11_TWO_VIDEO,
        // Eight subslices of eight EUs: 64 EUs.
        fuses: &[
            (SLICE_ENABLE, 1),
            (SUBSLICE, 0),
            (EU_DISABLE, 0),
            (MEDIA_DISABLE, 0),
            (MIRROR_FUSE3, 0),
            // Crystal 24 MHz >> (3 - 2): 12 MHz.
            (RPM_CONFIG0, 2 << 1),
            (CTC_MODE, 0),
            (DFSM, NO_DISPLAY),
            (RP_STATE_CAP, 0x0002_0816),
        ],
        timestamp_hz: 12_000_000,
        context_timestamp_hz: 13_750_000,
        ..GEN12
    },
    GEN12,
    Platform {
        name: "rkl",
        title: "Rocket Lake GT1 (UHD Graphics 750)",
        device_id: 0x4c8a,
        revision: 4,
        engines: engines::GEN12_ONE_VIDEO,
        msi: MSI_AC_MASK,
        // Two dual subslices: 32 EUs; VCS2 absent.
        fuses: &[
            (SLICE_ENABLE, 1),
            (SUBSLICE, 0x3),
            (EU_DISABLE, 0),
            (MEDIA_DISABLE, 0b0000_0100),
            (MIRROR_FUSE3, 0),
            (RPM_CONFIG0, 1 << 3 | 3 << 1),
            (CTC_MODE, 0),
            (DFSM, NO_DISPLAY),
            (RP_STATE_CAP, 0x0002_081a),
        ],
        ..GEN12
    },
    Platform {
        name: "adls",
        title: "Alder Lake-S GT1 (UHD Graphics 770)",
        device_id: 0x4680,
        revision: 0xc,
        msi: MSI_AC_MASK,
        // Two dual subslices: 32 EUs.
        fuses: &[
            (SLICE_ENABLE, 1),
            (SUBSLICE, 0x3),
            (EU_DISABLE, 0),
            (MEDIA_DISABLE, 0),
            (MIRROR_FUSE3, 0),
            (RPM_CONFIG0, 1 << 3 | 3 << 1),
            (CTC_MODE, 0),
            (DFSM, NO_DISPLAY),
            (RP_STATE_CAP, 0x0002_081a),
        ],
        ..GEN12
    },
];

/// The platform with that short name (`tgl`, `skl` ...).
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Platform> {
    PLATFORMS.iter().find(|platform| platform.name == name)
}

/// The platform with that PCI device id.
#[must_use]
pub fn by_device_id(id: u16) -> Option<&'static Platform> {
    PLATFORMS.iter().find(|platform| platform.device_id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_of_the_list_is_there_once() {
        let ids: Vec<u16> = PLATFORMS.iter().map(|platform| platform.device_id).collect();
        assert_eq!(ids, [0x1616, 0x1912, 0x5917, 0x3185, 0x8a52, 0x9a49, 0x4c8a, 0x4680]);
        assert_eq!(by_name("tgl").map(|p| p.device_id), Some(0x9a49));
        assert_eq!(by_device_id(0x1912).map(|p| p.name), Some("skl"));
        assert!(by_name("gen12").is_none(), "no catch-all");
    }

    #[test]
    fn fused_off_media_engines_are_not_in_the_engine_list() {
        for platform in PLATFORMS {
            let disabled =
                platform.fuses.iter().find(|(offset, _)| *offset == MEDIA_DISABLE).map_or(0, |(_, v)| *v);
            for facts in platform.engines.iter().filter(|facts| facts.hw_class == 1) {
                assert_eq!(disabled >> facts.engine.instance & 1, 0, "{} {}", platform.name, facts.name);
            }
        }
    }

    #[test]
    fn eight_mebibytes_of_entries_are_a_million() {
        assert_eq!(by_name("skl").map(Platform::ggtt_entries), Some(1 << 20));
    }
}
