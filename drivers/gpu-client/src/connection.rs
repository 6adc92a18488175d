// SPDX-License-Identifier: BSD-2-Clause
//! The connection and what is created through it.

use gpu_protocol::{
    Connect, ContextDestroy, Errno, GemClose, GetParam, Operation, Param, ReadErrorState, Reply,
    UserptrFlags, VERSION, VmCreate, VmDestroy,
};
use zerocopy::{Immutable, IntoBytes};

use crate::queue::Queue;
use crate::{ContextBuilder, Lendable, Transport};

/// Offset in the message area of an operation's structure; what it points to follows.
const ARGUMENT: usize = 0;
/// Offset of what an argument structure points to.
pub(crate) const PAYLOAD: usize = 256;

/// Why an operation did not happen.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// use gpu_client::{Errno, Error, Vm};
///
/// let error = gpu.destroy_vm(Vm::from_handle(7)).unwrap_err();
/// assert_eq!(error, Error::Refused(Errno::NoEnt));
/// assert_eq!(error.to_string(), "the driver answered ENOENT");
/// ```
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
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// let vm = gpu.create_vm()?;
/// gpu.destroy_vm(vm)?;
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Vm {
    pub(crate) handle: u32,
}

/// A context: state on the GPU and the address space that it runs in.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// let vm = gpu.create_vm()?;
/// let context = gpu.create_context(&vm)?;
/// gpu.destroy_context(context)?;
/// # Ok::<(), gpu_client::Error>(())
/// ```
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
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// # let region = shared.rig().region(0, 1);
/// let lent = gpu.create_userptr(region.into())?;
/// let buffer = gpu.create_buffer(4096)?;
/// gpu.close(lent)?;
/// gpu.close(buffer)?;
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Object {
    pub(crate) handle: u32,
    pub(crate) lendable: Lendable,
}

/// A connection to the driver domain.
///
/// ```
/// # let shared = conformance::client("tgl").0;
/// # let transport = shared.link(0);
/// use gpu_client::{Gpu, Param};
///
/// let mut gpu = Gpu::connect(transport)?;
/// assert_eq!(gpu.param(Param::HasPpgtt)?, 2);
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Debug)]
pub struct Gpu<T> {
    pub(crate) transport: T,
    engines: u64,
    pub(crate) queue: Option<Queue>,
}

impl<T: Transport> Gpu<T> {
    /// Connects.
    ///
    /// ```
    /// # let shared = conformance::client("tgl").0;
    /// # let transport = shared.link(0);
    /// let gpu = gpu_client::Gpu::connect(transport)?;
    /// assert!(gpu.engines() >= 4);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Version`] for a driver of another version; `ENODEV` when there is no usable GPU.
    pub fn connect(transport: T) -> Result<Self, Error> {
        Self::connect_with(transport, 0)
    }

    /// Connects after everything is gone that the driver may still have of this client: for domains that their parent
    /// may have restarted, which do not know it. The first time it does what [`Gpu::connect`] does.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let transport = shared.link(0);
    /// use gpu_client::{Errno, Error, Gpu};
    ///
    /// let vm = gpu.create_vm()?;
    /// // Its next life.
    /// let mut gpu = Gpu::connect_afresh(transport)?;
    /// assert_eq!(gpu.destroy_vm(vm), Err(Error::Refused(Errno::NoEnt)));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Gpu::connect`]; `EAGAIN` when the GPU does not let go of what the client had.
    pub fn connect_afresh(transport: T) -> Result<Self, Error> {
        Self::connect_with(transport, Connect::AFRESH)
    }

