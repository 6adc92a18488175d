// SPDX-License-Identifier: BSD-2-Clause
//! Where the objects of a submission go. First it is decided whether they can, which changes nothing;
//! then those that move leave their old places, and all that are not there yet are bound. What fails
//! then, for want of memory, is undone.

use gpu_protocol::{Errno, MAX_OBJECTS};

use super::driver::Driver;
use super::object::Object;
use super::space::{AddressSpace, Binding};
use crate::address::VaRange;
use crate::handle::Id;
use crate::platform::Hardware;

/// What is done about one object.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It is where it is wanted.
    Stay,
    /// It is bound anew.
    Bind,
    /// It is bound elsewhere in the address space.
    Move { binding: Id<Binding>, from: VaRange },
}

/// A submission's objects and where each of them is wanted.
#[derive(Debug)]
pub(crate) struct Objects {
    entries: [Option<(Id<Object>, VaRange)>; MAX_OBJECTS],
    len: usize,
}

/// What placing did, so that it can be undone.
#[derive(Debug)]
pub(crate) struct Placed {
    steps: [Step; MAX_OBJECTS],
}

impl Objects {
    pub(crate) const fn new() -> Self {
        Self { entries: [None; MAX_OBJECTS], len: 0 }
    }

    /// Appends an object.
    ///
    /// # Errors
    /// `EINVAL` for one that is in the list or overlaps another, or when the list is full.
    pub(crate) fn push(&mut self, id: Id<Object>, range: VaRange) -> Result<(), Errno> {
        if self.iter().any(|(other, place)| other == id || place.overlaps(range)) {
            return Err(Errno::Inval);
        }
        *self.entries.get_mut(self.len).ok_or(Errno::Inval)? = Some((id, range));
        self.len += 1;
        Ok(())
    }

    pub(crate) fn get(&self, index: usize) -> Option<(Id<Object>, VaRange)> {
        self.entries.get(index).copied().flatten()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id<Object>, VaRange)> {
        self.entries.iter().take(self.len).flatten().copied()
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

impl<H: Hardware> Driver<H> {
    /// Puts every object where it is wanted.
    ///
    /// # Errors
    /// `EINVAL` outside the address space or where an object is bound that is not in the list (`EAGAIN` if
    /// that one is closed and only waits for the GPU), `EBUSY` for an object that would move and is in
    /// use, `ENOMEM`. Everything is then as it was.
    pub(crate) fn place_objects(
        &mut self,
        space: Id<AddressSpace>,
        objects: &Objects,
    ) -> Result<Placed, Errno> {
        let placed = self.plan(space, objects)?;
        for (step, _) in placed.steps.iter().zip(objects.iter()) {
            if let Step::Move { binding, .. } = *step
                && let Err(errno) = self.remove_binding(binding)
            {
                self.undo_placing(space, objects, &placed);
                return Err(errno);
            }
        }
        for (step, (id, range)) in placed.steps.iter().zip(objects.iter()) {
            if matches!(step, Step::Stay) {
                continue;
            }
            if let Err(errno) = self.bind_object(space, id, range) {
                self.undo_placing(space, objects, &placed);
                return Err(errno);
            }
        }
        Ok(placed)
    }

    fn plan(&self, space: Id<AddressSpace>, objects: &Objects) -> Result<Placed, Errno> {
        let vm = self.spaces.get(space).ok_or(Errno::NoEnt)?.vm;
        let mut placed = Placed { steps: [Step::Stay; MAX_OBJECTS] };
        for (step, (id, range)) in placed.steps.iter_mut().zip(objects.iter()) {
            if range.end() > self.gpu.vm_bytes() {
                return Err(Errno::Inval);
            }
            match self.binding_of(space, id) {
                Some((binding, from)) if from == range && !self.is_leaving(binding) => continue,
                Some((binding, from)) => {
                    if self.objects.get(id).is_some_and(|object| object.active > 0) {
                        return Err(Errno::Busy);
                    }
                    *step = Step::Move { binding, from };
                }
                None => *step = Step::Bind,
            }
            // Objects of the list do not overlap where they go, so that one that is in the way moves.
            let mut rest = Some(range);
            while let Some(part) = rest
                && let Some((taken, owner)) = self.gpu.vm_overlap(vm, part)?
            {
                let owner = self.bindings.get(Id::from_raw(owner)).ok_or(Errno::Inval)?.object;
                if !objects.iter().any(|(id, _)| id == owner) {
                    let dying = self.objects.get(owner).is_some_and(|object| object.closed);
                    return Err(if dying { Errno::Again } else { Errno::Inval });
                }
                rest = part.after(taken);
            }
        }
        Ok(placed)
    }

    /// Takes back what [`Driver::place_objects`] did, wholly or in part.
    pub(crate) fn undo_placing(&mut self, space: Id<AddressSpace>, objects: &Objects, placed: &Placed) {
        for (step, (id, range)) in placed.steps.iter().zip(objects.iter()) {
            if !matches!(step, Step::Stay)
                && let Some((binding, bound)) = self.binding_of(space, id)
                && bound == range
            {
                // Unconfirmed, it stays out of the tables and is bound anew when it is wanted.
                let _ = self.remove_binding(binding);
            }
        }
        for (step, (id, _)) in placed.steps.iter().zip(objects.iter()) {
            if let Step::Move { from, .. } = *step
                && self.binding_of(space, id).is_none()
            {
                // There is room where it was; and were there none, its next use would bind it.
                let _ = self.bind_object(space, id, from);
            }
        }
    }
}
