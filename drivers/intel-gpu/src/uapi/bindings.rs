// SPDX-License-Identifier: BSD-2-Clause
//! Objects in address spaces: bound, taken out of the page tables, and forgotten when no TLB remembers them.

use gpu_protocol::Errno;

use super::driver::Driver;
use super::object::Object;
use super::placing::Place;
use super::space::{AddressSpace, Binding, Neighbours};
use crate::VmId;
use crate::address::VaRange;
use crate::handle::Id;
use crate::platform::Hardware;

impl<H: Hardware> Driver<H> {
    /// Binds an object, which is not bound in this address space, with all its pages. Returns the binding and its place.
    ///
    /// # Errors
    /// `EINVAL` where something else is bound, `ENOSPC` when no place is free, `ENOMEM` when page tables
    /// cannot be had.
    pub(crate) fn bind_object(
        &mut self,
        space: Id<AddressSpace>,
        id: Id<Object>,
        place: Place,
    ) -> Result<(Id<Binding>, VaRange), Errno> {
        let object = self.objects.get(id).ok_or(Errno::NoEnt)?;
        let AddressSpace { vm, client: user, .. } = *self.spaces.get(space).ok_or(Errno::NoEnt)?;
        let size = object.size;
        let binding = Binding {
            space,
            object: id,
            // Not known yet; nobody sees this one.
            range: VaRange::from_bounds(0, size),
            fixed: matches!(place, Place::Fixed(_)),
            active: 0,
            leaving: None,
            next_displaced: None,
            of_object: Neighbours { next: object.bindings, previous: None },
            of_space: Neighbours {
                next: self.spaces.get(space).and_then(|space| space.bindings),
                previous: None,
            },
            same_bucket: None,
        };
        let client = &self.clients[user];
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
        let Some(bound) = self.bindings.get_mut(binding) else { return Err(Errno::NoEnt) };
        bound.range = range;
        let (of_object, of_space) = (bound.of_object.next, bound.of_space.next);
        if let Some(next) = of_object.and_then(|next| self.bindings.get_mut(next)) {
            next.of_object.previous = Some(binding);
        }
        if let Some(next) = of_space.and_then(|next| self.bindings.get_mut(next)) {
            next.of_space.previous = Some(binding);
        }
        if let Some(object) = self.objects.get_mut(id) {
            self.clients[user].used.bindings += 1;
            object.bindings = Some(binding);
        }
        if let Some(space) = self.spaces.get_mut(space) {
            space.bindings = Some(binding);
        }
        self.bound.insert(&mut self.bindings, binding);
        Ok((binding, range))
    }

    /// Binds all pages of an object at a range that was reserved for it, or gives the range back.
    fn fill_range(&mut self, vm: VmId, id: Id<Object>, range: VaRange) -> Result<(), Errno> {
        let bound = match self.objects.get(id).filter(|object| object.lending.is_present()) {
            Some(object @ Object { memory: Some(memory), .. }) => {
                self.gpu.bind_object(vm, range, memory, object.cache, object.read_only).map_err(Errno::from)
            }
            Some(object) => {
                let runs = self.lent.runs(&object.pages);
                self.gpu.bind(vm, range, runs, object.cache, object.read_only).map_err(Errno::from)
            }
            None => Err(Errno::Again),
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

    /// What is bound of an object in an address space; most objects are bound in one only.
    #[inline]
    pub(crate) fn bound_in(
        &self,
        space: Id<AddressSpace>,
        id: Id<Object>,
        object: &Object,
    ) -> Option<(Id<Binding>, &Binding)> {
        let first = object.bindings?;
        let found = self.bindings.get(first)?;
        if found.space == space {
            return Some((first, found));
        }
        let other = self.bound.find(&self.bindings, (space, id))?;
        self.bindings.get(other).map(|found| (other, found))
    }

    /// Where an object is bound in an address space.
    pub(crate) fn binding_of(
        &self,
        space: Id<AddressSpace>,
        id: Id<Object>,
    ) -> Option<(Id<Binding>, VaRange)> {
        let binding = self.bound.find(&self.bindings, (space, id))?;
        self.bindings.get(binding).map(|found| (binding, found.range))
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
        self.unmap_binding(id);
        let Some(binding) = self.bindings.get_mut(id) else {
            return Ok(());
        };
        if let Some(unbinding) = binding.leaving.take() {
            let released = self.gpu.release(unbinding).or_else(|left| self.gpu.release_given_up(left));
            if let Err(unbinding) = released {
                binding.leaving = Some(unbinding);
                return Err(Errno::Io);
            }
        }
        if let Some(vm) = self.spaces.get(binding.space).map(|space| space.vm) {
            self.gpu.vm_unreserve(vm, binding.range)?;
        }
        Ok(())
    }

    /// Takes one binding out of the page tables. Engines may still reach it through their TLBs.
    fn unmap_binding(&mut self, id: Id<Binding>) {
        let Some(binding) = self.bindings.get_mut(id).filter(|binding| binding.leaving.is_none()) else {
            return;
        };
        if let Some(vm) = self.spaces.get(binding.space).map(|space| space.vm) {
            // An address space that is gone has no tables.
            binding.leaving = self.gpu.unbind(vm, binding.range).ok();
        }
    }

    /// Takes a binding out of the two chains that it is in.
    pub(crate) fn forget_binding(&mut self, id: Id<Binding>) {
        self.bound.remove(&mut self.bindings, id);
        let Some(binding) = self.bindings.remove(id) else {
            return;
        };
        if let Some(object) = self.objects.get_mut(binding.object)
            && object.bindings == Some(id)
        {
            object.bindings = binding.of_object.next;
        }
        if let Some(space) = self.spaces.get_mut(binding.space) {
            self.clients[space.client].used.bindings -= 1;
            if space.bindings == Some(id) {
                space.bindings = binding.of_space.next;
            }
        }
        self.close_gap(binding.of_object, |binding| &mut binding.of_object);
        self.close_gap(binding.of_space, |binding| &mut binding.of_space);
    }

    /// Lets the neighbours of a binding that is gone know each other.
    fn close_gap(&mut self, gone: Neighbours, links: fn(&mut Binding) -> &mut Neighbours) {
        if let Some(previous) = gone.previous.and_then(|previous| self.bindings.get_mut(previous)) {
            links(previous).next = gone.next;
        }
        if let Some(next) = gone.next.and_then(|next| self.bindings.get_mut(next)) {
            links(next).previous = gone.previous;
        }
    }

    /// Takes an object out of the page tables of every address space. TLBs may remember it.
    pub(crate) fn unmap_object(&mut self, id: Id<Object>) {
        let mut next = self.objects.get(id).and_then(|object| object.bindings);
        while let Some(binding) = next {
            self.unmap_binding(binding);
            next = self.bindings.get(binding).and_then(|binding| binding.of_object.next);
        }
    }

    /// Forgets all bindings of an object that is in no page table. Bindings that were taken out of the tables
    /// together share one invalidation of the TLBs. False if the GPU did not confirm: then the object, and
    /// so its pages, stay until it does.
    pub(crate) fn release_object(&mut self, id: Id<Object>) -> bool {
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
