// SPDX-License-Identifier: BSD-2-Clause
//! Submission ports: ELSP (Gen8, Gen9) and ELSQ with its load register (Gen11, Gen12).

use super::descriptor::Descriptor;
use crate::commands::Generation;

/// A submitted queue: element 0, and element 1 if it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    first: Descriptor,
    second: Option<Descriptor>,
}

impl Queue {
    /// Out of both descriptors; `None` if element 0 is invalid.
    #[must_use]
    pub fn new(first: Descriptor, second: Descriptor) -> Option<Self> {
        first.valid().then_some(Self { first, second: second.valid().then_some(second) })
    }

    /// Element 0 or 1, if valid.
    #[must_use]
    pub const fn get(&self, element: usize) -> Option<Descriptor> {
        match element {
            0 => Some(self.first),
            1 => self.second,
            _ => None,
        }
    }

    /// Valid elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Descriptor> {
        [Some(self.first), self.second].into_iter().flatten()
    }
}

/// Registers of the ports.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    /// ELSP: dwords written since the last submission (element 1 high, low, element 0 high).
    elsp: Vec<u32>,
    /// ELSQ: eight elements, low and high.
    elsq: [u32; 16],
    /// Dwords of the ELSQ written since the last load, one bit each.
    written: u16,
}

impl Ports {
    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// A write to the ELSP. The fourth completes a submission and answers both elements.
    pub fn write_elsp(&mut self, generation: Generation, value: u32) -> Option<[Descriptor; 2]> {
        self.elsp.push(value);
        let [high1, low1, high0, low0] = *<&[u32; 4]>::try_from(self.elsp.as_slice()).ok()?;
        self.elsp.clear();
        Some([Descriptor::new(generation, low0, high0), Descriptor::new(generation, low1, high1)])
    }

    /// Dwords of a submission that is half written.
    #[must_use]
    pub const fn partial(&self) -> usize {
        self.elsp.len()
    }

    /// Dword `index` of the ELSQ.
    #[must_use]
    pub fn elsq(&self, index: usize) -> u32 {
        self.elsq.get(index).copied().unwrap_or(0)
    }

    /// Writes dword `index` of the ELSQ.
    pub fn set_elsq(&mut self, index: usize, value: u32) {
        if let Some(dword) = self.elsq.get_mut(index) {
            *dword = value;
            self.written |= 1 << index;
        }
    }

    /// Were all four dwords of elements 0 and 1 written since this was last asked?
    pub fn take_rewritten(&mut self) -> bool {
        std::mem::take(&mut self.written) & 0xf == 0xf
    }

    /// The first two elements of the ELSQ, and whether a later one is used.
    #[must_use]
    pub fn load_elsq(&self, generation: Generation) -> ([Descriptor; 2], bool) {
        let element = |k: usize| Descriptor::new(generation, self.elsq(2 * k), self.elsq(2 * k + 1));
        ([element(0), element(1)], (2..8).any(|k| element(k).valid()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_elsp_writes_are_element_1_then_0_high_first() {
        let mut ports = Ports::default();
        assert_eq!(ports.write_elsp(Generation::Gen9, 0), None);
        assert_eq!(ports.write_elsp(Generation::Gen9, 0), None);
        assert_eq!(ports.write_elsp(Generation::Gen9, 7), None);
        assert_eq!(ports.partial(), 3);
        let [first, second] = ports.write_elsp(Generation::Gen9, 0x5119).unwrap();
        assert_eq!((first.low(), first.high(), second.raw()), (0x5119, 7, 0));
        let queue = Queue::new(first, second).unwrap();
        assert_eq!(queue.iter().count(), 1);
        assert_eq!(ports.partial(), 0);
    }

    #[test]
    fn the_elsq_keeps_its_contents_over_a_load() {
        let mut ports = Ports::default();
        ports.set_elsq(0, 0x5119);
        ports.set_elsq(1, 0x20);
        for _ in 0..2 {
            let ([first, second], more) = ports.load_elsq(Generation::Gen12);
            assert_eq!((first.low(), first.high(), second.valid(), more), (0x5119, 0x20, false, false));
        }
        ports.set_elsq(99, 1);
        assert_eq!(ports.elsq(99), 0);
    }

    #[test]
    fn a_queue_needs_element_0() {
        let invalid = Descriptor::new(Generation::Gen12, 0, 0);
        let valid = Descriptor::new(Generation::Gen12, 0x5119, 0);
        assert_eq!(Queue::new(invalid, valid), None);
    }
}
