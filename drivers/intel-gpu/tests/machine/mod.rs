// SPDX-License-Identifier: BSD-2-Clause
//! The driver core above the device model.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod random;

use std::collections::HashMap;

use gpu_model::registers::forcewake::AckDelay;
use gpu_model::{Bar, Options, Timing, VecMemory, by_name};
use intel_gpu::address::{DeviceAddress, DmaOffset, GpuVirtual, VaRange};
use intel_gpu::device::{EngineClass, EngineId, PciIdentity};
use intel_gpu::memory::{AccountId, Cache, Object};
use intel_gpu::platform::{Clock, DmaMemory, Mmio};
use intel_gpu::trace::Event;
use intel_gpu::{
    Completion, Config, ContextId, EngineIndex, Gpu, InitError, Status, Submission, Submitted, TimelineId,
    VmId,
};

/// Where the driver's DMA region begins for the device.
pub(crate) const BASE: u64 = 0x1_0000_0000; // 4 GiB: addresses need more than 32 bits
pub(crate) const PAGES: u32 = 4096;

/// The caches of a CPU that shares none with the GPU. What the CPU writes stays here until it is flushed, so that the GPU
/// finds nothing that the driver has not flushed. What the GPU writes is seen by the CPU: its writes are snooped
/// on these parts (PAT index 0; PRM vol 5, Memory Views). Only one is missed that writes what memory held already.
#[derive(Debug, Default)]
struct CpuCache {
    /// Dwords by offset: what memory held when they were written first, and what was written.
    dirty: HashMap<usize, (u32, u32)>,
}

impl CpuCache {
    /// Bytes of a cache line.
    const LINE: usize = 64;

    fn write(&mut self, at: usize, memory: u32, value: u32) {
        let (old, new) = self.dirty.entry(at).or_insert((memory, value));
        if *old != memory {
            *old = memory; // the GPU has written it since
        }
        *new = value;
    }

    /// What the CPU reads where memory holds `memory`.
    fn read(&self, at: usize, memory: u32) -> u32 {
        match self.dirty.get(&at) {
            Some((old, new)) if *old == memory => *new,
            _ => memory,
        }
    }

    /// Takes the dwords of the lines that the range touches out of the cache.
    fn flush(&mut self, at: usize, bytes: usize) -> Vec<(usize, (u32, u32))> {
        let lines = at / Self::LINE * Self::LINE..(at + bytes).next_multiple_of(Self::LINE);
        lines.step_by(4).filter_map(|at| self.dirty.remove_entry(&at)).collect()
    }
}

/// A machine with the modelled GPU.
pub(crate) struct Machine {
    /// See [`Self::without_shared_cache`].
    cache: Option<CpuCache>,
    /// Dwords that the CPU wrote to memory that the GPU reaches.
    pub(crate) dma_writes: u64,
    /// What a pause in a poll is: nanoseconds, and units of work of the engines.
    pub(crate) pause: (u64, u64),
    /// So many requests to wake the GT are not acknowledged, and those after them are.
    pub(crate) refused_wakes: Option<u32>,
    /// Page faults that the driver has told of: engine and page.
    pub(crate) faults: Vec<(EngineId, u64)>,
    pub(crate) model: gpu_model::Gpu,
    pub(crate) memory: VecMemory,
    pages: u32,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Machine")
    }
}

impl Machine {
    pub(crate) fn new(platform: &str, options: Options) -> Self {
        Self::with_pages(platform, options, PAGES)
    }

    pub(crate) fn with_pages(platform: &str, options: Options, pages: u32) -> Self {
        Self::observed(platform, options, pages, |_| {})
    }

    /// `observe` gets the model at its power-on, to record it for example.
    pub(crate) fn observed(
        platform: &str,
        options: Options,
        pages: u32,
        observe: impl FnOnce(&mut gpu_model::Gpu),
    ) -> Self {
        let memory = VecMemory::new(BASE, (pages as usize) << 12);
        let platform = by_name(platform).expect("a platform of the model");
        let mut model = gpu_model::Gpu::new(platform, options, Box::new(memory.clone()));
        observe(&mut model);
        // Memory decoding, bus master; MSI at 0xfee00000.
        model.config_write(0x04, 2, 0x6);
        let mut at = model.config_read(0x34, 1);
        while model.config_read(at, 1) != 5 {
            at = model.config_read(at + 1, 1);
        }
        model.config_write(at + 4, 4, 0xfee0_0000);
        model.config_write(at + 8, 2, 0x35);
        model.config_write(at + 2, 2, 1);
        Self {
            cache: None,
            dma_writes: 0,
            pages,
            pause: (20_000, 500),
            refused_wakes: None,
            faults: Vec::new(),
            model,
            memory,
        }
    }

