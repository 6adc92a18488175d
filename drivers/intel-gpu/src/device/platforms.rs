// SPDX-License-Identifier: BSD-2-Clause
//! One row per platform.

use super::{EngineId, EngineSet};

/// Layouts and protocols that change together. Everything that depends on the generation asks this, in
/// the module of the thing that differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Generation {
    /// Broadwell.
    Gen8,
    /// Skylake to Comet Lake.
    Gen9,
    /// Apollo Lake, Gemini Lake: Gen9 without LLC.
    Gen9Lp,
    /// Ice Lake, Elkhart Lake, Jasper Lake.
    Gen11,
    /// Tiger Lake, Rocket Lake, Alder Lake, Raptor Lake-S.
    Gen12,
}

impl Generation {
    /// Gen11 or Gen12: ELSQ, identity interrupts, relocated media engines, class in descriptors.
    #[must_use]
    pub const fn is_gen11_or_12(self) -> bool {
        matches!(self, Self::Gen11 | Self::Gen12)
    }

    /// Gen9, either kind.
    #[must_use]
    pub const fn is_gen9(self) -> bool {
        matches!(self, Self::Gen9 | Self::Gen9Lp)
    }

    /// The number people say.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Gen8 => 8,
            Self::Gen9 | Self::Gen9Lp => 9,
            Self::Gen11 => 11,
            Self::Gen12 => 12,
        }
    }
}

/// Marketing tier of a Gen8/9 part: GT3 and GT4 have a second video engine. `Gt2` on parts where the
/// tier changes nothing that this driver sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GtLevel {
    /// GT1.
    Gt1,
    /// GT2.
    Gt2,
    /// GT3.
    Gt3,
    /// GT4.
    Gt4,
}

/// Name of a platform.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs)]
pub enum PlatformName {
    Broadwell,
    Skylake,
    ApolloLake,
    GeminiLake,
    KabyLake,
    CoffeeLake,
    CometLake,
    IceLake,
    ElkhartLake,
    JasperLake,
    TigerLake,
    RocketLake,
    AlderLakeS,
    AlderLakeP,
}

/// Which table of memory-object control states a part gets (`engine::mocs`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MocsTable {
    /// Gen8: no table; commands carry raw cache bits.
    None,
    /// Gen9 with LLC.
    Gen9,
    /// Gen9 without.
    Gen9Lp,
    /// Gen11.
    Gen11,
    /// Tiger Lake and Rocket Lake.
    TigerLake,
    /// Alder Lake: unlisted entries default to index 2.
    AlderLake,
}

/// What is known of a part from its PCI id.
#[derive(Debug)]
pub struct Platform {
    /// Name.
    pub name: PlatformName,
    /// Name as printed.
    pub label: &'static str,
    /// Generation.
    pub generation: Generation,
    /// Engines in the design, before fuses; GT3/GT4 add VCS1.
    pub engines: EngineSet,
    /// Bits of a PPGTT address; 32 means 3-level tables, more means 4-level.
    pub ppgtt_bits: u32,
    /// Bits of a DMA address (i915: `dma_mask_size`).
    pub dma_bits: u32,
    /// 64 KiB and 2 MiB PPGTT entries that the part may use (i915: `page_sizes`).
    pub pages_64k: bool,
    /// See [`Self::pages_64k`].
    pub pages_2m: bool,
    /// Entries with RW = 0 stop writes without hanging the engine.
    pub read_only: bool,
    /// CPU and GPU share the last-level cache.
    pub has_llc: bool,
    /// A running batch can be preempted (Gen8: only between batches).
    pub preempts_batches: bool,
    /// MOCS table.
    pub mocs: MocsTable,
    /// Slices, subslices and EUs per subslice at most.
    pub max_sseu: (u8, u8, u8),
}

const LEGACY: EngineSet = EngineSet::of(&[EngineId::RCS0, EngineId::BCS0, EngineId::VCS0, EngineId::VECS0]);
const TWO_VIDEO: EngineSet =
    EngineSet::of(&[EngineId::RCS0, EngineId::BCS0, EngineId::VCS0, EngineId::VCS2, EngineId::VECS0]);

const GEN9: Platform = Platform {
    name: PlatformName::Skylake,
    label: "Skylake",
    generation: Generation::Gen9,
    engines: LEGACY,
    ppgtt_bits: 48,
    dma_bits: 39,
    pages_64k: true,
    pages_2m: false,
    read_only: true,
    has_llc: true,
    preempts_batches: true,
    mocs: MocsTable::Gen9,
    max_sseu: (3, 4, 8),
};

