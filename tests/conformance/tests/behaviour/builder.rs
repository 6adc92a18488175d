// SPDX-License-Identifier: BSD-2-Clause
//! Contexts as the client library builds them, above the driver.

use conformance::{Rig, Settings, Shared, batch, client};
use gpu_client::{
    Access, Balanced, Bonded, CLONE_ALL, CloneFlags, Context, ContextBuilder, ContextParam,
    EngineClassInstance, EngineMap, Error, Gpu, MAX_ENGINE_SLOTS, Object, Place, Sseu, UsedObject,
};
use gpu_protocol::Errno;
use intel_gpu::Config;

const RENDER: EngineClassInstance = EngineClassInstance::new(0, 0);
const COPY: EngineClassInstance = EngineClassInstance::new(1, 0);
const VIDEO: [EngineClassInstance; 2] = [EngineClassInstance::new(2, 0), EngineClassInstance::new(2, 1)];
const EITHER: EngineClassInstance = EngineClassInstance::new(2, EngineClassInstance::VIRTUAL);
const MISSING: EngineClassInstance = EngineClassInstance::new(1, 7);
const HOLE: EngineClassInstance = EngineClassInstance::NONE;
const CODE: u64 = 0x10_0000;

type Connection = Gpu<conformance::Link>;

fn map_of(gpu: &mut Connection, context: &Context) -> Option<Vec<EngineClassInstance>> {
    let mut slots = [HOLE; MAX_ENGINE_SLOTS];
    gpu.engines_of(context, &mut slots).unwrap().map(|count| slots[..count].to_vec())
}

/// What can be read of a context, but for its address space.
fn read(gpu: &mut Connection, context: &Context) -> (Vec<u64>, Option<Vec<EngineClassInstance>>) {
    let names = [
        ContextParam::NO_ERROR_CAPTURE,
        ContextParam::BANNABLE,
        ContextParam::PRIORITY,
        ContextParam::RECOVERABLE,
        ContextParam::PERSISTENCE,
        ContextParam::WATCHDOG,
    ];
    let words = names.map(|name| gpu.context_param(context, name).unwrap());
    (words.to_vec(), map_of(gpu, context))
}

fn program(shared: &Shared, gpu: &mut Connection, commands: &[u32]) -> Object {
    let region = shared.rig().region(0, 1);
    shared.rig().poke(region.physical, commands);
    gpu.create_userptr(region.into()).unwrap()
}

fn run(shared: &Shared, gpu: &mut Connection, context: &Context, slot: u32, program: &Object) {
    let used = UsedObject { object: program, address: CODE, access: Access::Read };
    let fence = gpu.submit(context, slot, used, 0..8, &[]).unwrap();
    shared.rig().settle();
    assert!(gpu.is_complete(fence));
}

#[test]
fn context_0_is_cloned_as_it_was_set_up() {
    let (shared, mut gpu) = client("tgl");
    gpu.set_engines(&Context::DEFAULT, &[COPY, HOLE, RENDER]).unwrap();
    gpu.set_context_param(&Context::DEFAULT, ContextParam::PRIORITY, (-9_i64).cast_unsigned()).unwrap();
    gpu.set_context_param(&Context::DEFAULT, ContextParam::RECOVERABLE, 0).unwrap();
    let expected = read(&mut gpu, &Context::DEFAULT);
    assert_eq!(expected.1, Some(vec![COPY, HOLE, RENDER]));
    let builder = ContextBuilder::new().clone_of(&Context::DEFAULT).flags(CLONE_ALL);
    let clone = gpu.create_context_with(&builder).unwrap();
    assert_eq!(read(&mut gpu, &clone), expected);
    assert_eq!(shared.rig().driver.census().spaces, 2, "one for each client: the clone shares the source's");
    let code = program(&shared, &mut gpu, &[batch::END, 0]);
    run(&shared, &mut gpu, &clone, 0, &code);
    run(&shared, &mut gpu, &Context::DEFAULT, 0, &code);
    shared.rig().check();
}

#[test]
fn the_parts_of_a_clone_are_those_that_its_flags_name() {
    for flags in [CloneFlags::empty(), CloneFlags::ENGINES, CloneFlags::FLAGS, CloneFlags::SCHEDATTR] {
        let (_shared, mut gpu) = client("tgl");
        let plain = gpu.create_context_with(&ContextBuilder::new()).unwrap();
        let usual = read(&mut gpu, &plain);
        let builder = ContextBuilder::new()
            .engines(&[COPY])
            .param(ContextParam::BANNABLE, 1)
            .param(ContextParam::PERSISTENCE, 0)
            .priority(-3);
        let source = gpu.create_context_with(&builder).unwrap();
        let source_is = read(&mut gpu, &source);
        let builder = ContextBuilder::new().clone_of(&source).flags(flags);
        let clone = gpu.create_context_with(&builder).unwrap();
        let found = read(&mut gpu, &clone);
        let pick = |flag, index: usize| {
            if flags.contains(flag) { source_is.0[index] } else { usual.0[index] }
        };
        assert_eq!(found.0[2], pick(CloneFlags::SCHEDATTR, 2), "priority, {flags:?}");
        assert_eq!(found.0[4], pick(CloneFlags::FLAGS, 4), "persistence, {flags:?}");
        let map = if flags.contains(CloneFlags::ENGINES) { &source_is.1 } else { &usual.1 };
        assert_eq!(&found.1, map, "{flags:?}");
    }
}

