// SPDX-License-Identifier: BSD-2-Clause
//! The functions that C calls, above the driver and the device model: the same pointers, the same numbers.

#![allow(unsafe_code, reason = "the tests call what C calls")]
#![allow(clippy::unwrap_used, reason = "tests")]

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use std::mem::zeroed;
use std::ptr::{null, null_mut};

use conformance::{Link, Region, Rig, Settings, Shared};
use gpu_client::{Errno, Operation, Transport};
use gpu_client_c::types::*;
use gpu_client_c::*;
use gpu_protocol::ClientEntry;

const AREA: usize = 16 << 10;
const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;

/// What the callbacks have behind their cookie: a client of the driver, and copies of the shared memories.
struct World {
    shared: Shared,
    link: Link,
    client: usize,
    area: Box<[u64]>,
    points: Box<[u64]>,
}

impl World {
    fn new(shared: &Shared, client: usize) -> Box<Self> {
        let link = shared.link(client);
        let (area, points) = (vec![0; AREA / 8].into(), vec![0; 512].into());
        Box::new(Self { shared: shared.clone(), link, client, area, points })
    }

    fn callbacks(&mut self) -> Callbacks {
        Callbacks {
            call: Some(call),
            notify: Some(notify),
            sleep: Some(sleep),
            message: self.area.as_mut_ptr().cast(),
            message_size: AREA,
            points: self.points.as_ptr().cast(),
            rings: null_mut(),
            rings_size: 0,
            cookie: (&raw mut *self).cast(),
        }
    }

    fn look(&mut self) {
        for (timeline, point) in (0..).zip(&mut self.points) {
            *point = self.link.completed_point(timeline);
        }
    }
}

/// # Safety
/// The cookie is a [`World`].
unsafe fn world<'a>(cookie: *mut c_void) -> &'a mut World {
    // SAFETY: the caller's.
    unsafe { &mut *cookie.cast::<World>() }
}

unsafe extern "C" fn call(cookie: *mut c_void, message: *mut Message) {
    // SAFETY: the library hands back what it was given.
    let (world, message) = unsafe { (world(cookie), &mut *message) };
    let bytes: Vec<u8> = world.area.iter().flat_map(|word| word.to_le_bytes()).collect();
    world.shared.rig().write_area(world.client, 0, &bytes);
    let operation = Operation::from_label(message.label).unwrap();
    let capability = (message.capability != 0).then_some(message.capability);
    let reply = world.link.call(operation, [message.words[0], message.words[1]], capability);
    let bytes = world.shared.rig().read_area(world.client, 0, AREA).to_vec();
    for (word, raw) in world.area.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(raw.try_into().unwrap());
    }
    *message = Message { label: reply.label(), words: reply.words, count: reply.count as u64, capability: 0 };
    world.look();
}

unsafe extern "C" fn notify(cookie: *mut c_void) {
    // SAFETY: as above.
    unsafe { world(cookie) }.link.notify();
}

unsafe extern "C" fn sleep(cookie: *mut c_void) {
    // SAFETY: as above.
    let world = unsafe { world(cookie) };
    world.link.sleep();
    world.look();
}

fn memory(region: Region) -> Memory {
    Memory {
        address: region.address,
        size: region.size,
        cnode: region.cnode,
        cnode_bits: region.bits,
        page_bits: 12,
        row: NO_ROW,
    }
}

/// A structure for the library to fill.
fn blank<T>() -> T {
    // SAFETY: plain numbers and pointers.
    unsafe { zeroed() }
}

fn connected(world: &mut World) -> Box<Device> {
    let mut gpu: Box<Device> = Box::new(blank());
    // SAFETY: both are there.
    assert_eq!(unsafe { gpu_connect(&raw mut *gpu, &world.callbacks()) }, 0);
    gpu
}

fn rig() -> Shared {
    // Capability 0 is C's word for none.
    let shared = Shared::new(Rig::unconnected(Settings::new("tgl")));
    let _ = shared.rig().region(0, 1);
    shared
}

