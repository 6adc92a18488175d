// SPDX-License-Identifier: BSD-2-Clause
//! The flags of a creation: probe, read-only, unsynchronised.

use conformance::wire::{reads, whole_grant, writes};
use conformance::{Capability, Frame, Region, Rig, Settings, batch, channel};
use gpu_protocol::{ClientEntry, Errno, Grant, GrantFlags, Operation, UserptrCreate, UserptrFlags};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;
const PAGE: u64 = 4096;

fn create(region: Region, flags: UserptrFlags) -> UserptrCreate {
    UserptrCreate { user_ptr: region.address, user_size: region.size, flags: flags.bits(), handle: 0 }
}

fn make(rig: &mut Rig, create: &UserptrCreate) -> Result<u32, Errno> {
    rig.op(0, Operation::UserptrCreate, create).map(conformance::wire::handle)
}

#[test]
fn a_probe_has_the_pages_before_there_is_a_handle() {
    let mut rig = Rig::new("tgl");
    let region = rig.region(0, 2);
    let probe = create(region, UserptrFlags::PROBE);
    assert_eq!(make(&mut rig, &probe), Err(Errno::Again));
    assert_eq!(make(&mut rig, &probe), Err(Errno::Again), "not asked for twice");
    assert_eq!(rig.serve(0, &[region]), 1);
    let object = make(&mut rig, &probe).unwrap();
    assert_eq!(rig.domain.held(), 2);
    // It is an object as any other: the same range again overlaps.
    assert_eq!(make(&mut rig, &probe), Err(Errno::Inval));
    rig.close(0, object).unwrap();
    assert_eq!((rig.domain.held(), rig.driver.census().objects), (0, 0));
}

#[test]
fn a_probe_of_a_range_without_pages_is_efault_and_leaves_nothing() {
    let mut rig = Rig::new("tgl");
    let region = rig.region(0, 2);
    let before = rig.snapshot();
    let probe = create(region, UserptrFlags::PROBE);
    assert_eq!(make(&mut rig, &probe), Err(Errno::Again));
    let request = rig.next_request(0).unwrap();
    rig.refuse(0, request, Errno::Fault).unwrap();
    assert_eq!(make(&mut rig, &probe), Err(Errno::Fault));
    assert_eq!(rig.snapshot(), before);
}

#[test]
fn a_probe_that_the_client_does_not_come_back_to_gives_way_to_its_next_creation() {
    let mut rig = Rig::new("tgl");
    let (region, other) = (rig.region(0, 2), rig.region(0, 1));
    let before = rig.snapshot();
    assert_eq!(make(&mut rig, &create(region, UserptrFlags::PROBE)), Err(Errno::Again));
    rig.serve(0, &[region]);
    assert_eq!(rig.domain.held(), 2);
    let object = make(&mut rig, &create(other, UserptrFlags::empty())).unwrap();
    assert_eq!(rig.domain.held(), 0);
    rig.close(0, object).unwrap();
    // Nor is it taken for another one that only begins where it does.
    assert_eq!(make(&mut rig, &create(region, UserptrFlags::PROBE)), Err(Errno::Again));
    rig.serve(0, &[region]);
    let smaller = Region { size: PAGE, ..region };
    assert_eq!(make(&mut rig, &create(smaller, UserptrFlags::PROBE)), Err(Errno::Again));
    assert_eq!(rig.domain.held(), 0);
    rig.serve(0, &[region]);
    let object = make(&mut rig, &create(smaller, UserptrFlags::PROBE)).unwrap();
    rig.close(0, object).unwrap();
    assert_eq!(rig.snapshot(), before);
}

#[test]
fn an_invalidation_between_a_probe_and_its_end_makes_it_ask_again() {
    let mut rig = Rig::new("tgl");
    let region = rig.region(0, 1);
    let probe = create(region, UserptrFlags::PROBE);
    assert_eq!(make(&mut rig, &probe), Err(Errno::Again));
    rig.serve(0, &[region]);
    assert!(rig.invalidate(0, region.address, region.address + PAGE).unwrap().is_done());
    assert_eq!(rig.domain.held(), 0);
    assert_eq!(make(&mut rig, &probe), Err(Errno::Again));
    rig.serve(0, &[region]);
    assert!(make(&mut rig, &probe).is_ok());
}

#[test]
fn a_read_only_object_cannot_be_written_by_the_gpu_where_the_part_enforces_it() {
    for platform in ["bdw", "skl"] {
        let mut rig = Rig::new(platform);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let (code, data) = (rig.region(0, 1), rig.read_only_region(0, 1));
        let object = make(&mut rig, &create(data, UserptrFlags::READ_ONLY)).unwrap();
        let code_object = rig.userptr(0, code);
        rig.poke(data.physical, &[5]);
        rig.poke(code.physical, &batch::store(DATA, 6));
        // A batch that says that it writes is refused ...
        let honest = [writes(object, DATA), reads(code_object, CODE)];
        assert_eq!(rig.submit(0, context, BLITTER, &honest, &[]), Err(Errno::Inval));
        // ... and one that does not say so writes nothing.
        let list = [reads(object, DATA), reads(code_object, CODE)];
        assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
        while let Some(request) = rig.next_request(0) {
            let read_only = request.address == data.address;
            assert_eq!(request.write, !read_only);
            let region = if read_only { data } else { code };
            let flags = if read_only { 0 } else { GrantFlags::WRITE.bits() };
            rig.grant(0, &Grant { flags, ..whole_grant(request, region) }, region.cnode).unwrap();
        }
        rig.submit(0, context, BLITTER, &list, &[]).unwrap();
        rig.settle();
        assert_eq!(rig.peek(data.physical), 5, "{platform}");
    }
}

