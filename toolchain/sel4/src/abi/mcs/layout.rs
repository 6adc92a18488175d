// SPDX-License-Identifier: BSD-2-Clause
//! Layouts of words that the kernel and its users share.

/// The fields of the message word. seL4: libsel4/mode_include/64/sel4/shared_types.bf
pub(crate) mod message_info {
    use crate::abi::Field;

    pub(crate) const LENGTH: Field = Field::new(0, 7);
    pub(crate) const EXTRA_CAPS: Field = Field::new(7, 2);
    pub(crate) const CAPS_UNWRAPPED: Field = Field::new(9, 3);
    pub(crate) const LABEL: Field = Field::new(12, 52);
}

/// The bits of a rights word. seL4: libsel4/mode_include/64/sel4/shared_types.bf
pub(crate) mod rights {
    pub(crate) const WRITE: u64 = 1 << 0;
    pub(crate) const READ: u64 = 1 << 1;
    /// To send capabilities along, and to be answered, which is a bit of its own on this kernel.
    pub(crate) const GRANT: u64 = 1 << 2 | 1 << 3;
}

/// Kinds of faults and the words of their messages.
/// seL4: libsel4/arch_include/x86/sel4/arch/shared_types.bf, .../sel4_arch/types.bf
pub(crate) mod fault {
    pub(crate) const CAP_FAULT: u64 = 1;
    pub(crate) const UNKNOWN_SYSCALL: u64 = 2;
    pub(crate) const USER_EXCEPTION: u64 = 3;
    pub(crate) const VM_FAULT: u64 = 6;

    /// The first words are the registers.
    pub(crate) const UNKNOWN_SYSCALL_IP: usize = 15;
    pub(crate) const UNKNOWN_SYSCALL_NUMBER: usize = 18;
}
