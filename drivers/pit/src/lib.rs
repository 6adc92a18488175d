// SPDX-License-Identifier: BSD-2-Clause
//! An alarm: channel 0 of the 8254 timer, one shot at a time, on the I/O APIC.
//!
//! ```text
//!   firmware's ticks ─► edge: masked ── begin ──► unmasked, set ── 10 ms ──► edge: masked, signalled ── expired ─┐
//!                                                    ▲                                                           │
//!                                                    └──────────────── set, while there is work ◄────────────────┘
//! ```
//!
//! The kernel masks the line with each interrupt until that is acknowledged, and the I/O APIC does not remember an edge that
//! comes while the line is masked. So a shot is set only after an acknowledgement, or while an interrupt that was signalled
//! waits to be handled.
//!
//! Sources: Intel 8254 data sheet (control word, mode 0); Intel 82093AA data sheet, chapter 3.2.4 ("Interrupt Mask": an
//! edge on a masked line is lost); seL4: `handleInterrupt` masks and signals, `ioapic_mask`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;

/// 10 ms at 1,193,182 Hz.
const COUNT: u16 = 11_932;
/// 50 us.
const SOON: u16 = 60;
/// Port of channel 0's count.
const COUNTER: u16 = 0x40;
/// Port of the mode.
const MODE: u16 = 0x43;
/// Channel 0, low then high byte, mode 0 (the output rises once, at the end), binary.
const ONE_SHOT: u8 = 0b0011_0000;

/// The way to the timer and to the line of its interrupt.
pub trait Timer {
    /// Writes a port of the timer (0x40 to 0x43). False: it is refused.
    fn write(&mut self, port: u16, value: u8) -> bool;

    /// Lets the kernel unmask the line.
    fn acknowledge(&mut self);
}

/// The timer as an alarm.
#[derive(Debug)]
pub struct Alarm<T> {
    timer: T,
    running: bool,
}

impl<T: Timer> Alarm<T> {
    /// An alarm that is not set: [`Self::begin`] comes first.
    pub const fn new(timer: T) -> Self {
        Self { timer, running: false }
    }

    /// Sets the first shot, whatever the firmware has left: its ticks may have masked the line before anybody could be told.
    pub fn begin(&mut self) {
        self.timer.acknowledge();
        self.set();
    }

    /// Makes sure that the interrupt comes within 10 ms. Costs nothing if it is so already.
    #[inline]
    pub fn set(&mut self) {
        if !self.running {
            self.program(COUNT);
        }
    }

    /// Makes the interrupt come within 50 us.
    pub fn set_soon(&mut self) {
        self.program(SOON);
    }

    /// The interrupt has come.
    pub fn expired(&mut self) {
        self.running = false;
        self.timer.acknowledge();
    }

    fn program(&mut self, count: u16) {
        let [low, high] = count.to_le_bytes();
        // Where the ports are refused nothing would come, and so it is tried again.
        self.running = self.timer.write(MODE, ONE_SHOT)
            && self.timer.write(COUNTER, low)
            && self.timer.write(COUNTER, high);
    }
}
