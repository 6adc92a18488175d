// SPDX-License-Identifier: BSD-2-Clause
//! PCI configuration space of function 00:02.0.
//!
//! ```text
//!   0x10 BAR0 64-bit, 16 MiB   registers (8 MiB) and GGTT entries (8 MiB)
//!   0x18 BAR2 64-bit, prefetchable, 256 MiB   aperture
//!   0x20 BAR4 I/O, 64 bytes
//!   0x40 vendor-specific ─► [0x70 PCI Express ─►] MSI ─► 0xd0 power management
//! ```
//!
//! Sources: PCI 3.0 chapter 6, PCI PM 1.2, PRM vol 2c (GGC, BDSM, ASLS), lspci dumps.

use crate::commands::Generation;
use crate::interrupts::Msi;
use crate::platform::Platform;

/// Size of BAR0.
pub const BAR0_SIZE: u64 = 16 << 20;
/// Size of BAR2, the aperture.
pub const BAR2_SIZE: u64 = 256 << 20;
/// Size of BAR4 (I/O).
pub const BAR4_SIZE: u64 = 64;

const COMMAND: usize = 0x04;
const STATUS: usize = 0x06;
/// Command register bits.
const COMMAND_IO: u16 = 1 << 0;
const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_MASTER: u16 = 1 << 2;
const COMMAND_INTX_OFF: u16 = 1 << 10;
/// Status: a capability list exists.
const STATUS_CAPABILITIES: u16 = 1 << 4;
/// Status: INTx asserted.
const STATUS_INTX: u16 = 1 << 3;

const CAP_VENDOR: u8 = 0x40;
const CAP_EXPRESS: u8 = 0x70;
const CAP_POWER: u8 = 0xd0;

/// Which base address register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bar {
    /// Registers and GGTT.
    Registers,
    /// Aperture.
    Aperture,
    /// I/O ports.
    Io,
}

/// What a configuration write changed, beyond the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// MSI was switched on or unmasked: a pending cause must be signalled.
    pub msi: bool,
    /// The function came back from D3hot to D0.
    pub power_up: bool,
}

/// The configuration space.
#[derive(Clone, Debug)]
pub struct Config {
    bytes: [u8; 256],
    /// Bits that a write can change.
    writable: [u8; 256],
    msi: usize,
    maskable: bool,
    hide_upper: bool,
}

impl Config {
    /// Power-on state.
    #[must_use]
    pub fn new(platform: &Platform) -> Self {
        let mut config = Self {
            bytes: [0; 256],
            writable: [0; 256],
            msi: usize::from(platform.msi.offset),
            maskable: platform.msi.maskable,
            hide_upper: false,
        };
        config.put16(0x00, 0x8086);
        config.put16(0x02, platform.device_id);
        config.put16(STATUS, STATUS_CAPABILITIES);
        config.bytes[0x08] = platform.revision;
        // Display controller, VGA compatible (0x030000): the only display of the machine.
        config.bytes[0x0b] = 0x03;
        config.put32(0x10, 0x4);
        config.put32(0x18, 0xc);
        config.put32(0x20, 0x1);
        config.put16(0x2c, 0x8086);
        config.put16(0x2e, 0x2212);
        config.bytes[0x34] = CAP_VENDOR;
        config.bytes[0x3d] = 1;
        // GGC: size of the GGTT, no stolen memory.
        config.put16(0x50, u16::from(platform.ggms) << 6);
        config
            .allow(COMMAND, &(COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_OFF).to_le_bytes());
        config.allow(0x0c, &[0xff]);
        config.allow(0x10, &0xff00_0000u32.to_le_bytes());
        config.allow(0x14, &[0xff; 4]);
        config.allow(0x18, &0xf000_0000u32.to_le_bytes());
        config.allow(0x1c, &[0xff; 4]);
        config.allow(0x20, &0xffff_ffc0u32.to_le_bytes());
        config.allow(0x3c, &[0xff]);
        // SWSCI and its neighbour, and the OpRegion pointer (ASLS), belong to firmware and driver.
        config.allow(0xe0, &[0xff; 4]);
        config.allow(0xe8, &[0xff; 2]);
        config.allow(0xfc, &[0xff; 4]);
        config.capabilities(platform);
        config
    }

