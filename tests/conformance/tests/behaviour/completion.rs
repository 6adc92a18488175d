// SPDX-License-Identifier: BSD-2-Clause
//! Completed points, fences, timelines.

use conformance::wire::{reads, writes};
use conformance::{Region, Rig, batch};
use gpu_model::Timing;
use gpu_protocol::{ContextCreate, Errno, Fence, SubmitObject};

const CODE: u64 = 0x4000_0000;
const DATA: u64 = 0x20_0000;
const GATE: u64 = 0x30_0000;
const BLITTER: u32 = 3;
const RENDER: u32 = 1;
const VIDEO: u32 = 2;

/// A client with one page of data, one that holds gates shut, and batches that wait for gates.
struct Bench {
    rig: Rig,
    vm: u32,
    platform: &'static str,
    data: Region,
    gate: Region,
    regions: Vec<Region>,
    shared: [SubmitObject; 2],
}

/// A batch: its object and its memory.
struct Job {
    list: Vec<SubmitObject>,
}

impl Bench {
    fn new(platform: &'static str) -> Self {
        let mut rig = Rig::new(platform);
        let vm = rig.vm_create(0).unwrap();
        let (data, gate) = (rig.region(0, 1), rig.region(0, 1));
        let shared = [writes(rig.userptr(0, data), DATA), reads(rig.userptr(0, gate), GATE)];
        Self { rig, vm, platform, data, gate, regions: vec![data, gate], shared }
    }

    /// A batch that waits until dword `gate` of the gates is 1 and then stores `value` at dword `to`.
    fn job(&mut self, gate: u64, to: u64, value: u32) -> Job {
        let code = self.rig.region(0, 1);
        let at = CODE + ((self.regions.len() as u64) << 20);
        let dwords = batch::gated_store(self.platform, GATE + 4 * gate, 1, DATA + 4 * to, value);
        self.rig.poke(code.physical, &dwords);
        self.regions.push(code);
        let mut list = self.shared.to_vec();
        list.push(reads(self.rig.userptr(0, code), at));
        Job { list }
    }

    fn start(&mut self, context: u32, engine: u32, job: &Job, fences: &[Fence]) -> Fence {
        let regions = self.regions.clone();
        self.rig.run(0, context, engine, &job.list, fences, &regions).unwrap()
    }

    fn open(&mut self, gate: u64) {
        self.rig.poke(self.gate.physical + 4 * gate, &[1]);
        self.rig.settle();
    }

    fn data(&self, at: u64) -> u32 {
        self.rig.peek(self.data.physical + 4 * at)
    }

    fn reached(&self, fence: Fence) -> bool {
        self.rig.reached(0, fence)
    }

    /// Lets timeslices pass.
    fn slices(&mut self) {
        assert!(!self.rig.wait(100_000_000, |_| false));
        self.rig.settle();
    }
}

#[test]
fn points_of_a_context_grow_by_one_and_are_reached_in_order() {
    let mut bench = Bench::new("tgl");
    let context = bench.rig.context(0, bench.vm);
    let jobs: Vec<_> = (0..5).map(|at| bench.job(at, at, 1)).collect();
    let fences: Vec<_> = jobs.iter().map(|job| bench.start(context, BLITTER, job, &[])).collect();
    assert_eq!(fences.iter().map(|fence| fence.point).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(fences.iter().all(|fence| fence.timeline == fences[0].timeline));
    let woken = bench.rig.notified(0);
    for gate in [4, 2, 1, 3] {
        bench.open(gate);
        assert_eq!(bench.rig.point(0, 0), 0, "the first holds all others up");
    }
    assert_eq!(bench.rig.notified(0), woken);
    bench.open(0);
    assert_eq!(bench.rig.point(0, 0), 5);
    assert!(bench.rig.notified(0) > woken);
    bench.rig.check();
}

#[test]
fn a_fence_of_another_engine_holds_a_batch_up_until_it_is_reached() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let context = bench.rig.context(0, bench.vm);
        let (first, second) = (bench.job(0, 0, 1), bench.job(1, 1, 1));
        let before = bench.start(context, RENDER, &first, &[]);
        bench.open(1);
        let after = bench.start(context, BLITTER, &second, &[before]);
        assert_ne!(before.timeline, after.timeline);
        bench.slices();
        assert_eq!((bench.data(0), bench.data(1)), (0, 0), "{platform}: it must not overtake");
        bench.open(0);
        bench.slices();
        assert_eq!((bench.data(0), bench.data(1)), (1, 1), "{platform}");
        assert!(bench.reached(before) && bench.reached(after));
        // A reached fence holds nothing up.
        let again = bench.start(context, BLITTER, &second, &[before, after]);
        bench.rig.settle();
        assert!(bench.reached(again));
        bench.rig.check();
    }
}

#[test]
fn a_context_with_a_single_timeline_runs_its_batches_in_order_on_all_engines() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let flags = ContextCreate::SINGLE_TIMELINE;
        let vm = conformance::wire::param(gpu_protocol::ContextParam::VM, bench.vm.into());
        let context = bench.rig.context_create(0, flags, &[vm]).unwrap();
        let jobs: Vec<_> = (0..3).map(|at| bench.job(at, at, 1)).collect();
        let fences: Vec<_> = jobs
            .iter()
            .zip([RENDER, BLITTER, VIDEO])
            .map(|(job, engine)| bench.start(context, engine, job, &[]))
            .collect();
        assert_eq!(fences.iter().map(|fence| fence.point).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(fences.iter().all(|fence| fence.timeline == fences[0].timeline), "{platform}");
        bench.open(2);
        bench.open(1);
        bench.slices();
        assert_eq!(bench.rig.point(0, fences[0].timeline.into()), 0);
        assert_eq!([bench.data(0), bench.data(1), bench.data(2)], [0; 3], "{platform}");
        bench.open(0);
        bench.slices();
        assert_eq!([bench.data(0), bench.data(1), bench.data(2)], [1; 3], "{platform}");
        assert_eq!(bench.rig.point(0, fences[0].timeline.into()), 3);
        bench.rig.check();
    }
}

