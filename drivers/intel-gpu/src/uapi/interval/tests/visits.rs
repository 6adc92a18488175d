// SPDX-License-Identifier: BSD-2-Clause
//! How many nodes are looked at (nodes that turn out not to be there included): counts, not times.

use super::{assert_sound, interval, shuffled};
use crate::uapi::interval::{Cursor, Interval, IntervalPool, IntervalTree};
use std::vec::Vec;

const PAGE: u64 = 0x1000;

fn page(number: u64) -> Interval {
    Interval::with_size(number * PAGE, PAGE).unwrap()
}

/// Ranges of two pages each. Adjacent: from one end of the pages to the other. Overlapping: in pairs of
/// which the one is half upon the other, as when an object is made anew while the old one is dying.
/// Returns the number of pages as well.
fn filled(n: u64, overlapping: bool) -> (IntervalPool<u64>, IntervalTree, u64) {
    let mut pool = IntervalPool::with_capacity(u32::try_from(n).unwrap());
    let mut tree = IntervalTree::new();
    for i in shuffled(n) {
        let first = if overlapping { i / 2 * 3 + i % 2 } else { i * 2 };
        tree.insert(&mut pool, Interval::with_size(first * PAGE, 2 * PAGE).unwrap(), i).unwrap();
    }
    assert_sound(&tree, &pool);
    (pool, tree, if overlapping { n / 2 * 3 } else { n * 2 })
}

/// The visits of one lookup on average, over some 1,000 of them at evenly spaced places.
fn average(pool: &IntervalPool<u64>, pages: u64, lookup: impl Fn(Interval)) -> f64 {
    let places: Vec<_> = (0..pages).step_by(usize::try_from(pages / 1000).unwrap().max(1)).collect();
    pool.visits.set(0);
    for &place in &places {
        lookup(page(place));
    }
    f64::from(u32::try_from(pool.visits.get()).unwrap()) / f64::from(u32::try_from(places.len()).unwrap())
}

/// Average visits of: the first overlap, all overlaps, the question whether there is any.
fn lookups(n: u64, overlapping: bool) -> [f64; 3] {
    let (pool, tree, pages) = filled(n, overlapping);
    [
        average(&pool, pages, |query| assert!(tree.first_overlap(&pool, query).is_some())),
        average(&pool, pages, |query| assert!((1..=2).contains(&tree.overlaps(&pool, query).count()))),
        average(&pool, pages, |query| assert!(tree.any_overlap(&pool, query))),
    ]
}

#[test]
fn a_lookup_among_100_000_ranges_visits_less_than_4_times_the_nodes_of_one_among_10() {
    for overlapping in [false, true] {
        let [few, many] = [10, 100_000].map(|n| lookups(n, overlapping));
        for (n, found) in [(10, few), (1_000, lookups(1_000, overlapping)), (100_000, many)] {
            let how = if overlapping { "overlapping" } else { "adjacent" };
            for (what, visits) in ["first", "all", "any"].into_iter().zip(found) {
                std::println!("bench: interval-{what}-overlap-among-{n}-{how} {visits:.1} nodes");
            }
        }
        for (few, many) in few.into_iter().zip(many) {
            // log2(100,000 / 10) levels more, and a little for what is not perfectly balanced.
            assert!(many - few < 1.1 * 10_000_f64.log2(), "{many} against {few}, {overlapping}");
        }
        // Whether there is any takes nothing but the way down, for which the logarithms are 1 to 5.
        for (few, many) in few.into_iter().zip(many).take(2) {
            assert!(many < 4.0 * few, "{many} against {few}, overlapping: {overlapping}");
        }
    }
}

#[test]
fn a_search_goes_down_once_and_not_back() {
    let (pool, tree, pages) = filled(100_000, true);
    let height = u64::from(pool.node(tree.root).unwrap().height);
    for place in (0..pages).step_by(997) {
        pool.visits.set(0);
        let found = tree.first_overlap(&pool, page(place));
        // The way down, a left child that the way does not lead to, and the node that is answered.
        assert!(found.is_some() && pool.visits.get() <= height + 2, "{}", pool.visits.get());
    }
    pool.visits.set(0);
    assert!(!tree.any_overlap(&pool, page(pages)));
    assert!(pool.visits.get() <= height + 1, "{}", pool.visits.get());
}

#[test]
fn the_ranges_that_an_invalidation_touches_cost_a_few_visits_each() {
    let (pool, tree, pages) = filled(100_000, false);
    let height = u64::from(pool.node(tree.root).unwrap().height);
    for size in [1, 10, 100, 1_000, 10_000, 100_000] {
        let query = Interval::with_size(pages / 3 * PAGE, size * PAGE).unwrap();
        pool.visits.set(0);
        let found = u64::try_from(tree.overlaps(&pool, query).count()).unwrap();
        let iterated = pool.visits.get();
        std::println!("{found} ranges: {iterated} visits");
        assert!(found >= size / 2 && iterated <= 6 * found + 4 * height, "{found}: {iterated}");

        pool.visits.set(0);
        let mut cursor = Cursor::new();
        let walked = core::iter::from_fn(|| tree.next_overlap(&pool, &mut cursor, query)).count();
        assert_eq!(u64::try_from(walked).unwrap(), found);
        let steps = pool.visits.get();
        assert!(steps <= iterated + 2 * found + 2, "{steps} in a walk, {iterated} in an iteration");
    }
}

#[test]
fn long_ranges_scattered_among_short_ones_cost_a_way_through_the_tree_each_at_most() {
    let mut pool = IntervalPool::with_capacity(65_536);
    let mut tree = IntervalTree::new();
    let end = 65_536 * PAGE;
    for i in 0..65_536 {
        let last = if i % 1_024 == 7 { end } else { i * PAGE };
        tree.insert(&mut pool, interval(i * PAGE, last), i).unwrap();
    }
    let height = u64::from(pool.node(tree.root).unwrap().height);
    pool.visits.set(0);
    assert_eq!(tree.overlaps(&pool, page(65_536)).count(), 64);
    assert!(pool.visits.get() <= (64 + 1) * 3 * height, "{}", pool.visits.get());
}

#[test]
fn a_step_of_a_walk_costs_a_search_after_a_change_however_far_the_walk_is() {
    let (mut pool, mut tree, pages) = filled(99_999, false);
    let mut cursor = Cursor::new();
    for _ in 0..500 {
        // What is found goes, and so does what was found before.
        let found = tree.next_overlap(&pool, &mut cursor, Interval::ALL).unwrap();
        tree.remove(&mut pool, found.id).unwrap();
        let height = u64::from(pool.node(tree.root).unwrap().height);
        pool.visits.set(0);
        let mut ahead = cursor;
        assert!(tree.next_overlap(&pool, &mut ahead, page(pages - 1)).is_some());
        assert!(pool.visits.get() <= 5 * height, "{}", pool.visits.get());
    }
}
