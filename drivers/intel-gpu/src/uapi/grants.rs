// SPDX-License-Identifier: BSD-2-Clause
//! Taking pages: what a grant must be, and what it must not.
//!
//! A request's sequence number ties a grant to it: a grant whose number is not the open request's is refused
//! with `EAGAIN` and nothing of it is kept. Whatever capability comes, its frame must lie in a row of the
//! grant table of who sends it.

use alloc::vec::Vec;

use gpu_protocol::{Errno, Grant, GrantEntry, GrantFlags, GrantRegion, PAGE_SIZE, Reply};

use super::domain::{ClientId, Domain, Source};
use super::driver::Driver;
use super::interval::Interval;
use super::lent::Chain;
use super::object::Object;
use crate::address::DeviceAddress;
use crate::handle::Id;
use crate::platform::Hardware;

/// Base-two logarithm of the size of the frames that can be lent.
const SMALL_BITS: u32 = 12;
/// See [`SMALL_BITS`].
const LARGE_BITS: u32 = 21;

/// Which pages of the ranges that are mapped for the device from the start are lent now. Capabilities would
/// tell, by refusing to be mapped twice.
#[derive(Debug)]
pub(crate) struct Regions {
    /// First byte, and one bit a page.
    rows: Vec<(u64, Vec<u64>)>,
}

impl Regions {
    pub(crate) fn new(grants: &[GrantEntry]) -> Self {
        let mapped = grants.iter().filter(|row| row.client().is_none() && row.is_mapped());
        let words = |row: &GrantEntry| (row.size / PAGE_SIZE).div_ceil(64) as usize;
        Self { rows: mapped.map(|row| (row.paddr, alloc::vec![0; words(row)])).collect() }
    }

    fn bit(&mut self, device: u64) -> Option<(&mut u64, u64)> {
        self.rows.iter_mut().find_map(|(start, words)| {
            let page = device.checked_sub(*start)? / PAGE_SIZE;
            let word = words.get_mut(usize::try_from(page / 64).ok()?)?;
            Some((word, 1 << (page % 64)))
        })
    }

    /// Lends a page. False if it is lent, or in no such range.
    fn take(&mut self, device: u64) -> bool {
        self.bit(device).is_some_and(|(word, bit)| {
            let free = *word & bit == 0;
            *word |= bit;
            free
        })
    }

    /// A page is lent no more. Pages that came as capabilities are none of these.
    pub(crate) fn give_back(&mut self, device: u64) {
        if let Some((word, bit)) = self.bit(device) {
            *word &= !bit;
        }
    }
}

/// How the frames of a grant come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carrier {
    /// In a CNode that the message carries.
    CNode,
    /// The message carries the one frame.
    Frame,
}

/// The common part of all grants.
struct Offer {
    address: u64,
    sequence: u64,
    frames: u32,
    page_bits: u32,
    flags: u32,
}

/// What was checked before the first frame is taken.
struct Accepted {
    id: Id<Object>,
    write: bool,
    small_pages: u32,
}

impl<H: Hardware> Driver<H> {
    /// Takes the pages of a grant by capabilities.
    ///
    /// # Errors
    /// `EINVAL`: malformed, or not the next pages of the object; `EAGAIN`: the request is no longer open;
    /// `EPERM`: outside the grant table; `EFAULT`: not frames, or lent already; `ENOMEM`: no place to keep them.
    /// Nothing of the grant is kept then.
    pub(crate) fn grant<D: Domain>(
        &mut self,
        domain: &mut D,
        lender: ClientId,
        grant: &Grant,
        carrier: Carrier,
    ) -> Result<Reply, Errno> {
        let single = matches!(carrier, Carrier::Frame);
        if grant.rsvd != 0 || (single && (grant.count != 1 || grant.first != 0 || grant.cnode_bits != 0)) {
            return Err(Errno::Inval);
        }
        let Grant { address, sequence, count: frames, page_bits, flags, .. } = *grant;
        let offer = Offer { address, sequence, frames, page_bits, flags };
        let accepted = self.check_offer(domain, lender, &offer)?;
        self.keep(domain, &accepted, |driver, domain, taken| {
            for frame in 0..grant.count {
                let index = grant.first.checked_add(frame).ok_or(Errno::Inval)?;
                let source = match carrier {
                    Carrier::CNode => Source::CNode { bits: grant.cnode_bits, index },
                    Carrier::Frame => Source::Message,
                };
                driver.take_frame(domain, lender, source, page_bits, &accepted, taken)?;
            }
            Ok(())
        })?;
        Ok(Reply::ok(&[u64::from(grant.count)]))
    }

