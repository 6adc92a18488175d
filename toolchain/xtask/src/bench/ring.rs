// SPDX-License-Identifier: BSD-2-Clause
//! The data path: what a request costs by call and through the ring, alone and 32 at a time, and how many system calls
//! its client makes.

use super::Subject;

pub(super) const SUBJECT: Subject = Subject {
    name: "ring",
    description: "tests/boot/systems/bench_ring.xml",
    packages: &["gpu-driver", "boot-domains"],
    gpu: true,
    peer: &[],
};
