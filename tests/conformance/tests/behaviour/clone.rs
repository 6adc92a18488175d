// SPDX-License-Identifier: BSD-2-Clause
//! Clone: a context with fresh logical state that preserves all other details of another one (*drm/i915: Allow
//! userspace to clone contexts on creation*).
//!
//! Where that patch returns an error, and the test that reaches its counterpart here:
//!
//! | function, cause | errno | test |
//! |---|---|---|
//! | `clone_engines`, no memory for the map | `ENOMEM` | [`a_creation_in_which_the_nth_allocation_fails_leaves_no_trace_for_every_n`] |
//! | `clone_engines`, no memory for an engine's context | `ENOMEM` | [`a_first_submission_in_which_the_nth_allocation_fails_leaves_no_trace`]: it is made at first use |
//! | `clone_sseu`, another number of engines | `EINVAL` | [`an_sseu_is_cloned_only_between_compatible_engine_maps`] |
//! | `clone_sseu`, another class in a slot | `EINVAL` | the same, and slot by slot for all flags in [`a_clone_has_what_its_flags_name_of_the_source_and_the_defaults_of_the_rest_for_all_64_of_them`] |
//! | `clone_sseu`, interrupted while waiting for the lock of a context | `EINTR` | none: there is one thread, and nothing to wait for |
//! | `create_clone`, the structure cannot be read | `EFAULT` | [`a_clone_structure_that_cannot_be_read_is_efault`] |
//! | `create_clone`, unknown flags | `EINVAL` | [`unknown_clone_flags_are_einval`] |
//! | `create_clone`, the reserved field | `EINVAL` | [`a_reserved_field_of_a_clone_that_is_not_zero_is_einval`] |
//! | `create_clone`, no such source | `ENOENT` | [`cloning_a_context_that_does_not_exist_is_enoent`], [`cloning_a_destroyed_context_is_enoent_though_its_batch_still_runs`] |
//! | `create_clone`, the error of one of its parts | that | [`the_first_error_of_a_chain_undoes_the_whole_creation`] |
//!
//! Errors of the code around it: `E2BIG` [`a_chain_of_clones_that_loops_is_e2big_and_leaves_nothing`], an unknown
//! extension [`an_unknown_extension_behind_a_clone_is_einval_and_undoes_it`], `EIO` `ban::creation_on_a_wedged_device_is_eio`
//! and `ban::a_banned_client_gets_no_more_contexts_and_the_other_client_does`. A slot that is empty is compared as one
//! without a class: where the patch would follow a null pointer, a hole is alike to a hole only.

use conformance::wire::{Link, PAYLOAD, STRUCTURE, clone_of, param, reads, writes};
use conformance::{Region, Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{
    CLONE_ALL, CloneFlags, ContextCreate, ContextParam, ContextSseu, CreateClone, EngineClassInstance, Errno,
    Extension, ExtensionHeader, Fence, Operation, SubmitObject,
};
use intel_gpu::fail;
use zerocopy::{FromBytes, IntoBytes};

use crate::balance::write_balanced;

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;
const RENDER: EngineClassInstance = EngineClassInstance::new(0, 0);
const COPY: EngineClassInstance = EngineClassInstance::new(1, 0);
const VIDEO: EngineClassInstance = EngineClassInstance::new(2, 0);
const HOLE: EngineClassInstance = EngineClassInstance::NONE;

/// The details of a context that parameters show.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    engines: Option<Vec<EngineClassInstance>>,
    flags: [u64; 4],
    scheduling: [u64; 2],
    /// Subslices of the render engine's slot.
    subslices: Option<u64>,
}

fn render_slot(engines: Option<&[EngineClassInstance]>) -> Option<ContextSseu> {
    let (engine, flags) = match engines {
        None => (RENDER, 0),
        Some(map) => {
            let slot = map.iter().position(|engine| *engine == RENDER)?;
            (EngineClassInstance::new(0, u16::try_from(slot).unwrap()), ContextSseu::ENGINE_INDEX)
        }
    };
    Some(ContextSseu {
        engine,
        flags,
        slice_mask: 1,
        subslice_mask: 0x0f,
        min_eus_per_subslice: 8,
        max_eus_per_subslice: 8,
        rsvd: 0,
    })
}

fn details(rig: &mut Rig, context: u32) -> Details {
    let engines = rig.engines(0, context);
    let mut word = |name| rig.get(0, context, name).unwrap();
    let flags = [
        word(ContextParam::NO_ERROR_CAPTURE),
        word(ContextParam::BANNABLE),
        word(ContextParam::RECOVERABLE),
        word(ContextParam::PERSISTENCE),
    ];
    let scheduling = [word(ContextParam::PRIORITY), word(ContextParam::WATCHDOG)];
    let subslices = render_slot(engines.as_deref()).map(|sseu| {
        rig.write_area(0, STRUCTURE, sseu.as_bytes());
        let ask = ContextParam { ctx_id: context, size: 32, ..param(ContextParam::SSEU, STRUCTURE as u64) };
        rig.op(0, Operation::ContextGetParam, &ask).unwrap();
        ContextSseu::read_from_bytes(rig.read_area(0, STRUCTURE, 32)).unwrap().subslice_mask
    });
    Details { engines, flags, scheduling, subslices }
}

