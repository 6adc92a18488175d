// SPDX-License-Identifier: BSD-2-Clause
//! The end of a context: its requests finish if it is persistent, and are cancelled if it is not.

use gpu_protocol::{ContextDestroy, Errno, Reply};

use super::super::domain::ClientId;
use super::super::driver::Driver;
use super::Context;
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
            self.context_free(client, &context, persistent);
        }
        Ok(Reply::ok(&[]))
    }

    /// Frees what a context was made of that is in the pool no more; what it still runs is finished or cancelled.
    fn context_free(&mut self, client: ClientId, context: &Context, finish: bool) {
        if let Some(space) = context.value.space {
            // It kept the address space for its requests: now they do so themselves.
            self.space_get(space, context.jobs);
        }
        self.states_destroy(client, &context.value.map, finish);
        self.value_free(client, context.value);
    }

    /// Destroys all contexts of a client, the default one too; what they still run is cancelled.
    pub(crate) fn contexts_forget(&mut self, client: ClientId) {
        let state = &mut self.clients[client];
        let mut next = state.default_context.take();
        loop {
            if let Some(context) = next.and_then(|id| self.contexts.remove(id)) {
                self.context_free(client, &context, false);
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
