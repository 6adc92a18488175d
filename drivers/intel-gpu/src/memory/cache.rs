// SPDX-License-Identifier: BSD-2-Clause
//! How GPU accesses are cached: the page attribute table and the bits of an entry that select from it.
//!
//! Sources: PRM vol 5 (Memory Views), PAT index; i915: intel_gtt.c (`setup_private_pat`),
//! gen8_ppgtt.c (`gen8_pte_encode`).
//!
//! | policy | Gen8 | Gen9, Gen11 | Gen9 LP | Gen12 |
//! | --- | --- | --- | --- | --- |
//! | coherent | 4: write-back | 4: write-back | 4: snooped | 0: write-back |
//! | uncached | 3 | 3 | 3 | 3 |
//! | write-through | 2: write-through | 3: uncached | 3: uncached | 2: write-through |
//!
//! Index 2 of Gen9 and Gen11 is write-back in eDRAM alone, for scan-out. i915, too, gives an object that is to be
//! written through no cache where there is no eDRAM (`i915_gem_set_caching_ioctl`, `HAS_WT`).

use crate::device::Generation;

/// Cache policy of a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Cache {
    /// Coherent with the CPU's caches: through LLC, or snooped where there is none.
    #[default]
    Coherent,
    /// Past all caches; the CPU flushes its own.
    Uncached,
    /// Write-through where the part has an attribute for it, else uncached: memory always has what was written.
    WriteThrough,
}

/// Bit 3 (PWT): PAT index bit 0.
const PWT: u64 = 1 << 3;
/// Bit 4 (PCD): PAT index bit 1.
const PCD: u64 = 1 << 4;
/// Bit 7: PAT index bit 2, in 4 KiB entries only.
const PAT: u64 = 1 << 7;

impl Cache {
    /// PAT selection bits of a 4 KiB entry.
    pub(crate) const fn entry_bits(self, generation: Generation) -> u64 {
        match (self, generation) {
            (Self::Coherent, Generation::Gen12) => 0,
            (Self::Coherent, _) => PAT,
            (Self::WriteThrough, Generation::Gen8 | Generation::Gen12) => PCD,
            (Self::Uncached | Self::WriteThrough, _) => PWT | PCD,
        }
    }

    /// PAT selection bits of a 2 MiB entry. Bit 7 is the page size there, and where index bit 2 went is
    /// not documented for these parts: the indices below it serve. Index 0 is coherent everywhere.
    pub(crate) const fn large_entry_bits(self, generation: Generation) -> u64 {
        match self {
            Self::Coherent => 0,
            _ => self.entry_bits(generation),
        }
    }
}

/// Entry bits of a pointer to a scratch table: index 3, uncached.
pub(crate) const SCRATCH_POINTER_BITS: u64 = PWT | PCD;

/// PAT registers and values. Index 0 must be coherent: all GGTT traffic uses it.
pub(crate) const fn pat(generation: Generation) -> &'static [(u32, u32)] {
    match generation {
        Generation::Gen8 => &[(0x40e0, 0x000a_0907), (0x40e4, 0x3b2b_1b0b)],
        Generation::Gen9 => &[(0x40e0, 0x0003_0907), (0x40e4, 0x3b2b_1b0b)],
        Generation::Gen9Lp => &[(0x40e0, 0x0000_0040), (0x40e4, 0x4040_4040)],
        Generation::Gen11 => &[
            (0x40e0, 0x07),
            (0x40e4, 0x09),
            (0x40e8, 0x03),
            (0x40ec, 0x00),
            (0x40f0, 0x0b),
            (0x40f4, 0x1b),
            (0x40f8, 0x2b),
            (0x40fc, 0x3b),
        ],
        Generation::Gen12 => &[
            (0x4800, 3),
            (0x4804, 1),
            (0x4808, 2),
            (0x480c, 0),
            (0x4810, 3),
            (0x4814, 3),
            (0x4818, 3),
            (0x481c, 3),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attribute byte that the bits select.
    fn selected(generation: Generation, bits: u64) -> u32 {
        let index = usize::try_from(bits >> 3 & 3 | bits >> 5 & 4).expect("three bits");
        let table = pat(generation);
        if table.len() == 8 { table[index].1 } else { table[index / 4].1 >> (index % 4 * 8) & 0xff }
    }

    #[test]
    fn each_policy_selects_an_attribute_of_its_kind_on_every_generation() {
        for generation in [Generation::Gen8, Generation::Gen9, Generation::Gen11, Generation::Gen12] {
            for bits in
                [Cache::Coherent.entry_bits(generation), Cache::Coherent.large_entry_bits(generation), 0]
            {
                assert_eq!(selected(generation, bits) & 3, 3, "write-back: {generation:?}");
            }
            assert_eq!(selected(generation, Cache::Uncached.entry_bits(generation)) & 3, 0, "{generation:?}");
        }
        let snoop = 0x40;
        assert_eq!(selected(Generation::Gen9Lp, Cache::Coherent.entry_bits(Generation::Gen9Lp)), snoop);
        assert_eq!(selected(Generation::Gen9Lp, Cache::Coherent.large_entry_bits(Generation::Gen9Lp)), snoop);
        assert_eq!(selected(Generation::Gen9Lp, Cache::Uncached.entry_bits(Generation::Gen9Lp)), 0);
        let written_through = [
            (Generation::Gen8, 2),
            (Generation::Gen9, 0),
            (Generation::Gen9Lp, 0),
            (Generation::Gen11, 0),
            (Generation::Gen12, 2),
        ];
        for (generation, attribute) in written_through {
            let (small, large) = (
                Cache::WriteThrough.entry_bits(generation),
                Cache::WriteThrough.large_entry_bits(generation),
            );
            assert_eq!(selected(generation, small) & 3, attribute, "{generation:?}");
            assert_eq!(small, large, "no bit that a large entry has not: {generation:?}");
        }
    }
}
