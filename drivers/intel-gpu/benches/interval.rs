// SPDX-License-Identifier: BSD-2-Clause
//! What it takes, in time, to find the userptr objects that an invalidation touches.
//!
//! Time grows faster than the number of instructions (see `interval_instructions`): the nodes of 100,000
//! ranges are 6.4 MB, which does not fit the inner caches. Each measurement is of one lookup on average over
//! 1,000 at places all over the ranges.
#![allow(missing_docs, reason = "criterion's macros make public items")]

mod ranges;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

use ranges::{Ranges, Shape};

const COUNTS: [u32; 3] = [10, 1_000, 100_000];

fn lookups(criterion: &mut Criterion) {
    for shape in [Shape::Adjacent, Shape::Overlapping] {
        let mut group = criterion.benchmark_group(format!("interval/{shape:?}").to_lowercase());
        for count in COUNTS {
            let mut ranges = Ranges::new(count, shape);
            let places = ranges.places(1_000);
            let mut place = places.iter().copied().cycle();
            let mut next = || black_box(place.next().expect("there are places"));
            group.bench_function(BenchmarkId::new("first_overlap", count), |bencher| {
                bencher.iter(|| ranges.first_overlap(next()));
            });
            group.bench_function(BenchmarkId::new("overlaps", count), |bencher| {
                bencher.iter(|| ranges.overlaps(next()));
            });
            group.bench_function(BenchmarkId::new("walk", count), |bencher| {
                bencher.iter(|| ranges.walk(next()));
            });
            group.bench_function(BenchmarkId::new("insert_and_remove", count), |bencher| {
                bencher.iter(|| ranges.insert_and_remove(next()));
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = lookups
}
criterion_main!(benches);
