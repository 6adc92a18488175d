// SPDX-License-Identifier: BSD-2-Clause
//! The trees against plain lists, and their structure after every step.

mod visits;

use proptest::prelude::*;
use std::vec::Vec;

use super::pool::Node;
use super::{Cursor, Entry, Full, Interval, IntervalPool, IntervalTree, Link, NodeId};

fn interval(start: u64, last: u64) -> Interval {
    Interval::new(start.min(last), start.max(last)).unwrap()
}

/// Checks everything that is to hold of a tree's nodes; returns how many there are.
fn assert_sound<V: Copy>(tree: &IntervalTree, pool: &IntervalPool<V>) -> u32 {
    /// Returns size, height and highest end of a subtree.
    fn subtree<V: Copy>(
        tree: &IntervalTree,
        pool: &IntervalPool<V>,
        (link, parent): (Link, Link),
        previous: &mut Option<(u64, u64, u64)>,
    ) -> (u32, u8, u64) {
        let Some(node) = pool.node(link) else {
            return (0, 0, 0);
        };
        assert_eq!(node.parent, parent, "a node does not know its parent");
        assert_eq!(node.tag, tree.tag, "a node is of another tree");
        let left = subtree(tree, pool, (node.left, link), previous);
        let key = (node.interval.start(), node.interval.last(), node.age.unwrap().get());
        assert!(previous.is_none_or(|previous| previous < key), "the order is wrong");
        *previous = Some(key);
        let right = subtree(tree, pool, (node.right, link), previous);
        assert!(left.1.abs_diff(right.1) <= 1, "the tree is out of balance");
        let height = 1 + left.1.max(right.1);
        let max_last = left.2.max(right.2).max(node.interval.last());
        assert_eq!(node.height, height, "a height is wrong");
        assert_eq!(node.max_last, max_last, "a highest end is wrong");
        assert_eq!(node.reach, left.2.max(node.interval.last()), "a reach is wrong");
        (left.0 + right.0 + 1, height, max_last)
    }
    let (size, height, _) = subtree(tree, pool, (tree.root, Link::NONE), &mut None);
    assert_eq!(tree.len(), size);
    assert_eq!(tree.is_empty(), size == 0);
    assert!(f64::from(height) <= 1.4405 * f64::from(size + 2).log2(), "height {height} of {size}");
    size
}

/// Start, last, number of the insertion.
type Key = (u64, u64, usize);

/// What the trees should do: lists in order of their keys.
#[derive(Default)]
struct Naive {
    ranges: Vec<(Key, u32)>,
}

impl Naive {
    fn overlaps(&self, query: Interval) -> impl Iterator<Item = (usize, u32)> {
        self.behind(None, query).map(|(key, value)| (key.2, value))
    }

    fn behind(&self, seen: Option<Key>, query: Interval) -> impl Iterator<Item = (Key, u32)> {
        self.ranges.iter().copied().filter(move |&((start, last, number), _)| {
            let meets = start.max(query.start()) <= last.min(query.last());
            meets && seen.is_none_or(|seen| seen < (start, last, number))
        })
    }
}

const TREES: usize = 3;
const CURSORS: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    Insert {
        tree: usize,
        interval: Interval,
    },
    /// Of any name that was ever handed out, so that most are stale or of another tree.
    Remove {
        tree: usize,
        which: prop::sample::Index,
    },
    /// Of a name that is still good.
    RemoveLiving {
        which: prop::sample::Index,
    },
    Query {
        tree: usize,
        query: Interval,
    },
    Walk {
        tree: usize,
        cursor: usize,
        query: Interval,
    },
    Rewind {
        cursor: usize,
    },
    Clear {
        tree: usize,
    },
}

/// Few addresses, so that ranges are often equal, adjacent, nested; the extremes among them.
fn address() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..40_u64, 1 => (u64::MAX - 4)..=u64::MAX, 1 => any::<u64>()]
}

fn any_interval() -> impl Strategy<Value = Interval> {
    (address(), address(), 0..4_u64, any::<bool>()).prop_map(|(start, last, length, short)| {
        interval(start, if short { start.saturating_add(length) } else { last })
    })
}

