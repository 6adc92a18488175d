// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts: which engines have something to tell.
//!
//! The causes are read and cleared with the master off; the master goes on again before the engines are
//! looked at, so that whatever happens while we look raises a new message.
//!
//! Sources: PRM vol 2c (master interrupt, GT interrupt registers); i915: gen8_irq.c, gen11_irq.c,
//! intel_gt_irq.c.

use super::{Gpu, MAX_ENGINES};
use crate::device::{EngineClass, EngineId};
use crate::engine::{events, interrupt_shift};
use crate::mmio::poll;
use crate::mmio::regs::{
    GtIerGen8, GtIirGen8, GtImrGen8, GtInterruptDword, IdentitySelector, InterruptIdentity,
    MasterInterruptGen8, MasterInterruptGen11,
};
use crate::platform::Hardware;

/// Gen11/12 enable registers: [RENDER_COPY, VCS_VECS], then those that stay off.
const GEN11_ENABLES: [u32; 2] = [0x19_0030, 0x19_0034];
const GEN11_OTHER_ENABLES: [u32; 5] = [0x19_0038, 0x19_003c, 0x19_0040, 0x19_0044, 0x19_0048];
/// Mask registers: RCS, BCS (upper halves), VCS0/1, VCS2/3, VECS0/1, then those that stay off.
const GEN11_UPPER_MASKS: [u32; 2] = [0x19_0090, 0x19_00a0];
const GEN11_MASKS: [u32; 3] = [0x19_00a8, 0x19_00ac, 0x19_00d0];
const GEN11_OTHER_MASKS: [u32; 4] = [0x19_00e8, 0x19_00ec, 0x19_00f0, 0x19_0100];

/// Interrupt blocks of the display and the system, each IMR, IIR, IER from its offset on: whatever the
/// firmware left unmasked there would be a cause that nobody ever clears.
const GEN11_FOREIGN: [u32; 2] = [0x4_44e4, 0x4_44f4];
/// Pipes A to C, DE port, DE misc, PCU.
const GEN8_FOREIGN: [u32; 6] = [0x4_4404, 0x4_4414, 0x4_4424, 0x4_4444, 0x4_4464, 0x4_44e4];
/// Gen11/12: enable of all display interrupts (DISPLAY_INT_CTL).
const GEN11_DISPLAY: u32 = 0x4_4200;

/// Both engines of a register.
const BOTH: u32 = events::ENABLED << 16 | events::ENABLED;

impl<H: Hardware> Gpu<H> {
    /// Turns the master off: no message is sent.
    pub(super) fn interrupts_off(&mut self) {
        if self.platform.generation.is_gen11_or_12() {
            self.bus.write(MasterInterruptGen11(0));
            let _posted: MasterInterruptGen11 = self.bus.read();
        } else {
            self.bus.write(MasterInterruptGen8(0));
            let _posted: MasterInterruptGen8 = self.bus.read();
        }
    }

    /// Masks what is not the GT's.
    fn mask_foreign(&mut self) {
        let gen11 = self.platform.generation.is_gen11_or_12();
        if gen11 {
            self.bus.write_raw(GEN11_DISPLAY, 0);
        }
        let blocks: &[u32] = if gen11 { &GEN11_FOREIGN } else { &GEN8_FOREIGN };
        for block in blocks {
            self.bus.write_raw(*block, u32::MAX);
            self.bus.write_raw(*block + 8, 0);
            // Twice: a second event may be latched behind the first.
            for _ in 0..2 {
                self.bus.write_raw(*block + 4, u32::MAX);
                let _posted = self.bus.read_raw(*block + 4);
            }
        }
    }

    /// Programs enables and masks and turns the master on.
    pub(super) fn interrupts_on(&mut self) {
        self.mask_foreign();
        if self.platform.generation.is_gen11_or_12() {
            for register in GEN11_OTHER_ENABLES {
                self.bus.write_raw(register, 0);
            }
            for register in GEN11_OTHER_MASKS {
                self.bus.write_raw(register, u32::MAX);
            }
            for register in GEN11_ENABLES {
                self.bus.write_raw(register, BOTH);
            }
            for register in GEN11_UPPER_MASKS {
                self.bus.write_raw(register, !(events::ENABLED << 16));
            }
            for register in GEN11_MASKS {
                self.bus.write_raw(register, !BOTH);
            }
            self.bus.write(MasterInterruptGen11(MasterInterruptGen11::ENABLE.mask()));
        } else {
            for block in 0..4 {
                let enabled = match block {
                    0 | 1 => BOTH,
                    3 => events::ENABLED,
                    _ => 0, // power management and GuC: not used
                };
                self.bus.write_at(block, GtImrGen8(u32::MAX));
                self.bus.write_at(block, GtIerGen8(0));
                // Twice: a second event may be latched behind the first.
                for _ in 0..2 {
                    self.bus.write_at(block, GtIirGen8(u32::MAX));
                    let _posted: GtIirGen8 = self.bus.read_at(block);
                }
                self.bus.write_at(block, GtIerGen8(enabled));
                self.bus.write_at(block, GtImrGen8(!enabled));
            }
            self.bus.write(MasterInterruptGen8(MasterInterruptGen8::ENABLE.mask()));
        }
    }

