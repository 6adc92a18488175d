// SPDX-License-Identifier: BSD-2-Clause
//! The GPU from the outside: a PCI function with BARs, interrupts, and a clock.

use std::collections::HashSet;
use std::io::Write;

use crate::clock::ACCESS_NS;
use crate::commands::{Position, StreamState};
use crate::config::{BAR0_SIZE, BAR2_SIZE, BAR4_SIZE, Bar};
use crate::device::Device;
use crate::engine::Activity;
use crate::injection::Injection;
use crate::interrupts::Msi;
use crate::memory::{GuestMemory, GuestRam};
use crate::options::{Options, Timing};
use crate::platform::Platform;
use crate::ppgtt::{self, Leaf, Switches};
use crate::record::{Head, RecordedMemory, Recorder};
use crate::registers::Counter;
use crate::report::{Log, Report, Rule};

/// First byte of the GGTT entries in BAR0.
pub const GGTT_OFFSET: u64 = 8 << 20;

/// A model of one GPU.
///
/// All accesses have the meaning that they have on a bus; none of them panics whatever its arguments are.
pub struct Gpu {
    device: Device,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("platform", &self.device.platform.name).finish_non_exhaustive()
    }
}

/// State of an engine, for tests and programs that look at the model rather than at its registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineView {
    /// Name: rcs0, bcs0, vcs0 ...
    pub name: &'static str,
    /// What it does.
    pub activity: Activity,
    /// Id of the running context.
    pub context: Option<u32>,
    /// A submission waits.
    pub pending: bool,
    /// Where its stream stands.
    pub position: Position,
    /// Pages in its TLB.
    pub tlb_pages: usize,
}

impl Gpu {
    /// A GPU of that platform after power-on, with `memory` behind its DMA.
    #[must_use]
    pub fn new(platform: &'static Platform, options: Options, memory: Box<dyn GuestMemory>) -> Self {
        Self { device: Device::new(platform, options, memory) }
    }