fn step() -> impl Strategy<Value = Step> {
    let tree = || 0..TREES;
    prop_oneof![
        12 => (tree(), any_interval()).prop_map(|(tree, interval)| Step::Insert { tree, interval }),
        2 => (tree(), any::<prop::sample::Index>()).prop_map(|(tree, which)| Step::Remove { tree, which }),
        6 => any::<prop::sample::Index>().prop_map(|which| Step::RemoveLiving { which }),
        6 => (tree(), any_interval()).prop_map(|(tree, query)| Step::Query { tree, query }),
        12 => (tree(), 0..CURSORS, any_interval())
            .prop_map(|(tree, cursor, query)| Step::Walk { tree, cursor, query }),
        1 => (0..CURSORS).prop_map(|cursor| Step::Rewind { cursor }),
        1 => tree().prop_map(|tree| Step::Clear { tree }),
    ]
}

/// Trees and lists side by side.
struct Pair {
    pool: IntervalPool<u32>,
    trees: [IntervalTree; TREES],
    lists: [Naive; TREES],
    /// Every name handed out; the position is the number of the insertion.
    names: Vec<(NodeId, usize)>,
    cursors: [(Cursor, Option<Key>); CURSORS],
    slots: (*const Node, *const u32),
}

impl Pair {
    fn new(capacity: u32) -> Self {
        let pool = IntervalPool::with_capacity(capacity);
        let slots = pool.audit();
        Self {
            pool,
            trees: Default::default(),
            lists: Default::default(),
            names: Vec::new(),
            cursors: Default::default(),
            slots,
        }
    }

    /// What the list has under the number that a name stands for.
    fn listed(&self, entry: &Entry<u32>) -> (usize, u32) {
        let number = self.names.iter().position(|&(name, _)| name == entry.id).expect("a name never given");
        (number, entry.value)
    }

