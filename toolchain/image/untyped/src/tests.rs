// SPDX-License-Identifier: BSD-2-Clause
//! The accounts agree with a kernel that is played here, byte by byte.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

extern crate std;

use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The kernel's side: for each tag, where the block is and how far it has been used.
#[derive(Default)]
struct Kernel {
    blocks: BTreeMap<u64, (u64, u64, u64)>,
    made: Vec<(u64, u64)>,
    next_tag: u64,
}

impl Kernel {
    fn block(&mut self, base: u64, size_bits: u8) -> u64 {
        self.next_tag += 1;
        self.blocks.insert(self.next_tag, (base, 1 << size_bits, 0));
        self.next_tag
    }

    /// Makes one object as the kernel does and answers its address.
    fn retype(&mut self, tag: u64, size_bits: u8) -> u64 {
        let (base, bytes, used) = self.blocks.get_mut(&tag).unwrap();
        let offset = used.next_multiple_of(1 << size_bits);
        assert!(offset + (1 << size_bits) <= *bytes, "the kernel has not enough memory");
        *used = offset + (1 << size_bits);
        *base + offset
    }
}

/// Makes objects at an address, or answers false when the accounts say that it cannot be.
fn make_at(
    memory: &mut Memory<'_>,
    kernel: &mut Kernel,
    mut address: u64,
    size_bits: u8,
    mut count: u64,
) -> bool {
    while count > 0 {
        match memory.towards(address, false, size_bits, count) {
            None => return false,
            Some(Step::Fill { block, size_bits }) => {
                let at = kernel.retype(memory.blocks()[block].tag, size_bits);
                let tag = kernel.block(at, size_bits);
                assert!(memory.filled(block, size_bits, tag));
                assert_eq!(memory.blocks().last().unwrap().base, at);
            }
            Some(Step::Take { block, count: now }) => {
                for _ in 0..now {
                    let at = kernel.retype(memory.blocks()[block].tag, size_bits);
                    assert_eq!(at, address);
                    kernel.made.push((at, 1 << size_bits));
                    address += 1 << size_bits;
                }
                memory.took(block, size_bits, now);
                count -= now;
            }
        }
    }
    true
}

fn make_anywhere(memory: &mut Memory<'_>, kernel: &mut Kernel, size_bits: u8) -> bool {
    match memory.anywhere(size_bits, 1) {
        Some(Step::Take { block, count: 1 }) => {
            assert!(!memory.blocks()[block].device);
            let at = kernel.retype(memory.blocks()[block].tag, size_bits);
            kernel.made.push((at, 1 << size_bits));
            memory.took(block, size_bits, 1);
            true
        }
        None => false,
        other => panic!("{other:?}"),
    }
}

/// A machine with room for many blocks.
fn machine(blocks: &[(u64, u8, bool)]) -> (Memory<'static>, Kernel) {
    let room = std::vec![Block::NONE; 4096].leak();
    let (mut memory, mut kernel) = (Memory::new(room), Kernel::default());
    for &(base, size_bits, device) in blocks {
        let tag = kernel.block(base, size_bits);
        assert!(memory.add(Block::new(tag, base, size_bits, device)));
    }
    (memory, kernel)
}

#[test]
fn a_frame_in_the_middle_of_a_block_is_reached_and_the_rest_stays_usable() {
    let (mut memory, mut kernel) = machine(&[(0x10_0000, 20, false)]);
    assert!(make_at(&mut memory, &mut kernel, 0x10_5000, 12, 2));
    // 0x4000 and 0x1000 bytes lie below.
    let fillers: Vec<_> = memory.blocks()[1..].iter().map(|block| (block.base, block.size_bits)).collect();
    assert_eq!(fillers, [(0x10_0000, 14), (0x10_4000, 12)]);
    assert_eq!(memory.left(), 0x10_0000 - 0x2000);
}

#[test]
fn a_run_goes_on_in_the_next_block() {
    let (mut memory, mut kernel) = machine(&[(0x2000, 13, false), (0x4000, 14, false)]);
    assert!(make_at(&mut memory, &mut kernel, 0x3000, 12, 3));
    let places: Vec<_> = kernel.made.iter().map(|&(at, _)| at).collect();
    assert_eq!(places, [0x3000, 0x4000, 0x5000]);
}

