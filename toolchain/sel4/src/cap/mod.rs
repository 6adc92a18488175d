// SPDX-License-Identifier: BSD-2-Clause
//! One type per kind of capability. Each is an address that is *meant* to name a capability of that
//! kind; the methods are the invocations on it.

mod cnode;
mod interrupt;
mod io;
mod ipc;
mod tcb;
#[cfg(not(feature = "mcs"))]
mod untyped;
mod vspace;

use crate::CPtr;

pub use interrupt::{IoApicPin, MAX_VECTOR, MSI_VECTOR_BASE, MsiSource, Polarity, Trigger};

macro_rules! capabilities {
    ($($(#[$doc:meta])* $name:ident)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(transparent)]
        pub struct $name(CPtr);

        impl $name {
            /// The capability at this address.
            pub const fn from_cptr(cptr: CPtr) -> Self {
                Self(cptr)
            }

            /// The address of the capability.
            pub const fn cptr(self) -> CPtr {
                self.0
            }
        }

        impl From<$name> for CPtr {
            fn from(cap: $name) -> Self {
                cap.0
            }
        }
    )* };
}

capabilities! {
    /// Untyped memory.
    Untyped
    /// A table of capabilities, and the space that it is the root of.
    CNode
    /// A thread.
    Tcb
    /// A place where threads rendezvous.
    Endpoint
    /// A word of flags that a thread can wait for.
    Notification
    /// Authority to make interrupt handlers.
    IrqControl
    /// One interrupt.
    IrqHandler
    /// A range of I/O ports.
    IoPort
    /// A page of memory.
    Frame
    /// The root table of an address space.
    Pml4
    /// A paging table: 512 GiB.
    Pdpt
    /// A paging table: 1 GiB.
    PageDirectory
    /// A paging table: 2 MiB.
    PageTable
    /// Authority to make ASID pools.
    AsidControl
    /// Room for address spaces.
    AsidPool
    /// The DMA address space of a device.
    IoSpace
    /// A paging table of a DMA address space.
    IoPageTable
}
