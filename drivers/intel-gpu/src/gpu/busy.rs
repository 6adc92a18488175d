// SPDX-License-Identifier: BSD-2-Clause
//! Who has the engines, and for how long: what an engine executes is asked whenever that changes, and the time since it was
//! asked last goes to the account of the context that it was executing.
//!
//! A context counts as executed from the moment that the engine was given it while nothing else ran, as the engine loads it
//! then, until the event that says that it has left; of two that an engine has, the first one is executed.

use super::{Gpu, MAX_ENGINES, RequestId};
use crate::gpu::EngineIndex;
use crate::memory::AccountId;
use crate::mmio::regs::{
    FaultData0Gen8, FaultData0Gen12, FaultData1Gen8, FaultData1Gen12, FaultGen8, FaultGen12,
};
use crate::platform::Hardware;
use crate::trace;

/// What the contexts of an account have had of the engines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Consumed {
    /// Nanoseconds on each engine.
    pub busy_ns: [u64; MAX_ENGINES],
    /// Addresses of a context that stopped an engine, as its fault registers say when it is stopped (as i915 looks at them:
    /// `intel_gt_check_and_clear_faults`). No entry of a page table is missing, so it is the memory behind that did not answer.
    pub faults: u64,
}

impl<H: Hardware> Gpu<H> {
    /// Counts the time since the last count for the context that an engine executes. Called before that changes.
    pub(super) fn count_busy(&mut self, engine: usize, now: u64) {
        let head = self.guilty(engine).and_then(|id| self.contexts.get(id));
        let account = head.map(|context| context.account);
        let found = &mut self.engines[engine];
        let ran = now.saturating_sub(core::mem::replace(&mut found.counted_ns, now));
        let Some(account) = account else { return };
        found.busy_ns += ran;
        if let Some(consumed) = self.consumed.get_mut(account.index() as usize) {
            consumed.busy_ns[engine] += ran;
        }
    }

    /// What the contexts of an account have had so far, now included.
    pub fn consumed(&mut self, account: AccountId) -> Consumed {
        let now = self.bus.hw.now_ns();
        for engine in 0..self.engines.len() {
            self.count_busy(engine, now);
        }
        self.consumed.get(account.index() as usize).copied().unwrap_or_default()
    }

    /// For how many nanoseconds an engine has executed something since the start, as of the last change or
    /// [`Self::consumed`].
    #[must_use]
    pub fn busy_ns(&self, engine: EngineIndex) -> u64 {
        self.engines.get(engine.get()).map_or(0, |engine| engine.busy_ns)
    }

    /// The engine whose list a request is in, if it is not complete.
    #[must_use]
    pub fn engine_of_request(&self, request: RequestId) -> Option<EngineIndex> {
        let context = self.contexts.get(self.requests.get(request)?.context)?;
        u8::try_from(context.engine).ok().map(EngineIndex)
    }

    /// Looks whether a page fault has stopped an engine, and counts it for what the engine executes.
    pub(super) fn count_fault(&mut self, engine: usize) -> bool {
        let (valid, low, high) = if self.platform.generation == crate::device::Generation::Gen12 {
            let fault: FaultGen12 = self.bus.read();
            let (low, high): (FaultData0Gen12, FaultData1Gen12) = (self.bus.read(), self.bus.read());
            (fault.is_set(FaultGen12::VALID), low.0, high.get(FaultData1Gen12::VA_HIGH))
        } else {
            let fault: FaultGen8 = self.bus.read();
            let (low, high): (FaultData0Gen8, FaultData1Gen8) = (self.bus.read(), self.bus.read());
            (fault.is_set(FaultGen8::VALID), low.0, high.get(FaultData1Gen8::VA_HIGH))
        };
        if !valid {
            return false;
        }
        // Bits 43:12 are in the one, 47:44 in the other (i915: `gen8_check_faults`).
        let address = u64::from(low) << 12 | u64::from(high) << 44;
        self.bus.hw.note(trace::Event::Fault { engine: self.engines[engine].id, address });
        self.statistics.faults += 1;
        let account = self.guilty(engine).and_then(|id| self.contexts.get(id)).map(|context| context.account);
        if let Some(consumed) = account.and_then(|account| self.consumed.get_mut(account.index() as usize)) {
            consumed.faults += 1;
        }
        true
    }
}
