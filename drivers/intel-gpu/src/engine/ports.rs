// SPDX-License-Identifier: BSD-2-Clause
//! The two elements of an execlist submission, and who is in them.
//!
//! ```text
//!            submit                    event: acknowledged
//!   queue ------------> pending ---------------------------> active
//!     ^                                                        |
//!     +---- has more work ---- left the hardware <-------------+ event: completed (head of active),
//!                                                                or acknowledged (all of the old)
//! ```
//!
//! There is at most one unacknowledged submission: a second one would overwrite it in the hardware.
//!
//! Sources: PRM vol 7/8 (Execlists), vol 2c EXECLIST_SUBMITPORT, EXECLIST_SQ_CONTENTS,
//! EXECLIST_CONTROL; i915: intel_execlists_submission.c.

use crate::address::GgttOffset;
use crate::device::{EngineId, Generation};
use crate::gpu::ContextId;
use crate::mmio::regs::{ExeclistControl, SubmitPort};
use crate::mmio::{Bus, EngineBase};
use crate::platform::Hardware;

/// Contexts of one submission, in order; the second only with a first.
pub(crate) type Elements = [Option<ContextId>; 2];

/// Submitted contexts.
#[derive(Debug)]
pub(crate) struct Ports {
    /// Running and next.
    pub(crate) active: Elements,
    /// Submitted, not acknowledged, and when.
    pub(crate) pending: Option<(Elements, u64)>,
    /// When the running context began.
    pub(crate) running_since_ns: u64,
    /// Hardware ids in use, one bit each.
    tags: u32,
    last_tag: u32,
}

/// Ids that a context has while it is in the ports: at most four contexts are, in `active` and
/// `pending`. 0 is not used, the largest value means "none" to the hardware.
const TAGS: u32 = 30;

impl Ports {
    pub(crate) const fn new() -> Self {
        Self { active: [None; 2], pending: None, running_since_ns: 0, tags: 0, last_tag: 0 }
    }

    /// Takes an id. It is not the one given back last: the hardware might take a new context with the
    /// same id for the old one.
    pub(crate) const fn take_tag(&mut self) -> u32 {
        let mut tag = self.last_tag;
        let mut tries = 0;
        while tries < TAGS {
            tag = tag % TAGS + 1;
            if self.tags >> tag & 1 == 0 {
                break;
            }
            tries += 1;
        }
        self.tags |= 1 << tag;
        self.last_tag = tag;
        tag
    }

    pub(crate) const fn give_tag(&mut self, tag: u32) {
        self.tags &= !(1 << tag);
    }

    /// Whether anything is on the hardware as far as events have told.
    pub(crate) const fn is_idle(&self) -> bool {
        self.active[0].is_none() && self.pending.is_none()
    }

    /// Event "completed": the head of the active list has left.
    pub(crate) const fn complete(&mut self) -> Option<ContextId> {
        let left = self.active[0].take();
        self.active[0] = self.active[1].take();
        left
    }

    /// Event "acknowledged": the pending list is active now. Returns the old active list.
    pub(crate) fn acknowledge(&mut self) -> Option<Elements> {
        let (pending, _) = self.pending.take()?;
        Some(core::mem::replace(&mut self.active, pending))
    }
}

/// What the hardware needs to know of a context to run it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    pub(crate) generation: Generation,
    pub(crate) engine: EngineId,
    /// First page of the image.
    pub(crate) image: GgttOffset,
    pub(crate) four_level: bool,
    pub(crate) tag: u32,
    pub(crate) priority: i16,
    /// Load the image from memory though the hardware may think it has it.
    pub(crate) force_restore: bool,
}

impl Descriptor {
    /// The descriptor's two dwords, low first.
    pub(crate) const fn dwords(&self) -> (u32, u32) {
        const VALID: u32 = 1 << 0;
        const FORCE_RESTORE: u32 = 1 << 2;
        const LEGACY_32B: u32 = 1 << 3;
        const LEGACY_64B: u32 = 3 << 3;
        const L3_LLC_COHERENT: u32 = 1 << 5;
        const PRIVILEGE: u32 = 1 << 8;
        let mut low = VALID | PRIVILEGE | self.image.get();
        low |= if self.four_level { LEGACY_64B } else { LEGACY_32B };
        if self.force_restore {
            low |= FORCE_RESTORE;
        }
        match self.generation {
            Generation::Gen8 => low |= L3_LLC_COHERENT,
            Generation::Gen12 => {
                // Low, normal, high.
                low |= if self.priority < 0 { 0 } else { 1 + (self.priority > 0) as u32 } << 9;
            }
            _ => {}
        }
        let high = if self.generation.is_gen11_or_12() {
            self.engine.class.hardware() << 29 | (self.engine.instance as u32) << 16 | self.tag << 5
        } else {
            self.tag
        };
        (low, high)
    }
}

