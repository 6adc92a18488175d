// SPDX-License-Identifier: BSD-2-Clause
//! Threads as this kernel sees them, and what the root task starts with.

use super::cap_data::CapData;
use super::label;
use crate::abi::transfer::invoke;
use crate::cap::{CNode, Frame, Pml4, Tcb};
use crate::error::Result;
use crate::{CPtr, cap};

/// Everything that makes a thread one of its domain.
#[derive(Clone, Copy, Debug)]
pub struct TcbConfiguration {
    /// Address, in the thread's *own* capability space, of the endpoint its faults are sent through: the
    /// capability there needs write and grant rights. NULL: a fault stops the thread silently.
    pub fault_endpoint: CPtr,
    /// Priority, 0 to 255.
    pub priority: u8,
    /// The highest priority that the thread may give to others or itself.
    pub max_controlled_priority: u8,
    /// Root of its capability space.
    pub cspace: CNode,
    /// Guard to put on that root; [`CapData::NONE`] keeps the capability's own.
    pub cspace_data: CapData,
    /// Root of its address space.
    pub vspace: Pml4,
    /// Where its IPC buffer is mapped in that address space.
    pub ipc_buffer_address: u64,
    /// The page that holds its IPC buffer.
    pub ipc_buffer: Frame,
}

impl Tcb {
    /// Sets priorities, spaces, fault endpoint and IPC buffer at once.
    pub fn configure(self, to: &TcbConfiguration) -> Result<()> {
        // seL4: libsel4/include/sel4/shared_types_64.bf, seL4_PrioProps
        let priorities = (u64::from(to.max_controlled_priority) << 8) | u64::from(to.priority);
        invoke(
            self.cptr(),
            label::TCBConfigure,
            [to.cspace.cptr(), to.vspace.cptr(), to.ipc_buffer.cptr()],
            [
                to.fault_endpoint.bits(),
                priorities,
                to.cspace_data.bits(),
                CapData::NONE.bits(),
                to.ipc_buffer_address,
            ],
        )?;
        Ok(())
    }
}

/// The capabilities that the root task starts with.
// seL4: libsel4/include/sel4/bootinfo_types.h
pub mod initial {
    use super::cap::{AsidControl, AsidPool, CNode, Frame, IoPort, IoSpace, IrqControl, Pml4, Tcb};
    use crate::CPtr;

    /// Its thread.
    pub const TCB: Tcb = Tcb::from_cptr(CPtr::new(1));
    /// The root of its capability space; a guard of zeros fills addresses up to 64 bits.
    pub const CNODE: CNode = CNode::from_cptr(CPtr::new(2));
    /// Its address space.
    pub const VSPACE: Pml4 = Pml4::from_cptr(CPtr::new(3));
    /// Authority to make interrupt handlers.
    pub const IRQ_CONTROL: IrqControl = IrqControl::from_cptr(CPtr::new(4));
    /// Authority to make ASID pools.
    pub const ASID_CONTROL: AsidControl = AsidControl::from_cptr(CPtr::new(5));
    /// The pool its own address space is in: room for 511 others.
    pub const ASID_POOL: AsidPool = AsidPool::from_cptr(CPtr::new(6));
    /// All I/O ports.
    pub const IO_PORT: IoPort = IoPort::from_cptr(CPtr::new(7));
    /// All I/O spaces; empty without an IOMMU.
    pub const IO_SPACE: IoSpace = IoSpace::from_cptr(CPtr::new(8));
    /// The page with the boot information.
    pub const BOOT_INFO: Frame = Frame::from_cptr(CPtr::new(9));
    /// The page with its IPC buffer.
    pub const IPC_BUFFER: Frame = Frame::from_cptr(CPtr::new(10));
}
