// SPDX-License-Identifier: BSD-2-Clause
//! What the image tool puts where in every domain: the same as Microkit's on x86-64.

use sel4::CPtr;

/// Where the IPC buffer is mapped.
pub(crate) const IPC_BUFFER: usize = 0x7fff_ffff_e000;

/// The address behind the last byte of the stack; a page below the stack is left unmapped.
pub const STACK_TOP: usize = 0x7fff_ffff_d000;

/// Channels, interrupts and I/O ports have ids below this.
pub(crate) const MAX_IDS: usize = 62;

/// Slots of the system CNode, whose numbers are the addresses of the capabilities.
pub(crate) mod slot {
    pub(crate) const INPUT: usize = 1;
    pub(crate) const REPLY: usize = 4;
    /// Where a passive domain tells the monitor that it is ready.
    pub(crate) const MONITOR: usize = 5;
    pub(crate) const OUTPUT_NOTIFICATION: usize = 10;
    pub(crate) const ENDPOINT: usize = 74;
    pub(crate) const IRQ_HANDLER: usize = 138;
    pub(crate) const CHILD_TCB: usize = 202;
}

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
        assert_eq!([slot::INPUT, slot::REPLY, slot::MONITOR], [1, 4, 5]);
        assert_eq!([slot::OUTPUT_NOTIFICATION, slot::ENDPOINT, slot::IRQ_HANDLER], [10, 74, 138]);
        assert_eq!(slot::CHILD_TCB, 202);
        assert_eq!((IPC_BUFFER, STACK_TOP), (0x7fff_ffff_e000, 0x7fff_ffff_d000));
        assert_eq!(MAX_IDS, 62);
    }
}
