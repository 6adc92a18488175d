// SPDX-License-Identifier: BSD-2-Clause
//! Execution: which engine runs, and what follows when its stream stops.

use serde_json::json;

use super::bus::EngineBus;
use super::context::LoadError;
use super::descriptor::Descriptor;
use super::status::Event;
use super::submit::Queue;
use super::{Active, Activity};
use crate::clock::COMMAND_NS;
use crate::commands::{Level, Outcome, Space};
use crate::device::Device;
use crate::interrupts::event;
use crate::options::Timing;
use crate::report::Rule;

/// Units of work that one engine gets before the next has its turn.
const SLICE: u64 = 4096;
/// MI_MODE: stop fetching from the ring.
const STOP_RING: u32 = 1 << 8;

impl Device {
    /// Lets all engines work until they are idle or blocked or `budget` is spent. Answers the units of work done.
    /// Without bus mastering no memory access leaves the device, and every engine stands at its next one.
    pub(crate) fn run(&mut self, budget: u64) -> u64 {
        if !self.config.bus_master() {
            return 0;
        }
        let mut left = budget;
        loop {
            let before = left;
            for index in 0..self.engines.len() {
                let used = self.run_engine(index, left.min(SLICE));
                self.clock.spend(used.saturating_mul(COMMAND_NS));
                left = left.saturating_sub(used);
            }
            if left == 0 || left == before {
                return budget - left;
            }
        }
    }

    /// An engine has something to do, or waits for memory to change.
    pub(crate) fn is_busy(&self) -> bool {
        self.engines.iter().any(|engine| {
            !engine.is_hung()
                && (engine.active.is_some() || engine.pending.is_some() || self.ring_mode_busy(engine))
        })
    }

    fn ring_mode_busy(&self, engine: &super::EngineUnit) -> bool {
        engine.loaded.is_none() && engine.stream.ring_enabled() && !engine.stream.is_idle()
    }

    fn run_engine(&mut self, index: usize, budget: u64) -> u64 {
        let mut used = 0;
        while used < budget {
            let done = self.turn(index, budget - used);
            if done == 0 {
                break;
            }
            used += done;
        }
        used
    }

    /// One action of an engine; answers its cost, 0 if there is nothing to do.
    fn turn(&mut self, index: usize, budget: u64) -> u64 {
        let cost = self.act(index, budget);
        let restores =
            self.engines.get_mut(index).map_or(0, |engine| std::mem::take(&mut engine.restore_work));
        cost.saturating_add(restores)
    }

    /// As `turn`, without the work of context batches.
    fn act(&mut self, index: usize, budget: u64) -> u64 {
        if self.options.timing == Timing::Silent {
            return 0;
        }
        let Some(engine) = self.engines.get(index) else { return 0 };
        if engine.is_hung() || engine.ready_for_reset {
            return 0;
        }
        let held =
            self.options.timing == Timing::Busy || self.injection.stuck_engines.contains(&engine.facts.name);
        if engine.active.is_none() {
            if let Some(queue) = engine.pending {
                self.start(index, queue);
                return 1;
            }
            if !self.ring_mode_busy(engine) || held {
                return 0;
            }
        } else if engine.pending.is_some() && (engine.fresh || held) {
            // A context that has just been loaded stands at an arbitration point.
            self.preempt(index);
            return 1;
        }
        if held || self.stopped(index) {
            return 0;
        }
        self.execute(index, budget)
    }

    /// STOP_RING holds the stream at ring level.
    fn stopped(&self, index: usize) -> bool {
        let stop = self.engine_register(index, 0x9c) & STOP_RING != 0;
        stop && self.engines.get(index).is_some_and(|engine| engine.stream.level() == Level::Ring)
    }

