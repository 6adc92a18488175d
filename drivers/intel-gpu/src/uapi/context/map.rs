// SPDX-License-Identifier: BSD-2-Clause
//! Maps of engines: which engine each slot of a context is, and the pool that they live in. A map is made of
//! blocks of eight slots, so that a small one is small and any slot is found at once.

use gpu_protocol::{Errno, MAX_ENGINE_SLOTS, Submit};

use super::super::domain::ClientId;
use super::super::driver::Driver;
use super::EngineContext;
use crate::device::{EngineClass, Sseu};
use crate::gpu::{ContextId, EngineSelection, Gpu};
use crate::handle::Id;
use crate::platform::Hardware;

/// Slots of a block.
const BLOCK_SLOTS: usize = 8;
const BLOCKS: usize = MAX_ENGINE_SLOTS / BLOCK_SLOTS;

/// Slots of the default map (i915: `legacy_idx`): render, copy, the first two video engines, video enhance. No part
/// that is supported has more.
const DEFAULT_SLOTS: usize = 5;
/// The one that not every part fills.
pub(super) const SECOND_VIDEO: usize = 3;

/// One slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// The engine, or the engines that it can be; none: an empty slot.
    pub(crate) engines: EngineSelection,
    pub(crate) sseu: Sseu,
    /// Made when the slot is first used.
    pub(crate) state: Option<EngineContext>,
}

impl Slot {
    pub(crate) const EMPTY: Self = Self { engines: EngineSelection::NONE, sseu: Sseu::NONE, state: None };

    /// The same slot of another context.
    const fn fresh(self) -> Self {
        Self { state: None, ..self }
    }
}

/// A part of a map.
#[derive(Debug)]
pub(crate) struct Block([Slot; BLOCK_SLOTS]);

/// A map of engines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineMap {
    /// It was given by the client; otherwise it is the default one.
    pub(crate) user: bool,
    len: u8,
    blocks: [Option<Id<Block>>; BLOCKS],
}

impl EngineMap {
    /// No slots.
    pub(super) const EMPTY: Self = Self { user: false, len: 0, blocks: [None; BLOCKS] };

    /// Number of slots.
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }
}

/// The slots of the default map on this part.
pub(crate) fn default_slots<H: Hardware>(gpu: &Gpu<H>) -> [Slot; DEFAULT_SLOTS] {
    let engines = [
        (EngineClass::Render, 0),
        (EngineClass::Copy, 0),
        (EngineClass::Video, 0),
        (EngineClass::Video, 1),
        (EngineClass::VideoEnhance, 0),
    ];
    let sseu = Sseu::full(gpu.platform(), &gpu.fuses().topology);
    engines.map(|(class, instance)| match gpu.engine(class, instance) {
        Ok(engine) => Slot { engines: EngineSelection::one(engine), sseu, state: None },
        Err(_) => Slot::EMPTY,
    })
}

/// The slot of the default map that a submission means (uAPI `I915_EXEC_DEFAULT`, `RENDER`, `BSD`, `BLT`,
/// `VEBOX`, `BSD_RING1`, `BSD_RING2`). A client that does not say which of two video engines gets the first; i915
/// spreads its clients over them.
pub(super) const fn default_slot(selector: u32, two_videos: bool) -> Option<usize> {
    const BOTH: u32 = Submit::FIRST_VIDEO | Submit::SECOND_VIDEO;
    match (selector & !BOTH, selector & BOTH) {
        (0 | 1, 0) => Some(0),
        (2, Submit::SECOND_VIDEO) if two_videos => Some(SECOND_VIDEO),
        (2, BOTH) if two_videos => None,
        (2, _) => Some(2),
        (3, 0) => Some(1),
        (4, 0) => Some(4),
        _ => None,
    }
}