/// Hands two descriptors to the hardware. All that they lead to is in memory before.
pub(crate) fn submit<H: Hardware>(
    bus: &mut Bus<H>,
    generation: Generation,
    base: EngineBase,
    elements: [Option<Descriptor>; 2],
) {
    let dwords = elements.map(|element| element.map_or((0, 0), |descriptor| descriptor.dwords()));
    bus.hw.write_barrier();
    if generation.is_gen11_or_12() {
        // The queue's contents stay from load to load: an unused element is written as invalid.
        for (index, (low, high)) in (0..2).zip(dwords).rev() {
            bus.write_raw(base.0 + 0x510 + 8 * index, low);
            bus.write_raw(base.0 + 0x514 + 8 * index, high);
        }
        bus.write_on(base, ExeclistControl(ExeclistControl::LOAD.put(1)));
    } else {
        for (low, high) in dwords.into_iter().rev() {
            bus.write_on(base, SubmitPort(high));
            bus.write_on(base, SubmitPort(low));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHardware;

    fn descriptor(generation: Generation, engine: EngineId) -> Descriptor {
        Descriptor {
            generation,
            engine,
            image: GgttOffset::new(0xfffe_9000),
            four_level: true,
            tag: 1,
            priority: 0,
            force_restore: false,
        }
    }

    #[test]
    fn descriptors_per_generation() {
        assert_eq!(descriptor(Generation::Gen8, EngineId::BCS0).dwords(), (0xfffe_9139, 1));
        assert_eq!(descriptor(Generation::Gen9, EngineId::BCS0).dwords(), (0xfffe_9119, 1));
        let gen11 = descriptor(Generation::Gen11, EngineId::VCS2);
        assert_eq!(gen11.dwords(), (0xfffe_9119, 0x2002_0020));
        // As the recorded probe of Linux shows it for its high-priority contexts.
        let gen12 =
            Descriptor { priority: 1, force_restore: true, ..descriptor(Generation::Gen12, EngineId::BCS0) };
        assert_eq!(gen12.dwords(), (0xfffe_951d, 0x6000_0020));
        let three = Descriptor { four_level: false, ..descriptor(Generation::Gen9, EngineId::RCS0) };
        assert_eq!(three.dwords().0 & 0xfff, 0x109);
    }

    #[test]
    fn gen9_writes_the_port_from_the_second_element_to_the_first_upper_half_first() {
        let mut bus = Bus::new(FakeHardware::new(1), Generation::Gen9, true);
        let first = descriptor(Generation::Gen9, EngineId::BCS0);
        let second = Descriptor { image: GgttOffset::new(0x8000), tag: 2, ..first };
        submit(&mut bus, Generation::Gen9, EngineBase(0x22000), [Some(first), Some(second)]);
        let port = 0x22230;
        assert_eq!(bus.hw.writes, [(port, 2), (port, 0x8119), (port, 1), (port, 0xfffe_9119)]);
    }

    #[test]
    fn gen12_writes_the_queue_and_loads_it() {
        let mut bus = Bus::new(FakeHardware::new(1), Generation::Gen12, true);
        let first = descriptor(Generation::Gen12, EngineId::BCS0);
        submit(&mut bus, Generation::Gen12, EngineBase(0x22000), [Some(first), None]);
        let expected =
            [(0x22518, 0), (0x2251c, 0), (0x22510, 0xfffe_9319), (0x22514, 0x6000_0020), (0x22550, 1)];
        assert_eq!(bus.hw.writes, expected);
    }

    #[test]
    fn an_id_is_not_taken_twice_nor_right_after_it_was_given_back() {
        let mut ports = Ports::new();
        let first = ports.take_tag();
        let second = ports.take_tag();
        assert_ne!(first, second);
        ports.give_tag(second);
        assert_ne!(ports.take_tag(), second);
        for _ in 0..100 {
            let tag = ports.take_tag();
            assert!((1..=30).contains(&tag) && tag != first);
            ports.give_tag(tag);
        }
    }
}
