// SPDX-License-Identifier: BSD-2-Clause
//! Stopping and resetting engines, and the whole GT.
//!
//! ```text
//!   stop:   STOP_RING -> (Gen11/12: prefetch off) -> MODE_IDLE or empty ring -> (Gen11/12: messages drained)
//!   ready:  catastrophic error? clear it and wait  :  request reset -> ready
//!   reset:  GDRST bits -> bits clear, twice -> 50 us
//!   done:   withdraw the request
//! ```
//!
//! On Gen11/12 a video engine may hold the scaler (SFC) that it shares with video enhancement: it is locked
//! before the reset, and reset with the engine if it is in use.
//!
//! Sources: PRM vol 2c (GDRST, RESET_CTL, SFC_LOCK); i915: intel_reset.c (`gen6_hw_domain_reset`,
//! `gen8_engine_reset_prepare`), intel_engine_cs.c (`intel_engine_stop_cs`, Wa_22011802037).

use crate::device::{EngineClass, EngineId, EngineSet, Generation};
use crate::mmio::regs::{GraphicsReset, MiMode, ResetControl, RingHead, RingMode, RingTail};
use crate::mmio::{Bus, EngineBase, poll};
use crate::platform::Hardware;

/// GDRST bit of an engine.
const fn gdrst_bit(generation: Generation, engine: EngineId) -> u32 {
    let new = generation.is_gen11_or_12();
    match (engine.class, engine.instance) {
        (EngineClass::Render, _) => 1 << 1,
        (EngineClass::Copy, _) if new => 1 << 2,
        (EngineClass::Copy, _) => 1 << 3,
        (EngineClass::Video, instance) if new => 1 << (5 + instance),
        (EngineClass::Video, 0) => 1 << 2,
        (EngineClass::Video, _) => 1 << 7,
        (EngineClass::VideoEnhance, instance) if new => 1 << (13 + instance),
        (EngineClass::VideoEnhance, _) => 1 << 4,
    }
}

/// MSG_IDLE register of an engine (Gen11/12).
const fn message_idle(engine: EngineId) -> u32 {
    match (engine.class, engine.instance) {
        (EngineClass::Render, _) => 0x8000,
        (EngineClass::Video, 0) => 0x8004,
        (EngineClass::Video, 1) => 0x8008,
        (EngineClass::Video, instance) => 0x80c0 + 4 * (instance as u32 - 2),
        (EngineClass::Copy, _) => 0x800c,
        (EngineClass::VideoEnhance, 0) => 0x8010,
        (EngineClass::VideoEnhance, instance) => 0x80d8 + 4 * (instance as u32 - 1),
    }
}

const POWER_DOMAIN_STATUS: u32 = 0xa2a0;

/// Why a reset failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ResetError {
    /// The engine did not become ready for it.
    NotReady,
    /// GDRST kept its bits.
    Stuck(u32),
}

/// Stops an engine's command streamer. Whether it came to rest does not matter for what follows.
pub(crate) fn stop<H: Hardware>(bus: &mut Bus<H>, generation: Generation, engine: EngineId) -> bool {
    let base = EngineBase(engine.mmio_base(generation));
    bus.write_field_on(base, MiMode::STOP_RING, 1);
    if generation.is_gen11_or_12() {
        bus.write_field_on(base, RingMode::PREFETCH_DISABLE, 1);
    }
    // TIMEOUT: 100 ms, i915's stop timeout: a preempted 3D command may take that long to drain.
    let stopped = poll::until(bus, 100_000_000, |bus| {
        if bus.read_on::<MiMode>(base).is_set(MiMode::MODE_IDLE) {
            return true;
        }
        let head: RingHead = bus.read_on(base);
        let tail: RingTail = bus.read_on(base);
        head.0 & RingHead::OFFSET_DWORDS.mask() == tail.0 & RingTail::OFFSET_QWORDS.mask()
    });
    if generation.is_gen11_or_12() {
        let value = bus.read_raw(message_idle(engine));
        let pending = value & value >> 16 & 0x3e00;
        if pending != 0 {
            // TIMEOUT: 5 ms. A power message that is under way must arrive before the reset
            // (Wa_22011802037); if it never does, the reset goes on as in i915.
            let _ = poll::until(bus, 5_000_000, |bus| {
                bus.read_raw(POWER_DOMAIN_STATUS) & pending >> 9 == pending >> 9
            });
        }
    }
    stopped.is_ok()
}

