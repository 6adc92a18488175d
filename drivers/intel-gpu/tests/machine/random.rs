// SPDX-License-Identifier: BSD-2-Clause
//! Random numbers that a test repeats by its seed.

/// Marsaglia's xorshift with 64 bits of state; the seed is not zero.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("small")
    }
}
