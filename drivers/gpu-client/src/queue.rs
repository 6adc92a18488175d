// SPDX-License-Identifier: BSD-2-Clause
//! The data path: many submissions for one notification.
//!
//! ```text
//!   enqueue, enqueue, ... ─► flush: one notification at most ─► driver
//!   wait_answers(n): asleep until n are done ◄── one notification ── driver
//!   next_answer, next_answer, ...
//! ```
//!
//! The lists of objects are in the message area behind the part that calls use, one piece for each entry of
//! the ring; a piece is used again when its entry is, which the driver has then read.

use gpu_protocol::{
    Errno, Fence as WireFence, RING_ANSWER_WORDS, RING_REQUEST_WORDS, RingAnswer, RingRequest, Submit,
    SubmitFlags, SubmitObject,
};
use gpu_ring::{Consumer, Pair, Producer, PushError};

use crate::{After, Context, Error, Fence, Gpu, Transport, UsedObject};

/// Bytes of the message area that calls use.
pub(crate) const CALLS: usize = 4096;

/// The client's ends of the rings.
#[derive(Debug)]
pub(crate) struct Queue {
    requests: Producer<RING_REQUEST_WORDS>,
    answers: Consumer<RING_ANSWER_WORDS>,
    capacity: u64,
    /// Requests whose answers have not been taken out.
    outstanding: u64,
    /// Requests ever appended.
    appended: u64,
    /// Bytes of the message area for one list of objects.
    piece: usize,
}

/// A batch for the queue.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// # let code = gpu.create_buffer(4096)?;
/// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
/// use gpu_client::{Access, Context, Queued, UsedObject};
///
/// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
/// let queued =
///     Queued { context: &Context::DEFAULT, engine: 3, batch, start: 0, length: 8, objects: &[], after: &[], tag: 0 };
/// for tag in 0..8 {
///     gpu.enqueue(&Queued { tag, ..queued })?;
/// }
/// gpu.wait_answers(8)?;
/// let mut tags = Vec::new();
/// while let Some(answer) = gpu.next_answer()? {
///     assert!(answer.result.is_ok());
///     tags.push(answer.tag);
/// }
/// assert_eq!(tags, [0, 1, 2, 3, 4, 5, 6, 7]);
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Queued<'a> {
    /// The context that it runs in.
    pub context: &'a Context,
    /// Slot of the context's map of engines.
    pub engine: u32,
    /// The object with the commands.
    pub batch: UsedObject<'a>,
    /// First byte of the commands in it, a multiple of 8.
    pub start: u32,
    /// Their length in bytes, a multiple of 8.
    pub length: u32,
    /// Everything else that the batch touches.
    pub objects: &'a [UsedObject<'a>],
    /// What it waits for.
    pub after: &'a [After],
    /// Comes back in the answer.
    pub tag: u64,
}

/// What became of a queued batch.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// # let code = gpu.create_buffer(4096)?;
/// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
/// # use gpu_client::{Access, Context, Queued, UsedObject};
/// # let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
/// # let context = &Context::DEFAULT;
/// let queued = Queued { context, engine: 3, batch, start: 0, length: 8, objects: &[], after: &[], tag: 5 };
/// gpu.enqueue(&queued)?;
/// gpu.wait_answers(1)?;
/// let answer = gpu.next_answer()?.unwrap();
/// assert_eq!(answer.tag, 5);
/// assert!(gpu.is_complete(answer.result?));
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// [`Queued::tag`].
    pub tag: u64,
    /// Done, or why not: `EAGAIN` if pages are missing ([`Gpu::lend_for`]), `EIO` if it was stopped, and
    /// what a call would have been answered.
    pub result: Result<Fence, Errno>,
}

impl Queue {
    /// Empties the client's part of the rings, which has to be before the client connects.
    pub(crate) fn new(transport: &impl Transport) -> Option<Self> {
        let words = transport.rings()?;
        let pair = Pair::in_region(words.len() * 8, RING_REQUEST_WORDS, RING_ANSWER_WORDS)?;
        let capacity = pair.requests.capacity();
        let entries = usize::try_from(capacity).ok()?;
        let piece = transport.area_len().checked_sub(CALLS)? / entries / 8 * 8;
        let mut queue = Self {
            requests: Producer::new(pair.requests),
            answers: Consumer::new(pair.answers),
            capacity,
            outstanding: 0,
            appended: 0,
            piece,
        };
        queue.requests.reset(words);
        queue.answers.reset(words);
        Some(queue)
    }

    /// Where the list of the next request goes.
    fn place(&self) -> usize {
        // CAST: less than the capacity, which fits (`new`).
        #[allow(clippy::cast_possible_truncation)]
        let entry = (self.appended % self.capacity) as usize;
        CALLS + entry * self.piece
    }
}