impl<H: Hardware> Driver<H> {
    /// A map with these slots.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn map_new(
        &mut self,
        client: ClientId,
        user: bool,
        slots: &[Slot],
    ) -> Result<EngineMap, Errno> {
        let mut map = self.map_sized(client, slots.len())?;
        map.user = user;
        for (index, slot) in slots.iter().enumerate() {
            self.map_put(&map, index, *slot);
        }
        Ok(map)
    }

    /// A map of that many empty slots.
    fn map_sized(&mut self, client: ClientId, len: usize) -> Result<EngineMap, Errno> {
        let mut map = EngineMap::EMPTY;
        map.len = u8::try_from(len).map_err(|_| Errno::Inval)?;
        for place in 0..len.div_ceil(BLOCK_SLOTS) {
            let used = &mut self.clients[client].used.map_blocks;
            let made = if *used < self.clients[client].share.map_blocks {
                self.map_blocks.insert(Block([Slot::EMPTY; BLOCK_SLOTS])).ok()
            } else {
                None
            };
            match (made, map.blocks.get_mut(place)) {
                (Some(block), Some(place)) => {
                    *place = Some(block);
                    self.clients[client].used.map_blocks += 1;
                }
                _ => {
                    self.map_free(client, map);
                    return Err(Errno::NoMem);
                }
            }
        }
        Ok(map)
    }

    /// Makes `map` have the slots of `source`, with no state yet.
    ///
    /// # Errors
    /// `ENOMEM`; the map is as it was.
    pub(super) fn map_copy(
        &mut self,
        client: ClientId,
        map: &mut EngineMap,
        source: &EngineMap,
    ) -> Result<(), Errno> {
        if map.len().div_ceil(BLOCK_SLOTS) != source.len().div_ceil(BLOCK_SLOTS) {
            let sized = self.map_sized(client, source.len())?;
            self.map_free(client, core::mem::replace(map, sized));
        }
        (map.user, map.len) = (source.user, source.len);
        for index in 0..source.len() {
            let slot = self.map_slot(source, index).map_or(Slot::EMPTY, Slot::fresh);
            self.map_put(map, index, slot);
        }
        Ok(())
    }

    /// Frees a map whose states are gone.
    pub(super) fn map_free(&mut self, client: ClientId, map: EngineMap) {
        for block in map.blocks.into_iter().flatten() {
            if self.map_blocks.remove(block).is_some() {
                self.clients[client].used.map_blocks -= 1;
            }
        }
    }

    /// A slot; `None` beyond the map's end.
    pub(crate) fn map_slot(&self, map: &EngineMap, index: usize) -> Option<Slot> {
        self.map_slot_ref(map, index).copied()
    }

    /// A slot, to be looked at.
    pub(super) fn map_slot_ref(&self, map: &EngineMap, index: usize) -> Option<&Slot> {
        let block = map.blocks.get(index / BLOCK_SLOTS).copied().flatten().filter(|_| index < map.len())?;
        self.map_blocks.get(block)?.0.get(index % BLOCK_SLOTS)
    }

    /// Changes a slot.
    pub(super) fn map_put(&mut self, map: &EngineMap, index: usize, slot: Slot) {
        let block = map.blocks.get(index / BLOCK_SLOTS).copied().flatten().filter(|_| index < map.len());
        let block = block.and_then(|block| self.map_blocks.get_mut(block));
        if let Some(place) = block.and_then(|block| block.0.get_mut(index % BLOCK_SLOTS)) {
            *place = slot;
        }
    }

    /// The hardware's contexts of a map.
    pub(super) fn map_states(&self, map: &EngineMap) -> States {
        let mut states = States::EMPTY;
        for (index, place) in states.ids.iter_mut().enumerate().take(map.len()) {
            *place = self.map_slot(map, index).and_then(|slot| slot.state).map(|state| state.id);
        }
        states
    }
}

/// The hardware's contexts of a map.
#[derive(Clone, Debug)]
pub(super) struct States {
    ids: [Option<ContextId>; MAX_ENGINE_SLOTS],
    at: usize,
}

impl States {
    /// None.
    pub(super) const EMPTY: Self = Self { ids: [None; MAX_ENGINE_SLOTS], at: 0 };
}

impl Iterator for States {
    type Item = ContextId;

    fn next(&mut self) -> Option<ContextId> {
        while let Some(place) = self.ids.get(self.at) {
            self.at += 1;
            if place.is_some() {
                return *place;
            }
        }
        None
    }
}
