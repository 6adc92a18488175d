// SPDX-License-Identifier: BSD-2-Clause
//! seL4 5.0.0, x86-64: the embedded kernel.

mod cap_data;
#[cfg(debug_kernel)]
pub(crate) mod debug;
mod ipc;
mod layout;
mod syscall;
mod tcb;

pub use cap_data::{BADGE_BITS, CapData, IoAddressSpace};
pub use ipc::Reply;
pub(crate) use ipc::{
    call, invoke, invoke_long, nb_recv, nb_send, nb_send_recv, recv, reply, reply_recv, send,
};
pub use layout::{IPC_BUFFER_SIZE, IpcBuffer, MAX_EXTRA_CAPS, MAX_MESSAGE_WORDS};
pub(crate) use layout::{boot_info, fault, message_info, object_bits, rights};
pub use syscall::yield_now;
pub use tcb::{TcbConfiguration, UserContext, initial};

#[allow(
    dead_code,
    non_upper_case_globals,
    clippy::unreadable_literal,
    reason = "the kernel's own names, all of them"
)]
mod interface {
    include!(concat!(env!("OUT_DIR"), "/interface.rs"));
}
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
}
