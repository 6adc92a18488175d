// SPDX-License-Identifier: BSD-2-Clause
//! Command encodings that the driver itself emits.
//!
//! Source: PRM vol 2a (Command Reference: Instructions).

/// MI_NOOP.
pub(crate) const NOOP: u32 = 0;
/// MI_USER_INTERRUPT.
pub(crate) const USER_INTERRUPT: u32 = 0x02 << 23;
/// MI_ARB_CHECK: a point where the context can be preempted.
pub(crate) const ARB_CHECK: u32 = 0x05 << 23;
/// MI_ARB_CHECK that stops the pre-parser (Gen12): nothing behind it is fetched early.
pub(crate) const PREPARSER_OFF: u32 = ARB_CHECK | 1 << 8 | 1;
/// MI_ARB_CHECK that lets the pre-parser go on (Gen12).
pub(crate) const PREPARSER_ON: u32 = ARB_CHECK | 1 << 8;
/// MI_ARB_ON_OFF, on.
pub(crate) const ARB_ON: u32 = 0x08 << 23 | 1;
/// MI_ARB_ON_OFF, off.
pub(crate) const ARB_OFF: u32 = 0x08 << 23;
/// MI_BATCH_BUFFER_END.
pub(crate) const BATCH_END: u32 = 0x0a << 23;
/// MI_BATCH_BUFFER_START, PPGTT, first level; two dwords of address follow.
pub(crate) const BATCH_START: u32 = 0x31 << 23 | 1 << 8 | 1;
/// MI_BATCH_BUFFER_START, GGTT: a program of the driver's, privileged.
pub(crate) const PROGRAM_START: u32 = 0x31 << 23 | 1;
/// MI_LOAD_REGISTER_IMM of `pairs` registers.
pub(crate) const fn load_register_imm(pairs: u32) -> u32 {
    0x22 << 23 | (2 * pairs - 1)
}
/// MI_LOAD_REGISTER_IMM: writes are posted in order.
pub(crate) const LRI_FORCE_POSTED: u32 = 1 << 12;
/// MI_LOAD_REGISTER_IMM: offsets are relative to the engine (Gen11 on).
pub(crate) const LRI_CS_RELATIVE: u32 = 1 << 19;

/// MI_SEMAPHORE_WAIT, polling, on a dword in the GGTT, until memory >= value. Five dwords on Gen12,
/// four before.
pub(crate) const fn semaphore_wait_ge(five_dwords: bool) -> u32 {
    0x1c << 23 | 1 << 22 | 1 << 15 | 1 << 12 | if five_dwords { 3 } else { 2 }
}

/// MI_COPY_MEM_MEM: one dword, from the context's address space into the GGTT.
pub(crate) mod copy_mem_mem {
    use crate::address::{GgttOffset, GpuVirtual};

    pub(crate) const DWORDS: u32 = 5;
    /// The destination is in the GGTT.
    const TO_GGTT: u32 = 1 << 21;

    pub(crate) const fn to_ggtt(to: GgttOffset, from: GpuVirtual) -> [u32; DWORDS as usize] {
        let from = from.canonical();
        // CAST: the two halves.
        #[expect(clippy::cast_possible_truncation)]
        let (low, high) = (from as u32, (from >> 32) as u32);
        [0x2e << 23 | TO_GGTT | (DWORDS - 2), to.get(), 0, low, high]
    }
}

/// MI_STORE_DATA_IMM of a dword.
pub(crate) mod store_data_imm {
    use crate::address::GgttOffset;

    const GGTT: u32 = 1 << 22;

    pub(crate) const fn to_ggtt(to: GgttOffset, value: u32) -> [u32; 4] {
        [0x20 << 23 | GGTT | 2, to.get(), 0, value]
    }
}

