// SPDX-License-Identifier: BSD-2-Clause
//! What the initialiser is told, read back out of finished images.

use std::collections::BTreeMap;

use image::Image;
use image_spec::{
    CapEntry, CapTransform, IrqBinding, IrqTrigger, Location, Map, Object, PagingLevel, Polarity, Rights,
    Spec, Thread,
};

use crate::common::{Bench, DATA, Elf, domain, golden, golden_bench, table};

/// A segment of an image: address and bytes as the kernel loads them.
struct Segment {
    vaddr: u64,
    bytes: Vec<u8>,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The segments of an image, and its entry point.
fn segments(elf: &[u8]) -> (Vec<Segment>, u64) {
    let count = u16::from_le_bytes([elf[56], elf[57]]) as usize;
    let segments = (0..count).map(|index| {
        let header = &elf[64 + 56 * index..][..56];
        let (offset, len) = (word(header, 8) as usize, word(header, 32) as usize);
        assert_eq!(word(header, 8) % 0x1000, word(header, 16) % 0x1000, "offset and address agree");
        let mut bytes = elf[offset..offset + len].to_vec();
        bytes.resize(word(header, 40) as usize, 0);
        Segment { vaddr: word(header, 16), bytes }
    });
    (segments.collect(), word(elf, 24))
}

/// The specification of an image, kept for as long as the tests run.
fn spec(image: &Image) -> Spec<'static> {
    let segment = segments(&image.elf).0.pop().unwrap();
    Spec::parse(segment.bytes.leak()).unwrap()
}

fn thread(spec: &Spec<'_>, name: &str) -> Thread {
    spec.threads().iter().find(|thread| spec.name(thread.name) == name).unwrap()
}

fn object(spec: &Spec<'_>, index: u32) -> Object {
    spec.objects().get(index).unwrap().object
}

fn object_named(spec: &Spec<'_>, name: &str) -> u32 {
    (0..spec.objects().len()).find(|&index| spec.object_name(index) == name).unwrap()
}

/// What stands in the slots of a CNode: for each the name of the object and the entry.
fn slots(spec: &Spec<'static>, cnode: u32) -> BTreeMap<u32, (&'static str, CapEntry)> {
    let mut slots = BTreeMap::new();
    for entry in spec.caps().iter().filter(|entry| entry.cnode == cnode) {
        for number in 0..entry.count {
            let before = slots.insert(entry.slot + number, (spec.object_name(entry.object), entry));
            assert!(before.is_none(), "slot {} is filled twice", entry.slot + number);
        }
    }
    slots
}

/// The CNode in slot 0 of a domain's root CNode.
fn system_cnode(spec: &Spec<'static>, name: &str) -> u32 {
    let (_, entry) = slots(spec, thread(spec, name).cspace)[&0];
    assert_eq!(entry.transform, CapTransform::Guard(48));
    assert_eq!(object(spec, entry.object), Object::CNode { radix: 10 });
    entry.object
}

/// Bytes of a domain's memory as they are at its start.
fn memory(spec: &Spec<'_>, name: &str, vaddr: u64, len: usize) -> Vec<u8> {
    let vspace = thread(spec, name).vspace;
    (vaddr..vaddr + len as u64)
        .map(|at| {
            let covers = |map: &Map| match object(spec, map.frames) {
                Object::Frames { size_bits, .. } => {
                    map.vspace == vspace
                        && (map.vaddr..map.vaddr + (u64::from(map.count) << size_bits)).contains(&at)
                }
                _ => false,
            };
            let map = spec.maps().iter().find(covers).unwrap_or_else(|| panic!("{at:#x} is not mapped"));
            let Object::Frames { size_bits, .. } = object(spec, map.frames) else { unreachable!() };
            let offset = at - map.vaddr + (u64::from(map.first) << size_bits);
            let fill = spec.fills().iter().find(|fill| {
                fill.frames == map.frames
                    && (fill.offset..fill.offset + u64::from(fill.len)).contains(&offset)
            });
            fill.map_or(0, |fill| spec.contents(&fill)[(offset - fill.offset) as usize])
        })
        .collect()
}

