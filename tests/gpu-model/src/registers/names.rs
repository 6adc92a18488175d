// SPDX-License-Identifier: BSD-2-Clause
//! Names of registers for messages, and the set of masked registers.
//!
//! Names are the PRM's (vol 2c). A register that is not in these tables is plain storage in the model and is
//! named by its offset.

use crate::commands::Generation;

/// Registers at an offset from an engine's base.
const ENGINE: &[(u32, &str)] = &[
    (0x028, "EXCC"),
    (0x030, "RING_BUFFER_TAIL"),
    (0x034, "RING_BUFFER_HEAD"),
    (0x038, "RING_BUFFER_START"),
    (0x03c, "RING_BUFFER_CTL"),
    (0x050, "PSMI_CTL"),
    (0x054, "MAX_IDLE"),
    (0x05c, "ACTHD_UDW"),
    (0x060, "DMA_FADD_UDW"),
    (0x064, "IPEIR"),
    (0x068, "IPEHR"),
    (0x06c, "INSTDONE"),
    (0x070, "INSTPS"),
    (0x074, "ACTHD"),
    (0x078, "DMA_FADD"),
    (0x080, "HWS_PGA"),
    (0x084, "CMD_BUF_CCTL"),
    (0x094, "NOPID"),
    (0x098, "HWSTAM"),
    (0x09c, "MI_MODE"),
    (0x0a8, "IMR"),
    (0x0b0, "EIR"),
    (0x0b4, "EMR"),
    (0x0b8, "ESR"),
    (0x0c0, "INSTPM"),
    (0x0c4, "CMD_CCTL"),
    (0x0c8, "R_PWR_CLK_STATE"),
    (0x0d0, "RESET_CTL"),
    (0x110, "BB_STATE"),
    (0x114, "SBB_ADDR"),
    (0x118, "SBB_STATE"),
    (0x11c, "SBB_ADDR_UDW"),
    (0x140, "BB_ADDR"),
    (0x158, "BB_OFFSET"),
    (0x168, "BB_ADDR_UDW"),
    (0x180, "CCID"),
    (0x1c0, "BB_PER_CTX_PTR"),
    (0x1c4, "INDIRECT_CTX"),
    (0x1c8, "INDIRECT_CTX_OFFSET"),
    (0x1d0, "ECOSKPD"),
    (0x200, "SWCTRL"),
    (0x204, "BLIT_CCTL"),
    (0x230, "EXECLIST_SUBMITPORT"),
    (0x234, "EXECLIST_STATUS"),
    (0x238, "EXECLIST_STATUS_UDW"),
    (0x244, "CTX_SR_CTL"),
    (0x24c, "SEMA_WAIT_POLL"),
    (0x270, "PDP0_LDW"),
    (0x274, "PDP0_UDW"),
    (0x278, "PDP1_LDW"),
    (0x27c, "PDP1_UDW"),
    (0x280, "PDP2_LDW"),
    (0x284, "PDP2_UDW"),
    (0x288, "PDP3_LDW"),
    (0x28c, "PDP3_UDW"),
    (0x29c, "GFX_MODE"),
    (0x2b4, "SEMAPHORE_TOKEN"),
    (0x358, "TIMESTAMP"),
    (0x35c, "TIMESTAMP_UDW"),
    (0x3a0, "CONTEXT_STATUS_PTR"),
    (0x3a8, "CTX_TIMESTAMP"),
    (0x3b8, "PREDICATE_RESULT"),
    (0x3bc, "MI_PREDICATE_RESULT_2"),
    (0x400, "MI_PREDICATE_SRC0"),
    (0x404, "MI_PREDICATE_SRC0_UDW"),
    (0x408, "MI_PREDICATE_SRC1"),
    (0x40c, "MI_PREDICATE_SRC1_UDW"),
    (0x410, "MI_PREDICATE_DATA"),
    (0x414, "MI_PREDICATE_DATA_UDW"),
    (0x418, "MI_PREDICATE_RESULT"),
    (0x41c, "MI_PREDICATE_RESULT_1"),
    (0x550, "EXECLIST_CONTROL"),
];

