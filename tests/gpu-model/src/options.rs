// SPDX-License-Identifier: BSD-2-Clause
//! How a model runs.

/// When work happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// Before the register write that caused it returns: the work is done, its interrupt is sent.
    #[default]
    Instant,
    /// When `step` or `run_until_idle` is called.
    Deferred,
    /// Submissions are acknowledged, but nothing executes until the timing is changed.
    Busy,
    /// Nothing is acknowledged until the timing is changed.
    Silent,
}

/// What the model's clock follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockSource {
    /// The model's own work: a fixed time per access and per command, and what a test adds. Deterministic.
    #[default]
    Stepped,
    /// The host's monotonic clock.
    Host,
}

/// Settings of a model.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// When work happens.
    pub timing: Timing,
    /// What the clock follows.
    pub clock: ClockSource,
    /// Record a timeline.
    pub trace: bool,
    /// Forcewake requests and PAT survive a full GT reset. Documentation says that they do not; Linux's i915
    /// does not restore them, so real parts seem to keep them.
    pub full_reset_keeps_power: bool,
    /// Units of work that an access does at most with [`Timing::Instant`]; the rest continues at the next one.
    pub instant_budget: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timing: Timing::Instant,
            clock: ClockSource::Stepped,
            trace: false,
            full_reset_keeps_power: false,
            instant_budget: 200_000,
        }
    }
}