    /// A machine whose CPU keeps what it writes from the GPU until it is flushed.
    pub(crate) fn without_shared_cache(platform: &str) -> Self {
        Self { cache: Some(CpuCache::default()), ..Self::new(platform, Options::default()) }
    }

    fn memory_u32(&self, at: usize) -> u32 {
        self.memory.get_u32(BASE + at as u64).expect("inside the region")
    }

    fn set_memory_u32(&self, at: usize, value: u32) {
        assert!(self.memory.set_u32(BASE + at as u64, value), "outside the region");
    }

    pub(crate) fn identity(&mut self) -> PciIdentity {
        let word = |value: u32| u16::try_from(value).expect("16 bits");
        PciIdentity {
            vendor: word(self.model.config_read(0, 2)),
            device: word(self.model.config_read(2, 2)),
            revision: u8::try_from(self.model.config_read(8, 1)).expect("8 bits"),
            ggc: word(self.model.config_read(0x50, 2)),
        }
    }
}

impl Mmio for Machine {
    fn read32(&mut self, offset: u32) -> u32 {
        self.model.read32(offset)
    }
    fn write32(&mut self, offset: u32, value: u32) {
        // The GT domain's request register, on every part; bit 0, with its mask.
        if let Some(left) = self.refused_wakes.filter(|_| (offset, value) == (0xa188, 0x1_0001)) {
            self.refused_wakes = left.checked_sub(1);
            self.model.injection().forcewake = if left == 0 { AckDelay::None } else { AckDelay::Never };
        }
        self.model.write32(offset, value);
    }
    fn read64(&mut self, offset: u32) -> u64 {
        self.model.bar_read(Bar::Registers, offset.into(), 8)
    }
    fn write64(&mut self, offset: u32, value: u64) {
        self.model.bar_write(Bar::Registers, offset.into(), 8, value);
    }
}

impl DmaMemory for Machine {
    fn page_count(&self) -> u32 {
        self.pages
    }
    fn device_base(&self) -> DeviceAddress {
        DeviceAddress::new(BASE)
    }
    fn read_u32(&self, at: DmaOffset) -> u32 {
        let memory = self.memory_u32(at.0);
        self.cache.as_ref().map_or(memory, |cache| cache.read(at.0, memory))
    }
    fn write_u32(&mut self, at: DmaOffset, value: u32) {
        self.dma_writes += 1;
        let memory = self.memory_u32(at.0);
        match &mut self.cache {
            Some(cache) => cache.write(at.0, memory, value),
            None => self.set_memory_u32(at.0, value),
        }
    }
    fn read_u64(&self, at: DmaOffset) -> u64 {
        if self.cache.is_some() {
            return u64::from(self.read_u32(at.add(4))) << 32 | u64::from(self.read_u32(at));
        }
        self.memory.get_u64(BASE + at.0 as u64).expect("inside the region")
    }
    fn write_u64(&mut self, at: DmaOffset, value: u64) {
        if self.cache.is_some() {
            self.write_u32(at, u32::try_from(value & 0xffff_ffff).expect("32 bits"));
            self.write_u32(at.add(4), u32::try_from(value >> 32).expect("32 bits"));
            return;
        }
        self.dma_writes += 2;
        assert!(self.memory.set_u64(BASE + at.0 as u64, value), "outside the region");
    }
    fn flush(&mut self, at: DmaOffset, bytes: usize) {
        let flushed = self.cache.as_mut().map_or(vec![], |cache| cache.flush(at.0, bytes));
        for (at, (old, new)) in flushed {
            // A line that the GPU has written was written back before.
            if self.memory_u32(at) == old {
                self.set_memory_u32(at, new);
            }
        }
    }
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
        if let Event::Fault { engine, address } = event() {
            self.faults.push((engine, address));
        }
    }
}

/// A running driver, and a client's usual belongings.
pub(crate) struct Rig {
    pub(crate) gpu: Gpu<Machine>,
    pub(crate) account: AccountId,
    pub(crate) vm: VmId,
    pub(crate) timeline: TimelineId,
}

impl Rig {
    pub(crate) fn new(platform: &str) -> Self {
        Self::with(platform, Options::default(), Config::default())
    }

    pub(crate) fn with(platform: &str, options: Options, config: Config) -> Self {
        Self::over(Machine::new(platform, options), config)
    }

    pub(crate) fn over(machine: Machine, config: Config) -> Self {
        let mut gpu = start(machine, config).expect("the GPU comes up");
        let account = gpu.account_create(2048).expect("room");
        let vm = gpu.vm_create(account).expect("memory");
        let timeline = gpu.timeline_create().expect("memory");
        Self { gpu, account, vm, timeline }
    }

    pub(crate) fn model(&mut self) -> &mut gpu_model::Gpu {
        &mut self.gpu.hardware_mut().model
    }

    pub(crate) fn set_timing(&mut self, timing: Timing) {
        self.model().set_timing(timing);
    }

