// SPDX-License-Identifier: BSD-2-Clause
//! Many contexts of several clients on all engines, with random fences between them, in random order, on
//! a GPU that does its work a little at a time.

mod machine;

use gpu_model::{Options, Timing};
use intel_gpu::memory::{AccountId, Cache};
use intel_gpu::{Config, ContextId, Error, Fence, Status, Submission, TimelineId, VmId};
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
/// Fences that a request looks at most at.
const WAITS: usize = 2;

/// A small generator: the seed is the test's.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("small")
    }
}

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

fn storm(platform: &str, seed: u64) {
    println!("{platform}: seed {seed:#x}");
    let mut random = Random(seed);
    let options = Options { timing: Timing::Deferred, ..Options::default() };
    let config = Config { requests: 300, waits: 300, ..Config::default() };
    let mut rig = Rig::with(platform, options, config);
    let population = rig.gpu.population();
    let free = rig.gpu.free_pages();

    let batch_pages = u32::try_from(u64::from(REQUESTS) * BATCH_BYTES / 4096 + 1).expect("small");
    let batches = rig.gpu.object_allocate(rig.account, batch_pages).expect("memory");
    let marks = rig.gpu.object_allocate(rig.account, 10).expect("memory");
    let seen = rig.gpu.object_allocate(rig.account, 20).expect("memory");
    let clients = clients(&mut rig, &mut random);
    for client in &clients {
        for (at, object) in [(BATCHES, &batches), (MARKS, &marks), (SEEN, &seen)] {
            let range = range(at, object.pages().into());
            rig.gpu.bind_object(client.vm, range, object, Cache::Coherent, false).expect("free");
        }
    }

    let mut fences: Vec<(u32, Fence)> = Vec::new();
    let mut waited: Vec<[Option<u32>; WAITS]> = Vec::new();
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
            for (slot, which) in (0u64..).zip(numbers.iter().flatten()) {
                let to = SEEN + (u64::from(submitted) * 2 + slot) * 4;
                dwords.extend(copy(to, MARKS + u64::from(*which) * 4));
            }
            dwords.extend(store(MARKS + u64::from(submitted) * 4, submitted + 1));
            dwords.push(BATCH_END);
            dwords.resize(32, 0);
            let bytes: Vec<u8> = dwords.iter().flat_map(|dword| dword.to_le_bytes()).collect();
            let at = u64::from(submitted) * BATCH_BYTES;
            rig.gpu.object_write(&batches, at, &bytes).expect("inside");
            let submission =
                Submission { context, batch: va(BATCHES + at), waits: &waits, cookie: submitted.into() };
            match rig.gpu.submit(submission) {
                Ok(accepted) => {
                    fences.push((submitted, accepted.fence));
                    waited.push(numbers);
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
        if random.below(50) == 0 {
            rig.model().advance(300_000);
            rig.gpu.tick();
        }
        let completions = rig.completions();
        idle_rounds = if completions.is_empty() { idle_rounds + 1 } else { 0 };
        assert!(idle_rounds < 20_000, "nothing goes on: {finished} of {submitted} done");
        for completion in completions {
            assert_eq!(completion.status, Status::Done);
            let which = usize::try_from(completion.cookie).expect("small");
            assert!(!std::mem::replace(&mut done[which], true), "completed once");
            finished += 1;
        }
    }

    let marks_now = rig.read(&marks);
    let seen_now = rig.read(&seen);
    for (request, numbers) in waited.iter().enumerate() {
        assert_eq!(marks_now[request] as usize, request + 1);
        for (slot, which) in numbers.iter().flatten().enumerate() {
            let saw = seen_now[request * 2 + slot];
            assert_eq!(saw, which + 1, "request {request} began before {which} was complete");
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
    for object in [batches, marks, seen] {
        rig.gpu.object_free(object);
    }
    assert_eq!(rig.gpu.population(), population);
    // What stays are pages of timeline slots, kept for the next timelines.
    let kept = free - rig.gpu.free_pages();
    assert!(kept <= 2, "{kept} pages are gone");
    rig.check();
    let statistics = rig.gpu.statistics();
    println!("{statistics:?}");
    assert_eq!(statistics.engine_resets + statistics.gpu_resets, 0);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_broadwell() {
    storm("bdw", 0x5eed_0001);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_skylake() {
    storm("skl", 0x5eed_0002);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_kaby_lake() {
    storm("kbl", 0x5eed_0003);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_gemini_lake() {
    storm("glk", 0x5eed_0004);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_ice_lake() {
    storm("icl", 0x5eed_0005);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_tiger_lake() {
    storm("tgl", 0x5eed_0006);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_rocket_lake() {
    storm("rkl", 0x5eed_0007);
}

#[test]
fn ten_thousand_requests_with_random_fences_complete_in_order_on_alder_lake() {
    storm("adls", 0x5eed_0008);
}
