// SPDX-License-Identifier: BSD-2-Clause
//! Contexts step by step.

use std::ptr::{null, null_mut};

use conformance::{Rig, Settings, Shared};
use gpu_client_c::types::*;
use gpu_client_c::*;

use crate::world::{World, connected, map, no_step, rig};

#[test]
fn contexts_are_made_step_by_step_and_cloned() {
    let shared = rig();
    let mut world = World::new(&shared, 0);
    let mut gpu = connected(&mut world);
    let gpu = &raw mut *gpu;
    let step = |kind, source, name, value| Step { source, name, value, ..no_step(kind) };
    let (mut one, mut two, mut value) = (0, 0, 0);
    let minus_seven = (-7_i64).cast_unsigned();
    let engines = [CEngine { class: 1, instance: 0 }, CEngine { class: 0xffff, instance: 0xffff }];
    let listed = map(&engines, &[], &[]);
    let map_step = Step { map: &listed, ..no_step(STEP_ENGINES) };
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        let steps = [step(STEP_PARAM, 0, 6, minus_seven), map_step];
        assert_eq!(gpu_context_create_with(gpu, steps.as_ptr(), 2, &mut one), 0);
        let clone = step(STEP_CLONE, one, 63, 0);
        assert_eq!(gpu_context_create_with(gpu, &clone, 1, &mut two), 0);
        assert_eq!((gpu_context_param(gpu, two, 6, &mut value), value), (0, minus_seven));
        assert_eq!(gpu_context_set_param(gpu, two, 6, 1), -1, "EPERM: it is not privileged");
        let mut resets = CResets { guilty: 9, ..CResets::default() };
        assert_eq!((gpu_context_resets(gpu, two, &mut resets), resets.guilty), (0, 0));
        // What the driver does not know, it refuses; what the library does not know, it does.
        assert_eq!(gpu_context_create_with(gpu, &step(STEP_CLONE, one, 64, 0), 1, &mut two), -22);
        assert_eq!(gpu_context_create_with(gpu, &step(STEP_CLONE, 99, 1, 0), 1, &mut two), -2);
        assert_eq!(gpu_context_create_with(gpu, &step(9, 0, 0, 0), 1, &mut two), -22);
        assert_eq!(gpu_context_create_with(gpu, &no_step(STEP_ENGINES), 1, &mut two), -22, "no map");
        assert_eq!(gpu_context_create_with(gpu, &no_step(STEP_SSEU), 1, &mut two), -22, "no engine");
        assert_eq!(gpu_context_create_with(gpu, [map_step; 13].as_ptr(), 13, &mut two), -7);
    }
}

#[test]
fn a_context_gets_a_map_of_engines_power_and_a_second_name_of_its_space() {
    let shared = Shared::new(Rig::unconnected(Settings::new("icl")));
    let mut world = World::new(&shared, 0);
    let mut gpu = connected(&mut world);
    let gpu = &raw mut *gpu;
    let (mut vm, mut context, mut made, mut count) = (0, 0, 0, 9);
    let (render, copy) = (CEngine { class: 0, instance: 0 }, CEngine { class: 1, instance: 0 });
    let slot = |instance| CEngine { class: BY_SLOT, instance };
    let mut found = [CEngine { class: 7, instance: 7 }; 3];
    let (mut whole, mut half) = (CSseu::default(), CSseu::default());
    // SAFETY: every pointer is to something of the test's.
    unsafe {
        assert_eq!(gpu_context_vm(gpu, 0, &mut vm), 0);
        assert_eq!(gpu_context_create(gpu, vm, &mut context), 0);
        assert_eq!(gpu_vm_destroy(gpu, vm), 0);

        assert_eq!(gpu_context_engines(gpu, context, found.as_mut_ptr(), 3, &mut count), 0, "no map");
        assert_eq!(count, 0);
        assert_eq!(gpu_context_set_engines(gpu, context, &map(&[copy; 65], &[], &[])), -7);
        assert_eq!(gpu_context_set_engines(gpu, context, null()), -22);
        assert_eq!(gpu_context_set_engines(gpu, context, &map(&[copy, render], &[], &[])), 0);
        assert_eq!(gpu_context_engines(gpu, context, found.as_mut_ptr(), 1, &mut count), 1);
        assert_eq!((count, found[0].class, found[1].class), (2, 1, 7), "as many as there is room for");

        assert_eq!(gpu_context_sseu(gpu, context, &render, &mut whole), -22, "its map wants slots");
        assert_eq!(gpu_context_sseu(gpu, context, &slot(1), &mut whole), 0);
        let less = CSseu { subslices: 0x0f, ..whole };
        assert_eq!(gpu_context_set_sseu(gpu, context, &slot(1), &CSseu { pad: 1, ..less }), -22);
        assert_eq!(gpu_context_set_sseu(gpu, context, &slot(0), &less), -19, "a copy engine");
        assert_eq!(gpu_context_set_sseu(gpu, context, &slot(1), &less), 0);
        assert_eq!(gpu_context_sseu(gpu, context, &slot(1), &mut half), 0);
        assert_eq!((whole.subslices, half), (0xff, less));

        // The same by its creation.
        let two = map(&[copy, render], &[], &[]);
        let slot = slot(1);
        let (map_step, sseu) = (Step { map: &two, ..no_step(STEP_ENGINES) }, &raw const less);
        let steps = [map_step, Step { engine: &slot, sseu, ..no_step(STEP_SSEU) }];
        assert_eq!(gpu_context_create_with(gpu, steps.as_ptr(), 2, &mut made), 0);
        half = CSseu::default();
        assert_eq!((gpu_context_sseu(gpu, made, &slot, &mut half), half), (0, less));

        assert_eq!(gpu_context_set_engines(gpu, context, &map(&[], &[], &[])), 0);
        assert_eq!(gpu_context_engines(gpu, context, found.as_mut_ptr(), 3, &mut count), 0, "none again");
        assert_eq!(gpu_context_vm(gpu, 77, &mut vm), -2);
        assert_eq!(gpu_context_vm(gpu, context, null_mut()), -22);
    }
}