/// Registers outside the engines.
const GLOBAL: &[(u32, &str)] = &[
    (0x0d00, "RPM_CONFIG0"),
    (0x0d84, "FORCEWAKE_ACK_RENDER"),
    (0x0d88, "FORCEWAKE_ACK_MEDIA"),
    (0x0fdc, "MCR_SELECTOR"),
    (0x4094, "RING_FAULT_REG"),
    (0x40e0, "PRIVATE_PAT_LO"),
    (0x40e4, "PRIVATE_PAT_HI"),
    (0x4260, "GFX_TLB_INVALIDATE"),
    (0x4264, "VD_TLB_INVALIDATE"),
    (0x426c, "BLT_TLB_INVALIDATE"),
    (0x4270, "VE_TLB_INVALIDATE"),
    (0x4b10, "FAULT_TLB_DATA0"),
    (0x4b14, "FAULT_TLB_DATA1"),
    (0x9120, "FUSE2"),
    (0x9134, "EU_DISABLE"),
    (0x9138, "GT_SLICE_ENABLE"),
    (0x913c, "GT_SUBSLICE"),
    (0x9140, "GT_VEBOX_VDBOX_DISABLE"),
    (0x941c, "GDRST"),
    (0xa090, "RC_CONTROL"),
    (0xa094, "RC_STATE"),
    (0xa188, "FORCEWAKE_GT"),
    (0xa26c, "CTC_MODE"),
    (0xa270, "FORCEWAKE_MEDIA"),
    (0xa278, "FORCEWAKE_RENDER"),
    (0xa2a0, "PWRGT_DOMAIN_STATUS"),
    (0xceb8, "GEN12_FAULT_TLB_DATA0"),
    (0xcebc, "GEN12_FAULT_TLB_DATA1"),
    (0xcec4, "GEN12_RING_FAULT_REG"),
    (0xced8, "GEN12_GFX_TLB_INVALIDATE"),
    (0xcedc, "GEN12_VD_TLB_INVALIDATE"),
    (0xcee0, "GEN12_VE_TLB_INVALIDATE"),
    (0xcee4, "GEN12_BLT_TLB_INVALIDATE"),
    (0xceec, "GEN12_OA_TLB_INVALIDATE"),
    (0x4_2300, "FPGA_DBG"),
    (0x4_4200, "MASTER_INT_CTL"),
    (0x5_1000, "DFSM"),
    (0x10_1008, "GFX_FLSH_CNTL"),
    (0x10_8040, "GGC"),
    (0x13_0044, "FORCEWAKE_ACK_GT"),
    (0x13_8124, "PCODE_MAILBOX"),
    (0x13_8128, "PCODE_DATA"),
    (0x13_812c, "PCODE_DATA1"),
    (0x19_0010, "GFX_MSTR_IRQ"),
    (0x19_0018, "GT_INTR_DW0"),
    (0x19_001c, "GT_INTR_DW1"),
    (0x19_0060, "INTR_IDENTITY_REG0"),
    (0x19_0064, "INTR_IDENTITY_REG1"),
    (0x19_0070, "IIR_REG0_SELECTOR"),
    (0x19_0074, "IIR_REG1_SELECTOR"),
];

