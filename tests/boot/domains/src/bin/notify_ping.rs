// SPDX-License-Identifier: BSD-2-Clause
//! Signals the domain `pong` twice on one channel and once on another, waits for the answer, and so on; the judge.
//!
//! It has the higher priority, so that `pong` runs only when all signals of a round have been sent: they must arrive
//! together, each channel once.
#![no_std]
#![no_main]

use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};

const LEFT: Channel = Channel::new(0);
const RIGHT: Channel = Channel::new(25);
const ROUNDS: usize = 200;

struct Ping {
    answers: usize,
}

fn signal() {
    LEFT.notify();
    RIGHT.notify();
    LEFT.notify();
}

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    signal();
    Ping { answers: 0 }
}

impl Handler for Ping {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.contains(RIGHT) && !channels.contains(LEFT), "answers come on one channel only");
        self.answers += 1;
        if self.answers == ROUNDS {
            boot_domains::pass();
        }
        signal();
        Ok(())
    }
}
