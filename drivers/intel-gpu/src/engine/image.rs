// SPDX-License-Identifier: BSD-2-Clause
//! Logical context images: what the hardware loads when it switches to a context and saves when it
//! leaves. Page 0 is the context's status page, page 1 the register state (a list of
//! MI_LOAD_REGISTER_IMM), the rest is opaque.
//!
//! Sources: PRM vol 7 (Gen8/9) and vol 8 (Gen11/12), "Logical Context Data"; i915: intel_lrc.c (the
//! register offsets of each list).

use super::commands::{self, LRI_CS_RELATIVE, LRI_FORCE_POSTED};
use crate::address::GgttOffset;
use crate::device::{EngineClass, Generation, Sseu, Topology};
use crate::mmio::EngineBase;

/// Dwords of the register state that a new image defines.
#[cfg(test)]
pub(crate) const STATE_DWORDS: usize = 0xc0;

/// MI_MODE value of an image: STOP_RING := 0, or a context rebuilt after a reset would start stopped.
pub(crate) const MI_MODE_RUN: u32 = 1 << (8 + 16);

/// Offset in the status page that flushes write to (i915: LRC_PPHWSP_SCRATCH, dword 0x34).
pub(crate) const STATUS_SCRATCH: u32 = 0x34 * 4;

/// Pages of an image, status page included.
pub(crate) const fn pages(generation: Generation, class: EngineClass) -> u32 {
    match (class, generation) {
        (EngineClass::Render, Generation::Gen8) => 20,
        (EngineClass::Render, Generation::Gen9 | Generation::Gen9Lp) => 22,
        (EngineClass::Render, Generation::Gen11 | Generation::Gen12) => 14,
        _ => 2,
    }
}

/// Dword indices of the values that the driver changes later; the same in every image.
pub(crate) mod slot {
    pub(crate) const CONTEXT_CONTROL: u32 = 0x03;
    pub(crate) const RING_HEAD: u32 = 0x05;
    pub(crate) const RING_TAIL: u32 = 0x07;
    pub(crate) const RING_START: u32 = 0x09;
    pub(crate) const RING_CTL: u32 = 0x0b;
    pub(crate) const CONTEXT_TIMESTAMP: u32 = 0x23;
    /// High half of PDP3; the pairs descend to PDP0 low at 0x33.
    pub(crate) const PDP3_UPPER: u32 = 0x25;
    pub(crate) const POWER_CLOCK_STATE: u32 = 0x43;
}

/// Context control (CTX_SR_CTL): a masked register.
mod control {
    pub(super) const RESTORE_INHIBIT: u32 = 1 << 0;
    pub(super) const RS_ENABLE: u32 = 1 << 1;
    pub(super) const SAVE_INHIBIT: u32 = 1 << 2;
    pub(super) const INHIBIT_SYNC_SWITCH: u32 = 1 << 3;
}

/// A list of registers at a dword of the page.
struct Group {
    at: u32,
    posted: bool,
    registers: &'static [u16],
}

const fn group(at: u32, posted: bool, registers: &'static [u16]) -> Group {
    Group { at, posted, registers }
}

const RING_11: &[u16] = &[0x244, 0x034, 0x030, 0x038, 0x03c, 0x168, 0x140, 0x110, 0x11c, 0x114, 0x118];
const RING_14: &[u16] =
    &[0x244, 0x034, 0x030, 0x038, 0x03c, 0x168, 0x140, 0x110, 0x11c, 0x114, 0x118, 0x1c0, 0x1c4, 0x1c8];
const RING_15: &[u16] = &[
    0x244, 0x034, 0x030, 0x038, 0x03c, 0x168, 0x140, 0x110, 0x11c, 0x114, 0x118, 0x1c0, 0x1c4, 0x1c8, 0x180,
];
const RING_GEN12: &[u16] =
    &[0x244, 0x034, 0x030, 0x038, 0x03c, 0x168, 0x140, 0x110, 0x1c0, 0x1c4, 0x1c8, 0x180, 0x2b4];
const PDPS: &[u16] = &[0x3a8, 0x28c, 0x288, 0x284, 0x280, 0x27c, 0x278, 0x274, 0x270];

