// SPDX-License-Identifier: BSD-2-Clause
//! Two rings in one region: requests one way, answers the other.

use crate::Layout;

/// The rings of a region. Their capacity follows from its length alone, so that nothing has to be agreed
/// upon, and is the same for both: every request that is under way has room for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Written by the side that asks.
    pub requests: Layout,
    /// Written by the side that answers.
    pub answers: Layout,
}

impl Pair {
    /// The rings of a region of `bytes`, with as many entries as fit; entries of `request` and `answer`
    /// words. `None` for a region in which there is no room for one of each.
    #[must_use]
    pub const fn in_region(bytes: usize, request: usize, answer: usize) -> Option<Self> {
        let words = bytes / size_of::<u64>();
        let mut capacity = 1 << 16;
        while capacity > 0 {
            if let Some(requests) = Layout::new(0, capacity, request)
                && let Some(answers) = Layout::new(requests.words(), capacity, answer)
                && requests.words() + answers.words() <= words
            {
                return Some(Self { requests, answers });
            }
            capacity /= 2;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_thirty_two_entries_of_64_and_32_bytes() {
        let pair = Pair::in_region(4096, 8, 4).unwrap();
        assert_eq!((pair.requests.capacity(), pair.answers.capacity()), (32, 32));
        assert_eq!(Pair::in_region(16384, 8, 4).unwrap().requests.capacity(), 128);
    }

    #[test]
    fn the_rings_do_not_overlap_and_stay_inside() {
        for bytes in (0..20_000).step_by(8) {
            let Some(pair) = Pair::in_region(bytes, 8, 4) else {
                assert!(bytes < (2 * Layout::HEADER + 12) * 8, "{bytes} bytes are enough for one entry");
                continue;
            };
            assert_eq!(pair.answers.tail(), pair.requests.words());
            assert!((pair.requests.words() + pair.answers.words()) * 8 <= bytes);
        }
    }
}
