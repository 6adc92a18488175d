// SPDX-License-Identifier: BSD-2-Clause
//! Balanced slots, bonds, and batches that start together.

use std::ptr::null;

use conformance::{Region, Rig, Settings, Shared};
use gpu_client_c::types::*;
use gpu_client_c::*;

use crate::world::{CODE, DATA, World, balanced, batch, bond, connected, map, memory, no_step, used};

const RENDER: CEngine = CEngine { class: 0, instance: 0 };
const COPY: CEngine = CEngine { class: 1, instance: 0 };
const VIDEO: [CEngine; 2] = [CEngine { class: 2, instance: 0 }, CEngine { class: 2, instance: 1 }];
const HOLE: CEngine = CEngine { class: 0xffff, instance: 0xffff };
const EITHER: CEngine = CEngine { class: 2, instance: 0xfffe };
/// Slots of [`Player::context`].
const ANY: u32 = 0;
const SECOND: u32 = 1;
const PICTURES: u32 = 2;
/// Bytes from one batch to the next.
const STEP: u32 = 0x100;

/// A client on Tiger Lake, which has two video engines. Its batches pass a gate each.
struct Player {
    shared: Shared,
    _world: Box<World>,
    gpu: Box<Device>,
    code: Region,
    data: Region,
    program: CObject,
    target: CObject,
    vm: u32,
    batches: u32,
}

impl Player {
    fn new() -> Self {
        let mut settings = Settings::new("tgl");
        // A semaphore is looked at so often before others run.
        settings.options.instant_budget = 2_000;
        let shared = Shared::new(Rig::unconnected(settings));
        // Capability 0 is C's word for none.
        let [_, code, data] = [1, 1, 1].map(|pages| shared.rig().region(0, pages));
        let mut world = World::new(&shared, 0);
        let mut gpu = connected(&mut world);
        let (mut program, mut target, mut vm) = (CObject::default(), CObject::default(), 0);
        // SAFETY: every pointer is to something of the test's.
        unsafe {
            assert_eq!(gpu_userptr_create(&mut *gpu, &memory(code), &mut program), 0);
            assert_eq!(gpu_userptr_create(&mut *gpu, &memory(data), &mut target), 0);
            assert_eq!(gpu_vm_create(&mut *gpu, &mut vm), 0);
        }
        Self { shared, _world: world, gpu, code, data, program, target, vm, batches: 0 }
    }

    /// A context whose first slot is either video engine; the others are the second of them and the render engine.
    fn context(&mut self, bonds: &[CBond]) -> u32 {
        let (slots, balanced) = ([HOLE, VIDEO[1], RENDER], [balanced(0, &VIDEO)]);
        let map = map(&slots, &balanced, bonds);
        let vm = Step { name: 9, value: self.vm.into(), ..no_step(STEP_PARAM) };
        let steps = [vm, Step { map: &map, ..no_step(STEP_ENGINES) }];
        let mut context = 0;
        // SAFETY: every pointer is to something of the test's.
        assert_eq!(unsafe { gpu_context_create_with(&mut *self.gpu, steps.as_ptr(), 2, &mut context) }, 0);
        context
    }

    /// Submits a batch that says that it has begun, and ends when its gate, which has the number that this returns, is open.
    fn gated(&mut self, context: u32, engine: u32, after: &[CAfter]) -> (u64, CFence) {
        let number = u64::from(self.batches);
        let mut dwords = [0_u32; 16];
        let mut commands = CCommands { dwords: dwords.as_mut_ptr(), capacity: 16, used: 0 };
        let (mut length, mut fence, gate) = (0, CFence::default(), DATA + 8 * number);
        // SAFETY: every pointer is to something of the test's.
        unsafe {
            assert_eq!(gpu_store_dword(&mut commands, gate + 4, 1), 0);
            assert_eq!(gpu_wait_until(&mut commands, gate, 4, 1, 1), 0);
            assert_eq!(gpu_finish(&mut commands, &mut length), 0);
        }
        let start = STEP * self.batches;
        self.batches += 1;
        self.shared.rig().poke(self.code.physical + u64::from(start), &dwords);
        let objects = [used(&self.target, DATA, WRITE)];
        let batch = batch(context, used(&self.program, CODE, READ), length, &objects, after);
        let batch = CBatch { engine, start, ..batch };
        // SAFETY: as above.
        assert_eq!(unsafe { gpu_submit(&mut *self.gpu, &batch, &mut fence) }, 0);
        (number, fence)
    }

