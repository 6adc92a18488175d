// SPDX-License-Identifier: BSD-2-Clause
//! What contexts cost beside instructions: calls, and pages of the driver's memory that are charged to their client.

use gpu_client::{
    Access, CLONE_ALL, Context, ContextBuilder, EngineClassInstance, Error, Gpu, Object, UsedObject, Vm,
};

use crate::{Link, Rig, Settings, Shared, batch};

const CODE: u64 = 0x10_0000;
/// Slots of a context without an engine map, and of the one that is cloned.
const RENDER: u32 = 1;
const COPY: u32 = 3;
/// The map of the context that is cloned: every part has these engines.
const ENGINES: [EngineClassInstance; 4] = [
    EngineClassInstance::new(2, 0),
    EngineClassInstance::new(0, 0),
    EngineClassInstance::NONE,
    EngineClassInstance::new(1, 0),
];

/// A kind of contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With all the defaults, in an address space that there is.
    Plain,
    /// With all the defaults, and so with an address space of its own.
    OwnSpace,
    /// A clone of everything that another context has, a map of engines and a single timeline among it.
    Clone,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::OwnSpace, Self::Clone];
}

/// What the life of one context took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Pages when it has been created.
    pub created: u32,
    /// Pages after its first batch on the copy engine.
    pub copied: u32,
    /// Pages after its first batch on the render engine, too.
    pub rendered: u32,
    /// Pages when it has been destroyed.
    pub destroyed: u32,
    /// Calls of the driver that created it.
    pub creating_calls: usize,
    /// Calls of the driver that destroyed it.
    pub destroying_calls: usize,
}

/// A client that makes contexts.
#[derive(Debug)]
pub struct Maker {
    shared: Shared,
    gpu: Gpu<Link>,
    vm: Vm,
    source: Context,
    program: Object,
    others: Vec<Context>,
}

impl Maker {
    /// A client on a part, with a context that clones are made of. All engines of that have run a batch.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn new(platform: &'static str) -> Result<Self, Error> {
        let shared = Shared::new(Rig::unconnected(Settings::new(platform)));
        let mut gpu = Gpu::connect(shared.link(0))?;
        let vm = gpu.create_vm()?;
        let source = gpu.create_context_with(
            &ContextBuilder::new().single_timeline().in_vm(&vm).engines(&ENGINES).priority(-1),
        )?;
        let code = shared.rig().region(0, 1);
        shared.rig().poke(code.physical, &[batch::END, 0]);
        let program = gpu.create_userptr(code.into())?;
        let mut maker = Self { shared, gpu, vm, source, program, others: Vec::new() };
        // What the space needs for the batch's page is there before anything is counted.
        for slot in [RENDER, COPY] {
            submit(&mut maker.gpu, &maker.shared, &maker.source, &maker.program, slot)?;
        }
        Ok(maker)
    }

    fn create(&mut self, kind: Kind) -> Result<Context, Error> {
        let builder = match kind {
            Kind::Plain => ContextBuilder::new().in_vm(&self.vm),
            Kind::OwnSpace => ContextBuilder::new(),
            Kind::Clone => ContextBuilder::new().clone_of(&self.source).flags(CLONE_ALL),
        };
        self.gpu.create_context_with(&builder)
    }

    /// Makes a context that stays, plain and clone by turns, and runs a batch on it.
    ///
    /// # Errors
    /// What the driver answers: `ENOMEM` when the client has all that it may.
    pub fn one_more(&mut self) -> Result<(), Error> {
        let kind = if self.others.len().is_multiple_of(2) { Kind::Plain } else { Kind::Clone };
        let other = self.create(kind)?;
        submit(&mut self.gpu, &self.shared, &other, &self.program, COPY)?;
        self.others.push(other);
        Ok(())
    }

    /// Contexts that stay, beside the source.
    #[must_use]
    pub fn others(&self) -> usize {
        self.others.len()
    }

    /// Lets one of the contexts go that stayed.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn one_less(&mut self) -> Result<(), Error> {
        self.others.pop().map_or(Ok(()), |other| self.gpu.destroy_context(other))
    }

    fn pages(&self) -> u32 {
        self.shared.rig().driver.census().clients[0].driver_pages
    }

    /// Counts over the life of one context.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn life(&mut self, kind: Kind) -> Result<Cost, Error> {
        self.shared.rig().settle();
        let before = self.pages();
        let calls = self.gpu.transport().calls;
        let context = self.create(kind)?;
        let creating_calls = self.gpu.transport().calls - calls;
        let created = self.pages() - before;
        submit(&mut self.gpu, &self.shared, &context, &self.program, COPY)?;
        let copied = self.pages() - before;
        submit(&mut self.gpu, &self.shared, &context, &self.program, RENDER)?;
        let rendered = self.pages() - before;
        let calls = self.gpu.transport().calls;
        self.gpu.destroy_context(context)?;
        let destroying_calls = self.gpu.transport().calls - calls;
        let mut rig = self.shared.rig();
        rig.settle();
        rig.check();
        drop(rig);
        let destroyed = self.pages() - before;
        Ok(Cost { created, copied, rendered, destroyed, creating_calls, destroying_calls })
    }
}

fn submit(
    gpu: &mut Gpu<Link>,
    shared: &Shared,
    context: &Context,
    program: &Object,
    slot: u32,
) -> Result<(), Error> {
    let used = UsedObject { object: program, address: CODE, access: Access::Read };
    gpu.submit(context, slot, used, 0..8, &[])?;
    shared.rig().settle();
    Ok(())
}
