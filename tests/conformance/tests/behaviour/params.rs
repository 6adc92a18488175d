// SPDX-License-Identifier: BSD-2-Clause
//! Parameters of contexts: each set, each get, each error as i915 has it.

use conformance::wire::{STRUCTURE, handle, param, reads, writes};
use conformance::{Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{
    ContextParam, ContextSseu, EngineClassInstance, EnginesHeader, Errno, Operation, ResetStats,
};
use zerocopy::{FromBytes, IntoBytes};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;
const RENDER: EngineClassInstance = EngineClassInstance::new(0, 0);
const COPY: EngineClassInstance = EngineClassInstance::new(1, 0);
const HOLE: EngineClassInstance = EngineClassInstance::NONE;

/// The parameters that are one word.
const WORDS: [u64; 7] = [
    ContextParam::NO_ERROR_CAPTURE,
    ContextParam::BANNABLE,
    ContextParam::PRIORITY,
    ContextParam::RECOVERABLE,
    ContextParam::VM,
    ContextParam::PERSISTENCE,
    ContextParam::WATCHDOG,
];

fn privileged(platform: &'static str) -> Rig {
    Rig::with(Settings { privileged: true, ..Settings::new(platform) })
}

#[test]
fn a_new_context_and_the_default_one_have_the_defaults() {
    for platform in ["bdw", "skl", "icl", "tgl"] {
        let mut rig = Rig::new(platform);
        let bytes = 1 << rig.driver.gpu().platform().ppgtt_bits;
        let created = rig.context_create(0, 0, &[]).unwrap();
        for context in [0, created] {
            assert_eq!(rig.get(0, context, ContextParam::NO_ERROR_CAPTURE), Ok(0));
            assert_eq!(rig.get(0, context, ContextParam::BANNABLE), Ok(1));
            assert_eq!(rig.get(0, context, ContextParam::PRIORITY), Ok(0));
            assert_eq!(rig.get(0, context, ContextParam::RECOVERABLE), Ok(1));
            assert_eq!(rig.get(0, context, ContextParam::PERSISTENCE), Ok(1));
            assert_eq!(rig.get(0, context, ContextParam::WATCHDOG), Ok(0));
            assert_eq!(rig.get(0, context, ContextParam::GTT_SIZE), Ok(bytes));
            assert_eq!(rig.engines(0, context), None);
            assert_eq!(rig.reset_stats(0, context), Ok([0, 0, 0]));
        }
    }
}

#[test]
fn an_unknown_context_is_enoent_and_an_unknown_parameter_einval() {
    let mut rig = Rig::new("tgl");
    for operation in [Operation::ContextSetParam, Operation::ContextGetParam] {
        for ctx_id in [1, 65, u32::MAX] {
            // The context is looked for first.
            for name in [ContextParam::PRIORITY, 0, u64::MAX] {
                let param = ContextParam { ctx_id, ..param(name, 0) };
                rig.refused(0, operation, &param, Errno::NoEnt);
            }
        }
        for name in [0, 1, 2, 12, 13, 99, ContextParam::WATCHDOG + 1, u64::MAX] {
            rig.refused(0, operation, &param(name, 0), Errno::Inval);
        }
    }
    rig.refused(0, Operation::ContextSetParam, &param(ContextParam::GTT_SIZE, 0), Errno::Inval);
}

#[test]
fn a_parameter_that_is_one_word_has_no_size() {
    let mut rig = privileged("tgl");
    for name in WORDS {
        for size in [1, 8, u32::MAX] {
            let sized = ContextParam { size, ..param(name, 0) };
            rig.refused(0, Operation::ContextSetParam, &sized, Errno::Inval);
        }
        // Asking, the size is not looked at, and comes back as 0.
        let ask = ContextParam { size: 77, ..param(name, 0) };
        assert_eq!(rig.op(0, Operation::ContextGetParam, &ask).unwrap()[1], 0);
    }
}

#[test]
fn flags_are_set_by_anything_that_is_not_zero() {
    let mut rig = privileged("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    for name in [
        ContextParam::NO_ERROR_CAPTURE,
        ContextParam::BANNABLE,
        ContextParam::RECOVERABLE,
        ContextParam::PERSISTENCE,
    ] {
        for value in [0, 1, 0, 2, 1 << 63, 0] {
            rig.set(0, context, name, value).unwrap();
            assert_eq!(rig.get(0, context, name), Ok(u64::from(value != 0)), "{name}");
            assert_eq!(rig.get(0, 0, name), rig.get(1, 0, name), "no other context is changed");
        }
    }
}

#[test]
fn what_asks_for_a_right_is_eperm_without_it() {
    let mut rig = Rig::new("tgl");
    for (name, value) in
        [(ContextParam::BANNABLE, 0), (ContextParam::PRIORITY, 1), (ContextParam::PRIORITY, 1023)]
    {
        rig.refused(0, Operation::ContextSetParam, &param(name, value), Errno::Perm);
    }
    rig.set(0, 0, ContextParam::BANNABLE, 1).unwrap();
    let mut rig = privileged("tgl");
    rig.set(0, 0, ContextParam::BANNABLE, 0).unwrap();
    rig.set(0, 0, ContextParam::PRIORITY, 1023).unwrap();
    assert_eq!(rig.get(0, 0, ContextParam::PRIORITY), Ok(1023));
}

#[test]
fn a_priority_is_a_signed_number_between_its_bounds() {
    let mut rig = Rig::new("tgl");
    for priority in [-1_i64, -1023, 0] {
        rig.set(0, 0, ContextParam::PRIORITY, priority.cast_unsigned()).unwrap();
        assert_eq!(rig.get(0, 0, ContextParam::PRIORITY), Ok(priority.cast_unsigned()));
    }
    for priority in [-1024_i64, 1024, i64::MIN, i64::MAX, 1 << 32] {
        let wrong = param(ContextParam::PRIORITY, priority.cast_unsigned());
        rig.refused(0, Operation::ContextSetParam, &wrong, Errno::Inval);
    }
}

#[test]
fn a_part_that_cannot_preempt_keeps_contexts_persistent() {
    let mut rig = Rig::new("bdw");
    rig.set(0, 0, ContextParam::PERSISTENCE, 1).unwrap();
    rig.refused(0, Operation::ContextSetParam, &param(ContextParam::PERSISTENCE, 0), Errno::NoDev);
}

#[test]
fn a_watchdog_has_a_longest_time() {
    let mut rig = Rig::new("tgl");
    for value in [1, 3_600_000_000, 0] {
        rig.set(0, 0, ContextParam::WATCHDOG, value).unwrap();
        assert_eq!(rig.get(0, 0, ContextParam::WATCHDOG), Ok(value));
    }
    for value in [3_600_000_001, u64::MAX] {
        rig.refused(0, Operation::ContextSetParam, &param(ContextParam::WATCHDOG, value), Errno::Inval);
    }
}

#[test]
fn reading_the_address_space_makes_a_handle_with_a_reference_of_its_own() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let before = rig.driver.census();
    let vm = u32::try_from(rig.get(0, context, ContextParam::VM).unwrap()).unwrap();
    let again = u32::try_from(rig.get(0, context, ContextParam::VM).unwrap()).unwrap();
    assert_ne!(vm, again);
    assert_eq!(rig.driver.census().spaces, before.spaces);
    rig.context_destroy(0, context).unwrap();
    rig.vm_destroy(0, vm).unwrap();
    assert_eq!(rig.driver.census().spaces, before.spaces, "the second handle keeps it");
    // Another context can have it.
    let other = rig.context(0, again);
    rig.vm_destroy(0, again).unwrap();
    assert_eq!(rig.driver.census().spaces, before.spaces);
    rig.context_destroy(0, other).unwrap();
    assert_eq!(rig.driver.census().spaces, before.spaces - 1);
}

