// SPDX-License-Identifier: BSD-2-Clause
//! Runs: requests that a client's ring holds one after the other for one slot of one context. That context is looked up
//! once; and where the same lists of objects come again, what was found of them the first time need not be found again, and
//! one chain keeps the objects of all requests with the same list.
//!
//! ```text
//!   request 1  context, slot ─► looked up    list A ─► checked, placed, held ─► job ─┐
//!   request 2  the same                      list B ─► checked, placed, held ─► job ─┼─┐
//!   request 3  the same                      list A, as far as it was read ───► job ─┘ │
//!   request 4  the same                      list B ──────────────────────────► job ───┘
//! ```
//!
//! A run ends with the turn in which the client's ring is served, so that no call lies between its requests: their handles
//! name what they named. Of what may happen within a turn, what is known of lists does not outlive a page that is found
//! revoked (`revoked`), a submission that moves objects or fixes them anew, and the completion of all requests with the list, with which
//! the chain is gone. What a context may not do any more, the hardware half refuses.

use gpu_protocol::{Errno, Submit, SubmitFlags, SubmitObject};
use zerocopy::{FromZeros, IntoBytes};

use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::job::Use;
use super::placing::{Listed, Objects};
use super::rings::Ticket;
use super::submit::{Fences, Order, Target, batch_of, batch_start, is_aligned};
use crate::address::{GpuVirtual, VaRange};
use crate::handle::Id;
use crate::platform::Hardware;

/// Longest list of objects that is compared: most are short.
pub(super) const MAX_OBJECTS: usize = 8;
/// Lists that are compared: a client that has its frames in turns has two or three.
const LISTS: usize = 4;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// What its requests say.
    context: u32,
    slot: u32,
    flags: SubmitFlags,
    /// What that was found to mean.
    target: Target,
    lists: [Known; LISTS],
    /// How many of them there are, which is written next, the oldest if there is one, and which is expected.
    known: usize,
    next: usize,
    turn: usize,
    /// How many objects had been found revoked.
    revoked: u64,
}

/// What is known of a list.
#[derive(Clone, Copy, Debug)]
struct Known {
    said: Said,
    /// Where the object with the batch is bound.
    batch: VaRange,
    /// What keeps the objects.
    uses: Option<Id<Use>>,
}

impl Known {
    const NOTHING: Self = Self { said: Said::NOTHING, batch: VaRange::from_bounds(0, 0), uses: None };
}

/// A short list of objects as a client wrote it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    entries: [SubmitObject; MAX_OBJECTS],
    /// Of the whole list; one that is longer is not compared.
    count: usize,
}

/// Reads one entry of a request's list.
#[inline]
fn read_entry<D: Domain>(domain: &D, client: ClientId, submit: &Submit, index: u64) -> Option<SubmitObject> {
    let mut entry = SubmitObject::new_zeroed();
    let at = submit.objects.checked_add(index * size_of::<SubmitObject>() as u64)?;
    domain.read_area(client, at, entry.as_mut_bytes()).ok()?;
    Some(entry)
}

impl Said {
    pub(super) const NOTHING: Self =
        Self { entries: [SubmitObject { handle: 0, flags: 0, address: 0 }; MAX_OBJECTS], count: 0 };

    /// Appends an entry.
    #[inline]
    pub(super) fn push(&mut self, entry: SubmitObject) {
        if let Some(place) = self.entries.get_mut(self.count) {
            *place = entry;
        }
        self.count += 1;
    }

    pub(super) const fn clear(&mut self) {
        self.count = 0;
    }

    /// What was said, if all of it is here.
    #[inline]
    fn get(&self) -> Option<&[SubmitObject]> {
        self.entries.get(..self.count).filter(|entries| !entries.is_empty())
    }

    /// Whether a request's list is as long and begins with the same entry.
    #[inline]
    fn begins_as(&self, first: SubmitObject, submit: &Submit) -> bool {
        self.count == submit.object_count as usize && self.entries.first() == Some(&first)
    }

    /// Whether what a client's message area has behind the first entry of a request's list is the same.
    #[inline]
    fn goes_on_as<D: Domain>(&self, domain: &D, client: ClientId, submit: &Submit) -> bool {
        let rest = self.get().and_then(|entries| entries.get(1..)).unwrap_or(&[]);
        (1..).zip(rest).all(|(index, entry)| read_entry(domain, client, submit, index) == Some(*entry))
    }

    /// Takes what another one has.
    fn copy(&mut self, other: &Self) {
        for (mine, entry) in self.entries.iter_mut().zip(other.entries.iter().take(other.count)) {
            *mine = *entry;
        }
        self.count = other.count;
    }
}

