// SPDX-License-Identifier: BSD-2-Clause
//! A memory server in C.

use core::cell::Cell;
use core::ffi::{c_int, c_void};

use conformance::{Rig, Settings, Shared};
use gpu_client::Errno;
use gpu_client_c::types::*;
use gpu_client_c::*;
use gpu_protocol::ClientEntry;

use crate::world::{BLITTER, CODE, DATA, World, blank, memory};

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
