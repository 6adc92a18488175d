// SPDX-License-Identifier: BSD-2-Clause
//! The client library above the driver.

use conformance::{Rig, Settings, Shared, batch};
use gpu_client::blit::{Commands, Rectangle, Surface};
use gpu_client::mi::Comparison;
use gpu_client::{Access, Context, Error, Frames, Gpu, Lendable, Param, Queued, TakenBack, UsedObject};
use gpu_model::Timing;
use gpu_protocol::{Errno, GrantEntry, PAGE_SIZE};
use intel_gpu::Config;

const TARGET: Surface = Surface { address: 0x4000_0000, pitch: 256, width: 64, height: 64 };
const CODE: u64 = 0x7f00_0000_0000;
const BLITTER: u32 = 3;

fn commands(rig: &Rig, physical: u64, colour: u32) -> u32 {
    let mut dwords = [0; 64];
    let mut commands = Commands::new(&mut dwords);
    commands.fill(TARGET, Rectangle { x0: 0, y0: 0, x1: 64, y1: 32 }, colour).unwrap();
    let whole = Rectangle { x0: 0, y0: 0, x1: 64, y1: 32 };
    commands.copy(TARGET, 0, 32, TARGET, whole).unwrap();
    let length = commands.finish().unwrap();
    rig.poke(physical, &dwords);
    length
}

#[test]
fn a_client_paints_with_the_library_and_lends_its_pages_by_itself() {
    for platform in ["skl", "tgl"] {
        let shared = Shared::new(Rig::unconnected(Settings::new(platform)));
        let mut gpu = Gpu::connect(shared.link(0)).unwrap();
        assert!(gpu.engines() >= 4);
        assert_eq!(gpu.param(Param::HasPpgtt), Ok(2));
        let vm = gpu.create_vm().unwrap();
        let context = gpu.create_context(&vm).unwrap();
        let (picture, code) = {
            let mut rig = shared.rig();
            (rig.region(0, 4), rig.region(0, 1))
        };
        let target = gpu.create_userptr(picture.into()).unwrap();
        let program = gpu.create_userptr(code.into()).unwrap();
        let length = commands(&shared.rig(), code.physical, 0xff33_6699);
        let used = |object, address, access| UsedObject { object, address, access };
        let fence = gpu
            .submit(
                &context,
                BLITTER,
                used(&program, CODE, Access::Read),
                0..length,
                &[used(&target, TARGET.address, Access::Write)],
            )
            .unwrap();
        shared.rig().settle();
        assert!(gpu.is_complete(fence));
        for pixel in 0..64 * 64 {
            assert_eq!(shared.rig().peek(picture.physical + 4 * pixel), 0xff33_6699, "{platform}");
        }
        let calls = gpu.transport().calls;
        gpu.submit(
            &context,
            BLITTER,
            used(&program, CODE, Access::Read),
            0..length,
            &[used(&target, TARGET.address, Access::Write)],
        )
        .unwrap();
        assert_eq!(gpu.transport().calls, calls + 1, "the pages are there: one call");
        shared.rig().settle();
        gpu.destroy_context(context).unwrap();
        gpu.destroy_vm(vm).unwrap();
        gpu.close(target).unwrap();
        gpu.close(program).unwrap();
        let mut rig = shared.rig();
        rig.settle();
        // Each of the two clients has its default context's.
        assert_eq!((rig.domain.held(), rig.driver.census().spaces), (0, 2));
        rig.check();
    }
}

