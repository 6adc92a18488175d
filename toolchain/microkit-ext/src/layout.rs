// SPDX-License-Identifier: BSD-2-Clause
//! What Microkit puts where in every domain on x86-64.

use sel4::CPtr;

/// Where the IPC buffer is mapped.
pub(crate) const IPC_BUFFER: usize = 0x7fff_ffff_e000;

/// The address behind the last byte of the stack.
pub(crate) const STACK_TOP: u64 = 0x7fff_ffff_d000;

/// Channels, interrupts and I/O ports have ids below this.
pub(crate) const MAX_IDS: usize = 62;

/// Slots of the system CNode, whose numbers are the addresses of the capabilities.
pub(crate) mod slot {
    pub(crate) const INPUT: usize = 1;
    pub(crate) const REPLY: usize = 4;
    pub(crate) const ENDPOINT: usize = 74;
    pub(crate) const CHILD_TCB: usize = 202;
    pub(crate) const IO_PORT: usize = 394;
    /// Addresses of CNodes that lie in the slots of the domain's root CNode (see [`crate::cap`]).
    pub(crate) const CNODE_HANDLE: usize = 512;
    /// From here on the system CNode is empty.
    pub(crate) const FREE: core::ops::Range<usize> = 576..1024;
}

/// Bits of an address that select a slot of the root CNode.
pub(crate) const ROOT_RADIX: u8 = 6;

/// Bits of an address that lead to a slot of the system CNode: all of them.
pub(crate) const SYSTEM_DEPTH: u8 = 64;

/// The capability in a slot of the system CNode.
pub(crate) const fn system(slot: usize) -> CPtr {
    CPtr::new(slot as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Microkit 2.3.0: `tool/microkit/src/capdl/builder.rs`, `libmicrokit/include/microkit.h`.
    #[test]
    fn slots_and_addresses_are_where_the_official_tool_puts_them() {
        assert_eq!(
            [slot::INPUT, slot::REPLY, slot::ENDPOINT, slot::CHILD_TCB, slot::IO_PORT],
            [1, 4, 74, 202, 394]
        );
        assert_eq!((IPC_BUFFER, STACK_TOP, MAX_IDS), (0x7fff_ffff_e000, 0x7fff_ffff_d000, 62));
    }
}
