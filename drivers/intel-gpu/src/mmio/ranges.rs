// SPDX-License-Identifier: BSD-2-Clause
//! Which power domain each register needs awake, per generation.
//!
//! Sources: PRM vol 12 (Gen8/9) and vol 2 (Gen11/12), forcewake ranges and shadowed registers; i915:
//! intel_uncore.c (`__gen9_fw_ranges`, `__gen11_fw_ranges`, `__gen12_fw_ranges`, shadow tables).

use super::forcewake::DomainSet;
use crate::device::Generation;

const NONE: DomainSet = DomainSet::EMPTY;
const GT: DomainSet = DomainSet::GT;
const RENDER: DomainSet = DomainSet::RENDER;
const MEDIA: DomainSet = DomainSet::MEDIA;
const VD0: DomainSet = DomainSet::VDBOX0;
const VD2: DomainSet = DomainSet::VDBOX2;
const VE0: DomainSet = DomainSet::VEBOX0;
const RENDER_MEDIA: DomainSet = RENDER.union(MEDIA);

/// First offset of a stretch; it reaches to the next entry.
type Stretch = (u32, DomainSet);

#[rustfmt::skip]
static GEN8: &[Stretch] = &[(0, GT), (0x40000, NONE)];

#[rustfmt::skip]
static GEN9: &[Stretch] = &[
    (0x0000, GT), (0x0b00, NONE), (0x2000, RENDER), (0x2700, GT), (0x3000, RENDER), (0x4000, GT),
    (0x5200, RENDER), (0x8000, GT), (0x8130, MEDIA), (0x8140, RENDER), (0x8160, GT), (0x8300, RENDER),
    (0x8500, GT), (0x8800, MEDIA), (0x8a00, GT), (0x8c00, RENDER), (0x8d00, GT), (0x9400, RENDER_MEDIA),
    (0x9800, GT), (0xb000, RENDER), (0xb480, GT), (0xd000, MEDIA), (0xd800, GT), (0xe000, RENDER),
    (0xe900, GT), (0x12000, MEDIA), (0x14000, GT), (0x1a000, MEDIA), (0x1ea00, GT), (0x24400, RENDER),
    (0x24800, GT), (0x30000, MEDIA), (0x40000, NONE),
];

#[rustfmt::skip]
static GEN11: &[Stretch] = &[
    (0x0000, NONE), (0x2000, RENDER), (0x2700, GT), (0x3000, RENDER), (0x4000, GT), (0x5200, RENDER),
    (0x8000, GT), (0x8140, RENDER), (0x8160, GT), (0x8300, RENDER), (0x8500, GT), (0x8800, NONE),
    (0x8c00, RENDER), (0x8d00, GT), (0x94d0, RENDER), (0x9560, NONE), (0x9600, GT), (0xb000, RENDER),
    (0xb480, GT), (0xdf00, RENDER), (0xe900, GT), (0x16e00, RENDER), (0x1a000, GT), (0x24000, NONE),
    (0x24080, GT), (0x24180, RENDER), (0x24300, GT), (0x24400, RENDER), (0x25000, GT), (0x40000, NONE),
    (0x1c_0000, VD0), (0x1c_4000, NONE), (0x1c_8000, VE0), (0x1d_0000, VD2), (0x1d_4000, NONE),
];

#[rustfmt::skip]
static GEN12: &[Stretch] = &[
    (0x0000, NONE), (0x2000, RENDER), (0x2700, GT), (0x2800, RENDER), (0x2b00, GT), (0x3000, RENDER),
    (0x4000, GT), (0x5200, RENDER), (0x8000, GT), (0x8140, RENDER), (0x8160, NONE), (0x8200, GT),
    (0x8300, RENDER), (0x8500, GT), (0x94d0, RENDER), (0x9560, NONE), (0x9800, GT), (0xb000, RENDER),
    (0xb400, GT), (0xd000, NONE), (0xd800, RENDER), (0xd900, GT), (0xdc00, RENDER), (0xf000, GT),
    (0x14800, RENDER), (0x20000, VD0), (0x21000, VD2), (0x22000, GT), (0x24000, NONE), (0x24180, GT),
    (0x24a00, RENDER), (0x25200, GT), (0x25600, VD0), (0x2_8000, VD2), (0x30000, GT), (0x40000, NONE),
    (0x1c_0000, VD0), (0x1c_4000, NONE), (0x1c_8000, VE0), (0x1c_c000, VD0), (0x1d_0000, VD2),
    (0x1d_4000, NONE),
];

/// Domains that must be awake for an access to `offset`. Read-write accesses only: a write to a
/// shadowed register needs none.
pub(super) fn needed(generation: Generation, offset: u32) -> DomainSet {
    let table = match generation {
        Generation::Gen8 => GEN8,
        Generation::Gen9 | Generation::Gen9Lp => GEN9,
        Generation::Gen11 => GEN11,
        Generation::Gen12 => GEN12,
    };
    let after = table.partition_point(|stretch| stretch.0 <= offset);
    // GDRST is outside the GT power well on every part.
    if offset == 0x941c || is_request(generation, offset) {
        return NONE;
    }
    after.checked_sub(1).and_then(|at| table.get(at)).map_or(NONE, |stretch| stretch.1)
}

/// Forcewake requests and acknowledges live in the always-on well.
const fn is_request(generation: Generation, offset: u32) -> bool {
    match offset {
        0xa188 | 0x13_0044 => true,
        0xa278 | 0x0d84 => !matches!(generation, Generation::Gen8),
        0xa270 | 0x0d88 => generation.is_gen9(),
        0xa540..=0xa56c | 0x0d50..=0x0d7c => generation.is_gen11_or_12(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_ascend() {
        for table in [GEN8, GEN9, GEN11, GEN12] {
            assert!(table.windows(2).all(|pair| pair[0].0 < pair[1].0));
            assert_eq!(table[0].0, 0);
        }
    }

    #[test]
    fn known_registers_need_their_domains() {
        assert_eq!(needed(Generation::Gen8, 0x22230), GT);
        assert_eq!(needed(Generation::Gen9, 0x22230), GT);
        assert_eq!(needed(Generation::Gen9, 0x9424), RENDER_MEDIA);
        assert_eq!(needed(Generation::Gen9, 0x12080), MEDIA);
        assert_eq!(needed(Generation::Gen9, 0x44200), NONE);
        assert_eq!(needed(Generation::Gen11, 0x1d_0030), VD2);
        assert_eq!(needed(Generation::Gen12, 0x1c_8080), VE0);
        assert_eq!(needed(Generation::Gen12, 0x1d_3f10), VD2);
        assert_eq!(needed(Generation::Gen12, 0x4800), GT);
        assert_eq!(needed(Generation::Gen12, 0x19_0010), NONE);
        assert_eq!(needed(Generation::Gen9, 0xa278), NONE);
        assert_eq!(needed(Generation::Gen12, 0x941c), NONE);
    }
}
