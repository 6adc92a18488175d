// SPDX-License-Identifier: BSD-2-Clause
//! Pools of fixed size with typed, generation-checked handles. Everything the core keeps several of
//! lives in one; a stale handle finds nothing instead of somebody else's thing.

use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::num::{NonZeroU32, NonZeroU64};

/// Handle of a `T` in the slab that it lives in. Never reused while 2^32 others have not lived in its slot.
///
/// It is one word, and so is the absence of one: most of what is stored, compared and handed on are handles.
pub struct Id<T> {
    /// Generation in the high half, position in the low one.
    raw: NonZeroU64,
    of: PhantomData<fn() -> T>,
}

const _: () = assert!(size_of::<Option<Id<()>>>() == 8, "a handle that may be none is one word");

/// What a slot begins with.
const FIRST: NonZeroU32 = NonZeroU32::MIN;

impl<T> Id<T> {
    #[inline]
    const fn new(index: u32, generation: NonZeroU32) -> Self {
        // CAST: widening, in a constant function.
        Self::from_raw((generation.get() as u64) << 32 | index as u64)
    }

    /// Position in the pool: dense, smaller than the pool's capacity, reused after removal.
    #[must_use]
    #[inline]
    pub const fn index(self) -> u32 {
        // CAST: the low half, by intent.
        #[expect(clippy::cast_possible_truncation)]
        let index = self.raw.get() as u32;
        index
    }

    /// Whether it is of what lives there in this generation.
    const fn is_of(self, generation: NonZeroU32) -> bool {
        // CAST: widening, in a constant function.
        self.raw.get() >> 32 == generation.get() as u64
    }

    /// The handle as one number, for tables that store many kinds.
    #[must_use]
    pub const fn to_raw(self) -> u64 {
        self.raw.get()
    }

    /// The handle of a number made by [`Self::to_raw`]; any other number names nothing.
    #[must_use]
    #[inline]
    pub const fn from_raw(raw: u64) -> Self {
        match NonZeroU64::new(raw) {
            // A number without a generation is of nothing: slots begin with the first one.
            Some(raw) => Self { raw, of: PhantomData },
            None => Self { raw: NonZeroU64::MIN, of: PhantomData },
        }
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}
impl<T> Eq for Id<T> {}
impl<T> Hash for Id<T> {
    fn hash<S: Hasher>(&self, state: &mut S) {
        self.raw.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.index(), self.raw.get() >> 32)
    }
}

const END: u32 = u32::MAX;

#[derive(Debug)]
struct Slot<T> {
    generation: NonZeroU32,
    content: Content<T>,
}

#[derive(Debug)]
enum Content<T> {
    Free { next: u32 },
    Used(T),
}

/// A pool of at most `capacity` values; allocates only in [`Slab::new`].
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    used: u32,
}

impl<T> Slab<T> {
    pub(crate) fn new(capacity: u32) -> Self {
        let slots = (0..capacity)
            .map(|index| Slot {
                generation: FIRST,
                content: Content::Free { next: if index + 1 < capacity { index + 1 } else { END } },
            })
            .collect();
        Self { slots, free: if capacity == 0 { END } else { 0 }, used: 0 }
    }

