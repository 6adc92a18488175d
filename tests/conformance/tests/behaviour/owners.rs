// SPDX-License-Identifier: BSD-2-Clause
//! A memory server that owns the address spaces of two clients, and objects that clients share.

use conformance::wire::{reads, whole_grant, writes};
use conformance::{Rig, Settings, batch, channel};
use gpu_model::Timing;
use gpu_protocol::{
    Errno, GemExport, GemImport, GrantFlags, GrantRegion, Invalidate, InvalidateReply, Operation,
};
use intel_gpu::uapi::DriverConfig;

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;
const PAGE: u64 = 4096;
const MS: u64 = 1_000_000;
/// The memory server; its clients are 0 and 1.
const SERVER: usize = Settings::SERVER;

fn served() -> Rig {
    Rig::with(Settings::served("tgl"))
}

fn invalidate(rig: &mut Rig, of: usize, start: u64, end: u64) -> Result<InvalidateReply, Errno> {
    let space = u32::try_from(channel(of)).unwrap();
    rig.op(SERVER, Operation::Invalidate, &Invalidate { start, end, space, flags: 0 })
        .map(InvalidateReply::from_words)
}

#[test]
fn a_memory_server_answers_for_two_clients_and_takes_pages_back_from_one() {
    let mut rig = served();
    let frames = [rig.region(SERVER, 1), rig.region(SERVER, 1)];
    // Both clients use the same addresses of their own address spaces.
    let address = 0x4000_0000;
    let contexts = [0, 1].map(|client| rig.context_create(client, 0, &[]).unwrap());
    let objects = [0, 1].map(|client| rig.userptr_create(client, address, PAGE).unwrap());
    for client in 0..2 {
        rig.poke(frames[client].physical, &batch::store(CODE + 0x100, [40, 41][client]));
        let told = rig.notified(SERVER);
        let list = [reads(objects[client], CODE)];
        assert_eq!(rig.submit(client, contexts[client], BLITTER, &list, &[]), Err(Errno::Again));
        assert!(rig.notified(SERVER) > told, "the server is told of the request");
        assert_eq!(rig.next_request(client), None, "and nobody else");
    }
    let told = [0, 1].map(|client| rig.notified(client));
    assert_eq!(rig.serve_clients(SERVER, frames), 2);
    for client in 0..2 {
        assert!(rig.notified(client) > told[client], "the client is told of the grant");
        let list = [reads(objects[client], CODE)];
        rig.submit(client, contexts[client], BLITTER, &list, &[]).unwrap();
    }
    rig.settle();
    for (frame, value) in frames.iter().zip([40, 41]) {
        assert_eq!(rig.peek(frame.physical + 0x100), value);
    }
    assert!(invalidate(&mut rig, 0, address, address + PAGE).unwrap().is_done());
    assert!(!rig.domain.holds(frames[0].physical) && rig.domain.holds(frames[1].physical));
    rig.check();
}

#[test]
fn a_client_can_neither_lend_to_itself_nor_take_back_what_its_server_owns() {
    let mut rig = served();
    let mine = rig.region(0, 1);
    let context = rig.context_create(0, 0, &[]).unwrap();
    let object = rig.userptr(0, mine);
    assert_eq!(rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]), Err(Errno::Again));
    let request = rig.next_request(SERVER).unwrap();
    let grant = whole_grant(request, mine);
    for client in [0, 1] {
        rig.refused_with(client, Operation::GrantCnode, &grant, Some(mine.cnode), Errno::Again);
    }
    // What the server has no row for it cannot lend either: rows are those of who lends.
    rig.refused_with(SERVER, Operation::GrantCnode, &grant, Some(mine.cnode), Errno::Perm);
    assert_eq!(rig.invalidate(0, mine.address, mine.address + PAGE), Err(Errno::Perm));
    rig.refuse(SERVER, request, Errno::NoMem).unwrap();
    assert_eq!(rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]), Err(Errno::NoMem));
    // The server owns its own address space, too.
    assert!(rig.invalidate(SERVER, 0, PAGE).unwrap().is_done());
}

