// SPDX-License-Identifier: BSD-2-Clause
//! The parameter with the map of engines: slots, holes, and load-balanced slots with their bonds.
//!
//! i915: `set_engines`, `set_engines__load_balance`, `set_engines__bond`, `get_engines`,
//! `intel_execlists_create_virtual`, `intel_virtual_engine_attach_bond`.

use gpu_protocol::{
    Bond, ContextParam, EngineClassInstance, EnginesHeader, Errno, LoadBalance, MAX_ENGINE_SLOTS,
};
use zerocopy::IntoBytes;

use super::super::area;
use super::super::domain::{ClientId, Domain};
use super::super::driver::Driver;
use super::chain::{Budget, Chain};
use super::map::{EngineMap, Slot};
use super::{Context, Value};
use crate::gpu::{EngineIndex, EngineSelection};
use crate::handle::Id;
use crate::platform::Hardware;

const HEADER_BYTES: usize = size_of::<EnginesHeader>();
const ENTRY_BYTES: usize = size_of::<EngineClassInstance>();

/// A map that is being read.
struct Draft {
    slots: [Slot; MAX_ENGINE_SLOTS],
    len: usize,
}

impl Draft {
    fn slot(&mut self, index: u16) -> Result<&mut Slot, Errno> {
        self.slots.get_mut(..self.len).and_then(|slots| slots.get_mut(usize::from(index))).ok_or(Errno::Inval)
    }
}

/// Reads the `index`th of the engines that follow a structure.
fn entry<D: Domain>(
    domain: &D,
    client: ClientId,
    array: Option<u64>,
    index: usize,
) -> Result<EngineClassInstance, Errno> {
    // CAST: an index below 2^16.
    let offset = array.and_then(|array| array.checked_add((index * ENTRY_BYTES) as u64));
    area::read_at(domain, client, offset.ok_or(Errno::Fault)?)
}

impl<H: Hardware> Driver<H> {
    fn engine_named(&self, name: EngineClassInstance) -> Option<EngineIndex> {
        let found = |engine: &crate::gpu::EngineInfo| {
            engine.uapi_class == name.class && engine.uapi_instance == name.instance
        };
        self.gpu.engines().find(found).map(|engine| engine.index)
    }

    /// Replaces the map of a value. Returns the size that was read.
    pub(super) fn set_engines<D: Domain>(
        &mut self,
        (domain, budget): (&D, &mut Budget),
        client: ClientId,
        live: Option<Id<Context>>,
        value: &mut Value,
        param: &ContextParam,
    ) -> Result<u64, Errno> {
        let size = usize::try_from(param.size).map_err(|_| Errno::Inval)?;
        let mut draft = Draft { slots: [Slot::EMPTY; MAX_ENGINE_SLOTS], len: 0 };
        if size != 0 {
            if size < HEADER_BYTES || !size.is_multiple_of(ENTRY_BYTES) {
                return Err(Errno::Inval);
            }
            draft.len = (size - HEADER_BYTES) / ENTRY_BYTES;
            if draft.len > MAX_ENGINE_SLOTS {
                return Err(Errno::Inval);
            }
            self.read_engines((domain, budget), client, param.value, &mut draft)?;
        } else if !value.map.user {
            return Ok(0);
        }
        if let Some(id) = live {
            self.check_idle(id)?;
        }
        let map = if size == 0 {
            let slots = self.default_slots;
            self.map_new(client, false, &slots)?
        } else {
            self.map_new(client, true, draft.slots.get(..draft.len).unwrap_or(&[]))?
        };
        let earlier = core::mem::replace(&mut value.map, map);
        // Idle, and so nothing is left to finish.
        self.states_destroy(client, &earlier, true);
        self.map_free(client, earlier);
        Ok(param.size.into())
    }

    fn read_engines<D: Domain>(
        &self,
        (domain, budget): (&D, &mut Budget),
        client: ClientId,
        offset: u64,
        draft: &mut Draft,
    ) -> Result<(), Errno> {
        let array = offset.checked_add(HEADER_BYTES as u64);
        let sseu = self.full_sseu();
        for index in 0..draft.len {
            let name = entry(domain, client, array, index)?;
            if name == EngineClassInstance::NONE {
                continue;
            }
            let engine = self.engine_named(name).ok_or(Errno::NoEnt)?;
            if let Some(slot) = draft.slots.get_mut(index) {
                *slot = Slot { engines: EngineSelection::one(engine), sseu, state: None };
            }
        }
        let header: EnginesHeader = area::read_at(domain, client, offset)?;
        let mut chain = Chain::at(header.extensions);
        while let Some((name, offset)) = chain.next(domain, budget, client)? {
            match name {
                LoadBalance::NAME => self.load_balance(domain, client, offset, draft)?,
                Bond::NAME => self.bond(domain, client, offset, draft)?,
                _ => return Err(Errno::Inval),
            }
        }
        Ok(())
    }

