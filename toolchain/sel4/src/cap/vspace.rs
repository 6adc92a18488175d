// SPDX-License-Identifier: BSD-2-Clause
//! Address spaces of threads. Tables are mapped from the top level down; a page can be mapped once the
//! table of its level is there.

use super::{Frame, PageDirectory, PageTable, Pdpt, Pml4};
#[cfg(not(feature = "mcs"))]
use crate::abi::invoke_without_waiting;
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

    /// The physical address, if this is a frame, asked in a way that does not wait whatever it is: to call an endpoint
    /// would be to wait for its owner, for ever if that one likes. An endpoint or a notification gets an empty message,
    /// as whoever had the capability could have sent; of anything else nothing comes.
    ///
    /// The embedded kernel writes the address into the register of who asks, whether or not that one waits for an answer
    /// (seL4 5.0.0: `src/arch/x86/kernel/vspace.c`, `performPageGetAddress`). Later ones do so for calls only, and this
    /// finds no frame there.
    #[cfg(not(feature = "mcs"))]
    pub fn address_if_frame(self) -> Option<u64> {
        // No frame's: they are aligned.
        const UNTOUCHED: u64 = 1;
        let answer = invoke_without_waiting(self.cptr(), label::X86PageGetAddress, UNTOUCHED);
        (answer != UNTOUCHED).then_some(answer)
    }

    /// Finds no frame: this kernel does not tell without a call.
    #[cfg(feature = "mcs")]
    pub const fn address_if_frame(self) -> Option<u64> {
        None
    }
}

#[cfg(all(test, not(feature = "mcs")))]
mod tests {
    use super::*;
    use crate::MessageInfo;
    use crate::abi::recorder::{Answer, record};

    #[test]
    fn what_may_be_no_frame_is_asked_without_waiting_and_tells_by_writing_the_register() {
        let frame = Frame::from_cptr(CPtr::new(77));
        for (register, address) in [(0x1234_5000, Some(0x1234_5000)), (0, Some(0)), (1, None)] {
            let answer = Answer { words: [register, 0, 0, 0], ..Answer::default() };
            let (found, calls) = record(answer, || frame.address_if_frame());
            assert_eq!(found, address);
            let [call] = &calls[..] else { unreachable!("one system call") };
            // seL4: libsel4/sel4_arch_include/x86_64/sel4/sel4_arch/syscalls.h: NBSend
            assert_eq!((call.number, call.cap, call.words[0]), (-4, 77, 1));
            assert_eq!(MessageInfo::from_bits(call.info).label(), label::X86PageGetAddress);
        }
    }
}
