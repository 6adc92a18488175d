// SPDX-License-Identifier: BSD-2-Clause
//! Power: the GT is awake and fast while there is work, and asleep and slow when there has been none for
//! a while.
//!
//! ```text
//!             idle for `Config::idle_ns`
//!   awake ---------------------------------> parked
//!     ^     slow, straight to RC6, forcewake      |
//!     |     released                              |
//!     +-------------------------------------------+
//!        something to run or to invalidate: forcewake, RC6 by the hardware's timers, fast
//! ```
//!
//! While awake the driver holds forcewake, so RC6 happens only when parked. In RC6 the hardware saves
//! the registers of the GT and brings them back.
//!
//! Frequencies are not stepped by load as Linux does: the highest while awake, the lowest when parked.
//!
//! Sources: PRM vol 2c (RC_CONTROL, RPNSWREQ, RP_STATE_CAP); i915: intel_rc6.c, intel_rps.c.

use super::Gpu;
use crate::device::{Generation, PlatformName};
use crate::error::Error;
use crate::mmio::regs::{
    FrequencyRequest, PowerGateEnable, RenderC6Control, RenderC6State, RpControl, RpInterruptMask,
    RpStateCapabilities,
};
use crate::platform::Hardware;

/// Whether the GT is awake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Power {
    /// Forcewake is held; since when nothing has been running, if that has been noticed.
    Awake { idle_since_ns: Option<u64> },
    /// Forcewake is released.
    Parked,
}

/// RC6 thresholds: registers and values, and the mode bits of RC_CONTROL.
struct RenderC6 {
    thresholds: &'static [(u32, u32)],
    mode: u32,
}

/// Evaluation-interval mode, and timeout mode.
const EVALUATION: u32 = 1 << 27;
const TIMEOUT: u32 = 1 << 28;
/// RC_STATE: target RC6.
const TARGET_RC6: u32 = 0x4;

/// How RC6 is set up; `None` where it stays off. On Gen9 without LLC it depends on what the firmware did
/// to half a dozen registers (i915: `bxt_check_bios_rc6_setup`).
#[rustfmt::skip]
const fn render_c6(generation: Generation, name: PlatformName) -> Option<RenderC6> {
    const EVALUATION_INTERVAL: (u32, u32) = (0xa0a8, 125_000);
    const IDLE_HYSTERESIS: (u32, u32) = (0xa0ac, 25);
    const SLEEP: (u32, u32) = (0xa0b0, 0);
    const GUC_IDLE: (u32, u32) = (0xc3e4, 10);
    const GEN9: &[(u32, u32)] = &[
        (0xa09c, 54 << 16), EVALUATION_INTERVAL, IDLE_HYSTERESIS, GUC_IDLE, SLEEP,
        (0xa0c4, 250), (0xa0c8, 250), (0xa0b8, 37_500),
    ];
    // WaRsDoubleRc6WrlWithCoarsePowerGating.
    const SKYLAKE: &[(u32, u32)] = &[
        (0xa09c, 108 << 16), EVALUATION_INTERVAL, IDLE_HYSTERESIS, GUC_IDLE, SLEEP,
        (0xa0c4, 250), (0xa0c8, 250), (0xa0b8, 37_500),
    ];
    Some(match generation {
        Generation::Gen8 => RenderC6 {
            thresholds: &[(0xa09c, 40 << 16), EVALUATION_INTERVAL, IDLE_HYSTERESIS, SLEEP, (0xa0b8, 625)],
            mode: TIMEOUT,
        },
        Generation::Gen9 => RenderC6 {
            thresholds: if matches!(name, PlatformName::Skylake) { SKYLAKE } else { GEN9 },
            mode: EVALUATION,
        },
        Generation::Gen9Lp => return None,
        Generation::Gen11 | Generation::Gen12 => RenderC6 {
            thresholds: &[
                (0xa09c, 54 << 16 | 85), (0xa0a0, 150), EVALUATION_INTERVAL, IDLE_HYSTERESIS, GUC_IDLE, SLEEP,
                (0xa0b8, 50_000), (0xa0c4, 60), (0xa0c8, 60),
            ],
            mode: EVALUATION,
        },
    })
}