#[rustfmt::skip]
const GEN9_TAIL: &[u16] = &[
    0x028, 0x09c, 0x0c0, 0x178, 0x17c, 0x358, 0x170, 0x150, 0x154, 0x158, 0x41c,
    0x600, 0x604, 0x608, 0x60c, 0x610, 0x614, 0x618, 0x61c, 0x620, 0x624, 0x628, 0x62c, 0x630, 0x634, 0x638, 0x63c,
    0x640, 0x644, 0x648, 0x64c, 0x650, 0x654, 0x658, 0x65c, 0x660, 0x664, 0x668, 0x66c, 0x670, 0x674, 0x678, 0x67c,
    0x068,
];
#[rustfmt::skip]
const GEN12_RCS_TAIL: &[u16] = &[
    0x588, 0x588, 0x588, 0x588, 0x588, 0x588,
    0x028, 0x09c, 0x0c0, 0x178, 0x17c, 0x358, 0x170, 0x150, 0x154, 0x158, 0x41c,
    0x600, 0x604, 0x608, 0x60c, 0x610, 0x614, 0x618, 0x61c, 0x620, 0x624, 0x628, 0x62c, 0x630, 0x634, 0x638, 0x63c,
    0x640, 0x644, 0x648, 0x64c, 0x650, 0x654, 0x658, 0x65c, 0x660, 0x664, 0x668, 0x66c, 0x670, 0x674, 0x678, 0x67c,
    0x068, 0x084,
];

static GEN8_RCS: &[Group] =
    &[group(0x01, true, RING_14), group(0x21, true, PDPS), group(0x41, false, &[0x0c8])];
static GEN8_XCS: &[Group] =
    &[group(0x01, false, RING_11), group(0x21, false, PDPS), group(0x41, false, &[0x200, 0x028])];
static GEN9_RCS: &[Group] = &[
    group(0x01, true, RING_14),
    group(0x21, true, PDPS),
    group(0x41, false, &[0x0c8]),
    group(0x51, true, GEN9_TAIL),
];
static GEN9_XCS: &[Group] = &[
    group(0x01, true, RING_14),
    group(0x21, true, PDPS),
    group(0x41, true, &[0x200]),
    group(0x51, true, GEN9_TAIL),
];
static GEN11_RCS: &[Group] = &[
    group(0x01, true, RING_15),
    group(0x21, true, PDPS),
    group(0x34, true, &[0x1b0]),
    group(0x41, false, &[0x0c8]),
];
static GEN12_RCS: &[Group] = &[
    group(0x01, true, RING_GEN12),
    group(0x21, true, PDPS),
    group(0x34, true, &[0x1b0, 0x5a8, 0x5ac]),
    group(0x41, false, &[0x0c8]),
    group(0x51, true, GEN12_RCS_TAIL),
];
static GEN12_XCS: &[Group] = &[group(0x01, true, RING_GEN12), group(0x21, true, PDPS)];

fn groups(generation: Generation, class: EngineClass) -> &'static [Group] {
    let render = class == EngineClass::Render;
    match generation {
        Generation::Gen8 if render => GEN8_RCS,
        Generation::Gen8 => GEN8_XCS,
        Generation::Gen9 | Generation::Gen9Lp if render => GEN9_RCS,
        Generation::Gen11 if render => GEN11_RCS,
        // The copy and video images of Gen11 are Gen9's with relative offsets.
        Generation::Gen9 | Generation::Gen9Lp | Generation::Gen11 => GEN9_XCS,
        Generation::Gen12 if render => GEN12_RCS,
        Generation::Gen12 => GEN12_XCS,
    }
}

/// Dword of the MI_MODE value, in images that a new context defines it in.
pub(crate) const fn mi_mode_slot(generation: Generation, class: EngineClass) -> Option<u32> {
    match (generation, class) {
        (Generation::Gen8, EngineClass::Render) => Some(0x59),
        (Generation::Gen8, _) => None,
        (Generation::Gen9 | Generation::Gen9Lp | Generation::Gen11, _) => Some(0x55),
        (Generation::Gen12, _) => Some(0x61),
    }
}

/// What a new image says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters {
    pub(crate) generation: Generation,
    pub(crate) class: EngineClass,
    pub(crate) base: EngineBase,
    pub(crate) ring: GgttOffset,
    pub(crate) ring_bytes: u32,
    /// PDP0 to PDP3.
    pub(crate) pdps: [u64; 4],
    /// R_PWR_CLK_STATE, render only.
    pub(crate) power_clock_state: u32,
}

/// Value of the context-control slot. `inhibit`: the image has no saved state to load.
pub(crate) const fn context_control(generation: Generation, inhibit: bool) -> u32 {
    let set = control::INHIBIT_SYNC_SWITCH | if inhibit { control::RESTORE_INHIBIT } else { 0 };
    let mut mask = control::INHIBIT_SYNC_SWITCH | control::RESTORE_INHIBIT;
    if !generation.is_gen11_or_12() {
        mask |= control::RS_ENABLE | control::SAVE_INHIBIT;
    }
    mask << 16 | set
}

