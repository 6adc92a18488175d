// SPDX-License-Identifier: BSD-2-Clause
//! Core of the Intel GPU driver: GGTT, PPGTT, engines, contexts, submission; knows nothing of seL4.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod address;
pub mod device;
mod error;
pub mod handle;
pub mod memory;
mod mmio;
pub mod platform;
#[cfg(test)]
mod testing;

pub use error::{Error, InitError};
pub use handle::Id;
