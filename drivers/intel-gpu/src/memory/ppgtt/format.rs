// SPDX-License-Identifier: BSD-2-Clause
//! Entries and geometry of a PPGTT.
//!
//! Sources: PRM vol 5 (Memory Views), "Per-Process GTT"; i915: gen8_ppgtt.c, intel_gtt.h.

use crate::address::DeviceAddress;
use crate::device::{Generation, Platform};
use crate::memory::cache::{Cache, SCRATCH_POINTER_BITS};

/// Entries of a table.
pub(crate) const ENTRIES: u32 = 512;
/// Bits of a virtual address that one level translates.
const LEVEL_BITS: u32 = 9;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
/// PDE: this is a 2 MiB leaf.
const LARGE: u64 = 1 << 7;
/// PDE: the page table below describes 64 KiB pages (IPS).
const IPS_64K: u64 = 1 << 11;
/// Bits 45:12: an address; Gen8 to Gen11 decode fewer, and the DMA mask keeps to 39.
const ADDRESS: u64 = 0x3fff_ffff_f000;

/// Level of a table: what one of its entries covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Level(pub(crate) u32);

impl Level {
    /// Page table: an entry covers 4 KiB.
    pub(crate) const PT: Self = Self(0);
    /// Page directory: 2 MiB.
    pub(crate) const PD: Self = Self(1);
    /// Page map level 4: 512 GiB.
    pub(crate) const PML4: Self = Self(3);

    /// log2 of the bytes that an entry covers.
    pub(crate) const fn shift(self) -> u32 {
        12 + LEVEL_BITS * self.0
    }

    /// Bytes that an entry covers.
    pub(crate) const fn entry_bytes(self) -> u64 {
        1 << self.shift()
    }

    /// Index of the entry for `va` in a table of this level.
    pub(crate) const fn index(self, va: u64) -> u32 {
        // CAST: nine bits.
        #[expect(clippy::cast_possible_truncation)]
        let index = (va >> self.shift()) as u32 & (ENTRIES - 1);
        index
    }

    pub(crate) const fn below(self) -> Self {
        Self(self.0 - 1)
    }
}

/// What the part can do and how its entries look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) generation: Generation,
    /// Bits of an address: at most 32 means three levels.
    pub(crate) bits: u32,
    pub(crate) pages_64k: bool,
    pub(crate) pages_2m: bool,
    pub(crate) read_only: bool,
    /// Bits of an address on the bus.
    pub(crate) dma_bits: u32,
}

impl Format {
    pub(crate) const fn of(platform: &Platform, bits: u32) -> Self {
        Self {
            generation: platform.generation,
            bits,
            pages_64k: platform.pages_64k,
            pages_2m: platform.pages_2m,
            read_only: platform.read_only,
            dma_bits: platform.dma_bits,
        }
    }

    pub(crate) const fn four_level(&self) -> bool {
        self.bits > 32
    }

    /// Bytes of the address space.
    pub(crate) const fn bytes(&self) -> u64 {
        1 << self.bits
    }

    /// A 4 KiB entry.
    pub(crate) const fn leaf(&self, address: DeviceAddress, cache: Cache, read_only: bool) -> u64 {
        address.get() | PRESENT | writable(read_only) | cache.entry_bits(self.generation)
    }

    /// A 2 MiB entry, in a page directory.
    pub(crate) const fn large_leaf(&self, address: DeviceAddress, cache: Cache, read_only: bool) -> u64 {
        address.get() | PRESENT | LARGE | writable(read_only) | cache.large_entry_bits(self.generation)
    }

    /// Scratch is read-only where that works: then it can be shared, for nobody can write into it.
    pub(crate) const fn scratch_leaf(&self, address: DeviceAddress) -> u64 {
        self.leaf(address, Cache::Coherent, self.read_only)
    }

    /// A pointer to a table.
    pub(crate) const fn pointer(address: DeviceAddress) -> u64 {
        address.get() | PRESENT | WRITABLE
    }

    /// A pointer to a scratch table.
    pub(crate) const fn scratch_pointer(address: DeviceAddress) -> u64 {
        Self::pointer(address) | SCRATCH_POINTER_BITS
    }

    /// A pointer whose table describes 64 KiB pages.
    pub(crate) const fn with_64k(pointer: u64) -> u64 {
        pointer | IPS_64K
    }

    pub(crate) const fn without_64k(pointer: u64) -> u64 {
        pointer & !IPS_64K
    }

    pub(crate) const fn is_64k(pde: u64) -> bool {
        pde & IPS_64K != 0
    }

    pub(crate) const fn is_large(pde: u64) -> bool {
        pde & LARGE != 0
    }

    /// The address in an entry.
    pub(crate) const fn address(entry: u64) -> u64 {
        entry & ADDRESS
    }

    /// The 4 KiB entry that translates page `index` of a 2 MiB entry in the same way.
    pub(crate) const fn split(&self, large: u64, index: u32) -> u64 {
        let page = Self::address(large) + ((index as u64) << 12);
        // Index bit 2 of the PAT is clear in both forms (see `Cache::large_entry_bits`).
        page | large & (PRESENT | WRITABLE | PAT_LOW)
    }
}

/// PAT index bits 0 and 1 of an entry.
const PAT_LOW: u64 = 1 << 3 | 1 << 4;

const fn writable(read_only: bool) -> u64 {
    if read_only { 0 } else { WRITABLE }
}
