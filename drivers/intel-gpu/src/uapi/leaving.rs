// SPDX-License-Identifier: BSD-2-Clause
//! How pages leave: what [`super::invalidate`] decides is done here, with page tables, TLBs and capabilities.
//!
//! ```text
//!   close ─────────────┐
//!   invalidate ────────┼─► withdraw ─► settle ─► Unbind ─► Flush ─► Drop ─► the ledger, the owner
//!   revoked behind us ─┘                 ▲
//!   completion, or stopped at the deadline
//! ```

use gpu_protocol::{
    Errno, Invalidate, InvalidateReply, InvalidateState, InvalidateStatus, OWN_SPACE, PAGE_SIZE, Reply,
};

use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::interval::{Cursor, Interval};
use super::invalidate::{Ledger, Outcome, Step};
use super::job::Job;
use super::lent::Chain;
use super::object::Object;
use crate::gpu::RequestId;
use crate::handle::Id;
use crate::platform::Hardware;
use crate::trace::Event;

/// Numbers one after the other, scattered (the finaliser of SplitMix64), so that no order of submissions leaves a page
/// unseen for ever.
pub(crate) const fn scatter(number: u64) -> u64 {
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// In the last part of this many of an invalidation's patience, requests are asked to leave their engines: of half a second,
/// after 400 ms.
const LAST_PART: u64 = 5;

impl<H: Hardware> Driver<H> {
    /// Takes the pages of a range of an address space back for their owner.
    ///
    /// # Errors
    /// `EINVAL` for a range that is empty, unaligned or upside down, `ENOENT`/`EPERM` for an address space that
    /// there is not, or is not the caller's; `EAGAIN` when too many invalidations wait to be read. Nothing has
    /// changed then.
    pub(crate) fn invalidate<D: Domain>(
        &mut self,
        domain: &mut D,
        caller: ClientId,
        invalidate: &Invalidate,
    ) -> Result<Reply, Errno> {
        let unaligned = (invalidate.start | invalidate.end) & (PAGE_SIZE - 1) != 0;
        if invalidate.flags != 0 || unaligned || invalidate.start >= invalidate.end {
            return Err(Errno::Inval);
        }
        let space = self.space_of(caller, invalidate.space)?;
        let interval = Interval::new(invalidate.start, invalidate.end - 1).ok_or(Errno::Inval)?;
        let deadline_ns = self.gpu.now_ns().saturating_add(self.invalidate_ns);
        let number = self.clients[space].ledger.begin(interval, deadline_ns).ok_or(Errno::Again)?;
        let (address, bytes) = (invalidate.start, invalidate.end - invalidate.start);
        self.note(|| Event::Invalidated { client: space, address, bytes });
        if self.withdraw_range(space, interval, number) {
            // What is in the way may only wait for a completion that nobody has looked at.
            self.gpu.retire_finished();
            self.drain_events(domain);
        }
        // All of them are out of the tables: one invalidation of the TLBs does for all.
        let mut cursor = Cursor::new();
        while let Some(entry) = self.clients[space].ranges.next_overlap(&self.ranges, &mut cursor, interval) {
            self.settle(domain, entry.value);
        }
        Ok(self.outcome(space, number))
    }

    /// Begins to withdraw every object of a range, and takes those that no request uses out of the page tables.
    /// Whether some are in use.
    pub(crate) fn withdraw_range(&mut self, space: ClientId, interval: Interval, number: u64) -> bool {
        let mut in_use = false;
        let mut cursor = Cursor::new();
        while let Some(entry) = self.clients[space].ranges.next_overlap(&self.ranges, &mut cursor, interval) {
            let Some(object) = self.objects.get_mut(entry.value) else { continue };
            if object.lending.withdraw(number, !object.pages.is_empty()) {
                self.clients[space].ledger.wait_for(number);
            }
            in_use |= object.active > 0;
            let absent = object.lending.is_absent();
            self.unbind_if_due(entry.value);
            if absent {
                self.tell_waiters(entry.value);
            }
        }
        in_use
    }

    /// How an invalidation stands.
    ///
    /// # Errors
    /// `EINVAL` for a malformed question, `ENOENT` for an address space or a ticket that there never was,
    /// `EPERM` for an address space that is not the caller's.
    pub(crate) fn invalidate_status(
        &mut self,
        caller: ClientId,
        status: &InvalidateStatus,
    ) -> Result<Reply, Errno> {
        if status.rsvd != 0 {
            return Err(Errno::Inval);
        }
        let space = self.space_of(caller, status.space)?;
        if !self.clients[space].ledger.has_issued(status.ticket) {
            return Err(Errno::NoEnt);
        }
        Ok(self.outcome(space, status.ticket))
    }

    /// Tells how an invalidation stands, and forgets it if it is done.
    fn outcome(&mut self, space: ClientId, ticket: u64) -> Reply {
        let ledger = &mut self.clients[space].ledger;
        // One whose end was read already may have been about pages that were written: say so.
        let known = ledger.outcome(ticket);
        let Outcome { done, dirty } = known.unwrap_or(Outcome { done: true, dirty: 0 });
        let mut state = InvalidateState::empty();
        state.set(InvalidateState::DONE, done);
        state.set(InvalidateState::DIRTY, dirty > 0 || known.is_none());
        if done {
            ledger.forget(ticket);
        }
        Reply::ok(&InvalidateReply { state, ticket, dirty }.to_words())
    }

    /// The client whose address space a message names.
    ///
    /// # Errors
    /// `ENOENT`: there is none; `EPERM`: the caller is not its owner.
    fn space_of(&self, caller: ClientId, space: u32) -> Result<ClientId, Errno> {
        if space == OWN_SPACE {
            return if self.clients[caller].owner == Some(caller) { Ok(caller) } else { Err(Errno::Perm) };
        }
        let channel = u64::from(space);
        let client = self.clients.iter().position(|client| client.channel == channel).ok_or(Errno::NoEnt)?;
        if self.clients[client].owner == Some(caller) { Ok(client) } else { Err(Errno::Perm) }
    }

    /// An object may have lost its last handle: then its pages go, and it with them.
    pub(crate) fn let_go<D: Domain>(&mut self, domain: &mut D, id: Id<Object>) {
        if self.objects.get(id).is_some_and(Object::is_dying) {
            self.withdraw(id);
            self.settle(domain, id);
        }
    }

    /// The pages of an object are to go, for another reason than an invalidation.
    pub(crate) fn withdraw(&mut self, id: Id<Object>) {
        if let Some(object) = self.objects.get_mut(id) {
            let since = self.clients[object.client].ledger.advance();
            object.lending.withdraw(since, !object.pages.is_empty());
            if object.lending.is_absent() {
                self.tell_waiters(id);
            }
        }
    }

    /// Takes an object out of the page tables if that is what comes next.
    fn unbind_if_due(&mut self, id: Id<Object>) {
        let due = |object: &Object| object.lending.step(object.active == 0) == Step::Unbind;
        if self.objects.get(id).is_some_and(due) {
            self.unmap_object(id);
            if let Some(object) = self.objects.get_mut(id) {
                object.lending.unbound();
            }
        }
    }

    /// Does for the pages of an object what can be done now. False if the GPU did not confirm that it forgot
    /// them: then it is tried again later.
    pub(crate) fn settle<D: Domain>(&mut self, domain: &mut D, id: Id<Object>) -> bool {
        while let Some(object) = self.objects.get(id) {
            match object.lending.step(object.active == 0) {
                Step::Nothing => {
                    self.remove_if_done(id);
                    return true;
                }
                Step::Unbind => self.unbind_if_due(id),
                Step::Flush => {
                    if !self.release_object(id) {
                        if !self.unconfirmed.contains(&id) {
                            self.unconfirmed.push(id);
                        }
                        return false;
                    }
                    if let Some(object) = self.objects.get_mut(id) {
                        object.lending.flushed();
                    }
                }
                Step::Drop => self.drop_pages(domain, id),
            }
        }
        true
    }

    /// Gives the pages of an object back, and tells its owner if that was what an invalidation waited for.
    fn drop_pages<D: Domain>(&mut self, domain: &mut D, id: Id<Object>) {
        let Some(object) = self.objects.get_mut(id) else { return };
        let pages = core::mem::replace(&mut object.pages, Chain::EMPTY);
        let dirty = if core::mem::take(&mut object.dirty) { u64::from(pages.small_pages()) } else { 0 };
        let (space, interval) = (object.client, object.interval);
        // Invalidations have not waited for what is in no tree.
        let since = object.lending.dropped().filter(|_| object.range.is_some());
        if let Some(memory) = object.memory.take() {
            self.gpu.object_free(memory);
        }
        self.release_pages(domain, space, pages);
        self.tell_waiters(id);
        let state = &mut self.clients[space];
        let ended = since.is_some_and(|since| state.ledger.left(interval, since, dirty));
        if let Some(owner) = state.owner.filter(|_| ended) {
            self.clients[owner].wake = true;
            self.untold = true;
        }
    }

    /// Removes an object of which nothing is left.
    pub(crate) fn remove_if_done(&mut self, id: Id<Object>) {
        let done = self.objects.get(id).is_some_and(|object| {
            object.is_dying()
                && object.active == 0
                && object.lending.is_absent()
                && object.lending.outstanding() == 0
        });
        if !done {
            return;
        }
        let Some((client, range)) = self.objects.get(id).map(|object| (object.client, object.range)) else {
            return;
        };
        self.objects.discard(id);
        let client = &mut self.clients[client];
        client.live_objects -= 1;
        if let Some(range) = range {
            client.ranges.remove(&mut self.ranges, range);
        }
    }

    /// Gives up the capabilities of lent pages. Only for pages that no page table holds any more.
    pub(crate) fn release_pages<D: Domain>(&mut self, domain: &mut D, client: ClientId, mut pages: Chain) {
        self.clients[client].lent -= pages.small_pages();
        if !pages.is_empty() {
            self.note(|| Event::PagesReleased { client, pages: pages.small_pages() });
        }
        while let Some((slot, device, count)) = self.lent.pop(&mut pages) {
            self.regions.give_back(device.get(), count);
            domain.release_frame(slot);
        }
    }

    /// Looks whether a capability of the objects of a submission has been revoked: at one page of one of them,
    /// another one each time. An object whose owner took a page away like that is treated as invalidated; what
    /// the GPU still does with it ends in the IOMMU, from which the kernel took the page with the capability.
    pub(crate) fn look_for_revoked<D: Domain>(&mut self, domain: &mut D, id: Id<Object>, whole: bool) {
        let Some(object) = self.objects.get(id).filter(|object| object.lending.is_present()) else { return };
        let frames = u64::from(object.pages.len().max(1));
        let first = if whole { 0 } else { (scatter(self.looked) >> 32) % frames };
        let skipped = usize::try_from(first).unwrap_or(0);
        let looked_at = if whole { usize::MAX } else { 1 };
        let mut frames = self.lent.frames(&object.pages).skip(skipped).take(looked_at);
        let revoked = frames.any(|(slot, device)| !domain.is_held(slot, device));
        drop(frames);
        if revoked {
            self.revoked += 1;
            self.withdraw(id);
            self.settle(domain, id);
        }
    }

    /// Objects of which a page was revoked without an invalidation, since the start.
    #[must_use]
    pub const fn revoked(&self) -> u64 {
        self.revoked
    }

    /// Asks what invalidations have waited long for to leave, and ends what they have waited too long for.
    pub(crate) fn enforce_deadlines<D: Domain>(&mut self, domain: &mut D) {
        let now = self.gpu.now_ns();
        let soon = now.saturating_add(self.invalidate_ns / LAST_PART);
        for space in 0..self.clients.len() {
            let mut asked = false;
            while self.clients[space].ledger.hurry(soon).is_some() {
                asked = true;
            }
            if asked {
                self.ask_to_leave(space);
            }
            let mut any = false;
            while self.clients[space].ledger.expire(now).is_some() {
                any = true;
            }
            if any {
                self.stop_overdue(domain, space);
            }
        }
    }

    /// Whether `of` the ledger says yes to an object of an address space that is on its way out.
    fn is_leaving(&self, space: ClientId, id: Id<Object>, of: fn(&Ledger, Interval, u64) -> bool) -> bool {
        let ledger = &self.clients[space].ledger;
        let waited_for = |object: &&Object| object.client == space && object.range.is_some();
        self.objects.get(id).filter(waited_for).is_some_and(|object| {
            object.lending.leaving_since().is_some_and(|since| of(ledger, object.interval, since))
        })
    }

    fn is_overdue(&self, space: ClientId, id: Id<Object>) -> bool {
        self.is_leaving(space, id, Ledger::is_overdue)
    }

    /// The requests in flight that use an object of an address space to which `of` the ledger says yes.
    fn list_users(
        &self,
        space: ClientId,
        of: fn(&Ledger, Interval, u64) -> bool,
        list: &mut alloc::vec::Vec<RequestId>,
    ) {
        let uses_one = |job: &Job| {
            let mut next = job.uses;
            while let Some(used) = next.and_then(|used| self.uses.get(used)) {
                if self.is_leaving(space, used.object, of) {
                    return true;
                }
                next = used.next;
            }
            false
        };
        let jobs = (0..self.jobs.capacity()).filter_map(|index| self.jobs.at(index));
        let jobs = jobs.filter_map(|id| self.jobs.get(id).filter(|job| uses_one(job)));
        list.extend(jobs.map(|job| job.request));
    }

    /// Has every request preempted that uses a page which an invalidation has waited for for long.
    fn ask_to_leave(&mut self, space: ClientId) {
        let mut asked = core::mem::take(&mut self.stopping);
        self.list_users(space, Ledger::is_hurried, &mut asked);
        self.gpu.ask_requests_to_leave(&asked);
        asked.clear();
        self.stopping = asked;
    }

    /// Stops every request that uses a page which an invalidation has waited too long for, and sees to it that the
    /// GPU forgets the pages.
    fn stop_overdue<D: Domain>(&mut self, domain: &mut D, space: ClientId) {
        self.gpu.retire_finished();
        self.drain_events(domain);
        let mut stopped = core::mem::take(&mut self.stopping);
        self.list_users(space, Ledger::is_overdue, &mut stopped);
        self.gpu.stop_requests(&stopped);
        self.drain_events(domain);
        // None of them executes any more; when they complete is another question, and depends on others.
        for index in 0..self.jobs.capacity() {
            let Some(id) = self.jobs.at(index) else { continue };
            if self.jobs.get(id).is_some_and(|job| stopped.contains(&job.request)) {
                self.drop_uses(domain, id);
            }
        }
        stopped.clear();
        self.stopping = stopped;
        self.force_confirmation(domain, space);
    }

    /// An engine that does not even answer for its TLB is reset with the whole GPU; if that does not help, the
    /// GPU is given up.
    fn force_confirmation<D: Domain>(&mut self, domain: &mut D, space: ClientId) {
        for last_resort in [false, true] {
            let Some(id) = self.unconfirmed.iter().copied().find(|id| self.is_overdue(space, *id)) else {
                return;
            };
            if self.settle(domain, id) {
                self.retry_unconfirmed(domain);
            } else if last_resort {
                self.gpu.give_up();
            } else {
                // Where it fails the GPU is given up.
                let _ = self.gpu.reset();
            }
            self.retry_unconfirmed(domain);
        }
    }

    /// Tries again what the GPU has not confirmed. The first that it does not confirm stands for all: each try
    /// takes as long as the GPU may.
    pub(crate) fn retry_unconfirmed<D: Domain>(&mut self, domain: &mut D) -> bool {
        while let Some(id) = self.unconfirmed.pop() {
            if !self.settle(domain, id) {
                return false;
            }
        }
        true
    }
}
