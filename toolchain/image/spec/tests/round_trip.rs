// SPDX-License-Identifier: BSD-2-Clause
//! What the writer writes the reader reads, and nothing else is accepted.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use image_spec::place::FailureExit;
use image_spec::{
    Builder, CapEntry, CapTransform, Fill, IoMap, IoRange, IrqBinding, IrqTrigger, Location, Map, Object,
    PagingLevel, PagingTable, Polarity, Rights, Spec, SpecError, Thread, VERSION,
};
use proptest::prelude::*;

/// A place in memory.
fn at(paddr: u64) -> Option<Location> {
    Some(Location { paddr, device: false })
}

/// A specification that has at least one of everything, and the object indices that it uses.
fn everything() -> Builder {
    let mut spec = Builder::new();
    let fixed = spec
        .object(
            "gpu bar",
            Object::Frames {
                size_bits: 21,
                count: 4,
                at: Some(Location { paddr: 0xe000_0000, device: true }),
            },
        )
        .unwrap();
    let frames = spec.object("heap", Object::Frames { size_bits: 12, count: 3, at: None }).unwrap();
    let endpoint = spec.object("monitor", Object::Endpoint).unwrap();
    let notification = spec.object("driver", Object::Notification).unwrap();
    let tcb = spec.object("driver", Object::Tcb).unwrap();
    let cnode = spec.object("driver", Object::CNode { radix: 6 }).unwrap();
    let vspace = spec.object("driver", Object::VSpace).unwrap();
    let table = spec.object("driver", Object::Paging(PagingLevel::Pdpt)).unwrap();
    let io_space = spec.object("gpu", Object::IoSpace { requester: 0x10, domain: 1 }).unwrap();
    let ports = spec.object("pci", Object::IoPorts { first: 0xcf8, last: 0xcff }).unwrap();
    let irq = spec
        .object(
            "timer",
            Object::IoApicIrq {
                ioapic: 0,
                pin: 2,
                trigger: IrqTrigger::Level,
                polarity: Polarity::Low,
                vector: 107,
            },
        )
        .unwrap();
    let msi = spec.object("gpu", Object::MsiIrq { requester: 0x10, handle: 7, vector: 5 }).unwrap();
    let buffer = spec.object("driver", Object::Frames { size_bits: 12, count: 1, at: None }).unwrap();

    spec.monitor_endpoint = endpoint;
    spec.fill(frames, 4096, b"contents").unwrap();
    spec.tables.push(PagingTable { table, vspace, vaddr: 0 });
    spec.maps.push(Map {
        vspace,
        frames: fixed,
        first: 1,
        count: 3,
        vaddr: 0x20_0000,
        rights: Rights::READ,
        cached: false,
        original: true,
    });
    for (slot, object, transform) in [
        (1, endpoint, CapTransform::Badge(9)),
        (2, cnode, CapTransform::Guard(48)),
        (3, ports, CapTransform::Copy),
    ] {
        spec.caps.push(CapEntry { cnode, slot, object, first: 0, count: 1, rights: Rights::ALL, transform });
    }
    spec.caps.push(CapEntry {
        cnode,
        slot: 4,
        object: frames,
        first: 1,
        count: 2,
        rights: Rights::ALL,
        transform: CapTransform::Move,
    });
    for irq in [irq, msi] {
        spec.irqs.push(IrqBinding { irq, notification, badge: 4 });
    }
    spec.io_ranges.push(IoRange { io_space, frames: io_space, iova: 0x1000, size: 0x3000 });
    spec.io_maps.push(IoMap { io_space, frames, iova: 0x1000, rights: Rights::READ_WRITE });
    let name = spec.name("driver").unwrap();
    spec.threads.push(Thread {
        name,
        tcb,
        cspace: cnode,
        vspace,
        ipc_buffer: buffer,
        ipc_buffer_vaddr: 0x7fff_ffff_e000,
        notification,
        fault_endpoint: 2,
        entry: 0x40_1000,
        stack_top: 0x7fff_ffff_d000,
        stack_bottom: 0x7fff_ffff_b000,
        priority: 200,
    });
    spec
}

