// SPDX-License-Identifier: BSD-2-Clause
//! The GPU as one thing: all state, and the operations of the crate's interface. Each file adds the
//! operations of one subject to [`Gpu`].

mod address_space;
mod balance;
mod busy;
mod cancel;
mod complete;
mod config;
mod context;
mod error_state;
mod evict;
mod fault;
mod finish;
mod init;
mod interrupt;
mod object;
mod power;
mod query;
mod reading;
mod reconfigure;
mod recover;
mod schedule;
mod selection;
mod submit;
mod tick;
mod timeline;
mod wait;

pub use address_space::{Vm, VmId};
pub use busy::Consumed;
pub use config::Config;
pub use context::{Context, ContextId};
pub(crate) use error_state::{ErrorState as ErrorText, Hang};
pub use finish::Completion;
pub use query::{Activity, EngineIndex, EngineInfo, Statistics};
pub use selection::EngineSelection;
pub use submit::{Request, RequestId, Status, Submission, Submitted};
pub(crate) use tick::Progress;
pub use timeline::{Fence, Timeline, TimelineId};

use alloc::vec::Vec;

use crate::device::{Fuses, GtLevel, PciIdentity, Platform};
use crate::engine::Engine;
use crate::engine::queue::Queue;
use crate::error::Error;
use crate::handle::Slab;
use crate::index::Index;
use crate::memory::ggtt::{Ggtt, GgttRange};
use crate::memory::pool::Pool;
use crate::memory::ppgtt::{Format, Scratch};
use crate::memory::ranges::Ranges;
use crate::memory::tlb::Tlb;
use crate::mmio::{Bus, DomainSet};
use crate::platform::Hardware;
use error_state::ErrorState;
use finish::RequestList;
use power::Power;
use wait::Wait;

/// Most engines that a part has.
pub const MAX_ENGINES: usize = 6;

/// Whether the GPU takes work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Health {
    Running,
    /// Recovery failed, or the device is gone: every submission is refused.
    Wedged,
}

/// The driver core over a machine `H`.
#[derive(Debug)]
pub struct Gpu<H> {
    bus: Bus<H>,
    identity: PciIdentity,
    platform: &'static Platform,
    level: GtLevel,
    fuses: Fuses,
    config: Config,
    health: Health,

    pool: Pool,
    /// What each account has had of the engines, by its place in the pool.
    consumed: Vec<Consumed>,
    ggtt: Ggtt,
    /// Scratch that all address spaces share, where they may.
    shared_scratch: Option<Scratch>,
    format: Format,
    ranges: Ranges,
    tlb: Tlb,

    vms: Slab<Vm>,
    contexts: Slab<Context>,
    timelines: Slab<Timeline>,
    requests: Slab<Request>,
    waits: Slab<Wait>,
    /// Finds unfinished requests.
    points: Index<Request>,
    /// Contexts that are parked.
    parked: u32,
    /// Pages of timeline slots, made as they are needed.
    slot_pages: Vec<Option<(crate::address::DmaPage, GgttRange)>>,

    engines: Vec<Engine>,
    /// Contexts that wait for any of several engines (`balance`).
    shared: Queue<Context>,
    /// How often something has been queued.
    arrivals: u64,
    /// Engines whose queue or ports have changed and that the scheduler has not looked at.
    kicked: u8,
    /// Power domains of the part.
    domains: DomainSet,
    power: Power,
    /// When the device was seen to be there last.
    seen_ns: u64,
    /// Since when the clock has noticed events whose interrupt has not come yet.
    unannounced_since_ns: Option<u64>,
    /// Finished requests that the upper half has not taken yet.
    completed: RequestList,
    statistics: Statistics,
    /// The first hang.
    error: ErrorState,
    /// Of what is in the pools, the driver's own.
    own_population: [u32; 4],
}

impl<H: Hardware> Gpu<H> {
    fn check_running(&self) -> Result<(), Error> {
        match self.health {
            Health::Running => Ok(()),
            Health::Wedged => Err(Error::Wedged),
        }
    }

    /// The machine under the driver. The driver's own accesses go through it, too: nothing may be
    /// changed behind its back.
    pub const fn hardware(&self) -> &H {
        &self.bus.hw
    }

    /// See [`Self::hardware`].
    pub const fn hardware_mut(&mut self) -> &mut H {
        &mut self.bus.hw
    }
}
