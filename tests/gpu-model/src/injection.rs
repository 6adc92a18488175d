// SPDX-License-Identifier: BSD-2-Clause
//! Faults that a test can inject.

use crate::registers::forcewake::AckDelay;

/// What is broken at the moment. Everything works by default.
#[derive(Clone, Debug, Default)]
pub struct Injection {
    /// Number of engine events whose interrupt is lost.
    pub lose_interrupts: u32,
    /// Engines (by name) that acknowledge submissions but execute nothing. A reset does not help until the name
    /// is removed.
    pub stuck_engines: Vec<&'static str>,
    /// Engines whose status events are not written.
    pub lose_status_events: Vec<&'static str>,
    /// Delay of forcewake acknowledgements.
    pub forcewake: AckDelay,
    /// The device fell off the bus: reads give all ones, writes vanish.
    pub device_gone: bool,
    /// Number of GDRST writes whose bits never clear and which reset nothing.
    pub failing_resets: u32,
    /// Engines that never report ready for reset in RESET_CTL.
    pub never_ready_for_reset: Vec<&'static str>,
    /// TLB invalidation registers never report completion.
    pub stuck_tlb_invalidation: bool,
}
