// SPDX-License-Identifier: BSD-2-Clause
//! The end of a client: its parent restarted it, or it starts over by itself. Nobody but the client tells the driver, with
//! [`Connect::AFRESH`](gpu_protocol::Connect::AFRESH) when it connects: it has lost what it knew.
//!
//! First everything that it had is taken down: requests are cancelled, contexts, objects and address spaces go, and its
//! pages are given back once no engine can reach them any more. Only then is it connected again; until then it is told
//! to try again.

use gpu_protocol::{Errno, GemClose, VmDestroy};

use super::domain::{ClientId, Domain};
use super::driver::Driver;
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
            // The handles are the table's own, so that none is refused.
            while let Some(handle) = self.clients[client].objects.first() {
                self.gem_close(domain, client, &GemClose { handle, pad: 0 })?;
            }
            self.recall_exports(domain, client);
            while let Some(vm_id) = self.clients[client].spaces.first() {
                self.vm_destroy(client, &VmDestroy { extensions: 0, flags: 0, vm_id })?;
            }
        }
        self.bury_spaces();
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