const GEN11: Platform = Platform {
    name: PlatformName::IceLake,
    label: "Ice Lake",
    generation: Generation::Gen11,
    engines: TWO_VIDEO,
    ppgtt_bits: 48,
    dma_bits: 39,
    pages_64k: true,
    pages_2m: true,
    read_only: false,
    has_llc: true,
    preempts_batches: true,
    mocs: MocsTable::Gen11,
    max_sseu: (1, 8, 8),
};

const GEN12: Platform = Platform {
    name: PlatformName::TigerLake,
    label: "Tiger Lake",
    generation: Generation::Gen12,
    engines: TWO_VIDEO,
    // Older drivers use 48, newer ones 47 (i915: i915_pci.c): stay below 2^47.
    ppgtt_bits: 47,
    dma_bits: 39,
    pages_64k: true,
    pages_2m: true,
    read_only: false,
    has_llc: true,
    preempts_batches: true,
    mocs: MocsTable::TigerLake,
    max_sseu: (1, 6, 16),
};

pub(super) static BROADWELL: Platform = Platform {
    name: PlatformName::Broadwell,
    label: "Broadwell",
    generation: Generation::Gen8,
    pages_64k: false,
    preempts_batches: false,
    mocs: MocsTable::None,
    max_sseu: (3, 3, 8),
    ..GEN9
};
pub(super) static SKYLAKE: Platform = GEN9;
pub(super) static APOLLO_LAKE: Platform = Platform {
    name: PlatformName::ApolloLake,
    label: "Apollo Lake",
    generation: Generation::Gen9Lp,
    has_llc: false,
    mocs: MocsTable::Gen9Lp,
    max_sseu: (1, 3, 8),
    ..GEN9
};
pub(super) static GEMINI_LAKE: Platform = Platform {
    name: PlatformName::GeminiLake,
    label: "Gemini Lake",
    generation: Generation::Gen9Lp,
    has_llc: false,
    mocs: MocsTable::Gen9Lp,
    max_sseu: (1, 3, 8),
    ..GEN9
};
pub(super) static KABY_LAKE: Platform = Platform { name: PlatformName::KabyLake, label: "Kaby Lake", ..GEN9 };
pub(super) static COFFEE_LAKE: Platform =
    Platform { name: PlatformName::CoffeeLake, label: "Coffee Lake", ..GEN9 };
pub(super) static COMET_LAKE: Platform =
    Platform { name: PlatformName::CometLake, label: "Comet Lake", ..GEN9 };
pub(super) static ICE_LAKE: Platform = GEN11;
pub(super) static ELKHART_LAKE: Platform = Platform {
    name: PlatformName::ElkhartLake,
    label: "Elkhart Lake",
    engines: LEGACY,
    ppgtt_bits: 36,
    max_sseu: (1, 4, 8),
    ..GEN11
};
pub(super) static JASPER_LAKE: Platform = Platform {
    name: PlatformName::JasperLake,
    label: "Jasper Lake",
    engines: LEGACY,
    ppgtt_bits: 36,
    max_sseu: (1, 4, 8),
    ..GEN11
};
pub(super) static TIGER_LAKE: Platform = GEN12;
pub(super) static ROCKET_LAKE: Platform =
    Platform { name: PlatformName::RocketLake, label: "Rocket Lake", engines: LEGACY, ..GEN12 };
pub(super) static ALDER_LAKE_S: Platform =
    Platform { name: PlatformName::AlderLakeS, label: "Alder Lake-S", mocs: MocsTable::AlderLake, ..GEN12 };
pub(super) static ALDER_LAKE_P: Platform =
    Platform { name: PlatformName::AlderLakeP, label: "Alder Lake-P", mocs: MocsTable::AlderLake, ..GEN12 };

impl Platform {
    /// Engines of a part of tier `level`, before fuses (i915: i915_pci.c; GT3 and GT4 of Gen8/9 have
    /// a second video engine).
    #[must_use]
    pub const fn engines_of(&self, level: GtLevel) -> EngineSet {
        let second_video = matches!(level, GtLevel::Gt3 | GtLevel::Gt4);
        if second_video && !self.generation.is_gen11_or_12() {
            EngineSet::of(&[EngineId::RCS0, EngineId::BCS0, EngineId::VCS0, EngineId::VCS1, EngineId::VECS0])
        } else {
            self.engines
        }
    }
}
