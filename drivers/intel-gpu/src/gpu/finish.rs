// SPDX-License-Identifier: BSD-2-Clause
//! Requests that are over, executed or not: from the ring to the list of completions.

use super::submit::{MAX_POLLS, Request, RequestId, Status};
use super::{ContextId, Fence, Gpu, Health};
use crate::engine::queue::MIN_PRIORITY;
use crate::index::Indexed;
use crate::platform::Hardware;
use crate::trace::Event;

/// A request that has finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// Its handle, no longer valid.
    pub request: RequestId,
    /// What [`super::Submission::cookie`] was.
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

impl Request {
    /// Nobody waits for it, it waits for nothing, and it is a client's, like most.
    const fn is_plain(&self) -> bool {
        self.waits_for.is_none()
            && self.waiters.is_none()
            && self.polls[0].is_none()
            && self.boost == MIN_PRIORITY
            && !self.internal
            && matches!(self.status, Status::Done)
    }
}

impl<H: Hardware> Gpu<H> {
    /// Notes that the first request of a context is over.
    pub(super) fn finish(&mut self, id: RequestId) {
        if let Some(request) = self.requests.get(id) {
            self.finish_until(request.context, request.seqno);
        }
    }

    /// Notes that the requests of a context up to a number on its timeline are over. Returns whether there were any.
    pub(super) fn finish_until(&mut self, context_id: ContextId, reached: u64) -> bool {
        let Some(context) = self.contexts.get_mut(context_id) else { return false };
        let first = context.first;
        let (mut next, mut last) = (first, None);
        while let Some(id) = next
            && let Some(request) = self.requests.get(id)
            && request.seqno <= reached
        {
            if context.first_unready == next {
                context.first_unready = request.next;
            }
            (next, last) = (request.next, Some(request));
        }
        let Some(last) = last else { return false };
        let (engine, timeline) = (context.engine, last.timeline);
        context.ring.retire(last.spare_tail);
        context.first = next;
        if next.is_none() {
            context.last = None;
        }
        if let Some(vm) = self.vms.get_mut(context.vm) {
            vm.in_flight[engine] -= u32::from(next.is_none());
            vm.last_use[engine] = self.engines[engine].tlb_generation;
        }
        if let Some(timeline) = self.timelines.get_mut(timeline) {
            timeline.completed = timeline.completed.max(last.seqno);
        }
        // The list of what has finished is linked as the context's was, which mostly is no work.
        let (mut at, mut before) = (first, None);
        while let Some(id) = at.filter(|_| at != next) {
            (at, before) = self.conclude(id, engine, before);
        }
        if let Some(last) = self.completed.last.and_then(|last| self.requests.get_mut(last)) {
            last.next = None;
        }
        self.timeline_free_if_done(timeline);
        true
    }

    /// Lets go who waits for a request that has finished, and tells of it. `before` is the one whose link leads to it, if that is
    /// in the list of what has finished. Returns the next one of its context, and the one whose link leads to that.
    #[inline]
    fn conclude(
        &mut self,
        id: RequestId,
        engine: usize,
        before: Option<RequestId>,
    ) -> (Option<RequestId>, Option<RequestId>) {
        let Some(request) = self.requests.get_mut(id) else { return (None, None) };
        let (fence, context, status, next) = (request.key(), request.context, request.status, request.next);
        let is_plain = request.is_plain();
        let bucket = request.same_bucket.take();
        self.points.leave(&mut self.requests, id, fence, bucket);
        if !is_plain && self.release_dependents(id) {
            return (next, None);
        }
        if before.is_none() || before != self.completed.last {
            match self.completed.last.and_then(|last| self.requests.get_mut(last)) {
                Some(last) => last.next = Some(id),
                None => self.completed.first = Some(id),
            }
        }
        self.completed.last = Some(id);
        self.statistics.finished += 1;
        let (engine, Fence { timeline, seqno }) = (self.engines[engine].id, fence);
        self.bus.hw.note(|| Event::Finished { engine, context, timeline, seqno, status });
        (next, Some(id))
    }

    /// What is to be done for a finished request that is not like most. Returns whether nobody is told of it. None of it
    /// finishes another one: the caller is in the middle of a list.
    #[cold]
    fn release_dependents(&mut self, id: RequestId) -> bool {
        let Some(request) = self.requests.get(id) else { return true };
        let Request { context, status, internal, polls, .. } = *request;
        let (waits, waited_for) = (request.waits_for.is_some(), request.waiters.is_some());
        let boosted = request.boost != MIN_PRIORITY;
        if waits {
            self.drop_waits(id, true); // it was given up
        }
        if waited_for {
            self.wake_waiters(id);
        }
        if boosted {
            self.refresh_priority(context);
        }
        if status == Status::Hang {
            self.end_reading(id);
        }
        if internal {
            self.requests.remove(id);
        }
        // The first ones first.
        if polls[0].is_some() {
            self.end_polls(polls);
        }
        internal
    }

    /// A request that polled for these does not any more.
    fn end_polls(&mut self, polls: [Option<Fence>; MAX_POLLS]) {
        for fence in polls.into_iter().flatten() {
            if let Some(timeline) = self.timelines.get_mut(fence.timeline) {
                timeline.polled_by -= 1;
            }
            self.timeline_free_if_done(fence.timeline);
        }
    }

    /// Whether [`Self::take_completion`] has one to give.
    #[must_use]
    pub const fn has_completion(&self) -> bool {
        self.completed.first.is_some()
    }

    /// The next request that has finished, in the order in which they were noticed.
    #[inline]
    pub fn take_completion(&mut self) -> Option<Completion> {
        let id = self.completed.first?;
        let taken = self.requests.remove_with(id, |request| {
            let completion = Completion {
                request: id,
                cookie: request.cookie,
                context: request.context,
                fence: request.key(),
                status: request.status,
                disturbed: request.disturbed,
                banned: request.banned,
            };
            (completion, request.next)
        });
        let (completion, next) = taken?;
        self.completed.first = next;
        if next.is_none() {
            self.completed.last = None;
        }
        Some(completion)
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