    /// Whether a batch has begun, now that nothing moves any more.
    fn begun(&self, number: u64) -> bool {
        self.shared.rig().settle();
        self.shared.rig().peek(self.data.physical + 8 * number + 4) == 1
    }

    fn open(&self, number: u64) {
        self.shared.rig().poke(self.data.physical + 8 * number, &[1]);
    }

    fn finish(&mut self, fence: &CFence) {
        // SAFETY: every pointer is to something of the test's.
        assert_eq!(unsafe { gpu_wait(&mut *self.gpu, fence) }, 0);
    }
}

#[test]
fn two_batches_on_a_balanced_slot_in_c_run_at_a_time() {
    let mut player = Player::new();
    let contexts = [player.context(&[]), player.context(&[])];
    let [one, two] = contexts.map(|context| player.gated(context, ANY, &[]));
    assert!(player.begun(one.0) && player.begun(two.0));
    player.open(two.0);
    player.finish(&two.1);
    player.open(one.0);
    player.finish(&one.1);
    player.shared.rig().check();
}

/// The second engine is taken, and the follower, which waits for nothing but its master's start, is bonded to it.
#[test]
fn a_batch_in_c_that_starts_with_its_master_runs_on_an_engine_that_its_bonds_allow() {
    for bonded in [true, false] {
        let mut player = Player::new();
        let bonds = [bond(0, RENDER, &VIDEO[1..])];
        let context = player.context(if bonded { &bonds } else { &[] });
        let (occupant, conductor) = (player.context(&[]), player.context(&[]));
        let taken = player.gated(occupant, SECOND, &[]);
        let master = player.gated(conductor, PICTURES, &[]);
        let start = CAfter { fence: master.1, until: STARTED, pad: 0 };
        let follower = player.gated(context, ANY, &[start]);
        assert!(player.begun(taken.0) && player.begun(master.0));
        assert_eq!(player.begun(follower.0), !bonded, "bonded: {bonded}");
        player.open(taken.0);
        player.finish(&taken.1);
        assert!(player.begun(follower.0), "though its master is not done");
        player.open(master.0);
        player.open(follower.0);
        player.finish(&master.1);
        player.finish(&follower.1);
        player.shared.rig().check();
    }
}

#[test]
fn a_map_with_balanced_slots_is_set_and_read_back() {
    let mut player = Player::new();
    let context = player.context(&[bond(0, RENDER, &VIDEO[1..])]);
    let (mut found, mut count) = ([COPY; 3], 0);
    let both = [balanced(2, &VIDEO), balanced(0, &VIDEO)];
    let bonds = [bond(0, RENDER, &VIDEO[1..]), bond(2, COPY, &VIDEO[..1])];
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        let gpu = &raw mut *player.gpu;
        assert_eq!(gpu_context_engines(gpu, context, found.as_mut_ptr(), 3, &mut count), 1);
        assert_eq!((found, count), ([EITHER, VIDEO[1], RENDER], 3));
        let other = map(&[HOLE, COPY, HOLE], &both, &bonds);
        assert_eq!(gpu_context_set_engines(gpu, context, &other), 0);
        assert_eq!(gpu_context_engines(gpu, context, found.as_mut_ptr(), 3, &mut count), 1);
        assert_eq!((found, count), ([EITHER, COPY, EITHER], 3));
    }
}

