// SPDX-License-Identifier: BSD-2-Clause
//! Batches by call, and what they wait for.

use gpu_client_c::types::*;
use gpu_client_c::*;

use crate::world::{CODE, DATA, World, batch, connected, memory, rig, store, used};

#[test]
fn a_client_in_c_lends_its_pages_runs_a_batch_and_finds_what_it_wrote() {
    let shared = rig();
    let mut world = World::new(&shared, 0);
    let mut gpu = connected(&mut world);
    let gpu = &raw mut *gpu;
    let (code, data) = {
        let mut rig = shared.rig();
        (rig.region(0, 1), rig.region(0, 1))
    };
    let (dwords, length) = store(DATA, 0x1234);
    shared.rig().poke(code.physical, &dwords);
    let (mut vm, mut context, mut engines) = (0, 0, 0);
    let (mut program, mut target) = (CObject::default(), CObject::default());
    let (mut first, mut second) = (CFence::default(), CFence::default());
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        assert_eq!(gpu_engines(gpu, &mut engines), 0);
        let mut with_token = 9;
        assert_eq!((gpu_semaphores(gpu, &mut with_token), with_token), (0, 1), "a Tiger Lake");
        assert!(engines >= 4);
        assert_eq!((gpu_vm_create(gpu, &mut vm), gpu_context_create(gpu, vm, &mut context)), (0, 0));
        assert_eq!(gpu_userptr_create(gpu, &memory(code), &mut program), 0);
        assert_eq!(gpu_userptr_create(gpu, &memory(data), &mut target), 0);
        let target_use = [used(&target, DATA, WRITE)];
        let code_use = used(&program, CODE, READ);
        assert_eq!(gpu_submit(gpu, &batch(context, code_use, length, &target_use, &[]), &mut first), 0);
        let after = [CAfter { fence: first, until: COMPLETE, pad: 0 }];
        assert_eq!(gpu_submit(gpu, &batch(context, code_use, length, &target_use, &after), &mut second), 0);
        assert_eq!((gpu_wait(gpu, &second), gpu_is_complete(gpu, &first)), (0, 1));
        assert_eq!(shared.rig().peek(data.physical), 0x1234);
        let (mut ticket, mut dirty) = (0, 0);
        let end = data.address + data.size;
        assert_eq!(gpu_take_back(gpu, data.address, end, &mut ticket, &mut dirty), 0);
        assert_eq!(dirty, 1);
        assert_eq!((gpu_object_close(gpu, &program), gpu_object_close(gpu, &target)), (0, 0));
        assert_eq!((gpu_context_destroy(gpu, context), gpu_vm_destroy(gpu, vm)), (0, 0));
    }
    assert_eq!(shared.rig().domain.held(), 0);
    shared.rig().check();
}
