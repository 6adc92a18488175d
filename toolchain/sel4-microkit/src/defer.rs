// SPDX-License-Identifier: BSD-2-Clause
//! An action that a handler leaves to the event loop, which joins it with the system call it makes
//! anyway.

use sel4::CPtr;

use crate::{Channel, IrqAckError};

/// A notification or acknowledgement to make after the handler returns.
/// See [`Handler::take_deferred_action`](crate::Handler::take_deferred_action).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeferredAction {
    channel: Channel,
    interface: DeferredActionInterface,
}

/// What is done on the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeferredActionInterface {
    /// [`Channel::notify`].
    Notify,
    /// [`Channel::irq_ack`].
    IrqAck,
}

impl DeferredAction {
    /// The action on the channel.
    pub fn new(channel: Channel, interface: DeferredActionInterface) -> Self {
        Self { channel, interface }
    }

    /// Notify the channel.
    pub fn new_notify(channel: Channel) -> Self {
        Self::new(channel, DeferredActionInterface::Notify)
    }

    /// Acknowledge the interrupt of the channel.
    pub fn new_irq_ack(channel: Channel) -> Self {
        Self::new(channel, DeferredActionInterface::IrqAck)
    }

    /// The channel.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// What is done on it.
    pub fn interface(&self) -> DeferredActionInterface {
        self.interface
    }

    /// Does it without waiting for the event loop.
    pub fn execute_now(self) -> Result<(), IrqAckError> {
        match self.interface {
            DeferredActionInterface::Notify => {
                self.channel.notify();
                Ok(())
            }
            DeferredActionInterface::IrqAck => self.channel.irq_ack(),
        }
    }

    /// The message that does it when sent, and where to.
    pub(crate) fn prepare(self) -> (CPtr, sel4::MessageInfo) {
        match self.interface {
            DeferredActionInterface::Notify => {
                (self.channel.notification().cptr(), sel4::MessageInfo::new(0, 0, 0, 0))
            }
            DeferredActionInterface::IrqAck => {
                (self.channel.irq_handler().cptr(), sel4::cap::IrqHandler::ACK_MESSAGE)
            }
        }
    }
}

/// Holds at most one action, for implementing
/// [`Handler::take_deferred_action`](crate::Handler::take_deferred_action).
#[derive(Debug, Default)]
pub struct DeferredActionSlot {
    action: Option<DeferredAction>,
}

impl DeferredActionSlot {
    /// An empty slot.
    pub const fn new() -> Self {
        Self { action: None }
    }

    /// Empties the slot.
    pub fn take(&mut self) -> Option<DeferredAction> {
        self.action.take()
    }

    /// Puts the action into the slot; one that was there is done now.
    pub fn defer(&mut self, action: DeferredAction) -> Result<(), IrqAckError> {
        match self.action.replace(action) {
            Some(earlier) => earlier.execute_now(),
            None => Ok(()),
        }
    }

    /// Defers notifying the channel.
    pub fn defer_notify(&mut self, channel: Channel) -> Result<(), IrqAckError> {
        self.defer(DeferredAction::new_notify(channel))
    }

    /// Defers acknowledging the interrupt of the channel.
    pub fn defer_irq_ack(&mut self, channel: Channel) -> Result<(), IrqAckError> {
        self.defer(DeferredAction::new_irq_ack(channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_gives_its_action_once() {
        let action = DeferredAction::new_notify(Channel::new(3));
        let mut slot = DeferredActionSlot::new();
        assert_eq!(slot.take(), None);
        assert_eq!(slot.defer(action), Ok(()));
        assert_eq!(slot.take(), Some(action));
        assert_eq!(slot.take(), None);
    }

    #[test]
    #[should_panic(expected = "notify: not valid for channel '3'")]
    fn a_second_deferred_action_makes_the_first_happen_now() {
        let mut slot = DeferredActionSlot::new();
        let _ = slot.defer_notify(Channel::new(3));
        let _ = slot.defer_irq_ack(Channel::new(4));
    }
}