#[test]
fn without_a_free_handle_reading_the_address_space_is_enomem() {
    let mut rig = Rig::new("tgl");
    while rig.vm_create(0).is_ok() {}
    rig.refused(0, Operation::ContextGetParam, &param(ContextParam::VM, 0), Errno::NoMem);
}

#[test]
fn setting_an_unknown_address_space_is_enoent() {
    let mut rig = Rig::new("tgl");
    let vm = rig.vm_create(0).unwrap();
    for value in [0, u64::from(vm) + 1, 1 << 32 | u64::from(vm), u64::MAX] {
        rig.refused(0, Operation::ContextSetParam, &param(ContextParam::VM, value), Errno::NoEnt);
    }
}

/// A batch that stores a number through `context`, with objects of its own.
fn store(rig: &mut Rig, context: u32, engine: u32, value: u32) -> u32 {
    let (data, code) = (rig.region(0, 1), rig.region(0, 1));
    let objects = [rig.userptr(0, data), rig.userptr(0, code)];
    rig.poke(code.physical, &batch::store(DATA, value));
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    rig.run(0, context, engine, &list, &[], &[data, code]).unwrap();
    rig.settle();
    let found = rig.peek(data.physical);
    for object in objects {
        rig.close(0, object).unwrap();
    }
    found
}

