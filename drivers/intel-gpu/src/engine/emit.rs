// SPDX-License-Identifier: BSD-2-Clause
//! What a request looks like in the ring.
//!
//! ```text
//!   waits          MI_SEMAPHORE_WAIT per fence that the GPU waits for
//!   registers      MI_LOAD_REGISTER_IMM, in the first request of an engine only
//!   invalidate     flush with TLB invalidation: stale translations end here
//!   batch          arbitration on; MI_BATCH_BUFFER_START; arbitration off
//!   breadcrumb     flush; sequence number into the timeline's slot           <- `breadcrumb`
//!                  MI_USER_INTERRUPT; arbitration on                         -> `tail`
//!   spare          MI_ARB_CHECK; MI_NOOP                                     -> `spare_tail`
//! ```
//!
//! The two spare dwords exist for WaIdleLiteRestore: a context that is submitted again without new work
//! gets its tail moved past them, for the hardware must not be given a ring whose head is at its tail.
//!
//! Sources: PRM vol 2a (PIPE_CONTROL, MI_FLUSH_DW programming notes); i915: gen8_engine_cs.c.

use super::commands::{self, flush_dw, pipe_control as pc};
use super::image::STATUS_SCRATCH;
use crate::address::{GgttOffset, GpuVirtual};
use crate::device::{EngineClass, Generation};
use crate::platform::Dwords;

/// Most dwords of a request without its waits; a test holds every engine to it.
pub(crate) const MAX_DWORDS: u32 = 48;
/// Most dwords of one wait.
pub(crate) const WAIT_DWORDS: u32 = 6;

/// Writes dwords to consecutive places, and counts them.
pub(crate) struct Writer<D> {
    to: D,
    written: u32,
}

impl<D: Dwords> Writer<D> {
    pub(crate) const fn new(to: D) -> Self {
        Self { to, written: 0 }
    }

    fn put(&mut self, dword: u32) {
        self.put_all(&[dword]);
    }

    pub(crate) fn put_all<const N: usize>(&mut self, dwords: &[u32; N]) {
        self.to.put(dwords);
        // CAST: a few dwords.
        #[expect(clippy::cast_possible_truncation)]
        let count = const { N as u32 };
        self.written += count;
    }

    /// Requests and tails are 8-byte aligned.
    fn pad(&mut self) {
        if !self.written.is_multiple_of(2) {
            self.put(commands::NOOP);
        }
    }

    const fn bytes(&self) -> u32 {
        self.written * 4
    }
}

/// Which dialect a request is written in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    pub(crate) generation: Generation,
    pub(crate) class: EngineClass,
    /// The render engine's invalidation goes between a flush of the data cache and a stall (WaForGAMHang, Kaby Lake
    /// before stepping C0; i915: gen8_engine_cs.c, `gen8_emit_flush_rcs`).
    pub(crate) dc_flush: bool,
}

/// A sequence number in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Breadcrumb {
    /// The timeline's slot, 64-byte aligned.
    pub(crate) slot: GgttOffset,
    /// Low half of the sequence number.
    pub(crate) value: u32,
}

/// Where the parts of a request ended up, in bytes from its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// First dword of what follows the batch.
    pub(crate) breadcrumb: u32,
    pub(crate) tail: u32,
    pub(crate) spare_tail: u32,
}

/// Dwords of MI_BATCH_BUFFER_START.
const BATCH_DWORDS: usize = 3;

/// What a request does between its waits and its breadcrumb.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Payload {
    /// Executes a client's batch.
    Batch(GpuVirtual),
    /// Executes commands of the driver's own, privileged.
    Program(GgttOffset),
    /// Nothing: it only signals.
    Nothing,
    /// Loads registers of the context, offsets absolute.
    Registers(&'static [(u32, u32)]),
}

impl Payload {
    /// Bytes that its loads of registers take beyond [`MAX_DWORDS`].
    // CAST: a table of a few registers.
    #[expect(clippy::cast_possible_truncation)]
    pub(crate) const fn loads_bytes(self) -> u32 {
        match self {
            Self::Registers(rows) => (2 + 2 * rows.len() as u32) * 4,
            Self::Batch(_) | Self::Program(_) | Self::Nothing => 0,
        }
    }
}

