// SPDX-License-Identifier: BSD-2-Clause
//! The scheduler against a specification, by random programs: contexts of random priorities on two engines, requests
//! with random fences that run until they are let go, priorities that change, contexts that are cancelled.
//!
//! The specification knows nothing of queues, ports, or boosts that are kept: it has a list of requests, and works out
//! anew what is urgent by walking through all of it. What it demands, whenever an engine has taken what it was given:
//!
//! - of the contexts that may run, the engine executes the most urgent one and has the second most urgent one next:
//!   nobody who waits is more urgent than either;
//! - it has two if two may run: nobody waits while there is room;
//! - at the end every request was executed once, after those before it in its context and after all that it waited for
//!   (each copies the marks of these into memory before it sets its own), or its context was cancelled.

mod machine;

use gpu_model::{Options, Timing};
use intel_gpu::device::EngineClass;
use intel_gpu::memory::Object;
use intel_gpu::{Config, ContextId, EngineIndex, Error, Fence, Status, Submission, TimelineId};
use machine::random::Random;
use machine::{BATCH_END, Rig, store, va};

const BATCHES: u64 = 0x1000_0000;
const BATCH_BYTES: u64 = 128;
const MARKS: u64 = 0x2000_0000;
const SEEN: u64 = 0x3000_0000;
const GATES: u64 = 0x4000_0000;
/// Requests of a program.
const REQUESTS: usize = 250;
/// Marks that a request copies at most.
const COPIES: usize = 3;

/// A context as the specification knows it.
struct SpecContext {
    id: ContextId,
    timeline: TimelineId,
    engine: EngineIndex,
    priority: i16,
    cancelled: bool,
}

/// A request as the specification knows it.
struct SpecRequest {
    context: usize,
    fence: Fence,
    /// Requests that must be complete before it starts, by number.
    after: Vec<usize>,
    /// The priority that somebody had who waited for it.
    raised: i16,
    done: Option<Status>,
    open: bool,
}

#[derive(Default)]
struct Spec {
    contexts: Vec<SpecContext>,
    requests: Vec<SpecRequest>,
}

impl Spec {
    /// Unfinished requests of a context, oldest first.
    fn unfinished(&self, context: usize) -> impl Iterator<Item = usize> {
        let of = move |request: &SpecRequest| request.context == context && request.done.is_none();
        (0..self.requests.len()).filter(move |request| of(&self.requests[*request]))
    }

    /// How urgent a context is: its own priority, or that of the most urgent one that waits for a request of it.
    fn urgency(&self, context: usize) -> i16 {
        let raised = self.unfinished(context).map(|request| self.requests[request].raised).max();
        raised.map_or(i16::MIN, |raised| raised).max(self.contexts[context].priority)
    }

    /// Somebody of this priority waits for a request, and so for all that is before it in its context, and for what
    /// these wait for.
    fn raise(&mut self, request: usize, priority: i16) {
        let before: Vec<usize> =
            self.unfinished(self.requests[request].context).filter(|other| *other <= request).collect();
        for other in before {
            if self.requests[other].raised < priority {
                self.requests[other].raised = priority;
                self.raise_what_it_waits_for(other, priority);
            }
        }
    }

    fn raise_what_it_waits_for(&mut self, request: usize, priority: i16) {
        for other in self.requests[request].after.clone() {
            let (waiting, waited_for) = (&self.requests[request], &self.requests[other]);
            if waited_for.done.is_none() && waited_for.context != waiting.context {
                self.raise(other, priority);
            }
        }
    }

    /// A context that may run, whatever the GPU can wait for by itself: what is before its first request is complete.
    fn may_run(&self, context: usize) -> bool {
        let first = self.unfinished(context).next();
        first.is_some_and(|first| {
            self.requests[first].after.iter().all(|other| self.requests[*other].done.is_some())
        })
    }
}

