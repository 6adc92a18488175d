// SPDX-License-Identifier: BSD-2-Clause
//! A minimal driver for tests of the model, written from the hardware documentation (register offsets, image
//! headers and command dwords are literals from there), not from the model's tables and not from the project's
//! driver.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of the rig")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation, reason = "test support")]

use gpu_model::{Bar, Gpu, GuestMemory, Msi, Options, Platform, Report, Rule, Timing, VecMemory, by_name};

/// Device address of the memory, and its size in bytes.
pub const MEMORY_BASE: u64 = 0x100_0000;
pub const MEMORY_SIZE: usize = 32 << 20;
/// GGTT address of everything that the rig maps.
const GGTT_BASE: u32 = 0x10_0000;
pub const MSI: Msi = Msi { address: 0xfee0_0000, data: 0x35 };

/// One logical context.
#[derive(Clone, Debug)]
pub struct Context {
    pub engine: &'static str,
    pub base: u32,
    pub id: u32,
    /// GGTT and device address of the image.
    pub lrca: u32,
    pub image: u64,
    /// GGTT and device address of the 16 KiB ring.
    pub ring: u32,
    pub ring_memory: u64,
    pub tail: u32,
    pub pml4: u64,
    pub submitted: bool,
    /// Engine class and instance numbers.
    pub class: u32,
    pub instance: u32,
}

pub const RING_SIZE: u32 = 0x4000;

/// The machine.
pub struct Rig {
    pub gpu: Gpu,
    pub memory: VecMemory,
    pub platform: &'static Platform,
    next_page: u64,
    next_ggtt: u32,
    next_id: u32,
    /// Status page per engine: (name, GGTT, memory).
    pub status: Vec<(&'static str, u32, u64)>,
    /// Next status event to read, per engine in the order of `status`.
    pub csb: Vec<u32>,
}

/// Name, MMIO base, class, instance.
pub fn engines(platform: &Platform) -> Vec<(&'static str, u32, u32, u32)> {
    let legacy = matches!(platform.device_id, 0x1616 | 0x1912 | 0x5917 | 0x3185);
    let (vcs, vecs) = if legacy { (0x1_2000, 0x1_a000) } else { (0x1c_0000, 0x1c_8000) };
    let mut list =
        vec![("rcs0", 0x2000, 0, 0), ("bcs0", 0x2_2000, 3, 0), ("vcs0", vcs, 1, 0), ("vecs0", vecs, 2, 0)];
    if !legacy && platform.device_id != 0x4c8a {
        list.push(("vcs2", 0x1d_0000, 1, 2));
    }
    list
}

impl Rig {
    pub fn new(name: &str) -> Self {
        Self::with(name, Options::default())
    }

    pub fn deferred(name: &str) -> Self {
        Self::with(name, Options { timing: Timing::Deferred, ..Options::default() })
    }

    pub fn with(name: &str, options: Options) -> Self {
        let mut rig = Self::cold(name, options);
        rig.bring_up();
        rig
    }

    /// Powered on, nothing initialised.
    pub fn cold(name: &str, options: Options) -> Self {
        Self::behind(name, options, |memory| Box::new(memory))
    }

    /// As `cold`, with something between the GPU and its memory.
    pub fn behind(
        name: &str,
        options: Options,
        wrap: impl FnOnce(VecMemory) -> Box<dyn GuestMemory>,
    ) -> Self {
        let platform = by_name(name).unwrap();
        let memory = VecMemory::new(MEMORY_BASE, MEMORY_SIZE);
        let gpu = Gpu::new(platform, options, wrap(memory.clone()));
        Self {
            gpu,
            memory,
            platform,
            next_page: MEMORY_BASE,
            next_ggtt: GGTT_BASE,
            next_id: 1,
            status: Vec::new(),
            csb: Vec::new(),
        }
    }

