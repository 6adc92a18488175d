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
//! received the call, there are no scheduling contexts, badges have 28 bits.

#[cfg(feature = "classic")]
mod classic;
#[cfg(feature = "classic")]
pub use classic::*;

#[cfg(not(feature = "classic"))]
compile_error!("no kernel ABI is chosen: enable the feature `classic`");

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
