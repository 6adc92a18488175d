// SPDX-License-Identifier: BSD-2-Clause
//! Finds values of a pool by what they are about: a hash table whose chains run through the values, so that nothing is
//! allocated after the start.

use alloc::vec::Vec;

use crate::handle::{Id, Slab};

/// A value that can be found by its key.
pub(crate) trait Indexed: Sized {
    /// What it is found by; no two values that are indexed at a time have the same.
    type Key: Copy + Eq;
    /// Its key, which does not change while it is indexed.
    fn key(&self) -> Self::Key;
    /// A number of which the low bits say where a key is looked for.
    fn spread(key: Self::Key) -> u32;
    /// Link to the next value of the same chain.
    fn chain(&mut self) -> &mut Option<Id<Self>>;
    /// What [`Self::chain`] leads to.
    fn next_in_chain(&self) -> Option<Id<Self>>;
}

/// Takes numbers that follow each other far from each other (Knuth, volume 3, 6.4: the golden ratio).
pub(crate) const fn scatter(number: u32) -> u32 {
    number.wrapping_mul(0x9e37_79b1)
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Index<T> {
    buckets: Vec<Option<Id<T>>>,
}

impl<T: Indexed> Index<T> {
    /// A table for at most `capacity` values.
    pub(crate) fn new(capacity: u32) -> Self {
        let mut buckets = Vec::new();
        buckets.resize(capacity.max(1).next_power_of_two() as usize, None);
        Self { buckets }
    }

    /// Bytes that a table takes.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        let capacity = if capacity == 0 { 1 } else { capacity };
        // CAST: widening on every target of this driver.
        capacity.next_power_of_two() as usize * size_of::<Option<Id<T>>>()
    }

    fn bucket(&self, key: T::Key) -> usize {
        T::spread(key) as usize & (self.buckets.len() - 1)
    }

    /// Adds a value.
    pub(crate) fn insert(&mut self, pool: &mut Slab<T>, id: Id<T>) {
        let Some(value) = pool.get_mut(id) else { return };
        *value.chain() = self.enter(value.key(), id);
    }

    /// Adds a value that is about to be put into its pool. Returns what its [`Indexed::chain`] has to be.
    #[inline]
    pub(crate) fn enter(&mut self, key: T::Key, id: Id<T>) -> Option<Id<T>> {
        let at = self.bucket(key);
        self.buckets.get_mut(at).and_then(|bucket| bucket.replace(id))
    }

    /// Takes a value out, which is in the pool still.
    pub(crate) fn remove(&mut self, pool: &mut Slab<T>, id: Id<T>) {
        let Some(value) = pool.get_mut(id) else { return };
        let (key, after) = (value.key(), value.chain().take());
        self.leave(pool, id, key, after);
    }

    /// Takes a value out of which the key is known, and what its [`Indexed::chain`] was.
    #[inline]
    pub(crate) fn leave(&mut self, pool: &mut Slab<T>, id: Id<T>, key: T::Key, after: Option<Id<T>>) {
        let at = self.bucket(key);
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        if *bucket == Some(id) {
            *bucket = after;
            return;
        }
        let mut next = *bucket;
        while let Some(other) = next.and_then(|other| pool.get_mut(other)) {
            next = other.next_in_chain();
            if next == Some(id) {
                *other.chain() = after;
                return;
            }
        }
    }

    /// The value of a key, if it is indexed.
    pub(crate) fn find(&self, pool: &Slab<T>, key: T::Key) -> Option<Id<T>> {
        let mut next = self.buckets.get(self.bucket(key)).copied().flatten();
        while let Some(id) = next {
            let value = pool.get(id)?;
            if value.key() == key {
                return Some(id);
            }
            next = value.next_in_chain();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    struct Thing {
        key: u32,
        chain: Option<Id<Self>>,
    }

    impl Indexed for Thing {
        type Key = u32;
        fn key(&self) -> u32 {
            self.key
        }
        fn spread(key: u32) -> u32 {
            key / 3 // some share a bucket
        }
        fn chain(&mut self) -> &mut Option<Id<Self>> {
            &mut self.chain
        }
        fn next_in_chain(&self) -> Option<Id<Self>> {
            self.chain
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_a_map_finds(steps in prop::collection::vec((any::<bool>(), 0u32..40), 1..200)) {
            let mut pool = Slab::new(8);
            let mut index = Index::new(8);
            let mut naive = BTreeMap::new();
            for (add, key) in steps {
                if add && !naive.contains_key(&key) {
                    if let Ok(id) = pool.insert(Thing { key, chain: None }) {
                        index.insert(&mut pool, id);
                        naive.insert(key, id);
                    }
                } else if let Some(id) = naive.remove(&key) {
                    index.remove(&mut pool, id);
                    prop_assert!(pool.remove(id).is_some());
                }
                for key in 0..40 {
                    prop_assert_eq!(index.find(&pool, key), naive.get(&key).copied());
                }
            }
        }
    }
}
