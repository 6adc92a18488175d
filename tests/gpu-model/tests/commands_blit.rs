// SPDX-License-Identifier: BSD-2-Clause
//! The blitter against a reference that goes pixel by pixel over maps of its own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests"
)]

#[path = "commands_support/mod.rs"]
mod support;

use std::collections::HashMap;

use gpu_model::commands::{ErrorKind, Generation, Outcome, Space, TraceEvent};
use proptest::prelude::*;
use support::{BCS, DATA, GENERATIONS, Machine, split};

/// Size of a test surface's memory.
const AREA: usize = 0x3_0000;
const SOURCE: u64 = DATA + 0x10_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tiling {
    Linear,
    X,
    Y,
}

/// A surface of the reference.
#[derive(Clone, Debug)]
struct Surface {
    base: u64,
    /// Bytes.
    pitch: i64,
    tiling: Tiling,
    /// Offset of byte (x, y) from the base, for tiled surfaces.
    map: HashMap<(i64, i64), u64>,
}

impl Surface {
    fn linear(base: u64, pitch: i64) -> Self {
        Self { base, pitch, tiling: Tiling::Linear, map: HashMap::new() }
    }

    /// A tiled surface of `columns` by `rows` tiles. The map is made by walking the memory in its order.
    fn tiled(base: u64, tiling: Tiling, columns: i64, rows: i64) -> Self {
        let (width, height) = if tiling == Tiling::X { (512, 8) } else { (128, 32) };
        let mut map = HashMap::new();
        let mut offset = 0;
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = (column * width, row * height);
                let mut put = |dx, dy| {
                    map.insert((x + dx, y + dy), offset);
                    offset += 1;
                };
                if tiling == Tiling::X {
                    (0..8).for_each(|dy| (0..512).for_each(|dx| put(dx, dy)));
                } else {
                    (0..8).for_each(|strip| {
                        (0..32).for_each(|dy| (0..16).for_each(|dx| put(strip * 16 + dx, dy)))
                    });
                }
            }
        }
        Self { base, pitch: columns * width, tiling, map }
    }

    fn address(&self, x: i64, y: i64) -> u64 {
        match self.tiling {
            Tiling::Linear => self.base.wrapping_add_signed(y * self.pitch + x),
            Tiling::X | Tiling::Y => self.base + self.map[&(x, y)],
        }
    }

    fn field(&self) -> u32 {
        let pitch = if self.tiling == Tiling::Linear { self.pitch } else { self.pitch / 4 };
        u32::from(pitch as i16 as u16)
    }
}

fn point(x: i64, y: i64) -> u32 {
    u32::from(y as i16 as u16) << 16 | u32::from(x as i16 as u16)
}

/// A machine whose memory is not zero.
fn machine(generation: Generation) -> Machine {
    let mut machine = Machine::new(generation, BCS);
    let noise: Vec<u8> = (0..AREA).map(|i| (i * 7 + i / 251) as u8).collect();
    machine.set_bytes(Space::Ppgtt, DATA, &noise);
    machine.set_bytes(Space::Ppgtt, SOURCE, &noise.iter().map(|byte| byte ^ 0x5c).collect::<Vec<_>>());
    machine
}

/// Memory of the reference.
struct Memory {
    destination: Vec<u8>,
    source: Vec<u8>,
}

impl Memory {
    fn of(machine: &mut Machine) -> Self {
        Self {
            destination: machine.bytes(Space::Ppgtt, DATA, AREA),
            source: machine.bytes(Space::Ppgtt, SOURCE, AREA),
        }
    }

    fn byte(&mut self, address: u64) -> &mut u8 {
        if address >= SOURCE {
            &mut self.source[(address - SOURCE) as usize]
        } else {
            &mut self.destination[(address - DATA) as usize]
        }
    }
}

/// Result of a raster operation for single bits, straight from its definition as a truth table.
fn rop(code: u8, p: u8, s: u8, d: u8) -> u8 {
    (0..8).fold(0, |result, bit| {
        let index = (p >> bit & 1) << 2 | (s >> bit & 1) << 1 | (d >> bit & 1);
        result | (code >> index & 1) << bit
    })
}

/// Everything about a legacy blit.
#[derive(Clone, Debug)]
struct Blit {
    destination: Surface,
    source: Option<(Surface, i64, i64)>,
    rect: (i64, i64, i64, i64),
    clip: Option<(i64, i64, i64, i64)>,
    /// BR13 depth code.
    depth: u32,
    rop: u8,
    write_rgb: bool,
    write_alpha: bool,
    colour: u32,
}

