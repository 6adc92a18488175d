// SPDX-License-Identifier: BSD-2-Clause
//! A client that starts over, because its parent restarted it: what it had is taken down first.

use conformance::wire::{reads, whole_grant, writes};
use conformance::{Region, Rig, Settings, batch, channel};
use gpu_model::Timing;
use gpu_protocol::{
    Connect, Errno, Invalidate, InvalidateReply, Operation, PAGE_SIZE, UserptrCreate, UserptrFlags, VERSION,
};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;

fn afresh(rig: &mut Rig, client: usize) -> Result<(), Errno> {
    rig.op(client, Operation::Connect, &Connect { version: VERSION, flags: Connect::AFRESH }).map(drop)
}

/// Leaves handles of every kind and pages behind; the address space, the context and an object.
fn leaves_things(rig: &mut Rig, client: usize, code: &[u32]) -> (u32, u32, u32) {
    let (vm, context) = (rig.vm_create(client).unwrap(), rig.context_create(client, 0, &[]).unwrap());
    let (data, program) = (rig.region(client, 1), rig.region(client, 1));
    let objects = [rig.userptr(client, data), rig.userptr(client, program)];
    rig.poke(program.physical, code);
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    rig.run(client, context, BLITTER, &list, &[], &[data, program]).unwrap();
    (vm, context, objects[0])
}

#[test]
fn a_client_that_starts_over_has_nothing_and_may_have_everything_again() {
    let mut rig = Rig::new("tgl");
    let before = rig.snapshot();
    for round in 0..3 {
        let (vm, context, object) = leaves_things(&mut rig, 0, &batch::store(DATA, round));
        rig.settle();
        assert!(rig.domain.held() > 0);
        assert_eq!(afresh(&mut rig, 0), Ok(()));
        assert_eq!(rig.domain.held(), 0, "its pages are its own again");
        assert_eq!(rig.vm_destroy(0, vm), Err(Errno::NoEnt));
        assert_eq!(rig.context_destroy(0, context), Err(Errno::NoEnt));
        assert_eq!(rig.close(0, object), Err(Errno::NoEnt));
        assert_eq!(rig.snapshot().census, before.census, "round {round}");
    }
    rig.check();
}

/// The pages stay the driver's until the engine has let go of them, and the client is told to try again.
#[test]
fn requests_in_flight_are_cancelled_and_their_pages_given_back_before_the_client_is_connected() {
    let mut rig = Rig::new("tgl");
    rig.set_timing(Timing::Deferred);
    leaves_things(&mut rig, 0, &batch::endless(CODE));
    let (_, context, _) = leaves_things(&mut rig, 1, &batch::store(DATA, 7));
    rig.model().step(1000);
    assert_eq!(afresh(&mut rig, 0), Err(Errno::Again));
    assert!(rig.domain.held() > 0, "an engine may still reach them");
    let mut connected = false;
    for _ in 0..100 {
        rig.wait(50_000_000, |_| false);
        connected = afresh(&mut rig, 0).is_ok();
        if connected {
            break;
        }
    }
    assert!(connected, "the client is never let in again");
    rig.context_destroy(1, context).unwrap();
    leaves_things(&mut rig, 0, &batch::store(DATA, 9));
    rig.check();
}

#[test]
fn starting_over_is_the_clients_own_affair() {
    let mut rig = Rig::new("tgl");
    let (vm, context, object) = leaves_things(&mut rig, 1, &batch::store(DATA, 7));
    leaves_things(&mut rig, 0, &batch::store(DATA, 8));
    rig.settle();
    assert_eq!(afresh(&mut rig, 0), Ok(()));
    rig.close(1, object).unwrap();
    rig.context_destroy(1, context).unwrap();
    rig.vm_destroy(1, vm).unwrap();
    rig.check();
}

