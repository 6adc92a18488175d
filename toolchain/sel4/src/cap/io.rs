// SPDX-License-Identifier: BSD-2-Clause
//! I/O ports, and the address spaces of devices.

use super::{Frame, IoPageTable, IoPort, IoSpace};
use crate::CapRights;
use crate::abi::{invoke, label};
use crate::error::Result;

/// Reads and writes of ports. The kernel makes the access itself; a port outside the capability's range
/// is an [`IllegalOperation`](crate::Error::IllegalOperation).
impl IoPort {
    #[inline]
    fn input(self, label: u64, port: u16) -> Result<u64> {
        Ok(invoke(self.cptr(), label, [], [u64::from(port)])?[0])
    }

    #[inline]
    fn output(self, label: u64, port: u16, value: u32) -> Result<()> {
        invoke(self.cptr(), label, [], [u64::from(port), u64::from(value)])?;
        Ok(())
    }

    /// Reads 8 bits.
    #[allow(clippy::cast_possible_truncation, reason = "the kernel returns what the access read, widened")]
    pub fn in8(self, port: u16) -> Result<u8> {
        // CAST: the kernel returns what an access of this size read.
        self.input(label::X86IOPortIn8, port).map(|value| value as u8)
    }

    /// Reads 16 bits.
    #[allow(clippy::cast_possible_truncation, reason = "the kernel returns what the access read, widened")]
    pub fn in16(self, port: u16) -> Result<u16> {
        // CAST: the kernel returns what an access of this size read.
        self.input(label::X86IOPortIn16, port).map(|value| value as u16)
    }

    /// Reads 32 bits.
    #[allow(clippy::cast_possible_truncation, reason = "the kernel returns what the access read, widened")]
    pub fn in32(self, port: u16) -> Result<u32> {
        // CAST: the kernel returns what an access of this size read.
        self.input(label::X86IOPortIn32, port).map(|value| value as u32)
    }

    /// Writes 8 bits.
    pub fn out8(self, port: u16, value: u8) -> Result<()> {
        self.output(label::X86IOPortOut8, port, value.into())
    }

    /// Writes 16 bits.
    pub fn out16(self, port: u16, value: u16) -> Result<()> {
        self.output(label::X86IOPortOut16, port, value.into())
    }

    /// Writes 32 bits.
    pub fn out32(self, port: u16, value: u32) -> Result<()> {
        self.output(label::X86IOPortOut32, port, value)
    }
}

impl IoPageTable {
    /// Puts the table into a device's address space: the root if it has none yet, else the next level
    /// that is missing on the way to `address`. A page can be mapped once the last level is there: after
    /// as many tables as the boot information says there are levels. One table more the kernel takes for
    /// a page, so count them.
    pub fn map(self, space: IoSpace, address: u64) -> Result<()> {
        invoke(self.cptr(), label::X86IOPageTableMap, [space.cptr()], [address])?;
        Ok(())
    }

    /// Takes the table out again.
    pub fn unmap(self) -> Result<()> {
        invoke(self.cptr(), label::X86IOPageTableUnmap, [], [])?;
        Ok(())
    }
}

impl Frame {
    /// Maps a page of 4 KiB into a device's address space at `address`. A capability is mapped at most
    /// once, to a device or a thread: copy it for more.
    pub fn map_io(self, space: IoSpace, address: u64, rights: CapRights) -> Result<()> {
        invoke(self.cptr(), label::X86PageMapIO, [space.cptr()], [rights.bits(), address])?;
        Ok(())
    }
}
