// SPDX-License-Identifier: BSD-2-Clause
//! Bringing the GPU up, in the order that the hardware asks for (PRM vol 2c, vol 12; i915:
//! `i915_driver_hw_probe`, `intel_gt_init_hw`):
//!
//! interrupts off - forcewake - fuses - reset - GGTT - fences off - PAT, workarounds, MOCS - engines - the
//! first request of each engine, whose saved image becomes its default state - interrupts on.

use alloc::vec::Vec;

use super::error_state::ErrorState;
use super::finish::RequestList;
use super::power::Power;
use super::query::Statistics;
use super::wait::Wait;
use super::{Config, Consumed, Context, EngineIndex, Gpu, Health, MAX_ENGINES, Request, Timeline, Vm};
use crate::address::DmaPage;
use crate::device::{EngineId, Fuses, Generation, PciIdentity, Platform};
use crate::engine::emit::Payload;
use crate::engine::queue::{KERNEL_PRIORITY, Queue};
use crate::engine::{Engine, reset, workarounds};
use crate::error::{Error, InitError};
use crate::handle::Slab;
use crate::index::Index;
use crate::memory::ggtt::{Ggtt, GgttRange};
use crate::memory::pool::Pool;
use crate::memory::ppgtt::{Format, Scratch};
use crate::memory::ranges::Ranges;
use crate::memory::tlb::Tlb;
use crate::mmio::forcewake::{domains, early_domains};
use crate::mmio::register::{Array, Register};
use crate::mmio::regs::{
    ExeclistStatus, FenceHigh, FenceLow, GgcMirror, MasterInterruptGen8, MasterInterruptGen11, RingHead,
};
use crate::mmio::{Bus, poll};
use crate::platform::Hardware;

/// Most contexts, timelines and requests that the driver has for itself.
// CAST: a small constant.
#[expect(clippy::cast_possible_truncation)]
pub(super) const OWN: u32 = MAX_ENGINES as u32;

impl Config {
    /// Contexts, timeline pages, status pages.
    const fn ggtt_ranges(&self) -> u32 {
        self.contexts + self.timelines.div_ceil(64) + 64
    }

    /// Bytes of the driver's own memory that pools of these sizes take, if the GPU reaches `pages` pages of it.
    #[must_use]
    pub fn bytes(&self, pages: u32) -> usize {
        let per_engine = size_of::<Engine>() + Queue::<Context>::bytes();
        Pool::bytes(pages, self.accounts)
            + Ranges::bytes(self.ggtt_ranges())
            + Ranges::bytes(self.ranges)
            + MAX_ENGINES * per_engine
            + Queue::<Context>::bytes()
            + Slab::<Vm>::bytes(self.vms + 1)
            + Slab::<Context>::bytes(self.contexts + OWN)
            + Slab::<Timeline>::bytes(self.timelines + OWN)
            + Slab::<Request>::bytes(self.requests + OWN)
            + Slab::<Wait>::bytes(self.waits + self.contexts + OWN)
            + Index::<Request>::bytes(self.requests + OWN)
            // CAST: widening on every target of this driver.
            + (self.timelines + OWN).div_ceil(64) as usize * size_of::<Option<(DmaPage, GgttRange)>>()
            + ErrorState::bytes()
    }
}

/// Fewest pages of a DMA region that anything useful can be done with.
const MIN_PAGES: u32 = 128;

