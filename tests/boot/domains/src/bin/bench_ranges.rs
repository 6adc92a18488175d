// SPDX-License-Identifier: BSD-2-Clause
//! Measures the structure that finds the objects of a range: lookups at places all over 10, 1,000 and 100,000 ranges which
//! lie side by side, or in pairs that overlap by half, as when an object is made anew while the old one is dying; and
//! what an object pays that is made and closed among them. The judge.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "the allocator is given its memory")]

use core::hint::black_box;
use core::ptr;

use boot_domains::{figure, ratio, ticks};
use intel_gpu::uapi::interval::{Cursor, Interval, IntervalPool, IntervalTree};
use linked_list_allocator::LockedHeap;
use sel4_microkit::{NullHandler, protection_domain, var};

#[global_allocator]
static HEAP: LockedHeap = LockedHeap::empty();

const PAGE: u64 = 4096;
/// As IGT's `gem_userptr_benchmark` makes them: 64 KiB.
const PAGES_PER_RANGE: u64 = 16;
const COUNTS: [u32; 3] = [10, 1_000, 100_000];
/// Lookups that a figure is the average of.
const LOOKUPS: u32 = 1_000;
const WHATS: [&str; 4] = ["any", "first", "walk", "insert-remove"];

/// An address space.
struct Ranges {
    pool: IntervalPool<u32>,
    tree: IntervalTree,
    pages: u64,
}

fn pages(first: u64, count: u64) -> Interval {
    Interval::with_size(first * PAGE, count * PAGE).expect("small numbers do not wrap around")
}

impl Ranges {
    /// Ranges that are inserted in an order that is not theirs; the pool has room for one more.
    fn new(count: u32, overlapping: bool) -> Self {
        let mut pool = IntervalPool::with_capacity(count + 1);
        let mut tree = IntervalTree::new();
        let step = if overlapping { PAGES_PER_RANGE / 2 } else { PAGES_PER_RANGE };
        for i in 0..u64::from(count) {
            // A prime that divides no power of ten: every number once.
            let i = i * 7_919 % u64::from(count);
            let first = if overlapping { i / 2 * 3 + i % 2 } else { i } * step;
            tree.insert(&mut pool, pages(first, PAGES_PER_RANGE), 1).expect("there is room");
        }
        let count = u64::from(count);
        Self { pool, tree, pages: if overlapping { count / 2 * 3 } else { count } * step }
    }

    /// What each of [`LOOKUPS`] at single pages, all over the ranges, takes.
    fn cost(&mut self, mut look: impl FnMut(&mut Self, Interval)) -> u64 {
        let start = ticks();
        for i in 0..LOOKUPS {
            // Multiples of the golden ratio modulo 1, in 32 bits, are spread evenly in whatever number.
            let page = (u64::from(i.wrapping_mul(0x9e37_79b9)) * self.pages) >> 32;
            look(self, black_box(pages(page, 1)));
        }
        (ticks() - start) / u64::from(LOOKUPS)
    }

    /// Whether there is an object: what each creation asks.
    fn any(&mut self) -> u64 {
        #[inline(never)]
        fn any(ranges: &Ranges, query: Interval) -> bool {
            ranges.tree.any_overlap(&ranges.pool, query)
        }
        self.cost(|ranges, query| assert!(any(ranges, query)))
    }

    /// The first object of the range.
    fn first(&mut self) -> u64 {
        #[inline(never)]
        fn first(ranges: &Ranges, query: Interval) -> Option<u32> {
            ranges.tree.first_overlap(&ranges.pool, query).map(|entry| entry.value)
        }
        self.cost(|ranges, query| assert_eq!(first(ranges, query), Some(1)))
    }

    /// The objects of the range, as an invalidation walks through them, which must let go of the tree in between.
    fn walk(&mut self) -> u64 {
        self.cost(|ranges, query| {
            let mut cursor = Cursor::new();
            let mut found = 0;
            while let Some(entry) = ranges.tree.next_overlap(&ranges.pool, &mut cursor, query) {
                found += entry.value;
            }
            assert!(matches!(found, 1 | 2));
        })
    }

    fn insert_and_remove(&mut self) -> u64 {
        self.cost(|ranges, interval| {
            let id = ranges.tree.insert(&mut ranges.pool, interval, 1).expect("there is room");
            assert_eq!(ranges.tree.remove(&mut ranges.pool, id), Some(1));
        })
    }
}

#[protection_domain(stack_size = 0x10000)]
fn init() -> NullHandler {
    let (start, bytes) = (*var!(heap: usize = 0), *var!(heap_size: usize = 0));
    // SAFETY: the image tool maps the region there for the life of the domain, and nothing else uses it.
    unsafe { HEAP.lock().init(ptr::with_exposed_provenance_mut(start), bytes) };
    for (shape, overlapping) in [("adjacent", false), ("overlapping", true)] {
        let costs = COUNTS.map(|count| {
            let mut ranges = Ranges::new(count, overlapping);
            let costs = [ranges.any(), ranges.first(), ranges.walk(), ranges.insert_and_remove()];
            for (what, cost) in WHATS.into_iter().zip(costs) {
                figure(format_args!("interval-{what}-among-{count}-{shape}"), cost, "ticks");
            }
            costs
        });
        let [few, _, many] = costs;
        for (what, (few, many)) in WHATS.into_iter().zip(few.into_iter().zip(many)) {
            ratio(format_args!("interval-{what}-among-100000-to-10-{shape}"), many, few);
        }
    }
    boot_domains::pass()
}
