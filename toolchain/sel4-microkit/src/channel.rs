// SPDX-License-Identifier: BSD-2-Clause
//! Channels to other domains, and children.

use core::fmt;

use sel4::cap::{Endpoint, IrqHandler, Notification, Tcb};

use crate::layout::{MAX_IDS, slot, system};
use crate::{MessageInfo, symbols};

/// One end of a channel: to another domain, or to an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    index: usize,
}

impl Channel {
    /// The channel of this id in system.xml.
    ///
    /// # Panics
    ///
    /// When the id is larger than any channel's (61). In a constant that is an error at compile time.
    pub const fn new(index: usize) -> Self {
        assert!(index < MAX_IDS, "a channel id is at most 61");
        Self { index }
    }

    /// The id.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// Notifies the domain at the other end. Never waits.
    ///
    /// # Panics
    ///
    /// When system.xml does not allow it on this channel.
    pub fn notify(&self) {
        self.notification().signal();
    }

    /// Lets the interrupt of this channel come again.
    ///
    /// # Panics
    ///
    /// When the channel is no interrupt's.
    pub fn irq_ack(&self) -> Result<(), IrqAckError> {
        self.irq_handler().ack().map_err(IrqAckError)
    }

    /// Calls the domain at the other end with the message in the message registers, and waits for its
    /// answer, which arrives there.
    ///
    /// # Panics
    ///
    /// When system.xml does not allow it on this channel.
    pub fn pp_call(&self, msg_info: MessageInfo) -> MessageInfo {
        MessageInfo::from_inner(self.endpoint().call(msg_info.into_inner()))
    }

    #[doc(hidden)]
    #[track_caller]
    pub fn notification(&self) -> Notification {
        self.check("notify", symbols::notifications());
        Notification::from_cptr(system(slot::OUTPUT_NOTIFICATION + self.index))
    }

    #[doc(hidden)]
    #[track_caller]
    pub fn irq_handler(&self) -> IrqHandler {
        self.check("irq_ack", symbols::irqs());
        IrqHandler::from_cptr(system(slot::IRQ_HANDLER + self.index))
    }

    #[doc(hidden)]
    #[track_caller]
    pub fn endpoint(&self) -> Endpoint {
        self.check("pp_call", symbols::pps());
        Endpoint::from_cptr(system(slot::ENDPOINT + self.index))
    }

    #[track_caller]
    fn check(&self, operation: &str, mask: u64) {
        assert!(mask & (1 << self.index) != 0, "{operation}: not valid for channel '{}'", self.index);
    }
}

/// Why an interrupt could not be acknowledged.
#[derive(Debug, PartialEq, Eq)]
pub struct IrqAckError(sel4::Error);

impl fmt::Display for IrqAckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "irq ack error: {}", self.0)
    }
}

/// A domain that this one is the parent of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Child {
    index: usize,
}

impl Child {
    /// The child of this id in system.xml.
    pub const fn new(index: usize) -> Self {
        Self { index }
    }

    /// The id.
    pub const fn index(&self) -> usize {
        self.index
    }

    #[doc(hidden)]
    pub fn tcb(&self) -> Tcb {
        Tcb::from_cptr(system(slot::CHILD_TCB + self.index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "notify: not valid for channel '5'")]
    fn a_channel_that_system_xml_does_not_name_cannot_be_notified() {
        Channel::new(5).notify();
    }

    #[test]
    #[should_panic(expected = "pp_call: not valid for channel '0'")]
    fn a_channel_that_system_xml_does_not_name_cannot_be_called() {
        Channel::new(0).endpoint();
    }

    #[test]
    #[should_panic(expected = "at most 61")]
    fn a_channel_id_beyond_the_slots_is_refused() {
        let _ = Channel::new(62);
    }

    #[test]
    fn a_child_lies_where_the_tool_puts_it() {
        assert_eq!(Child::new(3).tcb().cptr().bits(), 205);
    }
}
