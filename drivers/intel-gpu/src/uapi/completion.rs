// SPDX-License-Identifier: BSD-2-Clause
//! Completion: what requests kept alive is let go of, and their clients are told.

use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::job::{Job, Use};
use crate::gpu::{self, Completion};
use crate::handle::Id;
use crate::platform::Hardware;

/// Requests of a context and a timeline that completed one after the other: all that is done for them but their answers is
/// done once.
#[derive(Clone, Copy, Debug)]
struct Streak {
    last: Job,
    count: u32,
    /// How many of them, up to the last, share what keeps their objects (see [`super::run`]).
    sharing: u32,
}

impl Streak {
    const fn new(job: Job) -> Self {
        Self { last: job, count: 1, sharing: 1 }
    }

    /// A context is one client's, and keeps its address space while it has requests in flight.
    #[inline]
    fn is_continued_by(&self, job: &Job) -> bool {
        job.context == self.last.context && job.timeline == self.last.timeline
    }
}

impl<H: Hardware> Driver<H> {
    /// Lets go of the objects of a request that executes nothing of its batch any more.
    pub(crate) fn drop_uses<D: Domain>(&mut self, domain: &mut D, id: Id<Job>) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let (client, uses) = (job.client, job.uses.take());
        self.let_go_of(domain, client, uses, 1);
    }

    /// Lets go of a chain of objects that keeps those of a client's requests, for `count` of them.
    #[inline]
    pub(crate) fn let_go_of<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        uses: Option<Id<Use>>,
        count: u32,
    ) {
        if let Some(first) = uses.and_then(|first| self.uses.get_mut(first))
            && first.sharers >= count
        {
            first.sharers -= count;
            return;
        }
        self.free_uses(domain, client, uses);
    }

    fn free_uses<D: Domain>(&mut self, domain: &mut D, client: ClientId, mut next: Option<Id<Use>>) {
        while let Some(used) = next.and_then(|used| self.uses.remove_with(used, |used| *used)) {
            self.clients[client].used.uses -= 1;
            next = used.next;
            if let Some(binding) = self.bindings.get_mut(used.binding) {
                binding.active -= 1;
            }
            let Some(object) = self.objects.get_mut(used.object) else { continue };
            object.active -= 1;
            object.writers -= u32::from(used.writes);
            let (idle, told) = (object.active == 0, object.waiters != 0 && object.writers == 0);
            if idle && !object.lending.is_present() {
                self.settle(domain, used.object);
            }
            if told {
                self.tell_waiters(used.object);
            }
        }
    }

    /// The GPU has interrupted: finds what completed, tells the clients.
    pub fn interrupt<D: Domain>(&mut self, domain: &mut D) {
        self.gpu.interrupt();
        self.drain_events(domain);
        self.bury(domain);
        self.wake_clients(domain);
    }

    /// Time has passed: ends what hangs, notices lost interrupts. To be called every now and then while it
    /// returns true, that is while something runs.
    pub fn tick<D: Domain>(&mut self, domain: &mut D) -> bool {
        let busy = self.gpu.tick();
        self.drain_events(domain);
        self.enforce_deadlines(domain);
        self.bury(domain);
        self.wake_clients(domain);
        busy || self.is_busy()
    }

    /// Whether a request is in flight or something waits for the hardware to let go of it, and so
    /// [`Driver::tick`] is to be called.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.jobs.len() != 0 || !self.dying.is_empty() || !self.unconfirmed.is_empty()
    }

    /// [`Self::drain_events`], if something has completed.
    #[inline]
    pub(crate) fn drain_finished<D: Domain>(&mut self, domain: &mut D) {
        if self.gpu.has_completion() {
            self.drain_events(domain);
        }
    }

    /// Publishes what completed.
    pub(crate) fn drain_events<D: Domain>(&mut self, domain: &mut D) {
        self.describe_hang();
        let mut streak = None;
        while let Some(completion) = self.gpu.take_completion() {
            self.completed(domain, completion, &mut streak);
        }
        if let Some(streak) = streak {
            self.settle_streak(domain, &streak);
        }
    }

    /// Destroys what only waited for the hardware to let go of it. A context may leave the hardware long
    /// after its last request completed, so that this is not a matter of completions.
    fn bury<D: Domain>(&mut self, domain: &mut D) {
        if self.retry_unconfirmed(domain) {
            self.bury_spaces();
        }
    }

    #[inline]
    fn completed<D: Domain>(&mut self, domain: &mut D, completion: Completion, streak: &mut Option<Streak>) {
        let id = Id::from_raw(completion.cookie);
        if completion.status != gpu::Status::Done {
            self.look_at_objects_of(domain, id);
        }
        let Some(job) = self.jobs.remove_with(id, |job| *job) else {
            return;
        };
        self.judge(job.context, completion);
        match streak {
            Some(streak) if streak.is_continued_by(&job) => {
                streak.count += 1;
                streak.last.point = job.point;
                if job.uses.is_some() && job.uses == streak.last.uses {
                    streak.sharing += 1;
                } else {
                    let uses = core::mem::replace(&mut streak.last.uses, job.uses);
                    let sharing = core::mem::replace(&mut streak.sharing, 1);
                    self.let_go_of(domain, job.client, uses, sharing);
                }
            }
            _ => {
                if let Some(ended) = streak.replace(Streak::new(job)) {
                    self.settle_streak(domain, &ended);
                }
            }
        }
        // Who asked by a ring says there when to be woken.
        if !self.answer_job(domain, &job, completion.status) {
            self.clients[job.client].wake = true;
            self.untold = true;
        }
    }

    /// Lets go of what requests kept that completed one after the other, and publishes the last one's point.
    #[inline]
    fn settle_streak<D: Domain>(&mut self, domain: &mut D, streak: &Streak) {
        let Streak { last: Job { client, context, space, timeline, point, uses, .. }, count, sharing } =
            *streak;
        self.let_go_of(domain, client, uses, sharing);
        match self.contexts.get_mut(context) {
            Some(context) => context.jobs -= count,
            None => self.space_put(space, count),
        }
        domain.publish_point(client, timeline, point);
        let state = &mut self.clients[client];
        state.used.jobs -= count;
        let place = &mut state.timelines[timeline];
        place.published = point;
        if place.users == 0 {
            self.timeline_bury(client, timeline);
        }
    }

    /// A request did not end well: perhaps because a page was revoked under it.
    fn look_at_objects_of<D: Domain>(&mut self, domain: &mut D, id: Id<Job>) {
        let mut next = self.jobs.get(id).and_then(|job| job.uses);
        while let Some(used) = next.and_then(|used| self.uses.get(used)).copied() {
            self.look_for_revoked(domain, used.object, true);
            next = used.next;
        }
    }

    /// Notifies each client for which something completed, once.
    pub(crate) fn wake_clients<D: Domain>(&mut self, domain: &mut D) {
        if !core::mem::take(&mut self.untold) {
            return;
        }
        for id in 0..self.clients.len() {
            let answers = self.publish_answers(domain, id);
            if core::mem::take(&mut self.clients[id].wake) || answers {
                domain.notify(id);
            }
        }
    }
}
