// SPDX-License-Identifier: BSD-2-Clause
//! Random lives of a client's contexts against contexts as plain values: whatever was created, cloned, set, destroyed
//! and submitted before, every parameter reads as the value has it, every refusal has its reason and changes nothing,
//! and address spaces, timelines, maps and bindings are as many as the values say.

mod values;

use std::collections::{BTreeMap, BTreeSet};

use conformance::wire::{Words, clone_of, handle, load_balance, param, reads, set_param, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{
    Connect, ContextCreate, ContextParam, ContextSseu, EngineClassInstance, EnginesHeader, Errno,
    ExtensionHeader, Fence, Operation, Submit, SubmitObject, VERSION,
};
use intel_gpu::uapi::Census;
use proptest::collection::vec;
use proptest::prelude::*;
use zerocopy::{FromBytes, IntoBytes};

use crate::seed;
use values::Wanted::{Both, Either, Hole, One};
use values::{
    BROADWELL, COPY, Context, ENHANCE, End, Extension, FLAGS, HOUR_US, ICE_LAKE, Key, LIMITS, MAPS, MISSING,
    Map, Param, Part, RENDER, Step, TIGER_LAKE, VIDEO, Value, Values, lowest_free,
};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;

fn any_param() -> impl Strategy<Value = Param> {
    let watchdogs = prop::sample::select(vec![0, 30_000_000, HOUR_US, HOUR_US + 1]);
    let subslices = prop::sample::select(vec![0x0f, 0x0f, 0xf0, 0xff, 0x07, 0x1ff, 0]);
    // Where the render engine is, mostly.
    let slots = prop::sample::select(vec![0, 0, 0, 2, 1, 5]);
    prop_oneof![
        2 => prop::sample::select(vec![-1024, -1023, -9, 0, 1, 1023, 1024]).prop_map(Param::Priority),
        4 => (0..FLAGS.len(), any::<bool>()).prop_map(|(flag, on)| Param::Flag(flag, on)),
        1 => watchdogs.prop_map(Param::Watchdog),
        3 => (0..6_u32).prop_map(Param::Space),
        5 => (0..MAPS.len()).prop_map(Param::Engines),
        1 => Just(Param::DefaultEngines),
        6 => (slots, any::<bool>(), subslices)
            .prop_map(|(slot, indexed, subslices)| Param::Sseu { slot, indexed, subslices }),
        1 => Just(Param::Unknown),
        1 => prop::sample::select(vec![ContextParam::PRIORITY, ContextParam::VM, ContextParam::PERSISTENCE])
            .prop_map(Param::Sized),
        1 => prop::sample::select(vec![ContextParam::ENGINES, ContextParam::SSEU]).prop_map(Param::Short),
    ]
}

fn extension() -> impl Strategy<Value = Extension> {
    let flags = prop_oneof![20 => 0..64_u32, 10 => Just(63), 1 => Just(64)];
    let rsvd = prop_oneof![30 => Just(0_u64), 1 => Just(1)];
    prop_oneof![
        1 => any_param().prop_map(Extension::Set),
        1 => (prop::sample::select(vec![0, 1, 1, 2, 3, 5]), flags, rsvd).prop_map(|(source, flags, rsvd)| Extension::Clone { source, flags, rsvd }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly one that is there.
    let context = || prop::sample::select(vec![0, 1, 1, 1, 2, 2, 3, 4, 5_u32]);
    let videos = [Submit::FIRST_VIDEO, Submit::SECOND_VIDEO];
    let mut engines: Vec<u32> = (0..6).collect();
    engines.extend([videos[0] | 2, videos[1] | 2, videos[0] | videos[1] | 2, videos[1] | 3]);
    let engine = prop::sample::select(engines);
    let end = prop_oneof![
        20 => Just(End::Zero),
        1 => Just(End::Loop),
        1 => Just(End::Unknown),
        1 => Just(End::Outside),
    ];
    prop_oneof![
        2 => Just(Step::VmCreate),
        2 => context().prop_map(Step::VmDestroy),
        2 => context().prop_map(Step::GetVm),
        12 => (any::<bool>(), vec(extension(), 0..5), end)
            .prop_map(|(single, chain, end)| Step::Create { single, chain, end }),
        16 => (context(), any_param()).prop_map(|(context, param)| Step::Set(context, param)),
        3 => context().prop_map(Step::Destroy),
        12 => (context(), engine, any::<bool>())
            .prop_map(|(context, engine, wait)| Step::Submit { context, engine, wait }),
        1 => any::<bool>().prop_map(Step::Busy),
    ]
}

struct World {
    values: Values,
    rig: Rig,
    data: Region,
    code: Region,
    list: [SubmitObject; 2],
    /// Address spaces in which the objects are bound.
    bound: BTreeSet<Key>,
    /// Each timeline's place in the page of points, once it is known.
    places: BTreeMap<Key, u32>,
    /// The last point of each place.
    points: BTreeMap<u32, u64>,
    fences: Vec<Fence>,
    busy: bool,
    stored: u32,
    /// Creations and clones that were made.
    made: u32,
    start: Census,
}

/// Where the structure of an extension of the chain is written, and that of its parameter.
const fn at(index: usize) -> (usize, usize) {
    (1024 + index * 64, 12_288 + index * 1024)
}

impl World {
    fn new(part: Part) -> Self {
        let settings =
            Settings { limits: vec![LIMITS; 2], privileged: part.privileged, ..Settings::new(part.name) };
        let mut rig = Rig::with(settings);
        let start = rig.driver.census();
        let (data, code) = (rig.region(0, 1), rig.region(0, 1));
        let objects = [rig.userptr(0, data), rig.userptr(0, code)];
        let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
        rig.poke(code.physical, &batch::store(DATA, 0));
        let fence = rig.run(0, 0, 3, &list, &[], &[data, code]).unwrap();
        rig.settle();
        let mut world = Self {
            values: Values::new(part),
            rig,
            data,
            code,
            list,
            bound: BTreeSet::new(),
            places: BTreeMap::new(),
            points: BTreeMap::new(),
            fences: vec![fence],
            busy: false,
            stored: 0,
            made: 0,
            start,
        };
        let (space, timeline) = (world.values.key(), world.values.key());
        let value = Value {
            space: Some(space),
            map: Map::Default(world.values.default_slots()),
            ..Values::default_value()
        };
        world
            .values
            .contexts
            .insert(0, Context { value, states: BTreeMap::from([(1, timeline)]), in_flight: false });
        world.bound.insert(space);
        world.places.insert(timeline, fence.timeline);
        world.points.insert(fence.timeline, fence.point);
        world
    }

    /// Writes what a parameter points to at `structure`; the parameter.
    fn write_param(&mut self, context: u32, wanted: Param, structure: usize) -> ContextParam {
        let there = structure as u64;
        let (size, name, value) = match wanted {
            Param::Priority(priority) => (0, ContextParam::PRIORITY, priority.cast_unsigned()),
            Param::Flag(flag, on) => (0, FLAGS[flag], u64::from(on)),
            Param::Watchdog(us) => (0, ContextParam::WATCHDOG, us),
            Param::Space(handle) => (0, ContextParam::VM, u64::from(handle)),
            Param::Unknown => (0, 99, 0),
            Param::Sized(name) => (8, name, 0),
            Param::Short(name) => (7, name, there),
            Param::DefaultEngines => (0, ContextParam::ENGINES, 0),
            Param::Engines(map) => {
                let mut engines = Vec::new();
                let mut extensions = 0;
                for (slot, wanted) in (0..).zip(MAPS[map]) {
                    engines.push(match wanted {
                        Hole | Either => EngineClassInstance::NONE,
                        One(engine) => *engine,
                        Both => COPY,
                    });
                    if matches!(wanted, Either | Both) {
                        extensions = there + 256;
                        self.rig.write_extension(0, structure + 256, &load_balance(0, slot, 2), &VIDEO);
                    }
                }
                self.rig.write_area(0, structure, EnginesHeader { extensions }.as_bytes());
                self.rig.write_area(0, structure + 8, engines.as_bytes());
                (u32::try_from(8 + 4 * engines.len()).unwrap(), ContextParam::ENGINES, there)
            }
            Param::Sseu { slot, indexed, subslices } => {
                self.rig.write_area(0, structure, sseu_of(slot, indexed, subslices).as_bytes());
                (32, ContextParam::SSEU, there)
            }
        };
        ContextParam { ctx_id: context, size, param: name, value }
    }

    fn write_chain(&mut self, chain: &[Extension], end: End) -> u64 {
        for (index, extension) in chain.iter().enumerate() {
            let (place, structure) = at(index);
            let next =
                if index + 1 < chain.len() { at(index + 1).0 as u64 } else { self.write_end(chain, end) };
            match *extension {
                Extension::Set(wanted) => {
                    let param = self.write_param(0, wanted, structure);
                    self.rig.write_area(0, place, set_param(next, param).as_bytes());
                }
                Extension::Clone { source, flags, rsvd } => {
                    let clone = clone_of(next, source, flags);
                    let clone = gpu_protocol::CreateClone { rsvd, ..clone };
                    self.rig.write_area(0, place, clone.as_bytes());
                }
            }
        }
        if chain.is_empty() { self.write_end(chain, end) } else { at(0).0 as u64 }
    }

    fn write_end(&mut self, chain: &[Extension], end: End) -> u64 {
        let place = at(chain.len()).0;
        match end {
            End::Loop if !chain.is_empty() => at(0).0 as u64,
            End::Loop | End::Zero => 0,
            End::Outside => u64::MAX - 31,
            End::Unknown => {
                let header = ExtensionHeader { next: 0, name: 9, flags: 0, rsvd: [0; 4] };
                self.rig.write_area(0, place, header.as_bytes());
                place as u64
            }
        }
    }

    /// Makes a call whose outcome is known. One that is refused changes nothing.
    fn expect<A: IntoBytes + zerocopy::Immutable>(
        &mut self,
        operation: Operation,
        argument: &A,
        expected: Result<(), Errno>,
    ) -> Option<Words> {
        let before = self.rig.snapshot();
        let result = self.rig.op(0, operation, argument);
        assert_eq!(result.map(drop), expected, "{operation:?}");
        if expected.is_err() {
            assert_eq!(self.rig.snapshot(), before, "a refused {operation:?} changed something");
        }
        result.ok()
    }

    fn create(&mut self, single: bool, chain: &[Extension], end: End) {
        let expected = self.values.build(single, chain, end);
        let extensions = self.write_chain(chain, end);
        let flags = if single { ContextCreate::SINGLE_TIMELINE } else { 0 };
        let create = ContextCreate { ctx_id: 0, flags: flags | ContextCreate::USE_EXTENSIONS, extensions };
        let wanted = expected.as_ref().map(drop).map_err(|errno| *errno);
        if let Some(words) = self.expect(Operation::ContextCreate, &create, wanted) {
            self.insert(handle(words), expected.unwrap());
        }
    }

    fn insert(&mut self, handle: u32, value: Value) {
        assert_eq!(Some(handle), lowest_free(&self.values.contexts, LIMITS.contexts));
        self.values.contexts.insert(handle, Context { value, states: BTreeMap::new(), in_flight: false });
        self.made += 1;
    }

    fn set(&mut self, handle: u32, wanted: Param) {
        let found = self.values.contexts.get(&handle).cloned();
        let mut changed = found.clone();
        let expected = match changed.as_mut() {
            None => Err(Errno::NoEnt),
            Some(context) => self.values.apply(&mut context.value, found.as_ref(), wanted),
        };
        let argument = self.write_param(handle, wanted, at(0).1);
        self.expect(Operation::ContextSetParam, &argument, expected.map(drop));
        if let (Ok(replaced), Some(mut context)) = (expected, changed) {
            if replaced {
                context.states.clear();
            }
            self.values.contexts.insert(handle, context);
        }
    }

    fn submit(&mut self, handle: u32, engine: u32, wait: bool) {
        let slot = self.values.contexts.get(&handle).map(|context| match &context.value.map {
            Map::Default(slots) => default_slot(engine, self.values.part.two_videos)
                .filter(|slot| slots[*slot].engine != EngineClassInstance::NONE),
            map => {
                let slot = map.slots().get(engine as usize);
                slot.filter(|slot| slot.engine != EngineClassInstance::NONE).map(|_| engine as usize)
            }
        });
        let fences: Vec<_> = if wait { self.fences.iter().rev().take(3).copied().collect() } else { vec![] };
        if !self.busy {
            self.stored += 1;
            self.rig.poke(self.code.physical, &batch::store(DATA, self.stored));
        }
        let list = self.list;
        let submit = self.rig.write_submit(0, handle, engine, &list, &fences);
        let slot = match slot {
            None => {
                self.expect(Operation::Submit, &submit, Err(Errno::NoEnt));
                return;
            }
            Some(None) => {
                self.expect(Operation::Submit, &submit, Err(Errno::Inval));
                return;
            }
            Some(Some(slot)) => slot,
        };
        let words = match self.rig.op(0, Operation::Submit, &submit) {
            Ok(words) => words,
            // Rings fill while nothing ends.
            Err(errno) => {
                assert!(self.busy && matches!(errno, Errno::Again | Errno::NoMem), "{errno}");
                return;
            }
        };
        let fence = conformance::wire::fence(words);
        let others = self.values.timelines();
        let context = self.values.contexts.get_mut(&handle).unwrap();
        let fresh = self.values.keys + 1;
        let key = *context.states.entry(slot).or_insert(context.value.timeline.unwrap_or(fresh));
        self.values.keys = fresh;
        context.in_flight |= self.busy;
        self.bound.extend(context.value.space);
        if self.busy {
            self.values.held.extend(context.value.space);
        }
        match self.places.get(&key) {
            Some(place) => assert_eq!(fence.timeline, *place, "its timeline stays where it is"),
            None => {
                let taken = others.iter().any(|other| self.places.get(other) == Some(&fence.timeline));
                assert!(!taken, "a timeline of its own");
                self.places.insert(key, fence.timeline);
            }
        }
        let last = self.points.insert(fence.timeline, fence.point).unwrap_or(0);
        assert_eq!(fence.point, last + 1, "a place's points have no gaps");
        self.fences.push(fence);
        if !self.busy {
            self.rig.settle();
            assert!(self.rig.reached(0, fence));
            assert_eq!(self.rig.peek(self.data.physical), self.stored);
        }
    }

    fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
        self.rig.set_timing(if busy { Timing::Busy } else { Timing::Instant });
        if !busy {
            self.rig.settle();
            self.rig.driver.tick(&mut self.rig.domain);
            for fence in &self.fences {
                assert!(self.rig.reached(0, *fence), "{fence:?}");
            }
            self.values.held.clear();
            for context in self.values.contexts.values_mut() {
                context.in_flight = false;
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::VmCreate => {
                let free = lowest_free(&self.values.spaces, LIMITS.spaces).ok_or(Errno::NoMem);
                let expected = free.and_then(|free| self.values.new_space().map(|space| (free, space)));
                assert_eq!(self.rig.vm_create(0), expected.map(|(free, _)| free));
                self.values.spaces.extend(expected);
            }
            Step::VmDestroy(handle) => {
                let known = self.values.spaces.remove(handle).is_some();
                assert_eq!(self.rig.vm_destroy(0, *handle), if known { Ok(()) } else { Err(Errno::NoEnt) });
            }
            Step::GetVm(context) => {
                let space = self.values.contexts.get(context).and_then(|context| context.value.space);
                let free = lowest_free(&self.values.spaces, LIMITS.spaces);
                let expected = match (space, free) {
                    (None, _) => Err(Errno::NoEnt),
                    (_, None) => Err(Errno::NoMem),
                    (Some(_), Some(handle)) => Ok(u64::from(handle)),
                };
                assert_eq!(self.rig.get(0, *context, ContextParam::VM), expected);
                if expected.is_ok() {
                    self.values.spaces.insert(free.unwrap(), space.unwrap());
                }
            }
            Step::Create { single, chain, end } => self.create(*single, chain, *end),
            Step::Set(context, param) => self.set(*context, *param),
            Step::Destroy(context) => {
                let known = *context != 0 && self.values.contexts.remove(context).is_some();
                let expected = if known { Ok(()) } else { Err(Errno::NoEnt) };
                assert_eq!(self.rig.context_destroy(0, *context), expected);
            }
            Step::Submit { context, engine, wait } => self.submit(*context, *engine, *wait),
            Step::Busy(busy) => self.set_busy(*busy),
        }
    }

    /// Every parameter of every context is what its value says, and everything there is, is one of theirs.
    fn check(&mut self) {
        for (handle, context) in self.values.contexts.clone() {
            let value = &context.value;
            for (name, expected) in [
                (FLAGS[0], value.flags[0].into()),
                (FLAGS[1], value.flags[1].into()),
                (FLAGS[2], value.flags[2].into()),
                (FLAGS[3], value.flags[3].into()),
                (ContextParam::PRIORITY, value.priority.cast_unsigned()),
                (ContextParam::WATCHDOG, value.watchdog),
            ] {
                assert_eq!(self.rig.get(0, handle, name), Ok(expected), "parameter {name} of {handle}");
            }
            let engines = match &value.map {
                Map::User(slots) => Some(slots.iter().map(|slot| slot.engine).collect()),
                _ => None,
            };
            assert_eq!(self.rig.engines(0, handle), engines, "context {handle}");
            self.check_sseu(handle, value);
            assert_eq!(self.rig.reset_stats(0, handle), Ok([0, 0, 0]));
        }
        let census = self.rig.driver.census();
        // The other client has its default context.
        assert_eq!(census.contexts as usize, self.values.contexts.len() + 1);
        assert_eq!(census.map_blocks as usize, self.values.blocks() + 1);
        assert_eq!(census.clients[1], self.start.clients[1]);
        if self.busy {
            return;
        }
        let spaces = self.values.live_spaces();
        assert_eq!((census.spaces as usize, census.dying_spaces), (spaces.len() + 1, 0));
        self.bound.retain(|space| spaces.contains(space));
        assert_eq!(
            census.bindings as usize,
            2 * self.bound.len(),
            "both objects, in each space that was used"
        );
        assert_eq!(census.clients[0].timelines as usize, self.values.timelines().len());
        let states: usize = self.values.contexts.values().map(|context| context.states.len()).sum();
        // Contexts and timelines of the hardware half.
        let base = self.start.hardware;
        assert_eq!(census.hardware[0] as usize - base[0] as usize, states);
        assert_eq!(census.hardware[1] as usize - base[1] as usize, self.values.timelines().len());
    }

    fn check_sseu(&mut self, handle: u32, value: &Value) {
        let indexed = matches!(value.map, Map::User(_));
        for (index, slot) in (0..).zip(value.map.slots()) {
            if self.values.part.subslices.is_empty() || slot.engine == EngineClassInstance::NONE {
                continue;
            }
            self.rig.write_area(0, at(0).1, sseu_of(index, indexed, 0).as_bytes());
            let ask = param(ContextParam::SSEU, at(0).1 as u64);
            let ask = ContextParam { ctx_id: handle, size: 32, ..ask };
            self.rig.op(0, Operation::ContextGetParam, &ask).unwrap();
            let sseu = ContextSseu::read_from_bytes(self.rig.read_area(0, at(0).1, 32)).unwrap();
            assert_eq!(sseu.subslice_mask, slot.subslices, "slot {index} of {handle}");
        }
    }
}

/// The slot of the default map that a submission means.
fn default_slot(engine: u32, two_videos: bool) -> Option<usize> {
    let chosen = engine >> 13;
    match (engine & 0x1fff, chosen) {
        (0 | 1, 0) => Some(0),
        (2, 3) if two_videos => None,
        (2, 2) if two_videos => Some(3),
        (2, _) => Some(2),
        (3, 0) => Some(1),
        (4, 0) => Some(4),
        _ => None,
    }
}

fn sseu_of(slot: u16, indexed: bool, subslices: u64) -> ContextSseu {
    let default = [RENDER, COPY, VIDEO[0], VIDEO[1], ENHANCE];
    let named = default.get(usize::from(slot)).copied().unwrap_or(MISSING);
    ContextSseu {
        engine: if indexed { EngineClassInstance::new(0, slot) } else { named },
        flags: if indexed { ContextSseu::ENGINE_INDEX } else { 0 },
        slice_mask: 1,
        subslice_mask: subslices,
        min_eus_per_subslice: 8,
        max_eus_per_subslice: 8,
        rsvd: 0,
    }
}

/// Returns how many contexts were made and how many batches ran.
fn live(part: Part, steps: &[Step]) -> [u32; 2] {
    let mut world = World::new(part);
    for step in steps {
        world.step(step);
        world.check();
    }
    world.set_busy(false);
    world.check();
    let ran = u32::try_from(world.fences.len()).unwrap();
    // It starts over: nothing is left of all that.
    let connect = Connect { version: VERSION, flags: Connect::AFRESH };
    world.rig.op(0, Operation::Connect, &connect).unwrap();
    world.rig.settle();
    world.rig.driver.tick(&mut world.rig.domain);
    let end = world.rig.driver.census();
    // Pages of timeline slots, once made, stay the driver's own.
    assert_eq!(Census { free_driver_pages: world.start.free_driver_pages, ..end }, world.start);
    world.rig.check();
    [world.made, ran]
}

fn property(part: Part, cases: u32) {
    let counts = std::cell::Cell::new([0; 2]);
    seed::runner(cases)
        .run(&vec(step(), 1..120), |steps| {
            let [made, ran] = live(part, &steps);
            let [all_made, all_ran] = counts.get();
            counts.set([all_made + made, all_ran + ran]);
            Ok(())
        })
        .unwrap();
    let [made, ran] = counts.get();
    assert!(made > 100 && ran > 100, "only {made} contexts were made, only {ran} batches ran");
}

#[test]
fn contexts_on_tiger_lake_are_plain_values_whatever_is_done_to_them() {
    property(TIGER_LAKE, 96);
}

#[test]
fn contexts_on_ice_lake_are_plain_values_whatever_is_done_to_them() {
    property(ICE_LAKE, 160);
}

#[test]
fn contexts_on_broadwell_are_plain_values_whatever_is_done_to_them() {
    property(BROADWELL, 64);
}
