// SPDX-License-Identifier: BSD-2-Clause
//! What the driver has counted, for the domain that watches it: put together when it asks, out of the books that the
//! driver keeps anyway.

use gpu_protocol::{ClientStatistics, EngineStatistics, STATISTICS_CLIENTS, STATISTICS_ENGINES, Statistics};

use super::driver::Driver;
use super::job::Job;
use crate::gpu::MAX_ENGINES;
use crate::handle::Id;
use crate::platform::Hardware;

const _: () = assert!(MAX_ENGINES <= STATISTICS_ENGINES);

impl<H: Hardware> Driver<H> {
    /// Everything that there is to see. Clients beyond the structure's places are left out.
    pub fn statistics(&mut self) -> Statistics {
        let total = self.gpu.statistics();
        let mut clients = [ClientStatistics::default(); STATISTICS_CLIENTS];
        for (client, place) in (0..self.clients.len()).zip(&mut clients) {
            *place = self.client_statistics(client);
        }
        let mut engines = [EngineStatistics::default(); STATISTICS_ENGINES];
        for (engine, place) in self.gpu.engines().zip(&mut engines) {
            place.engine = u32::from(crate::trace::where_is(engine.id));
            place.busy_ns = self.gpu.busy_ns(engine.index);
        }
        for index in 0..self.jobs.capacity() {
            let job = self.jobs.at(index).and_then(|id: Id<Job>| self.jobs.get(id));
            let Some(job) = job else { continue };
            let engine = self.gpu.engine_of_request(job.request).map(|engine| engine.get());
            let Some(engine) = engine.filter(|engine| *engine < STATISTICS_ENGINES) else { continue };
            engines[engine].queued += 1;
            if let Some(client) = clients.get_mut(job.client) {
                client.queued[engine] += 1;
            }
        }
        let count = |length: usize, places: usize| u32::try_from(length.min(places)).unwrap_or(u32::MAX);
        Statistics {
            magic: Statistics::MAGIC,
            time_ns: self.gpu.now_ns(),
            engine_count: count(self.gpu.engines().count(), STATISTICS_ENGINES),
            client_count: count(self.clients.len(), STATISTICS_CLIENTS),
            engine_resets: total.engine_resets,
            gpu_resets: total.gpu_resets,
            lost_interrupts: total.lost_interrupts,
            engines,
            clients,
        }
    }

    fn client_statistics(&mut self, client: usize) -> ClientStatistics {
        let found = &self.clients[client];
        let consumed = self.gpu.consumed(found.account);
        let usage = self.gpu.account_usage(found.account).ok();
        let mut busy_ns = [0; STATISTICS_ENGINES];
        busy_ns[..MAX_ENGINES].copy_from_slice(&consumed.busy_ns);
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        ClientStatistics {
            busy_ns,
            queued: [0; STATISTICS_ENGINES],
            // Points of a place only grow, by one for each request.
            completed: found.timelines.iter().map(|place| place.published).sum(),
            hangs: found.hangs,
            faults: consumed.faults,
            page_requests: found.page_requests,
            lent_pages: found.lent,
            driver_pages: usage.map_or(0, |usage| usage.used),
            table_pages: usage.map_or(0, |usage| usage.tables),
            contexts: count(found.contexts.len()),
            objects: count(found.objects.len()),
            connected: found.connected.into(),
        }
    }
}
