// SPDX-License-Identifier: BSD-2-Clause
//! Allocations that fail on purpose, for tests: with the feature `fail-points` the thread's n-th allocation from any
//! pool finds it exhausted. Without it nothing of this exists.

#[cfg(feature = "fail-points")]
mod points {
    use core::cell::Cell;

    std::thread_local! {
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// Lets `count` allocations of this thread succeed and the next one fail.
    pub fn fail_after(count: u32) {
        LEFT.with(|left| left.set(Some(count)));
    }

    /// Lets all succeed again. Returns whether one has failed.
    pub fn succeed() -> bool {
        LEFT.with(|left| left.take()).is_none()
    }

    /// Whether the allocation that asks is the one to fail.
    pub(crate) fn point() -> bool {
        LEFT.with(|left| match left.get() {
            Some(0) => {
                left.set(None);
                true
            }
            Some(count) => {
                left.set(Some(count - 1));
                false
            }
            None => false,
        })
    }
}

#[cfg(feature = "fail-points")]
pub(crate) use points::point;
#[cfg(feature = "fail-points")]
pub use points::{fail_after, succeed};

/// Whether the allocation that asks is the one to fail: never.
#[cfg(not(feature = "fail-points"))]
pub(crate) const fn point() -> bool {
    false
}
