// SPDX-License-Identifier: BSD-2-Clause
//! Forcewake: keeping the GT's power wells awake while registers in them are accessed. A register of a
//! sleeping well reads zero and drops writes.
//!
//! ```text
//!   get: wait ack == 0 (stale) -> request := 1 -> wait ack == 1 [-> fallback] -> (Gen8) threads idle
//!   put: request := 0                     the ack clears by itself
//! ```
//!
//! Sources: PRM vol 2c FORCE_WAKE, PWRCTX; i915: intel_uncore.c (`fw_domain_get`,
//! `fw_domain_wait_ack_with_fallback`, WaRsForcewakeAddDelayForAck).

use super::poll::{self, Timeout};
use super::register::{Field, Register};
use super::regs::GtThreadStatus;
use crate::device::{EngineId, EngineSet, Generation};
use crate::error::InitError;
use crate::platform::{Clock, Mmio};

/// A set of power domains.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct DomainSet(u8);

impl DomainSet {
    /// No domain.
    pub(crate) const EMPTY: Self = Self(0);
    /// The GT domain ("blitter"); on Gen8 the only one.
    pub(crate) const GT: Self = Self(1);
    /// Render.
    pub(crate) const RENDER: Self = Self(2);
    /// Media, Gen9.
    pub(crate) const MEDIA: Self = Self(4);
    /// Video box 0, Gen11/12.
    pub(crate) const VDBOX0: Self = Self(8);
    /// Video box 2.
    pub(crate) const VDBOX2: Self = Self(16);
    /// Video-enhancement box 0.
    pub(crate) const VEBOX0: Self = Self(32);

    /// Both.
    #[must_use]
    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in.
    #[must_use]
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This without `other`.
    #[must_use]
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

struct Domain {
    set: DomainSet,
    name: &'static str,
    request: u32,
    ack: u32,
}

const KERNEL: u32 = 1 << 0;
const FALLBACK: u32 = 1 << 15;

static LEGACY: Domain = Domain { set: DomainSet::GT, name: "GT", request: 0xa188, ack: 0x13_0044 };
static RENDER: Domain = Domain { set: DomainSet::RENDER, name: "render", request: 0xa278, ack: 0x0d84 };
static MEDIA: Domain = Domain { set: DomainSet::MEDIA, name: "media", request: 0xa270, ack: 0x0d88 };
static VDBOX0: Domain = Domain { set: DomainSet::VDBOX0, name: "VDBOX0", request: 0xa540, ack: 0x0d50 };
static VDBOX2: Domain = Domain { set: DomainSet::VDBOX2, name: "VDBOX2", request: 0xa548, ack: 0x0d58 };
static VEBOX0: Domain = Domain { set: DomainSet::VEBOX0, name: "VEBOX0", request: 0xa560, ack: 0x0d70 };

/// The domains that exist before the media fuse has been read.
pub(crate) const fn early_domains(generation: Generation) -> DomainSet {
    match generation {
        Generation::Gen8 => DomainSet::GT,
        Generation::Gen9 | Generation::Gen9Lp => {
            DomainSet::GT.union(DomainSet::RENDER).union(DomainSet::MEDIA)
        }
        Generation::Gen11 | Generation::Gen12 => DomainSet::GT.union(DomainSet::RENDER),
    }
}

/// All domains of a part with these engines.
pub(crate) fn domains(generation: Generation, engines: EngineSet) -> DomainSet {
    let mut all = early_domains(generation);
    if generation.is_gen11_or_12() {
        for (engine, domain) in [
            (EngineId::VCS0, DomainSet::VDBOX0),
            (EngineId::VCS2, DomainSet::VDBOX2),
            (EngineId::VECS0, DomainSet::VEBOX0),
        ] {
            if engines.contains(engine) {
                all = all.union(domain);
            }
        }
    }
    all
}

fn members(set: DomainSet) -> impl Iterator<Item = &'static Domain> {
    [&LEGACY, &RENDER, &MEDIA, &VDBOX0, &VDBOX2, &VEBOX0]
        .into_iter()
        .filter(move |domain| set.contains(domain.set))
}

