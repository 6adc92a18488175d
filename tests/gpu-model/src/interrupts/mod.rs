// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts, from an engine's event to the message.
//!
//! ```text
//!   engine event ─► RING_IMR ─┬ Gen8, Gen9:   IMR ─► IIR (two deep) ─► IER ─► master 0x44200 ─┬─► edge ─► MSI
//!                             └ Gen11, Gen12: enable, mask ─► GT_INTR_DW ─► master 0x190010 ──┘  level ─► INTx
//! ```
//!
//! An MSI is sent on the rising edge of "master enabled and a cause pending", so that a driver which leaves the
//! master on while it clears causes loses interrupts here as on a real part, and re-enabling the master with
//! pending causes sends a fresh message.

pub mod gen11;
pub mod iir;
pub mod legacy;

use crate::platform::{Platform, engines::InterruptPosition};

/// One message-signalled interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Msi {
    /// Address to write to.
    pub address: u64,
    /// Data to write.
    pub data: u32,
}

/// Events of an engine, bits of its 16-bit vector (PRM vol 2c, GT interrupt definition).
pub mod event {
    /// MI_USER_INTERRUPT.
    pub const USER: u16 = 1 << 0;
    /// Unmasked error in EIR.
    pub const ERROR: u16 = 1 << 3;
    /// PIPE_CONTROL or MI_FLUSH_DW notify.
    pub const FLUSH: u16 = 1 << 4;
    /// Page fault.
    pub const PAGE_FAULT: u16 = 1 << 7;
    /// Context switch (a status event was written).
    pub const CONTEXT_SWITCH: u16 = 1 << 8;
    /// Wait on semaphore.
    pub const SEMAPHORE: u16 = 1 << 11;
}

/// Outcome of a register write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Not an interrupt register.
    Foreign,
    /// Done.
    Done,
    /// Done, but it breaks the identity protocol.
    BadIdentity,
    /// Done, but bits of the master register were written that are not writable.
    BadMaster,
}

/// The scheme of the part.
#[derive(Clone, Debug)]
pub enum Controller {
    /// Gen8 and Gen9.
    Legacy(legacy::Legacy),
    /// Gen11 and Gen12.
    Identity(gen11::Identity),
}

impl Controller {
    /// Everything off and masked.
    #[must_use]
    pub fn new(platform: &Platform) -> Self {
        if platform.is_legacy() {
            Self::Legacy(legacy::Legacy::new())
        } else {
            Self::Identity(gen11::Identity::new(platform))
        }
    }

    /// An engine's event vector, already past RING_IMR.
    pub fn raise(&mut self, position: InterruptPosition, hw_class: u8, instance: u8, vector: u16) -> bool {
        match (self, position) {
            (Self::Legacy(legacy), InterruptPosition::Legacy { block, shift, .. }) => {
                legacy.raise(block, u32::from(vector) << shift)
            }
            (
                Self::Identity(identity),
                InterruptPosition::Identity { dword, bit, enable, enable_shift, mask, mask_shift },
            ) => {
                let enabled = identity.enable_bits(enable) >> enable_shift;
                let masked = identity.mask_bits(mask) >> mask_shift;
                let passed = u32::from(vector) & enabled & !masked;
                identity.raise(dword, bit, hw_class, instance, passed)
            }
            _ => false,
        }
    }

    /// Reads an interrupt register, `None` if `offset` is none.
    pub fn read(&mut self, offset: u32) -> Option<u32> {
        match self {
            Self::Legacy(legacy) => legacy.read(offset),
            Self::Identity(identity) => identity.read(offset),
        }
    }

    /// Writes an interrupt register.
    pub fn write(&mut self, offset: u32, value: u32) -> Written {
        match self {
            Self::Legacy(legacy) => legacy.write(offset, value),
            Self::Identity(identity) => identity.write(offset, value),
        }
    }

    /// Master enabled and a cause pending.
    #[must_use]
    pub fn asserted(&self) -> bool {
        match self {
            Self::Legacy(legacy) => legacy.asserted(),
            Self::Identity(identity) => identity.asserted(),
        }
    }
}