    /// The platform.
    #[must_use]
    pub const fn platform(&self) -> &'static Platform {
        self.device.platform
    }

    /// Replaces the memory (the guest's memory map changed).
    pub fn set_memory(&mut self, memory: Box<dyn GuestMemory>) {
        self.device.memory = match &self.device.recorder {
            Some(recorder) => Box::new(RecordedMemory::new(memory, recorder.clone())),
            None => memory,
        };
    }

    /// Records everything that happens from here on, for [`crate::record::replay`]: a run is recorded from its
    /// power-on. Injected faults are not part of a record, but for lost interrupts that were asked for before.
    pub fn record(&mut self, out: Box<dyn Write + Send>) -> Recorder {
        let recorder = Recorder::new(out, &Head::of(self));
        self.device.recorder = Some(recorder.clone());
        let memory = std::mem::replace(&mut self.device.memory, Box::new(GuestRam::new()));
        self.set_memory(memory);
        recorder
    }

    /// Writes an event to the record, if there is one.
    fn note(&self, event: impl FnOnce(&Recorder)) {
        if let Some(recorder) = &self.device.recorder {
            event(recorder);
        }
    }

    /// Settings of the model.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.device.options
    }

    /// Name of a register for messages, with its offset.
    #[must_use]
    pub fn register_name(&self, offset: u32) -> String {
        self.device.register_name(offset)
    }

    /// Configuration read of `len` 1, 2 or 4 bytes.
    pub fn config_read(&mut self, offset: u32, len: u32) -> u32 {
        self.device.clock.spend(ACCESS_NS);
        let value =
            if self.device.injection.device_gone { ones(len) } else { self.device.config.read(offset, len) };
        self.note(|recorder| recorder.config(false, offset, len, value));
        value
    }

    /// Configuration write of `len` 1, 2 or 4 bytes.
    pub fn config_write(&mut self, offset: u32, len: u32, value: u32) {
        self.device.clock.spend(ACCESS_NS);
        if self.device.injection.device_gone {
            return;
        }
        let changes = self.device.config.write(offset, len, value);
        if changes.power_up {
            self.device.wake_from_d3();
        }
        self.device.send_held_msi(changes.msi);
        self.device.update_line();
        self.work();
        self.note(|recorder| recorder.config(true, offset, len, value));
    }

    /// See [`crate::config::Config::hide_upper_halves`].
    pub fn hide_upper_bar_halves(&mut self, hide: bool) {
        self.device.config.hide_upper_halves(hide);
        self.note(|recorder| recorder.line(&format!("hide {}", u8::from(hide))));
    }

    /// The BAR (and offset in it) that decodes a bus address now.
    #[must_use]
    pub fn decode(&self, address: u64, memory: bool) -> Option<(Bar, u64)> {
        let bars: &[(Bar, u64)] = if memory {
            &[(Bar::Registers, BAR0_SIZE), (Bar::Aperture, BAR2_SIZE)]
        } else {
            &[(Bar::Io, BAR4_SIZE)]
        };
        bars.iter().find_map(|(bar, size)| {
            let base = self.device.config.bar_base(*bar);
            let offset = address.checked_sub(base)?;
            (base != 0 && offset < *size).then_some((*bar, offset))
        })
    }

    /// Read of `size` 1, 2, 4 or 8 bytes at `offset` of a BAR.
    pub fn bar_read(&mut self, bar: Bar, offset: u64, size: u32) -> u64 {
        let value = self.read_of_bar(bar, offset, size);
        self.note(|recorder| recorder.bar(false, bar, offset, size, value));
        value
    }

    fn read_of_bar(&mut self, bar: Bar, offset: u64, size: u32) -> u64 {
        if !self.decodes(bar, offset) {
            return ones64(size);
        }
        self.work();
        let value = match bar {
            Bar::Registers if offset >= GGTT_OFFSET => self.ggtt_read(offset - GGTT_OFFSET, size),
            Bar::Registers => self.register_read(offset, size),
            Bar::Aperture => self.aperture_read(offset, size),
            Bar::Io => {
                self.device.notice("BAR4 (legacy index and data ports) is not modelled");
                0
            }
        };
        value & ones64(size)
    }

    /// Write of `size` 1, 2, 4 or 8 bytes at `offset` of a BAR.
    pub fn bar_write(&mut self, bar: Bar, offset: u64, size: u32, value: u64) {
        self.write_of_bar(bar, offset, size, value);
        self.note(|recorder| recorder.bar(true, bar, offset, size, value));
    }

    fn write_of_bar(&mut self, bar: Bar, offset: u64, size: u32, value: u64) {
        if !self.decodes(bar, offset) {
            return;
        }
        let value = value & ones64(size);
        match bar {
            Bar::Registers if offset >= GGTT_OFFSET => self.ggtt_write(offset - GGTT_OFFSET, size, value),
            Bar::Registers => self.register_write(offset, size, value),
            Bar::Aperture => self.aperture_write(offset, size, value),
            Bar::Io => self.device.notice("BAR4 (legacy index and data ports) is not modelled"),
        }
        self.work();
    }

    /// Dword read of BAR0.
    pub fn read32(&mut self, offset: u32) -> u32 {
        // CAST: a 4-byte read has 32 bits.
        u32::try_from(self.bar_read(Bar::Registers, u64::from(offset), 4)).unwrap_or(u32::MAX)
    }

    /// Dword write of BAR0.
    pub fn write32(&mut self, offset: u32, value: u32) {
        self.bar_write(Bar::Registers, u64::from(offset), 4, u64::from(value));
    }

    /// Does the function answer the access at all?
    fn decodes(&mut self, bar: Bar, offset: u64) -> bool {
        if self.device.injection.device_gone {
            return false;
        }
        if !self.device.config.is_awake() {
            self.device.violation(
                Rule::PowerState,
                format!("{bar:?} + {offset:#x}"),
                "the function is in D3",
            );
            return false;
        }
        if bar != Bar::Io && !self.device.config.memory_enabled() {
            self.device.violation(Rule::DecodeOff, format!("{bar:?} + {offset:#x}"), "");
            return false;
        }
        true
    }

    fn register_read(&mut self, offset: u64, size: u32) -> u64 {
        let Some(offset) = self.aligned(offset, size) else { return 0 };
        match size {
            8 => {
                let low = self.device.cpu_read(offset);
                u64::from(low) | u64::from(self.device.cpu_read(offset + 4)) << 32
            }
            // Narrow reads give their part of the dword.
            1 | 2 => u64::from(self.device.cpu_read(offset & !3)) >> (8 * (offset & 3)),
            _ => u64::from(self.device.cpu_read(offset)),
        }
    }

    fn register_write(&mut self, offset: u64, size: u32, value: u64) {
        let Some(offset) = self.aligned(offset, size) else { return };
        let (low, high) = halves(value);
        match size {
            8 => {
                self.device.cpu_write(offset, low);
                self.device.cpu_write(offset + 4, high);
            }
            4 => self.device.cpu_write(offset, low),
            _ => self.device.register_violation(Rule::AccessSize, offset, format!("write of {size} bytes")),
        }
    }

    /// Offset of an access that is naturally aligned and of a legal size; others are reported.
    fn aligned(&mut self, offset: u64, size: u32) -> Option<u32> {
        let offset = u32::try_from(offset).ok()?;
        if matches!(size, 1 | 2 | 4 | 8) && offset.is_multiple_of(size) {
            return Some(offset);
        }
        self.device.register_violation(Rule::AccessSize, offset, format!("access of {size} bytes"));
        None
    }

    fn ggtt_read(&mut self, offset: u64, size: u32) -> u64 {
        self.device.clock.spend(ACCESS_NS);
        self.device.ggtt.entry(offset / 8) >> (8 * (offset % 8)) & ones64(size)
    }

    fn ggtt_write(&mut self, offset: u64, size: u32, value: u64) {
        self.device.clock.spend(ACCESS_NS);
        let index = offset / 8;
        let value = match (size, offset % 8) {
            (8, 0) => value,
            (4, part @ (0 | 4)) => {
                self.device.violation(Rule::GgttAccessSize, format!("GGTT entry {index:#x}"), "half written");
                let shift = 8 * part;
                (self.device.ggtt.entry(index) & !(0xffff_ffff << shift)) | value << shift
            }
            _ => {
                let detail = format!("{size} bytes at offset {offset:#x}");
                self.device.violation(Rule::GgttAccessSize, format!("GGTT entry {index:#x}"), detail);
                return;
            }
        };
        if index >= self.device.ggtt.len() {
            self.device.violation(Rule::GgttAccessSize, format!("GGTT entry {index:#x}"), "beyond the table");
            return;
        }
        let reserved = self.device.ggtt.write(index, value);
        if reserved != 0 {
            let detail = format!("{value:#x}, reserved {reserved:#x}");
            self.device.violation(Rule::GgttReserved, format!("GGTT entry {index:#x}"), detail);
        }
    }

    /// Reads memory through the aperture; bytes that are not reachable read as ones.
    fn aperture_read(&mut self, offset: u64, size: u32) -> u64 {
        self.device.clock.spend(ACCESS_NS);
        let mut bytes = [0xff; 8];
        for (at, part) in in_pages(offset, &mut bytes, size) {
            if let Some(address) = self.device.aperture(at)
                && let Err(error) = self.device.memory.read(address, part)
            {
                part.fill(0xff);
                self.device.violation(Rule::Dma, format!("aperture offset {at:#x}"), error.to_string());
            }
        }
        u64::from_le_bytes(bytes)
    }

    /// Writes memory through the aperture.
    fn aperture_write(&mut self, offset: u64, size: u32, value: u64) {
        self.device.clock.spend(ACCESS_NS);
        for (at, part) in in_pages(offset, &mut value.to_le_bytes(), size) {
            if let Some(address) = self.device.aperture(at)
                && let Err(error) = self.device.memory.write(address, part)
            {
                self.device.violation(Rule::Dma, format!("aperture offset {at:#x}"), error.to_string());
            }
        }
    }

    /// Work that an access may do by itself.
    fn work(&mut self) {
        if self.device.options.timing != Timing::Deferred && self.device.is_busy() {
            let budget = self.device.options.instant_budget;
            self.device.run(budget);
        }
    }

    /// Lets the engines do at most `budget` units of work (about one a command); answers the units done. 0 means
    /// that all engines are idle, hung, held, or wait for memory that nobody changed.
    pub fn step(&mut self, budget: u64) -> u64 {
        let done = if self.device.injection.device_gone { 0 } else { self.device.run(budget) };
        self.note(|recorder| recorder.line(&format!("s {budget:x}")));
        done
    }

    /// Steps until nothing moves any more, at most `limit` units. Answers whether that point was reached.
    pub fn run_until_idle(&mut self, limit: u64) -> bool {
        self.step(limit) < limit
    }

    /// Some engine has work, even if it waits for memory to change.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.device.injection.device_gone && self.device.is_busy()
    }

    /// Takes the oldest message that was sent.
    pub fn take_msi(&mut self) -> Option<Msi> {
        self.device.msis.pop_front()
    }

    /// Messages sent since power-on.
    #[must_use]
    pub const fn msi_count(&self) -> u64 {
        self.device.msi_count
    }

    /// Level of the INTx line: a cause is pending, the master is on, and MSI is off.
    #[must_use]
    pub fn intx(&self) -> bool {
        self.device.line() && self.device.config.intx_enabled()
    }

    /// Model time in nanoseconds.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.device.now()
    }

    /// Moves the clock ahead.
    pub fn advance(&mut self, ns: u64) {
        self.device.clock.advance(ns);
        self.note(|recorder| recorder.line(&format!("t {ns:x}")));
    }

    /// Changes when work happens. From [`Timing::Busy`] or [`Timing::Silent`] to another this releases what was
    /// held; with [`Timing::Instant`] it is done before the call returns.
    pub fn set_timing(&mut self, timing: Timing) {
        self.device.options.timing = timing;
        self.work();
        self.note(|recorder| recorder.timing(timing));
    }

    /// Interrupts that are still to be lost.
    #[must_use]
    pub const fn interrupts_to_lose(&self) -> u32 {
        self.device.injection.lose_interrupts
    }

    /// Faults to inject.
    pub const fn injection(&mut self) -> &mut Injection {
        &mut self.device.injection
    }

    /// Breaches of rules so far.
    #[must_use]
    pub fn reports(&self) -> &[Report] {
        self.device.log.reports()
    }

    /// The whole log.
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.device.log
    }

    /// The whole log, to take from.
    pub const fn log_mut(&mut self) -> &mut Log {
        &mut self.device.log
    }

    /// Access counters of a register.
    #[must_use]
    pub fn counter(&self, offset: u32) -> Counter {
        self.device.registers.counter(offset)
    }

    /// The list of touched registers, as text.
    #[must_use]
    pub fn register_listing(&self) -> String {
        self.device.registers.listing()
    }

    /// The timeline as JSON.
    #[must_use]
    pub fn trace(&self) -> String {
        self.device.trace.json()
    }

    /// Events for which the timeline had no room.
    #[must_use]
    pub const fn trace_missing(&self) -> u64 {
        self.device.trace.missing()
    }

    /// State of every engine.
    #[must_use]
    pub fn engines(&self) -> Vec<EngineView> {
        self.device
            .engines
            .iter()
            .map(|engine| EngineView {
                name: engine.facts.name,
                activity: engine.activity.clone(),
                context: engine
                    .active
                    .and_then(|active| active.context())
                    .map(|context| context.context_id()),
                pending: engine.pending.is_some(),
                position: StreamState::position(&engine.stream),
                tlb_pages: engine.tlb.len(),
            })
            .collect()
    }

    /// State of one engine by name.
    #[must_use]
    pub fn engine(&self, name: &str) -> Option<EngineView> {
        self.engines().into_iter().find(|engine| engine.name == name)
    }

    /// DMA addresses of the pages that the engines' TLBs remember, those of the GGTT left out.
    #[must_use]
    pub fn remembered_pages(&self) -> Vec<u64> {
        self.device.engines.iter().flat_map(|engine| engine.tlb.ppgtt_pages()).collect()
    }

    /// What an address translates to now by the tables in memory, in every address space that a context has
    /// had (of thousands, the last ones); TLBs are not asked.
    pub fn translations(&mut self, address: u64) -> Vec<Leaf> {
        let roots: HashSet<_> =
            self.device.engines.iter().flat_map(|engine| engine.tlb.roots()).copied().collect();
        let switches = Switches { large_pages: true, gtt_cache: false };
        let Device { memory, platform, .. } = &mut self.device;
        let walk = |root| ppgtt::walk(&mut **memory, platform, &root, address, switches, &mut drop);
        roots.into_iter().map(walk).filter_map(Result::ok).collect()
    }

    /// The function is reset (PCI bus reset, machine reset): power-on state, GGTT contents survive.
    pub fn reset(&mut self) {
        self.device.config = crate::config::Config::new(self.device.platform);
        self.device.power_on();
        self.device.msis.clear();
        self.note(|recorder| recorder.line("reset"));
    }
}

