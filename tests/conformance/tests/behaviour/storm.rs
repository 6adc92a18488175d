// SPDX-License-Identifier: BSD-2-Clause
//! Ten thousand requests of eight clients with 64 contexts on all engines at once, and everything that can go wrong: batches
//! that hang, that are no programs, that fault, or that write where nothing is bound; contexts that are banned, or destroyed
//! with requests in flight; urgent contexts that come all the time; lost interrupts, resets that fail, a GPU that is slow to
//! wake; and in the end perhaps a device that is gone.
//!
//! What each client may rely on: a good batch of a context that has not been banned is executed once, after what it waited
//! for, whatever happens beside it; every point is reached; what is refused is refused with the errno that says why; and when
//! all have closed what they had, every count is where it was.

use conformance::wire::{param, reads, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_model::registers::forcewake::AckDelay;
use gpu_model::{Injection, Timing};
use gpu_protocol::{ContextParam, Errno, Fence, SubmitObject};
use intel_gpu::Config;
use intel_gpu::uapi::ClientLimits;

const CLIENTS: usize = 8;
const CONTEXTS: usize = 8;
/// Requests of one part's storm, and how many come in one go: between two of them all is quiet for so long that what went
/// wrong before is forgotten.
const REQUESTS: u32 = 10_000;
const GUST: u32 = 500;
const QUIET_NS: u64 = 130_000_000_000;
/// Requests until the device is gone.
const BEFORE_LOSS: u32 = 200;
const CODE: u64 = 0x10_0000;
const MARKS: u64 = 0x80_0000;
const SEEN: u64 = 0x90_0000;
/// Nothing is bound there.
const NOWHERE: u64 = 0x7000_0000;
/// An address that address spaces of three levels do not have.
const BEYOND: u64 = 5 << 30;
const BATCH_BYTES: u32 = 128;
/// Requests that there is room for in a client's memory.
const ROOM: usize = 3_000;
/// Units of work in which every engine of the model gets a turn, whichever of them spin.
const ROUND: u64 = 30_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Good,
    /// Good, and it writes where nothing is bound.
    Stray,
    Endless,
    Nonsense,
    /// It writes beyond its address space: a page fault.
    Beyond,
}

/// A request that was accepted.
struct Request {
    kind: Kind,
    fence: Fence,
    /// Number of the context that it was of.
    context: usize,
    /// Which of the client's marks it copies before it sets its own.
    copies: Vec<usize>,
}

struct Context {
    handle: u32,
    /// Its submissions are answered with `EIO`.
    banned: bool,
    /// It was destroyed, and is not to persist.
    cut: bool,
}

struct Client {
    contexts: Vec<Context>,
    /// Those that take requests.
    live: Vec<usize>,
    spaces: [u32; 2],
    objects: [u32; 3],
    regions: [Region; 3],
    requests: Vec<Request>,
    banned: bool,
}

struct Storm {
    rig: Rig,
    random: Random,
    clients: Vec<Client>,
    /// Address spaces have three levels, as old parts have them.
    three_level: bool,
    /// How many of each client's requests are known to have ended.
    ended: [usize; CLIENTS],
}

impl Storm {
    fn new(platform: &'static str, seed: u64) -> Self {
        let three_level = matches!(platform, "bdw" | "kbl" | "icl" | "rkl");
        let mut settings = Settings::new(platform);
        settings.options.timing = Timing::Deferred;
        settings.config = Config {
            hang_ns: 40_000_000,
            preempt_timeout_ns: 20_000_000,
            passed_over_ns: 50_000_000,
            three_level,
            ..settings.config
        };
        settings.limits = vec![ClientLimits { priority_ceiling: 1023, ..ClientLimits::DEFAULT }; CLIENTS];
        let mut rig = Rig::with(settings);
        // A reset waits 100 ms for what does not stop.
        rig.driver.gpu().hardware_mut().pause = (5_000_000, ROUND / 2);
        Self { rig, random: Random(seed), clients: Vec::new(), three_level, ended: [0; CLIENTS] }
    }

