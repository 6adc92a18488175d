// SPDX-License-Identifier: BSD-2-Clause
//! The error state: what the hardware was doing when the first request hung, as text in i915's format, so that
//! `intel_error_decode` (package intel-gpu-tools) takes it apart. It is written into memory that is set aside at
//! start, before the engine is stopped, and stays until it is cleared; later hangs do not overwrite it.
//!
//! What belongs to clients (which objects were bound where) is added by the upper half, a batch in their own pages when
//! the GPU has read it (`reading`).
//!
//! Format: i915: i915_gpu_error.c (`__err_print_to_sgl`, `error_print_engine`, `print_error_buffers` up to Linux
//! 4.17 for the list of buffers); what the decoder looks for: intel-gpu-tools: tools/intel_error_decode.c.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::fault::PageFault;
use super::reading::{self, Reading, Window};
use super::{ContextId, Gpu, RequestId};
use crate::address::{GpuVirtual, PAGE_SIZE};
use crate::device::{EngineClass, EngineId, Generation};
use crate::engine::commands::BATCH_START;
use crate::engine::image::slot;
use crate::mmio::EngineBase;
use crate::platform::{Clock, Hardware};

/// Room for the text: a ring and a context without a zero in them take less than half.
const BYTES: usize = 128 << 10;
/// Most dwords that are kept of a batch in driver memory.
const BATCH_DWORDS: u32 = 1024;
/// Pages of a context image that are kept: status page and register state.
const IMAGE_PAGES: usize = 2;

/// The text, or the room for it.
#[derive(Debug)]
pub(crate) struct ErrorState {
    text: Vec<u8>,
    /// The request that hung, until the upper half has added its part.
    fresh: Option<Hang>,
    /// The batch that the GPU is reading.
    pub(super) reading: Option<Reading>,
}

/// What the upper half needs to add its part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hang {
    /// [`super::Submission::cookie`] of the request.
    pub(crate) cookie: u64,
    /// Name of its engine.
    pub(crate) engine: &'static str,
    /// First byte of its batch, if it has one.
    pub(crate) batch: Option<GpuVirtual>,
}

impl ErrorState {
    /// Bytes that it takes beside itself.
    pub(crate) const fn bytes() -> usize {
        BYTES
    }

    pub(crate) fn new() -> Self {
        Self { text: Vec::with_capacity(BYTES), fresh: None, reading: None }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Appends what a buffer held: a header that the decoder knows it by, then its dwords in base 85, one line,
    /// not compressed (`~`).
    pub(crate) fn buffer(
        &mut self,
        engine: &str,
        what: &str,
        address: u64,
        dwords: impl Iterator<Item = u32>,
    ) {
        let [high, low] = [address >> 32, address & 0xffff_ffff];
        let _ = writeln!(self, "{engine} --- {what} = 0x{high:08x} {low:08x}");
        let _ = self.write_char('~');
        for dword in dwords {
            let mut group = [0; 5];
            let mut rest = dword;
            for digit in group.iter_mut().rev() {
                // CAST: below 85.
                let value = (rest % 85) as u8;
                *digit = b'!' + value;
                rest /= 85;
            }
            // A zero has an abbreviation.
            let text = if dword == 0 { "z" } else { core::str::from_utf8(&group).unwrap_or("z") };
            let _ = self.write_str(text);
        }
        let _ = self.write_char('\n');
    }
}

/// What does not fit is cut off. Nothing is allocated.
impl Write for ErrorState {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.text.capacity() - self.text.len();
        let fits = text.as_bytes().get(..room).unwrap_or(text.as_bytes());
        self.text.extend_from_slice(fits);
        if fits.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Registers of the engine's section, in i915's order: name, low half, high half if it has one.
const REGISTERS: [(&str, u32, Option<u32>); 9] = [
    ("MODE:  ", 0x09c, None),
    ("HWS:   ", 0x080, None),
    ("ACTHD: ", 0x074, Some(0x05c)),
    ("IPEIR: ", 0x064, None),
    ("IPEHR: ", 0x068, None),
    ("ESR:   ", 0x0b8, None),
    ("INSTDONE: ", 0x06c, None),
    ("BB_STATE: ", 0x110, None),
    ("INSTPS: ", 0x070, None),
];
/// Those behind BBADDR.
const LATER_REGISTERS: [(&str, u32, Option<u32>); 4] = [
    ("INSTPM: ", 0x0c0, None),
    ("FADDR: ", 0x078, Some(0x060)),
    ("RC PSMI: ", 0x050, None),
    ("GFX_MODE: ", 0x29c, None),
];

/// An engine's bit in the first line (i915: `intel_engine_id`).
const fn engine_mask(engine: EngineId) -> u32 {
    let first = match engine.class {
        EngineClass::Render => 0,
        EngineClass::Copy => 1,
        EngineClass::Video => 2,
        EngineClass::VideoEnhance => 6,
    };
    1 << (first + engine.instance)
}

impl<H: Hardware> Gpu<H> {
    /// The text of the first hang since the start or since it was cleared.
    #[must_use]
    pub fn error_state(&self) -> Option<&str> {
        let text = core::str::from_utf8(self.error.as_bytes()).ok()?;
        (!text.is_empty()).then_some(text)
    }

