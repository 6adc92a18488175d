// SPDX-License-Identifier: BSD-2-Clause
//! What cannot be gone on after.

use core::fmt;

use image_spec::{FailureExit, SpecError};
use sel4::initial;

use crate::console::line;

/// Why the system cannot be set up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    /// What the kernel says about the machine makes no sense.
    BootInfo,
    /// The specification makes no sense.
    Spec(SpecError),
    /// The root CNode has fewer slots than are needed.
    Slots {
        /// How many are needed, so far.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// There is no memory left for an object.
    Memory {
        /// The object.
        name: &'static str,
        /// Its size.
        bytes: u64,
        /// What is left altogether, in pieces.
        left: u64,
    },
    /// The machine does not offer a frame's physical address, or something else has taken it.
    Absent {
        /// The frame's object.
        name: &'static str,
        /// The address.
        paddr: u64,
    },
    /// The machine has no I/O memory management unit.
    NoIommu {
        /// The I/O address space.
        name: &'static str,
    },
    /// The kernel refuses a step.
    Kernel {
        /// What is done, so that "cannot" before it makes a sentence.
        step: &'static str,
        /// With which object.
        name: &'static str,
        /// The kernel's answer.
        error: sel4::Error,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootInfo => write!(f, "the kernel's boot information makes no sense"),
            Self::Spec(error) => write!(f, "{error}"),
            Self::Slots { needed, free } => {
                write!(f, "{needed} capability slots are needed, the root CNode has {free} free")
            }
            Self::Memory { name, bytes, left } => {
                write!(f, "{name}: no block of {bytes:#x} bytes is left ({left:#x} bytes in pieces)")
            }
            Self::Absent { name, paddr } => {
                write!(f, "{name}: the physical address {paddr:#x} is not to be had on this machine")
            }
            Self::NoIommu { name } => {
                write!(f, "{name}: the kernel has found no I/O memory management unit")
            }
            Self::Kernel { step, name, error } => write!(f, "{name}: cannot {step}: {error}"),
        }
    }
}

/// Turns the kernel's answer into a failure that says what was being done.
pub(crate) trait During<T> {
    /// `step` continues "cannot"; `name` is the object.
    fn during(self, step: &'static str, name: &'static str) -> Result<T, Failure>;
}

impl<T> During<T> for sel4::Result<T> {
    fn during(self, step: &'static str, name: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure::Kernel { step, name, error })
    }
}

/// Tells the failure and ends: the machine where it has a port for that, else this thread alone, for good.
pub(crate) fn end(failure: fmt::Arguments<'_>, exit: Option<FailureExit>) -> ! {
    line!("initialiser: error: {failure}");
    if let Some(exit) = exit {
        // When the port does nothing there is nothing else to try.
        let _ = initial::IO_PORT.out32(exit.port, exit.value);
    }
    loop {
        // No domain has been started, or none of what is left can be repaired: nothing else is to run.
        let _ = initial::TCB.suspend();
    }
}
