// SPDX-License-Identifier: BSD-2-Clause
//! What the owner of an address space does: lend for others, take pages back, share objects.

use core::ops::Range;

use gpu_protocol::{
    Errno, GemExport, GemImport, Invalidate, InvalidateReply, InvalidateStatus, OWN_SPACE, Operation,
    PageRequest,
};

use crate::{Error, Frames, Gpu, Lendable, Object, Transport};

/// An invalidation that is not done yet. The driver notifies the domain when it is.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the pages are the GPU's until it is done"]
pub struct Ticket(u64);

/// How taking pages back stands.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the pages may still be the GPU's"]
pub enum TakenBack {
    /// No engine reaches the pages any more, and the driver holds none of them.
    Done {
        /// Pages of 4 KiB that batches said they write.
        dirty: u64,
    },
    /// Requests that use them still run.
    Pending(Ticket),
}

impl<T: Transport> Gpu<T> {
    /// Takes the pages of a range of the client's own address space back: page aligned, not empty. Objects of
    /// the range stay; their next use asks for pages anew, and other frames may be lent then.
    ///
    /// # Errors
    /// `EINVAL` for a range that is not as it has to be; `EPERM` if somebody else owns the address space;
    /// `EAGAIN` if too many tickets have not been looked at.
    pub fn take_back(&mut self, range: Range<u64>) -> Result<TakenBack, Error> {
        let invalidate = Invalidate { start: range.start, end: range.end, space: OWN_SPACE, flags: 0 };
        let reply = self.call(Operation::Invalidate, &invalidate, None)?;
        reply.status?;
        Ok(TakenBack::from(InvalidateReply::from_words(reply.words)))
    }

    /// Looks at a pending invalidation again, after a notification.
    ///
    /// # Errors
    /// Only what a driver of another version would answer.
    pub fn look_at(&mut self, ticket: Ticket) -> Result<TakenBack, Error> {
        let status = InvalidateStatus { ticket: ticket.0, space: OWN_SPACE, rsvd: 0 };
        let reply = self.call(Operation::InvalidateStatus, &status, None)?;
        reply.status?;
        Ok(TakenBack::from(InvalidateReply::from_words(reply.words)))
    }

    /// Lets the client on the driver's channel `peer` import an object; the name that it does so by.
    ///
    /// # Errors
    /// `ENOENT`: there is no such client.
    pub fn export(&mut self, object: &Object, peer: u32) -> Result<u64, Error> {
        self.ask(Operation::GemExport, &GemExport { handle: object.handle, peer })
    }

    /// Makes an object of what another client exported to this one. Its pages are the other's to lend.
    ///
    /// # Errors
    /// `ENOENT`: nothing of that name was, or it is gone; `ENOMEM`.
    pub fn import(&mut self, name: u64) -> Result<Object, Error> {
        let handle = self.ask(Operation::GemImport, &GemImport { name })?;
        let handle = u32::try_from(handle).map_err(|_| Error::Protocol)?;
        // Nothing of it is in this client's address space.
        let lendable = Lendable { address: 0, size: 0, frames: Frames::Foreign };
        Ok(Object { handle, lendable })
    }
}

impl From<InvalidateReply> for TakenBack {
    fn from(reply: InvalidateReply) -> Self {
        if reply.is_done() { Self::Done { dirty: reply.dirty } } else { Self::Pending(Ticket(reply.ticket)) }
    }
}

/// Invalidations and requests that an [`Owner`] keeps in mind at a time.
const MOST_OPEN: usize = 16;

/// The memory behind the address spaces that a domain owns, as [`Owner`] asks for it and gives it back.
pub trait Backing {
    /// The frames that stand behind `at` and, as far as `Lendable::size` goes, behind it, in the address space of the
    /// client on the driver's channel `space`. `write`: the GPU will write them.
    ///
    /// # Errors
    /// What the client's next use of the object answers, once.
    fn lend(&mut self, space: u32, at: u64, write: bool) -> Result<Lendable, Errno>;

    /// The pages of a range are the owner's alone: no engine reaches them any more, and none will before
    /// [`Backing::lend`] is asked again, which is not before this returns. `dirty`: how many of them batches said they
    /// write.
    fn back(&mut self, space: u32, range: Range<u64>, dirty: u64);
}

/// An invalidation whose end has not come.
#[derive(Clone, Debug)]
struct Open {
    space: u32,
    range: Range<u64>,
    ticket: u64,
}

/// The owner of other clients' address spaces, a memory server: answers their page requests, and takes pages back
/// whenever it likes. The clients do not notice.
///
/// ```text
///   notified by the driver ─► work ─┬─► ended invalidations ─► Backing::back
///                                   └─► page requests ───────► Backing::lend ─► granted or refused
///   take_back ─► done: Backing::back at once
///             └► pending: at one of the next calls of work
/// ```
#[derive(Debug)]
pub struct Owner<T> {
    gpu: Gpu<T>,
    open: [Option<Open>; MOST_OPEN],
    /// Requests that were fetched while an invalidation of their range is under way.
    waiting: [Option<PageRequest>; MOST_OPEN],
}

