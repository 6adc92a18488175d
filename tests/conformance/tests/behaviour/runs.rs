// SPDX-License-Identifier: BSD-2-Clause
//! Requests that a ring holds one after the other and that say the same: they cost less, and nobody can tell otherwise.

use std::collections::BTreeMap;

use conformance::wire::{reads, writes};
use conformance::{Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{
    Errno, Fence, ObjectFlags, RingAnswer, RingFlags, RingRequest, Submit, SubmitFlags, SubmitObject,
};
use proptest::prelude::*;
use zerocopy::IntoBytes;

use crate::rings::{BLITTER, CODE, DATA, Raw};

/// Where the lists of requests are in the message area, so far from each other.
const LISTS: usize = 12 << 10;
const LIST_BYTES: usize = 512;
/// Bytes between one batch and the next in an object.
pub(crate) const BATCH: u32 = 32;

/// A request of client 0 with a list and fences of its own.
pub(crate) fn request(rig: &mut Rig, number: usize, context: u32, objects: &[SubmitObject]) -> RingRequest {
    let at = LISTS + number % 32 * LIST_BYTES;
    rig.write_area(0, at, objects.as_bytes());
    let submit = Submit {
        context,
        engine: BLITTER,
        objects: at as u64,
        object_count: u32::try_from(objects.len()).unwrap(),
        batch_start: 0,
        batch_len: 0,
        flags: 0,
        fences: 0,
        fence_count: 0,
        rsvd: 0,
    };
    RingRequest { submit, user: number as u64, flags: 0, rsvd: 0 }
}

/// A client whose object of batches stores `number + 1` into dword `number` with its batch `number`.
pub(crate) fn client(rig: &mut Rig) -> Raw {
    let raw = Raw::new(rig, 0);
    for number in 0..64 {
        let batch = batch::store(DATA + 4 * u64::from(number), number + 1);
        rig.poke(raw.regions[1].physical + u64::from(number * BATCH), &batch);
    }
    raw
}

/// The number and the errno of each answer.
pub(crate) fn outcomes(answers: &[RingAnswer]) -> Vec<(u64, u32)> {
    answers.iter().map(|answer| (answer.user, answer.errno)).collect()
}

#[test]
fn requests_that_say_the_same_share_what_keeps_their_objects_and_others_do_not() {
    let mut rig = Rig::new("tgl");
    let mut raw = client(&mut rig);
    rig.set_timing(Timing::Deferred);
    let (list, context) = (raw.list, raw.context);
    let before = rig.driver.census();
    // The fourth one names its objects the other way round, with the batch first.
    let turned = [list[1], list[0]];
    for number in 0..8_usize {
        let objects = if number == 4 { turned } else { list };
        let mut said = request(&mut rig, number, context, &objects);
        said.submit.flags = u32::from(number == 4);
        said.submit.batch_start = u32::try_from(number).unwrap() * BATCH;
        said.submit.batch_len = 24;
        assert!(raw.push(said));
    }
    rig.notify_driver();
    let during = rig.driver.census();
    assert_eq!(during.jobs - before.jobs, 8);
    assert_eq!(
        during.uses - before.uses,
        3 * 2,
        "one chain for what is before it, one for it, one for the rest"
    );
    rig.settle();
    let answers = raw.answers();
    assert_eq!(outcomes(&answers), (0..8).map(|number| (number, 0)).collect::<Vec<_>>());
    for (number, pair) in answers.windows(2).enumerate() {
        assert_eq!(pair[1].point, pair[0].point + 1, "after {number}");
    }
    for number in 0..8 {
        assert_eq!(rig.peek(raw.regions[0].physical + 4 * number), u32::try_from(number).unwrap() + 1);
    }
    assert_eq!(rig.driver.census(), before);
    rig.check();
}

#[test]
fn an_object_that_is_closed_stays_until_the_last_request_of_its_run() {
    for capacity in [1, 2, 7] {
        let mut rig = Rig::new("skl");
        let mut raw = client(&mut rig);
        rig.set_timing(Timing::Deferred);
        let (list, context) = (raw.list, raw.context);
        for number in 0..capacity {
            let said = request(&mut rig, number, context, &list);
            assert!(raw.push(said));
        }
        rig.notify_driver();
        let (objects, held) = (rig.driver.census().objects, rig.snapshot().held);
        for object in list {
            rig.close(0, object.handle).unwrap();
        }
        assert_eq!((rig.driver.census().objects, rig.snapshot().held), (objects, held));
        rig.settle();
        assert_eq!(raw.answers().len(), capacity);
        assert_eq!((rig.driver.census().objects, rig.snapshot().held), (objects - 2, held - 2));
        rig.check();
    }
}

#[test]
fn one_of_a_run_that_hangs_is_answered_with_eio_and_the_others_are_not() {
    let mut settings = Settings::new("tgl");
    // A batch without end executes less of it a step.
    settings.options.instant_budget = 2_000;
    let mut rig = Rig::with(settings);
    let mut raw = client(&mut rig);
    let before = rig.snapshot();
    let endless = 40;
    rig.poke(
        raw.regions[1].physical + u64::from(endless * BATCH),
        &batch::endless(CODE + u64::from(endless * BATCH)),
    );
    let (list, context) = (raw.list, raw.context);
    for (number, start) in [0, 1, endless, 3, 4].into_iter().enumerate() {
        let mut said = request(&mut rig, number, context, &list);
        said.submit.batch_start = start * BATCH;
        assert!(raw.push(said));
    }
    rig.notify_driver();
    assert_eq!(rig.driver.census().uses - before.census.uses, 2, "a run");
    let mut answers = vec![];
    let answered = rig.wait(60_000_000_000, |_| {
        answers.extend(raw.answers());
        answers.len() == 5
    });
    assert!(answered, "{answers:?}");
    let eio = u32::from(Errno::Io.number());
    assert_eq!(outcomes(&answers), [(0, 0), (1, 0), (2, eio), (3, 0), (4, 0)]);
    let after = rig.driver.census();
    assert_eq!((after.jobs, after.uses), (before.census.jobs, before.census.uses));
}

#[test]
fn an_invalidation_waits_for_every_request_of_a_run() {
    let mut rig = Rig::new("tgl");
    let mut raw = client(&mut rig);
    rig.set_timing(Timing::Deferred);
    let (list, context, [data, _]) = (raw.list, raw.context, raw.regions);
    for number in 0..5 {
        let said = request(&mut rig, number, context, &list);
        assert!(raw.push(said));
    }
    rig.notify_driver();
    let ticket = rig.invalidate(0, data.address, data.address + data.size).unwrap();
    assert!(!ticket.is_done(), "{ticket:?}");
    rig.settle();
    assert!(rig.invalidate_status(0, ticket.ticket).unwrap().is_done());
    assert_eq!(outcomes(&raw.answers()), (0..5).map(|number| (number, 0)).collect::<Vec<_>>());
    rig.check();
}

#[test]
fn a_client_that_leaves_the_place_to_the_driver_is_told_it_for_every_request() {
    let mut rig = Rig::new("tgl");
    let mut raw = client(&mut rig);
    rig.set_timing(Timing::Deferred);
    let context = raw.context;
    let placed = SubmitObject { flags: ObjectFlags::WRITE.bits(), address: 0x7000_0000, ..raw.list[0] };
    for number in 0..4 {
        let said = request(&mut rig, number, context, &[placed, raw.list[1]]);
        assert!(raw.push(said));
    }
    rig.notify_driver();
    for number in 0..4 {
        let entry = rig.read_area(0, LISTS + number * LIST_BYTES, size_of::<SubmitObject>());
        assert_eq!(entry[8..], DATA.to_le_bytes(), "request {number}: it stays where it was bound");
    }
    rig.settle();
    assert_eq!(outcomes(&raw.answers()), (0..4).map(|number| (number, 0)).collect::<Vec<_>>());
    rig.check();
}

#[test]
fn a_run_ends_when_somebody_elses_request_finds_that_a_page_of_it_was_revoked() {
    let mut ended_within = 0;
    // Of eight requests one is looked at; which, depends on how many came before.
    for before in 0..16 {
        let mut rig = Rig::new("tgl");
        let (mut raw, mut other) = (client(&mut rig), Raw::new(&mut rig, 1));
        let shared = raw.list.map(|entry| {
            let name = rig.export(0, entry.handle, 1).unwrap();
            rig.import(1, name).unwrap()
        });
        let (list, context) = (raw.list, raw.context);
        for _ in 0..before {
            rig.submit(0, context, BLITTER, &list, &[]).unwrap();
        }
        rig.settle();
        rig.set_timing(Timing::Deferred);
        for region in raw.regions {
            rig.domain.revoke(region.physical);
        }
        for number in 0..32 {
            let said = request(&mut rig, number, context, &list);
            assert!(raw.push(said));
            // Each of these says something else than the one before, and so may be looked at.
            let objects = [writes(shared[0], DATA + 0x100_0000), reads(shared[1], CODE + 0x100_0000)];
            let order = number % 2;
            let objects = [objects[order], objects[1 - order]];
            rig.write_area(1, LISTS + number * LIST_BYTES, objects.as_bytes());
            let flags = SubmitFlags::BATCH_FIRST.bits() * u32::from(order == 1);
            let submit = Submit { context: other.context, flags, ..said.submit };
            assert!(other.push(RingRequest { submit, ..said }));
        }
        rig.notify_driver();
        // What was refused is answered at once; what was accepted has not run.
        let again = u32::from(Errno::Again.number());
        let (refused, refused_others) = (outcomes(&raw.answers()), outcomes(&other.answers()));
        let first = refused.first().map_or(32, |answer| answer.0);
        assert_eq!(refused, (first..32).map(|number| (number, again)).collect::<Vec<_>>());
        // By turns: who comes first in a turn may have had its before the page was found.
        let found = refused_others.first().map_or(32, |answer| answer.0);
        assert!(first == found || first == found + 1, "{first} {found} after {before}");
        ended_within += u32::from((1..32).contains(&first));
    }
    assert!(ended_within > 4, "{ended_within} runs met a look");
}

/// One request of a sequence.
#[derive(Clone, Debug)]
struct Step {
    /// Which of three contexts; the last does not exist.
    context: usize,
    engine: u32,
    /// Which list.
    list: usize,
    start: u32,
    length: u32,
    /// It waits for a point of a timeline, which perhaps nobody has been given.
    waits: Option<(u32, u64)>,
    early: bool,
    /// In the words that have to be 0.
    rsvd: u32,
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly what was said before, or there would be no runs.
    let mostly = |usual: u32, others: std::ops::Range<u32>| prop_oneof![8 => Just(usual), 1 => others];
    (
        prop_oneof![12 => 0..2_usize, 1 => Just(2_usize)],
        mostly(BLITTER, 0..6),
        prop_oneof![10 => Just(0_usize), 3 => 1..9_usize],
        prop_oneof![
            20 => (0..64_u32).prop_map(|number| number * BATCH),
            1 => (0..64_u32).prop_map(|number| number * BATCH + 4),
            1 => (512..600_u32).prop_map(|number| number * 8),
        ],
        mostly(24, 0..5000),
        prop::option::weighted(0.1, (0..2_u32, 1..12_u64)),
        prop::bool::weighted(0.1),
        prop_oneof![20 => Just(0_u32), 1 => Just(1_u32)],
    )
        .prop_map(|(context, engine, list, start, length, waits, early, rsvd)| Step {
            context,
            engine,
            list,
            start,
            length,
            waits,
            early,
            rsvd,
        })
}

/// What can be seen of a sequence of requests.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Of each request: where and when it was over, and its errno.
    answers: BTreeMap<u64, (u32, u64, u32)>,
    data: Vec<u32>,
    census: intel_gpu::uapi::Census,
    submitted: u64,
}