/// A context of which nothing is as a new one has it.
fn peculiar(rig: &mut Rig, platform: &str, map: Option<&[EngineClassInstance]>) -> u32 {
    let vm = rig.vm_create(0).unwrap();
    let source = rig
        .context_with(0, ContextCreate::SINGLE_TIMELINE, &[Link::Set(param(ContextParam::VM, vm.into()))])
        .unwrap();
    rig.vm_destroy(0, vm).unwrap();
    if let Some(map) = map {
        rig.set_engines(0, source, map).unwrap();
    }
    for (name, value) in [
        (ContextParam::NO_ERROR_CAPTURE, 1),
        (ContextParam::BANNABLE, 0),
        (ContextParam::RECOVERABLE, 0),
        (ContextParam::PERSISTENCE, 0),
        (ContextParam::PRIORITY, (-77_i64).cast_unsigned()),
        (ContextParam::WATCHDOG, 2_000_000),
    ] {
        rig.set(0, source, name, value).unwrap();
    }
    if platform == "icl" {
        let sseu = render_slot(map).unwrap();
        rig.write_area(0, STRUCTURE, sseu.as_bytes());
        let set = ContextParam { ctx_id: source, size: 32, ..param(ContextParam::SSEU, STRUCTURE as u64) };
        rig.op(0, Operation::ContextSetParam, &set).unwrap();
    }
    source
}

fn privileged(platform: &'static str) -> Rig {
    Rig::with(Settings { privileged: true, ..Settings::new(platform) })
}

/// Two objects and the list that stores a number in the first.
struct Store {
    data: Region,
    code: Region,
    list: [SubmitObject; 2],
}

impl Store {
    fn new(rig: &mut Rig, value: u32) -> Self {
        let (data, code) = (rig.region(0, 1), rig.region(0, 1));
        let objects = [rig.userptr(0, data), rig.userptr(0, code)];
        rig.poke(code.physical, &batch::store(DATA, value));
        Self { data, code, list: [writes(objects[0], DATA), reads(objects[1], CODE)] }
    }

    fn run(&self, rig: &mut Rig, context: u32, engine: u32) -> Fence {
        rig.run(0, context, engine, &self.list, &[], &[self.data, self.code]).unwrap()
    }
}

#[test]
fn a_clone_has_what_its_flags_name_of_the_source_and_the_defaults_of_the_rest_for_all_64_of_them() {
    let map = [HOLE, COPY, RENDER, HOLE, VIDEO];
    for platform in ["skl", "icl", "tgl"] {
        for map in [None, Some(&map[..])] {
            let mut rig = privileged(platform);
            let source = peculiar(&mut rig, platform, map);
            let fresh = rig.context_create(0, 0, &[]).unwrap();
            let (theirs, default) = (details(&mut rig, source), details(&mut rig, fresh));
            let store = Store::new(&mut rig, 1);
            let engine = if map.is_some() { 1 } else { BLITTER };
            let their_fence = store.run(&mut rig, source, engine);
            rig.settle();
            let bindings = rig.driver.census().bindings;
            for bits in 0..64 {
                let flags = CloneFlags::from_bits(bits).unwrap();
                let before = rig.snapshot();
                let create = rig.write_chain(0, 0, &[Link::Clone(source, flags)]);
                if map.is_some() && flags.contains(CloneFlags::SSEU) && !flags.contains(CloneFlags::ENGINES) {
                    rig.refused(0, Operation::ContextCreate, &create, Errno::Inval);
                    continue;
                }
                let clone = rig.context_with(0, 0, &[Link::Clone(source, flags)]).unwrap();
                let takes = |flag| flags.contains(flag);
                let census = rig.driver.census();
                assert_eq!(census.spaces - before.census.spaces, u32::from(!takes(CloneFlags::VM)));
                assert_eq!(census.clients[0].timelines, before.census.clients[0].timelines);
                let from = |flag| if takes(flag) { &theirs } else { &default };
                let engines = from(CloneFlags::ENGINES).engines.clone();
                let sseu = if takes(CloneFlags::SSEU) { &theirs } else { &default };
                let expected = Details {
                    flags: from(CloneFlags::FLAGS).flags,
                    scheduling: from(CloneFlags::SCHEDATTR).scheduling,
                    subslices: sseu.subslices,
                    engines: engines.clone(),
                };
                assert_eq!(details(&mut rig, clone), expected, "{platform} {flags:?}");
                assert_eq!(details(&mut rig, source), theirs, "the source never changes");
                // It works, on its engines, where the objects are bound already if it shares the space.
                let engine = if engines.is_some() { 1 } else { BLITTER };
                let fence = store.run(&mut rig, clone, engine);
                assert_eq!(fence.timeline == their_fence.timeline, takes(CloneFlags::TIMELINE));
                rig.settle();
                assert!(rig.reached(0, fence), "{platform} {flags:?}");
                let bound = rig.driver.census().bindings;
                assert_eq!(bound, if takes(CloneFlags::VM) { bindings } else { bindings + 2 });
                rig.context_destroy(0, clone).unwrap();
                rig.settle();
                rig.driver.tick(&mut rig.domain);
                let after = rig.snapshot();
                assert_eq!(after.census, before.census, "{platform} {flags:?}");
            }
            rig.check();
        }
    }
}

