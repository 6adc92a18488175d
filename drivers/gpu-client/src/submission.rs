// SPDX-License-Identifier: BSD-2-Clause
//! Batches by call: what they use, what they wait for, and the pages that are lent for them.

use gpu_protocol::{
    Errno, Fence as WireFence, Grant, GrantFlags, GrantRegion, Invalidate, MAX_OBJECTS, ObjectFlags,
    Operation, PAGE_SIZE, PageRequest, Refuse, Submit, SubmitObject,
};

use crate::connection::{PAYLOAD, to_handle};
use crate::{Context, Error, Frames, Gpu, Lendable, Object, Transport};

/// Tries of a submission that the driver answers with `EAGAIN`. Each try lends the pages of every open
/// request, so one more than the objects of a submission is enough unless pages are taken back
/// meanwhile.
const SUBMIT_TRIES: usize = MAX_OBJECTS + 1;

/// A point that a timeline reaches when a batch is done.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// # let code = gpu.create_buffer(4096)?;
/// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
/// use gpu_client::{Access, Context, UsedObject};
///
/// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
/// let fence = gpu.submit(&Context::DEFAULT, 3, batch, 0..8, &[])?;
/// gpu.wait(fence);
/// assert!(gpu.is_complete(fence));
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    pub(crate) timeline: u32,
    pub(crate) point: u64,
}

/// What a batch waits for before it runs.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// # let code = gpu.create_buffer(4096)?;
/// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
/// use gpu_client::{Access, After, Context, UsedObject};
///
/// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
/// // On the render engine, then on the blitter.
/// let first = gpu.submit(&Context::DEFAULT, 0, batch, 0..8, &[])?;
/// let second = gpu.submit_after(&Context::DEFAULT, 3, batch, 0..8, &[], &[After::Complete(first)])?;
/// gpu.wait(second);
/// assert!(gpu.is_complete(first));
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Until the other batch is done.
    Complete(Fence),
    /// Until the other batch is given to an engine; which engine may run this one is up to the bonds of its slot
    /// ([`Bonded`](crate::Bonded)). One of a submission.
    Started(Fence),
}

impl After {
    /// As it is in a submission's list.
    pub(crate) const fn entry(&self) -> WireFence {
        let (fence, flags) = match self {
            Self::Complete(fence) => (fence, 0),
            Self::Started(fence) => (fence, WireFence::START),
        };
        WireFence { timeline: fence.timeline, flags, point: fence.point }
    }
}

/// What a batch does with an object.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// # let code = gpu.create_buffer(4096)?;
/// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
/// use gpu_client::{Access, Context, Errno, Error, UsedObject};
///
/// // A batch that writes itself would be another one than was checked.
/// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Write };
/// let refused = gpu.submit(&Context::DEFAULT, 3, batch, 0..8, &[]);
/// assert_eq!(refused, Err(Error::Refused(Errno::Inval)));
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only.
    Read,
    /// Writes, or reads and writes.
    Write,
}

/// An object as a batch uses it.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// # let code = gpu.create_buffer(4096)?;
/// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
/// use gpu_client::{Access, Context, UsedObject};
///
/// let picture = gpu.create_buffer(1 << 16)?;
/// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
/// let target = UsedObject { object: &picture, address: 0x4000_0000, access: Access::Write };
/// gpu.submit(&Context::DEFAULT, 3, batch, 0..8, &[target])?;
/// # Ok::<(), gpu_client::Error>(())
/// ```
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

