// SPDX-License-Identifier: BSD-2-Clause
//! Operations on objects: create, close, export, import.
//!
//! An object has handles in the client that made it and in those that imported it. It is in the tree of ranges
//! of its address space from its creation until nothing of it is left: neither a handle, nor a request that
//! uses it, nor a page, nor a page request that its owner has not answered.

use gpu_protocol::{Errno, GemClose, GemExport, GemImport, Reply, UserptrCreate, UserptrFlags};

use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::interval::Interval;
use super::object::{self, Abilities, Object};
use crate::handle::Id;
use crate::platform::Hardware;

impl<H: Hardware> Driver<H> {
    pub(crate) fn userptr_create<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        create: &UserptrCreate,
    ) -> Result<Reply, Errno> {
        let state = &self.clients[client];
        let abilities = Abilities {
            gpu_bytes: self.gpu.vm_bytes(),
            read_only: self.gpu.platform().read_only,
            privileged: state.privileged,
            owned: state.owner.is_some(),
        };
        let flags = object::check(create, abilities)?;
        let interval = Interval::with_size(create.user_ptr, create.user_size).ok_or(Errno::Inval)?;
        let (read_only, cache) = (flags.contains(UserptrFlags::READ_ONLY), object::cache(flags));
        let probing = flags.contains(UserptrFlags::PROBE);
        let new = || Object { read_only, cache, probing, ..Object::new(client, interval, create.user_size) };
        let synchronised = !flags.contains(UserptrFlags::UNSYNCHRONIZED);
        let place = (client, synchronised.then_some(interval));
        if !probing {
            self.forget_probe(domain, client);
            let id = self.insert_object(domain, place, new)?;
            return self.name_object(domain, client, id);
        }
        let begun = state.probe.filter(|id| {
            self.objects.get(*id).is_some_and(|begun| {
                begun.interval == interval
                    && begun.read_only == read_only
                    && begun.cache == cache
                    && begun.range.is_some() == synchronised
            })
        });
        let id = match begun {
            Some(id) => id,
            None => {
                self.forget_probe(domain, client);
                let id = self.insert_object(domain, place, new)?;
                self.clients[client].probe = Some(id);
                id
            }
        };
        match self.need_pages(id, client) {
            Ok(()) => {
                self.clients[client].probe = None;
                if let Some(object) = self.objects.get_mut(id) {
                    object.probing = false;
                }
                self.name_object(domain, client, id)
            }
            Err(Errno::Again) => Err(Errno::Again),
            Err(errno) => {
                self.forget_probe(domain, client);
                // That there are no pages is EFAULT, whatever the owner calls it; any other error is its.
                Err(if errno == Errno::NoEnt { Errno::Fault } else { errno })
            }
        }
    }

    /// Gives up a creation with a probe that the client has not come back to.
    pub(crate) fn forget_probe<D: Domain>(&mut self, domain: &mut D, client: ClientId) {
        if let Some(id) = self.clients[client].probe.take() {
            if let Some(object) = self.objects.get_mut(id) {
                object.probing = false;
            }
            self.let_go(domain, id);
        }
    }

    /// Makes a new object of a client in the pool and, if it is to be synchronised, puts it among the ranges of its
    /// address space, at the one that is given then.
    ///
    /// # Errors
    /// `EINVAL`, `EAGAIN`: see [`Driver::check_overlap`]; `ENOMEM`.
    pub(crate) fn insert_object<D: Domain>(
        &mut self,
        domain: &mut D,
        (client, range): (ClientId, Option<Interval>),
        new: impl FnOnce() -> Object,
    ) -> Result<Id<Object>, Errno> {
        if let Some(interval) = range {
            self.check_overlap(domain, client, interval)?;
        }
        let state = &mut self.clients[client];
        if !state.objects.has_room() || state.live_objects >= state.limits.objects {
            return Err(Errno::NoMem);
        }
        let id = self.objects.vacant().ok_or(Errno::NoMem)?.put(new());
        if range.is_some() && self.register(id).is_err() {
            self.objects.discard(id);
            return Err(Errno::NoMem);
        }
        self.clients[client].live_objects += 1;
        Ok(id)
    }

    /// Puts an object among the ranges of its address space, where invalidations find it.
    fn register(&mut self, id: Id<Object>) -> Result<(), Errno> {
        let object = self.objects.get_mut(id).ok_or(Errno::NoEnt)?;
        let ranges = &mut self.clients[object.client].ranges;
        let node = ranges.insert(&mut self.ranges, object.interval, id).map_err(|_| Errno::NoMem)?;
        object.range = Some(node);
        Ok(())
    }

    /// Whether a range of an address space is free for a new object.
    ///
    /// # Errors
    /// `EINVAL` where there is another one; `EAGAIN` if all that is there will be gone soon.
    fn check_overlap<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        interval: Interval,
    ) -> Result<(), Errno> {
        if !self.clients[client].ranges.any_overlap(&self.ranges, interval) {
            return Ok(());
        }
        // What is there may only wait for a completion that nobody has looked at.
        self.gpu.retire_finished();
        self.drain_events(domain);
        let mut dying = false;
        for other in self.clients[client].ranges.overlaps(&self.ranges, interval) {
            if !self.objects.get(other.value).is_some_and(Object::is_dying) {
                return Err(Errno::Inval);
            }
            dying = true;
        }
        if dying { Err(Errno::Again) } else { Ok(()) }
    }

    /// Makes a handle of an object. An object without any that cannot get one goes.
    pub(crate) fn name_object<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        id: Id<Object>,
    ) -> Result<Reply, Errno> {
        let Some(handle) = self.clients[client].objects.insert(id) else {
            self.let_go(domain, id);
            return Err(Errno::NoMem);
        };
        if let Some(object) = self.objects.get_mut(id) {
            object.handles += 1;
        }
        Ok(Reply::ok(&[u64::from(handle)]))
    }

    pub(crate) fn gem_close<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        close: &GemClose,
    ) -> Result<Reply, Errno> {
        if close.pad != 0 {
            return Err(Errno::Inval);
        }
        let id = self.clients[client].objects.remove(close.handle).ok_or(Errno::NoEnt)?;
        if let Some(object) = self.objects.get_mut(id) {
            object.handles -= 1;
        }
        self.let_go(domain, id);
        Ok(Reply::ok(&[]))
    }

    /// Lets another client import an object.
    ///
    /// # Errors
    /// `ENOENT`: no such object, or no such client. For an unsynchronised object, which becomes an ordinary one
    /// by it: `EINVAL`, `EAGAIN` and `ENOMEM` as at a creation, `ENODEV` if nobody can invalidate its pages.
    pub(crate) fn gem_export<D: Domain>(
        &mut self,
        domain: &mut D,
        client: ClientId,
        export: &GemExport,
    ) -> Result<Reply, Errno> {
        let id = self.clients[client].objects.get(export.handle).ok_or(Errno::NoEnt)?;
        let channel = u64::from(export.peer);
        let peer = self.clients.iter().position(|other| other.channel == channel).ok_or(Errno::NoEnt)?;
        let bit = u32::try_from(peer).ok().and_then(|peer| 1_u64.checked_shl(peer)).ok_or(Errno::NoEnt)?;
        let object = self.objects.get(id).ok_or(Errno::NoEnt)?;
        if object.client != client {
            // Whose memory it is decides who sees it.
            return Err(Errno::Perm);
        }
        if object.range.is_none() && object.memory.is_none() {
            if self.clients[client].owner.is_none() {
                return Err(Errno::NoDev);
            }
            let interval = object.interval;
            self.check_overlap(domain, client, interval)?;
            self.register(id)?;
        }
        if let Some(object) = self.objects.get_mut(id) {
            object.exported_to |= bit;
        }
        Ok(Reply::ok(&[id.to_raw()]))
    }

    /// Makes a handle of an object that another client exported to this one.
    ///
    /// # Errors
    /// `ENOENT` if none of that name was, or it is gone; `ENOMEM`.
    pub(crate) fn gem_import(&mut self, client: ClientId, import: &GemImport) -> Result<Reply, Errno> {
        let id = Id::from_raw(import.name);
        let object = self.objects.get_mut(id).filter(|object| !object.is_dying()).ok_or(Errno::NoEnt)?;
        let bit = u32::try_from(client).ok().and_then(|client| 1_u64.checked_shl(client)).unwrap_or(0);
        if object.exported_to & bit == 0 {
            return Err(Errno::NoEnt);
        }
        let handles = &mut self.clients[client].objects;
        let handle = match handles.find(id) {
            Some(handle) => handle,
            None => {
                let handle = handles.insert(id).ok_or(Errno::NoMem)?;
                object.handles += 1;
                handle
            }
        };
        Ok(Reply::ok(&[u64::from(handle)]))
    }
}