#[test]
fn clone_all_is_everything_that_a_clone_can_take() {
    assert_eq!(CLONE_ALL.bits(), 63);
    let mut rig = privileged("icl");
    let source = peculiar(&mut rig, "icl", Some(&[COPY, RENDER]));
    let clone = rig.context_with(0, 0, &[Link::Clone(source, CLONE_ALL)]).unwrap();
    assert_eq!(details(&mut rig, clone), details(&mut rig, source));
    // The wire stays strict about bits it does not know, so that −1 is not everything.
    rig.write_area(0, PAYLOAD, clone_of(0, source, u32::MAX).as_bytes());
    rig.refused(0, Operation::ContextCreate, &at(PAYLOAD as u64), Errno::Inval);
}

const fn at(extensions: u64) -> ContextCreate {
    ContextCreate { ctx_id: 0, flags: ContextCreate::USE_EXTENSIONS, extensions }
}

#[test]
fn unknown_clone_flags_are_einval() {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, 0, &[]).unwrap();
    for bit in 6..32 {
        for flags in [1 << bit, 1 << bit | CLONE_ALL.bits()] {
            rig.write_area(0, PAYLOAD, clone_of(0, source, flags).as_bytes());
            rig.refused(0, Operation::ContextCreate, &at(PAYLOAD as u64), Errno::Inval);
        }
    }
}

#[test]
fn a_reserved_field_of_a_clone_that_is_not_zero_is_einval() {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, 0, &[]).unwrap();
    for rsvd in [1, 1 << 32, u64::MAX] {
        // Also where the source does not exist: the structure is looked at first.
        for source in [source, 99] {
            let clone = CreateClone { rsvd, ..clone_of(0, source, CLONE_ALL.bits()) };
            rig.write_area(0, PAYLOAD, clone.as_bytes());
            rig.refused(0, Operation::ContextCreate, &at(PAYLOAD as u64), Errno::Inval);
        }
    }
}

#[test]
fn cloning_a_context_that_does_not_exist_is_enoent() {
    let mut rig = Rig::new("tgl");
    let theirs = rig.context_create(1, 0, &[]).unwrap();
    for source in [theirs, 64, 65, u32::MAX] {
        for flags in [CloneFlags::empty(), CLONE_ALL] {
            let create = rig.write_chain(0, 0, &[Link::Clone(source, flags)]);
            rig.refused(0, Operation::ContextCreate, &create, Errno::NoEnt);
        }
    }
}

#[test]
fn cloning_a_destroyed_context_is_enoent_though_its_batch_still_runs() {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, 0, &[]).unwrap();
    let store = Store::new(&mut rig, 3);
    rig.set_timing(Timing::Busy);
    let fence = store.run(&mut rig, source, BLITTER);
    rig.context_destroy(0, source).unwrap();
    let create = rig.write_chain(0, 0, &[Link::Clone(source, CLONE_ALL)]);
    rig.refused(0, Operation::ContextCreate, &create, Errno::NoEnt);
    rig.set_timing(Timing::Instant);
    rig.settle();
    assert!(rig.reached(0, fence));
    assert_eq!(rig.peek(store.data.physical), 3);
}

#[test]
fn a_clone_structure_that_cannot_be_read_is_efault() {
    let mut rig = Rig::new("tgl");
    let end = rig.area_len(0);
    // The header is inside, the rest is not.
    for missing in [8, 16] {
        let start = end - size_of::<CreateClone>() + missing;
        let bytes = clone_of(0, 0, 0);
        rig.write_area(0, start, &bytes.as_bytes()[..size_of::<CreateClone>() - missing]);
        rig.refused(0, Operation::ContextCreate, &at(start as u64), Errno::Fault);
    }
    for start in [u64::MAX, u64::MAX - 7, end as u64] {
        rig.refused(0, Operation::ContextCreate, &at(start), Errno::Fault);
    }
    let start = end - size_of::<CreateClone>();
    rig.write_area(0, start, clone_of(0, 0, 0).as_bytes());
    rig.op(0, Operation::ContextCreate, &at(start as u64)).unwrap();
}

#[test]
fn an_sseu_is_cloned_only_between_compatible_engine_maps() {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, 0, &[]).unwrap();
    rig.set_engines(0, source, &[RENDER, HOLE, COPY]).unwrap();
    let maps: [(&[EngineClassInstance], Result<(), Errno>); 8] = [
        (&[RENDER, HOLE, COPY], Ok(())),
        // Different counts of engines.
        (&[RENDER, HOLE], Err(Errno::Inval)),
        (&[RENDER, HOLE, COPY, HOLE], Err(Errno::Inval)),
        (&[], Err(Errno::Inval)),
        // Different classes, slot by slot.
        (&[COPY, HOLE, RENDER], Err(Errno::Inval)),
        (&[RENDER, HOLE, VIDEO], Err(Errno::Inval)),
        (&[RENDER, COPY, COPY], Err(Errno::Inval)),
        (&[HOLE, HOLE, COPY], Err(Errno::Inval)),
    ];
    for (map, answer) in maps {
        let engines = rig.write_engines(0, 0, 0, map);
        let chain = [Link::Set(engines), Link::Clone(source, CloneFlags::SSEU)];
        let before = rig.snapshot();
        let made = rig.context_with(0, 0, &chain);
        assert_eq!(made.map(drop), answer, "{map:?}");
        if let Ok(context) = made {
            rig.context_destroy(0, context).unwrap();
        }
        assert_eq!(rig.snapshot(), before, "{map:?}");
    }
    // With the engines, it always fits.
    let both = CloneFlags::SSEU | CloneFlags::ENGINES;
    rig.context_with(0, 0, &[Link::Clone(source, both)]).unwrap();
}

