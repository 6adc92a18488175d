// SPDX-License-Identifier: BSD-2-Clause
//! The logical states of a context: one for each slot of its map that was used.

use gpu_protocol::Errno;

use super::super::driver::Driver;
use super::map::{EngineMap, SECOND_VIDEO, Slot, default_slot};
use super::{Context, EngineContext};
use crate::handle::Id;
use crate::platform::Hardware;

impl<H: Hardware> Driver<H> {
    /// The slot of a context's map that a submission means, and the logical state that is there if it was used.
    ///
    /// # Errors
    /// `EINVAL` for one that does not exist or is empty.
    #[inline]
    pub(crate) fn slot_of(
        &self,
        map: &EngineMap,
        engine: u32,
    ) -> Result<(usize, Option<EngineContext>), Errno> {
        let slot = if map.user {
            usize::try_from(engine).ok()
        } else {
            let second = self.default_slots.get(SECOND_VIDEO);
            default_slot(engine, second.is_some_and(|slot| !slot.engines.is_empty()))
        };
        let slot = slot.ok_or(Errno::Inval)?;
        let found =
            self.map_slot_ref(map, slot).filter(|slot| !slot.engines.is_empty()).ok_or(Errno::Inval)?;
        Ok((slot, found.state))
    }

    /// Makes the logical state of a slot, where there is none yet.
    ///
    /// # Errors
    /// `ENOMEM`, `EIO`.
    #[cold]
    pub(crate) fn engine_context_new(
        &mut self,
        id: Id<Context>,
        slot: usize,
    ) -> Result<EngineContext, Errno> {
        let context = self.contexts.get(id).ok_or(Errno::NoEnt)?;
        let (client, value) = (context.client, context.value);
        let (ban_before, (guilty, innocent)) = (context.ban_before_ns(), context.blame());
        let found = self.map_slot(&value.map, slot).ok_or(Errno::Inval)?;
        let engine = found.engines.first().ok_or(Errno::Inval)?;
        let space = value.space.and_then(|space| self.spaces.get(space)).ok_or(Errno::NoEnt)?;
        let (vm, account) = (space.vm, self.clients[client].account);
        let timeline = match value.timeline {
            Some(shared) => {
                self.timeline_get(client, shared);
                shared
            }
            None => self.timeline_new(client)?,
        };
        let lower = self.clients[client].timelines[timeline].id.ok_or(Errno::NoMem)?;
        let scheduling = value.scheduling;
        match self.gpu.context_create(account, engine, vm, lower, scheduling.priority) {
            Ok(made) => {
                // The handle is a moment old: none of these can miss.
                let _ = self.gpu.context_select(made, found.engines);
                let _ = self.gpu.context_set_sseu(made, found.sseu);
                let _ = self.gpu.context_set_watchdog(made, scheduling.watchdog_us.saturating_mul(1000));
                let _ = self.gpu.context_ban_before(made, ban_before);
                let _ = self.gpu.context_set_blame(made, guilty, innocent);
                let _ = self.gpu.context_set_capture(made, !value.flags.no_error_capture);
                let state = EngineContext { id: made, timeline };
                self.map_put(&value.map, slot, Slot { state: Some(state), ..found });
                Ok(state)
            }
            Err(error) => {
                self.timeline_put(client, timeline);
                Err(error.into())
            }
        }
    }

    /// Takes back a logical state that [`Driver::engine_context`] has just made.
    pub(crate) fn engine_context_undo(&mut self, id: Id<Context>, slot: usize) {
        let Some(context) = self.contexts.get(id) else {
            return;
        };
        let (client, map) = (context.client, context.value.map);
        if let Some(found) = self.map_slot(&map, slot)
            && let Some(state) = found.state
        {
            self.map_put(&map, slot, Slot { state: None, ..found });
            // Nothing has run on it.
            let _ = self.gpu.context_destroy(state.id);
            self.timeline_put(client, state.timeline);
        }
    }
}