/// As it is on a Microkit SDK's kernel: no capability is sent.
#[test]
fn a_client_without_capabilities_lends_by_the_rows_of_its_regions() {
    let mut settings = Settings::new("tgl");
    let physical = conformance::client_memory(0);
    let row = |page: u64, pages: u64, rights: u64| GrantEntry {
        channel: conformance::channel(0),
        paddr: physical + page * PAGE_SIZE,
        size: pages * PAGE_SIZE,
        rights: rights | 12 << 8,
    };
    // Behind its two other rows: the batch and the picture, both mapped from the start.
    settings.rows = vec![row(0, 1, 7), row(1, 4, 7)];
    let shared = Shared::new(Rig::unconnected(settings));
    let mut gpu = Gpu::connect(shared.link(0)).unwrap();
    let vm = gpu.create_vm().unwrap();
    let context = gpu.create_context(&vm).unwrap();
    let range =
        |address, pages, row| Lendable { address, size: pages * PAGE_SIZE, frames: Frames::Region { row } };
    let program = gpu.create_userptr(range(0x5000_0000, 1, 2)).unwrap();
    let target = gpu.create_userptr(range(0x6000_0000, 4, 3)).unwrap();
    let length = commands(&shared.rig(), physical, 0xff33_6699);
    let used = |object, address, access| UsedObject { object, address, access };
    let submit = |gpu: &mut Gpu<_>| {
        let program = used(&program, CODE, Access::Read);
        let target = used(&target, TARGET.address, Access::Write);
        gpu.submit(&context, BLITTER, program, 0..length, &[target])
    };
    let painted = |colour| {
        let rig = shared.rig();
        (0..64 * 64).all(|pixel| rig.peek(physical + PAGE_SIZE + 4 * pixel) == colour)
    };
    let fence = submit(&mut gpu).unwrap();
    shared.rig().settle();
    assert!(gpu.is_complete(fence) && painted(0xff33_6699));
    // What was lent by name comes back as whatever was lent, and can be lent anew.
    for range in [0x5000_0000..0x5000_1000, 0x6000_0000..0x6000_4000] {
        assert!(matches!(gpu.take_back(range), Ok(TakenBack::Done { .. })));
    }
    commands(&shared.rig(), physical, 0xff11_2233);
    submit(&mut gpu).unwrap();
    shared.rig().settle();
    assert!(painted(0xff11_2233));
    shared.rig().check();
}

#[test]
fn an_object_whose_frames_cannot_be_lent_fails_its_submission_with_the_drivers_error() {
    let shared = Shared::new(Rig::unconnected(Settings::new("tgl")));
    let mut gpu = Gpu::connect(shared.link(0)).unwrap();
    let vm = gpu.create_vm().unwrap();
    let context = gpu.create_context(&vm).unwrap();
    let region = shared.rig().region(0, 2);
    let foreign = shared.rig().region(1, 2);
    shared.rig().poke(region.physical, &[batch::END, 0]);
    let good = Frames::Capabilities { cnode: region.cnode, bits: region.bits, page_bits: 12 };
    assert_eq!(Lendable::from(region).frames, good);
    for (lie, errno) in [
        (Frames::Capabilities { cnode: foreign.cnode, bits: region.bits, page_bits: 12 }, Errno::Perm),
        (Frames::Capabilities { cnode: 99, bits: region.bits, page_bits: 12 }, Errno::Inval),
        (Frames::Capabilities { cnode: region.cnode, bits: 9, page_bits: 12 }, Errno::Inval),
        // Its rows are not mapped for the device from the start, and it has no more than two.
        (Frames::Region { row: 0 }, Errno::Perm),
        (Frames::Region { row: 2 }, Errno::Perm),
        (Frames::Foreign, Errno::Fault),
    ] {
        let object = gpu.create_userptr(Lendable { frames: lie, ..region.into() }).unwrap();
        let used = UsedObject { object: &object, address: CODE, access: Access::Read };
        let result = gpu.submit(&context, BLITTER, used, 0..8, &[]);
        assert_eq!(result, Err(Error::Refused(errno)));
        gpu.close(object).unwrap();
        assert_eq!(shared.rig().domain.held(), 0);
    }
    let object = gpu.create_userptr(region.into()).unwrap();
    let used = UsedObject { object: &object, address: CODE, access: Access::Read };
    let fence = gpu.submit(&context, BLITTER, used, 0..8, &[]).unwrap();
    shared.rig().settle();
    assert!(gpu.is_complete(fence));
    shared.rig().check();
}

