// SPDX-License-Identifier: BSD-2-Clause
//! Submission: what a batch may name, where, and what it then does.

use conformance::wire::{reads, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{Errno, Fence, MAX_OBJECTS, ObjectFlags, Operation, Submit, SubmitObject};
use intel_gpu::uapi::DriverConfig;

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;

/// A client with a batch that stores a number, ready to run again.
struct Ready {
    rig: Rig,
    context: u32,
    data: Region,
    code: Region,
    list: [SubmitObject; 2],
}

impl Ready {
    fn with(settings: Settings) -> Self {
        let mut rig = Rig::with(settings);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let (data, code) = (rig.region(0, 4), rig.region(0, 2));
        let objects = [rig.userptr(0, data), rig.userptr(0, code)];
        rig.poke(code.physical, &batch::store(DATA, 1));
        let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
        rig.run(0, context, BLITTER, &list, &[], &[data, code]).unwrap();
        rig.settle();
        assert_eq!(rig.peek(data.physical), 1);
        rig.poke(data.physical, &[0]);
        Self { rig, context, data, code, list }
    }

    fn new(platform: &'static str) -> Self {
        Self::with(Settings::new(platform))
    }

    fn wrong(&mut self, errno: Errno, change: impl FnOnce(&mut Submit)) {
        let list = self.list;
        let mut submit = self.rig.write_submit(0, self.context, BLITTER, &list, &[]);
        change(&mut submit);
        self.rig.refused(0, Operation::Submit, &submit, errno);
    }

    fn wrong_list(&mut self, errno: Errno, list: &[SubmitObject]) {
        let submit = self.rig.write_submit(0, self.context, BLITTER, list, &[]);
        self.rig.refused(0, Operation::Submit, &submit, errno);
    }

    fn wrong_fences(&mut self, errno: Errno, fences: &[Fence]) {
        let list = self.list;
        let submit = self.rig.write_submit(0, self.context, BLITTER, &list, fences);
        self.rig.refused(0, Operation::Submit, &submit, errno);
    }

    fn works(mut self) {
        let list = self.list;
        let fence = self.rig.submit(0, self.context, BLITTER, &list, &[]).unwrap();
        self.rig.settle();
        assert!(self.rig.reached(0, fence));
        assert_eq!(self.rig.peek(self.data.physical), 1);
        self.rig.check();
    }
}

#[test]
fn a_blit_into_lent_pages_is_what_the_client_reads_back() {
    for platform in ["bdw", "skl", "kbl", "icl", "tgl", "adls"] {
        let mut rig = Rig::new(platform);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let (picture, code) = (rig.region(0, 16), rig.region(0, 1));
        let objects = [rig.userptr(0, picture), rig.userptr(0, code)];
        let target = 0x1_2345_6000;
        let mut dwords = batch::fill(target, 512, [0, 0, 128, 128], 0xff10_2030).to_vec();
        dwords.extend(batch::fill(target, 512, [32, 16, 64, 48], 0xffee_dd00));
        dwords.extend([batch::END, 0]);
        rig.poke(code.physical, &dwords);
        let list = [writes(objects[0], target), reads(objects[1], 0x7f00_0000_0000)];
        let fence = rig.run(0, context, BLITTER, &list, &[], &[picture, code]).unwrap();
        rig.settle();
        assert!(rig.reached(0, fence), "{platform}");
        assert!(rig.notified(0) >= 1);
        for at in 0..128 * 128_u64 {
            let (x, y) = (at % 128, at / 128);
            let inside = (32..64).contains(&x) && (16..48).contains(&y);
            let expected = if inside { 0xffee_dd00 } else { 0xff10_2030 };
            assert_eq!(rig.peek(picture.physical + 4 * at), expected, "{platform}: {x},{y}");
        }
        rig.check();
    }
}

#[test]
fn malformed_fields_of_a_submission_are_einval() {
    let mut ready = Ready::new("tgl");
    for bit in 1..32 {
        ready.wrong(Errno::Inval, |submit| submit.flags = 1 << bit);
    }
    ready.wrong(Errno::Inval, |submit| submit.rsvd = 1);
    ready.wrong(Errno::Inval, |submit| submit.object_count = 0);
    ready.wrong(Errno::Inval, |submit| submit.object_count = u32::try_from(MAX_OBJECTS).unwrap() + 1);
    ready.wrong(Errno::Inval, |submit| submit.object_count = u32::MAX);
    ready.wrong(Errno::Inval, |submit| submit.fence_count = 17);
    ready.wrong(Errno::Inval, |submit| submit.fence_count = u32::MAX);
    for engine in [5, 63, 64, u32::MAX] {
        ready.wrong(Errno::Inval, |submit| submit.engine = engine);
    }
    ready.wrong(Errno::NoEnt, |submit| submit.context += 1);
    ready.wrong(Errno::NoEnt, |submit| submit.context = u32::MAX);
    ready.works();
}

#[test]
fn a_batch_outside_its_object_or_not_of_quadwords_is_einval() {
    let mut ready = Ready::new("tgl");
    let size = u32::try_from(ready.code.size).unwrap();
    for (start, len) in [
        (4, 0),
        (0, 4),
        (1, 8),
        (size, 0),
        (size, 8),
        (size - 8, 16),
        (0, size + 8),
        (u32::MAX - 7, 8),
        (u32::MAX - 7, 0),
        (8, u32::MAX - 7),
    ] {
        ready.wrong(Errno::Inval, |submit| (submit.batch_start, submit.batch_len) = (start, len));
    }
    ready.works();
}

#[test]
fn a_batch_may_begin_anywhere_in_its_object_and_be_its_first_object() {
    let mut ready = Ready::new("skl");
    let end = u32::try_from(ready.code.size).unwrap();
    ready.rig.poke(ready.code.physical + u64::from(end) - 24, &batch::store(DATA + 8, 9));
    ready.rig.poke(ready.code.physical, &[0xffff_ffff; 8]);
    let list = [ready.list[1], ready.list[0]];
    let mut submit = ready.rig.write_submit(0, ready.context, BLITTER, &list, &[]);
    (submit.batch_start, submit.batch_len, submit.flags) = (end - 24, 24, 1);
    ready.rig.op(0, Operation::Submit, &submit).unwrap();
    ready.rig.settle();
    assert_eq!(ready.rig.peek(ready.data.physical + 8), 9);
    ready.rig.check();
}

#[test]
fn lists_outside_the_area_are_efault() {
    let mut ready = Ready::new("tgl");
    let end = ready.rig.area_len(0) as u64;
    for at in [end - 31, end, u64::MAX, u64::MAX - 15] {
        ready.wrong(Errno::Fault, |submit| submit.objects = at);
        ready.wrong(Errno::Fault, |submit| (submit.fences, submit.fence_count) = (at, 2));
    }
    ready.works();
}

#[test]
fn wrong_entries_of_the_list_have_their_errors_and_change_nothing() {
    let mut ready = Ready::new("tgl");
    let [data, code] = ready.list;
    let pinned = ObjectFlags::PINNED.bits();
    ready.wrong_list(Errno::NoEnt, &[SubmitObject { handle: 0, ..data }, code]);
    ready.wrong_list(Errno::NoEnt, &[SubmitObject { handle: 77, ..data }, code]);
    ready.wrong_list(Errno::NoEnt, &[data, SubmitObject { handle: u32::MAX, ..code }]);
    ready.wrong_list(Errno::Inval, &[SubmitObject { flags: pinned | 8, ..data }, code]);
    ready.wrong_list(Errno::Inval, &[SubmitObject { flags: u32::MAX, ..data }, code]);
    // The batch is not written.
    ready.wrong_list(Errno::Inval, &[data, writes(code.handle, CODE)]);
    ready.wrong_list(Errno::Inval, &[data, data, code]);
    ready.wrong_list(Errno::Inval, &[SubmitObject { address: 2 * DATA, ..data }, data, code]);
    ready.wrong_list(Errno::Inval, &[data, code, code]);
    for address in [1, DATA + 8, 0x8000_0000_0000, 1 << 63, u64::MAX] {
        ready.wrong_list(Errno::Inval, &[SubmitObject { address, ..data }, code]);
    }
    // Part of the object would be beyond the address space.
    ready.wrong_list(Errno::Inval, &[SubmitObject { address: 0xffff_ffff_ffff_f000, ..data }, code]);
    ready.works();
}

#[test]
fn objects_that_overlap_each_other_are_einval_and_nothing_is_bound() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let (a, b) = (rig.region(0, 4), rig.region(0, 2));
    let objects = [rig.userptr(0, a), rig.userptr(0, b)];
    rig.poke(b.physical, &[batch::END, 0]);
    let apart = [reads(objects[0], DATA), reads(objects[1], CODE)];
    rig.run(0, context, BLITTER, &apart, &[], &[a, b]).unwrap();
    rig.settle();
    // In another address space both are new.
    let fresh = rig.context_create(0, 0, &[]).unwrap();
    for at in [DATA, DATA + 0x3000, DATA - 0x1000] {
        let list = [reads(objects[0], DATA), reads(objects[1], at)];
        for context in [fresh, context] {
            let submit = rig.write_submit(0, context, BLITTER, &list, &[]);
            rig.refused(0, Operation::Submit, &submit, Errno::Inval);
        }
    }
    rig.submit(0, context, BLITTER, &apart, &[]).unwrap();
    rig.submit(0, fresh, BLITTER, &apart, &[]).unwrap();
    rig.settle();
    rig.check();
}

