// SPDX-License-Identifier: BSD-2-Clause
//! Sleeping in the middle of things, for a domain that has nothing else to do until it is notified.

use sel4::cap::Endpoint;
use sel4::{BADGE_BITS, Badge, Reply};
use sel4_microkit::Channel;

use crate::layout::{slot, system};
use crate::thread;

const INPUT: Endpoint = Endpoint::from_cptr(system(slot::INPUT));
const REPLY: Reply = Reply::from_cptr(system(slot::REPLY));

/// The two highest bits of a badge: a protected call, the fault of a child.
const NOT_A_NOTIFICATION: Badge = 3 << (BADGE_BITS - 2);

/// The channels that notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notified(Badge);

impl Notified {
    /// Whether the channel is one of them.
    pub const fn contains(self, channel: Channel) -> bool {
        self.0 & (1 << channel.index()) != 0
    }

    /// # Panics
    /// See [`notified`].
    fn of(badge: Badge) -> Self {
        assert!(badge & NOT_A_NOTIFICATION == 0, "called, or a child faults, while the domain sleeps");
        Self(badge)
    }
}

/// Sleeps until the domain is notified, and returns by which channels: the event loop does not see these
/// notifications any more. Returns at once if one came since the domain last looked.
///
/// # Panics
/// When somebody calls the domain, or a child of it faults: only the event loop can answer them, so a
/// domain that serves others returns to it instead.
pub fn notified() -> Notified {
    thread::ready();
    Notified::of(INPUT.recv(REPLY).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_without_marks_is_the_channels_that_notified() {
        let notified = Notified::of(1 << 25 | 1);
        assert!(notified.contains(Channel::new(0)) && notified.contains(Channel::new(25)));
        assert!(!notified.contains(Channel::new(1)));
    }

    #[test]
    #[should_panic(expected = "while the domain sleeps")]
    fn a_call_cannot_be_answered_here() {
        Notified::of(1 << (BADGE_BITS - 1) | 3);
    }
}