impl<T: Transport> Gpu<T> {
    /// How many batches can be in the queue; 0 if there is none.
    ///
    /// ```
    /// # let (shared, gpu) = conformance::client("tgl");
    /// assert!(gpu.queue_capacity().is_power_of_two());
    /// ```
    pub fn queue_capacity(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.capacity)
    }

    /// How many batches are in the queue: those whose answers have not been taken out.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code = gpu.create_buffer(4096)?;
    /// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// # use gpu_client::{Access, Context, Queued, UsedObject};
    /// # let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// # let context = &Context::DEFAULT;
    /// let queued = Queued { context, engine: 3, batch, start: 0, length: 8, objects: &[], after: &[], tag: 5 };
    /// gpu.enqueue(&queued)?;
    /// assert_eq!(gpu.queued(), 1);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    pub fn queued(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.outstanding)
    }

    /// Appends a batch to the queue. The driver sees it after the next [`Self::flush`].
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code = gpu.create_buffer(4096)?;
    /// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// # use gpu_client::{Access, Context, Queued, UsedObject};
    /// # let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// # let context = &Context::DEFAULT;
    /// let queued = Queued { context, engine: 3, batch, start: 0, length: 8, objects: &[], after: &[], tag: 5 };
    /// use gpu_client::Error;
    ///
    /// for _ in 0..gpu.queue_capacity() {
    ///     gpu.enqueue(&queued)?;
    /// }
    /// assert_eq!(gpu.enqueue(&queued), Err(Error::QueueFull));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoQueue`]; [`Error::QueueFull`]: take answers out first; [`Error::TooLarge`]: too many
    /// objects for the message area. Nothing was appended then.
    pub fn enqueue(&mut self, queued: &Queued<'_>) -> Result<(), Error> {
        let queue = self.queue.as_ref().ok_or(Error::NoQueue)?;
        if queue.outstanding >= queue.capacity {
            return Err(Error::QueueFull);
        }
        let count = queued.objects.len() + 1;
        let (at, piece) = (queue.place(), queue.piece);
        let fences = at + count * size_of::<SubmitObject>();
        let bytes = count * size_of::<SubmitObject>() + queued.after.len() * size_of::<WireFence>();
        if bytes > piece {
            return Err(Error::TooLarge);
        }
        // The list of an entry that the driver has not taken out yet is not touched.
        let words = self.transport.rings().ok_or(Error::NoQueue)?;
        let queue = self.queue.as_mut().ok_or(Error::NoQueue)?;
        if !queue.requests.has_room(words, 1).map_err(|_| Error::Protocol)? {
            return Err(Error::QueueFull);
        }
        let list = core::iter::once(&queued.batch).chain(queued.objects);
        for (index, used) in list.enumerate() {
            self.put(at + index * size_of::<SubmitObject>(), &used.entry())?;
        }
        for (index, after) in queued.after.iter().enumerate() {
            self.put(fences + index * size_of::<WireFence>(), &after.entry())?;
        }
        let submit = Submit {
            context: queued.context.handle,
            engine: queued.engine,
            objects: at as u64,
            object_count: u32::try_from(count).map_err(|_| Error::TooLarge)?,
            batch_start: queued.start,
            batch_len: queued.length,
            flags: SubmitFlags::BATCH_FIRST.bits(),
            fences: fences as u64,
            fence_count: u32::try_from(queued.after.len()).map_err(|_| Error::TooLarge)?,
            rsvd: 0,
        };
        let request = RingRequest { submit, user: queued.tag, flags: 0, rsvd: 0 };
        let words = self.transport.rings().ok_or(Error::NoQueue)?;
        let queue = self.queue.as_mut().ok_or(Error::NoQueue)?;
        queue.requests.push(words, &zerocopy::transmute!(request)).map_err(|error| match error {
            PushError::Full => Error::QueueFull,
            PushError::Corrupt => Error::Protocol,
        })?;
        queue.outstanding += 1;
        queue.appended += 1;
        Ok(())
    }

    /// Shows the driver what was appended, with one notification if it is asleep and none if it is not.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code = gpu.create_buffer(4096)?;
    /// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// # use gpu_client::{Access, Context, Queued, UsedObject};
    /// # let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// # let context = &Context::DEFAULT;
    /// let queued = Queued { context, engine: 3, batch, start: 0, length: 8, objects: &[], after: &[], tag: 5 };
    /// gpu.enqueue(&queued)?;
    /// gpu.enqueue(&queued)?;
    /// gpu.flush()?;
    /// assert_eq!(gpu.transport().notifications, 1);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoQueue`].
    pub fn flush(&mut self) -> Result<(), Error> {
        let words = self.transport.rings().ok_or(Error::NoQueue)?;
        let queue = self.queue.as_mut().ok_or(Error::NoQueue)?;
        let room = queue.answers.release(words);
        if queue.requests.publish(words) || room {
            self.transport.notify();
        }
        Ok(())
    }

    /// Takes out the next answer, if there is one. Costs no call.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code = gpu.create_buffer(4096)?;
    /// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// # use gpu_client::{Access, Context, Queued, UsedObject};
    /// # let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// # let context = &Context::DEFAULT;
    /// let queued = Queued { context, engine: 3, batch, start: 0, length: 8, objects: &[], after: &[], tag: 5 };
    /// assert_eq!(gpu.next_answer()?, None);
    /// gpu.enqueue(&queued)?;
    /// gpu.wait_answers(1)?;
    /// assert!(gpu.next_answer()?.is_some());
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoQueue`]; [`Error::Protocol`] if the rings contradict themselves.
    pub fn next_answer(&mut self) -> Result<Option<Answer>, Error> {
        let words = self.transport.rings().ok_or(Error::NoQueue)?;
        let queue = self.queue.as_mut().ok_or(Error::NoQueue)?;
        let Some(entry) = queue.answers.pop(words).map_err(|_| Error::Protocol)? else {
            if queue.answers.release(words) {
                self.transport.notify();
            }
            return Ok(None);
        };
        queue.outstanding = queue.outstanding.saturating_sub(1);
        let answer: RingAnswer = zerocopy::transmute!(entry);
        let fence = Fence { timeline: answer.timeline, point: answer.point };
        let result = Errno::status(answer.errno.into()).map(|()| fence);
        Ok(Some(Answer { tag: answer.user, result }))
    }

    /// Flushes, then sleeps until `count` answers are there, or all that can come. One notification wakes
    /// the client, however many they are.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code = gpu.create_buffer(4096)?;
    /// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// # use gpu_client::{Access, Context, Queued, UsedObject};
    /// # let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// # let context = &Context::DEFAULT;
    /// let queued = Queued { context, engine: 3, batch, start: 0, length: 8, objects: &[], after: &[], tag: 5 };
    /// for _ in 0..4 {
    ///     gpu.enqueue(&queued)?;
    /// }
    /// gpu.wait_answers(4)?;
    /// for _ in 0..4 {
    ///     assert!(gpu.next_answer()?.is_some());
    /// }
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::next_answer`].
    pub fn wait_answers(&mut self, count: u64) -> Result<(), Error> {
        self.flush()?;
        let count = count.min(self.queued());
        while count > 0 && self.arm(count)? {
            self.transport.sleep();
        }
        Ok(())
    }

    /// Flushes, then asks the driver to notify this domain when `count` answers are there, or all that can come: for a domain
    /// that returns to its event loop instead of sleeping. `false` if they are there already: then no notification comes. The
    /// driver notifies once for each time that it is asked.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let code = gpu.create_buffer(4096)?;
    /// # gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// # use gpu_client::{Access, Context, Queued, UsedObject};
    /// # let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// # let context = &Context::DEFAULT;
    /// let queued = Queued { context, engine: 3, batch, start: 0, length: 8, objects: &[], after: &[], tag: 5 };
    /// gpu.enqueue(&queued)?;
    /// // In the event loop, from here on whenever the driver notifies:
    /// while !gpu.ask_for_answers(1)? {
    ///     let Some(answer) = gpu.next_answer()? else { break };
    ///     assert!(answer.result.is_ok());
    /// }
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::next_answer`].
    pub fn ask_for_answers(&mut self, count: u64) -> Result<bool, Error> {
        self.flush()?;
        let count = count.min(self.queued());
        if count == 0 { Ok(false) } else { self.arm(count) }
    }

    /// Whether to sleep until so many answers are there, which the driver tells then.
    fn arm(&mut self, count: u64) -> Result<bool, Error> {
        let words = self.transport.rings().ok_or(Error::NoQueue)?;
        let queue = self.queue.as_mut().ok_or(Error::NoQueue)?;
        queue.answers.arm(words, count).map_err(|_| Error::Protocol)
    }

    /// Lends the driver what it has asked for, out of these objects: after an answer of `EAGAIN`, before
    /// the batch is queued again.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let memory: gpu_client::Lendable = shared.rig().region(0, 1).into();
    /// # shared.rig().poke(conformance::client_memory(0), &[0x0500_0000, 0]);
    /// use gpu_client::{Access, Context, Errno, Queued, UsedObject};
    ///
    /// let code = gpu.create_userptr(memory)?;
    /// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// let queued =
    ///     Queued { context: &Context::DEFAULT, engine: 3, batch, start: 0, length: 8, objects: &[], after: &[], tag: 5 };
    /// gpu.enqueue(&queued)?;
    /// gpu.wait_answers(1)?;
    /// assert_eq!(gpu.next_answer()?.unwrap().result, Err(Errno::Again), "nobody has lent its page");
    /// gpu.lend_for(&[batch])?;
    /// gpu.enqueue(&queued)?;
    /// gpu.wait_answers(1)?;
    /// assert!(gpu.next_answer()?.unwrap().result.is_ok());
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// Only what a driver of another version would answer. What is asked for of other objects is put off: the next batch that
    /// uses one is answered `EAGAIN` once more. So all objects of a batch are named at once.
    pub fn lend_for(&mut self, objects: &[UsedObject<'_>]) -> Result<(), Error> {
        self.lend_what_is_asked(objects.iter()).map(drop)
    }
}
