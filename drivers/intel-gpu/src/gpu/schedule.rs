// SPDX-License-Identifier: BSD-2-Clause
//! Who runs: fills the two elements of each engine's submission from its queue.
//!
//! A context is queued as a whole, at its priority; its ring has all its requests, and a submission
//! covers those that are ready. While a submission is unacknowledged nothing is decided.
//!
//! More urgent contexts run first. A request that others wait for is as urgent as the most urgent of them, with
//! all that it needs in turn, until it is complete (`wait`). Equally urgent contexts take turns: one runs for
//! `Config::timeslice_ns`, interruptions by more urgent ones not counted, and goes behind the others then. What is
//! passed over for `Config::passed_over_ns` gets a timeslice before all clients (`relieve`).
//!
//! So a runnable context never waits for ever: at most for the more urgent work there is and a timeslice of each equally
//! urgent one before it; and while more urgent work does not end, at most for two times `Config::passed_over_ns` and a
//! timeslice for each context that waits for the same engine. To a timeslice belong the time to the next
//! [`Gpu::tick`], and what the running context takes to give way, which is `Config::preempt_timeout_ns` at most.

use super::context::Place;
use super::{ContextId, Gpu};
use crate::engine::image::slot;
use crate::engine::ports::{self, Descriptor, Elements};
use crate::platform::{Clock, Hardware};
use crate::trace;

/// Why a running context would be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// Only by a more urgent one.
    Keep,
    /// Also by an equally urgent one: its timeslice is over.
    Yield,
    /// By anybody: it has been parked.
    Leave,
}

impl<H: Hardware> Gpu<H> {
    /// Marks an engine whose queue or ports have changed.
    pub(super) const fn kick(&mut self, engine: usize) {
        self.kicked |= 1 << engine;
    }

    /// Decides for every engine that was kicked. The last step of every operation.
    #[inline]
    pub(super) fn run_scheduler(&mut self) {
        while self.kicked != 0 {
            let engine = self.kicked.trailing_zeros() as usize;
            self.kicked &= self.kicked - 1;
            self.schedule(engine, Turn::Keep);
        }
    }

    /// The running context's timeslice is over: an equally urgent one may take its place.
    pub(super) fn end_timeslice(&mut self, engine: usize) {
        self.schedule(engine, Turn::Yield);
    }

    /// The running context polls for a fence: if anybody else has work for the engine, that one runs.
    pub(super) fn end_poll(&mut self, engine: usize) {
        let ports = &self.engines[engine].ports;
        let [Some(running), next] = ports.active else { return };
        let wanted = next.is_some() || self.waiting(engine).is_some();
        if ports.pending.is_none() && wanted && self.is_polling(running) {
            self.park(running);
            self.schedule(engine, Turn::Leave);
        }
    }

    /// Whether the first unfinished request of a context waits for a fence on the GPU.
    pub(super) fn is_polling(&self, id: ContextId) -> bool {
        let first = self.contexts.get(id).and_then(|context| context.first);
        first
            .and_then(|id| self.requests.get(id))
            .is_some_and(|request| request.polls.into_iter().flatten().any(|fence| !self.is_signalled(fence)))
    }

    fn schedule(&mut self, engine: usize, turn: Turn) {
        let Some(found) = self.engines.get(engine) else { return };
        if found.ports.pending.is_some() || self.check_running().is_err() {
            return;
        }
        let [running, next] = found.ports.active;
        let Some(running) = running else {
            if self.waiting(engine).is_some() {
                let first = self.dequeue(engine);
                let elements = [first, self.dequeue_second(engine)];
                self.submit_elements(engine, elements);
            }
            return;
        };
        let turn = self.turn_of(running, turn);
        if let Some(elements) = self.choose(engine, running, next, turn) {
            self.submit_elements(engine, elements);
        }
    }

    /// Whose turn it is. The timeslice of a context that was preempted goes on when it comes back, and may be over
    /// by then.
    fn turn_of(&mut self, running: ContextId, turn: Turn) -> Turn {
        let Some(context) = self.contexts.get_mut(running) else { return turn };
        let over = turn == Turn::Yield || turn == Turn::Keep && context.slice_ns >= self.config.timeslice_ns;
        if over && core::mem::take(&mut context.relieved) {
            self.refresh_priority(running);
        }
        if over { Turn::Yield } else { turn }
    }

