// SPDX-License-Identifier: BSD-2-Clause
//! Has nothing to do with the others and runs after all of them: that it comes to its end shows that their ends did
//! not touch it. The judge.
#![no_std]
#![no_main]

use boot_domains::{differences, fill, region};
use sel4_microkit::{NullHandler, protection_domain, var};

#[protection_domain]
fn init() -> NullHandler {
    let mut own = region(*var!(own_vaddr: usize = 0), 0x1000);
    fill(&mut own, 9, 0..512);
    assert_eq!(differences(&own, 9, 0..512), 0);
    boot_domains::pass()
}
