// SPDX-License-Identifier: BSD-2-Clause
//! Who has the engines, and for how long: what an engine executes is asked whenever that changes, and the time since it was
//! asked last goes to the account of the context that it was executing.
//!
//! A context counts as executed from the moment that the engine was given it while nothing else ran, as the engine loads it
//! then, until the event that says that it has left; of two that an engine has, the first one is executed.

use super::{Gpu, MAX_ENGINES, RequestId};
use crate::gpu::EngineIndex;
use crate::memory::AccountId;
use crate::platform::Hardware;

/// What the contexts of an account have had of the engines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Consumed {
    /// Nanoseconds on each engine.
    pub busy_ns: [u64; MAX_ENGINES],
    /// Page faults of its contexts (`fault`).
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
}