    fn make_clients(&mut self) {
        for id in 0..CLIENTS {
            let spaces = [(); 2].map(|()| self.rig.vm_create(id).unwrap());
            // 128 bytes of code and two times 8 of data for each request that there can be.
            let regions = [94, 3, 6].map(|pages| self.rig.region(id, pages));
            let objects = regions.map(|region| self.rig.userptr(id, region));
            let (contexts, live, requests) = (Vec::new(), Vec::new(), Vec::new());
            self.clients.push(Client { contexts, live, spaces, objects, regions, requests, banned: false });
            for _ in 0..CONTEXTS {
                self.make_context(id);
            }
        }
    }

    fn make_context(&mut self, id: usize) {
        let space = self.clients[id].spaces[self.random.below(2)];
        let priority = [-1023, -1, 0, 0, 0, 1, 512, 1023_i64][self.random.below(8)];
        // Where a batch cannot be preempted, every context persists.
        let persists = if self.rig.platform() == "bdw" { 1 } else { self.random.next() % 2 };
        let params = [
            param(ContextParam::VM, space.into()),
            param(ContextParam::PRIORITY, priority.cast_unsigned()),
            param(ContextParam::PERSISTENCE, persists),
        ];
        match self.rig.context_create(id, 0, &params) {
            Ok(handle) => {
                let client = &mut self.clients[id];
                client.live.push(client.contexts.len());
                client.contexts.push(Context { handle, banned: false, cut: false });
            }
            Err(errno) => {
                assert_eq!(errno, Errno::Io, "client {id} is banned, or the GPU is gone");
                self.clients[id].banned = true;
            }
        }
    }

    fn submit(&mut self, id: usize, kind: Kind) {
        let client = &self.clients[id];
        if client.live.is_empty() || client.requests.len() == ROOM {
            return;
        }
        let context = client.live[self.random.below(client.live.len())];
        let number = client.requests.len();
        let mut copies = Vec::new();
        let mut fences = Vec::new();
        for _ in 0..self.random.below(3) {
            if number != 0 {
                let other = number - 1 - self.random.below(number.min(20));
                copies.push(other);
                fences.push(client.requests[other].fence);
            }
        }
        let at = number as u64 * u64::from(BATCH_BYTES);
        let mut dwords = Vec::new();
        for (slot, other) in (0..).zip(&copies) {
            let (to, from) = (SEEN + (number as u64 * 2 + slot) * 4, MARKS + *other as u64 * 4);
            dwords.extend([0x1700_0003, low(to), 0, low(from), 0]);
        }
        if kind == Kind::Stray {
            dwords.extend(&batch::store(NOWHERE, 0xbad)[..4]);
        }
        let store = batch::store(MARKS + number as u64 * 4, u32::try_from(number).unwrap() + 1);
        match kind {
            Kind::Good | Kind::Stray => dwords.extend(store),
            Kind::Endless => dwords.extend(batch::endless(CODE + at)),
            Kind::Nonsense => dwords.extend([u32::MAX; 4]),
            Kind::Beyond => dwords.extend(batch::store(BEYOND, 0xbad)),
        }
        let (code, regions) = (client.regions[0].physical, client.regions);
        self.rig.poke(code + at, &dwords);
        let [code, marks, seen] = client.objects;
        let list: [SubmitObject; 3] = [writes(marks, MARKS), writes(seen, SEEN), reads(code, CODE)];
        let handle = client.contexts[context].handle;
        // Render, video, copy, video enhancement.
        let engine = 1 + u32::try_from(self.random.below(4)).unwrap();
        let mut submit = self.rig.write_submit(id, handle, engine, &list, &fences);
        submit.batch_start = low(at);
        let mut answer = self.rig.op(id, gpu_protocol::Operation::Submit, &submit);
        if answer == Err(Errno::Again) && self.rig.serve(id, &regions) > 0 {
            // Fetching the requests has used the message area.
            submit = self.rig.write_submit(id, handle, engine, &list, &fences);
            submit.batch_start = low(at);
            answer = self.rig.op(id, gpu_protocol::Operation::Submit, &submit);
        }
        let client = &mut self.clients[id];
        match answer {
            Ok(words) => {
                let fence = conformance::wire::fence(words);
                client.requests.push(Request { kind, fence, context, copies });
            }
            // Its ring is full, or it has its share of what is in flight.
            Err(Errno::Again | Errno::NoMem) => {}
            Err(errno) => {
                assert_eq!(errno, Errno::Io, "client {id}: its context is banned, or the GPU is gone");
                client.contexts[context].banned = true;
            }
        }
    }

