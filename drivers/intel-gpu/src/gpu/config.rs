// SPDX-License-Identifier: BSD-2-Clause
//! How much of everything there is, and how long things may take. All pools are allocated once, in
//! [`crate::Gpu::init`].

use crate::error::InitError;

/// Sizes and times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Accounts that pages are charged to.
    pub accounts: u32,
    /// Address spaces.
    pub vms: u32,
    /// Logical contexts, of all engines together.
    pub contexts: u32,
    /// Timelines.
    pub timelines: u32,
    /// Requests that are queued, running, or finished and not taken yet.
    pub requests: u32,
    /// Fences that requests are waiting for.
    pub waits: u32,
    /// Ranges in all address spaces together.
    pub ranges: u32,
    /// 4 KiB pages of a context's ring: a power of two, at most 512.
    pub ring_pages: u32,
    /// How long one of several equally urgent contexts runs before the next one gets its turn.
    pub timeslice_ns: u64,
    /// How long something may be passed over for more urgent work before it gets a timeslice all the same: twice this,
    /// once for each context that waits for the same engine.
    pub passed_over_ns: u64,
    /// How long a more urgent context waits for the running one to stop before the engine is reset; not on
    /// Gen8, which does not preempt within a batch.
    pub preempt_timeout_ns: u64,
    /// How long nothing must have been running before the GT is let sleep.
    pub idle_ns: u64,
    /// How long a request may run before it has to show that it can be preempted: one that cannot is
    /// stopped by resetting its engine.
    pub hang_ns: u64,
    /// Uses 3-level page tables (4 GiB) also where the part has four levels.
    pub three_level: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accounts: 64,
            vms: 272,
            contexts: 512,
            timelines: 512,
            requests: 4096,
            waits: 4096,
            ranges: 16384,
            ring_pages: 4,
            // i915's defaults: 1 ms, 640 ms, and a heartbeat of 2.5 s that is missed four times.
            timeslice_ns: 1_000_000,
            // As often as a heartbeat of i915, which preempts whatever runs, too.
            passed_over_ns: 2_500_000_000,
            preempt_timeout_ns: 640_000_000,
            idle_ns: 100_000_000,
            hang_ns: 10_000_000_000,
            three_level: false,
        }
    }
}

impl Config {
    pub(super) const fn check(&self) -> Result<(), InitError> {
        let field = if !self.ring_pages.is_power_of_two() || self.ring_pages > 512 {
            "ring_pages"
        } else if self.vms == 0 {
            "vms"
        } else if self.contexts == 0 || self.contexts > 1 << 20 {
            "contexts"
        } else if self.timelines == 0 || self.timelines > 1 << 20 {
            "timelines"
        } else if self.requests == 0 {
            "requests"
        } else {
            return Ok(());
        };
        Err(InitError::Config { field })
    }
}
