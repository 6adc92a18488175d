// SPDX-License-Identifier: BSD-2-Clause
//! Operations on contexts: creation with its chain of extensions, destruction, and the logical state on
//! an engine, which is made when a slot is first used.

use gpu_protocol::{
    ContextCreate, ContextDestroy, ContextParam, CreateSetParam, Errno, Extension, ExtensionHeader,
    MAX_EXTENSIONS, Reply,
};

use super::area;
use super::context::{Context, EngineContext, LEGACY_SLOTS, PRIORITIES, engine_of_slot};
use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::space::AddressSpace;
use crate::Error;
use crate::gpu::Fence;
use crate::handle::Id;
use crate::platform::Hardware;

/// What the chain of extensions has asked for so far. Holds one reference on `space`.
#[derive(Debug, Default)]
struct Wanted {
    space: Option<Id<AddressSpace>>,
    priority: i16,
}

impl<H: Hardware> Driver<H> {
    pub(crate) fn context_create<D: Domain>(
        &mut self,
        domain: &D,
        client: ClientId,
        create: &ContextCreate,
    ) -> Result<Reply, Errno> {
        if create.flags & !(ContextCreate::USE_EXTENSIONS | ContextCreate::SINGLE_TIMELINE) != 0 {
            return Err(Errno::Inval);
        }
        if self.gpu.is_wedged() {
            return Err(Errno::Io);
        }
        if !self.clients[client].contexts.has_room() {
            return Err(Errno::NoMem);
        }
        let mut wanted = Wanted::default();
        let mut result = Ok(());
        if create.flags & ContextCreate::USE_EXTENSIONS != 0 {
            result = self.walk_extensions(domain, client, create.extensions, &mut wanted);
        }
        if result.is_ok() && wanted.space.is_none() {
            result = self.space_new(client).map(|space| wanted.space = Some(space));
        }
        let space = match (result, wanted.space) {
            (Ok(()), Some(space)) => space,
            (result, space) => {
                if let Some(space) = space {
                    self.space_put(space);
                }
                return Err(result.err().unwrap_or(Errno::NoMem));
            }
        };
        let context = Context {
            client,
            space,
            priority: wanted.priority,
            single_timeline: create.flags & ContextCreate::SINGLE_TIMELINE != 0,
            engines: [None; LEGACY_SLOTS],
        };
        let handle = match self.contexts.insert(context) {
            Ok(id) => self.clients[client].contexts.insert(id).or_else(|| {
                self.contexts.remove(id);
                None
            }),
            Err(_) => None,
        };
        match handle {
            Some(handle) => Ok(Reply::ok(&[u64::from(handle)])),
            None => {
                self.space_put(space);
                Err(Errno::NoMem)
            }
        }
    }

    /// Applies a chain of extensions in its order; the first error ends it.
    fn walk_extensions<D: Domain>(
        &mut self,
        domain: &D,
        client: ClientId,
        first: u64,
        wanted: &mut Wanted,
    ) -> Result<(), Errno> {
        let mut offset = first;
        // A chain that is longer, or that loops, is cut off.
        for _ in 0..MAX_EXTENSIONS {
            if offset == 0 {
                return Ok(());
            }
            let header: ExtensionHeader = area::read_at(domain, client, offset)?;
            if header.flags != 0 || header.rsvd != [0; 4] {
                return Err(Errno::Inval);
            }
            if header.name != Extension::SetParam as u32 {
                return Err(Errno::Inval);
            }
            let extension: CreateSetParam = area::read_at(domain, client, offset)?;
            self.create_setparam(client, &extension.param, wanted)?;
            // The header that was checked, not the copy that came with the rest.
            offset = header.next;
        }
        if offset == 0 { Ok(()) } else { Err(Errno::TooBig) }
    }

    fn create_setparam(
        &mut self,
        client: ClientId,
        param: &ContextParam,
        wanted: &mut Wanted,
    ) -> Result<(), Errno> {
        if param.ctx_id != 0 {
            return Err(Errno::Inval);
        }
        match param.param {
            ContextParam::VM => {
                if param.size != 0 {
                    return Err(Errno::Inval);
                }
                let handle = u32::try_from(param.value).map_err(|_| Errno::NoEnt)?;
                let space = self.clients[client].spaces.get(handle).ok_or(Errno::NoEnt)?;
                self.space_get(space);
                if let Some(earlier) = wanted.space.replace(space) {
                    self.space_put(earlier);
                }
                Ok(())
            }
            ContextParam::PRIORITY => {
                if param.size != 0 {
                    return Err(Errno::Inval);
                }
                // The value is a signed number in the structure's unsigned field.
                let priority = param.value.cast_signed();
                if !PRIORITIES.contains(&priority) {
                    return Err(Errno::Inval);
                }
                if priority > 0 {
                    // Above the default only for a client that the system description lets.
                    return Err(Errno::Perm);
                }
                wanted.priority = i16::try_from(priority).map_err(|_| Errno::Inval)?;
                Ok(())
            }
            _ => Err(Errno::Inval),
        }
    }

