// SPDX-License-Identifier: BSD-2-Clause
//! The part of a logical context that the command streamer owns.
//!
//! Everything else that belongs to a context (general purpose registers, predicate sources, page directory
//! pointers, ...) lives in the register file behind the bus. What is here is visible as registers too:
//! [`StreamState::read_register`] and [`StreamState::write_register`] take the offset from the engine's base, so
//! that a context image can be loaded and saved as the list of (offset, value) pairs that it is.
//!
//! ```text
//!    ring ──BB_START──► batch ──BB_START (second level)──► second
//!     ▲ head               ▲ address                          │
//!     └────BB_END──────────┴──────────────BB_END──────────────┘
//! ```

use super::bus::{Level, Position, Space};
use super::outcome::SemaphoreWait;

/// Register offsets from the engine's base, PRM vol 2c.
mod offset {
    pub(super) const TAIL: u32 = 0x030;
    pub(super) const HEAD: u32 = 0x034;
    pub(super) const START: u32 = 0x038;
    pub(super) const CTL: u32 = 0x03c;
    pub(super) const ACTHD_UDW: u32 = 0x05c;
    pub(super) const IPEHR: u32 = 0x068;
    pub(super) const ACTHD: u32 = 0x074;
    pub(super) const NOPID: u32 = 0x094;
    pub(super) const BB_STATE: u32 = 0x110;
    pub(super) const SBB_ADDR: u32 = 0x114;
    pub(super) const SBB_STATE: u32 = 0x118;
    pub(super) const SBB_ADDR_UDW: u32 = 0x11c;
    pub(super) const BB_ADDR: u32 = 0x140;
    pub(super) const BB_OFFSET: u32 = 0x158;
    pub(super) const BB_ADDR_UDW: u32 = 0x168;
    pub(super) const SET_PREDICATE_RESULT: u32 = 0x3b8;
}

/// RING_HEAD: byte offset, PRM vol 2c.
pub(super) const HEAD_OFFSET: u32 = 0x001f_fffc;
/// RING_TAIL: byte offset with its low bits, which must be 0.
pub(super) const TAIL_OFFSET: u32 = 0x001f_ffff;
/// RING_CTL: number of pages minus one.
const CTL_PAGES: u32 = 0x001f_f000;
/// RING_CTL: enable.
const CTL_ENABLE: u32 = 1;
/// BB_STATE and SBB_STATE: PPGTT.
const STATE_PPGTT: u32 = 1 << 5;
/// BB_ADDR and SBB_ADDR: valid.
const ADDRESS_VALID: u32 = 1;
/// Batches start at a dword of a 48-bit address space.
const BATCH_ADDRESS: u64 = 0xffff_ffff_fffc;
/// One wrap of the ring in RING_HEAD.
const HEAD_WRAP: u32 = 1 << 21;

/// One of the two places where the hardware keeps the address of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// A batch of this level is being executed.
    pub valid: bool,
    /// Address of the next command; a multiple of 4, below 2^48.
    pub address: u64,
    /// Address space; PPGTT batches are non-privileged.
    pub space: Space,
}

impl Batch {
    /// No batch.
    pub const NONE: Self = Self { valid: false, address: 0, space: Space::Ggtt };
}

/// State of one stream, saved and restored with its context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// RING_START.
    pub start: u32,
    /// RING_HEAD with the wrap count.
    pub head: u32,
    /// RING_TAIL as written.
    pub tail: u32,
    /// RING_CTL.
    pub control: u32,
    /// First-level batch.
    pub batch: Batch,
    /// Second-level batch; meaningful only with a first-level batch.
    pub second: Batch,
    /// BB_OFFSET.
    pub batch_offset: u32,
    /// MI_ARB_ON_OFF.
    pub arbitration: bool,
    /// The Gen12 pre-parser is disabled.
    pub pre_parser_disabled: bool,
    /// MI_SET_PREDICATE: commands are skipped until the next MI_SET_PREDICATE.
    pub skipping: bool,
    /// NOPID.
    pub noop_id: u32,
    /// IPEHR: header of the last command.
    pub header: u32,
    /// The unsatisfied semaphore before which the stream stands.
    pub wait: Option<SemaphoreWait>,
    /// A signal arrived since that wait was last compared.
    pub signalled: bool,
    /// Rows that the blit at the current position has already written; 0 outside a blit.
    pub(super) blit_row: u32,
    /// A PIPE_CONTROL without flags came since the last VF invalidation (needed before the next one on Gen9).
    pub(super) null_pipe_control: bool,
    /// Clip rectangle of XY_SETUP_CLIP_BLT and its relatives.
    pub(super) clip: Option<Clip>,
    /// End of a first-level batch that has no MI_BATCH_BUFFER_END.
    pub(super) batch_end: u64,
}

