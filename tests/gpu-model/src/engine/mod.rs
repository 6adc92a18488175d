// SPDX-License-Identifier: BSD-2-Clause
//! Engines: submission, contexts, execution.
//!
//! ```text
//!   ELSP / ELSQ ─► queue of two elements ─► pending ─► active ─► context restore ─► stream runs
//!        (submit)                             │  ▲                                     │
//!                                             │  └── preemption, lite restore ◄────────┤ arbitration point
//!                                             └────► status event ◄── context save ◄───┘ ring empty
//! ```
//!
//! - [`descriptor`]: the 64-bit context descriptor.
//! - [`submit`]: the two port styles.
//! - [`status`]: status events (CSB) and EXECLIST_STATUS.
//! - [`layout`]: register lists of context images.
//! - [`context`]: restore and save.
//! - [`run`]: what happens at the end of a step.
//! - [`mmio`]: registers of an engine.
//! - [`bus`]: the command interpreter's view of the device.
//! - [`nonpriv`]: registers that a non-privileged batch may write.

pub mod bus;
pub mod context;
pub mod descriptor;
pub mod layout;
pub mod mmio;
pub mod nonpriv;
pub mod run;
pub mod status;
pub mod submit;

use std::collections::BTreeSet;

use crate::commands::{SemaphoreWait, StreamState};
use crate::platform::{EngineFacts, Platform};
use crate::ppgtt::Root;
use crate::tlb::{SpaceId, Tlb};
use descriptor::Descriptor;
use status::StatusBuffer;
use submit::{Ports, Queue};

/// What an engine does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// No context, or nothing to do.
    #[default]
    Idle,
    /// Executing.
    Running,
    /// Before an unsatisfied semaphore.
    Waiting(SemaphoreWait),
    /// Hung until a reset; the text says on what.
    Hung(String),
}

/// Queue that is executing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Active {
    pub(crate) queue: Queue,
    /// Element 0 or 1.
    pub(crate) element: usize,
}

impl Active {
    pub(crate) fn context(&self) -> Option<Descriptor> {
        self.queue.get(self.element)
    }
}

/// One engine.
#[derive(Debug)]
pub(crate) struct EngineUnit {
    pub(crate) facts: &'static EngineFacts,
    pub(crate) stream: StreamState,
    pub(crate) activity: Activity,
    pub(crate) ports: Ports,
    pub(crate) active: Option<Active>,
    pub(crate) pending: Option<Queue>,
    /// Context whose state is in the engine, also after it went idle.
    pub(crate) loaded: Option<Descriptor>,
    /// Register page of `loaded` as it was last saved.
    pub(crate) saved: Option<Box<context::Page>>,
    /// No command was executed since the context was loaded.
    pub(crate) fresh: bool,
    /// Units of work of context batches that are still to be charged.
    pub(crate) restore_work: u64,
    pub(crate) status: StatusBuffer,
    pub(crate) tlb: Tlb,
    /// PPGTT of the running context.
    pub(crate) space: Option<(SpaceId, Root)>,
    /// Addressing mode of the running context is 48-bit.
    pub(crate) four_level: bool,
    /// CTX_TIMESTAMP at `context_since`.
    pub(crate) context_ticks: u32,
    /// Model time since which the context timestamp runs, if it does.
    pub(crate) context_since: Option<u64>,
    /// RESET_CTL: ready for reset.
    pub(crate) ready_for_reset: bool,
    /// FORCE_TO_NONPRIV slots, decoded.
    pub(crate) slots: Vec<nonpriv::SlotRule>,
    /// Images that were saved while STOP_RING was set, since the driver set it.
    pub(crate) stopped_images: BTreeSet<u32>,
    /// A signal for this engine's own context arrived while it was executing.
    pub(crate) signalled: bool,
    /// The engine was reset since it began to execute: what it executed is gone.
    pub(crate) was_reset: bool,
}

impl EngineUnit {
    pub(crate) fn new(platform: &Platform, facts: &'static EngineFacts) -> Self {
        Self {
            facts,
            stream: StreamState::new(),
            activity: Activity::Idle,
            ports: Ports::default(),
            active: None,
            pending: None,
            loaded: None,
            saved: None,
            fresh: false,
            restore_work: 0,
            status: StatusBuffer::new(platform.generation),
            tlb: Tlb::default(),
            space: None,
            four_level: false,
            context_ticks: 0,
            context_since: None,
            ready_for_reset: false,
            slots: Vec::new(),
            stopped_images: BTreeSet::new(),
            signalled: false,
            was_reset: false,
        }
    }

    /// MMIO base.
    pub(crate) const fn base(&self) -> u32 {
        self.facts.engine.base
    }

    pub(crate) const fn is_hung(&self) -> bool {
        matches!(self.activity, Activity::Hung(_))
    }
}
