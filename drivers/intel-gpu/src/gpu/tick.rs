// SPDX-License-Identifier: BSD-2-Clause
//! What must be done because time has passed: timeslices, lost interrupts, contexts that do not stop,
//! requests that do not end.
//!
//! A request may run for ever as long as it lets others run: one that has been running for
//! `Config::hang_ns` gets a knock, a request of the driver's own at the highest priority. If it is not
//! preempted for that within `Config::preempt_timeout_ns`, it hangs (i915: intel_engine_heartbeat.c). A context
//! can have a watchdog: then its requests may not run longer than that, whether they let others run or not. What counts is
//! the time that a request was executed, however often it was preempted.

use super::{Context, Gpu, RequestId, reading};
use crate::engine::emit::Payload;
use crate::error::Error;
use crate::platform::{Clock, Hardware};

/// How often it is asked whether the device is still there, while it works: one that is gone sends no interrupt.
const PRESENCE_NS: u64 = 100_000_000;

/// How late the interrupt of an event may be that the clock has noticed. After that it is lost: nothing delays a message
/// to the CPU for longer, but an emulator may, where the host has other things to do.
const LATE_NS: u64 = 100_000_000;

/// What an engine was executing when the clock looked last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    request: Option<RequestId>,
    /// Since when, or since the last knock.
    since_ns: u64,
    /// Up to when its time is counted.
    counted_ns: u64,
}

impl Progress {
    pub(crate) const fn new() -> Self {
        Self { request: None, since_ns: 0, counted_ns: 0 }
    }
}

impl<H: Hardware> Gpu<H> {
    /// To be called every now and then while the GPU is busy: every millisecond for timeslices to be
    /// fair, some hundred milliseconds for recovery to be prompt. Touches no register unless something
    /// is to be done, but for one every 100 ms in which the GPU works, by which it notices that the device is gone. Returns whether another call is needed:
    /// something is queued or running, the GT is still awake, or an interrupt is late.
    pub fn tick(&mut self) -> bool {
        if self.check_running().is_err() {
            return false;
        }
        if self.tlb.unconfirmed && self.reset().is_err() {
            return false;
        }
        let now = self.bus.now_ns();
        let at_work = self.engines.iter().any(|engine| !engine.ports.is_idle());
        if at_work && now.saturating_sub(self.seen_ns) >= PRESENCE_NS {
            self.seen_ns = now;
            if self.is_gone() {
                self.wedge();
                return false;
            }
        }
        let mut busy = false;
        for engine in 0..self.engines.len() {
            if self.engines[engine].ports.is_idle() && self.waiting(engine).is_none() {
                continue;
            }
            if self.process_engine(engine) {
                self.unannounced_since_ns.get_or_insert(now);
            }
            self.relieve(engine, now);
            self.run_scheduler();
            self.check_progress(engine, now);
            busy |= !self.engines[engine].ports.is_idle();
        }
        self.run_scheduler();
        if self.unannounced_since_ns.is_some_and(|since| now.saturating_sub(since) >= LATE_NS) {
            self.unannounced_since_ns = None;
            self.statistics.lost_interrupts += 1;
            // Its causes are still pending, and as long as they are no other message is sent.
            self.handle_causes();
        }
        let awake = busy || self.park_if_idle(now);
        awake || self.unannounced_since_ns.is_some()
    }

    /// Lets a context that an engine has been passing over for long run for a timeslice before all clients'.
    fn relieve(&mut self, engine: usize, now: u64) {
        let found = &mut self.engines[engine];
        let [running, next] = found.ports.active;
        let priority = |id| self.contexts.get(id).map(Context::effective_priority);
        let Some(limit) = running.and_then(priority) else { return };
        let next = next.filter(|next| priority(*next) < Some(limit));
        let time = (now, self.config.passed_over_ns);
        let passed_over = found.queue.passed_over(&mut self.contexts, time, limit, next);
        let shared = self.shared.passed_over(&mut self.contexts, time, limit, None);
        for id in passed_over.into_iter().chain(shared) {
            if let Some(context) = self.contexts.get_mut(id) {
                context.relieved = true;
                self.statistics.relieved += 1;
                self.refresh_priority(id);
            }
        }
    }

    /// Runs an empty request of the driver's own on the first engine. The interrupt of its completion tells whoever
    /// waits for it that interrupts arrive.
    ///
    /// # Errors
    /// The GPU is wedged, or there is no room for a request.
    pub fn test_interrupt(&mut self) -> Result<(), Error> {
        self.check_running()?;
        let kernel = self.engines.first().and_then(|engine| engine.kernel).ok_or(Error::NotFound)?;
        self.submit_request(kernel, Payload::Nothing, &[], 0).map(drop)
    }

    /// Asks an engine that has been executing the same request for long whether it still listens.
    fn knock(&mut self, engine: usize, now: u64) {
        let found = &mut self.engines[engine];
        let Some(kernel) = found.kernel else { return };
        found.progress.since_ns = now;
        let idle = self.contexts.get(kernel).is_some_and(|context| context.first.is_none());
        if idle && self.submit_request(kernel, Payload::Nothing, &[], 0).is_ok() {
            self.statistics.pulses += 1;
        } else {
            // The last knock has not been answered.
            self.hang(engine);
        }
    }

    /// Counts the time since the last look for the request that was being executed then, and looks which one it is
    /// now: one that polls for a fence is none. Returns it.
    pub(super) fn count_time(&mut self, engine: usize, now: u64) -> Option<RequestId> {
        let running = self.guilty(engine);
        let running = running.filter(|id| !self.is_polling(*id)).and_then(|id| self.contexts.get(id));
        let request = running.and_then(|context| context.first);
        let progress = &mut self.engines[engine].progress;
        let before = progress.request.and_then(|before| self.requests.get_mut(before));
        if let Some(before) = before {
            before.ran_ns = before.ran_ns.saturating_add(now.saturating_sub(progress.counted_ns));
        }
        if request != progress.request {
            (progress.request, progress.since_ns) = (request, now);
        }
        progress.counted_ns = now;
        request
    }

    fn check_progress(&mut self, engine: usize, now: u64) {
        let request = self.count_time(engine, now);
        let running = request.and_then(|id| self.requests.get(id));
        let (ran, context) = running.map_or((0, None), |request| (request.ran_ns, Some(request.context)));
        let watchdog_ns =
            context.and_then(|id| self.contexts.get(id)).map_or(0, |context| context.watchdog_ns);
        let reads_too_long = ran >= reading::TIME_NS && request.is_some_and(|id| self.is_reading(id));
        let polling = self.engines[engine].ports.active[0].is_some_and(|id| self.is_polling(id));
        let found = &mut self.engines[engine];
        let stuck_ns = now.saturating_sub(found.progress.since_ns);
        let waits_ns = found.ports.pending.map_or(0, |(_, since)| now.saturating_sub(since));
        let ran_ns = now.saturating_sub(found.ports.running_since_ns);
        let patience =
            if self.platform.preempts_batches { self.config.preempt_timeout_ns } else { self.config.hang_ns };
        let too_long = watchdog_ns != 0 && ran >= watchdog_ns || reads_too_long;
        if waits_ns >= patience || too_long {
            self.hang(engine);
        } else if request.is_some() && stuck_ns >= self.config.hang_ns {
            self.knock(engine, now);
        } else if found.ports.pending.is_none() && ran_ns >= self.config.timeslice_ns {
            if polling {
                self.end_poll(engine);
            } else {
                self.end_timeslice(engine);
            }
        }
    }
}
