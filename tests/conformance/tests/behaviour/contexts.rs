// SPDX-License-Identifier: BSD-2-Clause
//! Contexts and the chain of extensions that makes them.

use conformance::wire::{PAYLOAD, handle, param, reads, set_param};
use conformance::{Rig, Settings, batch};
use gpu_protocol::{
    ContextCreate, ContextDestroy, ContextParam, CreateSetParam, Errno, ExtensionHeader, GetParam,
    MAX_EXTENSIONS, Operation, Param, Submit,
};
use intel_gpu::uapi::ClientLimits;
use zerocopy::IntoBytes;

const CODE: u64 = 0x10_0000;

fn create(extensions: u64) -> ContextCreate {
    ContextCreate { ctx_id: 0, flags: ContextCreate::USE_EXTENSIONS, extensions }
}

#[test]
fn unknown_flags_of_a_context_are_einval() {
    let mut rig = Rig::new("tgl");
    for bit in 2..32 {
        let create = ContextCreate { ctx_id: 0, flags: 1 << bit, extensions: 0 };
        rig.refused(0, Operation::ContextCreate, &create, Errno::Inval);
    }
}

#[test]
fn extensions_are_not_looked_at_without_their_flag() {
    let mut rig = Rig::new("tgl");
    let create = ContextCreate { ctx_id: 7, flags: 0, extensions: u64::MAX };
    assert_eq!(rig.op(0, Operation::ContextCreate, &create).map(handle), Ok(1));
}

#[test]
fn a_context_without_an_address_space_gets_its_own() {
    let mut rig = Rig::new("tgl");
    let before = rig.snapshot();
    let context = rig.context_create(0, 0, &[]).unwrap();
    let census = rig.driver.census();
    assert_eq!(census.spaces, before.census.spaces + 1);
    assert_eq!(census.clients[0].handles, [1, 0, 0], "no handle names it");
    rig.context_destroy(0, context).unwrap();
    assert_eq!(rig.snapshot(), before);
    // An empty chain is a chain.
    let context = rig.op(0, Operation::ContextCreate, &create(0)).map(handle).unwrap();
    rig.context_destroy(0, context).unwrap();
    assert_eq!(rig.snapshot(), before);
}

#[test]
fn two_contexts_share_an_address_space_which_outlives_its_handle() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::new(platform);
        let before = rig.snapshot();
        let vm = rig.vm_create(0).unwrap();
        let (a, b) = (rig.context(0, vm), rig.context(0, vm));
        assert_eq!(rig.driver.census().spaces, before.census.spaces + 1);
        let (code, data) = (rig.region(0, 1), rig.region(0, 1));
        rig.poke(code.physical, &batch::store(0x20_0000, 0x1234));
        let objects = [rig.userptr(0, data), rig.userptr(0, code)];
        let list = [reads(objects[0], 0x20_0000), reads(objects[1], 0x10_0000)];
        rig.run(0, a, 3, &list, &[], &[code, data]).unwrap();
        rig.settle();
        assert_eq!(rig.peek(data.physical), 0x1234);
        let bindings = rig.driver.census().bindings;
        rig.vm_destroy(0, vm).unwrap();
        rig.context_destroy(0, a).unwrap();
        // The other one still has everything where it was.
        rig.poke(data.physical, &[0]);
        rig.submit(0, b, 3, &list, &[]).unwrap();
        rig.settle();
        assert_eq!(rig.peek(data.physical), 0x1234, "{platform}");
        assert_eq!(rig.driver.census().bindings, bindings);
        rig.context_destroy(0, b).unwrap();
        for object in objects {
            rig.close(0, object).unwrap();
        }
        rig.settle();
        assert_eq!(rig.snapshot().census, before.census, "{platform}");
        rig.check();
    }
}

#[test]
fn parameters_apply_in_the_order_of_their_chain() {
    let mut rig = Rig::new("tgl");
    let (first, second) = (rig.vm_create(0).unwrap(), rig.vm_create(0).unwrap());
    let before = rig.driver.census();
    let chain = [
        param(ContextParam::VM, first.into()),
        param(ContextParam::PRIORITY, (-5_i64).cast_unsigned()),
        param(ContextParam::VM, second.into()),
    ];
    let context = rig.context_create(0, 0, &chain).unwrap();
    assert_eq!(rig.driver.census().spaces, before.spaces);
    // The second one is what the context has: only that one stays when both handles go.
    rig.vm_destroy(0, first).unwrap();
    assert_eq!(rig.driver.census().spaces, before.spaces - 1);
    rig.vm_destroy(0, second).unwrap();
    assert_eq!(rig.driver.census().spaces, before.spaces - 1);
    rig.context_destroy(0, context).unwrap();
    assert_eq!(rig.driver.census().spaces, before.spaces - 2);
}

