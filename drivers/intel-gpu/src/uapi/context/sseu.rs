// SPDX-License-Identifier: BSD-2-Clause
//! The parameter with slices, subslices and execution units.
//!
//! i915: `set_sseu`, `get_sseu`, `lookup_user_engine`, `i915_gem_user_to_context_sseu`.

use gpu_protocol::{ContextParam, ContextSseu, Errno};
use zerocopy::IntoBytes;

use super::super::area;
use super::super::domain::{ClientId, Domain};
use super::super::driver::Driver;
use super::map::{EngineMap, Slot};
use super::{Context, Value};
use crate::device::{EngineClass, Generation, Sseu, Topology};
use crate::gpu::EngineSelection;
use crate::handle::Id;
use crate::platform::Hardware;

const BYTES: u32 = 32;
const _: () = assert!(size_of::<ContextSseu>() == BYTES as usize);

impl<H: Hardware> Driver<H> {
    /// Everything that the part has: what every slot has until somebody chooses.
    pub(super) fn full_sseu(&self) -> Sseu {
        Sseu::full(self.gpu.platform(), &self.gpu.fuses().topology)
    }

    /// Gives every slot of a map what a fresh context has.
    pub(super) fn map_reset_sseu(&mut self, map: &EngineMap) {
        let sseu = self.full_sseu();
        for index in 0..map.len() {
            if let Some(slot) = self.map_slot(map, index).filter(|slot| !slot.engines.is_empty()) {
                self.map_put(map, index, Slot { sseu, ..slot });
            }
        }
    }

    /// The slot that the structure names.
    fn sseu_slot(&self, map: &EngineMap, sseu: &ContextSseu) -> Result<(usize, Slot), Errno> {
        if sseu.rsvd != 0 || sseu.flags & !ContextSseu::ENGINE_INDEX != 0 {
            return Err(Errno::Inval);
        }
        if (sseu.flags & ContextSseu::ENGINE_INDEX != 0) != map.user {
            return Err(Errno::Inval);
        }
        let index = if map.user {
            usize::from(sseu.engine.instance)
        } else {
            // In the default map each engine is in one slot.
            let info = self.gpu.engines().find(|engine| {
                engine.uapi_class == sseu.engine.class && engine.uapi_instance == sseu.engine.instance
            });
            let engines = EngineSelection::one(info.ok_or(Errno::Inval)?.index);
            (0..map.len())
                .find(|index| self.map_slot(map, *index).is_some_and(|slot| slot.engines == engines))
                .ok_or(Errno::Inval)?
        };
        let slot = self.map_slot(map, index).filter(|slot| !slot.engines.is_empty());
        slot.map(|slot| (index, slot)).ok_or(Errno::Inval)
    }

    pub(super) fn set_sseu<D: Domain>(
        &mut self,
        domain: &D,
        client: ClientId,
        live: Option<Id<Context>>,
        value: &mut Value,
        param: &ContextParam,
    ) -> Result<u64, Errno> {
        if param.size < BYTES {
            return Err(Errno::Inval);
        }
        if self.gpu.platform().generation != Generation::Gen11 {
            return Err(Errno::NoDev);
        }
        let wanted: ContextSseu = area::read_at(domain, client, param.value)?;
        self.default_map(client, value)?;
        let (index, slot) = self.sseu_slot(&value.map, &wanted)?;
        // Only the render engine has something to power.
        if self.gpu.class_of(slot.engines) != Some(EngineClass::Render) {
            return Err(Errno::NoDev);
        }
        let max_eus = self.gpu.platform().max_sseu.2;
        let sseu = check(&wanted, &self.gpu.fuses().topology, max_eus)?;
        if live.is_some()
            && let Some(state) = slot.state
        {
            self.gpu.context_set_sseu(state.id, sseu)?;
        }
        self.map_put(&value.map, index, Slot { sseu, ..slot });
        Ok(BYTES.into())
    }

    /// Writes the structure into the client's area. Returns the size that it has.
    pub(super) fn get_sseu<D: Domain>(
        &self,
        domain: &mut D,
        client: ClientId,
        value: &Value,
        param: &ContextParam,
    ) -> Result<u64, Errno> {
        if param.size == 0 {
            return Ok(BYTES.into());
        }
        if param.size < BYTES {
            return Err(Errno::Inval);
        }
        let asked: ContextSseu = area::read_at(domain, client, param.value)?;
        let (_, slot) = self.sseu_slot(&value.map, &asked)?;
        let answer = ContextSseu {
            slice_mask: slot.sseu.slices.into(),
            subslice_mask: slot.sseu.subslices.into(),
            min_eus_per_subslice: slot.sseu.min_eus.into(),
            max_eus_per_subslice: slot.sseu.max_eus.into(),
            ..asked
        };
        domain.write_area(client, param.value, answer.as_bytes())?;
        Ok(BYTES.into())
    }
}