    /// Forgets the error state: the next hang is recorded.
    pub fn error_state_clear(&mut self) {
        self.error.text.clear();
        self.error.fresh = None;
        if let Some(reading) = &mut self.error.reading {
            reading.wanted = false;
        }
    }

    /// The hang that was recorded since this was asked last.
    pub(crate) fn take_hang(&mut self) -> Option<Hang> {
        self.error.fresh.take()
    }

    /// Where more can be written about the hang that was recorded.
    pub(crate) const fn error_text(&mut self) -> &mut ErrorState {
        &mut self.error
    }

    /// Reads up to `dwords.len()` dwords at a GPU address of a request's address space, as far as they lie in
    /// driver memory. Returns how many were read.
    fn read_virtual(&self, context: ContextId, at: u64, dwords: &mut [u32]) -> usize {
        let Some(vm) = self.contexts.get(context).and_then(|context| self.vms.get(context.vm)) else {
            return 0;
        };
        for (index, dword) in dwords.iter_mut().enumerate() {
            let address = at + 4 * index as u64;
            let mapped = vm.ppgtt.translate(&self.bus, &self.pool, address);
            let page = mapped.and_then(|(physical, _)| {
                // CAST: below the page size.
                let offset = (physical & (PAGE_SIZE - 1)) as u32;
                self.pool.page_at(physical).map(|page| page.at(offset))
            });
            let Some(from) = page else { return index };
            *dword = self.bus.hw.read_u32(from);
        }
        dwords.len()
    }

    /// Where the batch of a request begins: what its ring says.
    fn batch_of(&self, id: RequestId) -> Option<GpuVirtual> {
        let request = self.requests.get(id)?;
        let memory = self.contexts.get(request.context)?.ring.memory;
        let dword = |at: u32| self.bus.hw.read_u32(memory.at(at));
        let start = (request.start..request.breadcrumb).step_by(4).find(|at| dword(*at) == BATCH_START)?;
        GpuVirtual::new(u64::from(dword(start + 4)) | u64::from(dword(start + 8)) << 32)
    }

    /// Records what `engine` is doing, which is executing `request` in vain, unless a hang is recorded already or the
    /// request's context has none recorded. Returns what is to be seen of its batch and cannot be read here.
    pub(super) fn record_hang(&mut self, engine: usize, request: RequestId) -> Option<Window> {
        let context = self.requests.get(request).and_then(|request| self.contexts.get(request.context));
        if !self.error.text.is_empty() || context.is_some_and(|context| !context.capture) {
            return None;
        }
        let name = self.engines[engine].id.name();
        let batch = self.batch_of(request);
        let window = batch.map(|batch| self.window(engine, request, batch, BATCH_DWORDS));
        let empty = ErrorState { text: Vec::new(), fresh: None, reading: None };
        let mut state = core::mem::replace(&mut self.error, empty);
        // Cut off where it is full; the decoder copes with that.
        let _ = self.write_head(&mut state, engine);
        let _ = self.write_engine(&mut state, engine, request);
        let recorded = self.write_buffers(&mut state, engine, request, window);
        self.error = state;
        if let Some(request) = self.requests.get(request) {
            self.error.fresh = Some(Hang { cookie: request.cookie(), engine: name, batch });
        }
        batch.filter(|_| !recorded).map(|batch| self.window(engine, request, batch, reading::COPIES))
    }