    fn capabilities(&mut self, platform: &Platform) {
        let msi = platform.msi.offset;
        let express = platform.generation >= Generation::Gen9;
        self.put_capability(CAP_VENDOR, 0x09, if express { CAP_EXPRESS } else { msi });
        self.bytes[usize::from(CAP_VENDOR) + 2] = 0x0c;
        if express {
            self.put_capability(CAP_EXPRESS, 0x10, msi);
            // Version 2, root complex integrated endpoint.
            self.put16(usize::from(CAP_EXPRESS) + 2, 0x0092);
        }
        self.put_capability(msi, 0x05, CAP_POWER);
        let at = usize::from(msi);
        self.put16(at + 2, if self.maskable { 1 << 8 } else { 0 });
        self.allow(at + 2, &[0x71, 0]);
        self.allow(at + 4, &0xffff_fffcu32.to_le_bytes());
        self.allow(at + 8, &[0xff; 2]);
        if self.maskable {
            self.allow(at + 0xc, &[1, 0, 0, 0]);
        }
        self.put_capability(CAP_POWER, 0x01, 0);
        // Version 2; no PME.
        self.put16(usize::from(CAP_POWER) + 2, 0x0022);
        self.allow(usize::from(CAP_POWER) + 4, &[0x03]);
    }

    fn put_capability(&mut self, at: u8, id: u8, next: u8) {
        self.bytes[usize::from(at)] = id;
        self.bytes[usize::from(at) + 1] = next;
    }

