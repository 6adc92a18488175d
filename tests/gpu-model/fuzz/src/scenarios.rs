// SPDX-License-Identifier: BSD-2-Clause
//! What a hostile guest can do, driven by bytes. Shared by the fuzz targets and by the property tests that run
//! with the others. A scenario fails by panicking; that it does not is the property, with those asserted here.

#![allow(dead_code, unreachable_pub, reason = "each fuzz target uses one scenario")]
#![allow(clippy::cast_possible_truncation, reason = "numbers out of arbitrary bytes")]

use std::sync::Arc;

use gpu_model::memory::GuestMemory as _;
use gpu_model::memory::vtd::{Registers, Vtd};
use gpu_model::platform::{PLATFORMS, engines::EngineFacts};
use gpu_model::ppgtt::{self, Root, Switches};
use gpu_model::proxy::message::{Parsed, parse};
use gpu_model::{Bar, Gpu, Options, Platform, Timing, VecMemory};

/// Device address of the memory of all scenarios.
const BASE: u64 = 0x10_0000;
const MEMORY: usize = 1 << 20;

/// Numbers out of bytes; zeros when they are used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn number(&mut self, len: usize) -> u64 {
        let len = len.min(self.0.len());
        let (head, rest) = self.0.split_at(len);
        self.0 = rest;
        head.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn platform(&mut self) -> &'static Platform {
        &PLATFORMS[self.number(1) as usize % PLATFORMS.len()]
    }
}

/// Offsets that have effects, so that random accesses find them.
const HOT: [u32; 40] = [
    0x30, 0x34, 0x38, 0x3c, 0x80, 0x9c, 0xa8, 0xb0, 0xb4, 0xd0, 0x230, 0x234, 0x244, 0x270, 0x29c, 0x3a0,
    0x3a8, 0x4d0, 0x510, 0x514, 0x518, 0x51c, 0x550, 0x600, 0x941c, 0xa188, 0xa270, 0xa278, 0xa540, 0x4260,
    0xced8, 0x40e0, 0x4800, 0x4_4200, 0x4_4304, 0x10_1008, 0x13_8124, 0x19_0010, 0x19_0070, 0x10_0000,
];
const BASES: [u32; 8] = [0, 0x2000, 0x2_2000, 0x1_2000, 0x1_a000, 0x1c_0000, 0x1c_8000, 0x1d_0000];

/// Any accesses to configuration space and BARs, with time between.
pub fn registers(data: &[u8]) {
    let mut bytes = Bytes(data);
    let platform = bytes.platform();
    let timing =
        [Timing::Instant, Timing::Deferred, Timing::Busy, Timing::Silent][bytes.number(1) as usize % 4];
    let options = Options { timing, trace: true, instant_budget: 2000, ..Options::default() };
    let mut gpu = Gpu::new(platform, options, Box::new(VecMemory::new(BASE, MEMORY)));
    gpu.config_write(4, 2, 6);
    while !bytes.is_empty() {
        let kind = bytes.number(1);
        let size = 1 << (kind >> 6);
        match kind % 12 {
            0 => gpu.config_write(bytes.number(2) as u32, size, bytes.number(4) as u32),
            1 => _ = gpu.config_read(bytes.number(4) as u32, size),
            2 => gpu.bar_write(Bar::Registers, bytes.number(4), size, bytes.number(8)),
            3 => _ = gpu.bar_read(Bar::Registers, bytes.number(4), size),
            4 => gpu.bar_write(Bar::Aperture, bytes.number(4), size, bytes.number(8)),
            5 => _ = gpu.bar_read(Bar::Aperture, bytes.number(4), size),
            6 => gpu.bar_write(Bar::Registers, (8 << 20) + 8 * bytes.number(3), 8, bytes.number(8)),
            7 | 8 => {
                let offset =
                    BASES[bytes.number(1) as usize % BASES.len()] + HOT[bytes.number(1) as usize % HOT.len()];
                gpu.write32(offset, bytes.number(4) as u32);
            }
            9 => {
                let offset =
                    BASES[bytes.number(1) as usize % BASES.len()] + HOT[bytes.number(1) as usize % HOT.len()];
                let _ = gpu.read32(offset);
            }
            10 => _ = gpu.step(bytes.number(2)),
            _ => gpu.advance(bytes.number(4)),
        }
        while gpu.take_msi().is_some() {}
    }
    assert!(!gpu.trace().is_empty());
    let _ = gpu.register_listing();
}

/// An engine that was brought up by the book, with a context in memory.
struct Prepared {
    gpu: Gpu,
    memory: VecMemory,
    legacy: bool,
    base: u32,
    /// Upper half of the context's descriptor.
    descriptor: u32,
    /// The submission has a second element.
    second: bool,
    /// Another engine that works at the same time on `SECOND_IMAGE`: its base, and upper half of its descriptor.
    other: Option<(u32, u32)>,
}