#[test]
fn a_request_of_another_object_is_put_off_and_its_next_use_asks_again() {
    let shared = Shared::new(Rig::unconnected(Settings::new("tgl")));
    let mut gpu = Gpu::connect(shared.link(0)).unwrap();
    let vm = gpu.create_vm().unwrap();
    let context = gpu.create_context(&vm).unwrap();
    let (region, other) = {
        let mut rig = shared.rig();
        (rig.region(0, 1), rig.region(0, 1))
    };
    shared.rig().poke(region.physical, &[batch::END, 0]);
    // Somebody of the same client asked for pages of which this connection does not know.
    let stray = shared.rig().userptr(0, other);
    let list = [conformance::wire::reads(stray, 0x1000_0000)];
    assert_eq!(shared.rig().submit(0, 1, BLITTER, &list, &[]), Err(Errno::Again));
    let object = gpu.create_userptr(region.into()).unwrap();
    let used = UsedObject { object: &object, address: CODE, access: Access::Read };
    gpu.submit(&context, BLITTER, used, 0..8, &[]).unwrap();
    // Asked for once more, as often as it is used, and lent when somebody answers.
    shared.rig().poke(other.physical, &[batch::END, 0]);
    assert_eq!(shared.rig().submit(0, 1, BLITTER, &list, &[]), Err(Errno::Again));
    assert_eq!(shared.rig().serve(0, &[other]), 1);
    shared.rig().submit(0, 1, BLITTER, &list, &[]).unwrap();
    shared.rig().settle();
    // An open request would keep a closed object from going.
    gpu.close(object).unwrap();
    shared.rig().check();
}

#[test]
fn a_batch_whose_end_is_before_its_start_is_einval_and_an_empty_range_goes_to_the_end_of_the_object() {
    let shared = Shared::new(Rig::unconnected(Settings::new("tgl")));
    let mut gpu = Gpu::connect(shared.link(0)).unwrap();
    let vm = gpu.create_vm().unwrap();
    let context = gpu.create_context(&vm).unwrap();
    let region = shared.rig().region(0, 1);
    shared.rig().poke(region.physical, &[0, 0, batch::END, 0]);
    let object = gpu.create_userptr(region.into()).unwrap();
    let used = UsedObject { object: &object, address: CODE, access: Access::Read };
    let calls = gpu.transport().calls;
    #[expect(clippy::reversed_empty_ranges, reason = "what somebody wrote by mistake")]
    let refused = gpu.submit(&context, BLITTER, used, 16..8, &[]);
    assert_eq!(
        (refused, gpu.transport().calls),
        (Err(Error::Refused(Errno::Inval)), calls),
        "nobody was asked"
    );
    let fence = gpu.submit(&context, BLITTER, used, 0..0, &[]).unwrap();
    shared.rig().settle();
    assert!(gpu.is_complete(fence));
    shared.rig().check();
}

#[test]
fn a_batch_waits_in_the_encoding_of_its_part() {
    for platform in ["bdw", "skl", "icl", "tgl", "adls"] {
        let (shared, mut gpu) = conformance::client(platform);
        let (code, data) = (gpu.create_buffer(4096).unwrap(), gpu.create_buffer(4096).unwrap());
        gpu.write(&data, 0, &5_u32.to_le_bytes()).unwrap();
        let mut dwords = [0; 32];
        let mut commands = Commands::new(&mut dwords);
        let semaphores = gpu.semaphores().unwrap();
        commands.wait_until(0x20_0000, Comparison::Equal, 5, semaphores).unwrap();
        commands.store_dword(0x20_0004, 6).unwrap();
        let length = commands.finish().unwrap();
        let bytes: Vec<u8> = dwords.iter().flat_map(|dword| dword.to_le_bytes()).collect();
        gpu.write(&code, 0, &bytes).unwrap();
        let batch = UsedObject { object: &code, address: 0x10_0000, access: Access::Read };
        let written = UsedObject { object: &data, address: 0x20_0000, access: Access::Write };
        let fence = gpu.submit(&Context::DEFAULT, BLITTER, batch, 0..length, &[written]).unwrap();
        gpu.wait(fence);
        let mut words = [0; 8];
        gpu.read(&data, 0, &mut words).unwrap();
        assert_eq!(words, [5, 0, 0, 0, 6, 0, 0, 0], "{platform}");
        assert_eq!(gpu.reset_counts(&Context::DEFAULT).unwrap().guilty, 0, "{platform}");
        shared.rig().check();
    }
}

