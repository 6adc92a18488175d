// SPDX-License-Identifier: BSD-2-Clause
//! Measures a protected call and its answer. The judge.
#![no_std]
#![no_main]

use boot_domains::ticks;
use sel4_microkit::{Channel, MessageInfo, NullHandler, debug_println, protection_domain};

const SERVER: Channel = Channel::new(0);
/// Calls before the measurement, which fill the emulator's cache of translated code.
const WARM_UP: u64 = 1000;
/// Calls that are measured; as many as make the run at full speed long enough to tell the counter's rate.
const CALLS: u64 = 200_000;

fn calls(count: u64) -> u64 {
    let start = ticks();
    for _ in 0..count {
        SERVER.pp_call(MessageInfo::new(0, 1));
    }
    ticks() - start
}

#[protection_domain]
fn init() -> NullHandler {
    calls(WARM_UP);
    debug_println!("bench: clock {} ticks", ticks());
    let taken = calls(CALLS);
    debug_println!("bench: clock {} ticks", ticks());
    debug_println!("bench: protected-call-round-trip {} ticks", taken / CALLS);
    boot_domains::pass()
}