    /// Bytes that a pool takes.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        // CAST: widening on every target of this driver.
        capacity as usize * size_of::<Slot<T>>()
    }

    /// Puts `value` in; gives it back when the pool is full.
    pub(crate) fn insert(&mut self, value: T) -> Result<Id<T>, T> {
        if crate::fail::point() {
            return Err(value);
        }
        let index = self.free;
        match self.slots.get_mut(index as usize) {
            Some(Slot { generation, content: content @ Content::Free { .. } }) => {
                if let Content::Free { next } = *content {
                    self.free = next;
                }
                *content = Content::Used(value);
                self.used += 1;
                Ok(Id::new(index, *generation))
            }
            _ => Err(value),
        }
    }

    /// A free place, for what is made where it stays; `None` when the pool is full.
    #[inline]
    pub(crate) fn vacant(&mut self) -> Option<Vacant<'_, T>> {
        if crate::fail::point() {
            return None;
        }
        let index = self.free;
        let slot = self.slots.get_mut(index as usize)?;
        let Content::Free { next } = slot.content else { return None };
        let id = Id::new(index, slot.generation);
        Some(Vacant { id, next, slot, free: &mut self.free, used: &mut self.used })
    }

    #[inline]
    pub(crate) fn get(&self, id: Id<T>) -> Option<&T> {
        match self.slots.get(id.index() as usize) {
            Some(Slot { generation, content: Content::Used(value) }) if id.is_of(*generation) => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        match self.slots.get_mut(id.index() as usize) {
            Some(Slot { generation, content: Content::Used(value) }) if id.is_of(*generation) => Some(value),
            _ => None,
        }
    }

    /// Drops a value after `read` has taken out of it what is still wanted: of a large one often little is.
    #[inline(always)] // Or all of it is copied.
    pub(crate) fn remove_with<R>(&mut self, id: Id<T>, read: impl FnOnce(&mut T) -> R) -> Option<R> {
        let slot = self.slots.get_mut(id.index() as usize)?;
        let Content::Used(value) = &mut slot.content else { return None };
        if !id.is_of(slot.generation) {
            return None;
        }
        let wanted = read(value);
        slot.generation = slot.generation.checked_add(1).unwrap_or(FIRST);
        slot.content = Content::Free { next: self.free };
        self.free = id.index();
        self.used -= 1;
        Some(wanted)
    }

    pub(crate) fn remove(&mut self, id: Id<T>) -> Option<T> {
        let slot = self.slots.get_mut(id.index() as usize)?;
        if !id.is_of(slot.generation) || matches!(slot.content, Content::Free { .. }) {
            return None;
        }
        slot.generation = slot.generation.checked_add(1).unwrap_or(FIRST);
        let content = core::mem::replace(&mut slot.content, Content::Free { next: self.free });
        self.free = id.index();
        self.used -= 1;
        match content {
            Content::Used(value) => Some(value),
            Content::Free { .. } => None,
        }
    }

    /// Drops a value where it is, which costs less than moving it out. False if there is none.
    pub(crate) fn discard(&mut self, id: Id<T>) -> bool {
        let Some(slot) = self.slots.get_mut(id.index() as usize) else { return false };
        if !id.is_of(slot.generation) || matches!(slot.content, Content::Free { .. }) {
            return false;
        }
        slot.generation = slot.generation.checked_add(1).unwrap_or(FIRST);
        slot.content = Content::Free { next: self.free };
        self.free = id.index();
        self.used -= 1;
        true
    }

    /// Number of values that still fit.
    pub(crate) fn free(&self) -> u32 {
        self.capacity() - self.used
    }

    /// Number of slots.
    pub(crate) fn capacity(&self) -> u32 {
        // CAST: made of a u32 in `new`.
        #[expect(clippy::cast_possible_truncation)]
        let capacity = self.slots.len() as u32;
        capacity
    }

    /// Handle of the value in a slot: for recovery, which walks all of them.
    pub(crate) fn at(&self, index: u32) -> Option<Id<T>> {
        match self.slots.get(index as usize)? {
            Slot { generation, content: Content::Used(_) } => Some(Id::new(index, *generation)),
            _ => None,
        }
    }

    /// Number of values in the pool.
    pub(crate) const fn len(&self) -> u32 {
        self.used
    }
}

/// A free place of a pool: see [`Slab::vacant`].
pub(crate) struct Vacant<'a, T> {
    id: Id<T>,
    next: u32,
    slot: &'a mut Slot<T>,
    free: &'a mut u32,
    used: &'a mut u32,
}

impl<T> Vacant<'_, T> {
    /// The handle of what is put there.
    pub(crate) const fn id(&self) -> Id<T> {
        self.id
    }

    /// Takes the place.
    #[inline(always)] // Or the value is first put together elsewhere.
    pub(crate) fn put(self, value: T) -> Id<T> {
        self.slot.content = Content::Used(value);
        *self.free = self.next;
        *self.used += 1;
        self.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_pool_gives_the_value_back() {
        let mut slab = Slab::new(1);
        let id = slab.insert('a').expect("room");
        assert_eq!(slab.insert('b'), Err('b'));
        assert_eq!(slab.get(id), Some(&'a'));
        assert!(Slab::new(0).insert('c').is_err());
    }

    #[test]
    fn a_stale_handle_finds_nothing_after_its_slot_was_reused() {
        let mut slab = Slab::new(1);
        let old = slab.insert(1).expect("room");
        assert_eq!(slab.remove(old), Some(1));
        assert_eq!(slab.remove(old), None);
        let older = slab.insert(3).expect("room");
        assert!(slab.discard(older));
        assert!(!slab.discard(older) && !slab.discard(old));
        assert_eq!(slab.free(), 1);
        let new = slab.insert(2).expect("room");
        assert_eq!(new.index(), old.index());
        assert_eq!(slab.get(old), None);
        assert_eq!(slab.get(Id::from_raw(new.to_raw())), Some(&2));
        assert_eq!(slab.get(Id::from_raw(0)), None);
        assert_eq!(slab.get(Id::from_raw(new.to_raw() & 0xffff_ffff)), None, "no handle has this number");
        assert_eq!(slab.len(), 1);
    }
}
