// SPDX-License-Identifier: BSD-2-Clause
//! The end of a client: its parent restarted it, or it starts over by itself. Nobody but the client tells the driver, with
//! [`Connect::AFRESH`](gpu_protocol::Connect::AFRESH) when it connects: it has lost what it knew.
//!
//! First everything that it had is taken down: requests are cancelled, contexts, objects and address spaces go, and its
//! pages are given back once no engine can reach them any more. That goes for the pages that it has lent for others, too,
//! if it owns their address spaces: it no longer knows which those are. What it had fetched and not answered counts as
//! never asked, and whoever waits for it asks anew. Only then is it connected again; until then it is told to try again.

use gpu_protocol::{Errno, GemClose, VmDestroy};

use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::interval::Interval;
use crate::platform::Hardware;

impl<H: Hardware> Driver<H> {
    /// Takes down what a client had before it connects.
    ///
    /// # Errors
    /// `EAGAIN`: the GPU has not let go of all of it yet.
    pub(crate) fn start_over<D: Domain>(&mut self, domain: &mut D, client: ClientId) -> Result<(), Errno> {
        if self.clients[client].connected {
            self.clients[client].connected = false;
            self.clients[client].rings = None;
            self.contexts_forget(client);
            self.forget_probe(domain, client);
            // The handles are the table's own, so that none is refused.
            while let Some(handle) = self.clients[client].objects.first() {
                self.gem_close(domain, client, &GemClose { handle, pad: 0 })?;
            }
            self.recall_exports(domain, client);
            while let Some(vm_id) = self.clients[client].spaces.first() {
                self.vm_destroy(client, &VmDestroy { extensions: 0, flags: 0, vm_id })?;
            }
            for space in 0..self.clients.len() {
                if self.clients[space].lender(space) == client {
                    self.recall_lent(domain, space);
                }
            }
        }
        self.bury_spaces();
        for space in 0..self.clients.len() {
            if self.clients[space].lender(space) == client && self.clients[space].ledger.is_waiting() {
                return Err(Errno::Again);
            }
        }
        for space in 0..self.clients.len() {
            if self.clients[space].lender(space) == client {
                // Nobody reads the ends of these.
                self.clients[space].ledger.abandon();
            }
        }
        let state = &self.clients[client];
        if state.used.jobs > 0 || state.live_objects > 0 || state.live_spaces > 0 {
            return match state.default_context {
                // Connected for the first time: what it has is the default context's.
                Some(_) => Ok(()),
                None => Err(Errno::Again),
            };
        }
        if state.default_context.is_none() {
            self.context_create_default(client).map_err(|_| Errno::Again)?;
        }
        Ok(())
    }

    /// Takes back everything that was lent for the objects of an address space, whose owner has lost its tickets and the
    /// requests that it had fetched. Like every invalidation it is bounded, by the ledger's patience.
    fn recall_lent<D: Domain>(&mut self, domain: &mut D, space: ClientId) {
        let deadline_ns = self.gpu.now_ns().saturating_add(self.invalidate_ns);
        let ledger = &mut self.clients[space].ledger;
        ledger.abandon();
        // There is room: there are no others.
        let Some(number) = ledger.begin(Interval::ALL, deadline_ns) else { return };
        if self.withdraw_range(space, Interval::ALL, number) {
            self.gpu.retire_finished();
            self.drain_events(domain);
        }
        for place in 0..self.objects.capacity() {
            let Some(id) = self.objects.at(place) else { continue };
            let Some(object) = self.objects.get_mut(id).filter(|object| object.client == space) else {
                continue;
            };
            // Invalidations do not find it, and its pages stay; but what was asked for does not come.
            let unanswered = object.range.is_none() && object.lending.is_requested();
            if unanswered {
                self.withdraw(id);
            }
            if let Some(object) = self.objects.get_mut(id) {
                object.lending.forget_outstanding();
            }
            self.settle(domain, id);
        }
    }

    /// Takes a client's objects back from everybody who has imported them, so that nobody can keep its memory: requests
    /// that use them end first, and their handles name nothing any more.
    fn recall_exports<D: Domain>(&mut self, domain: &mut D, client: ClientId) {
        for place in 0..self.objects.capacity() {
            let Some(id) = self.objects.at(place) else { continue };
            let Some(object) = self.objects.get_mut(id).filter(|object| object.client == client) else {
                continue;
            };
            for other in &mut self.clients {
                while let Some(handle) = other.objects.find(id).filter(|_| object.handles > 0) {
                    other.objects.remove(handle);
                    object.handles -= 1;
                }
            }
            self.let_go(domain, id);
        }
    }
}
