// SPDX-License-Identifier: BSD-2-Clause
//! What Microkit domains here can do beyond what rust-sel4's `sel4-microkit` offers.
//!
//! - [`ioport`]: I/O ports, which Microkit gives on x86 and that crate has no call for;
//! - [`cap`]: capabilities as values, to send and receive; only the embedded kernel's domains are given any;
//! - [`child`]: stopping and restarting children;
//! - [`wait`]: sleeping outside of the event loop.
//!
//! It relies on nothing of `sel4-microkit` but the interface that rust-sel4's crate of that name has too, so that either
//! can be beneath a domain. System calls it makes itself, through this repository's crate `sel4`: addresses and
//! layout are Microkit's, and the numbers those of the kernel that this crate was built for.
#![cfg_attr(not(test), no_std)]

pub mod cap;
pub mod child;
pub mod ioport;
pub mod wait;

mod layout;
mod thread;
