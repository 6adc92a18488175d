// SPDX-License-Identifier: BSD-2-Clause
//! The commands that every engine understands, for the builder [`Commands`].
//!
//! Encodings: PRM Volume 2a, command reference (`MI_STORE_DATA_IMM`, `MI_COPY_MEM_MEM`, `MI_FLUSH_DW`,
//! `MI_SEMAPHORE_WAIT`, `MI_ARB_CHECK`; Broadwell to Tiger Lake). All of them use the context's own address
//! space.

use gpu_protocol::Param;

use crate::blit::{BlitError, Commands, MAX_ADDRESS};
use crate::{Error, Gpu, Transport};

/// `MI_ARB_CHECK`.
const ARB_CHECK: u32 = 0x05 << 23;
/// `MI_STORE_DATA_IMM` of one dword, 4 dwords.
const STORE_DWORD: u32 = 0x20 << 23 | (4 - 2);
/// `MI_STORE_DATA_IMM` of a quadword (bit 21), 5 dwords.
const STORE_QWORD: u32 = 0x20 << 23 | 1 << 21 | (5 - 2);
/// `MI_COPY_MEM_MEM`, 5 dwords.
const COPY_DWORD: u32 = 0x2e << 23 | (5 - 2);
/// `MI_FLUSH_DW`, 5 dwords; post-sync operation in bits 15:14: 1 writes a quadword, 3 the timestamp.
const FLUSH: u32 = 0x26 << 23 | (5 - 2);
const FLUSH_STORE: u32 = 1 << 14;
const FLUSH_TIMESTAMP: u32 = 3 << 14;
/// `MI_SEMAPHORE_WAIT`, polling (bit 15); 4 dwords, on Gen12 5 with a wait token.
const SEMAPHORE_WAIT: u32 = 0x1c << 23 | 1 << 15 | (4 - 2);

/// What `MI_SEMAPHORE_WAIT` compares: memory with the value of the command, unsigned.
///
/// ```
/// use gpu_client::mi::{Comparison, Semaphores};
///
/// let mut dwords = [0; 8];
/// let mut commands = gpu_client::blit::Commands::new(&mut dwords);
/// // Until somebody has stored 1 there.
/// commands.wait_until(0x3000, Comparison::Equal, 1, Semaphores::Plain)?;
/// # Ok::<(), gpu_client::blit::BlitError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Comparison {
    /// Memory is greater.
    Greater = 0,
    /// Memory is greater or equal.
    GreaterOrEqual = 1,
    /// Memory is less.
    Less = 2,
    /// Memory is less or equal.
    LessOrEqual = 3,
    /// They are equal.
    Equal = 4,
    /// They differ.
    NotEqual = 5,
}

/// How a part encodes `MI_SEMAPHORE_WAIT`; [`Gpu::semaphores`] tells.
///
/// ```
/// use gpu_client::mi::{Comparison, Semaphores};
///
/// let length = |semaphores| {
///     let mut dwords = [0; 8];
///     let mut commands = gpu_client::blit::Commands::new(&mut dwords);
///     commands.wait_until(0x3000, Comparison::Less, 1, semaphores).map(|()| commands.used())
/// };
/// assert_eq!((length(Semaphores::Plain), length(Semaphores::WithToken)), (Ok(4), Ok(5)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semaphores {
    /// Gen8 to Gen11.
    Plain,
    /// Gen12: with a wait token.
    WithToken,
}

impl Semaphores {
    /// By the PCI device id: Tiger Lake, Rocket Lake, Alder Lake, and Raptor Lake-S are Gen12 (i915:
    /// include/drm/i915_pciids.h).
    const fn of_device(id: u64) -> Self {
        if matches!(id >> 8, 0x9a | 0x4c | 0x46 | 0xa7) { Self::WithToken } else { Self::Plain }
    }
}

impl<T: Transport> Gpu<T> {
    /// How this part encodes `MI_SEMAPHORE_WAIT`, for [`Commands::wait_until`].
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{blit::Commands, mi::Comparison};
    ///
    /// let semaphores = gpu.semaphores()?;
    /// let mut dwords = [0; 8];
    /// let mut commands = Commands::new(&mut dwords);
    /// commands.wait_until(0x3000, Comparison::Equal, 1, semaphores).unwrap();
    /// assert_eq!(commands.used(), 5);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// Only what a driver of another version would answer.
    pub fn semaphores(&mut self) -> Result<Semaphores, Error> {
        self.param(Param::ChipsetId).map(Semaphores::of_device)
    }
}