fn find(table: &[(u32, &'static str)], offset: u32) -> Option<&'static str> {
    table.binary_search_by_key(&offset, |(at, _)| *at).ok().and_then(|i| table.get(i)).map(|(_, name)| *name)
}

/// Name of an engine register by its offset from the base.
#[must_use]
pub fn engine_register(relative: u32) -> Option<String> {
    if let Some(name) = find(ENGINE, relative) {
        return Some(name.to_owned());
    }
    Some(match relative {
        0x370..0x3a0 => format!("CSB[{}]", (relative - 0x370) / 8),
        0x3c0..0x3f0 => format!("CSB[{}]", 6 + (relative - 0x3c0) / 8),
        0x4d0..0x500 => format!("FORCE_TO_NONPRIV[{}]", (relative - 0x4d0) / 4),
        0x510..0x550 => format!("EXECLIST_SQ_CONTENTS[{}]", (relative - 0x510) / 4),
        0x600..0x680 => format!("CS_GPR[{}]", (relative - 0x600) / 8),
        _ => return None,
    })
}

/// Name of a register outside the engines.
#[must_use]
pub fn global_register(offset: u32) -> Option<String> {
    if let Some(name) = find(GLOBAL, offset) {
        return Some(name.to_owned());
    }
    Some(match offset {
        0x0d50..0x0d70 => format!("FORCEWAKE_ACK_VDBOX[{}]", (offset - 0xd50) / 4),
        0x0d70..0x0d80 => format!("FORCEWAKE_ACK_VEBOX[{}]", (offset - 0xd70) / 4),
        0x4000..0x4100 => format!("GLOBAL_MOCS[{}]", (offset - 0x4000) / 4),
        0x4800..0x4820 => format!("PAT_INDEX[{}]", (offset - 0x4800) / 4),
        0xa540..0xa560 => format!("FORCEWAKE_VDBOX[{}]", (offset - 0xa540) / 4),
        0xa560..0xa570 => format!("FORCEWAKE_VEBOX[{}]", (offset - 0xa560) / 4),
        0xb020..0xb0a0 => format!("LNCF_MOCS[{}]", (offset - 0xb020) / 4),
        0xc800..0xcd00 => format!("ENGINE_MOCS[{}]", (offset - 0xc800) / 4),
        0x4_4300..0x4_4340 => {
            let kind = ["ISR", "IMR", "IIR", "IER"][(offset / 4 % 4) as usize];
            format!("GT_{kind}[{}]", (offset - 0x4_4300) / 16)
        }
        0x10_0000..0x10_0100 => format!("FENCE[{}]", (offset - 0x10_0000) / 8),
        0x19_0030..0x19_004c => format!("GT_INTR_ENABLE ({offset:#x})"),
        0x19_0090..0x19_0104 => format!("GT_INTR_MASK ({offset:#x})"),
        _ => return None,
    })
}

/// Engine registers of which bits 31:16 enable the write of bits 15:0, by offset from the base.
#[must_use]
pub const fn is_masked_engine_register(relative: u32) -> bool {
    matches!(relative, 0x028 | 0x050 | 0x09c | 0x0c0 | 0x0c4 | 0x0d0 | 0x1d0 | 0x200 | 0x244 | 0x29c)
}

/// Other masked registers, by offset. Sources: i915: intel_workarounds.c (which registers it writes masked).
#[must_use]
pub fn is_masked_global_register(generation: Generation, offset: u32) -> bool {
    match offset {
        0x2088 | 0x20d4 | 0x20d8 | 0x20e0 | 0x20e4 | 0x20ec | 0x2248 | 0x2580 => true,
        0x7000 | 0x7004 | 0x7008 | 0x7010 | 0x7014 | 0x7018 | 0x7300 | 0x7304 | 0x731c => true,
        0xe100 | 0xe180..=0xe19c | 0xe2a0 | 0xe420 | 0xe48c | 0xe49c | 0xe4c0..=0xe4f4 => true,
        0xcedc | 0xcee0 | 0xcf04 => generation == Generation::Gen12,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_for_the_search() {
        assert!(ENGINE.is_sorted_by_key(|(offset, _)| *offset));
        let mut global = GLOBAL.to_vec();
        global.sort_by_key(|(offset, _)| *offset);
        assert_eq!(global, GLOBAL);
    }

    #[test]
    fn registers_have_their_prm_names() {
        assert_eq!(engine_register(0x550).as_deref(), Some("EXECLIST_CONTROL"));
        assert_eq!(engine_register(0x3c8).as_deref(), Some("CSB[7]"));
        assert_eq!(global_register(0x4_4318).as_deref(), Some("GT_IIR[1]"));
        assert_eq!(global_register(0x6_0000), None);
    }
}
