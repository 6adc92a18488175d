// SPDX-License-Identifier: BSD-2-Clause
//! The register half of BAR0: from an access to the module that owns the register.

use crate::clock::ACCESS_NS;
use crate::commands::Generation;
use crate::device::Device;
use crate::interrupts::Written;
use crate::registers::{DECODED, names};
use crate::report::Rule;

/// Who accesses a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agent {
    /// The CPU, through BAR0.
    Cpu,
    /// A command of that engine.
    Engine(usize),
}

/// GFX_FLSH_CNTL.
const GTT_FLUSH: u32 = 0x10_1008;
/// Pcode mailbox, data, second data.
const PCODE_MAILBOX: u32 = 0x13_8124;
/// Mailbox: busy.
const PCODE_BUSY: u32 = 1 << 31;
/// Display power wells: requests and states.
const POWER_WELLS: u32 = 0x4_5400;
/// Fuse status: power gates distributed, download done.
const FUSE_STATUS: u32 = 0x4_2000;
/// GuC status: the microcontroller is in reset.
const GUC_STATUS: u32 = 0xc000;
/// GGC mirror.
const GGC_MIRROR: u32 = 0x10_8040;

/// Registers of the observation architecture: a context's own control, triggers, OACONTROL and its relatives before Gen12,
/// OAR and OAG from Gen12 on (PRM vol 2c, OACTXCONTROL, OASTARTTRIG1, OACONTROL, OAR_OACONTROL, OAG_OACONTROL).
pub(crate) const fn is_oa(offset: u32) -> bool {
    matches!(offset, 0x2360 | 0x2700..0x2800 | 0x2960..0x2970 | 0x2b00..0x2c00 | 0xd900..0xdc00)
}

impl Device {
    /// A dword read of the CPU.
    pub(crate) fn cpu_read(&mut self, offset: u32) -> u32 {
        self.clock.spend(ACCESS_NS);
        if offset >= DECODED {
            self.register_violation(Rule::MmioRange, offset, "read");
            return 0;
        }
        let value = match self.forcewake.missing(offset, false) {
            Some(domain) => {
                self.register_violation(Rule::Forcewake, offset, format!("read while {domain:?} sleeps"));
                // An engine that works keeps its domain awake, which a driver cannot know beforehand, so that it is
                // told all the same; i915 learns in this way what hangs (intel_execlists_submission.c, active_ccid).
                if self.is_at_work(offset) { self.register_read(offset, Agent::Cpu) } else { 0 }
            }
            None => self.register_read(offset, Agent::Cpu),
        };
        self.registers.count(offset, false, value);
        if is_oa(offset) && self.registers.counter(offset).reads == 1 {
            self.remark_oa(offset);
        }
        value
    }

    /// Has the engine that a register belongs to a context?
    fn is_at_work(&self, offset: u32) -> bool {
        let engine = self.engine_at(offset).and_then(|(index, _)| self.engines.get(index));
        engine.is_some_and(|engine| engine.active.is_some())
    }

    /// A dword write of the CPU.
    pub(crate) fn cpu_write(&mut self, offset: u32, value: u32) {
        self.clock.spend(ACCESS_NS);
        if offset >= DECODED {
            self.register_violation(Rule::MmioRange, offset, format!("wrote {value:#x}"));
            return;
        }
        self.registers.count(offset, true, value);
        match self.forcewake.missing(offset, true) {
            Some(domain) => {
                let detail = format!("wrote {value:#x} while {domain:?} sleeps");
                self.register_violation(Rule::Forcewake, offset, detail);
            }
            None => self.register_write(offset, value, Agent::Cpu),
        }
    }

    /// Reads a register, whoever asks.
    pub(crate) fn register_read(&mut self, offset: u32, _agent: Agent) -> u32 {
        if let Some((index, relative)) = self.engine_at(offset) {
            return self.engine_mmio_read(index, relative);
        }
        if let Some(value) = self.forcewake.read(offset) {
            return value;
        }
        if offset >= 0x4_4000
            && let Some(value) = self.interrupts.read(offset)
        {
            return value;
        }
        if let Some(value) = self.sfc_read(offset) {
            return value;
        }
        match offset {
            GTT_FLUSH => 0,
            POWER_WELLS..0x4_5460 => self.power_well(offset),
            FUSE_STATUS => 0xffe0_0000,
            GUC_STATUS => self.registers.get(offset) | 1,
            GGC_MIRROR => self.config.ggc(),
            _ => self.registers.get(offset),
        }
    }

    /// Writes a register, whoever asks.
    pub(crate) fn register_write(&mut self, offset: u32, value: u32, agent: Agent) {
        if let Some((index, relative)) = self.engine_at(offset) {
            // Global registers in the render engine's range.
            if index == 0 && names::is_masked_global_register(self.platform.generation, offset) {
                self.store(offset, value, true);
            } else {
                self.engine_mmio_write(index, relative, value, agent);
            }
            return;
        }
        self.forcewake.delay = self.injection.forcewake;
        if let Some(legal) = self.forcewake.write(offset, value) {
            if value >> 16 == 0 && value != 0 {
                self.register_violation(Rule::MaskedWrite, offset, format!("wrote {value:#x}"));
            } else if !legal {
                self.register_violation(Rule::ForcewakeRequest, offset, format!("wrote {value:#x}"));
            }
            return;
        }
        if offset >= 0x4_4000 {
            match self.interrupts.write(offset, value) {
                Written::Foreign => {}
                Written::Done => return self.update_line(),
                Written::BadIdentity => {
                    self.register_violation(Rule::InterruptIdentity, offset, format!("wrote {value:#x}"));
                    return self.update_line();
                }
                Written::BadMaster => {
                    self.register_violation(Rule::InterruptMaster, offset, format!("wrote {value:#x}"));
                    return self.update_line();
                }
            }
        }
        self.global_write(offset, value);
    }

