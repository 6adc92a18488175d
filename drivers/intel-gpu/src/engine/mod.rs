// SPDX-License-Identifier: BSD-2-Clause
//! One command streamer: its registers, its status page, its two submission ports, and what waits for
//! them.

pub(crate) mod commands;
pub(crate) mod csb;
pub(crate) mod emit;
pub(crate) mod image;
pub(crate) mod mocs;
pub(crate) mod ports;
pub(crate) mod queue;
pub(crate) mod reset;
pub(crate) mod ring;
pub(crate) mod template;
pub(crate) mod workarounds;

use crate::address::{DmaPage, GgttOffset};
use crate::device::{EngineClass, EngineId, Generation};
use crate::gpu::{Context, ContextId, Progress};
use crate::memory::pool::PageList;
use crate::mmio::regs::{
    ErrorIdentity, ErrorMask, ErrorStatus, InterruptMask, MiMode, RingMode, StatusMask, StatusPage,
};
use crate::mmio::{Bus, EngineBase};
use crate::platform::Hardware;
use csb::StatusBuffer;
use emit::Dialect;
use ports::Ports;
use queue::Queue;
use template::Template;
use workarounds::Part;

/// Events of an engine's interrupt vector (PRM: GT interrupt registers, the 16-bit engine part).
pub(crate) mod events {
    /// MI_USER_INTERRUPT.
    pub(crate) const USER: u32 = 1 << 0;
    /// The command streamer met an error.
    pub(crate) const ERROR: u32 = 1 << 3;
    /// A context status event was written.
    pub(crate) const CONTEXT_SWITCH: u32 = 1 << 8;
    /// A context waits on a semaphore.
    pub(crate) const SEMAPHORE_WAIT: u32 = 1 << 11;
    /// What this driver listens to.
    pub(crate) const ENABLED: u32 = USER | ERROR | CONTEXT_SWITCH | SEMAPHORE_WAIT;
}

/// An engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) id: EngineId,
    pub(crate) base: EngineBase,
    pub(crate) dialect: Dialect,
    /// What most requests are made of.
    pub(crate) template: Template,
    pub(crate) status_page: GgttOffset,
    pub(crate) status: StatusBuffer,
    pub(crate) ports: Ports,
    pub(crate) queue: Queue<Context>,
    /// Of an own and a shared context that are equally urgent the shared one is next.
    pub(crate) shared_turn: bool,
    /// Saved image of the first context: what every other one starts from.
    pub(crate) default_state: PageList,
    /// The driver's own context: the first one, whose saved image is the default state, and afterwards
    /// the one that knocks to see whether the engine still listens.
    pub(crate) kernel: Option<ContextId>,
    /// What it was executing when the clock looked last.
    pub(crate) progress: Progress,
    /// It is stopped for a reset: what it saves now starts stopped, too.
    pub(crate) stopped: bool,
    /// Counts full TLB invalidations, from 1.
    pub(crate) tlb_generation: u64,
    /// Time that it has executed something, and until when that is counted.
    pub(crate) busy_ns: u64,
    pub(crate) counted_ns: u64,
}

impl Engine {
    pub(crate) fn new(part: Part, id: EngineId, status_dma: DmaPage, status_page: GgttOffset) -> Self {
        let generation = part.platform.generation;
        let base = EngineBase(id.mmio_base(generation));
        let dialect = Dialect { generation, class: id.class, dc_flush: part.is_kaby_lake_before_c0() };
        Self {
            id,
            base,
            dialect,
            template: Template::new(dialect),
            status_page,
            status: StatusBuffer::new(status_dma, base, generation),
            ports: Ports::new(),
            queue: Queue::new(),
            shared_turn: false,
            default_state: PageList::new(),
            kernel: None,
            progress: Progress::new(),
            stopped: false,
            tlb_generation: 1,
            busy_ns: 0,
            counted_ns: 0,
        }
    }

    /// Brings the engine from reset to where it takes submissions. Returns its error status, which must
    /// be zero.
    pub(crate) fn enable<H: Hardware>(&mut self, bus: &mut Bus<H>, part: Part) -> u32 {
        let generation = part.platform.generation;
        workarounds::apply_engine(bus, part, self.id);
        mocs::program_engine(bus, generation, part.platform.mocs, self.id);

        bus.write_on(self.base, StatusMask(u32::MAX));
        if generation.is_gen11_or_12() {
            bus.write_field_on(self.base, RingMode::DISABLE_LEGACY, 1);
        } else {
            bus.write_field_on(self.base, RingMode::RUN_LIST_ENABLE, 1);
        }
        bus.write_field_on(self.base, MiMode::STOP_RING, 0);
        bus.write_on(self.base, StatusPage(self.status_page.get()));
        let _posted: StatusPage = bus.read_on(self.base);

        bus.write_on(self.base, ErrorMask(u32::MAX));
        bus.write_on(self.base, ErrorIdentity(u32::MAX));
        let status: ErrorStatus = bus.read_on(self.base);
        bus.write_on(self.base, ErrorMask(!ErrorMask::INSTRUCTION.mask()));
        if !generation.is_gen11_or_12() {
            // Later parts want it clear, as it is after a reset, or they do not enter RC6; the GT's own masks do (i915:
            // intel_execlists_submission.c, `logical_ring_default_vfuncs`).
            let enabled = events::ENABLED << interrupt_shift(generation, self.id);
            bus.write_on(self.base, InterruptMask(!enabled));
        }

        self.status.reset(bus);
        status.0
    }
}

/// Which half of a 32-bit interrupt register of Gen8/9 is this engine's.
pub(crate) const fn interrupt_shift(generation: Generation, engine: EngineId) -> u32 {
    let upper = match engine.class {
        EngineClass::Copy => true,
        EngineClass::Video => engine.instance == 1,
        EngineClass::Render | EngineClass::VideoEnhance => false,
    };
    if upper && !generation.is_gen11_or_12() { 16 } else { 0 }
}
