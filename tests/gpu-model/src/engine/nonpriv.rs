// SPDX-License-Identifier: BSD-2-Clause
//! Registers that a non-privileged batch may access.
//!
//! The hardware has a fixed list per engine class; FORCE_TO_NONPRIV slots (base + 0x4d0) add to it, or deny.
//! Reads are free unless a slot says otherwise. The fixed list is the one that IGT's gem_ctx_isolation (MIT)
//! writes from user batches.

use crate::commands::{EngineClass, Generation};
use crate::device::Device;

/// First slot, relative to the engine's base.
pub const SLOT0: u32 = 0x4d0;
/// Number of slots.
pub const SLOTS: u32 = 12;
/// Bits that a slot defines: deny, access, offset, range.
const DEFINED: u32 = 1 << 30 | 3 << 28 | 0x03ff_fffc | 3;

/// A decoded slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRule {
    deny: bool,
    read: bool,
    write: bool,
    first: u32,
    count: u32,
}

impl SlotRule {
    /// Decodes a slot's value; `None` if undefined bits are set.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        if value & !DEFINED != 0 {
            return None;
        }
        let count = 1 << (2 * (value & 3));
        let access = (value >> 28) & 3;
        // From this register on, aligned or not: Linux names four counters by the first, at 0x2348 (i915:
        // intel_workarounds.c, WaAllowPMDepthAndInvocationCountAccessFromUMD).
        let first = value & 0x03ff_fffc;
        Some(Self { deny: value & (1 << 30) != 0, read: access != 2, write: access != 1, first, count })
    }

    /// Does the slot speak of this register?
    #[must_use]
    pub const fn covers(&self, offset: u32) -> bool {
        offset >= self.first && offset - self.first < 4 * self.count
    }
}

/// The hardware's own list of registers that a non-privileged batch may write.
fn writable(generation: Generation, class: EngineClass, base: u32, offset: u32) -> bool {
    let relative = offset.wrapping_sub(base);
    // General purpose registers exist on the render engine, and on all from Gen9.
    if matches!(relative, 0x600..0x680) {
        return class == EngineClass::Render || generation >= Generation::Gen9;
    }
    // CS_CHICKEN1, which older parts have in a FORCE_TO_NONPRIV slot.
    if offset == 0x2580 && class == EngineClass::Render {
        return generation >= Generation::Gen11;
    }
    match class {
        EngineClass::Render | EngineClass::Compute => matches!(
            offset,
            // NOPID, INSTPM, BB_OFFSET, predicates, statistics counters, 3DPRIM and GPGPU dispatch operands.
            0x2094
                | 0x20c0
                | 0x2158
                | 0x2290
                | 0x2294
                | 0x22c8..=0x22cf
                | 0x22d8..=0x22df
                | 0x22f0..=0x22ff
                | 0x2300..=0x2357
                | 0x2360
                | 0x2364
                | 0x23b8
                | 0x23bc
                | 0x2400..=0x2457
                | 0x2500..=0x250b
                | 0x5200..=0x521f
                | 0x5240..=0x525f
                | 0x5280..=0x528f
                | 0x7000
                | 0x7004
                | 0x7008
                | 0x7034
                | 0xe400
                | 0xe404
        ),
        EngineClass::Copy => matches!(relative, 0x094 | 0x200 | 0x204),
        EngineClass::Video => matches!(relative, 0x094 | 0x800..=0x8ff),
        EngineClass::VideoEnhance => relative == 0x094,
    }
}

impl Device {
    /// Decodes the slots anew; called when one was written.
    pub(crate) fn decode_slots(&mut self, index: usize) {
        let slots = (0..SLOTS)
            .map(|n| self.engine_register(index, SLOT0 + 4 * n))
            // Offset 0 is no register of an engine: an unused slot.
            .filter(|value| *value != 0)
            .filter_map(SlotRule::new)
            .collect();
        if let Some(engine) = self.engines.get_mut(index) {
            engine.slots = slots;
        }
    }

    /// May a non-privileged batch of the engine write the register?
    pub(crate) fn may_write(&self, index: usize, offset: u32) -> bool {
        let Some(engine) = self.engines.get(index) else { return false };
        if let Some(slot) = engine.slots.iter().find(|slot| slot.covers(offset)) {
            return !slot.deny && slot.write;
        }
        writable(self.platform.generation, engine.facts.engine.class, engine.base(), offset)
    }

    /// May a non-privileged batch of the engine read the register?
    pub(crate) fn may_read(&self, index: usize, offset: u32) -> bool {
        let slots = self.engines.get(index).map_or(&[][..], |engine| &engine.slots);
        slots.iter().find(|slot| slot.covers(offset)).is_none_or(|slot| !slot.deny && slot.read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_choose_their_own_preemption_granularity_from_gen11_on() {
        let may = |generation| writable(generation, EngineClass::Render, 0x2000, 0x2580);
        assert!(
            may(Generation::Gen12)
                && may(Generation::Gen11)
                && !may(Generation::Gen9)
                && !may(Generation::Gen8)
        );
    }

    #[test]
    fn batches_write_every_statistics_counter_of_the_render_engine() {
        for offset in [0x2290, 0x2294, 0x22c8, 0x22dc, 0x22f0, 0x22fc, 0x2310, 0x2340, 0x2448, 0x2454] {
            assert!(writable(Generation::Gen12, EngineClass::Render, 0x2000, offset), "{offset:#x}");
        }
        assert!(!writable(Generation::Gen12, EngineClass::Render, 0x2000, 0x2458));
    }

    #[test]
    fn slots_decode_as_linux_writes_them() {
        // PS_INVOCATION_COUNT and PS_DEPTH_COUNT, read only, four registers.
        let slot = SlotRule::new(0x1000_2349).unwrap();
        assert!(slot.covers(0x2348) && slot.covers(0x2354) && !slot.covers(0x2340) && !slot.covers(0x2358));
        assert!(slot.read && !slot.write && !slot.deny);
        let slot = SlotRule::new(0x7010).unwrap();
        assert!(slot.covers(0x7010) && !slot.covers(0x7014) && slot.read && slot.write);
        assert_eq!(SlotRule::new(0x8000_0000), None);
    }

    #[test]
    fn general_purpose_registers_are_free_and_ring_registers_are_not() {
        let free = |class, base, offset| writable(Generation::Gen12, class, base, offset);
        assert!(free(EngineClass::Copy, 0x22000, 0x22600));
        assert!(!free(EngineClass::Copy, 0x22000, 0x22030));
        assert!(!free(EngineClass::Copy, 0x22000, 0x2600));
        assert!(!free(EngineClass::Render, 0x2000, 0x20a0));
        assert!(!writable(Generation::Gen8, EngineClass::Copy, 0x22000, 0x22600));
    }
}
