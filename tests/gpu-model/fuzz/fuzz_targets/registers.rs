// SPDX-License-Identifier: BSD-2-Clause
#![no_main]
#![allow(missing_docs, reason = "the macro makes the only item")]

#[path = "../src/scenarios.rs"]
mod scenarios;

libfuzzer_sys::fuzz_target!(|data: &[u8]| scenarios::registers(data));
