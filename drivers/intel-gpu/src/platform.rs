// SPDX-License-Identifier: BSD-2-Clause
//! What the driver core needs from the machine under it. A protection domain implements these traits
//! over its mapped BAR and DMA region, a host test over the device model; nothing else of the
//! environment is known here.

use crate::address::{DeviceAddress, DmaOffset, DmaPage, PAGE_SHIFT};
use crate::trace::Event;

/// BAR 0: registers in the lower 8 MiB, GGTT entries in the upper. Every call is exactly one access of
/// that width, in program order, never merged or repeated. Offsets are bytes and aligned to the access.
pub trait Mmio {
    /// Reads 32 bits.
    fn read32(&mut self, offset: u32) -> u32;
    /// Writes 32 bits.
    fn write32(&mut self, offset: u32, value: u32);
    /// Reads 64 bits.
    fn read64(&mut self, offset: u32) -> u64;
    /// Writes 64 bits.
    fn write64(&mut self, offset: u32, value: u64);
}

/// The driver's own memory that the GPU can reach: contiguous for the device, page aligned, mapped
/// cacheable. Offsets are bytes from its start; an access outside it reads zero and writes nothing
/// (the core never makes one; an implementation must not turn a bug into a wild pointer).
pub trait DmaMemory {
    /// Length in 4 KiB pages.
    fn page_count(&self) -> u32;
    /// Where the device sees the first byte; 4 KiB aligned (2 MiB aligned for large entries).
    fn device_base(&self) -> DeviceAddress;
    /// Reads 32 bits at a multiple of 4.
    fn read_u32(&self, at: DmaOffset) -> u32;
    /// Writes 32 bits at a multiple of 4, in one access.
    fn write_u32(&mut self, at: DmaOffset, value: u32);
    /// Reads 64 bits at a multiple of 8, in one access.
    fn read_u64(&self, at: DmaOffset) -> u64;
    /// Writes 64 bits at a multiple of 8, in one access.
    fn write_u64(&mut self, at: DmaOffset, value: u64);

    /// Room for `count` dwords from a multiple of 4 on, to be written one after the other, each in one access.
    fn dwords(&mut self, at: DmaOffset, count: usize) -> impl Dwords
    where
        Self: Sized,
    {
        Singly { memory: self, at, left: count }
    }

    /// Copies pairs of dwords in, from a multiple of 8 on, each pair in one access.
    fn write_pairs(&mut self, at: DmaOffset, pairs: &[[u32; 2]]) {
        for (index, pair) in pairs.iter().enumerate() {
            self.write_u64(at.add(index * 8), quadword(*pair));
        }
    }

    /// Writes `count` 64-bit values: `first`, `first + step`, `first + 2*step`, ...
    fn write_u64_run(&mut self, at: DmaOffset, first: u64, step: u64, count: usize) {
        let mut value = first;
        for index in 0..count {
            self.write_u64(at.add(index * 8), value);
            value = value.wrapping_add(step);
        }
    }

    /// Copies a page.
    fn copy_page(&mut self, from: DmaPage, to: DmaPage) {
        for offset in (0..4096).step_by(8) {
            let value = self.read_u64(from.at(offset));
            self.write_u64(to.at(offset), value);
        }
    }

    /// Copies bytes in. `at` and the length are multiples of 4.
    fn write_bytes(&mut self, at: DmaOffset, bytes: &[u8]) {
        for (index, word) in bytes.chunks_exact(4).enumerate() {
            let mut raw = [0; 4];
            raw.copy_from_slice(word);
            self.write_u32(at.add(index * 4), u32::from_le_bytes(raw));
        }
    }

    /// Copies bytes out. `at` and the length are multiples of 4.
    fn read_bytes(&self, at: DmaOffset, bytes: &mut [u8]) {
        for (index, word) in bytes.chunks_exact_mut(4).enumerate() {
            word.copy_from_slice(&self.read_u32(at.add(index * 4)).to_le_bytes());
        }
    }

    /// Writes the cache lines of the range back to memory (clflush and fence). Called only on parts
    /// whose page walker does not snoop the CPU's caches.
    fn flush(&mut self, at: DmaOffset, bytes: usize);

    /// All earlier writes to DMA memory are visible to the device before any later MMIO write
    /// (`sfence`; a compiler barrier at the very least).
    fn write_barrier(&mut self);

    /// No later read of DMA memory is satisfied before an earlier one (`lfence` or a compiler barrier).
    fn read_barrier(&mut self);

    /// The device has been given up, and must not read or write memory any more, whatever it still executes: bus
    /// mastering off, in configuration space. An implementation that cannot do that leaves it to the IOMMU, which
    /// confines the device to this region and to what is bound for it.
    fn cut_off(&mut self) {}

    /// Length in bytes.
    fn byte_count(&self) -> usize {
        // CAST: widening on every target of this driver.
        (self.page_count() as usize) << PAGE_SHIFT
    }
}

/// Two dwords as they are one after the other in memory.
#[must_use]
pub const fn quadword([first, second]: [u32; 2]) -> u64 {
    // CAST: widening, in a constant function.
    first as u64 | (second as u64) << 32
}

