// SPDX-License-Identifier: BSD-2-Clause
//! A protected call between two domains, without a GPU.

use boot::Kernel;

use super::Subject;

pub(super) const SUBJECT: Subject = Subject {
    name: "call",
    description: "tests/boot/systems/bench_call.xml",
    packages: &["boot-domains"],
    gpu: false,
    kernel: Kernel::Debug,
    only: &[],
    peer: &[],
};
