// SPDX-License-Identifier: BSD-2-Clause
//! A system as its description says it: names resolved, numbers read, defaults filled in.
//!
//! Regions, domains and I/O address spaces are referred to by their position in [`System`].

use crate::diagnostic::Place;

/// A value and the attribute or element that it was written in.
#[derive(Clone, Debug)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// Position of a memory region in [`System::regions`].
pub(crate) type RegionId = usize;
/// Position of a protection domain in [`System::domains`].
pub(crate) type DomainId = usize;
/// Position of an I/O address space in [`System::io_spaces`].
pub(crate) type IoSpaceId = usize;

/// The page sizes of x86-64 that Microkit offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PageSize {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
}

impl PageSize {
    pub(crate) fn from_bytes(bytes: u64) -> Option<Self> {
        [Self::Small, Self::Large].into_iter().find(|size| size.bytes() == bytes)
    }

    pub(crate) fn bits(self) -> u8 {
        match self {
            Self::Small => image_spec::SMALL_PAGE_BITS,
            Self::Large => image_spec::LARGE_PAGE_BITS,
        }
    }

    pub(crate) fn bytes(self) -> u64 {
        1 << self.bits()
    }
}

/// What a mapping or a capability permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Perms {
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// Only said, not enforced: the kernel never sets the bit that forbids execution.
    pub(crate) execute: bool,
}

impl Perms {
    pub(crate) const READ_WRITE: Self = Self { read: true, write: true, execute: false };

    pub(crate) fn rights(self) -> image_spec::Rights {
        image_spec::Rights { read: self.read, write: self.write, grant: false }
    }
}

impl std::fmt::Display for Perms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (set, letter) in [(self.read, "r"), (self.write, "w"), (self.execute, "x")] {
            if set {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// A PCI requester id: bus << 8 | device << 3 | function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Requester(pub(crate) u16);

impl std::fmt::Display for Requester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02x}:{:02x}.{:x}", self.0 >> 8, self.0 >> 3 & 0x1f, self.0 & 7)
    }
}

#[derive(Debug)]
pub(crate) struct MemoryRegion {
    pub(crate) name: String,
    pub(crate) place: Place,
    /// Bytes, a multiple of the page size, not 0.
    pub(crate) size: u64,
    pub(crate) page_size: PageSize,
    /// Whether the description chose the page size.
    pub(crate) page_size_given: bool,
    pub(crate) paddr: Option<Placed<u64>>,
    pub(crate) prefill: Option<Vec<u8>>,
}

impl MemoryRegion {
    pub(crate) fn pages(&self) -> u64 {
        self.size / self.page_size.bytes()
    }

    /// log2 of the slots of a CNode with a capability for each page. A CNode has at least two slots.
    pub(crate) fn cnode_bits(&self) -> u8 {
        let bits = self.pages().next_power_of_two().trailing_zeros().max(1);
        u8::try_from(bits).unwrap_or(u8::MAX)
    }
}

#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) region: RegionId,
    pub(crate) vaddr: Placed<u64>,
    pub(crate) perms: Perms,
    pub(crate) cached: bool,
}

#[derive(Debug)]
pub(crate) enum SetvarValue {
    Number(u64),
    RegionSize(RegionId),
    RegionPaddr(RegionId),
    PrefillSize(RegionId),
    /// log2 of the slots of the CNode that a `cap_frame_range` makes.
    CNodeBits(RegionId),
}

#[derive(Debug)]
pub(crate) struct Setvar {
    pub(crate) symbol: Placed<String>,
    pub(crate) value: SetvarValue,
}

#[derive(Debug)]
pub(crate) enum IrqSource {
    IoApic { ioapic: u8, pin: u8, level: bool, low: bool },
    Msi { requester: Requester, handle: u32 },
}

#[derive(Debug)]
pub(crate) struct Irq {
    pub(crate) id: u8,
    pub(crate) place: Place,
    pub(crate) vector: u8,
    pub(crate) source: IrqSource,
}

#[derive(Debug)]
pub(crate) struct IoPort {
    pub(crate) id: u8,
    pub(crate) place: Place,
    pub(crate) first: u16,
    /// Inclusive.
    pub(crate) last: u16,
}

#[derive(Debug)]
pub(crate) enum ExtraCap {
    FrameRange { region: RegionId, perms: Perms },
    CNode { size_bits: u8 },
    CspaceRoot,
    IoSpace(IoSpaceId),
    Tcb(DomainId),
    VSpace(DomainId),
}

#[derive(Debug)]
pub(crate) struct CapSlot {
    pub(crate) slot: u8,
    pub(crate) place: Place,
    pub(crate) cap: ExtraCap,
}

#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) channel: Placed<u8>,
    pub(crate) region: RegionId,
    pub(crate) perms: Perms,
    /// It is mapped for the device from the start, and lent by its name.
    pub(crate) mapped: bool,
}

/// What a grant table says of a client itself: `<client>`.
#[derive(Debug)]
pub(crate) struct GrantClient {
    pub(crate) channel: Placed<u8>,
    pub(crate) owner: Owner,
    pub(crate) privileged: bool,
}