fn problem(spec: &Builder) -> String {
    Spec::parse(&spec.to_bytes().unwrap()).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read() {
    let written = everything();
    let bytes = written.to_bytes().unwrap();
    let spec = Spec::parse(&bytes).unwrap();
    assert_eq!(spec.objects().iter().collect::<Vec<_>>(), written.objects());
    assert_eq!(spec.fills().iter().collect::<Vec<_>>(), written.fills);
    assert_eq!(spec.tables().iter().collect::<Vec<_>>(), written.tables);
    assert_eq!(spec.maps().iter().collect::<Vec<_>>(), written.maps);
    assert_eq!(spec.caps().iter().collect::<Vec<_>>(), written.caps);
    assert_eq!(spec.irqs().iter().collect::<Vec<_>>(), written.irqs);
    assert_eq!(spec.io_ranges().iter().collect::<Vec<_>>(), written.io_ranges);
    assert_eq!(spec.io_maps().iter().collect::<Vec<_>>(), written.io_maps);
    assert_eq!(spec.threads().iter().collect::<Vec<_>>(), written.threads);
    assert_eq!(spec.monitor_endpoint(), written.monitor_endpoint);
    assert_eq!(spec.cap_count(), written.cap_count());
    assert_eq!(spec.object_name(0), "gpu bar");
    let fill = spec.fills().get(0).unwrap();
    assert_eq!(spec.contents(&fill), b"contents");
}

#[test]
fn the_failure_exit_survives_the_way_through_a_word() {
    for exit in [None, Some(FailureExit { port: 0, value: 0 }), Some(FailureExit { port: 0xfff4, value: !1 })]
    {
        assert_eq!(FailureExit::from_word(FailureExit::to_word(exit)), exit);
    }
    assert_eq!(FailureExit::to_word(None), 0);
}

#[test]
fn a_specification_may_be_followed_by_padding() {
    let mut bytes = everything().to_bytes().unwrap();
    bytes.resize(bytes.len() + 4096, 0);
    assert!(Spec::parse(&bytes).is_ok());
}

#[test]
fn every_cut_is_refused() {
    let bytes = everything().to_bytes().unwrap();
    for len in 0..bytes.len() {
        assert!(Spec::parse(&bytes[..len]).is_err(), "{len} bytes of {} are accepted", bytes.len());
    }
}

#[test]
fn another_version_is_refused_by_number() {
    let mut bytes = everything().to_bytes().unwrap();
    bytes[8] += 1;
    assert_eq!(Spec::parse(&bytes).unwrap_err(), SpecError::Version(VERSION + 1));
}

#[test]
fn something_else_is_not_a_specification() {
    assert_eq!(Spec::parse(&[0x7f; 4096]).unwrap_err(), SpecError::Magic);
}

#[test]
fn a_reference_to_an_object_of_another_kind_is_refused() {
    let mut spec = everything();
    spec.maps[0].vspace = spec.maps[0].frames;
    assert_eq!(problem(&spec), "entry 0 of the section of maps: refers to an object of another kind");
}

#[test]
fn a_reference_to_no_object_is_refused() {
    let mut spec = everything();
    spec.threads[0].tcb = 999;
    assert_eq!(problem(&spec), "entry 0 of the section of threads: refers to an object that does not exist");
}

#[test]
fn frames_beyond_the_run_are_refused() {
    let mut spec = everything();
    spec.maps[0].count += 1;
    assert_eq!(problem(&spec), "entry 0 of the section of maps: it names frames that do not exist");
}

#[test]
fn slots_beyond_the_cnode_are_refused() {
    let mut spec = everything();
    spec.caps[0].slot = 64;
    assert_eq!(problem(&spec), "entry 0 of the section of capabilities: it names slots that do not exist");
}

#[test]
fn a_fill_beyond_the_frames_is_refused() {
    let mut spec = everything();
    spec.fills[0].offset = 3 * 4096;
    assert_eq!(problem(&spec), "entry 0 of the section of fills: it reaches beyond the frames");
}

#[test]
fn a_fill_of_device_memory_is_refused() {
    let mut spec = everything();
    spec.fills[0].frames = 0;
    assert_eq!(problem(&spec), "entry 0 of the section of fills: it writes to device memory");
}

#[test]
fn contents_outside_the_pool_are_refused() {
    let mut spec = everything();
    spec.fills[0] = Fill { data: u32::MAX, ..spec.fills[0] };
    assert_eq!(problem(&spec), "entry 0 of the section of fills: its bytes are not in the pool");
}

#[test]
fn a_badge_on_a_frame_is_refused() {
    let mut spec = everything();
    spec.caps[0].object = 0;
    assert_eq!(
        problem(&spec),
        "entry 0 of the section of capabilities: an object of this kind takes no such capability"
    );
}

#[test]
fn physical_addresses_out_of_order_are_refused() {
    let mut spec = everything();
    spec.object("late", Object::Frames { size_bits: 12, count: 1, at: at(0) }).unwrap();
    assert!(problem(&spec).ends_with("it has a physical address but stands after objects without"));

    let mut spec = Builder::new();
    spec.object("a", Object::Frames { size_bits: 12, count: 2, at: at(0x1000) }).unwrap();
    spec.object("b", Object::Frames { size_bits: 12, count: 1, at: at(0x2000) }).unwrap();
    assert!(problem(&spec).ends_with("its physical addresses do not follow the ones before"));
}

#[test]
fn an_io_address_beyond_four_levels_is_refused() {
    let mut spec = everything();
    spec.io_ranges[0].iova = 1 << 48;
    assert_eq!(problem(&spec), "entry 0 of the section of I/O ranges: its addresses are too high");
}

/// Touches all that a reader can reach.
fn walk(spec: &Spec<'_>) -> usize {
    let mut seen = 0;
    for (index, entry) in (0..).zip(spec.objects().iter()) {
        seen += spec.name(entry.name).len() + spec.object_name(index).len();
    }
    for fill in spec.fills().iter() {
        seen += spec.contents(&fill).len();
    }
    seen += spec.tables().iter().count() + spec.maps().iter().count() + spec.caps().iter().count();
    seen += spec.irqs().iter().count() + spec.io_ranges().iter().count() + spec.io_maps().iter().count();
    seen + spec.threads().iter().count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        if let Ok(spec) = Spec::parse(&bytes) {
            walk(&spec);
        }
    }

    #[test]
    fn damaged_specifications_never_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = everything().to_bytes().unwrap();
        for (index, value) in damage {
            let len = bytes.len();
            bytes[index.index(len)] = value;
        }
        if let Ok(spec) = Spec::parse(&bytes) {
            walk(&spec);
        }
    }
}
