// SPDX-License-Identifier: BSD-2-Clause
//! seL4 capabilities, system calls and invocations.
//!
//! Layers, from the bottom:
//!
//! - `abi`: what one kernel's binary interface looks like: registers, numbers, encodings.
//!   One module per kernel, chosen by a cargo feature. Only here, and where the IPC buffer lies, is
//!   there unsafe code that talks to the kernel.
//! - [`MessageInfo`], [`IpcBuffer`], [`CPtr`], [`Slot`], [`CapRights`], [`Error`]: the vocabulary of
//!   every system call.
//! - [`cap`]: one type per kind of capability, whose methods are the invocations on it.
//! - [`Fault`]: what the kernel tells a fault handler; on the embedded kernel also `BootInfo`, what it tells
//!   the root task.
//!
//! A program on seL4 has no C library: in one (`--cfg sel4_domain`, or a target without an operating
//! system) this crate also supplies the memory functions that compiled code calls (`mem`).
//!
//! Nothing above `abi` depends on which kernel it is. A capability here is a *name* (an address in the
//! caller's capability space); the kernel checks what stands behind it, and answers a wrong one with
//! an [`Error`]. Invocations are safe functions: what a program may do, whoever gave it its capabilities
//! has decided. That includes unmapping its own memory, which the kernel allows and no type can see
//! coming.
#![cfg_attr(not(test), no_std)]

mod abi;
#[cfg(not(feature = "mcs"))]
mod boot_info;
pub mod cap;
mod cptr;
mod debug;
mod error;
mod fault;
mod ipc_buffer;
#[cfg(any(sel4_domain, target_os = "none", test))]
mod mem;
mod message;
#[cfg(not(feature = "mcs"))]
mod object;
mod rights;

pub use abi::{
    BADGE_BITS, CapData, IPC_BUFFER_SIZE, IpcBuffer, MAX_EXTRA_CAPS, MAX_MESSAGE_WORDS, Reply, UserContext,
    yield_now,
};
// What root tasks need: they are the embedded kernel's only.
#[cfg(not(feature = "mcs"))]
pub use abi::{IoAddressSpace, RETYPE_FAN_OUT_LIMIT, TcbConfiguration, initial};
#[cfg(not(feature = "mcs"))]
pub use boot_info::{BootInfo, Malformed, UntypedDescriptor};
pub use cptr::{CPtr, NodePath, Slot, WORD_BITS};
pub use debug::{
    DEBUG_BUILD, DebugWriter, debug_cap_identify, debug_halt, debug_name_thread, debug_put_char,
    debug_snapshot,
};
pub use error::{Error, Result};
pub use fault::Fault;
pub use ipc_buffer::{has_ipc_buffer, set_ipc_buffer, with_ipc_buffer, with_ipc_buffer_mut};
pub use message::{Badge, MessageInfo};
#[cfg(not(feature = "mcs"))]
pub use object::{FrameSize, Object};
pub use rights::{Cacheability, CapRights};

/// A word of the kernel's interface.
pub type Word = u64;

// The build script's own tests: it has no test harness of its own.
#[cfg(test)]
#[path = "../build/tests.rs"]
mod build_tests;