#[test]
fn an_sseu_that_is_not_the_default_is_cloned_onto_the_default_map_and_from_it() {
    let mut rig = privileged("icl");
    let fresh = rig.context_create(0, 0, &[]).unwrap();
    let default = details(&mut rig, fresh).subslices;
    let alike = [RENDER, COPY, VIDEO, EngineClassInstance::new(2, 1), EngineClassInstance::new(3, 0)];
    for (from, onto) in [(Some(&alike[..]), None), (None, Some(&alike[..])), (None, None)] {
        let source = peculiar(&mut rig, "icl", from);
        let map = onto.map(|map| Link::Set(rig.write_engines(0, 0, 0, map)));
        let chain: Vec<_> = map.into_iter().chain([Link::Clone(source, CloneFlags::SSEU)]).collect();
        let clone = rig.context_with(0, 0, &chain).unwrap();
        let (mine, theirs) = (details(&mut rig, clone), details(&mut rig, source));
        assert_eq!(mine.engines.as_deref(), onto);
        assert_eq!(mine.subslices, theirs.subslices);
        assert_ne!(mine.subslices, default);
    }
}

#[test]
fn an_sseu_is_cloned_between_maps_with_balanced_slots_if_their_classes_are_alike() {
    let mut rig = privileged("icl");
    let source = rig.context_create(0, 0, &[]).unwrap();
    let map = write_balanced(&mut rig, source, &[]);
    rig.op(0, Operation::ContextSetParam, &map).unwrap();
    let engines = rig.engines(0, source).unwrap();
    let sseu = render_slot(Some(&engines)).unwrap();
    rig.write_area(0, STRUCTURE, sseu.as_bytes());
    let set = ContextParam { ctx_id: source, size: 32, ..param(ContextParam::SSEU, STRUCTURE as u64) };
    rig.op(0, Operation::ContextSetParam, &set).unwrap();
    for (first, answer) in [
        (None, Ok(())),
        (Some(VIDEO), Ok(())),
        (Some(COPY), Err(Errno::Inval)),
        (Some(HOLE), Err(Errno::Inval)),
    ] {
        let map = match first {
            None => write_balanced(&mut rig, 0, &[]),
            Some(first) => rig.write_engines(0, 0, 0, &[first, engines[1], engines[2], RENDER]),
        };
        let before = rig.snapshot();
        let made = rig.context_with(0, 0, &[Link::Set(map), Link::Clone(source, CloneFlags::SSEU)]);
        assert_eq!(made.map(drop), answer, "{first:?}");
        if let Ok(context) = made {
            assert_eq!(details(&mut rig, context).subslices, Some(sseu.subslice_mask));
            rig.context_destroy(0, context).unwrap();
        }
        assert_eq!(rig.snapshot(), before, "{first:?}");
    }
}

#[test]
fn extensions_apply_in_the_order_of_the_chain() {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, 0, &[]).unwrap();
    rig.set(0, source, ContextParam::PRIORITY, (-9_i64).cast_unsigned()).unwrap();
    rig.set(0, source, ContextParam::RECOVERABLE, 0).unwrap();
    let other = rig.context_create(0, 0, &[]).unwrap();
    rig.set(0, other, ContextParam::PRIORITY, (-10_i64).cast_unsigned()).unwrap();
    let priority = |value: i64| Link::Set(param(ContextParam::PRIORITY, value.cast_unsigned()));
    let all = |source| Link::Clone(source, CLONE_ALL);
    for (chain, expected, recoverable) in [
        (vec![all(source)], -9, 0),
        (vec![all(source), priority(-1)], -1, 0),
        (vec![priority(-1), all(source)], -9, 0),
        (vec![all(source), all(other)], -10, 1),
        (vec![all(other), all(source)], -9, 0),
        (vec![all(source), Link::Clone(other, CloneFlags::SCHEDATTR)], -10, 0),
        (vec![all(source), Link::Clone(other, CloneFlags::empty()), priority(-2), priority(-3)], -3, 0),
    ] {
        let context = rig.context_with(0, 0, &chain).unwrap();
        assert_eq!(rig.get(0, context, ContextParam::PRIORITY).unwrap().cast_signed(), expected, "{chain:?}");
        assert_eq!(rig.get(0, context, ContextParam::RECOVERABLE), Ok(recoverable), "{chain:?}");
    }
}

#[test]
fn the_first_error_of_a_chain_undoes_the_whole_creation() {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, ContextCreate::SINGLE_TIMELINE, &[]).unwrap();
    let vm = rig.vm_create(0).unwrap();
    let good = [
        Link::Clone(source, CLONE_ALL),
        Link::Set(param(ContextParam::VM, vm.into())),
        Link::Set(rig.write_engines(0, 0, 0, &[COPY; 20])),
        Link::Set(param(ContextParam::PRIORITY, (-1_i64).cast_unsigned())),
    ];
    let bad = [
        (Link::Clone(99, CLONE_ALL), Errno::NoEnt),
        (Link::Clone(source, CloneFlags::from_bits_retain(64)), Errno::Inval),
        (Link::Set(param(ContextParam::VM, 99)), Errno::NoEnt),
        (Link::Set(param(ContextParam::BANNABLE, 0)), Errno::Perm),
        (Link::Set(ContextParam { ctx_id: source, ..param(ContextParam::RECOVERABLE, 0) }), Errno::Inval),
        (Link::Set(ContextParam { size: 4, ..param(ContextParam::ENGINES, STRUCTURE as u64) }), Errno::Inval),
        (Link::Set(ContextParam { size: 12, ..param(ContextParam::ENGINES, u64::MAX) }), Errno::Fault),
    ];
    for place in 0..=good.len() {
        for (link, errno) in bad {
            for flags in [0, ContextCreate::SINGLE_TIMELINE] {
                let mut chain = good.to_vec();
                chain.insert(place, link);
                let create = rig.write_chain(0, flags, &chain);
                rig.refused(0, Operation::ContextCreate, &create, errno);
            }
        }
    }
    rig.context_with(0, 0, &good).unwrap();
}

