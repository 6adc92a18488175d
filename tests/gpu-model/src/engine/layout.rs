// SPDX-License-Identifier: BSD-2-Clause
//! The register page of a context image: which register stands in which dword.
//!
//! The page is a command list: MI_LOAD_REGISTER_IMM headers, each followed by (offset, value) pairs, and NOOPs
//! between. What is listed here is what the model writes when it saves a context; when it restores one it reads
//! whatever list is there. Offsets are relative to the engine's base.
//!
//! Sources: PRM vol 3, execlist context format; i915: intel_lrc.c.

use crate::commands::{EngineClass, Generation};

/// One MI_LOAD_REGISTER_IMM of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Dword of the header.
    pub at: usize,
    /// Force-posted bit of the header.
    pub posted: bool,
    /// Registers of the pairs.
    pub registers: &'static [u32],
}

/// MI_LOAD_REGISTER_IMM without its length.
pub const LRI: u32 = 0x1100_0000;
/// Force posted.
pub const POSTED: u32 = 1 << 12;
/// Offsets are relative to the executing engine (Gen11 and later).
pub const RELATIVE: u32 = 1 << 19;
/// MI_BATCH_BUFFER_END.
pub const END: u32 = 0x0500_0000;
/// Groups whose header stands before this dword are loaded even with restore inhibit: ring and page directory
/// registers.
pub const ESSENTIAL_END: usize = 0x34;

impl Group {
    /// The header dword.
    #[must_use]
    pub fn header(&self, generation: Generation) -> u32 {
        let pairs = u32::try_from(self.registers.len()).unwrap_or(1);
        let relative = if generation >= Generation::Gen11 { RELATIVE } else { 0 };
        LRI | relative | if self.posted { POSTED } else { 0 } | (2 * pairs - 1)
    }
}

/// Dwords of values that drivers and the model refer to.
pub mod dword {
    /// CTX_SR_CTL.
    pub const CONTROL: usize = 0x03;
    /// RING_HEAD.
    pub const HEAD: usize = 0x05;
    /// RING_TAIL.
    pub const TAIL: usize = 0x07;
    /// RING_START.
    pub const START: usize = 0x09;
    /// RING_CTL.
    pub const RING_CONTROL: usize = 0x0b;
}

/// Values that a save leaves alone: the driver writes them while the context runs.
pub const NOT_SAVED: &[u32] = &[0x244, 0x030, 0x038, 0x03c];

const RING: [u32; 8] = [0x244, 0x034, 0x030, 0x038, 0x03c, 0x168, 0x140, 0x110];
const PDPS: &[u32] = &[0x3a8, 0x28c, 0x288, 0x284, 0x280, 0x27c, 0x278, 0x274, 0x270];

/// Joins the ring registers, which every list begins with, and a tail.
const fn ring_and<const N: usize, const M: usize>(tail: [u32; M]) -> [u32; N] {
    let mut list = [0; N];
    let mut i = 0;
    while i < N {
        list[i] = if i < RING.len() { RING[i] } else { tail[i - RING.len()] };
        i += 1;
    }
    list
}

const RING_GEN8: &[u32] = &ring_and::<14, 6>([0x11c, 0x114, 0x118, 0x1c0, 0x1c4, 0x1c8]);
const RING_GEN8_OTHER: &[u32] = &ring_and::<11, 3>([0x11c, 0x114, 0x118]);
const RING_GEN11: &[u32] = &ring_and::<15, 7>([0x11c, 0x114, 0x118, 0x1c0, 0x1c4, 0x1c8, 0x180]);
const RING_GEN12: &[u32] = &ring_and::<13, 5>([0x1c0, 0x1c4, 0x1c8, 0x180, 0x2b4]);

/// General purpose registers, 32 dwords.
const GPRS: [u32; 32] = {
    let mut list = [0x600; 32];
    let mut i = 1;
    while i < 32 {
        list[i] = list[i - 1] + 4;
        i += 1;
    }
    list
};

/// A head, the GPRs and a tail.
const fn gprs_between<const N: usize, const H: usize, const T: usize>(
    head: [u32; H],
    tail: [u32; T],
) -> [u32; N] {
    let mut list = [0; N];
    let mut i = 0;
    while i < N {
        list[i] = if i < H {
            head[i]
        } else if i < H + 32 {
            GPRS[i - H]
        } else {
            tail[i - H - 32]
        };
        i += 1;
    }
    list
}

