// SPDX-License-Identifier: BSD-2-Clause
//! When the hardware does not go on: reset of the engine, reset of the GPU, and at last giving up.
//!
//! ```text
//!   hang --> engine reset --(not possible)--> GPU reset --(not possible)--> wedged
//!               |                                |                             |
//!   a TLB invalidation that is not confirmed ----+                             |
//!               |                                +--(still not confirmed)------+
//!               +-- guilty request skipped, the others run again --------------+-- everything cancelled
//! ```
//!
//! Sources: i915: intel_reset.c, intel_execlists_submission.c (`execlists_reset_csb`,
//! `__execlists_reset_reg_state`).

use super::context::Place;
use super::submit::Status;
use super::{ContextId, Gpu, Health, RequestId};
use crate::device::EngineId;
use crate::engine::image::{self, slot};
use crate::engine::reset;
use crate::error::Error;
use crate::memory::cache;
use crate::mmio::regs::{ErrorIdentity, GgcMirror};
use crate::platform::Hardware;
use crate::trace;

impl<H: Hardware> Gpu<H> {
    /// What an engine executes does not end: stops it, and skips the request that is to blame.
    pub(super) fn hang(&mut self, engine: usize) {
        if self.is_gone() {
            self.wedge(); // nobody is to blame
            return;
        }
        let before = self.suspect(engine);
        self.process_engine(engine);
        if self.suspect(engine) != before {
            self.run_scheduler();
            return; // it went on while we looked
        }
        self.stop_hung(engine);
    }

    /// What must have changed if an engine is not to count as hung: the submission that it has not acknowledged, or the
    /// request that it is executing if there is none. Nothing else that comes from it is a sign of life: a batch can cause
    /// status events without end.
    fn suspect(&self, engine: usize) -> (Option<ContextId>, Option<RequestId>, Option<u64>) {
        let pending = self.engines[engine].ports.pending.map(|(_, since_ns)| since_ns);
        let guilty = self.guilty(engine);
        let first = guilty.and_then(|id| self.contexts.get(id)).and_then(|context| context.first);
        (guilty, first.filter(|_| pending.is_none()), pending)
    }

    /// The context that an engine is executing as far as is known, or has been given last.
    pub(super) fn guilty(&self, engine: usize) -> Option<ContextId> {
        let ports = &self.engines[engine].ports;
        ports.active[0].or(ports.pending.and_then(|(elements, _)| elements[0]))
    }

    /// Stops what an engine is executing, blames it, and lets the others go on.
    fn stop_hung(&mut self, engine: usize) {
        self.bus.hw.note(|| trace::Event::Hang { engine: self.engines[engine].id });
        if let Some(id) = self.guilty(engine)
            && let Some(context) = self.contexts.get(id)
            && let Some(request) = context.first
        {
            let unread = self.record_hang(engine, request);
            self.blame(request);
            let now = self.bus.hw.now_ns();
            self.ban_for_hang(id, now);
            if let Some(window) = unread {
                self.read_batch(engine, request, window);
            } else if self.is_reading(request) {
                self.skip_request(request, Status::Hang); // not even that has come to an end
            }
        }
        self.reset_engine(engine);
        self.run_scheduler();
    }

    /// What hangs is to blame, also if it was asked to leave before (`Gpu::ask_requests_to_leave`): it did not. Of a context
    /// that was cancelled as a whole nothing more is expected.
    fn blame(&mut self, id: RequestId) {
        let Some(request) = self.requests.get_mut(id) else { return };
        let cancelled = self.contexts.get(request.context).is_some_and(|context| context.banned);
        if request.status == Status::Done || request.status == Status::Cancelled && !cancelled {
            request.status = Status::Hang;
        }
    }

    /// The command streamer reports an error: what it was executing is to blame.
    pub(super) fn command_error(&mut self, engine: usize) {
        let base = self.engines[engine].base;
        let identity: ErrorIdentity = self.bus.read_on(base);
        if identity.0 == 0 {
            return;
        }
        if identity.0 == u32::MAX && self.is_gone() {
            self.wedge();
            return;
        }
        // The command streamer stands still until it is reset, whatever else it has finished meanwhile.
        self.process_engine(engine);
        self.stop_hung(engine);
        self.bus.write_on(base, identity);
    }