#[test]
fn a_chain_of_clones_that_loops_is_e2big_and_leaves_nothing() {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, ContextCreate::SINGLE_TIMELINE, &[]).unwrap();
    rig.write_area(0, PAYLOAD, clone_of(PAYLOAD as u64, source, CLONE_ALL.bits()).as_bytes());
    rig.refused(0, Operation::ContextCreate, &at(PAYLOAD as u64), Errno::TooBig);
    // Two that point at each other.
    let next = PAYLOAD + 64;
    rig.write_area(0, PAYLOAD, clone_of(next as u64, source, 0).as_bytes());
    rig.write_area(0, next, clone_of(PAYLOAD as u64, source, CLONE_ALL.bits()).as_bytes());
    rig.refused(0, Operation::ContextCreate, &at(PAYLOAD as u64), Errno::TooBig);
}

#[test]
fn an_unknown_extension_behind_a_clone_is_einval_and_undoes_it() {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, ContextCreate::SINGLE_TIMELINE, &[]).unwrap();
    let next = PAYLOAD + 64;
    rig.write_area(0, PAYLOAD, clone_of(next as u64, source, CLONE_ALL.bits()).as_bytes());
    for name in [Extension::Clone as u32 + 1, 7, u32::MAX] {
        let header = ExtensionHeader { next: 0, name, flags: 0, rsvd: [0; 4] };
        rig.write_area(0, next, header.as_bytes());
        rig.refused(0, Operation::ContextCreate, &at(PAYLOAD as u64), Errno::Inval);
    }
}

/// Every allocation of a creation fails once, in turn.
fn each_allocation_fails(source_flags: u32, chain: impl Fn(&mut Rig, u32) -> (u32, Vec<Link>)) -> u32 {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, source_flags, &[]).unwrap();
    // The first timeline makes the page of its slot, which stays the driver's.
    let warm = rig.context_create(0, ContextCreate::SINGLE_TIMELINE, &[]).unwrap();
    rig.context_destroy(0, warm).unwrap();
    let (flags, links) = chain(&mut rig, source);
    let create = rig.write_chain(0, flags, &links);
    let before = rig.snapshot();
    for count in 0.. {
        fail::fail_after(count);
        let made = rig.op(0, Operation::ContextCreate, &create);
        if !fail::succeed() {
            made.unwrap();
            return count;
        }
        assert_eq!(made, Err(Errno::NoMem), "allocation {count}");
        assert_eq!(rig.snapshot(), before, "allocation {count}");
    }
    unreachable!("it succeeds at last")
}

#[test]
fn a_creation_in_which_the_nth_allocation_fails_leaves_no_trace_for_every_n() {
    let single = ContextCreate::SINGLE_TIMELINE;
    // Address space (with its pages), map, context, handle.
    assert!(each_allocation_fails(0, |_, _| (0, vec![])) >= 5);
    assert!(each_allocation_fails(0, |_, _| (single, vec![])) >= 6);
    assert!(each_allocation_fails(single, |_, source| (0, vec![Link::Clone(source, CLONE_ALL)])) >= 3);
    let parts = CLONE_ALL.difference(CloneFlags::VM);
    assert!(each_allocation_fails(single, |_, source| (single, vec![Link::Clone(source, parts)])) >= 5);
    let long = |rig: &mut Rig, source| {
        rig.set_engines(0, source, &[COPY; 33]).unwrap();
        let map = rig.write_engines(0, 0, 0, &[RENDER; 17]);
        let vm = rig.vm_create(0).unwrap();
        let set = Link::Set(param(ContextParam::VM, vm.into()));
        (single, vec![Link::Set(map), Link::Clone(source, CLONE_ALL), Link::Set(map), set])
    };
    // Three blocks, five, and three again.
    assert!(each_allocation_fails(single, long) >= 13);
}

/// Also where the page of timeline slots has to be made: it is the only thing that stays.
#[test]
fn the_very_first_timeline_of_all_can_fail_at_every_allocation() {
    for count in 0.. {
        let mut rig = Rig::new("tgl");
        let before = rig.snapshot();
        let create = ContextCreate { ctx_id: 0, flags: ContextCreate::SINGLE_TIMELINE, extensions: 0 };
        fail::fail_after(count);
        let made = rig.op(0, Operation::ContextCreate, &create);
        if !fail::succeed() {
            made.unwrap();
            assert!(count >= 6, "{count}");
            return;
        }
        assert_eq!(made, Err(Errno::NoMem), "allocation {count}");
        let mut after = rig.snapshot();
        assert!(before.census.free_driver_pages - after.census.free_driver_pages <= 1);
        after.census.free_driver_pages = before.census.free_driver_pages;
        assert_eq!(after, before, "allocation {count}");
    }
}

