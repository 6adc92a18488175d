// SPDX-License-Identifier: BSD-2-Clause
//! Waiting for fences: in the driver until they are complete, or on the GPU by polling; who is let go when one is.
//!
//! ```text
//!   request ── waits_for ──► Wait ── sibling ──► Wait ── sibling ──► ...        all that it waits for
//!                             │ on                │ on
//!                             ▼                   ▼
//!                          request ── waiters ─► Wait ◄── next, previous ──► Wait ...   all that wait for it
//! ```
//!
//! A request that completes finds those that wait for it, and nobody else; whoever is waited for finds what it
//! waits for itself (`boost`).

use super::context::Place;
use super::submit::MAX_POLLS;
use super::{ContextId, Fence, Gpu, RequestId, TimelineId};
use crate::engine::emit::Breadcrumb;
use crate::handle::Id;
use crate::platform::Hardware;

/// Who waits for a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiter {
    /// A request, for a fence that its client named.
    Fence(RequestId),
    /// A request, for the one before it on its timeline.
    Order(RequestId),
    /// A request, until the one that it is bonded to is given to an engine.
    Start(RequestId),
    /// A context that polled in vain and gave up the engine.
    Parked(ContextId),
}

impl Waiter {
    const fn request(self) -> Option<RequestId> {
        match self {
            Self::Fence(id) | Self::Order(id) | Self::Start(id) => Some(id),
            Self::Parked(_) => None,
        }
    }
}

/// One thing that somebody waits for.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) who: Waiter,
    /// What for.
    pub(super) on: RequestId,
    /// Others that wait for the same.
    previous: Option<Id<Wait>>,
    next: Option<Id<Wait>>,
    /// What the same one waits for besides.
    pub(super) sibling: Option<Id<Wait>>,
}

impl<H: Hardware> Gpu<H> {
    /// The request of a fence that is not complete.
    pub(super) fn request_of(&self, fence: Fence) -> Option<RequestId> {
        self.points.find(&self.requests, fence)
    }

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
        let before = self.request_of(fence).and_then(|id| self.requests.get(id));
        let Some(before) = before.and_then(|before| self.contexts.get(before.context)) else { return false };
        let on_hardware = before.place == Place::OnHardware && before.submitted_seqno >= fence.seqno;
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

    /// Notes that somebody waits for a fence that is not complete.
    pub(super) fn add_wait(&mut self, fence: Fence, who: Waiter) -> Option<Id<Wait>> {
        let on = self.request_of(fence)?;
        let next = self.requests.get(on)?.waiters;
        let sibling =
            who.request().and_then(|id| self.requests.get(id)).and_then(|request| request.waits_for);
        let id = self.waits.insert(Wait { who, on, previous: None, next, sibling }).ok()?;
        if let Some(next) = next.and_then(|next| self.waits.get_mut(next)) {
            next.previous = Some(id);
        }
        if let Some(on) = self.requests.get_mut(on) {
            on.waiters = Some(id);
        }
        if let Some(request) = who.request().and_then(|request| self.requests.get_mut(request)) {
            request.waits_for = Some(id);
            request.waits += 1;
            request.ordered |= matches!(who, Waiter::Order(_));
        }
        if let (Waiter::Start(_), Some(timeline)) = (who, self.timelines.get_mut(fence.timeline)) {
            timeline.starts += 1;
        }
        Some(id)
    }

    /// Takes a wait off the lists that it is in. Returns who waited.
    fn remove_wait(&mut self, id: Id<Wait>) -> Option<Waiter> {
        let wait = self.waits.remove(id)?;
        match wait.previous.and_then(|previous| self.waits.get_mut(previous)) {
            Some(previous) => previous.next = wait.next,
            None => {
                if let Some(on) = self.requests.get_mut(wait.on) {
                    on.waiters = wait.next;
                }
            }
        }
        if let Some(next) = wait.next.and_then(|next| self.waits.get_mut(next)) {
            next.previous = wait.previous;
        }
        if matches!(wait.who, Waiter::Start(_))
            && let Some(on) = self.requests.get(wait.on)
            && let Some(timeline) = self.timelines.get_mut(on.timeline)
        {
            timeline.starts -= 1;
        }
        if let Some(request) = wait.who.request().and_then(|request| self.requests.get_mut(request)) {
            request.waits -= 1;
            request.ordered &= !matches!(wait.who, Waiter::Order(_));
        }
        self.drop_sibling(wait.who, id, wait.sibling);
        Some(wait.who)
    }

    /// Takes a wait out of the list of what one request waits for.
    fn drop_sibling(&mut self, who: Waiter, id: Id<Wait>, after: Option<Id<Wait>>) {
        let Some(request) = who.request().and_then(|request| self.requests.get_mut(request)) else { return };
        if request.waits_for == Some(id) {
            request.waits_for = after;
            return;
        }
        let mut at = request.waits_for;
        while let Some(wait) = at.and_then(|at| self.waits.get_mut(at)) {
            if wait.sibling == Some(id) {
                wait.sibling = after;
                return;
            }
            at = wait.sibling;
        }
    }

    /// A request waits for nothing any more; unless it is `ended`, still for its turn on its timeline.
    pub(super) fn drop_waits(&mut self, id: RequestId, ended: bool) {
        let mut at = self.requests.get(id).and_then(|request| request.waits_for);
        while let Some(wait) = at.and_then(|at| self.waits.get(at)) {
            let (of, order) = (at, matches!(wait.who, Waiter::Order(_)));
            at = wait.sibling;
            if let Some(of) = of.filter(|_| ended || !order) {
                self.remove_wait(of);
            }
        }
    }

