// SPDX-License-Identifier: BSD-2-Clause
//! Runtime of a Microkit protection domain.
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, debug_println, protection_domain};
//!
//! struct Server;
//!
//! impl Handler for Server {
//!     type Error = Infallible;
//!     fn notified(&mut self, channels: ChannelSet) -> Result<(), Self::Error> {
//!         debug_println!("notified by {}", channels.display());
//!         Ok(())
//!     }
//! }
//!
//! #[protection_domain]
//! fn init() -> Server {
//!     Server
//! }
//! ```
//!
//! Everything that rust-sel4's crate of the same name has, has the same name and signature here, so that
//! a domain compiles with either (cargo's `[patch]` decides; `tests/upstream` holds the domains to that crate's
//! signatures). What domains here do beyond is in the crate `microkit-ext`.
//!
//! The life of a domain: the image tool has written its name and the masks of its channels into symbols
//! of the program (`symbols`); `_start` (`entry`) calls the initialisation function, acknowledges every
//! interrupt once (one that came before would be lost otherwise), and enters the event loop
//! ([`Handler`]). A domain is one thread, so nothing here locks.
//!
//! In a domain this crate supplies entry point and panic handler. It knows that it is in one by the target,
//! or by `--cfg sel4_domain`, which `toolchain/domain.toml` sets; otherwise it is an ordinary library,
//! whose parts that need no kernel are tested on the host.
#![cfg_attr(not(test), no_std)]

mod channel;
mod defer;
mod entry;
mod handler;
mod ipc;
mod layout;
mod message;
mod printing;
mod symbols;

pub mod panicking;

pub use channel::{Channel, Child, IrqAckError};
pub use defer::{DeferredAction, DeferredActionInterface, DeferredActionSlot};
pub use handler::{Handler, Infallible, Never, NullHandler};
pub use ipc::{ChannelSet, ChannelSetIter, DisplayChannelSet};
pub use message::{
    MessageInfo, MessageLabel, MessageRegisterValue, get_mr, set_mr, with_msg_bytes, with_msg_bytes_mut,
    with_msg_regs, with_msg_regs_mut,
};
pub use sel4_microkit_macros::protection_domain;
pub use symbols::{pd_is_passive, pd_name, pd_name_bytes};

/// For the macros only.
#[doc(hidden)]
pub mod _private {
    pub use crate::entry::run_main;
    pub use crate::layout::STACK_TOP;
    pub use crate::printing::print;
    pub use crate::symbols::Patched;
    pub use sel4::DEBUG_BUILD;
}