    /// What to submit while something runs, if anything: the two most urgent of the running one, the next one, and
    /// those that wait. Among equally urgent ones the running one goes before the next one and that one before the
    /// others, unless its turn is over: then it goes last. New requests of the running one are added where that disturbs
    /// nobody.
    fn choose(
        &mut self,
        engine: usize,
        running: ContextId,
        next: Option<ContextId>,
        turn: Turn,
    ) -> Option<Elements> {
        let mut held = match turn {
            Turn::Keep => [self.stays(running), next.and_then(|next| self.stays(next))],
            Turn::Yield => [next.and_then(|next| self.stays(next)), self.stays(running)],
            Turn::Leave => [next.and_then(|next| self.stays(next)), None],
        };
        let mut elements = [None; 2];
        for element in &mut elements {
            *element = self.take_most_urgent(engine, &mut held, (turn == Turn::Yield).then_some(running));
        }
        let [first, second] = elements;
        let first = first?;
        if first == running && second == next {
            let more = self.contexts.get(running).is_some_and(|context| context.unsubmitted);
            if next.is_some() || !more {
                return None;
            }
        }
        if turn == Turn::Yield
            && first != running
            && let Some(context) = self.contexts.get_mut(running)
        {
            context.yielded = true;
        }
        Some([Some(first), second])
    }

    /// A context on the hardware with its priority, if it may stay there; one that was cancelled has to leave.
    fn stays(&self, id: ContextId) -> Option<(ContextId, i16)> {
        let context = self.contexts.get(id).filter(|context| !context.rewind_when_off)?;
        Some((id, context.effective_priority()))
    }

    /// Takes the most urgent of the contexts that are on the hardware and of those that wait. Of equally urgent ones it
    /// takes those on the hardware first, in their order, except `last`.
    fn take_most_urgent(
        &mut self,
        engine: usize,
        held: &mut [Option<(ContextId, i16)>; 2],
        last: Option<ContextId>,
    ) -> Option<ContextId> {
        let [first, second] = *held;
        let take_second = match (first, second) {
            (Some(first), Some(second)) => second.1 > first.1,
            (first, _) => first.is_none(),
        };
        let place = if take_second { &mut held[1] } else { &mut held[0] };
        let best = *place;
        let waiting = self.waiting(engine);
        let waiting_goes_first = match (best, waiting) {
            (Some((id, mine)), Some(waiting)) => waiting > mine || waiting == mine && last == Some(id),
            (best, _) => best.is_none(),
        };
        if waiting_goes_first {
            return self.dequeue(engine);
        }
        *place = None;
        best.map(|(id, _)| id)
    }

    fn submit_elements(&mut self, engine: usize, elements: Elements) {
        if self.wake().is_err() {
            for id in elements.into_iter().flatten() {
                // Taken from a queue, and not on the hardware either.
                if let Some(context) = self.contexts.get_mut(id).filter(|context| context.ports == 0) {
                    context.place = Place::Idle;
                }
            }
            self.wake_by_reset();
            if self.check_running().is_err() {
                return;
            }
        }
        let now = self.bus.now_ns();
        let descriptors = elements.map(|id| id.and_then(|id| self.prepare(engine, id)));
        self.count_busy(engine, now);
        let found = &mut self.engines[engine];
        found.ports.pending = Some((elements, now));
        self.statistics.port_writes += 1;
        ports::submit(&mut self.bus, self.platform.generation, found.base, descriptors);
        for id in elements.into_iter().flatten() {
            self.start_bonded(engine, id);
        }
    }

    /// Brings a context's image up to date and describes it to the hardware.
    fn prepare(&mut self, engine: usize, id: ContextId) -> Option<Descriptor> {
        let context = self.contexts.get_mut(id)?;
        let found = &mut self.engines[engine];
        if context.ports == 0 {
            context.tag = found.ports.take_tag();
            self.bus.hw.note(|| trace::Event::Entered { engine: found.id, context: id });
        }
        context.ports += 1;
        context.place = Place::OnHardware;
        context.unsubmitted = false;
        context.submitted_seqno = context.ready_seqno;
        let tail = context.next_tail;
        // WaIdleLiteRestore: the tail must have moved, or the image must be loaded anew.
        let forward = context.ring.is_forward(context.submitted_tail, tail);
        let force_restore = core::mem::take(&mut context.force_restore) || !forward;
        context.submitted_tail = tail;
        context.next_tail = context.spare_tail;
        let at = context.state.at(slot::RING_TAIL * 4);
        self.bus.hw.write_u32(at, tail);
        self.bus.publish(at, 4);
        Some(Descriptor {
            generation: self.platform.generation,
            engine: found.id,
            image: context.range.at(0),
            four_level: self.format.four_level(),
            tag: context.tag,
            priority: context.priority,
            force_restore,
        })
    }
}