/// Asks the engine to get ready for its reset.
fn prepare<H: Hardware>(bus: &mut Bus<H>, base: EngineBase) -> Result<(), ResetError> {
    let state: ResetControl = bus.read_on(base);
    // TIMEOUT: 700 us for both, from i915: the engine finishes its outstanding memory cycles.
    const READY_NS: u64 = 700_000;
    let done = if state.is_set(ResetControl::CATASTROPHIC) {
        bus.write_field_on(base, ResetControl::CATASTROPHIC, 1);
        poll::until(bus, READY_NS, |bus| {
            !bus.read_on::<ResetControl>(base).is_set(ResetControl::CATASTROPHIC)
        })
    } else if state.is_set(ResetControl::READY) {
        return Ok(());
    } else {
        bus.write_field_on(base, ResetControl::REQUEST, 1);
        poll::until(bus, READY_NS, |bus| bus.read_on::<ResetControl>(base).is_set(ResetControl::READY))
    };
    done.map_err(|_| ResetError::NotReady)
}

fn withdraw<H: Hardware>(bus: &mut Bus<H>, base: EngineBase) {
    bus.write_field_on(base, ResetControl::REQUEST, 0);
}

/// Writes GDRST and waits. `again` gets the engines ready once more for the second time.
fn gdrst<H: Hardware>(
    bus: &mut Bus<H>,
    bits: u32,
    mut again: impl FnMut(&mut Bus<H>),
) -> Result<(), ResetError> {
    // Twice: on some parts registers are not yet cleared when the first acknowledgement comes.
    for pass in 0..2 {
        if pass == 1 {
            again(bus);
        }
        bus.write(GraphicsReset(bits));
        // TIMEOUT: 2 ms, from i915; it takes some 50 us.
        let done = poll::until(bus, 2_000_000, |bus| bus.read::<GraphicsReset>().0 & bits == 0);
        if done.is_err() {
            return Err(ResetError::Stuck(bus.read::<GraphicsReset>().0));
        }
    }
    // The engines' registers settle.
    poll::delay(bus, 50_000);
    Ok(())
}

/// The scaler's registers as an engine sees them: lock request (bit 0), acknowledge and usage.
struct Scaler {
    lock: u32,
    acknowledge: (u32, u32),
    usage: (u32, u32),
    reset_bit: u32,
}

/// The scaler of an engine, if it can use one. `engines` are those that are present.
fn scaler(generation: Generation, id: EngineId, engines: EngineSet) -> Option<Scaler> {
    if !generation.is_gen11_or_12() {
        return None;
    }
    let base = id.mmio_base(generation);
    match id.class {
        EngineClass::Video => {
            // Gen12: every second box; Gen11: every second of the boxes that are present.
            let before =
                engines.iter().filter(|other| other.class == id.class && other.instance < id.instance);
            let index = match generation {
                Generation::Gen12 => usize::from(id.instance),
                _ => before.count(),
            };
            index.is_multiple_of(2).then_some(Scaler {
                lock: base + 0x88c,
                acknowledge: (base + 0x890, 1 << 1),
                usage: (base + 0x890, 1 << 0),
                reset_bit: 1 << (17 + id.instance / 2),
            })
        }
        EngineClass::VideoEnhance => Some(Scaler {
            lock: base + 0x201c,
            acknowledge: (base + 0x2018, 1),
            usage: (base + 0x2014, 1),
            reset_bit: 1 << (17 + id.instance),
        }),
        EngineClass::Render | EngineClass::Copy => None,
    }
}

impl Scaler {
    /// Locks the scaler if the engine uses it. Returns the GDRST bit to add.
    fn lock<H: Hardware>(&self, bus: &mut Bus<H>) -> Result<u32, ResetError> {
        let in_use = |bus: &mut Bus<H>| bus.read_raw(self.usage.0) & self.usage.1 != 0;
        if !in_use(bus) {
            return Ok(0);
        }
        let lock = bus.read_raw(self.lock);
        bus.write_raw(self.lock, lock | 1);
        // TIMEOUT: 1 ms, from i915 (`gen11_lock_sfc`): the scaler finishes its current frame row.
        let (register, bit) = self.acknowledge;
        poll::until(bus, 1_000_000, |bus| bus.read_raw(register) & bit != 0)
            .map_err(|_| ResetError::NotReady)?;
        Ok(if in_use(bus) { self.reset_bit } else { 0 })
    }

    fn unlock<H: Hardware>(&self, bus: &mut Bus<H>) {
        let lock = bus.read_raw(self.lock);
        if lock & 1 != 0 {
            bus.write_raw(self.lock, lock & !1);
        }
    }
}

