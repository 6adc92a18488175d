// SPDX-License-Identifier: BSD-2-Clause
//! Engines: where their registers, interrupts, reset and TLB bits are.
//!
//! Sources: PRM vol 2c (register bases, GDRST, interrupts), i915: intel_engine_cs.c (bases), intel_gt_irq.c,
//! intel_reset.c, intel_gt.c (TLB invalidation).

use crate::commands::{Engine, EngineClass};

/// Where an engine's 16-bit event vector appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterruptPosition {
    /// Gen8 and Gen9: GT block n at 0x44300 + 0x10 * n, vector shifted left by `shift`.
    Legacy {
        /// Block 0 to 3.
        block: u8,
        /// 0 or 16.
        shift: u8,
        /// Bit in the master register 0x44200.
        master: u8,
    },
    /// Gen11 and Gen12: bit in GT_INTR_DW, enable and mask registers with their shifts.
    Identity {
        /// GT_INTR_DW number, 0 or 1.
        dword: u8,
        /// Bit in it.
        bit: u8,
        /// Enable register.
        enable: u32,
        /// Shift of the vector in it.
        enable_shift: u8,
        /// Mask register.
        mask: u32,
        /// Shift of the vector in it.
        mask_shift: u8,
    },
}

/// TLB invalidation by register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlbRegister {
    /// Offset.
    pub offset: u32,
    /// Bit of the engine.
    pub bit: u8,
    /// Masked register.
    pub masked: bool,
}

/// One engine of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineFacts {
    /// Name as in i915: rcs0, bcs0, vcs0 ...
    pub name: &'static str,
    /// Class, instance, MMIO base.
    pub engine: Engine,
    /// Class number in descriptors and interrupt identities.
    pub hw_class: u8,
    /// Size of the register range from the base.
    pub mmio_size: u32,
    /// Interrupt position.
    pub interrupt: InterruptPosition,
    /// Bit in GDRST (0x941c).
    pub reset_bit: u8,
    /// TLB invalidation register.
    pub tlb: TlbRegister,
    /// Engine id in the ring fault register.
    pub fault_id: u8,
    /// Target number of MI_SEMAPHORE_SIGNAL.
    pub semaphore_target: u8,
}

const fn engine(class: EngineClass, instance: u8, base: u32) -> Engine {
    Engine { class, instance, base }
}

const fn legacy(block: u8, shift: u8, master: u8) -> InterruptPosition {
    InterruptPosition::Legacy { block, shift, master }
}

const fn identity(dword: u8, bit: u8, enable: (u32, u8), mask: (u32, u8)) -> InterruptPosition {
    InterruptPosition::Identity {
        dword,
        bit,
        enable: enable.0,
        enable_shift: enable.1,
        mask: mask.0,
        mask_shift: mask.1,
    }
}

const fn tlb(offset: u32, bit: u8, masked: bool) -> TlbRegister {
    TlbRegister { offset, bit, masked }
}

/// Gen8 and Gen9 with one video engine.
pub const LEGACY: &[EngineFacts] = &[
    EngineFacts {
        name: "rcs0",
        engine: engine(EngineClass::Render, 0, 0x2000),
        hw_class: 0,
        mmio_size: 0x800,
        interrupt: legacy(0, 0, 0),
        reset_bit: 1,
        tlb: tlb(0x4260, 0, false),
        fault_id: 0,
        semaphore_target: 0,
    },
    EngineFacts {
        name: "bcs0",
        engine: engine(EngineClass::Copy, 0, 0x22000),
        hw_class: 3,
        mmio_size: 0x800,
        interrupt: legacy(0, 16, 1),
        reset_bit: 3,
        tlb: tlb(0x426c, 0, false),
        fault_id: 4,
        semaphore_target: 2,
    },
    EngineFacts {
        name: "vcs0",
        engine: engine(EngineClass::Video, 0, 0x12000),
        hw_class: 1,
        mmio_size: 0x800,
        interrupt: legacy(1, 0, 2),
        reset_bit: 2,
        tlb: tlb(0x4264, 0, false),
        fault_id: 1,
        semaphore_target: 1,
    },
    EngineFacts {
        name: "vecs0",
        engine: engine(EngineClass::VideoEnhance, 0, 0x1a000),
        hw_class: 2,
        mmio_size: 0x800,
        interrupt: legacy(3, 0, 6),
        reset_bit: 4,
        tlb: tlb(0x4270, 0, false),
        fault_id: 3,
        semaphore_target: 3,
    },
];

