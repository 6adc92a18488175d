// SPDX-License-Identifier: BSD-2-Clause
//! Message-signalled interrupts, one vector.

use crate::{CapabilityId, Command, ConfigSpace, Error, Function};

/// The write that is an interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Where to.
    pub address: u64,
    /// What.
    pub data: u16,
}

impl Message {
    /// The message for interrupt `vector` of seL4 on x86: to the local APIC with id 0, CPU vector
    /// 0x30 + `vector` (seL4: `IRQ_INT_OFFSET`; Microkit leaves programming the device to its driver).
    #[must_use]
    pub const fn sel4(vector: u8) -> Self {
        Self { address: 0xfee0_0000, data: 0x30 + vector as u16 }
    }
}

/// An MSI capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Msi {
    at: u8,
    wide: bool,
    maskable: bool,
}

const CONTROL_ENABLE: u32 = 1 << 16;
/// Number of vectors granted, log2.
const CONTROL_VECTORS: u32 = 7 << 20;
const CONTROL_WIDE: u32 = 1 << 23;
const CONTROL_MASKABLE: u32 = 1 << 24;

impl<C: ConfigSpace> Function<C> {
    /// The function's MSI capability.
    ///
    /// # Errors
    /// [`Error::NoMsi`].
    pub fn msi(&mut self) -> Result<Msi, Error> {
        // The longest form is 24 bytes; one that would reach past the space is none.
        let found = self.capability(CapabilityId::Msi).filter(|found| found.at <= 0xe8);
        let found = found.ok_or(Error::NoMsi(self.address()))?;
        let control = self.read(found.at);
        Ok(Msi { at: found.at, wide: control & CONTROL_WIDE != 0, maskable: control & CONTROL_MASKABLE != 0 })
    }

    /// Programs `message` as the function's one interrupt and turns it on; INTx goes off.
    ///
    /// # Errors
    /// [`Error::NoMsi`]; [`Error::MessageTooHigh`].
    pub fn enable_msi(&mut self, message: Message) -> Result<(), Error> {
        let msi = self.msi()?;
        let Msi { at, wide, maskable } = msi;
        // CAST: the two halves.
        #[expect(clippy::cast_possible_truncation)]
        let (low, high) = (message.address as u32, (message.address >> 32) as u32);
        if high != 0 && !wide {
            return Err(Error::MessageTooHigh(message.address));
        }
        self.disable_msi()?;
        self.write(at + 4, low);
        let data = if wide {
            self.write(at + 8, high);
            at + 0xc
        } else {
            at + 8
        };
        self.write(data, message.data.into());
        if maskable {
            self.write(data + 4, 0);
        }
        self.enable(Command::INTX_OFF);
        let control = self.read(at);
        self.write(at, control & !CONTROL_VECTORS | CONTROL_ENABLE);
        Ok(())
    }

    /// Turns MSI off.
    ///
    /// # Errors
    /// [`Error::NoMsi`].
    pub fn disable_msi(&mut self) -> Result<(), Error> {
        let at = self.msi()?.at;
        let control = self.read(at);
        self.write(at, control & !CONTROL_ENABLE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeSpace;

    fn space(at: u8, control: u32) -> FakeSpace {
        let mut space = FakeSpace::new();
        space.set(0x04, 1 << 20);
        space.set(0x34, at.into());
        space.set(at, 0x05 | control);
        space
    }

    #[test]
    fn a_narrow_capability_is_programmed_before_it_is_enabled() {
        let mut space = space(0xac, 0);
        Function::new(&mut space, FakeSpace::GPU).enable_msi(Message::sel4(5)).expect("there is one");
        let expected = [(0xac, 0x05), (0xb0, 0xfee0_0000), (0xb4, 0x35), (0x04, 0x0400), (0xac, 0x0001_0005)];
        assert_eq!(space.writes, expected);
    }

    #[test]
    fn a_wide_maskable_capability_with_several_vectors_is_granted_one_and_unmasked() {
        let mut space = space(0x90, CONTROL_WIDE | CONTROL_MASKABLE | 3 << 20);
        space.set(0xa0, 1);
        Function::new(&mut space, FakeSpace::GPU).enable_msi(Message::sel4(0)).expect("there is one");
        assert_eq!(space.get(0x94), 0xfee0_0000);
        assert_eq!((space.get(0x98), space.get(0x9c), space.get(0xa0)), (0, 0x30, 0));
        assert_eq!(space.get(0x90) & (CONTROL_ENABLE | CONTROL_VECTORS), CONTROL_ENABLE);
    }

    #[test]
    fn a_function_without_msi_or_with_too_narrow_a_one_says_so() {
        let mut none = FakeSpace::new();
        let error = Function::new(&mut none, FakeSpace::GPU).enable_msi(Message::sel4(5));
        assert_eq!(error, Err(Error::NoMsi(FakeSpace::GPU)));
        let mut past_the_end = space(0xfc, CONTROL_WIDE);
        let error = Function::new(&mut past_the_end, FakeSpace::GPU).enable_msi(Message::sel4(5));
        assert_eq!(error, Err(Error::NoMsi(FakeSpace::GPU)));
        let mut narrow = space(0xac, 0);
        let high = Message { address: 1 << 32, data: 0 };
        let error = Function::new(&mut narrow, FakeSpace::GPU).enable_msi(high);
        assert_eq!(error, Err(Error::MessageTooHigh(1 << 32)));
        assert_eq!(narrow.writes, []);
    }
}