#[test]
fn an_object_in_the_place_of_another_that_is_bound_is_einval_and_stays_where_it_was() {
    let mut ready = Ready::new("tgl");
    let third = ready.rig.region(0, 1);
    let object = ready.rig.userptr(0, third);
    let elsewhere = [ready.list[0], reads(object, 4 * DATA), ready.list[1]];
    let [data, code] = [ready.data, ready.code];
    ready.rig.run(0, ready.context, BLITTER, &elsewhere, &[], &[third, data, code]).unwrap();
    ready.rig.settle();
    // Where the data is, although the data is not in the list.
    let code = ready.list[1];
    ready.wrong_list(Errno::Inval, &[reads(object, DATA + 0x1000), code]);
    // The first would move, the second cannot: neither does.
    ready.wrong_list(Errno::Inval, &[reads(object, 8 * DATA), reads(ready.list[0].handle, CODE), code]);
    ready.rig.submit(0, ready.context, BLITTER, &elsewhere, &[]).unwrap();
    ready.rig.settle();
    ready.works();
}

#[test]
fn an_idle_object_moves_where_the_next_submission_wants_it() {
    for platform in ["skl", "tgl"] {
        let mut ready = Ready::new(platform);
        let bindings = ready.rig.driver.census().bindings;
        let list = [writes(ready.list[0].handle, 2 * DATA), ready.list[1]];
        ready.rig.poke(ready.code.physical, &batch::store(2 * DATA, 3));
        ready.rig.submit(0, ready.context, BLITTER, &list, &[]).unwrap();
        ready.rig.settle();
        assert_eq!(ready.rig.peek(ready.data.physical), 3, "{platform}");
        assert_eq!(ready.rig.driver.census().bindings, bindings);
        // By one page: the old and the new range overlap.
        let list = [writes(ready.list[0].handle, 2 * DATA + 0x1000), ready.list[1]];
        ready.rig.poke(ready.code.physical, &batch::store(2 * DATA + 0x1000, 4));
        ready.rig.submit(0, ready.context, BLITTER, &list, &[]).unwrap();
        ready.rig.settle();
        assert_eq!(ready.rig.peek(ready.data.physical), 4, "{platform}");
        assert_eq!(ready.rig.driver.census().bindings, bindings);
        ready.rig.check();
    }
}