    /// Lets something else happen.
    fn trouble(&mut self) {
        let id = self.random.below(CLIENTS);
        match self.random.below(9) {
            0 => self.rig.model().injection().lose_interrupts = 3,
            1 => self.rig.model().injection().failing_resets = 2,
            2 => self.rig.model().injection().forcewake = AckDelay::Reads(5),
            3 => self.rig.model().injection().forcewake = AckDelay::None,
            4 | 5 => self.replace_context(id),
            _ => {
                // An urgent one among its like; they take the engines from each other.
                let priority = [-1023, 0, 1022, 1023_i64][self.random.below(4)].cast_unsigned();
                if let Some(context) = self.clients[id].live.first().copied() {
                    let handle = self.clients[id].contexts[context].handle;
                    self.rig.set(id, handle, ContextParam::PRIORITY, priority).unwrap();
                }
            }
        }
    }

    /// Destroys a context, whatever it is doing, a banned one first; and makes another one.
    fn replace_context(&mut self, id: usize) {
        let client = &mut self.clients[id];
        if client.live.is_empty() {
            return;
        }
        let banned = client.live.iter().position(|context| client.contexts[*context].banned);
        let which = banned.unwrap_or_else(|| self.random.below(client.live.len()));
        let context = client.live.swap_remove(which);
        let handle = client.contexts[context].handle;
        let persists = self.rig.get(id, handle, ContextParam::PERSISTENCE).unwrap() != 0;
        client.contexts[context].cut |= !persists;
        self.rig.context_destroy(id, handle).unwrap();
        if !self.clients[id].banned {
            self.make_context(id);
        }
    }

    fn pass(&mut self, ns: u64) {
        self.rig.model().advance(ns);
        self.rig.model().step(ROUND);
        self.rig.take_interrupts();
        self.rig.driver.tick(&mut self.rig.domain);
    }

    fn accepted(&self) -> u32 {
        u32::try_from(self.clients.iter().map(|client| client.requests.len()).sum::<usize>()).unwrap()
    }

    fn random_kind(&mut self, id: usize) -> Kind {
        // Half of the clients make no mistakes.
        let faulty = id % 2 == 1;
        match self.random.below(1000) {
            0..4 if faulty => Kind::Endless,
            4..12 if faulty => Kind::Nonsense,
            12..16 if faulty && self.three_level => Kind::Beyond,
            100..150 => Kind::Stray,
            _ => Kind::Good,
        }
    }

    /// Until so many requests have been accepted in all.
    fn run(&mut self, requests: u32) {
        let mut rounds = 0;
        while self.accepted() < requests && self.clients.iter().any(|client| !client.live.is_empty()) {
            let id = self.random.below(CLIENTS);
            let kind = self.random_kind(id);
            self.submit(id, kind);
            if self.random.below(2) == 0 {
                let units = self.random.below(60) as u64;
                self.rig.model().step(units);
            }
            if self.random.below(4) == 0 {
                self.rig.take_interrupts();
            }
            if self.random.below(40) == 0 {
                self.trouble();
            }
            if self.random.below(30) == 0 {
                self.pass(10_000_000);
            }
            rounds += 1;
            assert!(rounds < 60_000, "nothing goes on: {} accepted", self.accepted());
        }
    }

