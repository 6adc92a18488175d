// SPDX-License-Identifier: BSD-2-Clause
//! DMA remapping by the guest's own VT-d tables.
//!
//! The tables are in guest memory; only the root table register and the translation-enable status are in the
//! IOMMU, where the guest writes them unseen by the model. Whoever can read them (the QEMU program, over qtest)
//! puts them into [`Registers`] between accesses; a walk never waits for them.
//!
//! ```text
//!   root table [bus] ─► context table [devfn] ─► second-level tables (39 or 48 bits) ─► page 4K, 2M, 1G
//! ```
//!
//! Legacy mode only (VT-d 3.0, 3.4 and 9.1 to 9.8), which is what seL4 and Linux use on QEMU's intel-iommu.
//! Translations are not cached: a change of the tables works at once, an IOTLB invalidation is never missed.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::{GuestMemory, MemoryError};

/// Faults that the record keeps.
const RECORD: usize = 256;

/// Why a request was refused; the numbers are the fault reasons of VT-d 3.0, appendix A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FaultReason {
    /// The root entry of the bus is not present.
    RootNotPresent = 1,
    /// The context entry of the function is not present.
    ContextNotPresent = 2,
    /// The context entry has a width or type that does not exist.
    ContextInvalid = 3,
    /// The address is beyond the domain's width.
    BeyondWidth = 4,
    /// A write through a table path without write permission.
    WriteDenied = 5,
    /// A read through a table path without read permission.
    ReadDenied = 6,
    /// A second-level table is not in memory.
    TableAccess = 7,
    /// The root table is not in memory.
    RootAccess = 8,
    /// The context table is not in memory.
    ContextAccess = 9,
}

impl fmt::Display for FaultReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RootNotPresent => "root entry not present",
            Self::ContextNotPresent => "context entry not present",
            Self::ContextInvalid => "context entry invalid",
            Self::BeyondWidth => "address beyond the domain's width",
            Self::WriteDenied => "write not permitted",
            Self::ReadDenied => "read not permitted",
            Self::TableAccess => "second-level table not in memory",
            Self::RootAccess => "root table not in memory",
            Self::ContextAccess => "context table not in memory",
        })
    }
}

/// One refused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IommuFault {
    /// Device address.
    pub address: u64,
    /// Write (else read).
    pub write: bool,
    /// Why.
    pub reason: FaultReason,
}

/// The part of the IOMMU that lives in its registers.
#[derive(Debug, Default)]
pub struct Registers {
    root: AtomicU64,
    enabled: AtomicBool,
    faults: Mutex<Vec<IommuFault>>,
}

impl Registers {
    /// Takes fresh values: GSTS (0xfed9001c) bit 31 and RTADDR (0xfed90020).
    pub fn set(&self, enabled: bool, root: u64) {
        self.root.store(root, Ordering::Release);
        self.enabled.store(enabled, Ordering::Release);
    }

    /// Is translation on?
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.enabled.load(Ordering::Acquire)
    }

    /// Root table register.
    #[must_use]
    pub fn root(&self) -> u64 {
        self.root.load(Ordering::Acquire)
    }

    /// Refused requests so far (the first 256).
    #[must_use]
    pub fn faults(&self) -> Vec<IommuFault> {
        self.faults.lock().map(|faults| faults.clone()).unwrap_or_default()
    }

    fn record(&self, fault: IommuFault) {
        if let Ok(mut faults) = self.faults.lock()
            && faults.len() < RECORD
        {
            faults.push(fault);
        }
    }
}

/// Memory behind the IOMMU.
#[derive(Debug)]
pub struct Vtd<M> {
    inner: M,
    registers: Arc<Registers>,
    bus: u8,
    devfn: u8,
}

impl<M: GuestMemory> Vtd<M> {
    /// `inner` by physical address, seen through the tables that `registers` point to by the function
    /// `device`.`function` of bus `bus`.
    pub const fn new(inner: M, registers: Arc<Registers>, bus: u8, device: u8, function: u8) -> Self {
        Self { inner, registers, bus, devfn: ((device & 31) << 3) | (function & 7) }
    }

