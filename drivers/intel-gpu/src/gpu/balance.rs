// SPDX-License-Identifier: BSD-2-Clause
//! Contexts that several engines may execute: load-balanced ("virtual") engines, and requests that are bonded to one on
//! another engine.
//!
//! A context is queued as a whole, and so the choice is the context's: its *lane* is the set of engines that may execute
//! everything of it that is ready. With one engine in the lane it waits in that engine's queue; with several in the
//! queue that their class shares, from which the first engine that has time takes it. Only video engines come in
//! numbers, so one shared queue is enough.
//!
//! ```text
//!   lane {a}     ──► queue of a ───────────────┐
//!   lane {a, b}  ──► shared queue ──► a or b ──┴─► on the hardware of one ──► left: may move to another
//! ```
//!
//! A bonded request waits until the other one, its master, is given to an engine, and is then restricted to the
//! engines that its bonds leave (i915: `virtual_bond_execute`, `__i915_request_await_execution`). A request joins
//! those of its context that are ready only if the lane fits it; otherwise it waits until they are done.

use super::context::{Context, Place};
use super::submit::{Request, Status};
use super::{ContextId, EngineSelection, Fence, Gpu, RequestId};
use crate::engine::image;
use crate::error::Error;
use crate::platform::Hardware;

impl Context {
    /// Whether its first request that is not ready may join those that are; narrows the lane to what executes them all.
    #[inline]
    pub(super) fn join(&mut self, request: &Request) -> bool {
        let alone = self.first == self.first_unready;
        request.waits == 0 && self.join_as(alone, request.reload, request.engines)
    }

    /// The same for a request that waits for nothing: `alone` if none is ready before it, the engines as far as it is up to the
    /// request.
    #[inline(always)] // Mostly all it is asked is known.
    pub(super) fn join_as(&mut self, alone: bool, reload: bool, engines: u8) -> bool {
        // What changes the image runs alone, from when the context is off the hardware.
        if reload && self.reload && !(alone && self.ports == 0) {
            return false;
        }
        let allowed = engines & self.selection.mask();
        if alone && self.place == Place::Idle {
            self.lane = allowed;
            return true;
        }
        let current = if self.place == Place::OnHardware { 1 << self.engine } else { self.lane };
        if current & !allowed != 0 {
            return false;
        }
        self.lane &= allowed;
        true
    }
}

impl<H: Hardware> Gpu<H> {
    /// Lets any of a selection's engines execute a context that has not been used yet.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] if the context's own engine is not among them, or they are not of one
    /// class; [`Error::Busy`].
    pub fn context_select(&mut self, id: ContextId, selection: EngineSelection) -> Result<(), Error> {
        let context = self.context(id)?;
        let class = self.engines.get(context.engine).map(|engine| engine.id.class);
        let alike = (0..)
            .zip(&self.engines)
            .all(|(index, engine)| selection.mask() >> index & 1 == 0 || Some(engine.id.class) == class);
        if selection.mask() >> context.engine & 1 == 0 || !alike {
            return Err(Error::Invalid);
        }
        if context.first.is_some() || context.ports != 0 {
            return Err(Error::Busy);
        }
        let context = self.context_mut(id)?;
        (context.selection, context.lane) = (selection, selection.mask());
        Ok(())
    }

    /// Puts a context that is off the hardware into the queue that its lane has. Once the GPU has been given up
    /// nothing would take it from there, and it stays idle.
    pub(super) fn enqueue(&mut self, id: ContextId, front: bool) {
        if self.check_running().is_err() {
            return;
        }
        let Some(context) = self.contexts.get_mut(id) else { return };
        let (lane, priority) = (context.lane, context.effective_priority());
        context.place = Place::Queued;
        self.arrivals += 1;
        let arrival = self.arrivals;
        let queue = if lane.is_power_of_two() {
            let engine = lane.trailing_zeros() as usize;
            self.migrate(id, engine);
            self.kick(engine);
            &mut self.engines[engine].queue
        } else {
            let idle = (0..).zip(&self.engines).filter(|(_, engine)| engine.ports.is_idle());
            let idle = idle.fold(0, |mask, (index, _)| mask | 1 << index) & lane;
            self.kicked |= if idle == 0 { lane } else { idle };
            &mut self.shared
        };
        if front {
            queue.push_front(&mut self.contexts, id, priority);
        } else {
            queue.push_back(&mut self.contexts, id, priority, arrival);
        }
    }

    /// Takes a queued context out of its queue.
    pub(super) fn unqueue(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get(id) else { return };
        let (lane, engine) = (context.lane, context.engine);
        let queue = if lane.is_power_of_two() { &mut self.engines[engine].queue } else { &mut self.shared };
        queue.remove(&mut self.contexts, id);
    }