    fn connect_with(transport: T, flags: u32) -> Result<Self, Error> {
        // Between two calls the driver, which has the higher priority, sees to the GPU's interrupts. A call takes a
        // microsecond at least; the longest wait is for pages that others' batches use, half a second and a reset, after
        // which the driver gives the GPU up.
        const TRIES: u32 = 10_000_000;
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
    ///
    /// ```
    /// # let (shared, gpu) = conformance::client("tgl");
    /// // Render, copy, two video, video enhance.
    /// assert_eq!(gpu.engines(), 5);
    /// ```
    pub const fn engines(&self) -> u64 {
        self.engines
    }

    /// Reads a value of the device.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::Param;
    ///
    /// let hertz = gpu.param(Param::CsTimestampFrequency)?;
    /// assert!(hertz > 1_000_000);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EINVAL` for a parameter that the driver does not know.
    pub fn param(&mut self, param: Param) -> Result<u64, Error> {
        self.ask(Operation::GetParam, &GetParam { param: param as u64 })
    }

    /// Creates an address space.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// let vm = gpu.create_vm()?;
    /// // Two contexts that see the same memory.
    /// let contexts = [gpu.create_context(&vm)?, gpu.create_context(&vm)?];
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOMEM` when the client's quota is exhausted.
    pub fn create_vm(&mut self) -> Result<Vm, Error> {
        let handle = self.ask(Operation::VmCreate, &VmCreate { extensions: 0, flags: 0, vm_id: 0 })?;
        Ok(Vm { handle: to_handle(handle)? })
    }

    /// Drops the handle of an address space. Contexts that use it keep it.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// let vm = gpu.create_vm()?;
    /// let context = gpu.create_context(&vm)?;
    /// // The context keeps it.
    /// gpu.destroy_vm(vm)?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOENT` if the driver no longer knows it.
    pub fn destroy_vm(&mut self, vm: Vm) -> Result<(), Error> {
        self.ask(Operation::VmDestroy, &VmDestroy { extensions: 0, flags: 0, vm_id: vm.handle }).map(drop)
    }

    /// Creates a context in an address space, otherwise with the defaults: see [`ContextBuilder`] for others.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// let vm = gpu.create_vm()?;
    /// let context = gpu.create_context(&vm)?;
    /// assert_eq!(gpu.reset_counts(&context)?.guilty, 0);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOMEM` when the client's quota is exhausted, `EIO` when the device is wedged or the client is banned.
    pub fn create_context(&mut self, vm: &Vm) -> Result<Context, Error> {
        self.create_context_with(&ContextBuilder::new().in_vm(vm))
    }

    /// Destroys a context. What it still runs is finished or cancelled by the driver.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// let vm = gpu.create_vm()?;
    /// let context = gpu.create_context(&vm)?;
    /// gpu.destroy_context(context)?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOENT` if the driver no longer knows it.
    pub fn destroy_context(&mut self, context: Context) -> Result<(), Error> {
        self.ask(Operation::ContextDestroy, &ContextDestroy { ctx_id: context.handle, pad: 0 }).map(drop)
    }

    /// Makes an object out of the client's own memory. Its pages are lent at first use.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let memory: gpu_client::Lendable = shared.rig().region(0, 4).into();
    /// use gpu_client::{Errno, Error};
    ///
    /// let object = gpu.create_userptr(memory)?;
    /// // The same pages twice would be taken back twice.
    /// assert_eq!(gpu.create_userptr(memory), Err(Error::Refused(Errno::Inval)));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EINVAL` for a range that is empty, unaligned or overlaps another object's, `EFAULT` for one
    /// outside the user half of the address space, `ENOMEM` when the client's quota is exhausted.
    pub fn create_userptr(&mut self, lendable: Lendable) -> Result<Object, Error> {
        self.create_userptr_with(lendable, UserptrFlags::empty())
    }

    /// Makes an object out of a part of the client's own memory, given in bytes from its start.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let memory: gpu_client::Lendable = shared.rig().region(0, 4).into();
    /// let first = gpu.create_userptr_in(memory, 0..0x1000)?;
    /// let others = gpu.create_userptr_in(memory, 0x1000..0x4000)?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
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
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// let buffer = gpu.create_buffer(4096)?;
    /// gpu.close(buffer)?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOENT` if the driver no longer knows it.
    pub fn close(&mut self, object: Object) -> Result<(), Error> {
        self.ask(Operation::GemClose, &GemClose { handle: object.handle, pad: 0 }).map(drop)
    }

    /// Reads a piece, from byte `offset` on, of what was recorded when a batch of this client hung, the first of all
    /// since the start: text in the format of i915's error state. Returns the number of bytes and the length of the
    /// whole text, 0 if nothing hung.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// let mut text = [0; 256];
    /// assert_eq!(gpu.error_state(0, &mut text)?, (0, 0), "nothing has hung");
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EPERM` if it was another client's batch.
    pub fn error_state(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(usize, u64), Error> {
        // What the queue has in the area behind that stays as it is.
        let room = self.piece().min(bytes.len());
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

    /// The transport, for what the library does not do.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::Transport;
    ///
    /// assert!(gpu.transport().area_len() >= 4096);
    /// ```
    pub const fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Writes a structure into the message area.
    pub(crate) fn put<A: IntoBytes + Immutable + ?Sized>(
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
        self.put(ARGUMENT, argument)?;
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
