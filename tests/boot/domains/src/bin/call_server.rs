// SPDX-License-Identifier: BSD-2-Clause
//! Answers calls with their own words inverted; the judge, once both of its clients have made all their calls.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, Handler, Infallible, MessageInfo, get_mr, protection_domain, set_mr};

const CLIENTS: [Channel; 2] = [Channel::new(3), Channel::new(24)];

/// Which client is which is known by the channel alone.
struct Server {
    calls: [u64; 2],
    done: [bool; 2],
}

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    Server { calls: [0; 2], done: [false; 2] }
}

impl Handler for Server {
    type Error = Infallible;

    fn protected(&mut self, channel: Channel, message: MessageInfo) -> Result<MessageInfo, Infallible> {
        let client =
            CLIENTS.iter().position(|&client| client == channel).expect("a call from one of the clients");
        match message.label() {
            1 => {
                self.calls[client] += 1;
                for index in 0..message.count() {
                    set_mr(index, !get_mr(index));
                }
                Ok(MessageInfo::new(101, message.count()))
            }
            2 => {
                assert_eq!(get_mr(0), self.calls[client], "calls of client {client} that arrived");
                self.done[client] = true;
                if self.done == [true; 2] {
                    boot_domains::pass();
                }
                Ok(MessageInfo::new(0, 0))
            }
            label => unreachable!("a call with label {label}"),
        }
    }
}