/// Where things are in the GGTT. Behind the status page at 0x1000 and the image at 0x10000:
const REGISTER_PAGE: u64 = 0x1_1000;
/// The render engine's registers outside of the documented list, in its image's third page.
const RENDER_PAGE: u64 = 0x1_2000;
/// A second context, for element 1 or for another engine.
const SECOND_IMAGE: u64 = 0x2_0000;
const RING: u64 = 0x3_0000;
const SECOND_RING: u64 = 0x3_4000;
/// The batches of a restore, both in one page: per context, and indirect.
const CONTEXT_BATCH: u64 = 0x3_8000;
const INDIRECT_BATCH: u64 = CONTEXT_BATCH + 0x800;
/// The four levels of tables, a page each; the last maps the addresses from 0 on to the batch.
const TABLES: u64 = 0x4_0000;
const BATCH: u64 = 0x5_0000;
const BATCH_PAGES: u64 = 64;

/// Memory address of a GGTT address.
const fn at(ggtt: u64) -> u64 {
    BASE + ggtt - 0x1000
}

impl Prepared {
    fn new(bytes: &mut Bytes<'_>) -> Self {
        let platform = bytes.platform();
        let memory = VecMemory::new(BASE, MEMORY);
        let options = Options { timing: Timing::Deferred, trace: true, ..Options::default() };
        let mut gpu = Gpu::new(platform, options, Box::new(memory.clone()));
        let legacy = platform.is_legacy();
        gpu.config_write(4, 2, 6);
        for request in [0xa188, 0xa278, 0xa270, 0xa540, 0xa548, 0xa560] {
            gpu.write32(request, 0x0001_0001);
        }
        for page in 0..(MEMORY as u64) / 4096 {
            gpu.bar_write(Bar::Registers, (8 << 20) + 8 * (page + 1), 8, (BASE + page * 4096) | 1);
        }
        gpu.write32(0x10_1008, 1);
        let first = bytes.number(1) as usize % platform.engines.len();
        let base = platform.engines[first].engine.base;
        // What the submission has besides its context: bit 0 a per-context batch, 1 an indirect one, 2 a second element,
        // 3 a context that runs on another engine at the same time, which takes the second element's place.
        let extras = bytes.number(1);
        let other = (extras & 8 != 0).then(|| &platform.engines[(first + 1) % platform.engines.len()]);
        let other_base = other.map_or(base, |facts| facts.engine.base);
        for base in [base, other_base] {
            gpu.write32(base + 0x29c, if legacy { 0x8000_8000 } else { 0x0008_0008 });
            gpu.write32(base + 0x80, 0x1000);
            gpu.write32(base + 0xb4, 0xffff_fffe);
        }
        let per_context = if extras & 1 == 0 { 0 } else { CONTEXT_BATCH as u32 | 1 };
        let indirect = if extras & 2 == 0 { 0 } else { INDIRECT_BATCH as u32 | 4 };
        assert!(memory.set_u32(at(CONTEXT_BATCH) + 4 * 16, 0x0500_0000));
        let image = |base: u32, ring: u64| {
            [
                // Head and tail stand in the slots where every part has them.
                (1, 0x1100_1007 | if legacy { 0 } else { 1 << 19 }),
                (2, base + 0x244),
                (3, 0x0009_0009),
                (4, base + 0x34),
                (6, base + 0x30),
                (7, 0x800),
                (8, base + 0x38),
                (9, ring as u32),
                (10, 0x1100_1003 | if legacy { 0 } else { 1 << 19 }),
                (11, base + 0x3c),
                (12, 0x3001),
                (13, base + 0x270),
                (14, at(TABLES) as u32),
                (15, 0x1100_1003 | if legacy { 0 } else { 1 << 19 }),
                (16, base + 0x1c0),
                (17, per_context),
                (18, base + 0x1c4),
                (19, indirect),
                (20, 0x0500_0000),
            ]
        };
        for (page, base, ring) in
            [(REGISTER_PAGE, base, RING), (SECOND_IMAGE + 0x1000, other_base, SECOND_RING)]
        {
            for (dword, value) in image(base, ring) {
                assert!(memory.set_u32(at(page) + 4 * dword, value));
            }
        }
        for level in 0..3 {
            let (table, next) = (at(TABLES + 0x1000 * level), at(TABLES + 0x1000 * (level + 1)));
            assert!(memory.set_u64(table, next | 3));
        }
        for page in 0..BATCH_PAGES {
            assert!(memory.set_u64(at(TABLES + 0x3000) + 8 * page, (at(BATCH) + 0x1000 * page) | 3));
        }
        let descriptor = |facts: &EngineFacts, id: u32| {
            if legacy {
                id
            } else {
                id << 5 | u32::from(facts.engine.instance) << 16 | u32::from(facts.hw_class) << 29
            }
        };
        let second = extras & 0xc == 4;
        let other = other.map(|facts| (facts.engine.base, descriptor(facts, 6)));
        let descriptor = descriptor(&platform.engines[first], 5);
        Self { gpu, memory, legacy, base, descriptor, second, other }
    }

