// SPDX-License-Identifier: BSD-2-Clause
//! What is refused, and what is said of it.

use core::ffi::{CStr, c_int, c_void};
use std::ptr::{null, null_mut};

use gpu_client::Errno;
use gpu_client_c::types::*;
use gpu_client_c::*;

use crate::world::{CODE, World, batch, blank, connected, rig, used};

#[test]
fn null_and_unaligned_pointers_and_unknown_numbers_are_einval_and_change_nothing() {
    let shared = rig();
    let mut world = World::new(&shared, 0);
    let mut gpu = connected(&mut world);
    let gpu = &raw mut *gpu;
    let mut unconnected: Device = blank();
    let before = shared.rig().snapshot();
    let mut number = 0_u64;
    let (mut vm, mut fence) = (0, CFence::default());
    // SAFETY: every pointer is to something of the test's, or is one that the library refuses.
    unsafe {
        assert_eq!(gpu_connect(null_mut(), &world.callbacks()), -22);
        assert_eq!(gpu_connect(&mut unconnected, null()), -22);
        assert_eq!(gpu_connect(&mut unconnected, &Callbacks { call: None, ..world.callbacks() }), -22);
        assert_eq!(
            gpu_connect(&mut unconnected, &Callbacks { message: null_mut(), ..world.callbacks() }),
            -22
        );
        assert_eq!(gpu_vm_create(&mut unconnected, &mut vm), -22);
        assert_eq!(gpu_vm_create(null_mut(), &mut vm), -22);
        // A result that has no place would be lost.
        let missing = null_mut();
        assert_eq!([gpu_vm_create(gpu, missing), gpu_context_create(gpu, 1, missing)], [-22; 2]);
        assert_eq!(gpu_context_create_with(gpu, null(), 0, missing), -22);
        assert_eq!(gpu_context_vm(gpu, 0, missing), -22);
        let page =
            Memory { address: 0x4000_0000, size: 0x1000, cnode: 1, page_bits: 12, ..Memory::default() };
        assert_eq!(gpu_userptr_create(gpu, &page, null_mut()), -22);
        assert_eq!(gpu_userptr_create_in(gpu, &page, 0, 0x1000, null_mut()), -22);
        assert_eq!(gpu_userptr_create_with(gpu, &page, 0, null_mut()), -22);
        assert_eq!(gpu_buffer_create(gpu, 4096, null_mut()), -22);
        assert_eq!(gpu_take_back(gpu, 0x4000_0000, 0x4000_1000, null_mut(), &mut number), -22);
        assert_eq!(gpu_param(gpu, 99, &mut number), -22);
        let askew = (&raw mut number).cast::<u8>().add(1).cast::<u64>();
        assert_eq!(gpu_param(gpu, 4, askew), -22);
        assert_eq!(gpu_submit(gpu, null(), &mut fence), -22);
        let nothing = CUse { object: null(), address: 0, access: READ, pad: 0 };
        assert_eq!(gpu_submit(gpu, &batch(0, nothing, 8, &[], &[]), &mut fence), -22);
        let object = CObject { handle: 1, pad: 0, memory: Memory::default() };
        let code = used(&object, CODE, READ);
        assert_eq!(gpu_submit(gpu, &batch(0, used(&object, CODE, 2), 8, &[], &[]), &mut fence), -22);
        assert_eq!(gpu_submit(gpu, &batch(0, CUse { pad: 1, ..code }, 8, &[], &[]), &mut fence), -22);
        assert_eq!(gpu_submit(gpu, &batch(0, code, 8, &[code; 65], &[]), &mut fence), -7);
        let wait = CAfter { fence: CFence::default(), until: 2, pad: 0 };
        assert_eq!(gpu_submit(gpu, &batch(0, code, 8, &[], &[wait]), &mut fence), -22);
        let wait = CAfter { until: COMPLETE, ..wait };
        assert_eq!(gpu_submit(gpu, &batch(0, code, 8, &[], &[wait; 17]), &mut fence), -7);
        assert_eq!(gpu_submit(gpu, &batch(0, code, 8, &[], &[]), &mut fence), -2, "no such object");
        assert_eq!(gpu_enqueue(gpu, &batch(0, code, 8, &[], &[])), -95, "no rings");
    }
    assert_eq!(shared.rig().snapshot(), before);
}

/// A driver that refuses every call, as one of version 9 refuses to be connected to.
unsafe extern "C" fn version_nine(_: *mut c_void, message: *mut Message) {
    // SAFETY: the library's.
    unsafe { (*message).label = 22 };
    // SAFETY: as above.
    unsafe { (*message).words[0] = 9 };
}

#[test]
fn a_driver_of_another_version_is_not_connected_to_and_the_program_learns_which_one_it_is() {
    let shared = rig();
    let mut world = World::new(&shared, 0);
    let other = Callbacks { call: Some(version_nine), ..world.callbacks() };
    let (mut gpu, mut owner): (Box<Device>, Box<COwner>) = (Box::new(blank()), Box::new(blank()));
    let mut vm = 0;
    // What a program reads, by the header's names.
    let version = |gpu: &Device| {
        // SAFETY: as gpu_client.h has it: a word in front of the others, all of them plain numbers.
        unsafe { (&raw const *gpu).cast::<[u64; 2]>().read() }
    };
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        assert_eq!(gpu_connect(&mut *gpu, &other), -71);
        assert_eq!((version(&gpu), gpu_vm_create(&mut *gpu, &mut vm)), ([0, 9], -22));
        assert_eq!(gpu_owner_connect(&mut *owner, &other), -71);
        assert_eq!((&raw const *owner).cast::<[u64; 2]>().read(), [0, 9]);
        assert_eq!((gpu_connect(&mut *gpu, &world.callbacks()), gpu_vm_create(&mut *gpu, &mut vm)), (0, 0));
    }
}

#[test]
fn every_error_that_a_function_returns_has_its_name() {
    let name = |error: c_int| {
        // SAFETY: a string that is never freed.
        unsafe { CStr::from_ptr(gpu_error_name(error)) }.to_str().unwrap()
    };
    for errno in Errno::ALL {
        assert_eq!(name(-c_int::from(errno.number())), errno.name());
    }
    let own = [(-34, "ERANGE"), (-71, "EPROTO"), (-95, "EOPNOTSUPP"), (-105, "ENOBUFS")];
    for (error, expected) in own {
        assert_eq!(name(error), expected);
    }
    assert_eq!([name(0), name(1), name(c_int::MAX)], ["success"; 3]);
    assert_eq!([name(-3), name(-70_000), name(c_int::MIN)], ["unknown"; 3]);
}
