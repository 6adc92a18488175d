// SPDX-License-Identifier: BSD-2-Clause
//! The batch of a request that hung, for the error state. One in driver memory is read by the CPU, before the engine is
//! reset. Pages that a client lends are mapped for the GPU and not for the driver: those the GPU itself reads. After the
//! reset the request executes a program of the driver where it executed the client's batch, in the same address space:
//!
//! ```text
//!   ring:     invalidate; MI_BATCH_BUFFER_START of the program, privileged; breadcrumb as before
//!   program:  MI_COPY_MEM_MEM for each dword, from the client's address space into driver memory by the GGTT;
//!             MI_STORE_DATA_IMM of a mark behind them; MI_BATCH_BUFFER_END
//! ```
//!
//! When the request ends, what it has copied is added to the record; if the mark is missing, the record says that there is
//! no batch. The request has its objects until then, as every request has. It gets [`TIME_NS`] for that, and is an ordinary
//! request that hung before otherwise: whoever takes pages back from it stops it (`evict`).
//!
//! Sources: PRM vol 2a, MI_COPY_MEM_MEM, MI_BATCH_BUFFER_START (address space indicator).

use super::error_state::ErrorState;
use super::submit::Status;
use super::{Gpu, RequestId};
use crate::address::{DmaPage, GgttOffset, GpuVirtual, PAGE_SIZE};
use crate::engine::commands::{self, copy_mem_mem, store_data_imm};
use crate::engine::emit::{self, Payload, Writer};
use crate::memory::ggtt::GgttRange;
use crate::mmio::EngineBase;
use crate::mmio::regs::{BatchAddress, BatchAddressUpper};
use crate::platform::Hardware;

/// Most dwords that the GPU copies: program, copies and mark fill two pages.
pub(super) const COPIES: u32 = 336;
/// log2 of the pages.
const ORDER: u8 = 1;
/// Where the copies are, behind the program.
const COPIED: u32 = 6784;
/// Where the mark is, and what it is.
const MARK: u32 = COPIED + 4 * COPIES;
const MARK_VALUE: u32 = 0x6261_7463;
/// How long the program may take: some microseconds, if the pages can be read.
pub(super) const TIME_NS: u64 = 100_000_000;

const _: () = assert!(COPIES * copy_mem_mem::DWORDS * 4 + 24 <= COPIED && MARK + 4 <= 2 << 12);

/// Dwords of a batch in its address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) dwords: u32,
}

/// A batch that the GPU is reading.
#[derive(Debug)]
pub(super) struct Reading {
    /// The request whose batch it is.
    request: RequestId,
    engine: &'static str,
    window: Window,
    /// Program, copies and mark, and where they are in the GGTT.
    memory: DmaPage,
    range: GgttRange,
    /// The record that it is for has not been cleared.
    pub(super) wanted: bool,
}

impl Reading {
    /// Whether it is a request's batch.
    pub(super) fn is_of(&self, request: RequestId) -> bool {
        self.request == request
    }
}

impl<H: Hardware> Gpu<H> {
    /// What to show of a batch that an engine executes: at most so many dwords, from its start, or around where the engine
    /// is if that is too far behind the start; only what is bound.
    pub(super) fn window(&mut self, engine: usize, id: RequestId, batch: GpuVirtual, most: u32) -> Window {
        /// What is seen at least of what comes next.
        const AHEAD: u64 = 64;
        let base: EngineBase = self.engines[engine].base;
        let (low, high): (BatchAddress, BatchAddressUpper) = (self.bus.read_on(base), self.bus.read_on(base));
        let head = u64::from(high.get(BatchAddressUpper::HIGH)) << 32 | u64::from(low.0 & !3);
        let (start, bytes) = (batch.get(), u64::from(most) * 4);
        let far = low.is_set(BatchAddress::VALID)
            && !(start..start + bytes - AHEAD).contains(&head)
            && self.is_bound(id, head);
        let from = if far { (head & !(AHEAD - 1)).saturating_sub(bytes / 2) } else { start };
        // Of what is around the head the first page may not be there.
        let next_page = (from | (PAGE_SIZE - 1)) + 1;
        let from = if self.is_bound(id, from) { from } else { next_page };
        let mut end = from;
        while end < from + bytes && self.is_bound(id, end) {
            end = ((end | (PAGE_SIZE - 1)) + 1).min(from + bytes);
        }
        let dwords = u32::try_from((end - from) / 4).unwrap_or(most).min(most);
        Window { from, dwords }
    }