impl Commands<'_> {
    /// Stores 32 bits at a multiple of 4.
    ///
    /// ```
    /// use gpu_client::blit::Commands;
    ///
    /// let mut dwords = [0; 8];
    /// let mut commands = Commands::new(&mut dwords);
    /// commands.store_dword(0x1_0000_2004, 7)?;
    /// assert_eq!(commands.finish()?, 24);
    /// assert_eq!(dwords[..5], [0x1000_0002, 0x2004, 0x1, 7, 0x0500_0000]);
    /// # Ok::<(), gpu_client::blit::BlitError>(())
    /// ```
    ///
    /// # Errors
    /// [`BlitError::Surface`] for an address that is unaligned or too large, [`BlitError::BatchFull`].
    pub fn store_dword(&mut self, address: u64, value: u32) -> Result<(), BlitError> {
        let [low, high] = halves(address, 4)?;
        self.emit(&[STORE_DWORD, low, high, value])
    }

    /// Stores 64 bits at a multiple of 8.
    ///
    /// ```
    /// use gpu_client::blit::{BlitError, Commands};
    ///
    /// let mut dwords = [0; 8];
    /// let mut commands = Commands::new(&mut dwords);
    /// assert_eq!(commands.store_qword(0x2004, 7), Err(BlitError::Surface));
    /// commands.store_qword(0x2008, 7)?;
    /// # Ok::<(), BlitError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::store_dword`].
    pub fn store_qword(&mut self, address: u64, value: u64) -> Result<(), BlitError> {
        let [low, high] = halves(address, 8)?;
        let [value_low, value_high] = split(value);
        self.emit(&[STORE_QWORD, low, high, value_low, value_high])
    }

    /// Copies 32 bits from one multiple of 4 to another.
    ///
    /// ```
    /// use gpu_client::blit::Commands;
    ///
    /// let mut dwords = [0; 8];
    /// let mut commands = Commands::new(&mut dwords);
    /// commands.copy_dword(0x3000, 0x2000)?;
    /// # Ok::<(), gpu_client::blit::BlitError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::store_dword`].
    pub fn copy_dword(&mut self, to: u64, from: u64) -> Result<(), BlitError> {
        let ([to_low, to_high], [from_low, from_high]) = (halves(to, 4)?, halves(from, 4)?);
        self.emit(&[COPY_DWORD, to_low, to_high, from_low, from_high])
    }

    /// Waits until what the engine wrote before is in memory, then stores 64 bits at a multiple of 8. For
    /// the blitter and the video engines.
    ///
    /// ```
    /// use gpu_client::blit::Commands;
    ///
    /// let mut dwords = [0; 8];
    /// let mut commands = Commands::new(&mut dwords);
    /// commands.flush_and_store(0x3000, 1)?;
    /// # Ok::<(), gpu_client::blit::BlitError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::store_dword`].
    pub fn flush_and_store(&mut self, address: u64, value: u64) -> Result<(), BlitError> {
        let [low, high] = halves(address, 8)?;
        let [value_low, value_high] = split(value);
        self.emit(&[FLUSH | FLUSH_STORE, low, high, value_low, value_high])
    }

    /// Waits until what the engine wrote before is in memory, then stores the command streamer's
    /// timestamp (its frequency is [`Param::CsTimestampFrequency`](crate::Param)) at a multiple of 8. For
    /// the blitter and the video engines.
    ///
    /// ```
    /// use gpu_client::blit::Commands;
    ///
    /// let mut dwords = [0; 8];
    /// let mut commands = Commands::new(&mut dwords);
    /// commands.flush_and_stamp(0x3008)?;
    /// # Ok::<(), gpu_client::blit::BlitError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::store_dword`].
    pub fn flush_and_stamp(&mut self, address: u64) -> Result<(), BlitError> {
        let [low, high] = halves(address, 8)?;
        self.emit(&[FLUSH | FLUSH_TIMESTAMP, low, high, 0, 0])
    }

    /// Lets the engine look whether somebody more urgent waits.
    ///
    /// ```
    /// use gpu_client::blit::Commands;
    ///
    /// let mut dwords = [0; 2];
    /// let mut commands = Commands::new(&mut dwords);
    /// commands.arbitration_point()?;
    /// assert_eq!(commands.finish()?, 8);
    /// assert_eq!(dwords, [0x0280_0000, 0x0500_0000]);
    /// # Ok::<(), gpu_client::blit::BlitError>(())
    /// ```
    ///
    /// # Errors
    /// [`BlitError::BatchFull`].
    pub fn arbitration_point(&mut self) -> Result<(), BlitError> {
        self.emit(&[ARB_CHECK])
    }

    /// Waits until the 32 bits at a multiple of 4 compare with `value` as told. The driver stops a batch
    /// that waits too long. `semaphores` is the part's ([`Gpu::semaphores`]).
    ///
    /// ```
    /// use gpu_client::blit::Commands;
    /// use gpu_client::mi::{Comparison, Semaphores};
    ///
    /// let mut dwords = [0; 8];
    /// let mut commands = Commands::new(&mut dwords);
    /// commands.wait_until(0x3000, Comparison::GreaterOrEqual, 5, Semaphores::WithToken)?;
    /// assert_eq!(dwords[..5], [0x0e00_9003, 5, 0x3000, 0, 0]);
    /// # Ok::<(), gpu_client::blit::BlitError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::store_dword`].
    pub fn wait_until(
        &mut self,
        address: u64,
        comparison: Comparison,
        value: u32,
        semaphores: Semaphores,
    ) -> Result<(), BlitError> {
        let [low, high] = halves(address, 4)?;
        let header = SEMAPHORE_WAIT | (comparison as u32) << 12;
        match semaphores {
            Semaphores::Plain => self.emit(&[header, value, low, high]),
            Semaphores::WithToken => self.emit(&[header + 1, value, low, high, 0]),
        }
    }
}

