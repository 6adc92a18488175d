// SPDX-License-Identifier: BSD-2-Clause
//! Making the GPU let go of pages that somebody must have back: single requests are stopped, in one reset of
//! each engine that has any of them; what else was there runs again.

use super::context::Place;
use super::submit::Status;
use super::{Gpu, RequestId};
use crate::memory::{Released, Unbinding};
use crate::platform::Hardware;

impl<H: Hardware> Gpu<H> {
    /// Notices what has finished, without waiting for an interrupt and without touching a register.
    pub fn retire_finished(&mut self) {
        for engine in 0..self.engines.len() {
            if !self.engines[engine].ports.is_idle() {
                self.process_engine(engine);
            }
        }
        self.run_scheduler();
    }

    /// Stops requests wherever they are. When this returns, none of them executes anything of its batch any
    /// more; their completions come in the order of their timelines. Who has been executing one is to blame
    /// ([`Status::Hang`]), what had not begun is cancelled. Requests that are not there any more are skipped.
    ///
    /// Each engine that has one of them is reset once.
    pub fn stop_requests(&mut self, requests: &[RequestId]) {
        if self.check_running().is_err() {
            return; // nothing executes
        }
        // The record of a hang is read from registers.
        let running = requests.iter().any(|id| self.is_executing(*id).is_some());
        if running && self.wake().is_err() {
            self.wedge();
            return;
        }
        let mut engines = 0_u32;
        for id in requests {
            if let Some(engine) = self.is_executing(*id) {
                // Its pages are wanted back: nobody reads them any more.
                if self.record_hang(engine, *id).is_some() {
                    self.error.no_batch();
                }
            }
            if let Some(engine) = self.stop_request(*id, Status::Hang) {
                engines |= 1 << engine;
            }
        }
        if engines != 0 && self.wake().is_err() {
            self.wedge();
            return;
        }
        for engine in 0..self.engines.len() {
            if engines >> engine & 1 != 0 && self.check_running().is_ok() {
                self.reset_engine(engine);
            }
        }
        self.run_scheduler();
    }

    /// Asks requests to leave their engines, where those can be preempted within a batch: what has begun does not go on,
    /// what has not does not begin, and nobody is to blame. Returns at once; what an engine does not leave in time is to
    /// be stopped with [`Gpu::stop_requests`].
    pub fn ask_requests_to_leave(&mut self, requests: &[RequestId]) {
        if self.check_running().is_err() || !self.platform.preempts_batches {
            return;
        }
        for id in requests {
            let Some(engine) = self.is_executing(*id) else { continue };
            if self.stop_request(*id, Status::Cancelled).is_none() {
                continue;
            }
            let context = self.requests.get(*id).map(|request| request.context);
            if let Some(context) = context.and_then(|id| self.contexts.get_mut(id)) {
                // Its saved state must not go on with the batch.
                context.rewind_when_off = true;
                self.ask_to_leave(engine);
            }
        }
        self.run_scheduler();
    }

    /// The engine that executes a request's batch now, as far as is known.
    fn is_executing(&self, id: RequestId) -> Option<usize> {
        let request = self.requests.get(id)?;
        let timeline = self.timelines.get(request.timeline)?;
        let context = self.contexts.get(request.context)?;
        let begun = context.first == Some(id) && context.submitted_seqno >= request.seqno;
        let executes = begun
            && request.seqno > timeline.completed
            && context.place == Place::OnHardware
            && !self.is_polling(request.context);
        executes.then_some(context.engine)
    }

    /// Makes one request do nothing but signal. The engine to reset, if it may be executing it. `verdict`: what it means
    /// to have begun.
    fn stop_request(&mut self, id: RequestId, verdict: Status) -> Option<usize> {
        let polling = self.requests.get(id).is_some_and(|request| self.is_polling(request.context));
        let request = self.requests.get_mut(id)?;
        let timeline = self.timelines.get(request.timeline)?;
        let context_id = request.context;
        let context = self.contexts.get(context_id)?;
        let place = context.place;
        if request.seqno <= timeline.completed {
            return None; // finished, and only not taken yet
        }
        // The one at the head of the ring may have begun; those behind it have not.
        let begun = context.first == Some(id) && context.submitted_seqno >= request.seqno;
        // One that polls for a fence has not come to its batch.
        let guilty = begun && !polling;
        if request.status == Status::Done {
            request.status = if guilty { verdict } else { Status::Cancelled };
        } else if guilty && place == Place::OnHardware && request.status == Status::Cancelled {
            // It was asked to leave, and is still there.
            request.status = verdict;
        }
        let (start, breadcrumb) = (request.start, request.breadcrumb);
        let (engine, memory) = (context.engine, context.ring.memory);
        self.drop_waits(id, false);
        // Polls, invalidation and batch; MI_NOOP is zero.
        let bytes = (breadcrumb - start) as usize;
        self.bus.hw.write_u64_run(memory.at(start), 0, 0, bytes / 8);
        self.bus.publish(memory.at(start), bytes);
        if place != Place::OnHardware && begun {
            // It was preempted in its batch: the saved state must not go on with it.
            self.rewind(context_id);
        }
        self.unpark(context_id);
        self.advance_ready(context_id);
        (place == Place::OnHardware).then_some(engine)
    }

    /// Gives the GPU up: every request ends as cancelled, and from here on everything is refused.
    pub fn give_up(&mut self) {
        if self.check_running().is_ok() {
            self.wedge();
        }
    }

    /// The proof for an unbinding that a GPU which was given up never confirmed. Nothing is submitted to it any
    /// more, and it is not asked: the pages must be out of reach by other means, which is what the IOMMU is
    /// for.
    ///
    /// # Errors
    /// The unbinding comes back while the GPU is in use.
    pub fn release_given_up(&self, unbinding: Unbinding) -> Result<Released, Unbinding> {
        if self.check_running().is_ok() { Err(unbinding) } else { Ok(unbinding.without_confirmation()) }
    }
}