#[test]
fn an_exported_object_is_used_by_two_clients_and_its_owner_gets_it_back_from_both() {
    for platform in ["skl", "tgl"] {
        let mut settings = Settings::new(platform);
        settings.driver = DriverConfig { invalidate_ns: 50 * MS, ..DriverConfig::DEFAULT };
        let mut rig = Rig::with(settings);
        let (data, codes) = (rig.region(0, 1), [rig.region(0, 1), rig.region(1, 1)]);
        let object = rig.userptr(0, data);
        let name = rig.export(0, object, 1).unwrap();
        let import = rig.import(1, name).unwrap();
        assert_eq!(rig.import(1, name), Ok(import), "the same handle again");
        let shared = [object, import];
        let contexts = [0, 1].map(|client| rig.context_create(client, 0, &[]).unwrap());
        let code_objects = [0, 1].map(|client| rig.userptr(client, codes[client]));
        for client in 0..2 {
            let value = [50, 51][client];
            rig.poke(codes[client].physical, &batch::store(DATA + 4 * client as u64, value));
            let list = [writes(shared[client], DATA), reads(code_objects[client], CODE)];
            match rig.submit(client, contexts[client], BLITTER, &list, &[]) {
                Err(Errno::Again) => {
                    // The pages are the exporter's, and so is the request for them.
                    rig.serve(0, &[data, codes[0]]);
                    rig.serve(1, &[codes[1]]);
                    rig.submit(client, contexts[client], BLITTER, &list, &[]).unwrap();
                }
                result => drop(result.unwrap()),
            }
        }
        rig.settle();
        assert_eq!((rig.peek(data.physical), rig.peek(data.physical + 4)), (50, 51), "{platform}");
        // While the importer's batch never ends, the owner takes its page back.
        rig.poke(codes[1].physical, &batch::gated_store(platform, CODE + 0x800, 1, CODE, 1));
        let list = [writes(import, DATA), reads(code_objects[1], CODE)];
        rig.submit(1, contexts[1], BLITTER, &list, &[]).unwrap();
        let reply = rig.invalidate(0, data.address, data.address + PAGE).unwrap();
        assert!(!reply.is_done());
        assert!(rig.wait(500 * MS, |rig| !rig.domain.holds(data.physical)), "{platform}");
        assert!(rig.invalidate_status(0, reply.ticket).unwrap().is_done());
        assert!(rig.domain.holds(codes[1].physical), "the importer's own pages stay");
        // It lives as long as one of them has a handle.
        rig.close(0, object).unwrap();
        let before = rig.driver.census().objects;
        rig.close(1, import).unwrap();
        rig.settle();
        rig.wait(100 * MS, |_| false);
        assert_eq!(rig.driver.census().objects, before - 1);
        rig.check();
    }
}

#[test]
fn names_of_objects_that_were_not_exported_to_a_client_are_enoent() {
    let mut rig = served();
    let region = rig.region(0, 1);
    let object = rig.userptr(0, region);
    let export = |handle, peer: u64| GemExport { handle, peer: u32::try_from(peer).unwrap() };
    rig.refused(0, Operation::GemExport, &export(99, channel(1)), Errno::NoEnt);
    rig.refused(0, Operation::GemExport, &export(object, 999), Errno::NoEnt);
    let name = rig.export(0, object, 1).unwrap();
    rig.refused(SERVER, Operation::GemImport, &GemImport { name }, Errno::NoEnt);
    for wrong in [0, u64::MAX, name ^ 1, name ^ 1 << 32] {
        rig.refused(1, Operation::GemImport, &GemImport { name: wrong }, Errno::NoEnt);
    }
    let import = rig.import(1, name).unwrap();
    // Whose memory it is decides who sees it.
    rig.refused(1, Operation::GemExport, &export(import, channel(SERVER)), Errno::Perm);
    rig.close(0, object).unwrap();
    rig.close(1, import).unwrap();
    rig.refused(1, Operation::GemImport, &GemImport { name }, Errno::NoEnt);
}