/// MI_FLUSH_DW (copy and video engines).
pub(crate) mod flush_dw {
    /// Four dwords; post-sync writes are 32 bits wide.
    pub(crate) const HEADER: u32 = 0x26 << 23 | 2;
    /// Address is an offset in the context's status page.
    pub(crate) const STORE_INDEX: u32 = 1 << 21;
    pub(crate) const INVALIDATE_TLB: u32 = 1 << 18;
    /// Post-sync: write the immediate value.
    pub(crate) const WRITE_IMMEDIATE: u32 = 1 << 14;
    /// Video pipeline caches; video engines only.
    pub(crate) const INVALIDATE_BSD: u32 = 1 << 7;
    /// In the address dword: it is a GGTT address.
    pub(crate) const ADDRESS_GGTT: u32 = 1 << 2;
}

/// PIPE_CONTROL (render engine), six dwords.
pub(crate) mod pipe_control {
    pub(crate) const HEADER: u32 = 0x7a00_0004;
    /// In dword 0: flush of the HDC pipeline (Gen12).
    pub(crate) const HDC_FLUSH: u32 = 1 << 9;

    pub(crate) const DEPTH_FLUSH: u32 = 1 << 0;
    pub(crate) const INVALIDATE_STATE: u32 = 1 << 2;
    pub(crate) const INVALIDATE_CONST: u32 = 1 << 3;
    pub(crate) const INVALIDATE_VF: u32 = 1 << 4;
    pub(crate) const DC_FLUSH: u32 = 1 << 5;
    pub(crate) const FLUSH_ENABLE: u32 = 1 << 7;
    pub(crate) const INVALIDATE_TEXTURE: u32 = 1 << 10;
    pub(crate) const INVALIDATE_INSTRUCTION: u32 = 1 << 11;
    pub(crate) const RENDER_TARGET_FLUSH: u32 = 1 << 12;
    pub(crate) const DEPTH_STALL: u32 = 1 << 13;
    /// Post-sync: write the immediate qword.
    pub(crate) const WRITE_IMMEDIATE: u32 = 1 << 14;
    pub(crate) const INVALIDATE_TLB: u32 = 1 << 18;
    pub(crate) const CS_STALL: u32 = 1 << 20;
    pub(crate) const STORE_INDEX: u32 = 1 << 21;
    pub(crate) const ADDRESS_GGTT: u32 = 1 << 24;
    pub(crate) const L3_FLUSH: u32 = 1 << 27;
    pub(crate) const TILE_FLUSH: u32 = 1 << 28;
    pub(crate) const INVALIDATE_COMMAND: u32 = 1 << 29;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_the_values_that_the_prm_and_i915_write() {
        assert_eq!(USER_INTERRUPT, 0x0100_0000);
        assert_eq!(ARB_CHECK, 0x0280_0000);
        assert_eq!((PREPARSER_OFF, PREPARSER_ON), (0x0280_0101, 0x0280_0100));
        assert_eq!((ARB_ON, ARB_OFF), (0x0400_0001, 0x0400_0000));
        assert_eq!(BATCH_END, 0x0500_0000);
        assert_eq!(BATCH_START, 0x1880_0101);
        assert_eq!(load_register_imm(1), 0x1100_0001);
        assert_eq!(flush_dw::HEADER, 0x1300_0002);
        assert_eq!(PROGRAM_START, 0x1880_0001);
        let at = crate::address::GgttOffset::new(0xffff_0040);
        let from = crate::address::GpuVirtual::from_low(0x8000_0000_1000);
        let copy = [0x1720_0003, 0xffff_0040, 0, 0x1000, 0xffff_8000];
        assert_eq!(copy_mem_mem::to_ggtt(at, from), copy);
        assert_eq!(store_data_imm::to_ggtt(at, 7), [0x1040_0002, 0xffff_0040, 0, 7]);
        // The PRM's "equal" example 0x0e40c002 with the comparison "greater or equal".
        assert_eq!(semaphore_wait_ge(false), 0x0e40_9002);
        assert_eq!(semaphore_wait_ge(true), 0x0e40_9003);
    }
}