const fn set_bits(bits: u32) -> u32 {
    bits << 16 | bits
}

const fn clear_bits(bits: u32) -> u32 {
    bits << 16
}

/// Drops every request, whoever made it, as after firmware or a crashed driver.
pub(crate) fn reset<H: Mmio>(hw: &mut H, generation: Generation, set: DomainSet) {
    // Gen12 keeps bit 12 of the request (i915: intel_uncore.c, forcewake reset value).
    let value = if generation == Generation::Gen12 { 0xefff_0000 } else { 0xffff_0000 };
    for domain in members(set) {
        hw.write32(domain.request, value);
    }
}

/// Wakes the domains and waits until each has acknowledged.
pub(crate) fn get<H: Mmio + Clock>(
    hw: &mut H,
    generation: Generation,
    set: DomainSet,
) -> Result<(), InitError> {
    for domain in members(set) {
        // TIMEOUT: 50 ms, FORCEWAKE_ACK_TIMEOUT_MS of i915; an ack normally takes microseconds. A stale
        // ack of the last release must be gone, or the wait below would see it.
        let stale = wait_ack(hw, domain, KERNEL, 0).or_else(|_| wait_with_fallback(hw, domain, 0));
        if stale.is_err() {
            return Err(failure(hw, domain));
        }
        hw.write32(domain.request, set_bits(KERNEL));
    }
    for domain in members(set) {
        let woken = wait_ack(hw, domain, KERNEL, KERNEL).or_else(|_| wait_with_fallback(hw, domain, KERNEL));
        if woken.is_err() {
            return Err(failure(hw, domain));
        }
    }
    if generation == Generation::Gen8 {
        // TIMEOUT: 5 ms. Threads leave C6 after the wake-up; not fatal in i915 either, the next access
        // would merely be slow.
        let busy: Field<GtThreadStatus> = GtThreadStatus::BUSY;
        let _ = poll::until(hw, 5_000_000, |hw| busy.get(hw.read32(GtThreadStatus::OFFSET)) == 0);
    }
    Ok(())
}

/// Lets the domains sleep.
pub(crate) fn put<H: Mmio>(hw: &mut H, set: DomainSet) {
    for domain in members(set) {
        hw.write32(domain.request, clear_bits(KERNEL));
    }
}

fn failure<H: Mmio>(hw: &mut H, domain: &Domain) -> InitError {
    let ack = hw.read32(domain.ack);
    if ack == u32::MAX {
        InitError::DeviceGone { register: domain.ack }
    } else {
        InitError::ForcewakeTimeout { domain: domain.name, ack }
    }
}

fn wait_ack<H: Mmio + Clock>(hw: &mut H, domain: &Domain, bit: u32, want: u32) -> Result<(), Timeout> {
    // TIMEOUT: 50 ms as above.
    poll::until(hw, 50_000_000, |hw| {
        let ack = hw.read32(domain.ack);
        ack != u32::MAX && ack & bit == want
    })
}

/// WaRsForcewakeAddDelayForAck: the ack of a request can get lost while the well is in the middle of a
/// transition; toggling another bit of the same register makes the hardware look again.
fn wait_with_fallback<H: Mmio + Clock>(hw: &mut H, domain: &Domain, want: u32) -> Result<(), Timeout> {
    for pass in 1..=10 {
        wait_ack_briefly(hw, domain, FALLBACK, 0);
        hw.write32(domain.request, set_bits(FALLBACK));
        poll::delay(hw, 10_000 * pass);
        wait_ack_briefly(hw, domain, FALLBACK, FALLBACK);
        let ack = hw.read32(domain.ack);
        hw.write32(domain.request, clear_bits(FALLBACK));
        if ack == u32::MAX {
            return Err(Timeout);
        }
        if ack & KERNEL == want {
            return Ok(());
        }
    }
    Err(Timeout)
}

fn wait_ack_briefly<H: Mmio + Clock>(hw: &mut H, domain: &Domain, bit: u32, want: u32) {
    // TIMEOUT: 1 ms: the result does not matter, the loop above decides.
    let _ = poll::until(hw, 1_000_000, |hw| hw.read32(domain.ack) & bit == want);
}
