// SPDX-License-Identifier: BSD-2-Clause
//! A machine for unit tests: memory, registers that keep what is written to them (masked ones obey
//! their mask), a clock that advances with every look.

use std::collections::HashMap;

use crate::address::{DeviceAddress, DmaOffset};
use crate::platform::{Clock, DmaMemory, Mmio};

/// See the module.
#[derive(Debug)]
pub(crate) struct FakeHardware {
    memory: Vec<u8>,
    registers: HashMap<u32, u32>,
    wide: HashMap<u32, u64>,
    masked: Vec<u32>,
    now: u64,
    /// Writes in order.
    pub(crate) writes: Vec<(u32, u32)>,
    /// TLB invalidation requests never finish.
    pub(crate) stuck: bool,
    /// Bytes flushed from the caches.
    pub(crate) flushed: usize,
}

impl FakeHardware {
    pub(crate) const BASE: u64 = 0x1000_0000;

    pub(crate) fn new(pages: usize) -> Self {
        Self {
            memory: vec![0xa5; pages << 12],
            registers: HashMap::new(),
            wide: HashMap::new(),
            masked: Vec::new(),
            now: 0,
            writes: Vec::new(),
            stuck: false,
            flushed: 0,
        }
    }

    /// Makes a register a masked one.
    #[expect(dead_code)]
    pub(crate) fn mask(&mut self, offset: u32) {
        self.masked.push(offset);
    }

    pub(crate) fn set(&mut self, offset: u32, value: u32) {
        self.registers.insert(offset, value);
    }

    pub(crate) fn register32(&self, offset: u32) -> u32 {
        self.registers.get(&offset).copied().unwrap_or(0)
    }

    pub(crate) fn register64(&self, offset: u32) -> u64 {
        self.wide.get(&offset).copied().unwrap_or(0)
    }
}

impl Mmio for FakeHardware {
    fn read32(&mut self, offset: u32) -> u32 {
        let tlb = matches!(offset, 0x4260..=0x4274 | 0xced8..=0xcef0);
        if tlb && !self.stuck { 0 } else { self.register32(offset) }
    }

    fn write32(&mut self, offset: u32, value: u32) {
        self.writes.push((offset, value));
        let stored = if self.masked.contains(&offset) {
            let mask = value >> 16;
            self.register32(offset) & !mask | value & mask
        } else {
            value
        };
        self.registers.insert(offset, stored);
    }

    fn read64(&mut self, offset: u32) -> u64 {
        self.register64(offset)
    }

    fn write64(&mut self, offset: u32, value: u64) {
        self.wide.insert(offset, value);
    }
}

impl DmaMemory for FakeHardware {
    fn page_count(&self) -> u32 {
        u32::try_from(self.memory.len() >> 12).expect("small")
    }

    fn device_base(&self) -> DeviceAddress {
        DeviceAddress::new(Self::BASE)
    }

    fn read_u32(&self, at: DmaOffset) -> u32 {
        let raw = self.memory.get(at.0..at.0 + 4).and_then(|bytes| bytes.try_into().ok());
        raw.map_or(0, u32::from_le_bytes)
    }

    fn write_u32(&mut self, at: DmaOffset, value: u32) {
        self.memory[at.0..at.0 + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn read_u64(&self, at: DmaOffset) -> u64 {
        let raw = self.memory.get(at.0..at.0 + 8).and_then(|bytes| bytes.try_into().ok());
        raw.map_or(0, u64::from_le_bytes)
    }

    fn write_u64(&mut self, at: DmaOffset, value: u64) {
        self.memory[at.0..at.0 + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn flush(&mut self, _at: DmaOffset, bytes: usize) {
        self.flushed += bytes;
    }

    fn write_barrier(&mut self) {}

    fn read_barrier(&mut self) {}
}

impl Clock for FakeHardware {
    fn now_ns(&mut self) -> u64 {
        self.now += 100;
        self.now
    }

    fn relax(&mut self) {
        self.now += 1_000;
    }
}
