// SPDX-License-Identifier: BSD-2-Clause
//! Registers of an engine: what reading and writing them does.

use super::Activity;
use super::descriptor::{Descriptor, NO_CONTEXT};
use super::nonpriv::{SLOT0, SLOTS, SlotRule};
use super::submit::Queue;
use crate::clock::ticks;
use crate::commands::{Generation, Level};
use crate::device::Device;
use crate::mmio::{Agent, is_oa};
use crate::registers::names;
use crate::report::Rule;

/// Execlist submit port of Gen8 and Gen9.
const ELSP: u32 = 0x230;
/// MI_MODE: the engine is idle.
const MODE_IDLE: u32 = 1 << 9;
/// MI_MODE: stop.
const STOP_RING: u32 = 1 << 8;

impl Device {
    /// Low dword of TIMESTAMP.
    pub(crate) fn timestamp_low(&self) -> u32 {
        u32::try_from(ticks(self.now(), self.platform.timestamp_hz) & 0xffff_ffff).unwrap_or(0)
    }

    /// CTX_TIMESTAMP: run time of the loaded context, which moves while it runs.
    pub(crate) fn context_timestamp(&self, index: usize) -> u32 {
        let Some(engine) = self.engines.get(index) else { return 0 };
        let ran = engine.context_since.map_or(0, |since| self.now().saturating_sub(since));
        let ran = ticks(ran, self.platform.context_timestamp_hz) & 0xffff_ffff;
        engine.context_ticks.wrapping_add(u32::try_from(ran).unwrap_or(0))
    }

    /// The engine executes nothing, or stands at ring level because it was told to stop.
    fn engine_idle(&self, index: usize) -> bool {
        let Some(engine) = self.engines.get(index) else { return true };
        match engine.activity {
            Activity::Idle => true,
            Activity::Hung(_) => false,
            Activity::Running | Activity::Waiting(_) => {
                self.engine_register(index, 0x9c) & STOP_RING != 0 && engine.stream.level() == Level::Ring
            }
        }
    }

    /// Reads an engine register.
    pub(crate) fn engine_mmio_read(&mut self, index: usize, relative: u32) -> u32 {
        let generation = self.platform.generation;
        let Some(engine) = self.engines.get(index) else { return 0 };
        if let Some(value) = engine.stream.read_register(relative) {
            return value;
        }
        match relative {
            0x06c => {
                if self.engine_idle(index) {
                    u32::MAX
                } else {
                    !1
                }
            }
            0x09c => {
                let mode = self.engine_register(index, 0x9c) & !MODE_IDLE;
                mode | if self.engine_idle(index) { MODE_IDLE } else { 0 }
            }
            0x0d0 => (self.engine_register(index, 0xd0) & !2) | u32::from(engine.ready_for_reset) << 1,
            0x234 | 0x238 => {
                let (low, high) = engine.status.execlist_status(
                    generation,
                    engine.active.as_ref(),
                    engine.pending.is_some(),
                    engine.stream.arbitration,
                );
                if relative == 0x234 { low } else { high }
            }
            ELSP | 0x550 => 0,
            0x358 => self.timestamp_low(),
            0x35c => u32::try_from(ticks(self.now(), self.platform.timestamp_hz) >> 32).unwrap_or(0),
            0x370..0x3a0 => half(engine.status.entry(((relative - 0x370) / 8) as usize), relative),
            0x3c0..0x3f0 if generation >= Generation::Gen11 => {
                half(engine.status.entry((6 + (relative - 0x3c0) / 8) as usize), relative)
            }
            0x3a0 => engine.status.pointers(),
            0x3a8 => self.context_timestamp(index),
            0x510..0x550 if generation >= Generation::Gen11 => {
                engine.ports.elsq(((relative - 0x510) / 4) as usize)
            }
            _ => self.engine_register(index, relative),
        }
    }

    /// A submission to the ELSP is four writes with none to another register of the engine between; the next one's dwords
    /// would else take the place of those that are missing.
    pub(crate) fn check_half_written(&mut self, index: usize, what: std::fmt::Arguments<'_>) {
        let Some(engine) = self.engines.get(index) else { return };
        let (written, offset) = (engine.ports.partial(), engine.base() + ELSP);
        if written != 0 {
            self.register_violation(Rule::SubmitOrder, offset, format!("{what} after {written} of 4 dwords"));
        }
    }

