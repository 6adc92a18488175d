// SPDX-License-Identifier: BSD-2-Clause
//! What lending costs: objects among many others, first uses, invalidations. Aim: 0.4 of what Linux needs.

use super::{Peer, Subject};

pub(super) const SUBJECT: Subject = Subject {
    name: "lend",
    description: "tests/boot/systems/bench_lend.xml",
    // Linux with 10,000 objects alive: 3 % more than with none. First use: 270 a page in frames side by side, 408 in
    // scattered ones; of the invalidation, what it needs beyond a plain unmap.
    peer: &[
        Peer { figure: "userptr-create-close-64k", value: 11_010.0 },
        Peer { figure: "userptr-create-close-64k-10000-alive", value: 11_340.0 },
        Peer { figure: "userptr-create-use-wait-close-64k", value: 92_991.0 },
        Peer { figure: "userptr-first-use-of-a-page-by-capability", value: 270.0 },
        Peer { figure: "userptr-first-use-of-a-page-by-capability-scattered", value: 408.0 },
        Peer { figure: "userptr-first-use-of-a-page-by-region", value: 270.0 },
        Peer { figure: "userptr-first-use-of-a-page-of-2m-by-capability", value: 512.0 * 270.0 },
        Peer { figure: "userptr-first-use-of-a-page-of-2m-by-region", value: 512.0 * 270.0 },
        Peer { figure: "userptr-invalidate-close-64k", value: 33_700.0 },
    ],
    ..Subject::CLIENT
};