    pub(crate) fn context_destroy(
        &mut self,
        client: ClientId,
        destroy: &ContextDestroy,
    ) -> Result<Reply, Errno> {
        if destroy.pad != 0 {
            return Err(Errno::Inval);
        }
        let id = self.clients[client].contexts.remove(destroy.ctx_id).ok_or(Errno::NoEnt)?;
        if let Some(context) = self.contexts.remove(id) {
            for engine in context.engines.into_iter().flatten() {
                // What it still runs is finished first; the hardware half knows when. The handle is ours
                // and was good until now.
                let _ = self.gpu.context_destroy(engine.id);
                self.timeline_put(client, engine.timeline);
            }
            self.space_put(context.space);
        }
        Ok(Reply::ok(&[]))
    }

    /// The logical state of a context on the engine of a slot, made if it is not there yet, and whether it
    /// was made.
    pub(crate) fn engine_context(
        &mut self,
        id: Id<Context>,
        slot: u32,
    ) -> Result<(EngineContext, bool), Errno> {
        let context = self.contexts.get(id).ok_or(Errno::NoEnt)?;
        let (slot, engine) = engine_of_slot(&self.gpu, slot)?;
        if let Some(engine) = context.engines[slot] {
            return Ok((engine, false));
        }
        let (client, space, priority) = (context.client, context.space, context.priority);
        let shared = context.single_timeline.then(|| context.engines.iter().flatten().next()).flatten();
        let shared = shared.map(|engine| engine.timeline);
        let vm = self.spaces.get(space).ok_or(Errno::NoEnt)?.vm;
        let timeline = self.timeline_get(client, shared)?;
        let Some(lower) = self.clients[client].timelines[timeline].id else {
            return Err(Errno::NoMem);
        };
        let account = self.clients[client].account;
        match self.gpu.context_create(account, engine, vm, lower, priority) {
            Ok(id_on_engine) => {
                let made = EngineContext { id: id_on_engine, timeline };
                if let Some(context) = self.contexts.get_mut(id) {
                    context.engines[slot] = Some(made);
                }
                Ok((made, true))
            }
            Err(error) => {
                self.timeline_put(client, timeline);
                Err(error.into())
            }
        }
    }

    /// Takes back a logical state that [`Driver::engine_context`] has just made.
    pub(crate) fn engine_context_undo(&mut self, id: Id<Context>, made: EngineContext) {
        let Some(context) = self.contexts.get_mut(id) else {
            return;
        };
        let client = context.client;
        for engine in &mut context.engines {
            if engine.is_some_and(|engine| engine.id == made.id) {
                *engine = None;
            }
        }
        // Nothing has run on it.
        let _ = self.gpu.context_destroy(made.id);
        self.timeline_put(client, made.timeline);
    }

    /// A place in the client's page of completed points: `shared`, or a new one.
    fn timeline_get(&mut self, client: ClientId, shared: Option<usize>) -> Result<usize, Errno> {
        let index = match shared {
            Some(index) => index,
            None => {
                let index = self.clients[client].free_timeline().ok_or(Errno::NoMem)?;
                let id = self.gpu.timeline_create()?;
                let timeline = &mut self.clients[client].timelines[index];
                timeline.id = Some(id);
                timeline.base = timeline.issued;
                index
            }
        };
        self.clients[client].timelines[index].users += 1;
        Ok(index)
    }

    fn timeline_put(&mut self, client: ClientId, index: usize) {
        self.clients[client].timelines[index].users -= 1;
        self.timeline_bury(client, index);
    }

    /// Frees the place of a timeline that no context uses, once its requests are complete.
    pub(crate) fn timeline_bury(&mut self, client: ClientId, index: usize) {
        let timeline = &mut self.clients[client].timelines[index];
        if timeline.users == 0
            && timeline.published == timeline.issued
            && let Some(id) = timeline.id
            && self.gpu.timeline_destroy(id) != Err(Error::Busy)
        {
            timeline.id = None;
        }
    }

    /// What a fence of a client is below; `None` if it is reached.
    ///
    /// # Errors
    /// `EINVAL` for a point that no request has been given yet.
    pub(crate) fn fence_of(
        &self,
        client: ClientId,
        index: usize,
        point: u64,
    ) -> Result<Option<Fence>, Errno> {
        let timeline = self.clients[client].timelines.get(index).ok_or(Errno::NoEnt)?;
        if point > timeline.issued {
            return Err(Errno::Inval);
        }
        // Points up to the base are an earlier timeline's, whose requests are all complete.
        let seqno = point.saturating_sub(timeline.base);
        Ok(timeline.id.filter(|_| seqno > 0).map(|timeline| Fence { timeline, seqno }))
    }
}
