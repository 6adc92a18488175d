// SPDX-License-Identifier: BSD-2-Clause
//! Base address registers.

use crate::{ConfigSpace, Error, Function};

/// A base address as firmware placed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bar {
    /// Memory.
    Memory {
        /// First byte.
        address: u64,
        /// Reads have no side effects.
        prefetchable: bool,
    },
    /// I/O ports.
    Io {
        /// First port.
        port: u32,
    },
}

impl<C: ConfigSpace> Function<C> {
    /// Where BAR `index` is. For a 64-bit BAR name its lower half. Reads only: the BAR is not sized.
    ///
    /// # Errors
    /// [`Error::NoBar`].
    pub fn bar(&mut self, index: u8) -> Result<Bar, Error> {
        let no_bar = |value| Error::NoBar { index, value };
        if index >= 6 {
            return Err(no_bar(0));
        }
        let low = self.read(0x10 + 4 * index);
        if low & 1 != 0 {
            let port = low & !3;
            return if port == 0 { Err(no_bar(low)) } else { Ok(Bar::Io { port }) };
        }
        let high = match low >> 1 & 3 {
            0 => 0,
            2 if index < 5 => self.read(0x14 + 4 * index),
            _ => return Err(no_bar(low)),
        };
        let address = u64::from(high) << 32 | u64::from(low & !0xf);
        if address == 0 {
            return Err(no_bar(low));
        }
        Ok(Bar::Memory { address, prefetchable: low & 8 != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeSpace;

    #[test]
    fn bars_of_a_gpu_are_two_64_bit_memories_and_ports() {
        let mut space = FakeSpace::new();
        space.set(0x10, 0xfd00_0004);
        space.set(0x14, 0x1);
        space.set(0x18, 0xe000_000c);
        space.set(0x20, 0xf001);
        let mut function = Function::new(&mut space, FakeSpace::GPU);
        assert_eq!(function.bar(0), Ok(Bar::Memory { address: 0x1_fd00_0000, prefetchable: false }));
        assert_eq!(function.bar(2), Ok(Bar::Memory { address: 0xe000_0000, prefetchable: true }));
        assert_eq!(function.bar(4), Ok(Bar::Io { port: 0xf000 }));
        assert_eq!(space.writes, [], "reading a BAR writes nothing");
    }

    #[test]
    fn an_unplaced_or_reserved_bar_is_refused_with_its_value() {
        let mut space = FakeSpace::new();
        space.set(0x10, 0x4);
        space.set(0x18, 0x1000_0006);
        space.set(0x24, 0x1000_0004);
        let mut function = Function::new(&mut space, FakeSpace::GPU);
        assert_eq!(function.bar(0), Err(Error::NoBar { index: 0, value: 0x4 }));
        assert_eq!(function.bar(2), Err(Error::NoBar { index: 2, value: 0x1000_0006 }));
        assert_eq!(function.bar(5), Err(Error::NoBar { index: 5, value: 0x1000_0004 }), "no upper half");
        assert_eq!(function.bar(6), Err(Error::NoBar { index: 6, value: 0 }));
    }
}
