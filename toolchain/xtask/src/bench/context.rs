// SPDX-License-Identifier: BSD-2-Clause
//! The life of contexts: plain, with an address space of their own, and clones of everything; alone and among as many
//! others as a client may have. What they take of the driver's memory is counted on the host.

use super::{Peer, Subject};

pub(super) const SUBJECT: Subject = Subject {
    name: "context",
    description: "tests/boot/systems/bench_context.xml",
    peer: &[
        // Linux: context created in a shared address space, first batch, destroyed.
        Peer { figure: "context-life-plain", value: 194_000.0 },
        Peer { figure: "context-life-clone-all", value: 194_000.0 },
    ],
    ..Subject::CLIENT
};
