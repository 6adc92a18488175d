// SPDX-License-Identifier: BSD-2-Clause
//! The first call, and the shape of all others.

use conformance::{Rig, Settings};
use gpu_protocol::{Connect, Errno, Operation, VERSION};
use zerocopy::IntoBytes;

/// Every operation with an argument structure, and its size.
const ARGUMENTS: [(Operation, u64); 26] = [
    (Operation::Connect, 8),
    (Operation::GetParam, 8),
    (Operation::VmCreate, 16),
    (Operation::VmDestroy, 16),
    (Operation::ContextCreate, 16),
    (Operation::ContextDestroy, 8),
    (Operation::ContextSetParam, 24),
    (Operation::ContextGetParam, 24),
    (Operation::ContextResetStats, 24),
    (Operation::UserptrCreate, 24),
    (Operation::GemClose, 8),
    (Operation::GemExport, 8),
    (Operation::GemImport, 8),
    (Operation::GemCreate, 16),
    (Operation::GemRead, 32),
    (Operation::GemWrite, 32),
    (Operation::GemBusy, 8),
    (Operation::GemWait, 16),
    (Operation::Submit, 48),
    (Operation::ErrorState, 24),
    (Operation::GrantCnode, 40),
    (Operation::GrantFrame, 40),
    (Operation::GrantRegion, 40),
    (Operation::Refuse, 24),
    (Operation::Invalidate, 24),
    (Operation::InvalidateStatus, 16),
];

#[test]
fn every_operation_but_the_one_without_an_argument_is_in_the_table() {
    for operation in Operation::ALL {
        let listed = ARGUMENTS.iter().filter(|(with, _)| *with == operation).count();
        assert_eq!(listed, usize::from(operation != Operation::NextPageRequest), "{operation:?}");
    }
}

#[test]
fn connecting_tells_the_version_the_area_and_the_engines() {
    for platform in ["skl", "tgl"] {
        let mut rig = Rig::unconnected(Settings::new(platform));
        let words = rig.op(0, Operation::Connect, &Connect { version: VERSION, flags: 0 }).unwrap();
        let engines = rig.driver.gpu().engines().count() as u64;
        assert!(engines >= 4, "{platform}");
        assert_eq!(words, [u64::from(VERSION), 32 << 10, engines, 0], "{platform}");
        rig.check();
    }
}

#[test]
fn another_version_is_einval_and_the_driver_names_its_own() {
    let mut rig = Rig::unconnected(Settings::new("tgl"));
    for (version, flags) in [(VERSION + 1, 0), (0, 0), (VERSION, 2)] {
        rig.write_area(0, 0, Connect { version, flags }.as_bytes());
        let reply = rig.call(0, Operation::Connect.label(), [0, 8], None);
        assert_eq!(reply.status, Err(Errno::Inval));
        assert_eq!((reply.words[0], reply.count), (u64::from(VERSION), 1));
        assert_eq!(rig.vm_create(0), Err(Errno::Inval), "not connected by that");
    }
}

#[test]
fn every_operation_before_connecting_is_einval_and_changes_nothing() {
    let mut rig = Rig::unconnected(Settings::new("tgl"));
    rig.connect(1);
    let before = rig.snapshot();
    for operation in Operation::ALL {
        if operation != Operation::Connect {
            let size = ARGUMENTS.iter().find(|(with, _)| *with == operation).map_or(0, |(_, size)| *size);
            let reply = rig.call(0, operation.label(), [0, size], None);
            assert_eq!(reply.status, Err(Errno::Inval), "{operation:?}");
        }
    }
    assert_eq!(rig.snapshot(), before);
    assert!(rig.vm_create(1).is_ok(), "the other client is not concerned");
}

#[test]
fn connecting_again_keeps_what_the_client_has() {
    let mut rig = Rig::new("tgl");
    let vm = rig.vm_create(0).unwrap();
    rig.connect(0);
    assert_eq!(rig.vm_destroy(0, vm), Ok(()));
}

#[test]
fn a_client_that_the_system_does_not_have_is_eperm() {
    let mut rig = Rig::new("tgl");
    let before = rig.snapshot();
    for client in [2, 64, usize::MAX] {
        for operation in Operation::ALL {
            let reply = rig.call(client, operation.label(), [0, 8], None);
            assert_eq!(reply.status, Err(Errno::Perm), "{operation:?}");
        }
    }
    assert_eq!(rig.snapshot(), before);
}

#[test]
fn an_unknown_operation_is_einval() {
    let mut rig = Rig::new("tgl");
    let before = rig.snapshot();
    for label in (0..0x100).chain([u64::MAX, 1 << 32 | 1]) {
        if Operation::from_label(label).is_none() {
            assert_eq!(rig.call(0, label, [0, 8], None).status, Err(Errno::Inval), "{label:#x}");
        }
    }
    assert_eq!(rig.snapshot(), before);
}

#[test]
fn a_structure_that_is_too_short_or_too_long_is_einval() {
    let mut rig = Rig::new("tgl");
    let before = rig.snapshot();
    for (operation, size) in ARGUMENTS {
        for length in [0, size - 1, size - 8, size + 1, size + 8, u64::MAX] {
            let reply = rig.call(0, operation.label(), [0, length], None);
            assert_eq!(reply.status, Err(Errno::Inval), "{operation:?} of {length} bytes");
        }
    }
    assert_eq!(rig.snapshot(), before);
}

#[test]
fn a_structure_outside_the_message_area_is_efault() {
    let mut rig = Rig::new("tgl");
    let before = rig.snapshot();
    let end = rig.area_len(0) as u64;
    for (operation, size) in ARGUMENTS {
        for offset in [end - size + 1, end, u64::MAX, u64::MAX - size + 1, 1 << 63] {
            let reply = rig.call(0, operation.label(), [offset, size], None);
            assert_eq!(reply.status, Err(Errno::Fault), "{operation:?} at {offset:#x}");
        }
    }
    assert_eq!(rig.snapshot(), before);
}

#[test]
fn a_structure_may_lie_anywhere_in_the_area_also_unaligned() {
    let mut rig = Rig::new("tgl");
    let end = rig.area_len(0);
    for offset in [3, end - 8] {
        rig.write_area(0, offset, Connect { version: VERSION, flags: 0 }.as_bytes());
        let reply = rig.call(0, Operation::Connect.label(), [offset as u64, 8], None);
        assert_eq!(reply.status, Ok(()));
    }
}
