// SPDX-License-Identifier: BSD-2-Clause
//! The binary interface of one kernel, behind names that the rest of the crate uses without knowing
//! which kernel it is. An ABI module supplies:
//!
//! - the system calls (`send`, `recv`, `call`, `reply_recv`, `nb_send_recv`, ... and `invoke`, the call
//!   that invocations are made of) with what conveys the authority to reply ([`Reply`]);
//! - the numbers: `label`, `object_type`, `object_bits`, fault kinds;
//! - the encodings: the fields of the message word, rights, [`CapData`];
//! - the layouts: [`IpcBuffer`], the boot information, [`UserContext`];
//! - what root tasks configure threads with ([`TcbConfiguration`]) and the capabilities they start with
//!   ([`initial`]).
//!
//! `classic` is seL4 before mixed-criticality scheduling: a reply capability hangs on the thread that
//! received the call, there are no scheduling contexts, badges have 28 bits. `mcs` is seL4 with it: reply
//! objects, a system call that sends and receives at once, badges of 64 bits; only what a protection domain
//! does is there. Where both features are set, because two packages of one build ask differently, it is `mcs`.
//!
//! Beside them lies what both share: [`buffer`], [`context`], [`transfer`] and the calls for debugging. Host
//! tests do not enter a kernel: there `recorder` takes the registers down.

mod buffer;
mod context;
#[cfg(debug_kernel)]
pub(crate) mod debug;
#[cfg(test)]
pub(crate) mod recorder;
mod transfer;

#[cfg(not(feature = "mcs"))]
mod classic;
#[cfg(not(feature = "mcs"))]
pub use classic::*;

#[cfg(feature = "mcs")]
mod mcs;
#[cfg(feature = "mcs")]
pub use mcs::*;

#[cfg(not(any(feature = "classic", feature = "mcs")))]
compile_error!("no kernel ABI is chosen: enable the feature `classic` or `mcs`");

pub use buffer::{IPC_BUFFER_SIZE, IpcBuffer, MAX_EXTRA_CAPS, MAX_MESSAGE_WORDS};
pub use context::UserContext;
#[cfg(test)]
use recorder::enter;
use transfer::Call;
#[cfg(not(feature = "mcs"))]
pub(crate) use transfer::invoke_without_waiting;
pub(crate) use transfer::{invoke, invoke_long};

/// Gives the rest of this thread's time slice to others of the same priority.
pub fn yield_now() {
    enter(Call::new(syscall::Yield, crate::CPtr::NULL, transfer::NO_MESSAGE));
}

/// A system call for debugging: they go through the kernel's slow path and touch no message.
#[cfg(debug_kernel)]
fn debug_call(number: i64, argument: u64) -> u64 {
    enter(Call::new(number, crate::CPtr::new(argument), transfer::NO_MESSAGE)).badge
}

/// A bit field of a word.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    shift: u32,
    width: u32,
}

impl Field {
    pub(crate) const fn new(shift: u32, width: u32) -> Self {
        assert!(width > 0 && shift + width <= 64);
        Self { shift, width }
    }

    pub(crate) const fn width(self) -> u32 {
        self.width
    }

    const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.width)
    }

    /// The value at its place, cut to the field.
    pub(crate) const fn place(self, value: u64) -> u64 {
        (value & self.mask()) << self.shift
    }

    /// The value out of the word.
    pub(crate) const fn take(self, word: u64) -> u64 {
        (word >> self.shift) & self.mask()
    }

    /// Whether the value fits.
    pub(crate) const fn fits(self, value: u64) -> bool {
        value <= self.mask()
    }
}