#[test]
fn a_context_moves_to_another_address_space_and_sees_what_is_bound_there() {
    for platform in ["skl", "icl", "tgl"] {
        let mut rig = Rig::new(platform);
        let context = rig.context_create(0, 0, &[]).unwrap();
        assert_eq!(store(&mut rig, context, BLITTER, 1), 1);
        let vm = rig.vm_create(0).unwrap();
        let resident = rig.context(0, vm);
        // What the resident binds at the address is what the context finds there after its move.
        let (data, code) = (rig.region(0, 1), rig.region(0, 1));
        let objects = [rig.userptr(0, data), rig.userptr(0, code)];
        rig.poke(code.physical, &batch::store(DATA, 7));
        let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
        rig.run(0, resident, BLITTER, &list, &[], &[data, code]).unwrap();
        rig.settle();
        rig.poke(data.physical, &[0]);
        let spaces = rig.driver.census().spaces;
        rig.set(0, context, ContextParam::VM, vm.into()).unwrap();
        assert_eq!(rig.driver.census().spaces, spaces - 1, "its own one is gone");
        let bindings = rig.driver.census().bindings;
        rig.submit(0, context, BLITTER, &list, &[]).unwrap();
        rig.settle();
        assert_eq!(rig.peek(data.physical), 7, "{platform}");
        assert_eq!(rig.driver.census().bindings, bindings);
        rig.set(0, context, ContextParam::VM, vm.into()).unwrap();
        rig.check();
    }
}

#[test]
fn address_space_and_engines_of_a_running_context_are_ebusy() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::new(platform);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let vm = rig.vm_create(0).unwrap();
        let code = rig.region(0, 1);
        let object = rig.userptr(0, code);
        rig.poke(code.physical, &[batch::END, 0]);
        rig.set_timing(Timing::Busy);
        let fence = rig.run(0, context, BLITTER, &[reads(object, CODE)], &[], &[code]).unwrap();
        let space = ContextParam { ctx_id: context, ..param(ContextParam::VM, vm.into()) };
        rig.refused(0, Operation::ContextSetParam, &space, Errno::Busy);
        let map = rig.write_engines(0, context, 0, &[COPY]);
        rig.refused(0, Operation::ContextSetParam, &map, Errno::Busy);
        // A mistake is told before that.
        let wrong = ContextParam { ctx_id: context, ..param(ContextParam::VM, 99) };
        rig.refused(0, Operation::ContextSetParam, &wrong, Errno::NoEnt);
        let wrong = rig.write_engines(0, context, 0, &[EngineClassInstance::new(1, 7)]);
        rig.refused(0, Operation::ContextSetParam, &wrong, Errno::NoEnt);
        // Everything else can be changed at any time.
        rig.set(0, context, ContextParam::PRIORITY, (-3_i64).cast_unsigned()).unwrap();
        rig.set(0, context, ContextParam::PERSISTENCE, 0).unwrap();
        rig.set_timing(Timing::Instant);
        rig.settle();
        assert!(rig.reached(0, fence));
        rig.set(0, context, ContextParam::VM, vm.into()).unwrap();
        rig.set_engines(0, context, &[COPY]).unwrap();
        rig.check();
    }
}