/// Takes dwords for consecutive places of DMA memory: see [`DmaMemory::dwords`].
pub trait Dwords {
    /// Writes some more. Where there is no room for all of them nothing is written, now and later.
    fn put<const N: usize>(&mut self, dwords: &[u32; N]);
}

/// [`Dwords`] of which each is written by itself.
struct Singly<'a, M> {
    memory: &'a mut M,
    at: DmaOffset,
    left: usize,
}

impl<M: DmaMemory> Dwords for Singly<'_, M> {
    fn put<const N: usize>(&mut self, dwords: &[u32; N]) {
        let Some(left) = self.left.checked_sub(N) else {
            self.left = 0;
            return;
        };
        self.left = left;
        for dword in dwords {
            self.memory.write_u32(self.at, *dword);
            self.at = self.at.add(4);
        }
    }
}

/// A clock that never goes back.
pub trait Clock {
    /// Nanoseconds since some fixed moment.
    fn now_ns(&mut self) -> u64;
    /// Lets a little time pass inside a bounded poll: a few `pause` instructions, at most some
    /// microseconds. A test's clock advances here.
    fn relax(&mut self);
    /// Writes down what the driver does, by this clock. The event is only put together where somebody reads it: unless a
    /// machine overrides this, never.
    fn note(&mut self, _event: impl FnOnce() -> Event) {}
}

/// All that the core is generic over.
pub trait Hardware: Mmio + DmaMemory + Clock {}

impl<T: Mmio + DmaMemory + Clock> Hardware for T {}

/// One register access, as a [`Tracer`] sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Offset in BAR 0.
    pub offset: u32,
    /// Value read or written.
    pub value: u64,
    /// Width in bits: 32 or 64.
    pub bits: u8,
    /// Whether it was a write.
    pub write: bool,
}

/// Sees every register access of a [`Traced`] machine.
pub trait Tracer {
    /// Called after each access, in order.
    fn access(&mut self, access: Access);
}

impl<F: FnMut(Access)> Tracer for F {
    fn access(&mut self, access: Access) {
        self(access);
    }
}

/// A machine whose register accesses pass a [`Tracer`]: register lists, exact-sequence tests.
#[derive(Debug)]
pub struct Traced<H, T> {
    /// The machine.
    pub hardware: H,
    /// The observer.
    pub tracer: T,
}

impl<H: Mmio, T: Tracer> Mmio for Traced<H, T> {
    fn read32(&mut self, offset: u32) -> u32 {
        let value = self.hardware.read32(offset);
        self.tracer.access(Access { offset, value: value.into(), bits: 32, write: false });
        value
    }

    fn write32(&mut self, offset: u32, value: u32) {
        self.hardware.write32(offset, value);
        self.tracer.access(Access { offset, value: value.into(), bits: 32, write: true });
    }

    fn read64(&mut self, offset: u32) -> u64 {
        let value = self.hardware.read64(offset);
        self.tracer.access(Access { offset, value, bits: 64, write: false });
        value
    }

    fn write64(&mut self, offset: u32, value: u64) {
        self.hardware.write64(offset, value);
        self.tracer.access(Access { offset, value, bits: 64, write: true });
    }
}

impl<H: DmaMemory, T> DmaMemory for Traced<H, T> {
    fn page_count(&self) -> u32 {
        self.hardware.page_count()
    }
    fn device_base(&self) -> DeviceAddress {
        self.hardware.device_base()
    }
    fn read_u32(&self, at: DmaOffset) -> u32 {
        self.hardware.read_u32(at)
    }
    fn write_u32(&mut self, at: DmaOffset, value: u32) {
        self.hardware.write_u32(at, value);
    }
    fn read_u64(&self, at: DmaOffset) -> u64 {
        self.hardware.read_u64(at)
    }
    fn write_u64(&mut self, at: DmaOffset, value: u64) {
        self.hardware.write_u64(at, value);
    }
    fn write_u64_run(&mut self, at: DmaOffset, first: u64, step: u64, count: usize) {
        self.hardware.write_u64_run(at, first, step, count);
    }
    fn copy_page(&mut self, from: DmaPage, to: DmaPage) {
        self.hardware.copy_page(from, to);
    }
    fn write_bytes(&mut self, at: DmaOffset, bytes: &[u8]) {
        self.hardware.write_bytes(at, bytes);
    }
    fn read_bytes(&self, at: DmaOffset, bytes: &mut [u8]) {
        self.hardware.read_bytes(at, bytes);
    }
    fn flush(&mut self, at: DmaOffset, bytes: usize) {
        self.hardware.flush(at, bytes);
    }
    fn write_barrier(&mut self) {
        self.hardware.write_barrier();
    }
    fn read_barrier(&mut self) {
        self.hardware.read_barrier();
    }
    fn cut_off(&mut self) {
        self.hardware.cut_off();
    }
}

impl<H: Clock, T> Clock for Traced<H, T> {
    fn now_ns(&mut self) -> u64 {
        self.hardware.now_ns()
    }
    fn relax(&mut self) {
        self.hardware.relax();
    }
    fn note(&mut self, event: impl FnOnce() -> Event) {
        self.hardware.note(event);
    }
}