#[test]
fn what_has_been_passed_can_still_be_reached_inside_a_filler() {
    let (mut memory, mut kernel) = machine(&[(0x10_0000, 20, false)]);
    assert!(make_at(&mut memory, &mut kernel, 0x10_8000, 12, 1));
    assert!(make_at(&mut memory, &mut kernel, 0x10_2000, 12, 1));
}

#[test]
fn what_is_used_or_absent_cannot_be_had() {
    let (mut memory, mut kernel) = machine(&[(0x10_0000, 14, false)]);
    assert!(make_at(&mut memory, &mut kernel, 0x10_0000, 12, 1));
    assert_eq!(memory.towards(0x10_0000, false, 12, 1), None);
    assert_eq!(memory.towards(0x20_0000, false, 12, 1), None);
    assert_eq!(memory.towards(0x10_0000, false, 21, 1), None);
}

#[test]
fn kernel_objects_are_never_made_of_device_memory() {
    let (memory, _) = machine(&[(0xe000_0000, 28, true)]);
    assert_eq!(memory.anywhere(4, 1), None);
    assert_eq!(memory.left(), 0);
}

#[test]
fn memory_and_device_memory_are_not_taken_for_each_other() {
    let (memory, _) = machine(&[(0xe000_0000, 28, true), (0x10_0000, 20, false)]);
    assert_eq!(memory.towards(0xe000_0000, false, 12, 1), None);
    assert_eq!(memory.towards(0xe000_0000, true, 12, 9), Some(Step::Take { block: 0, count: 9 }));
    assert_eq!(memory.towards(0x10_0000, true, 12, 1), None);
}

#[test]
fn the_block_with_the_least_room_is_taken() {
    let (memory, _) = machine(&[(0x10_0000, 20, false), (0x1000, 12, false), (0x8000, 13, false)]);
    assert_eq!(memory.anywhere(12, 9), Some(Step::Take { block: 1, count: 1 }));
    assert_eq!(memory.anywhere(13, 9), Some(Step::Take { block: 2, count: 1 }));
    assert_eq!(memory.anywhere(14, 9), Some(Step::Take { block: 0, count: 9 }));
    assert_eq!(memory.anywhere(21, 1), None);
}

#[test]
fn a_filler_that_nobody_can_remember_is_lost_without_harm() {
    let mut room = [Block::NONE];
    let mut memory = Memory::new(&mut room);
    assert!(memory.add(Block::new(1, 0, 14, false)));
    assert_eq!(memory.towards(0x2000, false, 12, 1), Some(Step::Fill { block: 0, size_bits: 13 }));
    assert!(!memory.filled(0, 13, 2));
    assert_eq!(memory.towards(0x2000, false, 12, 1), Some(Step::Take { block: 0, count: 1 }));
}

/// Something to make: an offset for those at an address, or none.
fn wish() -> impl Strategy<Value = (Option<u64>, u8, u64)> {
    let at = (0u64..256, 1u64..8).prop_map(|(page, count)| (Some(page << 12), 12, count));
    let anywhere = (4u8..16).prop_map(|size_bits| (None, size_bits, 1));
    prop_oneof![at, anywhere]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn objects_never_overlap_and_lie_where_they_are_wanted(wishes in proptest::collection::vec(wish(), 1..40)) {
        // A mebibyte from 0x100000 on, cut as the kernel might.
        let (mut memory, mut kernel) =
            machine(&[(0x10_0000, 17, false), (0x12_0000, 17, false), (0x14_0000, 18, true), (0x18_0000, 19, false)]);
        for (offset, size_bits, count) in wishes {
            match offset {
                Some(offset) => {
                    make_at(&mut memory, &mut kernel, 0x10_0000 + offset, size_bits, count);
                }
                None => {
                    make_anywhere(&mut memory, &mut kernel, size_bits);
                }
            }
        }
        let mut made = kernel.made;
        made.sort_unstable();
        for pair in made.windows(2) {
            prop_assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{:x?}", pair);
        }
    }
}