    /// Physical address of a device address.
    ///
    /// # Errors
    /// Refused; recorded in the registers as well.
    pub fn translate(&mut self, address: u64, write: bool) -> Result<u64, MemoryError> {
        if !self.registers.enabled() {
            return Ok(address);
        }
        self.walk(address, write).map_err(|reason| {
            self.registers.record(IommuFault { address, write, reason });
            MemoryError::Iommu(address, reason)
        })
    }

    /// As [`Vtd::translate`], for all `len` bytes: they have one translation only where they lie in one page.
    fn translate_range(&mut self, address: u64, len: usize, write: bool) -> Result<u64, MemoryError> {
        const PAGE: u64 = 4096;
        if address % PAGE + len as u64 > PAGE {
            return Err(MemoryError::CrossesPage(address));
        }
        self.translate(address, write)
    }

    fn walk(&mut self, address: u64, write: bool) -> Result<u64, FaultReason> {
        const PAGE_MASK: u64 = 0x000f_ffff_ffff_f000;
        let root = (self.registers.root() & PAGE_MASK) + 16 * u64::from(self.bus);
        let root = self.inner.read_u64(root).map_err(|_| FaultReason::RootAccess)?;
        if root & 1 == 0 {
            return Err(FaultReason::RootNotPresent);
        }
        let context = (root & PAGE_MASK) + 16 * u64::from(self.devfn);
        let low = self.inner.read_u64(context).map_err(|_| FaultReason::ContextAccess)?;
        let high = self.inner.read_u64(context + 8).map_err(|_| FaultReason::ContextAccess)?;
        if low & 1 == 0 {
            return Err(FaultReason::ContextNotPresent);
        }
        match (low >> 2) & 3 {
            0 | 1 => {}
            2 => return Ok(address),
            _ => return Err(FaultReason::ContextInvalid),
        }
        let levels: u32 = match high & 7 {
            1 => 3,
            2 => 4,
            _ => return Err(FaultReason::ContextInvalid),
        };
        if address >> (12 + 9 * levels) != 0 {
            return Err(FaultReason::BeyondWidth);
        }
        let mut table = low & PAGE_MASK;
        for level in (0..levels).rev() {
            let shift = 12 + 9 * level;
            let index = (address >> shift) & 0x1ff;
            let entry = self.inner.read_u64(table + 8 * index).map_err(|_| FaultReason::TableAccess)?;
            if write && entry & 2 == 0 {
                return Err(FaultReason::WriteDenied);
            }
            if !write && entry & 1 == 0 {
                return Err(FaultReason::ReadDenied);
            }
            if level == 0 || (level <= 2 && entry & 0x80 != 0) {
                let offset = (1u64 << shift) - 1;
                return Ok((entry & PAGE_MASK & !offset) | (address & offset));
            }
            table = entry & PAGE_MASK;
        }
        Err(FaultReason::ContextInvalid)
    }
}

