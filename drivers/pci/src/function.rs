// SPDX-License-Identifier: BSD-2-Clause
//! A device function: who it is, and what it may do.

use bitflags::bitflags;

use crate::{Address, ConfigSpace, Error};

bitflags! {
    /// Bits of the command register.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Command: u16 {
        /// Answers accesses to its I/O BARs.
        const IO = 1 << 0;
        /// Answers accesses to its memory BARs.
        const MEMORY = 1 << 1;
        /// May read and write memory by itself, which includes sending MSIs.
        const BUS_MASTER = 1 << 2;
        /// Never asserts its INTx line.
        const INTX_OFF = 1 << 10;
    }
}

/// Who a function is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
    /// Revision.
    pub revision: u8,
    /// Base class, subclass, programming interface: 0x030000 is a VGA-compatible display controller.
    pub class: u32,
}

/// One function in a configuration space.
#[derive(Debug)]
pub struct Function<C> {
    space: C,
    address: Address,
}

impl<C: ConfigSpace> Function<C> {
    /// The function at `address`.
    pub const fn new(space: C, address: Address) -> Self {
        Self { space, address }
    }

    /// Its address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Who it is.
    ///
    /// # Errors
    /// [`Error::NoFunction`] when nothing answers.
    pub fn identity(&mut self) -> Result<Identity, Error> {
        let [vendor_low, vendor_high, device_low, device_high] = self.read(0x00).to_le_bytes();
        let vendor = u16::from_le_bytes([vendor_low, vendor_high]);
        if vendor == 0xffff || vendor == 0 {
            return Err(Error::NoFunction(self.address));
        }
        let class = self.read(0x08);
        Ok(Identity {
            vendor,
            device: u16::from_le_bytes([device_low, device_high]),
            revision: class.to_le_bytes()[0],
            class: class >> 8,
        })
    }

    /// Sets bits of the command register; the others stay. What is read back tells whether the function
    /// has them.
    pub fn enable(&mut self, bits: Command) -> Command {
        let command = self.command() | bits;
        self.write_command(command);
        self.command()
    }

    /// Clears bits of the command register.
    pub fn disable(&mut self, bits: Command) {
        let command = self.command() - bits;
        self.write_command(command);
    }

    /// The command register.
    pub fn command(&mut self) -> Command {
        Command::from_bits_retain(self.read16(0x04))
    }

    fn write_command(&mut self, command: Command) {
        // The upper half is the status register, where writing ones clears: zeroes leave it alone.
        self.write(0x04, u32::from(command.bits()));
    }

    /// Reads the dword at `register`, a multiple of 4.
    pub fn read(&mut self, register: u8) -> u32 {
        self.space.read(self.address, register & 0xfc)
    }

    /// Reads 16 bits at an even register.
    pub fn read16(&mut self, register: u8) -> u16 {
        let bytes = self.read(register).to_le_bytes();
        let at = usize::from(register & 2);
        u16::from_le_bytes([bytes[at], bytes[at + 1]])
    }

    /// Reads 8 bits.
    pub fn read8(&mut self, register: u8) -> u8 {
        self.read(register).to_le_bytes()[usize::from(register & 3)]
    }

    /// Writes the dword at `register`, a multiple of 4.
    pub fn write(&mut self, register: u8, value: u32) {
        self.space.write(self.address, register & 0xfc, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeSpace;

    #[test]
    fn an_empty_slot_is_no_function() {
        let mut space = FakeSpace::new();
        space.set(0x00, u32::MAX);
        let error = Function::new(&mut space, FakeSpace::GPU).identity().expect_err("nothing there");
        assert_eq!(error.to_string(), "no PCI function at 00:02.0");
    }

    #[test]
    fn identity_class_and_fields_of_any_width() {
        let mut space = FakeSpace::new();
        space.set(0x00, 0x9a49_8086);
        space.set(0x08, 0x0300_0003);
        space.set(0x50, 0x0000_02c1);
        let mut function = Function::new(&mut space, FakeSpace::GPU);
        let identity = Identity { vendor: 0x8086, device: 0x9a49, revision: 3, class: 0x03_0000 };
        assert_eq!(function.identity(), Ok(identity));
        assert_eq!((function.read16(0x50), function.read8(0x51)), (0x02c1, 0x02));
    }

    #[test]
    fn enabling_keeps_the_other_bits_and_clears_no_status() {
        let mut space = FakeSpace::new();
        space.set(0x04, 0xf010_0400);
        let mut function = Function::new(&mut space, FakeSpace::GPU);
        let now = function.enable(Command::MEMORY | Command::BUS_MASTER);
        assert!(now.contains(Command::MEMORY | Command::BUS_MASTER | Command::INTX_OFF));
        function.disable(Command::BUS_MASTER);
        assert_eq!(space.writes, [(0x04, 0x0406), (0x04, 0x0402)]);
    }
}
