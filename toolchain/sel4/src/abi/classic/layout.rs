// SPDX-License-Identifier: BSD-2-Clause
//! Layouts of words and structures that the kernel and its users share.

/// The fields of the message word. seL4: libsel4/include/sel4/shared_types_64.bf
pub(crate) mod message_info {
    use crate::abi::Field;

    pub(crate) const LENGTH: Field = Field::new(0, 7);
    pub(crate) const EXTRA_CAPS: Field = Field::new(7, 2);
    pub(crate) const CAPS_UNWRAPPED: Field = Field::new(9, 3);
    pub(crate) const LABEL: Field = Field::new(12, 20);
}

/// The bits of a rights word. seL4: libsel4/include/sel4/shared_types_64.bf
pub(crate) mod rights {
    pub(crate) const WRITE: u64 = 1 << 0;
    pub(crate) const READ: u64 = 1 << 1;
    pub(crate) const GRANT: u64 = 1 << 2;
}

/// Sizes of objects, log2. seL4: libsel4/sel4_arch_include/x86_64/sel4/sel4_arch/constants.h
pub(crate) mod object_bits {
    pub(crate) const SLOT: u8 = 5;
    pub(crate) const TCB: u8 = 11;
    pub(crate) const ENDPOINT: u8 = 4;
    pub(crate) const NOTIFICATION: u8 = 5;
    pub(crate) const SMALL_FRAME: u8 = 12;
    pub(crate) const LARGE_FRAME: u8 = 21;
    pub(crate) const PAGING_TABLE: u8 = 12;
}

/// Kinds of faults and the words of their messages.
/// seL4: libsel4/arch_include/x86/sel4/arch/shared_types.bf, .../sel4_arch/constants.h
pub(crate) mod fault {
    pub(crate) const CAP_FAULT: u64 = 1;
    pub(crate) const UNKNOWN_SYSCALL: u64 = 2;
    pub(crate) const USER_EXCEPTION: u64 = 3;
    pub(crate) const VM_FAULT: u64 = 5;

    /// The first words are the registers.
    pub(crate) const UNKNOWN_SYSCALL_IP: usize = 15;
    pub(crate) const UNKNOWN_SYSCALL_NUMBER: usize = 18;
}

/// Offsets into the boot information, which is packed. seL4: libsel4/include/sel4/bootinfo_types.h
pub(crate) mod boot_info {
    pub(crate) const PAGE_BYTES: usize = 4096;

    pub(crate) const IO_PAGE_TABLE_LEVELS: usize = 24;
    pub(crate) const IPC_BUFFER: usize = 32;
    pub(crate) const EMPTY: usize = 40;
    pub(crate) const USER_IMAGE_FRAMES: usize = 72;
    pub(crate) const USER_IMAGE_PAGING: usize = 88;
    pub(crate) const ROOT_CNODE_BITS: usize = 136;
    pub(crate) const TSC_MHZ: usize = 145;
    pub(crate) const UNTYPED: usize = 153;
    pub(crate) const UNTYPED_LIST: usize = 169;

    /// One descriptor: physical address, two bytes of padding, size, whether it is a device's.
    pub(crate) const UNTYPED_BYTES: usize = 12;
    pub(crate) const UNTYPED_PADDR: usize = 0;
    pub(crate) const UNTYPED_SIZE_BITS: usize = 10;
    pub(crate) const UNTYPED_IS_DEVICE: usize = 11;

    pub(crate) const MAX_UNTYPEDS: usize = super::super::interface::MAX_BOOT_UNTYPEDS;
}