/// Who lends for a client's address space, and takes pages of it back.
#[derive(Debug)]
pub(crate) enum Owner {
    /// The client.
    Itself,
    /// The domain at the other end of this channel.
    Channel(Placed<u8>),
    /// Nobody takes pages back.
    Nobody,
}

#[derive(Debug)]
pub(crate) struct GrantTable {
    pub(crate) symbol: Placed<String>,
    pub(crate) count_symbol: Placed<String>,
    pub(crate) clients: Vec<GrantClient>,
    pub(crate) grants: Vec<Grant>,
}

/// `<board_file>`: the symbols that receive the board file's name and the lines of its keys.
#[derive(Debug)]
pub(crate) struct BoardFileSymbols {
    pub(crate) name: Placed<String>,
    pub(crate) lines: Placed<String>,
}

#[derive(Debug)]
pub(crate) struct ProtectionDomain {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) priority: u8,
    pub(crate) stack_size: u64,
    pub(crate) program: Placed<String>,
    /// Where symbols are looked up when not in the program.
    pub(crate) symbols: Option<Placed<String>>,
    pub(crate) maps: Vec<Map>,
    pub(crate) irqs: Vec<Irq>,
    pub(crate) ioports: Vec<IoPort>,
    pub(crate) setvars: Vec<Setvar>,
    pub(crate) caps: Vec<CapSlot>,
    pub(crate) grant_tables: Vec<GrantTable>,
    /// Symbols that receive, where no capability can be sent, the row of a region in a grant table.
    pub(crate) grant_rows: Vec<(Placed<String>, RegionId)>,
    /// Symbols and the numbers that they receive.
    pub(crate) constants: Vec<(Placed<String>, u64)>,
    /// The symbols that receive where the board's values stand.
    pub(crate) board_file: Option<BoardFileSymbols>,
    /// The parent and the id that it has for this child.
    pub(crate) parent: Option<(DomainId, u8)>,
}

#[derive(Debug)]
pub(crate) struct ChannelEnd {
    pub(crate) domain: DomainId,
    pub(crate) id: u8,
    /// Whether this end may call the other.
    pub(crate) pp: bool,
    /// Whether this end may notify the other.
    pub(crate) notify: bool,
    /// Symbol for the id; parsing moves it to the domain.
    pub(crate) setvar_id: Option<Placed<String>>,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) ends: [ChannelEnd; 2],
    pub(crate) place: Place,
}

impl Channel {
    /// Both directions: from an end to the other.
    pub(crate) fn directions(&self) -> [(&ChannelEnd, &ChannelEnd); 2] {
        let [a, b] = &self.ends;
        [(a, b), (b, a)]
    }
}

#[derive(Debug)]
pub(crate) struct IoMap {
    pub(crate) region: RegionId,
    pub(crate) iova: Placed<u64>,
    pub(crate) perms: Perms,
}

#[derive(Debug)]
pub(crate) struct IoAddressSpace {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) requester: Requester,
    pub(crate) domain_id: u16,
    pub(crate) maps: Vec<IoMap>,
}

#[derive(Debug, Default)]
pub(crate) struct System {
    pub(crate) regions: Vec<MemoryRegion>,
    /// A parent stands before its children.
    pub(crate) domains: Vec<ProtectionDomain>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) io_spaces: Vec<IoAddressSpace>,
    /// Where the board's values stand.
    pub(crate) board: crate::board::Source,
}

impl System {
    /// The domain that holds the original capabilities of a region's frames: the first with a writable
    /// `<cap_frame_range>` of it. What all others hold is derived from them.
    pub(crate) fn owner(&self, id: RegionId) -> Option<DomainId> {
        self.domains.iter().position(|domain| {
            domain.caps.iter().any(|slot| match slot.cap {
                ExtraCap::FrameRange { region, perms } => region == id && perms.write,
                _ => false,
            })
        })
    }

    /// By which number a domain names a region that it may lend: counted from 0 in the order of the grant table, among
    /// the rows of its channel; and that row.
    pub(crate) fn grant_row(&self, lender: DomainId, region: RegionId) -> Option<(u64, &Grant)> {
        let directions = self.channels.iter().flat_map(Channel::directions);
        let mut taken_by = directions.filter(|(_, other)| other.domain == lender).map(|(end, _)| end);
        taken_by.find_map(|end| {
            let tables = &self.domains[end.domain].grant_tables;
            tables.iter().find_map(|table| {
                let rows = table.grants.iter().filter(|grant| grant.channel.value == end.id);
                (0..).zip(rows).find(|(_, grant)| grant.region == region)
            })
        })
    }

    /// Whether this domain holds the capability of this I/O address space.
    pub(crate) fn holds_io_space(domain: &ProtectionDomain, io_space: IoSpaceId) -> bool {
        domain.caps.iter().any(|slot| matches!(slot.cap, ExtraCap::IoSpace(id) if id == io_space))
    }
}
