// SPDX-License-Identifier: BSD-2-Clause
//! Sends a text on the second serial port, a byte per interrupt of its empty transmitter (I/O APIC pin 3, edge
//! triggered). The judge; the text is for the test outside.
#![no_std]
#![no_main]

use microkit_ext::ioport::IoPort;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};

/// A 16550's registers at COM2.
const SERIAL: IoPort = IoPort::new(1);
const DATA: u16 = 0x2f8;
const INTERRUPT_ENABLE: u16 = 0x2f9;
const INTERRUPT_CAUSE: u16 = 0x2fa;
const MODEM_CONTROL: u16 = 0x2fc;
const GIVEN: &str = "the ports of the second serial port are this domain's";

const IRQ: Channel = Channel::new(9);
const TEXT: &[u8] = b"one interrupt for each of these bytes\n";

struct Sender {
    sent: usize,
}

#[protection_domain]
fn init() -> impl Handler<Error = Infallible> {
    // OUT2 lets the interrupt out of the chip.
    SERIAL.out8(MODEM_CONTROL, 0b1000).expect(GIVEN);
    // The transmitter is empty, so that enabling its interrupt raises it.
    SERIAL.out8(INTERRUPT_ENABLE, 0b10).expect(GIVEN);
    Sender { sent: 0 }
}

impl Handler for Sender {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        assert!(channels.contains(IRQ));
        // Reading the cause takes the interrupt back.
        let cause = SERIAL.in8(INTERRUPT_CAUSE).expect(GIVEN) & 0xf;
        assert_eq!(cause, 0b0010, "transmitter empty");
        IRQ.irq_ack().expect("the interrupt is acknowledged");
        match TEXT.get(self.sent) {
            Some(&byte) => SERIAL.out8(DATA, byte).expect(GIVEN),
            None => boot_domains::pass(),
        }
        self.sent += 1;
        Ok(())
    }
}
