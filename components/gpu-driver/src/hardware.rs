// SPDX-License-Identifier: BSD-2-Clause
//! The GPU and the driver's own memory as the core wants them: [`intel_gpu::platform::Hardware`] over what
//! system.xml maps.

use intel_gpu::address::{DeviceAddress, DmaOffset, DmaPage};
use intel_gpu::platform::{Clock, DmaMemory, Dwords, Mmio, quadword};
use intel_gpu::trace::Event;
use pci::{Address, PortAccess};
use window::Window;

use crate::bringup;
use crate::clock::{self, Tsc};
use crate::ports::PciPorts;
use crate::tracer::Tracer;

/// BAR 0, the DMA region, the clock, and the way to take the device off the bus.
#[derive(Debug)]
pub(crate) struct Machine {
    registers: Window,
    dma: Window,
    dma_base: DeviceAddress,
    tsc: Tsc,
    /// Configuration space, and the GPU's place in it.
    pci: (PortAccess<PciPorts>, Address),
    tracer: Option<Tracer>,
}

impl Machine {
    /// `dma_base` is where the GPU sees the first byte of `dma`: an I/O virtual address.
    pub(crate) const fn new(
        registers: Window,
        dma: Window,
        dma_base: DeviceAddress,
        tsc: Tsc,
        pci: (PortAccess<PciPorts>, Address),
    ) -> Self {
        Self { registers, dma, dma_base, tsc, pci, tracer: None }
    }

    /// Lets the core's events be written down.
    pub(crate) fn traced(self, tracer: Option<Tracer>) -> Self {
        Self { tracer, ..self }
    }
}

impl Mmio for Machine {
    fn read32(&mut self, offset: u32) -> u32 {
        self.registers.read(offset as usize)
    }

    fn write32(&mut self, offset: u32, value: u32) {
        self.registers.write(offset as usize, value);
    }

    fn read64(&mut self, offset: u32) -> u64 {
        self.registers.read(offset as usize)
    }

    fn write64(&mut self, offset: u32, value: u64) {
        self.registers.write(offset as usize, value);
    }
}

impl DmaMemory for Machine {
    fn page_count(&self) -> u32 {
        u32::try_from(self.dma.len() / 4096).unwrap_or(u32::MAX)
    }

    fn device_base(&self) -> DeviceAddress {
        self.dma_base
    }

    fn read_u32(&self, at: DmaOffset) -> u32 {
        self.dma.read(at.0)
    }

    fn write_u32(&mut self, at: DmaOffset, value: u32) {
        self.dma.write(at.0, value);
    }

    fn read_u64(&self, at: DmaOffset) -> u64 {
        self.dma.read(at.0)
    }

    fn write_u64(&mut self, at: DmaOffset, value: u64) {
        self.dma.write(at.0, value);
    }

    #[inline]
    fn dwords(&mut self, at: DmaOffset, count: usize) -> impl Dwords {
        Row(self.dma.row(at.0, count))
    }

    #[inline(always)]
    fn write_pairs(&mut self, at: DmaOffset, pairs: &[[u32; 2]]) {
        let mut row = self.dma.row(at.0, pairs.len());
        let (fours, rest) = pairs.as_chunks::<4>();
        for four in fours {
            row.put(&four.map(quadword));
        }
        for pair in rest {
            row.put(&[quadword(*pair)]);
        }
    }

    fn write_u64_run(&mut self, at: DmaOffset, first: u64, step: u64, count: usize) {
        let mut next = first;
        let values = (0..count).map(|_| {
            let value = next;
            next = value.wrapping_add(step);
            value
        });
        self.dma.write_row(at.0, values);
    }

    fn copy_page(&mut self, from: DmaPage, to: DmaPage) {
        self.dma.copy_row(from.at(0).0, to.at(0).0, 4096);
    }

    fn flush(&mut self, at: DmaOffset, bytes: usize) {
        self.dma.flush(at.0, bytes);
    }

    fn write_barrier(&mut self) {
        window::store_fence();
    }

    fn read_barrier(&mut self) {
        window::load_fence();
    }

    fn cut_off(&mut self) {
        let (space, address) = &mut self.pci;
        bringup::cut_off(space, *address);
    }
}

/// A row of the DMA region.
struct Row<'a>(window::Row<'a, u32>);

impl Dwords for Row<'_> {
    #[inline]
    fn put<const N: usize>(&mut self, dwords: &[u32; N]) {
        self.0.put(dwords);
    }
}

impl Clock for Machine {
    fn now_ns(&mut self) -> u64 {
        self.tsc.now_ns()
    }

    #[inline(always)] // It is a test where nobody reads.
    fn note(&mut self, event: impl FnOnce() -> Event) {
        if let Some(tracer) = &mut self.tracer {
            tracer.note(event(), self.tsc.now_ns());
        }
    }

    fn relax(&mut self) {
        for _ in 0..8 {
            clock::pause();
        }
    }
}
