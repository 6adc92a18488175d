// SPDX-License-Identifier: BSD-2-Clause
//! The client library's transport: a call is a call of the driver.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use gpu_client::{Frames, Gpu, Lendable, Transport};
use gpu_protocol::{Operation, Reply};

use gpu_ring::Words;

use crate::domain::RingMemory;
use crate::rig::{Region, Rig, Settings};

/// A rig that several clients use by turns.
#[derive(Clone, Debug)]
pub struct Shared(Rc<RefCell<Rig>>);

impl Shared {
    /// Shares a rig.
    #[must_use]
    pub fn new(rig: Rig) -> Self {
        Self(Rc::new(RefCell::new(rig)))
    }

    /// The rig, while no client calls.
    #[must_use]
    pub fn rig(&self) -> RefMut<'_, Rig> {
        self.0.borrow_mut()
    }

    /// A client's connection.
    #[must_use]
    pub fn link(&self, client: usize) -> Link {
        let rings = self.rig().rings(client);
        let woken = self.rig().notified(client);
        let idle = Idle(None);
        Link { rig: self.clone(), client, rings, woken, calls: 0, notifications: 0, sleeps: 0, idle }
    }
}

/// What others do while a client sleeps.
struct Idle(Option<Box<dyn FnMut()>>);

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Idle(..)" } else { "Idle" })
    }
}

/// A client that has just connected, and the rig that it shares with another one.
///
/// # Panics
/// The driver refuses it.
#[must_use]
#[expect(clippy::expect_used, reason = "part of tests")]
pub fn client(platform: &'static str) -> (Shared, Gpu<Link>) {
    let shared = Shared::new(Rig::unconnected(Settings::new(platform)));
    let gpu = Gpu::connect(shared.link(0)).expect("there is a GPU");
    (shared, gpu)
}

/// One client's transport.
#[derive(Debug)]
pub struct Link {
    rig: Shared,
    client: usize,
    rings: RingMemory,
    /// Notifications that it has slept through to.
    woken: u64,
    /// Calls made.
    pub calls: usize,
    /// Notifications sent to the driver.
    pub notifications: usize,
    /// How often the client went to sleep.
    pub sleeps: usize,
    idle: Idle,
}

impl Link {
    /// With something that others do whenever the client has gone to sleep.
    #[must_use]
    pub fn with_others(self, others: impl FnMut() + 'static) -> Self {
        Self { idle: Idle(Some(Box::new(others))), ..self }
    }
}

impl Transport for Link {
    fn call(&mut self, operation: Operation, arguments: [u64; 2], capability: Option<u64>) -> Reply {
        self.calls += 1;
        self.rig.rig().call(self.client, operation.label(), arguments, capability)
    }

    fn area_len(&self) -> usize {
        self.rig.rig().area_len(self.client)
    }

    fn write_area(&mut self, offset: usize, bytes: &[u8]) {
        self.rig.rig().write_area(self.client, offset, bytes);
    }

    fn read_area(&self, offset: usize, bytes: &mut [u8]) {
        bytes.copy_from_slice(self.rig.rig().read_area(self.client, offset, bytes.len()));
    }

    fn rings(&self) -> Option<&dyn Words> {
        Some(&self.rings)
    }

    fn notify(&mut self) {
        self.notifications += 1;
        self.rig.rig().notify_driver();
    }

    fn sleep(&mut self) {
        self.sleeps += 1;
        if let Some(others) = &mut self.idle.0 {
            others();
        }
        let client = self.client;
        let mut rig = self.rig.rig();
        let seen = self.woken;
        assert!(
            rig.wait(60_000_000_000, |rig| rig.notified(client) > seen),
            "client {client} sleeps and nobody wakes it"
        );
        self.woken = rig.notified(client);
    }

    fn completed_point(&self, timeline: u32) -> u64 {
        self.rig.rig().point(self.client, u64::from(timeline))
    }
}

impl From<Region> for Lendable {
    fn from(region: Region) -> Self {
        Self {
            address: region.address,
            size: region.size,
            frames: Frames::Capabilities { cnode: region.cnode, bits: region.bits, page_bits: 12 },
        }
    }
}
