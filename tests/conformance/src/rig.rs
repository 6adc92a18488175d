// SPDX-License-Identifier: BSD-2-Clause
//! The driver on its machine with its clients, and the memory of everybody.

use std::fmt::Debug;

use gpu_model::{Options, Timing, VecMemory};
use gpu_protocol::{ClientEntry, GrantEntry, PAGE_SIZE, Reply};
use intel_gpu::trace::Event;
use intel_gpu::uapi::{Census, ClientConfig, ClientLimits, Driver, DriverConfig};
use intel_gpu::{Config, Gpu};

use crate::domain::{CNode, Capability, Domain, Frame, Iommu, RingMemory};
use crate::machine::{BASE, DRIVER_PAGES, Machine};

/// Pages of memory that each client has.
pub const CLIENT_PAGES: u32 = 512;

/// How a rig is built.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Platform of the model.
    pub platform: &'static str,
    /// How the model runs.
    pub options: Options,
    /// Sizes and times of the hardware half.
    pub config: Config,
    /// Sizes of what clients share.
    pub driver: DriverConfig,
    /// One entry a client.
    pub limits: Vec<ClientLimits>,
    /// Bytes of each message area.
    pub area: usize,
    /// The clients may do what Linux asks capabilities for.
    pub privileged: bool,
    /// Bytes of each client's rings; 0: there are none.
    pub rings: usize,
    /// Rows of the grant table beside those that let every client lend its own memory.
    pub rows: Vec<GrantEntry>,
}

impl Settings {
    /// Two clients with the usual limits.
    #[must_use]
    pub fn new(platform: &'static str) -> Self {
        Self {
            platform,
            options: Options::default(),
            config: Config::default(),
            driver: DriverConfig::DEFAULT,
            limits: vec![ClientLimits::DEFAULT; 2],
            area: 32 << 10,
            privileged: false,
            rings: 4096,
            rows: Vec::new(),
        }
    }

    /// The memory server of [`Self::served`].
    pub const SERVER: usize = 2;

    /// Clients 0 and 1, whose address spaces are owned by a third one, [`Self::SERVER`].
    #[must_use]
    pub fn served(platform: &'static str) -> Self {
        let owner = Some(channel(Self::SERVER));
        let entry = |client| ClientEntry { channel: channel(client), owner, privileged: false }.to_row();
        Self { limits: vec![ClientLimits::DEFAULT; 3], rows: vec![entry(0), entry(1)], ..Self::new(platform) }
    }
}

/// A piece of a client's memory and a CNode with its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First byte in the client's address space.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// First byte of physical memory.
    pub physical: u64,
    /// Names the CNode.
    pub cnode: u64,
    /// Its radix.
    pub bits: u32,
}

impl Region {
    /// Number of pages.
    #[must_use]
    pub fn pages(&self) -> u32 {
        u32::try_from(self.size / PAGE_SIZE).unwrap_or(u32::MAX)
    }
}

/// Everything that a refused operation must leave as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The driver's pools.
    pub census: Census,
    /// Capabilities that the driver holds.
    pub held: usize,
    /// Pages that the GPU can reach.
    pub mapped: usize,
    /// Requests that the hardware half has been given.
    pub submitted: u64,
    /// Completed points: client, timeline, point; those that are 0 are left out.
    pub points: Vec<(usize, usize, u64)>,
}

/// See the module.
#[derive(Debug)]
pub struct Rig {
    /// The driver.
    pub driver: Driver<Machine>,
    /// The domain around it.
    pub domain: Domain,
    memory: VecMemory,
    /// The driver's last look at the rings left nothing.
    pub served_in_full: bool,
    /// Pages of each client that regions have.
    used: Vec<u32>,
}

impl Rig {
    /// A rig with two connected clients.
    #[must_use]
    pub fn new(platform: &'static str) -> Self {
        Self::with(Settings::new(platform))
    }

    /// A rig whose clients are connected.
    #[must_use]
    pub fn with(settings: Settings) -> Self {
        let mut rig = Self::unconnected(settings);
        for client in 0..rig.used.len() {
            rig.connect(client);
        }
        rig
    }