    fn put16(&mut self, at: usize, value: u16) {
        self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    fn put32(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn allow(&mut self, at: usize, bits: &[u8]) {
        self.writable[at..at + bits.len()].copy_from_slice(bits);
    }

    fn get16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    fn get32(&self, at: usize) -> u32 {
        u32::from(self.get16(at)) | u32::from(self.get16(at + 2)) << 16
    }

    /// Answers all-ones probes of the upper halves of the 64-bit BARs with 0 while set. QEMU's proxy device
    /// sizes each dword by itself and knows 32-bit BARs only; the program sets this while QEMU probes.
    pub const fn hide_upper_halves(&mut self, hide: bool) {
        self.hide_upper = hide;
    }

    /// Reads `len` (1, 2 or 4) bytes at `offset`; bytes beyond 256 read as ones.
    #[must_use]
    pub fn read(&self, offset: u32, len: u32) -> u32 {
        let mut value = 0;
        for i in (0..len.min(4)).rev() {
            let byte = usize::try_from(offset.saturating_add(i)).ok().and_then(|at| self.bytes.get(at));
            value = value << 8 | u32::from(byte.copied().unwrap_or(0xff));
        }
        if self.hide_upper && matches!(offset, 0x14 | 0x1c) { 0 } else { value }
    }

    /// Writes `len` (1, 2 or 4) bytes at `offset`.
    pub fn write(&mut self, offset: u32, len: u32, value: u32) -> Changes {
        let (msi, power) = (self.msi_ready(), self.is_awake());
        for (i, byte) in value.to_le_bytes().into_iter().enumerate().take(len.min(4) as usize) {
            let Some(at) = usize::try_from(offset).ok().and_then(|at| at.checked_add(i)) else { continue };
            if let (Some(slot), Some(mask)) = (self.bytes.get_mut(at), self.writable.get(at)) {
                *slot = (*slot & !mask) | (byte & mask);
            }
        }
        Changes { msi: !msi && self.msi_ready(), power_up: !power && self.is_awake() }
    }

    /// Memory decoding is on.
    #[must_use]
    pub fn memory_enabled(&self) -> bool {
        self.get16(COMMAND) & COMMAND_MEMORY != 0
    }

    /// Bus mastering is on.
    #[must_use]
    pub fn bus_master(&self) -> bool {
        self.get16(COMMAND) & COMMAND_MASTER != 0
    }

    /// INTx may be asserted: not disabled, and MSI off.
    #[must_use]
    pub fn intx_enabled(&self) -> bool {
        self.get16(COMMAND) & COMMAND_INTX_OFF == 0 && !self.msi_enabled()
    }

    /// The function is in D0.
    #[must_use]
    pub const fn is_awake(&self) -> bool {
        self.bytes[CAP_POWER as usize + 4] & 3 == 0
    }

    /// Shows the state of the INTx line in the status register.
    pub fn show_intx(&mut self, asserted: bool) {
        let status = self.get16(STATUS) & !STATUS_INTX;
        self.put16(STATUS, if asserted { status | STATUS_INTX } else { status });
    }

    /// MSI enable bit.
    #[must_use]
    pub fn msi_enabled(&self) -> bool {
        self.get16(self.msi + 2) & 1 != 0
    }

    /// MSI is enabled and not masked.
    #[must_use]
    pub fn msi_ready(&self) -> bool {
        self.msi_enabled() && !(self.maskable && self.get32(self.msi + 0xc) & 1 != 0)
    }

    /// Sets or clears the pending bit of a maskable MSI.
    pub fn set_msi_pending(&mut self, pending: bool) {
        if self.maskable {
            self.put32(self.msi + 0x10, u32::from(pending));
        }
    }

    /// The message, as programmed.
    #[must_use]
    pub fn msi(&self) -> Msi {
        Msi { address: u64::from(self.get32(self.msi + 4)), data: u32::from(self.get16(self.msi + 8)) }
    }

    /// Base of a BAR as programmed.
    #[must_use]
    pub fn bar_base(&self, bar: Bar) -> u64 {
        let at = match bar {
            Bar::Registers => 0x10,
            Bar::Aperture => 0x18,
            Bar::Io => return u64::from(self.get32(0x20) & !0x3f),
        };
        u64::from(self.get32(at) & !0xf) | u64::from(self.get32(at + 4)) << 32
    }

    /// GGC, as mirrored at MMIO 0x108040.
    #[must_use]
    pub fn ggc(&self) -> u32 {
        u32::from(self.get16(0x50))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::{PLATFORMS, by_name};

    fn config(name: &str) -> Config {
        Config::new(by_name(name).unwrap())
    }

    #[test]
    fn sizing_a_bar_reads_back_its_size() {
        let mut config = config("tgl");
        for (at, size, flags) in [(0x10, BAR0_SIZE, 0x4u64), (0x18, BAR2_SIZE, 0xc)] {
            config.write(at, 4, u32::MAX);
            config.write(at + 4, 4, u32::MAX);
            let value = u64::from(config.read(at, 4)) | u64::from(config.read(at + 4, 4)) << 32;
            assert_eq!(value & 0xf, flags);
            assert_eq!(!(value & !0xf) + 1, size);
        }
        config.write(0x20, 4, u32::MAX);
        assert_eq!(config.read(0x20, 4), 0xffff_ffc1);
    }

    #[test]
    fn the_capability_list_holds_one_msi_with_one_vector_on_every_platform() {
        for platform in PLATFORMS {
            let config = Config::new(platform);
            let mut at = config.read(0x34, 1);
            let mut ids = Vec::new();
            while at != 0 && ids.len() < 16 {
                let id = config.read(at, 1);
                if id == 5 {
                    assert_eq!(config.read(at + 2, 2) & 0xfe, 0, "one vector, 32-bit address");
                }
                ids.push(id);
                at = config.read(at + 1, 1);
            }
            assert_eq!(ids.iter().filter(|id| **id == 5).count(), 1, "{}", platform.name);
            assert_eq!(ids.last(), Some(&1));
        }
    }

    #[test]
    fn read_only_bits_ignore_writes() {
        let mut config = config("skl");
        config.write(0x00, 4, 0);
        config.write(0x50, 2, 0);
        config.write(0x04, 4, u32::MAX);
        assert_eq!(config.read(0x00, 4), 0x1912_8086);
        assert_eq!(config.read(0x50, 2), 3 << 6);
        assert_eq!(config.read(0x04, 4), 0x0010_0407);
    }

    #[test]
    fn a_masked_msi_is_not_ready_until_unmasked() {
        let mut config = config("rkl");
        config.write(0xac + 0xc, 4, 1);
        assert_eq!(config.write(0xac + 2, 2, 1), Changes::default());
        assert!(config.msi_enabled() && !config.msi_ready());
        assert_eq!(config.write(0xac + 0xc, 4, 0), Changes { msi: true, power_up: false });
    }

    #[test]
    fn leaving_d3_is_told() {
        let mut config = config("tgl");
        assert_eq!(config.write(0xd4, 2, 3), Changes::default());
        assert!(!config.is_awake());
        assert!(config.write(0xd4, 2, 0).power_up);
    }

    #[test]
    fn accesses_beyond_the_space_read_ones() {
        let mut config = config("tgl");
        config.write(0x100, 4, 0);
        config.write(u32::MAX, 4, 0);
        assert_eq!(config.read(0xfe, 4), 0xffff_0000);
        assert_eq!(config.read(u32::MAX, 4), u32::MAX);
    }
}
