// SPDX-License-Identifier: BSD-2-Clause
//! Finding the objects of a range, without a GPU. Aim: among 100,000 less than 4 times what it is among 10.

use super::Subject;

pub(super) const SUBJECT: Subject = Subject {
    name: "ranges",
    description: "tests/boot/systems/bench_ranges.xml",
    packages: &["boot-domains"],
    gpu: false,
    ..Subject::CLIENT
};