    /// A rig whose clients have not called yet.
    ///
    /// # Panics
    /// The GPU does not come up.
    #[must_use]
    #[expect(clippy::expect_used, reason = "part of tests")]
    pub fn unconnected(settings: Settings) -> Self {
        let count = settings.limits.len();
        let pages = DRIVER_PAGES as usize + count * CLIENT_PAGES as usize;
        let memory = VecMemory::new(BASE, pages << 12);
        let iommu = Iommu::default();
        let mut machine = Machine::new(settings.platform, settings.options, memory.clone(), iommu.clone());
        let identity = machine.identity();
        let gpu = Gpu::init(machine, identity, settings.config).expect("the GPU comes up");
        let clients = settings.limits.iter().enumerate();
        let clients: Vec<_> = clients
            .map(|(client, limits)| ClientConfig {
                channel: channel(client),
                limits: *limits,
                privileged: settings.privileged,
            })
            .collect();
        // The last eighth of a client's memory may only be read by the GPU.
        let rows = (0..count).flat_map(|client| {
            let half = u64::from(CLIENT_PAGES / 8 * 7) * PAGE_SIZE;
            let row = |paddr, size, rights| GrantEntry { channel: channel(client), paddr, size, rights };
            [
                row(client_memory(client), half, 3 | 12 << 8),
                row(client_memory(client) + half, u64::from(CLIENT_PAGES / 8) * PAGE_SIZE, 1 | 12 << 8),
            ]
        });
        let rows: Vec<_> = rows.chain(settings.rows).collect();
        let driver = Driver::new(gpu, settings.driver, &clients, &rows).expect("room for the clients");
        let mut domain = Domain::new(count, (settings.area, settings.rings), iommu);
        for row in rows.iter().filter(|row| row.client().is_none() && row.is_mapped()) {
            domain.map_from_the_start(row.paddr, row.size / PAGE_SIZE);
        }
        Self { driver, domain, memory, served_in_full: true, used: vec![0; count] }
    }

    /// One protected call with a capability or without.
    pub fn call(&mut self, client: usize, label: u64, arguments: [u64; 2], capability: Option<u64>) -> Reply {
        self.domain.message = capability;
        let reply = self.driver.call(&mut self.domain, client, label, arguments);
        self.domain.message = None;
        reply
    }