struct Program {
    rig: Rig,
    random: Random,
    spec: Spec,
    batches: Object,
    gates: Object,
    seen: Object,
    /// Which marks each request copies.
    copies: Vec<Vec<usize>>,
}

const PRIORITIES: [i16; 6] = [-1023, -1, 0, 0, 1, 1023];

impl Program {
    fn new(platform: &str, seed: u64) -> Self {
        let options = Options { timing: Timing::Deferred, ..Options::default() };
        // Nothing hangs here, and nobody is passed over for long: those have tests of their own.
        let config = Config {
            hang_ns: u64::MAX,
            preempt_timeout_ns: u64::MAX,
            passed_over_ns: u64::MAX,
            ..Config::default()
        };
        let mut rig = Rig::with(platform, options, config);
        let batches = rig.object_at(BATCHES, 8);
        let [_marks, seen, gates] = [MARKS, SEEN, GATES].map(|at| rig.object_at(at, 1));
        let random = Random(seed);
        let mut program =
            Self { rig, random, spec: Spec::default(), batches, gates, seen, copies: Vec::new() };
        for n in 0..8 {
            program.make_context(n < 2);
        }
        program
    }

    /// A context; `shares` the timeline of the first one.
    fn make_context(&mut self, shares: bool) {
        let timeline = match self.spec.contexts.first().filter(|_| shares) {
            Some(first) => first.timeline,
            None => self.rig.gpu.timeline_create().expect("memory"),
        };
        let class = [EngineClass::Copy, EngineClass::Render][self.random.below(2)];
        let engine = self.rig.engine(class);
        let priority = PRIORITIES[self.random.below(PRIORITIES.len())];
        let (account, vm) = (self.rig.account, self.rig.vm);
        let id = self.rig.gpu.context_create(account, engine, vm, timeline, priority).expect("memory");
        self.spec.contexts.push(SpecContext { id, timeline, engine, priority, cancelled: false });
    }

    fn submit(&mut self, gated: bool) {
        let count = self.spec.contexts.len();
        let context = count - 1 - self.random.below(8.min(count));
        let SpecContext { id, timeline, cancelled, priority, .. } = self.spec.contexts[context];
        if cancelled {
            return;
        }
        let number = self.spec.requests.len();
        let mut after = Vec::new();
        let mut waits = Vec::new();
        for _ in 0..self.random.below(3) {
            if number != 0 {
                let other = number - 1 - self.random.below(number.min(12));
                after.push(other);
                waits.push(self.spec.requests[other].fence);
            }
        }
        // The timeline keeps its order, too, whichever contexts its requests are in.
        let of = |other: &usize| self.spec.requests[*other].fence.timeline == timeline;
        let previous = (0..number).rev().find(of);
        after.extend(previous.filter(|other| self.spec.requests[*other].context != context));
        let mut copies: Vec<usize> = after.iter().copied().chain(previous).collect();
        copies.dedup();
        copies.truncate(COPIES);

        let at = number as u64 * BATCH_BYTES;
        let mut dwords = Vec::new();
        for (slot, other) in (0u64..).zip(&copies) {
            let to = SEEN + (number as u64 * COPIES as u64 + slot) * 4;
            dwords.extend([0x1700_0003, low(to), 0, low(MARKS + *other as u64 * 4), 0]);
        }
        if gated {
            dwords.extend(self.wait_for(GATES + number as u64 * 4));
        }
        dwords.extend(store(MARKS + number as u64 * 4, u32::try_from(number + 1).expect("small")));
        dwords.push(BATCH_END);
        dwords.resize(32, 0);
        let bytes: Vec<u8> = dwords.iter().flat_map(|dword| dword.to_le_bytes()).collect();
        self.rig.gpu.object_write(&self.batches, at, &bytes).expect("inside");
        let submission =
            Submission { context: id, batch: va(BATCHES + at), waits: &waits, cookie: number as u64 };
        let submitted = match self.rig.gpu.submit(submission) {
            Ok(submitted) => submitted,
            Err(Error::RingFull) => return,
            Err(error) => unreachable!("{error}"),
        };
        let raised = i16::MIN;
        let request =
            SpecRequest { context, fence: submitted.fence, after, raised, done: None, open: !gated };
        self.spec.requests.push(request);
        self.copies.push(copies);
        let urgency = self.spec.urgency(context).max(priority);
        self.spec.raise_what_it_waits_for(number, urgency);
    }