/// Resets one engine. With `force` it is reset though it does not say it is ready. `engines` are those
/// that are present.
pub(crate) fn engine<H: Hardware>(
    bus: &mut Bus<H>,
    generation: Generation,
    id: EngineId,
    engines: EngineSet,
    force: bool,
) -> Result<(), ResetError> {
    let base = EngineBase(id.mmio_base(generation));
    let scaler = scaler(generation, id, engines);
    let locked = scaler.as_ref().map_or(Ok(0), |scaler| scaler.lock(bus));
    let ready = prepare(bus, base);
    let bits = gdrst_bit(generation, id) | locked.unwrap_or(0);
    let result = match locked.err().or(ready.err()) {
        Some(error) if !force => Err(error),
        _ => gdrst(bus, bits, |bus| {
            // Not ready now does not matter: it has been reset once.
            let _ = prepare(bus, base);
        }),
    };
    withdraw(bus, base);
    if let Some(scaler) = scaler {
        scaler.unlock(bus);
    }
    result
}

/// Resets the whole GT; forcewake requests and all register state of it are lost.
pub(crate) fn full<H: Hardware>(
    bus: &mut Bus<H>,
    generation: Generation,
    engines: impl Iterator<Item = EngineId> + Clone,
) -> Result<(), ResetError> {
    for id in engines.clone() {
        // A full reset is the last resort: it goes on whatever an engine answers.
        let _ = prepare(bus, EngineBase(id.mmio_base(generation)));
    }
    let result = gdrst(bus, GraphicsReset::FULL.mask(), |_| ());
    // The requests fell with the reset; without them the next write would go nowhere.
    let _ = bus.rewake();
    for id in engines {
        withdraw(bus, EngineBase(id.mmio_base(generation)));
    }
    result
}

/// Resets the GT though its registers cannot be reached, which the one for this can.
pub(crate) fn asleep<H: Hardware>(bus: &mut Bus<H>) -> Result<(), ResetError> {
    gdrst(bus, GraphicsReset::FULL.mask(), |_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHardware;

    #[test]
    fn reset_bits_per_generation() {
        assert_eq!(gdrst_bit(Generation::Gen9, EngineId::BCS0), 8);
        assert_eq!(gdrst_bit(Generation::Gen9, EngineId::VCS1), 0x80);
        assert_eq!(gdrst_bit(Generation::Gen12, EngineId::BCS0), 4);
        assert_eq!(gdrst_bit(Generation::Gen12, EngineId::VCS2), 0x80);
        assert_eq!(gdrst_bit(Generation::Gen11, EngineId::VECS0), 1 << 13);
    }

    #[test]
    fn a_scaler_in_use_is_locked_and_reset_with_its_engine() {
        let present = EngineSet::of(&[EngineId::VCS0, EngineId::VCS2]);
        let base = 0x1d_0000;
        let mut bus = Bus::new(FakeHardware::new(1), Generation::Gen12, true);
        bus.hw.set(base + 0x890, 0b11);
        let _ = engine(&mut bus, Generation::Gen12, EngineId::VCS2, present, true);
        assert!(bus.hw.writes.contains(&(base + 0x88c, 1)));
        assert!(bus.hw.writes.contains(&(0x941c, 1 << 7 | 1 << 18)));
        assert_eq!(bus.hw.writes.last(), Some(&(base + 0x88c, 0)), "unlocked at the end");
        // On Gen11 the second box that is present cannot use it; alone it can.
        assert!(scaler(Generation::Gen11, EngineId::VCS2, present).is_none());
        assert!(scaler(Generation::Gen11, EngineId::VCS2, EngineSet::of(&[EngineId::VCS2])).is_some());
        assert!(scaler(Generation::Gen9, EngineId::VCS0, present).is_none());
    }

    #[test]
    fn an_engine_that_is_never_ready_is_reset_only_by_force() {
        let mut bus = Bus::new(FakeHardware::new(1), Generation::Gen12, true);
        assert_eq!(
            engine(&mut bus, Generation::Gen12, EngineId::BCS0, EngineSet::EMPTY, false),
            Err(ResetError::NotReady)
        );
        assert!(!bus.hw.writes.iter().any(|write| write.0 == 0x941c));
        // The fake keeps GDRST's bits, so by force it gets as far as the reset itself.
        assert_eq!(
            engine(&mut bus, Generation::Gen12, EngineId::BCS0, EngineSet::EMPTY, true),
            Err(ResetError::Stuck(4))
        );
        let last = bus.hw.writes.last();
        assert_eq!(last, Some(&(0x220d0, 0x1_0000)), "the request is withdrawn");
    }
}
