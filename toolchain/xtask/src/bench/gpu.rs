// SPDX-License-Identifier: BSD-2-Clause
//! What clients pay: a submission and its completion, alone and queued, contexts that take turns, a context's life.

use super::{Peer, Subject};

pub(super) const SUBJECT: Subject = Subject {
    name: "gpu",
    description: "tests/boot/systems/bench_gpu.xml",
    packages: &["gpu-driver", "boot-domains"],
    gpu: true,
    peer: &[
        // Linux: 19,763 when the completion comes before the waiter has gone to sleep.
        Peer { figure: "submit-and-sleep-until-done", value: 26_500.0 },
        Peer { figure: "queued-batch-of-32-gpu-silent", value: 8_331.0 },
        Peer { figure: "queued-batch-of-32-gpu-instant", value: 18_217.0 },
        Peer { figure: "context-switch-queued", value: 9_500.0 },
        Peer { figure: "context-switch-alone", value: 18_200.0 },
        Peer { figure: "context-life-own-space", value: 313_000.0 },
        Peer { figure: "context-life-shared-space", value: 194_000.0 },
        Peer { figure: "driver-start", value: 3_600_000.0 },
    ],
};
