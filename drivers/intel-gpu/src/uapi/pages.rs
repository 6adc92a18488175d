// SPDX-License-Identifier: BSD-2-Clause
//! Asking for pages and taking them.
//!
//! The driver cannot pull pages. A use of an object without them opens a request; the owner fetches it
//! with `NextPageRequest` and answers with grants, in address order, or with a refusal. The request's
//! sequence number ties them together: a grant whose number is not the open request's is refused with
//! `EAGAIN` and nothing of it is kept.

use gpu_protocol::{Errno, Grant, GrantFlags, PAGE_SIZE, PageRequest, Refuse, Reply};

use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::interval::Interval;
use super::lent::Chain;
use super::object::{Backing, Object};
use crate::handle::Id;
use crate::platform::Hardware;

/// Base-two logarithm of the only size of frame that the I/O page tables of the kernel map.
const PAGE_BITS: u32 = 12;

impl<H: Hardware> Driver<H> {
    /// Makes sure that an object's pages are here, or asked for.
    ///
    /// # Errors
    /// `EAGAIN`: they are asked for; the owner's refusal, once.
    pub(crate) fn need_pages(&mut self, id: Id<Object>) -> Result<(), Errno> {
        let object = self.objects.get_mut(id).ok_or(Errno::NoEnt)?;
        match object.backing {
            Backing::Present { .. } => Ok(()),
            Backing::Requested { .. } => Err(Errno::Again),
            Backing::Failed(errno) => {
                object.backing = Backing::Absent;
                Err(errno)
            }
            Backing::Absent => {
                let client = &mut self.clients[object.client];
                let sequence = client.next_sequence;
                client.next_sequence += 1;
                object.backing = Backing::Requested { sequence, delivered: false, pages: Chain::EMPTY };
                client.open_requests += 1;
                Err(Errno::Again)
            }
        }
    }

    /// The next request that the owner has not seen yet.
    pub(crate) fn next_page_request(&mut self, client: ClientId) -> Reply {
        let state = &mut self.clients[client];
        if state.open_requests == 0 {
            return Reply::ok(&[0]);
        }
        let open = state.ranges.overlaps(&self.ranges, Interval::ALL).find(|entry| {
            self.objects
                .get(entry.value)
                .is_some_and(|object| matches!(object.backing, Backing::Requested { delivered: false, .. }))
        });
        let Some(object) = open.and_then(|entry| self.objects.get_mut(entry.value)) else {
            state.open_requests = 0;
            return Reply::ok(&[0]);
        };
        let Backing::Requested { sequence, delivered, .. } = &mut object.backing else {
            return Reply::ok(&[0]);
        };
        *delivered = true;
        state.open_requests -= 1;
        let request =
            PageRequest { address: object.address, size: object.size, sequence: *sequence, write: true };
        Reply::ok(&request.to_words())
    }

    /// Takes the pages of a grant.
    ///
    /// # Errors
    /// `EINVAL`: malformed, or not the next pages of the object; `EAGAIN`: the request is no longer open;
    /// `EPERM`: outside the grant table; `EFAULT`: not frames; `ENOMEM`: no place to keep them. Nothing
    /// of the grant is kept then.
    pub(crate) fn grant<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        grant: &Grant,
    ) -> Result<Reply, Errno> {
        let flags = GrantFlags::from_bits(grant.flags).ok_or(Errno::Inval)?;
        if grant.rsvd != 0 || grant.count == 0 || grant.page_bits != PAGE_BITS {
            return Err(Errno::Inval);
        }
        let interval = Interval::with_size(grant.address, u64::from(grant.count) * PAGE_SIZE);
        let interval = interval.ok_or(Errno::Inval)?;
        let entry = self.clients[client].ranges.first_overlap(&self.ranges, interval).ok_or(Errno::Again)?;
        let object = self.objects.get(entry.value).ok_or(Errno::Again)?;
        let Backing::Requested { sequence, pages, .. } = &object.backing else {
            return Err(Errno::Again);
        };
        if *sequence != grant.sequence {
            return Err(Errno::Again);
        }
        let next = object.address + u64::from(pages.len()) * PAGE_SIZE;
        let left = object.page_count() - u64::from(pages.len());
        if grant.address != next || u64::from(grant.count) > left {
            return Err(Errno::Inval);
        }
        let state = &self.clients[client];
        let allowed = state.limits.lent_pages.saturating_sub(state.lent);
        if grant.count > allowed || grant.count > self.lent.free_pages() {
            return Err(Errno::NoMem);
        }
        let mut taken = Chain::EMPTY;
        let result = self.take_frames(domain, client, grant, flags, &mut taken);
        self.clients[client].lent += taken.len();
        if let Err(errno) = result {
            self.release_pages(domain, client, taken);
            return Err(errno);
        }
        let lent = &mut self.lent;
        if let Some(object) = self.objects.get_mut(entry.value)
            && let Backing::Requested { pages, .. } = &mut object.backing
        {
            lent.join(pages, taken);
            if u64::from(pages.len()) == object.size / PAGE_SIZE {
                let pages = core::mem::replace(pages, Chain::EMPTY);
                object.backing = Backing::Present { pages };
            }
        }
        Ok(Reply::ok(&[u64::from(grant.count)]))
    }

    fn take_frames<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        grant: &Grant,
        flags: GrantFlags,
        taken: &mut Chain,
    ) -> Result<(), Errno> {
        let write = flags.contains(GrantFlags::WRITE);
        if !write {
            // Every use of an object may write it, as long as there are no read-only ones.
            return Err(Errno::Perm);
        }
        for page in 0..grant.count {
            let index = grant.first.checked_add(page).ok_or(Errno::Inval)?;
            let slot = self.lent.next_slot().ok_or(Errno::NoMem)?;
            let frame = domain.take_frame(grant.cnode_bits, index, slot, write)?;
            let row = self.grants.iter().find(|row| {
                row.channel == self.clients[client].channel && row.contains(frame.physical, PAGE_SIZE)
            });
            let permitted = row.is_some_and(|row| row.page_bits() == PAGE_BITS && row.writable());
            let mapped = if permitted {
                domain.map_frame(frame, PAGE_BITS, write).map_err(Errno::from)
            } else {
                Err(Errno::Perm)
            };
            match mapped {
                Ok(device) if self.lent.append(taken, device) => {}
                Ok(_) => {
                    domain.release_frame(slot);
                    return Err(Errno::NoMem);
                }
                Err(errno) => {
                    domain.release_frame(slot);
                    return Err(errno);
                }
            }
        }
        Ok(())
    }

    /// The owner has no pages for a request.
    pub(crate) fn refuse_pages<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        refuse: &Refuse,
    ) -> Result<Reply, Errno> {
        let number = u16::try_from(refuse.errno).map_err(|_| Errno::Inval)?;
        let errno = Errno::from_number(number).ok_or(Errno::Inval)?;
        if refuse.rsvd != 0 || errno == Errno::Again {
            return Err(Errno::Inval);
        }
        let interval = Interval::with_size(refuse.address, 1).ok_or(Errno::Inval)?;
        let entry = self.clients[client].ranges.first_overlap(&self.ranges, interval).ok_or(Errno::Again)?;
        let object = self.objects.get_mut(entry.value).ok_or(Errno::Again)?;
        match &mut object.backing {
            Backing::Requested { sequence, delivered: true, pages } if *sequence == refuse.sequence => {
                let pages = core::mem::replace(pages, Chain::EMPTY);
                object.backing = Backing::Failed(errno);
                self.release_pages(domain, client, pages);
                Ok(Reply::ok(&[]))
            }
            _ => Err(Errno::Again),
        }
    }
}
