// SPDX-License-Identifier: BSD-2-Clause
//! The registers this driver names. Names and layouts: PRM, volume 2c (Command Reference: Registers) of
//! the generation, where not said otherwise. Workaround, MOCS and PAT tables name theirs beside the
//! values.

use super::register::registers;

// Command streamer, offsets from the engine's base.
registers! {
    /// Head of the ring: offset and wrap count.
    engine RingHead "RING_BUFFER_HEAD" @ 0x034 { OFFSET_DWORDS: 20:2, WRAPS: 31:21 }
    /// Tail of the ring. Read only here: under execlists the context image sets it.
    engine RingTail "RING_BUFFER_TAIL" @ 0x030 { OFFSET_QWORDS: 20:3 }
    /// Start of the ring in the GGTT.
    engine RingStart "RING_BUFFER_START" @ 0x038 {}
    /// Size and enable of the ring.
    engine RingCtl "RING_BUFFER_CTL" @ 0x03c { VALID: 0:0, SEMAPHORE_WAIT: 10:10 }
    /// Upper half of [`ActiveHead`].
    engine ActiveHeadUpper "ACTHD_UDW" @ 0x05c {}
    /// Instruction parser: error identity.
    engine ParserErrorIdentity "IPEIR" @ 0x064 {}
    /// Instruction parser: header of the last command.
    engine ParserErrorHeader "IPEHR" @ 0x068 {}
    /// Units that are idle.
    engine InstructionDone "INSTDONE" @ 0x06c {}
    /// Parser state.
    engine InstructionState "INSTPS" @ 0x070 {}
    /// Where the command streamer fetches.
    engine ActiveHead "ACTHD" @ 0x074 {}
    /// GGTT page of the hardware status page.
    engine StatusPage "HWS_PGA" @ 0x080 {}
    /// Events that do not write the status page.
    engine StatusMask "HWSTAM" @ 0x098 {}
    /// Streamer mode.
    engine masked MiMode "MI_MODE" @ 0x09c { STOP_RING: 8:8, MODE_IDLE: 9:9 }
    /// Events that do not interrupt.
    engine InterruptMask "RING_IMR" @ 0x0a8 {}
    /// Errors, write one to clear.
    engine ErrorIdentity "EIR" @ 0x0b0 {}
    /// Errors that are not recorded.
    engine ErrorMask "EMR" @ 0x0b4 { INSTRUCTION: 0:0 }
    /// Errors, raw.
    engine ErrorStatus "ESR" @ 0x0b8 {}
    /// Default memory-object control of commands without one (Gen12): write [13:7], read [6:0].
    engine masked CommandCacheControl "CMD_CCTL" @ 0x0c4 { WRITE: 13:7, READ: 6:0 }
    /// Reset handshake.
    engine masked ResetControl "RESET_CTL" @ 0x0d0 { REQUEST: 0:0, READY: 1:1, CATASTROPHIC: 2:2 }
    /// Batch buffer state.
    engine BatchState "BB_STATE" @ 0x110 { PPGTT: 5:5 }
    /// Batch buffer address, lower half.
    engine BatchAddress "BB_ADDR" @ 0x140 { VALID: 0:0 }
    /// Batch buffer address, upper half.
    engine BatchAddressUpper "BB_ADDR_UDW" @ 0x168 { HIGH: 15:0 }
    /// Current context id.
    engine CurrentContext "CCID" @ 0x180 {}
    /// Execlist submit port (Gen8, Gen9): four writes, the last one submits.
    engine SubmitPort "EXECLIST_SUBMITPORT" @ 0x230 {}
    /// Execlist status, lower half.
    engine ExeclistStatus "EXECLIST_STATUS_LO" @ 0x234 {}
    /// Execlist status, upper half.
    engine ExeclistStatusUpper "EXECLIST_STATUS_HI" @ 0x238 {}
    /// Run list and PPGTT modes.
    engine masked RingMode "GFX_MODE" @ 0x29c {
        DISABLE_LEGACY: 3:3, PREFETCH_DISABLE: 10:10, RUN_LIST_ENABLE: 15:15,
    }
    /// Read and write pointer of the context status buffer.
    engine masked ContextStatusPointer "CONTEXT_STATUS_PTR" @ 0x3a0 { WRITE: 3:0, READ: 11:8 }
    /// Submit queue load (Gen11, Gen12).
    engine ExeclistControl "EXECLIST_CONTROL" @ 0x550 { LOAD: 0:0 }
}

