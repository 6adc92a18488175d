// SPDX-License-Identifier: BSD-2-Clause
//! What a submission costs when there are very many contexts.

use super::Subject;

pub(super) const SUBJECT: Subject =
    Subject { name: "crowd", description: "tests/boot/systems/bench_crowd.xml", ..Subject::CLIENT };