const STATE: [u32; 11] = [0x028, 0x09c, 0x0c0, 0x178, 0x17c, 0x358, 0x170, 0x150, 0x154, 0x158, 0x41c];
const STATE_GEN12: [u32; 17] = [
    0x588, 0x588, 0x588, 0x588, 0x588, 0x588, 0x028, 0x09c, 0x0c0, 0x178, 0x17c, 0x358, 0x170, 0x150, 0x154,
    0x158, 0x41c,
];
const STATE_GEN9: &[u32] = &gprs_between::<44, 11, 1>(STATE, [0x068]);
const STATE_GEN11_RENDER: &[u32] = &gprs_between::<45, 11, 2>(STATE, [0x068, 0x084]);
const STATE_GEN12_ALL: &[u32] = &gprs_between::<51, 17, 2>(STATE_GEN12, [0x068, 0x084]);

const fn group(at: usize, posted: bool, registers: &'static [u32]) -> Group {
    Group { at, posted, registers }
}

const GEN8_RENDER: &[Group] = &[
    group(0x01, true, RING_GEN8),
    group(0x21, true, PDPS),
    group(0x41, false, &[0x0c8]),
    group(0x57, false, &[0x09c]),
    group(0xc3, false, &[0x158]),
    group(0xd7, false, &GPRS),
];
const GEN8_OTHER: &[Group] =
    &[group(0x01, false, RING_GEN8_OTHER), group(0x21, false, PDPS), group(0x41, false, &[0x200, 0x028])];
const GEN9_RENDER: &[Group] = &[
    group(0x01, true, RING_GEN8),
    group(0x21, true, PDPS),
    group(0x41, false, &[0x0c8]),
    group(0x51, true, STATE_GEN9),
];
const GEN9_OTHER: &[Group] = &[
    group(0x01, true, RING_GEN8),
    group(0x21, true, PDPS),
    group(0x41, true, &[0x200]),
    group(0x51, true, STATE_GEN9),
];
const GEN11_RENDER: &[Group] = &[
    group(0x01, true, RING_GEN11),
    group(0x21, true, PDPS),
    group(0x34, true, &[0x1b0]),
    group(0x41, false, &[0x0c8]),
    group(0x51, true, STATE_GEN11_RENDER),
];
const GEN11_OTHER: &[Group] = &[
    group(0x01, true, RING_GEN8),
    group(0x21, true, PDPS),
    group(0x41, true, &[0x200]),
    group(0x51, true, STATE_GEN9),
];
const GEN12_RENDER: &[Group] = &[
    group(0x01, true, RING_GEN12),
    group(0x21, true, PDPS),
    group(0x34, true, &[0x1b0, 0x5a8, 0x5ac]),
    group(0x41, false, &[0x0c8]),
    group(0x51, true, STATE_GEN12_ALL),
];
const GEN12_OTHER: &[Group] = &[
    group(0x01, true, RING_GEN12),
    group(0x21, true, PDPS),
    group(0x41, false, &[0x200]),
    group(0x51, true, STATE_GEN12_ALL),
];

/// The list of an engine class.
#[must_use]
pub fn groups(generation: Generation, class: EngineClass) -> &'static [Group] {
    let render = matches!(class, EngineClass::Render | EngineClass::Compute);
    match (generation, render) {
        (Generation::Gen8, true) => GEN8_RENDER,
        (Generation::Gen8, false) => GEN8_OTHER,
        (Generation::Gen9, true) => GEN9_RENDER,
        (Generation::Gen9, false) => GEN9_OTHER,
        (Generation::Gen11, true) => GEN11_RENDER,
        (Generation::Gen11, false) => GEN11_OTHER,
        (Generation::Gen12, true) => GEN12_RENDER,
        (Generation::Gen12, false) => GEN12_OTHER,
    }
}

