// SPDX-License-Identifier: BSD-2-Clause
//! Ending requests before their time: bans, and contexts that nobody will hear of any more.
//!
//! ```text
//!                      waiting ─────────────────────────────► skipped
//!   requests of a      on the hardware, hung ───────────────► engine reset ──► skipped
//!   context            on the hardware ──► knock ─► preempted ───────────────► skipped
//!                                            └──── not in time, or no knock ─► engine reset ─► skipped
//! ```
//!
//! A skipped request does nothing but signal, in its timeline's order. A context that was preempted within a
//! batch would go on there; its image is made anew instead, with the ring's head behind the batch (i915:
//! `kill_context`, `__cancel_engine`, `intel_engine_pulse`).

use super::context::Place;
use super::submit::Status;
use super::{ContextId, Gpu};
use crate::engine::emit::Payload;
use crate::error::Error;
use crate::platform::Hardware;

impl<H: Hardware> Gpu<H> {
    /// Bans a context: what it has is cancelled ([`Self::context_cancel`]), unless it has been before.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn context_ban(&mut self, id: ContextId) -> Result<(), Error> {
        if core::mem::replace(&mut self.context_mut(id)?.banned, true) {
            return Ok(()); // what it had was skipped then, and it has taken nothing since
        }
        self.context_cancel(id)
    }

    /// A hang of a context before `ns` of the driver's clock bans it, at once.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn context_ban_before(&mut self, id: ContextId, ns: u64) -> Result<(), Error> {
        self.context_mut(id)?.ban_before_ns = ns;
        Ok(())
    }

    /// Whether a hang of a context is recorded in the error state, if it is the first one there. It is unless this says
    /// otherwise.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn context_set_capture(&mut self, id: ContextId, capture: bool) -> Result<(), Error> {
        self.context_mut(id)?.capture = capture;
        Ok(())
    }

    /// What has happened to whom a context belongs, as the error state of a hang of it says: hangs that its requests
    /// were to blame for, and requests that were executed again for others' hangs.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn context_set_blame(&mut self, id: ContextId, guilty: u32, innocent: u32) -> Result<(), Error> {
        self.context_mut(id)?.blame = (guilty, innocent);
        Ok(())
    }

    /// Cancels a context: it takes no new request, and those that it has end as cancelled, without harm to
    /// others where the running one can be preempted.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn context_cancel(&mut self, id: ContextId) -> Result<(), Error> {
        let preempts = self.platform.preempts_batches;
        let context = self.context_mut(id)?;
        context.banned = true;
        let (place, engine, busy) = (context.place, context.engine, context.first.is_some());
        if place != Place::OnHardware || !preempts {
            self.cancel_requests(id);
        } else if busy {
            context.rewind_when_off = true;
            self.skip_requests(id, Status::Cancelled);
            self.unpark(id);
            self.advance_ready(id);
            self.ask_to_leave(engine);
        }
        self.run_scheduler();
        Ok(())
    }

    /// Has what an engine executes preempted. Anything that does that will do; what is under way already need
    /// not be asked for.
    pub(super) fn ask_to_leave(&mut self, engine: usize) {
        if let Some(kernel) = self.engines[engine].kernel
            && self.contexts.get(kernel).is_some_and(|kernel| kernel.first.is_none())
            && self.submit_request(kernel, Payload::Nothing, &[], 0).is_err()
        {
            self.reset_engine(engine);
        }
    }

    /// A context that was cancelled while something else was about to take its place on the engine, and it was to
    /// come next again: asks once more.
    pub(super) fn evict_cancelled(&mut self, engine: usize) {
        let found = &self.engines[engine];
        let running = found.ports.active[0].filter(|_| found.ports.pending.is_none() && !found.stopped);
        let context = running.and_then(|id| self.contexts.get(id));
        if context.is_some_and(|context| context.rewind_when_off && context.first.is_some()) {
            self.ask_to_leave(engine);
        }
    }

    /// Cancels what a context has not finished. Requests that are not on the hardware are skipped; for
    /// one that is, the engine is reset.
    fn cancel_requests(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get(id) else { return };
        let (place, engine) = (context.place, context.engine);
        if context.first.is_none() {
            return;
        }
        self.skip_requests(id, Status::Cancelled);
        self.unpark(id);
        self.advance_ready(id);
        if place == Place::OnHardware {
            self.reset_engine(engine);
        } else {
            // It may have been preempted within the batch.
            self.rewind(id);
        }
    }

    /// A context hung: bans it if that is what the hang means to it. The engine is about to be reset, so that
    /// what it has on it needs no further care.
    pub(super) fn ban_for_hang(&mut self, id: ContextId, now_ns: u64) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        if now_ns < context.ban_before_ns {
            context.banned = true;
            if let Some(request) = context.first.and_then(|first| self.requests.get_mut(first)) {
                request.banned = true;
            }
            self.skip_requests(id, Status::Cancelled);
            self.unpark(id);
            self.advance_ready(id);
        }
    }
}