#[test]
fn an_object_that_runs_cannot_move() {
    let mut ready = Ready::new("tgl");
    ready.rig.set_timing(Timing::Busy);
    let list = ready.list;
    ready.rig.submit(0, ready.context, BLITTER, &list, &[]).unwrap();
    ready.wrong_list(Errno::Busy, &[writes(list[0].handle, 2 * DATA), list[1]]);
    ready.rig.set_timing(Timing::Instant);
    ready.rig.settle();
    assert_eq!(ready.rig.peek(ready.data.physical), 1);
    ready.works();
}

#[test]
fn two_idle_objects_change_places() {
    let mut ready = Ready::new("tgl");
    let other = ready.rig.region(0, 4);
    let object = ready.rig.userptr(0, other);
    let [data, code] = ready.list;
    let list = [data, writes(object, 4 * DATA), code];
    let regions = [other, ready.data, ready.code];
    ready.rig.run(0, ready.context, BLITTER, &list, &[], &regions).unwrap();
    ready.rig.settle();
    ready.rig.poke(ready.data.physical, &[0]);
    let swapped = [writes(data.handle, 4 * DATA), writes(object, DATA), code];
    ready.rig.submit(0, ready.context, BLITTER, &swapped, &[]).unwrap();
    ready.rig.settle();
    assert_eq!((ready.rig.peek(other.physical), ready.rig.peek(ready.data.physical)), (1, 0));
    ready.rig.check();
}

