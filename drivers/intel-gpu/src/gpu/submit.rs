// SPDX-License-Identifier: BSD-2-Clause
//! Requests: from the call to the queue, and from the hardware to the list of completions.
//!
//! No step loops over contexts or over requests of others; the cost does not depend on how many exist.

use super::init::OWN;
use super::wait::{Wait, Waiter};
use super::{ContextId, Fence, Gpu, Health, TimelineId};
use crate::address::GpuVirtual;
use crate::device::EngineId;
use crate::engine::emit::{self, Breadcrumb, Payload, Writer};
use crate::engine::queue::MIN_PRIORITY;
use crate::engine::ring::Room;
use crate::error::Error;
use crate::handle::Id;
use crate::index::{self, Indexed};
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
    cookie: u64,
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
    internal: bool,
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
    /// The caller's; comes back in the [`Completion`].
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

/// A request that has finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// Its handle, no longer valid.
    pub request: RequestId,
    /// What [`Submission::cookie`] was.
    pub cookie: u64,
    /// Its context; the handle may be gone.
    pub context: ContextId,
    /// Its point on its timeline.
    pub fence: Fence,
    /// How it ended.
    pub status: Status,
    /// Its engine was executing it when it was reset for another one's sake; it was executed again.
    pub disturbed: bool,
    /// It hung, and its context is banned for that.
    pub banned: bool,
}

/// Requests linked by `next`.
#[derive(Debug, Default)]
pub(super) struct RequestList {
    first: Option<RequestId>,
    last: Option<RequestId>,
}

impl<H: Hardware> Gpu<H> {
    /// Submits a batch. Never waits: a request whose fences are not complete stays in the ring until they
    /// are, or polls for them on the GPU where what they stand for is on the hardware already. A refused submission has changed nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] (context), [`Error::Invalid`] (batch not aligned or outside the address space,
    /// a fence that was never issued), [`Error::RingFull`], [`Error::NoMemory`] (requests or waits),
    /// [`Error::Banned`], [`Error::Wedged`].
    pub fn submit(&mut self, submission: Submission<'_>) -> Result<Submitted, Error> {
        let batch = submission.batch;
        if !batch.get().is_multiple_of(8) || batch.get() >= self.format.bytes() {
            return Err(Error::Invalid);
        }
        let payload = Payload::Batch(batch);
        self.submit_request(submission.context, payload, submission.waits, submission.cookie)
    }