/// Writes a request.
#[inline]
pub(crate) fn request<D: Dwords>(
    mut to: Writer<D>,
    dialect: Dialect,
    waits: impl Iterator<Item = Breadcrumb>,
    payload: Payload,
    signal: Breadcrumb,
) -> Layout {
    for wait in waits {
        semaphore(&mut to, dialect, wait);
    }
    invalidate(&mut to, dialect);
    if let Payload::Registers(registers) = payload {
        load_registers(&mut to, registers);
    }
    batch_start(&mut to, dialect, payload);
    to.pad();
    let breadcrumb = to.bytes();
    finish(&mut to, dialect, signal);
    to.put_all(&[commands::USER_INTERRUPT, commands::ARB_ON]);
    to.pad();
    let tail = to.bytes();
    to.put_all(&[commands::ARB_CHECK, commands::NOOP]);
    Layout { breadcrumb, tail, spare_tail: to.bytes() }
}

/// Writes what a request without waits executes before its breadcrumb.
pub(crate) fn execute<D: Dwords>(mut to: Writer<D>, dialect: Dialect, payload: Payload) {
    invalidate(&mut to, dialect);
    batch_start(&mut to, dialect, payload);
}

#[inline]
fn semaphore<D: Dwords>(to: &mut Writer<D>, dialect: Dialect, wait: Breadcrumb) {
    let gen12 = dialect.generation == Generation::Gen12;
    to.put_all(&[commands::semaphore_wait_ge(gen12), wait.value, wait.slot.get(), 0]);
    if gen12 {
        to.put_all(&[0, commands::NOOP]); // no token; padding
    }
}

/// Start of a request: nothing that was cached of the address space before is used from here on.
#[inline]
fn invalidate<D: Dwords>(to: &mut Writer<D>, dialect: Dialect) {
    let Dialect { generation, class, dc_flush } = dialect;
    let gen12 = generation == Generation::Gen12;
    if gen12 {
        to.put(commands::PREPARSER_OFF);
    }
    if class == EngineClass::Render {
        let mut flags = pc::CS_STALL
            | pc::INVALIDATE_TLB
            | pc::INVALIDATE_INSTRUCTION
            | pc::INVALIDATE_TEXTURE
            | pc::INVALIDATE_VF
            | pc::INVALIDATE_CONST
            | pc::INVALIDATE_STATE
            | pc::WRITE_IMMEDIATE
            | pc::STORE_INDEX;
        if generation.is_gen11_or_12() {
            flags |= pc::INVALIDATE_COMMAND;
        }
        if generation.is_gen9() {
            // A VF invalidation needs a PIPE_CONTROL without any flag before it.
            to.put_all(&[pc::HEADER, 0, 0, 0, 0, 0]);
        }
        if dc_flush {
            to.put_all(&[pc::HEADER, pc::DC_FLUSH, 0, 0, 0, 0]);
        }
        to.put_all(&[pc::HEADER, flags, STATUS_SCRATCH, 0, 0, 0]);
        if dc_flush {
            to.put_all(&[pc::HEADER, pc::CS_STALL, 0, 0, 0, 0]);
        }
    } else {
        let video = if class == EngineClass::Video { flush_dw::INVALIDATE_BSD } else { 0 };
        let header = flush_dw::HEADER
            | flush_dw::STORE_INDEX
            | flush_dw::WRITE_IMMEDIATE
            | flush_dw::INVALIDATE_TLB
            | video;
        to.put_all(&[header, STATUS_SCRATCH, 0, 0]);
    }
    if gen12 {
        to.put(commands::PREPARSER_ON);
    }
}

fn load_registers<D: Dwords>(to: &mut Writer<D>, registers: &[(u32, u32)]) {
    if registers.is_empty() {
        return;
    }
    // CAST: a table of a few registers.
    #[expect(clippy::cast_possible_truncation)]
    to.put(commands::load_register_imm(registers.len() as u32));
    for (register, value) in registers {
        to.put_all(&[*register, *value]);
    }
    to.pad();
}

/// The batch, with arbitration on only where it can be preempted.
#[inline]
fn batch_start<D: Dwords>(to: &mut Writer<D>, dialect: Dialect, payload: Payload) {
    let gen8 = dialect.generation == Generation::Gen8;
    to.put(if gen8 { commands::ARB_OFF } else { commands::ARB_ON });
    match payload {
        Payload::Batch(address) => {
            let address = address.canonical();
            // CAST: the two halves.
            #[expect(clippy::cast_possible_truncation)]
            to.put_all(&[commands::BATCH_START, address as u32, (address >> 32) as u32]);
        }
        Payload::Program(address) => to.put_all(&[commands::PROGRAM_START, address.get(), 0]),
        Payload::Nothing | Payload::Registers(_) => to.put_all(&[commands::NOOP; BATCH_DWORDS]),
    }
    if !gen8 {
        to.put(commands::ARB_OFF);
    }
}

