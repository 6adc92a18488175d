// SPDX-License-Identifier: BSD-2-Clause
//! Passes when all four of the crowd have said that they are done. The judge.
#![no_std]
#![no_main]

use sel4_microkit::{ChannelSet, Handler, Infallible, protection_domain};

struct Judge {
    /// Channels of those that have not said so.
    missing: u64,
}

impl Handler for Judge {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Self::Error> {
        for channel in channels.iter() {
            self.missing &= !(1 << channel.index());
        }
        if self.missing == 0 {
            boot_domains::pass();
        }
        Ok(())
    }
}

#[protection_domain]
fn init() -> Judge {
    Judge { missing: 0b11110 }
}
