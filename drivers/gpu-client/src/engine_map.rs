// SPDX-License-Identifier: BSD-2-Clause
//! Maps of engines: what the slots of a context's submissions are.

use gpu_protocol::{
    Bond, ContextParam, EngineClassInstance, EnginesHeader, ExtensionHeader, LoadBalance, MAX_ENGINE_SLOTS,
    Operation,
};
use zerocopy::FromBytes;

use crate::connection::PAYLOAD;
use crate::payload::Payload;
use crate::{Context, Error, Gpu, Transport};

/// A slot that is any of several engines of one class: a batch runs on the one that has time.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// use gpu_client::{Balanced, ContextBuilder, EngineClassInstance, EngineMap};
///
/// let video = [EngineClassInstance::new(2, 0), EngineClassInstance::new(2, 1)];
/// let balanced = [Balanced { slot: 0, siblings: &video }];
/// let map = EngineMap { slots: &[EngineClassInstance::NONE], balanced: &balanced, bonds: &[] };
/// gpu.create_context_with(&ContextBuilder::new().engines(map))?;
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balanced<'a> {
    /// Which slot of the map: an empty one.
    pub slot: u16,
    /// The engines, each once.
    pub siblings: &'a [EngineClassInstance],
}

/// Restricts a balanced slot: a batch on it that starts together with one on another engine runs on one of these.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// use gpu_client::{Balanced, Bonded, ContextBuilder, EngineClassInstance, EngineMap};
///
/// let render = EngineClassInstance::new(0, 0);
/// let video = [EngineClassInstance::new(2, 0), EngineClassInstance::new(2, 1)];
/// let map = EngineMap {
///     slots: &[EngineClassInstance::NONE, render],
///     balanced: &[Balanced { slot: 0, siblings: &video }],
///     bonds: &[Bonded { slot: 0, master: render, engines: &video[1..] }],
/// };
/// gpu.create_context_with(&ContextBuilder::new().engines(map))?;
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bonded<'a> {
    /// Which slot of the map: a balanced one.
    pub slot: u16,
    /// The engine of the other batch.
    pub master: EngineClassInstance,
    /// Those of the slot's siblings that go with it.
    pub engines: &'a [EngineClassInstance],
}

/// A map of engines. A plain list of engines is one, too.
///
/// ```
/// use gpu_client::{EngineClassInstance, EngineMap};
///
/// let engines = [EngineClassInstance::new(0, 0), EngineClassInstance::new(1, 0)];
/// assert_eq!(EngineMap::from(&engines), EngineMap { slots: &engines, balanced: &[], bonds: &[] });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineMap<'a> {
    /// One engine a slot, [`EngineClassInstance::NONE`] for a slot that is empty or becomes balanced; 64 at most.
    pub slots: &'a [EngineClassInstance],
    /// The slots that are several engines.
    pub balanced: &'a [Balanced<'a>],
    /// What restricts those.
    pub bonds: &'a [Bonded<'a>],
}

impl<'a> From<&'a [EngineClassInstance]> for EngineMap<'a> {
    fn from(slots: &'a [EngineClassInstance]) -> Self {
        Self { slots, balanced: &[], bonds: &[] }
    }
}

impl<'a, const N: usize> From<&'a [EngineClassInstance; N]> for EngineMap<'a> {
    fn from(slots: &'a [EngineClassInstance; N]) -> Self {
        Self::from(slots.as_slice())
    }
}

fn count(engines: &[EngineClassInstance]) -> Result<u16, Error> {
    u16::try_from(engines.len()).map_err(|_| Error::TooLarge)
}

impl<T: Transport> Gpu<T> {
    /// Writes a map of engines; the parameter that names it, of context 0.
    pub(crate) fn write_engines(
        &mut self,
        payload: &mut Payload,
        map: &EngineMap<'_>,
    ) -> Result<ContextParam, Error> {
        if map.slots.len() > MAX_ENGINE_SLOTS {
            return Err(Error::TooLarge);
        }
        let size = size_of::<EnginesHeader>() + size_of_val(map.slots);
        let value = payload.reserve(size)?;
        let mut left = map.balanced.len() + map.bonds.len();
        let extensions = if left == 0 { 0 } else { payload.here() };
        let mut header = |payload: &Payload, name| {
            left -= 1;
            let next = if left == 0 { 0 } else { payload.here() };
            ExtensionHeader { next, name, flags: 0, rsvd: [0; 4] }
        };
        for &Balanced { slot, siblings } in map.balanced {
            let num_siblings = count(siblings)?;
            let at = payload.reserve(size_of::<LoadBalance>() + size_of_val(siblings))?;
            let base = header(payload, LoadBalance::NAME);
            self.put(at, &LoadBalance { base, engine_index: slot, num_siblings, flags: 0, mbz: 0 })?;
            self.put(at + size_of::<LoadBalance>(), siblings)?;
        }
        for &Bonded { slot, master, engines } in map.bonds {
            let num_bonds = count(engines)?;
            let at = payload.reserve(size_of::<Bond>() + size_of_val(engines))?;
            let base = header(payload, Bond::NAME);
            let bond = Bond { base, master, virtual_index: slot, num_bonds, flags: 0, mbz: [0; 4] };
            self.put(at, &bond)?;
            self.put(at + size_of::<Bond>(), engines)?;
        }
        self.put(value, &EnginesHeader { extensions })?;
        self.put(value + size_of::<EnginesHeader>(), map.slots)?;
        let size = u32::try_from(size).map_err(|_| Error::TooLarge)?;
        Ok(ContextParam { ctx_id: 0, size, param: ContextParam::ENGINES, value: value as u64 })
    }

