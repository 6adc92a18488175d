// SPDX-License-Identifier: BSD-2-Clause
//! What the owner of an address space does beside lending: take pages back, and share objects.

use core::ops::Range;

use gpu_protocol::{
    GemExport, GemImport, Invalidate, InvalidateReply, InvalidateStatus, OWN_SPACE, Operation,
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
