// SPDX-License-Identifier: BSD-2-Clause
//! What can be asked of the GPU.

use super::{ContextId, Gpu, Health, RequestId};
use crate::device::{EngineClass, EngineId, Fuses, GtLevel, PciIdentity, Platform};
use crate::error::Error;
use crate::platform::Hardware;

/// Position of an engine in [`Gpu::engines`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EngineIndex(pub(crate) u8);

impl EngineIndex {
    /// The position.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// An engine as the upper half sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineInfo {
    /// How to name it in this crate's interface.
    pub index: EngineIndex,
    /// Class and physical instance.
    pub id: EngineId,
    /// i915's class number.
    pub uapi_class: u16,
    /// i915's instance: present engines of the class, counted from 0 in physical order.
    pub uapi_instance: u16,
}

/// What an engine is doing, as far as its status events have told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Activity {
    /// The context that it executes.
    pub running: Option<ContextId>,
    /// The one that it goes on with by itself.
    pub next: Option<ContextId>,
    /// Other ones have been given to it, and it has not said that it has taken them.
    pub changing: bool,
}

/// What happened since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Requests submitted.
    pub submitted: u64,
    /// Requests finished, whichever way.
    pub finished: u64,
    /// Writes of the submission port or queue.
    pub port_writes: u64,
    /// Interrupts handled.
    pub interrupts: u64,
    /// Times that events were found which no interrupt told of within 100 ms.
    pub lost_interrupts: u64,
    /// Status events that did not fit what was submitted.
    pub unexpected_events: u64,
    /// Rounds of TLB invalidation by register.
    pub tlb_invalidations: u64,
    /// Requests of the driver's own that asked an engine whether it still listens.
    pub pulses: u64,
    /// Contexts that were passed over for so long that they got a timeslice before more urgent ones.
    pub relieved: u64,
    /// Contexts that went on on another engine than before.
    pub migrations: u64,
    /// Engine resets.
    pub engine_resets: u64,
    /// Resets of the whole GPU.
    pub gpu_resets: u64,
    /// Page faults: addresses beyond an address space, or that its tables do not have.
    pub faults: u64,
}

impl<H: Hardware> Gpu<H> {
    /// The engines that exist: render, copy, video, video enhance.
    pub fn engines(&self) -> impl Iterator<Item = EngineInfo> {
        (0..).zip(&self.engines).map(|(index, engine)| {
            let same = |other: &&crate::engine::Engine| {
                other.id.class == engine.id.class && other.id.instance < engine.id.instance
            };
            let before = self.engines.iter().filter(same).count();
            EngineInfo {
                index: EngineIndex(index),
                id: engine.id,
                uapi_class: engine.id.class.uapi(),
                uapi_instance: u16::try_from(before).unwrap_or(u16::MAX),
            }
        })
    }

    /// The engine of a class and an instance as i915 counts them.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn engine(&self, class: EngineClass, uapi_instance: u16) -> Result<EngineIndex, Error> {
        self.engines()
            .find(|engine| engine.id.class == class && engine.uapi_instance == uapi_instance)
            .map(|engine| engine.index)
            .ok_or(Error::NotFound)
    }

    /// What an engine is doing.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn activity(&self, engine: EngineIndex) -> Result<Activity, Error> {
        let ports = &self.engines.get(engine.get()).ok_or(Error::NotFound)?.ports;
        let [running, next] = ports.active;
        Ok(Activity { running, next, changing: ports.pending.is_some() })
    }

    /// Class of the engines that may execute a request; `None` once it is finished and has been taken.
    #[must_use]
    pub fn class_of_request(&self, request: RequestId) -> Option<EngineClass> {
        let context = self.contexts.get(self.requests.get(request)?.context)?;
        self.engines.get(context.engine).map(|engine| engine.id.class)
    }

    /// The part.
    #[must_use]
    pub const fn platform(&self) -> &'static Platform {
        self.platform
    }

    /// Tier of the part.
    #[must_use]
    pub const fn gt_level(&self) -> GtLevel {
        self.level
    }

    /// What PCI configuration space said.
    #[must_use]
    pub const fn identity(&self) -> PciIdentity {
        self.identity
    }

    /// Slices, subslices, EUs, timestamp frequency.
    #[must_use]
    pub const fn fuses(&self) -> &Fuses {
        &self.fuses
    }

    /// Bytes of the global GTT.
    #[must_use]
    pub const fn ggtt_bytes(&self) -> u64 {
        self.ggtt.bytes()
    }

    /// Whether nothing can be submitted any more.
    #[must_use]
    pub fn is_wedged(&self) -> bool {
        self.health == Health::Wedged
    }

    /// Counters.
    #[must_use]
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Accesses to registers of sleeping power domains: a bug of this driver, counted in debug builds.
    #[must_use]
    pub const fn sleeping_accesses(&self) -> u32 {
        self.bus.sleeping_accesses()
    }

    /// Contexts, timelines, requests and address spaces that exist, without the driver's own: for leak
    /// checks. A request counts until its completion has been taken.
    #[must_use]
    pub fn population(&self) -> [u32; 4] {
        let all = [self.contexts.len(), self.timelines.len(), self.requests.len(), self.vms.len()];
        let mut clients = all;
        for (count, own) in clients.iter_mut().zip(self.own_population) {
            *count = count.saturating_sub(own);
        }
        clients
    }
}