#[test]
fn a_map_with_balanced_and_bonded_slots_is_built_read_back_and_used_from_each_slot() {
    let (shared, mut gpu) = client("tgl");
    let map = EngineMap {
        slots: &[HOLE, RENDER, HOLE, VIDEO[1]],
        balanced: &[Balanced { slot: 0, siblings: &VIDEO }, Balanced { slot: 2, siblings: &VIDEO }],
        bonds: &[
            Bonded { slot: 0, master: RENDER, engines: &VIDEO[1..] },
            Bonded { slot: 2, master: COPY, engines: &VIDEO[..1] },
        ],
    };
    let expected = Some(vec![EITHER, RENDER, EITHER, VIDEO[1]]);
    let context = gpu.create_context_with(&ContextBuilder::new().engines(map)).unwrap();
    assert_eq!(map_of(&mut gpu, &context), expected);
    let builder = ContextBuilder::new().clone_of(&context).flags(CLONE_ALL);
    let clone = gpu.create_context_with(&builder).unwrap();
    assert_eq!(map_of(&mut gpu, &clone), expected);
    let code = program(&shared, &mut gpu, &[batch::END, 0]);
    for slot in 0..4 {
        run(&shared, &mut gpu, &context, slot, &code);
        run(&shared, &mut gpu, &clone, slot, &code);
    }
    // The same on a context that there is; and the default map again.
    gpu.set_engines(&Context::DEFAULT, map).unwrap();
    assert_eq!(map_of(&mut gpu, &Context::DEFAULT), expected);
    gpu.set_engines(&Context::DEFAULT, EngineMap::default()).unwrap();
    assert_eq!(map_of(&mut gpu, &Context::DEFAULT), None);
    shared.rig().check();
}

