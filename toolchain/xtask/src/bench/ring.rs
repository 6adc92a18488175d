// SPDX-License-Identifier: BSD-2-Clause
//! The data path: what a request costs by call and through the ring, alone and 32 at a time, and how many system calls
//! its client makes. Of a batch of 32 each is to cost less than a quarter of a lone one (`-to-alone`).

use super::{Peer, Subject};

pub(super) const SUBJECT: Subject = Subject {
    name: "ring",
    description: "tests/boot/systems/bench_ring.xml",
    // The same as a client's calls are held against (`gpu`): this is how a client submits many.
    peer: &[
        Peer { figure: "request-by-call-alone", value: 19_763.0 },
        Peer { figure: "request-by-ring-alone", value: 19_763.0 },
        Peer { figure: "request-by-ring-of-32", value: 8_331.0 },
        Peer { figure: "request-by-ring-of-32-by-turns", value: 8_331.0 },
        Peer { figure: "request-by-ring-of-32-objects", value: 8_331.0 },
    ],
    ..Subject::CLIENT
};
