// SPDX-License-Identifier: BSD-2-Clause
//! The parent of `restarted`: starts it over whenever it asks for that, wherever it is then.
#![no_std]
#![no_main]

use boot_domains::{region, restarting::*};
use microkit_ext::child;
use sel4_microkit::{Channel, ChannelSet, Child, Handler, Infallible, debug_println, protection_domain, var};
use window::Window;

const CHANNEL: Channel = Channel::new(1);
const CHILD: Child = Child::new(3);

struct Restarter {
    stage: Window,
}

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    Restarter { stage: region(*var!(stage: usize = 0), STAGE_BYTES) }
}

impl Handler for Restarter {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.contains(CHANNEL));
        let life = self.stage.read::<u64>(LIFE);
        debug_println!("restarter: ends life {life}");
        self.stage.write(LIFE, life + 1);
        let entry = usize::try_from(self.stage.read::<u64>(ENTRY)).expect("an address");
        child::restart(CHILD, entry).expect("the child starts over");
        Ok(())
    }
}