    /// An empty slot becomes any of several engines of one class.
    fn load_balance<D: Domain>(
        &self,
        domain: &D,
        client: ClientId,
        offset: u64,
        draft: &mut Draft,
    ) -> Result<(), Errno> {
        let balance: LoadBalance = area::read_at(domain, client, offset)?;
        let slot = draft.slot(balance.engine_index)?;
        if !slot.engines.is_empty() {
            return Err(Errno::Exist);
        }
        if balance.flags != 0 || balance.mbz != 0 {
            return Err(Errno::Inval);
        }
        let array = offset.checked_add(size_of::<LoadBalance>() as u64);
        let mut engines = EngineSelection::NONE;
        for index in 0..usize::from(balance.num_siblings) {
            let sibling = self.engine_named(entry(domain, client, array, index)?).ok_or(Errno::Inval)?;
            let alike = engines.is_empty()
                || self.gpu.class_of(engines) == self.gpu.class_of(EngineSelection::one(sibling));
            if !alike || !engines.add(sibling) {
                return Err(Errno::Inval);
            }
        }
        if engines.is_empty() {
            return Err(Errno::Inval);
        }
        *slot = Slot { engines, sseu: self.full_sseu(), state: None };
        Ok(())
    }

    /// Restricts what a load-balanced slot may be after a request on another engine.
    fn bond<D: Domain>(
        &self,
        domain: &D,
        client: ClientId,
        offset: u64,
        draft: &mut Draft,
    ) -> Result<(), Errno> {
        let bond: Bond = area::read_at(domain, client, offset)?;
        let slot = draft.slot(bond.virtual_index)?;
        if slot.engines.is_empty() || bond.flags != 0 || bond.mbz != [0; 4] {
            return Err(Errno::Inval);
        }
        let master = self.engine_named(bond.master).ok_or(Errno::Inval)?;
        // i915 takes any number and names that come twice; nobody needs more than there are engines.
        if usize::from(bond.num_bonds) > self.gpu.engines().count() {
            return Err(Errno::Inval);
        }
        let array = offset.checked_add(size_of::<Bond>() as u64);
        for index in 0..usize::from(bond.num_bonds) {
            let engine = self.engine_named(entry(domain, client, array, index)?).ok_or(Errno::Inval)?;
            // An engine that is only itself has nothing to choose from.
            if slot.engines.is_balanced() && !slot.engines.bond(master, engine) {
                return Err(Errno::Inval);
            }
        }
        Ok(())
    }

    /// Writes a map into the client's area. Returns the size that it has.
    pub(super) fn get_engines<D: Domain>(
        &self,
        domain: &mut D,
        client: ClientId,
        map: &EngineMap,
        param: &ContextParam,
    ) -> Result<u64, Errno> {
        if !map.user {
            return Ok(0);
        }
        let size = (HEADER_BYTES + map.len() * ENTRY_BYTES) as u64;
        if param.size == 0 {
            return Ok(size);
        }
        if u64::from(param.size) < size {
            return Err(Errno::Inval);
        }
        let mut names = [EngineClassInstance::NONE; MAX_ENGINE_SLOTS];
        for (index, name) in names.iter_mut().enumerate().take(map.len()) {
            let engines = self.map_slot(map, index).map_or(EngineSelection::NONE, |slot| slot.engines);
            let Some(info) = self.gpu.engines().find(|engine| Some(engine.index) == engines.first()) else {
                continue;
            };
            let instance =
                if engines.is_balanced() { EngineClassInstance::VIRTUAL } else { info.uapi_instance };
            *name = EngineClassInstance::new(info.uapi_class, instance);
        }
        let names = names.get(..map.len()).unwrap_or(&[]);
        let array = param.value.checked_add(HEADER_BYTES as u64).ok_or(Errno::Fault)?;
        domain.write_area(client, param.value, EnginesHeader { extensions: 0 }.as_bytes())?;
        domain.write_area(client, array, names.as_bytes())?;
        Ok(size)
    }
}