impl Blit {
    fn bytes(&self) -> i64 {
        [1, 2, 2, 4][self.depth as usize]
    }

    fn dwords(&self) -> Vec<u32> {
        let (x1, y1, x2, y2) = self.rect;
        let mut dwords = Vec::new();
        let y_tiled = |surface: &Surface| u32::from(surface.tiling == Tiling::Y);
        let swctrl = y_tiled(&self.destination) << 1
            | self.source.as_ref().map_or(0, |(surface, ..)| y_tiled(surface));
        dwords.extend([0x1100_0001, 0x2_2200, 0x3_0000 | swctrl]);
        if let Some((x1, y1, x2, y2)) = self.clip {
            dwords.extend([0x40c0_0001, point(x1, y1), point(x2, y2)]);
        }
        let tiled = u32::from(self.destination.tiling != Tiling::Linear);
        let mut header = u32::from(self.write_rgb) << 20 | u32::from(self.write_alpha) << 21 | tiled << 11;
        let control = u32::from(self.clip.is_some()) << 30
            | self.depth << 24
            | u32::from(self.rop) << 16
            | self.destination.field();
        let [low, high] = split(self.destination.base);
        let body = [control, point(x1, y1), point(x2, y2), low, high];
        match &self.source {
            None => {
                header |= 0x5400_0005;
                dwords.push(header);
                dwords.extend(body);
                dwords.push(self.colour);
            }
            Some((surface, x, y)) => {
                header |= 0x54c0_0008 | u32::from(surface.tiling != Tiling::Linear) << 15;
                dwords.push(header);
                dwords.extend(body);
                let [low, high] = split(surface.base);
                dwords.extend([point(*x, *y), surface.field(), low, high]);
            }
        }
        dwords
    }

    fn draw(&self, memory: &mut Memory) {
        let bytes = self.bytes();
        let (x1, y1, x2, y2) = self.rect;
        // The source as it was before.
        let mut snapshot = HashMap::new();
        if let Some((surface, x, y)) = &self.source {
            for dy in 0..y2 - y1 {
                for dx in 0..(x2 - x1) * bytes {
                    snapshot.insert((dx, dy), *memory.byte(surface.address(x * bytes + dx, y + dy)));
                }
            }
        }
        for y in y1..y2 {
            for x in x1..x2 {
                if self.clip.is_some_and(|(l, t, r, b)| x < l || x >= r || y < t || y >= b) {
                    continue;
                }
                for byte in 0..bytes {
                    let enabled = bytes != 4 || if byte == 3 { self.write_alpha } else { self.write_rgb };
                    if !enabled {
                        continue;
                    }
                    let p = (self.colour >> (8 * byte)) as u8;
                    let s = snapshot.get(&((x - x1) * bytes + byte, y - y1)).copied().unwrap_or(0);
                    let d = memory.byte(self.destination.address(x * bytes + byte, y));
                    *d = rop(self.rop, p, s, *d);
                }
            }
        }
    }
}

/// A surface at `base` of about 64 KiB: linear with an odd pitch and base, perhaps upside down, or tiled.
fn surface(base: u64) -> impl Strategy<Value = Surface> {
    prop_oneof![
        (0..64_u64, 256..700_i64).prop_map(move |(offset, pitch)| Surface::linear(base + offset, pitch)),
        (0..64_u64, 256..700_i64)
            .prop_map(move |(offset, pitch)| Surface::linear(base + 0x2_0000 + offset, -pitch)),
        (1..3_i64, 4..8_i64).prop_map(move |(columns, rows)| Surface::tiled(base, Tiling::X, columns, rows)),
        (3..6_i64, 1..3_i64).prop_map(move |(columns, rows)| Surface::tiled(base, Tiling::Y, columns, rows)),
    ]
}

fn rectangle() -> impl Strategy<Value = (i64, i64, i64, i64)> {
    (0..40_i64, 0..20_i64, 0..24_i64, 0..12_i64).prop_map(|(x, y, w, h)| (x, y, x + w, y + h))
}

fn rop_code() -> impl Strategy<Value = u8> {
    prop_oneof![2 => Just(0xf0), 2 => Just(0xcc), 3 => any::<u8>()]
}