/// Its parent ends it between a page request and the answer, of which the driver would wait for for ever.
#[test]
fn a_client_that_has_fetched_a_page_request_and_ends_is_let_in_again() {
    let mut rig = Rig::new("tgl");
    let before = rig.snapshot();
    for life in 0..20 {
        let context = rig.context_create(0, 0, &[]).unwrap();
        let (program, other) = (rig.region_at(0, 0, 1), rig.region_at(0, 1, 2));
        rig.poke(program.physical, &batch::store(DATA, 1));
        let objects = [rig.userptr(0, program), rig.userptr(0, other)];
        let list = [writes(objects[1], DATA), reads(objects[0], CODE)];
        assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
        let requests: Vec<_> = std::iter::from_fn(|| rig.next_request(0)).collect();
        assert!(!requests.is_empty());
        // One more is superseded and unanswered, and its successor is asked for and not fetched.
        assert!(rig.invalidate(0, program.address, program.address + PAGE_SIZE).unwrap().is_done());
        assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
        assert_eq!(afresh(&mut rig, 0), Ok(()), "life {life}");
        assert_eq!(rig.snapshot().census, before.census, "life {life}");
        // What the life before fetched nobody may answer any more.
        let of_whom =
            [program, other].into_iter().find(|region| region.address == requests[0].address).unwrap();
        let late = whole_grant(requests[0], of_whom);
        rig.refused_with(0, Operation::GrantCnode, &late, Some(of_whom.cnode), Errno::Again);
    }
    rig.check();
}

#[test]
fn a_client_that_ends_in_the_middle_of_a_creation_with_a_probe_is_let_in_again() {
    let mut rig = Rig::new("tgl");
    let before = rig.snapshot();
    for fetched in [false, true] {
        let region = rig.region_at(0, 0, 1);
        let flags = UserptrFlags::PROBE.bits();
        let probe = UserptrCreate { user_ptr: region.address, user_size: region.size, flags, handle: 0 };
        assert_eq!(rig.op(0, Operation::UserptrCreate, &probe), Err(Errno::Again));
        assert!(!fetched || rig.next_request(0).is_some());
        assert_eq!(afresh(&mut rig, 0), Ok(()), "fetched: {fetched}");
        assert_eq!(rig.snapshot().census, before.census);
    }
    rig.check();
}

/// The memory server of clients 0 and 1.
const SERVER: usize = Settings::SERVER;
/// Where both have their pages.
const ADDRESS: u64 = 0x4000_0000;

fn served() -> Rig {
    Rig::with(Settings::served("tgl"))
}

/// Client 0 has its pages and has used them; what client 1 has asked for the server has fetched and not answered.
#[test]
fn a_memory_server_that_starts_over_has_all_its_pages_back_and_is_asked_anew() {
    let mut rig = served();
    let frames = [rig.region(SERVER, 1), rig.region(SERVER, 1)];
    let contexts = [0, 1].map(|client| rig.context_create(client, 0, &[]).unwrap());
    let objects = [0, 1].map(|client| rig.userptr_create(client, ADDRESS, PAGE_SIZE).unwrap());
    let lists = objects.map(|object| [reads(object, CODE)]);
    frames.iter().for_each(|frame| rig.poke(frame.physical, &batch::store(CODE + 0x100, 7)));
    for life in 0..20 {
        assert_eq!(rig.submit(0, contexts[0], BLITTER, &lists[0], &[]), Err(Errno::Again));
        assert_eq!(rig.serve_clients(SERVER, frames), 1);
        rig.submit(0, contexts[0], BLITTER, &lists[0], &[]).unwrap();
        rig.settle();
        assert_eq!(rig.submit(1, contexts[1], BLITTER, &lists[1], &[]), Err(Errno::Again));
        let lost = rig.next_request(SERVER).unwrap();
        let told = rig.notified(1);

        assert_eq!(afresh(&mut rig, SERVER), Ok(()), "life {life}");
        assert_eq!(rig.domain.held(), 0, "life {life}: its pages are its own again");
        assert!(rig.notified(1) > told, "who waits is told to ask again");
        let late = whole_grant(lost, Region { address: ADDRESS, ..frames[1] });
        rig.refused_with(SERVER, Operation::GrantCnode, &late, Some(frames[1].cnode), Errno::Again);

        // Both go on where they were.
        for client in 0..2 {
            let submitted = rig.submit(client, contexts[client], BLITTER, &lists[client], &[]);
            assert_eq!(submitted, Err(Errno::Again), "client {client} in life {life}");
        }
        assert_eq!(rig.serve_clients(SERVER, frames), 2);
        for client in 0..2 {
            rig.submit(client, contexts[client], BLITTER, &lists[client], &[]).unwrap();
        }
        rig.settle();
        // And so that the next life finds the same.
        assert!(invalidate(&mut rig, 0).is_done() && invalidate(&mut rig, 1).is_done(), "life {life}");
    }
    rig.check();
}

