// SPDX-License-Identifier: BSD-2-Clause
//! The prefetch window of a stream.
//!
//! Decoding a dword at a time through the page tables would dominate everything; so the interpreter reads up to
//! [`WINDOW`] bytes at once, never beyond a page or beyond what the ring holds, and decodes from that copy. It is
//! the counterpart of the hardware's prefetcher and has the same consequence: a command that is overwritten less
//! than a window ahead through *another* address is seen in its old form. The window is dropped whenever the
//! stream jumps, waits, flushes, writes into it, or returns to its caller.

use super::bus::{Access, CommandBus, Fault, PAGE, Space};

/// Bytes fetched at once. The hardware prefetches at least a 64-byte line and at most a page or so (PRM vol 2a
/// and 2c).
const WINDOW: usize = 512;

/// A copy of some dwords of the stream.
pub(super) struct Window {
    bytes: [u8; WINDOW],
    space: Space,
    start: u64,
    valid: usize,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; WINDOW], space: Space::Ggtt, start: 0, valid: 0 }
    }

    /// Forgets the copy.
    #[inline]
    pub(super) const fn drop(&mut self) {
        self.valid = 0;
    }

    /// Forgets the copy if a write to `length` bytes at `address` touches it.
    #[inline]
    pub(super) const fn written(&mut self, space: Space, address: u64, length: u64) {
        let same = matches!((self.space, space), (Space::Ggtt, Space::Ggtt) | (Space::Ppgtt, Space::Ppgtt));
        if same && address < self.start + self.valid as u64 && self.start < address.saturating_add(length) {
            self.valid = 0;
        }
    }

    /// The dword at `address`, a multiple of 4. `end` bounds the fetch (the ring's end or tail).
    #[inline]
    pub(super) fn dword<B: CommandBus + ?Sized>(
        &mut self,
        bus: &mut B,
        space: Space,
        address: u64,
        end: u64,
    ) -> Result<u32, Fault> {
        let offset = address.wrapping_sub(self.start);
        if offset >= self.valid as u64 || space != self.space {
            self.fill(bus, space, address, end)?;
            return Ok(self.at(0));
        }
        // CAST: below WINDOW, just compared.
        #[expect(clippy::cast_possible_truncation, reason = "CAST: below WINDOW")]
        Ok(self.at(offset as usize))
    }

    /// Copies consecutive dwords from `address` on if the window holds them all; `false` if it does not.
    #[inline]
    pub(super) fn dwords<const N: usize>(&self, space: Space, address: u64, dwords: &mut [u32; N]) -> bool {
        let start = address.wrapping_sub(self.start);
        let held =
            space == self.space && start < self.valid as u64 && self.valid as u64 - start >= 4 * N as u64;
        if !held {
            return false;
        }
        let Some(bytes) = usize::try_from(start).ok().and_then(|start| self.bytes.get(start..start + 4 * N))
        else {
            return false;
        };
        for (dword, bytes) in dwords.iter_mut().zip(bytes.chunks_exact(4)) {
            *dword = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        true
    }

    #[inline]
    fn at(&self, offset: usize) -> u32 {
        match self.bytes.get(offset..offset + 4) {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => 0,
        }
    }

    #[cold]
    #[inline(never)]
    fn fill<B: CommandBus + ?Sized>(
        &mut self,
        bus: &mut B,
        space: Space,
        address: u64,
        end: u64,
    ) -> Result<(), Fault> {
        self.valid = 0;
        let room = (PAGE - address % PAGE).min(end.saturating_sub(address)).max(4);
        let length = usize::try_from(room).unwrap_or(WINDOW).min(WINDOW);
        bus.read(space, address, &mut self.bytes[..length], Access::Fetch)?;
        self.space = space;
        self.start = address;
        self.valid = length;
        Ok(())
    }
}