    fn execute(&mut self, index: usize, budget: u64) -> u64 {
        let Some(engine) = self.engines.get_mut(index) else { return 0 };
        engine.fresh = false;
        engine.activity = Activity::Running;
        engine.was_reset = false;
        // The stream is outside of the engine while it executes: the bus has the engine.
        let mut stream = std::mem::take(&mut engine.stream);
        let step = stream.step(&mut EngineBus::new(self, index), budget);
        let Some(engine) = self.engines.get_mut(index) else { return 0 };
        if engine.was_reset {
            // The reset has left the engine a stream of its own.
            return step.executed.max(1);
        }
        if std::mem::take(&mut engine.signalled) {
            stream.signal_semaphore();
        }
        engine.stream = stream;
        match step.outcome {
            Outcome::RingEmpty => {
                self.complete(index);
                step.executed.max(1)
            }
            Outcome::BudgetSpent => budget,
            Outcome::ArbitrationPoint => {
                self.preempt(index);
                step.executed.max(1)
            }
            Outcome::Waiting(wait) => {
                engine.activity = Activity::Waiting(wait);
                if wait.arbitration && engine.pending.is_some() {
                    self.preempt(index);
                    return step.executed.max(1);
                }
                step.executed
            }
            Outcome::Error(error) => {
                let subject = format!("{}: {}", self.engine_name(index), error.subject());
                self.engine_error(index, 1);
                let why = format!("{:?}: {}", error.kind, error.reason);
                self.hang(index, &subject, why, error.to_string(), error.position.is_client());
                step.executed.max(1)
            }
            Outcome::Fault(fault) => {
                let client = fault.position.is_client();
                let subject = format!("{}: {}", self.engine_name(index), fault.subject());
                self.access_failed(index, &subject, &fault.fault, client);
                self.hang(index, &subject, fault.fault.to_string(), fault.to_string(), client);
                step.executed.max(1)
            }
            // Only with `was_reset`, above.
            Outcome::Reset => step.executed.max(1),
        }
    }

    /// The engine stands still until it is reset. `why` is what happened at `subject`, `cause` says both.
    fn hang(&mut self, index: usize, subject: &str, why: String, cause: String, client: bool) {
        self.violation_by(client, Rule::EngineHang, subject, why);
        let now = self.now();
        self.trace.begin(now, index, || ("hang".to_owned(), json!({ "cause": cause })));
        if let Some(engine) = self.engines.get_mut(index) {
            engine.activity = Activity::Hung(cause);
        }
    }

    /// Loads the pending queue into the idle engine.
    fn start(&mut self, index: usize, queue: Queue) {
        let Some(engine) = self.engines.get_mut(index) else { return };
        engine.pending = None;
        engine.active = Some(Active { queue, element: 0 });
        let Some(first) = queue.get(0) else { return };
        if self.enter(index, first) {
            self.status_event(index, Event::Started { to: first });
        }
    }

    /// Loads a context; answers `false` if the engine hung on it.
    fn enter(&mut self, index: usize, descriptor: Descriptor) -> bool {
        let now = self.now();
        self.trace.end_all(now, index, 0);
        self.trace.begin(now, index, || {
            (
                format!("context {}", descriptor.context_id()),
                json!({ "descriptor": format!("{:#018x}", descriptor.raw()) }),
            )
        });
        self.check_elsewhere(index, descriptor);
        let result = self.load_context(index, descriptor);
        if result.is_ok() {
            self.trace_batches(index);
        }
        self.entered(index, descriptor, result)
    }

    /// Opens the spans of the batches in which a context goes on.
    fn trace_batches(&mut self, index: usize) {
        let Some(engine) = self.engines.get(index).filter(|_| self.trace.is_on()) else { return };
        let (first, second) = (engine.stream.batch, engine.stream.second);
        let now = self.now();
        for batch in [first, second].into_iter().take_while(|batch| batch.valid) {
            self.trace
                .begin(now, index, || (format!("batch {:#x}", batch.address), json!({ "resumed": true })));
        }
    }

    fn entered(&mut self, index: usize, descriptor: Descriptor, result: Result<(), LoadError>) -> bool {
        match result {
            Ok(()) => {
                if let Some(engine) = self.engines.get_mut(index) {
                    engine.activity = Activity::Running;
                }
                true
            }
            // A batch of the context has reset the engine, which is idle now.
            Err(LoadError::Reset) => false,
            Err(error) => {
                let image = descriptor.lrca();
                let subject = format!("{}: restore of context image {image:#x}", self.engine_name(index));
                if let LoadError::Fault(fault) = &error {
                    self.access_failed(index, &subject, fault, false);
                }
                let why = String::from(error);
                let cause = format!("restore of image {image:#x}: {why}");
                self.hang(index, &subject, why, cause, false);
                false
            }
        }
    }