proptest! {
    #[test]
    fn blits_agree_with_the_reference(
        destination in surface(DATA), source in surface(SOURCE), copy: bool, same: bool,
        rect in rectangle(), from in (0..40_i64, 0..20_i64),
        clip in proptest::option::of((-5..50_i64, -5..30_i64, 0..60_i64, 0..40_i64)),
        depth in 0..4_u32, rop in rop_code(), write_rgb: bool, write_alpha: bool, colour: u32, budget in 1..20_u64,
    ) {
        let source = copy.then(|| (if same { destination.clone() } else { source }, from.0, from.1));
        let missing = if copy { rop & 0x0f != rop >> 4 } else { rop & 0x33 != rop >> 2 & 0x33 };
        // The pattern of a copy is 0.
        let colour = if copy { 0 } else { colour };
        let blit = Blit { destination, source, rect, clip, depth, rop, write_rgb, write_alpha, colour };
        let mut machine = machine(Generation::Gen12);
        let mut memory = Memory::of(&mut machine);
        machine.submit(&blit.dwords());
        let mut steps = 0;
        loop {
            let step = machine.state.step(&mut machine.bus, budget);
            steps += 1;
            match step.outcome {
                Outcome::BudgetSpent => prop_assert!(steps < 1000),
                Outcome::RingEmpty => break,
                other => prop_assert!(false, "{other:?}"),
            }
        }
        blit.draw(&mut memory);
        let after = Memory::of(&mut machine);
        let differ = |a: &[u8], b: &[u8]| a.iter().zip(b).position(|(a, b)| a != b);
        prop_assert_eq!(differ(&after.destination, &memory.destination), None);
        prop_assert_eq!(differ(&after.source, &memory.source), None);
        prop_assert_eq!(machine.broken_rules().len(), usize::from(missing), "{:?}", machine.broken_rules());
        prop_assert!(!machine.state.is_mid_command());
    }

    #[test]
    fn fast_and_block_copies_agree_with_the_reference(
        destination in surface(DATA), source in surface(SOURCE), block: bool,
        rect in rectangle(), from in (0..40_i64, 0..20_i64), depth in 0..5_usize,
    ) {
        // X tiles only in fast copies; linear pitches are multiples of 16.
        prop_assume!(!block || destination.tiling != Tiling::X && source.tiling != Tiling::X);
        let align = |mut surface: Surface| {
            if surface.tiling == Tiling::Linear {
                surface.pitch = surface.pitch.abs() & !15;
                surface.base &= !0x2_0000;
            }
            surface
        };
        let (destination, source) = (align(destination), align(source));
        let bytes = [1, 2, 4, 8, 16][depth];
        let fits = |surface: &Surface, right: i64| surface.tiling == Tiling::Linear || right * bytes <= surface.pitch;
        let (x1, y1, x2, y2) = rect;
        prop_assume!(fits(&destination, x2) && fits(&source, from.0 + x2 - x1));
        let mut machine = machine(Generation::Gen12);
        let mut memory = Memory::of(&mut machine);
        let [low, high] = split(destination.base);
        let [from_low, from_high] = split(source.base);
        let dwords = if block {
            let control = |surface: &Surface| {
                let tiled = surface.tiling == Tiling::Y;
                let pitch = if tiled { surface.pitch / 4 } else { surface.pitch };
                u32::from(tiled) << 30 | (pitch as u32 - 1)
            };
            let depth = [0, 1, 2, 3, 5][depth] << 19;
            vec![
                0x5040_000a | depth, control(&destination), point(x1, y1), point(x2, y2), low, high, 1 << 31,
                point(from.0, from.1), control(&source), from_low, from_high, 1 << 31,
            ]
        } else {
            let code = |surface: &Surface| surface.tiling as u32;
            let depth = [0, 1, 3, 4, 5][depth] << 24;
            vec![
                0x5080_0008 | code(&source) << 20 | code(&destination) << 13, depth | destination.field(),
                point(x1, y1), point(x2, y2), low, high, point(from.0, from.1), source.field(), from_low, from_high,
            ]
        };
        prop_assert_eq!(machine.ring(&dwords), Outcome::RingEmpty);
        machine.assert_clean();
        for y in 0..y2 - y1 {
            for x in 0..(x2 - x1) * bytes {
                let value = *memory.byte(source.address(from.0 * bytes + x, from.1 + y));
                *memory.byte(destination.address(x1 * bytes + x, y1 + y)) = value;
            }
        }
        let after = Memory::of(&mut machine);
        prop_assert!(after.destination == memory.destination && after.source == memory.source);
    }
}