impl<H: Hardware> Gpu<H> {
    /// Brings up the GPU that `hw` leads to. Memory decoding and bus mastering are on, and nobody else
    /// drives the device. All memory that the driver will ever use is allocated here. The interrupt may
    /// come as soon as this has returned.
    ///
    /// # Errors
    /// [`InitError`]: an unknown part, a device that does not answer, a region or configuration that
    /// does not do.
    pub fn init(hw: H, identity: PciIdentity, config: Config) -> Result<Self, InitError> {
        config.check()?;
        let (platform, level) = identity.platform()?;
        let generation = platform.generation;
        if identity.ggtt_bytes() == 0 {
            return Err(InitError::NoGgtt { ggc: identity.ggc });
        }
        check_region(&hw, platform)?;

        let mut bus = Bus::new(hw, generation, platform.has_llc);
        if bus.read::<GgcMirror>().0 == u32::MAX {
            return Err(InitError::DeviceGone { register: GgcMirror::OFFSET });
        }
        if generation.is_gen11_or_12() {
            bus.write(MasterInterruptGen11(0));
        } else {
            bus.write(MasterInterruptGen8(0));
        }

        // The media domains exist only where their engines are fused in, which a register of the GT
        // domain tells.
        let early = early_domains(generation);
        bus.reset_forcewake(early);
        bus.wake(early)?;
        let designed = platform.engines_of(level);
        let fuses = Fuses::read(platform, designed, |register| bus.read_raw(register));
        let all = domains(generation, fuses.engines);
        bus.reset_forcewake(all.without(early));
        bus.wake(all)?;
        reset_at_start(&mut bus, generation, &fuses)?;

        let mut gpu = Self::with_memory(bus, identity, platform, level, fuses, config)?;
        gpu.clear_fences();
        gpu.start_gt().map_err(|(engine, esr)| InitError::EngineError { engine: engine.name(), esr })?;
        gpu.record_default_states()?;
        gpu.interrupts_on();
        Ok(gpu)
    }

    /// Allocates every pool and the pages that the GPU itself needs.
    fn with_memory(
        mut bus: Bus<H>,
        identity: PciIdentity,
        platform: &'static Platform,
        level: crate::device::GtLevel,
        fuses: Fuses,
        config: Config,
    ) -> Result<Self, InitError> {
        let all = domains(platform.generation, fuses.engines);
        let count = bus.hw.page_count();
        let too_small = |_| InitError::DmaRegionTooSmall { pages: count };
        let mut pool = Pool::new(bus.hw.device_base(), count, config.accounts)
            .ok_or(InitError::Config { field: "accounts" })?;
        let driver = pool.driver_account();
        let bits = if config.three_level { 32 } else { platform.ppgtt_bits };
        let format = Format::of(platform, bits);

        let scratch = pool.allocate(0, driver).map_err(too_small)?;
        bus.hw.write_u64_run(scratch.at(0), 0, 0, 512);
        bus.publish(scratch.at(0), 4096);
        let ggtt_bytes = identity.ggtt_bytes();
        let stolen = identity.stolen_bytes(platform.generation);
        let mut ggtt = Ggtt::new(ggtt_bytes, stolen, config.ggtt_ranges(), pool.address(scratch));

        let part = workarounds::Part { platform, level, revision: identity.revision };
        let mut engines = Vec::with_capacity(MAX_ENGINES);
        for id in fuses.engines.iter() {
            let page = pool.allocate(0, driver).map_err(too_small)?;
            engines.push(make_engine(&mut bus, &pool, &mut ggtt, part, id, page).map_err(too_small)?);
        }
        ggtt.flush(&mut bus);
        let shared_scratch = if platform.read_only {
            Some(Scratch::new(&mut bus, &mut pool, &format, driver).map_err(too_small)?)
        } else {
            None
        };
        let mut slot_pages = Vec::new();
        slot_pages.resize((config.timelines + OWN).div_ceil(64) as usize, None);
        Ok(Self {
            bus,
            identity,
            platform,
            level,
            fuses,
            config,
            health: Health::Running,
            pool,
            ggtt,
            shared_scratch,
            format,
            ranges: Ranges::new(config.ranges),
            tlb: Tlb::new(),
            // The driver has an address space, and a context with a timeline and a request per engine.
            vms: Slab::new(config.vms + 1),
            contexts: Slab::new(config.contexts + OWN),
            timelines: Slab::new(config.timelines + OWN),
            requests: Slab::new(config.requests + OWN),
            // One more for each context (`park`).
            waits: Slab::new(config.waits + config.contexts + OWN),
            points: Index::new(config.requests + OWN),
            parked: 0,
            slot_pages,
            engines,
            shared: Queue::new(),
            arrivals: 0,
            kicked: 0,
            domains: all,
            power: Power::Awake { idle_since_ns: None },
            seen_ns: 0,
            unannounced_since_ns: None,
            completed: RequestList::default(),
            consumed: alloc::vec![Consumed::default(); config.accounts as usize + 1],
            statistics: Statistics::default(),
            error: ErrorState::new(),
            own_population: [0; 4],
        })
    }

    /// The part as its workarounds tell parts apart.
    pub(super) const fn part(&self) -> workarounds::Part {
        let revision = self.identity.revision;
        workarounds::Part { platform: self.platform, level: self.level, revision }
    }

