// SPDX-License-Identifier: BSD-2-Clause
//! Buffers: objects in the driver's memory, which the client reads and writes by message; and of every object, whether
//! the GPU uses it.

use gpu_protocol::{Errno, GemBusy, GemCreate, GemTransfer, GemWait, Operation};
use zerocopy::{Immutable, IntoBytes};

use crate::connection::{PAYLOAD, to_handle};
use crate::queue::CALLS;
use crate::{Error, Frames, Gpu, Lendable, Object, Transport};

/// Which classes of engines use an object: batches that are submitted and not done.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// let buffer = gpu.create_buffer(4096)?;
/// let usage = gpu.usage(&buffer)?;
/// assert_eq!((usage.readers, usage.writer), (0, None));
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// A bit for each class of engines (i915's numbers: 0 render, 1 copy, 2 video, 3 video enhance).
    pub readers: u16,
    /// The class of one that writes it.
    pub writer: Option<u16>,
}

impl<T: Transport> Gpu<T> {
    /// Makes an object in the driver's memory, full of zeros, of `bytes` rounded up to whole pages. No page of the
    /// client's is lent for it; its memory is counted against what the client may have of the driver's.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Access, UsedObject, blit::Commands};
    ///
    /// let vm = gpu.create_vm()?;
    /// let context = gpu.create_context(&vm)?;
    /// let (code, data) = (gpu.create_buffer(64)?, gpu.create_buffer(4096)?);
    /// let mut dwords = [0; 16];
    /// let mut commands = Commands::new(&mut dwords);
    /// commands.store_dword(0x20_0000, 7).unwrap();
    /// let length = commands.finish().unwrap();
    /// let bytes: Vec<u8> = dwords.iter().flat_map(|dword| dword.to_le_bytes()).collect();
    /// gpu.write(&code, 0, &bytes)?;
    ///
    /// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// let written = UsedObject { object: &data, address: 0x20_0000, access: Access::Write };
    /// gpu.submit(&context, 3, batch, 0..length, &[written])?;
    /// let mut word = [0; 4];
    /// gpu.read(&data, 0, &mut word)?;
    /// assert_eq!(word, [7, 0, 0, 0]);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EINVAL` for no bytes, `E2BIG` for more than an address space has, `ENOMEM` when the client's quota or the
    /// driver's memory is exhausted.
    pub fn create_buffer(&mut self, bytes: u64) -> Result<Object, Error> {
        let handle = self.ask(Operation::GemCreate, &GemCreate { size: bytes, handle: 0, pad: 0 })?;
        let lendable = Lendable { address: 0, size: 0, frames: Frames::Foreign };
        Ok(Object { handle: to_handle(handle)?, lendable })
    }

    /// Copies bytes out of a buffer, from `offset` on. Sleeps while batches write it.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// let buffer = gpu.create_buffer(10_000)?;
    /// gpu.write(&buffer, 9_997, b"end")?;
    /// let mut bytes = [0xff; 5];
    /// gpu.read(&buffer, 9_995, &mut bytes)?;
    /// assert_eq!(&bytes, b"\0\0end");
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EINVAL` for bytes that are not in the object, or one that is made of lent pages. What a batch left that was
    /// stopped can be read.
    pub fn read(&mut self, object: &Object, offset: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let mut at = offset;
        for piece in bytes.chunks_mut(self.piece()) {
            self.transfer(Operation::GemRead, object, at, piece.len())?;
            self.transport.read_area(PAYLOAD, piece);
            at = at.saturating_add(piece.len() as u64);
        }
        Ok(())
    }

    /// Copies bytes into a buffer, from `offset` on. Sleeps while batches use it.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # let region = shared.rig().region(0, 1);
    /// use gpu_client::{Errno, Error};
    ///
    /// let buffer = gpu.create_buffer(4096)?;
    /// gpu.write(&buffer, 0, &[1; 4096])?;
    /// assert_eq!(gpu.write(&buffer, 1, &[1; 4096]), Err(Error::Refused(Errno::Inval)));
    /// // Lent pages are the client's own, who writes them by himself.
    /// let lent = gpu.create_userptr(region.into())?;
    /// assert_eq!(gpu.write(&lent, 0, &[1]), Err(Error::Refused(Errno::Inval)));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::read`]. What lies before the first piece that is refused has been written.
    pub fn write(&mut self, object: &Object, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut at = offset;
        for piece in bytes.chunks(self.piece()) {
            self.transport.write_area(PAYLOAD, piece);
            self.transfer(Operation::GemWrite, object, at, piece.len())?;
            at = at.saturating_add(piece.len() as u64);
        }
        Ok(())
    }

    /// Which engines use an object now, also one that another client uses.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// # shared.rig().set_timing(gpu_model::Timing::Busy);
    /// use gpu_client::{Access, Context, UsedObject};
    ///
    /// let code = gpu.create_buffer(4096)?;
    /// gpu.write(&code, 0, &0x0500_0000_u32.to_le_bytes())?;
    /// let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
    /// // The blitter, which is of class 1.
    /// gpu.submit(&Context::DEFAULT, 3, batch, 0..8, &[])?;
    /// assert_eq!(gpu.usage(&code)?.readers, 1 << 1);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOENT` if the driver no longer knows the object.
    pub fn usage(&mut self, object: &Object) -> Result<Usage, Error> {
        let answer = self.ask(Operation::GemBusy, &GemBusy { handle: object.handle, busy: 0 })?;
        let answer = to_handle(answer)?;
        let half = |word: u32| u16::try_from(word & 0xffff).unwrap_or(0);
        Ok(Usage { readers: half(answer >> 16), writer: half(answer).checked_sub(1) })
    }

    /// Sleeps until no batch uses an object, whoever submitted it.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// let buffer = gpu.create_buffer(4096)?;
    /// gpu.wait_idle(&buffer)?;
    /// gpu.close(buffer)?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOENT` if the driver no longer knows the object.
    pub fn wait_idle(&mut self, object: &Object) -> Result<(), Error> {
        let wait = GemWait { handle: object.handle, flags: 0, timeout_ns: -1 };
        self.ask_until_idle(Operation::GemWait, &wait)
    }

    /// Bytes that one call copies: what of the message area the queue does not use.
    pub(crate) fn piece(&self) -> usize {
        let end = if self.queue.is_some() { CALLS } else { self.transport.area_len() };
        end.min(self.transport.area_len()).saturating_sub(PAYLOAD).max(1)
    }

    fn transfer(
        &mut self,
        operation: Operation,
        object: &Object,
        offset: u64,
        size: usize,
    ) -> Result<(), Error> {
        let transfer =
            GemTransfer { handle: object.handle, pad: 0, offset, size: size as u64, data: PAYLOAD as u64 };
        self.ask_until_idle(operation, &transfer)
    }

    /// Asks again whenever the driver has said that the GPU is done.
    fn ask_until_idle<A: IntoBytes + Immutable>(
        &mut self,
        operation: Operation,
        argument: &A,
    ) -> Result<(), Error> {
        loop {
            let reply = self.call(operation, argument, None)?;
            match reply.status {
                Ok(()) => return Ok(()),
                Err(Errno::Again) if reply.count > 0 && reply.words[0] == 1 => self.transport.sleep(),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
