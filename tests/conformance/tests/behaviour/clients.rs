// SPDX-License-Identifier: BSD-2-Clause
//! Two clients that do not trust each other.

use conformance::wire::{param, reads, whole_grant, writes};
use conformance::{Rig, Settings, batch};
use gpu_model::Timing;
use gpu_protocol::{ContextParam, Errno, Operation};
use intel_gpu::uapi::{ClientLimits, DriverConfig};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;

/// A client stores a number with a context, objects and pages of its own.
fn works(rig: &mut Rig, client: usize, value: u32) {
    let context = rig.context_create(client, 0, &[]).unwrap();
    let (data, code) = (rig.region(client, 1), rig.region(client, 1));
    let objects = [rig.userptr(client, data), rig.userptr(client, code)];
    rig.poke(code.physical, &batch::store(DATA, value));
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    let fence = rig.run(client, context, BLITTER, &list, &[], &[data, code]).unwrap();
    rig.settle();
    assert!(rig.reached(client, fence));
    assert_eq!(rig.peek(data.physical), value);
    rig.context_destroy(client, context).unwrap();
    for object in objects {
        rig.close(client, object).unwrap();
    }
    rig.settle();
}

#[test]
fn handles_of_one_client_mean_nothing_to_the_other() {
    let mut rig = Rig::new("tgl");
    let (vm, context) = (rig.vm_create(0).unwrap(), rig.context_create(0, 0, &[]).unwrap());
    let region = rig.region(0, 1);
    let object = rig.userptr(0, region);
    rig.poke(region.physical, &[batch::END, 0]);
    let list = [reads(object, CODE)];
    let fence = rig.run(0, context, BLITTER, &list, &[], &[region]).unwrap();
    let before = rig.snapshot();
    assert_eq!(rig.vm_destroy(1, vm), Err(Errno::NoEnt));
    assert_eq!(rig.context_destroy(1, context), Err(Errno::NoEnt));
    assert_eq!(rig.close(1, object), Err(Errno::NoEnt));
    let shared = [param(ContextParam::VM, vm.into())];
    assert_eq!(rig.context_create(1, 0, &shared), Err(Errno::NoEnt));
    assert_eq!(rig.submit(1, context, BLITTER, &list, &[]), Err(Errno::NoEnt));
    assert_eq!(rig.snapshot(), before);
    let own = rig.context_create(1, 0, &[]).unwrap();
    assert_eq!(rig.submit(1, own, BLITTER, &list, &[]), Err(Errno::NoEnt));
    // A fence is one of the client's own page.
    let mine = rig.region(1, 1);
    let mine_object = rig.userptr(1, mine);
    let submit = rig.write_submit(1, own, BLITTER, &[reads(mine_object, CODE)], &[fence]);
    rig.refused(1, Operation::Submit, &submit, Errno::Inval);
    rig.check();
}

#[test]
fn one_client_cannot_answer_the_others_page_request() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let region = rig.region(0, 2);
    let object = rig.userptr(0, region);
    assert_eq!(rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]), Err(Errno::Again));
    assert_eq!(rig.next_request(1), None);
    let request = rig.next_request(0).unwrap();
    let grant = whole_grant(request, region);
    rig.refused_with(1, Operation::GrantCnode, &grant, Some(region.cnode), Errno::Again);
    // Not even with an object of the same range.
    let own = rig.context_create(1, 0, &[]).unwrap();
    let same = rig.userptr_create(1, region.address, region.size).unwrap();
    assert_eq!(rig.submit(1, own, BLITTER, &[reads(same, CODE)], &[]), Err(Errno::Again));
    let theirs = rig.next_request(1).unwrap();
    let grant = whole_grant(theirs, region);
    rig.refused_with(1, Operation::GrantCnode, &grant, Some(region.cnode), Errno::Perm);
    rig.serve(0, &[region]);
    assert_eq!(rig.grant(0, &whole_grant(request, region), region.cnode), Ok(2));
}

#[test]
fn the_same_addresses_in_two_address_spaces_are_two_memories() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::new(platform);
        for round in 1..4 {
            works(&mut rig, 0, round);
            works(&mut rig, 1, 100 + round);
        }
        rig.check();
    }
}