/// The first `size` bytes, split where the range from `offset` on crosses a page: each page has a translation of its
/// own.
fn in_pages(offset: u64, bytes: &mut [u8; 8], size: u32) -> impl Iterator<Item = (u64, &mut [u8])> {
    const PAGE: u64 = 4096;
    let size = (size as usize).min(8);
    let room = usize::try_from(PAGE - offset % PAGE).map_or(size, |room| room.min(size));
    let (head, tail) = bytes[..size].split_at_mut(room);
    [(offset, head), (offset.saturating_add(room as u64), tail)]
        .into_iter()
        .filter(|(_, part)| !part.is_empty())
}

/// All ones of a 1, 2 or 4 byte read.
const fn ones(len: u32) -> u32 {
    match len {
        1 => 0xff,
        2 => 0xffff,
        _ => u32::MAX,
    }
}

/// All ones of a 1, 2, 4 or 8 byte read.
const fn ones64(size: u32) -> u64 {
    match size {
        1 => 0xff,
        2 => 0xffff,
        4 => 0xffff_ffff,
        _ => u64::MAX,
    }
}

/// Low and high dword.
fn halves(value: u64) -> (u32, u32) {
    // CAST: each half is masked to 32 bits.
    (u32::try_from(value & 0xffff_ffff).unwrap_or(0), u32::try_from(value >> 32).unwrap_or(0))
}
