// SPDX-License-Identifier: BSD-2-Clause
//! The MI commands: names, where they exist, their length and which header bits they define.
//!
//! Sources: PRM vol 2a; Mesa genxml gen8/gen9/gen11/gen12 (lengths, fields, engines); Intel media
//! driver mhw_mi_hwcmd g8/g9/g11/g12 (fields); i915 intel_gpu_commands.h (bits that Linux sets).

use super::super::bus::Generation;

/// Opcodes, header bits [28:23].
pub(super) mod op {
    pub(in super::super) const NOOP: u32 = 0x00;
    pub(in super::super) const SET_PREDICATE: u32 = 0x01;
    pub(in super::super) const USER_INTERRUPT: u32 = 0x02;
    pub(in super::super) const WAIT_FOR_EVENT: u32 = 0x03;
    pub(in super::super) const WAIT_FOR_EVENT_2: u32 = 0x04;
    pub(in super::super) const ARB_CHECK: u32 = 0x05;
    pub(in super::super) const RS_CONTROL: u32 = 0x06;
    pub(in super::super) const REPORT_HEAD: u32 = 0x07;
    pub(in super::super) const ARB_ON_OFF: u32 = 0x08;
    pub(in super::super) const URB_ATOMIC_ALLOC: u32 = 0x09;
    pub(in super::super) const BATCH_BUFFER_END: u32 = 0x0a;
    pub(in super::super) const SUSPEND_FLUSH: u32 = 0x0b;
    pub(in super::super) const PREDICATE: u32 = 0x0c;
    pub(in super::super) const TOPOLOGY_FILTER: u32 = 0x0d;
    pub(in super::super) const SET_APPID: u32 = 0x0e;
    pub(in super::super) const RS_CONTEXT: u32 = 0x0f;
    pub(in super::super) const LOAD_SCAN_LINES_INCL: u32 = 0x12;
    pub(in super::super) const LOAD_SCAN_LINES_EXCL: u32 = 0x13;
    pub(in super::super) const DISPLAY_FLIP: u32 = 0x14;
    pub(in super::super) const SET_CONTEXT: u32 = 0x18;
    pub(in super::super) const URB_CLEAR: u32 = 0x19;
    pub(in super::super) const MATH: u32 = 0x1a;
    pub(in super::super) const SEMAPHORE_SIGNAL: u32 = 0x1b;
    pub(in super::super) const SEMAPHORE_WAIT: u32 = 0x1c;
    pub(in super::super) const FORCE_WAKEUP: u32 = 0x1d;
    pub(in super::super) const STORE_DATA_IMM: u32 = 0x20;
    pub(in super::super) const STORE_DATA_INDEX: u32 = 0x21;
    pub(in super::super) const LOAD_REGISTER_IMM: u32 = 0x22;
    pub(in super::super) const UPDATE_GTT: u32 = 0x23;
    pub(in super::super) const STORE_REGISTER_MEM: u32 = 0x24;
    pub(in super::super) const FLUSH_DW: u32 = 0x26;
    pub(in super::super) const CLFLUSH: u32 = 0x27;
    pub(in super::super) const REPORT_PERF_COUNT: u32 = 0x28;
    pub(in super::super) const LOAD_REGISTER_MEM: u32 = 0x29;
    pub(in super::super) const LOAD_REGISTER_REG: u32 = 0x2a;
    pub(in super::super) const RS_STORE_DATA_IMM: u32 = 0x2b;
    pub(in super::super) const LOAD_URB_MEM: u32 = 0x2c;
    pub(in super::super) const STORE_URB_MEM: u32 = 0x2d;
    pub(in super::super) const COPY_MEM_MEM: u32 = 0x2e;
    pub(in super::super) const ATOMIC: u32 = 0x2f;
    pub(in super::super) const BATCH_BUFFER_START: u32 = 0x31;
    pub(in super::super) const CONDITIONAL_BATCH_BUFFER_END: u32 = 0x36;
}

/// Engines on which a command is legal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Engines {
    All,
    Render,
    /// Every engine but render.
    NotRender,
    /// Those that the display talks to.
    RenderAndCopy,
}

/// One MI command.
pub(super) struct Command {
    pub(super) name: &'static str,
    /// Fewest and most dwords of the whole command; (1, 1) has no length field.
    pub(super) dwords: (u32, u32),
    /// Mask of the length field.
    pub(super) length: u32,
    /// Bits [22:0] that the command defines, its length field included, by generation; `None` where the command
    /// does not exist.
    pub(super) bits: [Option<u32>; 4],
    pub(super) engines: Engines,
}

/// Index of a generation in [`Command::bits`].
pub(in super::super) const fn column(generation: Generation) -> usize {
    match generation {
        Generation::Gen8 => 0,
        Generation::Gen9 => 1,
        Generation::Gen11 => 2,
        Generation::Gen12 => 3,
    }
}

const fn command(
    name: &'static str,
    dwords: (u32, u32),
    length: u32,
    bits: [Option<u32>; 4],
    engines: Engines,
) -> Option<Command> {
    Some(Command { name, dwords, length, bits, engines })
}