    /// Writes an engine register.
    pub(crate) fn engine_mmio_write(&mut self, index: usize, relative: u32, value: u32, agent: Agent) {
        let generation = self.platform.generation;
        if agent == Agent::Cpu && relative != ELSP {
            self.check_half_written(index, format_args!("write of base+{relative:#x}"));
        }
        let Some(engine) = self.engines.get_mut(index) else { return };
        let offset = engine.base() + relative;
        match relative {
            // General purpose registers first: commands write them most.
            0x600..0x680 => self.registers.set(offset, value),
            0x030 | 0x034 | 0x038 | 0x03c => self.write_ring_register(index, relative, value),
            0x05c | 0x068 | 0x06c | 0x074 | 0x0b8 | 0x234 | 0x238 | 0x358 | 0x35c | 0x370..0x3a0 => {
                self.register_violation(Rule::ReadOnlyRegister, offset, format!("wrote {value:#x}"));
            }
            0x09c | 0x29c => self.write_mode(index, relative, value),
            0x0b0 => {
                // Write 1 to clear. The condition itself goes with it.
                let (eir, esr) = (self.engine_register(index, 0xb0), self.engine_register(index, 0xb8));
                self.set_engine_register(index, 0xb0, eir & !value);
                self.set_engine_register(index, 0xb8, esr & !value);
            }
            0x0d0 => self.write_reset_control(index, value),
            0x180 => {
                // CCID by MMIO belongs to ring mode; with execlists it shows the loaded context.
                if !self.execlists_on(index) {
                    self.set_engine_register(index, relative, value);
                }
            }
            ELSP if generation <= Generation::Gen9 => {
                if let Some([first, second]) = engine.ports.write_elsp(generation, value) {
                    self.submit(index, offset, first, second);
                }
            }
            0x510..0x550 if generation >= Generation::Gen11 => {
                engine.ports.set_elsq(((relative - 0x510) / 4) as usize, value);
            }
            0x550 if generation >= Generation::Gen11 => self.load_submit_queue(index, offset, value),
            0x270..0x290 => {
                self.set_engine_register(index, relative, value);
                if matches!(agent, Agent::Engine(own) if own == index) {
                    self.update_root(index);
                }
            }
            0x3a0 => engine.status.set_pointers(value),
            0x3a8 => {
                engine.context_ticks = value;
                let since = engine.context_since.is_some();
                let now = self.now();
                if let Some(engine) = self.engines.get_mut(index) {
                    engine.context_since = since.then_some(now);
                }
            }
            _ if engine.stream.write_register(relative, value, u32::MAX) => {}
            _ if (SLOT0..SLOT0 + 4 * SLOTS).contains(&relative) => {
                if SlotRule::new(value).is_none() {
                    self.register_violation(Rule::NonPrivSlot, offset, format!("wrote {value:#x}"));
                }
                self.registers.set(offset, value);
                self.decode_slots(index);
            }
            _ => {
                if is_oa(offset) {
                    self.remark_oa(offset);
                }
                self.store(offset, value, names::is_masked_engine_register(relative));
            }
        }
    }

    /// Stores a plain register, masked or not.
    pub(crate) fn store(&mut self, offset: u32, value: u32, masked: bool) {
        if !masked {
            self.registers.set(offset, value);
            return;
        }
        if value >> 16 == 0 && value != 0 {
            self.register_violation(Rule::MaskedWrite, offset, format!("wrote {value:#x}"));
        }
        self.registers.set_masked(offset, value);
    }

    fn write_mode(&mut self, index: usize, relative: u32, value: u32) {
        let Some(engine) = self.engines.get_mut(index) else { return };
        let offset = engine.base() + relative;
        if relative == 0x09c && value >> 16 & STOP_RING != 0 && value & STOP_RING == 0 {
            // Whoever takes the stop back instead of resetting the engine has to see to the images.
            engine.stopped_images.clear();
        }
        self.store(offset, value, true);
    }

    /// Execlists are enabled in GFX_MODE.
    pub(crate) fn execlists_on(&self, index: usize) -> bool {
        let bit = if self.platform.generation >= Generation::Gen11 { 3 } else { 15 };
        self.engine_register(index, 0x29c) >> bit & 1 != 0
    }

    /// Ring registers by MMIO: legacy ring mode only.
    fn write_ring_register(&mut self, index: usize, relative: u32, value: u32) {
        let on = self.execlists_on(index);
        let Some(engine) = self.engines.get_mut(index) else { return };
        let offset = engine.base() + relative;
        if on {
            self.register_violation(Rule::RingRegisterInExeclists, offset, format!("wrote {value:#x}"));
            return;
        }
        engine.stream.write_register(relative, value, u32::MAX);
        if relative == 0x030 && value & 7 != 0 {
            self.register_violation(Rule::TailAlignment, offset, format!("wrote {value:#x}"));
        }
        // In ring mode GFX_MODE bit 9 switches the PPGTT on and bit 7 makes it 48-bit.
        let mode = self.engine_register(index, 0x29c);
        if let Some(engine) = self.engines.get_mut(index) {
            engine.four_level = mode & (1 << 7) != 0;
        }
        if mode & (1 << 9) != 0 {
            self.update_root(index);
        }
    }