#[test]
fn a_map_that_makes_no_sense_is_refused_and_leaves_nothing() {
    let (shared, mut gpu) = client("tgl");
    let refused: [(EngineMap<'_>, Errno); 6] = [
        (EngineMap { slots: &[MISSING], ..EngineMap::default() }, Errno::NoEnt),
        // Not empty, no such slot, two classes, one engine twice.
        (
            EngineMap {
                slots: &[COPY],
                balanced: &[Balanced { slot: 0, siblings: &VIDEO }],
                ..EngineMap::default()
            },
            Errno::Exist,
        ),
        (
            EngineMap {
                slots: &[HOLE],
                balanced: &[Balanced { slot: 1, siblings: &VIDEO }],
                ..EngineMap::default()
            },
            Errno::Inval,
        ),
        (
            EngineMap {
                slots: &[HOLE],
                balanced: &[Balanced { slot: 0, siblings: &[RENDER, COPY] }],
                ..EngineMap::default()
            },
            Errno::Inval,
        ),
        (
            EngineMap {
                slots: &[HOLE],
                balanced: &[Balanced { slot: 0, siblings: &[COPY, COPY] }],
                ..EngineMap::default()
            },
            Errno::Inval,
        ),
        // A bond to what is no sibling.
        (
            EngineMap {
                slots: &[HOLE],
                balanced: &[Balanced { slot: 0, siblings: &VIDEO }],
                bonds: &[Bonded { slot: 0, master: RENDER, engines: &[COPY] }],
            },
            Errno::Inval,
        ),
    ];
    let before = shared.rig().snapshot();
    for (map, errno) in refused {
        let built = gpu.create_context_with(&ContextBuilder::new().engines(map));
        assert_eq!(built, Err(Error::Refused(errno)), "{map:?}");
        assert_eq!(gpu.set_engines(&Context::DEFAULT, map), Err(Error::Refused(errno)), "{map:?}");
        assert_eq!(shared.rig().snapshot(), before, "{map:?}");
    }
    // What does not fit is not asked for.
    let calls = gpu.transport().calls;
    let long = [COPY; MAX_ENGINE_SLOTS + 1];
    let many = [VIDEO[0]; 1000];
    let wide = EngineMap {
        slots: &[HOLE],
        balanced: &[Balanced { slot: 0, siblings: &many }],
        ..EngineMap::default()
    };
    for map in [EngineMap::from(&long), wide] {
        assert_eq!(gpu.set_engines(&Context::DEFAULT, map), Err(Error::TooLarge));
        assert_eq!(gpu.create_context_with(&ContextBuilder::new().engines(map)), Err(Error::TooLarge));
    }
    let builder = (0..13).fold(ContextBuilder::new(), |builder, _| builder.priority(-1));
    assert_eq!(gpu.create_context_with(&builder), Err(Error::TooLarge));
    assert_eq!(gpu.transport().calls, calls);
    assert_eq!(map_of(&mut gpu, &Context::DEFAULT), None);
}

#[test]
fn slices_are_chosen_by_name_or_by_slot_and_cloned() {
    let half = Sseu { slices: 1, subslices: 0x0f, min_eus: 8, max_eus: 8 };
    let (shared, mut gpu) = client("icl");
    let by_name = ContextBuilder::new().sseu(Place::Engine(RENDER), half);
    let by_name = gpu.create_context_with(&by_name).unwrap();
    let by_slot = ContextBuilder::new().engines(&[COPY, RENDER]).sseu(Place::Slot(1), half);
    let by_slot = gpu.create_context_with(&by_slot).unwrap();
    for (source, place) in [(by_name, Place::Engine(RENDER)), (by_slot, Place::Slot(1))] {
        assert_eq!(gpu.sseu(&source, place), Ok(half));
        for (flags, expected) in
            [(CLONE_ALL, half), (CLONE_ALL - CloneFlags::SSEU, Sseu { subslices: 0xff, ..half })]
        {
            let clone =
                gpu.create_context_with(&ContextBuilder::new().clone_of(&source).flags(flags)).unwrap();
            assert_eq!(gpu.sseu(&clone, place), Ok(expected), "{flags:?}");
        }
    }
    // Named wrongly, too few, nothing to power.
    let refused = [
        (Place::Slot(0), half, Errno::Inval),
        (Place::Engine(RENDER), Sseu { subslices: 1, ..half }, Errno::Inval),
        (Place::Engine(COPY), half, Errno::NoDev),
    ];
    let before = shared.rig().snapshot();
    for (place, sseu, errno) in refused {
        assert_eq!(gpu.set_sseu(&Context::DEFAULT, place, sseu), Err(Error::Refused(errno)), "{place:?}");
        let built = gpu.create_context_with(&ContextBuilder::new().sseu(place, sseu));
        assert_eq!(built, Err(Error::Refused(errno)), "{place:?}");
    }
    assert_eq!(shared.rig().snapshot(), before);
    // Only Gen11 lets it be chosen.
    let (_shared, mut gpu) = client("tgl");
    let built = gpu.create_context_with(&ContextBuilder::new().sseu(Place::Engine(RENDER), half));
    assert_eq!(built, Err(Error::Refused(Errno::NoDev)));
}

#[test]
fn a_builder_in_the_space_of_another_context_shares_it() {
    let (shared, mut gpu) = client("tgl");
    let before = shared.rig().driver.census().spaces;
    let vm = gpu.vm_of(&Context::DEFAULT).unwrap();
    let neighbour = gpu.create_context_with(&ContextBuilder::new().in_vm(&vm)).unwrap();
    gpu.destroy_vm(vm).unwrap();
    assert_eq!(shared.rig().driver.census().spaces, before);
    let alone = gpu.create_context_with(&ContextBuilder::new()).unwrap();
    assert_eq!(shared.rig().driver.census().spaces, before + 1);
    for context in [neighbour, alone] {
        gpu.destroy_context(context).unwrap();
    }
    assert_eq!(shared.rig().driver.census().spaces, before);
}

#[test]
fn the_guilty_context_is_counted_and_its_clone_carries_on() {
    let mut settings = Settings::new("tgl");
    settings.options.instant_budget = 2_000;
    settings.config = Config { hang_ns: 50_000_000, preempt_timeout_ns: 20_000_000, ..settings.config };
    let shared = Shared::new(Rig::unconnected(settings));
    let mut gpu = Gpu::connect(shared.link(0)).unwrap();
    let builder = ContextBuilder::new().engines(&[COPY]).param(ContextParam::RECOVERABLE, 0);
    let context = gpu.create_context_with(&builder).unwrap();
    let endless = program(&shared, &mut gpu, &batch::endless(CODE));
    let used = UsedObject { object: &endless, address: CODE, access: Access::Read };
    let fence = gpu.submit(&context, 0, used, 0..16, &[]).unwrap();
    let timeline_reached = |_: &Rig| false;
    // The time in which the hang is seen, and the engine reset.
    shared.rig().wait(2_000_000_000, timeline_reached);
    assert!(gpu.is_complete(fence));
    let counts = gpu.reset_counts(&context).unwrap();
    assert_eq!((counts.guilty, counts.innocent), (1, 0));
    assert_eq!(gpu.submit(&context, 0, used, 0..16, &[]), Err(Error::Refused(Errno::Io)));
    let clone = gpu.create_context_with(&ContextBuilder::new().clone_of(&context).flags(CLONE_ALL)).unwrap();
    gpu.destroy_context(context).unwrap();
    assert_eq!(gpu.reset_counts(&clone).unwrap().guilty, 0);
    gpu.close(endless).unwrap();
    shared.rig().settle();
    let code = program(&shared, &mut gpu, &[batch::END, 0]);
    run(&shared, &mut gpu, &clone, 0, &code);
}
