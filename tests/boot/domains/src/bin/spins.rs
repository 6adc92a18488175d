// SPDX-License-Identifier: BSD-2-Clause
//! Never ends.
#![no_std]
#![no_main]

use sel4_microkit::{NullHandler, debug_println, protection_domain};

#[protection_domain]
fn init() -> NullHandler {
    debug_println!("spins: for ever");
    loop {
        core::hint::spin_loop();
    }
}
