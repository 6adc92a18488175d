// SPDX-License-Identifier: BSD-2-Clause
//! The machine under the driver core: the modelled GPU, the driver's DMA region, the clients' memory
//! behind it, and the guard between the GPU and both.

use gpu_model::{Bar, GuestMemory, MemoryError, Options, VecMemory, by_name};
use intel_gpu::address::{DeviceAddress, DmaOffset};
use intel_gpu::device::PciIdentity;
use intel_gpu::platform::{Clock, DmaMemory, Mmio};
use intel_gpu::trace::Event;

use crate::domain::Iommu;

/// Device address of the first byte of memory; addresses need more than 32 bits.
pub const BASE: u64 = 0x1_0000_0000;
/// Pages of the driver's DMA region; the clients' memory follows.
pub const DRIVER_PAGES: u32 = 8192;

/// Memory as the GPU reaches it: the driver's region, and the pages that are mapped for it now.
struct Guarded {
    memory: VecMemory,
    iommu: Iommu,
}

impl Guarded {
    fn check(&self, address: u64, write: bool) -> Result<(), MemoryError> {
        if address < BASE + (u64::from(DRIVER_PAGES) << 12) || self.iommu.allows(address, write) {
            Ok(())
        } else {
            Err(MemoryError::Unbacked(address))
        }
    }
}

impl GuestMemory for Guarded {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        self.check(address, false)?;
        self.memory.read(address, buffer)
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), MemoryError> {
        self.check(address, true)?;
        self.memory.write(address, data)
    }

    fn compare_exchange(
        &mut self,
        address: u64,
        size: usize,
        current: u64,
        new: u64,
    ) -> Result<u64, MemoryError> {
        self.check(address, true)?;
        self.memory.compare_exchange(address, size, current, new)
    }
}

/// The machine.
pub struct Machine {
    /// The GPU.
    pub model: gpu_model::Gpu,
    /// Reads of registers by the driver so far.
    pub reads: u64,
    /// What the driver has told of itself, and when, if somebody wants to know.
    pub events: Option<Vec<(u64, Event)>>,
    /// What a pause in a poll is: nanoseconds, and units of work of the engines.
    pub pause: (u64, u64),
    memory: VecMemory,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Machine")
    }
}

impl Machine {
    /// A machine with the GPU of a platform of the model, as firmware leaves it.
    ///
    /// # Panics
    /// The model has no such platform (a mistake of the test).
    #[must_use]
    #[expect(clippy::expect_used, reason = "part of tests")]
    pub fn new(platform: &str, options: Options, memory: VecMemory, iommu: Iommu) -> Self {
        let platform = by_name(platform).expect("a platform of the model");
        let guarded = Guarded { memory: memory.clone(), iommu };
        let mut model = gpu_model::Gpu::new(platform, options, Box::new(guarded));
        // Memory decoding and bus mastering on; messages to 0xfee00000.
        model.config_write(0x04, 2, 0x6);
        let mut at = model.config_read(0x34, 1);
        while model.config_read(at, 1) != 5 {
            at = model.config_read(at + 1, 1);
        }
        model.config_write(at + 4, 4, 0xfee0_0000);
        model.config_write(at + 8, 2, 0x35);
        model.config_write(at + 2, 2, 1);
        Self { model, reads: 0, events: None, pause: (20_000, 1_000), memory }
    }

    /// What configuration space says.
    pub fn identity(&mut self) -> PciIdentity {
        let mut word = |at| u16::try_from(self.model.config_read(at, 2)).unwrap_or(u16::MAX);
        let (vendor, device, ggc) = (word(0), word(2), word(0x50));
        let revision = u8::try_from(self.model.config_read(8, 1)).unwrap_or(u8::MAX);
        PciIdentity { vendor, device, revision, ggc }
    }
}

impl Mmio for Machine {
    fn read32(&mut self, offset: u32) -> u32 {
        self.reads += 1;
        self.model.read32(offset)
    }
    fn write32(&mut self, offset: u32, value: u32) {
        self.model.write32(offset, value);
    }
    fn read64(&mut self, offset: u32) -> u64 {
        self.reads += 1;
        self.model.bar_read(Bar::Registers, offset.into(), 8)
    }
    fn write64(&mut self, offset: u32, value: u64) {
        self.model.bar_write(Bar::Registers, offset.into(), 8, value);
    }
}

impl DmaMemory for Machine {
    fn page_count(&self) -> u32 {
        DRIVER_PAGES
    }
    fn device_base(&self) -> DeviceAddress {
        DeviceAddress::new(BASE)
    }
    fn read_u32(&self, at: DmaOffset) -> u32 {
        assert!(at.0 + 4 <= self.byte_count(), "the driver reads outside its region");
        self.memory.get_u32(BASE + at.0 as u64).unwrap_or(0)
    }
    fn write_u32(&mut self, at: DmaOffset, value: u32) {
        assert!(at.0 + 4 <= self.byte_count(), "the driver writes outside its region");
        assert!(self.memory.set_u32(BASE + at.0 as u64, value));
    }
    fn read_u64(&self, at: DmaOffset) -> u64 {
        assert!(at.0 + 8 <= self.byte_count(), "the driver reads outside its region");
        self.memory.get_u64(BASE + at.0 as u64).unwrap_or(0)
    }
    fn write_u64(&mut self, at: DmaOffset, value: u64) {
        assert!(at.0 + 8 <= self.byte_count(), "the driver writes outside its region");
        assert!(self.memory.set_u64(BASE + at.0 as u64, value));
    }
    fn flush(&mut self, _at: DmaOffset, _bytes: usize) {}
    fn write_barrier(&mut self) {}
    fn read_barrier(&mut self) {}
    fn cut_off(&mut self) {
        let command = self.model.config_read(0x04, 2);
        self.model.config_write(0x04, 2, command & !0x4);
    }
}

impl Clock for Machine {
    fn now_ns(&mut self) -> u64 {
        self.model.now_ns()
    }
    fn relax(&mut self) {
        let (ns, units) = self.pause;
        self.model.advance(ns);
        self.model.step(units);
    }
    fn note(&mut self, event: impl FnOnce() -> Event) {
        if let Some(events) = &mut self.events {
            events.push((self.model.now_ns(), event()));
        }
    }
}
