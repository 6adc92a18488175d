// SPDX-License-Identifier: BSD-2-Clause
//! The end of a context: its requests finish if it is persistent, and are cancelled if it is not.

use gpu_protocol::{ContextDestroy, Errno, Reply};

use super::super::domain::ClientId;
use super::super::driver::Driver;
use super::map::EngineMap;
use crate::platform::Hardware;

impl<H: Hardware> Driver<H> {
    pub(crate) fn context_destroy(
        &mut self,
        client: ClientId,
        destroy: &ContextDestroy,
    ) -> Result<Reply, Errno> {
        if destroy.pad != 0 {
            return Err(Errno::Inval);
        }
        // The default context has no entry in the table and stays.
        let id = self.clients[client].contexts.remove(destroy.ctx_id).ok_or(Errno::NoEnt)?;
        if let Some(context) = self.contexts.remove(id) {
            let persistent = context.value.flags.persistent && !context.banned;
            self.states_destroy(client, &context.value.map, persistent);
            self.value_free(client, context.value);
        }
        Ok(Reply::ok(&[]))
    }

    /// Destroys all contexts of a client, the default one too; what they still run is cancelled.
    pub(crate) fn contexts_forget(&mut self, client: ClientId) {
        let state = &mut self.clients[client];
        let mut next = state.default_context.take();
        loop {
            if let Some(context) = next.and_then(|id| self.contexts.remove(id)) {
                self.states_destroy(client, &context.value.map, false);
                self.value_free(client, context.value);
            }
            let contexts = &mut self.clients[client].contexts;
            let Some(handle) = contexts.first() else { return };
            next = contexts.remove(handle);
        }
    }

    /// Destroys the states of a map; what they still run is finished or cancelled.
    pub(super) fn states_destroy(&mut self, client: ClientId, map: &EngineMap, finish: bool) {
        for index in 0..map.len() {
            let Some(state) = self.map_slot(map, index).and_then(|slot| slot.state) else {
                continue;
            };
            // The handles are ours and were good until now. The hardware half knows when to free them.
            if !finish {
                let _ = self.gpu.context_cancel(state.id);
            }
            let _ = self.gpu.context_destroy(state.id);
            self.timeline_put(client, state.timeline);
        }
    }
}
