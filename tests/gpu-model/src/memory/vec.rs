// SPDX-License-Identifier: BSD-2-Clause
//! Memory for host tests.

use std::ptr::NonNull;
use std::sync::Arc;

use super::{GuestMemory, MemoryError};
use crate::sys::Region;

/// One stretch of zeroed memory at a device address. Clones share the bytes: a test keeps one, the model has
/// another, and a driver works on it through [`VecMemory::pointer`].
#[derive(Clone, Debug)]
pub struct VecMemory {
    base: u64,
    region: Arc<Region>,
}

impl VecMemory {
    /// `len` bytes at device address `base`.
    ///
    /// # Panics
    /// The host has no such amount of memory, or `len` is 0 (a mistake of the test).
    #[must_use]
    #[expect(clippy::expect_used, reason = "constructor for tests, not reachable by a guest")]
    pub fn new(base: u64, len: usize) -> Self {
        Self { base, region: Arc::new(Region::anonymous(len).expect("anonymous memory")) }
    }

    /// First device address.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// Size in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.region.len()
    }

    /// Never true.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.region.is_empty()
    }

    /// CPU pointer to the `len` bytes at device address `address`, if all exist. Valid while a clone lives; the
    /// model accesses the same bytes, so use volatile accesses.
    #[must_use]
    pub fn pointer(&self, address: u64, len: usize) -> Option<NonNull<u8>> {
        self.region.pointer(self.offset(address)?, len)
    }

    fn offset(&self, address: u64) -> Option<usize> {
        usize::try_from(address.checked_sub(self.base)?).ok()
    }

    /// Reads a dword; `None` outside the memory.
    #[must_use]
    pub fn get_u32(&self, address: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        self.region.read(self.offset(address)?, &mut bytes).then(|| u32::from_le_bytes(bytes))
    }

    /// Reads a quadword; `None` outside the memory.
    #[must_use]
    pub fn get_u64(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.region.read(self.offset(address)?, &mut bytes).then(|| u64::from_le_bytes(bytes))
    }

    /// Writes bytes; `false`, with no effect, where they are not inside the memory.
    #[must_use = "a write outside the memory has no effect"]
    pub fn set(&self, address: u64, data: &[u8]) -> bool {
        self.offset(address).is_some_and(|offset| self.region.write(offset, data))
    }

    /// Writes a dword; `false` outside the memory.
    #[must_use = "a write outside the memory has no effect"]
    pub fn set_u32(&self, address: u64, value: u32) -> bool {
        self.set(address, &value.to_le_bytes())
    }

    /// Writes a quadword; `false` outside the memory.
    #[must_use = "a write outside the memory has no effect"]
    pub fn set_u64(&self, address: u64, value: u64) -> bool {
        self.set(address, &value.to_le_bytes())
    }
}

impl GuestMemory for VecMemory {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        let found = self.offset(address).is_some_and(|offset| self.region.read(offset, buffer));
        found.then_some(()).ok_or(MemoryError::Unbacked(address))
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), MemoryError> {
        self.set(address, data).then_some(()).ok_or(MemoryError::Unbacked(address))
    }

    fn compare_exchange(
        &mut self,
        address: u64,
        size: usize,
        current: u64,
        new: u64,
    ) -> Result<u64, MemoryError> {
        self.offset(address)
            .and_then(|offset| self.region.compare_exchange(offset, size, current, new))
            .ok_or(MemoryError::Unbacked(address))
    }
}
