// SPDX-License-Identifier: BSD-2-Clause
//! seL4 16.0.0 with mixed-criticality scheduling, x86-64: the kernel of Microkit 2.3.0.
//!
//! Only what a protection domain does is here. Root tasks on this kernel are Microkit's own, so boot
//! information, making objects and configuring threads are the other module's alone.
//!
//! The numbers are the SDK's, for the configuration that the domain is built for (`build/sdk.rs`).

mod cap_data;
#[cfg(not(test))]
mod entry;
mod ipc;
mod layout;
#[cfg(test)]
mod tests;

pub use cap_data::{BADGE_BITS, CapData};
#[cfg(not(test))]
pub(super) use entry::enter;
pub use ipc::Reply;
pub(crate) use ipc::{call, nb_recv, nb_send, nb_send_recv, recv, reply, reply_recv, send};
pub(crate) use layout::{fault, message_info, rights};

#[allow(
    dead_code,
    non_upper_case_globals,
    clippy::unreadable_literal,
    reason = "the kernel's own names, all of them"
)]
mod interface {
    include!(concat!(env!("OUT_DIR"), "/interface.rs"));
}
pub(crate) use interface::label;
pub(super) use interface::syscall;
