// SPDX-License-Identifier: BSD-2-Clause
//! Stands in for the kernel in host tests: takes down what would go in registers, and answers.

use std::cell::RefCell;

use super::transfer::{Call, Returned};

/// What the kernel would answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) badge: u64,
    pub(crate) info: u64,
    pub(crate) words: [u64; 4],
}

#[derive(Default)]
struct Recorder {
    calls: Vec<Call>,
    answer: Answer,
}

thread_local! {
    static RECORDER: RefCell<Recorder> = RefCell::default();
}

/// In place of the kernel's entry.
pub(super) fn enter(call: Call) -> Returned {
    RECORDER.with_borrow_mut(|recorder| {
        recorder.calls.push(call);
        let Answer { badge, info, words } = recorder.answer;
        Returned { badge, info, words }
    })
}

/// Runs `program` with a kernel that answers every call with `answer`; returns what it got, and the calls.
pub(crate) fn record<T>(answer: Answer, program: impl FnOnce() -> T) -> (T, Vec<Call>) {
    RECORDER.set(Recorder { answer, calls: vec![] });
    let result = program();
    (result, RECORDER.take().calls)
}