    fn write_head(&mut self, out: &mut ErrorState, engine: usize) -> fmt::Result {
        let generation = self.platform.generation;
        let version = match generation {
            Generation::Gen8 => 8,
            Generation::Gen9 | Generation::Gen9Lp => 9,
            Generation::Gen11 => 11,
            Generation::Gen12 => 12,
        };
        let command = self.bus.read_raw(self.engines[engine].base.0 + 0x068);
        writeln!(
            out,
            "GPU HANG: ecode {version}:{:x}:{command:08x}, on {}",
            engine_mask(self.engines[engine].id),
            self.engines[engine].id.name()
        )?;
        writeln!(out, "Kernel: seL4")?;
        writeln!(out, "Driver: intel-gpu {}", env!("CARGO_PKG_VERSION"))?;
        let now = self.bus.now_ns();
        writeln!(out, "Uptime: {} s {} us", now / 1_000_000_000, now / 1000 % 1_000_000)?;
        writeln!(out, "Reset count: {}", self.statistics.gpu_resets)?;
        writeln!(out, "Suspend count: 0")?;
        writeln!(out, "Platform: {:?}", self.platform.name)?;
        writeln!(out, "PCI ID: 0x{:04x}", self.identity.device)?;
        writeln!(out, "PCI Revision: 0x{:02x}", self.identity.revision)?;
        // The memory that the GPU reaches is what its I/O address space maps: there is no system without.
        writeln!(out, "IOMMU enabled?: 1")?;
        let PageFault { register, data: [data0, data1] } = self.read_fault();
        writeln!(out, "  FAULT_REG: 0x{register:08x}")?;
        writeln!(out, "  FAULT_TLB_DATA: 0x{data1:08x} 0x{data0:08x}")
    }

    fn write_engine(&mut self, out: &mut ErrorState, engine: usize, id: RequestId) -> fmt::Result {
        let EngineBase(base) = self.engines[engine].base;
        let Some(request) = self.requests.get(id) else { return Ok(()) };
        let (start, breadcrumb, tail) = (request.start, request.breadcrumb, request.tail);
        let (context, seqno) = (request.context, request.seqno);
        writeln!(out, "{} command stream:", self.engines[engine].id.name())?;
        writeln!(out, "  CCID:  0x{:08x}", self.bus.read_raw(base + 0x180))?;
        writeln!(out, "  START: 0x{:08x}", self.bus.read_raw(base + 0x038))?;
        writeln!(out, "  HEAD:  0x{:08x} [0x{start:08x}]", self.bus.read_raw(base + 0x034))?;
        writeln!(
            out,
            "  TAIL:  0x{:08x} [0x{breadcrumb:08x}, 0x{tail:08x}]",
            self.bus.read_raw(base + 0x030)
        )?;
        writeln!(out, "  CTL:   0x{:08x}", self.bus.read_raw(base + 0x03c))?;
        self.write_registers(out, base, &REGISTERS)?;
        let (low, high) = (self.bus.read_raw(base + 0x140), self.bus.read_raw(base + 0x168));
        writeln!(out, "  BBADDR: 0x{high:08x}_{low:08x}")?;
        self.write_registers(out, base, &LATER_REGISTERS)?;
        for index in 0..4 {
            let at = base + 0x270 + 8 * index;
            let value = u64::from(self.bus.read_raw(at + 4)) << 32 | u64::from(self.bus.read_raw(at));
            writeln!(out, "  PDP{index}: 0x{value:016x}")?;
        }
        writeln!(out, "  engine reset count: {}", self.statistics.engine_resets)?;
        // What was submitted and not acknowledged comes behind what runs.
        let ports = &self.engines[engine].ports;
        let pending = ports.pending.map_or([None; 2], |(elements, _)| elements);
        let submitted = ports.active.into_iter().chain(pending).filter(Option::is_some);
        for (port, id) in submitted.enumerate() {
            let Some(context) = id.and_then(|id| self.contexts.get(id)) else { continue };
            let first = context.first.and_then(|first| self.requests.get(first));
            if let Some(first) = first {
                writeln!(
                    out,
                    "  ELSP[{port}]:  pid 0, seqno {:8x}:{:08x}, prio {}, head {:08x}, tail {:08x}",
                    first.timeline.index(),
                    first.seqno,
                    context.effective_priority(),
                    first.start,
                    first.tail
                )?;
            }
        }
        let Some(found) = self.contexts.get(context) else { return Ok(()) };
        // The counts are as of before this hang. The time is as of when it last left the hardware, the average over the
        // requests of its timeline.
        let ticks = self.bus.hw.read_u32(found.state.at(slot::CONTEXT_TIMESTAMP * 4));
        let total = u64::from(ticks) * 1_000_000_000 / u64::from(self.fuses.timestamp_hz.max(1));
        writeln!(
            out,
            "  Active context: context{}[0] prio {}, guilty {} active {}, runtime total {total}ns, avg {}ns",
            context.index(),
            found.priority,
            found.blame.0,
            found.blame.1,
            total / seqno.max(1)
        )
    }