    /// The shared queue's first context, if this engine may take it: not while it is busy, or gets something to do
    /// in the same breath, and another one that may is not.
    fn shared_for(&self, engine: usize, busy: bool) -> Option<i16> {
        let (id, priority) = self.shared.highest()?;
        let lane = self.contexts.get(id).map_or(0, |context| context.lane);
        let others = (0..)
            .zip(&self.engines)
            .any(|(index, other)| index != engine && lane >> index & 1 != 0 && other.ports.is_idle());
        let take = lane >> engine & 1 != 0 && (!others || !busy && self.engines[engine].ports.is_idle());
        take.then_some(priority)
    }

    /// Priority of the most urgent context that waits for an engine.
    pub(super) fn waiting(&self, engine: usize) -> Option<i16> {
        let own = self.engines[engine].queue.highest().map(|(_, priority)| priority);
        own.max(self.shared_for(engine, false))
    }

    /// Takes the most urgent context that waits for an engine; of equally urgent ones by turns an own and a shared
    /// one.
    pub(super) fn dequeue(&mut self, engine: usize) -> Option<ContextId> {
        self.dequeue_for(engine, false)
    }

    /// [`Self::dequeue`] for the second element of a submission.
    pub(super) fn dequeue_second(&mut self, engine: usize) -> Option<ContextId> {
        self.dequeue_for(engine, true)
    }

    fn dequeue_for(&mut self, engine: usize, busy: bool) -> Option<ContextId> {
        let own = self.engines[engine].queue.highest().map(|(_, priority)| priority);
        let shared = self.shared_for(engine, busy);
        let turn = self.engines[engine].shared_turn;
        let take_shared = shared > own || shared.is_some() && shared == own && turn;
        if shared.is_some() && own.is_some() {
            self.engines[engine].shared_turn = !turn;
        }
        if !take_shared {
            return self.engines[engine].queue.pop(&mut self.contexts);
        }
        let id = self.shared.pop(&mut self.contexts)?;
        self.migrate(id, engine);
        Some(id)
    }

    /// Makes a context that is off the hardware an engine's.
    fn migrate(&mut self, id: ContextId, engine: usize) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        let before = core::mem::replace(&mut context.engine, engine);
        if before == engine {
            return;
        }
        context.force_restore = true;
        let busy = u32::from(context.first.is_some());
        if let Some(vm) = self.vms.get_mut(context.vm) {
            vm.in_flight[before] -= busy;
            vm.in_flight[engine] += busy;
            vm.last_use[before] = self.engines[before].tlb_generation;
        }
        let generation = self.platform.generation;
        if !generation.is_gen11_or_12() {
            // The registers of the image are named by their place in BAR 0.
            let (class, base, state) =
                (self.engines[engine].id.class, self.engines[engine].base, context.state);
            image::readdress(generation, class, base, |dword, value| {
                self.bus.hw.write_u32(state.at(dword * 4), value);
            });
            self.bus.publish(state.at(0), 4096);
        }
        self.statistics.migrations += 1;
    }

    /// Which engine a request has been given to that is not complete, and its context.
    fn started(&self, fence: Fence) -> Option<(usize, ContextId)> {
        let id = self.request_of(fence).and_then(|id| self.requests.get(id))?.context;
        let context = self.contexts.get(id)?;
        let started = context.place == Place::OnHardware && context.submitted_seqno >= fence.seqno;
        started.then_some((context.engine, id))
    }

    /// Bonds a request that is being submitted to its master. Returns whether it has to wait for it.
    pub(super) fn bond(&mut self, id: RequestId, master: Fence) -> bool {
        if self.is_signalled(master) {
            return false;
        }
        match self.started(master) {
            Some((engine, context)) => {
                self.restrict(id, engine, context);
                false
            }
            None => true,
        }
    }

    /// Restricts a request to what its bonds leave now that its master is on an engine.
    fn restrict(&mut self, id: RequestId, engine: usize, master: ContextId) {
        let Some(request) = self.requests.get_mut(id) else { return };
        let Some(selection) = self.contexts.get(request.context).map(|context| context.selection) else {
            return;
        };
        if !selection.is_balanced() {
            return;
        }
        request.engines &= selection.after(engine);
        let allowed = request.engines & selection.mask();
        if allowed == 0 {
            // A selection that cannot be (i915: ENODEV, on the first sibling).
            request.engines = u8::MAX;
            self.skip_request(id, Status::Cancelled);
        }
        // The master must not move to where the bonded one runs.
        if let Some(master) = self.contexts.get_mut(master)
            && master.lane & !allowed != 0
        {
            master.lane &= !allowed;
        }
    }

    /// A context has been given to an engine: what is bonded to its requests may start.
    pub(super) fn start_bonded(&mut self, engine: usize, id: ContextId) {
        let timeline = self.contexts.get(id).and_then(|context| self.timelines.get(context.timeline));
        if timeline.is_some_and(|timeline| timeline.starts != 0) {
            self.wake_bonded(id, |gpu, bonded| gpu.restrict(bonded, engine, id));
        }
    }
}
