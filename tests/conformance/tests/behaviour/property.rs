// SPDX-License-Identifier: BSD-2-Clause
//! Random lives of two clients against plain values: what each of them may expect of every call, and that
//! nothing is left when both have given everything up.

use std::cell::Cell;
use std::collections::BTreeMap;

use conformance::wire::{param, reads, whole_grant, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{ContextParam, Errno, Fence, Operation, PageRequest, UserptrCreate};
use intel_gpu::uapi::ClientLimits;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::seed;

const LIMITS: ClientLimits = ClientLimits {
    contexts: 3,
    spaces: 2,
    objects: 5,
    lent_pages: 12,
    driver_pages: 400,
    ..ClientLimits::DEFAULT
};
/// Ranges that a client makes objects of: first page and pages; some overlap.
const RANGES: [(u32, u32); 6] = [(0, 2), (2, 3), (5, 1), (6, 4), (4, 2), (10, 2)];
/// Where the object of a range goes in the GPU's address space.
const PLACE: u64 = 0x100_0000;
const CODE_PAGE: u32 = 20;
const CODE: u64 = 0x10_0000;
/// The object with the client's commands, which no step closes.
const CODE_HANDLE: u32 = 1;
const ENGINES: [u32; 3] = [1, 2, 3];

#[derive(Clone, Copy, Debug)]
enum Step {
    VmCreate,
    VmDestroy(u32),
    ContextCreate {
        vm: Option<u32>,
    },
    ContextDestroy(u32),
    Create(usize),
    Close(u32),
    /// The client runs a batch that stores into the object.
    Submit {
        context: u32,
        object: u32,
        engine: usize,
        wait: bool,
    },
    /// The owner grants at most so many pages of the oldest request it has seen.
    Grant(u32),
    Refuse,
    Busy(bool),
    Settle,
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let handle = || 1..6_u32;
    let step = prop_oneof![
        2 => Just(Step::VmCreate),
        1 => handle().prop_map(Step::VmDestroy),
        3 => prop::option::of(1..4_u32).prop_map(|vm| Step::ContextCreate { vm }),
        2 => (1..5_u32).prop_map(Step::ContextDestroy),
        5 => (0..RANGES.len()).prop_map(Step::Create),
        3 => handle().prop_map(Step::Close),
        12 => (1..4_u32, handle(), 0..ENGINES.len(), any::<bool>())
            .prop_map(|(context, object, engine, wait)| Step::Submit { context, object, engine, wait }),
        8 => (1..5_u32).prop_map(Step::Grant),
        1 => Just(Step::Refuse),
        1 => any::<bool>().prop_map(Step::Busy),
        2 => Just(Step::Settle),
    ];
    (0..2_usize, step)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pages {
    Absent,
    Requested,
    Present,
    Failed(Errno),
}

#[derive(Clone, Copy, Debug)]
struct Object {
    range: usize,
    pages: Pages,
    /// Pages that the owner has granted.
    granted: u32,
}

/// What a client has, as it sees it.
#[derive(Debug, Default)]
struct Client {
    vms: Vec<u32>,
    contexts: Vec<u32>,
    objects: BTreeMap<u32, Object>,
    /// Requests seen, with what has been granted of them.
    requests: Vec<(PageRequest, u32)>,
    fences: Vec<Fence>,
    stored: u32,
}

fn lowest_free<'a>(taken: impl Iterator<Item = &'a u32>) -> u32 {
    let taken: Vec<_> = taken.copied().collect();
    (1..).find(|handle| !taken.contains(handle)).unwrap_or(0)
}

struct World {
    rig: Rig,
    clients: [Client; 2],
    codes: [Region; 2],
    busy: bool,
}

impl World {
    fn new(platform: &'static str) -> Self {
        let mut rig = Rig::with(Settings { limits: vec![LIMITS; 2], ..Settings::new(platform) });
        let codes = [0, 1].map(|client| rig.region_at(client, CODE_PAGE, 1));
        Self { rig, clients: Default::default(), codes, busy: false }
    }

    fn address(&self, client: usize, range: usize) -> u64 {
        // Regions begin at the same place for every page of a client.
        self.codes[client].address - (u64::from(CODE_PAGE) << 12) + (u64::from(RANGES[range].0) << 12)
    }

    fn create(&mut self, client: usize, range: usize) {
        let (address, size) = (self.address(client, range), u64::from(RANGES[range].1) << 12);
        let overlaps = self.clients[client].objects.values().any(|object| {
            let ((a, n), (b, m)) = (RANGES[object.range], RANGES[range]);
            a < b + m && b < a + n
        });
        let create = UserptrCreate { user_ptr: address, user_size: size, flags: 0, handle: 0 };
        let result = self.rig.op(client, Operation::UserptrCreate, &create);
        let state = &mut self.clients[client];
        let full = state.objects.len() >= LIMITS.objects as usize - 1;
        let owes = !state.requests.is_empty();
        match result {
            Ok(words) => {
                assert!(!overlaps && !full);
                let handle = conformance::wire::handle(words);
                assert_eq!(u64::from(handle), words[0]);
                assert!(!state.objects.contains_key(&handle));
                state.objects.insert(handle, Object { range, pages: Pages::Absent, granted: 0 });
            }
            Err(Errno::Inval) => assert!(overlaps),
            // Closed ones that still run, or whose request the owner has not answered, hold their range and
            // their place among the objects.
            Err(Errno::Again) => assert!((self.busy || owes) && !overlaps),
            Err(errno) => assert!(errno == Errno::NoMem && (full || self.busy || owes), "{errno}"),
        }
    }

    fn submit(&mut self, client: usize, context: u32, handle: u32, engine: usize, wait: bool) {
        let state = &self.clients[client];
        let fences: Vec<_> = if wait { state.fences.iter().copied().rev().take(3).collect() } else { vec![] };
        let known = state.contexts.contains(&context) && state.objects.contains_key(&handle);
        let place = state.objects.get(&handle).map_or(PLACE, |object| PLACE << object.range);
        let value = state.stored + 1;
        let list = [writes(handle, place), reads(CODE_HANDLE, CODE)];
        if !self.busy {
            self.rig.poke(self.codes[client].physical, &batch::store(place, value));
        }
        let result = self.rig.submit(client, context, ENGINES[engine], &list, &fences);
        let busy = self.busy;
        let state = &mut self.clients[client];
        let Some(object) = state.objects.get_mut(&handle).filter(|_| known) else {
            assert_eq!(result, Err(Errno::NoEnt));
            return;
        };
        match (object.pages, result) {
            (Pages::Present, Ok(fence)) => {
                let earlier = state.fences.iter().filter(|other| other.timeline == fence.timeline);
                assert!(earlier.map(|other| other.point).max().unwrap_or(0) < fence.point);
                state.fences.push(fence);
                if !busy {
                    self.rig.settle();
                    assert!(self.rig.reached(client, fence));
                    state.stored = value;
                    let first = RANGES[object.range].0;
                    let physical =
                        self.codes[client].physical - (u64::from(CODE_PAGE) << 12) + (u64::from(first) << 12);
                    assert_eq!(self.rig.peek(physical), value);
                }
            }
            (Pages::Present, Err(errno)) => {
                // Rings fill, and a closed object that runs may still be where this one goes.
                assert!(busy && matches!(errno, Errno::Again | Errno::NoMem), "{errno}");
            }
            (Pages::Absent, Err(Errno::Again)) => object.pages = Pages::Requested,
            (Pages::Requested, Err(Errno::Again)) => {}
            (Pages::Failed(expected), Err(errno)) => {
                assert_eq!(errno, expected);
                object.pages = Pages::Absent;
            }
            (pages, result) => panic!("{pages:?}: {result:?}"),
        }
    }

    fn fetch(&mut self, client: usize) {
        while let Some(request) = self.rig.next_request(client) {
            let state = &self.clients[client];
            let asked = state.objects.values().any(|object| {
                object.pages == Pages::Requested && self.address(client, object.range) == request.address
            });
            assert!(asked, "{request:x?} is for no object that was used");
            self.clients[client].requests.push((request, 0));
        }
    }

    fn object_of(&mut self, client: usize, request: PageRequest) -> Option<&mut Object> {
        let handle = self.clients[client].objects.iter().find_map(|(handle, object)| {
            (self.address(client, object.range) == request.address).then_some(*handle)
        })?;
        self.clients[client].objects.get_mut(&handle)
    }

    fn grant(&mut self, client: usize, pages: u32) {
        self.fetch(client);
        if self.clients[client].requests.is_empty() {
            return;
        }
        let (request, done) = self.clients[client].requests.remove(0);
        let first = u32::try_from((request.address - self.address(client, 0)) >> 12).unwrap();
        let all = u32::try_from(request.size >> 12).unwrap();
        let count = pages.min(all - done);
        let region = self.rig.region_at(client, first, all);
        let mut grant = whole_grant(request, region);
        (grant.first, grant.count, grant.address) = (done, count, request.address + (u64::from(done) << 12));
        let held = self.rig.domain.held();
        match self.rig.grant(client, &grant, region.cnode) {
            Ok(taken) => {
                assert_eq!(taken, u64::from(count));
                assert_eq!(self.rig.domain.held(), held + count as usize);
                let object = self.object_of(client, request).expect("its object");
                assert_eq!(object.pages, Pages::Requested);
                object.granted += count;
                if done + count == all {
                    object.pages = Pages::Present;
                } else {
                    self.clients[client].requests.insert(0, (request, done + count));
                }
            }
            // The object was closed meanwhile, and perhaps made anew.
            Err(Errno::Again) => assert_eq!(self.rig.domain.held(), held),
            Err(errno) => {
                // Its limit of lent pages, or closed pages that still run and are lent.
                assert!(matches!(errno, Errno::NoMem) || self.busy && errno == Errno::Fault, "{errno}");
                assert_eq!(self.rig.domain.held(), held);
                self.clients[client].requests.push((request, done));
            }
        }
    }

    fn refuse(&mut self, client: usize) {
        self.fetch(client);
        let Some((request, _)) = self.clients[client].requests.pop() else { return };
        if self.rig.refuse(client, request, Errno::NoSpc).is_ok() {
            let object = self.object_of(client, request).expect("its object");
            assert_eq!(object.pages, Pages::Requested);
            (object.pages, object.granted) = (Pages::Failed(Errno::NoSpc), 0);
        }
    }

    fn step(&mut self, client: usize, step: Step) {
        match step {
            Step::VmCreate => {
                let expected = lowest_free(self.clients[client].vms.iter());
                match self.rig.vm_create(client) {
                    Ok(vm) => {
                        assert_eq!(vm, expected);
                        self.clients[client].vms.push(vm);
                    }
                    Err(errno) => {
                        assert_eq!(errno, Errno::NoMem);
                        assert!(self.busy || self.clients[client].vms.len() >= LIMITS.spaces as usize);
                    }
                }
            }
            Step::VmDestroy(vm) => {
                let known = self.clients[client].vms.contains(&vm);
                let result = self.rig.vm_destroy(client, vm);
                assert_eq!(result, if known { Ok(()) } else { Err(Errno::NoEnt) });
                self.clients[client].vms.retain(|other| *other != vm);
            }
            Step::ContextCreate { vm } => {
                let params: Vec<_> = vm.into_iter().map(|vm| param(ContextParam::VM, vm.into())).collect();
                let expected = lowest_free(self.clients[client].contexts.iter());
                let full = self.clients[client].contexts.len() >= LIMITS.contexts as usize;
                let known = vm.is_none_or(|vm| self.clients[client].vms.contains(&vm));
                match self.rig.context_create(client, 0, &params) {
                    Ok(context) => {
                        assert!(known && !full);
                        assert_eq!(context, expected);
                        self.clients[client].contexts.push(context);
                    }
                    Err(Errno::NoEnt) => assert!(!known),
                    Err(errno) => assert!(errno == Errno::NoMem && (full || self.busy), "{errno}"),
                }
            }
            Step::ContextDestroy(context) => {
                let known = self.clients[client].contexts.contains(&context);
                let result = self.rig.context_destroy(client, context);
                assert_eq!(result, if known { Ok(()) } else { Err(Errno::NoEnt) });
                self.clients[client].contexts.retain(|other| *other != context);
            }
            Step::Create(range) => self.create(client, range),
            Step::Close(CODE_HANDLE) | Step::Submit { object: CODE_HANDLE, .. } => {}
            Step::Close(object) => {
                let known = self.clients[client].objects.remove(&object).is_some();
                let result = self.rig.close(client, object);
                assert_eq!(result, if known { Ok(()) } else { Err(Errno::NoEnt) });
            }
            Step::Submit { context, object, engine, wait } => {
                self.submit(client, context, object, engine, wait);
            }
            Step::Grant(pages) => self.grant(client, pages),
            Step::Refuse => self.refuse(client),
            Step::Busy(busy) => {
                self.busy = busy;
                self.rig.set_timing(if busy { Timing::Busy } else { Timing::Instant });
                if !busy {
                    self.rig.settle();
                }
            }
            Step::Settle => self.rig.settle(),
        }
    }
}

/// Returns the number of batches that ran.
fn live(platform: &'static str, steps: &[(usize, Step)]) -> usize {
    let mut world = World::new(platform);
    let start = world.rig.snapshot().census;
    for client in 0..2 {
        // The code's pages are lent before anything else.
        let code = world.codes[client];
        assert_eq!(world.rig.userptr(client, code), CODE_HANDLE);
        world.rig.poke(code.physical, &[batch::END, 0]);
        let context = world.rig.context_create(client, 0, &[]).unwrap();
        world.rig.run(client, context, 3, &[reads(CODE_HANDLE, CODE)], &[], &[code]).unwrap();
        world.rig.settle();
        world.rig.context_destroy(client, context).unwrap();
    }
    for (client, step) in steps {
        world.step(*client, *step);
        let held = world.rig.domain.held();
        assert_eq!(held, world.rig.domain.mapped());
        if !world.busy {
            // Every page that is held is one that a live object was granted, and the code.
            let granted: u32 = world
                .clients
                .iter()
                .flat_map(|client| client.objects.values())
                .map(|object| object.granted)
                .sum();
            assert_eq!(held, granted as usize + 2, "after {step:?}");
        }
    }
    world.step(0, Step::Busy(false));
    for client in 0..2 {
        for fence in &world.clients[client].fences {
            assert!(world.rig.reached(client, *fence), "{fence:?}");
        }
        for vm in std::mem::take(&mut world.clients[client].vms) {
            world.rig.vm_destroy(client, vm).unwrap();
        }
        for context in std::mem::take(&mut world.clients[client].contexts) {
            world.rig.context_destroy(client, context).unwrap();
        }
        for object in world.clients[client].objects.keys().copied().chain([CODE_HANDLE]) {
            world.rig.close(client, object).unwrap();
        }
        for (request, _) in std::mem::take(&mut world.clients[client].requests) {
            assert_eq!(world.rig.refuse(client, request, Errno::Fault), Err(Errno::Again));
        }
    }
    world.rig.settle();
    world.rig.driver.tick(&mut world.rig.domain);
    let end = world.rig.snapshot();
    assert_eq!((end.held, end.mapped), (0, 0));
    // Pages of timeline slots, once made, stay the driver's own.
    let end = intel_gpu::uapi::Census { free_driver_pages: start.free_driver_pages, ..end.census };
    assert_eq!(end, start);
    world.rig.check();
    world.clients.iter().map(|client| client.fences.len()).sum()
}

fn property(platform: &'static str) {
    let ran = Cell::new(0);
    seed::runner(128)
        .run(&vec(step(), 1..200), |steps| {
            ran.set(ran.get() + live(platform, &steps));
            Ok(())
        })
        .unwrap();
    assert!(ran.get() > 100, "only {} batches ran", ran.get());
}

#[test]
fn two_random_clients_on_tiger_lake_get_what_they_may_expect_and_leave_nothing() {
    property("tgl");
}

#[test]
fn two_random_clients_on_skylake_get_what_they_may_expect_and_leave_nothing() {
    property("skl");
}