/// Plays a sequence: `turns` says after how many requests the driver looks.
fn play(platform: &'static str, timing: Timing, steps: &[Step], turns: usize) -> Seen {
    let mut rig = Rig::new(platform);
    let mut raw = client(&mut rig);
    let vm = rig.vm_create(0).unwrap();
    let other = rig.context(0, vm);
    // The objects are bound there as well, elsewhere.
    let (list, regions) = (raw.list, raw.regions);
    let elsewhere = [SubmitObject { address: DATA + 0x1000_0000, ..list[0] }, list[1]];
    rig.submit(0, other, BLITTER, &elsewhere, &[]).unwrap();
    rig.settle();
    let missing = rig.region(0, 1);
    let missing = rig.userptr(0, missing);
    rig.set_timing(timing);
    let lists: [Vec<SubmitObject>; 9] = [
        list.to_vec(),
        vec![list[1]],
        vec![writes(list[0].handle, DATA + 0x1000_0000), list[1]],
        vec![SubmitObject { flags: ObjectFlags::WRITE.bits(), ..list[0] }, list[1]],
        vec![SubmitObject { flags: 0, address: 0x1000, ..list[0] }, list[1]],
        vec![reads(list[0].handle, DATA), list[1]],
        vec![list[0], list[0], list[1]],
        vec![reads(missing, 0x100_0000), list[1]],
        vec![reads(77, 0x100_0000), list[1]],
    ];
    let mut answers = BTreeMap::new();
    let mut take = |raw: &mut Raw| {
        for answer in raw.answers() {
            let before = answers.insert(answer.user, (answer.timeline, answer.point, answer.errno));
            assert_eq!(before, None, "request {} is answered twice", answer.user);
        }
    };
    for (number, step) in steps.iter().enumerate() {
        let context = [raw.context, other, 4711][step.context];
        let mut said = request(&mut rig, number, context, &lists[step.list]);
        said.submit.engine = step.engine;
        said.submit.batch_start = step.start;
        said.submit.batch_len = step.length;
        said.submit.rsvd = step.rsvd;
        if step.early {
            said.flags = RingFlags::ANSWER_EARLY.bits();
        }
        if let Some((timeline, point)) = step.waits {
            let fence = Fence { timeline, flags: 0, point };
            let at = LISTS + number % 32 * LIST_BYTES + LIST_BYTES / 2;
            rig.write_area(0, at, fence.as_bytes());
            (said.submit.fences, said.submit.fence_count) = (at as u64, 1);
        }
        assert!(raw.push(said));
        if number % turns == turns - 1 || number + 1 == steps.len() {
            rig.notify_driver();
        }
    }
    take(&mut raw);
    rig.settle();
    take(&mut raw);
    rig.check();
    let data = (0..64).map(|number| rig.peek(regions[0].physical + 4 * number)).collect();
    let submitted = rig.driver.gpu().statistics().submitted;
    Seen { answers, data, census: rig.driver.census(), submitted }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn nobody_can_tell_a_run_from_requests_that_are_served_one_by_one(
        steps in prop::collection::vec(step(), 1..32),
        gen12 in any::<bool>(),
        deferred in any::<bool>(),
    ) {
        let platform = if gen12 { "tgl" } else { "skl" };
        let timing = if deferred { Timing::Deferred } else { Timing::Instant };
        let one_by_one = play(platform, timing, &steps, 1);
        prop_assert_eq!(one_by_one.answers.len(), steps.len());
        prop_assert_eq!(&play(platform, timing, &steps, usize::MAX), &one_by_one);
    }
}
