// SPDX-License-Identifier: BSD-2-Clause
//! Sleeping in the middle of things, for a domain that has nothing else to do until it is notified.

use crate::ChannelSet;
use crate::ipc::{Event, Kernel, Sel4};

/// Sleeps until the domain is notified, and returns by which channels: the event loop does not see these
/// notifications any more. Returns at once if one came since the domain last looked.
///
/// # Panics
/// When somebody calls the domain, or a child of it faults: only the event loop can answer them, so a
/// domain that serves others returns to it instead.
#[must_use]
pub fn notified() -> ChannelSet {
    on(&mut Sel4)
}

#[allow(clippy::panic, reason = "an event that the domain cannot answer here is a bug in it")]
fn on(kernel: &mut impl Kernel) -> ChannelSet {
    match kernel.recv() {
        Event::Notified(channels) => channels,
        Event::Protected(channel, _) => panic!("called by channel {} while it sleeps", channel.index()),
        Event::Fault(child, _) => panic!("child {} faults while its parent sleeps", child.index()),
    }
}
