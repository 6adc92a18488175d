// SPDX-License-Identifier: BSD-2-Clause
//! Operations on objects, their bindings, and what happens when the last use of one ends.

use gpu_protocol::{Errno, GemClose, Reply, UserptrCreate};

use super::domain::{ClientId, Domain};
use super::driver::Driver;
use super::interval::Interval;
use super::lent::Chain;
use super::object::{self, Backing, Object};
use super::placing::Place;
use super::space::{AddressSpace, Binding};
use crate::VmId;
use crate::address::VaRange;
use crate::handle::Id;
use crate::memory::Cache;
use crate::platform::Hardware;
use crate::trace::Event;

impl<H: Hardware> Driver<H> {
    pub(crate) fn userptr_create(
        &mut self,
        client: ClientId,
        create: &UserptrCreate,
    ) -> Result<Reply, Errno> {
        object::check(create, self.gpu.vm_bytes())?;
        let interval = Interval::with_size(create.user_ptr, create.user_size).ok_or(Errno::Inval)?;
        let state = &mut self.clients[client];
        let mut dying = false;
        for other in state.ranges.overlaps(&self.ranges, interval) {
            // A closed object that only waits for the GPU will be gone soon; any other will not.
            if !self.objects.get(other.value).is_some_and(|object| object.closed) {
                return Err(Errno::Inval);
            }
            dying = true;
        }
        if dying {
            return Err(Errno::Again);
        }
        if !state.objects.has_room() || state.live_objects >= state.limits.objects {
            return Err(Errno::NoMem);
        }
        let object = Object {
            client,
            address: create.user_ptr,
            size: create.user_size,
            range: None,
            backing: Backing::Absent,
            active: 0,
            bindings: None,
            closed: false,
        };
        let id = self.objects.insert(object).map_err(|_| Errno::NoMem)?;
        let range = state.ranges.insert(&mut self.ranges, interval, id).ok();
        let handle = range.and_then(|_| state.objects.insert(id));
        if let (Some(handle), Some(object)) = (handle, self.objects.get_mut(id)) {
            object.range = range;
            state.live_objects += 1;
            return Ok(Reply::ok(&[u64::from(handle)]));
        }
        if let Some(range) = range {
            state.ranges.remove(&mut self.ranges, range);
        }
        self.objects.remove(id);
        Err(Errno::NoMem)
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
            object.closed = true;
        }
        self.reclaim_if_idle(domain, id);
        Ok(Reply::ok(&[]))
    }

    /// Destroys a closed object that no request uses: unbinds it everywhere, waits for the TLBs, gives
    /// its pages back. False if the GPU did not confirm: then it is tried again later.
    pub(crate) fn reclaim_if_idle<D: Domain>(&mut self, domain: &mut D, id: Id<Object>) -> bool {
        if !self.objects.get(id).is_some_and(|object| object.closed && object.active == 0) {
            return true;
        }
        if !self.unbind_object(id) {
            if !self.unconfirmed.contains(&id) {
                self.unconfirmed.push(id);
            }
            return false;
        }
        let Some(object) = self.objects.remove(id) else {
            return true;
        };
        let client = &mut self.clients[object.client];
        client.live_objects -= 1;
        if let Some(range) = object.range {
            client.ranges.remove(&mut self.ranges, range);
        }
        match object.backing {
            Backing::Requested { pages, .. } | Backing::Present { pages } => {
                self.release_pages(domain, object.client, pages);
            }
            Backing::Absent | Backing::Failed(_) => {}
        }
        true
    }

    /// Gives up the capabilities of lent pages. Only for pages that no page table holds any more.
    pub(crate) fn release_pages<D: Domain>(&mut self, domain: &mut D, client: ClientId, mut pages: Chain) {
        self.clients[client].lent -= pages.len();
        if pages.len() != 0 {
            self.note(Event::PagesReleased { client, pages: pages.len() });
        }
        while let Some(slot) = self.lent.pop(&mut pages) {
            domain.release_frame(slot);
        }
    }

    /// Binds an object, which is not bound in this address space, with all its pages.
    ///
    /// # Errors
    /// `EINVAL` where something else is bound, `ENOSPC` when no place is free, `ENOMEM` when page tables
    /// cannot be had.
    pub(crate) fn bind_object(
        &mut self,
        space: Id<AddressSpace>,
        id: Id<Object>,
        place: Place,
    ) -> Result<(), Errno> {
        let object = self.objects.get(id).ok_or(Errno::NoEnt)?;
        let vm = self.spaces.get(space).ok_or(Errno::NoEnt)?.vm;
        let size = object.size;
        let binding = Binding {
            space,
            object: id,
            // Not known yet; nobody sees this one.
            range: VaRange::from_bounds(0, size),
            fixed: matches!(place, Place::Fixed(_)),
            leaving: None,
            next_displaced: None,
            next_of_object: object.bindings,
            next_of_space: self.spaces.get(space).and_then(|space| space.bindings),
        };
        let client = &self.clients[object.client];
        if client.used.bindings >= client.share.bindings {
            return Err(Errno::NoMem);
        }
        let binding = self.bindings.insert(binding).map_err(|_| Errno::NoMem)?;
        let bound = match self.reserve_place(vm, place, size, binding) {
            Ok(range) => self.fill_range(vm, id, range).map(|()| range),
            Err(error) => Err(error.into()),
        };
        let range = match bound {
            Ok(range) => range,
            Err(errno) => {
                self.bindings.remove(binding);
                return Err(errno);
            }
        };
        if let Some(bound) = self.bindings.get_mut(binding) {
            bound.range = range;
        }
        if let Some(object) = self.objects.get_mut(id) {
            self.clients[object.client].used.bindings += 1;
            object.bindings = Some(binding);
        }
        if let Some(space) = self.spaces.get_mut(space) {
            space.bindings = Some(binding);
        }
        Ok(())
    }

    /// Binds all pages of an object at a range that was reserved for it, or gives the range back.
    fn fill_range(&mut self, vm: VmId, id: Id<Object>, range: VaRange) -> Result<(), Errno> {
        let bound = match self.objects.get(id).map(|object| &object.backing) {
            Some(Backing::Present { pages }) => {
                let runs = self.lent.runs(pages);
                self.gpu.bind(vm, range, runs, Cache::Coherent, false).map_err(Errno::from)
            }
            _ => Err(Errno::Again),
        };
        bound.inspect_err(|_| {
            // What was reserved a moment ago is there.
            let _ = self.gpu.vm_unreserve(vm, range);
        })
    }

    /// Binds what [`Driver::vacate`] took out where it was.
    ///
    /// # Errors
    /// As [`Driver::bind_object`]; it is not bound then, and only to be forgotten.
    pub(crate) fn reoccupy(&mut self, id: Id<Binding>) -> Result<(), Errno> {
        let binding = self.bindings.get(id).ok_or(Errno::NoEnt)?;
        let (object, range) = (binding.object, binding.range);
        let vm = self.spaces.get(binding.space).ok_or(Errno::NoEnt)?.vm;
        let range = self.reserve_place(vm, Place::Fixed(range), range.bytes(), id)?;
        self.fill_range(vm, object, range)
    }

    /// Where an object is bound in an address space.
    pub(crate) fn binding_of(
        &self,
        space: Id<AddressSpace>,
        id: Id<Object>,
    ) -> Option<(Id<Binding>, VaRange)> {
        let mut next = self.objects.get(id)?.bindings;
        while let Some(binding) = next {
            let found = self.bindings.get(binding)?;
            if found.space == space {
                return Some((binding, found.range));
            }
            next = found.next_of_object;
        }
        None
    }

    /// Takes one binding out of its address space, TLBs included.
    ///
    /// # Errors
    /// `EIO` if the GPU did not confirm; the binding stays, with what is to be confirmed.
    pub(crate) fn remove_binding(&mut self, id: Id<Binding>) -> Result<(), Errno> {
        self.vacate(id)?;
        self.forget_binding(id);
        Ok(())
    }

    /// Takes what is bound out of its address space, TLBs included, and gives its range back. The binding
    /// is then to be forgotten or put back.
    ///
    /// # Errors
    /// As [`Driver::remove_binding`].
    pub(crate) fn vacate(&mut self, id: Id<Binding>) -> Result<(), Errno> {
        let Some(binding) = self.bindings.get_mut(id) else {
            return Ok(());
        };
        if let Some(vm) = self.spaces.get(binding.space).map(|space| space.vm) {
            let unbinding = match binding.leaving.take() {
                Some(unbinding) => unbinding,
                None => self.gpu.unbind(vm, binding.range)?,
            };
            if let Err(unbinding) = self.gpu.release(unbinding) {
                binding.leaving = Some(unbinding);
                return Err(Errno::Io);
            }
            self.gpu.vm_unreserve(vm, binding.range)?;
        }
        Ok(())
    }

    /// Takes a binding out of the two chains that it is in.
    pub(crate) fn forget_binding(&mut self, id: Id<Binding>) {
        let Some(binding) = self.bindings.remove(id) else {
            return;
        };
        if let Some(object) = self.objects.get_mut(binding.object) {
            self.clients[object.client].used.bindings -= 1;
            if object.bindings == Some(id) {
                object.bindings = binding.next_of_object;
            } else {
                let head = object.bindings;
                self.bypass(head, id, binding.next_of_object, |binding| &mut binding.next_of_object);
            }
        }
        if let Some(space) = self.spaces.get_mut(binding.space) {
            if space.bindings == Some(id) {
                space.bindings = binding.next_of_space;
            } else {
                let head = space.bindings;
                self.bypass(head, id, binding.next_of_space, |binding| &mut binding.next_of_space);
            }
        }
    }

    /// In the chain that starts at `head`, lets what points to `id` point to `after`.
    fn bypass(
        &mut self,
        head: Option<Id<Binding>>,
        id: Id<Binding>,
        after: Option<Id<Binding>>,
        link: fn(&mut Binding) -> &mut Option<Id<Binding>>,
    ) {
        let mut at = head;
        while let Some(binding) = at.and_then(|at| self.bindings.get_mut(at)) {
            let next = link(binding);
            if *next == Some(id) {
                *next = after;
                return;
            }
            at = *next;
        }
    }

    /// Unbinds an object from every address space. False if the GPU did not confirm: then the object,
    /// and so its pages, stay until it does.
    fn unbind_object(&mut self, id: Id<Object>) -> bool {
        while let Some(binding) = self.objects.get(id).and_then(|object| object.bindings) {
            if self.remove_binding(binding).is_err() {
                return false;
            }
        }
        true
    }

    /// Unbinds everything in an address space. False if the GPU did not confirm.
    pub(crate) fn unbind_all(&mut self, space: Id<AddressSpace>) -> bool {
        while let Some(binding) = self.spaces.get(space).and_then(|space| space.bindings) {
            if self.remove_binding(binding).is_err() {
                return false;
            }
        }
        true
    }
}