    fn remove(&mut self, tree: usize, number: usize) {
        let position = self.lists[tree].ranges.iter().position(|&((_, _, other), _)| other == number);
        let expected = position.map(|position| self.lists[tree].ranges.remove(position).1);
        let serial = self.trees[tree].serial();
        let name = self.names[number].0;
        assert_eq!(self.trees[tree].get(&self.pool, name).map(|entry| entry.value), expected);
        assert_eq!(self.trees[tree].remove(&mut self.pool, name), expected);
        assert_eq!(self.trees[tree].serial() != serial, expected.is_some());
        assert_eq!(self.trees[tree].get(&self.pool, name), None);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Insert { tree, interval } => self.insert(*tree, *interval),
            Step::Remove { tree, which } if !self.names.is_empty() => {
                self.remove(*tree, which.index(self.names.len()));
            }
            Step::RemoveLiving { which } => {
                let living = |tree: &Naive| tree.ranges.iter().map(|r| r.0.2).collect::<Vec<_>>();
                let living: Vec<_> = self.lists.iter().flat_map(living).collect();
                if !living.is_empty() {
                    let number = *which.get(&living);
                    self.remove(self.names[number].1, number);
                }
            }
            Step::Query { tree, query } => self.query(*tree, *query),
            Step::Walk { tree, cursor, query } => self.walk(*tree, *cursor, *query),
            Step::Rewind { cursor } => self.cursors[*cursor] = (Cursor::new(), None),
            Step::Clear { tree } => {
                self.trees[*tree].clear(&mut self.pool);
                self.lists[*tree].ranges.clear();
            }
            Step::Remove { .. } => {}
        }
    }

    fn insert(&mut self, tree: usize, interval: Interval) {
        let number = self.names.len();
        let value = u32::try_from(number % 7).unwrap();
        let serial = self.trees[tree].serial();
        let full = self.pool.in_use() == self.pool.capacity();
        let inserted = self.trees[tree].insert(&mut self.pool, interval, value);
        assert_eq!(inserted.is_err(), full);
        assert_eq!(self.trees[tree].serial() == serial, full);
        if let Ok(name) = inserted {
            let expected = Entry { id: name, interval, value };
            assert_eq!(self.trees[tree].get(&self.pool, name), Some(expected));
            self.names.push((name, tree));
            let ranges = &mut self.lists[tree].ranges;
            ranges.push(((interval.start(), interval.last(), number), value));
            ranges.sort_unstable();
        }
    }

    fn query(&self, tree: usize, query: Interval) {
        let expected: Vec<_> = self.lists[tree].overlaps(query).collect();
        let tree = &self.trees[tree];
        let mut overlaps = tree.overlaps(&self.pool, query);
        let found: Vec<_> = overlaps.by_ref().map(|entry| self.listed(&entry)).collect();
        assert_eq!(found, expected);
        assert_eq!(overlaps.next(), None);
        let first = tree.first_overlap(&self.pool, query).map(|entry| self.listed(&entry));
        assert_eq!(first, expected.first().copied());
        assert_eq!(tree.any_overlap(&self.pool, query), !expected.is_empty());
    }

    fn walk(&mut self, tree: usize, cursor: usize, query: Interval) {
        let (mut moved, seen) = self.cursors[cursor];
        let expected = self.lists[tree].behind(seen, query).next();
        let found = self.trees[tree].next_overlap(&self.pool, &mut moved, query);
        assert_eq!(found.map(|entry| self.listed(&entry)), expected.map(|(key, value)| (key.2, value)));
        match expected {
            Some((key, _)) => self.cursors[cursor] = (moved, Some(key)),
            None => assert_eq!(moved, self.cursors[cursor].0, "a cursor moved without finding anything"),
        }
    }

    fn check(&self) {
        let sizes: u32 = self.trees.iter().map(|tree| assert_sound(tree, &self.pool)).sum();
        assert_eq!(self.pool.in_use(), sizes);
        assert_eq!(self.pool.audit(), self.slots, "the pool was allocated again");
        for tree in 0..TREES {
            self.query(tree, Interval::ALL);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn trees_do_what_plain_lists_do_and_are_sound_after_every_step(
        steps in prop::collection::vec(step(), 1..200),
        capacity in prop_oneof![Just(60_u32), 0..12_u32],
    ) {
        let mut pair = Pair::new(capacity);
        for step in &steps {
            pair.step(step);
            pair.check();
        }
    }

    #[test]
    fn a_walk_finds_every_range_that_stays_once_whatever_changes_meanwhile(
        ranges in prop::collection::vec((any_interval(), any::<bool>()), 1..60),
        query in any_interval(),
        changes in prop::collection::vec((any_interval(), any::<prop::sample::Index>(), 0..4_u8), 1..120),
    ) {
        let mut pool = IntervalPool::with_capacity(200);
        let mut tree = IntervalTree::new();
        let mut passing = Vec::new();
        let mut staying = Vec::new();
        for &(interval, stays) in &ranges {
            let id = tree.insert(&mut pool, interval, stays).unwrap();
            if stays { staying.push(id) } else { passing.push(id) }
        }
        let expected: Vec<_> = tree.overlaps(&pool, query).filter(|e| e.value).map(|e| e.id).collect();
        let mut walked = Vec::new();
        let mut cursor = Cursor::new();
        let mut changes = changes.into_iter();
        // The tree is left alone after the last change, so the walk comes to an end.
        while let Some(entry) = tree.next_overlap(&pool, &mut cursor, query) {
            if entry.value {
                walked.push(entry.id);
            }
            let Some((interval, which, kind)) = changes.next() else { continue };
            match kind {
                0 => passing.push(tree.insert(&mut pool, interval, false).unwrap()),
                // What the walk has just found goes, as when an invalidation drops the last reference.
                1 if !entry.value => {
                    passing.retain(|&id| id != entry.id);
                    prop_assert_eq!(tree.remove(&mut pool, entry.id), Some(false));
                }
                2 if !passing.is_empty() => {
                    let id = passing.swap_remove(which.index(passing.len()));
                    prop_assert_eq!(tree.remove(&mut pool, id), Some(false));
                }
                _ => {}
            }
            assert_sound(&tree, &pool);
        }
        prop_assert_eq!(walked, expected);
    }

    #[test]
    fn two_intervals_overlap_if_an_address_is_in_both(
        (a, b, c, d) in (0..12_u64, 0..12_u64, 0..12_u64, 0..12_u64)
    ) {
        let (one, other) = (interval(a, b), interval(c, d));
        let both = (0..12).any(|address| {
            let within = |i: Interval| i.start() <= address && address <= i.last();
            within(one) && within(other)
        });
        prop_assert_eq!(one.overlaps(other), both);
        prop_assert_eq!(other.overlaps(one), both);
    }
}

#[test]
fn an_interval_is_never_empty_and_never_wraps_around() {
    assert_eq!(Interval::new(1, 0), None);
    assert_eq!(Interval::new(u64::MAX, u64::MAX - 1), None);
    assert_eq!(Interval::new(0, u64::MAX), Some(Interval::ALL));
    assert_eq!(Interval::new(7, 7).map(|i| (i.start(), i.last())), Some((7, 7)));
    assert_eq!(Interval::with_size(0x1000, 0), None);
    assert_eq!(Interval::with_size(0, 0), None);
    assert_eq!(Interval::with_size(0x1000, 0x2000), Interval::new(0x1000, 0x2fff));
    assert_eq!(Interval::with_size(u64::MAX, 1), Interval::new(u64::MAX, u64::MAX));
    assert_eq!(Interval::with_size(u64::MAX, 2), None);
    assert_eq!(Interval::with_size(1, u64::MAX), Interval::new(1, u64::MAX));
    assert_eq!(Interval::with_size(2, u64::MAX), None);
}

#[test]
fn adjacent_ranges_do_not_intersect_and_the_ends_of_the_address_space_are_in_range() {
    let mut pool = IntervalPool::with_capacity(4);
    let mut tree = IntervalTree::new();
    for (value, (start, last)) in
        [(0, 0xfff), (0x1000, 0x1fff), (0x2000, 0x2fff), (u64::MAX, u64::MAX)].into_iter().enumerate()
    {
        tree.insert(&mut pool, interval(start, last), value).unwrap();
    }
    let values = |start, last| -> Vec<usize> {
        tree.overlaps(&pool, interval(start, last)).map(|entry| entry.value).collect()
    };
    assert_eq!(values(0x1000, 0x1fff), [1]);
    assert_eq!(values(0xfff, 0x1000), [0, 1]);
    assert_eq!(values(0xfff, 0x2000), [0, 1, 2]);
    assert_eq!(values(0, 0), [0]);
    assert_eq!(values(0x3000, u64::MAX - 1), []);
    assert_eq!(values(u64::MAX, u64::MAX), [3]);
    assert_eq!(values(0, u64::MAX), [0, 1, 2, 3]);
}

#[test]
fn equal_ranges_are_found_in_the_order_of_their_insertion_and_removed_one_by_one() {
    let mut pool = IntervalPool::with_capacity(9);
    let mut tree = IntervalTree::new();
    let names: Vec<_> = (0..9).map(|v| tree.insert(&mut pool, interval(4, 8), v).unwrap()).collect();
    assert_sound(&tree, &pool);
    assert_eq!(tree.remove(&mut pool, names[4]), Some(4));
    assert_eq!(tree.remove(&mut pool, names[0]), Some(0));
    assert_sound(&tree, &pool);
    let again = tree.insert(&mut pool, interval(4, 8), 4).unwrap();
    assert!(!names.contains(&again), "a name was given twice");
    let values: Vec<_> = tree.overlaps(&pool, interval(8, 9)).map(|entry| entry.value).collect();
    assert_eq!(values, [1, 2, 3, 5, 6, 7, 8, 4]);
}

#[test]
fn an_exhausted_pool_refuses_and_leaves_everything_as_it_was() {
    let mut pool = IntervalPool::with_capacity(3);
    let (mut tree, mut empty) = (IntervalTree::new(), IntervalTree::new());
    let names: Vec<_> = (0..3).map(|v| tree.insert(&mut pool, interval(v, v), v).unwrap()).collect();
    let before: Vec<_> = tree.overlaps(&pool, Interval::ALL).collect();
    let mut cursor = Cursor::new();
    tree.next_overlap(&pool, &mut cursor, Interval::ALL);
    let serial = tree.serial();

    assert_eq!(tree.insert(&mut pool, interval(9, 9), 9), Err(Full));
    assert_eq!(empty.insert(&mut pool, interval(9, 9), 9), Err(Full));

    assert_eq!(tree.serial(), serial);
    assert_eq!(tree.overlaps(&pool, Interval::ALL).collect::<Vec<_>>(), before);
    assert_eq!(tree.next_overlap(&pool, &mut cursor, Interval::ALL), Some(before[1]));
    assert_eq!((pool.in_use(), pool.capacity(), empty.len()), (3, 3, 0));
    assert_sound(&tree, &pool);
    assert_sound(&empty, &pool);

    assert_eq!(tree.remove(&mut pool, names[1]), Some(1));
    assert!(empty.insert(&mut pool, interval(9, 9), 9).is_ok());
    assert_eq!(IntervalTree::new().insert(&mut IntervalPool::with_capacity(0), Interval::ALL, 0), Err(Full));
}

#[test]
fn a_name_is_good_only_in_its_own_tree_and_only_until_the_range_is_removed() {
    let mut pool = IntervalPool::with_capacity(2);
    let (mut one, mut other) = (IntervalTree::new(), IntervalTree::new());
    let gone = one.insert(&mut pool, interval(1, 2), 'a').unwrap();
    let foreign = other.insert(&mut pool, interval(1, 2), 'b').unwrap();
    assert_eq!(one.remove(&mut pool, foreign), None);
    assert_eq!(one.get(&pool, foreign), None);
    assert_eq!(one.remove(&mut pool, gone), Some('a'));
    let successor = one.insert(&mut pool, interval(1, 2), 'c').unwrap();
    assert_eq!(successor.link, gone.link, "the slot was to be used again");
    assert_eq!(one.remove(&mut pool, gone), None);
    assert_eq!(one.get(&pool, gone), None);
    one.clear(&mut pool);
    assert_eq!(one.remove(&mut pool, successor), None);
    assert_eq!(other.get(&pool, foreign).map(|entry| entry.value), Some('b'));
    assert_eq!((one.len(), other.len(), pool.in_use()), (0, 1, 1));
}

#[test]
#[should_panic(expected = "the tree is of another pool")]
#[cfg(debug_assertions)]
fn a_debug_build_refuses_a_tree_that_is_used_with_another_pool() {
    let (mut one, other) = (IntervalPool::with_capacity(1), IntervalPool::<u32>::with_capacity(1));
    let mut tree = IntervalTree::new();
    tree.insert(&mut one, Interval::ALL, 1).unwrap();
    let _ = tree.any_overlap(&other, Interval::ALL);
}

/// The numbers below `n` in an order that looks random: `n` coprime to the step.
fn shuffled(n: u64) -> impl Iterator<Item = u64> {
    const PRIME: u64 = 7_919;
    assert!(!n.is_multiple_of(PRIME));
    (0..n).map(move |i| i * PRIME % n)
}

#[test]
fn the_structure_holds_while_a_tree_grows_and_shrinks_in_every_order() {
    const N: u64 = 300;
    let orders: [fn() -> Vec<u64>; 3] =
        [|| (0..N).collect(), || (0..N).rev().collect(), || shuffled(N).collect()];
    for insertion in orders {
        for removal in orders {
            let mut pool = IntervalPool::with_capacity(300);
            let mut tree = IntervalTree::new();
            let mut names = [None; 300];
            for i in insertion() {
                // The lengths differ, so that the highest end wanders through the tree.
                let inserted = tree.insert(&mut pool, interval(i * 10, i * 10 + i * 37 % 101), i);
                names[usize::try_from(i).unwrap()] = inserted.ok();
                assert_sound(&tree, &pool);
            }
            for i in removal() {
                let name = names[usize::try_from(i).unwrap()].unwrap();
                assert_eq!(tree.remove(&mut pool, name), Some(i));
                assert_sound(&tree, &pool);
            }
            assert_eq!(pool.in_use(), 0);
        }
    }
}
