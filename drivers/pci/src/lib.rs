// SPDX-License-Identifier: BSD-2-Clause
//! PCI configuration space, base address registers and the MSI capability.
//!
//! The way to configuration space is a trait of two 32-bit accesses ([`ConfigSpace`]); [`PortAccess`] makes
//! one of the I/O ports 0xcf8 and 0xcfc. A [`Function`] is one device function in it.
//!
//! ```
//! # use pci::*;
//! # fn bring_up(space: &mut impl ConfigSpace) -> Result<(), Error> {
//! let mut gpu = Function::new(space, Address::new(0, 2, 0).expect("small numbers"));
//! let identity = gpu.identity()?;
//! let registers = gpu.bar(0)?;
//! gpu.enable(Command::MEMORY | Command::BUS_MASTER);
//! gpu.enable_msi(Message::sel4(5))?;
//! # let _ = (identity, registers); Ok(())
//! # }
//! ```
//!
//! Why not the crate `pci_types`: its accessors are unsafe functions, which this side of the driver does
//! without; reading a BAR with it sizes the BAR (writes all ones) while the function decodes, under the
//! feet of whoever uses it; a reserved BAR type panics; and a capability list that loops never ends.
//!
//! Source: PCI Local Bus Specification 3.0, chapters 3.2.2.3.2 (mechanism one), 6.2 (header), 6.7
//! (capabilities), 6.8 (MSI).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod access;
mod bar;
mod capability;
mod function;
mod msi;

pub use access::{Address, ConfigSpace, PortAccess, Ports};
pub use bar::Bar;
pub use capability::{Capability, CapabilityId};
pub use function::{Command, Function, Identity};
pub use msi::{Message, Msi};

use core::fmt;

/// What configuration space did not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// No function answers at this address.
    NoFunction(Address),
    /// The BAR is not implemented, was never placed, or has a reserved type.
    NoBar {
        /// Number of the BAR.
        index: u8,
        /// What it reads.
        value: u32,
    },
    /// The function has no MSI capability.
    NoMsi(Address),
    /// The message's address does not fit the function's 32-bit MSI capability.
    MessageTooHigh(u64),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFunction(address) => write!(f, "no PCI function at {address}"),
            Self::NoBar { index, value } => {
                write!(f, "BAR {index} reads {value:#010x}: not a base address that firmware assigned")
            }
            Self::NoMsi(address) => write!(f, "PCI function {address} has no MSI capability"),
            Self::MessageTooHigh(address) => {
                write!(f, "MSI address {address:#x} does not fit the function's 32 bits")
            }
        }
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod testing;
