// SPDX-License-Identifier: BSD-2-Clause
//! Looks into every slot of its capability space: there is what the system description gives and nothing else.
//! The judge.
#![no_std]
#![no_main]

use sel4::CPtr;
use sel4_microkit::{NullHandler, protection_domain};

/// What every domain has: its endpoint (1), where the kernel sends its faults (2), its own address space (3). What the
/// description adds: the notification of channel 0 (10), the endpoint of its protected calls (74), the exit port (394).
const GIVEN: [u64; 6] = [1, 2, 3, 10, 74, 394];
/// Slots of the system CNode, which is slot 0 of the root.
const SYSTEM_SLOTS: u64 = 1024;
/// Slots of the root, named by the top bits of an address.
const ROOT_SLOTS: u64 = 64;

#[protection_domain]
fn init() -> NullHandler {
    for slot in 0..SYSTEM_SLOTS {
        let kind = sel4::debug_cap_identify(CPtr::new(slot));
        assert_eq!(kind != 0, GIVEN.contains(&slot), "slot {slot} has a capability of kind {kind}");
    }
    for slot in 1..ROOT_SLOTS {
        let kind = sel4::debug_cap_identify(CPtr::new(slot << 58));
        assert_eq!(kind, 0, "slot {slot} of the root");
    }
    boot_domains::pass()
}