    /// Whether something is bound at an address of a request's address space.
    fn is_bound(&self, id: RequestId, at: u64) -> bool {
        let context = self.requests.get(id).and_then(|request| self.contexts.get(request.context));
        let vm = context.and_then(|context| self.vms.get(context.vm));
        let inside = at < self.format.bytes();
        vm.is_some_and(|vm| inside && vm.ppgtt.translate(&self.bus, &self.pool, at).is_some())
    }

    /// Whether a request executes the driver's program.
    pub(super) fn is_reading(&self, id: RequestId) -> bool {
        self.error.reading.as_ref().is_some_and(|reading| reading.is_of(id))
    }

    /// Lets a request that hung copy at most [`COPIES`] dwords of its batch when it goes on after the reset. Says in the
    /// record that there is no batch if that cannot be.
    pub(super) fn read_batch(&mut self, engine: usize, id: RequestId, window: Window) {
        if window.dwords == 0
            || self.error.reading.is_some()
            || self.write_reading(engine, id, window).is_none()
        {
            self.error.no_batch();
        }
    }

    /// Writes program and request. `None` without memory.
    fn write_reading(&mut self, engine: usize, id: RequestId, window: Window) -> Option<()> {
        let memory = self.pool.allocate(ORDER, self.pool.driver_account()).ok()?;
        let Ok(range) = self.ggtt.allocate(1 << ORDER) else {
            self.pool.free(memory);
            return None;
        };
        let first = self.pool.address(memory);
        let pages = (0..1u64 << ORDER).map(|page| first.offset(page * PAGE_SIZE));
        self.ggtt.map(&mut self.bus, range, pages);
        self.ggtt.flush(&mut self.bus);
        self.bus.hw.write_u64_run(memory.at(0), 0, 0, 512 << ORDER);
        {
            let mut writer = Writer::new(self.bus.hw.dwords(memory.at(0), 1024 << ORDER));
            for index in 0..window.dwords {
                let from = GpuVirtual::from_low(window.from + 4 * u64::from(index));
                writer.put_all(&copy_mem_mem::to_ggtt(range.at(COPIED + 4 * index), from));
            }
            writer.put_all(&store_data_imm::to_ggtt(range.at(MARK), MARK_VALUE));
            writer.put_all(&[commands::BATCH_END, commands::NOOP]);
        }
        self.bus.publish(memory.at(0), 4096 << ORDER);
        let name = self.engines[engine].id.name();
        self.error.reading = Some(Reading { request: id, engine: name, window, memory, range, wanted: true });
        self.write_in_place(engine, id, range.at(0));
        Some(())
    }

    /// Has a request execute a program of the driver's in place of all that is before its breadcrumb.
    fn write_in_place(&mut self, engine: usize, id: RequestId, program: GgttOffset) {
        self.skip_request(id, Status::Hang);
        let Some(request) = self.requests.get(id) else { return };
        let Some(context) = self.contexts.get(request.context) else { return };
        let (at, bytes) =
            (context.ring.memory.at(request.start), (request.breadcrumb - request.start) as usize);
        let writer = Writer::new(self.bus.hw.dwords(at, bytes / 4));
        emit::execute(writer, self.engines[engine].dialect, Payload::Program(program));
        self.bus.publish(at, bytes);
    }

    /// A request that hung before has ended: adds what it has read to the record.
    pub(super) fn end_reading(&mut self, id: RequestId) {
        let Some(reading) = self.error.reading.take_if(|reading| reading.is_of(id)) else { return };
        let Reading { engine, window, memory, .. } = reading;
        let done = self.bus.hw.read_u32(memory.at(MARK)) == MARK_VALUE;
        if reading.wanted && done {
            let hw = &self.bus.hw;
            let dwords = (0..window.dwords).map(|index| hw.read_u32(memory.at(COPIED + 4 * index)));
            let at = GpuVirtual::from_low(window.from).canonical();
            self.error.buffer(engine, "gtt_offset", at, dwords);
        } else if reading.wanted {
            self.error.no_batch();
        }
        self.ggtt.unmap(&mut self.bus, reading.range);
        self.ggtt.flush_and_wait(&mut self.bus);
        self.pool.free(memory);
    }
}

impl ErrorState {
    /// Says that the batch is not in the record.
    pub(super) fn no_batch(&mut self) {
        let _ = core::fmt::Write::write_str(self, "  batch contents: could not be read\n");
    }
}