    fn global_write(&mut self, offset: u32, value: u32) {
        if self.platform.fuses.iter().any(|(fuse, _)| *fuse == offset) || offset == GGC_MIRROR {
            self.register_violation(Rule::ReadOnlyRegister, offset, format!("wrote {value:#x}"));
            return;
        }
        match offset {
            0x941c => self.write_gdrst(value),
            GTT_FLUSH => self.flush_ggtt(),
            PCODE_MAILBOX => self.pcode(value),
            0x10_0000..0x10_0100 => self.write_fence(offset, value),
            _ if self.tlb_write(offset, value) => {}
            _ if self.is_aux_invalidation(offset) => self.registers.set(offset, 0),
            _ => {
                if self.is_pat(offset) {
                    self.pat_written = true;
                }
                self.remark(offset);
                let masked = names::is_masked_global_register(self.platform.generation, offset);
                self.store(offset, value, masked);
            }
        }
    }

    fn is_pat(&self, offset: u32) -> bool {
        offset == if self.platform.generation == Generation::Gen12 { 0x4800 } else { 0x40e0 }
    }

    /// Invalidations of the compression tables: done at once, read back as 0.
    fn is_aux_invalidation(&self, offset: u32) -> bool {
        self.platform.generation == Generation::Gen12
            && matches!(offset, 0x4208 | 0x4218 | 0x4238 | 0x4248 | 0x4298 | 0x42c8)
    }

    /// Notes registers whose effect the model does not have.
    fn remark(&mut self, offset: u32) {
        if self.registers.counter(offset).writes > 1 {
            return;
        }
        if is_oa(offset) {
            self.remark_oa(offset);
        } else if names::global_register(offset).is_none()
            && !names::is_masked_global_register(self.platform.generation, offset)
        {
            self.notice(format!("register {offset:#x} is plain storage: no effect"));
        }
    }

    /// Notes that somebody asked for performance counters.
    #[cold]
    pub(crate) fn remark_oa(&mut self, offset: u32) {
        self.notice(format!("OA (performance counters) is out of scope: {offset:#x} has no effect"));
    }

    /// A display power well answers each request at once: state bit = request bit >> 1, over all requesters.
    fn power_well(&self, offset: u32) -> u32 {
        const REQUESTS: u32 = 0xaaaa_aaaa;
        let own = self.registers.get(offset) & REQUESTS;
        let first = offset & !0xf;
        let all = (0..4).fold(0, |all, n| all | self.registers.get(first + 4 * n) & REQUESTS);
        own | all >> 1
    }

    /// Every pcode command succeeds at once and leaves its data alone.
    fn pcode(&mut self, value: u32) {
        if value & PCODE_BUSY != 0 {
            self.notice(format!("pcode command {:#x} succeeds without effect", value & 0xff));
        }
        self.registers.set(PCODE_MAILBOX, 0);
    }

    /// Fence registers: the upper half changes only while the valid bit of the lower is clear.
    fn write_fence(&mut self, offset: u32, value: u32) {
        let low = offset & !7;
        if offset != low && self.registers.get(low) & 1 != 0 {
            self.register_violation(Rule::Fence, offset, format!("wrote {value:#x} while valid"));
        }
        self.registers.set(offset, value);
    }

    /// TLB invalidation registers. Answers `false` if `offset` is none.
    fn tlb_write(&mut self, offset: u32, value: u32) -> bool {
        let first = self.platform.engines.iter().find(|facts| facts.tlb.offset == offset);
        let Some(first) = first else { return self.global_tlb_write(offset, value) };
        let bits = if first.tlb.masked { value & value >> 16 } else { value };
        let mut known = 0;
        for (index, facts) in self.platform.engines.iter().enumerate() {
            if facts.tlb.offset == offset {
                known |= 1 << facts.tlb.bit;
                if bits >> facts.tlb.bit & 1 != 0 {
                    self.invalidate_tlb(index, "register");
                }
            }
        }
        if bits & 0xffff & !known != 0 || bits == 0 {
            self.register_violation(Rule::TlbRegister, offset, format!("wrote {value:#x}"));
        }
        self.registers.set(offset, if self.injection.stuck_tlb_invalidation { bits } else { 0 });
        true
    }

    /// GGTT and GuC TLB control: 0x4274, on Gen12 0xcee8; and the OA unit's.
    fn global_tlb_write(&mut self, offset: u32, value: u32) -> bool {
        let gen12 = self.platform.generation == Generation::Gen12;
        let ggtt = if gen12 { 0xcee8 } else { 0x4274 };
        if offset == ggtt && value & 1 != 0 {
            for engine in &mut self.engines {
                engine.tlb.clear_ggtt();
            }
            self.registers.set(offset, 0);
            return true;
        }
        if gen12 && offset == 0xceec {
            self.registers.set(offset, 0);
            return true;
        }
        false
    }

    /// SFC lock handshake: a requested lock is acknowledged, the SFC is never in use.
    fn sfc_read(&self, offset: u32) -> Option<u32> {
        if self.platform.generation < Generation::Gen11 || offset < 0x1c_0000 {
            return None;
        }
        self.engines.iter().find_map(|engine| {
            let relative = offset.checked_sub(engine.base())?;
            match (engine.facts.hw_class, relative) {
                (1, 0x890) => Some((self.registers.get(engine.base() + 0x88c) & 1) << 1),
                (2, 0x2018) => Some(self.registers.get(engine.base() + 0x201c) & 1),
                (2, 0x2014) => Some(0),
                _ => None,
            }
        })
    }
}
