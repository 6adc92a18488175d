// SPDX-License-Identifier: BSD-2-Clause
//! Where the objects of a submission go. First it is decided whether they can, which changes nothing;
//! then those that move leave their old places, and all that are not there yet are bound: the fixed ones
//! first, the others where room is left. What fails then, for want of memory or of room, is undone.
//!
//! An object that is bound keeps its place from request to request, until a submission fixes it, or
//! another one, to a place that it is in the way of (i915: `eb_pin_vma`, `i915_gem_evict_for_node`).

use alloc::vec::Vec;

use gpu_protocol::{Errno, MAX_OBJECTS, SubmitObject};

use super::driver::Driver;
use super::object::Object;
use super::run::Said;
use super::space::{AddressSpace, Binding};
use crate::VmId;
use crate::address::{PAGE_SIZE, VaRange};
use crate::handle::Id;
use crate::memory::Placement;
use crate::platform::Hardware;

/// Where a client wants an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Exactly there, which is inside the address space.
    Fixed(VaRange),
    /// Where it is bound; if it is not, at `start` if that is free, else anywhere.
    Hint {
        /// Wanted first byte.
        start: u64,
        /// One past the last byte that may be used.
        limit: u64,
    },
}

impl Place {
    const fn is_fixed(self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    /// Whether an object that is bound in `range` is where it is wanted, as far as it is up to that object.
    fn is_met_at(self, range: VaRange) -> bool {
        match self {
            Self::Fixed(wanted) => wanted == range,
            Self::Hint { limit, .. } => range.end() <= limit,
        }
    }
}

/// What is done about one object.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It stays where it is bound.
    Stay(Id<Binding>, VaRange),
    /// It is bound anew.
    Bind,
    /// It is bound elsewhere in the address space.
    Move { binding: Id<Binding>, from: VaRange, fixed: bool },
}

/// An object of a submission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) id: Id<Object>,
    place: Place,
    /// Length of the object in bytes.
    pub(crate) size: u64,
    /// The batch writes it.
    pub(crate) written: bool,
    /// It stays where it is bound, and is fixed there from now on, or is not any more.
    refixed: bool,
    step: Step,
    /// Where it is bound, once it is placed.
    pub(crate) bound: Option<(Id<Binding>, VaRange)>,
}

/// A submission's objects and where each of them is wanted.
#[derive(Debug)]
pub(crate) struct Objects {
    entries: Vec<Listed>,
    /// What is true of any of them.
    any: Traits,
    /// Objects outside the list that made room: the first of a chain.
    displaced: Option<Id<Binding>>,
    /// The list as it was written, if it is wanted again.
    said: Said,
}

bitflags::bitflags! {
    /// What decides which steps the objects of a list need: those that any of them needs.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Traits: u8 {
        /// Its pages are not here.
        const PAGELESS = 1 << 0;
        /// It is not bound where it is wanted.
        const UNPLACED = 1 << 1;
        const FIXED = 1 << 2;
        const HINTED = 1 << 3;
        /// It stays where it is bound, and is fixed there from now on, or is not any more.
        const REFIXED = 1 << 4;
        const WRITTEN = 1 << 5;
    }
}

impl Listed {
    /// An object of `size` bytes, and where it is bound in the address space.
    #[inline]
    pub(crate) fn new(
        id: Id<Object>,
        place: Place,
        size: u64,
        written: bool,
        bound: Option<(Id<Binding>, &Binding)>,
    ) -> Self {
        let stays = bound.filter(|(_, found)| found.leaving.is_none() && place.is_met_at(found.range));
        let refixed = stays.is_some_and(|(_, found)| found.fixed != place.is_fixed());
        let bound = stays.map(|(binding, found)| (binding, found.range));
        let step = bound.map_or(Step::Bind, |(binding, range)| Step::Stay(binding, range));
        Self { id, place, size, written, refixed, step, bound }
    }

    /// The address that the client wrote, unless it is where the object has to be.
    pub(crate) const fn hint(&self) -> Option<u64> {
        match self.place {
            Place::Fixed(_) => None,
            Place::Hint { start, .. } => Some(start),
        }
    }
}

impl Objects {
    /// A list with room for the longest one that a submission can have.
    pub(crate) fn with_room() -> Self {
        Self {
            entries: Vec::with_capacity(MAX_OBJECTS),
            any: Traits::empty(),
            displaced: None,
            said: Said::NOTHING,
        }
    }

    /// Bytes that such a list takes.
    pub(crate) const fn bytes() -> usize {
        size_of::<Self>() + MAX_OBJECTS * size_of::<Listed>()
    }

