// SPDX-License-Identifier: BSD-2-Clause
//! Answers at once.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, Handler, Infallible, MessageInfo, protection_domain};

struct Server;

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    Server
}

impl Handler for Server {
    type Error = Infallible;

    fn protected(&mut self, _: Channel, message: MessageInfo) -> Result<MessageInfo, Infallible> {
        Ok(message)
    }
}
