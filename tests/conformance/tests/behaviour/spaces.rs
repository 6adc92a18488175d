// SPDX-License-Identifier: BSD-2-Clause
//! Address spaces and parameters of the device.

use conformance::Rig;
use gpu_protocol::{Errno, GemClose, GetParam, Operation, Param, VmCreate, VmDestroy};
use intel_gpu::uapi::ClientLimits;

#[test]
fn an_address_space_with_flags_or_extensions_is_einval() {
    let mut rig = Rig::new("tgl");
    for (extensions, flags) in [(8, 0), (0, 1), (u64::MAX, u32::MAX)] {
        let create = VmCreate { extensions, flags, vm_id: 0 };
        rig.refused(0, Operation::VmCreate, &create, Errno::Inval);
    }
    let vm = rig.vm_create(0).unwrap();
    for (extensions, flags) in [(8, 0), (0, 1)] {
        let destroy = VmDestroy { extensions, flags, vm_id: vm };
        rig.refused(0, Operation::VmDestroy, &destroy, Errno::Inval);
    }
    assert_eq!(rig.vm_destroy(0, vm), Ok(()));
    rig.check();
}

#[test]
fn handles_of_address_spaces_start_at_one_and_the_lowest_free_comes_next() {
    let mut rig = Rig::new("tgl");
    assert_eq!([rig.vm_create(0), rig.vm_create(0), rig.vm_create(0)], [Ok(1), Ok(2), Ok(3)]);
    rig.vm_destroy(0, 2).unwrap();
    assert_eq!([rig.vm_create(0), rig.vm_create(0)], [Ok(2), Ok(4)]);
}

#[test]
fn an_unknown_address_space_is_enoent() {
    let mut rig = Rig::new("tgl");
    let vm = rig.vm_create(0).unwrap();
    rig.vm_destroy(0, vm).unwrap();
    for vm_id in [0, vm, 7, 65, u32::MAX] {
        let destroy = VmDestroy { extensions: 0, flags: 0, vm_id };
        rig.refused(0, Operation::VmDestroy, &destroy, Errno::NoEnt);
    }
}

#[test]
fn creating_and_destroying_address_spaces_leaves_nothing_behind() {
    let mut rig = Rig::new("skl");
    let before = rig.snapshot();
    for _ in 0..100 {
        let vm = rig.vm_create(0).unwrap();
        assert!(rig.driver.census().clients[0].driver_pages > before.census.clients[0].driver_pages);
        rig.vm_destroy(0, vm).unwrap();
    }
    assert_eq!(rig.snapshot(), before);
    rig.check();
}

#[test]
fn a_limit_of_address_spaces_is_enomem_and_gives_way_when_one_goes() {
    let mut rig = Rig::new("tgl");
    let limit = ClientLimits::DEFAULT.spaces;
    for expected in 1..=limit {
        assert_eq!(rig.vm_create(0), Ok(expected));
    }
    rig.refused(0, Operation::VmCreate, &VmCreate { extensions: 0, flags: 0, vm_id: 0 }, Errno::NoMem);
    rig.vm_destroy(0, 5).unwrap();
    assert_eq!(rig.vm_create(0), Ok(5));
}

#[test]
fn parameters_tell_about_the_device_and_unknown_ones_are_einval() {
    for (platform, id, llc) in [("skl", 0x1912, 1), ("tgl", 0x9a49, 1)] {
        let mut rig = Rig::new(platform);
        let mut get = |param: u64| rig.op(0, Operation::GetParam, &GetParam { param }).map(|words| words[0]);
        let known = get(Param::ChipsetId as u64).unwrap();
        assert_eq!(known >> 8, id >> 8, "{platform}: {known:#x}");
        assert_eq!(get(Param::HasLlc as u64), Ok(llc));
        assert_eq!(get(Param::HasPpgtt as u64), Ok(2));
        assert!(get(Param::CsTimestampFrequency as u64).unwrap() > 1_000_000);
        for param in [0, 1, 5, 16, 1 << 32 | 4, u64::MAX] {
            assert_eq!(get(param), Err(Errno::Inval), "{param:#x}");
        }
    }
}

#[test]
fn closing_with_a_reserved_field_is_einval_and_an_unknown_object_enoent() {
    let mut rig = Rig::new("tgl");
    let region = rig.region(0, 1);
    let object = rig.userptr(0, region);
    rig.refused(0, Operation::GemClose, &GemClose { handle: object, pad: 1 }, Errno::Inval);
    for handle in [0, object + 1, u32::MAX] {
        rig.refused(0, Operation::GemClose, &GemClose { handle, pad: 0 }, Errno::NoEnt);
    }
    assert_eq!(rig.close(0, object), Ok(()));
    rig.refused(0, Operation::GemClose, &GemClose { handle: object, pad: 0 }, Errno::NoEnt);
}
