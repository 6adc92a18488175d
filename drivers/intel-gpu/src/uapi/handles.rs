// SPDX-License-Identifier: BSD-2-Clause
//! Per-client tables of handles: the names that clients give and get for what is in the driver's pools.

use alloc::vec::Vec;

use crate::handle::Id;

/// A client's names for things of one kind: small numbers from 1 upward, lowest free first, as Linux's
/// idr hands them out.
#[derive(Debug)]
pub(crate) struct Handles<T> {
    slots: Vec<Option<Id<T>>>,
}

impl<T> Handles<T> {
    /// A table of at most `capacity` handles.
    pub(crate) fn with_capacity(capacity: u32) -> Self {
        let mut slots = Vec::new();
        slots.resize(capacity as usize, None);
        Self { slots }
    }

    /// Names an entry; `None` when the table is full.
    pub(crate) fn insert(&mut self, id: Id<T>) -> Option<u32> {
        let position = self.slots.iter().position(Option::is_none)?;
        *self.slots.get_mut(position)? = Some(id);
        u32::try_from(position + 1).ok()
    }

    /// The entry that a handle names.
    pub(crate) fn get(&self, handle: u32) -> Option<Id<T>> {
        let position = usize::try_from(handle).ok()?.checked_sub(1)?;
        *self.slots.get(position)?
    }

    /// Forgets a handle and returns what it named.
    pub(crate) fn remove(&mut self, handle: u32) -> Option<Id<T>> {
        let position = usize::try_from(handle).ok()?.checked_sub(1)?;
        self.slots.get_mut(position)?.take()
    }

    /// Number of handles.
    pub(crate) fn len(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Whether another handle can be made.
    pub(crate) fn has_room(&self) -> bool {
        self.slots.iter().any(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> Id<u8> {
        Id::from_raw(number)
    }

    #[test]
    fn handles_start_at_one_and_the_lowest_free_is_given_next() {
        let mut handles = Handles::with_capacity(3);
        assert_eq!(handles.insert(id(7)), Some(1));
        assert_eq!(handles.insert(id(8)), Some(2));
        assert_eq!(handles.insert(id(9)), Some(3));
        assert!(!handles.has_room());
        assert_eq!(handles.insert(id(10)), None);
        assert_eq!(handles.remove(2), Some(id(8)));
        assert_eq!(handles.get(2), None);
        assert_eq!(handles.insert(id(11)), Some(2));
        assert_eq!(handles.get(0), None);
        assert_eq!(handles.get(u32::MAX), None);
    }
}