    /// Writes both elements of a submission, halves as (low, high).
    fn write_ports(&mut self, base: u32, (low, high): (u32, u32), (low1, high1): (u32, u32)) {
        let gpu = &mut self.gpu;
        if self.legacy {
            for value in [high1, low1, high, low] {
                gpu.write32(base + 0x230, value);
            }
        } else {
            for (offset, value) in [(0x518, low1), (0x51c, high1), (0x510, low), (0x514, high), (0x550, 1)] {
                gpu.write32(base + offset, value);
            }
        }
    }

    /// Submits the context twice, its descriptor with these bits flipped, and lets it work, and the other engine beside it.
    fn submit(&mut self, flip: u64) {
        let low = 0x1_0119 ^ (flip as u32 & 0x1fff_0fff);
        let high = self.descriptor ^ (flip >> 32) as u32;
        let (low1, high1) = match (self.second, self.legacy) {
            (false, _) => (0, 0),
            (true, true) => (SECOND_IMAGE as u32 | 0x119, self.descriptor + 1),
            (true, false) => (SECOND_IMAGE as u32 | 0x119, self.descriptor + (1 << 5)),
        };
        let base = self.base;
        for round in 0..2 {
            self.write_ports(base, (low, high), (low1, high1));
            if let Some((base, high)) = self.other {
                self.write_ports(base, (SECOND_IMAGE as u32 | 0x119, high), (0, 0));
            }
            let gpu = &mut self.gpu;
            let budget = 3000 + 100 * round;
            let done = gpu.step(budget);
            assert!(done <= budget, "{done} units");
            let _ = gpu.read32(base + 0x74);
            let _ = gpu.read32(base + 0x234);
        }
        // Whatever happened, a full reset brings the engine back.
        self.gpu.write32(0x941c, 1);
        assert!(!self.gpu.is_busy());
        let _ = self.gpu.trace();
    }

    /// Whether the context ran to the end of its ring, and that of the other engine: only a save writes the head, as the
    /// image describes it.
    fn ended(&self) -> bool {
        let ended = |page| self.memory.get_u32(at(page) + 4 * 5) == Some(0x800);
        ended(REGISTER_PAGE) && (self.other.is_none() || ended(SECOND_IMAGE + 0x1000))
    }
}

/// Spoils a good context's image, ring, tables and batch, and its descriptor, and submits it. Answers whether the
/// context ran to the end of its ring.
pub fn submission(data: &[u8]) -> bool {
    let mut bytes = Bytes(data);
    let mut prepared = Prepared::new(&mut bytes);
    let areas = [
        REGISTER_PAGE,
        RING,
        RING,
        TABLES,
        TABLES + 0x3000,
        BATCH,
        CONTEXT_BATCH,
        INDIRECT_BATCH,
        RENDER_PAGE,
        SECOND_IMAGE + 0x1000,
        SECOND_RING,
    ];
    let count = bytes.number(1);
    for _ in 0..count {
        let area = areas[bytes.number(1) as usize % areas.len()];
        let offset = bytes.number(2) & 0xffc;
        let len = 1 + bytes.number(1) % 32;
        for dword in 0..len {
            let value = bytes.number(4) as u32;
            let _ = prepared.memory.set_u32(at(area + offset + 4 * dword), value);
        }
        if bytes.is_empty() {
            break;
        }
    }
    prepared.submit(bytes.number(8));
    prepared.ended()
}

/// Any commands, in a batch or (the fourth byte's bit 0 clear) in the ring. Its bit 1 makes the batch privileged. Another
/// engine that works beside runs the same batch.
/// Answers whether the context ran to the end of its ring.
pub fn commands(data: &[u8]) -> bool {
    let mut bytes = Bytes(data);
    let mut prepared = Prepared::new(&mut bytes);
    let place = bytes.number(1);
    let area = if place & 1 == 0 { RING } else { BATCH };
    // MI_BATCH_BUFFER_START, first level, of the PPGTT or (privileged) of the GGTT.
    let start = match place & 3 {
        3 => [0x1880_0001, BATCH as u32, 0],
        _ => [0x1880_0101, 0, 0],
    };
    for (dword, value) in start.into_iter().enumerate() {
        for ring in [RING, SECOND_RING] {
            assert!(place & 1 == 0 || prepared.memory.set_u32(at(ring) + 4 * dword as u64, value));
        }
    }
    let mut dword = 0;
    while !bytes.is_empty() && dword < 0x1ff {
        assert!(prepared.memory.set_u32(at(area) + 4 * dword, bytes.number(4) as u32));
        dword += 1;
    }
    if place & 1 != 0 {
        assert!(prepared.memory.set_u32(at(BATCH) + 4 * dword, 0x0500_0000));
    }
    prepared.submit(0);
    prepared.ended()
}

