// SPDX-License-Identifier: BSD-2-Clause
//! The debug system calls. A release kernel has none of them: there these functions do nothing.

use core::fmt;

use crate::cap::Tcb;
use crate::cptr::CPtr;

#[cfg(debug_kernel)]
use crate::abi::debug as kernel;

#[cfg(not(debug_kernel))]
mod kernel {
    //! A release kernel would answer any of these with a fault: they are not called at all.
    use super::{CPtr, Tcb};

    pub(super) fn put_char(_: u8) {}
    pub(super) fn halt() {}
    pub(super) fn snapshot() {}
    pub(super) fn cap_identify(_: CPtr) -> u64 {
        0
    }
    pub(super) fn name_thread(_: Tcb, _: &str) {}
}

/// Whether the kernel that this was built for has debug system calls.
pub const DEBUG_BUILD: bool = cfg!(debug_kernel);

/// Writes one byte to the kernel's console.
#[inline]
pub fn debug_put_char(byte: u8) {
    kernel::put_char(byte);
}

/// Stops the machine. Returns only on a release kernel, where it does nothing.
pub fn debug_halt() {
    kernel::halt();
}

/// Has the kernel print all its objects.
pub fn debug_snapshot() {
    kernel::snapshot();
}

/// The kernel's number of the kind of a capability; 0 when there is none, and on a release kernel.
pub fn debug_cap_identify(cap: CPtr) -> u64 {
    kernel::cap_identify(cap)
}

/// Gives a thread the name that the kernel uses in its messages. Cut at the first NUL byte and to what
/// fits the message. Overwrites the message in the IPC buffer. A capability that is no thread's halts
/// the machine.
pub fn debug_name_thread(tcb: Tcb, name: &str) {
    kernel::name_thread(tcb, name);
}

/// The kernel's console as a formatting target.
#[derive(Clone, Copy, Debug, Default)]
pub struct DebugWriter;

impl fmt::Write for DebugWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(debug_put_char);
        Ok(())
    }
}