    pub fn is_legacy(&self) -> bool {
        matches!(self.platform.device_id, 0x1616 | 0x1912 | 0x5917 | 0x3185)
    }

    pub fn is_gen12(&self) -> bool {
        matches!(self.platform.device_id, 0x9a49 | 0x4c8a | 0x4680)
    }

    pub fn base(&self, engine: &str) -> u32 {
        engines(self.platform).iter().find(|(name, ..)| *name == engine).unwrap().1
    }

    pub fn write(&mut self, offset: u32, value: u32) {
        self.gpu.write32(offset, value);
    }

    pub fn read(&mut self, offset: u32) -> u32 {
        self.gpu.read32(offset)
    }

    pub fn pages(&mut self, count: u64) -> u64 {
        let page = self.next_page;
        self.next_page += count * 0x1000;
        page
    }

    /// Maps `count` new pages into the GGTT; answers GGTT address and device address.
    pub fn ggtt_pages(&mut self, count: u32) -> (u32, u64) {
        let memory = self.pages(u64::from(count));
        let ggtt = self.next_ggtt;
        self.next_ggtt += count * 0x1000;
        for page in 0..count {
            self.map_ggtt(ggtt + page * 0x1000, memory + u64::from(page) * 0x1000);
        }
        self.flush_ggtt();
        (ggtt, memory)
    }

    pub fn map_ggtt(&mut self, ggtt: u32, memory: u64) {
        self.gpu.bar_write(Bar::Registers, (8 << 20) + u64::from(ggtt >> 12) * 8, 8, memory | 1);
    }

    pub fn flush_ggtt(&mut self) {
        self.write(0x10_1008, 1);
    }

    pub fn forcewake(&mut self) {
        let requests: &[u32] = match self.platform.device_id {
            0x1616 => &[0xa188],
            0x1912 | 0x5917 | 0x3185 => &[0xa188, 0xa278, 0xa270],
            0x4c8a => &[0xa188, 0xa278, 0xa540, 0xa560],
            _ => &[0xa188, 0xa278, 0xa540, 0xa548, 0xa560],
        };
        for request in requests {
            self.write(*request, 0x0001_0001);
        }
    }

    pub fn program_pat(&mut self) {
        match self.platform.device_id {
            0x1616 => {
                self.write(0x40e0, 0x000a_0907);
                self.write(0x40e4, 0x3b2b_1b0b);
            }
            0x1912 | 0x5917 => {
                self.write(0x40e0, 0x0003_0907);
                self.write(0x40e4, 0x3b2b_1b0b);
            }
            0x3185 => {
                self.write(0x40e0, 0x0000_0040);
                self.write(0x40e4, 0x4040_4040);
            }
            0x8a52 => {
                for (i, value) in [7, 9, 3, 0, 0xb, 0x1b, 0x2b, 0x3b].into_iter().enumerate() {
                    self.write(0x40e0 + 4 * i as u32, value);
                }
            }
            _ => {
                for (i, value) in [3, 1, 2, 0, 3, 3, 3, 3].into_iter().enumerate() {
                    self.write(0x4800 + 4 * i as u32, value);
                }
            }
        }
    }

    pub fn enable_msi(&mut self) {
        let at = if self.platform.device_id == 0x1616 { 0x90 } else { 0xac };
        self.gpu.config_write(at + 4, 4, u32::try_from(MSI.address).unwrap());
        self.gpu.config_write(at + 8, 2, MSI.data);
        self.gpu.config_write(at + 2, 2, 1);
    }

    pub fn enable_interrupts(&mut self) {
        if self.is_legacy() {
            for block in [0x4_4300, 0x4_4310, 0x4_4330] {
                self.write(block + 4, !0x0909_0909);
                self.write(block + 0xc, 0x0909_0909);
            }
            self.write(0x4_4200, 0x8000_0000);
        } else {
            self.write(0x19_0030, 0x0909_0909);
            self.write(0x19_0034, 0x0909_0909);
            for mask in [0x19_0090, 0x19_00a0, 0x19_00a8, 0x19_00ac, 0x19_00d0] {
                self.write(mask, !0x0909_0909);
            }
            self.write(0x19_0010, 0x8000_0000);
        }
    }