impl<T: Transport> Owner<T> {
    /// Connects.
    ///
    /// # Errors
    /// As [`Gpu::connect`].
    pub fn connect(transport: T) -> Result<Self, Error> {
        Ok(Self {
            gpu: Gpu::connect(transport)?,
            open: [const { None }; MOST_OPEN],
            waiting: [None; MOST_OPEN],
        })
    }

    /// Invalidations that are under way.
    pub fn open(&self) -> usize {
        self.open.iter().flatten().count()
    }

    /// Takes the pages of a range of a client's address space back: page aligned, not empty. Whether they are here
    /// already; otherwise [`Owner::work`] gives them to `backing`, after a notification of the driver.
    ///
    /// # Errors
    /// `EAGAIN` if too many invalidations are under way; `ENOENT`, `EPERM`: the address space is not this
    /// domain's to manage; `EINVAL` for a range that is not as it has to be. Nothing has changed then.
    pub fn take_back(
        &mut self,
        backing: &mut impl Backing,
        space: u32,
        range: Range<u64>,
    ) -> Result<bool, Error> {
        let place = self.open.iter().position(Option::is_none).ok_or(Errno::Again)?;
        let invalidate = Invalidate { start: range.start, end: range.end, space, flags: 0 };
        let reply = self.gpu.call(Operation::Invalidate, &invalidate, None)?;
        reply.status?;
        let reply = InvalidateReply::from_words(reply.words);
        if reply.is_done() {
            backing.back(space, range, reply.dirty);
            return Ok(true);
        }
        self.open[place] = Some(Open { space, range, ticket: reply.ticket });
        Ok(false)
    }

    /// Does everything that there is to do: to be called whenever the driver notifies this domain. Returns how many
    /// requests were granted.
    ///
    /// # Errors
    /// Only what a driver of another version would answer.
    pub fn work(&mut self, backing: &mut impl Backing) -> Result<usize, Error> {
        let mut granted = 0;
        loop {
            let next = match self.waiting.iter().position(Option::is_none) {
                // Those that wait are enough; the driver keeps the others.
                None => None,
                Some(place) => {
                    let reply = self.gpu.transport.call(Operation::NextPageRequest, [0, 0], None);
                    reply.status?;
                    self.waiting[place] = PageRequest::from_words(reply.words);
                    self.waiting[place]
                }
            };
            // After the request was fetched: an object that asks has left, so that the end of an invalidation which it
            // was in the way of is seen here, before anything is lent anew.
            self.look(backing)?;
            granted += self.answer(backing)?;
            if next.is_none() {
                return Ok(granted);
            }
        }
    }

    /// Gives back what invalidations that have ended were about.
    fn look(&mut self, backing: &mut impl Backing) -> Result<(), Error> {
        for place in 0..MOST_OPEN {
            let Some(open) = self.open[place].clone() else { continue };
            let status = InvalidateStatus { ticket: open.ticket, space: open.space, rsvd: 0 };
            let reply = self.gpu.call(Operation::InvalidateStatus, &status, None)?;
            reply.status?;
            let reply = InvalidateReply::from_words(reply.words);
            if reply.is_done() {
                self.open[place] = None;
                backing.back(open.space, open.range, reply.dirty);
            }
        }
        Ok(())
    }

    /// Answers the requests that no invalidation is in the way of.
    fn answer(&mut self, backing: &mut impl Backing) -> Result<usize, Error> {
        let mut granted = 0;
        for place in 0..MOST_OPEN {
            let Some(request) = self.waiting[place] else { continue };
            let end = request.address.saturating_add(request.size);
            let overlaps = |open: &Open| {
                open.space == request.space && open.range.start < end && request.address < open.range.end
            };
            if self.open.iter().flatten().any(overlaps) {
                continue;
            }
            self.waiting[place] = None;
            granted += usize::from(self.lend(backing, request)?);
        }
        Ok(granted)
    }

    /// Answers a request, in as many pieces as the backing has. Whether the client got its pages.
    fn lend(&mut self, backing: &mut impl Backing, request: PageRequest) -> Result<bool, Error> {
        let mut left = request;
        while left.size > 0 {
            let piece = match backing.lend(request.space, left.address, request.write) {
                // `left.address` is in the piece, or the backing lies.
                Ok(piece) if left.address.wrapping_sub(piece.address) < piece.size => piece,
                Ok(_) => return self.gpu.refuse_current(left, Errno::Fault).map(|()| false),
                Err(errno) => return self.gpu.refuse_current(left, errno).map(|()| false),
            };
            let size = left.size.min(piece.size - (left.address - piece.address));
            match self.gpu.grant(&piece, PageRequest { size, ..left }) {
                Ok(()) => (left.address, left.size) = (left.address + size, left.size - size),
                // It was taken back meanwhile: the client asks anew.
                Err(Error::Refused(Errno::Again)) => return Ok(false),
                Err(Error::Refused(errno)) => {
                    return self.gpu.refuse_current(left, errno).map(|()| false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl<T: Transport> Gpu<T> {
    /// Refuses a request, unless it was superseded meanwhile.
    pub(crate) fn refuse_current(&mut self, request: PageRequest, errno: Errno) -> Result<(), Error> {
        match self.refuse(request, errno) {
            Err(Error::Refused(Errno::Again)) => Ok(()),
            result => result,
        }
    }
}
