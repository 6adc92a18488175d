// SPDX-License-Identifier: BSD-2-Clause
//! Per-client tables of handles: the names that clients give and get for what is in the driver's pools.

use alloc::vec;
use alloc::vec::Vec;

use crate::handle::Id;

/// Which places of a table are in use. Finding the lowest free one looks at 64 places at a time, and at none of the full
/// ones at the start.
#[derive(Debug)]
pub(crate) struct Places {
    words: Vec<u64>,
    /// All words before this one are full.
    full: usize,
    capacity: usize,
}

impl Places {
    /// `capacity` free places.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { words: vec![0; capacity.div_ceil(64)], full: 0, capacity }
    }

    /// Bytes that so many places take.
    pub(crate) const fn bytes(capacity: usize) -> usize {
        capacity.div_ceil(64) * size_of::<u64>()
    }

    /// The first place that is not in use.
    pub(crate) fn lowest_free(&self) -> Option<usize> {
        let word = self.full + self.words.get(self.full..)?.iter().position(|word| *word != u64::MAX)?;
        let place = word * 64 + self.words.get(word)?.trailing_ones() as usize;
        (place < self.capacity).then_some(place)
    }

    /// Takes a place.
    pub(crate) fn set(&mut self, place: usize) {
        if let Some(word) = self.words.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
        while self.words.get(self.full) == Some(&u64::MAX) {
            self.full += 1;
        }
    }

    /// Gives a place back.
    pub(crate) fn clear(&mut self, place: usize) {
        if let Some(word) = self.words.get_mut(place / 64) {
            *word &= !(1 << (place % 64));
            self.full = self.full.min(place / 64);
        }
    }
}

/// A client's names for things of one kind: small numbers from 1 upward, lowest free first, as Linux's
/// idr hands them out.
#[derive(Debug)]
pub(crate) struct Handles<T> {
    slots: Vec<Option<Id<T>>>,
    places: Places,
}

impl<T> Handles<T> {
    /// A table of at most `capacity` handles.
    pub(crate) fn with_capacity(capacity: u32) -> Self {
        let mut slots = Vec::new();
        slots.resize(capacity as usize, None);
        let places = Places::with_capacity(slots.len());
        Self { slots, places }
    }

    /// Bytes that a table takes.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        // CAST: widening on every target of this driver.
        capacity as usize * size_of::<Option<Id<T>>>() + Places::bytes(capacity as usize)
    }

    /// Names an entry; `None` when the table is full.
    pub(crate) fn insert(&mut self, id: Id<T>) -> Option<u32> {
        let position = self.places.lowest_free().filter(|_| !crate::fail::point())?;
        *self.slots.get_mut(position)? = Some(id);
        self.places.set(position);
        u32::try_from(position + 1).ok()
    }

    /// The lowest handle that names something.
    pub(crate) fn first(&self) -> Option<u32> {
        let position = self.slots.iter().position(Option::is_some)?;
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
        let removed = self.slots.get_mut(position)?.take()?;
        self.places.clear(position);
        Some(removed)
    }

    /// The lowest handle that names an entry.
    pub(crate) fn find(&self, id: Id<T>) -> Option<u32> {
        let position = self.slots.iter().position(|slot| *slot == Some(id))?;
        u32::try_from(position + 1).ok()
    }

    /// Number of handles.
    pub(crate) fn len(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Whether another handle can be made.
    pub(crate) fn has_room(&self) -> bool {
        self.places.lowest_free().is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn the_lowest_free_place_is_the_one_that_a_look_at_all_finds(
            steps in prop::collection::vec((any::<bool>(), 0_usize..150), 1..400),
        ) {
            let mut places = Places::with_capacity(150);
            let mut taken = [false; 150];
            for (take, place) in steps {
                // Most of the time the lowest, as handles are.
                let place = places.lowest_free().filter(|_| take && place > 20).unwrap_or(place);
                if take { places.set(place) } else { places.clear(place) }
                taken[place] = take;
                prop_assert_eq!(places.lowest_free(), taken.iter().position(|taken| !taken));
            }
        }
    }

    #[test]
    fn the_lowest_free_place_is_found_across_words_and_none_beyond_the_end() {
        let mut places = Places::with_capacity(130);
        for place in 0..130 {
            assert_eq!(places.lowest_free(), Some(place));
            places.set(place);
        }
        assert_eq!(places.lowest_free(), None);
        for place in [129, 64, 63, 0] {
            places.clear(place);
            assert_eq!(places.lowest_free(), Some(place));
        }
    }
}