/// A frequency in RPNSWREQ's form: units of 50 MHz / 3 from bit 23 on, of 50 MHz from bit 24 on Gen8.
/// `steps` is as the part's register of capabilities has it: units of 50 MHz, and of 50 MHz / 3 on Gen9's
/// low-power parts (i915: `intel_rps.c`, `__gen6_rps_get_freq_caps`).
const fn request(generation: Generation, steps: u32) -> FrequencyRequest {
    match generation {
        Generation::Gen8 => FrequencyRequest(steps << 24),
        Generation::Gen9Lp => FrequencyRequest(steps << 23),
        Generation::Gen9 | Generation::Gen11 | Generation::Gen12 => FrequencyRequest((steps * 3) << 23),
    }
}

impl<H: Hardware> Gpu<H> {
    /// Writes thresholds; the GT is awake.
    pub(super) fn start_power(&mut self) {
        let generation = self.platform.generation;
        self.bus.write(RenderC6Control(0));
        self.bus.write(RenderC6State(0));
        if let Some(setup) = render_c6(generation, self.platform.name) {
            for (register, value) in setup.thresholds {
                self.bus.write_raw(*register, *value);
            }
            for engine in &self.engines {
                self.bus.write_raw(engine.base.0 + 0x54, 10); // RING_MAX_IDLE
            }
            if generation != Generation::Gen8 {
                let mut gates = PowerGateEnable::default()
                    .with(PowerGateEnable::RENDER, 1)
                    .with(PowerGateEnable::MEDIA, 1);
                if generation.is_gen11_or_12() {
                    gates = gates.with(PowerGateEnable::SAMPLER, 1);
                }
                if generation == Generation::Gen12 {
                    gates.0 |= self.video_gates();
                }
                self.bus.write(gates);
            }
        }
        // Up to Gen9 bit 31 sends what is masked to the GuC (i915: `pm_intrmsk_mbz`).
        let redirected = if generation.is_gen11_or_12() { 0 } else { 1 << 31 };
        self.bus.write(RpInterruptMask(!redirected));
        if matches!(generation, Generation::Gen8 | Generation::Gen9 | Generation::Gen9Lp) {
            // RC_VIDEO_FREQ: the efficient frequency (i915: intel_rps.c, gen8_rps_enable, gen9_rps_enable).
            let steps = self.efficient_frequency();
            if steps != 0 {
                self.bus.write_raw(0xa00c, request(generation, steps).0);
            }
        }
        self.bus.write_raw(0xa070, 10); // RP_IDLE_HYSTERESIS
        let media = if generation.is_gen11_or_12() { 0 } else { RpControl::MEDIA_TURBO };
        self.bus.write(RpControl(RpControl::SOFTWARE | media));
        self.awake_settings();
    }

    /// Power gates of the video engines that exist: HCP and MFX, two bits each from bit 3 on.
    fn video_gates(&self) -> u32 {
        use crate::device::EngineClass;
        let video = self.engines.iter().filter(|engine| engine.id.class == EngineClass::Video);
        video.fold(0, |gates, engine| gates | 0b11 << (3 + 2 * u32::from(engine.id.instance)))
    }

    /// How RC6 is set up, while it can be trusted: when hardware of Gen8 and Gen9 has lost what RC6 has
    /// to bring back, which a register tells, RC6 is switched off (i915: intel_rc6.c, `pctx_corrupted`).
    fn trusted_render_c6(&mut self) -> Option<RenderC6> {
        const CONTEXT_INFO: u32 = 0x8504;
        let setup = render_c6(self.platform.generation, self.platform.name)?;
        if !self.platform.generation.is_gen11_or_12() && self.bus.read_raw(CONTEXT_INFO) == 0 {
            self.bus.write(RenderC6Control(0));
            self.bus.write(RenderC6State(0));
            return None;
        }
        Some(setup)
    }

    fn awake_settings(&mut self) {
        if let Some(setup) = self.trusted_render_c6() {
            let control =
                RenderC6Control::default().with(RenderC6Control::HARDWARE, 1).with(RenderC6Control::RC6, 1);
            self.bus.write(RenderC6Control(control.0 | setup.mode));
        }
        let (lowest, highest) = self.frequencies();
        self.request_frequency(highest.max(lowest));
        self.power = Power::Awake { idle_since_ns: None };
    }

