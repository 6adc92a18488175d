// SPDX-License-Identifier: BSD-2-Clause
//! Interrupt scheme of Gen11 and Gen12: master 0x190010, sticky GT_INTR_DW bits, identity on request.
//!
//! ```text
//!   source (class, instance) ─► pending vector ─► GT_INTR_DWn bit ─► master bit n
//!   driver: selector := 1 << bit ─► identity = valid | instance | class | vector (the vector is taken)
//!           identity := valid (clears) ... DW := bits (clears; a bit with a new vector comes back)
//! ```

use super::Written;
use super::iir::Block;
use crate::platform::{Platform, engines::InterruptPosition};

const MASTER: u32 = 0x19_0010;
const ENABLE: u32 = 1 << 31;
const DWORD0: u32 = 0x19_0018;
const IDENTITY0: u32 = 0x19_0060;
const SELECTOR0: u32 = 0x19_0070;
/// Identity: valid.
const VALID: u32 = 1 << 31;
/// Display interrupt control.
const DISPLAY: u32 = 0x4_4200;

/// Blocks outside the GT: first register, master bit. GU_MISC, PCU, and the display's, which need bit 31 of the
/// display control to count.
const OTHER: [(u32, u32); 2] = [(0x4_44f0, 29), (0x4_44e0, 30)];
/// Pipes A to D, port, misc, hot plug, PCH.
const PIPES: [u32; 8] = [0x4_4400, 0x4_4410, 0x4_4420, 0x4_4430, 0x4_4440, 0x4_4460, 0x4_4470, 0xc_4000];

/// One source behind a bit.
#[derive(Clone, Copy, Debug)]
struct Source {
    dword: u8,
    bit: u8,
    hw_class: u8,
    instance: u8,
    vector: u32,
}

/// The controller.
#[derive(Clone, Debug)]
pub struct Identity {
    enabled: bool,
    /// Enable registers 0x190030 to 0x190048, by dword.
    enables: [u32; 8],
    /// Mask registers 0x190090 to 0x190100, by dword.
    masks: [u32; 32],
    dwords: [u32; 2],
    identities: [u32; 2],
    selectors: [u32; 2],
    sources: Vec<Source>,
    other: [Block; 2],
    pipes: [Block; 8],
    display: bool,
}

impl Identity {
    /// Everything off.
    #[must_use]
    pub fn new(platform: &Platform) -> Self {
        let sources = platform
            .engines
            .iter()
            .filter_map(|facts| match facts.interrupt {
                InterruptPosition::Identity { dword, bit, .. } => Some(Source {
                    dword,
                    bit,
                    hw_class: facts.hw_class,
                    instance: facts.engine.instance,
                    vector: 0,
                }),
                InterruptPosition::Legacy { .. } => None,
            })
            .collect();
        Self {
            enabled: false,
            enables: [0; 8],
            masks: [u32::MAX; 32],
            dwords: [0; 2],
            identities: [0; 2],
            selectors: [0; 2],
            sources,
            other: [Block::default(); 2],
            pipes: [Block::default(); 8],
            display: false,
        }
    }

    /// Value of an enable register.
    #[must_use]
    pub fn enable_bits(&self, offset: u32) -> u32 {
        slot(offset, 0x19_0030, self.enables.len()).and_then(|i| self.enables.get(i)).copied().unwrap_or(0)
    }

    /// Value of a mask register.
    #[must_use]
    pub fn mask_bits(&self, offset: u32) -> u32 {
        slot(offset, 0x19_0090, self.masks.len()).and_then(|i| self.masks.get(i)).copied().unwrap_or(u32::MAX)
    }

    /// Events of a source that enable and mask registers let through.
    pub fn raise(&mut self, dword: u8, bit: u8, hw_class: u8, instance: u8, vector: u32) -> bool {
        if vector & 0xffff == 0 {
            return false;
        }
        let Some(source) = self
            .sources
            .iter_mut()
            .find(|source| source.hw_class == hw_class && source.instance == instance && source.bit == bit)
        else {
            return false;
        };
        source.vector |= vector & 0xffff;
        self.dwords[usize::from(dword & 1)] |= 1 << (bit & 31);
        true
    }

