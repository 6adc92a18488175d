// SPDX-License-Identifier: BSD-2-Clause
//! Waiting for fences: in the driver until they are complete, or on the GPU by polling, and who is let go when one is.

use super::context::Place;
use super::submit::{MAX_POLLS, Status};
use super::timeline::{Wait, Waiter};
use super::{ContextId, Fence, Gpu, RequestId, TimelineId};
use crate::engine::emit::Breadcrumb;
use crate::handle::Id;
use crate::platform::Hardware;

impl<H: Hardware> Gpu<H> {
    /// Whether a fence holds a request of `context` up. `own` is the context's timeline: what its ring
    /// orders needs no wait.
    pub(super) fn must_wait(&self, fence: Fence, own: TimelineId, context: ContextId) -> bool {
        self.timelines.get(fence.timeline).is_some_and(|timeline| {
            let ordered = fence.timeline == own && timeline.last_context == Some(context);
            !ordered && timeline.completed < fence.seqno
        })
    }

    /// Whether the GPU may wait for a fence by itself: what the fence stands for is on the hardware, so
    /// that it gets done whatever else happens, and the 32 bits in memory cannot wrap in between.
    pub(super) fn may_poll(&self, fence: Fence) -> bool {
        let Some(timeline) = self.timelines.get(fence.timeline) else { return false };
        let before = timeline.last_context.and_then(|last| self.contexts.get(last));
        let Some(before) = before else { return false };
        let on_hardware = before.place == Place::OnHardware
            && before.timeline == fence.timeline
            && before.submitted_seqno >= fence.seqno;
        let same_half = timeline.completed >> 32 == fence.seqno >> 32;
        let far_from_wrap = fence.seqno & 0xffff_ffff < 0xc000_0000;
        on_hardware && same_half && far_from_wrap
    }

    /// Where a fence can be seen in memory, and what is there when it is complete.
    pub(super) fn breadcrumb(&self, fence: Fence) -> Option<Breadcrumb> {
        // CAST: the low half, by intent (see `timeline`).
        #[expect(clippy::cast_possible_truncation)]
        let value = fence.seqno as u32;
        self.timelines.get(fence.timeline).map(|timeline| Breadcrumb { slot: timeline.slot, value })
    }

    /// Makes request `id` poll for a fence on the GPU, if it does not poll for too many already.
    pub(super) fn add_poll(&mut self, id: RequestId, fence: Fence) -> bool {
        let Some(request) = self.requests.get_mut(id) else { return false };
        let Some(place) = request.polls.iter_mut().find(|place| place.is_none()) else { return false };
        *place = Some(fence);
        if let Some(timeline) = self.timelines.get_mut(fence.timeline) {
            timeline.polled_by += 1;
        }
        true
    }

    /// Notes that somebody waits for a fence. Returns whether there was room.
    pub(super) fn add_wait(&mut self, fence: Fence, who: Waiter) -> bool {
        let Some(timeline) = self.timelines.get_mut(fence.timeline) else { return false };
        let wait = Wait { who, seqno: fence.seqno, next: timeline.waiters };
        let Ok(wait) = self.waits.insert(wait) else { return false };
        timeline.waiters = Some(wait);
        if let Waiter::Fence(id) | Waiter::Order(id) | Waiter::Start(id) = who
            && let Some(request) = self.requests.get_mut(id)
        {
            request.waits += 1;
            request.ordered |= matches!(who, Waiter::Order(_));
        }
        true
    }

    /// What a fence stands for is as urgent as who waits for it.
    pub(super) fn boost_for(&mut self, fence: Fence, priority: i16) {
        if let Some(last) = self.timelines.get(fence.timeline).and_then(|found| found.last_context) {
            self.boost(last, priority);
        }
    }

    /// A context polls for a fence and others wait for the engine: it is not queued again before the
    /// fence is complete. So polling cannot keep anybody, however urgent the one that polls, from what
    /// the fence may need in turn.
    pub(super) fn park(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get(id).filter(|context| !context.parked) else { return };
        let first = context.first.and_then(|first| self.requests.get(first));
        let polls = first.map_or([None; MAX_POLLS], |request| request.polls);
        let Some(fence) = polls.into_iter().flatten().find(|fence| !self.is_signalled(*fence)) else {
            return;
        };
        if self.add_wait(fence, Waiter::Parked(id)) {
            self.parked += 1;
            if let Some(context) = self.contexts.get_mut(id) {
                context.parked = true;
            }
        }
    }

    /// The fence of a parked context is complete, or does not matter any more.
    pub(super) fn unpark(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        if core::mem::take(&mut context.parked) {
            self.parked = self.parked.saturating_sub(1);
            self.activate(id);
        }
    }

    /// Takes the waiters of a timeline whose fences are complete off its list.
    pub(super) fn wake_waiters(&mut self, timeline_id: TimelineId) {
        let Some(timeline) = self.timelines.get_mut(timeline_id) else { return };
        let completed = timeline.completed;
        let mut at = timeline.waiters.take();
        let mut kept: Option<Id<Wait>> = None;
        let mut first_kept = None;
        while let Some(id) = at {
            let Some(wait) = self.waits.get_mut(id) else { break };
            at = wait.next;
            if wait.seqno > completed {
                wait.next = None;
                match kept.and_then(|last| self.waits.get_mut(last)) {
                    Some(last) => last.next = Some(id),
                    None => first_kept = Some(id),
                }
                kept = Some(id);
            } else if let Some(wait) = self.waits.remove(id) {
                self.wait_is_over(wait.who);
            }
        }
        if let Some(timeline) = self.timelines.get_mut(timeline_id) {
            timeline.waiters = first_kept;
        }
    }

    pub(super) fn wait_is_over(&mut self, who: Waiter) {
        let id = match who {
            Waiter::Parked(context) => return self.unpark(context),
            Waiter::Fence(id) | Waiter::Order(id) | Waiter::Start(id) => id,
        };
        let Some(request) = self.requests.get_mut(id) else { return };
        match who {
            Waiter::Order(_) => request.ordered = false,
            // A skipped request does not wait for its client's fences any more.
            _ if request.status != Status::Done => return,
            _ => {}
        }
        request.waits = request.waits.saturating_sub(1);
        let (waits, context) = (request.waits, request.context);
        if waits == 0 && self.contexts.get(context).is_some_and(|context| context.first_unready == Some(id)) {
            self.advance_ready(context);
        }
    }

    /// Takes one of those that wait for the start of a request off a timeline's list: of one that is not complete,
    /// and has been given to an engine.
    pub(super) fn take_start_waiter(
        &mut self,
        timeline_id: TimelineId,
        submitted: u64,
        completed: u64,
    ) -> Option<RequestId> {
        let mut before: Option<Id<Wait>> = None;
        let mut at = self.timelines.get(timeline_id)?.waiters;
        while let Some(id) = at {
            let wait = self.waits.get(id)?;
            let next = wait.next;
            if let Waiter::Start(request) = wait.who
                && (completed + 1..=submitted).contains(&wait.seqno)
            {
                match before.and_then(|before| self.waits.get_mut(before)) {
                    Some(before) => before.next = next,
                    None => self.timelines.get_mut(timeline_id)?.waiters = next,
                }
                self.waits.remove(id);
                return Some(request);
            }
            before = at;
            at = next;
        }
        None
    }
}