    pub fn init_engine(&mut self, name: &'static str, base: u32, status: u32) {
        self.write(base + 0x98, u32::MAX);
        self.write(base + 0x29c, if self.is_legacy() { 0x8000_8000 } else { 0x0008_0008 });
        self.write(base + 0x9c, 0x0100_0000);
        self.write(base + 0x80, status);
        self.write(base + 0xb4, u32::MAX);
        self.write(base + 0xb0, u32::MAX);
        assert_eq!(self.read(base + 0xb8), 0);
        self.write(base + 0xb4, 0xffff_fffe);
        let upper = self.is_legacy() && name == "bcs0";
        self.write(base + 0xa8, !(0x909 << if upper { 16 } else { 0 }));
        let pointers = if self.is_legacy() { 0xffff_0505 } else { 0xffff_0b0b };
        self.write(base + 0x3a0, pointers);
        self.write(base + 0x3a0, pointers);
    }

    pub fn bring_up(&mut self) {
        self.gpu.config_write(0x04, 2, 0x6);
        self.enable_msi();
        self.forcewake();
        self.program_pat();
        self.enable_interrupts();
        for (name, base, ..) in engines(self.platform) {
            let (ggtt, memory) = self.ggtt_pages(1);
            let (pointer, last) = if self.is_legacy() { (0x7c, 5) } else { (0xbc, 11) };
            assert!(self.memory.set_u32(memory + pointer, last));
            self.status.push((name, ggtt, memory));
            self.csb.push(0);
            self.init_engine(name, base, ggtt);
        }
    }

    /// A context with its own address space: image as a driver builds it for the first submission.
    pub fn context(&mut self, engine: &'static str) -> Context {
        let pml4 = self.pages(1);
        self.context_in(engine, pml4)
    }

    pub fn context_in(&mut self, engine: &'static str, pml4: u64) -> Context {
        let (_, base, class, instance) =
            *engines(self.platform).iter().find(|(name, ..)| *name == engine).unwrap();
        let pages = if class == 0 { 22 } else { 2 };
        let (lrca, image) = self.ggtt_pages(pages);
        let (ring, ring_memory) = self.ggtt_pages(RING_SIZE / 0x1000);
        let id = self.next_id;
        self.next_id += 1;
        let context = Context {
            engine,
            base,
            id,
            lrca,
            image,
            ring,
            ring_memory,
            tail: 0,
            pml4,
            submitted: false,
            class,
            instance,
        };
        self.build_image(&context);
        context
    }

