// SPDX-License-Identifier: BSD-2-Clause
//! A client that starts over, because its parent restarted it: what it had is taken down first.

use conformance::wire::{reads, writes};
use conformance::{Rig, batch};
use gpu_model::Timing;
use gpu_protocol::{Connect, Errno, Operation, VERSION};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;
const BLITTER: u32 = 3;

fn afresh(rig: &mut Rig, client: usize) -> Result<(), Errno> {
    rig.op(client, Operation::Connect, &Connect { version: VERSION, flags: Connect::AFRESH }).map(drop)
}

/// Leaves handles of every kind and pages behind; the address space, the context and an object.
fn leaves_things(rig: &mut Rig, client: usize, code: &[u32]) -> (u32, u32, u32) {
    let (vm, context) = (rig.vm_create(client).unwrap(), rig.context_create(client, 0, &[]).unwrap());
    let (data, program) = (rig.region(client, 1), rig.region(client, 1));
    let objects = [rig.userptr(client, data), rig.userptr(client, program)];
    rig.poke(program.physical, code);
    let list = [writes(objects[0], DATA), reads(objects[1], CODE)];
    rig.run(client, context, BLITTER, &list, &[], &[data, program]).unwrap();
    (vm, context, objects[0])
}

#[test]
fn a_client_that_starts_over_has_nothing_and_may_have_everything_again() {
    let mut rig = Rig::new("tgl");
    let before = rig.snapshot();
    for round in 0..3 {
        let (vm, context, object) = leaves_things(&mut rig, 0, &batch::store(DATA, round));
        rig.settle();
        assert!(rig.domain.held() > 0);
        assert_eq!(afresh(&mut rig, 0), Ok(()));
        assert_eq!(rig.domain.held(), 0, "its pages are its own again");
        assert_eq!(rig.vm_destroy(0, vm), Err(Errno::NoEnt));
        assert_eq!(rig.context_destroy(0, context), Err(Errno::NoEnt));
        assert_eq!(rig.close(0, object), Err(Errno::NoEnt));
        assert_eq!(rig.snapshot().census, before.census, "round {round}");
    }
    rig.check();
}

/// The pages stay the driver's until the engine has let go of them, and the client is told to try again.
#[test]
fn requests_in_flight_are_cancelled_and_their_pages_given_back_before_the_client_is_connected() {
    let mut rig = Rig::new("tgl");
    rig.set_timing(Timing::Deferred);
    leaves_things(&mut rig, 0, &batch::endless(CODE));
    let (_, context, _) = leaves_things(&mut rig, 1, &batch::store(DATA, 7));
    rig.model().step(1000);
    assert_eq!(afresh(&mut rig, 0), Err(Errno::Again));
    assert!(rig.domain.held() > 0, "an engine may still reach them");
    let mut connected = false;
    for _ in 0..100 {
        rig.wait(50_000_000, |_| false);
        connected = afresh(&mut rig, 0).is_ok();
        if connected {
            break;
        }
    }
    assert!(connected, "the client is never let in again");
    rig.context_destroy(1, context).unwrap();
    leaves_things(&mut rig, 0, &batch::store(DATA, 9));
    rig.check();
}

#[test]
fn starting_over_is_the_clients_own_affair() {
    let mut rig = Rig::new("tgl");
    let (vm, context, object) = leaves_things(&mut rig, 1, &batch::store(DATA, 7));
    leaves_things(&mut rig, 0, &batch::store(DATA, 8));
    rig.settle();
    assert_eq!(afresh(&mut rig, 0), Ok(()));
    rig.close(1, object).unwrap();
    rig.context_destroy(1, context).unwrap();
    rig.vm_destroy(1, vm).unwrap();
    rig.check();
}
