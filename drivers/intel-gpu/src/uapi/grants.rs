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
use crate::trace::Event;

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
        Self { rows: sizes(grants).map(|(start, words)| (start, alloc::vec![0; words])).collect() }
    }

    /// Bytes that it takes beside itself.
    pub(crate) fn bytes(grants: &[GrantEntry]) -> usize {
        let of_row = |(_, words)| words * size_of::<u64>() + 2 * size_of::<(u64, Vec<u64>)>();
        sizes(grants).map(of_row).sum::<usize>() + 4 * size_of::<(u64, Vec<u64>)>()
    }

    /// The words with the bits of pages that are side by side, and which bits of each they are.
    fn bits(&mut self, device: u64, pages: u32) -> Option<impl Iterator<Item = (&mut u64, u64)>> {
        let mut rows = self.rows.iter_mut();
        let (first, words) = rows.find_map(|(start, words)| {
            let first = device.checked_sub(*start)? / PAGE_SIZE;
            let end = usize::try_from((first + u64::from(pages)).div_ceil(64)).ok()?;
            let words = words.get_mut(usize::try_from(first / 64).ok()?..end)?;
            Some((first, words))
        })?;
        let mut before = first % 64;
        let mut left = u64::from(pages);
        Some(words.iter_mut().map(move |word| {
            let count = left.min(64 - before);
            let bits = u64::MAX >> (64 - count) << before;
            (before, left) = (0, left - count);
            (word, bits)
        }))
    }

    /// Lends pages that are side by side, one at least. False, and nothing has changed, if one of them is lent, or in no
    /// such range.
    fn take(&mut self, device: u64, pages: u32) -> bool {
        let free =
            self.bits(device, pages).is_some_and(|mut words| words.all(|(word, bits)| *word & bits == 0));
        if free {
            self.bits(device, pages).into_iter().flatten().for_each(|(word, bits)| *word |= bits);
        }
        free
    }

    /// Pages are lent no more. Those that came as capabilities are none of these.
    pub(crate) fn give_back(&mut self, device: u64, pages: u32) {
        self.bits(device, pages).into_iter().flatten().for_each(|(word, bits)| *word &= !bits);
    }
}

/// First byte of each range that is mapped from the start, and words with a bit for each of its pages.
fn sizes(grants: &[GrantEntry]) -> impl Iterator<Item = (u64, usize)> {
    let mapped = grants.iter().filter(|row| row.client().is_none() && row.is_mapped());
    mapped.map(|row| (row.paddr, (row.size / PAGE_SIZE).div_ceil(64) as usize))
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
    /// Numbers of the pool that they take.
    places: u32,
}

/// What was checked before the first frame is taken.
struct Accepted {
    id: Id<Object>,
    address: u64,
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
        let offer = Offer { address, sequence, frames, page_bits, flags, places: frames };
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
        let offer = Offer { address, sequence, frames, page_bits: SMALL_BITS, flags, places: 1 };
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
            // Side by side as they are, they are kept as one.
            let slot = driver.lent.next_slot().ok_or(Errno::NoMem)?;
            if !driver.regions.take(start, grant.count) {
                return Err(Errno::Fault);
            }
            let device = DeviceAddress::new(start);
            domain.adopt_frames(slot, device, grant.count);
            if driver.lent.append(taken, device, grant.count) {
                return Ok(());
            }
            driver.regions.give_back(start, grant.count);
            domain.release_frame(slot);
            Err(Errno::NoMem)
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
        if small_pages > allowed || offer.places > self.lent.free_pages() {
            return Err(Errno::NoMem);
        }
        Ok(Accepted { id, address: offer.address, write, small_pages })
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
        let (address, pages) = (accepted.address, accepted.small_pages);
        self.note(|| Event::PagesGranted { client: space, address, pages });
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

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// First pages and lengths of two ranges that are mapped from the start.
    const ROWS: [(u64, u64); 2] = [(1000, 200), (2000, 64)];

    fn regions() -> Regions {
        let row = |(first, pages)| {
            let (paddr, size) = (first * PAGE_SIZE, pages * PAGE_SIZE);
            GrantEntry { channel: 1, paddr, size, rights: 7 | 12 << 8 }
        };
        Regions::new(&ROWS.map(row))
    }

    proptest! {
        #[test]
        fn a_page_is_lent_once_until_it_is_given_back(
            steps in prop::collection::vec((any::<bool>(), 0_u64..264, 1_u32..140, any::<prop::sample::Index>()), 1..200),
        ) {
            let mut regions = regions();
            let mut lent: Vec<(u64, u32)> = Vec::new();
            for (take, place, pages, which) in steps {
                if take {
                    let first = if place < 200 { 1000 + place } else { 2000 + place - 200 };
                    let end = first + u64::from(pages);
                    // A row is told by whole words; the grant table, which is asked before, by pages.
                    let inside = ROWS.iter().any(|(start, pages)| first >= *start && end <= start + pages);
                    let free = lent.iter().all(|(other, pages)| end <= *other || other + u64::from(*pages) <= first);
                    if inside {
                        prop_assert_eq!(regions.take(first * PAGE_SIZE, pages), free, "{} {}", first, pages);
                        if free {
                            lent.push((first, pages));
                        }
                    }
                } else if !lent.is_empty() {
                    let (first, pages) = lent.swap_remove(which.index(lent.len()));
                    regions.give_back(first * PAGE_SIZE, pages);
                }
                let set: u32 = regions.rows.iter().flat_map(|(_, words)| words).map(|word| word.count_ones()).sum();
                prop_assert_eq!(set, lent.iter().map(|(_, pages)| pages).sum::<u32>());
            }
        }
    }

    #[test]
    fn what_is_mapped_nowhere_is_not_lent() {
        let mut regions = regions();
        assert!(!regions.take(0, 1));
        assert!(!regions.take(999 * PAGE_SIZE, 2));
        assert!(!regions.take(2000 * PAGE_SIZE, 65));
        assert!(!regions.take(5000 * PAGE_SIZE, 1));
        assert!(regions.rows.iter().all(|(_, words)| words.iter().all(|word| *word == 0)));
    }
}