    /// First-submission image: minimal list with restore inhibit.
    pub fn build_image(&mut self, context: &Context) {
        let (base, render) = (context.base, context.class == 0);
        let first: (u32, &[u32]) = if self.is_gen12() {
            (
                0x1108_1019,
                &[0x244, 0x34, 0x30, 0x38, 0x3c, 0x168, 0x140, 0x110, 0x1c0, 0x1c4, 0x1c8, 0x180, 0x2b4],
            )
        } else if self.platform.device_id == 0x8a52 && render {
            (
                0x1108_101d,
                &[
                    0x244, 0x34, 0x30, 0x38, 0x3c, 0x168, 0x140, 0x110, 0x11c, 0x114, 0x118, 0x1c0, 0x1c4,
                    0x1c8, 0x180,
                ],
            )
        } else if self.platform.device_id == 0x1616 && !render {
            (0x1100_0015, &[0x244, 0x34, 0x30, 0x38, 0x3c, 0x168, 0x140, 0x110, 0x11c, 0x114, 0x118])
        } else {
            let header = if self.platform.device_id == 0x8a52 { 0x1108_101b } else { 0x1100_101b };
            (
                header,
                &[
                    0x244, 0x34, 0x30, 0x38, 0x3c, 0x168, 0x140, 0x110, 0x11c, 0x114, 0x118, 0x1c0, 0x1c4,
                    0x1c8,
                ],
            )
        };
        let second = match (self.is_legacy(), self.platform.device_id == 0x1616 && !render) {
            (false, _) => 0x1108_1011,
            (true, false) => 0x1100_1011,
            (true, true) => 0x1100_0011,
        };
        let set = |at: u64, value| assert!(self.memory.set_u32(context.image + 0x1000 + 4 * at, value));
        for at in 0..1024 {
            set(at, 0);
        }
        set(1, first.0);
        for (n, register) in first.1.iter().enumerate() {
            set(2 + 2 * n as u64, base + register);
        }
        set(0x21, second);
        let pdps = [0x3a8, 0x28c, 0x288, 0x284, 0x280, 0x27c, 0x278, 0x274, 0x270];
        for (n, register) in pdps.iter().enumerate() {
            set(0x22 + 2 * n as u64, base + register);
        }
        set(0x34, 0x0500_0000);
        set(0x03, if self.is_legacy() { 0x000f_0009 } else { 0x0009_0009 });
        set(0x09, context.ring);
        set(0x0b, (RING_SIZE - 0x1000) | 1);
        set(0x31, (context.pml4 >> 32) as u32);
        set(0x33, context.pml4 as u32);
    }

    pub fn image_dword(&self, context: &Context, at: u64) -> u32 {
        self.memory.get_u32(context.image + 0x1000 + 4 * at).unwrap()
    }

    pub fn set_image_dword(&self, context: &Context, at: u64, value: u32) {
        assert!(self.memory.set_u32(context.image + 0x1000 + 4 * at, value));
    }

    /// Appends dwords to the ring (an even number) and sets the tail in the image.
    pub fn emit(&self, context: &mut Context, dwords: &[u32]) {
        assert!(dwords.len().is_multiple_of(2), "an even number of dwords");
        // No command straddles the end of the ring.
        let room = ((RING_SIZE - context.tail) / 4) as usize;
        let padding = if dwords.len() > room { room } else { 0 };
        for dword in std::iter::repeat_n(&mi::NOOP, padding).chain(dwords) {
            assert!(self.memory.set_u32(context.ring_memory + u64::from(context.tail), *dword));
            context.tail = (context.tail + 4) % RING_SIZE;
        }
        self.set_image_dword(context, 7, context.tail);
    }

    /// Maps a page at `va` in the context's 48-bit space, building tables on the way.
    pub fn map(&mut self, context: &Context, va: u64, memory: u64) {
        self.map_entry(context.pml4, va, memory | 3);
    }

    pub fn map_entry(&mut self, pml4: u64, va: u64, entry: u64) {
        let mut table = pml4;
        for shift in [39, 30, 21] {
            let slot = table + 8 * ((va >> shift) & 0x1ff);
            let mut next = self.memory.get_u64(slot).unwrap();
            if next & 1 == 0 {
                next = self.pages(1) | 3;
                assert!(self.memory.set_u64(slot, next));
            }
            table = next & !0xfff;
        }
        assert!(self.memory.set_u64(table + 8 * ((va >> 12) & 0x1ff), entry));
    }

    /// Descriptor of a context.
    pub fn descriptor(&self, context: &Context, force: bool) -> [u32; 2] {
        let flags = if self.platform.device_id == 0x1616 { 0x139 } else { 0x119 };
        let low = context.lrca | flags | if force { 4 } else { 0 };
        let high = if self.is_legacy() {
            context.id
        } else {
            context.id << 5 | context.instance << 16 | context.class << 29
        };
        [low, high]
    }