#[test]
fn a_client_at_all_its_limits_leaves_the_other_working() {
    let mut settings = Settings::new("tgl");
    let limits = ClientLimits {
        contexts: 8,
        spaces: 8,
        objects: 16,
        lent_pages: 24,
        driver_pages: 256,
        ..ClientLimits::DEFAULT
    };
    settings.limits = vec![limits; 2];
    settings.driver = DriverConfig { lent_pages: 48, bindings: 64, jobs: 64, ..DriverConfig::DEFAULT };
    let mut rig = Rig::with(settings);
    // Everything of which a client can have many, until it gets no more.
    let mut contexts = Vec::new();
    while rig.vm_create(0).is_ok() {}
    while let Ok(context) = rig.context_create(0, 0, &[]) {
        contexts.push(context);
    }
    let regions: Vec<_> = (0..16).map(|_| rig.region(0, 2)).collect();
    let mut objects = Vec::new();
    for region in &regions {
        objects.push(rig.userptr(0, *region));
    }
    assert_eq!(rig.userptr_create(0, 0x1000, 0x1000), Err(Errno::NoMem));
    rig.poke(regions[0].physical, &[batch::END, 0]);
    for context in &contexts {
        for (index, object) in objects.iter().enumerate().skip(1) {
            let list = [reads(*object, DATA * (index as u64 + 1)), reads(objects[0], CODE)];
            if rig.submit(0, *context, BLITTER, &list, &[]) == Err(Errno::Again) {
                while let Some(request) = rig.next_request(0) {
                    let region = regions.iter().find(|region| region.address == request.address).unwrap();
                    if rig.grant(0, &whole_grant(request, *region), region.cnode).is_err() {
                        rig.refuse(0, request, Errno::NoMem).unwrap();
                    }
                }
                let _ = rig.submit(0, *context, BLITTER, &list, &[]);
            }
        }
    }
    rig.settle();
    assert_eq!(rig.driver.census().clients[0].lent_pages, 24);
    works(&mut rig, 1, 7);
    rig.check();
}

#[test]
fn a_client_that_floods_a_busy_gpu_leaves_the_other_its_share() {
    let mut settings = Settings::new("tgl");
    settings.driver = DriverConfig { lent_pages: 64, bindings: 32, jobs: 32, ..DriverConfig::DEFAULT };
    let mut rig = Rig::with(settings);
    rig.set_timing(Timing::Busy);
    let region = rig.region(0, 1);
    let object = rig.userptr(0, region);
    rig.poke(region.physical, &[batch::END, 0]);
    let mut accepted = 0;
    for _ in 0..40 {
        let Ok(context) = rig.context_create(0, 0, &[]) else { break };
        while rig.run(0, context, BLITTER, &[reads(object, CODE)], &[], &[region]).is_ok() {
            accepted += 1;
        }
    }
    assert!(accepted >= 8, "{accepted}");
    // The other client's work is accepted, and runs when the GPU does.
    let context = rig.context_create(1, 0, &[]).unwrap();
    let (data, code) = (rig.region(1, 1), rig.region(1, 1));
    let objects = [rig.userptr(1, data), rig.userptr(1, code)];
    rig.poke(code.physical, &batch::store(DATA, 3));
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    let fence = rig.run(1, context, BLITTER, &list, &[], &[data, code]).unwrap();
    rig.set_timing(Timing::Instant);
    rig.settle();
    assert!(rig.reached(1, fence));
    assert_eq!(rig.peek(data.physical), 3);
    rig.check();
}

#[test]
fn address_spaces_of_one_client_do_not_use_up_the_others() {
    // The hardware half has room for what all clients together may have.
    let mut rig = Rig::new("tgl");
    let mut made = 0;
    while rig.vm_create(0).is_ok() {
        made += 1;
    }
    while rig.context_create(0, 0, &[]).is_ok() {
        made += 1;
    }
    assert_eq!(made, ClientLimits::DEFAULT.spaces + ClientLimits::DEFAULT.contexts);
    works(&mut rig, 1, 9);
    rig.check();
}