    /// Writes into a client's message area.
    pub fn write_area(&mut self, client: usize, offset: usize, bytes: &[u8]) {
        self.domain.clients[client].area[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// What is in a client's message area.
    ///
    /// # Panics
    /// The range is not inside.
    #[must_use]
    pub fn read_area(&self, client: usize, offset: usize, len: usize) -> &[u8] {
        &self.domain.clients[client].area[offset..offset + len]
    }

    /// Bytes of a client's message area.
    #[must_use]
    pub fn area_len(&self, client: usize) -> usize {
        self.domain.clients[client].area.len()
    }

    /// A client's completed point of a timeline; 0 for an index outside the page.
    #[must_use]
    pub fn point(&self, client: usize, timeline: u64) -> u64 {
        let index = usize::try_from(timeline).unwrap_or(usize::MAX);
        self.domain.clients[client].points.get(index).copied().unwrap_or(0)
    }

    /// The memory of a client's rings.
    #[must_use]
    pub fn rings(&self, client: usize) -> RingMemory {
        self.domain.clients[client].rings.clone()
    }

    /// A client notifies the driver.
    pub fn notify_driver(&mut self) {
        self.served_in_full = !self.driver.serve_rings(&mut self.domain);
    }

    /// How often a client was woken.
    #[must_use]
    pub fn notified(&self, client: usize) -> u64 {
        self.domain.clients[client].notified
    }

    /// Name of the platform.
    pub fn platform(&mut self) -> &'static str {
        self.model().platform().name
    }

    /// The model.
    pub fn model(&mut self) -> &mut gpu_model::Gpu {
        &mut self.driver.gpu().hardware_mut().model
    }

    /// Keeps what the driver tells of itself from now on, for [`Self::events`].
    pub fn watch(&mut self) {
        self.driver.gpu().hardware_mut().events = Some(Vec::new());
    }

    /// What the driver has told of itself since [`Self::watch`] or the last look: nanoseconds, and what.
    pub fn events(&mut self) -> Vec<(u64, Event)> {
        self.driver.gpu().hardware_mut().events.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// When the model works.
    pub fn set_timing(&mut self, timing: Timing) {
        self.model().set_timing(timing);
    }

    /// Lets the GPU work for so long and handles its interrupts, whether or not it comes to an end.
    pub fn settle_for(&mut self, ns: u64) {
        for _ in 0..4 {
            self.model().run_until_idle(ns);
            if !self.take_interrupts() {
                return;
            }
        }
    }

    /// Lets the GPU work and handles its interrupts until both are quiet.
    ///
    /// # Panics
    /// They never are.
    pub fn settle(&mut self) {
        for _ in 0..1000 {
            self.model().run_until_idle(10_000_000);
            if !self.take_interrupts() {
                return;
            }
        }
        assert!(!self.take_interrupts(), "interrupts without end");
    }

    /// Handles the interrupts that have arrived. Returns whether there were any.
    pub fn take_interrupts(&mut self) -> bool {
        let mut any = false;
        while self.model().take_msi().is_some() {
            any = true;
        }
        if any {
            self.driver.interrupt(&mut self.domain);
        }
        any
    }

    /// Lets time pass, at most `ns` nanoseconds in steps of 10 ms, with the driver's clock looked at,
    /// until `done`. Returns whether that was reached.
    pub fn wait(&mut self, ns: u64, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.model().now_ns() + ns;
        while !done(self) && self.model().now_ns() < end {
            self.model().advance(10_000_000);
            self.model().step(100_000);
            self.take_interrupts();
            self.driver.tick(&mut self.domain);
        }
        done(self)
    }

    /// No rule of the hardware was broken, and the GPU reached no page that it may not.
    ///
    /// # Panics
    /// One was.
    pub fn check(&mut self) {
        let reports: Vec<String> = self.model().reports().iter().map(ToString::to_string).collect();
        assert!(reports.is_empty(), "{reports:#?}");
        assert_eq!(self.driver.gpu().sleeping_accesses(), 0);
        assert_eq!(self.driver.gpu().statistics().unexpected_events, 0);
        assert_eq!(self.domain.held_pages(), self.domain.mapped(), "every frame that is held is mapped");
    }

    /// What a refused operation must not change.
    pub fn snapshot(&mut self) -> Snapshot {
        Snapshot {
            census: self.driver.census(),
            held: self.domain.held(),
            mapped: self.domain.mapped(),
            submitted: self.driver.gpu().statistics().submitted,
            points: self.domain.points(),
        }
    }

    /// A fresh piece of a client's memory with a CNode of its frames.
    ///
    /// # Panics
    /// The client has no memory left (a mistake of the test).
    pub fn region(&mut self, client: usize, pages: u32) -> Region {
        let first = self.used[client];
        assert!(first + pages <= CLIENT_PAGES, "client {client} has no memory left");
        self.used[client] += pages;
        self.region_at(client, first, pages)
    }

    /// A region over pages `first..first + pages` of a client's memory, with a new CNode.
    pub fn region_at(&mut self, client: usize, first: u32, pages: u32) -> Region {
        let offset = u64::from(first) * PAGE_SIZE;
        let physical = client_memory(client) + offset;
        let frames = (0..u64::from(pages)).map(|page| {
            Some(Capability::Frame(Frame { physical: physical + page * PAGE_SIZE, writable: true }))
        });
        let slots: Vec<_> = frames.collect();
        let (cnode, bits) = self.cnode(slots);
        Region {
            address: (client as u64 + 1) << 40 | offset,
            size: u64::from(pages) * PAGE_SIZE,
            physical,
            cnode,
            bits,
        }
    }

    /// Makes a CNode; its name and its radix.
    pub fn cnode(&mut self, mut slots: Vec<Option<Capability>>) -> (u64, u32) {
        let size = slots.len().next_power_of_two().max(2);
        slots.resize(size, None);
        let bits = size.trailing_zeros();
        self.domain.cnodes.push(CNode { bits, slots });
        (self.domain.cnodes.len() as u64 - 1, bits)
    }

    /// Empties a CNode.
    ///
    /// # Panics
    /// There is none of that name.
    pub fn empty_cnode(&mut self, cnode: u64) {
        let index = usize::try_from(cnode).unwrap_or(usize::MAX);
        self.domain.cnodes[index].slots.fill(None);
    }

    /// A capability that can be sent alone; its name.
    pub fn single(&mut self, capability: Capability) -> u64 {
        self.domain.singles.push(capability);
        crate::SINGLE + self.domain.singles.len() as u64 - 1
    }

    /// A region of a client's pages that the GPU may only read.
    pub fn read_only_region(&mut self, client: usize, pages: u32) -> Region {
        self.region_at(client, CLIENT_PAGES / 8 * 7, pages)
    }

    /// From now on, mapping for the GPU succeeds `count` times.
    pub fn limit_maps(&mut self, count: u32) {
        self.domain.maps_left = count;
    }

    /// Writes dwords into physical memory, as a client does.
    ///
    /// # Panics
    /// Outside the memory.
    pub fn poke(&self, physical: u64, dwords: &[u32]) {
        for (at, dword) in (0..).zip(dwords) {
            assert!(self.memory.set_u32(physical + 4 * at, *dword));
        }
    }

    /// Reads a dword of physical memory.
    ///
    /// # Panics
    /// Outside the memory.
    #[must_use]
    #[expect(clippy::expect_used, reason = "part of tests")]
    pub fn peek(&self, physical: u64) -> u32 {
        self.memory.get_u32(physical).expect("inside the memory")
    }
}

/// A client's channel, as the driver numbers it.
#[must_use]
pub const fn channel(client: usize) -> u64 {
    10 + client as u64
}

/// Physical address of a client's memory.
#[must_use]
pub fn client_memory(client: usize) -> u64 {
    BASE + (u64::from(DRIVER_PAGES) + client as u64 * u64::from(CLIENT_PAGES)) * PAGE_SIZE
}

/// Compares two snapshots and says what differs.
///
/// # Panics
/// They differ.
pub(crate) fn unchanged(before: &Snapshot, after: &Snapshot, what: impl Debug) {
    assert_eq!(before, after, "{what:?} changed something");
}