/// XY_COLOR_BLT with the golden header of PRM vol 2a, 32 bits per pixel.
fn color(base: u64, pitch: u32, rect: (i64, i64, i64, i64), colour: u32) -> [u32; 7] {
    let [low, high] = split(base);
    let (x1, y1, x2, y2) = rect;
    [0x5430_0005, 0x03f0_0000 | pitch, point(x1, y1), point(x2, y2), low, high, colour]
}

#[test]
fn a_colour_fill_paints_a_rectangle_on_every_generation() {
    for generation in GENERATIONS {
        let mut machine = Machine::new(generation, BCS);
        assert_eq!(machine.batch(&color(DATA, 256, (2, 1, 5, 3), 0xff11_2233)), Outcome::RingEmpty);
        for y in 0..4 {
            for x in 0..8 {
                let inside = (2..5).contains(&x) && (1..3).contains(&y);
                let expected = if inside { 0xff11_2233 } else { 0 };
                assert_eq!(machine.read(Space::Ppgtt, DATA + y * 256 + x * 4), expected, "{x} {y}");
            }
        }
        machine.assert_clean();
        assert!(
            machine
                .bus
                .events
                .iter()
                .any(|event| matches!(event, TraceEvent::Blit { command: "XY_COLOR_BLT", pixels: 6, .. }))
        );
    }
}

#[test]
fn empty_and_inverted_rectangles_draw_nothing() {
    for rect in [(5, 5, 5, 9), (5, 5, 9, 5), (9, 5, 5, 9), (0, 9, 9, 0)] {
        let mut machine = Machine::new(Generation::Gen9, BCS);
        machine.ring(&color(DATA, 256, rect, 1));
        assert!(machine.bytes(Space::Ppgtt, DATA, 0x2000).iter().all(|&byte| byte == 0));
        machine.assert_clean();
    }
}

#[test]
fn negative_coordinates_of_a_linear_surface_reach_in_front_of_its_base() {
    let mut machine = Machine::new(Generation::Gen9, BCS);
    machine.ring(&color(DATA + 0x1000, 256, (-2, -1, 0, 0), 7));
    assert_eq!(machine.read(Space::Ppgtt, DATA + 0x1000 - 256 - 8), 7);
    assert_eq!(machine.read(Space::Ppgtt, DATA + 0x1000 - 256 - 4), 7);
    assert_eq!(machine.read(Space::Ppgtt, DATA + 0x1000 - 256), 0);
}

#[test]
fn a_large_blit_takes_several_steps_and_is_marked_as_unfinished() {
    let mut machine = Machine::new(Generation::Gen12, BCS);
    machine.submit(&color(DATA, 4096, (0, 0, 1024, 256), 0xabcd));
    let step = machine.state.step(&mut machine.bus, 100);
    assert_eq!((step.executed, step.outcome), (0, Outcome::BudgetSpent));
    assert!(machine.state.is_mid_command());
    assert_eq!(machine.state.head_offset(), 0);
    assert_eq!(machine.run(), Outcome::RingEmpty);
    assert!(machine.bytes(Space::Ppgtt, DATA, 0x10_0000).chunks(4).all(|pixel| pixel == [0xcd, 0xab, 0, 0]));
    let blits = machine.bus.events.iter().filter(|event| matches!(event, TraceEvent::Blit { .. })).count();
    assert_eq!(blits, 1);
}

#[test]
fn a_fault_inside_a_blit_names_the_page_and_leaves_the_rows_before_it() {
    let mut machine = Machine::new(Generation::Gen9, BCS);
    let end = support::PPGTT_BASE + support::MEMORY as u64;
    let Outcome::Fault(fault) = machine.ring(&color(end - 0x2000, 4096, (0, 0, 4, 4), 9)) else { panic!() };
    assert_eq!(fault.fault.address, end);
    assert_eq!(machine.read(Space::Ppgtt, end - 0x1000), 9);
}

