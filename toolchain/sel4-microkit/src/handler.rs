// SPDX-License-Identifier: BSD-2-Clause
//! The part of a domain that is its own, and the event loop around it.

use core::fmt;

pub use core::convert::Infallible;

use crate::ipc::{self, Event, Kernel, Sel4};
use crate::layout::MAX_IDS;
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
        event_loop(self, &mut Sel4, symbols::irqs(), symbols::pd_is_passive())
    }
}

/// Acknowledges every interrupt of the mask, because one that came before the domain ran is pending and masked and
/// would never come again; then waits and calls the handler for ever.
fn event_loop<T: Handler + ?Sized>(
    handler: &mut T,
    kernel: &mut impl Kernel,
    irqs: u64,
    is_passive: bool,
) -> Result<Never, T::Error> {
    for index in (0..MAX_IDS).filter(|index| irqs & (1 << index) != 0) {
        kernel.acknowledge(Channel::new(index));
    }
    let mut event = if is_passive { kernel.nb_send_recv(ipc::forfeit()) } else { kernel.recv() };
    loop {
        let answer = match event {
            Event::Notified(channels) => {
                handler.notified(channels)?;
                None
            }
            Event::Protected(channel, info) => Some(handler.protected(channel, info)?),
            Event::Fault(child, info) => handler.fault(child, info)?,
        };
        let action = handler.take_deferred_action().map(DeferredAction::prepare);
        event = match (answer, action) {
            (None, None) => kernel.recv(),
            (None, Some(action)) => kernel.nb_send_recv(action),
            (Some(answer), None) => kernel.reply_recv(answer),
            (Some(answer), Some(action)) => {
                kernel.nb_send(action);
                kernel.reply_recv(answer)
            }
        };
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
    use std::collections::VecDeque;

    use sel4::CPtr;

    use super::*;

    #[test]
    #[should_panic(expected = "unexpected protected call from channel 4")]
    fn a_handler_that_expects_nothing_panics_when_called() {
        let _ = NullHandler::new().protected(Channel::new(4), MessageInfo::new(0, 0));
    }

    /// A kernel with a list of events, which writes down what it is asked.
    #[derive(Default)]
    struct Script {
        events: VecDeque<Event>,
        asked: Vec<String>,
    }

    impl Script {
        fn next(&mut self, asked: String) -> Event {
            self.asked.push(asked);
            self.events.pop_front().unwrap_or(Event::Notified(ipc::ChannelSet::of(LAST)))
        }
    }

    impl Kernel for Script {
        fn acknowledge(&mut self, channel: Channel) {
            self.asked.push(format!("acknowledge {}", channel.index()));
        }

        fn recv(&mut self) -> Event {
            self.next("receive".into())
        }

        fn reply_recv(&mut self, answer: MessageInfo) -> Event {
            self.next(format!("answer {} and receive", answer.label()))
        }

        fn nb_send(&mut self, (to, _): (CPtr, sel4::MessageInfo)) {
            self.asked.push(format!("send to {}", to.bits()));
        }

        fn nb_send_recv(&mut self, (to, _): (CPtr, sel4::MessageInfo)) -> Event {
            self.next(format!("send to {} and receive", to.bits()))
        }
    }

    /// The channel that ends the loop.
    const LAST: Channel = Channel::new(9);

    struct Echo;

    impl Handler for Echo {
        type Error = &'static str;

        fn notified(&mut self, channels: ChannelSet) -> Result<(), Self::Error> {
            if channels.contains(LAST) { Err("the end") } else { Ok(()) }
        }

        fn protected(&mut self, _: Channel, message: MessageInfo) -> Result<MessageInfo, Self::Error> {
            Ok(MessageInfo::new(message.label() + 1, 0))
        }

        fn fault(&mut self, child: Child, _: MessageInfo) -> Result<Option<MessageInfo>, Self::Error> {
            Ok((child.index() == 1).then(MessageInfo::default))
        }
    }

    fn asked(events: impl Into<VecDeque<Event>>, irqs: u64, is_passive: bool) -> Vec<String> {
        let mut script = Script { events: events.into(), asked: vec![] };
        assert_eq!(event_loop(&mut Echo, &mut script, irqs, is_passive).err(), Some("the end"));
        script.asked
    }

    #[test]
    fn interrupts_are_acknowledged_before_the_first_wait() {
        assert_eq!(asked([], 0b101, false), ["acknowledge 0", "acknowledge 2", "receive"]);
    }

    #[test]
    fn a_passive_domain_gives_up_its_time_with_its_first_wait() {
        assert_eq!(asked([], 0, true), ["send to 5 and receive"]);
    }

    #[test]
    fn calls_and_faults_are_answered_with_the_next_wait_and_notifications_are_not() {
        let events = [
            Event::Notified(ipc::ChannelSet::of(Channel::new(3))),
            Event::Protected(Channel::new(1), MessageInfo::new(6, 0)),
            Event::Fault(Child::new(1), MessageInfo::new(0, 0)),
            Event::Fault(Child::new(2), MessageInfo::new(0, 0)),
        ];
        let expected = ["receive", "receive", "answer 7 and receive", "answer 0 and receive", "receive"];
        assert_eq!(asked(events, 0, false), expected);
    }
}