// Once per GT.
registers! {
    /// Legacy master interrupt (Gen8, Gen9).
    global MasterInterruptGen8 "MASTER_INTERRUPT" @ 0x44200 { ENABLE: 31:31 }
    /// Master interrupt (Gen11, Gen12).
    global MasterInterruptGen11 "GFX_MSTR_IRQ" @ 0x190010 { ENABLE: 31:31, GT_DW0: 0:0, GT_DW1: 1:1, GU_MISC: 29:29 }
    /// Pending GT sources, two banks (Gen11, Gen12).
    global array GtInterruptDword "GT_INTR_DW" @ 0x190018 + 4 * 2 {}
    /// Asks for the identity of one source.
    global array IdentitySelector "IIR_REG_SELECTOR" @ 0x190070 + 4 * 2 {}
    /// Identity of the source that was asked for.
    global array InterruptIdentity "INTR_IDENTITY_REG" @ 0x190060 + 4 * 2 {
        VALID: 31:31, INSTANCE: 25:20, CLASS: 18:16, EVENTS: 15:0,
    }
    /// GT interrupt blocks of Gen8/9: ISR.
    global array GtIsrGen8 "GT_INTERRUPT_ISR" @ 0x44300 + 0x10 * 4 {}
    /// IMR.
    global array GtImrGen8 "GT_INTERRUPT_IMR" @ 0x44304 + 0x10 * 4 {}
    /// IIR.
    global array GtIirGen8 "GT_INTERRUPT_IIR" @ 0x44308 + 0x10 * 4 {}
    /// IER.
    global array GtIerGen8 "GT_INTERRUPT_IER" @ 0x4430c + 0x10 * 4 {}
    /// Graphics device reset.
    global GraphicsReset "GDRST" @ 0x941c { FULL: 0:0 }
    /// Flush of the write-combining buffer of GGTT entries, and invalidation of GGTT translations.
    global GgttFlush "GFX_FLSH_CNTL" @ 0x101008 { ENABLE: 0:0 }
    /// Fences of the aperture, lower halves.
    global array FenceLow "FENCE_LSB" @ 0x100000 + 8 * 32 { VALID: 0:0 }
    /// Fences of the aperture, upper halves.
    global array FenceHigh "FENCE_MSB" @ 0x100004 + 8 * 32 {}
    /// Copy of GGC: readable without forcewake.
    global GgcMirror "MGGC0" @ 0x108040 {}
    /// RC6 control.
    global RenderC6Control "RC_CONTROL" @ 0xa090 { HARDWARE: 31:31, RC6: 18:18 }
    /// RC6 state.
    global RenderC6State "RC_STATE" @ 0xa094 { TARGET: 18:16 }
    /// Power gates that may close when idle.
    global PowerGateEnable "PG_ENABLE" @ 0xa210 { RENDER: 0:0, MEDIA: 1:1, SAMPLER: 2:2 }
    /// Frequency that software asks for.
    global FrequencyRequest "RPNSWREQ" @ 0xa008 {}
    /// Control of the frequency request.
    global RpControl "RP_CONTROL" @ 0xa024 {}
    /// Frequency events that do not interrupt.
    global RpInterruptMask "PMINTRMSK" @ 0xa168 {}
    /// Frequencies of the part in steps of 50 MHz; a mirror of the memory controller's register.
    global RpStateCapabilities "RP_STATE_CAP" @ 0x145998 { HIGHEST: 7:0, EFFICIENT: 15:8, LOWEST: 23:16 }
    /// Unclaimed register accesses (Gen8, Gen9).
    global FpgaDebug "FPGA_DBG" @ 0x42300 { UNCLAIMED: 31:31 }
    /// Thread status after forcewake (Gen8).
    global GtThreadStatus "GT_THREAD_STATUS" @ 0x13805c { BUSY: 2:0 }
    /// Page fault of any engine, Gen8 to Gen11.
    global FaultGen8 "RING_FAULT" @ 0x4094 { VALID: 0:0, TYPE: 2:1, SOURCE: 10:3, ENGINE: 14:12 }
    /// Address of the fault.
    global FaultData0Gen8 "FAULT_TLB_DATA0" @ 0x4b10 {}
    /// Address of the fault, upper part.
    global FaultData1Gen8 "FAULT_TLB_DATA1" @ 0x4b14 { VA_HIGH: 3:0, GGTT: 4:4 }
    /// Page fault of any engine, Gen12.
    global FaultGen12 "RING_FAULT" @ 0xcec4 { VALID: 0:0, TYPE: 2:1, SOURCE: 10:3, ENGINE: 14:12 }
    /// Address of the fault.
    global FaultData0Gen12 "FAULT_TLB_DATA0" @ 0xceb8 {}
    /// Address of the fault, upper part.
    global FaultData1Gen12 "FAULT_TLB_DATA1" @ 0xcebc { VA_HIGH: 3:0, GGTT: 4:4 }
}

impl RpControl {
    /// Software asks for frequencies: media follows the request, graphics units are counted, enabled,
    /// averages for both directions (i915: `rps_set_power`).
    pub(crate) const SOFTWARE: u32 = 2 << 9 | 1 << 8 | 1 << 7 | 2 << 3 | 2;
    /// The media units may be faster than asked for (Gen8, Gen9).
    pub(crate) const MEDIA_TURBO: u32 = 1 << 11;
}
