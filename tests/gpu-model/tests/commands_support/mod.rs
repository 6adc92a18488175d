// SPDX-License-Identifier: BSD-2-Clause
//! A command bus for tests: flat memory in both address spaces, a flat register file, and a log of everything
//! that a stream asked for.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]
#![allow(clippy::panic, clippy::cast_possible_truncation, reason = "tests")]

use std::collections::BTreeSet;

use gpu_model::commands::{
    Access, CommandBus, Denied, Engine, EngineClass, Fault, FaultKind, Flush, Generation, Interrupt, Outcome,
    Position, Privilege, Report, ReportKind, Space, Step, StreamState, TraceEvent,
};

/// Size of the memory behind each address space.
pub const MEMORY: usize = 8 << 20;
/// First PPGTT address that is mapped.
pub const PPGTT_BASE: u64 = 0x1_0000_0000;
/// Where the ring lies in the GGTT, and its size.
pub const RING: u32 = 0x1_0000;
pub const RING_SIZE: u32 = 0x4000;
/// Where `Machine::batch` puts its dwords.
pub const BATCH: u64 = PPGTT_BASE + 0x1_0000;
/// Memory for data.
pub const DATA: u64 = PPGTT_BASE + 0x10_0000;
/// The status pages, in the GGTT.
pub const HWSP: u64 = 0x2_0000;
pub const PPHWSP: u64 = 0x3_0000;
/// Bytes of the register file.
const REGISTERS: usize = 0x20_0000;
const PAGE: usize = 4096;

/// Sparse memory of pages that come into being, zeroed, with their first use.
pub struct Pages(Vec<Option<Box<[u8; PAGE]>>>);

impl Pages {
    fn new(size: usize) -> Self {
        Self((0..size / PAGE).map(|_| None).collect())
    }

    /// A range inside one page.
    fn range(&mut self, offset: usize, length: usize) -> Option<&mut [u8]> {
        let page = self.0.get_mut(offset / PAGE)?.get_or_insert_with(|| Box::new([0; PAGE]));
        page.get_mut(offset % PAGE..offset % PAGE + length)
    }
}

pub const RCS: Engine = Engine { class: EngineClass::Render, instance: 0, base: 0x2000 };
pub const BCS: Engine = Engine { class: EngineClass::Copy, instance: 0, base: 0x2_2000 };
pub const VCS: Engine = Engine { class: EngineClass::Video, instance: 0, base: 0x1c_0000 };
pub const VCS2: Engine = Engine { class: EngineClass::Video, instance: 2, base: 0x1d_0000 };

pub const GENERATIONS: [Generation; 4] =
    [Generation::Gen8, Generation::Gen9, Generation::Gen11, Generation::Gen12];

pub struct TestBus {
    pub generation: Generation,
    pub engine: Engine,
    ggtt: Pages,
    ppgtt: Pages,
    registers: Pages,
    /// Registers that non-privileged batches may read and write.
    pub whitelist: BTreeSet<u32>,
    pub reports: Vec<Report>,
    pub violations: Vec<(u32, Position)>,
    pub interrupts: Vec<Interrupt>,
    pub flushes: Vec<Flush>,
    pub events: Vec<TraceEvent>,
    pub gtt_updates: Vec<(u64, u64)>,
    pub signals: Vec<(u8, u32)>,
    pub tlb_invalidations: u32,
    pub preempt: bool,
    pub now: u64,
    pub slices: u32,
    /// Calls of `read` with [`Access::Fetch`].
    pub fetches: u64,
    /// How often `compare_exchange` finds something else than expected before it works.
    pub contention: u32,
}

impl TestBus {
    pub fn new(generation: Generation, engine: Engine) -> Self {
        Self {
            generation,
            engine,
            ggtt: Pages::new(MEMORY),
            ppgtt: Pages::new(MEMORY),
            registers: Pages::new(REGISTERS),
            whitelist: BTreeSet::new(),
            reports: Vec::new(),
            violations: Vec::new(),
            interrupts: Vec::new(),
            flushes: Vec::new(),
            events: Vec::new(),
            gtt_updates: Vec::new(),
            signals: Vec::new(),
            tlb_invalidations: 0,
            preempt: false,
            now: 0,
            slices: 1,
            fetches: 0,
            contention: 0,
        }
    }

    fn range(
        &mut self,
        space: Space,
        address: u64,
        length: usize,
        access: Access,
    ) -> Result<&mut [u8], Fault> {
        assert!(length > 0, "empty access");
        assert!(address < 1 << 48, "address {address:#x} has more than 48 bits");
        assert!(address % 4096 + length as u64 <= 4096, "access to {address:#x}+{length:#x} crosses a page");
        let fault = |kind| Fault { space, address, access, kind };
        let (memory, base) = match space {
            Space::Ggtt => (&mut self.ggtt, 0),
            Space::Ppgtt => (&mut self.ppgtt, PPGTT_BASE),
        };
        let offset = address.checked_sub(base).ok_or(fault(FaultKind::InvalidPml4e))?;
        let offset = usize::try_from(offset).map_err(|_| fault(FaultKind::InvalidPdpe))?;
        memory.range(offset, length).ok_or(fault(FaultKind::InvalidPte))
    }

