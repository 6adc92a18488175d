// SPDX-License-Identifier: BSD-2-Clause
//! How large the pools are: so large that every client can have at a time what it may have, whatever the others have;
//! and what memory that takes.

use gpu_protocol::{GrantEntry, TIMELINES_PER_CLIENT};

use super::client::{Client, ClientLimits, Timeline};
use super::context::Context;
use super::context::map::Block;
use super::driver::{ClientConfig, DriverConfig, Totals};
use super::grants::Regions;
use super::handles::{Handles, Places};
use super::interval::IntervalPool;
use super::job::{Job, Use};
use super::lent::LentPages;
use super::object::Object;
use super::placing::Objects;
use super::space::{AddressSpace, Binding};
use crate::Config;
use crate::gpu::RequestId;
use crate::handle::{Id, Slab};
use crate::index::Index;

/// Bindings that a client can have, at least.
const BINDINGS: u32 = 512;
/// Objects that a client can have bound at a time beside one for each address space, at most: of more, most are idle.
const BOUND_OBJECTS: u32 = 2048;
/// What the allocator loses between and around pools.
const LOST: usize = 8 << 10;

/// Sizes of all pools.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Those of the hardware half.
    pub gpu: Config,
    /// Those of the clients' half.
    pub driver: DriverConfig,
}

/// Logical states on engines that a client can have: it pays for the pages of each, of which an image has two at least.
fn states(config: &Config, limits: &ClientLimits) -> u32 {
    limits.driver_pages / config.ring_pages.saturating_add(2)
}

impl Sizes {
    /// For these clients; what does not follow from their limits is as usual.
    #[must_use]
    pub fn of(clients: &[ClientConfig]) -> Self {
        let (mut gpu, mut driver) = (Config::default(), DriverConfig::DEFAULT);
        let total = |of: &dyn Fn(&ClientLimits) -> u32| {
            clients.iter().fold(0_u32, |sum, client| sum.saturating_add(of(&client.limits)))
        };
        let contexts = |limits: &ClientLimits| limits.contexts.saturating_add(1);
        // Every context may have an address space that no handle names.
        let spaces = |limits: &ClientLimits| limits.spaces.saturating_add(contexts(limits));
        gpu.contexts = total(&|limits| states(&gpu, limits)).max(1);
        gpu.vms = total(&spaces).max(1);
        // A logical state has a place in the client's page of points, and so has a context whose states share one.
        let places = u32::try_from(TIMELINES_PER_CLIENT).unwrap_or(u32::MAX);
        let timelines =
            |limits: &ClientLimits| states(&gpu, limits).saturating_add(contexts(limits)).min(places);
        gpu.timelines = total(&timelines).max(1);
        gpu.requests = driver.jobs;
        // All have equal shares.
        let most = clients
            .iter()
            .map(|client| spaces(&client.limits).saturating_add(client.limits.objects.min(BOUND_OBJECTS)));
        let most = most.fold(BINDINGS, u32::max);
        driver.bindings = most.saturating_mul(u32::try_from(clients.len().max(1)).unwrap_or(u32::MAX));
        gpu.ranges = driver.bindings;
        Self { gpu, driver }
    }

    /// Bytes of the driver's own memory that all pools take, if the GPU reaches `pages` pages of it.
    #[must_use]
    pub fn bytes(&self, pages: u32, clients: &[ClientConfig], grants: &[GrantEntry]) -> usize {
        // CAST: widening on every target of this driver.
        let times = |count: u32, bytes: usize| (count as usize).saturating_mul(bytes);
        let totals = Totals::of(&self.driver, clients);
        let per_client = |client: &ClientConfig| {
            let limits = &client.limits;
            let lists = TIMELINES_PER_CLIENT * size_of::<Timeline>() + Places::bytes(TIMELINES_PER_CLIENT);
            size_of::<Client>()
                + lists
                + Handles::<Context>::bytes(limits.contexts)
                + Handles::<AddressSpace>::bytes(limits.spaces)
                + Handles::<Object>::bytes(limits.objects)
                // An owner answers for all of those that it owns, each of which has one.
                + times(limits.objects, 2 * size_of::<Id<Object>>())
        };
        let pools = Slab::<AddressSpace>::bytes(totals.spaces)
            + Slab::<Context>::bytes(totals.contexts)
            + Slab::<Block>::bytes(totals.map_blocks)
            + Slab::<Object>::bytes(totals.objects)
            + Slab::<Binding>::bytes(self.driver.bindings)
            + Index::<Binding>::bytes(self.driver.bindings)
            + Slab::<Job>::bytes(self.driver.jobs)
            + Slab::<Use>::bytes(totals.uses)
            + IntervalPool::<Id<Object>>::bytes(totals.objects)
            + LentPages::bytes(self.driver.lent_pages)
            + Objects::bytes()
            + times(self.driver.jobs, size_of::<RequestId>())
            + times(totals.spaces, size_of::<Id<AddressSpace>>())
            + times(totals.objects, size_of::<Id<Object>>());
        let grants = size_of_val(grants) + Regions::bytes(grants);
        self.gpu.bytes(pages) + clients.iter().map(per_client).sum::<usize>() + pools + grants + LOST
    }
}
