// SPDX-License-Identifier: BSD-2-Clause
//! A program in C, as the tests have it: callbacks, memories, structures.

use core::ffi::c_void;
use std::mem::zeroed;
use std::ptr::{null, null_mut};

use conformance::{Link, Region, Rig, Settings, Shared};
use gpu_client::{Operation, Transport};
use gpu_client_c::types::*;
use gpu_client_c::*;

pub(crate) const AREA: usize = 16 << 10;
pub(crate) const CODE: u64 = 0x10_0000;
pub(crate) const DATA: u64 = 0x20_0000;
pub(crate) const BLITTER: u32 = 3;

/// What the callbacks have behind their cookie: a client of the driver, and copies of the shared memories.
pub(crate) struct World {
    shared: Shared,
    link: Link,
    client: usize,
    area: Box<[u64]>,
    points: Box<[u64]>,
}

impl World {
    pub(crate) fn new(shared: &Shared, client: usize) -> Box<Self> {
        let link = shared.link(client);
        let (area, points) = (vec![0; AREA / 8].into(), vec![0; 512].into());
        Box::new(Self { shared: shared.clone(), link, client, area, points })
    }

    pub(crate) fn callbacks(&mut self) -> Callbacks {
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

    /// With the rings that system.xml may give a domain.
    pub(crate) fn callbacks_with_rings(&mut self) -> Callbacks {
        // These are the driver's, too: nothing has to be copied.
        let rings = self.shared.rig().rings(self.client);
        let words = rings.words();
        let (rings, rings_size) = (words.as_ptr().cast_mut().cast(), size_of_val(words));
        Callbacks { rings, rings_size, ..self.callbacks() }
    }

    /// Lets the driver see what the program has written into the message area.
    fn show_area(&mut self) {
        let bytes: Vec<u8> = self.area.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.shared.rig().write_area(self.client, 0, &bytes);
    }

    fn look(&mut self) {
        for (timeline, point) in (0..).zip(&mut self.points) {
            *point = self.link.completed_point(timeline);
        }
    }
}

/// # Safety
/// The cookie is a [`World`].
pub(crate) unsafe fn world<'a>(cookie: *mut c_void) -> &'a mut World {
    // SAFETY: the caller's.
    unsafe { &mut *cookie.cast::<World>() }
}

unsafe extern "C" fn call(cookie: *mut c_void, message: *mut Message) {
    // SAFETY: the library hands back what it was given.
    let (world, message) = unsafe { (world(cookie), &mut *message) };
    world.show_area();
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
    let world = unsafe { world(cookie) };
    world.show_area();
    world.link.notify();
    world.look();
}

unsafe extern "C" fn sleep(cookie: *mut c_void) {
    // SAFETY: as above.
    let world = unsafe { world(cookie) };
    world.link.sleep();
    world.look();
}

pub(crate) fn memory(region: Region) -> Memory {
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
pub(crate) fn blank<T>() -> T {
    // SAFETY: plain numbers and pointers.
    unsafe { zeroed() }
}

pub(crate) fn connected(world: &mut World) -> Box<Device> {
    connected_by(&world.callbacks())
}

pub(crate) fn connected_by(callbacks: &Callbacks) -> Box<Device> {
    let mut gpu: Box<Device> = Box::new(blank());
    // SAFETY: both are there.
    assert_eq!(unsafe { gpu_connect(&raw mut *gpu, callbacks) }, 0);
    gpu
}

pub(crate) fn rig() -> Shared {
    // Capability 0 is C's word for none.
    let shared = Shared::new(Rig::unconnected(Settings::new("tgl")));
    let _ = shared.rig().region(0, 1);
    shared
}

/// Builds a batch in memory of C's.
pub(crate) fn store(to: u64, value: u32) -> ([u32; 16], u32) {
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

pub(crate) fn used(object: &CObject, address: u64, access: u32) -> CUse {
    CUse { object, address, access, pad: 0 }
}

pub(crate) fn batch(context: u32, code: CUse, length: u32, objects: &[CUse], after: &[CAfter]) -> CBatch {
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

/// A step of the making of a context, without anything.
pub(crate) fn no_step(kind: u32) -> Step {
    Step { kind, source: 0, name: 0, value: 0, map: null(), engine: null(), sseu: null() }
}

pub(crate) fn map(slots: &[CEngine], balanced: &[CBalanced], bonds: &[CBond]) -> CEngineMap {
    CEngineMap {
        slots: slots.as_ptr(),
        slot_count: slots.len(),
        balanced: balanced.as_ptr(),
        balanced_count: balanced.len(),
        bonds: bonds.as_ptr(),
        bond_count: bonds.len(),
    }
}

pub(crate) fn balanced(slot: u16, siblings: &[CEngine]) -> CBalanced {
    CBalanced { siblings: siblings.as_ptr(), sibling_count: siblings.len(), slot, pad: [0; 3] }
}

pub(crate) fn bond(slot: u16, master: CEngine, engines: &[CEngine]) -> CBond {
    CBond { engines: engines.as_ptr(), engine_count: engines.len(), master, slot, pad: 0 }
}