/// All batches of the context are complete, but one of the two engines has not saved it yet.
#[test]
fn an_address_space_is_not_set_for_one_engine_while_another_does_not_let_go() {
    for platform in ["skl", "tgl"] {
        for [gone, there] in [[1, 0], [0, 1]] {
            let mut rig = Rig::new(platform);
            let context = rig.context_create(0, 0, &[]).unwrap();
            rig.set_engines(0, context, &[RENDER, COPY]).unwrap();
            let vm = rig.vm_create(0).unwrap();
            assert_eq!(store(&mut rig, context, gone, 5), 5);
            let code = rig.region(0, 1);
            let object = rig.userptr(0, code);
            rig.poke(code.physical, &[batch::END, 0]);
            rig.set_timing(Timing::Deferred);
            let list = [reads(object, CODE)];
            let fence = rig.run(0, context, there, &list, &[], &[code]).unwrap();
            for _ in 0..10_000 {
                if rig.reached(0, fence) {
                    break;
                }
                rig.model().step(1);
                rig.take_interrupts();
            }
            assert!(rig.reached(0, fence), "{platform}");
            rig.set_timing(Timing::Busy);
            let space = ContextParam { ctx_id: context, ..param(ContextParam::VM, vm.into()) };
            rig.refused(0, Operation::ContextSetParam, &space, Errno::Busy);
            rig.set_timing(Timing::Instant);
            rig.settle();
            for slot in [gone, there] {
                // Bound by the list of the other batch before: the address space is the old one.
                let before = rig.driver.census().bindings;
                let fence = rig.run(0, context, slot, &list, &[], &[code]).unwrap();
                rig.settle();
                assert!(rig.reached(0, fence));
                assert_eq!(rig.driver.census().bindings, before, "{platform}: slot {slot}");
            }
            rig.set(0, context, ContextParam::VM, vm.into()).unwrap();
            assert_eq!(store(&mut rig, context, gone, 6), 6);
            assert_eq!(store(&mut rig, context, there, 7), 7);
            rig.check();
        }
    }
}

#[test]
fn a_map_of_engines_names_the_slots_and_holes_are_einval_to_submit_to() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::new(platform);
        let context = rig.context_create(0, 0, &[]).unwrap();
        let map = [HOLE, COPY, RENDER, HOLE, COPY];
        rig.set_engines(0, context, &map).unwrap();
        assert_eq!(rig.engines(0, context).as_deref(), Some(&map[..]));
        for slot in [1, 2, 4] {
            assert_eq!(store(&mut rig, context, slot, 100 + slot), 100 + slot, "{platform}");
        }
        let region = rig.region(0, 1);
        let object = rig.userptr(0, region);
        for slot in [0, 3, 5, 63, 64, u32::MAX] {
            let submit = rig.write_submit(0, context, slot, &[reads(object, CODE)], &[]);
            rig.refused(0, Operation::Submit, &submit, Errno::Inval);
        }
        // Two slots of one engine have a state each.
        assert_eq!(rig.driver.census().clients[0].timelines, 3);
        // Size 0: the default map again.
        rig.set(0, context, ContextParam::ENGINES, 0).unwrap();
        assert_eq!(rig.engines(0, context), None);
        rig.settle();
        rig.driver.tick(&mut rig.domain);
        assert_eq!(rig.driver.census().clients[0].timelines, 0);
        assert_eq!(store(&mut rig, context, BLITTER, 9), 9);
        rig.check();
    }
}

#[test]
fn sizes_of_a_map_that_cannot_be_are_einval() {
    let mut rig = Rig::new("tgl");
    let map = rig.write_engines(0, 0, 0, &[COPY; 65]);
    for size in [1, 4, 7, 9, 10, 11, 13, map.size, !3] {
        rig.refused(0, Operation::ContextSetParam, &ContextParam { size, ..map }, Errno::Inval);
    }
    // None and the most.
    for count in [0, 1, 8, 9, 64] {
        rig.set_engines(0, 0, &vec![COPY; count]).unwrap();
        assert_eq!(rig.engines(0, 0), Some(vec![COPY; count]));
    }
    // Into an array that is too small nothing is written.
    let ask = ContextParam { size: 8 + 4 * 64 - 4, ..map };
    rig.refused(0, Operation::ContextGetParam, &ask, Errno::Inval);
    // Into a larger one as much as there is.
    let ask = ContextParam { size: 8 + 4 * 64 + 4, ..map };
    assert_eq!(rig.op(0, Operation::ContextGetParam, &ask).unwrap()[1], 8 + 4 * 64);
}