    /// Whether the device does not answer any more: reads of one that is gone give all ones. The register is
    /// outside the power wells, and has bits that are always zero (PRM vol 2c, GGC).
    pub(super) fn is_gone(&mut self) -> bool {
        self.bus.read::<GgcMirror>().0 == u32::MAX
    }

    /// Stops and resets one engine; goes on to the whole GPU where that is not possible. What was on it
    /// runs again, from the start of its first unfinished request; requests whose status is no longer
    /// [`Status::Done`] only signal.
    pub(super) fn reset_engine(&mut self, engine: usize) {
        let generation = self.platform.generation;
        let id = self.engines[engine].id;
        self.statistics.engine_resets += 1;
        self.take_fault(engine);
        self.engines[engine].stopped = true;
        self.bus.hw.note(|| trace::Event::EngineReset { engine: id });
        reset::stop(&mut self.bus, generation, id);
        // What it still finished before it stopped is finished.
        self.process_engine(engine);
        let present = self.fuses.engines;
        let done = reset::engine(&mut self.bus, generation, id, present, false)
            .or_else(|_| reset::engine(&mut self.bus, generation, id, present, true));
        if done.is_err() {
            self.reset_gpu();
            return;
        }
        self.unwind(engine);
        let part = self.part();
        let status = self.engines[engine].enable(&mut self.bus, part);
        if status != 0 {
            self.reset_gpu();
        }
    }

