// SPDX-License-Identifier: BSD-2-Clause
//! The part of a domain that is its own, and the event loop around it.

use core::fmt;

pub use core::convert::Infallible;

use crate::ipc::{self, Event};
use crate::{Channel, ChannelSet, Child, DeferredAction, MessageInfo, symbols};

/// What a domain does when it is woken. An error of any method ends the domain with a message.
#[allow(clippy::panic, reason = "an event that system.xml allows and the domain does not expect is a bug")]
pub trait Handler {
    /// Why the domain cannot go on.
    type Error: fmt::Display;

    /// Channels were notified, or interrupts came.
    fn notified(&mut self, channels: ChannelSet) -> Result<(), Self::Error> {
        panic!("unexpected notification from channels {}", channels.display())
    }

    /// The domain at the other end called; its message is in the message registers, and so is the answer
    /// when this returns.
    fn protected(&mut self, channel: Channel, msg_info: MessageInfo) -> Result<MessageInfo, Self::Error> {
        panic!("unexpected protected call from channel {} with {msg_info:?}", channel.index())
    }

    /// A child faulted; what it did is in the message registers ([`MessageInfo::fault`]). The answer, if
    /// there is one, lets it run on.
    fn fault(&mut self, child: Child, msg_info: MessageInfo) -> Result<Option<MessageInfo>, Self::Error> {
        panic!("unexpected fault of child {}: {}", child.index(), msg_info.fault())
    }

    /// An action for the event loop to join with its next wait. Asked after each of the methods above.
    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        None
    }

    #[doc(hidden)]
    fn run(&mut self) -> Result<Never, Self::Error> {
        acknowledge_all();
        let mut event = ipc::recv();
        loop {
            let answer = match event {
                Event::Notified(channels) => {
                    self.notified(channels)?;
                    None
                }
                Event::Protected(channel, info) => Some(self.protected(channel, info)?),
                Event::Fault(child, info) => self.fault(child, info)?,
            };
            let action = self.take_deferred_action().map(DeferredAction::prepare);
            event = match (answer, action) {
                (None, None) => ipc::recv(),
                (None, Some(action)) => ipc::nb_send_recv(action),
                (Some(answer), None) => ipc::reply_recv(answer),
                (Some(answer), Some(action)) => {
                    ipc::nb_send(action);
                    ipc::reply_recv(answer)
                }
            };
        }
    }
}

/// An interrupt that came before the domain ran is pending and masked; without this it never comes again.
fn acknowledge_all() {
    let irqs = symbols::irqs();
    let channels = (0..u64::BITS as usize).filter(|index| irqs & (1 << index) != 0).map(Channel::new);
    for channel in channels {
        // The tool set the handler up: a refusal would mean the image is broken, and say so.
        if let Err(error) = channel.irq_ack() {
            crate::debug_println!("channel {}: {error}", channel.index());
        }
    }
}

/// No value: what an endless loop returns.
#[doc(hidden)]
#[derive(Debug)]
pub enum Never {}

impl Handler for Never {
    type Error = Infallible;
}

/// A handler that expects nothing: any event is a panic. For domains whose work is done when they are
/// initialised.
#[derive(Debug)]
pub struct NullHandler(());

impl NullHandler {
    /// The handler.
    #[allow(clippy::new_without_default, reason = "as in the crate whose interface this is")]
    pub fn new() -> Self {
        Self(())
    }
}

impl Handler for NullHandler {
    type Error = Infallible;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "unexpected protected call from channel 4")]
    fn a_handler_that_expects_nothing_panics_when_called() {
        let _ = NullHandler::new().protected(Channel::new(4), MessageInfo::new(0, 0));
    }
}