    /// Lets everything end.
    fn calm_down(&mut self) {
        *self.rig.model().injection() = Injection::default();
        for _ in 0..5_000 {
            if self.all_reached() {
                break;
            }
            self.pass(10_000_000);
        }
        assert!(self.all_reached(), "some points are never reached");
        self.rig.model().advance(QUIET_NS);
        self.pass(10_000_000);
    }

    fn all_reached(&mut self) -> bool {
        for (id, client) in self.clients.iter().enumerate() {
            let rest = &client.requests[self.ended[id]..];
            let ended = rest.iter().take_while(|request| self.rig.reached(id, request.fence)).count();
            self.ended[id] += ended;
            if ended != rest.len() {
                return false;
            }
        }
        true
    }

    /// What the clients find in their memory.
    fn check_results(&mut self, lost: bool) {
        let mut good = 0;
        for (id, client) in self.clients.iter().enumerate() {
            let [_, marks, seen] = client.regions.map(|region| region.physical);
            let of = |context: usize| &client.contexts[context];
            for (number, request) in client.requests.iter().enumerate() {
                let mark = self.rig.peek(marks + number as u64 * 4) as usize;
                assert!(mark == 0 || mark == number + 1);
                let context = of(request.context);
                let must = matches!(request.kind, Kind::Good | Kind::Stray)
                    && !context.banned
                    && !context.cut
                    && !lost;
                assert!(!must || mark == number + 1, "client {id}: request {number}, {:?}", request.kind);
                good += u32::from(mark != 0);
                if mark == 0 {
                    continue;
                }
                for (slot, other) in (0..).zip(&request.copies) {
                    let other_mark = self.rig.peek(marks + *other as u64 * 4);
                    let saw = self.rig.peek(seen + (number as u64 * 2 + slot) * 4);
                    assert_eq!(saw, other_mark, "client {id}: {number} began before {other} was over");
                }
            }
        }
        let all = self.accepted();
        assert!(lost || good >= all / 2, "{good} of {all} were executed");
    }

    /// A context that is not said to be banned must take a request; the others say why they do not.
    fn find_bans(&mut self) {
        for id in 0..CLIENTS {
            for context in self.clients[id].live.clone() {
                let handle = self.clients[id].contexts[context].handle;
                match self.rig.submit(id, handle, 1, &[reads(u32::MAX, CODE)], &[]) {
                    Err(Errno::Io) => self.clients[id].contexts[context].banned = true,
                    answer => assert_eq!(answer, Err(Errno::NoEnt), "there is no such object"),
                }
                let [_, guilty, _] = self.rig.reset_stats(id, handle).unwrap();
                assert!(guilty == 0 || id % 2 == 1, "client {id} is blamed for others' mistakes");
                assert!(!self.clients[id].contexts[context].banned || id % 2 == 1, "client {id} is banned");
            }
        }
    }

    fn close_everything(&mut self) {
        for id in 0..CLIENTS {
            for context in std::mem::take(&mut self.clients[id].live) {
                let handle = self.clients[id].contexts[context].handle;
                self.rig.context_destroy(id, handle).unwrap();
            }
            for object in self.clients[id].objects {
                self.rig.close(id, object).unwrap();
            }
            for space in self.clients[id].spaces {
                self.rig.vm_destroy(id, space).unwrap();
            }
        }
        let _ = self.rig.wait(20_000_000_000, |rig| !rig.driver.is_busy());
    }
}

fn low(number: u64) -> u32 {
    u32::try_from(number).unwrap()
}