#[test]
fn a_new_context_does_not_get_the_place_of_a_destroyed_one_that_still_runs() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let before = bench.rig.driver.census();
        let (slow, fast) = (bench.job(0, 0, 1), bench.job(1, 1, 1));
        let old = bench.rig.context(0, bench.vm);
        let old_fence = bench.start(old, RENDER, &slow, &[]);
        bench.rig.context_destroy(0, old).unwrap();
        let new = bench.rig.context(0, bench.vm);
        bench.open(1);
        let new_fence = bench.start(new, BLITTER, &fast, &[]);
        bench.slices();
        assert!(bench.reached(new_fence));
        assert!(!bench.reached(old_fence), "{platform}: the old batch still runs");
        // And it can still be waited for.
        let third = bench.job(1, 2, 1);
        let waiting = bench.start(new, BLITTER, &third, &[old_fence]);
        bench.slices();
        assert!(!bench.reached(waiting));
        bench.open(0);
        bench.slices();
        assert!([old_fence, new_fence, waiting].iter().all(|fence| bench.reached(*fence)), "{platform}");
        bench.rig.context_destroy(0, new).unwrap();
        bench.rig.settle();
        let after = bench.rig.driver.census();
        assert_eq!((after.contexts, after.clients[0].timelines), (before.contexts, 0));
        bench.rig.check();
    }
}

#[test]
fn a_place_that_is_used_again_never_makes_an_old_fence_open() {
    let mut bench = Bench::new("tgl");
    bench.open(0);
    let job = bench.job(0, 0, 1);
    let mut fences: Vec<Fence> = Vec::new();
    for round in 0..20 {
        let context = bench.rig.context(0, bench.vm);
        let fence =
            bench.start(context, BLITTER, &job, &fences.last().copied().into_iter().collect::<Vec<_>>());
        bench.rig.settle();
        if round % 3 != 2 {
            bench.rig.context_destroy(0, context).unwrap();
        }
        fences.push(fence);
        assert!(fences.iter().all(|fence| bench.reached(*fence)), "round {round}");
    }
    assert!(fences.iter().any(|fence| fence.point > 2), "places were used again");
    // The old ones are still good to wait for, and one that was never given is still wrong.
    let context = bench.rig.context(0, bench.vm);
    let last = fences[fences.len() - 16..].to_vec();
    bench.start(context, BLITTER, &job, &last);
    bench.rig.settle();
    let place = fences[0];
    let highest =
        fences.iter().filter(|fence| fence.timeline == place.timeline).map(|fence| fence.point).max();
    let never = Fence { point: highest.unwrap() + 2, ..place };
    assert_eq!(bench.rig.submit(0, context, BLITTER, &job.list, &[never]), Err(Errno::Inval));
    bench.rig.check();
}

#[test]
fn destroying_a_context_lets_its_batches_finish_and_gives_everything_back_afterwards() {
    for platform in ["skl", "tgl"] {
        let mut bench = Bench::new(platform);
        let before = bench.rig.driver.census();
        let job = bench.job(0, 0, 7);
        let context = bench.rig.context_create(0, 0, &[]).unwrap();
        let fences = [0; 4].map(|_| bench.start(context, BLITTER, &job, &[]));
        bench.rig.context_destroy(0, context).unwrap();
        for object in 1..=3 {
            bench.rig.close(0, object).unwrap();
        }
        assert_eq!(bench.rig.domain.held(), 3);
        assert_eq!(bench.rig.driver.census().clients[0].handles, [0, 1, 0]);
        bench.open(0);
        assert!(fences.iter().all(|fence| bench.reached(*fence)));
        assert_eq!(bench.data(0), 7);
        bench.rig.settle();
        bench.rig.driver.tick(&mut bench.rig.domain);
        assert_eq!(bench.rig.domain.held(), 0);
        let after = bench.rig.driver.census();
        assert_eq!((after.spaces, after.bindings, after.objects), (before.spaces, 0, 0), "{platform}");
        assert_eq!(after.hardware[2], 0, "no request is left");
        assert_eq!(after.clients[0].driver_pages, before.clients[0].driver_pages, "{platform}");
        bench.rig.check();
    }
}

#[test]
fn an_address_space_goes_also_when_its_context_leaves_the_hardware_after_its_last_completion() {
    let mut bench = Bench::new("tgl");
    let before = bench.rig.driver.census();
    bench.rig.set_timing(Timing::Deferred);
    let job = bench.job(0, 0, 1);
    bench.rig.poke(bench.gate.physical, &[1]);
    let context = bench.rig.context_create(0, 0, &[]).unwrap();
    let fence = bench.start(context, BLITTER, &job, &[]);
    bench.rig.context_destroy(0, context).unwrap();
    // One unit of work at a time, so that every interrupt is seen alone.
    for _ in 0..10_000 {
        if bench.rig.model().step(1) == 0 && !bench.rig.take_interrupts() {
            break;
        }
        bench.rig.take_interrupts();
    }
    assert!(bench.reached(fence));
    let after = bench.rig.driver.census();
    assert_eq!((after.spaces, after.dying_spaces), (before.spaces, 0));
    bench.rig.check();
}
