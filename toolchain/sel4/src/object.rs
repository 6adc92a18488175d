// SPDX-License-Identifier: BSD-2-Clause
//! Kinds of kernel objects, for making them out of untyped memory.

use crate::abi::{object_bits, object_type};

/// The size of a page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FrameSize {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
}

impl FrameSize {
    /// log2 of the size in bytes.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Small => object_bits::SMALL_FRAME,
            Self::Large => object_bits::LARGE_FRAME,
        }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        1 << self.bits()
    }
}

/// A kind of kernel object, with its size where there is a choice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Object {
    /// Untyped memory of 2^`size_bits` bytes.
    Untyped {
        /// log2 of the size in bytes.
        size_bits: u8,
    },
    /// A thread control block.
    Tcb,
    /// An endpoint.
    Endpoint,
    /// A notification.
    Notification,
    /// A table of 2^`radix` capability slots.
    CNode {
        /// log2 of the number of slots, at least 1.
        radix: u8,
    },
    /// A page.
    Frame(FrameSize),
    /// The lowest level of paging tables: maps 2 MiB.
    PageTable,
    /// The level above: maps 1 GiB.
    PageDirectory,
    /// The level above: maps 512 GiB.
    Pdpt,
    /// The root of an address space.
    Pml4,
    /// A paging table of any level of an I/O space.
    IoPageTable,
}

impl Object {
    /// log2 of how much memory one object takes, in bytes. Objects are aligned to their size.
    pub const fn size_bits(self) -> u8 {
        match self {
            Self::Untyped { size_bits } => size_bits,
            Self::Tcb => object_bits::TCB,
            Self::Endpoint => object_bits::ENDPOINT,
            Self::Notification => object_bits::NOTIFICATION,
            Self::CNode { radix } => radix + object_bits::SLOT,
            Self::Frame(size) => size.bits(),
            Self::PageTable | Self::PageDirectory | Self::Pdpt | Self::Pml4 | Self::IoPageTable => {
                object_bits::PAGING_TABLE
            }
        }
    }

    /// The kernel's number of the kind.
    pub(crate) const fn type_number(self) -> u64 {
        match self {
            Self::Untyped { .. } => object_type::seL4_UntypedObject,
            Self::Tcb => object_type::seL4_TCBObject,
            Self::Endpoint => object_type::seL4_EndpointObject,
            Self::Notification => object_type::seL4_NotificationObject,
            Self::CNode { .. } => object_type::seL4_CapTableObject,
            Self::Frame(FrameSize::Small) => object_type::seL4_X86_4K,
            Self::Frame(FrameSize::Large) => object_type::seL4_X86_LargePageObject,
            Self::PageTable => object_type::seL4_X86_PageTableObject,
            Self::PageDirectory => object_type::seL4_X86_PageDirectoryObject,
            Self::Pdpt => object_type::seL4_X86_PDPTObject,
            Self::Pml4 => object_type::seL4_X64_PML4Object,
            Self::IoPageTable => object_type::seL4_X86_IOPageTableObject,
        }
    }

    /// The size argument of a retype: meaningful only for the kinds that have a choice.
    pub(crate) const fn size_argument(self) -> u64 {
        match self {
            Self::Untyped { size_bits } => size_bits as u64,
            Self::CNode { radix } => radix as u64,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers read off the preprocessed header of a built kernel (`cpp` over
    /// libsel4/include/sel4/objecttype.h and its two companions with the kernel's autoconf.h).
    #[test]
    fn kinds_have_the_numbers_of_the_built_kernel() {
        for (object, number) in [
            (Object::Untyped { size_bits: 12 }, 0),
            (Object::Tcb, 1),
            (Object::Endpoint, 2),
            (Object::Notification, 3),
            (Object::CNode { radix: 4 }, 4),
            (Object::Pdpt, 5),
            (Object::Pml4, 6),
            (Object::Frame(FrameSize::Small), 7),
            (Object::Frame(FrameSize::Large), 8),
            (Object::PageTable, 9),
            (Object::PageDirectory, 10),
            (Object::IoPageTable, 11),
        ] {
            assert_eq!(object.type_number(), number, "{object:?}");
        }
    }

    #[test]
    fn a_cnode_takes_32_bytes_a_slot() {
        assert_eq!(Object::CNode { radix: 10 }.size_bits(), 15);
        assert_eq!(Object::CNode { radix: 10 }.size_argument(), 10);
    }
}