/// Clip rectangle of the blitter: BR24 and BR25. Right and lower edge are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clip {
    /// Left edge.
    pub x1: i64,
    /// Upper edge.
    pub y1: i64,
    /// Right edge.
    pub x2: i64,
    /// Lower edge.
    pub y2: i64,
}

impl Default for StreamState {
    fn default() -> Self {
        Self::new()
    }
}

impl StreamState {
    /// State of a fresh context: no ring, arbitration on.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            start: 0,
            head: 0,
            tail: 0,
            control: 0,
            batch: Batch::NONE,
            second: Batch::NONE,
            batch_offset: 0,
            arbitration: true,
            pre_parser_disabled: false,
            skipping: false,
            noop_id: 0,
            header: 0,
            wait: None,
            signalled: false,
            blit_row: 0,
            null_pipe_control: false,
            clip: None,
            batch_end: u64::MAX,
        }
    }

    /// A stream that executes one of the batches that belong to a context restore (PRM, Command Stream Programming), in the GGTT
    /// and privileged, and is idle afterwards. `bytes` is the size of an INDIRECT_CTX block; `None` is for
    /// BB_PER_CTX_PTR, which ends with MI_BATCH_BUFFER_END. There are no arbitration points inside.
    #[must_use]
    pub fn context_batch(address: u32, bytes: Option<u32>) -> Self {
        let address = u64::from(address & !3);
        Self {
            control: CTL_ENABLE,
            arbitration: false,
            batch: Batch { valid: true, address, space: Space::Ggtt },
            batch_end: bytes.map_or(u64::MAX, |bytes| address + u64::from(bytes & !3)),
            ..Self::new()
        }
    }

    /// Ring size in bytes, 4 KiB to 2 MiB.
    #[inline]
    #[must_use]
    pub const fn ring_size(&self) -> u32 {
        (self.control & CTL_PAGES) + 0x1000
    }

    /// GGTT address of the ring; rings start at a page.
    #[inline]
    #[must_use]
    pub(super) const fn ring_base(&self) -> u64 {
        (self.start & !0xfff) as u64
    }

    /// Is the ring enabled?
    #[inline]
    #[must_use]
    pub const fn ring_enabled(&self) -> bool {
        self.control & CTL_ENABLE != 0
    }

    /// Byte offset of the head in the ring.
    #[inline]
    #[must_use]
    pub const fn head_offset(&self) -> u32 {
        self.head & HEAD_OFFSET
    }

    /// Moves to the command at `address` of the innermost level (ring: in the GGTT, at most one past its end).
    #[inline]
    pub(super) fn set_address(&mut self, address: u64) {
        match self.level() {
            Level::Ring => {
                let offset = low(address.wrapping_sub(self.ring_base()));
                self.set_head_offset(if offset >= self.ring_size() { 0 } else { offset });
            }
            Level::Batch => self.batch.address = address,
            Level::SecondBatch => self.second.address = address,
        }
    }

    /// Moves the head; counts a wrap when it returns to the start of the ring.
    #[inline]
    const fn set_head_offset(&mut self, offset: u32) {
        let wrapped = if offset < self.head & HEAD_OFFSET { HEAD_WRAP } else { 0 };
        self.head = (self.head & !HEAD_OFFSET).wrapping_add(wrapped) | offset;
    }

    /// At ring level with head equal to tail, or at the end of a block without MI_BATCH_BUFFER_END.
    #[inline]
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        match self.level() {
            Level::Ring => self.head & HEAD_OFFSET == self.tail & TAIL_OFFSET,
            Level::Batch => self.batch.address >= self.batch_end,
            Level::SecondBatch => false,
        }
    }

    /// Nesting level.
    #[inline]
    #[must_use]
    pub const fn level(&self) -> Level {
        match (self.batch.valid, self.second.valid) {
            (false, _) => Level::Ring,
            (true, false) => Level::Batch,
            (true, true) => Level::SecondBatch,
        }
    }

    /// Where the next command stands.
    #[inline]
    #[must_use]
    pub fn position(&self) -> Position {
        let level = self.level();
        let (space, address) = match level {
            Level::Ring => (Space::Ggtt, self.ring_base() + u64::from(self.head_offset())),
            Level::Batch => (self.batch.space, self.batch.address & BATCH_ADDRESS),
            Level::SecondBatch => (self.second.space, self.second.address & BATCH_ADDRESS),
        };
        Position { level, space, address }
    }

    /// ACTHD: ring offset, or address in the innermost batch.
    #[must_use]
    pub fn active_head(&self) -> u64 {
        match self.level() {
            Level::Ring => u64::from(self.head_offset()),
            Level::Batch | Level::SecondBatch => self.position().address,
        }
    }

    /// In the middle of a blit: not a place to switch contexts.
    #[must_use]
    pub const fn is_mid_command(&self) -> bool {
        self.blit_row != 0
    }

    /// MI_SEMAPHORE_SIGNAL reached this context: a wait in signal mode compares again.
    pub const fn signal_semaphore(&mut self) {
        self.signalled = true;
    }

    /// Value of the register at `relative` bytes from the engine's base, if the stream owns it.
    #[inline]
    #[must_use]
    pub fn read_register(&self, relative: u32) -> Option<u32> {
        Some(match relative {
            offset::TAIL => self.tail,
            offset::HEAD => self.head,
            offset::START => self.start,
            offset::CTL => self.control,
            offset::ACTHD => low(self.active_head()),
            offset::ACTHD_UDW => high(self.active_head()),
            offset::IPEHR => self.header,
            offset::NOPID => self.noop_id,
            offset::BB_STATE => state_bits(self.batch),
            offset::BB_ADDR => address_bits(self.batch),
            offset::BB_ADDR_UDW => high(self.batch.address),
            offset::SBB_STATE => state_bits(self.second),
            offset::SBB_ADDR => address_bits(self.second),
            offset::SBB_ADDR_UDW => high(self.second.address),
            offset::BB_OFFSET => self.batch_offset,
            offset::SET_PREDICATE_RESULT => u32::from(self.skipping),
            _ => return None,
        })
    }

    /// May a command write this register while the stream runs? The others steer the parser itself.
    #[inline]
    pub(super) const fn writable_by_commands(relative: u32) -> bool {
        matches!(relative, offset::NOPID | offset::BB_OFFSET | offset::SBB_STATE)
    }

    /// Writes the bytes of `value` that `mask` selects to the register at `relative` bytes from the engine's
    /// base. Answers `false`, with no effect, if the stream does not own it. Read-only registers ignore it.
    ///
    /// Writing BB_ADDR or SBB_ADDR makes the batch valid or not by bit 0, so that loading a context image
    /// resumes inside a batch.
    pub fn write_register(&mut self, relative: u32, value: u32, mask: u32) -> bool {
        let Some(old) = self.read_register(relative) else { return false };
        let value = (old & !mask) | (value & mask);
        if matches!(relative, offset::HEAD | offset::BB_ADDR | offset::SBB_ADDR) {
            self.blit_row = 0;
        }
        match relative {
            offset::TAIL => self.tail = value & TAIL_OFFSET,
            offset::HEAD => self.head = value & !3,
            offset::START => self.start = value & !0xfff,
            offset::CTL => self.control = value,
            offset::NOPID => self.noop_id = value & 0x003f_ffff,
            offset::BB_OFFSET => self.batch_offset = value,
            offset::IPEHR => self.header = value,
            offset::SET_PREDICATE_RESULT => self.skipping = value & 1 != 0,
            offset::BB_STATE => self.batch.space = space_of(value),
            offset::BB_ADDR => set_low(&mut self.batch, value),
            offset::BB_ADDR_UDW => set_high(&mut self.batch, value),
            offset::SBB_STATE => self.second.space = space_of(value),
            offset::SBB_ADDR => set_low(&mut self.second, value),
            offset::SBB_ADDR_UDW => set_high(&mut self.second, value),
            _ => {}
        }
        true
    }
}

