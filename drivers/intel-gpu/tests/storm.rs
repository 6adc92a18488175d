// SPDX-License-Identifier: BSD-2-Clause
//! Many contexts of several clients on all engines, with random fences between them, in random order, on
//! a GPU that does its work a little at a time. Once in fair weather, and once with everything that can go wrong:
//! batches that hang or are no programs, urgent contexts that come all the time, resets, lost interrupts, resets
//! that fail, TLB invalidations that are not confirmed.

mod machine;

use gpu_model::registers::forcewake::AckDelay;
use gpu_model::{Injection, Options, Timing};
use intel_gpu::memory::{AccountId, Cache, Object, Unbinding};
use intel_gpu::{Config, ContextId, Error, Fence, Status, Submission, TimelineId, VmId};
use machine::random::Random;
use machine::{BATCH_END, Rig, range, store, va};

const REQUESTS: u32 = 10_000;
const CLIENTS: usize = 8;
const CONTEXTS_PER_CLIENT: usize = 8;
/// Bytes of a request's batch.
const BATCH_BYTES: u64 = 128;
/// Where everything lies, in every address space.
const BATCHES: u64 = 0x1000_0000;
const MARKS: u64 = 0x3000_0000;
const SEEN: u64 = 0x4000_0000;
/// Units of work in which every engine of the model gets a turn, whichever of them spin.
const ROUND: u64 = 30_000;
const COMES_AND_GOES: u64 = 0x5000_0000;
/// Fences that a request looks at most at.
const WAITS: usize = 2;

struct Client {
    account: AccountId,
    vm: VmId,
    contexts: Vec<(ContextId, TimelineId)>,
}

fn clients(rig: &mut Rig, random: &mut Random) -> Vec<Client> {
    let engines: Vec<_> = rig.gpu.engines().map(|engine| engine.index).collect();
    let mut made = Vec::new();
    for _ in 0..CLIENTS {
        let account = rig.gpu.account_create(400).expect("room");
        let vm = rig.gpu.vm_create(account).expect("memory");
        let mut contexts = Vec::new();
        // Two of the contexts share a timeline across engines.
        let shared = rig.gpu.timeline_create().expect("memory");
        for n in 0..CONTEXTS_PER_CLIENT {
            let timeline = if n < 2 { shared } else { rig.gpu.timeline_create().expect("memory") };
            let engine = engines[random.below(engines.len())];
            let priority = [-1023, -1, 0, 0, 0, 1, 512, 1023][random.below(8)];
            let context = rig.gpu.context_create(account, engine, vm, timeline, priority).expect("memory");
            contexts.push((context, timeline));
        }
        made.push(Client { account, vm, contexts });
    }
    made
}

/// MI_COPY_MEM_MEM of a dword.
fn copy(to: u64, from: u64) -> [u32; 5] {
    let half = |value: u64| u32::try_from(value & 0xffff_ffff).expect("32 bits");
    [0x1700_0003, half(to), half(to >> 32), half(from), half(from >> 32)]
}

/// What happens besides good requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fair,
    Foul,
}

/// What a request's batch is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Good,
    /// It starts itself again, without a point where it could be preempted.
    Endless,
    /// It is no program.
    Nonsense,
}

impl Kind {
    fn random(weather: Weather, random: &mut Random) -> Self {
        match random.below(200) {
            0 if weather == Weather::Foul => Self::Endless,
            1 if weather == Weather::Foul => Self::Nonsense,
            _ => Self::Good,
        }
    }

    /// Its commands, `at` its address.
    fn write(self, dwords: &mut Vec<u32>, at: u64) {
        match self {
            Self::Good => dwords.push(BATCH_END),
            Self::Endless => dwords.extend([0x1880_0101, u32::try_from(at).expect("below 4 GiB"), 0]),
            Self::Nonsense => dwords.extend([u32::MAX; 4]),
        }
    }

    fn status(self) -> Status {
        if self == Self::Good { Status::Done } else { Status::Hang }
    }
}

/// Lets something go wrong, or right again.
fn trouble(
    rig: &mut Rig,
    clients: &[Client],
    scratch: &Object,
    random: &mut Random,
    held: &mut Vec<Unbinding>,
) {
    let client = &clients[random.below(CLIENTS)];
    let (context, _) = client.contexts[random.below(CONTEXTS_PER_CLIENT)];
    match random.below(12) {
        0 => rig.model().injection().lose_interrupts = 3,
        1 => rig.model().injection().failing_resets = 2,
        2 => rig.model().injection().forcewake = AckDelay::Reads(5),
        3 => rig.model().injection().forcewake = AckDelay::None,
        4 => rig.model().injection().stuck_tlb_invalidation = true,
        5 => rig.gpu.reset().expect("it comes back"),
        6 | 7 => {
            // An urgent one among its like; they take the engine from each other.
            let priority = [-1023, 0, 1022, 1023][random.below(4)];
            rig.gpu.context_set_priority(context, priority).expect("exists");
        }
        _ => {
            // Something comes and goes in an address space that is in use.
            let place = range(COMES_AND_GOES, scratch.pages().into());
            match rig.gpu.bind_object(client.vm, place, scratch, Cache::Coherent, false) {
                Ok(()) => {}
                Err(Error::Overlap) => held.push(rig.gpu.unbind(client.vm, place).expect("exists")),
                Err(error) => unreachable!("{error}"),
            }
        }
    }
    for unbinding in std::mem::take(held) {
        held.extend(rig.gpu.release(unbinding).err());
    }
    // Before the next tick, which ends with an invalidation that must be confirmed.
    rig.model().injection().stuck_tlb_invalidation = false;
}