/// DMA through VT-d tables that say anything.
pub fn remapping(data: &[u8]) {
    /// Pages of tables, the root's first.
    const PAGES: u64 = 8;
    let mut bytes = Bytes(data);
    let memory = VecMemory::new(BASE, (PAGES * 4096) as usize);
    let registers = Arc::new(Registers::default());
    registers.set(bytes.number(1) & 1 == 0, BASE + (bytes.number(1) << 12));
    let mut iommu = Vtd::new(memory.clone(), Arc::clone(&registers), 0, 2, 0);
    while !bytes.is_empty() {
        match bytes.number(1) % 4 {
            0 | 1 => {
                // An entry that mostly points into the tables, where a walk looks for it.
                let index = [0, 32, 33, bytes.number(2) % 512][bytes.number(1) as usize % 4];
                let place = BASE + ((bytes.number(1) % PAGES) << 12) + 8 * index;
                let flags = bytes.number(1);
                let next = BASE + ((bytes.number(1) % PAGES) << 12);
                let wild = if flags & 0x80 == 0 { 0 } else { bytes.number(8) };
                assert!(memory.set_u64(place, next | flags | wild));
            }
            2 => {
                let (address, write) = (bytes.number(6), bytes.number(1) & 1 != 0);
                match iommu.translate(address, write) {
                    Ok(physical) => assert_eq!(physical & 0xfff, address & 0xfff),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
            _ => {
                let address = bytes.number(8) & !7;
                let mut buffer = [0; 8];
                let _ = iommu.read(address, &mut buffer);
                let _ = iommu.write(address, &buffer);
                let _ = iommu.compare_exchange(address, 8, 0, 1);
            }
        }
    }
    assert!(registers.faults().len() <= 256);
}

/// A page-table walk through arbitrary memory.
pub fn tables(data: &[u8]) {
    let mut bytes = Bytes(data);
    let platform = bytes.platform();
    let three = bytes.number(1) & 1 != 0;
    let switches = Switches { large_pages: bytes.number(1) & 1 != 0, gtt_cache: bytes.number(1) & 1 != 0 };
    let address = bytes.number(8);
    let root = |bytes: &mut Bytes<'_>| BASE + (bytes.number(1) << 12);
    let root = if three {
        Root::Three([root(&mut bytes), root(&mut bytes), root(&mut bytes), root(&mut bytes)])
    } else {
        Root::Four(root(&mut bytes))
    };
    let mut memory = VecMemory::new(BASE, 0x1_0000);
    // Entries that mostly point into the memory: page number and flag bits.
    let mut at = BASE;
    while !bytes.is_empty() {
        let skip = bytes.number(1);
        at = BASE + (at - BASE + 8 * skip) % 0x1_0000;
        let entry = bytes.number(2);
        let wild = if entry & 0x8000 != 0 { bytes.number(8) } else { 0 };
        let _ = memory.set_u64(at, (BASE + ((entry & 0x70) << 8)) | (entry & 0xf8f) | wild);
    }
    let mut findings = 0;
    let result = ppgtt::walk(&mut memory, platform, &root, address, switches, &mut |_| findings += 1);
    if let Ok(leaf) = result {
        assert_eq!(leaf.page & 0xfff, 0);
        assert!(matches!(leaf.size, 0x1000 | 0x1_0000 | 0x20_0000));
        assert!(leaf.page < 1 << 46);
        assert!(leaf.size != 0x1_0000 || platform.large_pages);
    }
    assert!(findings <= 8, "one or two a level");
}

/// Bytes on the proxy socket.
pub fn protocol(data: &[u8]) {
    let mut rest = data;
    while let Parsed::Message(request, len) = parse(rest) {
        assert!(len > 0 && len <= rest.len());
        assert!(request.descriptors() <= 8);
        rest = &rest[len..];
    }
}

/// A record that somebody made up: with its own first line if it begins with `g`, else with one that is good.
pub fn replay(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let text =
        if text.starts_with('g') { text.to_owned() } else { format!("gpu tgl instant budget=7d0\n{text}") };
    // Work without end takes its time, here as in the run that was recorded.
    let digits = |word: &str| word.strip_prefix("budget=").unwrap_or(word).trim_start_matches('0').len();
    let works = |line: &str| line.starts_with("gpu") || line.trim_start().starts_with('s');
    if text
        .lines()
        .filter(|line| works(line))
        .any(|line| line.split_whitespace().any(|word| digits(word) > 7))
    {
        return;
    }
    let _ = gpu_model::record::replay(&mut text.as_bytes(), Options::default());
}