    /// No fence detiles any part of the aperture.
    fn clear_fences(&mut self) {
        for index in 0..FenceLow::COUNT {
            self.bus.write_at(index, FenceLow(0));
            self.bus.write_at(index, FenceHigh(0));
            self.bus.write_at(index, FenceLow(0));
        }
    }

    /// Runs the first request of every engine and keeps the image that the hardware saves: the state
    /// that every later context starts from, whatever ran before it.
    fn record_default_states(&mut self) -> Result<(), InitError> {
        let pages = self.bus.hw.page_count();
        let too_small = |_: Error| InitError::DmaRegionTooSmall { pages };
        let account = self.pool.driver_account();
        let vm = self.vm_create(account).map_err(too_small)?;
        for engine in 0..self.engines.len() {
            // CAST: at most six.
            #[expect(clippy::cast_possible_truncation)]
            let index = EngineIndex(engine as u8);
            let registers = workarounds::context_rows(self.part(), self.engines[engine].id.class);
            let timeline = self.timeline_create().map_err(too_small)?;
            let context =
                self.context_create_any(account, index, vm, timeline, KERNEL_PRIORITY).map_err(too_small)?;
            self.engines[engine].kernel = Some(context);
            self.submit_request(context, Payload::Registers(registers), &[], 0).map_err(too_small)?;
            self.wait_for_first(engine)?;
            self.context_keep_as_default(context).map_err(too_small)?;
        }
        self.statistics = Statistics::default();
        self.own_population = self.population();
        Ok(())
    }

    /// Waits until the engine has finished its first request and saved the context. Interrupts are still
    /// off.
    fn wait_for_first(&mut self, engine: usize) -> Result<(), InitError> {
        let mut event_seen = false;
        // TIMEOUT: 10 s, by the machine's clock, which goes on whether the GPU does or not: a request without a batch takes
        // microseconds, and milliseconds on a GPU that has just left reset. One that is emulated shares a processor with
        // others, and may not get any of it for seconds.
        const LIMIT_NS: u64 = 10_000_000_000;
        let start = crate::platform::Clock::now_ns(&mut self.bus);
        loop {
            event_seen |= self.process_engine(engine);
            self.run_scheduler();
            if self.engines[engine].ports.is_idle() {
                return Ok(());
            }
            if crate::platform::Clock::now_ns(&mut self.bus).saturating_sub(start) > LIMIT_NS {
                break;
            }
            poll::delay(&mut self.bus, 10_000);
        }
        let found = &self.engines[engine];
        let (base, name) = (found.base, found.id.name());
        let head: RingHead = self.bus.read_on(base);
        let status: ExeclistStatus = self.bus.read_on(base);
        Err(InitError::EngineSilent { engine: name, head: head.0, status: status.0, event_seen })
    }
}

fn check_region<H: Hardware>(hw: &H, platform: &Platform) -> Result<(), InitError> {
    let pages = hw.page_count();
    if pages < MIN_PAGES {
        return Err(InitError::DmaRegionTooSmall { pages });
    }
    let end = hw.device_base().get().saturating_add(u64::from(pages) << 12);
    if end > 1 << platform.dma_bits {
        return Err(InitError::DmaRegionOutOfReach { end, bits: platform.dma_bits });
    }
    Ok(())
}

/// Whatever ran before us, firmware or a driver that died, runs no more.
fn reset_at_start<H: Hardware>(
    bus: &mut Bus<H>,
    generation: Generation,
    fuses: &Fuses,
) -> Result<(), InitError> {
    reset::full(bus, generation, fuses.engines.iter()).map_err(|error| match error {
        reset::ResetError::Stuck(gdrst) => InitError::ResetTimeout { gdrst },
        reset::ResetError::NotReady => InitError::ResetTimeout { gdrst: 0 },
    })
}

/// An engine with its status page mapped.
fn make_engine<H: Hardware>(
    bus: &mut Bus<H>,
    pool: &Pool,
    ggtt: &mut Ggtt,
    part: workarounds::Part,
    id: EngineId,
    page: DmaPage,
) -> Result<Engine, Error> {
    bus.hw.write_u64_run(page.at(0), 0, 0, 512);
    let range = ggtt.allocate(1)?;
    ggtt.map(bus, range, core::iter::once(pool.address(page)));
    Ok(Engine::new(part, id, page, range.at(0)))
}