fn storm(platform: &str, seed: u64, weather: Weather) {
    println!("{platform}: seed {seed:#x}");
    let foul = weather == Weather::Foul;
    let mut random = Random(seed);
    let options = Options { timing: Timing::Deferred, ..Options::default() };
    let mut config = Config { requests: 300, waits: 300, ..Config::default() };
    if foul {
        (config.hang_ns, config.preempt_timeout_ns) = (40_000_000, 20_000_000);
    }
    let mut rig = Rig::with(platform, options, config);
    if foul {
        rig.gpu.hardware_mut().pause = (5_000_000, ROUND);
    }
    let population = rig.gpu.population();
    let free = rig.gpu.free_pages();

    let batch_pages = u32::try_from(u64::from(REQUESTS) * BATCH_BYTES / 4096 + 1).expect("small");
    let batches = rig.gpu.object_allocate(rig.account, batch_pages).expect("memory");
    let marks = rig.gpu.object_allocate(rig.account, 10).expect("memory");
    let seen = rig.gpu.object_allocate(rig.account, 20).expect("memory");
    let scratch = rig.gpu.object_allocate(rig.account, 3).expect("memory");
    let clients = clients(&mut rig, &mut random);
    for client in &clients {
        for (at, object) in [(BATCHES, &batches), (MARKS, &marks), (SEEN, &seen)] {
            let range = range(at, object.pages().into());
            rig.gpu.bind_object(client.vm, range, object, Cache::Coherent, false).expect("free");
        }
    }

    let mut fences: Vec<(u32, Fence)> = Vec::new();
    let mut waited: Vec<[Option<u32>; WAITS]> = Vec::new();
    let mut kinds = Vec::new();
    let mut held = Vec::new();
    let mut done = vec![false; REQUESTS as usize];
    let mut submitted = 0u32;
    let mut finished = 0u32;
    let mut idle_rounds = 0;
    while finished < REQUESTS {
        if submitted < REQUESTS && random.below(3) != 0 {
            let client = &clients[random.below(CLIENTS)];
            let (context, _) = client.contexts[random.below(CONTEXTS_PER_CLIENT)];
            let mut waits = Vec::new();
            let mut numbers = [None; WAITS];
            for number in &mut numbers {
                if !fences.is_empty() && random.below(3) == 0 {
                    // Mostly recent ones.
                    let back = 1 + random.below(fences.len().min(40));
                    let (which, fence) = fences[fences.len() - back];
                    *number = Some(which);
                    waits.push(fence);
                }
            }
            let mut dwords = Vec::new();
            let kind = Kind::random(weather, &mut random);
            for (slot, which) in (0u64..).zip(numbers.iter().flatten()) {
                let to = SEEN + (u64::from(submitted) * 2 + slot) * 4;
                dwords.extend(copy(to, MARKS + u64::from(*which) * 4));
            }
            dwords.extend(store(MARKS + u64::from(submitted) * 4, submitted + 1));
            let at = u64::from(submitted) * BATCH_BYTES;
            kind.write(&mut dwords, BATCHES + at);
            dwords.resize(32, 0);
            let bytes: Vec<u8> = dwords.iter().flat_map(|dword| dword.to_le_bytes()).collect();
            rig.gpu.object_write(&batches, at, &bytes).expect("inside");
            let submission =
                Submission { context, batch: va(BATCHES + at), waits: &waits, cookie: submitted.into() };
            match rig.gpu.submit(submission) {
                Ok(accepted) => {
                    fences.push((submitted, accepted.fence));
                    waited.push(numbers);
                    kinds.push(kind);
                    submitted += 1;
                }
                Err(error) => assert!(matches!(error, Error::RingFull | Error::NoMemory), "{error}"),
            }
        }
        if random.below(2) == 0 {
            let budget = random.below(60) as u64;
            rig.model().step(budget);
        }
        if random.below(4) == 0 || submitted == REQUESTS {
            while rig.model().take_msi().is_some() {
                rig.gpu.interrupt();
            }
        }
        if foul && random.below(100) == 0 {
            trouble(&mut rig, &clients, &scratch, &mut random, &mut held);
        }
        if random.below(50) == 0 {
            rig.model().advance(if foul { 4_000_000 } else { 300_000 });
            if foul {
                rig.model().step(ROUND);
            }
            rig.gpu.tick();
        }
        let completions = rig.completions();
        idle_rounds = if completions.is_empty() { idle_rounds + 1 } else { 0 };
        assert!(idle_rounds < 20_000, "nothing goes on: {finished} of {submitted} done");
        for completion in completions {
            let which = usize::try_from(completion.cookie).expect("small");
            assert_eq!(completion.status, kinds[which].status(), "request {which}");
            assert!(!std::mem::replace(&mut done[which], true), "completed once");
            finished += 1;
        }
    }

    let marks_now = rig.read(&marks);
    let seen_now = rig.read(&seen);
    for (request, numbers) in waited.iter().enumerate() {
        assert_eq!(marks_now[request] as usize, request + 1);
        if kinds[request] != Kind::Good {
            continue; // what it did before it went wrong may have been cut short
        }
        for (slot, which) in numbers.iter().flatten().enumerate() {
            if kinds[*which as usize] != Kind::Good {
                continue;
            }
            let saw = seen_now[request * 2 + slot];
            assert_eq!(saw, which + 1, "request {request} began before {which} was complete");
        }
    }

    if foul {
        *rig.model().injection() = Injection::default();
        rig.gpu.tick();
        for unbinding in held {
            rig.gpu.release(unbinding).expect("the hardware answers");
        }
    }
    for client in &clients {
        for (context, timeline) in &client.contexts {
            rig.gpu.context_destroy(*context).expect("exists");
            let _ = rig.gpu.timeline_destroy(*timeline); // the shared one, the second time
        }
    }
    rig.settle();
    for client in clients {
        let unbinding = rig.gpu.vm_destroy(client.vm).expect("no context uses it");
        rig.gpu.release(unbinding).expect("the hardware answers");
        for (_, timeline) in &client.contexts {
            let _ = rig.gpu.timeline_destroy(*timeline);
        }
        assert_eq!(rig.gpu.account_usage(client.account).expect("exists").used, 0);
        rig.gpu.account_destroy(client.account).expect("nothing charged");
    }
    for object in [batches, marks, seen, scratch] {
        rig.gpu.object_free(object);
    }
    assert_eq!(rig.gpu.population(), population);
    // What stays are pages of timeline slots, kept for the next timelines.
    let kept = free - rig.gpu.free_pages();
    assert!(kept <= 2, "{kept} pages are gone");
    let statistics = rig.gpu.statistics();
    println!("{statistics:?}");
    if foul {
        let own = |report: &&gpu_model::Report| !report.client;
        let own: Vec<String> = rig.model().reports().iter().filter(own).map(ToString::to_string).collect();
        assert!(own.is_empty(), "{own:#?}");
        assert_eq!(rig.gpu.sleeping_accesses(), 0);
        assert!(statistics.engine_resets > 20 && statistics.gpu_resets > 0, "there was no storm");
        assert!(rig.gpu.error_state().is_some());
    } else {
        rig.check();
        assert_eq!(statistics.engine_resets + statistics.gpu_resets, 0);
    }
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_broadwell() {
    storm("bdw", 0x5eed_0001, Weather::Fair);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_skylake() {
    storm("skl", 0x5eed_0002, Weather::Fair);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_kaby_lake() {
    storm("kbl", 0x5eed_0003, Weather::Fair);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_gemini_lake() {
    storm("glk", 0x5eed_0004, Weather::Fair);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_ice_lake() {
    storm("icl", 0x5eed_0005, Weather::Fair);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_tiger_lake() {
    storm("tgl", 0x5eed_0006, Weather::Fair);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_rocket_lake() {
    storm("rkl", 0x5eed_0007, Weather::Fair);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_alder_lake() {
    storm("adls", 0x5eed_0008, Weather::Fair);
}

#[test]
fn hangs_faults_resets_and_preemption_among_ten_thousand_requests_on_broadwell_spare_the_good_ones() {
    storm("bdw", 0x5eed_0001, Weather::Foul);
}

#[test]
fn hangs_faults_resets_and_preemption_among_ten_thousand_requests_on_skylake_spare_the_good_ones() {
    storm("skl", 0x5eed_0002, Weather::Foul);
}

#[test]
fn hangs_faults_resets_and_preemption_among_ten_thousand_requests_on_kaby_lake_spare_the_good_ones() {
    storm("kbl", 0x5eed_0003, Weather::Foul);
}

#[test]
fn hangs_faults_resets_and_preemption_among_ten_thousand_requests_on_gemini_lake_spare_the_good_ones() {
    storm("glk", 0x5eed_0004, Weather::Foul);
}

#[test]
fn hangs_faults_resets_and_preemption_among_ten_thousand_requests_on_ice_lake_spare_the_good_ones() {
    storm("icl", 0x5eed_0005, Weather::Foul);
}

#[test]
fn hangs_faults_resets_and_preemption_among_ten_thousand_requests_on_tiger_lake_spare_the_good_ones() {
    storm("tgl", 0x5eed_0006, Weather::Foul);
}

#[test]
fn hangs_faults_resets_and_preemption_among_ten_thousand_requests_on_rocket_lake_spare_the_good_ones() {
    storm("rkl", 0x5eed_0007, Weather::Foul);
}

#[test]
fn hangs_faults_resets_and_preemption_among_ten_thousand_requests_on_alder_lake_spare_the_good_ones() {
    storm("adls", 0x5eed_0008, Weather::Foul);
}