    /// Replaces the map of engines of a context that does not run; a map without slots brings the default one back.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Context, EngineClassInstance, Errno, Error};
    ///
    /// gpu.set_engines(&Context::DEFAULT, &[EngineClassInstance::new(1, 0)])?;
    /// // There is no copy engine of that number.
    /// let missing = gpu.set_engines(&Context::DEFAULT, &[EngineClassInstance::new(1, 7)]);
    /// assert_eq!(missing, Err(Error::Refused(Errno::NoEnt)));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOENT` for an engine that the part lacks; `EINVAL` for siblings of different classes or named twice, for a
    /// bond that is not of its slot; `EEXIST` for a balanced slot that is not empty; `EBUSY`; `ENOMEM`;
    /// [`Error::TooLarge`] for more than 64 slots, or more lists than fit into the message area.
    pub fn set_engines<'a>(&mut self, context: &Context, map: impl Into<EngineMap<'a>>) -> Result<(), Error> {
        let map = map.into();
        let mut param = self.write_engines(&mut Payload::at(PAYLOAD), &map)?;
        param.ctx_id = context.handle;
        if map == EngineMap::default() {
            param.size = 0;
        }
        self.ask(Operation::ContextSetParam, &param).map(drop)
    }

    /// Reads the map of engines of a context and returns how many slots it has; `None` for the default map. What is
    /// balanced has [`EngineClassInstance::VIRTUAL`] as its instance.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Context, EngineClassInstance, EngineMap, MAX_ENGINE_SLOTS};
    ///
    /// let mut slots = [EngineClassInstance::NONE; MAX_ENGINE_SLOTS];
    /// assert_eq!(gpu.engines_of(&Context::DEFAULT, &mut slots)?, None);
    /// gpu.set_engines(&Context::DEFAULT, &[EngineClassInstance::new(1, 0)])?;
    /// assert_eq!(gpu.engines_of(&Context::DEFAULT, &mut slots)?, Some(1));
    /// assert_eq!(slots[0], EngineClassInstance::new(1, 0));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOENT` if the driver no longer knows the context.
    pub fn engines_of(
        &mut self,
        context: &Context,
        slots: &mut [EngineClassInstance; MAX_ENGINE_SLOTS],
    ) -> Result<Option<usize>, Error> {
        const ROOM: usize = size_of::<EnginesHeader>() + size_of::<[EngineClassInstance; MAX_ENGINE_SLOTS]>();
        let at = Payload::at(PAYLOAD).reserve(ROOM)?;
        let size = u32::try_from(ROOM).map_err(|_| Error::TooLarge)?;
        let param =
            ContextParam { ctx_id: context.handle, size, param: ContextParam::ENGINES, value: at as u64 };
        let reply = self.call(Operation::ContextGetParam, &param, None)?;
        reply.status?;
        let size = usize::try_from(reply.words[1]).map_err(|_| Error::Protocol)?;
        if size == 0 {
            return Ok(None);
        }
        let mut bytes = [0; ROOM];
        let read = bytes.get_mut(..size).ok_or(Error::Protocol)?;
        self.transport.read_area(at, read);
        let names = read.get(size_of::<EnginesHeader>()..).ok_or(Error::Protocol)?;
        let names = <[EngineClassInstance]>::ref_from_bytes(names).map_err(|_| Error::Protocol)?;
        for (slot, name) in slots.iter_mut().zip(names) {
            *slot = *name;
        }
        Ok(Some(names.len()))
    }
}

const _: () = assert!(align_of::<EngineClassInstance>() <= 4);

/// That the structures are as long as their parts, so that what follows them is where the driver looks for it.
const _: () = assert!(size_of::<LoadBalance>().is_multiple_of(8) && size_of::<Bond>().is_multiple_of(8));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_engines_is_a_map_without_balanced_slots() {
        let list = [EngineClassInstance::new(1, 0)];
        assert_eq!(EngineMap::from(&list[..]), EngineMap { slots: &list, ..EngineMap::default() });
    }
}