/// The same bits on all generations.
const fn all(bits: u32) -> [Option<u32>; 4] {
    [Some(bits), Some(bits), Some(bits), Some(bits)]
}

/// Bits `low` to `high`.
const fn field(low: u32, high: u32) -> u32 {
    ((1 << (high - low + 1)) - 1) << low
}

const fn bit(n: u32) -> u32 {
    1 << n
}

const LEN6: u32 = 0x3f;
const LEN8: u32 = 0xff;
const LEN10: u32 = 0x3ff;
const ANY: u32 = 0x007f_ffff;
/// CS-relative register offset of Gen11 and later.
const CS: u32 = bit(19);
/// Register remapping to the executing instance, Gen12.
const REMAP: u32 = bit(17);
const GGTT: u32 = bit(22);

/// All MI commands by opcode.
pub(super) static COMMANDS: [Option<Command>; 64] = {
    const NONE: Option<Command> = None;
    let mut table = [NONE; 64];
    let single = (1, 1);
    table[op::NOOP as usize] = command("MI_NOOP", single, 0, all(ANY), Engines::All);
    table[op::SET_PREDICATE as usize] = command("MI_SET_PREDICATE", single, 0, all(0xf), Engines::All);
    table[op::USER_INTERRUPT as usize] = command("MI_USER_INTERRUPT", single, 0, all(0), Engines::All);
    table[op::WAIT_FOR_EVENT as usize] =
        command("MI_WAIT_FOR_EVENT", single, 0, all(ANY), Engines::RenderAndCopy);
    table[op::WAIT_FOR_EVENT_2 as usize] =
        command("MI_WAIT_FOR_EVENT_2", single, 0, [None, None, Some(ANY), Some(ANY)], Engines::RenderAndCopy);
    table[op::ARB_CHECK as usize] =
        command("MI_ARB_CHECK", single, 0, [Some(0), Some(0), Some(0), Some(0xffff)], Engines::All);
    table[op::RS_CONTROL as usize] = command("MI_RS_CONTROL", single, 0, all(1), Engines::Render);
    table[op::REPORT_HEAD as usize] = command("MI_REPORT_HEAD", single, 0, all(0), Engines::All);
    table[op::ARB_ON_OFF as usize] = command("MI_ARB_ON_OFF", single, 0, all(3), Engines::All);
    table[op::URB_ATOMIC_ALLOC as usize] =
        command("MI_URB_ATOMIC_ALLOC", single, 0, [Some(ANY), Some(ANY), None, None], Engines::Render);
    table[op::BATCH_BUFFER_END as usize] = command("MI_BATCH_BUFFER_END", single, 0, all(1), Engines::All);
    table[op::SUSPEND_FLUSH as usize] = command("MI_SUSPEND_FLUSH", single, 0, all(1), Engines::All);
    table[op::PREDICATE as usize] = command("MI_PREDICATE", single, 0, all(0xdb), Engines::All);
    table[op::TOPOLOGY_FILTER as usize] =
        command("MI_TOPOLOGY_FILTER", single, 0, all(0x3f), Engines::Render);
    table[op::SET_APPID as usize] = command("MI_SET_APPID", single, 0, all(0xff), Engines::All);
    table[op::RS_CONTEXT as usize] = command("MI_RS_CONTEXT", single, 0, all(1), Engines::Render);
    table[op::LOAD_SCAN_LINES_INCL as usize] =
        command("MI_LOAD_SCAN_LINES_INCL", (2, 2), LEN6, all(ANY), Engines::RenderAndCopy);
    table[op::LOAD_SCAN_LINES_EXCL as usize] =
        command("MI_LOAD_SCAN_LINES_EXCL", (2, 2), LEN6, all(ANY), Engines::RenderAndCopy);
    table[op::DISPLAY_FLIP as usize] =
        command("MI_DISPLAY_FLIP", (3, 4), LEN8, all(ANY), Engines::RenderAndCopy);
    table[op::SET_CONTEXT as usize] = command("MI_SET_CONTEXT", (2, 2), LEN8, all(LEN8), Engines::Render);
    table[op::URB_CLEAR as usize] =
        command("MI_URB_CLEAR", (2, 2), LEN8, [Some(ANY), None, None, None], Engines::Render);
    table[op::MATH as usize] = command("MI_MATH", (2, 257), LEN8, all(LEN8), Engines::All);
    table[op::SEMAPHORE_SIGNAL as usize] =
        command("MI_SEMAPHORE_SIGNAL", (2, 2), LEN8, all(LEN8 | field(15, 18) | bit(21)), Engines::All);
    // Four dwords; Gen12 also has the form with a token (PRM vol 2a).
    table[op::SEMAPHORE_WAIT as usize] = command(
        "MI_SEMAPHORE_WAIT",
        (4, 5),
        LEN8,
        all(LEN8 | field(12, 14) | bit(15) | bit(16) | GGTT),
        Engines::All,
    );
    table[op::FORCE_WAKEUP as usize] =
        command("MI_FORCE_WAKEUP", (2, 2), LEN8, [None, Some(LEN8), Some(LEN8), Some(LEN8)], Engines::All);
    table[op::STORE_DATA_IMM as usize] = {
        let bits = LEN10 | bit(21) | GGTT;
        let gen12 = bits | bit(10) | field(13, 20);
        let bits = [Some(bits), Some(bits), Some(bits), Some(gen12)];
        command("MI_STORE_DATA_IMM", (4, 1025), LEN10, bits, Engines::All)
    };
    table[op::STORE_DATA_INDEX as usize] =
        command("MI_STORE_DATA_INDEX", (3, 4), LEN8, all(LEN8 | bit(21)), Engines::All);
    table[op::LOAD_REGISTER_IMM as usize] = {
        // Bit 12, force posted, is set by Linux on every generation; the PRM calls it reserved on Gen12.
        let bits = LEN8 | field(8, 11) | bit(12);
        let bits = [Some(bits), Some(bits), Some(bits | CS), Some(bits | CS | REMAP)];
        command("MI_LOAD_REGISTER_IMM", (3, 257), LEN8, bits, Engines::All)
    };
    table[op::UPDATE_GTT as usize] = command("MI_UPDATE_GTT", (4, 1024), LEN10, all(LEN10), Engines::All);
    table[op::STORE_REGISTER_MEM as usize] = {
        let bits = LEN8 | bit(21) | GGTT;
        let bits = [Some(bits), Some(bits), Some(bits | CS), Some(bits | CS | REMAP)];
        command("MI_STORE_REGISTER_MEM", (4, 4), LEN8, bits, Engines::All)
    };
    table[op::FLUSH_DW as usize] = {
        let bits = LEN6 | field(7, 9) | field(14, 15) | bit(18) | bit(21) | bit(22);
        let bits = [Some(bits), Some(bits), Some(bits), Some(bits | bit(16))];
        // The 3-dword form of Gen6 carries no data; it is tolerated without a post-sync operation.
        command("MI_FLUSH_DW", (3, 5), LEN6, bits, Engines::NotRender)
    };
    table[op::CLFLUSH as usize] = command("MI_CLFLUSH", (3, 1025), LEN10, all(LEN10 | GGTT), Engines::Render);
    table[op::REPORT_PERF_COUNT as usize] =
        command("MI_REPORT_PERF_COUNT", (4, 4), LEN6, all(LEN6), Engines::Render);
    table[op::LOAD_REGISTER_MEM as usize] = {
        let bits = LEN8 | bit(21) | GGTT;
        let bits = [
            Some(bits),
            Some(bits),
            Some(bits | CS | bit(20)),
            Some(bits | CS | bit(20) | REMAP | field(8, 15)),
        ];
        command("MI_LOAD_REGISTER_MEM", (4, 4), LEN8, bits, Engines::All)
    };
    table[op::LOAD_REGISTER_REG as usize] = {
        let bits = [Some(LEN8), Some(LEN8), Some(LEN8 | field(18, 19)), Some(LEN8 | field(16, 19))];
        command("MI_LOAD_REGISTER_REG", (3, 3), LEN8, bits, Engines::All)
    };
    table[op::RS_STORE_DATA_IMM as usize] = command(
        "MI_RS_STORE_DATA_IMM",
        (4, 4),
        LEN8,
        [Some(LEN8), Some(LEN8), Some(LEN8), None],
        Engines::Render,
    );
    table[op::LOAD_URB_MEM as usize] =
        command("MI_LOAD_URB_MEM", (4, 4), LEN8, [Some(LEN8), Some(LEN8), None, None], Engines::Render);
    table[op::STORE_URB_MEM as usize] =
        command("MI_STORE_URB_MEM", (4, 4), LEN8, [Some(LEN8), Some(LEN8), None, None], Engines::Render);
    table[op::COPY_MEM_MEM as usize] = {
        let bits = LEN8 | bit(21) | GGTT;
        let bits = [Some(bits), Some(bits), Some(bits), Some(bits | field(8, 20))];
        command("MI_COPY_MEM_MEM", (5, 5), LEN8, bits, Engines::All)
    };
    table[op::ATOMIC as usize] = command("MI_ATOMIC", (3, 11), LEN8, all(ANY), Engines::All);
    table[op::BATCH_BUFFER_START as usize] = {
        let bits = LEN8 | bit(8) | bit(15) | bit(16) | bit(22);
        let bits = [Some(bits | bit(10)), Some(bits | bit(10)), Some(bits), Some(bits | field(19, 21))];
        command("MI_BATCH_BUFFER_START", (3, 3), LEN8, bits, Engines::All)
    };
    table[op::CONDITIONAL_BATCH_BUFFER_END as usize] = {
        let bits = LEN8 | bit(19) | bit(21) | GGTT;
        let bits = [Some(bits), Some(bits), Some(bits), Some(bits | field(12, 14) | bit(18))];
        command("MI_CONDITIONAL_BATCH_BUFFER_END", (4, 4), LEN8, bits, Engines::All)
    };
    table
};
