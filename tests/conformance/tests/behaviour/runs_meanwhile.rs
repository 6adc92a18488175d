// SPDX-License-Identifier: BSD-2-Clause
//! Runs (`runs`) of a client that appends requests while the driver serves it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use conformance::wire::{reads, writes};
use conformance::{Domain, Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{Connect, ContextParam, Errno, ObjectFlags, Operation, RingFlags, SubmitObject, VERSION};
use gpu_ring::Words;
use intel_gpu::address::DeviceAddress;
use intel_gpu::uapi::{Frame, FrameError, Source};
use proptest::prelude::*;

use crate::rings::{BLITTER, CODE, DATA, Raw};
use crate::runs::{BATCH, client, outcomes, request};

/// What the driver is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// It looks at the rings of client 0.
    Rings,
    /// It reads there in the message area of client 0.
    Reads(u64),
}

/// A domain whose client 0 does something at some of the driver's moments.
struct Meanwhile<'a, F> {
    inner: &'a mut Domain,
    then: F,
}

impl<F: Fn(Moment)> intel_gpu::uapi::Domain for Meanwhile<'_, F> {
    fn area_len(&self, client: usize) -> usize {
        self.inner.area_len(client)
    }

    fn read_area(&self, client: usize, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        if client == 0 {
            (self.then)(Moment::Reads(offset));
        }
        self.inner.read_area(client, offset, bytes)
    }

    fn write_area(&mut self, client: usize, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.inner.write_area(client, offset, bytes)
    }

    fn rings(&self, client: usize) -> Option<&dyn Words> {
        if client == 0 {
            (self.then)(Moment::Rings);
        }
        self.inner.rings(client)
    }

    fn publish_point(&mut self, client: usize, timeline: usize, point: u64) {
        self.inner.publish_point(client, timeline, point);
    }

    fn notify(&mut self, client: usize) {
        self.inner.notify(client);
    }

    fn take_frame(&mut self, source: Source, slot: u32, write: bool) -> Result<Frame, FrameError> {
        self.inner.take_frame(source, slot, write)
    }

    fn adopt_frames(&mut self, slot: u32, device: DeviceAddress, pages: u32) {
        self.inner.adopt_frames(slot, device, pages);
    }

    fn is_held(&mut self, slot: u32, device: DeviceAddress) -> bool {
        self.inner.is_held(slot, device)
    }

    fn map_frame(&mut self, frame: Frame, page_bits: u32, write: bool) -> Result<DeviceAddress, FrameError> {
        self.inner.map_frame(frame, page_bits, write)
    }

    fn release_frame(&mut self, slot: u32) {
        self.inner.release_frame(slot);
    }
}

/// The second request fixes what the first one left to the driver, or the other way round, and is the last one that the driver sees
/// in the ring then; the third one, which says what the first one said, comes in the same turn.
#[test]
fn what_the_last_request_of_a_turn_says_of_places_counts_although_it_repeats_a_list() {
    for last_fixes in [false, true] {
        let mut rig = Rig::new("tgl");
        let mut raw = client(&mut rig);
        let (list, context) = (raw.list, raw.context);
        let region = rig.region(0, 1);
        let third = rig.userptr(0, region);
        rig.run(0, context, BLITTER, &[reads(third, 0x90_0000), list[1]], &[], &[region]).unwrap();
        rig.settle();
        rig.set_timing(Timing::Deferred);
        let hinted = [SubmitObject { flags: ObjectFlags::WRITE.bits(), ..list[0] }, list[1]];
        let [usual, between] = if last_fixes { [list, hinted] } else { [hinted, list] };
        let first = request(&mut rig, 0, context, &usual);
        let second = request(&mut rig, 1, context, &between);
        let last = Cell::new(Some(request(&mut rig, 2, context, &usual)));
        assert!(raw.push(first) && raw.push(second));
        let at = Moment::Reads(second.submit.objects);
        let producer = RefCell::new(&mut raw);
        let then = |moment| {
            if moment == at
                && let Some(last) = last.take()
            {
                assert!(producer.borrow_mut().push(last));
            }
        };
        assert!(!rig.driver.serve_rings(&mut Meanwhile { inner: &mut rig.domain, then }));
        rig.settle();
        assert_eq!(outcomes(&raw.answers()), [(0, 0), (1, 0), (2, 0)]);
        // Only what a client has fixed keeps its place from what is fixed there.
        let wanted = [reads(third, DATA), list[1]];
        let refused = rig.submit(0, context, BLITTER, &wanted, &[]).err();
        assert_eq!(refused, last_fixes.then_some(Errno::Inval), "the last request fixes it: {last_fixes}");
        rig.settle();
        rig.check();
    }
}

