// SPDX-License-Identifier: BSD-2-Clause
//! Wakes the driver while the GPU has work, so that a lost interrupt, a context that does not yield and a
//! batch that never ends are noticed: channel 0 of the 8254 timer, one shot at a time, on the I/O APIC.
//! Without work the timer is silent.

use microkit_ext::ioport::IoPort;
use sel4_microkit::Channel;

/// 10 ms at 1,193,182 Hz: ten of i915's timeslices, and a hundredth of the shortest of the core's other
/// times.
const COUNT: u16 = 11_932;
/// 50 us.
const SOON: u16 = 60;
/// Port of channel 0's count.
const COUNTER: u16 = 0x40;
/// Port of the mode.
const MODE: u16 = 0x43;
/// Channel 0, low then high byte, mode 0 (the output rises once, at the end), binary.
const ONE_SHOT: u8 = 0b0011_0000;

/// The timer and its interrupt.
#[derive(Debug)]
pub(crate) struct Alarm {
    port: IoPort,
    interrupt: Channel,
    running: bool,
}

impl Alarm {
    /// Over the timer's ports and its interrupt.
    pub(crate) const fn new(port: IoPort, interrupt: Channel) -> Self {
        Self { port, interrupt, running: false }
    }

    /// The channel that it wakes the domain through.
    pub(crate) const fn interrupt(&self) -> Channel {
        self.interrupt
    }

    /// Makes sure that the domain is woken within 10 ms. Costs nothing if it is so already.
    pub(crate) fn set(&mut self) {
        if !self.running {
            self.program(COUNT);
        }
    }

    /// Makes the domain be woken as soon as whatever waits for it has been served, because it has more to do
    /// than one turn of its loop allows.
    pub(crate) fn set_soon(&mut self) {
        self.program(SOON);
    }

    fn program(&mut self, count: u16) {
        let [low, high] = count.to_le_bytes();
        let written = self
            .port
            .out8(MODE, ONE_SHOT)
            .and_then(|()| self.port.out8(COUNTER, low))
            .and_then(|()| self.port.out8(COUNTER, high));
        // The ports are system.xml's; without them nothing would come, and so it is tried again.
        self.running = written.is_ok();
    }

    /// The shot has come.
    pub(crate) fn expired(&mut self) {
        self.running = false;
    }
}
