// SPDX-License-Identifier: BSD-2-Clause
//! Interrupt scheme of Gen8 and Gen9: master 0x44200 over blocks of ISR, IMR, IIR, IER.

use super::Written;
use super::iir::Block;

const MASTER: u32 = 0x4_4200;
const ENABLE: u32 = 1 << 31;
/// First register of the GT blocks 0 to 3.
const GT: u32 = 0x4_4300;
/// Blocks outside the GT: first register and master bit. Pipes A to C, port, misc, PCU, PCH.
const OTHER: [(u32, u32); 7] = [
    (0x4_4400, 16),
    (0x4_4410, 17),
    (0x4_4420, 18),
    (0x4_4440, 20),
    (0x4_4460, 22),
    (0x4_44e0, 30),
    (0xc_4000, 23),
];

/// The controller.
#[derive(Clone, Debug, Default)]
pub struct Legacy {
    enabled: bool,
    gt: [Block; 4],
    other: [Block; 7],
}

/// Master bits of the halves of the GT blocks: (lower half, upper half).
const GT_MASTER: [(u32, u32); 4] = [(0, 1), (2, 3), (4, 5), (6, 6)];

impl Legacy {
    /// Everything masked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Events `bits` of GT block `block`.
    pub fn raise(&mut self, block: u8, bits: u32) -> bool {
        self.gt.get_mut(usize::from(block)).is_some_and(|block| block.raise(bits))
    }

    fn causes(&self) -> u32 {
        let mut causes = 0;
        for (block, (low, high)) in self.gt.iter().zip(GT_MASTER) {
            causes |= u32::from(block.pending() & 0xffff != 0) << low;
            causes |= u32::from(block.pending() >> 16 != 0) << high;
        }
        for (block, (_, bit)) in self.other.iter().zip(OTHER) {
            causes |= u32::from(block.pending() != 0) << bit;
        }
        causes
    }

    /// Enabled and pending.
    #[must_use]
    pub fn asserted(&self) -> bool {
        self.enabled && self.causes() != 0
    }

    fn block(&mut self, offset: u32) -> Option<(&mut Block, u32)> {
        let number = offset / 4 % 4;
        if (GT..GT + 0x40).contains(&offset) {
            return Some((self.gt.get_mut(((offset - GT) / 16) as usize)?, number));
        }
        let index = OTHER.iter().position(|(first, _)| (*first..*first + 16).contains(&offset))?;
        Some((self.other.get_mut(index)?, number))
    }

    /// Reads a register of the scheme.
    pub fn read(&mut self, offset: u32) -> Option<u32> {
        if offset == MASTER {
            return Some(self.causes() | if self.enabled { ENABLE } else { 0 });
        }
        self.block(offset).map(|(block, number)| block.read(number))
    }

    /// Writes a register of the scheme.
    pub fn write(&mut self, offset: u32, value: u32) -> Written {
        if offset == MASTER {
            self.enabled = value & ENABLE != 0;
            return if value & !ENABLE == 0 { Written::Done } else { Written::BadMaster };
        }
        match self.block(offset) {
            Some((block, number)) => {
                block.write(number, value);
                Written::Done
            }
            None => Written::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Block 0 with the blitter's user interrupt unmasked and enabled, master on.
    fn ready() -> Legacy {
        let mut legacy = Legacy::new();
        legacy.write(0x4_4304, !0x1_0000);
        legacy.write(0x4_430c, 0x1_0000);
        legacy.write(MASTER, ENABLE);
        legacy
    }

    #[test]
    fn a_blitter_event_shows_in_the_upper_half_of_block_0_and_in_master_bit_1() {
        let mut legacy = ready();
        assert!(!legacy.asserted());
        assert!(legacy.raise(0, 1 << 16));
        assert!(legacy.asserted());
        assert_eq!(legacy.read(MASTER), Some(ENABLE | 1 << 1));
        assert_eq!(legacy.read(0x4_4308), Some(0x1_0000));
        legacy.write(0x4_4308, 0x1_0000);
        assert_eq!(legacy.read(MASTER), Some(ENABLE));
    }

    #[test]
    fn the_master_gates_the_line_but_not_the_latches() {
        let mut legacy = ready();
        legacy.write(MASTER, 0);
        assert!(legacy.raise(0, 1 << 16));
        assert!(!legacy.asserted());
        legacy.write(MASTER, ENABLE);
        assert!(legacy.asserted());
    }

    #[test]
    fn cause_bits_of_the_master_are_not_writable() {
        assert_eq!(ready().write(MASTER, ENABLE | 1), Written::BadMaster);
    }

    #[test]
    fn registers_of_others_are_left_alone() {
        let mut legacy = ready();
        assert_eq!(legacy.read(0x4_4340), None);
        assert_eq!(legacy.write(0x4_4450, 1), Written::Foreign);
    }
}