    fn load_submit_queue(&mut self, index: usize, offset: u32, value: u32) {
        let generation = self.platform.generation;
        if value & !1 != 0 {
            self.register_violation(Rule::DescriptorReserved, offset, format!("wrote {value:#x}"));
        }
        if value & 1 == 0 {
            return;
        }
        let Some(engine) = self.engines.get_mut(index) else { return };
        let rewritten = engine.ports.take_rewritten();
        let ([first, second], more) = engine.ports.load_elsq(generation);
        if !rewritten {
            self.register_violation(
                Rule::SubmitOrder,
                offset,
                "an element was not written since the last load",
            );
        }
        if more {
            self.notice("ELSQ elements 2 to 7 are not executed");
        }
        self.submit(index, offset, first, second);
    }

    /// A submission of two elements.
    fn submit(&mut self, index: usize, offset: u32, first: Descriptor, second: Descriptor) {
        if !self.execlists_on(index) {
            self.register_violation(Rule::ExeclistsOff, offset, "submission ignored");
            return;
        }
        if !self.config.bus_master() {
            self.register_violation(Rule::BusMaster, offset, "submission ignored");
            return;
        }
        let Some(queue) = Queue::new(first, second) else {
            self.register_violation(Rule::ElementZero, offset, format!("element 0 = {:#018x}", first.raw()));
            return;
        };
        for descriptor in queue.iter() {
            self.check_descriptor(index, offset, descriptor);
        }
        if queue.get(1).is_some_and(|second| second.same_context(first)) {
            self.register_violation(Rule::DuplicateElements, offset, format!("{:#018x}", first.raw()));
        }
        self.check_pat(offset);
        let page = u64::from(self.engine_register(index, 0x80) & !0xfff);
        if self.ggtt.find(page >> 12).and_then(|found| found.page).is_none() || page == 0 {
            self.register_violation(Rule::StatusPage, offset, format!("HWS_PGA = {page:#x}"));
        }
        let Some(engine) = self.engines.get_mut(index) else { return };
        if engine.pending.replace(queue).is_some() {
            self.register_violation(Rule::SubmitBeforeAck, offset, "the pending submission is overwritten");
        }
    }

    fn check_descriptor(&mut self, index: usize, offset: u32, descriptor: Descriptor) {
        let Some(facts) = self.engines.get(index).map(|engine| engine.facts) else { return };
        let raw = format!("{:#018x}", descriptor.raw());
        if descriptor.reserved() != 0 {
            let detail = format!("{raw}: {:#x}", descriptor.reserved());
            self.register_violation(Rule::DescriptorReserved, offset, detail);
        }
        if !matches!(descriptor.addressing_mode(), 1 | 3) {
            self.register_violation(Rule::AddressingMode, offset, raw.clone());
        }
        if let Some((class, instance)) = descriptor.engine()
            && (class, instance) != (u32::from(facts.hw_class), u32::from(facts.engine.instance))
        {
            let detail = format!("{raw}: class {class}, instance {instance}");
            self.register_violation(Rule::DescriptorEngine, offset, detail);
        }
        if self.platform.generation == Generation::Gen12 && descriptor.context_id() == NO_CONTEXT {
            self.register_violation(Rule::ContextId, offset, raw);
        }
    }

    /// PAT index 0 must be usable for all GGTT traffic.
    fn check_pat(&mut self, offset: u32) {
        let register = if self.platform.generation == Generation::Gen12 { 0x4800 } else { 0x40e0 };
        let value = self.registers.get(register) & 0xff;
        let coherent = if self.platform.low_power { value & 0x40 != 0 } else { value & 3 == 3 };
        if !self.pat_written || !coherent {
            self.register_violation(Rule::Pat, offset, format!("PAT index 0 = {value:#x}"));
        }
    }
}

/// Half of a 64-bit value behind a pair of registers.
fn half(value: u64, offset: u32) -> u32 {
    let half = if offset.is_multiple_of(8) { value } else { value >> 32 };
    // CAST: masked to 32 bits.
    u32::try_from(half & 0xffff_ffff).unwrap_or(0)
}