/// A variable of a domain, by its position in [`Elf::program`].
fn variable(spec: &Spec<'_>, name: &str, elf: &Elf, symbol: &str) -> u64 {
    let (_, address, size) = elf.symbols.iter().find(|(it, ..)| it == symbol).unwrap();
    assert_eq!(*size, 8);
    word(&memory(spec, name, *address, 8), 0)
}

/// The programs of the golden system.
fn a_elf() -> Elf {
    Elf::program(&[("x", 8), ("y", 8), ("z", 8), ("q", 8), ("grants", 128), ("count", 8)])
}

fn b_elf() -> Elf {
    Elf::program(&[("x", 8), ("y", 8), ("z", 8)])
}

#[test]
fn the_image_is_the_initialiser_with_the_specification_behind_it() {
    let image = golden();
    let (segments, entry) = segments(&image.elf);
    assert_eq!(entry, Elf::initialiser().entry);
    let [code, data, spec] = &segments[..] else { panic!("{} segments", segments.len()) };
    assert_eq!((code.vaddr, data.vaddr, spec.vaddr), (0x40_0000, DATA, 0x40_3000));
    assert_eq!(data.bytes.len(), 0x200);
    let len = spec.bytes.len() as u64;
    // Address, length, and the failure exit of the board: 1 << 48 | port << 32 | value.
    assert_eq!([0, 8, 16].map(|at| word(&data.bytes, at)), [0x40_3000, len, 0x1_00f4_0000_007d]);
    let sizes = image.report.image.unwrap();
    assert_eq!(sizes.specification, len);
    assert_eq!(sizes.memory, 0x3000 + len.next_multiple_of(0x1000));
}

#[test]
fn every_domain_has_its_endpoint_its_fault_handler_and_its_address_space() {
    let spec = spec(&golden());
    for (number, name) in [(0, "driver"), (1, "helper"), (2, "client")] {
        let system = slots(&spec, system_cnode(&spec, name));
        let thread = thread(&spec, name);
        let (input, entry) = system[&1];
        assert_eq!((input, entry.transform), (&*format!("{name}: endpoint"), CapTransform::Copy));
        assert_eq!(system[&3].1.object, thread.vspace);
        assert_eq!(thread.fault_endpoint, 2);
        let (handler, entry) = system[&2];
        assert_eq!(entry.rights, Rights::SEND);
        if name == "helper" {
            assert_eq!((handler, entry.transform), ("driver: endpoint", CapTransform::Badge(1 << 26 | 7)));
        } else {
            assert_eq!((handler, entry.transform), ("monitor: endpoint", CapTransform::Badge(number + 1)));
            assert_eq!(entry.object, spec.monitor_endpoint());
        }
        assert_eq!(object(&spec, thread.cspace), Object::CNode { radix: 6 });
    }
    assert_eq!(spec.threads().iter().map(|thread| thread.priority).collect::<Vec<_>>(), [200, 10, 100]);
}

#[test]
fn channels_are_badged_capabilities_of_the_other_end() {
    let spec = spec(&golden());
    let [driver, helper, client] =
        ["driver", "helper", "client"].map(|name| slots(&spec, system_cnode(&spec, name)));
    let cap = |slots: &BTreeMap<u32, (&'static str, CapEntry)>, slot| {
        let (name, entry) = slots[&slot];
        (name, entry.rights, entry.transform)
    };
    // Driver 0 - client 25, on which the client calls.
    assert_eq!(cap(&driver, 10), ("client: notification", Rights::SIGNAL, CapTransform::Badge(1 << 25)));
    assert_eq!(cap(&client, 10 + 25), ("driver: notification", Rights::SIGNAL, CapTransform::Badge(1)));
    assert_eq!(cap(&client, 74 + 25), ("driver: endpoint", Rights::SEND, CapTransform::Badge(1 << 27)));
    assert!(!driver.contains_key(&74));
    // Client 1 - helper 4, on which only the helper notifies.
    assert_eq!(cap(&helper, 10 + 4), ("client: notification", Rights::SIGNAL, CapTransform::Badge(1 << 1)));
    assert!(!client.contains_key(&(10 + 1)));
    // The child's thread.
    assert_eq!(driver[&(202 + 7)].0, "helper: thread");

    let elements = |slots: &BTreeMap<_, _>| slots.keys().copied().collect::<Vec<u32>>();
    assert_eq!(elements(&driver), [1, 2, 3, 10, 138 + 2, 138 + 3, 202 + 7, 394 + 1, 512 + 1, 512 + 2]);
    assert_eq!(elements(&helper), [1, 2, 3, 10 + 4]);
    assert_eq!(elements(&client), [1, 2, 3, 10 + 25, 74 + 25, 512 + 63]);
}

