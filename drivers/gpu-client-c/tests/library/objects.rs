// SPDX-License-Identifier: BSD-2-Clause
//! Objects: with flags, in the driver's memory, shared; and the range allocator.

use gpu_client_c::types::*;
use gpu_client_c::*;

use crate::world::{CODE, DATA, World, batch, blank, connected, memory, rig, store, used};

#[test]
fn a_client_in_c_keeps_buffers_in_the_drivers_memory_and_shares_them() {
    let shared = rig();
    let (mut ours, mut theirs) = (World::new(&shared, 0), World::new(&shared, 1));
    let (mut gpu, mut peer) = (connected(&mut ours), connected(&mut theirs));
    let (gpu, peer) = (&raw mut *gpu, &raw mut *peer);
    let (dwords, length) = store(DATA + 8, 0x55);
    let dwords: Vec<u8> = dwords.iter().flat_map(|dword| dword.to_le_bytes()).collect();
    let (mut code, mut data, mut import) = (CObject::default(), CObject::default(), CObject::default());
    let (mut name, mut fence, mut word) = (0, CFence::default(), [0; 4]);
    let (mut readers, mut writer) = (9, 9);
    let channel = u32::try_from(conformance::channel(1)).unwrap();
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        assert_eq!((gpu_buffer_create(gpu, 64, &mut code), gpu_buffer_create(gpu, 4096, &mut data)), (0, 0));
        assert_eq!(gpu_buffer_write(gpu, &code, 0, dwords.as_ptr(), dwords.len()), 0);
        let objects = [used(&data, DATA, WRITE)];
        let batch = batch(0, used(&code, CODE, READ), length, &objects, &[]);
        assert_eq!(gpu_submit(gpu, &batch, &mut fence), 0);
        assert_eq!(gpu_object_wait_idle(gpu, &data), 0);
        assert_eq!(gpu_object_usage(gpu, &data, &mut readers, &mut writer), 0);
        assert_eq!((readers, writer), (0, 0xffff));
        assert_eq!(gpu_object_export(gpu, &data, channel, &mut name), 0);
        assert_eq!(gpu_object_import(peer, name, &mut import), 0);
        assert_eq!(gpu_buffer_read(peer, &import, 8, word.as_mut_ptr(), 4), 0);
        assert_eq!(gpu_buffer_read(peer, &import, 4093, word.as_mut_ptr(), 4), -22);
    }
    assert_eq!(word, [0x55, 0, 0, 0]);
}

#[test]
fn an_object_has_the_flags_that_c_asks_for() {
    let shared = rig();
    let mut world = World::new(&shared, 0);
    let mut gpu = connected(&mut world);
    let gpu = &raw mut *gpu;
    let memory = memory(shared.rig().region(0, 3));
    let (mut object, before) = (CObject::default(), shared.rig().domain.held());
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        assert_eq!(gpu_userptr_create_with(gpu, &memory, 1 << 5, &mut object), -22, "an unknown flag");
        assert_eq!(gpu_userptr_create_with(gpu, &memory, 0x1, &mut object), -19, "read-only, on this part");
        assert_eq!(gpu_userptr_create_with(gpu, &memory, 0x8000_0000, &mut object), -1, "not privileged");
        assert_eq!(gpu_userptr_create_with(gpu, &memory, 0x1_0002, &mut object), 0);
    }
    assert_eq!(shared.rig().domain.held(), before + 3, "its pages are lent now");
    assert!(object.handle != 0 && object.memory == memory);
}

#[test]
fn ranges_are_handed_out_and_joined_again() {
    let mut ranges: CRanges = blank();
    let (mut one, mut two) = (0, 0);
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        assert_eq!(gpu_ranges_allocate(&mut ranges, 4096, 4096, &mut one), -22, "not made yet");
        assert_eq!(gpu_ranges_init(&mut ranges, 0x10_0000, 0x4000), 0);
        assert_eq!(gpu_ranges_allocate(&mut ranges, 5000, 4096, &mut one), 0);
        assert_eq!(gpu_ranges_allocate(&mut ranges, 0x2000, 4096, &mut two), 0);
        assert_eq!((one, two), (0x10_0000, 0x10_2000));
        assert_eq!(gpu_ranges_allocate(&mut ranges, 1, 1, &mut one), -12);
        assert_eq!(gpu_ranges_free(&mut ranges, 0x10_0000, 5000), 0);
        assert_eq!(gpu_ranges_free(&mut ranges, 0x10_0000, 5000), -22, "it is free");
        let mut left = 0;
        assert_eq!((gpu_ranges_free_bytes(&mut ranges, &mut left), left), (0, 0x2000));
    }
}