#[test]
fn changing_a_context_when_the_nth_allocation_fails_leaves_it_as_it_was() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    rig.set_engines(0, context, &[RENDER, COPY]).unwrap();
    let store = Store::new(&mut rig, 1);
    store.run(&mut rig, context, 1);
    rig.settle();
    let map = rig.write_engines(0, context, 0, &[COPY; 64]);
    let before = rig.snapshot();
    for count in 0..8 {
        fail::fail_after(count);
        assert_eq!(rig.op(0, Operation::ContextSetParam, &map), Err(Errno::NoMem));
        assert!(fail::succeed());
        assert_eq!(rig.snapshot(), before);
    }
    assert_eq!(rig.engines(0, context), Some(vec![RENDER, COPY]));
    rig.op(0, Operation::ContextSetParam, &map).unwrap();
    // A handle for the address space.
    fail::fail_after(0);
    assert_eq!(rig.get(0, context, ContextParam::VM), Err(Errno::NoMem));
    assert!(fail::succeed());
}

#[test]
fn a_first_submission_in_which_the_nth_allocation_fails_leaves_no_trace() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::new(platform);
        let store = Store::new(&mut rig, 1);
        // The pages are lent and the first page of timeline slots is made.
        store.run(&mut rig, 0, BLITTER);
        rig.settle();
        let context = rig.context_create(0, 0, &[]).unwrap();
        let submit = rig.write_submit(0, context, BLITTER, &store.list, &[]);
        let before = rig.snapshot();
        for count in 0.. {
            assert!(count < 100);
            fail::fail_after(count);
            let made = rig.op(0, Operation::Submit, &submit);
            if !fail::succeed() {
                made.unwrap();
                assert!(count > 10, "{count}");
                break;
            }
            assert!(matches!(made, Err(Errno::NoMem | Errno::Again)), "allocation {count}: {made:?}");
            assert_eq!(rig.snapshot(), before, "{platform}: allocation {count}");
        }
        rig.settle();
        rig.check();
    }
}

#[test]
fn a_clone_of_a_clone_is_as_the_first_one_though_that_is_gone() {
    let mut rig = privileged("icl");
    let source = peculiar(&mut rig, "icl", Some(&[HOLE, COPY, RENDER]));
    let expected = details(&mut rig, source);
    let store = Store::new(&mut rig, 4);
    let first = store.run(&mut rig, source, 1);
    rig.settle();
    let bindings = rig.driver.census().bindings;
    let mut last = source;
    for _ in 0..5 {
        let next = rig.context_with(0, 0, &[Link::Clone(last, CLONE_ALL)]).unwrap();
        rig.context_destroy(0, last).unwrap();
        assert_eq!(details(&mut rig, next), expected);
        let fence = store.run(&mut rig, next, 1);
        assert_eq!(fence.timeline, first.timeline);
        rig.settle();
        assert!(rig.reached(0, fence));
        last = next;
    }
    assert_eq!(rig.driver.census().bindings, bindings, "one address space all the time");
    rig.check();
}

#[test]
fn a_busy_source_is_cloned_without_being_disturbed() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::new(platform);
        let source = rig.context_create(0, ContextCreate::SINGLE_TIMELINE, &[]).unwrap();
        let (slow, fast) = (Store::new(&mut rig, 1), Store::new(&mut rig, 2));
        rig.set_timing(Timing::Busy);
        let first = slow.run(&mut rig, source, BLITTER);
        let clone = rig.context_with(0, 0, &[Link::Clone(source, CLONE_ALL)]).unwrap();
        let list = [
            SubmitObject { address: DATA + 0x10_0000, ..fast.list[0] },
            SubmitObject { address: CODE + 0x8_0000, ..fast.list[1] },
        ];
        rig.poke(fast.code.physical, &batch::store(DATA + 0x10_0000, 2));
        let second = rig.run(0, clone, BLITTER, &list, &[], &[fast.data, fast.code]).unwrap();
        assert!(!rig.reached(0, first));
        rig.set_timing(Timing::Instant);
        rig.settle();
        assert!(rig.reached(0, first) && rig.reached(0, second), "{platform}");
        assert_eq!((rig.peek(slow.data.physical), rig.peek(fast.data.physical)), (1, 2));
        rig.check();
    }
}

/// The first batch waits at a gate on one engine; the second, on another engine and another context of the same
/// timeline, has nothing to wait for but the order.
#[test]
fn contexts_that_share_a_timeline_execute_in_order_across_engines() {
    for platform in ["skl", "tgl"] {
        for shared in [true, false] {
            let mut rig = Rig::new(platform);
            let source = rig.context_create(0, ContextCreate::SINGLE_TIMELINE, &[]).unwrap();
            let flags = if shared { CLONE_ALL } else { CLONE_ALL.difference(CloneFlags::TIMELINE) };
            let clone = rig.context_with(0, 0, &[Link::Clone(source, flags)]).unwrap();
            let (data, code) = (rig.region(0, 1), rig.region(0, 2));
            let objects = [rig.userptr(0, data), rig.userptr(0, code)];
            let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
            rig.poke(code.physical, &batch::gated_store(platform, DATA, 1, DATA + 4, 1));
            rig.poke(code.physical + 0x1000, &batch::store(DATA + 8, 2));
            let gated = rig.run(0, source, 1, &list, &[], &[data, code]).unwrap();
            let mut submit = rig.write_submit(0, clone, BLITTER, &list, &[]);
            submit.batch_start = 0x1000;
            let words = rig.op(0, Operation::Submit, &submit).unwrap();
            let behind = conformance::wire::fence(words);
            rig.settle();
            assert!(!rig.reached(0, gated));
            assert_eq!(rig.peek(data.physical + 8), if shared { 0 } else { 2 }, "{platform}");
            rig.poke(data.physical, &[1]);
            assert!(rig.wait(10_000_000_000, |rig| rig.reached(0, gated) && rig.reached(0, behind)));
            assert_eq!((rig.peek(data.physical + 4), rig.peek(data.physical + 8)), (1, 2), "{platform}");
            rig.check();
        }
    }
}

