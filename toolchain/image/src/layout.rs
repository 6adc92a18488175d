// SPDX-License-Identifier: BSD-2-Clause
//! Fixed places: the address space and the capability space of a protection domain.
//!
//! They are those of Microkit 2.3 on x86-64, so that one runtime serves both. What the classic kernel lacks
//! stays empty (slot 4, the reply object).

/// First address that Microkit leaves to the kernel (Microkit: `seL4_UserVSpaceTop` on x86-64).
const USER_TOP: u64 = 0x7fff_ffff_f000;
/// Bytes of a small page.
pub(crate) const PAGE: u64 = 0x1000;
/// The page of the IPC buffer.
pub(crate) const IPC_BUFFER: u64 = USER_TOP - PAGE;
/// Initial stack pointer. The page between the stack and the IPC buffer is never mapped.
pub(crate) const STACK_TOP: u64 = USER_TOP - 2 * PAGE;

/// First address above the addresses for programs and maps: the page below the stack stays unmapped and
/// catches a stack that grows too far.
pub(crate) fn map_top(stack_size: u64) -> u64 {
    STACK_TOP - stack_size - PAGE
}

/// Stack sizes (Microkit manual: "protection_domain").
pub(crate) const STACK_SIZES: std::ops::RangeInclusive<u64> = PAGE..=16 * 1024 * 1024;
/// Stack size when none is given.
pub(crate) const STACK_DEFAULT: u64 = 0x2000;
/// The highest priority of a domain; the monitor is above.
pub(crate) const MAX_PRIORITY: u64 = 254;
/// Most domains, as in Microkit.
pub(crate) const MAX_DOMAINS: usize = 63;
/// Most bytes in a domain's name: `microkit_name` has 64 with a zero at the end.
pub(crate) const MAX_NAME: usize = 63;

/// The highest id of a channel or interrupt. A badge of the classic kernel has 28 bits; two tell protected
/// calls and faults from notifications, and the other 26 are one per channel.
pub(crate) const MAX_CHANNEL: u64 = 25;
/// The highest id of an I/O port range or child (Microkit: ids are 0..61).
pub(crate) const MAX_ID: u64 = 61;
/// The highest interrupt vector for users (seL4: `irq_user_max - irq_user_min`).
pub(crate) const MAX_VECTOR: u64 = 107;
/// Pins of an I/O APIC (seL4: `IOAPIC_IRQ_LINES`).
pub(crate) const IOAPIC_PINS: u64 = 24;

/// First I/O address that is too high: what three levels of I/O page tables reach, the fewest that
/// hardware has.
pub(crate) const IO_TOP: u64 = 1 << 39;

/// log2 of the slots of a domain's root CNode.
pub(crate) const ROOT_CNODE_BITS: u8 = 6;
/// log2 of the slots of the CNode in its slot 0, which holds what Microkit itself provides.
pub(crate) const SYSTEM_CNODE_BITS: u8 = 10;
/// Guard of that CNode, so that a slot number in it is a capability pointer.
pub(crate) const SYSTEM_CNODE_GUARD: u8 = 64 - ROOT_CNODE_BITS - SYSTEM_CNODE_BITS;
/// The highest slot of the root CNode.
pub(crate) const MAX_SLOT: u64 = (1 << ROOT_CNODE_BITS) - 1;
/// log2 of the slots of the largest CNode that `cap_cnode` makes: half a mebibyte of them.
pub(crate) const MAX_CNODE_BITS: u64 = 16;

/// Slots of the system CNode (Microkit 2.3: `PD_*_CAP_IDX` and `PD_BASE_*`).
pub(crate) mod slot {
    /// The endpoint that the domain receives on.
    pub(crate) const INPUT: u32 = 1;
    /// The endpoint that its faults are sent to.
    pub(crate) const FAULT: u32 = 2;
    /// Its own address space.
    pub(crate) const VSPACE: u32 = 3;
    /// Notification of the other end of channel 0.
    pub(crate) const NOTIFICATION: u32 = 10;
    /// Endpoint of the other end of channel 0.
    pub(crate) const ENDPOINT: u32 = 74;
    /// Interrupt handler of channel 0.
    pub(crate) const IRQ: u32 = 138;
    /// Thread of child 0.
    pub(crate) const CHILD_TCB: u32 = 202;
    /// I/O port range 0.
    pub(crate) const IOPORT: u32 = 394;
    /// The CNode of the root CNode's slot 0; an addition to Microkit's layout.
    pub(crate) const CNODE: u32 = 512;
}

/// Badges of the classic kernel: 28 bits.
pub(crate) mod badge {
    /// A protected call; the channel stands in the low bits.
    pub(crate) const PROTECTED_CALL: u64 = 1 << 27;
    /// A child's fault; the child's id stands in the low bits.
    pub(crate) const CHILD_FAULT: u64 = 1 << 26;
}
