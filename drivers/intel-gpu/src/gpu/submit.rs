// SPDX-License-Identifier: BSD-2-Clause
//! Requests: from the call to the queue.
//!
//! No step loops over contexts or over requests of others; the cost does not depend on how many exist.

use super::context::{Context, Place};
use super::init::OWN;
use super::wait::{Wait, Waiter};
use super::{ContextId, Fence, Gpu, TimelineId};
use crate::address::GpuVirtual;
use crate::engine::Engine;
use crate::engine::emit::{self, Breadcrumb, Layout, Payload, Writer};
use crate::engine::queue::MIN_PRIORITY;
use crate::engine::ring::{Ring, Room};
use crate::error::Error;
use crate::handle::Id;
use crate::index::{self, Indexed};
use crate::mmio::Bus;
use crate::platform::Hardware;
use crate::trace::Event;

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It was executed.
    Done,
    /// It hung and was stopped.
    Hang,
    /// It was not executed: its context is banned, or the GPU is wedged.
    Cancelled,
}

/// Most bytes of a request.
// CAST: a small constant.
#[expect(clippy::cast_possible_truncation)]
const MAX_BYTES: u32 = (emit::MAX_DWORDS + MAX_POLLS as u32 * emit::WAIT_DWORDS) * 4;

/// Most fences that one request polls for on the GPU; it waits for more of them before it runs.
pub(super) const MAX_POLLS: usize = 2;

/// A request.
#[derive(Debug)]
pub struct Request {
    pub(super) context: ContextId,
    pub(super) timeline: TimelineId,
    pub(super) seqno: u64,
    pub(super) cookie: u64,
    /// Positions in the ring: first dword, breadcrumb, end, end with the spare dwords.
    pub(super) start: u32,
    pub(super) breadcrumb: u32,
    pub(super) tail: u32,
    pub(super) spare_tail: u32,
    /// What it waits for before it may run, and how many that are.
    pub(super) waits_for: Option<Id<Wait>>,
    pub(super) waits: u32,
    /// Who waits for it.
    pub(super) waiters: Option<Id<Wait>>,
    /// Priority of the most urgent one that waits for it, or for one behind it in its context.
    pub(super) boost: i16,
    /// It is in a list of requests to be raised, and what is next there.
    pub(super) listed: bool,
    pub(super) next_listed: Option<RequestId>,
    /// Next in its bucket of the table of unfinished points.
    pub(super) same_bucket: Option<RequestId>,
    /// It waits for the request before it on its timeline.
    pub(super) ordered: bool,
    /// Fences that its ring polls for while it runs.
    pub(super) polls: [Option<Fence>; MAX_POLLS],
    pub(super) status: Status,
    /// The engine was executing it when it was reset for another one's sake; it was executed again.
    pub(super) disturbed: bool,
    /// It hung, and its context is banned for that.
    pub(super) banned: bool,
    /// How long it has been executed.
    pub(super) ran_ns: u64,
    /// The context must have left the hardware before: its image is changed for this request.
    pub(super) reload: bool,
    /// The engines that may execute it, as far as it is up to the request: bit n for engine n.
    pub(super) engines: u8,
    /// The driver's own: nobody is told of it.
    pub(super) internal: bool,
    /// Next request of the context; of the completion list once it is finished.
    pub(super) next: Option<RequestId>,
}

impl Request {
    /// What [`Submission::cookie`] was.
    pub(super) const fn cookie(&self) -> u64 {
        self.cookie
    }
}

impl Indexed for Request {
    type Key = Fence;

    fn key(&self) -> Fence {
        Fence { timeline: self.timeline, seqno: self.seqno }
    }

    /// Points of one timeline that follow each other do not meet.
    fn spread(fence: Fence) -> u32 {
        // CAST: the low half, by intent.
        #[expect(clippy::cast_possible_truncation)]
        let seqno = fence.seqno as u32;
        index::scatter(fence.timeline.index()).wrapping_add(seqno)
    }

    fn chain(&mut self) -> &mut Option<RequestId> {
        &mut self.same_bucket
    }

    fn next_in_chain(&self) -> Option<RequestId> {
        self.same_bucket
    }
}

/// Handle of a request; valid until its completion has been taken.
pub type RequestId = Id<Request>;

/// What to execute.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// The context.
    pub context: ContextId,
    /// The batch buffer, 8-byte aligned, in the context's address space; it ends itself.
    pub batch: GpuVirtual,
    /// What must be complete before.
    pub waits: &'a [Fence],
    /// The caller's; comes back in the [`super::Completion`].
    pub cookie: u64,
}