/// What can be seen of a sequence of requests: the answers, what the batches stored, the books, and who may be moved then.
type Seen = (BTreeMap<u64, (u32, u64, u32)>, Vec<u32>, intel_gpu::uapi::Census, Vec<Option<Errno>>);

/// Plays requests of contexts two of which share an address space; with a seed, they come while the driver serves others.
fn play(timing: Timing, steps: &[(usize, usize, u32)], seed: Option<u64>) -> Seen {
    let mut rig = Rig::new("tgl");
    let mut raw = client(&mut rig);
    let vm = rig.vm_create(0).unwrap();
    let (other, sibling) = (rig.context(0, vm), rig.context(0, vm));
    let region = rig.region(0, 1);
    let third = rig.userptr(0, region);
    let (list, regions, context) = (raw.list, raw.regions, raw.context);
    rig.run(0, context, BLITTER, &[reads(third, 0x90_0000), list[1]], &[], &[region]).unwrap();
    let elsewhere = [SubmitObject { address: DATA + 0x1000_0000, ..list[0] }, list[1]];
    rig.submit(0, other, BLITTER, &elsewhere, &[]).unwrap();
    rig.settle();
    rig.set_timing(timing);
    let hint = |entry: SubmitObject, flags: u32| SubmitObject { flags, ..entry };
    let write = ObjectFlags::WRITE.bits();
    let lists: [Vec<SubmitObject>; 9] = [
        list.to_vec(),
        vec![hint(list[0], write), list[1]],
        vec![hint(list[0], write), hint(list[1], 0)],
        vec![list[0], hint(list[1], 0)],
        vec![reads(third, 0x90_0000), list[0], list[1]],
        vec![hint(reads(third, 0x90_0000), 0), list[1]],
        vec![reads(third, DATA), list[1]],
        vec![reads(third, DATA + 0x1000_0000), list[1]],
        vec![list[1]],
    ];
    let mut requests = VecDeque::new();
    for (number, (which, list, start)) in steps.iter().enumerate() {
        let mut said = request(&mut rig, number, [context, other, sibling][*which], &lists[*list]);
        said.submit.batch_start = start * BATCH;
        said.submit.batch_len = 24;
        requests.push_back(said);
    }
    match seed {
        None => {
            for said in requests {
                assert!(raw.push(said));
                rig.notify_driver();
            }
        }
        Some(seed) => {
            for _ in 0..=seed % 3 {
                if let Some(said) = requests.pop_front() {
                    assert!(raw.push(said));
                }
            }
            let (producer, waiting) = (RefCell::new(&mut raw), RefCell::new(requests));
            let bits = Cell::new(seed);
            let then = |moment| {
                if moment != Moment::Rings {
                    return;
                }
                // Knuth's linear congruential generator (volume 2, 3.3.4).
                bits.set(
                    bits.get()
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407),
                );
                for _ in 0..[0, 1, 1, 2][usize::try_from(bits.get() >> 62).unwrap()] {
                    let Some(said) = waiting.borrow_mut().pop_front() else { return };
                    assert!(producer.borrow_mut().push(said), "there are fewer than fit");
                }
            };
            let mut domain = Meanwhile { inner: &mut rig.domain, then };
            while rig.driver.serve_rings(&mut domain) || !waiting.borrow().is_empty() {}
            rig.driver.serve_rings(&mut domain);
        }
    }
    let mut answers = BTreeMap::new();
    for _ in 0..2 {
        for answer in raw.answers() {
            let before = answers.insert(answer.user, (answer.timeline, answer.point, answer.errno));
            assert_eq!(before, None, "request {} is answered twice", answer.user);
        }
        rig.settle();
    }
    for answer in raw.answers() {
        answers.insert(answer.user, (answer.timeline, answer.point, answer.errno));
    }
    rig.check();
    let data = (0..64).map(|number| rig.peek(regions[0].physical + 4 * number)).collect();
    let census = rig.driver.census();
    let places = [DATA, CODE, DATA + 0x1000_0000].into_iter().flat_map(|at| [(context, at), (other, at)]);
    let refused =
        places.map(|(context, at)| rig.submit(0, context, BLITTER, &[reads(third, at)], &[]).err()).collect();
    (answers, data, census, refused)
}