    /// Takes the pages of a grant by name.
    ///
    /// # Errors
    /// As [`Driver::grant`]; `EPERM` for a region that the caller has not, or that is not mapped from the start.
    pub(crate) fn grant_region<D: Domain>(
        &mut self,
        domain: &mut D,
        lender: ClientId,
        grant: &GrantRegion,
    ) -> Result<Reply, Errno> {
        if grant.rsvd != 0 || !grant.offset.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::Inval);
        }
        let GrantRegion { address, sequence, count: frames, flags, .. } = *grant;
        let offer = Offer { address, sequence, frames, page_bits: SMALL_BITS, flags };
        let accepted = self.check_offer(domain, lender, &offer)?;
        let channel = self.clients[lender].channel;
        let mut rows = self.grants.iter().filter(|row| row.client().is_none() && row.channel == channel);
        let row = rows.nth(grant.region as usize).copied().ok_or(Errno::Perm)?;
        let start = row.paddr.checked_add(grant.offset).ok_or(Errno::Perm)?;
        let inside = row.contains(start, u64::from(grant.count) * PAGE_SIZE);
        if !row.is_mapped() || !inside || (accepted.write && !row.writable()) {
            return Err(Errno::Perm);
        }
        self.keep(domain, &accepted, |driver, domain, taken| {
            for page in 0..u64::from(grant.count) {
                let slot = driver.lent.next_slot().ok_or(Errno::NoMem)?;
                let device = start + page * PAGE_SIZE;
                if !driver.regions.take(device) {
                    return Err(Errno::Fault);
                }
                domain.adopt_frame(slot, DeviceAddress::new(device));
                driver.lent.append(taken, DeviceAddress::new(device), 1);
            }
            Ok(())
        })?;
        Ok(Reply::ok(&[u64::from(grant.count)]))
    }

    /// Checks everything about a grant but its frames.
    fn check_offer<D: Domain>(
        &mut self,
        domain: &mut D,
        lender: ClientId,
        offer: &Offer,
    ) -> Result<Accepted, Errno> {
        let flags = GrantFlags::from_bits(offer.flags).ok_or(Errno::Inval)?;
        if offer.frames == 0 || !matches!(offer.page_bits, SMALL_BITS | LARGE_BITS) {
            return Err(Errno::Inval);
        }
        let bytes = u64::from(offer.frames) << offer.page_bits;
        let range = Interval::with_size(offer.address, bytes).ok_or(Errno::Inval)?;
        let id = self.answered_object(domain, lender, range, offer.sequence)?;
        let object = self.objects.get(id).ok_or(Errno::Again)?;
        let have = u64::from(object.pages.small_pages());
        let next = object.address() + have * PAGE_SIZE;
        let left = (object.page_count() - have) * PAGE_SIZE;
        let aligned = offer.address.is_multiple_of(1 << offer.page_bits);
        if offer.address != next || bytes > left || !aligned {
            return Err(Errno::Inval);
        }
        let write = flags.contains(GrantFlags::WRITE);
        if !write && !object.read_only {
            return Err(Errno::Perm);
        }
        let small_pages = u32::try_from(bytes / PAGE_SIZE).map_err(|_| Errno::Inval)?;
        let state = &self.clients[object.client];
        let allowed = state.limits.lent_pages.saturating_sub(state.lent);
        if small_pages > allowed || offer.frames > self.lent.free_pages() {
            return Err(Errno::NoMem);
        }
        Ok(Accepted { id, write, small_pages })
    }

    /// Takes frames and gives them to the object, or gives all of them back.
    fn keep<D: Domain>(
        &mut self,
        domain: &mut D,
        accepted: &Accepted,
        take: impl FnOnce(&mut Self, &mut D, &mut Chain) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let space = self.objects.get(accepted.id).ok_or(Errno::Again)?.client;
        let mut taken = Chain::EMPTY;
        let result = take(self, domain, &mut taken);
        self.clients[space].lent += taken.small_pages();
        if result.is_err() {
            self.release_pages(domain, space, taken);
            return result;
        }
        debug_assert_eq!(taken.small_pages(), accepted.small_pages);
        if let Some(object) = self.objects.get_mut(accepted.id) {
            self.lent.join(&mut object.pages, taken);
            if u64::from(object.pages.small_pages()) == object.page_count() {
                object.dirty = false;
                object.lending.granted();
                self.tell_waiters(accepted.id);
            }
        }
        Ok(())
    }

    fn take_frame<D: Domain>(
        &mut self,
        domain: &mut D,
        lender: ClientId,
        source: Source,
        page_bits: u32,
        accepted: &Accepted,
        taken: &mut Chain,
    ) -> Result<(), Errno> {
        let write = accepted.write;
        let slot = self.lent.next_slot().ok_or(Errno::NoMem)?;
        let frame = domain.take_frame(source, slot, write)?;
        let channel = self.clients[lender].channel;
        // The frames of a row are all of the size that it says, and no others lie there.
        let permitted = self.grants.iter().any(|row| {
            row.client().is_none()
                && row.channel == channel
                && row.page_bits() == page_bits
                && row.contains(frame.physical, 1 << page_bits)
                && (row.writable() || !write)
        });
        let mapped = if permitted {
            domain.map_frame(frame, page_bits, write).map_err(Errno::from)
        } else {
            Err(Errno::Perm)
        };
        match mapped {
            Ok(device) if self.lent.append(taken, device, 1 << (page_bits - SMALL_BITS)) => Ok(()),
            other => {
                domain.release_frame(slot);
                Err(other.err().unwrap_or(Errno::NoMem))
            }
        }
    }
}
