// SPDX-License-Identifier: BSD-2-Clause
//! I/O ports: `<ioport id= addr= size=>` in system.xml.
//!
//! The kernel makes the access; a port outside the range is refused. The ports are those of the machine,
//! not offsets into the range.

use sel4::cap;

use crate::layout::{MAX_IDS, slot, system};
use crate::thread;

pub use sel4::Result;

/// A range of I/O ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoPort {
    id: usize,
}

impl IoPort {
    /// The range of this id in system.xml.
    ///
    /// # Panics
    ///
    /// When the id is larger than any range's (61). In a constant that is an error at compile time.
    pub const fn new(id: usize) -> Self {
        assert!(id < MAX_IDS, "an I/O port id is at most 61");
        Self { id }
    }

    /// The id.
    pub const fn id(&self) -> usize {
        self.id
    }

    #[track_caller]
    fn cap(&self) -> cap::IoPort {
        assert!(thread::ioports() & (1 << self.id) != 0, "no I/O port range has the id '{}'", self.id);
        thread::ready();
        cap::IoPort::from_cptr(system(slot::IO_PORT + self.id))
    }

    /// Reads 8 bits from `port`.
    ///
    /// # Panics
    ///
    /// Like all operations here, when system.xml has no range of this id.
    #[track_caller]
    pub fn in8(&self, port: u16) -> Result<u8> {
        self.cap().in8(port)
    }

    /// Reads 16 bits from `port`.
    #[track_caller]
    pub fn in16(&self, port: u16) -> Result<u16> {
        self.cap().in16(port)
    }

    /// Reads 32 bits from `port`.
    #[track_caller]
    pub fn in32(&self, port: u16) -> Result<u32> {
        self.cap().in32(port)
    }

    /// Writes 8 bits to `port`.
    #[track_caller]
    pub fn out8(&self, port: u16, value: u8) -> Result<()> {
        self.cap().out8(port, value)
    }

    /// Writes 16 bits to `port`.
    #[track_caller]
    pub fn out16(&self, port: u16, value: u16) -> Result<()> {
        self.cap().out16(port, value)
    }

    /// Writes 32 bits to `port`.
    #[track_caller]
    pub fn out32(&self, port: u16, value: u32) -> Result<()> {
        self.cap().out32(port, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "no I/O port range has the id '2'")]
    fn a_range_that_system_xml_does_not_name_cannot_be_used() {
        let _ = IoPort::new(2).in8(0x80);
    }
}