    /// Makes the list empty.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.any = Traits::empty();
        self.displaced = None;
        self.said.clear();
    }

    /// Keeps an entry of the list as it was written.
    #[inline]
    pub(crate) fn remember(&mut self, entry: SubmitObject) {
        self.said.push(entry);
    }

    /// What [`Self::remember`] was given.
    pub(super) const fn said(&self) -> &Said {
        &self.said
    }

    /// Appends an object, of which the pages are here or not.
    ///
    /// # Errors
    /// `EINVAL` for one that is in the list or is fixed where another one is, or when the list is full.
    #[inline]
    pub(crate) fn push(&mut self, listed: Listed, present: bool) -> Result<(), Errno> {
        let clash = |other: &Listed| match (other.place, listed.place) {
            _ if other.id == listed.id => true,
            (Place::Fixed(there), Place::Fixed(here)) => there.overlaps(here),
            _ => false,
        };
        if self.entries.len() == self.entries.capacity() || self.entries.iter().any(clash) {
            return Err(Errno::Inval);
        }
        let mut traits = if listed.place.is_fixed() { Traits::FIXED } else { Traits::HINTED };
        traits.set(Traits::PAGELESS, !present);
        traits.set(Traits::UNPLACED, listed.bound.is_none());
        traits.set(Traits::REFIXED, listed.refixed);
        traits.set(Traits::WRITTEN, listed.written);
        self.any.insert(traits);
        self.entries.push(listed);
        Ok(())
    }

    /// Whether pages of an object are missing.
    pub(crate) const fn lack_pages(&self) -> bool {
        self.any.contains(Traits::PAGELESS)
    }

    /// Where the objects are bound may have changed since they were listed.
    pub(crate) const fn look_again(&mut self) {
        self.any = self.any.union(Traits::UNPLACED);
    }

    /// Whether placing them may have moved any, or what was in the way, or fixed what was not.
    pub(super) const fn have_changed(&self) -> bool {
        self.any.intersects(Traits::UNPLACED.union(Traits::REFIXED))
    }

    /// Whether the batch writes any.
    pub(crate) const fn are_written(&self) -> bool {
        self.any.contains(Traits::WRITTEN)
    }

    /// Whether the client left the place of any to the driver.
    pub(crate) const fn are_hinted(&self) -> bool {
        self.any.contains(Traits::HINTED)
    }

    /// Whether all are bound where they are wanted, and none can be in the way of another.
    const fn are_placed(&self) -> bool {
        !self.any.contains(Traits::UNPLACED) && !self.any.contains(Traits::FIXED.union(Traits::HINTED))
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Listed> {
        self.entries.get(index)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.entries.iter()
    }

    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    fn contains(&self, id: Id<Object>) -> bool {
        self.entries.iter().any(|listed| listed.id == id)
    }

    /// Whether an object of the list is fixed somewhere in `range`.
    fn fixes(&self, range: VaRange) -> bool {
        self.entries.iter().any(|listed| matches!(listed.place, Place::Fixed(fixed) if fixed.overlaps(range)))
    }
}

impl<H: Hardware> Driver<H> {
    /// Puts every object where it is wanted.
    ///
    /// # Errors
    /// For a fixed object: `EINVAL` where another fixed one is bound (`EAGAIN` if that one only waits for the
    /// GPU). `EBUSY` for an object that would have
    /// to move and is in use. `ENOSPC` where no room is left, `ENOMEM`. Everything is then as it was.
    #[inline]
    pub(crate) fn place_objects(
        &mut self,
        space: Id<AddressSpace>,
        objects: &mut Objects,
    ) -> Result<(), Errno> {
        if objects.are_placed() { Ok(()) } else { self.move_objects(space, objects) }
    }

    fn move_objects(&mut self, space: Id<AddressSpace>, objects: &mut Objects) -> Result<(), Errno> {
        let vm = self.spaces.get(space).ok_or(Errno::NoEnt)?.vm;
        for index in 0..objects.len() {
            let step = self.plan(space, vm, objects, index)?;
            if let Some(listed) = objects.entries.get_mut(index) {
                listed.step = step;
                listed.bound =
                    if let Step::Stay(binding, range) = step { Some((binding, range)) } else { None };
            }
        }
        self.carry_out(space, vm, objects).inspect_err(|_| self.undo_placing(space, objects))
    }

    /// What is to be done about the object at `index` of the list.
    fn plan(
        &self,
        space: Id<AddressSpace>,
        vm: VmId,
        objects: &Objects,
        index: usize,
    ) -> Result<Step, Errno> {
        let Listed { id, place, .. } = *objects.get(index).ok_or(Errno::Inval)?;
        let mut step = Step::Bind;
        if let Some((binding, from)) = self.binding_of(space, id) {
            let keeps = place.is_met_at(from) && (place.is_fixed() || !objects.fixes(from));
            let found = self.bindings.get(binding).ok_or(Errno::NoEnt)?;
            if keeps && found.leaving.is_none() {
                return Ok(Step::Stay(binding, from));
            }
            if found.active > 0 {
                return Err(Errno::Busy);
            }
            step = Step::Move { binding, from, fixed: found.fixed };
        }
        if let Place::Fixed(range) = place {
            self.can_have(vm, range, objects)?;
        }
        Ok(step)
    }

