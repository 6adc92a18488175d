// SPDX-License-Identifier: BSD-2-Clause
//! Address spaces of threads. Tables are mapped from the top level down; a page can be mapped once the
//! table of its level is there.

use super::{Frame, PageDirectory, PageTable, Pdpt, Pml4};
use crate::abi::{invoke, label};
use crate::error::Result;
use crate::{CPtr, Cacheability, CapRights};

/// Tables themselves are always cached.
const TABLE_ATTRIBUTES: u64 = Cacheability::WriteBack.bits();

fn map_table(table: CPtr, label: u64, vspace: Pml4, address: u64) -> Result<()> {
    invoke(table, label, [vspace.cptr()], [address, TABLE_ATTRIBUTES])?;
    Ok(())
}

fn unmap_table(table: CPtr, label: u64) -> Result<()> {
    invoke(table, label, [], [])?;
    Ok(())
}

impl Pdpt {
    /// Puts the table into an address space, covering `address`.
    pub fn map(self, vspace: Pml4, address: u64) -> Result<()> {
        map_table(self.cptr(), label::X86PDPTMap, vspace, address)
    }

    /// Takes the table out again.
    pub fn unmap(self) -> Result<()> {
        unmap_table(self.cptr(), label::X86PDPTUnmap)
    }
}

impl PageDirectory {
    /// Puts the table into an address space, covering `address`.
    pub fn map(self, vspace: Pml4, address: u64) -> Result<()> {
        map_table(self.cptr(), label::X86PageDirectoryMap, vspace, address)
    }

    /// Takes the table out again.
    pub fn unmap(self) -> Result<()> {
        unmap_table(self.cptr(), label::X86PageDirectoryUnmap)
    }
}

impl PageTable {
    /// Puts the table into an address space, covering `address`.
    pub fn map(self, vspace: Pml4, address: u64) -> Result<()> {
        map_table(self.cptr(), label::X86PageTableMap, vspace, address)
    }

    /// Takes the table out again.
    pub fn unmap(self) -> Result<()> {
        unmap_table(self.cptr(), label::X86PageTableUnmap)
    }
}

impl Frame {
    /// Maps the page into an address space at `address`, with at most `rights`. A capability is mapped
    /// at most once: copy it for more.
    pub fn map(
        self,
        vspace: Pml4,
        address: u64,
        rights: CapRights,
        cacheability: Cacheability,
    ) -> Result<()> {
        let arguments = [address, rights.bits(), cacheability.bits()];
        invoke(self.cptr(), label::X86PageMap, [vspace.cptr()], arguments)?;
        Ok(())
    }

    /// Changes rights and cacheability of the mapping.
    #[cfg(not(feature = "mcs"))]
    pub fn remap(self, vspace: Pml4, rights: CapRights, cacheability: Cacheability) -> Result<()> {
        let arguments = [rights.bits(), cacheability.bits()];
        invoke(self.cptr(), label::X86PageRemap, [vspace.cptr()], arguments)?;
        Ok(())
    }

    /// Takes the page out of where this capability mapped it: a thread's address space or a device's.
    pub fn unmap(self) -> Result<()> {
        invoke(self.cptr(), label::X86PageUnmap, [], [])?;
        Ok(())
    }

    /// The physical address.
    pub fn address(self) -> Result<u64> {
        Ok(invoke(self.cptr(), label::X86PageGetAddress, [], [])?[0])
    }
}
