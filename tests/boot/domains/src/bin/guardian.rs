// SPDX-License-Identifier: BSD-2-Clause
//! The parent of two domains that fault: their faults come here, not to the monitor. It lets the first try again a few
//! times; the second it leaves alone. The judge.
#![no_std]
#![no_main]

use sel4::Fault;
use sel4_microkit::{Child, Handler, Infallible, MessageInfo, protection_domain};

const RETRIES: usize = 3;

#[derive(Default)]
struct Guardian {
    writes: usize,
    reads: usize,
}

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    Guardian::default()
}

impl Handler for Guardian {
    type Error = Infallible;

    fn fault(&mut self, child: Child, message: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        let Fault::VirtualMemory { address, status, .. } = message.fault() else {
            unreachable!("a fault with label {}", message.label())
        };
        assert_eq!(address, 0x5_dead_0000);
        let is_write = status & 2 != 0;
        let again = match child.index() {
            5 => {
                assert!(is_write);
                self.writes += 1;
                self.writes <= RETRIES
            }
            61 => {
                assert!(!is_write);
                self.reads += 1;
                false
            }
            other => unreachable!("a fault of child {other}"),
        };
        if self.writes == RETRIES + 1 && self.reads == 1 {
            boot_domains::pass();
        }
        Ok(again.then(|| MessageInfo::new(0, 0)))
    }
}