#[test]
fn wrong_fences_have_their_errors() {
    let mut ready = Ready::new("tgl");
    let own = Fence { timeline: 0, flags: 0, point: 1 };
    for flags in [2, 3, 1 << 31] {
        ready.wrong_fences(Errno::Inval, &[Fence { flags, ..own }]);
    }
    ready.wrong_fences(Errno::Inval, &[Fence { flags: Fence::START, ..own }; 2]);
    ready.wrong_fences(Errno::Inval, &[Fence { point: 2, ..own }]);
    ready.wrong_fences(Errno::Inval, &[Fence { point: u64::MAX, ..own }]);
    ready.wrong_fences(Errno::Inval, &[Fence { timeline: 1, ..own }]);
    ready.wrong_fences(Errno::NoEnt, &[Fence { timeline: 512, ..own }]);
    ready.wrong_fences(Errno::NoEnt, &[own, Fence { timeline: u32::MAX, ..own }]);
    ready.works();
}

#[test]
fn a_refused_submission_to_an_engine_that_was_never_used_makes_no_context_there() {
    let mut ready = Ready::new("tgl");
    let [data, _] = ready.list;
    let fresh = ready.rig.region(0, 1);
    let object = ready.rig.userptr(0, fresh);
    let list = [reads(object, DATA), data];
    let submit = ready.rig.write_submit(0, ready.context, 1, &list, &[]);
    ready.rig.refused(0, Operation::Submit, &submit, Errno::Inval);
    ready.works();
}

#[test]
fn exhausted_memory_or_bindings_in_the_middle_of_a_submission_change_nothing() {
    let mut settings = Settings::new("tgl");
    settings.driver = DriverConfig { bindings: 8, ..DriverConfig::DEFAULT };
    let mut ready = Ready::with(settings);
    let extra: Vec<_> = (0..3).map(|_| ready.rig.region(0, 1)).collect();
    let mut list = vec![ready.list[0]];
    for (at, region) in (1..).zip(&extra) {
        list.push(reads(ready.rig.userptr(0, *region), (at << 30) + CODE));
    }
    list.push(ready.list[1]);
    assert_eq!(ready.rig.submit(0, ready.context, BLITTER, &list, &[]), Err(Errno::Again));
    ready.rig.serve(0, &extra);
    let submit = ready.rig.write_submit(0, ready.context, BLITTER, &list, &[]);
    ready.rig.refused(0, Operation::Submit, &submit, Errno::NoMem);
    // The first one moves meanwhile; it comes back.
    list[0].address = 8 * DATA;
    let submit = ready.rig.write_submit(0, ready.context, BLITTER, &list, &[]);
    ready.rig.refused(0, Operation::Submit, &submit, Errno::NoMem);
    ready.works();
}

#[test]
fn every_slot_of_the_legacy_map_runs_on_its_engine() {
    for platform in ["skl", "tgl"] {
        let mut ready = Ready::new(platform);
        let list = ready.list;
        for engine in 0..5 {
            ready.rig.poke(ready.data.physical, &[0]);
            let fence = ready.rig.submit(0, ready.context, engine, &list, &[]).unwrap();
            ready.rig.settle();
            assert!(ready.rig.reached(0, fence), "{platform}: slot {engine}");
            assert_eq!(ready.rig.peek(ready.data.physical), 1, "{platform}: slot {engine}");
        }
        // Slots 0 and 1 are one engine.
        assert_eq!(ready.rig.driver.census().clients[0].timelines, 4);
        ready.rig.check();
    }
}
