// SPDX-License-Identifier: BSD-2-Clause
//! Runs: requests that a client's ring holds one after the other and that say the same but for where their batch begins.
//! What the first of them, which *leads*, was found to need need not be looked up for the others, and one chain keeps
//! the objects of them all.
//!
//! ```text
//!   request 1  context, slot, list of objects ─► looked up, checked, placed, held ─► job ─┐
//!   request 2  the same, as far as it was read ──────────────────────────────────► job ──┼─► the uses of request 1
//!   request 3  the same ─────────────────────────────────────────────────────────► job ──┘
//! ```
//!
//! A run ends with the turn in which the client's ring is served, so that no call lies between its requests: their handles name
//! what they named. Of what may happen within the turn, it does not outlive a page that is found revoked
//! (`revoked`), its client's next submission that says something else, and the completion of all its requests, with which
//! its uses are gone. What a context may not do any more, the hardware half refuses.

use gpu_protocol::{Errno, Submit, SubmitObject};
use zerocopy::{FromZeros, IntoBytes};

use super::context::{Context, EngineContext};
use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::job::Use;
use super::placing::Objects;
use super::rings::Ticket;
use super::space::AddressSpace;
use super::submit::{Fences, Order, batch_start, is_aligned};
use crate::address::VaRange;
use crate::handle::Id;
use crate::platform::Hardware;

/// Longest list of objects that is compared: most are short.
pub(super) const MAX_OBJECTS: usize = 8;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// What its requests say.
    context: u32,
    slot: u32,
    flags: u32,
    objects: Said,
    /// What that was found to mean.
    id: Id<Context>,
    space: Id<AddressSpace>,
    engine: EngineContext,
    /// Where the object with the batches is bound.
    batch: VaRange,
    /// What keeps the objects.
    uses: Id<Use>,
    /// How many objects had been found revoked.
    revoked: u64,
}

/// A short list of objects as a client wrote it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    entries: [SubmitObject; MAX_OBJECTS],
    /// Of the whole list; one that is longer is not compared.
    count: usize,
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
    fn get(&self) -> Option<&[SubmitObject]> {
        self.entries.get(..self.count).filter(|entries| !entries.is_empty())
    }
}

impl Run {
    /// Whether a request says the same, as far as it is not in its list of objects.
    #[inline]
    fn is_continued_by(&self, submit: &Submit) -> bool {
        submit.context == self.context
            && submit.engine == self.slot
            && submit.flags == self.flags
            && submit.object_count as usize == self.objects.count
            && submit.fence_count == 0
            && submit.rsvd == 0
    }
}

impl<H: Hardware> Driver<H> {
    /// Keeps what a request was found to need, which has been submitted. Not where the client has to be told of places, for it
    /// has to be told again.
    pub(super) fn lead(&mut self, submit: &Submit, batch: usize, order: &Order, objects: &Objects) {
        let batch = objects.get(batch).and_then(|listed| listed.bound);
        let (Some((_, batch)), Some(uses)) = (batch, order.uses) else { return };
        let is_told = |listed: &super::placing::Listed| {
            listed.hint().zip(listed.bound).is_none_or(|(hint, (_, range))| range.start().get() == hint)
        };
        if submit.fence_count != 0 || objects.said().get().is_none() || !objects.iter().all(is_told) {
            return;
        }
        self.clients[order.client].run = Some(Run {
            context: submit.context,
            slot: submit.engine,
            flags: submit.flags,
            objects: *objects.said(),
            id: order.context,
            space: order.space,
            engine: order.engine,
            batch,
            uses,
            revoked: self.revoked,
        });
    }

    /// Submits a request out of a client's ring: as the next one of its run, or, if it says something else, as the first of
    /// a new one. `more` if the ring is known to hold another.
    #[inline]
    pub(super) fn submit_next<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        submit: &Submit,
        ticket: Option<Ticket>,
        more: bool,
    ) -> Result<(usize, u64), Errno> {
        match self.follow(domain, client, submit, ticket) {
            Some(started) => started,
            None => {
                self.clients[client].run = None;
                self.submit(domain, client, submit, ticket, more)
            }
        }
    }

    /// Submits a request as the next one of its client's run. `None`, and nothing has changed, if it is not.
    #[inline(never)] // What surrounds it would only take registers away.
    fn follow<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        submit: &Submit,
        ticket: Option<Ticket>,
    ) -> Option<Result<(usize, u64), Errno>> {
        let state = &self.clients[client];
        let run = state.run.as_ref().filter(|run| run.is_continued_by(submit))?;
        if run.revoked != self.revoked || state.used.jobs >= state.share.jobs || !is_aligned(submit) {
            return None;
        }
        let mut at = submit.objects;
        for entry in run.objects.get()? {
            let mut said = SubmitObject::new_zeroed();
            domain.read_area(client, at, said.as_mut_bytes()).ok()?;
            if said != *entry {
                return None;
            }
            at = at.checked_add(size_of::<SubmitObject>() as u64)?;
        }
        let start = batch_start(submit, run.batch.bytes()).ok()?;
        let batch = run.batch.at(start)?;
        let Run { id: context, space, engine, uses, .. } = *run;
        self.uses.get_mut(uses)?.sharers += 1;
        let order = Order { client, context, space, engine, batch, uses: Some(uses), ticket };
        let started = self.launch(domain, &order, &Fences::NONE);
        self.drain_finished(domain);
        Some(started.map(|point| (engine.timeline, point)))
    }
}
