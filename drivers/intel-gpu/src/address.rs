// SPDX-License-Identifier: BSD-2-Clause
//! Typed addresses. Four kinds of number name memory here and none may be taken for another: what the
//! GPU's DMA engine puts on the bus, where something lies in the global GTT, where it lies in a
//! client's GPU address space, and which page of the driver's own DMA region it is.

use core::fmt;

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// Smallest page of GGTT and PPGTT, in bytes.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

/// What the GPU's DMA uses: a physical address, or an I/O virtual one behind an IOMMU.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DeviceAddress(u64);

impl DeviceAddress {
    /// Any byte address.
    #[must_use]
    pub const fn new(address: u64) -> Self {
        Self(address)
    }

    /// The address as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The address `bytes` further on, wrapping as the bus would.
    #[must_use]
    pub const fn offset(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Whether the address is a multiple of `alignment`, a power of two.
    #[must_use]
    pub const fn is_aligned(self, alignment: u64) -> bool {
        self.0 & (alignment - 1) == 0
    }
}

impl fmt::Debug for DeviceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceAddress({:#x})", self.0)
    }
}

/// Byte offset in the global GTT, which has at most 4 GiB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GgttOffset(u32);

impl GgttOffset {
    /// A byte offset.
    #[must_use]
    pub const fn new(offset: u32) -> Self {
        Self(offset)
    }

    /// The first byte of GGTT page `page`; `None` beyond 4 GiB.
    #[must_use]
    pub const fn of_page(page: u32) -> Option<Self> {
        match page.checked_mul(1 << PAGE_SHIFT) {
            Some(offset) => Some(Self(offset)),
            None => None,
        }
    }

    /// The offset as a number of bytes.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Index of the page-table entry that translates this offset.
    #[must_use]
    pub const fn page(self) -> u32 {
        self.0 >> PAGE_SHIFT
    }

    /// The offset `bytes` further on, wrapping at 4 GiB.
    #[must_use]
    pub const fn offset(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

impl fmt::Debug for GgttOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GgttOffset({:#x})", self.0)
    }
}

/// Address in a client's GPU address space, kept as its low 48 bits; commands carry [`Self::canonical`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GpuVirtual(u64);

impl GpuVirtual {
    const BITS: u32 = 48;

    /// Takes a canonical address (bit 47 repeated above); `None` for any other.
    #[must_use]
    pub const fn new(canonical: u64) -> Option<Self> {
        let low = Self(canonical & ((1 << Self::BITS) - 1));
        if low.canonical() == canonical { Some(low) } else { None }
    }

    /// The address whose low 48 bits are those of `low`.
    pub(crate) const fn from_low(low: u64) -> Self {
        Self(low & ((1 << Self::BITS) - 1))
    }

    /// The address as commands and clients write it: bit 47 repeated in bits 63..48.
    #[must_use]
    pub const fn canonical(self) -> u64 {
        if self.0 >> (Self::BITS - 1) == 0 { self.0 } else { self.0 | (u64::MAX << Self::BITS) }
    }

    /// The low 48 bits: the position in the address space, without sign extension.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for GpuVirtual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GpuVirtual({:#x})", self.0)
    }
}

/// Non-empty page-aligned range of a client's GPU address space.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VaRange {
    start: u64,
    end: u64,
}

impl VaRange {
    /// The range of `bytes` bytes from `start`; `None` when empty, not page aligned, or past 2^48.
    #[must_use]
    pub const fn new(start: GpuVirtual, bytes: u64) -> Option<Self> {
        let aligned = (start.get() | bytes) & (PAGE_SIZE - 1) == 0;
        match start.get().checked_add(bytes) {
            Some(end) if aligned && bytes != 0 && end <= 1 << GpuVirtual::BITS => {
                Some(Self { start: start.get(), end })
            }
            _ => None,
        }
    }

    pub(crate) const fn from_bounds(start: u64, end: u64) -> Self {
        Self { start, end }
    }

    /// Whether an address lies in it.
    pub(crate) const fn contains(self, at: GpuVirtual) -> bool {
        self.start <= at.0 && at.0 < self.end
    }

    /// First address.
    #[must_use]
    pub const fn start(self) -> GpuVirtual {
        GpuVirtual(self.start)
    }

    /// The address so many bytes from the first one; `None` where the range has ended.
    #[must_use]
    pub const fn at(self, offset: u64) -> Option<GpuVirtual> {
        if offset < self.bytes() { Some(GpuVirtual(self.start + offset)) } else { None }
    }

    /// One past the last byte; may be 2^48, which is no address.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Length in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.end - self.start
    }

    /// Length in 4 KiB pages.
    #[must_use]
    pub const fn pages(self) -> u64 {
        self.bytes() >> PAGE_SHIFT
    }

    /// What of this range lies behind `other`, if anything.
    pub(crate) const fn after(self, other: Self) -> Option<Self> {
        let start = if other.end > self.start { other.end } else { self.start };
        if start < self.end { Some(Self { start, end: self.end }) } else { None }
    }

    /// Whether the two have a page in common.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

impl fmt::Debug for VaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaRange({:#x}..{:#x})", self.start, self.end)
    }
}

/// Index of a page in the driver's DMA region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DmaPage(pub u32);

impl DmaPage {
    /// Byte `offset` of this page (or of the contiguous run that starts with it), as an offset in the
    /// region.
    #[must_use]
    pub const fn at(self, offset: u32) -> DmaOffset {
        // CAST: widening; usize has 64 bits on every target of this driver.
        DmaOffset(((self.0 as usize) << PAGE_SHIFT) + offset as usize)
    }
}

/// Byte offset in the driver's DMA region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DmaOffset(pub usize);

impl DmaOffset {
    /// The offset `bytes` further on.
    #[must_use]
    pub const fn add(self, bytes: usize) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

/// Pages in a row: what [`crate::Gpu::bind`] maps, any number of runs making one range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRun {
    /// First byte, 4 KiB aligned.
    pub address: DeviceAddress,
    /// Number of 4 KiB pages, contiguous for the device.
    pub pages: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_addresses_are_gpu_virtual() {
        assert_eq!(GpuVirtual::new(0).map(GpuVirtual::get), Some(0));
        assert_eq!(GpuVirtual::new(0x7fff_ffff_f000).map(GpuVirtual::get), Some(0x7fff_ffff_f000));
        assert_eq!(GpuVirtual::new(0x8000_0000_0000), None);
        let high = GpuVirtual::new(0xffff_8000_0000_0000).expect("canonical");
        assert_eq!(high.get(), 0x8000_0000_0000);
        assert_eq!(high.canonical(), 0xffff_8000_0000_0000);
    }

    #[test]
    fn a_range_is_aligned_not_empty_and_inside_48_bits() {
        let at = |a| GpuVirtual::new(a).expect("canonical");
        assert!(VaRange::new(at(0), 0).is_none());
        assert!(VaRange::new(at(0x800), 0x1000).is_none());
        assert!(VaRange::new(at(0), 0x1800).is_none());
        assert!(VaRange::new(at(0xffff_ffff_ffff_f000), 0x2000).is_none());
        assert!(VaRange::new(at(0x1000), u64::MAX - 0xfff).is_none());
        let last = VaRange::new(at(0xffff_ffff_ffff_f000), 0x1000).expect("last page");
        assert_eq!((last.end(), last.pages()), (1 << 48, 1));
    }
}