#[test]
fn pages_are_lent_by_name_where_no_capability_can_be_sent() {
    let mut settings = Settings::new("tgl");
    // The third row of client 0, after the two of its memory: four pages of client 1's, mapped from the start.
    let physical = conformance::client_memory(1);
    let row = |offset, rights| gpu_protocol::GrantEntry {
        channel: channel(0),
        paddr: physical + offset,
        size: 4 * PAGE,
        rights,
    };
    settings.rows = vec![row(0, 7 | 12 << 8), row(4 * PAGE, 5 | 12 << 8)];
    let mut rig = Rig::with(settings);
    let context = rig.context_create(0, 0, &[]).unwrap();
    let object = rig.userptr_create(0, 0x5000_0000, 2 * PAGE).unwrap();
    let ask = |rig: &mut Rig| {
        assert_eq!(rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]), Err(Errno::Again));
        rig.next_request(0).unwrap()
    };
    let request = ask(&mut rig);
    let good = GrantRegion {
        address: request.address,
        sequence: request.sequence,
        offset: PAGE,
        region: 2,
        count: 2,
        flags: GrantFlags::WRITE.bits(),
        rsvd: 0,
    };
    for (wrong, errno) in [
        (GrantRegion { rsvd: 1, ..good }, Errno::Inval),
        (GrantRegion { flags: 8, ..good }, Errno::Inval),
        (GrantRegion { count: 0, ..good }, Errno::Inval),
        (GrantRegion { offset: 8, ..good }, Errno::Inval),
        (GrantRegion { count: 3, ..good }, Errno::Inval),
        (GrantRegion { address: good.address + PAGE, count: 1, ..good }, Errno::Inval),
        (GrantRegion { address: 0u64.wrapping_sub(PAGE), ..good }, Errno::Inval),
        (GrantRegion { sequence: good.sequence + 1, ..good }, Errno::Again),
        // No such region, one that is not mapped, beyond its end, wrapping around, one for reading only.
        (GrantRegion { region: 9, ..good }, Errno::Perm),
        (GrantRegion { region: 0, ..good }, Errno::Perm),
        (GrantRegion { offset: 3 * PAGE, ..good }, Errno::Perm),
        (GrantRegion { offset: 0u64.wrapping_sub(PAGE), ..good }, Errno::Perm),
        (GrantRegion { region: 3, ..good }, Errno::Perm),
        (GrantRegion { flags: 0, ..good }, Errno::Perm),
    ] {
        rig.refused(0, Operation::GrantRegion, &wrong, errno);
    }
    assert_eq!(rig.op(0, Operation::GrantRegion, &good), Ok([2, 0, 0, 0]));
    rig.poke(physical + PAGE, &batch::store(CODE + 0x800, 77));
    rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]).unwrap();
    rig.settle();
    assert_eq!(rig.peek(physical + PAGE + 0x800), 77);
    // A page that is lent is not lent again; after it came back it is.
    let second = rig.userptr_create(0, 0x6000_0000, PAGE).unwrap();
    assert_eq!(rig.submit(0, context, BLITTER, &[reads(second, DATA)], &[]), Err(Errno::Again));
    let request = rig.next_request(0).unwrap();
    let twice = GrantRegion {
        address: request.address,
        sequence: request.sequence,
        count: 1,
        offset: 2 * PAGE,
        ..good
    };
    rig.refused(0, Operation::GrantRegion, &twice, Errno::Fault);
    assert!(rig.invalidate(0, 0x5000_0000, 0x5000_1000).unwrap().is_done());
    assert_eq!(rig.op(0, Operation::GrantRegion, &twice), Ok([1, 0, 0, 0]));
    rig.check();
}

#[test]
fn an_importers_batches_are_what_it_says_they_are_while_the_exporter_closes() {
    let mut rig = Rig::new("tgl");
    let (data, code) = (rig.region(0, 1), rig.region(1, 1));
    let object = rig.userptr(0, data);
    let name = rig.export(0, object, 1).unwrap();
    let import = rig.import(1, name).unwrap();
    let context = rig.context_create(1, 0, &[]).unwrap();
    let code_object = rig.userptr(1, code);
    rig.poke(code.physical, &batch::store(DATA, 5));
    let list = [writes(import, DATA), reads(code_object, CODE)];
    assert_eq!(rig.submit(1, context, BLITTER, &list, &[]), Err(Errno::Again));
    rig.serve(0, &[data]);
    rig.serve(1, &[code]);
    rig.set_timing(Timing::Busy);
    rig.submit(1, context, BLITTER, &list, &[]).unwrap();
    rig.close(0, object).unwrap();
    assert_eq!(rig.userptr_create(0, data.address, PAGE), Err(Errno::Inval), "the importer has it");
    rig.close(1, import).unwrap();
    assert_eq!(rig.userptr_create(0, data.address, PAGE), Err(Errno::Again), "the GPU has it");
    rig.set_timing(Timing::Instant);
    rig.settle();
    assert_eq!(rig.peek(data.physical), 5);
    assert!(rig.userptr_create(0, data.address, PAGE).is_ok());
    rig.check();
}
