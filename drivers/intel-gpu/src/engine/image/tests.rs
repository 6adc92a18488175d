// SPDX-License-Identifier: BSD-2-Clause
//! Golden dwords of context images.

use super::*;
use crate::device::EngineId;

fn image(generation: Generation, engine: EngineId) -> Vec<u32> {
    let mut words = vec![0; STATE_DWORDS];
    let parameters = Parameters {
        generation,
        class: engine.class,
        base: EngineBase(engine.mmio_base(generation)),
        ring: GgttOffset::new(0xfff0_0000),
        ring_bytes: 0x4000,
        pdps: [0x12_3456_7000, 0, 0, 0],
        power_clock_state: 0x8004_1000,
    };
    build(&parameters, |at, value| words[at as usize] = value);
    words
}

/// (dword, header) of each list, and the first dword behind the lists.
type Lists = (Generation, EngineId, &'static [(usize, u32)], usize);

const HEADERS: &[Lists] = &[
    (Generation::Gen8, EngineId::RCS0, &[(1, 0x1100_101b), (0x21, 0x1100_1011), (0x41, 0x1100_0001)], 0x44),
    (Generation::Gen8, EngineId::BCS0, &[(1, 0x1100_0015), (0x21, 0x1100_0011), (0x41, 0x1100_0003)], 0x46),
    (
        Generation::Gen9,
        EngineId::RCS0,
        &[(1, 0x1100_101b), (0x21, 0x1100_1011), (0x41, 0x1100_0001), (0x51, 0x1100_1057)],
        0xaa,
    ),
    (
        Generation::Gen9,
        EngineId::BCS0,
        &[(1, 0x1100_101b), (0x21, 0x1100_1011), (0x41, 0x1100_1001), (0x51, 0x1100_1057)],
        0xaa,
    ),
    (
        Generation::Gen11,
        EngineId::RCS0,
        &[(1, 0x1108_101d), (0x21, 0x1108_1011), (0x34, 0x1108_1001), (0x41, 0x1108_0001)],
        0x44,
    ),
    (
        Generation::Gen11,
        EngineId::VECS0,
        &[(1, 0x1108_101b), (0x21, 0x1108_1011), (0x41, 0x1108_1001), (0x51, 0x1108_1057)],
        0xaa,
    ),
    (
        Generation::Gen12,
        EngineId::RCS0,
        &[
            (1, 0x1108_1019),
            (0x21, 0x1108_1011),
            (0x34, 0x1108_1005),
            (0x41, 0x1108_0001),
            (0x51, 0x1108_1065),
        ],
        0xb9,
    ),
    (Generation::Gen12, EngineId::BCS0, &[(1, 0x1108_1019), (0x21, 0x1108_1011)], 0x34),
];

#[test]
fn every_list_has_the_header_and_the_place_that_the_hardware_expects() {
    for (generation, engine, headers, end) in HEADERS {
        let words = image(*generation, *engine);
        for (at, header) in *headers {
            assert_eq!(words[*at], *header, "{generation:?} {engine} dword {at:#x}");
        }
        let last = 0x0500_0000 | u32::from(generation.number() >= 11);
        assert_eq!(words[*end], last, "{generation:?} {engine} ends at {end:#x}");
        assert!(words[end + 1..].iter().all(|word| *word == 0));
    }
}

#[test]
fn the_ring_is_described_in_the_same_slots_everywhere() {
    for (generation, engine, _, _) in HEADERS {
        let words = image(*generation, *engine);
        let base = engine.mmio_base(*generation);
        let control = if generation.number() >= 11 { 0x0009_0009 } else { 0x000f_0009 };
        let expected = [
            base + 0x244,
            control,
            base + 0x34,
            0,
            base + 0x30,
            0,
            base + 0x38,
            0xfff0_0000,
            base + 0x3c,
            0x3001,
        ];
        assert_eq!(words[2..0xc], expected, "{generation:?} {engine}");
        assert_eq!(context_control(*generation, false) & 0xffff, 8);
    }
}

#[test]
fn the_page_map_is_in_pdp0_and_its_pairs_descend() {
    let words = image(Generation::Gen12, EngineId::BCS0);
    let base = 0x22000;
    assert_eq!(words[0x22], base + 0x3a8);
    assert_eq!(words[0x24], base + 0x28c, "PDP3 high");
    assert_eq!(words[0x30..0x34], [base + 0x274, 0x12, base + 0x270, 0x3456_7000]);
    assert!((0x25..0x30).step_by(2).all(|at| words[at] == 0));
}

#[test]
fn gen12_render_registers_lie_where_other_drivers_found_them() {
    let words = image(Generation::Gen12, EngineId::RCS0);
    for (at, register) in [
        (0x35, 0x1b0),
        (0x37, 0x5a8),
        (0x39, 0x5ac),
        (0x42, 0x0c8),
        (0x52, 0x588),
        (0x5c, 0x588),
        (0x5e, 0x028),
        (0x60, 0x09c),
        (0x62, 0x0c0),
        (0x64, 0x178),
        (0x68, 0x358),
        (0x70, 0x158),
        (0x72, 0x41c),
        (0x74, 0x600),
        (0xb2, 0x67c),
        (0xb4, 0x068),
        (0xb6, 0x084),
    ] {
        assert_eq!(words[at], 0x2000 + register, "dword {at:#x}");
    }
    assert_eq!(words[0x43], 0x8004_1000);
    assert_eq!(words[0x61], 0x0100_0000, "STOP_RING is cleared");
}

#[test]
fn gen9_copy_registers_lie_where_other_drivers_found_them() {
    let words = image(Generation::Gen9, EngineId::BCS0);
    for (at, register) in [
        (0x12, 0x11c),
        (0x18, 0x1c0),
        (0x1c, 0x1c8),
        (0x42, 0x200),
        (0x52, 0x028),
        (0x54, 0x09c),
        (0x56, 0x0c0),
        (0x5c, 0x358),
        (0x64, 0x158),
        (0x66, 0x41c),
        (0x68, 0x600),
        (0xa6, 0x67c),
        (0xa8, 0x068),
    ] {
        assert_eq!(words[at], 0x22000 + register, "dword {at:#x}");
    }
    assert_eq!(words[0x55], 0x0100_0000);
}

#[test]
fn three_level_roots_fill_all_four_pointers() {
    let mut words = vec![0u32; 0x40];
    let pdps = [0x1000, 0x2000, 0x3000, 0x7_0000_4000];
    set_pdps(&pdps, &mut |at, value| words[at as usize] = value);
    assert_eq!((words[0x25], words[0x27]), (7, 0x4000));
    assert_eq!((words[0x29], words[0x2b]), (0, 0x3000));
    assert_eq!((words[0x31], words[0x33]), (0, 0x1000));
}

fn everything(generation: Generation, topology: Topology, eus: u8) -> u32 {
    let Topology { slices, subslices: [subslices, ..], .. } = topology;
    power_clock_state(generation, &topology, Sseu { slices, subslices, min_eus: eus, max_eus: eus })
}

#[test]
fn the_power_clock_state_asks_for_everything() {
    let full = Topology { slices: 1, subslices: [0xff, 0, 0], eu_total: 64 };
    assert_eq!(everything(Generation::Gen8, full, 8), 0);
    assert_eq!(everything(Generation::Gen11, full, 8), 0x8004_2088);
    let one = Topology { slices: 1, subslices: [0x3f, 0, 0], eu_total: 96 };
    assert_eq!(everything(Generation::Gen12, one, 16), 0x8004_1000);
    let gt3 = Topology { slices: 3, subslices: [7, 7, 0], eu_total: 48 };
    assert_eq!(everything(Generation::Gen9, gt3, 8), 0x8005_0088);
}

/// The count of subslices goes into three bits, with its enable bit.
#[test]
fn half_of_ice_lakes_subslices_are_asked_for_by_their_count() {
    let full = Topology { slices: 1, subslices: [0xff, 0, 0], eu_total: 64 };
    let half = Sseu { slices: 1, subslices: 0x0f, min_eus: 8, max_eus: 8 };
    assert_eq!(power_clock_state(Generation::Gen11, &full, half), 0x8004_1c88);
}

#[test]
fn an_image_that_moves_to_the_second_video_engine_is_that_engines() {
    for generation in [Generation::Gen8, Generation::Gen9] {
        let mut moved = image(generation, EngineId::VCS0);
        let base = EngineBase(EngineId::VCS1.mmio_base(generation));
        readdress(generation, EngineClass::Video, base, |at, value| moved[at as usize] = value);
        assert_eq!(moved, image(generation, EngineId::VCS1));
    }
}
