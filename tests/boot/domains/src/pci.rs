// SPDX-License-Identifier: BSD-2-Clause
//! PCI configuration space through its I/O ports: as little as the tests need, and none of the driver's code, which is
//! what is tested elsewhere.

use microkit_ext::ioport::IoPort;

/// CONFIG_ADDRESS (PCI Local Bus Specification 3.0, section 3.2.2.3.2).
const ADDRESS: u16 = 0xcf8;
/// CONFIG_DATA.
const DATA: u16 = 0xcfc;

/// What must be so for an access to succeed.
const GIVEN: &str = "the ports 0xcf8 to 0xcff are this domain's";

/// A function on bus 0, seen through the ports 0xcf8 to 0xcff.
#[derive(Clone, Copy)]
pub struct Function {
    ports: IoPort,
    device: u8,
}

impl Function {
    /// Function 0 of `device`.
    #[must_use]
    pub const fn new(ports: IoPort, device: u8) -> Self {
        Self { ports, device }
    }

    fn select(self, register: u8) {
        let address = 0x8000_0000 | u32::from(self.device) << 11 | u32::from(register & 0xfc);
        self.ports.out32(ADDRESS, address).expect(GIVEN);
    }

    /// Reads a dword of configuration space.
    #[must_use]
    pub fn read(self, register: u8) -> u32 {
        self.select(register);
        self.ports.in32(DATA).expect(GIVEN)
    }

    /// Writes a dword of configuration space.
    pub fn write(self, register: u8, value: u32) {
        self.select(register);
        self.ports.out32(DATA, value).expect(GIVEN);
    }

    /// Lets the function answer at its memory BARs and reach memory itself.
    pub fn enable(self) {
        /// Memory space and bus master enable; the status half is written as zeros, which change nothing.
        const ENABLE: u32 = 0b110;
        let command = self.read(4) & 0xffff;
        self.write(4, command | ENABLE);
    }

    /// The configuration address of the capability `id`.
    #[must_use]
    pub fn capability(self, id: u8) -> Option<u8> {
        /// More capabilities than fit into the space: a list that is longer loops.
        const LIMIT: usize = 48;
        let mut at = self.read(0x34).to_le_bytes()[0] & 0xfc;
        for _ in 0..LIMIT {
            if at == 0 {
                return None;
            }
            let [found, next, ..] = self.read(at).to_le_bytes();
            if found == id {
                return Some(at);
            }
            at = next & 0xfc;
        }
        None
    }

    /// Lets the function signal `vector` of the processor by message.
    pub fn enable_msi(self, vector: u8) {
        /// The capability's number.
        const MSI: u8 = 5;
        /// The message address of processor 0 (Intel SDM volume 3, section 11.11.1).
        const ADDRESS: u32 = 0xfee0_0000;
        let at = self.capability(MSI).expect("the device has the MSI capability");
        let control = self.read(at);
        let is_64_bit = control & 1 << 23 != 0;
        self.write(at + 4, ADDRESS);
        if is_64_bit {
            self.write(at + 8, 0);
        }
        self.write(at + if is_64_bit { 12 } else { 8 }, u32::from(vector));
        // One message: multiple-message enable stays 0.
        self.write(at, (control & !(0b111 << 20)) | 1 << 16);
    }
}
