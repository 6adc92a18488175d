// SPDX-License-Identifier: BSD-2-Clause
//! Contexts that differ from the defaults: made by one call out of a list of extensions, which apply in the order in
//! which they are named.

use gpu_protocol::{
    CloneFlags, ContextCreate, ContextParam, CreateClone, CreateSetParam, Extension, ExtensionHeader,
    Operation, ResetStats,
};

use crate::connection::{PAYLOAD, to_handle};
use crate::payload::Payload;
use crate::{Context, EngineMap, Error, Gpu, Place, Sseu, Transport, Vm};

/// Extensions that a builder holds.
const MAX_STEPS: usize = 12;
/// Bytes from one extension to the next in the message area.
const STEP_BYTES: usize = 64;
const _: () = assert!(size_of::<CreateSetParam>() <= STEP_BYTES && size_of::<CreateClone>() <= STEP_BYTES);

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Set { name: u64, value: u64 },
    Engines(EngineMap<'a>),
    Sseu(Place, Sseu),
    Clone { source: u32, flags: CloneFlags },
}

/// What a context is to be. Steps apply in the order in which they are named; later ones override earlier ones.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// use gpu_client::{CLONE_ALL, ContextBuilder, ContextParam};
///
/// let vm = gpu.create_vm()?;
/// let patient = gpu.create_context_with(&ContextBuilder::new().in_vm(&vm).priority(-7))?;
/// // As that one, but never to go on after a hang.
/// let builder = ContextBuilder::new().clone_of(&patient).flags(CLONE_ALL).param(ContextParam::RECOVERABLE, 0);
/// let clone = gpu.create_context_with(&builder)?;
/// assert_eq!(gpu.context_param(&clone, ContextParam::PRIORITY)?.cast_signed(), -7);
/// assert_eq!(gpu.context_param(&patient, ContextParam::RECOVERABLE)?, 1);
/// # Ok::<(), gpu_client::Error>(())
/// ```
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

/// A source of which it is not yet said what is taken: [`CloneOf::flags`] says it.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// use gpu_client::{CloneFlags, Context, ContextBuilder};
///
/// let source = ContextBuilder::new().clone_of(&Context::DEFAULT);
/// let neighbour = gpu.create_context_with(&source.flags(CloneFlags::VM | CloneFlags::ENGINES))?;
/// # Ok::<(), gpu_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is cloned until its flags are given"]
pub struct CloneOf<'a> {
    builder: ContextBuilder<'a>,
    source: u32,
}

impl<'a> CloneOf<'a> {
    /// Which parts are taken: [`CLONE_ALL`](crate::CLONE_ALL) for everything.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{CloneFlags, Context, ContextBuilder, ContextParam};
    ///
    /// gpu.set_context_param(&Context::DEFAULT, ContextParam::PRIORITY, (-5_i64).cast_unsigned())?;
    /// gpu.set_context_param(&Context::DEFAULT, ContextParam::RECOVERABLE, 0)?;
    /// let builder = ContextBuilder::new().clone_of(&Context::DEFAULT).flags(CloneFlags::FLAGS);
    /// let clone = gpu.create_context_with(&builder)?;
    /// assert_eq!(gpu.context_param(&clone, ContextParam::RECOVERABLE)?, 0, "a flag");
    /// assert_eq!(gpu.context_param(&clone, ContextParam::PRIORITY)?, 0, "no flag");
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    #[must_use]
    pub fn flags(self, flags: CloneFlags) -> ContextBuilder<'a> {
        self.builder.step(Step::Clone { source: self.source, flags })
    }
}

impl<'a> ContextBuilder<'a> {
    /// The defaults: an address space of its own, one slot for each kind of engine.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{ContextBuilder, ContextParam};
    ///
    /// let context = gpu.create_context_with(&ContextBuilder::new())?;
    /// assert_eq!(gpu.context_param(&context, ContextParam::PRIORITY)?, 0);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
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

    /// All engines share one timeline: batches end in the order in which they are submitted, whatever they run on.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{CloneFlags, ContextBuilder};
    ///
    /// let one = gpu.create_context_with(&ContextBuilder::new().single_timeline())?;
    /// // Another context on the same timeline.
    /// let two = gpu.create_context_with(&ContextBuilder::new().clone_of(&one).flags(CloneFlags::TIMELINE))?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    #[must_use]
    pub const fn single_timeline(mut self) -> Self {
        self.flags |= ContextCreate::SINGLE_TIMELINE;
        self
    }

