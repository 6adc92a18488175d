// SPDX-License-Identifier: BSD-2-Clause
//! MI_FLUSH_DW and PIPE_CONTROL: flush, then the post-sync operation, then the interrupt.

use super::super::bus::{CommandBus, EngineClass, Flush, Generation, Interrupt, Privilege, Space};
use super::super::exec::{Exec, Flow, REGISTER_OFFSET, Result, Stop};
use super::super::outcome::ErrorKind;

/// MI_FLUSH_DW header bits, PRM vol 2a.
mod flush_bit {
    pub(super) const STORE_INDEX: u32 = 1 << 21;
    pub(super) const TLB_INVALIDATE: u32 = 1 << 18;
    pub(super) const LLC: u32 = 1 << 9;
    pub(super) const NOTIFY: u32 = 1 << 8;
    pub(super) const VIDEO_INVALIDATE: u32 = 1 << 7;
    /// In dword 1.
    pub(super) const GGTT: u32 = 1 << 2;
    /// In dword 1: must be 0.
    pub(super) const ADDRESS_5: u32 = 1 << 5;
}
/// PIPE_CONTROL dword 1, PRM vol 2a.
mod pipe {
    pub(super) const DEPTH_FLUSH: u32 = 1 << 0;
    pub(super) const SCOREBOARD_STALL: u32 = 1 << 1;
    pub(super) const VF_INVALIDATE: u32 = 1 << 4;
    pub(super) const DC_FLUSH: u32 = 1 << 5;
    pub(super) const NOTIFY: u32 = 1 << 8;
    pub(super) const RT_FLUSH: u32 = 1 << 12;
    pub(super) const DEPTH_STALL: u32 = 1 << 13;
    pub(super) const TLB_INVALIDATE: u32 = 1 << 18;
    pub(super) const CS_STALL: u32 = 1 << 20;
    pub(super) const STORE_INDEX: u32 = 1 << 21;
    pub(super) const LRI: u32 = 1 << 23;
    pub(super) const GGTT: u32 = 1 << 24;
    pub(super) const LLC: u32 = 1 << 26;
    pub(super) const TILE_FLUSH: u32 = 1 << 28;
    /// Read-only caches: state, constant, VF, texture, instruction, and Gen11's command cache.
    pub(super) const INVALIDATE: u32 = 1 << 2 | 1 << 3 | VF_INVALIDATE | 1 << 10 | 1 << 11 | 1 << 29;
    /// Bits that no generation defines: 6, 22, 30, 31.
    pub(super) const RESERVED: u32 = 1 << 6 | 1 << 22 | 3 << 30;
    /// Bits that came with Gen11: PSD sync, tile cache flush, command cache invalidate.
    pub(super) const GEN11: u32 = 1 << 17 | TILE_FLUSH | 1 << 29;
    /// Bit that came with Gen12: AMFS flush.
    pub(super) const GEN12: u32 = 1 << 25;
}
/// PS_DEPTH_COUNT, 64 bits (Mesa genxml).
const PS_DEPTH_COUNT: u32 = 0x2350;
/// MI_FLUSH_DW's timestamp has 36 bits; PIPE_CONTROL writes all 64 (PRM, post-sync operation 3).
const FLUSH_TIMESTAMP: u64 = (1 << 36) - 1;
const FLUSH_SOURCE: &str = "PRM, MI_FLUSH_DW";
const PIPE_SOURCE: &str = "PRM, PIPE_CONTROL";

/// Post-sync operation, bits [15:14] of either command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PostSync {
    None,
    Immediate,
    DepthCount,
    Timestamp,
}

impl PostSync {
    const fn new(dword: u32) -> Self {
        match dword >> 14 & 3 {
            0 => Self::None,
            1 => Self::Immediate,
            2 => Self::DepthCount,
            _ => Self::Timestamp,
        }
    }
}