#[test]
fn an_error_in_a_chain_undoes_what_came_before_it() {
    let mut rig = Rig::new("tgl");
    let vm = rig.vm_create(0).unwrap();
    let good = param(ContextParam::VM, vm.into());
    let sized = |name, value| ContextParam { size: 8, ..param(name, value) };
    let wrong = [
        (param(ContextParam::VM, 0), Errno::NoEnt),
        (param(ContextParam::VM, u64::from(vm) + 1), Errno::NoEnt),
        (param(ContextParam::VM, 1 << 32 | u64::from(vm)), Errno::NoEnt),
        (sized(ContextParam::VM, vm.into()), Errno::Inval),
        (sized(ContextParam::VM, 77), Errno::Inval),
        (ContextParam { ctx_id: 1, ..good }, Errno::Inval),
        (param(ContextParam::GTT_SIZE, 0), Errno::Inval),
        (param(0, 0), Errno::Inval),
        (param(1, 0), Errno::Inval),
        (param(u64::MAX, 0), Errno::Inval),
        (param(ContextParam::PRIORITY, 1024), Errno::Inval),
        (param(ContextParam::PRIORITY, (-1024_i64).cast_unsigned()), Errno::Inval),
        (param(ContextParam::PRIORITY, 1 << 63), Errno::Inval),
        (param(ContextParam::PRIORITY, 1), Errno::Perm),
        (param(ContextParam::PRIORITY, 1023), Errno::Perm),
        (sized(ContextParam::PRIORITY, 0), Errno::Inval),
    ];
    for (param, errno) in wrong {
        let create = rig.write_params(0, 0, &[good, param, good]);
        rig.refused(0, Operation::ContextCreate, &create, errno);
    }
    // No reference was left behind.
    let spaces = rig.driver.census().spaces;
    rig.vm_destroy(0, vm).unwrap();
    assert_eq!(rig.driver.census().spaces, spaces - 1);
}

#[test]
fn priorities_up_to_the_default_are_everybodys() {
    let mut rig = Rig::new("tgl");
    for priority in [0_i64, -1, -1023] {
        let priority = param(ContextParam::PRIORITY, priority.cast_unsigned());
        let context = rig.context_create(0, 0, &[priority]).unwrap();
        rig.context_destroy(0, context).unwrap();
    }
}

#[test]
fn a_header_with_flags_or_reserved_words_is_einval() {
    let mut rig = Rig::new("tgl");
    let vm = rig.vm_create(0).unwrap();
    let good = set_param(0, param(ContextParam::VM, vm.into()));
    let mut wrong = vec![ExtensionHeader { flags: 1, ..good.base }];
    wrong.extend((0..4).map(|word| {
        let mut rsvd = [0; 4];
        rsvd[word] = 1 << 31;
        ExtensionHeader { rsvd, ..good.base }
    }));
    wrong.extend([2, 3, 0x100, u32::MAX].map(|name| ExtensionHeader { name, ..good.base }));
    for base in wrong {
        rig.write_area(0, PAYLOAD, CreateSetParam { base, ..good }.as_bytes());
        rig.refused(0, Operation::ContextCreate, &create(PAYLOAD as u64), Errno::Inval);
    }
}

#[test]
fn an_extension_outside_the_area_is_efault() {
    let mut rig = Rig::new("tgl");
    let vm = rig.vm_create(0).unwrap();
    let end = rig.area_len(0) as u64;
    let whole = size_of::<CreateSetParam>() as u64;
    for at in [end - 8, end, end - whole + 8, u64::MAX, u64::MAX - 7] {
        rig.refused(0, Operation::ContextCreate, &create(at), Errno::Fault);
    }
    // A good one whose successor is outside.
    let good = set_param(end - 8, param(ContextParam::VM, vm.into()));
    rig.write_area(0, PAYLOAD, good.as_bytes());
    rig.refused(0, Operation::ContextCreate, &create(PAYLOAD as u64), Errno::Fault);
    // The last byte of the area may be its last.
    let at = rig.area_len(0) - size_of::<CreateSetParam>();
    rig.write_area(0, at, set_param(0, param(ContextParam::VM, vm.into())).as_bytes());
    assert!(rig.op(0, Operation::ContextCreate, &create(at as u64)).is_ok());
}

#[test]
fn a_loop_of_extensions_is_e2big() {
    let mut rig = Rig::new("tgl");
    let vm = rig.vm_create(0).unwrap();
    let own = set_param(PAYLOAD as u64, param(ContextParam::VM, vm.into()));
    rig.write_area(0, PAYLOAD, own.as_bytes());
    rig.refused(0, Operation::ContextCreate, &create(PAYLOAD as u64), Errno::TooBig);
    let spaces = rig.driver.census().spaces;
    rig.vm_destroy(0, vm).unwrap();
    assert_eq!(rig.driver.census().spaces, spaces - 1);
}