#[test]
fn a_read_only_range_granted_for_writing_is_eperm() {
    let mut rig = Rig::new("skl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let data = rig.read_only_region(0, 1);
    let object = make(&mut rig, &create(data, UserptrFlags::READ_ONLY)).unwrap();
    assert_eq!(rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]), Err(Errno::Again));
    let request = rig.next_request(0).unwrap();
    let grant = whole_grant(request, data);
    rig.refused_with(0, Operation::GrantCnode, &grant, Some(data.cnode), Errno::Perm);
    rig.grant(0, &Grant { flags: 0, ..grant }, data.cnode).unwrap();
}

fn privileged() -> Settings {
    let mut settings = Settings::new("tgl");
    let entry = ClientEntry { channel: channel(0), owner: Some(channel(0)), privileged: true };
    settings.rows = vec![entry.to_row()];
    settings
}

#[test]
fn an_unsynchronised_object_may_overlap_and_no_invalidation_finds_it() {
    let mut rig = Rig::with(privileged());
    let context = rig.context_create(0, 0, &[]).unwrap();
    let (code, data) = (rig.region(0, 1), rig.region(0, 2));
    let unsynchronised = create(data, UserptrFlags::UNSYNCHRONIZED);
    let object = make(&mut rig, &unsynchronised).unwrap();
    let twin = make(&mut rig, &unsynchronised).unwrap();
    let code_object = rig.userptr(0, code);
    rig.poke(code.physical, &batch::store(DATA, 3));
    let list = [writes(object, DATA), reads(code_object, CODE)];
    rig.run(0, context, BLITTER, &list, &[], &[code, data]).unwrap();
    rig.settle();
    assert_eq!(rig.peek(data.physical), 3);
    assert!(rig.invalidate(0, 0, !(PAGE - 1)).unwrap().is_done());
    assert!(rig.domain.holds(data.physical) && !rig.domain.holds(code.physical));
    rig.close(0, object).unwrap();
    rig.close(0, twin).unwrap();
    assert_eq!(rig.domain.held(), 0);
    // The other client is not privileged.
    assert_eq!(rig.op(1, Operation::UserptrCreate, &unsynchronised), Err(Errno::Perm));
}

#[test]
fn a_client_whose_pages_nobody_can_invalidate_gets_no_synchronised_object() {
    let mut settings = Settings::new("tgl");
    let entry =
        |client, privileged| ClientEntry { channel: channel(client), owner: None, privileged }.to_row();
    settings.rows = vec![entry(0, true), entry(1, false)];
    let mut rig = Rig::with(settings);
    let region = rig.region(0, 1);
    let ordinary = create(region, UserptrFlags::empty());
    rig.refused(0, Operation::UserptrCreate, &ordinary, Errno::NoDev);
    rig.refused(1, Operation::UserptrCreate, &ordinary, Errno::NoDev);
    let unsynchronised = create(region, UserptrFlags::UNSYNCHRONIZED);
    rig.refused(1, Operation::UserptrCreate, &unsynchronised, Errno::Perm);
    // It lends by itself.
    let object = make(&mut rig, &unsynchronised).unwrap();
    let context = rig.context_create(0, 0, &[]).unwrap();
    rig.poke(region.physical, &[batch::END, 0]);
    rig.run(0, context, BLITTER, &[reads(object, CODE)], &[], &[region]).unwrap();
    rig.settle();
    // And nobody else can be given it, since it would have to be synchronised.
    assert_eq!(rig.export(0, object, 1), Err(Errno::NoDev));
}

#[test]
fn exporting_an_unsynchronised_object_makes_invalidations_find_it() {
    let mut rig = Rig::with(privileged());
    let context = rig.context_create(0, 0, &[]).unwrap();
    let region = rig.region(0, 2);
    let object = make(&mut rig, &create(region, UserptrFlags::UNSYNCHRONIZED)).unwrap();
    rig.poke(region.physical, &[batch::END, 0]);
    rig.run(0, context, BLITTER, &[reads(object, CODE)], &[], &[region]).unwrap();
    rig.settle();
    // While another object is there it cannot be registered.
    let other = rig.userptr(0, region);
    assert_eq!(rig.export(0, object, 1), Err(Errno::Inval));
    rig.close(0, other).unwrap();
    assert!(rig.export(0, object, 1).is_ok());
    assert!(rig.invalidate(0, region.address, region.address + PAGE).unwrap().is_done());
    assert_eq!(rig.domain.held(), 0);
    assert_eq!(rig.userptr_create(0, region.address, PAGE), Err(Errno::Inval));
}

