// SPDX-License-Identifier: BSD-2-Clause
//! Has the `edu` device raise its message-signalled interrupt again and again. The judge.
#![no_std]
#![no_main]

use boot_domains::{edu::Edu, pci::Function, region};
use microkit_ext::ioport::IoPort;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain, var};

const IRQ: Channel = Channel::new(4);
/// What the system description names as `vector`, plus the kernel's offset of user vectors.
const VECTOR: u8 = 0x30 + 11;
const ROUNDS: u32 = 20;

struct Driver {
    edu: Edu,
    rounds: u32,
}

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    let function = Function::new(IoPort::new(1), 3);
    let registers = region(*var!(edu_vaddr: usize = 0), 0x1000);
    let mut edu = Edu::new(function, registers, *var!(edu_paddr: usize = 0));
    function.enable_msi(VECTOR);
    edu.raise(1);
    Driver { edu, rounds: 0 }
}

impl Handler for Driver {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.contains(IRQ));
        self.rounds += 1;
        assert_eq!(self.edu.acknowledge(), self.rounds, "the status of the interrupt that was raised");
        IRQ.irq_ack().expect("the interrupt is acknowledged");
        if self.rounds == ROUNDS {
            boot_domains::pass();
        }
        self.edu.raise(self.rounds + 1);
        Ok(())
    }
}
