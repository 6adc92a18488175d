// SPDX-License-Identifier: BSD-2-Clause
//! What the owner of an address space does: lend for others, take pages back, share objects.

use core::ops::Range;

use gpu_protocol::{
    Errno, GemExport, GemImport, Invalidate, InvalidateReply, InvalidateStatus, OWN_SPACE, Operation,
    PageRequest,
};

use crate::{Error, Frames, Gpu, Lendable, Object, Transport};

/// An invalidation that is not done yet. The driver notifies the domain when it is.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// # let memory: gpu_client::Lendable = shared.rig().region(0, 1).into();
/// use gpu_client::TakenBack;
///
/// let object = gpu.create_userptr(memory)?;
/// match gpu.take_back(memory.address..memory.address + memory.size)? {
///     TakenBack::Done { .. } => {}
///     // When the driver has notified the domain:
///     TakenBack::Pending(ticket) => drop(gpu.look_at(ticket)?),
/// }
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the pages are the GPU's until it is done"]
pub struct Ticket(pub(crate) u64);

/// How taking pages back stands.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// # let memory: gpu_client::Lendable = shared.rig().region(0, 1).into();
/// use gpu_client::TakenBack;
///
/// let object = gpu.create_userptr(memory)?;
/// // Nothing has used them yet.
/// let taken = gpu.take_back(memory.address..memory.address + memory.size)?;
/// assert_eq!(taken, TakenBack::Done { dirty: 0 });
/// # Ok::<(), gpu_client::Error>(())
/// ```
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
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code: gpu_client::Lendable = shared.rig().region(0, 1).into();
    /// # shared.rig().poke(conformance::client_memory(0), &[0x0500_0000, 0]);
    /// use gpu_client::{Access, Context, TakenBack, UsedObject};
    ///
    /// let object = gpu.create_userptr(code)?;
    /// let batch = UsedObject { object: &object, address: 0x10_0000, access: Access::Read };
    /// let fence = gpu.submit(&Context::DEFAULT, 3, batch, 0..8, &[])?;
    /// gpu.wait(fence);
    /// let taken = gpu.take_back(code.address..code.address + code.size)?;
    /// assert_eq!(taken, TakenBack::Done { dirty: 0 });
    /// // The next use lends them again.
    /// gpu.submit(&Context::DEFAULT, 3, batch, 0..8, &[])?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
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
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Errno, Error, Ticket};
    ///
    /// let never = gpu.look_at(Ticket::from_number(7));
    /// assert_eq!(never, Err(Error::Refused(Errno::NoEnt)));
    /// ```
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
    /// ```
    /// # let shared = conformance::client("tgl").0;
    /// # let [mut ours, mut theirs] = [0, 1].map(|client| gpu_client::Gpu::connect(shared.link(client)).unwrap());
    /// # let their_channel = u32::try_from(conformance::channel(1)).unwrap();
    /// let buffer = ours.create_buffer(4096)?;
    /// ours.write(&buffer, 0, b"hello")?;
    /// let name = ours.export(&buffer, their_channel)?;
    /// // The name goes to the other client, by whatever way the two have.
    /// let import = theirs.import(name)?;
    /// let mut word = [0; 5];
    /// theirs.read(&import, 0, &mut word)?;
    /// assert_eq!(&word, b"hello");
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOENT`: there is no such client.
    pub fn export(&mut self, object: &Object, peer: u32) -> Result<u64, Error> {
        self.ask(Operation::GemExport, &GemExport { handle: object.handle, peer })
    }

    /// Makes an object of what another client exported to this one. Its pages are the other's to lend.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Errno, Error};
    ///
    /// assert_eq!(gpu.import(12345), Err(Error::Refused(Errno::NoEnt)), "nobody has exported it");
    /// ```
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
///
/// ```
/// use gpu_client::{Backing, Errno, Frames, Lendable};
/// use std::ops::Range;
///
/// /// One piece of memory that is one client's, behind a CNode of 256 frames.
/// struct Piece {
///     memory: Lendable,
///     lent: bool,
/// }
///
/// impl Backing for Piece {
///     fn lend(&mut self, _space: u32, at: u64, _write: bool) -> Result<Lendable, Errno> {
///         let inside = at.wrapping_sub(self.memory.address) < self.memory.size;
///         self.lent |= inside;
///         if inside { Ok(self.memory) } else { Err(Errno::Fault) }
///     }
///
///     fn back(&mut self, _space: u32, _range: Range<u64>, _dirty: u64) {
///         self.lent = false;
///     }
/// }
///
/// let frames = Frames::Capabilities { cnode: 1, bits: 8, page_bits: 12 };
/// let memory = Lendable { address: 0x4000_0000, size: 1 << 20, frames };
/// let mut piece = Piece { memory, lent: false };
/// assert!(piece.lend(1, 0x4000_2000, true).is_ok() && piece.lent);
/// assert_eq!(piece.lend(1, 0x4010_0000, true), Err(Errno::Fault));
/// ```
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
///
/// ```
/// # let shared = conformance::client("tgl").0;
/// # let transport = shared.link(0);
/// use gpu_client::Owner;
///
/// let owner = Owner::connect(transport)?;
/// assert_eq!(owner.open(), 0);
/// # Ok::<(), gpu_client::Error>(())
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
    /// ```
    /// # let shared = conformance::client("tgl").0;
    /// # let transport = shared.link(0);
    /// let owner = gpu_client::Owner::connect(transport)?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Gpu::connect`].
    pub fn connect(transport: T) -> Result<Self, Error> {
        Gpu::connect(transport).map(Self::new)
    }

    /// Connects after every page has come back that this domain has lent, to whichever client: for domains that their
    /// parent may have restarted, whose books are empty then. What the driver had asked for and got no answer to it asks
    /// for again. The first time it does what [`Owner::connect`] does.
    ///
    /// ```
    /// # let shared = conformance::client("tgl").0;
    /// # let transport = shared.link(0);
    /// # let again = shared.link(0);
    /// use gpu_client::Owner;
    ///
    /// let owner = Owner::connect_afresh(transport)?;
    /// // Its next life, which has no [`Ticket`] of this one's.
    /// let owner = Owner::connect_afresh(again)?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Gpu::connect_afresh`].
    pub fn connect_afresh(transport: T) -> Result<Self, Error> {
        Gpu::connect_afresh(transport).map(Self::new)
    }

    const fn new(gpu: Gpu<T>) -> Self {
        Self { gpu, open: [const { None }; MOST_OPEN], waiting: [None; MOST_OPEN] }
    }

    /// Invalidations that are under way.
    ///
    /// ```
    /// # let shared = conformance::client("tgl").0;
    /// # let transport = shared.link(0);
    /// let owner = gpu_client::Owner::connect(transport)?;
    /// assert_eq!(owner.open(), 0, "nothing was asked for");
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    pub fn open(&self) -> usize {
        self.open.iter().flatten().count()
    }

    /// Takes the pages of a range of a client's address space back: page aligned, not empty. Whether they are here
    /// already; otherwise [`Owner::work`] gives them to `backing`, after a notification of the driver.
    ///
    /// ```
    /// # let shared = conformance::client("tgl").0;
    /// # let transport = shared.link(0);
    /// # struct Nothing;
    /// # impl gpu_client::Backing for Nothing {
    /// #     fn lend(&mut self, _: u32, _: u64, _: bool) -> Result<gpu_client::Lendable, gpu_client::Errno> {
    /// #         Err(gpu_client::Errno::Fault)
    /// #     }
    /// #     fn back(&mut self, _: u32, _: std::ops::Range<u64>, _: u64) {}
    /// # }
    /// # let client = u32::try_from(conformance::channel(0)).unwrap();
    /// let mut owner = gpu_client::Owner::connect(transport)?;
    /// // A client whose memory it owns, by its channel of the driver.
    /// assert!(owner.take_back(&mut Nothing, client, 0x4000_0000..0x4010_0000)?, "nothing was lent");
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
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
    /// ```
    /// # let shared = conformance::client("tgl").0;
    /// # let transport = shared.link(0);
    /// # struct Nothing;
    /// # impl gpu_client::Backing for Nothing {
    /// #     fn lend(&mut self, _: u32, _: u64, _: bool) -> Result<gpu_client::Lendable, gpu_client::Errno> {
    /// #         Err(gpu_client::Errno::Fault)
    /// #     }
    /// #     fn back(&mut self, _: u32, _: std::ops::Range<u64>, _: u64) {}
    /// # }
    /// let mut owner = gpu_client::Owner::connect(transport)?;
    /// assert_eq!(owner.work(&mut Nothing)?, 0, "nobody asks");
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
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
