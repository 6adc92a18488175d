// SPDX-License-Identifier: BSD-2-Clause
//! The parts that the model can be: one row per platform.
//!
//! A row holds what differs between parts of a generation (engines, fuses, quirks); what differs between
//! generations is in [`engines`] and in the modules that model it.

pub mod engines;
mod rows;

pub use engines::EngineFacts;
pub use rows::{PLATFORMS, by_device_id, by_name};

use crate::commands::Generation;

/// MSI capability of a part (source: lspci dumps; where none was seen, the usual place).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiCapability {
    /// Offset in configuration space.
    pub offset: u8,
    /// Has per-vector mask and pending registers.
    pub maskable: bool,
}

/// One part.
#[derive(Clone, Copy, Debug)]
pub struct Platform {
    /// Short name, as on the command line.
    pub name: &'static str,
    /// Marketing name of the graphics.
    pub title: &'static str,
    /// PCI device id.
    pub device_id: u16,
    /// PCI revision id.
    pub revision: u8,
    /// Generation.
    pub generation: Generation,
    /// Atom-class Gen9 (Apollo and Gemini Lake).
    pub low_power: bool,
    /// GPU and CPU share the last level cache.
    pub llc: bool,
    /// Engines that the part has, fuses considered.
    pub engines: &'static [EngineFacts],
    /// GGMS field of GGC: 1 = 2 MiB of GGTT entries (1 GiB), 2 = 4 MiB, 3 = 8 MiB (4 GiB).
    pub ggms: u8,
    /// MSI capability.
    pub msi: MsiCapability,
    /// Registers with fixed values that describe the part: (offset, value). Writes to them are refused.
    pub fuses: &'static [(u32, u32)],
    /// Frequency of TIMESTAMP in Hz.
    pub timestamp_hz: u64,
    /// Frequency of CTX_TIMESTAMP in Hz.
    pub context_timestamp_hz: u64,
    /// Read-only PPGTT pages work.
    pub read_only_pages: bool,
    /// 2 MiB pages work.
    pub huge_pages: bool,
    /// 64 KiB pages work.
    pub large_pages: bool,
}

impl Platform {
    /// Number of GGTT entries, one per 4 KiB.
    #[must_use]
    pub const fn ggtt_entries(&self) -> usize {
        ((1usize << self.ggms) << 20) / 8
    }

    /// Gen8 or Gen9: ELSP, legacy interrupt scheme.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.generation <= Generation::Gen9
    }
}