    /// Saves the running context; answers `false` if the engine hung on it.
    fn leave(&mut self, index: usize) -> bool {
        let now = self.now();
        self.trace.end_all(now, index, 0);
        match self.save_context(index) {
            Ok(()) => true,
            Err(fault) => {
                let loaded = self.engines.get(index).and_then(|engine| engine.loaded);
                let image = loaded.map_or(0, Descriptor::lrca);
                let subject = format!("{}: save of context image {image:#x}", self.engine_name(index));
                self.access_failed(index, &subject, &fault, false);
                self.hang(index, &subject, fault.to_string(), format!("save of the context: {fault}"), false);
                false
            }
        }
    }

    /// The running context has no more work.
    fn complete(&mut self, index: usize) {
        let Some(engine) = self.engines.get_mut(index) else { return };
        engine.activity = Activity::Idle;
        let Some(mut active) = engine.active else { return };
        let Some(away) = active.context() else { return };
        if !engine.stream.arbitration {
            let subject = format!("{}: context {}", engine.facts.name, away.context_id());
            self.violation(Rule::ArbitrationOff, subject, "");
        }
        if !self.leave(index) {
            return;
        }
        let next = if active.element == 0 { active.queue.get(1) } else { None };
        if let Some(to) = next {
            active.element = 1;
            if let Some(engine) = self.engines.get_mut(index) {
                engine.active = Some(active);
            }
            if self.enter(index, to) {
                self.status_event(index, Event::Switched { away, to });
            }
        } else {
            if let Some(engine) = self.engines.get_mut(index) {
                engine.active = None;
            }
            self.status_event(index, Event::Completed { away });
        }
    }

    /// The pending queue takes over from the running context.
    fn preempt(&mut self, index: usize) {
        let Some(engine) = self.engines.get_mut(index) else { return };
        let (Some(active), Some(queue)) = (engine.active, engine.pending.take()) else { return };
        let (Some(away), Some(to)) = (active.context(), queue.get(0)) else { return };
        engine.active = Some(Active { queue, element: 0 });
        let lite = away.same_context(to) && !to.force_restore();
        let entered = if lite {
            let now = self.now();
            self.trace.instant(now, crate::trace::Track::Engine(index), || {
                ("lite restore".to_owned(), serde_json::Value::Null)
            });
            let result = self.lite_restore(index, to).and_then(|()| self.per_context_batch(index, true));
            self.entered(index, to, result)
        } else {
            let now = self.now();
            self.trace.instant(now, crate::trace::Track::Engine(index), || {
                ("preempted".to_owned(), serde_json::Value::Null)
            });
            self.leave(index) && self.enter(index, to)
        };
        if entered {
            self.status_event(index, Event::Preempted { away, to });
        }
    }

    /// Writes a status event to the buffer, its copy in the status page, and raises the interrupt.
    fn status_event(&mut self, index: usize, happened: Event) {
        let generation = self.platform.generation;
        let Some(engine) = self.engines.get_mut(index) else { return };
        if self.injection.lose_status_events.contains(&engine.facts.name) {
            return;
        }
        let entry = happened.encode(generation, engine.facts);
        let slot = engine.status.push(happened.reason(), entry);
        let page = u64::from(self.engine_register(index, 0x80) & !0xfff);
        let write_pointer = if generation >= crate::commands::Generation::Gen11 { 0x2f } else { 0x1f };
        let written = self
            .engine_write(index, Space::Ggtt, page + 0x40 + 8 * u64::from(slot), &entry.to_le_bytes())
            .and_then(|()| {
                self.engine_write(index, Space::Ggtt, page + 4 * write_pointer, &slot.to_le_bytes())
            });
        if let Err(fault) = written {
            let subject = format!("{}: status event at HWS_PGA {page:#x}", self.engine_name(index));
            self.record_fault(index, &fault);
            let why = self.refused.take().map(|why| format!(": {why}")).unwrap_or_default();
            self.violation(Rule::StatusPage, subject, format!("{fault}{why}"));
        }
        self.raise(index, event::CONTEXT_SWITCH);
    }

    fn check_elsewhere(&mut self, index: usize, descriptor: Descriptor) {
        let other = self.engines.iter().enumerate().find(|(other, engine)| {
            *other != index
                && engine
                    .active
                    .and_then(|active| active.context())
                    .is_some_and(|context| context.lrca() == descriptor.lrca())
        });
        if let Some((other, _)) = other {
            let subject = format!("{}: image {:#x}", self.engine_name(index), descriptor.lrca());
            let detail = format!("running on {}", self.engine_name(other));
            self.violation(Rule::ContextBusyElsewhere, subject, detail);
        }
    }
}
