// SPDX-License-Identifier: BSD-2-Clause
//! The image tool from its inputs to its outputs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers of small test files are small")]

mod capabilities;
mod channels;
mod common;
mod elements;
mod maps;
mod programs;
mod properties;
mod readme;
mod report;
mod sdk;
mod specification;
