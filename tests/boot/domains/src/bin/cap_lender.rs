// SPDX-License-Identifier: BSD-2-Clause
//! Lends pages of its own memory to `cap_borrower` by capability, many at once in a CNode and one alone, lets it have
//! a device work on them, and takes them back in both ways there are. The judge: what it reads in its memory decides.
#![no_std]
#![no_main]

use boot_domains::{differences, fill, lending::*, region};
use microkit_ext::cap;
use sel4::CPtr;
use sel4_microkit::{Channel, MessageInfo, NullHandler, protection_domain, var};

const BORROWER: Channel = Channel::new(0);
/// `<cspace>` slots: the CNode with the frames of `lent`, the one with the frame of `constant`.
const LENT: usize = 1;
const CONSTANT: usize = 2;

/// Calls the borrower, lending capabilities.
fn call(label: u64, lent: &[CPtr]) {
    let answer = cap::pp_call_with_caps(BORROWER, MessageInfo::new(label, 0), lent);
    assert_eq!(answer.label(), DONE, "answer to {label}");
}

#[protection_domain]
fn init() -> NullHandler {
    let mut lent = region(*var!(lent_vaddr: usize = 0), PAGES * PAGE_BYTES);
    let mut constant = region(*var!(constant_vaddr: usize = 0), PAGE_BYTES);
    let lent_bits = *var!(lent_cnode_bits: u64 = 0);
    let constant_bits = *var!(constant_cnode_bits: u64 = 0);
    // The words of a page that the device copies.
    let page = |number: usize| number * PAGE_WORDS..number * PAGE_WORDS + COPIED_BYTES / 8;
    assert_eq!(lent_bits, 2, "four frames take two bits");
    fill(&mut lent, 1, 0..PAGES * PAGE_WORDS);
    fill(&mut constant, 2, page(0));

    // All pages at once. The borrower copies the first to the second.
    call(LEND_ALL, &[cap::cnode(LENT).cptr()]);
    let copied = page(0).all(|word| lent.read::<u64>(PAGE_BYTES + word * 8) == lent.read::<u64>(word * 8));
    assert!(copied, "the device reached the lent pages");
    assert_eq!(differences(&lent, 1, page(0)), 0);

    // One page alone, whose capability allows only reading. The borrower copies it to the third page and then tries
    // to overwrite it.
    call(LEND_READ_ONLY, &[cap::cnode(CONSTANT).cptr()]);
    assert_eq!(constant_bits, 1, "a CNode has at least two slots");
    let copied =
        page(0).all(|word| lent.read::<u64>(2 * PAGE_BYTES + word * 8) == constant.read::<u64>(word * 8));
    assert!(copied, "the device read the page lent for reading");
    assert_eq!(differences(&constant, 2, page(0)), 0, "the device wrote to a page lent for reading");

    // Behind the borrower's back: everything derived from this capability is gone, and with it the device's access.
    cap::place(LENT, 2, 3).revoke().expect("the own capability is revoked");
    call(LAST_IS_GONE, &[]);
    assert_eq!(differences(&lent, 1, page(3)), 0, "the device wrote to a revoked page");

    // With the borrower's consent.
    fill(&mut lent, 4, page(1));
    call(GIVE_BACK_SECOND, &[]);
    assert_eq!(differences(&lent, 4, page(1)), 0, "the device wrote to a page that was given back");
    boot_domains::pass()
}
