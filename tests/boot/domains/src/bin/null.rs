// SPDX-License-Identifier: BSD-2-Clause
//! The other end of a channel on which nothing happens.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, Handler, Infallible, MessageInfo, protection_domain};

struct Silent;

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    Silent
}

impl Handler for Silent {
    type Error = Infallible;

    fn protected(&mut self, channel: Channel, message: MessageInfo) -> Result<MessageInfo, Infallible> {
        unreachable!("a call on channel {} with label {}", channel.index(), message.label())
    }
}