    /// Value of the register at MMIO offset `offset`; 0 beyond the register file.
    pub fn register(&mut self, offset: u32) -> u32 {
        assert_eq!(offset % 4, 0, "register {offset:#x}");
        let bytes = self
            .registers
            .range(offset as usize, 4)
            .map_or([0; 4], |bytes| [bytes[0], bytes[1], bytes[2], bytes[3]]);
        u32::from_le_bytes(bytes)
    }

    pub fn set_register(&mut self, offset: u32, value: u32) {
        assert_eq!(offset % 4, 0, "register {offset:#x}");
        if let Some(bytes) = self.registers.range(offset as usize, 4) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }
}

impl CommandBus for TestBus {
    fn generation(&self) -> Generation {
        self.generation
    }
    fn engine(&self) -> Engine {
        self.engine
    }
    fn read(&mut self, space: Space, address: u64, buffer: &mut [u8], access: Access) -> Result<(), Fault> {
        self.fetches += u64::from(access == Access::Fetch);
        let range = self.range(space, address, buffer.len(), access)?;
        buffer.copy_from_slice(range);
        Ok(())
    }
    fn write(&mut self, space: Space, address: u64, data: &[u8]) -> Result<(), Fault> {
        self.range(space, address, data.len(), Access::Write)?.copy_from_slice(data);
        Ok(())
    }
    fn compare_exchange(
        &mut self,
        space: Space,
        address: u64,
        size: usize,
        current: u128,
        new: u128,
    ) -> Result<u128, Fault> {
        assert_eq!(address % size as u64, 0);
        let contended = self.contention > 0;
        self.contention = self.contention.saturating_sub(1);
        let range = self.range(space, address, size, Access::Write)?;
        if contended {
            // Somebody else adds 1 to the first byte in between.
            range[0] = range[0].wrapping_add(1);
        }
        let mut bytes = [0; 16];
        bytes[..size].copy_from_slice(range);
        let found = u128::from_le_bytes(bytes);
        if found == current {
            range.copy_from_slice(&new.to_le_bytes()[..size]);
        }
        Ok(found)
    }
    fn read_register(&mut self, offset: u32, privilege: Privilege) -> Result<u32, Denied> {
        if privilege == Privilege::NonPrivileged && !self.whitelist.contains(&offset) {
            return Err(Denied);
        }
        Ok(self.register(offset))
    }
    fn write_register(
        &mut self,
        offset: u32,
        value: u32,
        mask: u32,
        privilege: Privilege,
    ) -> Result<(), Denied> {
        if privilege == Privilege::NonPrivileged && !self.whitelist.contains(&offset) {
            return Err(Denied);
        }
        let value = self.register(offset) & !mask | value & mask;
        self.set_register(offset, value);
        Ok(())
    }
    fn privilege_violation(&mut self, header: u32, position: Position) {
        self.violations.push((header, position));
    }
    fn interrupt(&mut self, interrupt: Interrupt) {
        self.interrupts.push(interrupt);
    }
    fn timestamp(&mut self) -> u64 {
        self.now
    }
    fn invalidate_tlb(&mut self) {
        self.tlb_invalidations += 1;
    }
    fn flush(&mut self, flush: Flush) {
        self.flushes.push(flush);
    }
    fn slices(&mut self) -> u32 {
        self.slices
    }
    fn hardware_status_page(&mut self) -> u64 {
        HWSP
    }
    fn process_status_page(&mut self) -> u64 {
        PPHWSP
    }
    fn update_gtt(&mut self, index: u64, entry: u64) {
        self.gtt_updates.push((index, entry));
    }
    fn signal_semaphore(&mut self, target: u8, context: u32) {
        self.signals.push((target, context));
    }
    fn preemption_pending(&mut self) -> bool {
        self.preempt
    }
    fn report(&mut self, report: Report) {
        self.reports.push(report);
    }
    fn trace(&mut self, event: TraceEvent) {
        self.events.push(event);
    }
}

/// A stream on a test bus.
pub struct Machine {
    pub bus: TestBus,
    pub state: StreamState,
}

impl Machine {
    pub fn new(generation: Generation, engine: Engine) -> Self {
        let mut state = StreamState::new();
        state.start = RING;
        state.control = (RING_SIZE - 0x1000) | 1;
        Self { bus: TestBus::new(generation, engine), state }
    }

    /// Puts dwords into memory.
    pub fn load(&mut self, space: Space, address: u64, dwords: &[u32]) {
        for (index, dword) in dwords.iter().enumerate() {
            self.bus.write(space, address + 4 * index as u64, &dword.to_le_bytes()).expect("mapped");
        }
    }

