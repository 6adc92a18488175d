// SPDX-License-Identifier: BSD-2-Clause
//! The state of the whole GPU, and the small operations that every part of it uses.
//!
//! [`crate::Gpu`] is the outside of it. Inside, modules add their operations as `impl Device` blocks: registers
//! in [`crate::mmio`], memory in [`crate::access`], engines in [`crate::engine`], resets in [`crate::reset`].

use std::collections::{BTreeMap, VecDeque};

use crate::clock::Clock;
use crate::config::Config;
use crate::engine::EngineUnit;
use crate::ggtt::Ggtt;
use crate::injection::Injection;
use crate::interrupts::{Controller, Msi, event};
use crate::memory::{GuestMemory, MemoryError};
use crate::options::Options;
use crate::platform::{Platform, engines::InterruptPosition};
use crate::record::Recorder;
use crate::registers::forcewake::Forcewake;
use crate::registers::{DECODED, RegisterFile, names};
use crate::report::{Log, Rule};
use crate::trace::{Trace, Track};

/// Most messages that wait for their taker; a guest that ignores interrupts cannot make the queue grow.
const MSI_LIMIT: usize = 1024;

/// Size of an engine's register range.
const ENGINE_BLOCK: u32 = 0x800;
/// A block of registers that belongs to no engine.
const NO_ENGINE: u8 = u8::MAX;

/// Index of the engine of each block of registers.
fn engine_map(platform: &Platform) -> Vec<u8> {
    let mut map = vec![NO_ENGINE; (DECODED / ENGINE_BLOCK) as usize];
    for (index, facts) in (0u8..).zip(platform.engines) {
        if let Some(entry) = map.get_mut((facts.engine.base / ENGINE_BLOCK) as usize) {
            *entry = index;
        }
    }
    map
}

/// The GPU.
pub(crate) struct Device {
    pub(crate) platform: &'static Platform,
    pub(crate) options: Options,
    pub(crate) memory: Box<dyn GuestMemory>,
    pub(crate) config: Config,
    pub(crate) registers: RegisterFile,
    pub(crate) forcewake: Forcewake,
    pub(crate) ggtt: Ggtt,
    pub(crate) interrupts: Controller,
    pub(crate) engines: Vec<EngineUnit>,
    /// Engine by register block.
    engine_map: Vec<u8>,
    pub(crate) log: Log,
    pub(crate) trace: Trace,
    pub(crate) injection: Injection,
    pub(crate) clock: Clock,
    pub(crate) msis: VecDeque<Msi>,
    /// Messages sent since power-on.
    pub(crate) msi_count: u64,
    /// State of "master enabled and a cause pending" when last looked at.
    line: bool,
    /// A rising edge of the line has not become a message yet, because MSI or bus mastering was off.
    msi_held: bool,
    /// Registers outside the documented image list that render contexts wrote, with the values before.
    pub(crate) render_registers: BTreeMap<u32, u32>,
    /// PAT index 0 was written since it was last lost.
    pub(crate) pat_written: bool,
    /// A non-privileged batch writes the register that is being written.
    pub(crate) written_by_client: bool,
    /// Takes every access, if the run is recorded.
    pub(crate) recorder: Option<Recorder>,
    /// Why memory refused the access that failed last, if memory did.
    pub(crate) refused: Option<MemoryError>,
}

impl Device {
    pub(crate) fn new(platform: &'static Platform, options: Options, memory: Box<dyn GuestMemory>) -> Self {
        let engines: Vec<_> = platform.engines.iter().map(|facts| EngineUnit::new(platform, facts)).collect();
        let mut device = Self {
            platform,
            options,
            memory,
            config: Config::new(platform),
            registers: RegisterFile::new(),
            forcewake: Forcewake::new(platform),
            ggtt: Ggtt::new(platform),
            interrupts: Controller::new(platform),
            trace: Trace::new(options.trace, engines.iter().map(|engine| engine.facts.name)),
            engine_map: engine_map(platform),
            engines,
            log: Log::default(),
            injection: Injection::default(),
            clock: Clock::new(options.clock),
            msis: VecDeque::new(),
            msi_count: 0,
            line: false,
            msi_held: false,
            render_registers: BTreeMap::new(),
            pat_written: false,
            written_by_client: false,
            recorder: None,
            refused: None,
        };
        device.power_on();
        device
    }

    /// Time for logs.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Reports a breach of `rule`.
    #[cold]
    pub(crate) fn violation(&mut self, rule: Rule, subject: impl Into<String>, detail: impl Into<String>) {
        let now = self.now();
        self.log.violation(now, rule, false, subject, detail);
    }

    /// Reports a breach of `rule` by the driver, or by the content of a client's batch.
    #[cold]
    pub(crate) fn violation_by(
        &mut self,
        client: bool,
        rule: Rule,
        subject: impl Into<String>,
        detail: impl Into<String>,
    ) {
        let now = self.now();
        self.log.violation(now, rule, client, subject, detail);
    }

    /// Reports a breach at a register.
    #[cold]
    pub(crate) fn register_violation(&mut self, rule: Rule, offset: u32, detail: impl Into<String>) {
        let name = self.register_name(offset);
        let now = self.now();
        self.log.violation(now, rule, self.written_by_client, name, detail);
    }