#[test]
fn large_frames_become_large_entries_and_come_back_whole() {
    for platform in ["icl", "tgl"] {
        let mut settings = Settings::new(platform);
        // A row of 2 MiB frames: the client's memory is 512 pages, and begins at such a multiple.
        let physical = conformance::client_memory(1);
        assert!(physical.is_multiple_of(2 << 20));
        let row =
            |rights| gpu_protocol::GrantEntry { channel: channel(0), paddr: physical, size: 2 << 20, rights };
        settings.rows = vec![row(3 | 21 << 8)];
        let mut rig = Rig::with(settings);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let code = rig.region(0, 1);
        let address = 1_u64 << 42;
        let large = Capability::Large(Frame { physical, writable: true });
        let (cnode, bits) = rig.cnode(vec![Some(large)]);
        let object = rig.userptr_create(0, address, 2 << 20).unwrap();
        let code_object = rig.userptr(0, code);
        let list = [writes(object, 0x20_0000), reads(code_object, CODE)];
        rig.poke(code.physical, &batch::store(0x20_0000 + 0x12_3000, 9));
        assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
        while let Some(request) = rig.next_request(0) {
            if request.address == code.address {
                rig.grant(0, &whole_grant(request, code), code.cnode).unwrap();
            } else {
                let grant = Grant {
                    address,
                    sequence: request.sequence,
                    first: 0,
                    count: 1,
                    page_bits: 21,
                    cnode_bits: bits,
                    flags: GrantFlags::WRITE.bits(),
                    rsvd: 0,
                };
                // A large frame is not a small one, whatever the message says.
                let lie = Grant { page_bits: 12, ..grant };
                rig.refused_with(0, Operation::GrantCnode, &lie, Some(cnode), Errno::Perm);
                rig.grant(0, &grant, cnode).unwrap();
            }
        }
        assert_eq!((rig.domain.held(), rig.domain.held_pages()), (2, 513));
        rig.submit(0, context, BLITTER, &list, &[]).unwrap();
        rig.settle();
        assert_eq!(rig.peek(physical + 0x12_3000), 9);
        // Other address spaces have scratch there.
        let leaves = rig.model().translations(0x20_0000 + 0x12_3000);
        let ours = leaves.iter().filter(|leaf| leaf.page == physical + 0x12_3000);
        assert_eq!(ours.map(|leaf| leaf.size).collect::<Vec<_>>(), [2 << 20], "{platform}");
        assert!(rig.invalidate(0, address, address + PAGE).unwrap().is_done());
        assert_eq!(rig.domain.held(), 1);
        rig.check();
    }
}

/// A kernel that maps frames of 4 KiB for devices and no others, as published ones do.
#[test]
fn a_large_frame_that_the_kernel_does_not_map_is_efault_and_by_its_region_it_becomes_a_large_entry() {
    let mut settings = Settings::new("tgl");
    let physical = conformance::client_memory(1);
    let row =
        |rights| gpu_protocol::GrantEntry { channel: channel(0), paddr: physical, size: 2 << 20, rights };
    // By capability, as frames of 2 MiB; and mapped from the start, the third row of the client.
    settings.rows = vec![row(3 | 21 << 8), row(7 | 12 << 8)];
    let mut rig = Rig::with(settings);
    let context = rig.context_create(0, 0, &[]).unwrap();
    let (cnode, cnode_bits) = rig.cnode(vec![Some(Capability::Large(Frame { physical, writable: true }))]);
    let address = 1_u64 << 42;
    let object = rig.userptr_create(0, address, 2 << 20).unwrap();
    let list = [reads(object, 0x20_0000)];
    rig.poke(physical, &batch::store(0x20_0000 + 0x12_3000, 9));
    assert_eq!(rig.submit(0, context, BLITTER, &list, &[]), Err(Errno::Again));
    let sequence = rig.next_request(0).unwrap().sequence;
    let flags = GrantFlags::WRITE.bits();
    let large = Grant { address, sequence, first: 0, count: 1, page_bits: 21, cnode_bits, flags, rsvd: 0 };
    rig.limit_maps(0);
    rig.refused_with(0, Operation::GrantCnode, &large, Some(cnode), Errno::Fault);
    let by_name =
        gpu_protocol::GrantRegion { address, sequence, offset: 0, region: 3, count: 512, flags, rsvd: 0 };
    assert_eq!(rig.op(0, Operation::GrantRegion, &by_name), Ok([512, 0, 0, 0]));
    rig.submit(0, context, BLITTER, &list, &[]).unwrap();
    rig.settle();
    assert_eq!(rig.peek(physical + 0x12_3000), 9);
    let leaves = rig.model().translations(0x20_0000);
    let ours = leaves.iter().filter(|leaf| leaf.page == physical);
    assert_eq!(ours.map(|leaf| leaf.size).collect::<Vec<_>>(), [2 << 20]);
    assert!(rig.invalidate(0, address, address + PAGE).unwrap().is_done());
    assert_eq!(rig.domain.held(), 0);
    rig.check();
}