#[test]
fn what_was_recorded_of_a_hang_is_read_in_pieces() {
    let mut settings = Settings::new("tgl");
    settings.options.instant_budget = 2_000;
    settings.config = Config { hang_ns: 50_000_000, preempt_timeout_ns: 20_000_000, ..settings.config };
    let shared = Shared::new(Rig::unconnected(settings));
    let mut gpu = Gpu::connect(shared.link(0)).unwrap();
    assert_eq!(gpu.error_state(0, &mut [0; 100]), Ok((0, 0)));
    let vm = gpu.create_vm().unwrap();
    let context = gpu.create_context(&vm).unwrap();
    let region = shared.rig().region(0, 1);
    shared.rig().poke(region.physical, &batch::endless(CODE));
    let object = gpu.create_userptr(region.into()).unwrap();
    let used = UsedObject { object: &object, address: CODE, access: Access::Read };
    let fence = gpu.submit(&context, BLITTER, used, 0..16, &[]).unwrap();
    let done = |rig: &Rig| rig.point(0, 0) != 0;
    assert!(shared.rig().wait(60_000_000_000, done) && gpu.is_complete(fence));
    let (mut text, mut piece) = (Vec::new(), [0; 1000]);
    loop {
        let (count, total) = gpu.error_state(text.len() as u64, &mut piece).unwrap();
        text.extend_from_slice(&piece[..count]);
        if text.len() as u64 == total {
            break;
        }
    }
    let driver = shared.rig().driver.error_state().unwrap().to_owned();
    assert_eq!(String::from_utf8(text).unwrap(), driver);

    // Read with more room than a call has while a batch is in the queue that the driver has not been shown: its list of
    // objects is in the same message area, and stays.
    shared.rig().poke(region.physical, &[batch::END, 0]);
    let tag = 1;
    let (after, objects) = (&[], &[]);
    let queued =
        Queued { context: &context, engine: BLITTER, batch: used, start: 0, length: 8, objects, after, tag };
    gpu.enqueue(&queued).unwrap();
    let (count, _) = gpu.error_state(0, &mut vec![0; 1 << 16]).unwrap();
    assert!(driver.len() > 4096 && (1..=4096).contains(&count), "{count} of {}", driver.len());
    gpu.wait_answers(1).unwrap();
    let answer = gpu.next_answer().unwrap().unwrap();
    assert!(answer.result.is_ok(), "{answer:?}");
}

#[test]
fn the_library_takes_pages_back_at_once_or_by_a_ticket_and_lends_them_again_by_itself() {
    let shared = Shared::new(Rig::unconnected(Settings::new("tgl")));
    let mut gpu = Gpu::connect(shared.link(0)).unwrap();
    let vm = gpu.create_vm().unwrap();
    let context = gpu.create_context(&vm).unwrap();
    let region = shared.rig().region(0, 1);
    shared.rig().poke(region.physical, &[batch::END, 0]);
    let object = gpu.create_userptr(region.into()).unwrap();
    let used = UsedObject { object: &object, address: CODE, access: Access::Read };
    gpu.submit(&context, BLITTER, used, 0..8, &[]).unwrap();
    shared.rig().settle();
    let range = region.address..region.address + region.size;
    assert_eq!(gpu.take_back(range.clone()), Ok(TakenBack::Done { dirty: 0 }));
    assert_eq!(shared.rig().domain.held(), 0);
    // The next use lends them again, and while it runs they do not come back.
    shared.rig().set_timing(Timing::Busy);
    gpu.submit(&context, BLITTER, used, 0..8, &[]).unwrap();
    let TakenBack::Pending(ticket) = gpu.take_back(range).unwrap() else { panic!("a batch runs") };
    let TakenBack::Pending(ticket) = gpu.look_at(ticket).unwrap() else { panic!("it still runs") };
    shared.rig().set_timing(Timing::Instant);
    shared.rig().settle();
    assert_eq!(gpu.look_at(ticket), Ok(TakenBack::Done { dirty: 0 }));
    assert_eq!(shared.rig().domain.held(), 0);
    shared.rig().check();
}

#[test]
fn the_library_shares_an_object_with_another_client() {
    let shared = Shared::new(Rig::unconnected(Settings::new("tgl")));
    let [mut ours, mut theirs] = [0, 1].map(|client| Gpu::connect(shared.link(client)).unwrap());
    let region = shared.rig().region(0, 1);
    let object = ours.create_userptr(region.into()).unwrap();
    let peer = u32::try_from(conformance::channel(1)).unwrap();
    let name = ours.export(&object, peer).unwrap();
    assert_eq!(ours.import(name), Err(Error::Refused(Errno::NoEnt)), "it is for the other client");
    let import = theirs.import(name).unwrap();
    ours.close(object).unwrap();
    assert_eq!(shared.rig().driver.census().objects, 1);
    theirs.close(import).unwrap();
    assert_eq!(shared.rig().driver.census().objects, 0);
}
