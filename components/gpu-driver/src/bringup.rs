// SPDX-License-Identifier: BSD-2-Clause
//! From configuration space to a running GPU.

use gpu_protocol::GrantEntry;
use intel_gpu::address::DeviceAddress;
use intel_gpu::device::PciIdentity;
use intel_gpu::platform::DmaMemory as _;
use intel_gpu::uapi::{ClientConfig, Driver, Sizes};
use intel_gpu::{Error, Gpu, InitError};
use pci::{Bar, Command, ConfigSpace, Function, Message};

use crate::board::{Board, Mismatch, NoFunction, NoMemory};
use crate::hardware::Machine;
use crate::heap;

/// Configuration register GGC (PRM: "GMCH Graphics Control", offset 0x50).
const GGC: u8 = 0x50;
/// Bytes of a GGTT entry, and of what it maps.
const ENTRY_BYTES: u64 = 8;
const MAPPED_PER_ENTRY: u64 = 4096;
/// The base address register with the GPU's registers and GGTT entries.
const REGISTERS_BAR: u8 = 0;

/// Why there is no GPU.
#[derive(Debug)]
pub(crate) enum BringUpError {
    /// Configuration space lacks something.
    Pci(pci::Error),
    /// The board file is another machine's.
    Board(Mismatch),
    /// The core could not start the part.
    Init(InitError),
    /// The clients' part could not be set up.
    Clients(Error),
    /// The pools for what the clients may have do not fit into the domain's memory.
    Memory {
        /// Bytes that they need.
        needed: usize,
        /// Bytes that there are.
        free: usize,
    },
}

impl From<pci::Error> for BringUpError {
    fn from(error: pci::Error) -> Self {
        Self::Pci(error)
    }
}

impl core::fmt::Display for BringUpError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Pci(pci::Error::NoFunction(address)) => NoFunction(*address).fmt(f),
            Self::Pci(error) => error.fmt(f),
            Self::Board(mismatch) => mismatch.fmt(f),
            // Nothing came back: neither the context was read nor an event written.
            Self::Init(error @ InitError::EngineSilent { event_seen: false, .. }) => {
                write!(f, "{error}; {NoMemory}")
            }
            Self::Init(error) => error.fmt(f),
            Self::Clients(error) => write!(f, "clients: {error}"),
            Self::Memory { needed, free } => write!(
                f,
                "what system.xml lets the clients have takes {} KiB of the driver's memory, and there are {} KiB: lower \
                 their limits, or map a region of that size as `gpu_heap`",
                needed.div_ceil(1024),
                free >> 10
            ),
        }
    }
}

/// What the part was found to be, for the first line of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) identity: PciIdentity,
    pub(crate) registers: u64,
}

/// Finds the GPU, checks that its registers are where they are mapped, and lets it access memory and
/// send its interrupt.
pub(crate) fn find<C: ConfigSpace>(space: C, board: &Board, mapped: u64) -> Result<Found, BringUpError> {
    let mut gpu = Function::new(space, board.address);
    let identity = gpu.identity()?;
    let identity = PciIdentity {
        vendor: identity.vendor,
        device: identity.device,
        revision: identity.revision,
        ggc: gpu.read16(GGC),
    };
    // A part that no table row describes is not touched.
    identity.platform().map_err(BringUpError::Init)?;
    let gtt = identity.ggtt_bytes() / MAPPED_PER_ENTRY * ENTRY_BYTES;
    board.check(identity.device, gtt).map_err(BringUpError::Board)?;
    let registers = match gpu.bar(REGISTERS_BAR)? {
        Bar::Memory { address, .. } => address,
        Bar::Io { port } => return Err(pci::Error::NoBar { index: REGISTERS_BAR, value: port }.into()),
    };
    if registers != mapped {
        return Err(BringUpError::Board(Mismatch::Registers { found: registers, mapped }));
    }
    gpu.enable(Command::MEMORY | Command::BUS_MASTER);
    gpu.enable_msi(Message::sel4(board.vector))?;
    Ok(Found { identity, registers })
}

/// Starts the part and puts the clients' side on top.
pub(crate) fn start(
    machine: Machine,
    identity: PciIdentity,
    clients: &[ClientConfig],
    grants: &[GrantEntry],
) -> Result<Driver<Machine>, BringUpError> {
    let mut sizes = Sizes::of(clients);
    sizes.driver.lent_pages = 1 << crate::frames::KEPT_BITS;
    let (needed, free) = (sizes.bytes(machine.page_count(), clients, grants), heap::free());
    if needed > free {
        return Err(BringUpError::Memory { needed, free });
    }
    let mut gpu = Gpu::init(machine, identity, sizes.gpu).map_err(BringUpError::Init)?;
    gpu.test_interrupt().map_err(BringUpError::Clients)?;
    Driver::new(gpu, sizes.driver, clients, grants).map_err(BringUpError::Clients)
}

/// Takes the GPU off the bus: it accesses no memory and sends no interrupt any more.
pub(crate) fn cut_off<C: ConfigSpace>(space: C, address: pci::Address) {
    Function::new(space, address).disable(Command::BUS_MASTER);
}

/// The device address of the DMA region: what the `iomap` of system.xml says.
pub(crate) const DMA_BASE: DeviceAddress = DeviceAddress::new(0x10_0000_0000);