    /// Handles an interrupt: reads and clears the causes, notices finished requests
    /// ([`Self::take_completion`]) and gives the engines their next work. Harmless when there was none.
    pub fn interrupt(&mut self) {
        self.statistics.interrupts += 1;
        if self.check_running().is_ok() {
            self.handle_causes();
        }
    }

    /// Reads and clears the causes and does what they ask for.
    pub(super) fn handle_causes(&mut self) {
        let gen11 = self.platform.generation.is_gen11_or_12();
        let Some(causes) = (if gen11 { self.causes_gen11() } else { self.causes_gen8() }) else {
            if self.is_gone() {
                self.wedge();
            }
            return;
        };
        for engine in 0..self.engines.len() {
            let vector = causes.get(engine).copied().unwrap_or(0);
            if vector != 0 {
                // Whatever the clock has noticed before: this is its interrupt.
                self.unannounced_since_ns = None;
                self.process_engine(engine);
            }
            if vector & events::ERROR != 0 {
                self.command_error(engine);
            }
        }
        self.run_scheduler();
        for engine in 0..self.engines.len() {
            if causes.get(engine).is_some_and(|vector| vector & events::SEMAPHORE_WAIT != 0) {
                self.end_poll(engine);
            }
        }
    }

    /// The events of each engine; `None` if the master register reads all ones, which it cannot be.
    fn causes_gen8(&mut self) -> Option<[u32; MAX_ENGINES]> {
        self.bus.write(MasterInterruptGen8(0));
        let master: MasterInterruptGen8 = self.bus.read();
        if master.0 == u32::MAX {
            return None;
        }
        let mut causes = [0; MAX_ENGINES];
        for (block, bits) in [(0, 0b11), (1, 0b11 << 2), (3, 1 << 6)] {
            if master.0 & bits == 0 {
                continue;
            }
            let pending: GtIirGen8 = self.bus.read_at(block);
            if pending.0 != 0 {
                self.bus.write_at(block, pending);
            }
            for (index, engine) in self.engines.iter().enumerate() {
                if block_of(engine.id) == block {
                    let vector = pending.0 >> interrupt_shift(self.platform.generation, engine.id) & 0xffff;
                    causes[index] |= vector & events::ENABLED;
                }
            }
        }
        self.bus.write(MasterInterruptGen8(MasterInterruptGen8::ENABLE.mask()));
        Some(causes)
    }

    /// As [`Self::causes_gen8`].
    fn causes_gen11(&mut self) -> Option<[u32; MAX_ENGINES]> {
        self.bus.write(MasterInterruptGen11(0));
        let master: MasterInterruptGen11 = self.bus.read();
        if master.0 == u32::MAX {
            return None;
        }
        let mut causes = [0; MAX_ENGINES];
        for bank in 0..2 {
            if master.0 >> bank & 1 == 0 {
                continue;
            }
            let pending: GtInterruptDword = self.bus.read_at(bank);
            let mut bits = pending.0;
            while bits != 0 {
                let bit = bits.trailing_zeros();
                bits &= bits - 1;
                let identity = self.identity_of(bank, 1 << bit);
                let class = EngineClass::from_hardware(identity.get(InterruptIdentity::CLASS));
                let instance = identity.get(InterruptIdentity::INSTANCE);
                let engine = self.engines.iter().position(|engine| {
                    Some(engine.id.class) == class && u32::from(engine.id.instance) == instance
                });
                if let Some(engine) = engine {
                    causes[engine] |= identity.get(InterruptIdentity::EVENTS) & events::ENABLED;
                }
            }
            // Cleared after the identities: their sources stay pending until they have been read.
            self.bus.write_at(bank, pending);
        }
        self.bus.write(MasterInterruptGen11(MasterInterruptGen11::ENABLE.mask()));
        Some(causes)
    }

    /// Asks who raised a bit of a bank, and for what. All zero events when nobody answers.
    fn identity_of(&mut self, bank: u32, bit: u32) -> InterruptIdentity {
        self.bus.write_at(bank, IdentitySelector(bit));
        let mut identity = InterruptIdentity::default();
        // TIMEOUT: 100 us, from i915 (`gen11_gt_engine_identity`).
        let valid = poll::until(&mut self.bus, 100_000, |bus| {
            identity = bus.read_at(bank);
            identity.is_set(InterruptIdentity::VALID)
        });
        if valid.is_err() {
            return InterruptIdentity::default().with(InterruptIdentity::CLASS, 7);
        }
        self.bus.write_at(bank, InterruptIdentity(InterruptIdentity::VALID.mask()));
        identity
    }
}

/// Gen8/9: the GT interrupt block of an engine.
const fn block_of(engine: EngineId) -> u32 {
    match engine.class {
        EngineClass::Render | EngineClass::Copy => 0,
        EngineClass::Video => 1,
        EngineClass::VideoEnhance => 3,
    }
}
