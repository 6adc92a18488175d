// SPDX-License-Identifier: BSD-2-Clause
//! The connection and what is created through it.

use gpu_protocol::{
    Connect, ContextDestroy, Errno, GemClose, GetParam, Grant, GrantFlags, GrantRegion, MAX_OBJECTS,
    ObjectFlags, Operation, PAGE_SIZE, PageRequest, Param, ReadErrorState, Refuse, Reply, Submit,
    SubmitObject, UserptrCreate, UserptrFlags, VERSION, VmCreate, VmDestroy,
};
use zerocopy::{Immutable, IntoBytes};

use crate::queue::Queue;
use crate::{ContextBuilder, Frames, Lendable, Transport};

/// Offset in the message area of an operation's structure; what it points to follows.
const ARGUMENT: usize = 0;
/// Offset of what an argument structure points to.
pub(crate) const PAYLOAD: usize = 256;

/// Tries of a submission that the driver answers with `EAGAIN`. Each try lends the pages of every open
/// request, so one more than the objects of a submission is enough unless pages are taken back
/// meanwhile.
const SUBMIT_TRIES: usize = MAX_OBJECTS + 1;

/// Why an operation did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The driver speaks another version of the interface than this library.
    Version {
        /// What the driver said.
        driver: u64,
    },
    /// The driver refused.
    Refused(Errno),
    /// The driver answered with something that the interface does not know.
    Protocol,
    /// The argument does not fit into the message area, or there are too many objects.
    TooLarge,
    /// The queue is full: answers have to be taken out first.
    QueueFull,
    /// There is no queue: system.xml gives this client no memory for one.
    NoQueue,
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Refused(errno)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Version { driver } => {
                write!(
                    f,
                    "the driver speaks version {driver} of the interface, this client version {VERSION}"
                )
            }
            Self::Refused(errno) => write!(f, "the driver answered {errno}"),
            Self::Protocol => f.write_str("the driver's answer is not one of the interface"),
            Self::QueueFull => f.write_str("the queue is full"),
            Self::NoQueue => f.write_str("system.xml gives this client no queue"),
            Self::TooLarge => f.write_str("the request does not fit into the message area"),
        }
    }
}

impl core::error::Error for Error {}

/// An address space of the GPU.
#[derive(Debug, PartialEq, Eq)]
pub struct Vm {
    pub(crate) handle: u32,
}

/// A context: state on the GPU and the address space that it runs in.
#[derive(Debug, PartialEq, Eq)]
pub struct Context {
    pub(crate) handle: u32,
}

impl Context {
    /// The context that every client has from the start, with an address space of its own. It cannot be destroyed.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Context, Errno, Error};
    ///
    /// assert_eq!(gpu.destroy_context(Context::DEFAULT), Err(Error::Refused(Errno::NoEnt)));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    pub const DEFAULT: Self = Self { handle: 0 };
}

/// An object made of the client's own pages.
#[derive(Debug, PartialEq, Eq)]
pub struct Object {
    pub(crate) handle: u32,
    pub(crate) lendable: Lendable,
}

/// A point that a timeline reaches when a batch is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    pub(crate) timeline: u32,
    pub(crate) point: u64,
}

/// What a batch does with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only.
    Read,
    /// Writes, or reads and writes.
    Write,
}

/// An object as a batch uses it.
#[derive(Clone, Copy, Debug)]
pub struct UsedObject<'a> {
    /// The object.
    pub object: &'a Object,
    /// Its GPU virtual address in the context's address space, page aligned.
    pub address: u64,
    /// What the batch does with it.
    pub access: Access,
}

impl UsedObject<'_> {
    /// As it is in a submission's list.
    pub(crate) fn entry(&self) -> SubmitObject {
        let flags = match self.access {
            Access::Read => ObjectFlags::PINNED,
            Access::Write => ObjectFlags::PINNED | ObjectFlags::WRITE,
        };
        SubmitObject { handle: self.object.handle, flags: flags.bits(), address: self.address }
    }
}

/// A connection to the driver domain.
#[derive(Debug)]
pub struct Gpu<T> {
    pub(crate) transport: T,
    engines: u64,
    pub(crate) queue: Option<Queue>,
}

