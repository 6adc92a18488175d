// SPDX-License-Identifier: BSD-2-Clause
//! Opens a gate that a batch waits for, when everybody of higher priority is asleep.
#![no_std]
#![no_main]

use boot_domains::region;
use sel4_microkit::{NullHandler, memory_region_symbol, protection_domain};

/// As `ring_client` has them.
const GATE: usize = 0xff0;
const KEEPER: usize = 0xff8;

#[protection_domain]
fn init() -> NullHandler {
    let mut data = region(memory_region_symbol!(data: *mut u8).addr().get(), 0x1000);
    data.write(KEEPER, 1_u64);
    data.write(GATE, 1_u32);
    NullHandler::new()
}
