// SPDX-License-Identifier: BSD-2-Clause
//! Calls `deferred_server` and expects, besides the answer, one notification for every call. The judge.
#![no_std]
#![no_main]

use sel4_microkit::{
    Channel, ChannelSet, Handler, Infallible, MessageInfo, get_mr, protection_domain, set_mr,
};

const SERVER: Channel = Channel::new(1);
const ROUNDS: u64 = 50;

struct Client {
    rounds: u64,
}

fn call(round: u64) {
    set_mr(0, round);
    SERVER.pp_call(MessageInfo::new(0, 1));
    assert_eq!(get_mr(0), round + 1000, "the action must not disturb the answer");
}

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    call(0);
    Client { rounds: 0 }
}

impl Handler for Client {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.contains(SERVER));
        self.rounds += 1;
        if self.rounds == ROUNDS {
            boot_domains::pass();
        }
        call(self.rounds);
        Ok(())
    }
}
