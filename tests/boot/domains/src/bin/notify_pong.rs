// SPDX-License-Identifier: BSD-2-Clause
//! Answers the signals of `ping`.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};

const LEFT: Channel = Channel::new(7);
const RIGHT: Channel = Channel::new(1);

struct Pong;

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    Pong
}

impl Handler for Pong {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.contains(LEFT) && channels.contains(RIGHT), "both channels at once");
        assert_eq!(channels.iter().count(), 2, "and no other");
        RIGHT.notify();
        Ok(())
    }
}