impl<H: Hardware> Driver<H> {
    /// Keeps what a request was found to need, which has been submitted. Not of a list where the client has to be told of
    /// places, for it has to be told again.
    pub(super) fn lead(&mut self, submit: &Submit, target: &Target, order: &Order, objects: &Objects) {
        let client = &mut self.clients[target.client];
        let goes_along =
            |run: &Run| run.is_of(submit) && run.revoked == self.revoked && !objects.have_changed();
        if !client.run.as_ref().is_some_and(goes_along) {
            let Some(flags) = SubmitFlags::from_bits(submit.flags) else { return };
            client.run = Some(Run {
                context: submit.context,
                slot: submit.engine,
                flags,
                target: Target { state: Some(order.engine), ..*target },
                lists: [Known::NOTHING; LISTS],
                known: 0,
                next: 0,
                turn: 0,
                revoked: self.revoked,
            });
        }
        let is_told = |listed: &Listed| {
            listed.hint().zip(listed.bound).is_none_or(|(hint, (_, range))| range.start().get() == hint)
        };
        let batch = objects.get(target.batch).and_then(|listed| listed.bound);
        // What waits is never found to repeat anything.
        if let Some((_, batch)) = batch
            && submit.fence_count == 0
            && objects.said().get().is_some()
            && objects.iter().all(is_told)
            && let Some(run) = &mut client.run
        {
            run.remember(objects.said(), batch, order.uses);
        }
    }

    /// Submits a request out of a client's ring: as the next one of its run, if it says what one before it said. `more` if the
    /// ring is known to hold another.
    #[inline(never)] // What surrounds it would only take registers away.
    pub(super) fn submit_next<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        submit: &Submit,
        ticket: Option<Ticket>,
        more: bool,
    ) -> Result<(usize, u64), Errno> {
        let state = &mut self.clients[client];
        let run = state.run.as_mut().filter(|run| run.is_of(submit));
        if let Some(run) = run
            && let Target { context, space, state: Some(engine), .. } = run.target
            && submit.fence_count == 0
            && run.revoked == self.revoked
            && state.used.jobs < state.share.jobs
            && is_aligned(submit)
            && let Some((uses, batch)) = run.find(domain, client, submit)
        {
            if let Some(first) = self.uses.get_mut(uses) {
                first.sharers += 1;
                let order = Order { client, context, space, engine, batch, uses: Some(uses), ticket };
                let started = self.launch(domain, &order, &Fences::NONE);
                self.drain_finished(domain);
                return started.map(|point| (engine.timeline, point));
            }
            // Gone with the last of its requests, a chain says nothing any more.
            run.forget();
        }
        self.submit_new(domain, client, submit, ticket, more)
    }

    /// Submits a request that says what none before it said, except perhaps for its context and the slot.
    #[inline(never)]
    fn submit_new<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        submit: &Submit,
        ticket: Option<Ticket>,
        more: bool,
    ) -> Result<(usize, u64), Errno> {
        let target = match &self.clients[client].run {
            Some(run) if run.is_of(submit) => run.target_of(submit, ticket),
            _ => self.target_of(client, submit, ticket)?,
        };
        self.submit_for(domain, &Target { leads: more, ..target }, submit)
    }
}

impl Run {
    /// Whether a request is for the same slot of the same context.
    #[inline]
    fn is_of(&self, submit: &Submit) -> bool {
        submit.context == self.context
            && submit.engine == self.slot
            && submit.flags == self.flags.bits()
            && submit.rsvd == 0
    }

    /// Where one of its requests is to run.
    const fn target_of(&self, submit: &Submit, ticket: Option<Ticket>) -> Target {
        Target { batch: batch_of(self.flags, submit.object_count as usize), ticket, ..self.target }
    }

    /// Keeps what is known of a list that is not among those that are known, instead of the oldest one.
    fn remember(&mut self, said: &Said, batch: VaRange, uses: Option<Id<Use>>) {
        if let Some(known) = self.lists.get_mut(self.next) {
            known.said.copy(said);
            (known.batch, known.uses) = (batch, uses);
        }
        self.known = self.known.max(self.next + 1);
        self.next = (self.next + 1) % LISTS;
    }

    /// Forgets all lists.
    #[cold]
    const fn forget(&mut self) {
        (self.known, self.next, self.turn) = (0, 0, 0);
    }

    /// Which of its lists a request repeats: what keeps its objects, and where its batch begins.
    #[inline]
    fn find<D: Domain>(
        &mut self,
        domain: &D,
        client: ClientId,
        submit: &Submit,
    ) -> Option<(Id<Use>, GpuVirtual)> {
        let first = read_entry(domain, client, submit, 0)?;
        // Lists come by turns, if there is more than one.
        for _ in 0..self.known {
            let known = self.lists.get(self.turn)?;
            self.turn = if self.turn + 1 < self.known { self.turn + 1 } else { 0 };
            if known.said.begins_as(first, submit) && known.said.goes_on_as(domain, client, submit) {
                let start = batch_start(submit, known.batch.bytes()).ok()?;
                return known.uses.zip(known.batch.at(start));
            }
        }
        None
    }
}