/// Builds a batch in memory of C's.
fn store(to: u64, value: u32) -> ([u32; 16], u32) {
    let mut dwords = [0; 16];
    let mut length = 0;
    let mut commands = CCommands { dwords: dwords.as_mut_ptr(), capacity: 16, used: 0 };
    // SAFETY: the dwords are there.
    unsafe {
        assert_eq!(gpu_store_dword(&mut commands, to, value), 0);
        assert_eq!(gpu_finish(&mut commands, &mut length), 0);
    }
    (dwords, length)
}

fn used(object: &CObject, address: u64, access: u32) -> CUse {
    CUse { object, address, access, pad: 0 }
}

fn batch(context: u32, code: CUse, length: u32, objects: &[CUse], after: &[CAfter]) -> CBatch {
    CBatch {
        context,
        engine: BLITTER,
        code,
        start: 0,
        length,
        objects: objects.as_ptr(),
        object_count: objects.len(),
        after: after.as_ptr(),
        after_count: after.len(),
        tag: 7,
    }
}

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
fn contexts_are_made_step_by_step_and_cloned() {
    let shared = rig();
    let mut world = World::new(&shared, 0);
    let mut gpu = connected(&mut world);
    let gpu = &raw mut *gpu;
    let step = |kind, source, name, value| Step { kind, source, name, value, engines: null() };
    let (mut one, mut two, mut value) = (0, 0, 0);
    let minus_seven = (-7_i64).cast_unsigned();
    let engines = [CEngine { class: 1, instance: 0 }, CEngine { class: 0xffff, instance: 0xffff }];
    let map = Step { engines: engines.as_ptr(), ..step(STEP_ENGINES, 0, 0, 2) };
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        let steps = [step(STEP_PARAM, 0, 6, minus_seven), map];
        assert_eq!(gpu_context_create_with(gpu, steps.as_ptr(), 2, &mut one), 0);
        let clone = step(STEP_CLONE, one, 63, 0);
        assert_eq!(gpu_context_create_with(gpu, &clone, 1, &mut two), 0);
        assert_eq!((gpu_context_param(gpu, two, 6, &mut value), value), (0, minus_seven));
        assert_eq!(gpu_context_set_param(gpu, two, 6, 1), -1, "EPERM: it is not privileged");
        let mut resets = CResets { guilty: 9, ..CResets::default() };
        assert_eq!((gpu_context_resets(gpu, two, &mut resets), resets.guilty), (0, 0));
        // What the driver does not know, it refuses; what the library does not know, it does.
        assert_eq!(gpu_context_create_with(gpu, &step(STEP_CLONE, one, 64, 0), 1, &mut two), -22);
        assert_eq!(gpu_context_create_with(gpu, &step(STEP_CLONE, 99, 1, 0), 1, &mut two), -2);
        assert_eq!(gpu_context_create_with(gpu, &step(9, 0, 0, 0), 1, &mut two), -22);
        assert_eq!(gpu_context_create_with(gpu, &step(STEP_ENGINES, 0, 0, 65), 1, &mut two), -22);
    }
}

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

