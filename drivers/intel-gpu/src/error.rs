// SPDX-License-Identifier: BSD-2-Clause
//! Errors. [`Error`] is what an operation on a running GPU answers, each with the errno that i915 has
//! for the same mistake; [`InitError`] is why a GPU could not be brought up.

use core::fmt;

/// Why an operation was refused. A refused operation has changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Error {
    /// The handle names nothing (`ENOENT`).
    NotFound,
    /// An argument is malformed: not aligned, out of range, of the wrong kind (`EINVAL`).
    Invalid,
    /// The range, or a part of it, is taken (`EINVAL` for a fixed place).
    Overlap,
    /// No hole of that size in the address space (`ENOSPC`).
    NoSpace,
    /// A pool of the driver is exhausted (`ENOMEM`).
    NoMemory,
    /// The account's quota is exhausted (`ENOMEM`).
    Quota,
    /// The ring of the context is full: wait for one of its requests (`EAGAIN`).
    RingFull,
    /// Still in use (`EBUSY`).
    Busy,
    /// The part cannot do that (`ENODEV`).
    Unsupported,
    /// The context is banned (`EIO`).
    Banned,
    /// The GPU is wedged or gone (`EIO`).
    Wedged,
    /// The hardware did not answer in its time (`EIO`); recovery is under way.
    Timeout,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no such thing",
            Self::Invalid => "malformed argument",
            Self::Overlap => "range is taken",
            Self::NoSpace => "no free range of that size",
            Self::NoMemory => "pool exhausted",
            Self::Quota => "quota exhausted",
            Self::RingFull => "ring full",
            Self::Busy => "in use",
            Self::Unsupported => "not possible on this part",
            Self::Banned => "context is banned",
            Self::Wedged => "GPU is wedged",
            Self::Timeout => "hardware did not answer in time",
        })
    }
}

impl core::error::Error for Error {}

/// Why the GPU could not be brought up. The message names register, expectation and finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InitError {
    /// No row of the platform table has this PCI id.
    UnknownDevice {
        /// PCI vendor id.
        vendor: u16,
        /// PCI device id.
        device: u16,
    },
    /// Registers read all ones.
    DeviceGone {
        /// Offset of the register that was read.
        register: u32,
    },
    /// The firmware gave no GGTT (GGC.GGMS = 0).
    NoGgtt {
        /// GGC as read from configuration space.
        ggc: u16,
    },
    /// The DMA region lies beyond what the part can address.
    DmaRegionOutOfReach {
        /// One past the region's last device address.
        end: u64,
        /// Address bits of the part.
        bits: u32,
    },
    /// The DMA region is too small for what every GPU needs.
    DmaRegionTooSmall {
        /// Pages of the region.
        pages: u32,
    },
    /// A number in the configuration makes no sense.
    Config {
        /// Which.
        field: &'static str,
    },
    /// A forcewake domain did not acknowledge.
    ForcewakeTimeout {
        /// Domain.
        domain: &'static str,
        /// Acknowledge register's last value.
        ack: u32,
    },
    /// GDRST bits did not clear.
    ResetTimeout {
        /// GDRST's last value.
        gdrst: u32,
    },
    /// An engine's error status did not clear.
    EngineError {
        /// Engine name (`rcs0`).
        engine: &'static str,
        /// ESR.
        esr: u32,
    },
    /// The first request of an engine did not complete.
    EngineSilent {
        /// Engine name.
        engine: &'static str,
        /// RING_HEAD.
        head: u32,
        /// EXECLIST_STATUS, low half.
        status: u32,
        /// Whether a status event had arrived.
        event_seen: bool,
    },
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UnknownDevice { vendor, device } => {
                write!(f, "PCI device {vendor:04x}:{device:04x} is not a GPU this driver knows")
            }
            Self::DeviceGone { register } => {
                write!(f, "register {register:#x} reads all ones: the device does not answer")
            }
            Self::NoGgtt { ggc } => write!(f, "firmware set up no global GTT (GGC = {ggc:#06x})"),
            Self::DmaRegionOutOfReach { end, bits } => {
                write!(f, "DMA region ends at {end:#x}, beyond the part's {bits} address bits")
            }
            Self::DmaRegionTooSmall { pages } => {
                write!(f, "DMA region of {pages} pages is too small to start the GPU")
            }
            Self::Config { field } => write!(f, "configuration: `{field}` is out of range"),
            Self::ForcewakeTimeout { domain, ack } => {
                write!(f, "forcewake domain {domain} did not acknowledge (register reads {ack:#010x})")
            }
            Self::ResetTimeout { gdrst } => {
                write!(f, "GPU reset did not finish (GDRST reads {gdrst:#010x})")
            }
            Self::EngineError { engine, esr } => {
                write!(f, "engine {engine} reports an error before its first request (ESR = {esr:#010x})")
            }
            Self::EngineSilent { engine, head, status, event_seen } => write!(
                f,
                "engine {engine} did not complete its first request (RING_HEAD = {head:#x}, \
                 EXECLIST_STATUS = {status:#010x}, {} status event)",
                if event_seen { "some" } else { "no" }
            ),
        }
    }
}

impl core::error::Error for InitError {}
