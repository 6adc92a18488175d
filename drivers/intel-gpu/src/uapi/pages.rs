// SPDX-License-Identifier: BSD-2-Clause
//! Asking for pages.
//!
//! The driver cannot pull pages. A use of an object without them opens a request, which goes into the queue of
//! who lends for that address space; the lender fetches it with `NextPageRequest` and answers with grants
//! (see `grants`), in address order, or with a refusal.
//!
//! A request's sequence number is the address space's running number and, below it, the object's place in the
//! pool, so that an answer finds its object at once, whether or not that is in a tree of ranges.

use gpu_protocol::{Errno, PageRequest, Refuse, Reply};

use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::interval::Interval;
use super::invalidate::{Answer, Want};
use super::lent::Chain;
use super::object::Object;
use crate::handle::Id;
use crate::platform::Hardware;
use crate::trace::Event;

/// Bits of a sequence number that are the object's place.
const PLACE_BITS: u32 = 20;
/// Most objects of all clients together.
pub(crate) const MAX_OBJECTS: u32 = 1 << PLACE_BITS;

impl<H: Hardware> Driver<H> {
    /// Makes sure that an object's pages are here for a client, or asked for.
    ///
    /// # Errors
    /// `EAGAIN`: they are asked for, or on their way out; the owner's refusal, once.
    pub(crate) fn need_pages(&mut self, id: Id<Object>, client: ClientId) -> Result<(), Errno> {
        let result = self.want_pages(id);
        if result == Err(Errno::Again) {
            self.remember_waiter(id, client);
        }
        result
    }

    fn want_pages(&mut self, id: Id<Object>) -> Result<(), Errno> {
        let object = self.objects.get_mut(id).ok_or(Errno::NoEnt)?;
        if object.lending.is_present() {
            return Ok(());
        }
        let space = object.client;
        // Only a request takes a number.
        let number = if object.lending.is_absent() { self.clients[space].ledger.advance() } else { 0 };
        match object.lending.want(number << PLACE_BITS | u64::from(id.index())) {
            Want::Ready => Ok(()),
            Want::Wait => Err(Errno::Again),
            Want::Error(errno) => Err(errno),
            Want::Ask => {
                let queued = core::mem::replace(&mut object.queued, true);
                let lender = self.clients[space].lender(space);
                if !queued {
                    self.enqueue(lender, id);
                }
                if lender != space {
                    self.clients[lender].wake = true;
                    self.untold = true;
                }
                Err(Errno::Again)
            }
        }
    }

    fn enqueue(&mut self, lender: ClientId, id: Id<Object>) {
        let queue = &mut self.clients[lender].requests;
        if queue.len() == queue.capacity() {
            // Objects that went before anybody fetched their requests: those that are left have room.
            queue.retain(|id| self.objects.get(*id).is_some());
        }
        queue.push_back(id);
    }

    /// The next request that the lender has not seen yet.
    pub(crate) fn next_page_request(&mut self, lender: ClientId) -> Reply {
        while let Some(id) = self.clients[lender].requests.pop_front() {
            let Some(object) = self.objects.get_mut(id) else { continue };
            object.queued = false;
            // One that was withdrawn meanwhile is not asked for.
            let Some(sequence) = object.lending.deliver() else { continue };
            self.clients[object.client].page_requests += 1;
            // CAST: channels have small numbers.
            let space = u32::try_from(self.clients[object.client].channel).unwrap_or(u32::MAX);
            let request = PageRequest {
                space,
                address: object.address(),
                size: object.size,
                sequence,
                write: !object.read_only,
            };
            let (client, address, bytes) = (object.client, request.address, request.size);
            self.note(|| Event::PagesAsked { client, address, bytes });
            return Reply::ok(&request.to_words());
        }
        Reply::ok(&[0])
    }

    /// The object that an answer is for.
    ///
    /// # Errors
    /// `EAGAIN` if the answer is for no open request: one that was superseded meanwhile is over then.
    pub(crate) fn answered_object<D: Domain>(
        &mut self,
        domain: &mut D,
        lender: ClientId,
        range: Interval,
        sequence: u64,
    ) -> Result<Id<Object>, Errno> {
        // CAST: masked.
        #[expect(clippy::cast_possible_truncation)]
        let place = (sequence & u64::from(MAX_OBJECTS - 1)) as u32;
        let id = self.objects.at(place).ok_or(Errno::Again)?;
        let object = self.objects.get_mut(id).ok_or(Errno::Again)?;
        let space = object.client;
        if self.clients[space].lender(space) != lender || !object.interval.overlaps(range) {
            return Err(Errno::Again);
        }
        match object.lending.about(sequence) {
            Answer::Current => Ok(id),
            Answer::Superseded => {
                object.lending.answered(sequence);
                self.settle(domain, id);
                Err(Errno::Again)
            }
            Answer::Unknown => Err(Errno::Again),
        }
    }

    /// The owner has no pages for a request.
    pub(crate) fn refuse_pages<D: Domain>(
        &mut self,
        domain: &mut D,
        lender: ClientId,
        refuse: &Refuse,
    ) -> Result<Reply, Errno> {
        let number = u16::try_from(refuse.errno).map_err(|_| Errno::Inval)?;
        let errno = Errno::from_number(number).ok_or(Errno::Inval)?;
        if refuse.rsvd != 0 || errno == Errno::Again {
            return Err(Errno::Inval);
        }
        let first = Interval::with_size(refuse.address, 1).ok_or(Errno::Inval)?;
        let id = self.answered_object(domain, lender, first, refuse.sequence)?;
        if let Some(object) = self.objects.get_mut(id) {
            let pages = core::mem::replace(&mut object.pages, Chain::EMPTY);
            object.lending.refused(errno);
            let space = object.client;
            self.release_pages(domain, space, pages);
            self.tell_waiters(id);
        }
        Ok(Reply::ok(&[]))
    }

    /// A client that does not get the pages by answering a request is told when to try again.
    fn remember_waiter(&mut self, id: Id<Object>, client: ClientId) {
        let Some(object) = self.objects.get_mut(id) else { return };
        let lender = self.clients[object.client].lender(object.client);
        if lender != client || object.lending.leaving_since().is_some() {
            let bit = u32::try_from(client).ok().and_then(|client| 1_u64.checked_shl(client)).unwrap_or(0);
            object.waiters |= bit;
            self.waiter_remembered |= bit != 0;
        }
    }

    /// Wakes the clients that wait for an object's pages: they are here, or can be asked for again.
    pub(crate) fn tell_waiters(&mut self, id: Id<Object>) {
        let waiters = self.objects.get_mut(id).map_or(0, |object| core::mem::take(&mut object.waiters));
        for (bit, client) in (0..u64::BITS).zip(&mut self.clients) {
            client.wake |= waiters >> bit & 1 != 0;
        }
        self.untold |= waiters != 0;
    }
}
