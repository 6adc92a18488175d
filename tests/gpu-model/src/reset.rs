// SPDX-License-Identifier: BSD-2-Clause
//! Power-on, GDRST, and the RESET_CTL handshake.
//!
//! ```text
//!   RESET_CTL bit 0 (request) ─► bit 1 (ready): the engine stands ─► GDRST bit ─► engine state lost, bit clears
//!   GDRST bit 0: everything, with forcewake requests, PAT and MOCS
//! ```

use crate::commands::{Generation, StreamState};
use crate::device::Device;
use crate::engine::Activity;
use crate::interrupts::Controller;
use crate::report::Rule;
use crate::trace::Track;

/// GDRST.
const GDRST: u32 = 0x941c;
/// Fence registers.
const FENCES: std::ops::Range<u32> = 0x10_0000..0x10_0100;
/// GDRST: full reset.
const FULL: u32 = 1 << 0;

impl Device {
    /// State after power-on.
    pub(crate) fn power_on(&mut self) {
        self.registers.clear(0, crate::registers::DECODED);
        for (offset, value) in self.platform.fuses {
            self.registers.set(*offset, *value);
        }
        self.forcewake.reset();
        self.interrupts = Controller::new(self.platform);
        for index in 0..self.engines.len() {
            self.reset_engine(index, "power-on");
        }
        self.pat_written = false;
        self.render_registers.clear();
        self.update_line();
    }

    /// The function comes back from D3hot. An integrated GPU keeps what it would keep in RC6: Linux, when it resumes
    /// from its runtime suspend, writes the fences anew and nothing else of the GT (i915: intel_gt_pm.c,
    /// intel_gt_runtime_resume), and goes on with the same engines, GGTT and PAT.
    pub(crate) fn wake_from_d3(&mut self) {
        self.registers.clear(FENCES.start, FENCES.end);
        self.forcewake.reset();
    }

    /// Loses an engine's state.
    pub(crate) fn reset_engine(&mut self, index: usize, why: &'static str) {
        let generation = self.platform.generation;
        let now = self.now();
        let Some(engine) = self.engines.get_mut(index) else { return };
        engine.stream = StreamState::new();
        engine.activity = Activity::Idle;
        engine.ports.reset();
        engine.active = None;
        engine.pending = None;
        engine.loaded = None;
        engine.saved = None;
        engine.fresh = false;
        engine.status = crate::engine::status::StatusBuffer::new(generation);
        engine.tlb.clear();
        engine.space = None;
        engine.context_since = None;
        engine.context_ticks = 0;
        engine.stopped_images.clear();
        engine.signalled = false;
        engine.was_reset = true;
        engine.slots.clear();
        let (base, size) = (engine.base(), engine.facts.mmio_size);
        // RESET_CTL belongs to the handshake that is under way, not to the engine.
        let control = self.registers.get(base + 0xd0) & 1;
        self.registers.clear(base, base + size);
        self.registers.set(base + 0xd0, control);
        // Linux writes GDRST twice, because the first may be reported done too early (i915: intel_reset.c,
        // gen6_hw_domain_reset): an engine whose reset is still requested is still ready for one.
        if control == 0
            && let Some(engine) = self.engines.get_mut(index)
        {
            engine.ready_for_reset = false;
        }
        self.set_engine_register(index, 0xb4, u32::MAX);
        // Linux never writes IMR from Gen11 on and gets its interrupts, so they start unmasked there.
        let imr = if generation >= Generation::Gen11 { 0 } else { u32::MAX };
        self.set_engine_register(index, 0xa8, imr);
        if generation == Generation::Gen9 || generation == Generation::Gen11 {
            self.lose_mocs(index);
        }
        self.trace.end_all(now, index, 0);
        self.trace.instant(now, Track::Engine(index), || (format!("reset ({why})"), serde_json::Value::Null));
    }

    /// MOCS tables are per engine on Gen9 and Gen11, and lost with it.
    fn lose_mocs(&mut self, index: usize) {
        let Some(facts) = self.engines.get(index).map(|engine| engine.facts) else { return };
        let table = match (facts.hw_class, facts.engine.instance) {
            (0, _) => 0xc800,
            (1, 0) => 0xc900,
            (1, 1) => 0xca00,
            (2, _) => 0xcb00,
            (3, _) => 0xcc00,
            (1, 2) => 0x1_0000,
            _ => return,
        };
        self.registers.clear(table, table + 0x100);
    }

    /// A write to GDRST.
    pub(crate) fn write_gdrst(&mut self, value: u32) {
        if self.injection.failing_resets > 0 {
            self.injection.failing_resets -= 1;
            self.registers.set(GDRST, value);
            return;
        }
        if value & FULL != 0 {
            self.full_reset();
        } else {
            let mut known = self.reset_bits_of_others();
            for index in 0..self.engines.len() {
                let Some(engine) = self.engines.get(index) else { continue };
                let bit = 1 << engine.facts.reset_bit;
                known |= bit;
                if value & bit == 0 {
                    continue;
                }
                if !engine.ready_for_reset {
                    let name = engine.facts.name;
                    self.register_violation(Rule::ResetHandshake, GDRST, format!("{name} is not ready"));
                }
                self.check_half_written(index, format_args!("reset"));
                self.reset_engine(index, "GDRST");
            }
            if value & !known != 0 {
                self.register_violation(Rule::ResetBits, GDRST, format!("wrote {value:#x}"));
            }
        }
        self.registers.set(GDRST, 0);
    }

    /// GDRST bits that exist besides the engines': GuC, SFCs.
    fn reset_bits_of_others(&self) -> u32 {
        if self.platform.generation >= Generation::Gen11 { 1 << 3 | 0xf << 17 } else { 1 << 5 }
    }

    fn full_reset(&mut self) {
        for index in 0..self.engines.len() {
            self.check_half_written(index, format_args!("reset"));
            self.reset_engine(index, "full GDRST");
        }
        if self.options.full_reset_keeps_power {
            return;
        }
        self.forcewake.reset();
        self.pat_written = false;
        let (pat, mocs) = if self.platform.generation == Generation::Gen12 {
            ((0x4800, 0x4820), (0x4000, 0x4100))
        } else {
            ((0x40e0, 0x4100), (0xb020, 0xb0a0))
        };
        self.registers.clear(pat.0, pat.1);
        self.registers.clear(mocs.0, mocs.1);
    }

    /// RESET_CTL of an engine.
    pub(crate) fn write_reset_control(&mut self, index: usize, value: u32) {
        let Some(engine) = self.engines.get(index) else { return };
        let (name, offset) = (engine.facts.name, engine.base() + 0xd0);
        if value >> 16 == 0 && value != 0 {
            self.register_violation(Rule::MaskedWrite, offset, format!("wrote {value:#x}"));
        }
        let mut state = self.registers.set_masked(offset, value);
        // Bit 2, catastrophic error: writing it clears it. The model never sets it.
        state &= !(1 << 2);
        self.registers.set(offset, state & !2);
        let never = self.injection.never_ready_for_reset.contains(&name);
        if let Some(engine) = self.engines.get_mut(index) {
            engine.ready_for_reset = state & 1 != 0 && !never;
        }
    }
}