    /// Lowest and highest frequency of the part, in the steps of [`request`]; zero when it does not tell.
    fn frequencies(&mut self) -> (u32, u32) {
        if self.platform.generation == Generation::Gen9Lp {
            let bytes = self.bus.read_raw(0x13_8170).to_le_bytes(); // BXT_RP_STATE_CAP
            return (bytes[0].into(), bytes[2].into());
        }
        let capabilities: RpStateCapabilities = self.bus.read();
        (capabilities.get(RpStateCapabilities::LOWEST), capabilities.get(RpStateCapabilities::HIGHEST))
    }

    /// The frequency at which work costs least energy (RP1), like [`Self::frequencies`].
    fn efficient_frequency(&mut self) -> u32 {
        if self.platform.generation == Generation::Gen9Lp {
            return self.bus.read_raw(0x13_8170).to_le_bytes()[1].into(); // BXT_RP_STATE_CAP
        }
        self.bus.read::<RpStateCapabilities>().get(RpStateCapabilities::EFFICIENT)
    }

    fn request_frequency(&mut self, steps: u32) {
        if steps != 0 {
            self.bus.write(request(self.platform.generation, steps));
        }
    }

    /// Makes the registers of the GT accessible, if they are not.
    ///
    /// # Errors
    /// [`Error::Timeout`] when a power domain does not acknowledge, asked twice.
    pub(super) fn wake(&mut self) -> Result<(), Error> {
        match self.power {
            Power::Awake { .. } => self.power = Power::Awake { idle_since_ns: None },
            Power::Parked => {
                let woken = self.bus.wake(self.domains).or_else(|_| self.bus.wake(self.domains));
                woken.map_err(|_| Error::Timeout)?;
                self.awake_settings();
            }
        }
        Ok(())
    }

    /// Looks whether nothing has been running for a while, and parks the GT then. Returns whether it
    /// is awake.
    pub(super) fn park_if_idle(&mut self, now_ns: u64) -> bool {
        match self.power {
            Power::Parked => false,
            Power::Awake { idle_since_ns: None } => {
                self.power = Power::Awake { idle_since_ns: Some(now_ns) };
                true
            }
            Power::Awake { idle_since_ns: Some(since) }
                if now_ns.saturating_sub(since) < self.config.idle_ns =>
            {
                true
            }
            Power::Awake { .. } => {
                self.power_down();
                false
            }
        }
    }

    /// Lets the GT sleep at once. [`Self::tick`] does that by itself after a while; a system that is about
    /// to halt may not want to wait.
    pub fn power_down(&mut self) {
        let busy = self.engines.iter().any(|engine| !engine.ports.is_idle());
        if busy || self.power == Power::Parked || self.check_running().is_err() {
            return;
        }
        let (lowest, _) = self.frequencies();
        self.request_frequency(lowest);
        if self.trusted_render_c6().is_some() {
            self.bus.write(RenderC6Control::default().with(RenderC6Control::RC6, 1));
            self.bus.write(RenderC6State::default().with(RenderC6State::TARGET, TARGET_RC6));
        }
        self.bus.sleep();
        self.power = Power::Parked;
    }

    /// Whether the GT sleeps.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.power == Power::Parked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_are_asked_for_in_the_units_of_the_generation() {
        // As the recorded probe of Linux has it: RP_STATE_CAP 0x2081a, RPNSWREQ 0x3000000 when idle.
        assert_eq!(request(Generation::Gen12, 2).0, 0x300_0000);
        assert_eq!(request(Generation::Gen12, 0x1a).0, 78 << 23);
        assert_eq!(request(Generation::Gen8, 6).0, 6 << 24);
    }

    /// 650 MHz, as each generation's capabilities have it and as RPNSWREQ takes it.
    #[test]
    fn a_frequency_is_asked_for_in_the_units_of_the_part() {
        assert_eq!(request(Generation::Gen8, 13).0, 13 << 24);
        for generation in [Generation::Gen9, Generation::Gen11, Generation::Gen12] {
            assert_eq!(request(generation, 13).0, 39 << 23, "{generation:?}");
        }
        assert_eq!(request(Generation::Gen9Lp, 39).0, 39 << 23);
    }
}
