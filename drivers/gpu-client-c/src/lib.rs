// SPDX-License-Identifier: BSD-2-Clause
//! The client library for C: `include/gpu_client.h` says what each function does; here each is a few lines around
//! `gpu-client`.
//!
//! ```text
//!   C domain ─ gpu_client.h ─► this crate ─► gpu-client ─► CTransport ─ callbacks ─► microkit_ppcall, ...
//! ```
//!
//! C hands over pointers, and `pointers` is where they become references: null is refused with `-EINVAL`, everything
//! else is the caller's word. What the driver makes of a wrong number or a wrong address is an error like any other.
//! An error is a negative errno; nothing here panics on what C hands over.
#![cfg_attr(sel4_domain, no_std)]

mod commands;
mod contexts;
mod device;
mod engines;
mod errors;
mod objects;
mod owner;
mod pointers;
mod ranges;
#[cfg(feature = "runtime")]
mod runtime;
mod submit;
mod transport;
pub mod types;

pub use commands::*;
pub use contexts::*;
pub use device::*;
pub use engines::*;
pub use errors::gpu_error_name;
pub use objects::*;
pub use owner::*;
pub use ranges::*;
#[cfg(feature = "runtime")]
pub use runtime::*;
pub use submit::*;
pub use transport::CTransport;

/// A domain whose runtime is not this library's has nobody whom a panic could be told: it faults, which its monitor
/// prints.
#[cfg(all(sel4_domain, not(feature = "runtime")))]
#[panic_handler]
#[allow(unsafe_code, reason = "an instruction that always faults")]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it changes nothing, and does not return.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}
