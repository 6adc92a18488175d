// SPDX-License-Identifier: BSD-2-Clause
//! Creation: a value is built up by the chain of extensions, and becomes a context at the very end. Whatever
//! fails on the way, the value is taken apart again and nothing is left of it.

use gpu_protocol::{ContextCreate, CreateClone, CreateSetParam, Errno, Extension, Reply};

use super::super::area;
use super::super::domain::{ClientId, Domain};
use super::super::driver::Driver;
use super::chain::{Budget, Chain};
use super::map::EngineMap;
use super::{Context, Scheduling, UserFlags, Value};
use crate::handle::Id;
use crate::platform::Hardware;

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
        if self.gpu.is_wedged() || self.clients[client].is_banned() {
            return Err(Errno::Io);
        }
        if !self.clients[client].contexts.has_room() {
            return Err(Errno::NoMem);
        }
        let mut value = Value::new();
        let made = self.build(domain, client, create, &mut value).and_then(|()| {
            let id = self.context_insert(client, value)?;
            self.clients[client].contexts.insert(id).ok_or_else(|| {
                self.contexts.remove(id);
                Errno::NoMem
            })
        });
        match made {
            Ok(handle) => Ok(Reply::ok(&[u64::from(handle)])),
            Err(errno) => {
                self.value_free(client, value);
                Err(errno)
            }
        }
    }

    /// The context that every client has, handle 0.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn context_create_default(&mut self, client: ClientId) -> Result<(), Errno> {
        let mut value = Value::new();
        let made = self.complete(client, &mut value).and_then(|()| self.context_insert(client, value));
        match made {
            Ok(id) => {
                self.clients[client].default_context = Some(id);
                Ok(())
            }
            Err(errno) => {
                self.value_free(client, value);
                Err(errno)
            }
        }
    }

    fn context_insert(&mut self, client: ClientId, value: Value) -> Result<Id<Context>, Errno> {
        let context =
            Context { client, value, jobs: 0, guilty: 0, innocent: 0, hangs: [None; 2], banned: false };
        self.contexts.insert(context).map_err(|_| Errno::NoMem)
    }

    /// Makes the value that a creation asks for. After an error it has some of its parts.
    fn build<D: Domain>(
        &mut self,
        domain: &D,
        client: ClientId,
        create: &ContextCreate,
        value: &mut Value,
    ) -> Result<(), Errno> {
        if create.flags & ContextCreate::SINGLE_TIMELINE != 0 {
            value.timeline = Some(self.timeline_new(client)?);
        }
        if create.flags & ContextCreate::USE_EXTENSIONS != 0 {
            let mut chain = Chain::at(create.extensions);
            let mut budget = Budget::new();
            while let Some((name, offset)) = chain.next(domain, &mut budget, client)? {
                if name == Extension::SetParam as u32 {
                    let extension: CreateSetParam = area::read_at(domain, client, offset)?;
                    if extension.param.ctx_id != 0 {
                        return Err(Errno::Inval);
                    }
                    self.set_param((domain, &mut budget), client, None, value, &extension.param)?;
                } else if name == Extension::Clone as u32 {
                    let extension: CreateClone = area::read_at(domain, client, offset)?;
                    self.create_clone(client, &extension, value)?;
                } else {
                    return Err(Errno::Inval);
                }
            }
        }
        self.complete(client, value)
    }

    /// Gives a value what nobody has chosen for it.
    fn complete(&mut self, client: ClientId, value: &mut Value) -> Result<(), Errno> {
        self.default_map(client, value)?;
        if value.space.is_none() {
            value.space = Some(self.space_new(client)?);
        }
        Ok(())
    }

    /// Makes the default map where there is none yet: it costs nothing where it would be replaced.
    pub(super) fn default_map(&mut self, client: ClientId, value: &mut Value) -> Result<(), Errno> {
        if !value.map.user && value.map.len() == 0 {
            let slots = self.default_slots;
            value.map = self.map_new(client, false, &slots)?;
        }
        Ok(())
    }

    /// Drops every part of a value that no logical state uses.
    pub(super) fn value_free(&mut self, client: ClientId, value: Value) {
        self.map_free(client, value.map);
        if let Some(timeline) = value.timeline {
            self.timeline_put(client, timeline);
        }
        if let Some(space) = value.space {
            self.space_put(space, 1);
        }
    }
}

impl Value {
    /// The defaults (i915: `__create_context`), without the parts that are made.
    const fn new() -> Self {
        Self {
            space: None,
            map: EngineMap::EMPTY,
            flags: UserFlags { no_error_capture: false, bannable: true, recoverable: true, persistent: true },
            scheduling: Scheduling { priority: 0, watchdog_us: 0 },
            timeline: None,
        }
    }
}