#[test]
fn devices_signal_the_domain_and_answer_to_it() {
    let spec = spec(&golden());
    let driver = slots(&spec, system_cnode(&spec, "driver"));
    let notification = thread(&spec, "driver").notification;
    let msi = driver[&(138 + 2)].1.object;
    assert_eq!(object(&spec, msi), Object::MsiIrq { requester: 0x10, handle: 1, vector: 5 });
    let pin = driver[&(138 + 3)].1.object;
    let (trigger, polarity) = (IrqTrigger::Edge, Polarity::Low);
    assert_eq!(object(&spec, pin), Object::IoApicIrq { ioapic: 0, pin: 4, trigger, polarity, vector: 6 });
    assert_eq!(
        spec.irqs().iter().collect::<Vec<_>>(),
        [
            IrqBinding { irq: msi, notification, badge: 1 << 2 },
            IrqBinding { irq: pin, notification, badge: 1 << 3 }
        ]
    );
    assert_eq!(object(&spec, driver[&395].1.object), Object::IoPorts { first: 0xcf8, last: 0xcff });
}

#[test]
fn cspace_entries_stand_in_the_root_cnode_and_cnodes_also_where_they_can_be_named() {
    let spec = spec(&golden());
    let root = slots(&spec, thread(&spec, "driver").cspace);
    let system = slots(&spec, system_cnode(&spec, "driver"));
    assert_eq!(root.keys().copied().collect::<Vec<_>>(), [0, 2, 3, 4]);
    assert_eq!(object(&spec, root[&2].1.object), Object::CNode { radix: 9 });
    assert_eq!(object(&spec, root[&3].1.object), Object::IoSpace { requester: 0x10, domain: 7 });
    assert_eq!(root[&4].0, "client: thread");
    assert_eq!(system[&513].1.object, thread(&spec, "driver").cspace);
    assert_eq!(system[&514].1.object, root[&2].1.object);
    assert_eq!(system[&514].1.transform, CapTransform::Copy);

    let root = slots(&spec, thread(&spec, "client").cspace);
    assert_eq!(root.keys().copied().collect::<Vec<_>>(), [0, 1, 63]);
    assert_eq!(root[&1].1.object, thread(&spec, "client").vspace);
    // Five pages take a CNode of eight slots.
    assert_eq!(object(&spec, root[&63].1.object), Object::CNode { radix: 3 });
    let frames = slots(&spec, root[&63].1.object);
    assert_eq!(frames.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(frames[&0].0, "memory region lent");
}

#[test]
fn the_lender_holds_the_original_frames_and_has_mapped_them_itself() {
    let spec = spec(&golden());
    let lent = object_named(&spec, "memory region lent");
    let entries: Vec<_> = spec.caps().iter().filter(|entry| entry.object == lent).collect();
    assert_eq!(entries.iter().map(|entry| entry.transform).collect::<Vec<_>>(), [CapTransform::Move]);
    assert_eq!(spec.caps().iter().last().unwrap().object, lent, "nothing is copied after it has moved");
    let maps: Vec<_> = spec.maps().iter().filter(|map| map.frames == lent).collect();
    assert_eq!(maps.len(), 1);
    assert!(maps[0].original && maps[0].vspace == thread(&spec, "client").vspace);
}

#[test]
fn a_range_that_is_only_read_is_a_copy() {
    let body = "<memory_region name=\"m\" size=\"0x1000\"/>".to_owned()
        + &domain("a", 1, "<cspace><cap_frame_range slot=\"1\" mr=\"m\" perms=\"r\"/></cspace>");
    let spec = spec(&Bench::new().build(&body).unwrap());
    let region = object_named(&spec, "memory region m");
    let entry = spec.caps().iter().find(|entry| entry.object == region).unwrap();
    assert_eq!((entry.transform, entry.rights), (CapTransform::Copy, Rights::READ));
    // One page takes a CNode of two slots, the smallest there is.
    assert_eq!(object(&spec, entry.cnode), Object::CNode { radix: 1 });
}

#[test]
fn each_frame_is_mapped_at_most_once_with_its_original_capability() {
    let spec = spec(&golden());
    let mut originals: Vec<_> = spec.maps().iter().filter(|map| map.original).map(|map| map.frames).collect();
    let all = originals.len();
    originals.sort_unstable();
    originals.dedup();
    assert_eq!(originals.len(), all);
}

#[test]
fn domains_find_what_they_are_told_in_their_memory() {
    let image = golden();
    let spec = spec(&image);
    let paddr = |name: &str| image.report.regions.iter().find(|region| region.name == name).unwrap().paddr;
    let (a, b) = (a_elf(), b_elf());
    let a = |symbol| variable(&spec, "driver", &a, symbol);
    assert_eq!(a("x"), 0x1000_0000, "setvar_vaddr");
    assert_eq!(a("y"), 0x40_0000, "setvar_size");
    assert_eq!(a("z"), 0x840_0000, "region_paddr");
    assert_eq!(a("q"), 0, "setvar_id of a channel");
    assert_eq!(a("microkit_irqs"), 1 << 2 | 1 << 3);
    assert_eq!(a("microkit_notifications"), 1);
    assert_eq!(a("microkit_pps"), 0);
    assert_eq!(a("microkit_ioports"), 1 << 1);
    assert_eq!(a("count"), 2);
    let (_, grants, _) = a_elf().symbols.into_iter().find(|(name, ..)| name == "grants").unwrap();
    let grants = memory(&spec, "driver", grants, 128);
    let words: Vec<_> = (0..16).map(|index| word(&grants, index * 8)).collect();
    let first = [0, paddr("lent"), 0x5000, 0b11 | 12 << 8];
    let second = [0, paddr("table"), 0x3000, 0b01 | 12 << 8];
    assert_eq!(words, [&first[..], &second, &[0; 8]].concat());

    assert_eq!(variable(&spec, "helper", &b, "x"), 0x2005, "setvar_prefill_size");
    assert_eq!(variable(&spec, "client", &b, "x"), 3, "setvar_size_bits");
    assert_eq!(variable(&spec, "client", &b, "z"), u64::MAX, "setvar_row: capabilities are there");
    assert_eq!(variable(&spec, "client", &b, "y"), 25, "setvar_id of a channel");
    assert_eq!(variable(&spec, "client", &b, "microkit_pps"), 1 << 25);
    assert_eq!(
        variable(&spec, "client", &b, "microkit_notifications"),
        1 << 25,
        "not 1, which has notify=\"false\""
    );
    for name in ["driver", "helper", "client"] {
        let mut expected = name.as_bytes().to_vec();
        expected.resize(64, 0);
        assert_eq!(memory(&spec, name, DATA, 64), expected, "microkit_name");
        assert_eq!(memory(&spec, name, DATA + 64, 1), [0], "microkit_passive");
        assert_eq!(memory(&spec, name, 0x40_0000, 0x40), [0x90; 0x40], "code");
    }
    let mut expected = table();
    expected.resize(0x3000, 0);
    assert_eq!(memory(&spec, "helper", 0x3000_0000, 0x3000), expected, "prefill");
    assert_eq!(memory(&spec, "client", 0x7fff_ffff_b000, 0x2000), [0; 0x2000], "stack");
}

#[test]
fn other_setvars_and_symbol_files_are_honoured() {
    let bench = Bench::new();
    // The program itself has only the runtime's symbols; the others are in a file of their own.
    let whole = Elf::program(&[("x", 8), ("y", 8), ("z", 8), ("q", 8)]);
    bench.elf("symbols.elf", &whole);
    bench.elf("a.elf", &Elf { symbols: vec![("other".into(), DATA, 1)], ..whole.clone() });
    let inside = "<irq id=\"9\" pin=\"2\" vector=\"3\" setvar_id=\"x\"/>\
                  <ioport id=\"61\" addr=\"0x60\" size=\"2\" setvar_id=\"y\" setvar_addr=\"z\"/>\
                  <protection_domain name=\"b\" id=\"61\" setvar_id=\"q\"><program_image path=\"b.elf\"/>\
                  </protection_domain>";
    let body =
        domain("a", 1, inside).replace("path=\"a.elf\"", "path=\"a.elf\" path_for_symbols=\"symbols.elf\"");
    let spec = spec(&bench.build(&body).unwrap());
    let values = ["x", "y", "z", "q"].map(|symbol| variable(&spec, "a", &whole, symbol));
    assert_eq!(values, [9, 61, 0x60, 61]);
}

#[test]
fn mappings_have_the_rights_and_the_caching_that_the_description_gives_them() {
    let spec = spec(&golden());
    let map = |domain: &str, vaddr| {
        let vspace = thread(&spec, domain).vspace;
        let map = spec.maps().iter().find(|map| map.vspace == vspace && map.vaddr == vaddr).unwrap();
        (spec.object_name(map.frames), map.rights, map.cached)
    };
    assert_eq!(map("driver", 0x1000_0000), ("memory region registers", Rights::READ_WRITE, false));
    assert_eq!(map("driver", 0x4000_0000), ("memory region large", Rights::READ, true));
    assert_eq!(map("client", 0x8000_0000), ("memory region large", Rights::READ_WRITE, true));
    assert_eq!(map("helper", 0x3000_0000), ("memory region table", Rights::READ, true));
    assert_eq!(map("driver", 0x40_0000), ("driver: segment at 0x400000", Rights::READ, true));
    assert_eq!(map("driver", DATA), ("driver: segment at 0x402000", Rights::READ_WRITE, true));
    assert_eq!(map("driver", 0x7fff_ffff_9000), ("driver: stack", Rights::READ_WRITE, true));
    assert_eq!(map("driver", 0x7fff_ffff_e000), ("driver: IPC buffer", Rights::READ_WRITE, true));
}

#[test]
fn the_pages_around_a_stack_are_not_mapped() {
    let spec = spec(&golden());
    for thread in spec.threads().iter() {
        for map in spec.maps().iter().filter(|map| map.vspace == thread.vspace) {
            let Object::Frames { size_bits, .. } = object(&spec, map.frames) else { unreachable!() };
            let end = map.vaddr + (u64::from(map.count) << size_bits);
            for page in [thread.stack_bottom - 0x1000, thread.stack_top] {
                assert!(end <= page || page + 0x1000 <= map.vaddr, "{page:#x} is mapped");
            }
        }
    }
}

#[test]
fn every_mapping_has_its_tables() {
    let spec = spec(&golden());
    let table = |vspace, level, vaddr| {
        spec.tables().iter().any(|table| {
            table.vspace == vspace
                && table.vaddr == vaddr
                && object(&spec, table.table) == Object::Paging(level)
        })
    };
    for map in spec.maps().iter() {
        let Object::Frames { size_bits, .. } = object(&spec, map.frames) else { unreachable!() };
        for number in 0..map.count {
            let vaddr = map.vaddr + (u64::from(number) << size_bits);
            assert!(table(map.vspace, PagingLevel::Pdpt, vaddr >> 39 << 39));
            assert!(table(map.vspace, PagingLevel::PageDirectory, vaddr >> 30 << 30));
            assert_eq!(table(map.vspace, PagingLevel::PageTable, vaddr >> 21 << 21), size_bits == 12);
        }
    }
}

#[test]
fn io_address_spaces_have_tables_for_maps_and_for_grants() {
    let image = golden();
    let spec = spec(&image);
    let lent = image.report.regions.iter().find(|region| region.name == "lent").unwrap();
    let table = image.report.regions.iter().find(|region| region.name == "table").unwrap();
    let ranges: Vec<_> = spec.io_ranges().iter().map(|range| (range.iova, range.size)).collect();
    assert_eq!(
        ranges,
        [(0x10_0000_0000, 0x20_0000), (0x10_0020_0000, 0x3000), (lent.paddr, 0x5000), (table.paddr, 0x3000)]
    );
    let maps: Vec<_> =
        spec.io_maps().iter().map(|map| (spec.object_name(map.frames), map.iova, map.rights)).collect();
    assert_eq!(
        maps,
        [
            ("memory region rings", 0x10_0000_0000, Rights::READ_WRITE),
            ("memory region table", 0x10_0020_0000, Rights::READ)
        ]
    );
}

#[test]
fn what_is_granted_as_mapped_is_in_the_io_address_space_and_lent_by_its_row() {
    let text = include_str!("golden/system.xml");
    let row = "<grant channel=\"0\" mr=\"lent\" />";
    let mapped = text.replace(row, "<grant channel=\"0\" mr=\"lent\" mapped=\"true\" />");
    assert_ne!(mapped, text);
    let image = golden_bench().build_whole(&mapped).unwrap();
    let spec = spec(&image);
    let lent = image.report.regions.iter().find(|region| region.name == "lent").unwrap();
    let last = spec.io_maps().iter().last().unwrap();
    assert_eq!((spec.object_name(last.frames), last.iova), ("memory region lent", lent.paddr));
    assert_eq!(last.rights, Rights::READ_WRITE);
    let (_, grants, _) = a_elf().symbols.into_iter().find(|(name, ..)| name == "grants").unwrap();
    assert_eq!(word(&memory(&spec, "driver", grants, 32), 24), 0b111 | 12 << 8, "bit 2 says so");
    assert_eq!(variable(&spec, "client", &b_elf(), "z"), 0, "setvar_row");
}

#[test]
fn what_may_be_lent_lies_so_that_large_entries_fit() {
    let text = include_str!("golden/system.xml");
    let region = "<memory_region name=\"lent\" size=\"0x5000\" page_size=\"0x1000\" />";
    let larger = text.replace(region, &region.replace("0x5000", "0x201000"));
    assert_ne!(larger, text);
    let image = golden_bench().build_whole(&larger).unwrap();
    let lent = image.report.regions.iter().find(|region| region.name == "lent").unwrap();
    assert!(lent.paddr.is_multiple_of(0x20_0000), "{:#x}", lent.paddr);
}

#[test]
fn regions_get_large_pages_only_when_everything_about_them_allows_it() {
    let page_size = |region: &str, rest: &str| {
        let body = format!("<memory_region name=\"m\" {region}/>{rest}");
        Bench::new().build(&body).unwrap().report.regions[0].page_size
    };
    let mapped = |vaddr| domain("a", 1, &format!("<map mr=\"m\" vaddr=\"{vaddr}\"/>"));
    let inside = |inside| domain("a", 1, inside);
    assert_eq!(page_size("size=\"0x200000\"", &mapped("0x1000000")), 0x20_0000);
    assert_eq!(page_size("size=\"0x200000\" page_size=\"0x1000\"", &mapped("0x1000000")), 0x1000);
    assert_eq!(page_size("size=\"0x201000\"", &mapped("0x1000000")), 0x1000);
    assert_eq!(page_size("size=\"0x200000\"", &mapped("0x1001000")), 0x1000);
    assert_eq!(page_size("size=\"0x200000\" phys_addr=\"0xf0001000\"", &mapped("0x1000000")), 0x1000);
    assert_eq!(page_size("size=\"0x200000\" phys_addr=\"0xf0000000\"", &mapped("0x1000000")), 0x20_0000);
    let range = "<cspace><cap_frame_range slot=\"1\" mr=\"m\"/></cspace>";
    assert_eq!(page_size("size=\"0x200000\"", &inside(range)), 0x1000);
    let io_map = "<io_address_space name=\"g\" peripheral_id=\"0:2.0\" domain_id=\"1\">\
                  <iomap mr=\"m\" iovaddr=\"0x200000\"/></io_address_space>";
    assert_eq!(page_size("size=\"0x200000\"", &(mapped("0x1000000") + io_map)), 0x1000);
}

#[test]
fn device_regions_are_marked_as_such() {
    let spec = spec(&golden());
    let at = |name| match object(&spec, object_named(&spec, name)) {
        Object::Frames { at, .. } => at,
        _ => None,
    };
    assert_eq!(at("memory region registers"), Some(Location { paddr: 0xf000_0000, device: true }));
    assert_eq!(at("memory region rings"), Some(Location { paddr: 0x840_0000, device: false }));
    assert_eq!(at("driver: stack"), None);
}

#[test]
fn a_region_that_nothing_uses_is_warned_about() {
    let body = "<memory_region name=\"m\" size=\"0x1000\"/>\n".to_owned() + &domain("a", 1, "");
    let warnings = Bench::new().build(&body).unwrap().warnings;
    let text: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 1);
    assert!(
        text[0].ends_with("system.xml:2:1: <memory_region>: nothing uses the memory region \"m\""),
        "{text:?}"
    );
}
