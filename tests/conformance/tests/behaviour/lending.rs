// SPDX-License-Identifier: BSD-2-Clause
//! The invariant of lent pages by property: random submissions of two clients, one of which uses the other's
//! object too, invalidations, closes and hangs, in any order. After every *done*, no translation table and no
//! TLB of the modelled GPU reaches a page of the range, and the driver holds none of it. TLBs of the model
//! forget nothing by themselves.

use std::cell::Cell;

use conformance::wire::{reads, whole_grant, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{Errno, PageRequest};
use intel_gpu::uapi::DriverConfig;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::seed;

const PAGE: u64 = 4096;
const MS: u64 = 1_000_000;
/// How long invalidations wait here.
const DEADLINE: u64 = 30 * MS;
const CODE: u64 = 0x10_0000;
/// Where object `n` goes.
const PLACE: u64 = 0x100_0000;
/// Objects a client: pages of its memory, and how many.
const OBJECTS: [(u32, u32); 3] = [(0, 1), (1, 4), (5, 2)];
/// Engines: blitter and render.
const ENGINES: [u32; 2] = [3, 0];

#[derive(Clone, Debug)]
enum Step {
    /// A batch that ends, or one that waits for ever, on an engine; its objects are a set of bits.
    Submit {
        objects: u8,
        engine: usize,
        endless: bool,
    },
    /// Uses the first object of the other client.
    Borrow,
    Close(usize),
    /// Takes back pages `first..first + count` of the client's memory.
    Invalidate {
        first: u32,
        count: u32,
    },
    /// Answers up to so many requests.
    Serve(usize),
    /// Answers the oldest request that was fetched and not answered, if it is stale.
    AnswerLate,
    Fetch,
    Busy(bool),
    Settle,
    /// Milliseconds.
    Wait(u64),
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let step = prop_oneof![
        10 => (1..8_u8, 0..ENGINES.len(), prop::bool::weighted(0.05))
            .prop_map(|(objects, engine, endless)| Step::Submit { objects, engine, endless }),
        2 => Just(Step::Borrow),
        2 => (0..OBJECTS.len()).prop_map(Step::Close),
        6 => (0..7_u32, 1..4_u32).prop_map(|(first, count)| Step::Invalidate { first, count }),
        8 => (1..4_usize).prop_map(Step::Serve),
        1 => Just(Step::AnswerLate),
        1 => Just(Step::Fetch),
        2 => any::<bool>().prop_map(Step::Busy),
        3 => Just(Step::Settle),
        1 => (1..50_u64).prop_map(Step::Wait),
    ];
    (0..2_usize, step)
}

#[derive(Debug, Default)]
struct Client {
    context: u32,
    code: u32,
    handles: [Option<u32>; OBJECTS.len()],
    borrowed: Option<u32>,
    fetched: Vec<PageRequest>,
    /// Invalidations that are not done: ticket, and the pages that were not granted anew meanwhile.
    pending: Vec<(u64, Vec<u64>)>,
}

struct World {
    platform: &'static str,
    rig: Rig,
    clients: [Client; 2],
    codes: [Region; 2],
    done: u64,
    waited: u64,
}

/// The region of pages of a client's memory.
fn region(rig: &mut Rig, client: usize, first: u32, count: u32) -> Region {
    rig.region_at(client, first, count)
}

impl World {
    fn new(platform: &'static str) -> Self {
        let driver = DriverConfig { invalidate_ns: DEADLINE, ..DriverConfig::DEFAULT };
        let mut rig = Rig::with(Settings { driver, ..Settings::new(platform) });
        let codes = [0, 1].map(|client| region(&mut rig, client, 16, 1));
        let mut clients = <[Client; 2]>::default();
        for (client, state) in clients.iter_mut().enumerate() {
            state.context = rig.context_create(client, 0, &[]).unwrap();
            state.code = rig.userptr(client, codes[client]);
            // Without an end the GPU would go on through all of the address space.
            rig.poke(codes[client].physical, &[batch::END, 0]);
        }
        Self { platform, rig, clients, codes, done: 0, waited: 0 }
    }

    /// The handle of an object of a client; one that was closed is created again.
    fn object(&mut self, client: usize, index: usize) -> Option<u32> {
        if self.clients[client].handles[index].is_none() {
            let (first, count) = OBJECTS[index];
            let region = region(&mut self.rig, client, first, count);
            match self.rig.userptr_create(client, region.address, region.size) {
                Ok(handle) => self.clients[client].handles[index] = Some(handle),
                // What was there runs still, or its owner owes an answer.
                Err(errno) => assert_eq!(errno, Errno::Again),
            }
        }
        self.clients[client].handles[index]
    }

    fn submit(&mut self, client: usize, objects: u8, engine: usize, endless: bool) {
        let chosen: Vec<_> = (0..OBJECTS.len()).filter(|index| objects >> index & 1 != 0).collect();
        let mut list = Vec::new();
        for index in chosen {
            let Some(handle) = self.object(client, index) else { return };
            list.push(writes(handle, PLACE << index));
        }
        let first = list[0].address;
        list.push(reads(self.clients[client].code, CODE));
        // While the engine may still be reading another batch, the commands stay what they are.
        if !self.rig.driver.is_busy() {
            let commands = if endless {
                batch::gated_store(self.platform, CODE + 0x800, 1, first, 1)
            } else {
                batch::store(first, 1).to_vec()
            };
            self.rig.poke(self.codes[client].physical, &commands);
        }
        let context = self.clients[client].context;
        match self.rig.submit(client, context, ENGINES[engine], &list, &[]) {
            Ok(_) | Err(Errno::Again) => {}
            // An earlier try's refusal.
            Err(errno) => assert_eq!(errno, Errno::Fault),
        }
    }

    fn borrow(&mut self, client: usize) {
        let other = 1 - client;
        let Some(theirs) = self.object(other, 0) else { return };
        if self.clients[client].borrowed.is_none() {
            let name = self.rig.export(other, theirs, client).unwrap();
            self.clients[client].borrowed = Some(self.rig.import(client, name).unwrap());
        }
        let Some(borrowed) = self.clients[client].borrowed else { return };
        let list = [writes(borrowed, PLACE << 8), reads(self.clients[client].code, CODE)];
        let context = self.clients[client].context;
        let result = self.rig.submit(client, context, ENGINES[0], &list, &[]);
        assert!(matches!(result, Ok(_) | Err(Errno::Again | Errno::Fault)), "{result:?}");
    }

    fn grant(&mut self, client: usize, request: PageRequest) -> Result<u64, Errno> {
        let base = region(&mut self.rig, client, 0, 1).address;
        let first = u32::try_from((request.address - base) / PAGE).unwrap();
        let frames = region(&mut self.rig, client, first, u32::try_from(request.size / PAGE).unwrap());
        let granted = self.rig.grant(client, &whole_grant(request, frames), frames.cnode)?;
        let anew = frames.physical..frames.physical + frames.size;
        for (_, pages) in &mut self.clients[client].pending {
            pages.retain(|page| !anew.contains(page));
        }
        Ok(granted)
    }

    fn serve(&mut self, client: usize, most: usize) {
        for _ in 0..most {
            let Some(request) = self.rig.next_request(client) else { return };
            match self.grant(client, request) {
                // A closed object's pages may still be lent, while the GPU uses them.
                Ok(_) => {}
                Err(Errno::Fault) => self.rig.refuse(client, request, Errno::Fault).unwrap(),
                Err(errno) => panic!("{errno} for {request:x?}"),
            }
        }
    }

    /// Pages are out of reach in every way.
    fn unreachable(&mut self, pages: &[u64]) {
        self.done += 1;
        let remembered = self.rig.model().remembered_pages();
        assert!(!remembered.iter().any(|page| pages.contains(page)), "a TLB remembers a page");
        for place in [0, 1, 2, 8].map(|shift| PLACE << shift) {
            for page in 0..4 {
                let leaves = self.rig.model().translations(place + page * PAGE);
                assert!(!leaves.iter().any(|leaf| pages.contains(&leaf.page)), "a table has a page");
            }
        }
        assert!(!pages.iter().any(|page| self.rig.domain.holds(*page)), "the driver holds a page");
    }

    fn invalidate(&mut self, client: usize, first: u32, count: u32) {
        let range = region(&mut self.rig, client, first, count);
        let pages: Vec<_> = (0..u64::from(count)).map(|page| range.physical + page * PAGE).collect();
        match self.rig.invalidate(client, range.address, range.address + range.size) {
            Ok(reply) if reply.is_done() => self.unreachable(&pages),
            Ok(reply) => {
                self.waited += 1;
                self.clients[client].pending.push((reply.ticket, pages));
            }
            Err(errno) => assert!(errno == Errno::Again && self.clients[client].pending.len() >= 16),
        }
    }

    /// Reads how the pending invalidations stand.
    fn read_tickets(&mut self) {
        for client in 0..2 {
            for (ticket, pages) in std::mem::take(&mut self.clients[client].pending) {
                if self.rig.invalidate_status(client, ticket).unwrap().is_done() {
                    self.unreachable(&pages);
                } else {
                    self.clients[client].pending.push((ticket, pages));
                }
            }
        }
    }

    fn step(&mut self, client: usize, step: &Step) {
        match *step {
            Step::Submit { objects, engine, endless } => self.submit(client, objects, engine, endless),
            Step::Borrow => self.borrow(client),
            Step::Close(index) => {
                if let Some(handle) = self.clients[client].handles[index].take() {
                    self.rig.close(client, handle).unwrap();
                }
                if index == 0
                    && let Some(handle) = self.clients[1 - client].borrowed.take()
                {
                    self.rig.close(1 - client, handle).unwrap();
                }
            }
            Step::Invalidate { first, count } => self.invalidate(client, first, count),
            Step::Serve(most) => self.serve(client, most),
            Step::Fetch => {
                let request = self.rig.next_request(client);
                self.clients[client].fetched.extend(request);
            }
            Step::AnswerLate => {
                if !self.clients[client].fetched.is_empty() {
                    let request = self.clients[client].fetched.remove(0);
                    let result = self.grant(client, request);
                    assert!(matches!(result, Ok(_) | Err(Errno::Again | Errno::Fault)), "{result:?}");
                    if result == Err(Errno::Fault) {
                        let _ = self.rig.refuse(client, request, Errno::Fault);
                    }
                }
            }
            Step::Busy(busy) => self.rig.set_timing(if busy { Timing::Busy } else { Timing::Instant }),
            Step::Settle => {
                self.rig.model().run_until_idle(MS);
                self.rig.settle_for(MS);
            }
            Step::Wait(ms) => drop(self.rig.wait(ms * MS, |_| false)),
        }
        // What ends in this step is looked at before anything can be granted anew.
        self.read_tickets();
    }
}

/// Returns how many invalidations were done, and how many of them not at once.
fn live(platform: &'static str, steps: &[(usize, Step)]) -> (u64, u64) {
    let mut world = World::new(platform);
    for (client, step) in steps {
        world.step(*client, step);
    }
    // Whatever was left running, everything comes back within the deadline.
    world.rig.set_timing(Timing::Instant);
    for client in 0..2 {
        world.invalidate(client, 0, 17);
    }
    world.rig.wait(DEADLINE + 140 * MS, |rig| !rig.driver.is_busy());
    world.read_tickets();
    for client in 0..2 {
        assert!(world.clients[client].pending.is_empty(), "bounded");
    }
    assert_eq!((world.rig.domain.held(), world.rig.domain.mapped()), (0, 0));
    let census = world.rig.driver.census();
    assert_eq!(census.bindings, 0);
    assert_eq!(world.rig.model().reports(), []);
    (world.done, world.waited)
}

fn property(platform: &'static str) {
    let (done, waited) = (Cell::new(0), Cell::new(0));
    seed::runner(32)
        .run(&vec(step(), 1..80), |steps| {
            let (more_done, more_waited) = live(platform, &steps);
            done.set(done.get() + more_done);
            waited.set(waited.get() + more_waited);
            Ok(())
        })
        .unwrap();
    println!("{} invalidations done, {} of them later", done.get(), waited.get());
    assert!(done.get() > 40 && waited.get() > 4, "{} and {}", done.get(), waited.get());
}

#[test]
fn pages_that_were_taken_back_on_tiger_lake_are_reached_by_no_table_and_no_tlb() {
    property("tgl");
}

#[test]
fn pages_that_were_taken_back_on_skylake_are_reached_by_no_table_and_no_tlb() {
    property("skl");
}