    pub(crate) fn context(&mut self, class: EngineClass) -> ContextId {
        self.context_with(class, 0)
    }

    pub(crate) fn context_with(&mut self, class: EngineClass, priority: i16) -> ContextId {
        let engine = self.engine(class);
        self.gpu.context_create(self.account, engine, self.vm, self.timeline, priority).expect("memory")
    }

    pub(crate) fn engine(&self, class: EngineClass) -> EngineIndex {
        self.gpu.engine(class, 0).expect("every part has one")
    }

    /// An object of driver memory bound at `va`.
    pub(crate) fn object_at(&mut self, va: u64, pages: u32) -> Object {
        let object = self.gpu.object_allocate(self.account, pages).expect("memory");
        let range = range(va, pages.into());
        self.gpu.bind_object(self.vm, range, &object, Cache::Coherent, false).expect("free");
        object
    }

    pub(crate) fn write(&mut self, object: &Object, dwords: &[u32]) {
        let bytes: Vec<u8> = dwords.iter().flat_map(|dword| dword.to_le_bytes()).collect();
        self.gpu.object_write(object, 0, &bytes).expect("inside");
    }

    pub(crate) fn read(&self, object: &Object) -> Vec<u32> {
        let mut bytes = vec![0; object.pages() as usize * 4096];
        self.gpu.object_read(object, 0, &mut bytes).expect("inside");
        bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four"))).collect()
    }

    pub(crate) fn submit(&mut self, context: ContextId, batch: u64, cookie: u64) -> Submitted {
        self.gpu.submit(Submission { context, batch: va(batch), waits: &[], cookie }).expect("accepted")
    }

    /// Handles interrupts until the model is idle and has no message left.
    pub(crate) fn settle(&mut self) {
        for _ in 0..1000 {
            self.model().run_until_idle(10_000_000);
            let mut any = false;
            while self.model().take_msi().is_some() {
                any = true;
            }
            if !any {
                return;
            }
            self.gpu.interrupt();
        }
        unreachable!("interrupts without end");
    }

    pub(crate) fn completions(&mut self) -> Vec<Completion> {
        std::iter::from_fn(|| self.gpu.take_completion()).collect()
    }

    /// Lets 100 us pass and handles interrupts and the clock as a driver domain does. Returns the cookie of what has
    /// ended, and how.
    pub(crate) fn turn(&mut self) -> Vec<(u64, Status)> {
        self.model().step(200);
        self.model().advance(100_000);
        while self.model().take_msi().is_some() {
            self.gpu.interrupt();
        }
        let _ = self.gpu.tick();
        self.completions().into_iter().map(|done| (done.cookie, done.status)).collect()
    }

    /// Takes turns until `until` requests have ended, at most `turns` of them.
    pub(crate) fn turns(&mut self, turns: usize, until: usize) -> Vec<(u64, Status)> {
        let mut done = Vec::new();
        for _ in 0..turns {
            done.extend(self.turn());
            if done.len() >= until {
                break;
            }
        }
        done
    }

    /// No rule of the hardware was broken.
    pub(crate) fn check(&mut self) {
        let reports: Vec<String> = self.model().reports().iter().map(ToString::to_string).collect();
        assert!(reports.is_empty(), "{reports:#?}");
        assert_eq!(self.gpu.sleeping_accesses(), 0);
        assert_eq!(self.gpu.statistics().unexpected_events, 0);
    }
}

pub(crate) fn start(mut machine: Machine, config: Config) -> Result<Gpu<Machine>, InitError> {
    let identity = machine.identity();
    Gpu::init(machine, identity, config)
}

pub(crate) fn va(address: u64) -> GpuVirtual {
    GpuVirtual::new(address).expect("canonical")
}

pub(crate) fn range(address: u64, pages: u64) -> VaRange {
    VaRange::new(va(address), pages << 12).expect("aligned")
}

/// XY_COLOR_BLT of a rectangle of 32-bit pixels.
pub(crate) fn color_blt(to: u64, pitch: u32, (x1, y1, x2, y2): (u32, u32, u32, u32), color: u32) -> [u32; 7] {
    let low = u32::try_from(to & 0xffff_ffff).expect("32 bits");
    let high = u32::try_from(to >> 32).expect("32 bits");
    [0x5430_0005, 3 << 24 | 0xf0 << 16 | pitch, y1 << 16 | x1, y2 << 16 | x2, low, high, color]
}

/// MI_BATCH_BUFFER_END.
pub(crate) const BATCH_END: u32 = 0x0500_0000;

/// MI_STORE_DATA_IMM of a dword in the PPGTT.
pub(crate) fn store(to: u64, value: u32) -> [u32; 4] {
    let low = u32::try_from(to & 0xffff_ffff).expect("32 bits");
    [0x1000_0002, low, u32::try_from(to >> 32).expect("32 bits"), value]
}
