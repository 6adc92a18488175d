// SPDX-License-Identifier: BSD-2-Clause
//! PCI device ids (i915: include/drm/i915_pciids.h, the facts).

use super::platforms::{
    ALDER_LAKE_P, ALDER_LAKE_S, APOLLO_LAKE, BROADWELL, COFFEE_LAKE, COMET_LAKE, ELKHART_LAKE, GEMINI_LAKE,
    ICE_LAKE, JASPER_LAKE, KABY_LAKE, ROCKET_LAKE, SKYLAKE, TIGER_LAKE,
};
use super::{GtLevel, Platform};

struct Row {
    platform: &'static Platform,
    level: GtLevel,
    ids: &'static [u16],
}

const fn row(platform: &'static Platform, level: GtLevel, ids: &'static [u16]) -> Row {
    Row { platform, level, ids }
}

#[rustfmt::skip]
static ROWS: &[Row] = &[
    // Broadwell GT1
    row(&BROADWELL, GtLevel::Gt1, &[0x1602, 0x1606, 0x160a, 0x160b, 0x160d, 0x160e]),
    // Broadwell GT2
    row(&BROADWELL, GtLevel::Gt2, &[0x1612, 0x1616, 0x161a, 0x161b, 0x161d, 0x161e]),
    // Broadwell GT3
    row(&BROADWELL, GtLevel::Gt3, &[0x1622, 0x1626, 0x162a, 0x162b, 0x162d, 0x162e]),
    // Broadwell, reserved ids: no second video engine (i915: bdw_rsvd_info)
    row(&BROADWELL, GtLevel::Gt2, &[0x1632, 0x1636, 0x163a, 0x163b, 0x163d, 0x163e]),
    // Skylake GT1
    row(&SKYLAKE, GtLevel::Gt1, &[0x1902, 0x1906, 0x190a, 0x190b, 0x190e, 0x1913, 0x1915, 0x1917]),
    // Skylake GT2
    row(&SKYLAKE, GtLevel::Gt2, &[0x1912, 0x1916, 0x191a, 0x191b, 0x191d, 0x191e, 0x1921]),
    // Skylake GT3
    row(&SKYLAKE, GtLevel::Gt3, &[0x1923, 0x1926, 0x1927, 0x192a, 0x192b, 0x192d]),
    // Skylake GT4
    row(&SKYLAKE, GtLevel::Gt4, &[0x1932, 0x193a, 0x193b, 0x193d]),
    // Apollo Lake
    row(&APOLLO_LAKE, GtLevel::Gt1, &[0x0a84, 0x1a84, 0x1a85, 0x5a84, 0x5a85]),
    // Gemini Lake
    row(&GEMINI_LAKE, GtLevel::Gt1, &[0x3184, 0x3185]),
    // Kaby Lake GT1
    row(&KABY_LAKE, GtLevel::Gt1, &[0x5902, 0x5906, 0x5908, 0x590a, 0x590b, 0x590e, 0x5913, 0x5915]),
    // Kaby Lake GT2
    row(&KABY_LAKE, GtLevel::Gt2, &[0x5912, 0x5916, 0x5917, 0x591a, 0x591b, 0x591d, 0x591e, 0x5921]),
    // Kaby Lake GT3
    row(&KABY_LAKE, GtLevel::Gt3, &[0x5923, 0x5926, 0x5927]),
    // Kaby Lake GT4
    row(&KABY_LAKE, GtLevel::Gt4, &[0x593b]),
    // Amber Lake, Kaby Lake based
    row(&KABY_LAKE, GtLevel::Gt2, &[0x591c, 0x87c0]),
    // Amber Lake, Coffee Lake based
    row(&COFFEE_LAKE, GtLevel::Gt2, &[0x87ca]),
    // Coffee Lake GT1
    row(&COFFEE_LAKE, GtLevel::Gt1, &[0x3e90, 0x3e93, 0x3e99, 0x3e9c]),
    // Coffee Lake GT2
    row(&COFFEE_LAKE, GtLevel::Gt2, &[0x3e91, 0x3e92, 0x3e94, 0x3e96, 0x3e98, 0x3e9a, 0x3e9b, 0x3ea9]),
    // Coffee Lake GT3
    row(&COFFEE_LAKE, GtLevel::Gt3, &[0x3ea5, 0x3ea6, 0x3ea7, 0x3ea8]),
    // Whiskey Lake GT1
    row(&COFFEE_LAKE, GtLevel::Gt1, &[0x3ea1, 0x3ea4]),
    // Whiskey Lake GT2
    row(&COFFEE_LAKE, GtLevel::Gt2, &[0x3ea0, 0x3ea3]),
    // Whiskey Lake GT3
    row(&COFFEE_LAKE, GtLevel::Gt3, &[0x3ea2]),
    // Comet Lake GT1
    row(&COMET_LAKE, GtLevel::Gt1, &[0x9ba2, 0x9ba4, 0x9ba5, 0x9ba8, 0x9b21, 0x9baa, 0x9bac]),
    // Comet Lake GT2
    row(&COMET_LAKE, GtLevel::Gt2, &[0x9bc2, 0x9bc4, 0x9bc5, 0x9bc6, 0x9bc8, 0x9be6, 0x9bf6, 0x9b41, 0x9bca, 0x9bcc]),
    // Ice Lake
    row(&ICE_LAKE, GtLevel::Gt2, &[0x8a50, 0x8a51, 0x8a52, 0x8a53, 0x8a54, 0x8a56, 0x8a57, 0x8a58, 0x8a59, 0x8a5a, 0x8a5b, 0x8a5c, 0x8a5d, 0x8a70, 0x8a71]),
    // Elkhart Lake
    row(&ELKHART_LAKE, GtLevel::Gt1, &[0x4541, 0x4551, 0x4555, 0x4557, 0x4570, 0x4571]),
    // Jasper Lake
    row(&JASPER_LAKE, GtLevel::Gt1, &[0x4e51, 0x4e55, 0x4e57, 0x4e61, 0x4e71]),
    // Tiger Lake GT1
    row(&TIGER_LAKE, GtLevel::Gt1, &[0x9a60, 0x9a68, 0x9a70]),
    // Tiger Lake GT2
    row(&TIGER_LAKE, GtLevel::Gt2, &[0x9a40, 0x9a49, 0x9a59, 0x9a78, 0x9ac0, 0x9ac9, 0x9ad9, 0x9af8]),
    // Rocket Lake
    row(&ROCKET_LAKE, GtLevel::Gt1, &[0x4c80, 0x4c8a, 0x4c8b, 0x4c8c, 0x4c90, 0x4c9a]),
    // Alder Lake-S
    row(&ALDER_LAKE_S, GtLevel::Gt1, &[0x4680, 0x4682, 0x4688, 0x468a, 0x468b, 0x4690, 0x4692, 0x4693]),
    // Alder Lake-P
    row(&ALDER_LAKE_P, GtLevel::Gt2, &[0x46a0, 0x46a1, 0x46a2, 0x46a3, 0x46a6, 0x46a8, 0x46aa, 0x462a, 0x4626, 0x4628, 0x46b0, 0x46b1, 0x46b2, 0x46b3, 0x46c0, 0x46c1, 0x46c2, 0x46c3]),
    // Alder Lake-N
    row(&ALDER_LAKE_P, GtLevel::Gt1, &[0x46d0, 0x46d1, 0x46d2, 0x46d3, 0x46d4]),
    // Raptor Lake-S: graphics of Alder Lake-S
    row(&ALDER_LAKE_S, GtLevel::Gt1, &[0xa780, 0xa781, 0xa782, 0xa783, 0xa788, 0xa789, 0xa78a, 0xa78b]),
];

/// The platform and tier of a device id.
pub(super) fn find(device: u16) -> Option<(&'static Platform, GtLevel)> {
    ROWS.iter().find(|row| row.ids.contains(&device)).map(|row| (row.platform, row.level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_stands_in_two_rows() {
        let mut all: Vec<u16> = ROWS.iter().flat_map(|row| row.ids).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(count > 180, "{count}");
    }

    #[test]
    fn only_gt3_and_gt4_of_the_older_parts_have_a_second_video_engine() {
        use crate::device::EngineId;
        let engines = |id| find(id).map(|(platform, level)| platform.engines_of(level)).expect("known");
        assert!(!engines(0x1912).contains(EngineId::VCS1));
        assert!(engines(0x193b).contains(EngineId::VCS1));
        assert!(!engines(0x1632).contains(EngineId::VCS1));
        assert!(engines(0x9a49).contains(EngineId::VCS2) && !engines(0x9a49).contains(EngineId::VCS1));
        assert!(!engines(0x4c8a).contains(EngineId::VCS2));
    }
}