/// Low half.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "CAST: the low half is wanted")]
const fn low(value: u64) -> u32 {
    value as u32
}

/// Upper half.
#[inline]
const fn high(value: u64) -> u32 {
    low(value >> 32)
}

/// BB_STATE of a batch.
#[inline]
const fn state_bits(batch: Batch) -> u32 {
    match batch.space {
        Space::Ppgtt => STATE_PPGTT,
        Space::Ggtt => 0,
    }
}

/// Address space that BB_STATE names.
const fn space_of(value: u32) -> Space {
    if value & STATE_PPGTT != 0 { Space::Ppgtt } else { Space::Ggtt }
}

/// BB_ADDR of a batch.
#[inline]
const fn address_bits(batch: Batch) -> u32 {
    low(batch.address) & !3 | if batch.valid { ADDRESS_VALID } else { 0 }
}

/// Writes BB_ADDR.
fn set_low(batch: &mut Batch, value: u32) {
    batch.valid = value & ADDRESS_VALID != 0;
    batch.address = (batch.address & !0xffff_ffff) | u64::from(value & !3);
}

/// Writes BB_ADDR_UDW; addresses have 48 bits.
fn set_high(batch: &mut Batch, value: u32) {
    batch.address = (batch.address & 0xffff_ffff) | (u64::from(value & 0xffff) << 32);
}