#[test]
fn a_map_in_c_that_makes_no_sense_is_refused_and_leaves_nothing() {
    let mut player = Player::new();
    let context = player.context(&[]);
    let before = player.shared.rig().snapshot();
    let (holes, one) = ([HOLE; 64], [balanced(0, &VIDEO)]);
    let gpu = &raw mut *player.gpu;
    // By both ways that there are.
    let refused = |map: &CEngineMap, error| {
        let (step, mut made) = (Step { map, ..no_step(STEP_ENGINES) }, 0);
        // SAFETY: every pointer is to something of the test's, or is one that the library refuses.
        let results = unsafe {
            [gpu_context_set_engines(gpu, context, map), gpu_context_create_with(gpu, &step, 1, &mut made)]
        };
        assert_eq!(results, [error; 2], "{map:?}");
        assert_eq!(player.shared.rig().snapshot(), before, "{map:?}");
    };
    let hole = &holes[..1];
    refused(&map(&[COPY], &one, &[]), -17);
    refused(&map(hole, &[balanced(1, &VIDEO)], &[]), -22);
    refused(&map(hole, &[balanced(0, &[RENDER, COPY])], &[]), -22);
    refused(&map(hole, &[balanced(0, &[COPY, COPY])], &[]), -22);
    refused(&map(hole, &one, &[bond(0, RENDER, &[COPY])]), -22);
    refused(&map(&[CEngine { class: 1, instance: 7 }], &[], &[]), -2);
    // What no driver is asked.
    let padded = [CBalanced { pad: [0, 0, 1], ..one[0] }];
    refused(&map(hole, &padded, &[]), -22);
    refused(&map(hole, &one, &[CBond { pad: 1, ..bond(0, RENDER, &VIDEO[1..]) }]), -22);
    refused(&map(hole, &[CBalanced { siblings: null(), ..one[0] }], &[]), -22);
    refused(&CEngineMap { slots: null(), ..map(hole, &[], &[]) }, -22);
    refused(&CEngineMap { bonds: null(), ..map(hole, &one, &[bond(0, RENDER, &VIDEO)]) }, -22);
    refused(&map(&[COPY; 65], &[], &[]), -7);
    refused(&map(hole, &[balanced(0, &[VIDEO[0]; 1000])], &[]), -7);
    refused(&map(&holes, &[one[0]; 17], &[]), -7);
    refused(&map(hole, &one, &[bond(0, RENDER, &VIDEO[1..]); 17]), -7);
}

#[test]
fn the_maps_of_one_creation_share_the_room_for_balanced_slots_and_the_last_one_counts() {
    let mut player = Player::new();
    let (one, two) = ([balanced(0, &VIDEO)], [balanced(1, &VIDEO)]);
    let maps =
        [map(&[HOLE, COPY], &one, &[bond(0, COPY, &VIDEO[1..])]), map(&[COPY, HOLE, RENDER], &two, &[])];
    let steps = [0, 1].map(|index| Step { map: &maps[index], ..no_step(STEP_ENGINES) });
    let many = [map(&[HOLE; 64], &[one[0]; 10], &[]), map(&[HOLE; 64], &[one[0]; 10], &[])];
    let too_many = [0, 1].map(|index| Step { map: &many[index], ..no_step(STEP_ENGINES) });
    let (mut context, mut found, mut count) = (0, [RENDER; 3], 0);
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        let gpu = &raw mut *player.gpu;
        assert_eq!(gpu_context_create_with(gpu, steps.as_ptr(), 2, &mut context), 0);
        assert_eq!(gpu_context_engines(gpu, context, found.as_mut_ptr(), 3, &mut count), 1);
        assert_eq!((found, count), ([COPY, EITHER, RENDER], 3));
        assert_eq!(gpu_context_create_with(gpu, too_many.as_ptr(), 2, &mut context), -7);
    }
}