    /// Takes parts of another context, [`Context::DEFAULT`] too. It may be busy, or banned; it never changes.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{CLONE_ALL, Context, ContextBuilder};
    ///
    /// let builder = ContextBuilder::new().clone_of(&Context::DEFAULT).flags(CLONE_ALL);
    /// let clone = gpu.create_context_with(&builder)?;
    /// gpu.destroy_context(clone)?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    pub const fn clone_of(self, source: &Context) -> CloneOf<'a> {
        CloneOf { builder: self, source: source.handle }
    }

    /// In an address space.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::ContextBuilder;
    ///
    /// let vm = gpu.create_vm()?;
    /// let context = gpu.create_context_with(&ContextBuilder::new().in_vm(&vm))?;
    /// // The context keeps it.
    /// gpu.destroy_vm(vm)?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    #[must_use]
    pub fn in_vm(self, vm: &Vm) -> Self {
        self.param(ContextParam::VM, u64::from(vm.handle))
    }

    /// With a priority, −1023..=1023; above 0 only for a privileged client.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{ContextBuilder, Errno, Error};
    ///
    /// gpu.create_context_with(&ContextBuilder::new().priority(-1023))?;
    /// let pushy = gpu.create_context_with(&ContextBuilder::new().priority(1));
    /// assert_eq!(pushy, Err(Error::Refused(Errno::Perm)));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    #[must_use]
    pub fn priority(self, priority: i16) -> Self {
        self.param(ContextParam::PRIORITY, i64::from(priority).cast_unsigned())
    }

    /// With a map of engines, or a plain list of them: what the slots of its submissions are.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{ContextBuilder, EngineClassInstance};
    ///
    /// let engines = [EngineClassInstance::new(1, 0), EngineClassInstance::NONE];
    /// gpu.create_context_with(&ContextBuilder::new().engines(&engines))?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    #[must_use]
    pub fn engines(self, map: impl Into<EngineMap<'a>>) -> Self {
        self.step(Step::Engines(map.into()))
    }

    /// With one engine that powers less than the whole part. A map of engines comes before it, and names it by its slot.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("icl");
    /// use gpu_client::{Context, ContextBuilder, EngineClassInstance, Place, Sseu};
    ///
    /// let render = Place::Engine(EngineClassInstance::new(0, 0));
    /// let half = Sseu { slices: 1, subslices: 0x0f, min_eus: 8, max_eus: 8 };
    /// let context = gpu.create_context_with(&ContextBuilder::new().sseu(render, half))?;
    /// assert_eq!(gpu.sseu(&context, render)?, half);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    #[must_use]
    pub fn sseu(self, place: Place, sseu: Sseu) -> Self {
        self.step(Step::Sseu(place, sseu))
    }

    /// With a parameter that is one word ([`ContextParam`]'s constants).
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{ContextBuilder, ContextParam};
    ///
    /// // A batch that runs for more than 50 ms is ended.
    /// let context = gpu.create_context_with(&ContextBuilder::new().param(ContextParam::WATCHDOG, 50_000))?;
    /// assert_eq!(gpu.context_param(&context, ContextParam::WATCHDOG)?, 50_000);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    #[must_use]
    pub fn param(self, name: u64, value: u64) -> Self {
        self.step(Step::Set { name, value })
    }
}