/// The second context's batch names only itself; the data that it writes to is bound by the first one.
#[test]
fn contexts_that_share_an_address_space_see_each_others_bindings_and_others_do_not() {
    for platform in ["skl", "tgl"] {
        for shared in [true, false] {
            let mut rig = Rig::new(platform);
            let source = rig.context_create(0, 0, &[]).unwrap();
            let store = Store::new(&mut rig, 6);
            store.run(&mut rig, source, BLITTER);
            rig.settle();
            rig.poke(store.data.physical, &[0]);
            let flags = if shared { CloneFlags::VM } else { CLONE_ALL.difference(CloneFlags::VM) };
            let clone = rig.context_with(0, 0, &[Link::Clone(source, flags)]).unwrap();
            let fence = rig.submit(0, clone, BLITTER, &store.list[1..], &[]).unwrap();
            rig.settle();
            assert!(rig.reached(0, fence));
            assert_eq!(rig.peek(store.data.physical), if shared { 6 } else { 0 }, "{platform}");
        }
    }
}

#[test]
fn a_clone_keeps_the_address_space_that_its_source_has_left() {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, 0, &[]).unwrap();
    let store = Store::new(&mut rig, 6);
    store.run(&mut rig, source, BLITTER);
    rig.settle();
    let clone = rig.context_with(0, 0, &[Link::Clone(source, CloneFlags::VM)]).unwrap();
    let vm = rig.vm_create(0).unwrap();
    rig.set(0, source, ContextParam::VM, vm.into()).unwrap();
    rig.poke(store.data.physical, &[0]);
    rig.submit(0, clone, BLITTER, &store.list[1..], &[]).unwrap();
    rig.settle();
    assert_eq!(rig.peek(store.data.physical), 6);
    rig.check();
}

#[test]
fn the_default_context_can_be_cloned() {
    let mut rig = Rig::new("tgl");
    rig.set(0, 0, ContextParam::PRIORITY, (-4_i64).cast_unsigned()).unwrap();
    let clone = rig.context_with(0, 0, &[Link::Clone(0, CLONE_ALL)]).unwrap();
    assert_eq!(rig.get(0, clone, ContextParam::PRIORITY), Ok((-4_i64).cast_unsigned()));
}

#[test]
fn a_clone_of_a_source_without_a_timeline_has_none_either() {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, 0, &[]).unwrap();
    let store = Store::new(&mut rig, 1);
    let clone = rig.context_with(0, 0, &[Link::Clone(source, CLONE_ALL)]).unwrap();
    let theirs = store.run(&mut rig, source, BLITTER);
    rig.settle();
    let mine = store.run(&mut rig, clone, BLITTER);
    assert_ne!(theirs.timeline, mine.timeline);
    // One that had asked for a timeline of its own keeps that.
    let single = rig
        .context_with(0, ContextCreate::SINGLE_TIMELINE, &[Link::Clone(source, CloneFlags::TIMELINE)])
        .unwrap();
    let fences = [store.run(&mut rig, single, 1), store.run(&mut rig, single, BLITTER)];
    assert_eq!(fences[0].timeline, fences[1].timeline);
    rig.settle();
}

/// Loads a number into the blitter's first general-purpose register (`MI_LOAD_REGISTER_IMM`), if there is one, and stores
/// what is there (`MI_STORE_REGISTER_MEM`). PRM vol 2c: CS_GPR.
fn register_batch(load: Option<u32>) -> Vec<u32> {
    const GPR: u32 = 0x2_2600;
    let mut batch = load.map_or(vec![], |value| vec![0x1100_0001, GPR, value]);
    // CAST: an address below 4 GiB.
    batch.extend([0x1200_0002, GPR, u32::try_from(DATA).unwrap(), 0, batch::END]);
    batch.resize(batch.len().next_multiple_of(2), 0);
    batch
}

#[test]
fn a_clone_is_recreated_with_fresh_logical_state_while_all_other_details_of_the_original_are_preserved() {
    for platform in ["skl", "tgl"] {
        let mut rig = privileged(platform);
        let source = peculiar(&mut rig, platform, None);
        let store = Store::new(&mut rig, 0);
        let run = |rig: &mut Rig, context, load| {
            rig.poke(store.code.physical, &register_batch(load));
            rig.poke(store.data.physical, &[0xdead]);
            let fence = store.run(rig, context, BLITTER);
            rig.settle();
            assert!(rig.reached(0, fence));
            rig.peek(store.data.physical)
        };
        let fresh = run(&mut rig, source, None);
        assert_eq!(run(&mut rig, source, Some(0x1234)), 0x1234);
        assert_eq!(run(&mut rig, source, None), 0x1234, "{platform}: a context keeps its registers");
        let clone = rig.context_with(0, 0, &[Link::Clone(source, CLONE_ALL)]).unwrap();
        assert_eq!(run(&mut rig, clone, None), fresh, "{platform}");
        assert_eq!(run(&mut rig, source, None), 0x1234, "the source has its own");
        assert_eq!(details(&mut rig, clone), details(&mut rig, source));
        rig.check();
    }
}

