// SPDX-License-Identifier: BSD-2-Clause
//! Contexts that differ from the defaults: made by one call out of a list of extensions, which apply in the order in
//! which they are named.

use gpu_protocol::{
    CloneFlags, ContextCreate, ContextParam, CreateClone, CreateSetParam, EngineClassInstance, EnginesHeader,
    Extension, ExtensionHeader, MAX_ENGINE_SLOTS, Operation, ResetStats,
};

use crate::connection::{PAYLOAD, to_handle};
use crate::{Context, Error, Gpu, Transport, Vm};

/// Extensions that a builder holds.
const MAX_STEPS: usize = 12;
/// Bytes from one extension to the next in the message area.
const STEP_BYTES: usize = 64;
const _: () = assert!(size_of::<CreateSetParam>() <= STEP_BYTES && size_of::<CreateClone>() <= STEP_BYTES);
/// Where maps of engines are written.
const MAPS: usize = PAYLOAD + MAX_STEPS * STEP_BYTES;

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Set { name: u64, value: u64 },
    Engines(&'a [EngineClassInstance]),
    Clone { source: u32, flags: CloneFlags },
}

/// What a context is to be. Later steps override earlier ones.
#[derive(Clone, Copy, Debug)]
pub struct ContextBuilder<'a> {
    flags: u32,
    steps: [Option<Step<'a>>; MAX_STEPS],
    /// Steps that had no room.
    overflow: bool,
}

impl Default for ContextBuilder<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> ContextBuilder<'a> {
    /// The defaults: an address space of its own, one slot for each kind of engine.
    #[must_use]
    pub const fn new() -> Self {
        Self { flags: 0, steps: [None; MAX_STEPS], overflow: false }
    }

    fn step(mut self, step: Step<'a>) -> Self {
        match self.steps.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(step),
            None => self.overflow = true,
        }
        self
    }

    /// All engines share one timeline.
    #[must_use]
    pub const fn single_timeline(mut self) -> Self {
        self.flags |= ContextCreate::SINGLE_TIMELINE;
        self
    }

    /// Takes parts of another context. It may be busy, or banned; it never changes.
    #[must_use]
    pub fn clone_of(self, source: &Context, flags: CloneFlags) -> Self {
        self.step(Step::Clone { source: source.handle, flags })
    }

    /// In an address space.
    #[must_use]
    pub fn in_vm(self, vm: &Vm) -> Self {
        self.param(ContextParam::VM, u64::from(vm.handle))
    }

    /// With a priority, −1023..=1023; above 0 only for a privileged client.
    #[must_use]
    pub fn priority(self, priority: i16) -> Self {
        self.param(ContextParam::PRIORITY, i64::from(priority).cast_unsigned())
    }

    /// With a map of engines: what the slots of its submissions are.
    #[must_use]
    pub fn engines(self, engines: &'a [EngineClassInstance]) -> Self {
        self.step(Step::Engines(engines))
    }

    /// With a parameter that is one word ([`ContextParam`]'s constants).
    #[must_use]
    pub fn param(self, name: u64, value: u64) -> Self {
        self.step(Step::Set { name, value })
    }
}

/// What resets have done to a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetCounts {
    /// Resets of the whole GPU; 0 for a client that is not privileged.
    pub resets: u64,
    /// Hangs that the context was to blame for.
    pub guilty: u64,
    /// Batches that were lost to the hangs of others, and executed again.
    pub innocent: u64,
}

const fn header(next: u64, name: Extension) -> ExtensionHeader {
    ExtensionHeader { next, name: name as u32, flags: 0, rsvd: [0; 4] }
}