    /// A context polls for a fence and others wait for the engine: it is not queued again before the
    /// fence is complete. So polling cannot keep anybody, however urgent the one that polls, from what
    /// the fence may need in turn.
    pub(super) fn park(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get(id).filter(|context| context.parked.is_none()) else { return };
        let first = context.first.and_then(|first| self.requests.get(first));
        let polls = first.map_or([None; MAX_POLLS], |request| request.polls);
        let Some(fence) = polls.into_iter().flatten().find(|fence| !self.is_signalled(*fence)) else {
            return;
        };
        if let Some(wait) = self.add_wait(fence, Waiter::Parked(id)) {
            self.parked += 1;
            if let Some(context) = self.contexts.get_mut(id) {
                context.parked = Some(wait);
            }
        }
    }

    /// The fence of a parked context does not matter any more.
    pub(super) fn unpark(&mut self, id: ContextId) {
        if let Some(wait) = self.contexts.get(id).and_then(|context| context.parked) {
            self.remove_wait(wait);
            self.parked_is_over(id);
        }
    }

    fn parked_is_over(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        if context.parked.take().is_some() {
            self.parked = self.parked.saturating_sub(1);
            self.activate(id);
        }
    }

    /// A request is complete: whoever waits for it goes on.
    pub(super) fn wake_waiters(&mut self, id: RequestId) {
        while let Some(wait) = self.requests.get(id).and_then(|request| request.waiters) {
            let Some(who) = self.remove_wait(wait) else { break };
            self.wait_is_over(who);
        }
    }

    fn wait_is_over(&mut self, who: Waiter) {
        let id = match who {
            Waiter::Parked(context) => return self.parked_is_over(context),
            Waiter::Fence(id) | Waiter::Order(id) | Waiter::Start(id) => id,
        };
        let Some(request) = self.requests.get(id) else { return };
        let (waits, context) = (request.waits, request.context);
        if waits == 0 && self.contexts.get(context).is_some_and(|context| context.first_unready == Some(id)) {
            self.advance_ready(context);
        }
    }

    /// Lets go those that wait until a context is given to an engine; `with` is told of each first.
    pub(super) fn wake_bonded(&mut self, id: ContextId, mut with: impl FnMut(&mut Self, RequestId)) {
        let Some(context) = self.contexts.get(id) else { return };
        let (submitted, mut at) = (context.submitted_seqno, context.first);
        while let Some(request) = at.and_then(|at| self.requests.get(at)) {
            if request.seqno > submitted {
                break;
            }
            let master = at;
            at = request.next;
            while let Some((wait, bonded)) = master.and_then(|master| self.first_start(master)) {
                self.remove_wait(wait);
                with(self, bonded);
                self.wait_is_over(Waiter::Start(bonded));
            }
        }
    }

    /// One of those that wait for the start of a request.
    fn first_start(&self, master: RequestId) -> Option<(Id<Wait>, RequestId)> {
        let mut next = self.requests.get(master)?.waiters;
        loop {
            let wait = self.waits.get(next?)?;
            if let Waiter::Start(bonded) = wait.who {
                return next.map(|next| (next, bonded));
            }
            next = wait.next;
        }
    }

    /// What request `id` waits for or polls for is as urgent as it is.
    pub(super) fn boost_what_it_waits_for(&mut self, id: RequestId, priority: i16) {
        let mut first = None;
        self.list_what_it_waits_for(id, priority, &mut first);
        self.boost_listed(first, priority);
    }

    /// Adds those unfinished requests that `id` waits for, and that are less urgent, to a list that runs through them.
    fn list_what_it_waits_for(&mut self, id: RequestId, priority: i16, list: &mut Option<RequestId>) {
        let Some(request) = self.requests.get(id) else { return };
        let (context, polls, mut at) = (request.context, request.polls, request.waits_for);
        for fence in polls.into_iter().flatten() {
            if let Some(on) = self.request_of(fence) {
                self.list(on, context, priority, list);
            }
        }
        while let Some(wait) = at.and_then(|at| self.waits.get(at)) {
            at = wait.sibling;
            self.list(wait.on, context, priority, list);
        }
    }

    /// Adds a request to the list. `context` is whose request waits for it: one is not more urgent for waiting for itself.
    fn list(&mut self, id: RequestId, context: ContextId, priority: i16, list: &mut Option<RequestId>) {
        let Some(request) = self.requests.get_mut(id) else { return };
        if request.boost < priority && !request.listed && request.context != context {
            request.listed = true;
            request.next_listed = list.replace(id);
        }
    }

    /// Makes each request of a list at least as urgent as `priority`, and with it what comes before it in its
    /// context, and what any of these waits for: as long as it is unfinished, and no longer. A request that is as
    /// urgent already has passed that on before. So each request is raised once, however they wait for each other.
    fn boost_listed(&mut self, mut list: Option<RequestId>, priority: i16) {
        while let Some(id) = list {
            let Some(request) = self.requests.get_mut(id) else { break };
            list = request.next_listed.take();
            request.listed = false;
            let context = request.context;
            let mut at = self.contexts.get(context).and_then(|context| context.first);
            while let Some(before) = at {
                let Some(request) = self.requests.get_mut(before) else { break };
                at = request.next.filter(|_| before != id);
                if request.boost < priority {
                    request.boost = priority;
                    self.list_what_it_waits_for(before, priority, &mut list);
                }
            }
            self.refresh_priority(context);
        }
    }
}