#[test]
fn rules_of_the_legacy_blits_are_reported() {
    let [low, high] = split(DATA);
    let rect = [point(0, 0), point(4, 4)];
    let colour =
        |header: u32, control: u32, low: u32| [0x5430_0005 | header, control, rect[0], rect[1], low, high, 0];
    let cases: [(&[u32], &str); 9] = [
        (&colour(1 << 11, 0x03f0_0080, low + 0x100), "start at a page"),
        (&colour(1 << 11, 0x03f0_0090, low), "multiple of the tile"),
        (&colour(1 << 12, 0x03f0_0100, low), "reserved header bits"),
        (&colour(0, 0x83f0_0100, low), "dword 1"),
        (&colour(0, 0x03cc_0100, low), "needs a source"),
        (&colour(0, 0x43f0_0100, low), "clip rectangle"),
        (&[0x5430_0006, 0x03f0_0100, rect[0], rect[1], low, high, 0, 0], "exceeds the command"),
        (&[0x54f0_0008, 0x03f0_0100, rect[0], rect[1], low, high, 0, 0x100, low, high], "needs a pattern"),
        (&[0x54f0_0008, 0x03cc_0100, rect[0], rect[1], low, high, 0, 0x1_0100, low, high], "source pitch"),
    ];
    for (dwords, rule) in cases {
        let mut machine = Machine::new(Generation::Gen9, BCS);
        assert_eq!(machine.ring(dwords), Outcome::RingEmpty);
        machine.assert_broken(rule);
    }
}

#[test]
fn rectangles_beyond_the_pitch_of_tiled_surfaces_are_reported_and_cut() {
    let [low, high] = split(DATA);
    let mut machine = Machine::new(Generation::Gen9, BCS);
    // 512 bytes are 128 pixels; x goes from -1 to 200.
    machine.ring(&[0x5430_0805, 0x03f0_0080, point(-1, 0), point(200, 1), low, high, 0x0101_0101]);
    machine.assert_broken("inside the pitch");
    assert!(machine.bytes(Space::Ppgtt, DATA, 512).iter().all(|&byte| byte == 1));
    assert!(machine.bytes(Space::Ppgtt, DATA + 512, 4096).iter().all(|&byte| byte == 0));
    let mut source = Machine::new(Generation::Gen9, BCS);
    source.ring(&[0x54f0_8008, 0x03cc_0100, 0, point(4, 4), low, high, point(126, 0), 0x80, low, high]);
    source.assert_broken("tiled source");
}

#[test]
fn rules_of_the_fast_copy_are_reported() {
    let [low, high] = split(DATA);
    let copy = |header: u32, control: u32, lower: u32, from: u32, pitch: u32| {
        [0x5080_0008 | header, control, 0, lower, low, high, from, pitch, low, high]
    };
    let cases = [
        (Generation::Gen9, copy(0, 0x0300_0108, point(4, 4), point(64, 0), 0x110), "multiples of 16"),
        (Generation::Gen9, copy(0, 0x0300_0100, point(4, 4), point(3, 3), 0x100), "must not overlap"),
        (Generation::Gen11, copy(0, 0x0300_0100, point(4, 7), point(8, 8), 0x100), "Wa_1209644611"),
        (
            Generation::Gen9,
            copy(1 << 13, 0x0300_0090, point(4, 4), point(8, 8), 0x100),
            "multiple of the tile",
        ),
    ];
    for (generation, dwords, rule) in cases {
        let mut machine = Machine::new(generation, BCS);
        assert_eq!(machine.ring(&dwords), Outcome::RingEmpty);
        machine.assert_broken(rule);
    }
}

#[test]
fn rules_of_the_block_copy_are_reported() {
    let [low, high] = split(DATA);
    // The pitch fields hold the pitch minus one; Y tiles are 128 bytes wide, a page in size, and pitches count dwords.
    let copy = |control: u32, low: u32, from: u32, pitch: u32| {
        [0x5050_000a, control, 0, point(4, 4), low, high, 0, from, pitch, low, high, 0]
    };
    let cases = [
        (copy(0x107, low, point(64, 0), 0xff), "multiples of 16"),
        (copy(0xff, low, point(3, 3), 0xff), "must not overlap"),
        (copy(1 << 30 | 0x2f, low, point(8, 8), 0xff), "multiple of the tile"),
        (copy(1 << 30 | 0x3f, low + 0x40, point(8, 8), 0xff), "start at a page"),
    ];
    for (dwords, rule) in cases {
        let mut machine = Machine::new(Generation::Gen12, BCS);
        assert_eq!(machine.ring(&dwords), Outcome::RingEmpty);
        machine.assert_broken(rule);
    }
}