/// A request that was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Submitted {
    /// Its handle.
    pub request: RequestId,
    /// When it will be complete.
    pub fence: Fence,
}

/// What a request is to wait for before it runs.
#[derive(Clone, Copy, Debug)]
struct Awaited<'a> {
    /// What the caller says has to be complete.
    waits: &'a [Fence],
    /// The request before it on its timeline, in another context.
    previous: Option<Fence>,
    /// What has to be given to an engine.
    master: Option<Fence>,
}

impl Awaited<'_> {
    const fn is_empty(&self) -> bool {
        self.waits.is_empty() && self.previous.is_none() && self.master.is_none()
    }
}

/// Writes a request into a ring.
#[inline(always)] // It is known there whether it waits.
fn write_request<H: Hardware>(
    bus: &mut Bus<H>,
    ring: &Ring,
    engine: &mut Engine,
    polls: [Option<Breadcrumb>; MAX_POLLS],
    payload: Payload,
    signal: Breadcrumb,
    room: Room,
) -> Layout {
    let memory = ring.memory;
    if room.fill != 0 {
        bus.hw.write_u64_run(memory.at(room.fill_from), 0, 0, (room.fill / 8) as usize);
        bus.publish(memory.at(room.fill_from), room.fill as usize);
    }
    let start = memory.at(room.start);
    let layout = match payload {
        Payload::Batch(batch) if polls.iter().flatten().next().is_none() => {
            bus.hw.write_pairs(start, engine.template.fill(batch, signal));
            engine.template.layout()
        }
        _ => {
            let most = MAX_BYTES + payload.loads_bytes();
            let to = Writer::new(bus.hw.dwords(start, most as usize / 4));
            emit::request(to, engine.dialect, polls.into_iter().flatten(), payload, signal)
        }
    };
    debug_assert!(layout.spare_tail <= MAX_BYTES + payload.loads_bytes());
    bus.publish(start, layout.spare_tail as usize);
    layout
}

impl<H: Hardware> Gpu<H> {
    /// Submits a batch. Never waits: a request whose fences are not complete stays in the ring until they
    /// are, or polls for them on the GPU where what they stand for is on the hardware already. A refused submission has changed nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] (context), [`Error::Invalid`] (batch not aligned or outside the address space,
    /// a fence that was never issued), [`Error::RingFull`], [`Error::NoMemory`] (requests or waits),
    /// [`Error::Banned`], [`Error::Wedged`].
    #[inline(never)]
    pub fn submit(&mut self, submission: Submission<'_>) -> Result<Submitted, Error> {
        let Submission { context, batch, waits, cookie } = submission;
        let payload = self.executes(batch)?;
        if waits.is_empty() {
            self.enter::<false>(context, payload, waits, None, cookie)
        } else {
            self.submit_request(context, payload, waits, cookie)
        }
    }

    /// Submits a batch that starts when another request, `master`, is given to an engine (i915:
    /// `I915_EXEC_FENCE_SUBMIT`); which engines may execute it is then up to the bonds of its context's selection.
    ///
    /// # Errors
    /// As [`Self::submit`]; [`Error::Invalid`] for a master that was never issued.
    pub fn submit_bonded(&mut self, submission: Submission<'_>, master: Fence) -> Result<Submitted, Error> {
        let Submission { context, batch, waits, cookie } = submission;
        let payload = self.executes(batch)?;
        self.submit_with(context, payload, waits, Some(master), cookie)
    }