impl<T: Transport> Gpu<T> {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Version`] for a driver of another version; `ENODEV` when there is no usable GPU.
    pub fn connect(transport: T) -> Result<Self, Error> {
        Self::connect_with(transport, 0)
    }

    /// Connects after everything is gone that the driver may still have of this client: for domains that their parent
    /// may have restarted, which do not know it.
    ///
    /// # Errors
    /// As [`Gpu::connect`]; `EAGAIN` when the GPU does not let go of what the client had.
    pub fn connect_afresh(transport: T) -> Result<Self, Error> {
        Self::connect_with(transport, Connect::AFRESH)
    }

    fn connect_with(transport: T, flags: u32) -> Result<Self, Error> {
        // Between two calls the driver, which has the higher priority, sees to the GPU's interrupts. A call takes some
        // microseconds; the longest wait is for an engine's reset, some milliseconds.
        const TRIES: u32 = 1_000_000;
        let queue = Queue::new(&transport);
        let mut gpu = Self { transport, engines: 0, queue };
        let mut reply = gpu.call(Operation::Connect, &Connect { version: VERSION, flags }, None)?;
        for _ in 1..TRIES {
            if reply.status != Err(Errno::Again) {
                break;
            }
            reply = gpu.call(Operation::Connect, &Connect { version: VERSION, flags }, None)?;
        }
        match reply.status {
            Ok(()) => {
                gpu.engines = reply.words[2];
                Ok(gpu)
            }
            Err(Errno::Inval) => Err(Error::Version { driver: reply.words[0] }),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Number of engines of the part.
    pub const fn engines(&self) -> u64 {
        self.engines
    }

    /// Reads a value of the device.
    ///
    /// # Errors
    /// `EINVAL` for a parameter that the driver does not know.
    pub fn param(&mut self, param: Param) -> Result<u64, Error> {
        self.ask(Operation::GetParam, &GetParam { param: param as u64 })
    }

    /// Creates an address space.
    ///
    /// # Errors
    /// `ENOMEM` when the client's quota is exhausted.
    pub fn create_vm(&mut self) -> Result<Vm, Error> {
        let handle = self.ask(Operation::VmCreate, &VmCreate { extensions: 0, flags: 0, vm_id: 0 })?;
        Ok(Vm { handle: to_handle(handle)? })
    }

    /// Drops the handle of an address space. Contexts that use it keep it.
    ///
    /// # Errors
    /// `ENOENT` if the driver no longer knows it.
    pub fn destroy_vm(&mut self, vm: Vm) -> Result<(), Error> {
        self.ask(Operation::VmDestroy, &VmDestroy { extensions: 0, flags: 0, vm_id: vm.handle }).map(drop)
    }

    /// Creates a context in an address space, otherwise with the defaults: see [`ContextBuilder`] for others.
    ///
    /// # Errors
    /// `ENOMEM` when the client's quota is exhausted, `EIO` when the device is wedged or the client is banned.
    pub fn create_context(&mut self, vm: &Vm) -> Result<Context, Error> {
        self.create_context_with(&ContextBuilder::new().in_vm(vm))
    }

    /// Destroys a context. What it still runs is finished or cancelled by the driver.
    ///
    /// # Errors
    /// `ENOENT` if the driver no longer knows it.
    pub fn destroy_context(&mut self, context: Context) -> Result<(), Error> {
        self.ask(Operation::ContextDestroy, &ContextDestroy { ctx_id: context.handle, pad: 0 }).map(drop)
    }

    /// Makes an object out of the client's own memory. Its pages are lent at first use.
    ///
    /// # Errors
    /// `EINVAL` for a range that is empty, unaligned or overlaps another object's, `EFAULT` for one
    /// outside the user half of the address space, `ENOMEM` when the client's quota is exhausted.
    pub fn create_userptr(&mut self, lendable: Lendable) -> Result<Object, Error> {
        self.create_userptr_with(lendable, UserptrFlags::empty())
    }

    /// As [`Self::create_userptr`], with flags: how the GPU caches its accesses, whether it may write.
    ///
    /// # Errors
    /// As [`Self::create_userptr`], and those of each of the flags; `EINVAL` for two cache policies.
    pub fn create_userptr_with(&mut self, lendable: Lendable, flags: UserptrFlags) -> Result<Object, Error> {
        let create = UserptrCreate {
            user_ptr: lendable.address,
            user_size: lendable.size,
            flags: flags.bits(),
            handle: 0,
        };
        let handle = self.ask(Operation::UserptrCreate, &create)?;
        Ok(Object { handle: to_handle(handle)?, lendable })
    }

    /// Makes an object out of a part of the client's own memory, given in bytes from its start.
    ///
    /// # Errors
    /// As [`Gpu::create_userptr`].
    pub fn create_userptr_in(
        &mut self,
        lendable: Lendable,
        part: core::ops::Range<u64>,
    ) -> Result<Object, Error> {
        let address = lendable.address.wrapping_add(part.start);
        let size = part.end.saturating_sub(part.start);
        let object = self.create_userptr(Lendable { address, size, ..lendable })?;
        // The CNode's slots are counted from the start of the whole.
        Ok(Object { lendable, ..object })
    }

    /// Drops the handle of an object; its pages come back when the GPU no longer uses them.
    ///
    /// # Errors
    /// `ENOENT` if the driver no longer knows it.
    pub fn close(&mut self, object: Object) -> Result<(), Error> {
        self.ask(Operation::GemClose, &GemClose { handle: object.handle, pad: 0 }).map(drop)
    }

    /// Runs a batch on an engine slot of a context.
    ///
    /// `batch` is where the commands are: the object, its address, the first byte in it and the length
    /// in bytes (multiples of 8). `objects` is everything else that the batch touches.
    ///
    /// Pages that the driver lacks are lent. Where somebody else owns the address space, or pages are being taken
    /// back, this sleeps until they are there; a notification of something else that comes meanwhile is taken, too, so
    /// that a domain with an event loop looks at its fences afterwards.
    ///
    /// # Errors
    /// What the driver answers; `EAGAIN` only if the pages stay missing although they were lent;
    /// `EFAULT` if an object's pages cannot be lent.
    pub fn submit(
        &mut self,
        context: &Context,
        engine: u32,
        batch: UsedObject<'_>,
        batch_bytes: core::ops::Range<u32>,
        objects: &[UsedObject<'_>],
    ) -> Result<Fence, Error> {
        if objects.len() >= MAX_OBJECTS {
            return Err(Error::TooLarge);
        }
        for attempt in 0..SUBMIT_TRIES {
            let mut offset = PAYLOAD;
            for used in core::iter::once(&batch).chain(objects) {
                self.write(offset, &used.entry())?;
                offset += size_of::<SubmitObject>();
            }
            let submit = Submit {
                context: context.handle,
                engine,
                objects: PAYLOAD as u64,
                // CAST: below MAX_OBJECTS.
                #[allow(clippy::cast_possible_truncation)]
                object_count: objects.len() as u32 + 1,
                batch_start: batch_bytes.start,
                batch_len: batch_bytes.end.saturating_sub(batch_bytes.start),
                flags: gpu_protocol::SubmitFlags::BATCH_FIRST.bits(),
                fences: 0,
                fence_count: 0,
                rsvd: 0,
            };
            let reply = self.call(Operation::Submit, &submit, None)?;
            match reply.status {
                Ok(()) => return Ok(Fence { timeline: to_handle(reply.words[0])?, point: reply.words[1] }),
                Err(Errno::Again) if attempt + 1 < SUBMIT_TRIES => {
                    let lent = self.lend_what_is_asked(core::iter::once(&batch).chain(objects))?;
                    if !lent && reply.count > 0 && reply.words[0] == 1 {
                        self.transport.sleep();
                    }
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(Errno::Again.into())
    }

    /// Reads a piece, from byte `offset` on, of what was recorded when a batch of this client hung, the first of all
    /// since the start: text in the format of i915's error state. Returns the number of bytes and the length of the
    /// whole text, 0 if nothing hung.
    ///
    /// # Errors
    /// `EPERM` if it was another client's batch.
    pub fn error_state(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(usize, u64), Error> {
        let room = self.transport.area_len().saturating_sub(PAYLOAD).min(bytes.len());
        let read = ReadErrorState {
            offset,
            buffer: PAYLOAD as u64,
            length: u32::try_from(room).unwrap_or(u32::MAX),
            flags: 0,
        };
        let reply = self.call(Operation::ErrorState, &read, None)?;
        reply.status?;
        let count = usize::try_from(reply.words[0]).map_err(|_| Error::Protocol)?;
        let piece = bytes.get_mut(..count).filter(|_| count <= room).ok_or(Error::Protocol)?;
        self.transport.read_area(PAYLOAD, piece);
        Ok((count, reply.words[1]))
    }

    /// Whether a batch is done. Reads one word of shared memory.
    pub fn is_complete(&self, fence: Fence) -> bool {
        self.transport.completed_point(fence.timeline) >= fence.point
    }

    /// Sleeps until a batch is done. The domain does nothing else meanwhile: one that has an event loop
    /// returns to it instead, and asks [`Self::is_complete`] when it is notified.
    pub fn wait(&mut self, fence: Fence) {
        // No wake-up is lost: a notification that comes between the look and the sleep ends the sleep.
        while !self.is_complete(fence) {
            self.transport.sleep();
        }
    }

    /// The transport, for what the library does not do.
    pub const fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Answers every open page request with the frames of the object that it is for. Whether there was any.
    pub(crate) fn lend_what_is_asked<'a>(
        &mut self,
        objects: impl Iterator<Item = &'a UsedObject<'a>> + Clone,
    ) -> Result<bool, Error> {
        // One request for each object at most can be open.
        for answered in 0..MAX_OBJECTS {
            let reply = self.transport.call(Operation::NextPageRequest, [0, 0], None);
            reply.status?;
            let Some(request) = PageRequest::from_words(reply.words) else {
                return Ok(answered > 0);
            };
            let found = objects.clone().find(|used| {
                let lendable = &used.object.lendable;
                request.address >= lendable.address
                    && request.address - lendable.address < lendable.size
                    && request.size <= lendable.size - (request.address - lendable.address)
            });
            match found {
                Some(used) => self.lend(&used.object.lendable, request)?,
                None => self.refuse(request, Errno::Fault)?,
            }
        }
        Ok(true)
    }

    /// Grants what a request asks for; where the driver does not take it, the request is answered with the
    /// driver's error, so that it is not left open.
    fn lend(&mut self, lendable: &Lendable, request: PageRequest) -> Result<(), Error> {
        match self.grant(lendable, request) {
            // It was taken back meanwhile: the next try asks anew.
            Err(Error::Refused(Errno::Again)) => Ok(()),
            Err(Error::Refused(errno)) => self.refuse_current(request, errno),
            result => result,
        }
    }

    pub(crate) fn refuse(&mut self, request: PageRequest, errno: Errno) -> Result<(), Error> {
        let refuse = Refuse {
            address: request.address,
            sequence: request.sequence,
            errno: u32::from(errno.number()),
            rsvd: 0,
        };
        self.ask(Operation::Refuse, &refuse).map(drop)
    }

    pub(crate) fn grant(&mut self, lendable: &Lendable, request: PageRequest) -> Result<(), Error> {
        let PageRequest { address, size, sequence, write, .. } = request;
        let offset = address - lendable.address;
        let flags = if write { GrantFlags::WRITE.bits() } else { 0 };
        let reply = match lendable.frames {
            Frames::Capabilities { cnode, bits, page_bits } => {
                let first = to_handle(offset >> page_bits)?;
                let count = to_handle(size >> page_bits)?;
                let grant =
                    Grant { address, sequence, first, count, page_bits, cnode_bits: bits, flags, rsvd: 0 };
                self.call(Operation::GrantCnode, &grant, Some(cnode))?
            }
            Frames::Region { row } => {
                let count = to_handle(size / PAGE_SIZE)?;
                let grant = GrantRegion { address, sequence, offset, region: row, count, flags, rsvd: 0 };
                self.call(Operation::GrantRegion, &grant, None)?
            }
            Frames::Foreign => return Err(Errno::Fault.into()),
        };
        Ok(reply.status?)
    }

    /// Writes a structure into the message area.
    pub(crate) fn write<A: IntoBytes + Immutable + ?Sized>(
        &mut self,
        offset: usize,
        value: &A,
    ) -> Result<(), Error> {
        let bytes = value.as_bytes();
        if offset + bytes.len() > self.transport.area_len() {
            return Err(Error::TooLarge);
        }
        self.transport.write_area(offset, bytes);
        Ok(())
    }

    pub(crate) fn call<A: IntoBytes + Immutable>(
        &mut self,
        operation: Operation,
        argument: &A,
        capability: Option<u64>,
    ) -> Result<Reply, Error> {
        self.write(ARGUMENT, argument)?;
        Ok(self.transport.call(operation, [ARGUMENT as u64, size_of::<A>() as u64], capability))
    }

    /// A call whose reply is one word, or none.
    pub(crate) fn ask<A: IntoBytes + Immutable>(
        &mut self,
        operation: Operation,
        argument: &A,
    ) -> Result<u64, Error> {
        let reply = self.call(operation, argument, None)?;
        reply.status?;
        Ok(reply.words[0])
    }
}

/// A handle or an index out of a reply's word.
pub(crate) fn to_handle(word: u64) -> Result<u32, Error> {
    u32::try_from(word).map_err(|_| Error::Protocol)
}