    /// MI_SEMAPHORE_WAIT until a dword is 1, polling; a batch can be preempted there.
    fn wait_for(&self, at: u64) -> Vec<u32> {
        let token = u32::from(self.rig.gpu.platform().generation == intel_gpu::device::Generation::Gen12);
        let mut dwords = vec![0x1c << 23 | 1 << 15 | 4 << 12 | (2 + token), 1, low(at), 0];
        dwords.resize(dwords.len() + token as usize, 0);
        dwords
    }

    fn open(&mut self, number: usize) {
        self.spec.requests[number].open = true;
        self.rig.gpu.object_write(&self.gates, number as u64 * 4, &1u32.to_le_bytes()).expect("inside");
    }

    fn set_priority(&mut self) {
        let context = self.random.below(self.spec.contexts.len());
        let priority = PRIORITIES[self.random.below(PRIORITIES.len())];
        let SpecContext { id, cancelled, .. } = self.spec.contexts[context];
        if cancelled {
            return;
        }
        self.rig.gpu.context_set_priority(id, priority).expect("exists");
        if core::mem::replace(&mut self.spec.contexts[context].priority, priority) < priority {
            let requests: Vec<usize> = self.spec.unfinished(context).collect();
            for request in requests {
                self.spec.raise_what_it_waits_for(request, priority);
            }
        }
    }

    fn cancel(&mut self) {
        let context = self.random.below(self.spec.contexts.len());
        let id = self.spec.contexts[context].id;
        if !core::mem::replace(&mut self.spec.contexts[context].cancelled, true) {
            self.rig.gpu.context_cancel(id).expect("exists");
            // It waits for nothing of others any more, but for its turn on its timeline.
            for request in self.spec.unfinished(context).collect::<Vec<_>>() {
                let timeline = self.spec.requests[request].fence.timeline;
                let mut after = std::mem::take(&mut self.spec.requests[request].after);
                after.retain(|other| self.spec.requests[*other].fence.timeline == timeline);
                self.spec.requests[request].after = after;
            }
            self.make_context(false);
        }
    }

    /// Lets the engines work, and the driver hear of it.
    fn work(&mut self, units: u64, ns: u64) {
        self.rig.model().step(units);
        self.rig.model().advance(ns);
        while self.rig.model().take_msi().is_some() {
            self.rig.gpu.interrupt();
        }
        if ns != 0 {
            let _ = self.rig.gpu.tick();
        }
    }

    fn complete(&mut self) {
        for done in self.rig.completions() {
            let number = usize::try_from(done.cookie).expect("small");
            let request = &mut self.spec.requests[number];
            assert_eq!(request.done.replace(done.status), None, "request {number} completed once");
            let cancelled = self.spec.contexts[request.context].cancelled;
            assert!(done.status == Status::Done || cancelled, "request {number}: {done:?}");
        }
    }