impl<T: Transport> Gpu<T> {
    /// Runs a batch on an engine slot of a context.
    ///
    /// `batch` is where the commands are: the object and its address. `batch_bytes` are the commands in it, in bytes from
    /// its start (multiples of 8); an empty range goes to the end of the object. `objects` is everything else that the
    /// batch touches.
    ///
    /// Pages that the driver lacks are lent. Where somebody else owns the address space, or pages are being taken
    /// back, this sleeps until they are there; a notification of something else that comes meanwhile is taken, too, so
    /// that a domain with an event loop looks at its fences afterwards.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code = gpu.create_buffer(4096)?;
    /// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// use gpu_client::{Access, UsedObject};
    ///
    /// let vm = gpu.create_vm()?;
    /// let context = gpu.create_context(&vm)?;
    /// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// // On the blitter: slot 3 of a context without a map of engines.
    /// let fence = gpu.submit(&context, 3, batch, 0..8, &[])?;
    /// gpu.wait(fence);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
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
        self.submit_after(context, engine, batch, batch_bytes, objects, &[])
    }

    /// As [`Self::submit`], for a batch that waits on the GPU until others have come so far. The client does not wait.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code = gpu.create_buffer(4096)?;
    /// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// use gpu_client::{Access, After, Context, UsedObject};
    ///
    /// let other = gpu.create_vm()?;
    /// let other = gpu.create_context(&other)?;
    /// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// let fences = [0, 2].map(|engine| gpu.submit(&Context::DEFAULT, engine, batch, 0..8, &[]).unwrap());
    /// let last = gpu.submit_after(&other, 3, batch, 0..8, &[], &fences.map(After::Complete))?;
    /// gpu.wait(last);
    /// assert!(fences.iter().all(|fence| gpu.is_complete(*fence)));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::submit`]; `EINVAL` for more than 16 fences, more than one [`After::Started`], or a fence that was not
    /// handed out.
    pub fn submit_after(
        &mut self,
        context: &Context,
        engine: u32,
        batch: UsedObject<'_>,
        batch_bytes: core::ops::Range<u32>,
        objects: &[UsedObject<'_>],
        after: &[After],
    ) -> Result<Fence, Error> {
        // More fences than the area has room for would overwrite what the queue has there.
        if objects.len() >= MAX_OBJECTS || after.len() > MAX_OBJECTS {
            return Err(Error::TooLarge);
        }
        // Upside down it would be an empty one.
        let batch_len = batch_bytes.end.checked_sub(batch_bytes.start).ok_or(Errno::Inval)?;
        for attempt in 0..SUBMIT_TRIES {
            let mut offset = PAYLOAD;
            for used in core::iter::once(&batch).chain(objects) {
                self.put(offset, &used.entry())?;
                offset += size_of::<SubmitObject>();
            }
            let fences = offset as u64;
            for wait in after {
                self.put(offset, &wait.entry())?;
                offset += size_of::<WireFence>();
            }
            let submit = Submit {
                context: context.handle,
                engine,
                objects: PAYLOAD as u64,
                // CAST: below MAX_OBJECTS.
                #[allow(clippy::cast_possible_truncation)]
                object_count: objects.len() as u32 + 1,
                batch_start: batch_bytes.start,
                batch_len,
                flags: gpu_protocol::SubmitFlags::BATCH_FIRST.bits(),
                fences,
                fence_count: u32::try_from(after.len()).map_err(|_| Error::TooLarge)?,
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

    /// Whether a batch is done. Reads one word of shared memory.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code = gpu.create_buffer(4096)?;
    /// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// # shared.rig().set_timing(gpu_model::Timing::Busy);
    /// use gpu_client::{Access, Context, UsedObject};
    ///
    /// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// let fence = gpu.submit(&Context::DEFAULT, 3, batch, 0..8, &[])?;
    /// assert!(!gpu.is_complete(fence), "it runs");
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    pub fn is_complete(&self, fence: Fence) -> bool {
        self.transport.completed_point(fence.timeline) >= fence.point
    }

    /// Sleeps until a batch is done. The domain does nothing else meanwhile: one that has an event loop
    /// returns to it instead, and asks [`Self::is_complete`] when it is notified.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code = gpu.create_buffer(4096)?;
    /// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// use gpu_client::{Access, Context, UsedObject};
    ///
    /// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// let fence = gpu.submit(&Context::DEFAULT, 3, batch, 0..8, &[])?;
    /// gpu.wait(fence);
    /// assert!(gpu.is_complete(fence));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    pub fn wait(&mut self, fence: Fence) {
        // No wake-up is lost: a notification that comes between the look and the sleep ends the sleep.
        while !self.is_complete(fence) {
            self.transport.sleep();
        }
    }

    /// Answers every open page request with the frames of the object that it is for. Those for other objects are put off:
    /// the next use of such an object asks anew. Whether there was any.
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
                None => self.put_off(request)?,
            }
        }
        Ok(true)
    }

    /// Ends a request that nothing at hand can be lent for, so that the next use of its object asks again: a batch of the
    /// queue that has not been answered yet, most likely. Taking the range back supersedes the request, and then its answer
    /// is told to nobody. Of an unsynchronised object, which no invalidation finds, the next use is refused once.
    fn put_off(&mut self, request: PageRequest) -> Result<(), Error> {
        let end = request.address.saturating_add(request.size);
        let invalidate = Invalidate { start: request.address, end, space: request.space, flags: 0 };
        self.call(Operation::Invalidate, &invalidate, None)?;
        self.refuse_current(request, Errno::Fault)
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
}
