// SPDX-License-Identifier: BSD-2-Clause
//! seL4 5.0.0, x86-64: the embedded kernel.

mod cap_data;
#[cfg(not(test))]
mod entry;
mod ipc;
mod layout;
mod tcb;

pub use cap_data::{BADGE_BITS, CapData, IoAddressSpace};
#[cfg(not(test))]
pub(super) use entry::enter;
pub use ipc::Reply;
pub(crate) use ipc::{call, nb_recv, nb_send, nb_send_recv, recv, reply, reply_recv, send};
pub(crate) use layout::{boot_info, fault, message_info, object_bits, rights};
pub use tcb::{TcbConfiguration, initial};

#[allow(
    dead_code,
    non_upper_case_globals,
    clippy::unreadable_literal,
    reason = "the kernel's own names, all of them"
)]
mod interface {
    include!(concat!(env!("OUT_DIR"), "/interface.rs"));
}
pub(super) use interface::syscall;
pub(crate) use interface::{label, object_type};

/// The most objects that one retype makes.
pub const RETYPE_FAN_OUT_LIMIT: u64 = interface::RETYPE_FAN_OUT_LIMIT;

#[cfg(test)]
mod tests {
    use super::interface::{label, syscall};

    /// Numbers read off the headers that the kernel's build generates (`arch/api/invocation.h` and its
    /// companions, expanded by the C preprocessor with the kernel's configuration).
    #[test]
    fn labels_are_those_of_the_built_kernel() {
        for (name, derived, built) in [
            ("UntypedRetype", label::UntypedRetype, 1),
            ("TCBConfigure", label::TCBConfigure, 5),
            ("TCBUnbindNotification", label::TCBUnbindNotification, 13),
            ("CNodeRevoke", label::CNodeRevoke, 14),
            ("CNodeSaveCaller", label::CNodeSaveCaller, 22),
            ("IRQAckIRQ", label::IRQAckIRQ, 24),
            ("DomainSetSet", label::DomainSetSet, 27),
            ("X86PDPTMap", label::X86PDPTMap, 28),
            ("X86PageDirectoryMap", label::X86PageDirectoryMap, 30),
            ("X86IOPageTableMap", label::X86IOPageTableMap, 35),
            ("X86PageMap", label::X86PageMap, 37),
            ("X86PageMapIO", label::X86PageMapIO, 40),
            ("X86PageGetAddress", label::X86PageGetAddress, 41),
            ("X86IOPortIn8", label::X86IOPortIn8, 44),
            ("X86IOPortOut32", label::X86IOPortOut32, 49),
            ("X86IRQIssueIRQHandlerMSI", label::X86IRQIssueIRQHandlerMSI, 51),
        ] {
            assert_eq!(derived, built, "{name}");
        }
    }

    #[test]
    fn system_calls_are_those_of_the_built_kernel() {
        assert_eq!(
            [
                syscall::Call,
                syscall::ReplyRecv,
                syscall::Send,
                syscall::NBSend,
                syscall::Recv,
                syscall::Reply
            ],
            [-1, -2, -3, -4, -5, -6]
        );
        assert_eq!([syscall::Yield, syscall::NBRecv], [-7, -8]);
    }

    /// No reply object and no call that does both: two calls, the second of which may wait.
    #[test]
    fn sending_to_one_place_and_receiving_from_another_are_two_calls() {
        use crate::abi::recorder::{Answer, record};
        use crate::cap::Endpoint;
        use crate::{CPtr, MessageInfo, Reply};

        #[allow(unsafe_code, reason = "gives the test an IPC buffer")]
        // SAFETY: the memory is never freed, and the state is this test's own.
        unsafe {
            crate::set_ipc_buffer(Box::into_raw(Box::new(crate::IpcBuffer::new())));
        };
        let input = Endpoint::from_cptr(CPtr::new(1));
        let message = MessageInfo::new(0, 0, 0, 0);
        let (_, calls) = record(Answer::default(), || {
            input.nb_send_recv(CPtr::new(10), message, Reply::from_cptr(CPtr::new(4)))
        });
        let made: Vec<_> = calls.iter().map(|call| (call.number, call.cap, call.reply)).collect();
        assert_eq!(made, [(-4, 10, 0), (-5, 1, 0)]);
    }
}