/// MI_FLUSH_DW.
pub(super) fn flush_dw<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let header = exec.header;
    let [low, high] = exec.operands()?;
    let post_sync = PostSync::new(header);
    if post_sync == PostSync::DepthCount {
        return Err(Stop::Error(ErrorKind::BadField, "post-sync operation 2 does not exist in MI_FLUSH_DW"));
    }
    if header & flush_bit::VIDEO_INVALIDATE != 0 && exec.engine.class != EngineClass::Video {
        exec.violation("bit 7 exists on video engines only", FLUSH_SOURCE, String::new());
    }
    if exec.length < 4 {
        if post_sync != PostSync::None {
            return Err(Stop::Error(ErrorKind::BadLength, "a post-sync operation needs four or five dwords"));
        }
        exec.violation("Gen8 and later have four or five dwords", FLUSH_SOURCE, String::new());
    }
    exec.window.drop();
    exec.bus.flush(Flush {
        write_back: true,
        invalidate: header & flush_bit::VIDEO_INVALIDATE != 0,
        stall: true,
        llc: header & flush_bit::LLC != 0,
    });
    if header & flush_bit::TLB_INVALIDATE != 0 {
        // "This bit is only valid when the Post-Sync Operation field is a value of 1h or 3h."
        if post_sync == PostSync::None {
            exec.violation(
                "TLB invalidation needs a post-sync operation; without one it is ignored",
                FLUSH_SOURCE,
                String::new(),
            );
        } else {
            exec.bus.invalidate_tlb();
        }
    }
    if post_sync != PostSync::None {
        flush_post_sync(exec, post_sync, low, high)?;
    }
    if header & flush_bit::NOTIFY != 0 {
        exec.bus.interrupt(Interrupt::FlushNotify);
    }
    Ok(Flow::Next)
}

fn flush_post_sync<B: CommandBus + ?Sized>(
    exec: &mut Exec<'_, B>,
    post_sync: PostSync,
    low: u32,
    high: u32,
) -> Result<()> {
    if low & flush_bit::ADDRESS_5 != 0 {
        exec.violation("address bit 5 must be 0", FLUSH_SOURCE, format!("{low:#x}"));
    }
    let ggtt = low & flush_bit::GGTT != 0;
    let index = exec.header & flush_bit::STORE_INDEX != 0;
    let Some((space, address)) = destination(exec, low & !flush_bit::GGTT, high, 7, ggtt, index) else {
        return Ok(());
    };
    let value = match post_sync {
        PostSync::Timestamp => exec.bus.timestamp() & FLUSH_TIMESTAMP,
        // The size of the data follows from the length (PRM, post-sync operation 1).
        PostSync::None | PostSync::Immediate | PostSync::DepthCount => {
            let data = exec.operand(3)?;
            if exec.length < 5 {
                return exec.write_u32(space, address, data);
            }
            u64::from(data) | u64::from(exec.operand(4)?) << 32
        }
    };
    exec.write_u64(space, address, value)
}

/// Where a post-sync operation writes; `None` after a privilege violation (the flush itself has happened).
fn destination<B: CommandBus + ?Sized>(
    exec: &mut Exec<'_, B>,
    low: u32,
    high: u32,
    low_bits: u32,
    ggtt: bool,
    index: bool,
) -> Option<(Space, u64)> {
    let address = exec.address(low, high, low_bits);
    if (ggtt || index) && exec.privilege() == Privilege::NonPrivileged {
        exec.bus.privilege_violation(exec.header, exec.position);
        return None;
    }
    if index {
        if address & !0xfff != 0 {
            exec.violation(
                "with store index the address is an offset in the status page",
                "PRM, Store Data Index",
                format!("{address:#x}"),
            );
        }
        return Some((Space::Ggtt, exec.bus.process_status_page() + (address & 0xfff)));
    }
    Some((if ggtt { Space::Ggtt } else { Space::Ppgtt }, address))
}