    /// Submits raw descriptors (low, high) to an engine's port.
    pub fn submit_raw(&mut self, base: u32, first: [u32; 2], second: [u32; 2]) {
        if self.is_legacy() {
            for value in [second[1], second[0], first[1], first[0]] {
                self.write(base + 0x230, value);
            }
        } else {
            for (at, value) in [(0x518, second[0]), (0x51c, second[1]), (0x510, first[0]), (0x514, first[1])]
            {
                self.write(base + at, value);
            }
            self.write(base + 0x550, 1);
        }
    }

    /// Submits a context alone; the first time with force restore.
    pub fn submit(&mut self, context: &mut Context) {
        let first = self.descriptor(context, !context.submitted);
        context.submitted = true;
        self.submit_raw(context.base, first, [0, 0]);
    }

    pub fn submit_two(&mut self, one: &mut Context, two: &mut Context) {
        let first = self.descriptor(one, !one.submitted);
        let second = self.descriptor(two, !two.submitted);
        (one.submitted, two.submitted) = (true, true);
        self.submit_raw(one.base, first, second);
    }

    fn status_index(&self, engine: &str) -> usize {
        self.status.iter().position(|(name, ..)| *name == engine).unwrap()
    }

    /// Memory address of an engine's status page.
    pub fn status_page(&self, engine: &str) -> u64 {
        self.status[self.status_index(engine)].2
    }

    /// GGTT address of an engine's status page.
    pub fn status_ggtt(&self, engine: &str) -> u32 {
        self.status[self.status_index(engine)].1
    }

    /// New status events of an engine, from the status page.
    pub fn events(&mut self, engine: &str) -> Vec<u64> {
        let index = self.status_index(engine);
        let page = self.status[index].2;
        let (size, pointer) = if self.is_legacy() { (6, 0x7c) } else { (12, 0xbc) };
        let write = self.memory.get_u32(page + pointer).unwrap();
        let mut events = Vec::new();
        while self.csb[index] != (write + 1) % size {
            events.push(self.memory.get_u64(page + 0x40 + 8 * u64::from(self.csb[index])).unwrap());
            self.csb[index] = (self.csb[index] + 1) % size;
        }
        events
    }

    /// Handles interrupts as a driver does; answers (class, instance, vector) of every engine that raised.
    pub fn service(&mut self) -> Vec<(u32, u32, u32)> {
        let mut found = Vec::new();
        if self.is_legacy() {
            self.write(0x4_4200, 0);
            let master = self.read(0x4_4200);
            for (bits, block, low, high) in
                [(3, 0, (0, 0), (3, 0)), (0xc, 1, (1, 0), (1, 1)), (0x40, 3, (2, 0), (9, 9))]
            {
                if master & bits != 0 {
                    let iir = self.read(0x4_4308 + 0x10 * block);
                    self.write(0x4_4308 + 0x10 * block, iir);
                    for (half, (class, instance)) in [(iir & 0xffff, low), (iir >> 16, high)] {
                        if half != 0 {
                            found.push((class, instance, half));
                        }
                    }
                }
            }
            self.write(0x4_4200, 0x8000_0000);
        } else {
            self.write(0x19_0010, 0);
            let master = self.read(0x19_0010);
            for dword in 0..2 {
                if master >> dword & 1 == 0 {
                    continue;
                }
                let pending = self.read(0x19_0018 + 4 * dword);
                for bit in (0..32).filter(|bit| pending >> bit & 1 != 0) {
                    self.write(0x19_0070 + 4 * dword, 1 << bit);
                    let identity = self.read(0x19_0060 + 4 * dword);
                    assert_ne!(identity & 1 << 31, 0);
                    found.push((identity >> 16 & 7, identity >> 20 & 0x3f, identity & 0xffff));
                    self.write(0x19_0060 + 4 * dword, 1 << 31);
                }
                self.write(0x19_0018 + 4 * dword, pending);
            }
            self.write(0x19_0010, 0x8000_0000);
        }
        found
    }

