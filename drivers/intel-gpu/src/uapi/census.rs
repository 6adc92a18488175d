// SPDX-License-Identifier: BSD-2-Clause
//! Counts of everything that clients have, for leak checks: what one operation adds another takes away,
//! and a refused one changes none of them.

use alloc::vec::Vec;

use super::driver::Driver;
use super::handles::Handles;
use super::object::Object;
use crate::handle::Id;
use crate::platform::Hardware;

/// How much of each pool is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// Address spaces, including those that only wait for the hardware.
    pub spaces: u32,
    /// Address spaces that nothing refers to any more, but that the hardware still has.
    pub dying_spaces: u32,
    /// Contexts, with the one that every client has.
    pub contexts: u32,
    /// Blocks of their maps of engines.
    pub map_blocks: u32,
    /// Objects, including closed ones that only wait for the hardware.
    pub objects: u32,
    /// Bindings of objects in address spaces.
    pub bindings: u32,
    /// Requests in flight.
    pub jobs: u32,
    /// Objects that requests in flight name; those of a list that is repeated in a turn count once.
    pub uses: u32,
    /// Pages that can still be lent.
    pub free_lent_pages: u32,
    /// Contexts, timelines, requests and address spaces of the hardware half (`Gpu::population`).
    pub hardware: [u32; 4],
    /// Free pages of the driver's memory.
    pub free_driver_pages: u32,
    /// Each client's part.
    pub clients: Vec<ClientCensus>,
}

/// What one client has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCensus {
    /// Handles of contexts, address spaces and objects.
    pub handles: [u32; 3],
    /// Pages of the driver's memory that are charged to it.
    pub driver_pages: u32,
    /// Pages that it lends.
    pub lent_pages: u32,
    /// Places in use in its page of completed points.
    pub timelines: u32,
    /// Objects whose pages have been asked for and are not complete.
    pub requested: u32,
    /// Page requests that its owner has fetched and not answered.
    pub outstanding: u32,
    /// Invalidations of its pages whose end has not been read.
    pub invalidations: u32,
}

fn count<T>(handles: &Handles<T>) -> u32 {
    u32::try_from(handles.len()).unwrap_or(u32::MAX)
}

impl<H: Hardware> Driver<H> {
    /// Counts everything.
    #[must_use]
    pub fn census(&self) -> Census {
        let clients = self.clients.iter().enumerate().map(|(id, client)| ClientCensus {
            handles: [count(&client.contexts), count(&client.spaces), count(&client.objects)],
            driver_pages: self.gpu.account_usage(client.account).map_or(0, |usage| usage.used),
            lent_pages: client.lent,
            timelines: client.timelines.iter().fold(0, |sum, place| sum + u32::from(place.id.is_some())),
            requested: self.sum(id, |object| u32::from(object.lending.is_requested())),
            outstanding: self.sum(id, |object| u32::try_from(object.lending.outstanding()).unwrap_or(0)),
            invalidations: u32::try_from(client.ledger.open()).unwrap_or(u32::MAX),
        });
        Census {
            spaces: self.spaces.len(),
            dying_spaces: u32::try_from(self.dying.len()).unwrap_or(u32::MAX),
            contexts: self.contexts.len(),
            map_blocks: self.map_blocks.len(),
            objects: self.objects.len(),
            bindings: self.bindings.len(),
            jobs: self.jobs.len(),
            uses: self.uses.len(),
            free_lent_pages: self.lent.free_pages(),
            hardware: self.gpu.population(),
            free_driver_pages: self.gpu.free_pages(),
            clients: clients.collect(),
        }
    }

    /// Pages of 4 KiB that all clients together lend now.
    #[must_use]
    pub fn lent_pages(&self) -> u32 {
        self.clients.iter().map(|client| client.lent).sum()
    }

    fn sum(&self, client: super::ClientId, of: impl Fn(&Object) -> u32) -> u32 {
        let ids = (0..self.objects.capacity()).filter_map(|index| self.objects.at(index));
        let objects = ids.filter_map(|id: Id<Object>| self.objects.get(id));
        objects.filter(|object| object.client == client).map(of).sum()
    }
}