    fn write_registers(
        &mut self,
        out: &mut ErrorState,
        base: u32,
        registers: &[(&str, u32, Option<u32>)],
    ) -> fmt::Result {
        for (name, low, high) in registers {
            let low = self.bus.read_raw(base + low);
            match high {
                Some(high) => writeln!(out, "  {name}0x{:08x} {low:08x}", self.bus.read_raw(base + high))?,
                None => writeln!(out, "  {name}0x{low:08x}")?,
            }
        }
        Ok(())
    }

    /// The batch if it is in driver memory, the ring, the status page, the context. Returns whether the batch is.
    fn write_buffers(
        &self,
        out: &mut ErrorState,
        engine: usize,
        id: RequestId,
        batch: Option<Window>,
    ) -> bool {
        let found = &self.engines[engine];
        let name = found.id.name();
        let Some(request) = self.requests.get(id) else { return false };
        let Some(context) = self.contexts.get(request.context) else { return false };
        // CAST: a small constant.
        let mut dwords = [0; BATCH_DWORDS as usize];
        let mut recorded = false;
        if let Some(Window { from, dwords: most }) = batch {
            let room = dwords.get_mut(..most as usize).unwrap_or_default();
            let count = self.read_virtual(request.context, from, room);
            recorded = count != 0;
            if recorded {
                let at = GpuVirtual::from_low(from).canonical();
                out.buffer(name, "gtt_offset", at, dwords.into_iter().take(count));
            }
        }
        let ring = &context.ring;
        let memory = |at| self.bus.hw.read_u32(ring.memory.at(at));
        let bytes = (0..ring.size()).step_by(4);
        out.buffer(name, "ringbuffer", ring.ggtt.get().into(), bytes.map(memory));
        let status = (0..4096).step_by(4).map(|at| self.bus.hw.read_u32(found.status.page().at(at)));
        out.buffer(name, "HW Status", found.status_page.get().into(), status);
        let pages = self.pool.blocks(&context.pages).take(IMAGE_PAGES);
        let image =
            pages.flat_map(|(page, _)| (0..4096).step_by(4).map(move |at| self.bus.hw.read_u32(page.at(at))));
        out.buffer(name, "HW context", context.range.at(0).get().into(), image);
        recorded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(state: &ErrorState) -> &str {
        core::str::from_utf8(state.as_bytes()).expect("ASCII")
    }

    #[test]
    fn dwords_are_written_in_base_85_and_zeros_as_one_letter() {
        let mut state = ErrorState::new();
        state.buffer("bcs0", "ringbuffer", 0x1_0000_2000, [0, 1, u32::MAX, 85].into_iter());
        // 2^32 - 1 is 82, 23, 54, 12, 0 in base 85.
        assert_eq!(text(&state), "bcs0 --- ringbuffer = 0x00000001 00002000\n~z!!!!\"s8W-!!!!\"!\n");
    }

    #[test]
    fn what_does_not_fit_is_cut_off_and_nothing_grows() {
        let mut state = ErrorState { text: Vec::with_capacity(64), ..ErrorState::new() };
        let room = state.text.capacity();
        state.buffer("bcs0", "ringbuffer", 0, core::iter::repeat_n(1, 1000));
        assert_eq!((state.text.len(), state.text.capacity()), (room, room));
    }
}