#[test]
fn a_map_outside_the_message_area_is_efault() {
    let mut rig = Rig::new("tgl");
    let end = rig.area_len(0) as u64;
    let map = rig.write_engines(0, 0, 0, &[COPY; 2]);
    rig.op(0, Operation::ContextSetParam, &map).unwrap();
    for value in [end, end - 12, end - 8, u64::MAX, u64::MAX - 7] {
        for operation in [Operation::ContextSetParam, Operation::ContextGetParam] {
            rig.refused(0, operation, &ContextParam { value, ..map }, Errno::Fault);
        }
    }
    let at = usize::try_from(end).unwrap() - 16;
    rig.write_area(0, at, EnginesHeader { extensions: 0 }.as_bytes());
    rig.write_area(0, at + 8, [COPY; 2].as_bytes());
    rig.op(0, Operation::ContextSetParam, &ContextParam { value: at as u64, ..map }).unwrap();
    // A chain that leaves it.
    let map = rig.write_engines(0, 0, end - 8, &[COPY]);
    rig.refused(0, Operation::ContextSetParam, &map, Errno::Fault);
}

#[test]
fn an_engine_that_the_part_lacks_is_enoent() {
    let mut rig = Rig::new("skl");
    for (class, instance) in
        [(0, 1), (1, 1), (2, 1), (3, 1), (4, 0), (0xffff, 0), (0, 0xffff), (0xffff, 0xfffe)]
    {
        let map = rig.write_engines(0, 0, 0, &[COPY, EngineClassInstance::new(class, instance)]);
        rig.refused(0, Operation::ContextSetParam, &map, Errno::NoEnt);
    }
    // Tiger Lake has a second video engine.
    let mut rig = Rig::new("tgl");
    rig.set_engines(0, 0, &[EngineClassInstance::new(2, 1)]).unwrap();
}

fn full_sseu(platform: &str) -> (u64, u64, u16) {
    match platform {
        "skl" => (1, 0b0111, 8),
        "icl" => (1, 0xff, 8),
        _ => (1, 0x3f, 16),
    }
}

fn ask_sseu(rig: &mut Rig, context: u32, size: u32, sseu: ContextSseu) -> Result<[u64; 4], Errno> {
    rig.write_area(0, STRUCTURE, sseu.as_bytes());
    let ask = ContextParam { ctx_id: context, size, param: ContextParam::SSEU, value: STRUCTURE as u64 };
    rig.op(0, Operation::ContextGetParam, &ask)
}

fn named(engine: EngineClassInstance, flags: u32) -> ContextSseu {
    ContextSseu {
        engine,
        flags,
        slice_mask: 0,
        subslice_mask: 0,
        min_eus_per_subslice: 0,
        max_eus_per_subslice: 0,
        rsvd: 0,
    }
}

#[test]
fn every_engine_has_all_of_the_part_until_somebody_chooses() {
    for platform in ["skl", "icl", "tgl"] {
        let mut rig = Rig::new(platform);
        let (slices, subslices, eus) = full_sseu(platform);
        for class in 0..4 {
            let engine = EngineClassInstance::new(class, 0);
            let words = ask_sseu(&mut rig, 0, 32, named(engine, 0)).unwrap();
            assert_eq!(words[1], 32);
            let found = ContextSseu::read_from_bytes(rig.read_area(0, STRUCTURE, 32)).unwrap();
            let expected = ContextSseu {
                slice_mask: slices,
                subslice_mask: subslices,
                min_eus_per_subslice: eus,
                max_eus_per_subslice: eus,
                ..named(engine, 0)
            };
            assert_eq!(found, expected, "{platform}");
        }
        // Size 0 asks for the size.
        assert_eq!(ask_sseu(&mut rig, 0, 0, named(RENDER, 0)).unwrap()[1], 32);
    }
}