impl<T: Transport> Gpu<T> {
    /// Creates a context. If that fails, nothing is left of it.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more steps or engines than fit; `ENOENT` for a source or an engine that does not exist;
    /// `EINVAL` for parameters that make no sense together; `EPERM` for one that the client may not choose; `ENOMEM`
    /// when its quota is exhausted; `EIO` when the device is wedged or the client is banned.
    pub fn create_context_with(&mut self, builder: &ContextBuilder<'_>) -> Result<Context, Error> {
        if builder.overflow {
            return Err(Error::TooLarge);
        }
        let steps = builder.steps.iter().flatten().count();
        let mut map = MAPS;
        for (index, step) in builder.steps.iter().flatten().enumerate() {
            let at = PAYLOAD + index * STEP_BYTES;
            let next = if index + 1 == steps { 0 } else { (at + STEP_BYTES) as u64 };
            let set = |name, size, value| CreateSetParam {
                base: header(next, Extension::SetParam),
                param: ContextParam { ctx_id: 0, size, param: name, value },
            };
            match *step {
                Step::Set { name, value } => self.write(at, &set(name, 0, value))?,
                Step::Engines(engines) => {
                    let size = self.write_engines(map, engines)?;
                    self.write(at, &set(ContextParam::ENGINES, size, map as u64))?;
                    map += (size as usize).next_multiple_of(8);
                }
                Step::Clone { source, flags } => {
                    let base = header(next, Extension::Clone);
                    let clone = CreateClone { base, clone_id: source, flags: flags.bits(), rsvd: 0 };
                    self.write(at, &clone)?;
                }
            }
        }
        let chain = if steps == 0 { 0 } else { ContextCreate::USE_EXTENSIONS };
        let extensions = if steps == 0 { 0 } else { PAYLOAD as u64 };
        let create = ContextCreate { ctx_id: 0, flags: builder.flags | chain, extensions };
        let handle = self.ask(Operation::ContextCreate, &create)?;
        Ok(Context { handle: to_handle(handle)? })
    }

    /// Writes a map of engines and returns its size in bytes.
    fn write_engines(&mut self, at: usize, engines: &[EngineClassInstance]) -> Result<u32, Error> {
        if engines.len() > MAX_ENGINE_SLOTS {
            return Err(Error::TooLarge);
        }
        self.write(at, &EnginesHeader { extensions: 0 })?;
        self.write(at + size_of::<EnginesHeader>(), engines)?;
        u32::try_from(size_of::<EnginesHeader>() + size_of_val(engines)).map_err(|_| Error::TooLarge)
    }

    /// Reads a parameter that is one word ([`ContextParam`]'s constants).
    ///
    /// # Errors
    /// `EINVAL` for one that there is not.
    pub fn context_param(&mut self, context: &Context, name: u64) -> Result<u64, Error> {
        let param = ContextParam { ctx_id: context.handle, size: 0, param: name, value: 0 };
        self.ask(Operation::ContextGetParam, &param)
    }

    /// Sets a parameter that is one word ([`ContextParam`]'s constants).
    ///
    /// # Errors
    /// As the parameter has them: `EINVAL`, `EPERM`, `ENODEV`; `EBUSY` for the address space of a context that runs.
    pub fn set_context_param(&mut self, context: &Context, name: u64, value: u64) -> Result<(), Error> {
        let param = ContextParam { ctx_id: context.handle, size: 0, param: name, value };
        self.ask(Operation::ContextSetParam, &param).map(drop)
    }

    /// Makes a handle of a context's address space.
    ///
    /// # Errors
    /// `ENOMEM` when the client has no handle left.
    pub fn vm_of(&mut self, context: &Context) -> Result<Vm, Error> {
        Ok(Vm { handle: to_handle(self.context_param(context, ContextParam::VM)?)? })
    }

    /// Replaces the map of engines of a context that does not run; an empty list brings the default map back.
    ///
    /// # Errors
    /// `ENOENT` for an engine that the part lacks, `EBUSY`, `ENOMEM`.
    pub fn set_engines(&mut self, context: &Context, engines: &[EngineClassInstance]) -> Result<(), Error> {
        let size = if engines.is_empty() { 0 } else { self.write_engines(PAYLOAD, engines)? };
        let param = ContextParam {
            ctx_id: context.handle,
            size,
            param: ContextParam::ENGINES,
            value: PAYLOAD as u64,
        };
        self.ask(Operation::ContextSetParam, &param).map(drop)
    }

    /// What resets have done to a context.
    ///
    /// # Errors
    /// `ENOENT` if the driver no longer knows it.
    pub fn reset_counts(&mut self, context: &Context) -> Result<ResetCounts, Error> {
        let stats = ResetStats {
            ctx_id: context.handle,
            flags: 0,
            reset_count: 0,
            batch_active: 0,
            batch_pending: 0,
            pad: 0,
        };
        let reply = self.call(Operation::ContextResetStats, &stats, None)?;
        reply.status?;
        let [resets, guilty, innocent, _] = reply.words;
        Ok(ResetCounts { resets, guilty, innocent })
    }
}
