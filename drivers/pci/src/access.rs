// SPDX-License-Identifier: BSD-2-Clause
//! The way to configuration space.

use core::fmt;

/// Bus, device and function number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    bus: u8,
    device: u8,
    function: u8,
}

impl Address {
    /// An address; `None` for a device of 32 or more or a function of 8 or more.
    #[must_use]
    pub const fn new(bus: u8, device: u8, function: u8) -> Option<Self> {
        if device < 32 && function < 8 { Some(Self { bus, device, function }) } else { None }
    }

    /// Value of CONFIG_ADDRESS for the dword at `register` (PCI 3.0, 3.2.2.3.2).
    #[must_use]
    pub const fn mechanism_one(self, register: u8) -> u32 {
        1 << 31
            | (self.bus as u32) << 16
            | (self.device as u32) << 11
            | (self.function as u32) << 8
            | (register & 0xfc) as u32
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus, self.device, self.function)
    }
}

/// Configuration space of a machine: the first 256 bytes of every function, by dwords.
pub trait ConfigSpace {
    /// Reads the dword at `register`, a multiple of 4. All ones where no function answers.
    fn read(&mut self, address: Address, register: u8) -> u32;
    /// Writes the dword at `register`, a multiple of 4.
    fn write(&mut self, address: Address, register: u8, value: u32);
}

impl<C: ConfigSpace + ?Sized> ConfigSpace for &mut C {
    fn read(&mut self, address: Address, register: u8) -> u32 {
        (**self).read(address, register)
    }

    fn write(&mut self, address: Address, register: u8, value: u32) {
        (**self).write(address, register, value);
    }
}

/// The two I/O ports of configuration mechanism one, 32 bits wide each.
pub trait Ports {
    /// Writes CONFIG_ADDRESS, port 0xcf8.
    fn write_address(&mut self, value: u32);
    /// Reads CONFIG_DATA, port 0xcfc.
    fn read_data(&mut self) -> u32;
    /// Writes CONFIG_DATA, port 0xcfc.
    fn write_data(&mut self, value: u32);
}

/// Configuration space through [`Ports`]. Nobody else may use the ports in between.
#[derive(Clone, Copy, Debug)]
pub struct PortAccess<P>(pub P);

impl<P: Ports> ConfigSpace for PortAccess<P> {
    fn read(&mut self, address: Address, register: u8) -> u32 {
        self.0.write_address(address.mechanism_one(register));
        self.0.read_data()
    }

    fn write(&mut self, address: Address, register: u8, value: u32) {
        self.0.write_address(address.mechanism_one(register));
        self.0.write_data(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_selects_the_dword_and_then_moves_the_data() {
        #[derive(Default)]
        struct Log(Vec<(u16, u32)>);
        impl Ports for Log {
            fn write_address(&mut self, value: u32) {
                self.0.push((0xcf8, value));
            }
            fn read_data(&mut self) -> u32 {
                7
            }
            fn write_data(&mut self, value: u32) {
                self.0.push((0xcfc, value));
            }
        }
        let mut access = PortAccess(Log::default());
        let gpu = Address::new(0, 2, 0).expect("small");
        assert_eq!(access.read(gpu, 0x10), 7);
        access.write(Address::new(1, 31, 7).expect("small"), 0xfc, 9);
        assert_eq!(access.0.0, [(0xcf8, 0x8000_1010), (0xcf8, 0x8001_fffc), (0xcfc, 9)]);
    }

    #[test]
    fn numbers_beyond_the_bus_are_no_address() {
        assert!(Address::new(0, 32, 0).is_none() && Address::new(0, 0, 8).is_none());
        assert_eq!(Address::new(0, 2, 0).expect("small").to_string(), "00:02.0");
    }
}
