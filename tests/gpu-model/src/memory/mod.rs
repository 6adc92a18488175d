// SPDX-License-Identifier: BSD-2-Clause
//! The memory that the GPU reaches by DMA.
//!
//! - [`VecMemory`]: one region, for host tests; clones share it.
//! - [`GuestRam`]: the RAM of a QEMU guest, several mapped files.
//! - [`vtd`]: translation by the guest's VT-d tables in front of either.

pub mod guest;
mod vec;
pub mod vtd;

pub use guest::GuestRam;
pub use vec::VecMemory;

use thiserror::Error;

/// Why a DMA access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MemoryError {
    /// No memory at that address.
    #[error("no memory at {0:#x}")]
    Unbacked(u64),
    /// The range crosses a page, which no access may.
    #[error("an access at {0:#x} crosses a page")]
    CrossesPage(u64),
    /// The IOMMU has no translation or refuses the access.
    #[error("the IOMMU refuses {0:#x}: {1}")]
    Iommu(u64, vtd::FaultReason),
}

impl<M: GuestMemory + ?Sized> GuestMemory for Box<M> {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        (**self).read(address, buffer)
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), MemoryError> {
        (**self).write(address, data)
    }

    fn compare_exchange(
        &mut self,
        address: u64,
        size: usize,
        current: u64,
        new: u64,
    ) -> Result<u64, MemoryError> {
        (**self).compare_exchange(address, size, current, new)
    }
}

/// Memory as a bus master sees it: addressed by device (DMA) addresses.
///
/// No access of the model crosses a 4 KiB boundary. Naturally aligned 4- and 8-byte accesses are single-copy
/// atomic.
pub trait GuestMemory: Send {
    /// Fills `buffer` from `address`.
    ///
    /// # Errors
    /// Some byte of the range is not reachable; the buffer's content is then undefined.
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError>;

    /// Writes `data` to `address`.
    ///
    /// # Errors
    /// Some byte of the range is not reachable; nothing was written.
    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), MemoryError>;

    /// Atomically replaces the `size` (4 or 8) bytes at `address` by `new` if they equal `current`; returns what
    /// was there.
    ///
    /// # Errors
    /// The range is not reachable or not naturally aligned.
    fn compare_exchange(
        &mut self,
        address: u64,
        size: usize,
        current: u64,
        new: u64,
    ) -> Result<u64, MemoryError>;

    /// Reads a little-endian dword.
    ///
    /// # Errors
    /// As for [`GuestMemory::read`].
    fn read_u32(&mut self, address: u64) -> Result<u32, MemoryError> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Reads a little-endian quadword.
    ///
    /// # Errors
    /// As for [`GuestMemory::read`].
    fn read_u64(&mut self, address: u64) -> Result<u64, MemoryError> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}