#[test]
fn ill_formed_commands_are_refused_and_leave_nothing() {
    let mut dwords = [0xdead_beef_u32; 12];
    let mut commands = CCommands { dwords: dwords.as_mut_ptr(), capacity: 12, used: 0 };
    let surface = CSurface { address: DATA, pitch: 256, width: 64, height: 64, pad: 0 };
    let whole = CRectangle { x0: 0, y0: 0, x1: 64, y1: 64 };
    let results: [c_int; 9] = {
        let commands = &raw mut commands;
        // SAFETY: every pointer is to something of the test's.
        unsafe {
            [
                gpu_store_dword(commands, 0x2001, 7),
                gpu_store_qword(commands, 0x2004, 7),
                gpu_wait_until(commands, 0x2000, 6, 1, 0),
                gpu_wait_until(commands, 0x2000, 4, 1, 2),
                gpu_fill(commands, &surface, &CRectangle { x1: 65, ..whole }, 0),
                gpu_copy(commands, &surface, 1, 1, &surface, &CRectangle { x1: 8, y1: 8, ..whole }),
                gpu_fill(commands, &CSurface { pad: 1, ..surface }, &whole, 0),
                gpu_fill(commands, &surface, &whole, 0xff),
                gpu_fill(commands, &surface, &whole, 0xff),
            ]
        }
    };
    assert_eq!(results, [-22, -22, -22, -22, -34, -34, -22, 0, -28]);
    assert_eq!(commands.used, 7);
    assert_eq!(dwords[7..], [0xdead_beef; 5]);
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
fn a_context_gets_a_map_of_engines_power_and_a_second_name_of_its_space() {
    let shared = Shared::new(Rig::unconnected(Settings::new("icl")));
    let mut world = World::new(&shared, 0);
    let mut gpu = connected(&mut world);
    let gpu = &raw mut *gpu;
    let (mut vm, mut context, mut count) = (0, 0, 9);
    let (render, copy) = (CEngine { class: 0, instance: 0 }, CEngine { class: 1, instance: 0 });
    let slot = |instance| CEngine { class: BY_SLOT, instance };
    let mut found = [CEngine { class: 7, instance: 7 }; 3];
    let (mut whole, mut half) = (CSseu::default(), CSseu::default());
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        assert_eq!(gpu_context_vm(gpu, 0, &mut vm), 0);
        assert_eq!(gpu_context_create(gpu, vm, &mut context), 0);
        assert_eq!(gpu_vm_destroy(gpu, vm), 0);

        assert_eq!(gpu_context_engines(gpu, context, found.as_mut_ptr(), 3, &mut count), 0, "no map");
        assert_eq!(count, 0);
        let map = [copy, render];
        assert_eq!(gpu_context_set_engines(gpu, context, map.as_ptr(), 65), -22);
        assert_eq!(gpu_context_set_engines(gpu, context, map.as_ptr(), 2), 0);
        assert_eq!(gpu_context_engines(gpu, context, found.as_mut_ptr(), 1, &mut count), 1);
        assert_eq!((count, found[0].class, found[1].class), (2, 1, 7), "as many as there is room for");

        assert_eq!(gpu_context_sseu(gpu, context, &render, &mut whole), -22, "its map wants slots");
        assert_eq!(gpu_context_sseu(gpu, context, &slot(1), &mut whole), 0);
        let less = CSseu { subslices: 0x0f, ..whole };
        assert_eq!(gpu_context_set_sseu(gpu, context, &slot(1), &CSseu { pad: 1, ..less }), -22);
        assert_eq!(gpu_context_set_sseu(gpu, context, &slot(0), &less), -19, "a copy engine");
        assert_eq!(gpu_context_set_sseu(gpu, context, &slot(1), &less), 0);
        assert_eq!(gpu_context_sseu(gpu, context, &slot(1), &mut half), 0);
        assert_eq!((whole.subslices, half), (0xff, less));

        assert_eq!(gpu_context_set_engines(gpu, context, null(), 0), 0);
        assert_eq!(gpu_context_engines(gpu, context, found.as_mut_ptr(), 3, &mut count), 0, "none again");
        assert_eq!(gpu_context_vm(gpu, 77, &mut vm), -2);
        assert_eq!(gpu_context_vm(gpu, context, null_mut()), -22);
    }
}

/// A memory server in C: the client's memory, and how often its functions were called.
struct Store {
    memory: Memory,
    lent: Cell<u32>,
    back: Cell<(u64, u64, u64)>,
    refuses: Cell<c_int>,
}

unsafe extern "C" fn lend(
    cookie: *mut c_void,
    client: u32,
    at: u64,
    write: u32,
    memory: *mut Memory,
) -> c_int {
    // SAFETY: the library hands back what it was given.
    let store = unsafe { &*cookie.cast::<Store>() };
    if store.refuses.get() != 0 {
        return store.refuses.get();
    }
    assert_eq!(u64::from(client), conformance::channel(0));
    assert!(at.wrapping_sub(store.memory.address) < store.memory.size && write <= 1);
    store.lent.set(store.lent.get() + 1);
    // SAFETY: the library's, to be filled.
    unsafe { memory.write(store.memory) };
    0
}

