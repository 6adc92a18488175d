// SPDX-License-Identifier: BSD-2-Clause
//! Contexts that wait for an engine: a first-in-first-out list per priority and a two-level bitmap over
//! the priorities that have any. Every operation takes constant time, however many wait.

use alloc::vec::Vec;

use crate::handle::Id;

/// Lowest and highest priority of a context (i915: I915_CONTEXT_MIN/MAX_USER_PRIORITY).
pub(crate) const MIN_PRIORITY: i16 = -1023;
/// See [`MIN_PRIORITY`].
pub(crate) const MAX_PRIORITY: i16 = 1023;
/// Priority of the driver's own requests: above every client's.
pub(crate) const KERNEL_PRIORITY: i16 = 1024;

const LEVELS: usize = 2048;
const WORDS: usize = LEVELS.div_ceil(64);

/// What a queued thing carries.
pub(crate) struct Links<T> {
    previous: Option<Id<T>>,
    next: Option<Id<T>>,
    /// Priority it is queued at; the thing's own may change meanwhile.
    queued_at: Option<i16>,
}

impl<T> Links<T> {
    pub(crate) const fn new() -> Self {
        Self { previous: None, next: None, queued_at: None }
    }
}

impl<T> core::fmt::Debug for Links<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Links({:?})", self.queued_at)
    }
}

/// A pool whose values carry links.
pub(crate) trait Linked<T> {
    fn links(&mut self, id: Id<T>) -> Option<&mut Links<T>>;
}

struct Level<T> {
    first: Option<Id<T>>,
    last: Option<Id<T>>,
}

impl<T> Clone for Level<T> {
    fn clone(&self) -> Self {
        Self { first: self.first, last: self.last }
    }
}

/// The queue of one engine.
pub(crate) struct Queue<T> {
    levels: Vec<Level<T>>,
    /// Bit w: `used[w]` is not zero.
    summary: u32,
    used: [u64; WORDS],
}

impl<T> core::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Queue(highest {:?})", self.highest())
    }
}

/// Index of a priority's level: clamped, so that it is always inside.
fn level(priority: i16) -> usize {
    usize::try_from(i32::from(priority.clamp(MIN_PRIORITY, KERNEL_PRIORITY)) - i32::from(MIN_PRIORITY))
        .unwrap_or(0)
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let mut levels = Vec::new();
        levels.resize(LEVELS, Level { first: None, last: None });
        Self { levels, summary: 0, used: [0; WORDS] }
    }

    /// Puts `id` behind the others of its priority.
    pub(crate) fn push_back(&mut self, pool: &mut impl Linked<T>, id: Id<T>, priority: i16) {
        let at = level(priority);
        let last = self.levels[at].last;
        let Some(links) = pool.links(id) else { return };
        debug_assert!(links.queued_at.is_none(), "queued twice");
        *links = Links { previous: last, next: None, queued_at: Some(priority) };
        match last.and_then(|last| pool.links(last)) {
            Some(links) => links.next = Some(id),
            None => self.levels[at].first = Some(id),
        }
        self.levels[at].last = Some(id);
        self.mark(at);
    }

    /// Puts `id` before the others of its priority: it was running and did not give up its turn.
    pub(crate) fn push_front(&mut self, pool: &mut impl Linked<T>, id: Id<T>, priority: i16) {
        let at = level(priority);
        let first = self.levels[at].first;
        let Some(links) = pool.links(id) else { return };
        debug_assert!(links.queued_at.is_none(), "queued twice");
        *links = Links { previous: None, next: first, queued_at: Some(priority) };
        match first.and_then(|first| pool.links(first)) {
            Some(links) => links.previous = Some(id),
            None => self.levels[at].last = Some(id),
        }
        self.levels[at].first = Some(id);
        self.mark(at);
    }

    /// Takes `id` out, if it is in.
    pub(crate) fn remove(&mut self, pool: &mut impl Linked<T>, id: Id<T>) {
        let Some(links) = pool.links(id) else { return };
        let Some(priority) = links.queued_at else { return };
        let (previous, next) = (links.previous, links.next);
        *links = Links::new();
        let at = level(priority);
        match previous.and_then(|previous| pool.links(previous)) {
            Some(links) => links.next = next,
            None => self.levels[at].first = next,
        }
        match next.and_then(|next| pool.links(next)) {
            Some(links) => links.previous = previous,
            None => self.levels[at].last = previous,
        }
        if self.levels[at].first.is_none() {
            self.used[at / 64] &= !(1 << (at % 64));
            if self.used[at / 64] == 0 {
                self.summary &= !(1 << (at / 64));
            }
        }
    }

    /// The first of the highest priority, and that priority.
    pub(crate) fn highest(&self) -> Option<(Id<T>, i16)> {
        let word = 31u32.checked_sub(self.summary.leading_zeros())? as usize;
        let bit = 63u32.checked_sub(self.used[word].leading_zeros())? as usize;
        let at = word * 64 + bit;
        let priority = i16::try_from(at).ok()? + MIN_PRIORITY;
        Some((self.levels[at].first?, priority))
    }

    /// Takes [`Self::highest`] out.
    pub(crate) fn pop(&mut self, pool: &mut impl Linked<T>) -> Option<Id<T>> {
        let (id, _) = self.highest()?;
        self.remove(pool, id);
        Some(id)
    }

    fn mark(&mut self, at: usize) {
        self.used[at / 64] |= 1 << (at % 64);
        self.summary |= 1 << (at / 64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use super::*;
    use crate::handle::Slab;
    use proptest::prelude::*;

    struct Thing(Links<Thing>);

    impl Linked<Thing> for Slab<Thing> {
        fn links(&mut self, id: Id<Thing>) -> Option<&mut Links<Thing>> {
            self.get_mut(id).map(|thing| &mut thing.0)
        }
    }

    proptest! {
        #[test]
        fn it_serves_by_priority_and_then_by_arrival(
            steps in prop::collection::vec((0u8..4, 0usize..8, -1023i16..=1024), 1..100)
        ) {
            let mut pool = Slab::new(8);
            let ids: Vec<_> = (0..8).map(|_| pool.insert(Thing(Links::new())).ok().expect("room")).collect();
            let mut queue = Queue::new();
            let mut naive: BTreeMap<i16, VecDeque<usize>> = BTreeMap::new();
            for (kind, which, priority) in steps {
                let queued = naive.values().any(|level| level.contains(&which));
                match kind {
                    0 if !queued => {
                        queue.push_back(&mut pool, ids[which], priority);
                        naive.entry(priority).or_default().push_back(which);
                    }
                    1 if !queued => {
                        queue.push_front(&mut pool, ids[which], priority);
                        naive.entry(priority).or_default().push_front(which);
                    }
                    2 => {
                        queue.remove(&mut pool, ids[which]);
                        naive.values_mut().for_each(|level| level.retain(|other| *other != which));
                    }
                    _ => {
                        let expected = naive.values_mut().rev().find_map(VecDeque::pop_front);
                        prop_assert_eq!(queue.pop(&mut pool), expected.map(|which| ids[which]));
                    }
                }
                let highest = naive.iter().rev().find(|level| !level.1.is_empty()).map(|level| *level.0);
                prop_assert_eq!(queue.highest().map(|highest| highest.1), highest);
            }
        }
    }
}
