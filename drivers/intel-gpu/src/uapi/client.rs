// SPDX-License-Identifier: BSD-2-Clause
//! A client: its handles, its limits, its timelines.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::context::Context;
use super::domain::ClientId;
use super::handles::{Handles, Places};
use super::interval::IntervalTree;
use super::invalidate::Ledger;
use super::object::Object;
use super::rings::{Rings, Turn};
use super::run::Run;
use super::space::AddressSpace;
use crate::gpu::TimelineId;
use crate::handle::Id;
use crate::memory::AccountId;
use gpu_protocol::TIMELINES_PER_CLIENT;

/// What a client may have at a time. Beyond it the client gets `ENOMEM`, and nobody else notices.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// Contexts, besides the one that every client has.
    pub contexts: u32,
    /// Handles of address spaces.
    pub spaces: u32,
    /// Objects.
    pub objects: u32,
    /// Pages that it lends, 4 KiB each.
    pub lent_pages: u32,
    /// Pages of the driver's own memory: page tables, contexts, rings.
    pub driver_pages: u32,
    /// Requests that are taken out of its ring before it is the others' turn to be waited for: a bound
    /// on what a turn of the driver's loop does for it.
    pub ring_budget: u32,
    /// Highest priority of its contexts, unless it is privileged; 0 is the default priority.
    pub priority_ceiling: i16,
}

impl ClientLimits {
    /// What a client of a small system needs.
    pub const DEFAULT: Self = Self {
        contexts: 64,
        spaces: 64,
        objects: 256,
        lent_pages: 4096,
        driver_pages: 1024,
        ring_budget: 64,
        priority_ceiling: 0,
    };
}

/// One place of the page of completed points. Its points only grow, whichever timelines use it one after
/// the other, so that a fence of an earlier one is never open again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeline {
    /// The timeline that uses the place now.
    pub(crate) id: Option<TimelineId>,
    /// Last point that was handed out before it.
    pub(crate) base: u64,
    /// Last point that was handed out.
    pub(crate) issued: u64,
    /// Last point that the client has been told of.
    pub(crate) published: u64,
    /// Logical states on it, and contexts whose engines share it.
    pub(crate) users: u32,
}

/// What a client has of the pools that no limit of its own is set for, or may have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    /// Bindings of its objects.
    pub(crate) bindings: u32,
    /// Requests in flight.
    pub(crate) jobs: u32,
    /// Objects that they name.
    pub(crate) uses: u32,
    /// Blocks of its contexts' maps of engines.
    pub(crate) map_blocks: u32,
}

/// State of one client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) limits: ClientLimits,
    /// Its equal share of what all clients have together, so that none can take another's.
    pub(crate) share: Share,
    /// What it has of that.
    pub(crate) used: Share,
    /// The lower half's account of what it has of the driver's memory.
    pub(crate) account: AccountId,
    /// The channel, as rows of the grant table name it.
    pub(crate) channel: u64,
    pub(crate) connected: bool,
    /// It may do what Linux asks `CAP_SYS_ADMIN` or `CAP_SYS_NICE` for.
    pub(crate) privileged: bool,
    /// How much harm its contexts have done, and when last (`context/ban.rs`).
    pub(crate) ban_score: u32,
    pub(crate) last_hang_ns: u64,
    /// The context that handle 0 names.
    pub(crate) default_context: Option<Id<Context>>,
    /// Batches of it that were stopped.
    pub(crate) hangs: u64,
    /// Page requests for its objects that its owner has fetched.
    pub(crate) page_requests: u64,
    /// How often it has connected.
    pub(crate) connections: u64,
    /// Its rings, if it has them and they are in order.
    pub(crate) rings: Option<Rings>,
    pub(crate) ring_turn: Turn,
    /// What its next request may go on with.
    pub(crate) run: Option<Run>,
    pub(crate) contexts: Handles<Context>,
    pub(crate) spaces: Handles<AddressSpace>,
    pub(crate) objects: Handles<Object>,
    /// The ranges of its objects.
    pub(crate) ranges: IntervalTree,
    /// Objects that exist, closed ones that the GPU still uses included.
    pub(crate) live_objects: u32,
    /// Address spaces that exist, those that only the GPU still has included.
    pub(crate) live_spaces: u32,
    /// Lent pages that are here now.
    pub(crate) lent: u32,
    /// Who owns its address space: answers page requests and takes pages back. `None`: nobody takes any back.
    pub(crate) owner: Option<ClientId>,
    /// What happens in its address space, in order; the invalidations among it.
    pub(crate) ledger: Ledger,
    /// Objects whose page requests this one is to answer and has not fetched.
    pub(crate) requests: VecDeque<Id<Object>>,
    /// The object that it creates with a probe.
    pub(crate) probe: Option<Id<Object>>,
    /// Its timelines, by their index in the page of completed points.
    pub(crate) timelines: Vec<Timeline>,
    timeline_places: Places,
    /// Something of this client completed since it was last woken.
    pub(crate) wake: bool,
}

impl Client {
    pub(crate) fn new(
        channel: u64,
        limits: ClientLimits,
        privileged: bool,
        share: Share,
        account: AccountId,
    ) -> Self {
        let mut timelines = Vec::new();
        timelines.resize_with(TIMELINES_PER_CLIENT, Timeline::default);
        Self {
            limits,
            share,
            used: Share::default(),
            account,
            channel,
            connected: false,
            privileged,
            ban_score: 0,
            last_hang_ns: 0,
            default_context: None,
            hangs: 0,
            page_requests: 0,
            connections: 0,
            rings: None,
            ring_turn: Turn::default(),
            run: None,
            contexts: Handles::with_capacity(limits.contexts),
            spaces: Handles::with_capacity(limits.spaces),
            objects: Handles::with_capacity(limits.objects),
            ranges: IntervalTree::new(),
            live_objects: 0,
            live_spaces: 0,
            lent: 0,
            owner: None,
            ledger: Ledger::new(),
            requests: VecDeque::new(),
            probe: None,
            timelines,
            timeline_places: Places::with_capacity(TIMELINES_PER_CLIENT),
            wake: false,
        }
    }

    /// Who answers page requests of this client, whose number is `own`.
    pub(crate) fn lender(&self, own: ClientId) -> ClientId {
        self.owner.unwrap_or(own)
    }

    /// A free index in the page of completed points.
    pub(crate) fn free_timeline(&self) -> Option<usize> {
        self.timeline_places.lowest_free()
    }

    /// Gives a free index to a timeline, with one user.
    pub(crate) fn use_timeline(&mut self, index: usize, id: TimelineId) {
        if let Some(timeline) = self.timelines.get_mut(index) {
            timeline.id = Some(id);
            timeline.base = timeline.issued;
            timeline.users = 1;
            self.timeline_places.set(index);
        }
    }

    /// Frees an index.
    pub(crate) fn unuse_timeline(&mut self, index: usize) {
        if let Some(timeline) = self.timelines.get_mut(index) {
            timeline.id = None;
            self.timeline_places.clear(index);
        }
    }
}
