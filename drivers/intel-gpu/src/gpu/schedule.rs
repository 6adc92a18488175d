// SPDX-License-Identifier: BSD-2-Clause
//! Who runs: fills the two elements of each engine's submission from its queue.
//!
//! A context is queued as a whole, at its priority; its ring has all its requests, and a submission
//! covers those that are ready. While a submission is unacknowledged nothing is decided.

use super::context::Place;
use super::{Context, ContextId, Gpu};
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

    /// A context may have got something to run.
    pub(super) fn activate(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        let engine = context.engine;
        if context.place == Place::Idle && context.is_runnable() {
            self.enqueue(id, false);
        } else {
            self.kick(engine);
        }
    }

    /// Decides for every engine that was kicked. The last step of every operation.
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

    fn priority(&self, id: ContextId) -> i16 {
        self.contexts.get(id).map_or(i16::MIN, Context::effective_priority)
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
        let waiting = self.waiting(engine);
        let elements = match running {
            None if waiting.is_none() => return,
            None => {
                let first = self.dequeue(engine);
                [first, self.dequeue(engine)]
            }
            Some(running) => {
                let chosen = match turn {
                    Turn::Yield => self.replace_equal(engine, running, next, waiting),
                    Turn::Leave => {
                        let first = next.or_else(|| self.dequeue(engine));
                        first.map(|first| [Some(first), self.dequeue(engine)])
                    }
                    Turn::Keep => None,
                };
                match chosen.or_else(|| self.keep_running(engine, running, next, waiting)) {
                    Some(elements) => elements,
                    None => return,
                }
            }
        };
        self.submit_elements(engine, elements);
    }

    /// What to submit while `running` keeps its turn, if anything: a more urgent context takes its place
    /// or the second one's; a free second place is filled; new requests of the running one are added.
    fn keep_running(
        &mut self,
        engine: usize,
        running: ContextId,
        next: Option<ContextId>,
        waiting: Option<i16>,
    ) -> Option<Elements> {
        let mine = self.priority(running);
        if waiting.is_some_and(|waiting| waiting > mine) {
            let first = self.dequeue(engine);
            return Some([first, self.dequeue_above(engine, mine).or(self.behind(running))]);
        }
        match next {
            Some(next) => {
                let second = self.dequeue_above(engine, self.priority(next))?;
                Some([Some(running), Some(second)])
            }
            None => {
                let more = self.contexts.get(running).is_some_and(|context| context.unsubmitted);
                (waiting.is_some() || more).then(|| [Some(running), self.dequeue(engine)])
            }
        }
    }

    /// What to submit when the turn of `running` is over: equally urgent ones first, in their order, and
    /// `running` behind them.
    fn replace_equal(
        &mut self,
        engine: usize,
        running: ContextId,
        next: Option<ContextId>,
        waiting: Option<i16>,
    ) -> Option<Elements> {
        let mine = self.priority(running);
        if waiting.is_some_and(|waiting| waiting > mine) {
            return None; // not a matter of turns
        }
        let next = next.filter(|next| self.priority(*next) >= mine);
        let first = match next {
            Some(next) => next,
            None => self.dequeue_above(engine, mine.saturating_sub(1))?,
        };
        let second = self.dequeue_above(engine, mine.saturating_sub(1));
        if let Some(context) = self.contexts.get_mut(running).filter(|_| second.is_some()) {
            context.yielded = true;
        }
        Some([Some(first), second.or(self.behind(running))])
    }

    /// The running context as the one that comes after what takes its place; one that was cancelled has to leave.
    fn behind(&self, running: ContextId) -> Option<ContextId> {
        self.contexts.get(running).is_some_and(|context| !context.rewind_when_off).then_some(running)
    }

    /// Takes the most urgent waiting context if it is more urgent than `priority`.
    fn dequeue_above(&mut self, engine: usize, priority: i16) -> Option<ContextId> {
        let waiting = self.waiting(engine)?;
        if waiting > priority { self.dequeue(engine) } else { None }
    }

    fn submit_elements(&mut self, engine: usize, elements: Elements) {
        if self.wake().is_err() {
            for id in elements.into_iter().flatten() {
                // Taken from a queue, and not on the hardware either.
                if let Some(context) = self.contexts.get_mut(id).filter(|context| context.ports == 0) {
                    context.place = Place::Idle;
                }
            }
            self.wedge();
            return;
        }
        let now = self.bus.now_ns();
        let descriptors = elements.map(|id| id.and_then(|id| self.prepare(engine, id)));
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
            self.bus.hw.note(trace::Event::Entered { engine: found.id, context: id });
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
