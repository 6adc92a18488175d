// SPDX-License-Identifier: BSD-2-Clause
//! Fills memory that it shares with `share_reader`, of small and of large pages, and calls it to look; then checks what
//! the reader wrote.
#![no_std]
#![no_main]

use boot_domains::{differences, fill, region};
use sel4_microkit::{Channel, Handler, Infallible, MessageInfo, NullHandler, protection_domain, set_mr, var};

const READER: Channel = Channel::new(2);

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    let mut small = region(*var!(small_vaddr: usize = 0), *var!(small_size: usize = 0));
    let mut large = region(*var!(large_vaddr: usize = 0), *var!(large_size: usize = 0));
    assert_eq!(small.len(), 0x3000);
    assert_eq!(large.len(), 0x40_0000);
    // Fresh memory is zero.
    assert!((0..small.len() / 8).all(|index| small.read::<u64>(index * 8) == 0));
    let (small_words, large_words) = (small.len() / 8, large.len() / 8);
    fill(&mut small, 1, 0..small_words);
    fill(&mut large, 2, 0..large_words);
    set_mr(0, *var!(small_paddr: u64 = 0));
    set_mr(1, *var!(large_paddr: u64 = 0));
    let answer = READER.pp_call(MessageInfo::new(0, 2));
    assert_eq!(answer.label(), 7);
    assert_eq!(differences(&large, 3, 0..large.len() / 8), 0, "what the reader wrote");
    READER.pp_call(MessageInfo::new(1, 0));
    NullHandler::new()
}