    /// Submits a batch that starts when another request, `master`, is given to an engine (i915:
    /// `I915_EXEC_FENCE_SUBMIT`); which engines may execute it is then up to the bonds of its context's selection.
    ///
    /// # Errors
    /// As [`Self::submit`]; [`Error::Invalid`] for a master that was never issued.
    pub fn submit_bonded(&mut self, submission: Submission<'_>, master: Fence) -> Result<Submitted, Error> {
        let batch = submission.batch;
        if !batch.get().is_multiple_of(8) || batch.get() >= self.format.bytes() {
            return Err(Error::Invalid);
        }
        let Submission { context, waits, cookie, .. } = submission;
        self.submit_with(context, Payload::Batch(batch), waits, Some(master), cookie)
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

    pub(super) fn submit_request(
        &mut self,
        context: ContextId,
        payload: Payload,
        waits: &[Fence],
        cookie: u64,
    ) -> Result<Submitted, Error> {
        self.submit_with(context, payload, waits, None, cookie)
    }

    fn submit_with(
        &mut self,
        context: ContextId,
        payload: Payload,
        waits: &[Fence],
        master: Option<Fence>,
        cookie: u64,
    ) -> Result<Submitted, Error> {
        self.check_running()?;
        let found = self.context(context)?;
        if found.banned {
            return Err(Error::Banned);
        }
        let timeline_id = found.timeline;
        let priority = found.effective_priority();
        let internal = self.engines[found.engine].kernel == Some(context);
        let room = found.ring.room(MAX_BYTES + payload.loads_bytes()).ok_or(Error::RingFull)?;
        let timeline = self.timelines.get(timeline_id).ok_or(Error::NotFound)?;
        let seqno = timeline.issued + 1;
        // Within one context the ring keeps the order; the timeline's last request in another one is
        // something to wait for.
        let elsewhere = timeline.last_context.is_some_and(|last| last != context);
        let previous = Fence { timeline: timeline_id, seqno: timeline.issued };
        let previous = (elsewhere && timeline.completed < timeline.issued).then_some(previous);
        for fence in waits.iter().chain(&master) {
            if self.timelines.get(fence.timeline).is_some_and(|timeline| fence.seqno > timeline.issued) {
                return Err(Error::Invalid);
            }
        }

        let reload = found.reload;
        let request = || Request {
            context,
            timeline: timeline_id,
            seqno,
            cookie,
            start: room.start,
            breadcrumb: 0,
            tail: 0,
            spare_tail: 0,
            waits_for: None,
            waits: 0,
            waiters: None,
            boost: MIN_PRIORITY,
            listed: false,
            next_listed: None,
            same_bucket: None,
            ordered: false,
            polls: [None; MAX_POLLS],
            status: Status::Done,
            disturbed: false,
            banned: false,
            ran_ns: 0,
            reload,
            engines: u8::MAX,
            internal,
            next: None,
        };
        let must_wait = |fence: &&Fence| self.must_wait(**fence, timeline_id, context);
        let needed = waits.iter().chain(&previous).filter(must_wait).count() + usize::from(master.is_some());
        // Every context may need one for itself (`park`).
        let kept = (self.config.contexts + OWN).saturating_sub(self.parked);
        if needed > self.waits.free().saturating_sub(kept) as usize {
            return Err(Error::NoMemory);
        }
        let id = self.requests.insert_with(request).ok_or(Error::NoMemory)?;
        for fence in waits {
            let must_wait = self.must_wait(*fence, timeline_id, context);
            if must_wait && !(self.may_poll(*fence) && self.add_poll(id, *fence)) {
                self.add_wait(*fence, Waiter::Fence(id));
            }
        }
        if let Some(fence) = previous {
            self.add_wait(fence, Waiter::Order(id));
        }
        self.write_request(id, payload, room);
        self.points.insert(&mut self.requests, id);
        if let Some(master) = master
            && self.bond(id, master)
        {
            self.add_wait(master, Waiter::Start(id));
        }
        if needed != 0 {
            self.boost_what_it_waits_for(id, priority);
        }
        self.link_request(id);
        self.statistics.submitted += u64::from(!internal);
        if !internal {
            let engine = self.engine_of(context);
            self.bus.hw.note(Event::Submitted { engine, context, timeline: timeline_id, seqno });
        }
        self.run_scheduler();
        Ok(Submitted { request: id, fence: Fence { timeline: timeline_id, seqno } })
    }

    /// Where a context runs; the first engine for one that is gone.
    fn engine_of(&self, context: ContextId) -> EngineId {
        let engine = self.contexts.get(context).map_or(0, |context| context.engine);
        self.engines[engine].id
    }

    /// Writes a request into its ring.
    fn write_request(&mut self, id: RequestId, payload: Payload, room: Room) {
        let polls = self.requests.get(id).map_or([None; MAX_POLLS], |request| request.polls);
        let polls = polls.map(|fence| fence.and_then(|fence| self.breadcrumb(fence)));
        let Some(request) = self.requests.get_mut(id) else { return };
        let Some(context) = self.contexts.get_mut(request.context) else { return };
        let Some(timeline) = self.timelines.get_mut(request.timeline) else { return };
        let ring = &mut context.ring;
        let memory = ring.memory;
        if room.fill != 0 {
            self.bus.hw.write_u64_run(memory.at(room.fill_from), 0, 0, (room.fill / 8) as usize);
            self.bus.publish(memory.at(room.fill_from), room.fill as usize);
        }
        // CAST: the low half, by intent (see `timeline`).
        #[expect(clippy::cast_possible_truncation)]
        let signal = Breadcrumb { slot: timeline.slot, value: request.seqno as u32 };
        let dialect = self.engines[context.engine].dialect;
        let mut writer = Writer::new(&mut self.bus.hw, memory.at(room.start));
        let layout = emit::request(&mut writer, dialect, polls.into_iter().flatten(), payload, signal);
        self.bus.publish(memory.at(room.start), layout.spare_tail as usize);
        debug_assert!(layout.spare_tail <= MAX_BYTES + payload.loads_bytes());

        let wrap = ring.size() - 1;
        request.breadcrumb = room.start + layout.breadcrumb;
        // The end of the ring is its beginning: a tail of the ring's size is not allowed.
        request.tail = (room.start + layout.tail) & wrap;
        request.spare_tail = (room.start + layout.spare_tail) & wrap;
        ring.advance(room.start + layout.spare_tail);
        timeline.issued = request.seqno;
        timeline.last_context = Some(request.context);
    }

    /// Appends a request to its context, and makes it ready if it is.
    fn link_request(&mut self, id: RequestId) {
        let Some(request) = self.requests.get(id) else { return };
        let (context_id, waits) = (request.context, request.waits);
        let Some(context) = self.contexts.get_mut(context_id) else { return };
        if let Some(vm) = self.vms.get_mut(context.vm) {
            vm.in_flight[context.engine] += 1;
        }
        match context.last.and_then(|last| self.requests.get_mut(last)) {
            Some(last) => last.next = Some(id),
            None => context.first = Some(id),
        }
        context.last = Some(id);
        if context.first_unready.is_none() {
            context.first_unready = Some(id);
            if waits == 0 {
                self.advance_ready(context_id);
            }
        }
    }

    /// Moves the mark of what may run past all requests that wait for nothing and fit what is ready already.
    pub(super) fn advance_ready(&mut self, context_id: ContextId) {
        self.advance_mark(context_id);
        self.activate(context_id);
    }

    /// [`Self::advance_ready`] without queueing the context.
    pub(super) fn advance_mark(&mut self, context_id: ContextId) {
        while self.join(context_id) {
            let Some(context) = self.contexts.get_mut(context_id) else { break };
            let Some(request) = context.first_unready.and_then(|id| self.requests.get(id)) else { break };
            context.next_tail = request.tail;
            context.spare_tail = request.spare_tail;
            context.unsubmitted = true;
            context.ready_seqno = request.seqno;
            context.first_unready = request.next;
        }
    }

    /// Notes that a request is over. It is the first of its context.
    pub(super) fn finish(&mut self, id: RequestId) {
        let Some(request) = self.requests.get_mut(id) else { return };
        let (seqno, timeline_id, internal) = (request.seqno, request.timeline, request.internal);
        let (context, status) = (request.context, request.status);
        let (waits_for, waiters, boost) = (request.waits_for, request.waiters, request.boost);
        let next = request.next.take();
        let polls = core::mem::take(&mut request.polls);
        if let Some(context) = self.contexts.get_mut(request.context) {
            debug_assert_eq!(context.first, Some(id));
            context.first = next;
            if next.is_none() {
                context.last = None;
            }
            if context.first_unready == Some(id) {
                context.first_unready = next;
            }
            context.ring.retire(request.spare_tail);
            if let Some(vm) = self.vms.get_mut(context.vm) {
                vm.in_flight[context.engine] -= 1;
                vm.last_use[context.engine] = self.engines[context.engine].tlb_generation;
            }
        }
        self.points.remove(&mut self.requests, id);
        if let Some(timeline) = self.timelines.get_mut(timeline_id) {
            timeline.completed = timeline.completed.max(seqno);
        }
        if waits_for.is_some() {
            self.drop_waits(id, true); // it was given up
        }
        if waiters.is_some() {
            self.wake_waiters(id);
        }
        if boost != MIN_PRIORITY {
            self.refresh_priority(context);
        }
        if internal {
            self.requests.remove(id);
        } else {
            match self.completed.last.and_then(|last| self.requests.get_mut(last)) {
                Some(last) => last.next = Some(id),
                None => self.completed.first = Some(id),
            }
            self.completed.last = Some(id);
            self.statistics.finished += 1;
            let (engine, timeline) = (self.engine_of(context), timeline_id);
            self.bus.hw.note(Event::Finished { engine, context, timeline, seqno, status });
        }
        if status == Status::Hang {
            self.end_reading(id);
        }
        self.timeline_free_if_done(timeline_id);
        for fence in polls.into_iter().flatten() {
            if let Some(timeline) = self.timelines.get_mut(fence.timeline) {
                timeline.polled_by -= 1;
            }
            self.timeline_free_if_done(fence.timeline);
        }
    }

    /// The next request that has finished, in the order in which they were noticed.
    pub fn take_completion(&mut self) -> Option<Completion> {
        let id = self.completed.first?;
        let request = self.requests.remove(id)?;
        self.completed.first = request.next;
        if request.next.is_none() {
            self.completed.last = None;
        }
        let fence = Fence { timeline: request.timeline, seqno: request.seqno };
        Some(Completion {
            request: id,
            cookie: request.cookie,
            context: request.context,
            fence,
            status: request.status,
            disturbed: request.disturbed,
            banned: request.banned,
        })
    }

    /// Makes every unfinished request of a context do nothing but signal, in its timeline's order, and
    /// gives it `status`.
    pub(super) fn skip_requests(&mut self, context_id: ContextId, status: Status) {
        let mut at = self.contexts.get(context_id).and_then(|context| context.first);
        while let Some(id) = at {
            self.skip_request(id, status);
            at = self.requests.get(id).and_then(|request| request.next);
        }
    }

    /// Makes a request do nothing but signal.
    pub(super) fn skip_request(&mut self, id: RequestId, status: Status) {
        let Some(request) = self.requests.get_mut(id) else { return };
        let Some(context) = self.contexts.get(request.context) else { return };
        let memory = context.ring.memory;
        // Polls, invalidation and batch; MI_NOOP is zero.
        let (start, bytes) = (request.start, (request.breadcrumb - request.start) as usize);
        if request.status == Status::Done {
            request.status = status;
            self.drop_waits(id, false);
        }
        self.bus.hw.write_u64_run(memory.at(start), 0, 0, bytes / 8);
        self.bus.publish(memory.at(start), bytes);
    }

    /// Ends every request there is without the GPU's help, in each timeline's order.
    pub(super) fn abandon_all(&mut self) {
        debug_assert_eq!(self.health, Health::Wedged);
        // A pass ends at least the oldest request of each timeline: it is the first of its context.
        let mut more = true;
        while core::mem::take(&mut more) {
            for slot in 0..self.contexts.capacity() {
                let Some(context) = self.contexts.at(slot) else { continue };
                while let Some(id) = self.next_in_order(context) {
                    if let Some(request) =
                        self.requests.get_mut(id).filter(|request| request.status == Status::Done)
                    {
                        request.status = Status::Cancelled;
                    }
                    self.finish(id);
                    more = true;
                }
                self.context_free_if_done(context);
            }
        }
    }

    /// The first request of a context, if it is the next of its timeline, too.
    fn next_in_order(&self, context: ContextId) -> Option<RequestId> {
        let first = self.contexts.get(context)?.first?;
        let request = self.requests.get(first)?;
        let timeline = self.timelines.get(request.timeline)?;
        (request.seqno <= timeline.completed + 1).then_some(first)
    }
}