#[test]
fn the_longest_chain_is_followed_and_one_more_is_e2big() {
    let mut rig = Rig::with(Settings { area: 64 << 10, ..Settings::new("tgl") });
    let vm = rig.vm_create(0).unwrap();
    let chain = vec![param(ContextParam::VM, vm.into()); MAX_EXTENSIONS + 1];
    let create = rig.write_params(0, 0, &chain);
    rig.refused(0, Operation::ContextCreate, &create, Errno::TooBig);
    let context = rig.context_create(0, 0, &chain[1..]).unwrap();
    rig.context_destroy(0, context).unwrap();
}

#[test]
fn destroying_with_a_reserved_field_is_einval_and_the_default_or_an_unknown_context_enoent() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    rig.refused(0, Operation::ContextDestroy, &ContextDestroy { ctx_id: context, pad: 1 }, Errno::Inval);
    for ctx_id in [0, context + 1, u32::MAX] {
        rig.refused(0, Operation::ContextDestroy, &ContextDestroy { ctx_id, pad: 0 }, Errno::NoEnt);
    }
    rig.context_destroy(0, context).unwrap();
    let again = ContextDestroy { ctx_id: context, pad: 0 };
    rig.refused(0, Operation::ContextDestroy, &again, Errno::NoEnt);
}

#[test]
fn a_limit_of_contexts_is_enomem() {
    let mut settings = Settings::new("tgl");
    settings.limits[0] = ClientLimits { contexts: 3, spaces: 1, ..ClientLimits::DEFAULT };
    let mut rig = Rig::with(settings);
    for _ in 0..3 {
        rig.context_create(0, 0, &[]).unwrap();
    }
    let create = ContextCreate { ctx_id: 0, flags: 0, extensions: 0 };
    rig.refused(0, Operation::ContextCreate, &create, Errno::NoMem);
    rig.context_destroy(0, 2).unwrap();
    assert_eq!(rig.context_create(0, 0, &[]), Ok(2));
}

#[test]
fn a_quota_of_driver_memory_is_enomem() {
    let mut settings = Settings::new("tgl");
    settings.limits[0] = ClientLimits { driver_pages: 14, ..ClientLimits::DEFAULT };
    let mut rig = Rig::with(settings);
    let mut created = 0;
    while rig.context_create(0, 0, &[]).is_ok() {
        created += 1;
        assert!(created < 10);
    }
    let create = ContextCreate { ctx_id: 0, flags: 0, extensions: 0 };
    rig.refused(0, Operation::ContextCreate, &create, Errno::NoMem);
    assert!(rig.context_create(1, 0, &[]).is_ok(), "the other client is not concerned");
}

#[test]
fn preemption_is_told_exactly_where_persistence_can_be_switched_off() {
    for platform in ["bdw", "skl", "icl", "tgl"] {
        let mut rig = Rig::new(platform);
        let ask = GetParam { param: Param::HasScheduler as u64 };
        let capabilities = rig.op(0, Operation::GetParam, &ask).unwrap()[0];
        let switched = rig.set(0, 0, ContextParam::PERSISTENCE, 0);
        let (expected, bits) = if platform == "bdw" { (Err(Errno::NoDev), 0b011) } else { (Ok(()), 0b111) };
        assert_eq!((switched, capabilities), (expected, bits), "{platform}");
    }
}

#[test]
fn a_context_without_a_map_reaches_both_video_engines() {
    const VIDEO: u32 = 2;
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::new(platform);
        let code = rig.region(0, 1);
        let object = rig.userptr(0, code);
        rig.poke(code.physical, &[batch::END, 0]);
        let list = [reads(object, CODE)];
        let mut run = |engine| rig.run(0, 0, engine, &list, &[], &[code]).map(|fence| fence.timeline);
        let first = run(VIDEO).unwrap();
        assert_eq!(run(VIDEO | Submit::FIRST_VIDEO), Ok(first));
        let second = run(VIDEO | Submit::SECOND_VIDEO).unwrap();
        // Each logical state has a timeline of its own.
        assert_eq!(second != first, platform == "tgl", "where there are two");
        let both = Submit::FIRST_VIDEO | Submit::SECOND_VIDEO;
        assert_eq!(run(VIDEO | both), if platform == "tgl" { Err(Errno::Inval) } else { Ok(first) });
        for engine in [1 | Submit::FIRST_VIDEO, 3 | Submit::SECOND_VIDEO, both, 5, VIDEO | 1 << 15] {
            assert_eq!(run(engine), Err(Errno::Inval), "{platform} {engine:#x}");
        }
        rig.settle();
        rig.check();
    }
}