/// An address as a command has it.
fn halves(address: u64, alignment: u64) -> Result<[u32; 2], BlitError> {
    if !address.is_multiple_of(alignment) || address >= MAX_ADDRESS {
        return Err(BlitError::Surface);
    }
    Ok(split(address))
}

#[allow(clippy::cast_possible_truncation)]
const fn split(value: u64) -> [u32; 2] {
    // CAST: the two halves.
    [value as u32, (value >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use intel_gpu::device::{Generation, PciIdentity};

    use super::*;

    #[test]
    fn every_part_of_the_driver_has_its_encoding() {
        let mut parts = 0;
        for device in 0..=u16::MAX {
            let identity = PciIdentity { vendor: 0x8086, device, revision: 0, ggc: 0 };
            let Ok((platform, _)) = identity.platform() else { continue };
            let with_token = Semaphores::of_device(device.into()) == Semaphores::WithToken;
            assert_eq!(with_token, platform.generation == Generation::Gen12, "{device:#x}");
            parts += 1;
        }
        assert!(parts > 180, "{parts}");
    }

    #[test]
    fn no_command_takes_an_address_that_is_unaligned_or_beyond_48_bits() {
        let mut dwords = [0; 64];
        let mut commands = Commands::new(&mut dwords);
        for address in [2, 0x1001, 1 << 48, u64::MAX - 7] {
            assert_eq!(commands.store_dword(address, 0), Err(BlitError::Surface), "{address:#x}");
            assert_eq!(commands.store_qword(address, 0), Err(BlitError::Surface));
            assert_eq!(commands.copy_dword(address, 0), Err(BlitError::Surface));
            assert_eq!(commands.copy_dword(0, address), Err(BlitError::Surface));
            assert_eq!(commands.flush_and_store(address, 0), Err(BlitError::Surface));
            assert_eq!(commands.flush_and_stamp(address), Err(BlitError::Surface));
            let wait = commands.wait_until(address, Comparison::Equal, 0, Semaphores::Plain);
            assert_eq!(wait, Err(BlitError::Surface));
        }
        assert_eq!(commands.store_qword(4, 0), Err(BlitError::Surface));
        assert_eq!(commands.finish(), Ok(8), "nothing was emitted");
    }

    #[test]
    fn commands_have_the_lengths_that_their_headers_say() {
        let mut dwords = [0; 64];
        let mut commands = Commands::new(&mut dwords);
        commands.store_dword(4, 1).unwrap();
        commands.store_qword(8, 1).unwrap();
        commands.copy_dword(4, 8).unwrap();
        commands.flush_and_store(8, 1).unwrap();
        commands.flush_and_stamp(8).unwrap();
        commands.wait_until(4, Comparison::NotEqual, 1, Semaphores::Plain).unwrap();
        commands.wait_until(4, Comparison::NotEqual, 1, Semaphores::WithToken).unwrap();
        let bytes = commands.finish().unwrap();
        // Walks from header to header: each length is the low byte plus 2.
        let mut at = 0;
        for _ in 0..7 {
            assert_eq!(dwords[at] >> 29, 0, "a command of every engine");
            at += (dwords[at] & 0xff) as usize + 2;
        }
        assert_eq!(dwords[at], 0x0500_0000);
        assert_eq!(bytes as usize, (at + 1).next_multiple_of(2) * 4);
    }
}
