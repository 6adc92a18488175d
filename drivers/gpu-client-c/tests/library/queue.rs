// SPDX-License-Identifier: BSD-2-Clause
//! Batches through the rings.

use gpu_client_c::types::*;
use gpu_client_c::*;

use crate::world::{CODE, DATA, World, batch, connected_by, memory, rig, store, used};

#[test]
fn a_client_in_c_fills_its_queue_sleeps_once_and_takes_every_answer_out() {
    let shared = rig();
    let [code, data] = [1, 1].map(|pages| shared.rig().region(0, pages));
    let (dwords, length) = store(DATA, 0x4321);
    shared.rig().poke(code.physical, &dwords);
    let mut world = World::new(&shared, 0);
    let mut gpu = connected_by(&world.callbacks_with_rings());
    let gpu = &raw mut *gpu;
    let (mut program, mut target) = (CObject::default(), CObject::default());
    let (mut capacity, mut queued, mut told) = (0, 9, CAnswer::default());
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        assert_eq!(gpu_userptr_create(gpu, &memory(code), &mut program), 0);
        assert_eq!(gpu_userptr_create(gpu, &memory(data), &mut target), 0);
        let objects = [used(&target, DATA, WRITE), used(&program, CODE, READ)];
        let batch = batch(0, objects[1], length, &objects[..1], &[]);
        assert_eq!((gpu_queue_capacity(gpu, &mut capacity), capacity.is_power_of_two()), (0, true));
        assert_eq!((gpu_queued(gpu, &mut queued), queued), (0, 0));
        assert_eq!(gpu_next_answer(gpu, &mut told), 0, "nothing was queued");

        // Nobody has lent the pages yet.
        assert_eq!((gpu_enqueue(gpu, &batch), gpu_wait_answers(gpu, 1)), (0, 0));
        assert_eq!((gpu_next_answer(gpu, &mut told), told.tag, told.error), (1, 7, -11));
        assert_eq!(gpu_lend_for(gpu, objects.as_ptr(), 2), 0);

        for tag in 0..capacity {
            assert_eq!(gpu_enqueue(gpu, &CBatch { tag, ..batch }), 0);
        }
        assert_eq!(gpu_enqueue(gpu, &batch), -105, "it is full");
        assert_eq!((gpu_queued(gpu, &mut queued), queued), (0, capacity));
        assert!(gpu_ask_for_answers(gpu, capacity) >= 0);
        assert_eq!((gpu_flush(gpu), gpu_wait_answers(gpu, capacity)), (0, 0));
        assert_eq!(gpu_ask_for_answers(gpu, capacity), 0, "they are there");
        for tag in 0..capacity {
            assert_eq!((gpu_next_answer(gpu, &mut told), told.tag, told.error), (1, tag, 0));
            assert_eq!(gpu_is_complete(gpu, &told.fence), 1);
        }
        assert_eq!(gpu_next_answer(gpu, &mut told), 0, "these are all");
    }
    assert_eq!(shared.rig().peek(data.physical), 0x4321);
    shared.rig().check();
}
