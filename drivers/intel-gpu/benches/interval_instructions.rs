// SPDX-License-Identifier: BSD-2-Clause
//! What it takes, in instructions, to find the userptr objects that an invalidation touches.
//!
//! Each figure is of 1,000 lookups at places all over the ranges. Runs in valgrind by `gungraun-runner`,
//! which is to be of the same version as the crate `gungraun`.
#![allow(missing_docs, reason = "gungraun's macros make public items")]

mod ranges;

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use intel_gpu::uapi::interval::Interval;

use ranges::{Ranges, Shape};

const LOOKUPS: u32 = 1_000;

fn adjacent(count: u32) -> (Ranges, Vec<Interval>) {
    let ranges = Ranges::new(count, Shape::Adjacent);
    let places = ranges.places(LOOKUPS);
    (ranges, places)
}

fn overlapping(count: u32) -> (Ranges, Vec<Interval>) {
    let ranges = Ranges::new(count, Shape::Overlapping);
    let places = ranges.places(LOOKUPS);
    (ranges, places)
}

#[library_benchmark]
#[benches::adjacent(args = [10, 1_000, 100_000], setup = adjacent)]
#[benches::overlapping(args = [10, 1_000, 100_000], setup = overlapping)]
fn first_overlap((ranges, places): (Ranges, Vec<Interval>)) -> (Ranges, Vec<Interval>) {
    for &place in &places {
        black_box(ranges.first_overlap(black_box(place)));
    }
    (ranges, places)
}

#[library_benchmark]
#[benches::adjacent(args = [10, 1_000, 100_000], setup = adjacent)]
#[benches::overlapping(args = [10, 1_000, 100_000], setup = overlapping)]
fn overlaps((ranges, places): (Ranges, Vec<Interval>)) -> (Ranges, Vec<Interval>) {
    for &place in &places {
        black_box(ranges.overlaps(black_box(place)));
    }
    (ranges, places)
}

#[library_benchmark]
#[benches::adjacent(args = [10, 1_000, 100_000], setup = adjacent)]
#[benches::overlapping(args = [10, 1_000, 100_000], setup = overlapping)]
fn walk((ranges, places): (Ranges, Vec<Interval>)) -> (Ranges, Vec<Interval>) {
    for &place in &places {
        black_box(ranges.walk(black_box(place)));
    }
    (ranges, places)
}

#[library_benchmark]
#[benches::adjacent(args = [10, 1_000, 100_000], setup = adjacent)]
#[benches::overlapping(args = [10, 1_000, 100_000], setup = overlapping)]
fn insert_and_remove((mut ranges, places): (Ranges, Vec<Interval>)) -> (Ranges, Vec<Interval>) {
    for &place in &places {
        black_box(ranges.insert_and_remove(black_box(place)));
    }
    (ranges, places)
}

library_benchmark_group!(name = interval, benchmarks = [first_overlap, overlaps, walk, insert_and_remove]);

main!(library_benchmark_groups = interval);