/// Slots that the model uses for state of the streamer that no documented slot holds.
pub mod hidden {
    /// Flags: arbitration off, pre-parser disabled.
    pub const FLAGS: u32 = 0x170;
    /// Second-level batch on Gen12: address low with valid bit, address high, state.
    pub const SECOND_LOW: u32 = 0x150;
    /// Upper half.
    pub const SECOND_HIGH: u32 = 0x154;
    /// State.
    pub const SECOND_STATE: u32 = 0x178;
    /// Flag: MI_ARB_ON_OFF is off.
    pub const ARBITRATION_OFF: u32 = 1 << 0;
    /// Flag: the Gen12 pre-parser is off.
    pub const PRE_PARSER_OFF: u32 = 1 << 1;
}

/// First dword of the extension that holds render registers outside the documented list; it lies in the render
/// pages, which only the hardware interprets.
pub const RENDER_EXTENSION: usize = 0x400;
/// Most registers of that extension.
pub const RENDER_EXTENSION_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden headers (source: i915: intel_lrc.c).
    #[test]
    fn headers_are_those_of_the_drivers_that_run_on_real_parts() {
        let header = |generation, class, at| {
            groups(generation, class).iter().find(|g| g.at == at).map(|g| g.header(generation))
        };
        let (render, copy) = (EngineClass::Render, EngineClass::Copy);
        assert_eq!(header(Generation::Gen8, render, 0x01), Some(0x1100_101b));
        assert_eq!(header(Generation::Gen8, copy, 0x01), Some(0x1100_0015));
        assert_eq!(header(Generation::Gen8, copy, 0x21), Some(0x1100_0011));
        assert_eq!(header(Generation::Gen8, copy, 0x41), Some(0x1100_0003));
        assert_eq!(header(Generation::Gen9, copy, 0x01), Some(0x1100_101b));
        assert_eq!(header(Generation::Gen9, copy, 0x41), Some(0x1100_1001));
        assert_eq!(header(Generation::Gen9, copy, 0x51), Some(0x1100_1057));
        assert_eq!(header(Generation::Gen11, render, 0x01), Some(0x1108_101d));
        assert_eq!(header(Generation::Gen11, copy, 0x01), Some(0x1108_101b));
        assert_eq!(header(Generation::Gen11, render, 0x34), Some(0x1108_1001));
        assert_eq!(header(Generation::Gen12, copy, 0x01), Some(0x1108_1019));
        assert_eq!(header(Generation::Gen12, copy, 0x21), Some(0x1108_1011));
        assert_eq!(header(Generation::Gen12, render, 0x34), Some(0x1108_1005));
        assert_eq!(header(Generation::Gen12, render, 0x51), Some(0x1108_1065));
    }

    fn dword_of(generation: Generation, class: EngineClass, register: u32) -> Option<usize> {
        groups(generation, class).iter().find_map(|group| {
            group.registers.iter().position(|r| *r == register).map(|n| group.at + 1 + 2 * n)
        })
    }

    #[test]
    fn registers_stand_where_the_documentation_has_them() {
        let (render, copy) = (EngineClass::Render, EngineClass::Copy);
        assert_eq!(dword_of(Generation::Gen12, copy, 0x600), Some(0x74));
        assert_eq!(dword_of(Generation::Gen12, render, 0x068), Some(0xb4));
        assert_eq!(dword_of(Generation::Gen12, render, 0x09c), Some(0x60));
        assert_eq!(dword_of(Generation::Gen9, copy, 0x158), Some(0x64));
        assert_eq!(dword_of(Generation::Gen9, copy, 0x600), Some(0x68));
        assert_eq!(dword_of(Generation::Gen11, render, 0x084), Some(0xaa));
        assert_eq!(dword_of(Generation::Gen8, render, 0x600), Some(0xd8));
        for generation in [Generation::Gen8, Generation::Gen9, Generation::Gen11, Generation::Gen12] {
            assert_eq!(dword_of(generation, copy, 0x030), Some(0x06));
            assert_eq!(dword_of(generation, render, 0x270), Some(0x32));
            assert_eq!(dword_of(generation, render, 0x0c8), Some(0x42));
        }
    }

    #[test]
    fn groups_do_not_overlap() {
        for generation in [Generation::Gen8, Generation::Gen9, Generation::Gen11, Generation::Gen12] {
            for class in [EngineClass::Render, EngineClass::Copy] {
                for pair in groups(generation, class).windows(2) {
                    assert!(pair[0].at + 2 * pair[0].registers.len() < pair[1].at);
                }
            }
        }
    }
}