fn invalidate(rig: &mut Rig, client: usize) -> InvalidateReply {
    let space = u32::try_from(channel(client)).unwrap();
    let invalidate = Invalidate { start: ADDRESS, end: ADDRESS + PAGE_SIZE, space, flags: 0 };
    InvalidateReply::from_words(rig.op(SERVER, Operation::Invalidate, &invalidate).unwrap())
}

/// Its clients' batches use the pages, so that neither its invalidation nor starting over is done at once.
#[test]
fn a_memory_server_that_starts_over_leaves_no_ticket_to_its_next_life() {
    let mut rig = served();
    let frames = [rig.region(SERVER, 1), rig.region(SERVER, 1)];
    let context = rig.context_create(0, 0, &[]).unwrap();
    let object = rig.userptr_create(0, ADDRESS, PAGE_SIZE).unwrap();
    rig.poke(frames[0].physical, &batch::store(CODE + 0x100, 7));
    let list = [reads(object, CODE)];
    for life in 0..20 {
        rig.set_timing(Timing::Deferred);
        assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
        assert_eq!(rig.serve_clients(SERVER, frames), 1);
        rig.submit(0, context, BLITTER, &list, &[]).unwrap();
        assert!(!invalidate(&mut rig, 0).is_done(), "life {life}: the batch uses the page");
        assert_eq!(afresh(&mut rig, SERVER), Err(Errno::Again));
        assert!(rig.domain.held() > 0, "an engine may still reach it");
        rig.set_timing(Timing::Instant);
        rig.settle();
        assert_eq!(afresh(&mut rig, SERVER), Ok(()), "life {life}");
        assert_eq!(rig.domain.held(), 0);
        assert_eq!(rig.snapshot().census.clients[0].invalidations, 0, "life {life}");
    }
    rig.check();
}

#[test]
fn a_batch_that_never_ends_keeps_a_memory_server_out_no_longer_than_an_invalidation_waits() {
    let mut rig = served();
    rig.set_timing(Timing::Deferred);
    let frames = [rig.region(SERVER, 1), rig.region(SERVER, 1)];
    let context = rig.context_create(0, 0, &[]).unwrap();
    let object = rig.userptr_create(0, ADDRESS, PAGE_SIZE).unwrap();
    rig.poke(frames[0].physical, &batch::endless(CODE));
    let list = [reads(object, CODE)];
    assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
    assert_eq!(rig.serve_clients(SERVER, frames), 1);
    rig.submit(0, context, BLITTER, &list, &[]).unwrap();
    rig.model().step(1000);
    assert_eq!(afresh(&mut rig, SERVER), Err(Errno::Again));
    assert!(rig.domain.held() > 0, "an engine may still reach it");
    // Half a second of patience, then its engine is reset.
    let connected = (0..20).any(|_| {
        rig.wait(50_000_000, |_| false);
        afresh(&mut rig, SERVER).is_ok()
    });
    assert!(connected, "the server is not let in again");
    assert_eq!(rig.domain.held(), 0);
    rig.check();
}
