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
    /// Number of when it was queued behind the others last.
    arrival: u64,
}

impl<T> Links<T> {
    pub(crate) const fn new() -> Self {
        Self { previous: None, next: None, queued_at: None, arrival: 0 }
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
    /// The one that was found to wait for longest, its arrival, and since when it has been watched, in nanoseconds.
    watched: Option<(Id<T>, u64)>,
    watched_since_ns: u64,
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
        Self { levels, summary: 0, used: [0; WORDS], watched: None, watched_since_ns: 0 }
    }

    /// Bytes that it takes beside itself.
    pub(crate) const fn bytes() -> usize {
        LEVELS * size_of::<Level<T>>()
    }

    /// Puts `id` behind the others of its priority. `arrival` is larger for whatever is queued later, anywhere.
    pub(crate) fn push_back(&mut self, pool: &mut impl Linked<T>, id: Id<T>, priority: i16, arrival: u64) {
        let at = level(priority);
        let last = self.levels[at].last;
        let Some(links) = pool.links(id) else { return };
        debug_assert!(links.queued_at.is_none(), "queued twice");
        *links = Links { previous: last, next: None, queued_at: Some(priority), arrival };
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
        // It comes back: it has been waiting for the rest of its turn since it came first.
        *links = Links { previous: None, next: first, queued_at: Some(priority), arrival: links.arrival };
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
        *links = Links { arrival: links.arrival, ..Links::new() };
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

    /// Looks once every `period_ns` which one has been waiting for longest, of the first ones of each priority below
    /// `limit` and of `besides`, which has left the queue and not got its turn, and returns it if it still waits after the
    /// next period. To be called every now and then.
    pub(crate) fn passed_over(
        &mut self,
        pool: &mut impl Linked<T>,
        (now_ns, period_ns): (u64, u64),
        limit: i16,
        besides: Option<Id<T>>,
    ) -> Option<Id<T>> {
        if now_ns.saturating_sub(self.watched_since_ns) < period_ns {
            return None;
        }
        self.watched_since_ns = now_ns;
        let watched = self.watched.take();
        let still = watched.filter(|(id, arrival)| {
            let waits = |links: &Links<T>| links.queued_at.is_some() || besides == Some(*id);
            pool.links(*id).is_some_and(|links| waits(links) && links.arrival == *arrival)
        });
        if let Some((id, _)) = still {
            return Some(id);
        }
        let mut oldest = besides.and_then(|id| pool.links(id).map(|links| (id, links.arrival)));
        for word in (0..WORDS).filter(|word| self.summary >> word & 1 != 0) {
            let mut bits = self.used[word];
            while bits != 0 {
                let at = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(id) = self.levels[at].first.filter(|_| at < level(limit)) else { continue };
                let arrival = pool.links(id).map_or(u64::MAX, |links| links.arrival);
                if oldest.is_none_or(|(_, earliest)| arrival < earliest) {
                    oldest = Some((id, arrival));
                }
            }
        }
        self.watched = oldest;
        None
    }

    fn mark(&mut self, at: usize) {
        self.used[at / 64] |= 1 << (at % 64);
        self.summary |= 1 << (at / 64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    #[test]
    fn the_first_that_came_and_still_waits_after_a_period_has_been_passed_over() {
        let mut pool = Slab::new(4);
        let ids: Vec<_> = (0..4).map(|_| pool.insert(Thing(Links::new())).ok().expect("room")).collect();
        let mut queue = Queue::new();
        for (arrival, (id, priority)) in (1..).zip(ids.iter().zip([5, -3, -3, 0])) {
            queue.push_back(&mut pool, *id, priority, arrival);
        }
        // The one at 5 is as urgent as what runs.
        let look = |queue: &mut Queue<Thing>, pool: &mut Slab<Thing>, now, besides| {
            queue.passed_over(pool, (now, 10), 5, besides)
        };
        assert_eq!(look(&mut queue, &mut pool, 10, None), None, "it is seen for the first time");
        assert_eq!(look(&mut queue, &mut pool, 15, None), None, "too early");
        assert_eq!(look(&mut queue, &mut pool, 20, None), Some(ids[1]));
        queue.remove(&mut pool, ids[1]);
        assert_eq!(look(&mut queue, &mut pool, 30, None), None);
        // It got its turn meanwhile, and came back.
        queue.remove(&mut pool, ids[2]);
        queue.push_back(&mut pool, ids[2], -3, 5);
        assert_eq!(look(&mut queue, &mut pool, 40, None), None);
        // Interrupted, it waits for the rest of its turn; and as the next one it waits, too.
        queue.remove(&mut pool, ids[3]);
        queue.push_front(&mut pool, ids[3], 0);
        assert_eq!(look(&mut queue, &mut pool, 50, None), Some(ids[3]));
        queue.remove(&mut pool, ids[3]);
        assert_eq!(look(&mut queue, &mut pool, 60, Some(ids[3])), None);
        assert_eq!(look(&mut queue, &mut pool, 70, Some(ids[3])), Some(ids[3]));
    }

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
            let mut arrival = 0;
            for (kind, which, priority) in steps {
                let queued = naive.values().any(|level| level.contains(&which));
                match kind {
                    0 if !queued => {
                        arrival += 1;
                        queue.push_back(&mut pool, ids[which], priority, arrival);
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
