// SPDX-License-Identifier: BSD-2-Clause
//! The functions that C calls, above the driver and the device model: the same pointers, the same numbers.

#![allow(unsafe_code, reason = "the tests call what C calls")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod batches;
mod commands;
mod contexts;
mod engines;
mod errors;
mod objects;
mod owner;
mod queue;
mod world;
