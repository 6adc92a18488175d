// SPDX-License-Identifier: BSD-2-Clause
//! Three domains of one program, `low`, `middle` and `high`, that write down in shared memory in which order they run.
//!
//! Their priorities decide it: a signal to a higher one runs it before the sender goes on, and who was woken meanwhile runs
//! before a caller of lower priority has its answer. `low` is the judge.
#![no_std]
#![no_main]

use boot_domains::{name, region};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, MessageInfo, protection_domain, var};
use window::Window;

/// To the domain below and to the one above.
const DOWN: Channel = Channel::new(0);
const UP: Channel = Channel::new(1);
/// From the lowest to the highest, which answers calls.
const TOP: Channel = Channel::new(2);

/// What is written down, in the order in which it must be.
const EXPECTED: [&[u8; 8]; 11] = [
    b"hi init ",
    b"mid init",
    b"low init",
    b"mid sees",
    b"hi sees ",
    b"mid goes",
    b"low goes",
    b"hi serve",
    b"mid told",
    b"low back",
    b"the end ",
];

struct Rung {
    log: Window,
    top: bool,
}

fn write_down(log: &mut Window, entry: &[u8; 8]) {
    let count = log.read::<u16>(0);
    log.write(8 + usize::from(count) * 8, u64::from_le_bytes(*entry));
    log.write(0, count + 1);
}

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    let mut log = region(*var!(log_vaddr: usize = 0), 0x1000);
    match name() {
        "low" => {
            write_down(&mut log, b"low init");
            UP.notify();
            write_down(&mut log, b"low goes");
            TOP.pp_call(MessageInfo::new(0, 0));
            write_down(&mut log, b"low back");
            write_down(&mut log, b"the end ");
            assert_eq!(usize::from(log.read::<u16>(0)), EXPECTED.len());
            for (index, expected) in EXPECTED.iter().enumerate() {
                let found = log.read::<u64>(8 + index * 8).to_le_bytes();
                assert_eq!(core::str::from_utf8(&found), core::str::from_utf8(*expected), "entry {index}");
            }
            boot_domains::pass()
        }
        "middle" => write_down(&mut log, b"mid init"),
        "high" => write_down(&mut log, b"hi init "),
        other => unreachable!("{other} is no rung"),
    }
    Rung { log, top: name() == "high" }
}

impl Handler for Rung {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if self.top {
            write_down(&mut self.log, b"hi sees ");
        } else if channels.contains(UP) {
            write_down(&mut self.log, b"mid told");
        } else {
            write_down(&mut self.log, b"mid sees");
            UP.notify();
            write_down(&mut self.log, b"mid goes");
        }
        Ok(())
    }

    fn protected(&mut self, _: Channel, message: MessageInfo) -> Result<MessageInfo, Infallible> {
        write_down(&mut self.log, b"hi serve");
        DOWN.notify();
        Ok(message)
    }
}
