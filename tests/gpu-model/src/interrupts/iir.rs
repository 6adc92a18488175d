// SPDX-License-Identifier: BSD-2-Clause
//! The four-register interrupt block: ISR, IMR, IIR, IER.
//!
//! An event that IMR does not mask is latched in IIR. IIR is two deep: a second event of the same kind, while
//! the first is latched, shows up again after the first was cleared. That is why drivers clear IIR twice at
//! initialisation (PRM vol 2c, interrupt control registers).

/// One block.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    imr: u32,
    iir: u32,
    queued: u32,
    ier: u32,
}

impl Default for Block {
    fn default() -> Self {
        Self { imr: u32::MAX, iir: 0, queued: 0, ier: 0 }
    }
}

impl Block {
    /// Latches the unmasked events of `bits`; answers whether any was.
    pub fn raise(&mut self, bits: u32) -> bool {
        let bits = bits & !self.imr;
        self.queued |= bits & self.iir;
        self.iir |= bits;
        bits != 0
    }

    /// Reads register `number` (0 ISR, 1 IMR, 2 IIR, 3 IER).
    #[must_use]
    pub const fn read(&self, number: u32) -> u32 {
        match number {
            1 => self.imr,
            2 => self.iir,
            3 => self.ier,
            _ => 0,
        }
    }

    /// Writes register `number`.
    pub const fn write(&mut self, number: u32, value: u32) {
        match number {
            1 => self.imr = value,
            2 => {
                let again = self.queued & value;
                self.iir = (self.iir & !value) | again;
                self.queued &= !value;
            }
            3 => self.ier = value,
            _ => {}
        }
    }

    /// An enabled event is latched.
    #[must_use]
    pub const fn pending(&self) -> u32 {
        self.iir & self.ier
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_event_is_not_latched() {
        let mut block = Block::default();
        assert!(!block.raise(1));
        block.write(1, !1);
        assert!(block.raise(3));
        assert_eq!(block.read(2), 1);
        assert_eq!(block.pending(), 0, "IER is off");
    }

    #[test]
    fn iir_is_two_deep() {
        let mut block = Block::default();
        block.write(1, 0);
        for _ in 0..3 {
            block.raise(1);
        }
        block.write(2, 1);
        assert_eq!(block.read(2), 1, "the second event shows after the first is cleared");
        block.write(2, 1);
        assert_eq!(block.read(2), 0, "there is no third latch");
    }
}