/// Enable register of render (upper half) and copy (lower half).
const RENDER_COPY_ENABLE: u32 = 0x19_0030;
/// Enable register of video (upper half) and video-enhance (lower half) engines.
const VIDEO_ENABLE: u32 = 0x19_0034;

macro_rules! identity_engines {
    ($rcs_tlb:expr, $bcs_tlb:expr, $vcs0_tlb:expr, $vcs2_tlb:expr, $vecs_tlb:expr) => {
        [
            EngineFacts {
                name: "rcs0",
                engine: engine(EngineClass::Render, 0, 0x2000),
                hw_class: 0,
                mmio_size: 0x800,
                interrupt: identity(0, 0, (RENDER_COPY_ENABLE, 16), (0x19_0090, 16)),
                reset_bit: 1,
                tlb: $rcs_tlb,
                fault_id: 0,
                semaphore_target: 0,
            },
            EngineFacts {
                name: "bcs0",
                engine: engine(EngineClass::Copy, 0, 0x22000),
                hw_class: 3,
                mmio_size: 0x800,
                interrupt: identity(0, 15, (RENDER_COPY_ENABLE, 0), (0x19_00a0, 16)),
                reset_bit: 2,
                tlb: $bcs_tlb,
                fault_id: 4,
                semaphore_target: 2,
            },
            EngineFacts {
                name: "vcs0",
                engine: engine(EngineClass::Video, 0, 0x1c_0000),
                hw_class: 1,
                mmio_size: 0x800,
                interrupt: identity(1, 0, (VIDEO_ENABLE, 16), (0x19_00a8, 16)),
                reset_bit: 5,
                tlb: $vcs0_tlb,
                fault_id: 1,
                semaphore_target: 1,
            },
            EngineFacts {
                name: "vecs0",
                engine: engine(EngineClass::VideoEnhance, 0, 0x1c_8000),
                hw_class: 2,
                mmio_size: 0x800,
                interrupt: identity(1, 31, (VIDEO_ENABLE, 0), (0x19_00d0, 16)),
                reset_bit: 13,
                tlb: $vecs_tlb,
                fault_id: 3,
                semaphore_target: 3,
            },
            EngineFacts {
                name: "vcs2",
                engine: engine(EngineClass::Video, 2, 0x1d_0000),
                hw_class: 1,
                mmio_size: 0x800,
                interrupt: identity(1, 2, (VIDEO_ENABLE, 16), (0x19_00ac, 16)),
                reset_bit: 7,
                tlb: $vcs2_tlb,
                fault_id: 2,
                semaphore_target: 4,
            },
        ]
    };
}

const GEN11: [EngineFacts; 5] = identity_engines!(
    tlb(0x4260, 0, false),
    tlb(0x426c, 0, false),
    tlb(0x4264, 0, false),
    tlb(0x4264, 2, false),
    tlb(0x4270, 0, false)
);

const GEN12: [EngineFacts; 5] = identity_engines!(
    tlb(0xced8, 0, false),
    tlb(0xcee4, 0, false),
    tlb(0xcedc, 0, true),
    tlb(0xcedc, 2, true),
    tlb(0xcee0, 0, true)
);

/// Ice Lake: all five.
pub const GEN11_TWO_VIDEO: &[EngineFacts] = &GEN11;
/// Tiger Lake, Alder Lake-S: all five.
pub const GEN12_TWO_VIDEO: &[EngineFacts] = &GEN12;
/// Rocket Lake: one video engine.
pub const GEN12_ONE_VIDEO: &[EngineFacts] = GEN12.split_at(4).0;