    /// Resets the whole GPU: the last resort before giving up, also for an unbinding that cannot be
    /// released because an engine does not answer. Running requests start again.
    ///
    /// # Errors
    /// [`Error::Wedged`] when the hardware does not come back.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.check_running()?;
        if self.wake().is_ok() {
            self.reset_gpu();
        } else {
            self.wake_by_reset();
        }
        self.run_scheduler();
        self.check_running()
    }

    fn reset_gpu(&mut self) {
        self.statistics.gpu_resets += 1;
        self.bus.hw.note(|| trace::Event::GpuReset);
        if self.is_gone() {
            self.wedge();
            return;
        }
        if let Some(busy) = self.engines.iter().position(|engine| !engine.ports.is_idle()) {
            self.take_fault(busy);
        }
        self.interrupts_off();
        for engine in 0..self.engines.len() {
            self.engines[engine].stopped = true;
            reset::stop(&mut self.bus, self.platform.generation, self.engines[engine].id);
            self.process_engine(engine);
        }
        // Three attempts (i915: `RESET_MAX_RETRIES`): the first may come while a power well is in transition.
        let reset = (0..3).any(|_| {
            let ids = self.engines.iter().map(|engine| engine.id);
            reset::full(&mut self.bus, self.platform.generation, ids).is_ok()
        });
        if reset {
            self.restart();
        } else {
            self.wedge();
        }
    }

    /// Wakes a GPU that does not acknowledge that it is to wake, by resetting it: the reset register is outside the power
    /// wells, and a reset drops the state of the wake-up that is stuck. Nothing is on the engines of a GPU that sleeps.
    pub(super) fn wake_by_reset(&mut self) {
        self.statistics.gpu_resets += 1;
        self.bus.hw.note(|| trace::Event::GpuReset);
        if self.is_gone() {
            self.wedge();
            return;
        }
        self.interrupts_off();
        if reset::asleep(&mut self.bus).is_err() || self.wake().is_err() {
            self.wedge();
        } else {
            self.restart();
        }
    }

    /// Brings everything up again after a reset of the GPU.
    fn restart(&mut self) {
        for engine in 0..self.engines.len() {
            self.unwind(engine);
        }
        if self.start_gt().is_err() {
            self.wedge();
            return;
        }
        self.interrupts_on();
        // An engine that does not forget what it was shown must never run again.
        if self.tlb.pending != 0 && self.invalidate_tlbs().is_err() {
            self.wedge();
        }
    }

    /// Writes what a GT reset loses, and enables every engine.
    ///
    /// # Errors
    /// The first engine that reports an error, and its error status.
    pub(super) fn start_gt(&mut self) -> Result<(), (EngineId, u32)> {
        for (register, value) in cache::pat(self.platform.generation) {
            self.bus.write_raw(*register, *value);
        }
        let part = self.part();
        crate::engine::workarounds::apply_gt(&mut self.bus, part);
        crate::engine::mocs::program_gt(&mut self.bus, self.platform.generation, self.platform.mocs);
        for engine in &mut self.engines {
            let status = engine.enable(&mut self.bus, part);
            if status != 0 {
                return Err((engine.id, status));
            }
        }
        self.start_power();
        Ok(())
    }

    /// Takes everything off an engine that was reset, and queues it again.
    fn unwind(&mut self, engine: usize) {
        let now = self.bus.hw.now_ns();
        self.count_busy(engine, now);
        let ports = &mut self.engines[engine].ports;
        let running = ports.active[0];
        let active = core::mem::take(&mut ports.active);
        let pending = ports.pending.take().map_or([None; 2], |(elements, _)| elements);
        // In reverse: each goes to the front of its priority, the running one last.
        for id in pending.into_iter().rev().chain(active.into_iter().rev()).flatten() {
            let Some(context) = self.contexts.get_mut(id) else { continue };
            context.ports = context.ports.saturating_sub(1);
            if context.ports != 0 {
                continue;
            }
            context.place = Place::Idle;
            context.rewind_when_off = false;
            let tag = context.tag;
            self.engines[engine].ports.give_tag(tag);
            self.retire(id);
            let first = self.contexts.get(id).and_then(|context| context.first);
            let first = first.and_then(|first| self.requests.get_mut(first));
            let skipped = first.as_ref().is_some_and(|request| request.status != Status::Done);
            if let Some(request) = first {
                // What waits behind it goes on where it was (i915: only an engine's active request is marked).
                request.disturbed |= !skipped && running == Some(id);
            }
            if running == Some(id) || skipped {
                self.rewind(id);
            } else {
                self.start_in_image(id);
                self.load_again(id);
            }
            self.settle_image(id);
            self.requeue(id, true);
        }
        self.engines[engine].stopped = false;
        self.kick(engine);
    }

    /// Lets a context that was saved while its engine was stopped start running (i915: `__reset_stop_ring`).
    pub(super) fn start_in_image(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get(id) else { return };
        let class = self.engines[context.engine].id.class;
        if let Some(slot) = image::mi_mode_slot(self.platform.generation, class) {
            let at = context.state.at(slot * 4);
            self.bus.hw.write_u32(at, image::MI_MODE_RUN);
            self.bus.publish(at, 4);
        }
    }

    /// Makes a context that is off the hardware start from the default state, at its first unfinished request:
    /// the reset may have torn its image, or the image is in the middle of a batch that is skipped. A reset
    /// leaves the image of one that was not running as it is: it may have been preempted within a batch, and
    /// goes on there (i915: `execlists_reset` rewinds the active request only).
    pub(super) fn rewind(&mut self, id: ContextId) {
        self.context_write_image(id);
        let Some(context) = self.contexts.get_mut(id) else { return };
        let reads = context
            .first
            .is_some_and(|request| self.error.reading.as_ref().is_some_and(|reading| reading.is_of(request)));
        let first = context.first.and_then(|request| self.requests.get(request));
        let head = first.map_or(context.submitted_tail, |request| {
            if request.status == Status::Done || reads { request.start } else { request.breadcrumb }
        });
        if let Some(request) = context.first.and_then(|first| self.requests.get_mut(first)) {
            request.ran_ns = 0;
        }
        context.restore_inhibit = self.engines[context.engine].default_state.len() == 0;
        let at = context.state.at(slot::RING_HEAD * 4);
        self.bus.hw.write_u32(at, head);
        self.bus.publish(at, 4);
        self.load_again(id);
    }

    /// The next submission of a context covers all of it that is ready, and loads its image.
    fn load_again(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        context.force_restore = true;
        context.next_tail = context.spare_tail;
        context.unsubmitted = true;
    }

    /// Gives up: from here on everything is refused, and what was submitted ends as cancelled.
    pub(super) fn wedge(&mut self) {
        self.health = Health::Wedged;
        // An engine that could not be reset may still execute something. It must not find what is freed from here on.
        self.bus.hw.cut_off();
        self.pool.free_list(&mut self.tlb.tables);
        for engine in 0..self.engines.len() {
            let queue = &mut self.engines[engine].queue;
            while let Some(id) = queue.pop(&mut self.contexts) {
                if let Some(context) = self.contexts.get_mut(id) {
                    context.place = Place::Idle;
                }
            }
            // Nothing is queued any more (`enqueue`).
            self.unwind(engine);
        }
        while let Some(id) = self.shared.pop(&mut self.contexts) {
            if let Some(context) = self.contexts.get_mut(id) {
                context.place = Place::Idle;
            }
        }
        self.abandon_all();
        self.kicked = 0;
    }
}
