// SPDX-License-Identifier: BSD-2-Clause
//! The parent of the driver domain: holds it back before its first instruction, until everybody else has done what they can
//! without it.
#![no_std]
#![no_main]

use microkit_ext::child;
use sel4_microkit::{Channel, ChannelSet, Child, Handler, Infallible, debug_println, protection_domain};

const WAKER: Channel = Channel::new(0);
const DRIVER: Child = Child::new(7);

struct Starter;

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    child::stop(DRIVER).expect("the driver is held back");
    Starter
}

impl Handler for Starter {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.contains(WAKER));
        debug_println!("late_starter: the driver starts now");
        child::go_on(DRIVER).expect("the driver starts");
        Ok(())
    }
}