/// What happens to a client.
#[derive(Clone, Debug)]
enum Life {
    /// It appends a request: context, list, which batch, whether it wants an early answer.
    Push(usize, usize, u32, bool),
    /// The driver is notified.
    Serve,
    /// The GPU makes so many steps.
    Step(u32),
    Destroy(usize),
    Create(usize, usize),
    VmDestroy(usize),
    VmCreate(usize),
    Invalidate(bool),
    /// It submits by call, lending what is missing.
    Lend(usize),
    /// So many milliseconds pass.
    Wait(u32),
    Busy,
}

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        30 => (0..4_usize, 0..5_usize, 0..42_u32, prop::bool::weighted(0.1))
            .prop_map(|(context, list, start, early)| Life::Push(context, list, start, early)),
        6 => Just(Life::Serve),
        6 => (0..3000_u32).prop_map(Life::Step),
        2 => (0..4_usize).prop_map(Life::Destroy),
        3 => (0..4_usize, 0..2_usize).prop_map(|(context, vm)| Life::Create(context, vm)),
        1 => (0..2_usize).prop_map(Life::VmDestroy),
        1 => (0..2_usize).prop_map(Life::VmCreate),
        1 => any::<bool>().prop_map(Life::Invalidate),
        2 => (0..4_usize).prop_map(Life::Lend),
        1 => (1..900_u32).prop_map(Life::Wait),
        2 => Just(Life::Busy),
    ]
}

/// Which batch never ends.
const ENDLESS: u32 = 40;

/// A client's life, to its end: half of them wait for all answers first.
struct World {
    rig: Rig,
    raw: Raw,
    lists: [Vec<SubmitObject>; 5],
    vms: [Option<u32>; 2],
    contexts: [Option<u32>; 4],
    /// Requests that have no answer yet.
    owed: std::collections::BTreeSet<u64>,
    pushed: u64,
}

impl World {
    fn new(mut rig: Rig) -> Self {
        let raw = client(&mut rig);
        let at = u64::from(ENDLESS * BATCH);
        rig.poke(raw.regions[1].physical + at, &batch::endless(CODE + at));
        let list = raw.list;
        let lists = [
            list.to_vec(),
            vec![list[1]],
            vec![SubmitObject { flags: ObjectFlags::WRITE.bits(), ..list[0] }, list[1]],
            vec![writes(list[0].handle, DATA + 0x1000), list[1]],
            vec![reads(list[0].handle, DATA), list[1]],
        ];
        let vms = [rig.vm_create(0).ok(), rig.vm_create(0).ok()];
        let mut contexts = [Some(raw.context), None, None, None];
        for (place, context) in contexts.iter_mut().enumerate().skip(1) {
            *context = vms[place % 2].map(|vm| rig.context(0, vm));
        }
        Self { rig, raw, lists, vms, contexts, owed: std::collections::BTreeSet::new(), pushed: 0 }
    }

    fn take_answers(&mut self) {
        for answer in self.raw.answers() {
            assert!(self.owed.remove(&answer.user), "{answer:?} is owed to nobody");
        }
        self.raw.release();
    }

    fn push(&mut self, context: usize, list: usize, start: u32, early: bool) {
        let handle = self.contexts[context].unwrap_or(4711);
        let mut said = request(&mut self.rig, list, handle, &self.lists[list]);
        said.user = self.pushed;
        // Few of them never end.
        let ends = start != ENDLESS || !self.pushed.is_multiple_of(3);
        said.submit.batch_start = if ends { start % ENDLESS } else { start } * BATCH;
        if early {
            said.flags = RingFlags::ANSWER_EARLY.bits();
        }
        if self.raw.push(said) {
            self.owed.insert(said.user);
            self.pushed += 1;
        }
    }

    fn create(&mut self, place: usize, vm: usize) {
        if self.contexts[place].is_none()
            && let Some(vm) = self.vms[vm]
            && let Ok(context) = self.rig.context_create(0, 0, &[])
        {
            let _ = self.rig.set(0, context, ContextParam::VM, vm.into());
            if self.pushed.is_multiple_of(2) {
                let _ = self.rig.set(0, context, ContextParam::PERSISTENCE, 0);
            }
            self.contexts[place] = Some(context);
        }
    }

