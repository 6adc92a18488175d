// SPDX-License-Identifier: BSD-2-Clause
//! The domains' threads.

use sel4::cap::{CNode, Frame, Notification, Pml4, Tcb};
use sel4::{CPtr, CapData, TcbConfiguration, UserContext};

use crate::failure::{During, Failure};
use crate::objects::Objects;

/// Flags of a new thread: interrupts on, and the bit that is always set.
const RFLAGS: u64 = 0x202;

/// Gives every thread what it needs to run.
pub(crate) fn configure(objects: &Objects<'_>) -> Result<(), Failure> {
    for thread in objects.spec.threads().iter() {
        let name = objects.name(thread.tcb);
        let tcb = Tcb::from_cptr(objects.cptr(thread.tcb));
        tcb.configure(&TcbConfiguration {
            fault_endpoint: CPtr::new(thread.fault_endpoint),
            priority: thread.priority,
            max_controlled_priority: thread.priority,
            cspace: CNode::from_cptr(objects.cptr(thread.cspace)),
            cspace_data: CapData::NONE,
            vspace: Pml4::from_cptr(objects.cptr(thread.vspace)),
            ipc_buffer_address: thread.ipc_buffer_vaddr,
            ipc_buffer: Frame::from_cptr(objects.cptr(thread.ipc_buffer)),
        })
        .during("configure it", name)?;
        tcb.bind_notification(Notification::from_cptr(objects.cptr(thread.notification)))
            .during("bind its notification", name)?;
        let context = UserContext {
            rip: thread.entry,
            rsp: thread.stack_top,
            rflags: RFLAGS,
            ..UserContext::default()
        };
        tcb.write_registers(false, &context).during("set its registers", name)?;
        sel4::debug_name_thread(tcb, objects.spec.name(thread.name));
    }
    Ok(())
}

/// Lets them run, the higher priorities first and those of equal priority in the order of the description. None
/// runs before we wait.
pub(crate) fn start(objects: &Objects<'_>) -> Result<(), Failure> {
    for priority in (0..=u8::MAX).rev() {
        for thread in objects.spec.threads().iter().filter(|thread| thread.priority == priority) {
            let tcb = Tcb::from_cptr(objects.cptr(thread.tcb));
            tcb.resume().during("start it", objects.name(thread.tcb))?;
        }
    }
    Ok(())
}