/// Writes the register state of a context that never ran; `put` takes dword index and value. What it
/// does not write is left zero by the caller.
pub(crate) fn build(parameters: &Parameters, mut put: impl FnMut(u32, u32)) {
    let Parameters { generation, class, base, .. } = *parameters;
    let mut end = 0;
    for group in groups(generation, class) {
        // CAST: at most 51 registers.
        #[expect(clippy::cast_possible_truncation)]
        let count = group.registers.len() as u32;
        let posted = if group.posted { LRI_FORCE_POSTED } else { 0 };
        let relative = if generation.is_gen11_or_12() { LRI_CS_RELATIVE } else { 0 };
        put(group.at, commands::load_register_imm(count) | posted | relative);
        for (index, register) in (0..).zip(group.registers) {
            put(group.at + 1 + 2 * index, base.0 + u32::from(*register));
        }
        end = group.at + 1 + 2 * count;
    }
    if class == EngineClass::Render && generation == Generation::Gen12 {
        end += 1; // a NOOP precedes the end
    }
    put(end, commands::BATCH_END | u32::from(generation.is_gen11_or_12()));

    put(slot::CONTEXT_CONTROL, context_control(generation, true));
    set_ring(parameters, &mut put);
    set_pdps(&parameters.pdps, &mut put);
    if class == EngineClass::Render {
        put(slot::POWER_CLOCK_STATE, parameters.power_clock_state);
    }
    if let Some(slot) = mi_mode_slot(generation, class).filter(|slot| *slot < end) {
        put(slot, MI_MODE_RUN);
    }
}

/// Writes the addresses of an image's registers as another engine of the class has them. Only for images whose
/// registers are named by their place in BAR 0, and not relative to the engine (before Gen11).
pub(crate) fn readdress(
    generation: Generation,
    class: EngineClass,
    base: EngineBase,
    mut put: impl FnMut(u32, u32),
) {
    for group in groups(generation, class) {
        for (index, register) in (0..).zip(group.registers) {
            put(group.at + 1 + 2 * index, base.0 + u32::from(*register));
        }
    }
}

/// Writes the slots that place a context's ring: an image copied from the default state gets them, too.
pub(crate) fn set_ring(parameters: &Parameters, put: &mut impl FnMut(u32, u32)) {
    put(slot::RING_HEAD, 0);
    put(slot::RING_TAIL, 0);
    put(slot::RING_START, parameters.ring.get());
    put(slot::RING_CTL, (parameters.ring_bytes - 4096) | 1);
}

/// Writes the page-directory pointers.
pub(crate) fn set_pdps(pdps: &[u64; 4], put: &mut impl FnMut(u32, u32)) {
    for (index, pdp) in (0..).zip(pdps.iter().rev()) {
        // CAST: the two halves.
        #[expect(clippy::cast_possible_truncation)]
        let (upper, lower) = ((pdp >> 32) as u32, *pdp as u32);
        put(slot::PDP3_UPPER + 4 * index, upper);
        put(slot::PDP3_UPPER + 4 * index + 2, lower);
    }
}

/// R_PWR_CLK_STATE of a context that powers `sseu` of a part (PRM vol 2c; i915: intel_sseu.c,
/// `intel_sseu_make_rpcs`). Only Gen11 lets contexts choose.
pub(crate) fn power_clock_state(generation: Generation, topology: &Topology, sseu: Sseu) -> u32 {
    const ENABLE: u32 = 1 << 31;
    const SLICE_ENABLE: u32 = 1 << 18;
    const SUBSLICE_ENABLE: u32 = 1 << 11;
    let slices = sseu.slices.count_ones();
    let subslices = sseu.subslices.count_ones();
    let eus = 8 << 4 | 8;
    match generation {
        Generation::Gen8 => 0,
        Generation::Gen9 => ENABLE | eus | if slices > 1 { SLICE_ENABLE | slices << 15 } else { 0 },
        Generation::Gen9Lp => ENABLE | eus | if subslices > 1 { SUBSLICE_ENABLE | subslices << 8 } else { 0 },
        Generation::Gen11 => {
            // More than half the subslices cannot be asked for by count: two slices mean all.
            let half = topology.subslices[0].count_ones() / 2;
            if slices == 1 && subslices > half.min(4) {
                ENABLE | SLICE_ENABLE | (2 * slices) << 12 | eus
            } else {
                ENABLE | SLICE_ENABLE | slices << 12 | SUBSLICE_ENABLE | (subslices << 8 & 0x700) | eus
            }
        }
        Generation::Gen12 => ENABLE | SLICE_ENABLE | slices << 12,
    }
}

#[cfg(test)]
mod tests;
