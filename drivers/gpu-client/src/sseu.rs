// SPDX-License-Identifier: BSD-2-Clause
//! How much of the part a context's engine powers: slices, subslices and execution units.

use gpu_protocol::{ContextParam, ContextSseu, EngineClassInstance, Operation};
use zerocopy::FromBytes;

use crate::connection::PAYLOAD;
use crate::payload::Payload;
use crate::{Context, Error, Gpu, Transport};

/// Which engine of a context.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("icl");
/// use gpu_client::{ContextBuilder, Context, EngineClassInstance, Place};
///
/// let render = EngineClassInstance::new(0, 0);
/// let mapped = gpu.create_context_with(&ContextBuilder::new().engines(&[EngineClassInstance::NONE, render]))?;
/// let whole = gpu.sseu(&Context::DEFAULT, Place::Engine(render))?;
/// assert_eq!(gpu.sseu(&mapped, Place::Slot(1))?, whole);
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By its name: for contexts with the default map.
    Engine(EngineClassInstance),
    /// By its slot: for contexts with a map of their own.
    Slot(u16),
}

/// What an engine powers while a context runs on it.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("icl");
/// use gpu_client::{Context, EngineClassInstance, Place};
///
/// let render = Place::Engine(EngineClassInstance::new(0, 0));
/// let whole = gpu.sseu(&Context::DEFAULT, render)?;
/// assert_eq!((whole.slices, whole.subslices, whole.min_eus, whole.max_eus), (1, 0xff, 8, 8));
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sseu {
    /// Bit s: slice s.
    pub slices: u64,
    /// Bit n: subslice n of every slice.
    pub subslices: u64,
    /// Fewest execution units of a subslice.
    pub min_eus: u16,
    /// Most execution units of a subslice.
    pub max_eus: u16,
}

const BYTES: u32 = 32;
const _: () = assert!(size_of::<ContextSseu>() == BYTES as usize);

impl Sseu {
    pub(crate) const fn on(self, place: Place) -> ContextSseu {
        let (engine, flags) = match place {
            Place::Engine(engine) => (engine, 0),
            Place::Slot(slot) => (EngineClassInstance::new(0, slot), ContextSseu::ENGINE_INDEX),
        };
        ContextSseu {
            engine,
            flags,
            slice_mask: self.slices,
            subslice_mask: self.subslices,
            min_eus_per_subslice: self.min_eus,
            max_eus_per_subslice: self.max_eus,
            rsvd: 0,
        }
    }
}

impl<T: Transport> Gpu<T> {
    /// Writes the structure; the parameter that names it, of context 0.
    pub(crate) fn write_sseu(
        &mut self,
        payload: &mut Payload,
        place: Place,
        sseu: Sseu,
    ) -> Result<ContextParam, Error> {
        let at = payload.reserve(size_of::<ContextSseu>())?;
        self.put(at, &sseu.on(place))?;
        Ok(ContextParam { ctx_id: 0, size: BYTES, param: ContextParam::SSEU, value: at as u64 })
    }

    /// What an engine powers while the context runs on it.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Context, EngineClassInstance, Place};
    ///
    /// let whole = gpu.sseu(&Context::DEFAULT, Place::Engine(EngineClassInstance::new(0, 0)))?;
    /// assert_eq!(whole.subslices.count_ones(), 6);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EINVAL` for an engine that the context does not have, or that is not named as its map wants it.
    pub fn sseu(&mut self, context: &Context, place: Place) -> Result<Sseu, Error> {
        let nothing = Sseu { slices: 0, subslices: 0, min_eus: 0, max_eus: 0 };
        let mut param = self.write_sseu(&mut Payload::at(PAYLOAD), place, nothing)?;
        param.ctx_id = context.handle;
        self.ask(Operation::ContextGetParam, &param)?;
        let mut bytes = [0; BYTES as usize];
        self.transport.read_area(PAYLOAD, &mut bytes);
        let found = ContextSseu::read_from_bytes(&bytes).map_err(|_| Error::Protocol)?;
        Ok(Sseu {
            slices: found.slice_mask,
            subslices: found.subslice_mask,
            min_eus: found.min_eus_per_subslice,
            max_eus: found.max_eus_per_subslice,
        })
    }

    /// Chooses what an engine powers while the context runs on it; it need not be idle.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("icl");
    /// use gpu_client::{Context, EngineClassInstance, Place};
    ///
    /// let render = Place::Engine(EngineClassInstance::new(0, 0));
    /// let mut half = gpu.sseu(&Context::DEFAULT, render)?;
    /// half.subslices = 0x0f;
    /// gpu.set_sseu(&Context::DEFAULT, render, half)?;
    /// assert_eq!(gpu.sseu(&Context::DEFAULT, render)?, half);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENODEV` on parts where that cannot be chosen (all but Gen11) and for engines that have nothing to power;
    /// `EINVAL` for what the part cannot do.
    pub fn set_sseu(&mut self, context: &Context, place: Place, sseu: Sseu) -> Result<(), Error> {
        let mut param = self.write_sseu(&mut Payload::at(PAYLOAD), place, sseu)?;
        param.ctx_id = context.handle;
        self.ask(Operation::ContextSetParam, &param).map(drop)
    }
}