/// PIPE_CONTROL, six dwords. The caller has checked engine and length.
pub(in super::super) fn pipe_control<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> Result<Flow> {
    let [flags, low, high, data_low, data_high] = exec.operands()?;
    let post_sync = PostSync::new(flags);
    check_pipe_control(exec, flags, post_sync);
    // Linux puts a data cache flush between the two on some steppings, so others may come in between.
    if flags == 0 || flags & pipe::VF_INVALIDATE != 0 {
        exec.state.null_pipe_control = flags == 0;
    }
    exec.window.drop();
    exec.bus.flush(Flush {
        write_back: flags & (pipe::RT_FLUSH | pipe::DEPTH_FLUSH | pipe::DC_FLUSH | pipe::TILE_FLUSH) != 0,
        invalidate: flags & pipe::INVALIDATE != 0,
        stall: flags & pipe::CS_STALL != 0,
        llc: flags & pipe::LLC != 0,
    });
    if flags & pipe::TLB_INVALIDATE != 0 {
        exec.bus.invalidate_tlb();
    }
    if flags & pipe::LRI != 0 {
        post_sync_register(exec, low, data_low);
    } else if post_sync != PostSync::None {
        let (ggtt, index) = (flags & pipe::GGTT != 0, flags & pipe::STORE_INDEX != 0);
        if let Some((space, address)) = destination(exec, low, high, 7, ggtt, index) {
            let value = match post_sync {
                PostSync::Timestamp => exec.bus.timestamp(),
                PostSync::DepthCount => depth_count(exec),
                PostSync::None | PostSync::Immediate => u64::from(data_low) | u64::from(data_high) << 32,
            };
            exec.write_u64(space, address, value)?;
        }
    }
    if flags & pipe::NOTIFY != 0 {
        exec.bus.interrupt(Interrupt::FlushNotify);
    }
    Ok(Flow::Next)
}

/// The LRI post-sync operation.
fn post_sync_register<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, offset: u32, value: u32) {
    let denied = exec.privilege() == Privilege::NonPrivileged
        || exec.write_register(offset & REGISTER_OFFSET, value, u32::MAX, Privilege::Privileged).is_err();
    if denied {
        exec.bus.privilege_violation(exec.header, exec.position);
    }
}

fn depth_count<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>) -> u64 {
    let half = |exec: &mut Exec<'_, B>, offset| {
        u64::from(exec.read_register(offset, Privilege::Privileged).unwrap_or(0))
    };
    half(exec, PS_DEPTH_COUNT) | half(exec, PS_DEPTH_COUNT + 4) << 32
}

fn check_pipe_control<B: CommandBus + ?Sized>(exec: &mut Exec<'_, B>, flags: u32, post_sync: PostSync) {
    let generation = exec.generation;
    // Dword 0: bit 9 HDC flush and bit 12 L3 control on Gen12, else nothing above the length.
    let allowed = if generation == Generation::Gen12 { 1 << 9 | 1 << 12 } else { 0 };
    if exec.header & 0xff00 & !allowed != 0 {
        exec.violation("reserved header bits must be 0", PIPE_SOURCE, String::new());
    }
    let mut reserved = pipe::RESERVED;
    if generation < Generation::Gen11 {
        reserved |= pipe::GEN11;
    }
    if generation < Generation::Gen12 {
        reserved |= pipe::GEN12;
    }
    let detail = || format!("flags {flags:#010x}");
    if flags & reserved != 0 {
        exec.violation("reserved bits must be 0", PIPE_SOURCE, detail());
    }
    let companions =
        pipe::RT_FLUSH | pipe::DEPTH_FLUSH | pipe::DC_FLUSH | pipe::SCOREBOARD_STALL | pipe::DEPTH_STALL;
    if generation < Generation::Gen11
        && flags & pipe::CS_STALL != 0
        && flags & companions == 0
        && post_sync == PostSync::None
    {
        exec.violation(
            "a command streamer stall needs a flush, a pixel stall or a post-sync operation beside it",
            PIPE_SOURCE,
            detail(),
        );
    }
    if flags & pipe::TLB_INVALIDATE != 0 && flags & pipe::CS_STALL == 0 {
        exec.violation("TLB invalidation needs a command streamer stall", PIPE_SOURCE, detail());
    }
    if flags & pipe::LRI != 0 && post_sync != PostSync::None {
        exec.violation("with an LRI post-sync operation the post-sync field is 0", PIPE_SOURCE, detail());
    }
    if generation == Generation::Gen9 && flags & pipe::VF_INVALIDATE != 0 && !exec.state.null_pipe_control {
        exec.violation(
            "VF invalidation on Gen9 needs a PIPE_CONTROL without flags before it",
            PIPE_SOURCE,
            detail(),
        );
    }
}