#[test]
fn tilings_and_compression_outside_the_model_are_skipped_and_reported() {
    let [low, high] = split(DATA);
    for (header, control) in [(3 << 20, 0), (2 << 20, 1 << 31), (2 << 13, 1 << 30)] {
        let mut machine = Machine::new(Generation::Gen9, BCS);
        machine.ring(&[0x5080_0008 | header, 0x0300_0100 | control, 0, 0, low, high, 0, 0x100, low, high]);
        assert_eq!(machine.unexecuted(), ["XY_FAST_COPY_BLT"]);
    }
    for (header, control) in [(1 << 12, 0), (0, 1 << 29), (0, 5 << 18), (0, 1 << 28)] {
        let mut machine = Machine::new(Generation::Gen12, BCS);
        machine.ring(&[0x5050_000a | header, 0xff | control, 0, 0, low, high, 0, 0, 0xff, low, high, 0]);
        assert_eq!(machine.unexecuted(), ["XY_BLOCK_COPY_BLT"]);
    }
}

#[test]
fn depths_and_tilings_that_do_not_exist_hang() {
    let cases: [(Generation, &[u32]); 4] = [
        (Generation::Gen9, &[0x5080_0008, 0x0200_0100, 0, 0, 0, 0, 0, 0x100, 0, 0]),
        (Generation::Gen9, &[0x5080_0008, 0x0600_0100, 0, 0, 0, 0, 0, 0x100, 0, 0]),
        (Generation::Gen12, &[0x5070_000a, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0]),
        (Generation::Gen12, &[0x5050_000a, 0x8000_00ff, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0]),
    ];
    for (generation, dwords) in cases {
        let mut machine = Machine::new(generation, BCS);
        let Outcome::Error(error) = machine.ring(dwords) else { panic!("{:#x}", dwords[0]) };
        assert_eq!(error.kind, ErrorKind::BadField);
    }
}

#[test]
fn copies_exist_since_their_generation() {
    for (generation, header) in [(Generation::Gen8, 0x5080_0008), (Generation::Gen11, 0x5040_000a)] {
        let mut machine = Machine::new(generation, BCS);
        let Outcome::Error(error) = machine.ring(&[header, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) else {
            panic!()
        };
        assert_eq!(error.kind, ErrorKind::UnknownCommand);
    }
}

#[test]
fn other_blits_are_skipped_by_their_length_and_reported() {
    let mut machine = Machine::new(Generation::Gen9, BCS);
    let [low, high] = split(DATA);
    // XY_PAT_BLT, XY_SETUP_BLT, XY_TEXT_IMMEDIATE_BLT, then a marker.
    let mut dwords = vec![0x5440_0006];
    dwords.extend([u32::MAX; 7]);
    dwords.extend([0x4040_0008]);
    dwords.extend([u32::MAX; 9]);
    dwords.extend([0x4c40_0020]);
    dwords.extend([u32::MAX; 33]);
    dwords.extend([0x1000_0002, low, high, 42]);
    assert_eq!(machine.ring(&dwords), Outcome::RingEmpty);
    assert_eq!(machine.unexecuted(), ["XY_PAT_BLT", "XY_SETUP_BLT", "XY_TEXT_IMMEDIATE_BLT"]);
    assert_eq!(machine.read(Space::Ppgtt, DATA), 42);
}

#[test]
fn unknown_blits_and_short_ones_hang() {
    for (dwords, kind) in [
        ([0x4080_0000, 0, 0, 0], ErrorKind::UnknownCommand),
        ([0x5430_0002, 0, 0, 0], ErrorKind::BadLength),
        ([0x40c0_0000, 0, 0, 0], ErrorKind::BadLength),
    ] {
        let mut machine = Machine::new(Generation::Gen9, BCS);
        let Outcome::Error(error) = machine.ring(&dwords) else { panic!("{kind:?}") };
        assert_eq!(error.kind, kind);
    }
}

#[test]
fn a_block_copy_adds_its_offsets() {
    let mut machine = machine(Generation::Gen12);
    let ([low, high], [from_low, from_high]) = (split(DATA), split(SOURCE));
    machine.ring(&[
        0x5050_000a,
        0xff,
        point(1, 1),
        point(3, 2),
        low,
        high,
        0x8002_0003,
        point(0, 0),
        0xff,
        from_low,
        from_high,
        0x8001_0005,
    ]);
    // Destination (1 + 3, 1 + 2), source (5, 1), two pixels.
    let expected = machine.bytes(Space::Ppgtt, SOURCE + 256 + 20, 8);
    assert_eq!(machine.bytes(Space::Ppgtt, DATA + 3 * 256 + 16, 8), expected);
    machine.assert_clean();
}