    fn live(&mut self, step: &Life) {
        match *step {
            Life::Push(context, list, start, early) => self.push(context, list, start, early),
            Life::Serve => self.rig.notify_driver(),
            Life::Step(count) => {
                self.rig.model().step(count.into());
                self.rig.take_interrupts();
            }
            Life::Destroy(place) => {
                if let Some(context) = self.contexts[place].take() {
                    self.rig.context_destroy(0, context).unwrap();
                }
            }
            Life::Create(place, vm) => self.create(place, vm),
            Life::VmDestroy(place) => {
                if let Some(vm) = self.vms[place].take() {
                    self.rig.vm_destroy(0, vm).unwrap();
                }
            }
            Life::VmCreate(place) => {
                self.vms[place] = self.vms[place].or_else(|| self.rig.vm_create(0).ok());
            }
            Life::Invalidate(which) => {
                let region = self.raw.regions[usize::from(which)];
                let _ = self.rig.invalidate(0, region.address, region.address + region.size);
            }
            Life::Lend(place) => {
                if let Some(context) = self.contexts[place] {
                    let (list, regions) = (self.raw.list, self.raw.regions);
                    let _ = self.rig.run(0, context, BLITTER, &list, &[], &regions);
                }
            }
            Life::Wait(ms) => {
                self.rig.wait(u64::from(ms) * 1_000_000, |_| false);
            }
            Life::Busy => {
                let _ = self.rig.gem_busy(0, self.raw.list[0].handle);
            }
        }
        self.take_answers();
    }

    /// Every request is answered.
    fn finish(&mut self) {
        for _ in 0..400 {
            self.rig.notify_driver();
            self.take_answers();
            if self.owed.is_empty() && self.rig.driver.census().jobs == 0 {
                break;
            }
            self.rig.wait(300_000_000, |_| false);
        }
        assert!(self.owed.is_empty(), "no answer to {:?}", self.owed);
        assert_eq!(self.rig.driver.census().uses, 0);
    }

    /// It begins anew, which ends all that it had.
    fn end(&mut self) {
        let connect = Connect { version: VERSION, flags: Connect::AFRESH };
        let mut done = Err(Errno::Again);
        for _ in 0..400 {
            done = self.rig.op(0, Operation::Connect, &connect).map(drop);
            if done != Err(Errno::Again) {
                break;
            }
            self.rig.wait(300_000_000, |_| false);
        }
        assert_eq!(done, Ok(()));
        self.rig.settle();
        for _ in 0..200 {
            if !self.rig.driver.tick(&mut self.rig.domain) {
                break;
            }
            self.rig.wait(10_000_000, |_| false);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_client_that_appends_while_it_is_served_cannot_tell_runs_either(
        steps in prop::collection::vec(
            (prop_oneof![6 => Just(0_usize), 3 => Just(1_usize), 3 => Just(2_usize)], 0..9_usize, 0..64_u32),
            1..24,
        ),
        seed in any::<u64>(),
        deferred in any::<bool>(),
    ) {
        let timing = if deferred { Timing::Deferred } else { Timing::Instant };
        let one_by_one = play(timing, &steps, None);
        prop_assert_eq!(one_by_one.0.len(), steps.len());
        prop_assert_eq!(play(timing, &steps, Some(seed)), one_by_one);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_client_with_rings_lives_through_nothing_of_it_is_left(
        steps in prop::collection::vec(life(), 1..120),
        gen12 in any::<bool>(),
        deferred in prop::bool::weighted(0.7),
        patient in any::<bool>(),
    ) {
        let mut settings = Settings::new(if gen12 { "tgl" } else { "skl" });
        // A batch without end executes less of it a step.
        settings.options.instant_budget = 2_000;
        let mut rig = Rig::with(settings);
        let before = rig.snapshot();
        if deferred {
            rig.set_timing(Timing::Deferred);
        }
        let mut world = World::new(rig);
        for step in &steps {
            world.live(step);
        }
        if patient {
            world.finish();
        }
        world.end();
        let after = world.rig.snapshot();
        prop_assert_eq!(after.census, before.census);
        prop_assert_eq!(after.held, before.held);
        world.rig.check();
    }
}