/// End of a request: everything it wrote is visible before the sequence number is.
#[inline]
fn finish<D: Dwords>(to: &mut Writer<D>, dialect: Dialect, signal: Breadcrumb) {
    let Dialect { generation, class, .. } = dialect;
    let gen12 = generation == Generation::Gen12;
    if class == EngineClass::Render {
        let mut header = pc::HEADER;
        let mut flags =
            pc::CS_STALL | pc::INVALIDATE_TLB | pc::RENDER_TARGET_FLUSH | pc::DEPTH_FLUSH | pc::DC_FLUSH;
        if generation.is_gen11_or_12() {
            flags |= pc::TILE_FLUSH;
        }
        if gen12 {
            header |= pc::HDC_FLUSH;
            flags |= pc::DEPTH_STALL | pc::FLUSH_ENABLE | pc::L3_FLUSH;
        }
        to.put_all(&[header, flags, 0, 0, 0, 0]);
        let write = pc::FLUSH_ENABLE | pc::CS_STALL | pc::WRITE_IMMEDIATE | pc::ADDRESS_GGTT;
        to.put_all(&[pc::HEADER, write, signal.slot.get(), 0, signal.value, 0]);
    } else {
        if gen12 {
            to.put_all(&[flush_dw::HEADER, 0, 0, 0]);
        }
        let header = flush_dw::HEADER | flush_dw::WRITE_IMMEDIATE;
        to.put_all(&[header, signal.slot.get() | flush_dw::ADDRESS_GGTT, 0, signal.value]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::DmaOffset;
    use crate::platform::DmaMemory;
    use crate::testing::FakeHardware;

    const SIGNAL: Breadcrumb = Breadcrumb { slot: GgttOffset::new(0xffff_e040), value: 7 };

    fn emitted(
        generation: Generation,
        class: EngineClass,
        waits: &[Breadcrumb],
        batch: Option<u64>,
    ) -> (Vec<u32>, Layout) {
        let mut memory = FakeHardware::new(1);
        let writer = Writer::new(memory.dwords(DmaOffset(0), 1024));
        let batch = batch.and_then(GpuVirtual::new).map_or(Payload::Nothing, Payload::Batch);
        let dialect = Dialect { generation, class, dc_flush: false };
        let layout = request(writer, dialect, waits.iter().copied(), batch, SIGNAL);
        let count = layout.spare_tail / 4;
        ((0..count).map(|at| memory.read_u32(DmaOffset(at as usize * 4))).collect(), layout)
    }

    #[test]
    fn golden_copy_request_of_gen12() {
        let (dwords, layout) = emitted(Generation::Gen12, EngineClass::Copy, &[], Some(0x1_0000_2000));
        let expected = [
            0x0280_0101,
            0x1324_4002,
            0xd0,
            0,
            0,
            0x0280_0100, // invalidate inside pre-parser brackets
            0x0400_0001,
            0x1880_0101,
            0x2000,
            1,
            0x0400_0000,
            0, // batch
            0x1300_0002,
            0,
            0,
            0, // empty flush
            0x1300_4002,
            0xffff_e044,
            0,
            7, // breadcrumb
            0x0100_0000,
            0x0400_0001, // user interrupt, arbitration on
            0x0280_0000,
            0, // spare
        ];
        assert_eq!(dwords, expected);
        assert_eq!(layout, Layout { breadcrumb: 48, tail: 88, spare_tail: 96 });
    }

    #[test]
    fn golden_copy_request_of_gen9() {
        let (dwords, layout) = emitted(Generation::Gen9, EngineClass::Copy, &[], Some(0xffff_8000_0000_0000));
        let expected = [
            0x1324_4002,
            0xd0,
            0,
            0, //
            0x0400_0001,
            0x1880_0101,
            0,
            0xffff_8000,
            0x0400_0000,
            0, //
            0x1300_4002,
            0xffff_e044,
            0,
            7, //
            0x0100_0000,
            0x0400_0001, //
            0x0280_0000,
            0,
        ];
        assert_eq!(dwords, expected);
        assert_eq!(layout.breadcrumb, 40);
    }

    #[test]
    fn gen8_keeps_arbitration_off_in_batches_and_turns_it_on_at_the_end() {
        let (dwords, layout) = emitted(Generation::Gen8, EngineClass::Copy, &[], Some(0x2000));
        assert!(dwords.windows(4).any(|w| *w == [0x0400_0000, 0x1880_0101, 0x2000, 0]));
        assert_eq!(dwords[layout.tail as usize / 4 - 1], 0x0400_0001);
    }

    #[test]
    fn render_requests_use_pipe_control() {
        let (dwords, _) = emitted(Generation::Gen9, EngineClass::Render, &[], Some(0x2000));
        assert_eq!(dwords[..6], [0x7a00_0004, 0, 0, 0, 0, 0], "WaRsVfInvalidate: a null PIPE_CONTROL first");
        assert_eq!(dwords[6..9], [0x7a00_0004, 0x0034_4c1c, 0xd0]);
        assert!(dwords.windows(6).any(|w| *w == [0x7a00_0004, 0x0110_4080, 0xffff_e040, 0, 7, 0]));
        let (dwords, _) = emitted(Generation::Gen12, EngineClass::Render, &[], Some(0x2000));
        assert_eq!(dwords[1..3], [0x7a00_0004, 0x2034_4c1c]);
        assert!(dwords.windows(2).any(|w| *w == [0x7a00_0204, 0x1814_30a1]));
    }

    #[test]
    fn an_early_kaby_lake_flushes_before_the_invalidation_of_its_render_engine_and_stalls_behind_it() {
        let mut memory = FakeHardware::new(1);
        let writer = Writer::new(memory.dwords(DmaOffset(0), 1024));
        let dialect = Dialect { generation: Generation::Gen9, class: EngineClass::Render, dc_flush: true };
        let payload = Payload::Batch(GpuVirtual::from_low(0x2000));
        let layout = request(writer, dialect, core::iter::empty(), payload, SIGNAL);
        let dwords: Vec<u32> = (0..24).map(|at| memory.read_u32(DmaOffset(at * 4))).collect();
        assert_eq!(dwords[..6], [0x7a00_0004, 0, 0, 0, 0, 0]);
        assert_eq!(dwords[6..8], [0x7a00_0004, 1 << 5], "the data cache");
        assert_eq!(dwords[12..15], [0x7a00_0004, 0x0034_4c1c, 0xd0]);
        assert_eq!(dwords[18..20], [0x7a00_0004, 1 << 20], "the stall");
        assert!(layout.spare_tail <= MAX_DWORDS * 4);
    }

    #[test]
    fn a_video_request_also_invalidates_the_video_pipeline() {
        let (dwords, _) = emitted(Generation::Gen9, EngineClass::Video, &[], Some(0x2000));
        assert_eq!(dwords[0], 0x1324_4082);
    }

    #[test]
    fn a_wait_polls_for_the_sequence_number_or_a_later_one() {
        let wait = Breadcrumb { slot: GgttOffset::new(0x8000), value: 3 };
        let (dwords, _) = emitted(Generation::Gen9, EngineClass::Copy, &[wait], None);
        assert_eq!(dwords[..4], [0x0e40_9002, 3, 0x8000, 0]);
        let (dwords, _) = emitted(Generation::Gen12, EngineClass::Copy, &[wait], None);
        assert_eq!(dwords[..6], [0x0e40_9003, 3, 0x8000, 0, 0, 0]);
    }

    #[test]
    fn the_first_request_of_an_engine_loads_its_registers() {
        let mut memory = FakeHardware::new(1);
        let writer = Writer::new(memory.dwords(DmaOffset(0), 1024));
        let dialect = Dialect { generation: Generation::Gen12, class: EngineClass::Copy, dc_flush: false };
        let payload = Payload::Registers(&[(0x22204, 0x7f7f_0606)]);
        let layout = request(writer, dialect, core::iter::empty(), payload, SIGNAL);
        let dwords: Vec<u32> = (0..40).map(|at| memory.read_u32(DmaOffset(at * 4))).collect();
        assert!(dwords.windows(3).any(|w| *w == [0x1100_0001, 0x22204, 0x7f7f_0606]));
        assert!(layout.spare_tail <= MAX_DWORDS * 4);
    }

    #[test]
    fn every_request_is_aligned_and_fits_its_bound() {
        let wait = Breadcrumb { slot: GgttOffset::new(0x8000), value: 3 };
        for generation in
            [Generation::Gen8, Generation::Gen9, Generation::Gen9Lp, Generation::Gen11, Generation::Gen12]
        {
            for class in
                [EngineClass::Render, EngineClass::Copy, EngineClass::Video, EngineClass::VideoEnhance]
            {
                for waits in 0..4u32 {
                    let waits_list = vec![wait; waits as usize];
                    let (dwords, layout) = emitted(generation, class, &waits_list, Some(0x2000));
                    let most = MAX_DWORDS + waits * WAIT_DWORDS;
                    assert!(dwords.len() <= most as usize, "{generation:?} {class:?}");
                    assert_eq!((layout.tail % 8, layout.spare_tail % 8), (0, 0));
                    assert!(dwords.windows(3).any(|w| *w == [0x1880_0101, 0x2000, 0]));
                }
            }
        }
    }
}