#[test]
fn a_malformed_question_for_slices_is_einval() {
    let mut rig = Rig::new("tgl");
    for size in [1, 31] {
        assert_eq!(ask_sseu(&mut rig, 0, size, named(RENDER, 0)), Err(Errno::Inval));
    }
    let wrong = [
        ContextSseu { rsvd: 1, ..named(RENDER, 0) },
        named(RENDER, 2),
        // With the default map engines have names, with one of the client's they are slots.
        named(RENDER, ContextSseu::ENGINE_INDEX),
        named(EngineClassInstance::new(0, 1), 0),
        named(EngineClassInstance::new(9, 0), 0),
    ];
    for sseu in wrong {
        assert_eq!(ask_sseu(&mut rig, 0, 32, sseu), Err(Errno::Inval), "{sseu:?}");
    }
    rig.set_engines(0, 0, &[HOLE, RENDER]).unwrap();
    for (sseu, answer) in [
        (named(RENDER, 0), Err(Errno::Inval)),
        (named(EngineClassInstance::new(0, 0), ContextSseu::ENGINE_INDEX), Err(Errno::Inval)),
        (named(EngineClassInstance::new(0, 2), ContextSseu::ENGINE_INDEX), Err(Errno::Inval)),
        (named(EngineClassInstance::new(7, 1), ContextSseu::ENGINE_INDEX), Ok(32)),
    ] {
        assert_eq!(ask_sseu(&mut rig, 0, 32, sseu).map(|words| words[1]), answer, "{sseu:?}");
    }
    let outside = ContextParam { size: 32, ..param(ContextParam::SSEU, u64::MAX - 8) };
    rig.refused(0, Operation::ContextGetParam, &outside, Errno::Fault);
}

fn choose(rig: &mut Rig, context: u32, size: u32, sseu: ContextSseu) -> Result<u64, Errno> {
    rig.write_area(0, STRUCTURE, sseu.as_bytes());
    let set = ContextParam { ctx_id: context, size, param: ContextParam::SSEU, value: STRUCTURE as u64 };
    rig.op(0, Operation::ContextSetParam, &set).map(|words| words[0])
}

const fn half(engine: EngineClassInstance, flags: u32) -> ContextSseu {
    ContextSseu {
        engine,
        flags,
        slice_mask: 1,
        subslice_mask: 0x0f,
        min_eus_per_subslice: 8,
        max_eus_per_subslice: 8,
        rsvd: 0,
    }
}

#[test]
fn only_ice_lake_lets_contexts_choose_their_slices() {
    for platform in ["bdw", "skl", "tgl", "adls"] {
        let mut rig = Rig::new(platform);
        assert_eq!(choose(&mut rig, 0, 31, half(RENDER, 0)), Err(Errno::Inval), "the size comes first");
        assert_eq!(choose(&mut rig, 0, 32, half(RENDER, 0)), Err(Errno::NoDev), "{platform}");
    }
    let mut rig = Rig::new("icl");
    assert_eq!(choose(&mut rig, 0, 0, half(RENDER, 0)), Err(Errno::Inval));
    assert_eq!(choose(&mut rig, 0, 32, half(COPY, 0)), Err(Errno::NoDev), "nothing to power but render");
    for wrong in [
        ContextSseu { rsvd: 1, ..half(RENDER, 0) },
        half(RENDER, 2),
        half(RENDER, ContextSseu::ENGINE_INDEX),
        half(EngineClassInstance::new(0, 1), 0),
        ContextSseu { subslice_mask: 0x07, ..half(RENDER, 0) },
        ContextSseu { subslice_mask: 0x1ff, ..half(RENDER, 0) },
        ContextSseu { slice_mask: 2, ..half(RENDER, 0) },
        ContextSseu { min_eus_per_subslice: 4, ..half(RENDER, 0) },
    ] {
        assert_eq!(choose(&mut rig, 0, 32, wrong), Err(Errno::Inval), "{wrong:?}");
    }
    let outside = ContextParam { size: 32, ..param(ContextParam::SSEU, u64::MAX - 8) };
    rig.refused(0, Operation::ContextSetParam, &outside, Errno::Fault);
    assert_eq!(choose(&mut rig, 0, 64, half(RENDER, 0)), Ok(32));
    ask_sseu(&mut rig, 0, 32, named(RENDER, 0)).unwrap();
    let found = ContextSseu::read_from_bytes(rig.read_area(0, STRUCTURE, 32)).unwrap();
    assert_eq!(found, half(RENDER, 0));
}

