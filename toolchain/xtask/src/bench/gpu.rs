// SPDX-License-Identifier: BSD-2-Clause
//! What clients pay: a submission and its completion, alone and queued, contexts that take turns, a context's life.

use boot::Kernel;

use super::{Peer, Subject};

/// What the driver says of its start, which it prints with a debug kernel only.
pub(super) const START: Subject = Subject {
    name: "start",
    kernel: Kernel::Debug,
    only: &["driver-", "boot-"],
    peer: &[Peer { figure: "driver-start", value: 3_600_000.0 }],
    ..SUBJECT
};

pub(super) const SUBJECT: Subject = Subject {
    name: "gpu",
    description: "tests/boot/systems/bench_gpu.xml",
    peer: &[
        // When the completion comes before the waiter has gone to sleep; 26,500 when it really sleeps, as ours does.
        Peer { figure: "submit-and-sleep-until-done", value: 19_763.0 },
        Peer { figure: "queued-batch-of-32-gpu-silent", value: 8_331.0 },
        Peer { figure: "queued-batch-of-32-gpu-instant", value: 18_217.0 },
        Peer { figure: "context-switch-queued", value: 9_500.0 },
        Peer { figure: "context-switch-alone", value: 18_200.0 },
        Peer { figure: "context-life-own-space", value: 313_000.0 },
        Peer { figure: "context-life-shared-space", value: 194_000.0 },
    ],
    ..Subject::CLIENT
};
