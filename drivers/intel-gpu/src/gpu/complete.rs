// SPDX-License-Identifier: BSD-2-Clause
//! What the hardware has done since we looked: context switches and finished requests.

use super::context::Place;
use super::{ContextId, Gpu};
use crate::engine::csb::Event;
use crate::engine::image::{self, slot};
use crate::platform::Hardware;
use crate::trace;

/// How a context left the hardware.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Left {
    /// Its ring was at its end.
    Completed,
    /// Somebody took its place.
    Preempted,
}

impl<H: Hardware> Gpu<H> {
    /// Reads an engine's status events and retires what has finished. Returns whether anything went on.
    pub(super) fn process_engine(&mut self, engine: usize) -> bool {
        let mut found = false;
        while let Some(event) = self.engines[engine].status.next(&mut self.bus) {
            let now = self.bus.hw.now_ns();
            self.count_busy(engine, now);
            let ports = &mut self.engines[engine].ports;
            let since_ns = ports.running_since_ns;
            match event {
                Event::Acknowledged => match ports.acknowledge() {
                    Some(old) => {
                        found = true;
                        // One that has to make room and goes on right behind is on the hardware all the time.
                        let [first, second] = ports.active;
                        if let Some(id) = old[0].filter(|id| first != Some(*id) && second == Some(*id)) {
                            let engine = self.engines[engine].id;
                            self.bus.hw.note(|| trace::Event::Left { engine, context: id, preempted: true });
                            self.bus.hw.note(|| trace::Event::Entered { engine, context: id });
                        }
                        if let Some(context) = old[0].and_then(|id| self.contexts.get_mut(id)) {
                            let used_ns = now.saturating_sub(since_ns);
                            context.slice_ns = if context.yielded { 0 } else { used_ns };
                        }
                        // The second one first: each goes to the front of the queue.
                        for id in old.into_iter().rev().flatten() {
                            self.left(id, Left::Preempted);
                        }
                        self.begin_slice(engine, now);
                    }
                    None => self.statistics.unexpected_events += 1,
                },
                Event::Completed => match ports.complete() {
                    Some(id) => {
                        found = true;
                        if let Some(context) = self.contexts.get_mut(id) {
                            context.slice_ns = 0;
                        }
                        self.left(id, Left::Completed);
                        if self.engines[engine].ports.active[0].is_some() {
                            self.begin_slice(engine, now);
                        }
                    }
                    None => self.statistics.unexpected_events += 1,
                },
                Event::Other => {}
            }
        }
        for id in self.engines[engine].ports.active.into_iter().flatten() {
            found |= self.retire(id);
        }
        if found {
            let now = self.bus.hw.now_ns();
            self.count_time(engine, now);
            self.kick(engine);
            self.evict_cancelled(engine);
        }
        found
    }

    /// The context at the head of an engine's list runs from now on; it may have used a part of its timeslice before.
    fn begin_slice(&mut self, engine: usize, now: u64) {
        let ports = &mut self.engines[engine].ports;
        let context = ports.active[0].and_then(|id| self.contexts.get(id));
        ports.running_since_ns = now.saturating_sub(context.map_or(0, |context| context.slice_ns));
    }

    /// Finishes the requests of a context whose numbers the GPU has written. Returns whether there were
    /// any.
    pub(super) fn retire(&mut self, id: ContextId) -> bool {
        let Some(context) = self.contexts.get(id) else { return false };
        let Some(timeline) = self.timelines.get(context.timeline) else { return false };
        let reached = self.timeline_in_memory(timeline);
        context.first.is_some() && self.finish_until(id, reached)
    }

    /// A submission that a context was in has ended.
    fn left(&mut self, id: ContextId, how: Left) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        context.ports -= 1;
        if context.ports != 0 {
            context.yielded = false;
            return; // still in the other submission: it did not leave the hardware
        }
        let engine = context.engine;
        self.engines[engine].ports.give_tag(context.tag);
        let (place, preempted) = (self.engines[engine].id, how == Left::Preempted);
        self.bus.hw.note(|| trace::Event::Left { engine: place, context: id, preempted });
        if core::mem::take(&mut context.restore_inhibit) {
            // The image has been saved: the next load takes all of it.
            let at = context.state.at(slot::CONTEXT_CONTROL * 4);
            let value = image::context_control(self.platform.generation, false);
            self.bus.hw.write_u32(at, value);
            self.bus.publish(at, 4);
        }
        context.place = Place::Idle;
        let rewind = core::mem::take(&mut context.rewind_when_off);
        if self.engines[engine].stopped {
            self.start_in_image(id);
        }
        self.retire(id);
        if rewind {
            self.rewind(id);
        }
        self.settle_image(id);
        self.requeue(id, how == Left::Preempted);
    }

    /// Brings the image of a context that is off the hardware up to date, and lets the request that waited for
    /// that go on.
    pub(super) fn settle_image(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        if context.first.is_none() {
            context.lane = context.selection.mask();
        }
        if context.first == context.first_unready && core::mem::take(&mut context.reload) {
            self.context_write_sseu(id);
        }
        self.advance_mark(id);
    }

    /// Queues a context that is off the hardware again if it has work: before the others of its priority
    /// if its turn was not over.
    pub(super) fn requeue(&mut self, id: ContextId, front: bool) {
        let Some(context) = self.contexts.get_mut(id) else { return };
        let yielded = core::mem::take(&mut context.yielded);
        if context.place == Place::Idle && context.is_runnable() {
            self.enqueue(id, front && !yielded);
            return;
        }
        if core::mem::take(&mut context.relieved) {
            self.refresh_priority(id);
        }
        self.context_free_if_done(id);
    }
}