    fn causes(&self) -> u32 {
        let mut causes = u32::from(self.dwords[0] != 0) | u32::from(self.dwords[1] != 0) << 1;
        for (block, (_, bit)) in self.other.iter().zip(OTHER) {
            causes |= u32::from(block.pending() != 0) << bit;
        }
        if self.display && self.pipes.iter().any(|block| block.pending() != 0) {
            causes |= 1 << 16;
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
        let first = offset & !0xf;
        if let Some(index) = OTHER.iter().position(|(at, _)| *at == first) {
            return Some((self.other.get_mut(index)?, number));
        }
        let index = PIPES.iter().position(|at| *at == first)?;
        Some((self.pipes.get_mut(index)?, number))
    }

    /// Reads a register of the scheme.
    pub fn read(&mut self, offset: u32) -> Option<u32> {
        Some(match offset {
            MASTER => self.causes() | if self.enabled { ENABLE } else { 0 },
            DISPLAY => {
                if self.display {
                    ENABLE
                } else {
                    0
                }
            }
            DWORD0 | 0x19_001c => self.dwords[usize::from(offset != DWORD0)],
            IDENTITY0 | 0x19_0064 => self.identities[usize::from(offset != IDENTITY0)],
            SELECTOR0 | 0x19_0074 => self.selectors[usize::from(offset != SELECTOR0)],
            0x19_0030..=0x19_004c => self.enable_bits(offset),
            0x19_0090..=0x19_010c => self.mask_bits(offset),
            _ => return self.block(offset).map(|(block, number)| block.read(number)),
        })
    }

    /// Writes a register of the scheme.
    pub fn write(&mut self, offset: u32, value: u32) -> Written {
        match offset {
            MASTER => {
                self.enabled = value & ENABLE != 0;
                if value & !ENABLE != 0 {
                    return Written::BadMaster;
                }
            }
            DISPLAY => self.display = value & ENABLE != 0,
            DWORD0 | 0x19_001c => self.clear(usize::from(offset != DWORD0), value),
            IDENTITY0 | 0x19_0064 => {
                if value & VALID != 0 {
                    self.identities[usize::from(offset != IDENTITY0)] = 0;
                }
            }
            SELECTOR0 | 0x19_0074 => return self.select(usize::from(offset != SELECTOR0), value),
            0x19_0030..=0x19_004c => store(&mut self.enables, offset, 0x19_0030, value),
            0x19_0090..=0x19_010c => store(&mut self.masks, offset, 0x19_0090, value),
            _ => {
                let Some((block, number)) = self.block(offset) else { return Written::Foreign };
                block.write(number, value);
            }
        }
        Written::Done
    }

    /// Clears DW bits; those whose source has events that no identity has taken come back.
    fn clear(&mut self, dword: usize, bits: u32) {
        self.dwords[dword] &= !bits;
        for source in &self.sources {
            if usize::from(source.dword) == dword && source.vector != 0 {
                self.dwords[dword] |= 1 << source.bit;
            }
        }
    }

    fn select(&mut self, dword: usize, value: u32) -> Written {
        self.selectors[dword] = value;
        let free = self.identities[dword] & VALID == 0;
        let single = value.is_power_of_two() && self.dwords[dword] & value != 0;
        if !(free && single) {
            return Written::BadIdentity;
        }
        let bit = value.trailing_zeros();
        let found = self
            .sources
            .iter_mut()
            .find(|source| usize::from(source.dword) == dword && u32::from(source.bit) == bit);
        if let Some(source) = found {
            let vector = std::mem::take(&mut source.vector);
            self.identities[dword] =
                VALID | u32::from(source.instance) << 20 | u32::from(source.hw_class) << 16 | vector;
        }
        Written::Done
    }
}

fn slot(offset: u32, first: u32, len: usize) -> Option<usize> {
    let index = usize::try_from(offset.checked_sub(first)? / 4).ok()?;
    (index < len).then_some(index)
}

fn store(registers: &mut [u32], offset: u32, first: u32, value: u32) {
    if let Some(register) = slot(offset, first, registers.len()).and_then(|i| registers.get_mut(i)) {
        *register = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupts::Controller;
    use crate::platform::by_name;

    /// Tiger Lake with the copy engine's user interrupt enabled and unmasked.
    fn ready() -> Controller {
        let mut controller = Controller::new(by_name("tgl").unwrap());
        controller.write(0x19_0030, 0x1);
        controller.write(0x19_00a0, !0x1_0000);
        controller.write(MASTER, ENABLE);
        controller
    }

    fn copy() -> (InterruptPosition, u8, u8) {
        let facts = by_name("tgl").unwrap().engines.iter().find(|facts| facts.name == "bcs0").unwrap();
        (facts.interrupt, facts.hw_class, facts.engine.instance)
    }

    #[test]
    fn an_event_is_identified_by_class_instance_and_vector() {
        let (mut controller, (position, class, instance)) = (ready(), copy());
        assert!(controller.raise(position, class, instance, 0x1));
        assert!(controller.asserted());
        controller.write(MASTER, 0);
        assert_eq!(controller.read(MASTER), Some(1));
        assert_eq!(controller.read(DWORD0), Some(1 << 15));
        assert_eq!(controller.write(SELECTOR0, 1 << 15), Written::Done);
        assert_eq!(controller.read(IDENTITY0), Some(VALID | 3 << 16 | 1));
        controller.write(IDENTITY0, VALID);
        assert_eq!(controller.read(IDENTITY0), Some(0));
        controller.write(DWORD0, 1 << 15);
        controller.write(MASTER, ENABLE);
        assert!(!controller.asserted());
    }

    #[test]
    fn an_event_between_identity_and_clear_comes_back() {
        let (mut controller, (position, class, instance)) = (ready(), copy());
        controller.raise(position, class, instance, 1);
        controller.write(SELECTOR0, 1 << 15);
        controller.write(IDENTITY0, VALID);
        controller.raise(position, class, instance, 1);
        controller.write(DWORD0, 1 << 15);
        assert_eq!(controller.read(DWORD0), Some(1 << 15));
    }

    #[test]
    fn disabled_or_masked_events_are_lost() {
        let (mut controller, (position, class, instance)) = (ready(), copy());
        assert!(!controller.raise(position, class, instance, 0x100));
        controller.write(0x19_00a0, u32::MAX);
        assert!(!controller.raise(position, class, instance, 1));
        assert_eq!(controller.read(DWORD0), Some(0));
    }

    #[test]
    fn asking_for_a_bit_that_is_not_pending_breaks_the_protocol() {
        let mut controller = ready();
        assert_eq!(controller.write(SELECTOR0, 1 << 15), Written::BadIdentity);
        assert_eq!(controller.read(IDENTITY0), Some(0));
    }

    #[test]
    fn asking_before_the_last_identity_is_cleared_breaks_the_protocol() {
        let (mut controller, (position, class, instance)) = (ready(), copy());
        controller.raise(position, class, instance, 1);
        controller.write(SELECTOR0, 1 << 15);
        assert_eq!(controller.write(SELECTOR0, 1 << 15), Written::BadIdentity);
    }
}