impl<M: GuestMemory> GuestMemory for Vtd<M> {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        let physical = self.translate_range(address, buffer.len(), false)?;
        self.inner.read(physical, buffer)
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), MemoryError> {
        let physical = self.translate_range(address, data.len(), true)?;
        self.inner.write(physical, data)
    }

    fn compare_exchange(
        &mut self,
        address: u64,
        size: usize,
        current: u64,
        new: u64,
    ) -> Result<u64, MemoryError> {
        let physical = self.translate_range(address, size, true)?;
        self.inner.compare_exchange(physical, size, current, new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::VecMemory;

    const ROOT: u64 = 0x1000;
    const CONTEXTS: u64 = 0x2000;
    const TABLES: u64 = 0x3000;

    /// A 3-level domain for function 0:2.0 that maps device page 0x7000 to physical page 0x8000.
    fn domain(leaf: u64) -> (VecMemory, Vtd<VecMemory>) {
        let memory = VecMemory::new(0, 0x10000);
        assert!(memory.set_u64(ROOT, CONTEXTS | 1));
        assert!(memory.set_u64(CONTEXTS + 16 * 0x10, TABLES | 1));
        assert!(memory.set_u64(CONTEXTS + 16 * 0x10 + 8, 1));
        assert!(memory.set_u64(TABLES, 0x4000 | 3));
        assert!(memory.set_u64(0x4000, 0x5000 | 3));
        assert!(memory.set_u64(0x5000 + 8 * 7, leaf));
        let registers = Arc::new(Registers::default());
        registers.set(true, ROOT);
        (memory.clone(), Vtd::new(memory, registers, 0, 2, 0))
    }

    #[test]
    fn a_mapped_page_is_reached_for_reading_and_writing() {
        let (memory, mut vtd) = domain(0x8000 | 3);
        vtd.write(0x7004, &0xabcd_1234u32.to_le_bytes()).unwrap();
        assert_eq!(memory.get_u32(0x8004), Some(0xabcd_1234));
        assert_eq!(vtd.read_u32(0x7004), Ok(0xabcd_1234));
        assert!(vtd.registers.faults().is_empty());
    }

    #[test]
    fn an_unmapped_page_is_refused_and_recorded() {
        let (memory, mut vtd) = domain(0);
        let refused = vtd.write(0x7004, &[1; 4]);
        assert_eq!(refused, Err(MemoryError::Iommu(0x7004, FaultReason::WriteDenied)));
        assert_eq!(memory.get_u32(0x7004), Some(0), "the untranslated address is untouched");
        assert_eq!(
            vtd.registers.faults(),
            [IommuFault { address: 0x7004, write: true, reason: FaultReason::WriteDenied }]
        );
    }

    #[test]
    fn an_access_that_crosses_a_page_is_refused_and_reaches_neither_page() {
        let (memory, mut vtd) = domain(0x8000 | 3);
        assert!(memory.set(0x8ffc, &[7; 8]));
        let mut bytes = [0; 8];
        assert_eq!(vtd.read(0x7ffc, &mut bytes), Err(MemoryError::CrossesPage(0x7ffc)));
        assert_eq!(vtd.write(0x7ffc, &[1; 8]), Err(MemoryError::CrossesPage(0x7ffc)));
        assert_eq!(vtd.compare_exchange(0x7ffc, 8, 0, 1), Err(MemoryError::CrossesPage(0x7ffc)));
        assert_eq!(memory.get_u64(0x8ffc), Some(0x0707_0707_0707_0707));
        assert_eq!(vtd.read_u32(0x7ffc), Ok(0x0707_0707));
    }

    #[test]
    fn a_read_only_page_refuses_writes_only() {
        let (_, mut vtd) = domain(0x8000 | 1);
        assert_eq!(vtd.read_u32(0x7000), Ok(0));
        assert!(vtd.write(0x7000, &[1; 4]).is_err());
    }

    #[test]
    fn a_two_mebibyte_page_keeps_the_low_21_bits() {
        let (memory, mut vtd) = domain(0);
        assert!(memory.set_u64(0x4000 + 8, 3 | 0x80));
        assert_eq!(vtd.translate(0x20_9abc, false), Ok(0x9abc));
    }

    #[test]
    fn addresses_beyond_the_width_and_other_functions_are_refused() {
        let (memory, mut vtd) = domain(0x8000 | 3);
        let beyond = vtd.read_u32(1 << 39);
        assert_eq!(beyond, Err(MemoryError::Iommu(1 << 39, FaultReason::BeyondWidth)));
        let mut other = Vtd::new(memory, Arc::clone(&vtd.registers), 0, 3, 0);
        assert_eq!(other.read_u32(0x7000), Err(MemoryError::Iommu(0x7000, FaultReason::ContextNotPresent)));
    }

    #[test]
    fn translation_off_is_the_identity() {
        let (_, mut vtd) = domain(0);
        vtd.registers.set(false, 0);
        assert_eq!(vtd.translate(0x7123, true), Ok(0x7123));
    }

    #[test]
    fn tables_that_point_at_themselves_end_the_walk() {
        let (memory, mut vtd) = domain(0);
        assert!(memory.set_u64(TABLES, TABLES | 3));
        assert_eq!(vtd.translate(0x0, false), Ok(TABLES));
    }
}