    /// Appends dwords to the ring, padded to a qword, and moves the tail.
    pub fn submit(&mut self, dwords: &[u32]) {
        let mut tail = self.state.tail;
        for &dword in dwords.iter().chain((!dwords.len().is_multiple_of(2)).then_some(&0)) {
            self.load(Space::Ggtt, u64::from(RING + tail), &[dword]);
            tail = (tail + 4) % RING_SIZE;
        }
        self.state.tail = tail;
    }

    /// Executes `dwords` from the ring until something other than the budget stops them.
    pub fn ring(&mut self, dwords: &[u32]) -> Outcome {
        self.submit(dwords);
        self.run()
    }

    /// Executes `dwords` and a batch end as a non-privileged batch.
    pub fn batch(&mut self, dwords: &[u32]) -> Outcome {
        self.batch_in(Space::Ppgtt, BATCH, dwords)
    }

    /// Executes `dwords` and a batch end as a batch at `address` of `space`.
    pub fn batch_in(&mut self, space: Space, address: u64, dwords: &[u32]) -> Outcome {
        self.load(space, address, dwords);
        self.load(space, address + 4 * dwords.len() as u64, &[BB_END]);
        self.submit(&bb_start(space, address));
        self.run()
    }

    /// Steps until something other than the budget stops the stream; bounded.
    pub fn run(&mut self) -> Outcome {
        for _ in 0..10_000 {
            let Step { outcome, .. } = self.state.step(&mut self.bus, 1000);
            if outcome != Outcome::BudgetSpent {
                return outcome;
            }
        }
        panic!("the stream does not end: {:?}", self.state);
    }

    /// Bytes of memory; the range may cross pages.
    pub fn bytes(&mut self, space: Space, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut done = 0;
        while done < length {
            let at = address + done as u64;
            let run = (PAGE - at as usize % PAGE).min(length - done);
            self.bus.read(space, at, &mut bytes[done..done + run], Access::Read).expect("mapped");
            done += run;
        }
        bytes
    }

    pub fn set_bytes(&mut self, space: Space, address: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = address + done as u64;
            let run = (PAGE - at as usize % PAGE).min(bytes.len() - done);
            self.bus.write(space, at, &bytes[done..done + run]).expect("mapped");
            done += run;
        }
    }

    pub fn read(&mut self, space: Space, address: u64) -> u32 {
        let mut bytes = [0; 4];
        self.bus.read(space, address, &mut bytes, Access::Read).expect("mapped");
        u32::from_le_bytes(bytes)
    }

    pub fn read_u64(&mut self, space: Space, address: u64) -> u64 {
        u64::from(self.read(space, address)) | u64::from(self.read(space, address + 4)) << 32
    }

    /// Register of this engine.
    pub fn register(&mut self, relative: u32) -> u32 {
        self.bus.register(self.bus.engine.base + relative)
    }

    pub fn set_register(&mut self, relative: u32, value: u32) {
        self.bus.set_register(self.bus.engine.base + relative, value);
    }

    pub fn gpr(&mut self, number: u32) -> u64 {
        u64::from(self.register(0x600 + 8 * number)) | u64::from(self.register(0x604 + 8 * number)) << 32
    }

    pub fn set_gpr(&mut self, number: u32, value: u64) {
        self.set_register(0x600 + 8 * number, value as u32);
        self.set_register(0x604 + 8 * number, (value >> 32) as u32);
    }

    /// Rules that were broken so far.
    pub fn broken_rules(&self) -> Vec<&'static str> {
        self.bus.reports.iter().filter(|r| r.kind == ReportKind::Violation).map(|r| r.rule).collect()
    }

    /// Commands that were skipped so far.
    pub fn unexecuted(&self) -> Vec<&'static str> {
        self.bus.reports.iter().filter(|r| r.kind == ReportKind::Unexecuted).map(|r| r.command).collect()
    }

    /// Asserts that nothing was reported.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.bus.reports.is_empty(), "{}", self.bus.reports[0]);
        assert!(self.bus.violations.is_empty(), "{:x?}", self.bus.violations);
    }

    /// Asserts that exactly one rule was broken, whose text contains `words`.
    #[track_caller]
    pub fn assert_broken(&self, words: &str) {
        let rules = self.broken_rules();
        assert!(rules.len() == 1 && rules[0].contains(words), "wanted {words:?}, got {rules:?}");
        let report = self.bus.reports.iter().find(|r| r.kind == ReportKind::Violation).expect("one");
        assert!(!report.source.is_empty() && !report.command.is_empty());
        let line = report.to_string();
        assert!(line.contains(report.command) && line.contains(report.rule) && line.contains(report.source));
    }
}

pub const BB_END: u32 = 0x0500_0000;

/// Low and high dword.
pub fn split(address: u64) -> [u32; 2] {
    [address as u32, (address >> 32) as u32]
}

/// MI_BATCH_BUFFER_START, first level.
pub fn bb_start(space: Space, address: u64) -> [u32; 3] {
    let header = if space == Space::Ppgtt { 0x1880_0101 } else { 0x1880_0001 };
    let [low, high] = split(address);
    [header, low, high]
}