#[test]
fn a_clone_is_what_iterating_over_the_parameters_of_the_original_makes_in_many_calls() {
    for map in [None, Some(&[HOLE, COPY, RENDER][..])] {
        let mut rig = privileged("icl");
        let source = peculiar(&mut rig, "icl", map);
        let wanted = details(&mut rig, source);
        let copy = rig.context_create(0, 0, &[]).unwrap();
        let vm = rig.get(0, source, ContextParam::VM).unwrap();
        rig.set(0, copy, ContextParam::VM, vm).unwrap();
        rig.vm_destroy(0, u32::try_from(vm).unwrap()).unwrap();
        if let Some(engines) = &wanted.engines {
            rig.set_engines(0, copy, engines).unwrap();
        }
        for (name, value) in [
            (ContextParam::NO_ERROR_CAPTURE, wanted.flags[0]),
            (ContextParam::BANNABLE, wanted.flags[1]),
            (ContextParam::RECOVERABLE, wanted.flags[2]),
            (ContextParam::PERSISTENCE, wanted.flags[3]),
            (ContextParam::PRIORITY, wanted.scheduling[0]),
            (ContextParam::WATCHDOG, wanted.scheduling[1]),
        ] {
            rig.set(0, copy, name, value).unwrap();
        }
        rig.write_area(0, STRUCTURE, render_slot(map).unwrap().as_bytes());
        let set = ContextParam { ctx_id: copy, size: 32, ..param(ContextParam::SSEU, STRUCTURE as u64) };
        rig.op(0, Operation::ContextSetParam, &set).unwrap();
        // All but the timeline, which no parameter shows.
        let flags = CLONE_ALL.difference(CloneFlags::TIMELINE);
        let clone = rig.context_with(0, 0, &[Link::Clone(source, flags)]).unwrap();
        assert_eq!(details(&mut rig, copy), wanted);
        assert_eq!(details(&mut rig, clone), wanted);
    }
}

#[test]
fn cloning_an_address_space_leaves_no_stray_handle_of_it() {
    let mut rig = Rig::new("tgl");
    let source = rig.context_create(0, 0, &[]).unwrap();
    let before = rig.driver.census();
    let clone = rig.context_with(0, 0, &[Link::Clone(source, CloneFlags::VM)]).unwrap();
    let after = rig.driver.census();
    // Contexts, address spaces, objects.
    assert_eq!(after.clients[0].handles, [before.clients[0].handles[0] + 1, 0, 0]);
    assert_eq!(after.spaces, before.spaces);
    // With the source gone, the address space is the clone's, and goes with it.
    rig.context_destroy(0, source).unwrap();
    assert_eq!(rig.driver.census().spaces, before.spaces);
    rig.context_destroy(0, clone).unwrap();
    assert_eq!(rig.driver.census().spaces, before.spaces - 1);
}

/// More than two, on several engines, each of which would overtake the one before it.
#[test]
fn five_contexts_of_one_timeline_execute_in_order_on_four_engines() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::new(platform);
        let source = rig.context_create(0, ContextCreate::SINGLE_TIMELINE, &[]).unwrap();
        let clones = [(); 4].map(|()| rig.context_with(0, 0, &[Link::Clone(source, CLONE_ALL)]).unwrap());
        let (data, code) = (rig.region(0, 1), rig.region(0, 2));
        let objects = [rig.userptr(0, data), rig.userptr(0, code)];
        let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
        rig.poke(code.physical, &batch::gated_store(platform, DATA, 1, DATA + 4, 1));
        let mut fences = vec![rig.run(0, source, 1, &list, &[], &[data, code]).unwrap()];
        let contexts = [clones[0], clones[1], source, clones[2], clones[3], clones[0], source, clones[1]];
        for (number, (context, engine)) in (1_u32..).zip(contexts.into_iter().zip([3, 2, 4, 3, 1, 2, 3, 4])) {
            // All of them write the same word; the last one's number stays.
            rig.poke(code.physical + u64::from(number) * 0x100, &batch::store(DATA + 8, number));
            let mut submit = rig.write_submit(0, context, engine, &list, &[]);
            submit.batch_start = number * 0x100;
            fences.push(conformance::wire::fence(rig.op(0, Operation::Submit, &submit).unwrap()));
        }
        rig.settle();
        assert!(fences.iter().all(|fence| !rig.reached(0, *fence)));
        assert_eq!(rig.peek(data.physical + 8), 0, "{platform}: nobody overtook the first");
        rig.poke(data.physical, &[1]);
        let last = fences[fences.len() - 1];
        assert!(rig.wait(10_000_000_000, |rig| rig.reached(0, last)));
        assert_eq!(rig.peek(data.physical + 8), 8, "{platform}");
        let points: Vec<_> = fences.iter().map(|fence| fence.point - fences[0].point).collect();
        assert_eq!(points, (0..9).collect::<Vec<_>>());
        rig.check();
    }
}