/// What resets have done to a context.
///
/// ```
/// # let (shared, mut gpu) = conformance::client("tgl");
/// use gpu_client::{Context, ResetCounts};
///
/// let unharmed = ResetCounts { resets: 0, guilty: 0, innocent: 0 };
/// assert_eq!(gpu.reset_counts(&Context::DEFAULT)?, unharmed);
/// # Ok::<(), gpu_client::Error>(())
/// ```
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
    /// Creates a context, with one call. If that fails, nothing is left of it.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{ContextBuilder, ContextParam, Errno, Error};
    ///
    /// let context = gpu.create_context_with(&ContextBuilder::new().single_timeline())?;
    /// gpu.destroy_context(context)?;
    /// let unknown = ContextBuilder::new().param(99, 0);
    /// assert_eq!(gpu.create_context_with(&unknown), Err(Error::Refused(Errno::Inval)));
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more steps or engines than fit; `ENOENT` for a source or an engine that does not exist;
    /// `EINVAL` for parameters that make no sense together; `EEXIST` for a balanced slot that is not empty; `ENODEV` for
    /// an SSEU where none can be chosen; `EPERM` for a parameter that the client may not choose; `ENOMEM` when its quota
    /// is exhausted; `EIO` when the device is wedged or the client is banned.
    pub fn create_context_with(&mut self, builder: &ContextBuilder<'_>) -> Result<Context, Error> {
        if builder.overflow {
            return Err(Error::TooLarge);
        }
        let steps = builder.steps.iter().flatten().count();
        let mut payload = Payload::at(PAYLOAD + steps * STEP_BYTES);
        for (index, step) in builder.steps.iter().flatten().enumerate() {
            let at = PAYLOAD + index * STEP_BYTES;
            let next = if index + 1 == steps { 0 } else { (at + STEP_BYTES) as u64 };
            let param = match *step {
                Step::Set { name, value } => ContextParam { ctx_id: 0, size: 0, param: name, value },
                Step::Engines(map) => self.write_engines(&mut payload, &map)?,
                Step::Sseu(place, sseu) => self.write_sseu(&mut payload, place, sseu)?,
                Step::Clone { source, flags } => {
                    let base = header(next, Extension::Clone);
                    self.put(at, &CreateClone { base, clone_id: source, flags: flags.bits(), rsvd: 0 })?;
                    continue;
                }
            };
            self.put(at, &CreateSetParam { base: header(next, Extension::SetParam), param })?;
        }
        let chain = if steps == 0 { 0 } else { ContextCreate::USE_EXTENSIONS };
        let extensions = if steps == 0 { 0 } else { PAYLOAD as u64 };
        let create = ContextCreate { ctx_id: 0, flags: builder.flags | chain, extensions };
        let handle = self.ask(Operation::ContextCreate, &create)?;
        Ok(Context { handle: to_handle(handle)? })
    }

    /// Reads a parameter that is one word ([`ContextParam`]'s constants).
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Context, ContextParam};
    ///
    /// assert_eq!(gpu.context_param(&Context::DEFAULT, ContextParam::GTT_SIZE)?, 1 << 47);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EINVAL` for one that there is not.
    pub fn context_param(&mut self, context: &Context, name: u64) -> Result<u64, Error> {
        let param = ContextParam { ctx_id: context.handle, size: 0, param: name, value: 0 };
        self.ask(Operation::ContextGetParam, &param)
    }

    /// Sets a parameter that is one word ([`ContextParam`]'s constants).
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Context, ContextParam};
    ///
    /// gpu.set_context_param(&Context::DEFAULT, ContextParam::PERSISTENCE, 0)?;
    /// assert_eq!(gpu.context_param(&Context::DEFAULT, ContextParam::PERSISTENCE)?, 0);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// As the parameter has them: `EINVAL`, `EPERM`, `ENODEV`; `EBUSY` for the address space of a context that runs.
    pub fn set_context_param(&mut self, context: &Context, name: u64, value: u64) -> Result<(), Error> {
        let param = ContextParam { ctx_id: context.handle, size: 0, param: name, value };
        self.ask(Operation::ContextSetParam, &param).map(drop)
    }

    /// Makes a handle of a context's address space.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::{Context, ContextBuilder};
    ///
    /// let vm = gpu.vm_of(&Context::DEFAULT)?;
    /// let neighbour = gpu.create_context_with(&ContextBuilder::new().in_vm(&vm))?;
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOMEM` when the client has no handle left.
    pub fn vm_of(&mut self, context: &Context) -> Result<Vm, Error> {
        Ok(Vm { handle: to_handle(self.context_param(context, ContextParam::VM)?)? })
    }

    /// What resets have done to a context.
    ///
    /// ```
    /// # let (shared, mut gpu) = conformance::client("tgl");
    /// use gpu_client::ContextBuilder;
    ///
    /// let context = gpu.create_context_with(&ContextBuilder::new())?;
    /// assert_eq!(gpu.reset_counts(&context)?.guilty, 0);
    /// # Ok::<(), gpu_client::Error>(())
    /// ```
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