fn storm(platform: &'static str, seed: u64) {
    println!("{platform}: seed {seed:#x}");
    let mut storm = Storm::new(platform, seed);
    let before = storm.rig.driver.census();
    storm.make_clients();
    for gust in 1..=REQUESTS / GUST {
        storm.run(gust * GUST);
        storm.calm_down();
    }
    assert!(storm.accepted() >= REQUESTS, "{} requests", storm.accepted());
    storm.find_bans();
    storm.check_results(false);
    let statistics = storm.rig.driver.gpu().statistics();
    println!("{statistics:?}");
    assert!(statistics.engine_resets > 20 && statistics.gpu_resets > 0, "there was no storm");
    let faults = storm.rig.driver.statistics().clients.map(|client| client.faults);
    assert!(faults.iter().step_by(2).all(|faults| *faults == 0), "{faults:?}");
    assert_eq!(storm.three_level, statistics.faults != 0, "{statistics:?}");
    storm.close_everything();
    let mut after = storm.rig.driver.census();
    let kept = before.free_driver_pages - after.free_driver_pages;
    assert!(kept <= 8, "{kept} pages of timeline slots");
    after.free_driver_pages = before.free_driver_pages;
    assert_eq!(before, after, "everything is given back");
    assert_eq!((storm.rig.domain.held(), storm.rig.domain.mapped()), (0, 0));
    let own: Vec<String> =
        storm.rig.model().reports().iter().filter(|report| !report.client).map(ToString::to_string).collect();
    assert!(own.is_empty(), "{own:#?}");
    assert_eq!(storm.rig.driver.gpu().sleeping_accesses(), 0);
}

/// The same, until the device is gone in the middle of it.
fn storm_and_loss(platform: &'static str, seed: u64) {
    println!("{platform}: seed {seed:#x}");
    let mut storm = Storm::new(platform, seed);
    let before = storm.rig.driver.census();
    storm.make_clients();
    storm.run(BEFORE_LOSS);
    storm.rig.model().injection().device_gone = true;
    for _ in 0..100 {
        storm.pass(10_000_000);
    }
    assert!(storm.rig.driver.gpu().is_wedged(), "it is noticed");
    assert!(storm.all_reached(), "what was accepted has ended");
    storm.check_results(true);
    for id in 0..CLIENTS {
        let accepted = storm.accepted();
        storm.submit(id, Kind::Good);
        assert_eq!(storm.accepted(), accepted, "nobody can submit: EIO");
        assert_eq!(storm.rig.context_create(id, 0, &[]), Err(Errno::Io));
    }
    storm.close_everything();
    let mut after = storm.rig.driver.census();
    let kept = before.free_driver_pages - after.free_driver_pages;
    assert!(kept <= 8, "{kept} pages of timeline slots");
    after.free_driver_pages = before.free_driver_pages;
    assert_eq!(before, after, "everything is given back all the same");
    assert_eq!((storm.rig.domain.held(), storm.rig.domain.mapped()), (0, 0));
}

#[test]
fn clients_get_right_results_or_precise_errors_in_a_storm_on_broadwell() {
    storm("bdw", 0x5eed_0101);
}

#[test]
fn clients_get_right_results_or_precise_errors_in_a_storm_on_skylake() {
    storm("skl", 0x5eed_0102);
}

#[test]
fn clients_get_right_results_or_precise_errors_in_a_storm_on_kaby_lake() {
    storm("kbl", 0x5eed_0103);
}

#[test]
fn clients_get_right_results_or_precise_errors_in_a_storm_on_gemini_lake() {
    storm("glk", 0x5eed_0104);
}

#[test]
fn clients_get_right_results_or_precise_errors_in_a_storm_on_ice_lake() {
    storm("icl", 0x5eed_0105);
}

#[test]
fn clients_get_right_results_or_precise_errors_in_a_storm_on_tiger_lake() {
    storm("tgl", 0x5eed_0106);
}

#[test]
fn clients_get_right_results_or_precise_errors_in_a_storm_on_rocket_lake() {
    storm("rkl", 0x5eed_0107);
}

#[test]
fn clients_get_right_results_or_precise_errors_in_a_storm_on_alder_lake() {
    storm("adls", 0x5eed_0108);
}

#[test]
fn a_device_that_is_lost_in_a_storm_ends_everything_and_gives_everything_back() {
    for (platform, seed) in (0x5eed_0111..)
        .zip(["bdw", "skl", "kbl", "glk", "icl", "tgl", "rkl", "adls"])
        .map(|(seed, platform)| (platform, seed))
    {
        storm_and_loss(platform, seed);
    }
}