    /// Handles messages until none comes any more; answers the union of the vectors per (class, instance). The
    /// interrupt latches are two deep, so the second of two equal events brings a message of its own.
    pub fn service_all(&mut self) -> Vec<(u32, u32, u32)> {
        let mut found: Vec<(u32, u32, u32)> = Vec::new();
        while self.gpu.take_msi().is_some() {
            for (class, instance, vector) in self.service() {
                match found.iter_mut().find(|entry| (entry.0, entry.1) == (class, instance)) {
                    Some(entry) => entry.2 |= vector,
                    None => found.push((class, instance, vector)),
                }
            }
        }
        found
    }

    /// No rule was broken so far.
    pub fn assert_clean(&self) {
        let reports: Vec<String> = self.gpu.reports().iter().map(ToString::to_string).collect();
        assert!(reports.is_empty(), "{}", reports.join("\n"));
    }

    /// Exactly these rules were broken (each at least once); clears the log.
    pub fn assert_broken(&mut self, rules: &[Rule]) -> Vec<Report> {
        let reports = self.gpu.log_mut().take();
        let mut found: Vec<Rule> = reports.iter().map(|report| report.rule).collect();
        found.sort();
        found.dedup();
        let mut expected = rules.to_vec();
        expected.sort();
        let text: Vec<String> = reports.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{}", text.join("\n"));
        reports
    }
}

/// Commands, as dwords.
pub mod mi {
    pub const NOOP: u32 = 0;
    pub const USER_INTERRUPT: u32 = 0x0100_0000;
    pub const ARB_CHECK: u32 = 0x0280_0000;
    pub const ARB_ON: u32 = 0x0400_0001;
    pub const ARB_OFF: u32 = 0x0400_0000;
    pub const BATCH_END: u32 = 0x0500_0000;

    /// Store a dword; GGTT.
    pub const fn store_ggtt(address: u32, value: u32) -> [u32; 4] {
        [0x1040_0002, address, 0, value]
    }

    /// Store a dword; PPGTT.
    pub const fn store(address: u64, value: u32) -> [u32; 4] {
        [0x1000_0002, address as u32, (address >> 32) as u32, value]
    }

    /// Start a PPGTT batch; padded.
    pub const fn batch(address: u64) -> [u32; 4] {
        [0x1880_0101, address as u32, (address >> 32) as u32, NOOP]
    }

    /// Breadcrumb of the copy and video engines: flush, store in the GGTT; padded.
    pub const fn flush_store(address: u32, value: u32) -> [u32; 4] {
        [0x1300_0002 | 1 << 14, address | 4, 0, value]
    }

    /// Flush with TLB invalidation; post-sync into the process status page at 0xd0.
    pub const INVALIDATE: [u32; 4] = [0x1300_0002 | 1 << 21 | 1 << 18 | 1 << 14, 0xd0, 0, 0];

    /// Wait until a GGTT dword equals a value; Gen12 has a fifth dword. Padded to even.
    pub fn wait_ggtt(gen12: bool, address: u32, value: u32) -> Vec<u32> {
        if gen12 {
            vec![0x0e40_c003, value, address, 0, 0, NOOP]
        } else {
            vec![0x0e40_c002, value, address, 0]
        }
    }

    /// Load one register.
    pub const fn lri(offset: u32, value: u32) -> [u32; 4] {
        [0x1100_0001, offset, value, NOOP]
    }

    /// Fill a rectangle: 32 bpp, pattern copy.
    pub const fn fill(address: u64, pitch: u32, x2: u32, y2: u32, colour: u32) -> [u32; 8] {
        [
            0x5430_0005,
            3 << 24 | 0xf0 << 16 | pitch,
            0,
            y2 << 16 | x2,
            address as u32,
            (address >> 32) as u32,
            colour,
            NOOP,
        ]
    }
}
