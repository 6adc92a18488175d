// SPDX-License-Identifier: BSD-2-Clause
//! What cannot be gone on after.

use core::fmt;

use image_spec::place::FailureExit;
use image_spec::{Location, SpecError};
use sel4::initial;

use crate::console::line;
use crate::start::Key;

/// Why the system cannot be set up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
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
        /// Where it should lie.
        place: Location,
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
            Self::Spec(error) => write!(f, "{error}"),
            Self::Slots { needed, free } => {
                write!(f, "{needed} capability slots are needed, the root CNode has {free} free")
            }
            Self::Memory { name, bytes, left } => {
                write!(
                    f,
                    "{name}: no block of {bytes:#x} bytes is left ({left:#x} bytes in pieces); see {}",
                    Key::Memory
                )
            }
            Self::Absent { name, place: Location { paddr, device } } => {
                let (kind, key) = if *device { ("device memory", Key::Device) } else { ("memory", Key::Ram) };
                write!(
                    f,
                    "{name}: the kernel offers no {kind} at the physical address {paddr:#x}; see {key} and {}",
                    Key::Memory
                )
            }
            Self::NoIommu { name } => {
                write!(
                    f,
                    "{name}: the kernel has found no I/O memory management unit: VT-d is off in the firmware's \
                     settings, or its tables are of no use"
                )
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

/// Tells the failure and ends: the machine where it has a port for that, else just everything in it.
pub(crate) fn end(failure: fmt::Arguments<'_>, exit: Option<FailureExit>) -> ! {
    line!("initialiser: error: {failure}");
    if let Some(exit) = exit {
        // When the port does nothing there is nothing else to try.
        let _ = initial::IO_PORT.out32(exit.port, exit.value);
    }
    stop()
}

/// Does nothing more. At the highest priority that keeps all domains from running, too: none has been started, or
/// nothing can be relied upon.
pub(crate) fn stop() -> ! {
    loop {
        sel4::yield_now();
    }
}
