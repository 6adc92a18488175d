// SPDX-License-Identifier: BSD-2-Clause
//! Gathers the parts of the build script that have tests, for the crate's test harness.
#![allow(dead_code, reason = "the crate itself uses none of it")]

#[path = "conditions.rs"]
mod conditions;
#[path = "sdk.rs"]
mod sdk;
#[path = "tables.rs"]
mod tables;
