// SPDX-License-Identifier: BSD-2-Clause
//! Does what its name says, which no domain may: each is the subject of one of the monitor's reports.
#![no_std]
#![no_main]
// The point is to break the rules that the compiler would keep.
#![allow(unsafe_code)]

use core::arch::asm;
use core::hint::black_box;

use boot_domains::name;
use sel4_microkit::{NullHandler, protection_domain, var};

/// Nothing is mapped here in any system of these tests.
const NOWHERE: usize = 0x5_dead_0000;
/// Mapped in a neighbour's address space only.
const NEIGHBOUR: usize = 0x6000_0000;
/// The start of the kernel's own memory.
const KERNEL: usize = 0xffff_ff80_0010_0000;

#[protection_domain]
fn init() -> NullHandler {
    let read_only = *var!(read_only_vaddr: usize = 0);
    match name() {
        "reads_nowhere" => read(NOWHERE),
        "writes_nowhere" => write(NOWHERE),
        "reads_kernel" => read(KERNEL),
        "reads_neighbour" => read(NEIGHBOUR),
        "writes_read_only" => {
            // Reading is allowed, so that the fault is about the writing.
            read(read_only);
            write(read_only);
        }
        // SAFETY: meant to fault.
        "jumps_nowhere" => unsafe { asm!("jmp {}", in(reg) NOWHERE) },
        // SAFETY: meant to fault.
        "uses_port" => unsafe { asm!("in al, 0x70", out("al") _) },
        // SAFETY: meant to fault.
        "halts" => unsafe { asm!("hlt") },
        "overflows_stack" => drop(black_box(deeper(1))),
        "panics" => assert_eq!(black_box(1), 2, "this domain gives up"),
        other => unreachable!("{other} has nothing to do"),
    }
    unreachable!("{} got away with it", name())
}

fn read(address: usize) {
    // SAFETY: allowed, or meant to fault.
    black_box(unsafe { (address as *const u64).read_volatile() });
}

fn write(address: usize) {
    // SAFETY: meant to fault.
    unsafe { (address as *mut u64).write_volatile(1) };
}

/// Uses more stack than there is.
fn deeper(depth: u64) -> u64 {
    let mut page = [depth; 256];
    black_box(&mut page);
    if depth == u64::MAX { 0 } else { page[0] + deeper(depth + 1) }
}
