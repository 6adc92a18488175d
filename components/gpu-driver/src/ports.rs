// SPDX-License-Identifier: BSD-2-Clause
//! The I/O ports that system.xml gives the driver: PCI configuration mechanism 1 and the timer.

use microkit_ext::ioport::IoPort;
use pci::Ports;
use sel4_microkit::{Channel, debug_println};

use crate::clock::TimerPorts;

/// Ports 0xcf8..0xd00.
#[derive(Debug)]
pub(crate) struct PciPorts {
    port: IoPort,
    base: u16,
}

impl PciPorts {
    /// Through this range of ports, which starts at `base`.
    pub(crate) const fn new(port: IoPort, base: u16) -> Self {
        Self { port, base }
    }
}

impl Ports for PciPorts {
    fn write_address(&mut self, value: u32) {
        // The range is system.xml's: an error would say that it is too short, and reads as absent.
        let _ = self.port.out32(self.base, value);
    }

    fn read_data(&mut self) -> u32 {
        self.port.in32(self.base + 4).unwrap_or(u32::MAX)
    }

    fn write_data(&mut self, value: u32) {
        let _ = self.port.out32(self.base + 4, value);
    }
}

/// Ports 0x40..0x44 and 0x61.
#[derive(Debug)]
pub(crate) struct Timer {
    counters: IoPort,
    gate: IoPort,
}

impl Timer {
    /// Through these two ranges.
    pub(crate) const fn new(counters: IoPort, gate: IoPort) -> Self {
        Self { counters, gate }
    }
}

impl TimerPorts for Timer {
    fn read_gate(&mut self) -> u8 {
        self.gate.in8(0x61).unwrap_or(0)
    }

    fn write_gate(&mut self, value: u8) {
        let _ = self.gate.out8(0x61, value);
    }

    fn write_count(&mut self, value: u8) {
        let _ = self.counters.out8(0x42, value);
    }

    fn write_mode(&mut self, value: u8) {
        let _ = self.counters.out8(0x43, value);
    }
}

/// Ports 0x40..0x44 and the interrupt of channel 0.
#[derive(Debug)]
pub(crate) struct Shots {
    counters: IoPort,
    interrupt: Channel,
}

impl Shots {
    /// Through this range and this channel.
    pub(crate) const fn new(counters: IoPort, interrupt: Channel) -> Self {
        Self { counters, interrupt }
    }
}

impl pit::Timer for Shots {
    fn write(&mut self, port: u16, value: u8) -> bool {
        self.counters.out8(port, value).is_ok()
    }

    fn acknowledge(&mut self) {
        if self.interrupt.irq_ack().is_err() {
            debug_println!("gpu_driver: interrupt {} could not be acknowledged", self.interrupt.index());
        }
    }
}