    /// Notes something that the model does not do.
    #[cold]
    pub(crate) fn notice(&mut self, text: impl Into<String>) {
        let now = self.now();
        self.log.notice(now, text);
    }

    /// Engine whose registers contain `offset`, and the offset from its base.
    pub(crate) fn engine_at(&self, offset: u32) -> Option<(usize, u32)> {
        let entry = *self.engine_map.get((offset / ENGINE_BLOCK) as usize)?;
        // Bases are multiples of the block, and ranges are one block long.
        (entry != NO_ENGINE).then_some((usize::from(entry), offset % ENGINE_BLOCK))
    }

    /// Name of a register for messages, with its offset.
    pub(crate) fn register_name(&self, offset: u32) -> String {
        let name = match self.engine_at(offset) {
            Some((index, relative)) => names::engine_register(relative).map(|name| {
                let engine = self.engines.get(index).map_or("?", |engine| engine.facts.name);
                format!("{} {name}", engine.to_uppercase())
            }),
            None => names::global_register(offset),
        };
        match name {
            Some(name) => format!("{name} ({offset:#x})"),
            None => format!("register {offset:#x}"),
        }
    }

    /// Name of an engine.
    pub(crate) fn engine_name(&self, index: usize) -> &'static str {
        self.engines.get(index).map_or("?", |engine| engine.facts.name)
    }

    /// Value of an engine register that is plain storage.
    pub(crate) fn engine_register(&self, index: usize, relative: u32) -> u32 {
        self.engines.get(index).map_or(0, |engine| self.registers.get(engine.base() + relative))
    }

    /// Stores an engine register without side effects.
    pub(crate) fn set_engine_register(&mut self, index: usize, relative: u32, value: u32) {
        if let Some(engine) = self.engines.get(index) {
            self.registers.set(engine.base() + relative, value);
        }
    }

    /// An engine raises events of its 16-bit vector.
    pub(crate) fn raise(&mut self, index: usize, vector: u16) {
        let Some(engine) = self.engines.get(index) else { return };
        let facts = engine.facts;
        let mask = self.registers.get(engine.base() + 0xa8);
        let shift = match facts.interrupt {
            InterruptPosition::Legacy { shift, .. } => shift,
            InterruptPosition::Identity { .. } => 0,
        };
        let passed = u32::from(vector) & !(mask >> shift);
        // CAST: `vector` has 16 bits.
        let passed = u16::try_from(passed & 0xffff).unwrap_or(0);
        if passed == 0 {
            return;
        }
        if self.injection.lose_interrupts > 0 {
            self.injection.lose_interrupts -= 1;
            return;
        }
        let now = self.now();
        if self.interrupts.raise(facts.interrupt, facts.hw_class, facts.engine.instance, passed) {
            self.trace.instant(now, Track::Interrupts, || {
                (format!("{} {}", facts.name, event_names(passed)), serde_json::Value::Null)
            });
        }
        self.update_line();
    }

    /// Looks at the interrupt line and sends a message on its rising edge.
    pub(crate) fn update_line(&mut self) {
        let asserted = self.interrupts.asserted();
        let edge = asserted && !self.line;
        self.line = asserted;
        self.config.show_intx(asserted && self.config.intx_enabled());
        self.msi_held &= asserted;
        if edge {
            self.send_msi();
        }
    }

    /// The configuration may have changed: sends the message of a cause that is still pending, if MSI has just been enabled
    /// or if nobody could be told so far.
    pub(crate) fn send_held_msi(&mut self, enabled: bool) {
        if self.line && (enabled || self.msi_held) {
            self.send_msi();
        }
    }

    /// Sends the message if it is enabled, or keeps it pending.
    pub(crate) fn send_msi(&mut self) {
        if !self.config.msi_ready() || !self.config.bus_master() {
            self.config.set_msi_pending(true);
            self.msi_held = true;
            return;
        }
        self.config.set_msi_pending(false);
        self.msi_held = false;
        let msi = self.config.msi();
        if msi.address == 0 {
            self.violation(Rule::MsiProgrammed, "MSI capability", "address 0");
        }
        self.msi_count += 1;
        if let Some(recorder) = &self.recorder {
            recorder.msi(msi);
        }
        if self.msis.len() < MSI_LIMIT {
            self.msis.push_back(msi);
        }
        let now = self.now();
        self.trace.instant(now, Track::Interrupts, || {
            (format!("MSI {:#x} <- {:#x}", msi.address, msi.data), serde_json::Value::Null)
        });
    }

    /// Is a cause pending with the master on?
    pub(crate) const fn line(&self) -> bool {
        self.line
    }
}

fn event_names(vector: u16) -> String {
    const NAMES: [(u16, &str); 6] = [
        (event::USER, "user"),
        (event::ERROR, "error"),
        (event::FLUSH, "flush"),
        (event::PAGE_FAULT, "page fault"),
        (event::CONTEXT_SWITCH, "context switch"),
        (event::SEMAPHORE, "semaphore"),
    ];
    let names: Vec<_> = NAMES.iter().filter(|(bit, _)| vector & bit != 0).map(|(_, name)| *name).collect();
    names.join(", ")
}
