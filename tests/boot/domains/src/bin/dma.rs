// SPDX-License-Identifier: BSD-2-Clause
//! Lets the `edu` device read and write memory through the IOMMU: where the system maps it, it works; where it does
//! not, or only for reading, nothing happens. The judge.
#![no_std]
#![no_main]

use boot_domains::{
    differences,
    edu::{BUFFER_SIZE, Edu},
    fill,
    pci::Function,
    region,
};
use microkit_ext::ioport::IoPort;
use sel4_microkit::{NullHandler, protection_domain, var};

/// Where the system maps `mapped` (two pages, read and write) for the device ...
const MAPPED: u64 = 0x10_0000;
/// ... and `read_only`.
const READ_ONLY: u64 = 0x20_0000;
/// Words that a transfer moves, the first ones of a page.
const WORDS: usize = BUFFER_SIZE / 8;

#[protection_domain]
fn init() -> NullHandler {
    let registers = region(*var!(edu_vaddr: usize = 0), 0x1000);
    let mut edu = Edu::new(Function::new(IoPort::new(1), 3), registers, *var!(edu_paddr: usize = 0));
    let mut mapped = region(*var!(mapped_vaddr: usize = 0), 0x2000);
    let mut read_only = region(*var!(read_only_vaddr: usize = 0), 0x1000);
    let mut hidden = region(*var!(hidden_vaddr: usize = 0), 0x1000);
    let hidden_paddr = *var!(hidden_paddr: u64 = 0);
    fill(&mut mapped, 1, 0..WORDS);
    fill(&mut read_only, 2, 0..WORDS);
    fill(&mut hidden, 3, 0..WORDS);

    // From the first mapped page to the second.
    edu.load(MAPPED, BUFFER_SIZE);
    edu.store(MAPPED + 0x1000, BUFFER_SIZE);
    let copied =
        (0..WORDS).all(|index| mapped.read::<u64>(0x1000 + index * 8) == mapped.read::<u64>(index * 8));
    assert!(copied, "the device copied the first page to the second");
    assert_eq!(differences(&mapped, 1, 0..WORDS), 0, "and left the first as it was");

    // A page that the device may only read.
    edu.store(READ_ONLY, BUFFER_SIZE);
    assert_eq!(differences(&read_only, 2, 0..WORDS), 0, "the device wrote to a page that it may only read");
    edu.load(READ_ONLY, BUFFER_SIZE);
    edu.store(MAPPED, BUFFER_SIZE);
    assert_eq!(differences(&mapped, 2, 0..WORDS), 0, "the device cannot read a page that it may read");

    // Memory that is not mapped for it: neither at its physical address nor beside what is.
    for address in [hidden_paddr, MAPPED + 0x2000, 0] {
        edu.store(address, BUFFER_SIZE);
        assert_eq!(differences(&hidden, 3, 0..WORDS), 0, "the device wrote to memory that it was not given");
    }
    edu.load(hidden_paddr, BUFFER_SIZE);
    edu.store(MAPPED + 0x1000, BUFFER_SIZE);
    let seen =
        (0..WORDS).filter(|&index| mapped.read::<u64>(0x1000 + index * 8) == hidden.read::<u64>(index * 8));
    assert_eq!(seen.count(), 0, "words that the device read from memory that it was not given");
    boot_domains::pass()
}