    /// The rules that hold whenever an engine has taken what it was given.
    fn check(&mut self) {
        for class in [EngineClass::Copy, EngineClass::Render] {
            let engine = self.rig.engine(class);
            let activity = self.rig.gpu.activity(engine).expect("exists");
            if activity.changing {
                continue;
            }
            let on = [activity.running, activity.next];
            let known = |id: ContextId| self.spec.contexts.iter().position(|context| context.id == id);
            if on.into_iter().flatten().any(|id| known(id).is_none()) {
                continue; // the driver's own, which is more urgent than any
            }
            let on: Vec<usize> = on.into_iter().flatten().filter_map(known).collect();
            let cancelled = |context: &usize| self.spec.contexts[*context].cancelled;
            if on.iter().any(cancelled) {
                continue; // about to leave, however urgent it is
            }
            let on: Vec<i16> = on.iter().map(|context| self.spec.urgency(*context)).collect();
            assert!(
                on.is_sorted_by(|first, second| first >= second),
                "{class:?}: the less urgent one runs: {on:?}"
            );
            for waiting in 0..self.spec.contexts.len() {
                let context = &self.spec.contexts[waiting];
                let here = context.engine == engine && !context.cancelled;
                let held = activity.running == Some(context.id) || activity.next == Some(context.id);
                if !here || held || !self.spec.may_run(waiting) {
                    continue;
                }
                let urgency = self.spec.urgency(waiting);
                assert_eq!(on.len(), 2, "{class:?}: context {waiting} waits while there is room");
                assert!(on.iter().all(|on| *on >= urgency), "{class:?}: {urgency} waits for {on:?}");
            }
        }
    }

    fn run(&mut self) {
        let mut steps = 0;
        while self.spec.requests.len() < REQUESTS {
            match self.random.below(20) {
                0..=6 => {
                    let gated = self.random.below(3) != 0;
                    self.submit(gated);
                }
                7..=11 => {
                    let closed: Vec<usize> = (0..self.spec.requests.len())
                        .filter(|number| !self.spec.requests[*number].open)
                        .collect();
                    if !closed.is_empty() {
                        let which = closed[self.random.below(closed.len().min(6))];
                        self.open(which);
                    }
                }
                12 => self.set_priority(),
                13 if self.random.below(8) == 0 => self.cancel(),
                14 | 15 => self.work(40, 600_000),
                _ => {
                    let units = 1 + self.random.below(40) as u64;
                    self.work(units, 0);
                }
            }
            self.complete();
            self.check();
            steps += 1;
        }
        assert!(steps > REQUESTS, "it did other things, too");
        for number in 0..REQUESTS {
            self.open(number);
        }
        let mut rounds = 0;
        while self.spec.requests.iter().any(|request| request.done.is_none()) {
            self.work(100, 100_000);
            self.complete();
            self.check();
            rounds += 1;
            assert!(rounds < 10_000, "nothing goes on");
        }
        self.check_marks();
    }

    fn check_marks(&mut self) {
        let seen = self.rig.read(&self.seen);
        for (number, copies) in self.copies.iter().enumerate() {
            let executed = |number: usize| self.spec.requests[number].done == Some(Status::Done);
            if !executed(number) {
                continue;
            }
            for (slot, other) in copies.iter().enumerate().filter(|(_, other)| executed(**other)) {
                let mark = seen[number * COPIES + slot] as usize;
                assert_eq!(mark, other + 1, "request {number} began before {other} was complete");
            }
        }
        let own: Vec<String> = self.rig.model().reports().iter().map(ToString::to_string).collect();
        assert!(own.is_empty(), "{own:#?}");
        assert_eq!(self.rig.gpu.statistics().engine_resets, 0, "whoever was cancelled gave way");
    }
}

fn low(address: u64) -> u32 {
    u32::try_from(address).expect("below 4 GiB")
}

fn programs(platform: &str) {
    for seed in 1..=24u64 {
        println!("{platform}: seed {seed}");
        Program::new(platform, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).run();
    }
}

#[test]
fn random_programs_run_by_priority_and_in_order_on_skylake() {
    programs("skl");
}

#[test]
fn random_programs_run_by_priority_and_in_order_on_gemini_lake() {
    programs("glk");
}

#[test]
fn random_programs_run_by_priority_and_in_order_on_ice_lake() {
    programs("icl");
}

#[test]
fn random_programs_run_by_priority_and_in_order_on_tiger_lake() {
    programs("tgl");
}

#[test]
fn random_programs_run_by_priority_and_in_order_on_alder_lake() {
    programs("adls");
}
