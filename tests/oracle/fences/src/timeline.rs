// SPDX-License-Identifier: BSD-2-Clause
//! Which fences wait for which points.

use std::ffi::c_int;

/// A fence of vgem, by the number that vgem gave it.
pub(crate) type Fence = u32;

struct Timeline {
    file: c_int,
    point: u32,
    waiting: Vec<(u32, Fence)>,
}

/// The timelines of this process by their files.
pub(crate) struct Timelines(Vec<Timeline>);

/// Whether a timeline at `point` has come to `other`; both count on from the largest number to 0 (Linux: sw_sync.c,
/// timeline_fence_signaled).
fn reached(point: u32, other: u32) -> bool {
    point.wrapping_sub(other).cast_signed() >= 0
}

impl Timelines {
    pub(crate) const fn new() -> Self {
        Self(vec![])
    }

    /// A new timeline, in place of one whose file was closed.
    pub(crate) fn start(&mut self, file: c_int) {
        self.0.retain(|timeline| timeline.file != file);
        self.0.push(Timeline { file, point: 0, waiting: vec![] });
    }

    /// Adds a fence, or says that its point is reached already.
    pub(crate) fn add(&mut self, file: c_int, point: u32, fence: Fence) -> bool {
        let Some(timeline) = self.0.iter_mut().find(|timeline| timeline.file == file) else { return false };
        let now = reached(timeline.point, point);
        if !now {
            timeline.waiting.push((point, fence));
        }
        now
    }

    /// Moves on, and takes out the fences that signal thereby, the earliest point first.
    pub(crate) fn advance(&mut self, file: c_int, count: u32) -> Vec<Fence> {
        let Some(timeline) = self.0.iter_mut().find(|timeline| timeline.file == file) else { return vec![] };
        let before = timeline.point;
        timeline.point = before.wrapping_add(count);
        let point = timeline.point;
        let mut signalled: Vec<_> = timeline.waiting.extract_if(.., |(at, _)| reached(point, *at)).collect();
        signalled.sort_by_key(|(at, _)| at.wrapping_sub(before));
        signalled.into_iter().map(|(_, fence)| fence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_signal_in_the_order_of_their_points_when_these_are_reached() {
        let mut timelines = Timelines::new();
        timelines.start(3);
        timelines.start(4);
        for (point, fence) in [(3, 30), (1, 10), (2, 20)] {
            assert!(!timelines.add(3, point, fence));
        }
        assert_eq!(timelines.advance(4, 9), [0; 0]);
        assert_eq!(timelines.advance(3, 2), [10, 20]);
        assert!(timelines.add(3, 2, 21));
        assert_eq!(timelines.advance(3, 1), [30]);
    }

    #[test]
    fn points_count_on_from_the_largest_number() {
        let mut timelines = Timelines::new();
        timelines.start(3);
        assert_eq!(timelines.advance(3, 0x7fff_ffff), [0; 0]);
        assert_eq!(timelines.advance(3, 0x7fff_ffff), [0; 0]);
        assert!(!timelines.add(3, 1, 7));
        assert_eq!(timelines.advance(3, 2), [0; 0]);
        assert_eq!(timelines.advance(3, 1), [7]);
    }

    #[test]
    fn a_file_that_was_closed_and_opened_again_is_a_new_timeline() {
        let mut timelines = Timelines::new();
        timelines.start(3);
        timelines.add(3, 1, 7);
        timelines.start(3);
        assert_eq!(timelines.advance(3, 1), [0; 0]);
    }
}
