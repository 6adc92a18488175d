// SPDX-License-Identifier: BSD-2-Clause
//! Notifies once, when everybody of higher priority waits for something.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, NullHandler, protection_domain};

#[protection_domain]
fn init() -> NullHandler {
    Channel::new(0).notify();
    NullHandler::new()
}
