// SPDX-License-Identifier: BSD-2-Clause
//! Threads as this kernel sees them, and what the root task starts with.

use super::cap_data::CapData;
use super::ipc::invoke;
use super::label;
use crate::cap::{CNode, Frame, Pml4, Tcb};
use crate::error::Result;
use crate::{CPtr, cap};

/// A thread's registers.
// seL4: libsel4/sel4_arch_include/x86_64/sel4/sel4_arch/types.h; the order is the kernel's
#[allow(missing_docs, reason = "each is the register of its name")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct UserContext {
    pub rip: u64,
    pub rsp: u64,
    pub rflags: u64,
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    /// Base of the thread-local storage segment (fs).
    pub tls_base: u64,
}

impl UserContext {
    /// How many registers there are.
    pub(crate) const COUNT: usize = 19;

    pub(crate) const fn to_words(self) -> [u64; Self::COUNT] {
        [
            self.rip,
            self.rsp,
            self.rflags,
            self.rax,
            self.rbx,
            self.rcx,
            self.rdx,
            self.rsi,
            self.rdi,
            self.rbp,
            self.r8,
            self.r9,
            self.r10,
            self.r11,
            self.r12,
            self.r13,
            self.r14,
            self.r15,
            self.tls_base,
        ]
    }

    pub(crate) const fn from_words(words: [u64; Self::COUNT]) -> Self {
        let [
            rip,
            rsp,
            rflags,
            rax,
            rbx,
            rcx,
            rdx,
            rsi,
            rdi,
            rbp,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            tls_base,
        ] = words;
        Self {
            rip,
            rsp,
            rflags,
            rax,
            rbx,
            rcx,
            rdx,
            rsi,
            rdi,
            rbp,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            tls_base,
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_survive_the_way_through_words() {
        let mut words = [0; UserContext::COUNT];
        for (i, word) in words.iter_mut().enumerate() {
            *word = 100 + i as u64;
        }
        let context = UserContext::from_words(words);
        assert_eq!(context.to_words(), words);
        // seL4: src/arch/x86/64/machine/registerset.c, frameRegisters then gpRegisters
        assert_eq!([context.rip, context.rsp, context.rflags, context.rax], [100, 101, 102, 103]);
        assert_eq!([context.rdi, context.r8, context.r15, context.tls_base], [108, 110, 117, 118]);
    }
}
