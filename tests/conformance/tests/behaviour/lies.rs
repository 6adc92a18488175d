// SPDX-License-Identifier: BSD-2-Clause
//! What an owner may lie about in a grant of a single frame; those of a CNode are in `grants`.

use conformance::wire::{reads, whole_grant};
use conformance::{Capability, Frame, Rig, batch};
use gpu_protocol::{Errno, Grant, Operation};

const CODE: u64 = 0x10_0000;
const BLITTER: u32 = 3;

#[test]
fn a_single_frame_is_lent_by_its_capability_and_every_lie_about_it_is_refused() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let region = rig.region(0, 2);
    let object = rig.userptr(0, region);
    assert_eq!(rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]), Err(Errno::Again));
    let request = rig.next_request(0).unwrap();
    let good = Grant { count: 1, cnode_bits: 0, ..whole_grant(request, region) };
    let frame = |rig: &mut Rig, physical| rig.single(Capability::Frame(Frame { physical, writable: true }));
    let first = frame(&mut rig, region.physical);
    let lie = |rig: &mut Rig, grant: Grant, capability: Option<u64>, errno: Errno| {
        rig.refused_with(0, Operation::GrantFrame, &grant, capability, errno);
    };
    lie(&mut rig, Grant { count: 2, ..good }, Some(first), Errno::Inval);
    lie(&mut rig, Grant { count: 0, ..good }, Some(first), Errno::Inval);
    lie(&mut rig, Grant { first: 1, ..good }, Some(first), Errno::Inval);
    lie(&mut rig, Grant { cnode_bits: 1, ..good }, Some(first), Errno::Inval);
    lie(&mut rig, Grant { sequence: good.sequence ^ 1 << 40, ..good }, Some(first), Errno::Again);
    lie(&mut rig, Grant { address: 0u64.wrapping_sub(4096), ..good }, Some(first), Errno::Again);
    lie(&mut rig, Grant { page_bits: 21, ..good }, Some(first), Errno::Inval);
    // No capability, a CNode, something that is not a frame, a device's page, another client's.
    lie(&mut rig, good, None, Errno::Inval);
    lie(&mut rig, good, Some(region.cnode), Errno::Fault);
    let other = rig.single(Capability::Other);
    lie(&mut rig, good, Some(other), Errno::Fault);
    let large = rig.single(Capability::Large(Frame { physical: region.physical, writable: true }));
    lie(&mut rig, good, Some(large), Errno::Fault);
    let device = frame(&mut rig, 0xfd00_0000);
    lie(&mut rig, good, Some(device), Errno::Perm);
    let foreign = rig.region(1, 1).physical;
    let foreign = frame(&mut rig, foreign);
    lie(&mut rig, good, Some(foreign), Errno::Perm);
    // The honest one, and then the same frame again.
    let words = rig.op_with(0, Operation::GrantFrame, &good, Some(first));
    assert_eq!(words, Ok([1, 0, 0, 0]));
    let next = Grant { address: good.address + 4096, ..good };
    lie(&mut rig, next, Some(first), Errno::Fault);
    let second = frame(&mut rig, region.physical + 4096);
    assert!(rig.op_with(0, Operation::GrantFrame, &next, Some(second)).is_ok());
    // A grant that nobody asked for.
    lie(&mut rig, next, Some(second), Errno::Again);
    rig.poke(region.physical, &[batch::END, 0]);
    rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]).unwrap();
    rig.settle();
    rig.check();
}

#[test]
fn a_cnode_that_changes_after_a_grant_changes_nothing_of_what_was_lent() {
    let mut rig = Rig::new("tgl");
    let context = rig.context_create(0, 0, &[]).unwrap();
    let region = rig.region(0, 2);
    let object = rig.userptr(0, region);
    assert_eq!(rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]), Err(Errno::Again));
    let request = rig.next_request(0).unwrap();
    let whole = whole_grant(request, region);
    // Between the two halves of a grant its owner empties the CNode: the second half is refused, the first one
    // stays what it was.
    rig.grant(0, &Grant { count: 1, ..whole }, region.cnode).unwrap();
    rig.empty_cnode(region.cnode);
    let rest = Grant { first: 1, count: 1, address: whole.address + 4096, ..whole };
    rig.refused_with(0, Operation::GrantCnode, &rest, Some(region.cnode), Errno::Fault);
    assert!(rig.domain.holds(region.physical));
    let anew = rig.region_at(0, 0, 2);
    rig.grant(0, &rest, anew.cnode).unwrap();
    rig.poke(region.physical, &[batch::END, 0]);
    rig.submit(0, context, BLITTER, &[reads(object, CODE)], &[]).unwrap();
    rig.settle();
    rig.check();
}