    /// Whether what is bound in `range` is in the list, and so will be elsewhere, or can make room.
    fn can_have(&self, vm: VmId, range: VaRange, objects: &Objects) -> Result<(), Errno> {
        let mut rest = Some(range);
        while let Some(part) = rest
            && let Some((taken, owner)) = self.gpu.vm_overlap(vm, part)?
        {
            let binding = self.bindings.get(Id::from_raw(owner)).ok_or(Errno::Inval)?;
            if !objects.contains(binding.object) {
                let object = self.objects.get(binding.object).ok_or(Errno::Inval)?;
                if object.is_dying() || object.lending.leaving_since().is_some() {
                    return Err(Errno::Again);
                } else if binding.fixed {
                    return Err(Errno::Inval);
                } else if binding.active > 0 {
                    return Err(Errno::Busy);
                }
            }
            rest = part.after(taken);
        }
        Ok(())
    }

    fn carry_out(&mut self, space: Id<AddressSpace>, vm: VmId, objects: &mut Objects) -> Result<(), Errno> {
        let Objects { entries, displaced, .. } = objects;
        if entries.iter().all(|listed| matches!(listed.step, Step::Stay(..))) {
            return Ok(());
        }
        for listed in &*entries {
            if let Step::Move { binding, .. } = listed.step {
                self.remove_binding(binding)?;
            }
        }
        let unbound = |listed: &&mut Listed| !matches!(listed.step, Step::Stay(..));
        for listed in entries.iter_mut().filter(unbound) {
            if let Place::Fixed(range) = listed.place {
                while let Some((_, owner)) = self.gpu.vm_overlap(vm, range)? {
                    self.displace(Id::from_raw(owner), displaced)?;
                }
                listed.bound = Some(self.bind_object(space, listed.id, listed.place)?);
            }
        }
        for listed in entries.iter_mut().filter(unbound) {
            if let Place::Hint { .. } = listed.place {
                listed.bound = Some(self.bind_object(space, listed.id, listed.place)?);
            }
        }
        Ok(())
    }

    /// Takes an object out of its place, and remembers it in the chain.
    fn displace(&mut self, id: Id<Binding>, chain: &mut Option<Id<Binding>>) -> Result<(), Errno> {
        self.vacate(id)?;
        let binding = self.bindings.get_mut(id).ok_or(Errno::NoEnt)?;
        binding.next_displaced = chain.replace(id);
        Ok(())
    }

    /// The submission is under way: what made room is bound elsewhere when it is wanted, and who was
    /// fixed now counts as fixed.
    #[inline]
    pub(crate) fn keep_placing(&mut self, objects: &Objects) {
        if objects.any.contains(Traits::REFIXED) || !objects.are_placed() {
            self.keep_moves(objects);
        }
    }

    fn keep_moves(&mut self, objects: &Objects) {
        let mut displaced = objects.displaced;
        while let Some(id) = displaced {
            displaced = self.bindings.get(id).and_then(|binding| binding.next_displaced);
            self.forget_binding(id);
        }
        for listed in objects.iter() {
            if let Some(binding) = listed.bound.and_then(|(id, _)| self.bindings.get_mut(id)) {
                binding.fixed = listed.place.is_fixed();
            }
        }
    }

    /// Takes back what [`Driver::place_objects`] did, wholly or in part.
    pub(crate) fn undo_placing(&mut self, space: Id<AddressSpace>, objects: &Objects) {
        for listed in objects.iter() {
            let old = if let Step::Move { binding, .. } = listed.step { Some(binding) } else { None };
            if !matches!(listed.step, Step::Stay(..))
                && let Some((binding, _)) = self.binding_of(space, listed.id)
                && old != Some(binding)
            {
                // Unconfirmed, it stays out of the tables and is bound anew when it is wanted.
                let _ = self.remove_binding(binding);
            }
        }
        for listed in objects.iter() {
            if let Step::Move { from, fixed, .. } = listed.step
                && self.binding_of(space, listed.id).is_none()
                // There is room where it was; and were there none, its next use would bind it.
                && let Ok((binding, _)) = self.bind_object(space, listed.id, Place::Fixed(from))
                && let Some(binding) = self.bindings.get_mut(binding)
            {
                binding.fixed = fixed;
            }
        }
        let mut displaced = objects.displaced;
        while let Some(id) = displaced {
            displaced = self.bindings.get(id).and_then(|binding| binding.next_displaced);
            if self.reoccupy(id).is_err() {
                self.forget_binding(id);
            }
        }
    }

    /// Takes `bytes` of an address space for a binding. A place that the driver chooses is aligned so that
    /// large entries can be used, if there is one.
    pub(crate) fn reserve_place(
        &mut self,
        vm: VmId,
        place: Place,
        bytes: u64,
        owner: Id<Binding>,
    ) -> Result<VaRange, crate::Error> {
        let alignment = match bytes {
            0x20_0000.. => 0x20_0000,
            0x1_0000.. => 0x1_0000,
            _ => PAGE_SIZE,
        };
        let owner = owner.to_raw();
        let placement = match place {
            Place::Fixed(range) => Placement::Fixed(range.start().get()),
            Place::Hint { start, limit } => Placement::Hint { start, limit },
        };
        match self.gpu.vm_reserve(vm, placement, bytes, alignment, owner) {
            Err(crate::Error::NoSpace) if alignment > PAGE_SIZE => {
                self.gpu.vm_reserve(vm, placement, bytes, PAGE_SIZE, owner)
            }
            result => result,
        }
    }
}