unsafe extern "C" fn back(cookie: *mut c_void, _: u32, start: u64, end: u64, dirty: u64) {
    // SAFETY: as above.
    unsafe { &*cookie.cast::<Store>() }.back.set((start, end, dirty));
}

#[test]
fn a_memory_server_in_c_lends_for_its_client_and_takes_the_pages_back() {
    let mut settings = Settings::new("tgl");
    let [client, server] = [0, 1].map(conformance::channel);
    let owned = ClientEntry { channel: client, owner: Some(server), privileged: false };
    settings.rows = vec![owned.to_row()];
    let shared = Shared::new(Rig::unconnected(settings));
    let _ = shared.rig().region(1, 1);
    let region = shared.rig().region(1, 2);
    shared.rig().poke(region.physical, &conformance::batch::store(DATA, 0x77));
    let (lent, refuses) = (Cell::new(0), Cell::new(-14));
    let store = Store { memory: memory(region), lent, back: Cell::new((0, 0, 0)), refuses };
    let backing =
        CBacking { lend: Some(lend), back: Some(back), cookie: (&raw const store).cast_mut().cast() };
    let space = u32::try_from(client).unwrap();

    let mut world = World::new(&shared, 1);
    let mut owner: Box<COwner> = Box::new(blank());
    let owner = &raw mut *owner;
    let (mut open, mut granted) = (9, 9);
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        assert_eq!(gpu_owner_open(owner, &mut open), -22, "not connected");
        assert_eq!(gpu_owner_connect(owner, &world.callbacks()), 0);
        assert_eq!(gpu_owner_work(owner, &CBacking { lend: None, ..backing }, &mut granted), -22);
    }

    // The client knows nothing of the server, and works through the wire.
    shared.rig().connect(0);
    let object = |page: u64| shared.rig().userptr_create(0, region.address + page * 4096, 4096).unwrap();
    let used = [conformance::wire::writes(object(1), DATA), conformance::wire::reads(object(0), CODE)];
    let submit = || shared.rig().submit(0, 0, BLITTER, &used, &[]);
    assert_eq!(submit(), Err(Errno::Again));
    // SAFETY: as above.
    let mut work = || unsafe { (gpu_owner_work(owner, &backing, &mut granted), granted) };
    assert_eq!(work(), (0, 0), "it refuses");
    assert_eq!([submit(), submit()], [Err(Errno::Fault); 2], "each object once");
    store.refuses.set(0);
    assert_eq!(submit(), Err(Errno::Again));
    assert_eq!(work(), (0, 2));
    let fence = submit().unwrap();
    shared.rig().settle();
    assert!(shared.rig().reached(0, fence));
    assert_eq!((store.lent.get(), shared.rig().peek(region.physical + 4096)), (2, 0x77));

    let range = region.address..region.address + region.size;
    // SAFETY: as above.
    unsafe {
        assert_eq!(gpu_owner_take_back(owner, &backing, 99, range.start, range.end), -2, "no such client");
        assert_eq!(
            gpu_owner_take_back(owner, &backing, space, range.start, range.end),
            0,
            "nobody uses them"
        );
        assert_eq!((gpu_owner_open(owner, &mut open), open), (0, 0));
    }
    assert_eq!(store.back.get(), (range.start, range.end, 1), "one of them was written");
    assert_eq!(shared.rig().domain.held(), 0);

    // Lent once more; and its next life has them back before it is connected.
    assert_eq!((submit(), work(), submit().is_ok()), (Err(Errno::Again), (0, 2), true));
    shared.rig().settle();
    assert_eq!(shared.rig().domain.held(), 2);
    // SAFETY: as above.
    assert_eq!(unsafe { gpu_owner_connect_afresh(owner, &world.callbacks()) }, 0);
    assert_eq!(shared.rig().domain.held(), 0);
}