/// The batch stores the register that the chosen configuration was loaded into.
#[test]
fn what_is_submitted_after_the_choice_runs_with_it_whether_the_context_ran_before_or_runs_now() {
    const POWER_CLOCK_STATE: u32 = 0x20c8;
    let mut rig = Rig::new("icl");
    let (data, code) = (rig.region(0, 1), rig.region(0, 1));
    let objects = [rig.userptr(0, data), rig.userptr(0, code)];
    let target = u32::try_from(DATA).unwrap();
    // MI_STORE_REGISTER_MEM.
    rig.poke(code.physical, &[0x1200_0002, POWER_CLOCK_STATE, target, 0, batch::END, 0]);
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    let context = rig.context_create(0, 0, &[]).unwrap();
    rig.run(0, context, 1, &list, &[], &[data, code]).unwrap();
    rig.settle();
    let whole = rig.peek(data.physical);
    assert_ne!(whole, 0);
    choose(&mut rig, context, 32, half(RENDER, 0)).unwrap();
    rig.submit(0, context, 1, &list, &[]).unwrap();
    rig.settle();
    let halved = rig.peek(data.physical);
    assert_eq!(halved, 0x8004_1c88);
    // Chosen before the first use.
    let other = rig.context_create(0, 0, &[]).unwrap();
    choose(&mut rig, other, 32, half(RENDER, 0)).unwrap();
    rig.submit(0, other, 1, &list, &[]).unwrap();
    rig.settle();
    assert_eq!(rig.peek(data.physical), halved);
    // Chosen while an earlier batch runs: that one is not changed, the next one is.
    let third = rig.context_create(0, 0, &[]).unwrap();
    let (gate, held) = (rig.region(0, 1), rig.region(0, 1));
    let gated = [rig.userptr(0, gate), rig.userptr(0, held)];
    let at = 0x30_0000;
    let mut code = batch::gated_store("icl", at, 1, at + 4, 1);
    code.truncate(6);
    code.extend([0x1200_0002, POWER_CLOCK_STATE, u32::try_from(at).unwrap() + 8, 0, batch::END, 0]);
    rig.poke(held.physical, &code);
    let first = [writes(gated[0], at), reads(gated[1], CODE + 0x8_0000)];
    let first = rig.run(0, third, 1, &first, &[], &[gate, held]).unwrap();
    choose(&mut rig, third, 32, half(RENDER, 0)).unwrap();
    rig.poke(data.physical, &[0]);
    let second = rig.submit(0, third, 1, &list, &[]).unwrap();
    rig.settle();
    assert!(!rig.reached(0, first));
    rig.poke(gate.physical, &[1]);
    assert!(rig.wait(10_000_000_000, |rig| rig.reached(0, first) && rig.reached(0, second)));
    assert_eq!(rig.peek(gate.physical + 8), whole);
    assert_eq!(rig.peek(data.physical), halved);
    rig.check();
}

#[test]
fn reset_statistics_with_flags_or_padding_are_einval_and_of_an_unknown_context_enoent() {
    let mut rig = Rig::new("tgl");
    let good = ResetStats::new_from(0);
    for (flags, pad) in [(1, 0), (0, 1), (u32::MAX, u32::MAX)] {
        let wrong = ResetStats { flags, pad, ..good };
        rig.refused(0, Operation::ContextResetStats, &wrong, Errno::Inval);
        // Before the context is looked for.
        rig.refused(0, Operation::ContextResetStats, &ResetStats { ctx_id: 9, ..wrong }, Errno::Inval);
    }
    rig.refused(0, Operation::ContextResetStats, &ResetStats { ctx_id: 9, ..good }, Errno::NoEnt);
    assert_eq!(rig.op(0, Operation::ContextResetStats, &good).map(handle), Ok(0));
}

trait NewFrom {
    fn new_from(ctx_id: u32) -> Self;
}

impl NewFrom for ResetStats {
    fn new_from(ctx_id: u32) -> Self {
        Self { ctx_id, flags: 0, reset_count: 0, batch_active: 0, batch_pending: 0, pad: 0 }
    }
}

#[test]
fn the_default_context_runs_batches() {
    let mut rig = Rig::new("tgl");
    assert_eq!(store(&mut rig, 0, BLITTER, 5), 5);
    rig.check();
}