    /// Submits a request without a batch: it completes when everything before it in its context and all
    /// `waits` have.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_fence(
        &mut self,
        context: ContextId,
        waits: &[Fence],
        cookie: u64,
    ) -> Result<Submitted, Error> {
        self.submit_request(context, Payload::Nothing, waits, cookie)
    }

    /// What executes a batch, if that is where one can be.
    #[inline(always)] // Or it is forgotten of what kind it is.
    fn executes(&self, batch: GpuVirtual) -> Result<Payload, Error> {
        let inside = batch.get().is_multiple_of(8) && batch.get() < self.format.bytes();
        if inside { Ok(Payload::Batch(batch)) } else { Err(Error::Invalid) }
    }

    pub(super) fn submit_request(
        &mut self,
        context: ContextId,
        payload: Payload,
        waits: &[Fence],
        cookie: u64,
    ) -> Result<Submitted, Error> {
        self.submit_with(context, payload, waits, None, cookie)
    }

    #[inline(never)] // It is kept out of the way of the requests that wait for nothing.
    fn submit_with(
        &mut self,
        id: ContextId,
        payload: Payload,
        waits: &[Fence],
        master: Option<Fence>,
        cookie: u64,
    ) -> Result<Submitted, Error> {
        self.enter::<true>(id, payload, waits, master, cookie)
    }

    /// Puts a request into its context's ring. Most wait for nothing: `MAY_WAIT` is false where it is known that neither the
    /// caller nor a master has anything to wait for, and for such a request each thing is looked up once.
    #[inline(always)] // Once for each of the two kinds.
    fn enter<const MAY_WAIT: bool>(
        &mut self,
        id: ContextId,
        payload: Payload,
        waits: &[Fence],
        master: Option<Fence>,
        cookie: u64,
    ) -> Result<Submitted, Error> {
        self.check_running()?;
        let found = self.contexts.get_mut(id).filter(|found| !found.is_closing());
        let mut context = found.ok_or(Error::NotFound)?;
        if context.banned {
            return Err(Error::Banned);
        }
        let timeline_id = context.timeline;
        let mut timeline = self.timelines.get_mut(timeline_id).ok_or(Error::NotFound)?;
        let fence = Fence { timeline: timeline_id, seqno: timeline.issued + 1 };
        // Within one context the ring keeps the order; the timeline's last request in another one is
        // something to wait for.
        let elsewhere = timeline.last_context.is_some_and(|last| last != id);
        let previous = Fence { timeline: timeline_id, seqno: timeline.issued };
        let previous = (elsewhere && timeline.completed < timeline.issued).then_some(previous);
        if !MAY_WAIT && previous.is_some() {
            return self.submit_with(id, payload, waits, master, cookie);
        }
        let room = context.ring.room(MAX_BYTES + payload.loads_bytes()).ok_or(Error::RingFull)?;
        let awaited = Awaited { waits, previous, master };
        let (mut polls, mut marks) = ([None; MAX_POLLS], [None; MAX_POLLS]);
        let waits = MAY_WAIT && !awaited.is_empty();
        if waits {
            polls = self.check_waits(id, timeline_id, awaited)?;
            marks = polls.map(|fence| fence.and_then(|fence| self.breadcrumb(fence)));
            context = self.contexts.get_mut(id).ok_or(Error::NotFound)?;
            timeline = self.timelines.get_mut(timeline_id).ok_or(Error::NotFound)?;
        }
        let engine = &mut self.engines[context.engine];
        // CAST: the low half, by intent (see `timeline`).
        #[expect(clippy::cast_possible_truncation)]
        let signal = Breadcrumb { slot: timeline.slot, value: fence.seqno as u32 };
        // Nothing comes of what is written there unless the tail is moved past it.
        let layout = write_request(&mut self.bus, &context.ring, engine, marks, payload, signal, room);
        let internal = engine.kernel == Some(id);
        let place = engine.id;
        let vacant = self.requests.vacant().ok_or(Error::NoMemory)?;
        let same_bucket = self.points.enter(fence, vacant.id());
        let tail = context.ring.position(room.start + layout.tail);
        let spare_tail = context.ring.position(room.start + layout.spare_tail);
        // All of it is said here, so that it is made where it stays.
        let request = vacant.put(Request {
            context: id,
            timeline: timeline_id,
            seqno: fence.seqno,
            cookie,
            start: room.start,
            breadcrumb: room.start + layout.breadcrumb,
            tail,
            spare_tail,
            waits_for: None,
            waits: 0,
            waiters: None,
            boost: MIN_PRIORITY,
            listed: false,
            next_listed: None,
            same_bucket,
            ordered: false,
            polls,
            status: Status::Done,
            disturbed: false,
            banned: false,
            ran_ns: 0,
            reload: context.reload,
            engines: u8::MAX,
            internal,
            next: None,
        });
        let mut ready = true;
        if waits {
            ready = self.add_waits(request, id, timeline_id, awaited);
            context = self.contexts.get_mut(id).ok_or(Error::NotFound)?;
            timeline = self.timelines.get_mut(timeline_id).ok_or(Error::NotFound)?;
        }
        timeline.issued = fence.seqno;
        timeline.last_context = Some(id);
        context.ring.advance(spare_tail);
        match context.last.and_then(|last| self.requests.get_mut(last)) {
            Some(last) => last.next = Some(request),
            None => {
                context.first = Some(request);
                if let Some(vm) = self.vms.get_mut(context.vm) {
                    vm.in_flight[context.engine] += 1;
                }
            }
        }
        context.last = Some(request);
        if !internal {
            self.statistics.submitted += 1;
            let Fence { timeline, seqno } = fence;
            self.bus.hw.note(|| Event::Submitted { engine: place, context: id, timeline, seqno });
        }
        if context.first_unready.is_none() {
            let alone = context.first == Some(request);
            // What it waits for may have restricted where it runs.
            if !waits && context.join_as(alone, context.reload, u8::MAX) {
                context.mark_ready(tail, spare_tail, fence.seqno);
                // Else the acknowledgement sees to it: so it is of most when many come.
                let pending = self.engines[context.engine].ports.pending.is_some();
                if context.place != Place::OnHardware || !pending {
                    self.activate(id);
                }
            } else {
                context.first_unready = Some(request);
                if ready {
                    self.advance_ready(id);
                }
            }
        }
        self.run_scheduler();
        Ok(Submitted { request, fence })
    }

    /// Whether what a request is to wait for can be waited for, and which of it the GPU can poll for.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a fence that was never issued, [`Error::NoMemory`] if there is no room for the waits.
    fn check_waits(
        &self,
        context: ContextId,
        own: TimelineId,
        awaited: Awaited<'_>,
    ) -> Result<[Option<Fence>; MAX_POLLS], Error> {
        let Awaited { waits, previous, master } = awaited;
        for fence in waits.iter().chain(&master) {
            if self.timelines.get(fence.timeline).is_some_and(|timeline| fence.seqno > timeline.issued) {
                return Err(Error::Invalid);
            }
        }
        let must_wait = |fence: &&Fence| self.must_wait(**fence, own, context);
        let needed = waits.iter().chain(&previous).filter(must_wait).count() + usize::from(master.is_some());
        // Every context may need one for itself (`park`).
        let kept = (self.config.contexts + OWN).saturating_sub(self.parked);
        if needed > self.waits.free().saturating_sub(kept) as usize {
            return Err(Error::NoMemory);
        }
        let mut polled = waits.iter().filter(must_wait).filter(|fence| self.may_poll(**fence));
        Ok([(); MAX_POLLS].map(|()| polled.next().copied()))
    }

    /// Lets a new request wait for what it is to wait for. Returns whether it can run nevertheless.
    fn add_waits(
        &mut self,
        id: RequestId,
        context: ContextId,
        own: TimelineId,
        awaited: Awaited<'_>,
    ) -> bool {
        let Awaited { waits, previous, master } = awaited;
        let polls = self.requests.get(id).map_or([None; MAX_POLLS], |request| request.polls);
        for fence in polls.into_iter().flatten() {
            if let Some(timeline) = self.timelines.get_mut(fence.timeline) {
                timeline.polled_by += 1;
            }
        }
        for fence in waits {
            if self.must_wait(*fence, own, context) && !polls.contains(&Some(*fence)) {
                self.add_wait(*fence, Waiter::Fence(id));
            }
        }
        if let Some(fence) = previous {
            self.add_wait(fence, Waiter::Order(id));
        }
        if let Some(master) = master
            && self.bond(id, master)
        {
            self.add_wait(master, Waiter::Start(id));
        }
        if let Some(priority) = self.contexts.get(context).map(Context::effective_priority) {
            self.boost_what_it_waits_for(id, priority);
        }
        self.requests.get(id).is_some_and(|request| request.waits == 0)
    }

    /// Moves the mark of what may run past all requests that wait for nothing and fit what is ready already, and queues the
    /// context if it has got something to run.
    pub(super) fn advance_ready(&mut self, id: ContextId) {
        if let Some(context) = self.contexts.get_mut(id) {
            context.advance_mark(&self.requests);
            self.activate(id);
        }
    }

    /// A context may have got something to run.
    #[inline]
    pub(super) fn activate(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get(id) else { return };
        let engine = context.engine;
        if context.place == Place::Idle && context.is_runnable() {
            self.enqueue(id, false);
        } else if self.engines[engine].ports.pending.is_none() {
            // Else its acknowledgement does so.
            self.kick(engine);
        }
    }

    /// [`Self::advance_ready`] without queueing the context.
    pub(super) fn advance_mark(&mut self, id: ContextId) {
        if let Some(context) = self.contexts.get_mut(id) {
            context.advance_mark(&self.requests);
        }
    }
}
