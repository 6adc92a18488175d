// SPDX-License-Identifier: BSD-2-Clause
//! What wakes a domain: the badge tells which of three kinds of event it is.
//!
//! Of a badge's bits, whose number depends on the kernel, the highest marks a protected call and the
//! next one a child's fault; the lower bits are then the id of the channel or child. With neither mark
//! it was a signal, and every bit is one channel's.

use core::fmt;

use sel4::cap::Endpoint;
use sel4::{BADGE_BITS, Badge, CPtr, Reply};

use crate::layout::{slot, system};
use crate::{Channel, Child, MessageInfo};

const INPUT: Endpoint = Endpoint::from_cptr(system(slot::INPUT));
const REPLY: Reply = Reply::from_cptr(system(slot::REPLY));

const PROTECTED: Badge = 1 << (BADGE_BITS - 1);
const FAULT: Badge = 1 << (BADGE_BITS - 2);
/// Where an id is in a badge that is marked.
const ID: Badge = 0x3f;

/// Something that a handler is called for.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Notified(ChannelSet),
    Protected(Channel, MessageInfo),
    Fault(Child, MessageInfo),
}

impl Event {
    fn new((info, badge): (sel4::MessageInfo, Badge)) -> Self {
        // CAST: 6 bits.
        #[allow(clippy::cast_possible_truncation, reason = "6 bits")]
        let id = (badge & ID) as usize;
        if badge & PROTECTED != 0 {
            Self::Protected(Channel::new(id), MessageInfo::from_inner(info))
        } else if badge & FAULT != 0 {
            Self::Fault(Child::new(id), MessageInfo::from_inner(info))
        } else {
            Self::Notified(ChannelSet(badge))
        }
    }
}

/// What the event loop asks of the kernel.
pub(crate) trait Kernel {
    /// Lets an interrupt come that may have come before the domain ran.
    fn acknowledge(&mut self, channel: Channel);

    /// Waits for an event.
    fn recv(&mut self) -> Event;

    /// Answers the last call, then waits.
    fn reply_recv(&mut self, answer: MessageInfo) -> Event;

    /// Sends without waiting.
    fn nb_send(&mut self, message: (CPtr, sel4::MessageInfo));

    /// Sends without waiting, then waits for an event.
    fn nb_send_recv(&mut self, message: (CPtr, sel4::MessageInfo)) -> Event;
}

/// The message that gives up the domain's own time, so that it runs on its callers' from then on.
pub(crate) fn forfeit() -> (CPtr, sel4::MessageInfo) {
    (system(slot::MONITOR), sel4::MessageInfo::new(0, 0, 0, 0))
}

/// The kernel that the domain runs on.
pub(crate) struct Sel4;

impl Kernel for Sel4 {
    fn acknowledge(&mut self, channel: Channel) {
        // The tool set the handler up: a refusal would mean the image is broken, and say so.
        if let Err(error) = channel.irq_ack() {
            crate::debug_println!("channel {}: {error}", channel.index());
        }
    }

    fn recv(&mut self) -> Event {
        Event::new(INPUT.recv(REPLY))
    }

    fn reply_recv(&mut self, answer: MessageInfo) -> Event {
        Event::new(INPUT.reply_recv(answer.into_inner(), REPLY))
    }

    fn nb_send(&mut self, (to, info): (CPtr, sel4::MessageInfo)) {
        Endpoint::from_cptr(to).nb_send(info);
    }

    fn nb_send_recv(&mut self, (to, info): (CPtr, sel4::MessageInfo)) -> Event {
        Event::new(INPUT.nb_send_recv(to, info, REPLY))
    }
}

/// The channels that notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelSet(Badge);

impl ChannelSet {
    /// The set of one channel.
    #[cfg(test)]
    pub(crate) const fn of(channel: Channel) -> Self {
        Self(1 << channel.index())
    }

    /// Whether the channel is one of them.
    pub fn contains(&self, channel: Channel) -> bool {
        self.0 & (1 << channel.index()) != 0
    }

    /// The channels, from the lowest id up.
    pub fn iter(&self) -> ChannelSetIter {
        ChannelSetIter(self.0)
    }

    /// The ids in braces.
    pub fn display(&self) -> DisplayChannelSet<'_> {
        DisplayChannelSet(self)
    }
}

/// Iterates over a [`ChannelSet`].
#[derive(Debug, Clone)]
pub struct ChannelSetIter(Badge);

impl Iterator for ChannelSetIter {
    type Item = Channel;

    fn next(&mut self) -> Option<Channel> {
        if self.0 == 0 {
            return None;
        }
        let index = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(Channel::new(index))
    }
}

/// Formats a [`ChannelSet`].
#[derive(Debug)]
pub struct DisplayChannelSet<'a>(&'a ChannelSet);

impl fmt::Display for DisplayChannelSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|channel| channel.index())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(badge: Badge) -> Event {
        Event::new((sel4::MessageInfo::new(9, 0, 0, 2), badge))
    }

    #[test]
    fn time_is_given_up_at_the_monitors_endpoint() {
        assert_eq!(forfeit().0.bits(), 5);
    }

    #[test]
    fn the_highest_badge_bit_is_a_protected_call_from_the_channel_in_the_low_bits() {
        let Event::Protected(channel, info) = event((1 << (BADGE_BITS - 1)) | 25) else {
            panic!("not a call")
        };
        assert_eq!((channel.index(), info.label(), info.count()), (25, 9, 2));
    }

    #[test]
    fn the_next_badge_bit_is_a_fault_of_the_child_in_the_low_bits() {
        let Event::Fault(child, info) = event((1 << (BADGE_BITS - 2)) | 7) else { panic!("not a fault") };
        assert_eq!((child.index(), info.label()), (7, 9));
    }

    /// Microkit's own marks.
    #[cfg(feature = "mcs")]
    #[test]
    fn the_marks_are_bits_63_and_62_and_every_channel_id_fits_below() {
        assert_eq!((PROTECTED, FAULT), (1 << 63, 1 << 62));
        let Event::Notified(channels) = event(1 << 61) else { panic!("not a signal") };
        assert_eq!(channels.iter().map(|channel| channel.index()).collect::<Vec<_>>(), [61]);
    }

    #[test]
    fn any_other_badge_is_a_set_of_channels() {
        let Event::Notified(channels) = event((1 << 25) | (1 << 3) | 1) else { panic!("not a signal") };
        assert_eq!(channels.iter().map(|channel| channel.index()).collect::<Vec<_>>(), [0, 3, 25]);
        assert!(channels.contains(Channel::new(3)) && !channels.contains(Channel::new(4)));
        assert_eq!(channels.display().to_string(), "{0, 3, 25}");
    }

    #[test]
    fn an_empty_set_has_no_channels() {
        assert_eq!(ChannelSet(0).iter().next(), None);
        assert_eq!(ChannelSet(0).display().to_string(), "{}");
    }
}
