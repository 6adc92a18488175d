// SPDX-License-Identifier: BSD-2-Clause
//! A configuration space with one function whose registers keep what is written.

use crate::{Address, ConfigSpace};

pub(crate) struct FakeSpace {
    dwords: [u32; 64],
    pub(crate) writes: Vec<(u8, u32)>,
}

impl FakeSpace {
    pub(crate) const GPU: Address = match Address::new(0, 2, 0) {
        Some(address) => address,
        None => unreachable!(),
    };

    pub(crate) fn new() -> Self {
        Self { dwords: [0; 64], writes: Vec::new() }
    }

    pub(crate) fn set(&mut self, register: u8, value: u32) {
        self.dwords[usize::from(register / 4)] = value;
    }

    pub(crate) fn get(&self, register: u8) -> u32 {
        self.dwords[usize::from(register / 4)]
    }
}

impl ConfigSpace for FakeSpace {
    fn read(&mut self, address: Address, register: u8) -> u32 {
        assert_eq!(register % 4, 0);
        if address == Self::GPU { self.get(register) } else { u32::MAX }
    }

    fn write(&mut self, address: Address, register: u8, value: u32) {
        assert_eq!(address, Self::GPU);
        self.writes.push((register, value));
        self.set(register, value);
    }
}
