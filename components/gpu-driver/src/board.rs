// SPDX-License-Identifier: BSD-2-Clause
//! What the board file says of the GPU, as the image tool writes it into the program (`<constant>` in system.xml),
//! and the messages for a board file that is not this machine's: each names the key to look at, with file and line
//! (`<board_file>` in system.xml).

use core::fmt::{self, Display, Formatter};

use pci::Address;
use sel4_microkit::var;

/// What the board file says. Where system.xml passes nothing on, nothing is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Board {
    /// `pci`.
    pub(crate) address: Address,
    /// `device`; 0 in the file stands for any.
    device: Option<u16>,
    /// `gtt`, bytes.
    gtt: Option<u64>,
    /// `vector`.
    pub(crate) vector: u8,
}

/// Where Intel's integrated graphics is on every platform.
const USUAL_ADDRESS: Address = match Address::new(0, 2, 0) {
    Some(address) => address,
    None => panic!("00:02.0 is an address"),
};
/// The vector where system.xml does not pass the board's on.
const USUAL_VECTOR: u8 = 5;

/// A key of the board file that is not this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The GPU has another PCI device id.
    Device {
        /// The machine's.
        found: u16,
        /// The board file's.
        expected: u16,
    },
    /// The firmware put the registers elsewhere.
    Registers {
        /// Where base address register 0 says.
        found: u64,
        /// Where they are mapped.
        mapped: u64,
    },
    /// The firmware set another number of GGTT entries aside.
    Gtt {
        /// Bytes of entries on this machine.
        found: u64,
        /// Bytes of entries in the board file.
        expected: u64,
    },
}

impl Board {
    /// What was written into the program.
    pub(crate) fn given() -> Self {
        let requester = *var!(board_requester: u64 = u64::MAX);
        let device = *var!(board_device: u64 = 0);
        let gtt = *var!(board_gtt: u64 = 0);
        let vector = *var!(board_vector: u64 = u64::MAX);
        let byte = |shift: u32, mask: u64| u8::try_from(requester >> shift & mask).unwrap_or(0);
        let address = Address::new(byte(8, 0xff), byte(3, 0x1f), byte(0, 7));
        Self {
            address: address.filter(|_| requester <= 0xffff).unwrap_or(USUAL_ADDRESS),
            device: u16::try_from(device).ok().filter(|device| *device != 0),
            gtt: Some(gtt).filter(|gtt| *gtt != 0),
            vector: u8::try_from(vector).unwrap_or(USUAL_VECTOR),
        }
    }

    /// Compares with what the machine has.
    pub(crate) fn check(&self, device: u16, gtt: u64) -> Result<(), Mismatch> {
        match (self.device, self.gtt) {
            (Some(expected), _) if expected != device => Err(Mismatch::Device { found: device, expected }),
            (_, Some(expected)) if expected != gtt => Err(Mismatch::Gtt { found: gtt, expected }),
            _ => Ok(()),
        }
    }
}

/// A key of the board file that messages name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Pci,
    Device,
    Registers,
    Gtt,
    Vector,
}

impl Key {
    const fn name(self) -> &'static str {
        match self {
            Self::Pci => "pci",
            Self::Device => "device",
            Self::Registers => "registers",
            Self::Gtt => "gtt",
            Self::Vector => "vector",
        }
    }

    /// The name of the board file, and the key's line in it, if system.xml asks for them to be passed on.
    fn place(self) -> Option<(&'static str, u64)> {
        let file: &[u8; 64] = var!(board_file: [u8; 64] = [0; 64]);
        // In the order in which the image tool writes them.
        let lines: &[u64; 5] = var!(board_lines: [u64; 5] = [0; 5]);
        let line = match self {
            Self::Pci => lines[0],
            Self::Device => lines[1],
            Self::Registers => lines[2],
            Self::Gtt => lines[3],
            Self::Vector => lines[4],
        };
        let file = file.split(|byte| *byte == 0).next().and_then(|name| core::str::from_utf8(name).ok())?;
        (line != 0 && !file.is_empty()).then_some((file, line))
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self.place() {
            Some((file, line)) => write!(f, "`{name}` at {file}:{line}"),
            None => write!(f, "`{name}` in [gpu] of the board file"),
        }
    }
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device { found, expected } => {
                write!(f, "the GPU is 8086:{found:04x}, and not 8086:{expected:04x}: see {}", Key::Device)
            }
            Self::Registers { found, mapped } => write!(
                f,
                "the GPU's registers (BAR 0) are at {found:#x}, but mapped from {mapped:#x}: see {}",
                Key::Registers
            ),
            Self::Gtt { found, expected } => write!(
                f,
                "the firmware set {found:#x} bytes of GGTT entries aside, and not {expected:#x}: see {}",
                Key::Gtt
            ),
        }
    }
}

/// Where nothing answers at the GPU's address.
pub(crate) struct NoFunction(pub(crate) Address);

impl Display for NoFunction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "no GPU at {}: no PCI function answers there; see {}", self.0, Key::Pci)
    }
}

/// What is said when an engine does not run although the registers answer.
pub(crate) struct NoMemory;

impl Display for NoMemory {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "perhaps the GPU does not reach memory through the I/O memory management unit: see {}",
            Key::Pci
        )
    }
}

/// What is said when no interrupt comes.
pub(crate) struct NoInterrupt;

impl Display for NoInterrupt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the GPU's interrupt does not come, and its work is noticed late: see {} and {}",
            Key::Vector,
            Key::Pci
        )
    }
}
