// SPDX-License-Identifier: BSD-2-Clause
//! What the runtime and the image tool have set up for the domain's one thread.
#![allow(unsafe_code, reason = "memory and a symbol that others wrote")]

use crate::layout::IPC_BUFFER;

/// Makes sure that this crate's system calls find the IPC buffer. The runtime may be another's, which keeps its own
/// note of where the buffer is.
pub(crate) fn ready() {
    if !sel4::has_ipc_buffer() {
        // SAFETY: Microkit maps the buffer of a domain's one thread at this address for its whole life. Whoever else
        // uses it does so between the calls of this crate, which keep no reference.
        unsafe { sel4::set_ipc_buffer(IPC_BUFFER as *mut sel4::IpcBuffer) };
    }
}

/// Which I/O port ids there are.
pub(crate) fn ioports() -> u64 {
    unsafe extern "C" {
        /// The runtime declares it, and the image tool writes it into the program (Microkit: `symbols.rs`).
        static microkit_ioports: u64;
    }
    // SAFETY: every runtime has the symbol, because the tool demands it, with this size. Nothing writes it while the
    // program runs; the access is volatile because the compiler may know what it was before the tool did.
    unsafe { (&raw const microkit_ioports).read_volatile() }
}