/// What a client asks for, if this Gen11 part can do it (i915: `i915_gem_user_to_context_sseu`).
///
/// # Errors
/// `EINVAL`.
fn check(wanted: &ContextSseu, topology: &Topology, max_eus: u8) -> Result<Sseu, Errno> {
    let byte = |value: u64| u8::try_from(value).map_err(|_| Errno::Inval);
    let none = wanted.slice_mask == 0
        || wanted.subslice_mask == 0
        || wanted.min_eus_per_subslice == 0
        || wanted.max_eus_per_subslice == 0;
    if none || wanted.max_eus_per_subslice < wanted.min_eus_per_subslice {
        return Err(Errno::Inval);
    }
    let sseu = Sseu {
        slices: byte(wanted.slice_mask)?,
        subslices: byte(wanted.subslice_mask)?,
        min_eus: byte(wanted.min_eus_per_subslice.into())?,
        max_eus: byte(wanted.max_eus_per_subslice.into())?,
    };
    let there = topology.subslices[0];
    if sseu.slices & !topology.slices != 0 || sseu.subslices & !there != 0 || sseu.max_eus > max_eus {
        return Err(Errno::Inval);
    }
    // Every Gen11 part has one slice: what i915 checks of several cannot come up.
    let (subslices, all) = (sseu.subslices.count_ones(), there.count_ones());
    let possible = (subslices == all || subslices == all / 2)
        && (subslices <= 4 || subslices.is_multiple_of(2))
        && sseu.min_eus == max_eus
        && sseu.max_eus == max_eus;
    if possible { Ok(sseu) } else { Err(Errno::Inval) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gpu_protocol::EngineClassInstance;

    /// Ice Lake with all of its eight subslices.
    const ICE_LAKE: Topology = Topology { slices: 1, subslices: [0xff, 0, 0], eu_total: 64 };

    fn asked(slice_mask: u64, subslice_mask: u64, min: u16, max: u16) -> Result<Sseu, Errno> {
        asked_of(&ICE_LAKE, slice_mask, subslice_mask, min, max)
    }

    fn asked_of(
        topology: &Topology,
        slice_mask: u64,
        subslice_mask: u64,
        min: u16,
        max: u16,
    ) -> Result<Sseu, Errno> {
        let engine = EngineClassInstance::new(0, 0);
        let wanted = ContextSseu {
            engine,
            flags: 0,
            slice_mask,
            subslice_mask,
            min_eus_per_subslice: min,
            max_eus_per_subslice: max,
            rsvd: 0,
        };
        check(&wanted, topology, 8)
    }

    #[test]
    fn a_single_slice_runs_with_all_of_its_subslices_or_half_of_them() {
        assert_eq!(asked(1, 0xff, 8, 8), Ok(Sseu { slices: 1, subslices: 0xff, min_eus: 8, max_eus: 8 }));
        assert_eq!(asked(1, 0x0f, 8, 8), Ok(Sseu { slices: 1, subslices: 0x0f, min_eus: 8, max_eus: 8 }));
        assert!(asked(1, 0xc3, 8, 8).is_ok());
        for subslices in [0x1, 0x3, 0x7, 0x1f, 0x3f, 0x7f] {
            assert_eq!(asked(1, subslices, 8, 8), Err(Errno::Inval), "{subslices:#x}");
        }
    }

    #[test]
    fn half_of_an_odd_number_of_subslices_is_rounded_down() {
        let fused = Topology { subslices: [0x7f, 0, 0], ..ICE_LAKE };
        assert!(asked_of(&fused, 1, 0x07, 8, 8).is_ok());
        // More than four are possible in pairs only, so that this part never has all of its own.
        for subslices in [0x01, 0x03, 0x0f, 0x1f, 0x3f, 0x7f] {
            assert_eq!(asked_of(&fused, 1, subslices, 8, 8), Err(Errno::Inval), "{subslices:#x}");
        }
        let single = Topology { subslices: [0x1, 0, 0], ..ICE_LAKE };
        assert!(asked_of(&single, 1, 0x1, 8, 8).is_ok());
    }

    #[test]
    fn nothing_that_the_part_lacks_and_no_part_of_a_subslice_can_be_asked_for() {
        for (slices, subslices, min, max) in [
            (0, 0xff, 8, 8),
            (1, 0, 8, 8),
            (1, 0xff, 0, 8),
            (1, 0xff, 8, 0),
            (1, 0xff, 8, 7),
            (1, 0xff, 7, 8),
            (1, 0xff, 7, 7),
            (1, 0xff, 8, 9),
            (2, 0xff, 8, 8),
            (3, 0xff, 8, 8),
            (1, 0x1ff, 8, 8),
            (1 << 32 | 1, 0xff, 8, 8),
            (1, 0xff, 8, 256),
        ] {
            assert_eq!(asked(slices, subslices, min, max), Err(Errno::Inval), "{slices:#x} {subslices:#x}");
        }
    }
}
