// SPDX-License-Identifier: BSD-2-Clause
//! Where everything went: as JSON for programs, as text for people.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::board::Board;
use crate::layout;
use crate::model::{ExtraCap, IrqSource, ProtectionDomain, System};
use crate::program::{Program, Segment};

/// Everything that a finished image consists of. Addresses and sizes are bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the board.
    pub board: String,
    /// The image as a whole; not there when a Microkit SDK's tool made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageReport>,
    /// Memory regions in the order of the description.
    pub regions: Vec<RegionReport>,
    /// Protection domains, parents before children.
    pub protection_domains: Vec<DomainReport>,
    /// I/O address spaces.
    pub io_address_spaces: Vec<IoSpaceReport>,
}

/// Sizes of the image.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ImageReport {
    /// Memory that the image occupies at boot.
    pub memory: u64,
    /// Bytes of the specification in it.
    pub specification: u64,
    /// Capability slots that the initialiser needs.
    pub capability_slots: u64,
    /// Memory that kernel objects and frames other than those of regions take.
    pub object_memory: u64,
}

/// A memory region.
#[derive(Clone, Debug, Serialize)]
pub struct RegionReport {
    /// Its name.
    pub name: String,
    /// Physical address of its first byte.
    pub paddr: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Whether it is device memory.
    pub device: bool,
    /// Bytes that it is filled with at boot.
    pub prefill: u64,
    /// Where domains see it.
    pub maps: Vec<MapReport>,
    /// Where devices see it.
    pub io_maps: Vec<IoMapReport>,
}

/// A region in a domain's address space.
#[derive(Clone, Debug, Serialize)]
pub struct MapReport {
    /// The domain.
    pub pd: String,
    /// Address of the region's first byte.
    pub vaddr: u64,
    /// Letters r, w, x.
    pub perms: String,
    /// Whether the processor may cache it.
    pub cached: bool,
}

/// A region in an I/O address space.
#[derive(Clone, Debug, Serialize)]
pub struct IoMapReport {
    /// The I/O address space.
    pub io_address_space: String,
    /// I/O address of the region's first byte.
    pub iova: u64,
    /// Letters r, w.
    pub perms: String,
}

/// A protection domain.
#[derive(Clone, Debug, Serialize)]
pub struct DomainReport {
    /// Its name.
    pub name: String,
    /// Its position; its faults reach the monitor with this number + 1 as badge.
    pub number: u64,
    /// Its priority.
    pub priority: u8,
    /// The domain that handles its faults; the monitor when absent.
    pub parent: Option<String>,
    /// The program's file, as the description names it.
    pub program: String,
    /// Address of its first instruction.
    pub entry: u64,
    /// Lowest address of the stack.
    pub stack_bottom: u64,
    /// Address behind the stack.
    pub stack_top: u64,
    /// Address of the IPC buffer.
    pub ipc_buffer: u64,
    /// The program's segments.
    pub segments: Vec<SegmentReport>,
    /// What its channel ids mean.
    pub channels: Vec<ChannelReport>,
    /// Its interrupts.
    pub irqs: Vec<IrqReport>,
    /// Its I/O ports.
    pub ioports: Vec<IoPortReport>,
    /// The slots of its root CNode that `<cspace>` fills.
    pub cspace: Vec<CapReport>,
}

/// A segment of a program.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentReport {
    /// First address.
    pub vaddr: u64,
    /// Bytes in memory.
    pub size: u64,
    /// Letters r, w, x.
    pub perms: String,
}

/// A channel seen from one end.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelReport {
    /// Its id at this end.
    pub id: u8,
    /// The domain at the other end.
    pub pd: String,
    /// Its id at the other end.
    pub other_id: u8,
    /// Whether this end may notify the other.
    pub notify: bool,
    /// Whether this end may call the other.
    pub pp: bool,
}

/// An interrupt.
#[derive(Clone, Debug, Serialize)]
pub struct IrqReport {
    /// Its channel id.
    pub id: u8,
    /// Its vector, counted from the first for users; the processor's is 0x30 more.
    pub vector: u8,
    /// What raises it.
    pub source: String,
}

/// A range of I/O ports.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct IoPortReport {
    /// Its id.
    pub id: u8,
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

/// A slot of a domain's root CNode.
#[derive(Clone, Debug, Serialize)]
pub struct CapReport {
    /// The slot.
    pub slot: u8,
    /// What stands in it.
    pub cap: String,
}

/// An I/O address space.
#[derive(Clone, Debug, Serialize)]
pub struct IoSpaceReport {
    /// Its name.
    pub name: String,
    /// The PCI device as bus:device.function.
    pub device: String,
    /// Its domain id.
    pub domain_id: u16,
}

impl Report {
    pub(crate) fn new(
        system: &System,
        programs: &[Program],
        paddrs: &[u64],
        board: &Board,
        image: Option<ImageReport>,
    ) -> Self {
        let domains = system.domains.iter().zip(programs).enumerate();
        Self {
            board: board.name.clone(),
            image,
            regions: (0..system.regions.len()).map(|id| region(system, id, paddrs[id], board)).collect(),
            protection_domains: domains
                .map(|(id, (domain, program))| DomainReport::new(system, id, domain, program))
                .collect(),
            io_address_spaces: system
                .io_spaces
                .iter()
                .map(|io_space| IoSpaceReport {
                    name: io_space.name.clone(),
                    device: io_space.requester.to_string(),
                    domain_id: io_space.domain_id,
                })
                .collect(),
        }
    }

    /// As JSON, with a line break at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

fn region(system: &System, id: usize, paddr: u64, board: &Board) -> RegionReport {
    let region = &system.regions[id];
    let mut maps = Vec::new();
    for domain in &system.domains {
        for map in domain.maps.iter().filter(|map| map.region == id) {
            maps.push(MapReport {
                pd: domain.name.clone(),
                vaddr: map.vaddr.value,
                perms: map.perms.to_string(),
                cached: map.cached,
            });
        }
    }
    let mut io_maps = Vec::new();
    for io_space in &system.io_spaces {
        for map in io_space.maps.iter().filter(|map| map.region == id) {
            io_maps.push(IoMapReport {
                io_address_space: io_space.name.clone(),
                iova: map.iova.value,
                perms: map.perms.to_string(),
            });
        }
    }
    RegionReport {
        name: region.name.clone(),
        paddr,
        size: region.size,
        page_size: region.page_size.bytes(),
        device: !board.is_ram(paddr, region.size),
        prefill: region.prefill.as_ref().map_or(0, |bytes| bytes.len() as u64),
        maps,
        io_maps,
    }
}

fn segment(segment: &Segment) -> SegmentReport {
    let perms = [(true, 'r'), (segment.write, 'w'), (segment.execute, 'x')];
    SegmentReport {
        vaddr: segment.vaddr,
        size: segment.bytes.len() as u64,
        perms: perms.iter().filter(|(set, _)| *set).map(|&(_, letter)| letter).collect(),
    }
}

fn cap(system: &System, cap: &ExtraCap) -> String {
    match *cap {
        ExtraCap::FrameRange { region, perms } => {
            let region = &system.regions[region];
            format!("CNode of 2^{} slots, frames of {} ({perms})", region.cnode_bits(), region.name)
        }
        ExtraCap::CNode { size_bits } => format!("CNode of 2^{size_bits} slots, empty"),
        ExtraCap::CspaceRoot => "its own root CNode".into(),
        ExtraCap::IoSpace(id) => format!("I/O address space {}", system.io_spaces[id].name),
        ExtraCap::Tcb(id) => format!("thread of {}", system.domains[id].name),
        ExtraCap::VSpace(id) => format!("address space of {}", system.domains[id].name),
    }
}

impl DomainReport {
    fn new(system: &System, id: usize, domain: &ProtectionDomain, program: &Program) -> Self {
        let directions = system.channels.iter().flat_map(|channel| channel.directions());
        let channels = directions.filter(|(here, _)| here.domain == id).map(|(here, there)| ChannelReport {
            id: here.id,
            pd: system.domains[there.domain].name.clone(),
            other_id: there.id,
            notify: here.notify,
            pp: here.pp,
        });
        let irqs = domain.irqs.iter().map(|irq| IrqReport {
            id: irq.id,
            vector: irq.vector,
            source: match irq.source {
                IrqSource::IoApic { ioapic, pin, level, low } => format!(
                    "I/O APIC {ioapic} pin {pin}, {}, {}",
                    if level { "level" } else { "edge" },
                    if low { "low" } else { "high" }
                ),
                IrqSource::Msi { requester, handle } => format!("MSI of {requester}, handle {handle}"),
            },
        });
        Self {
            name: domain.name.clone(),
            number: id as u64,
            priority: domain.priority,
            parent: domain.parent.map(|(parent, _)| system.domains[parent].name.clone()),
            program: domain.program.value.clone(),
            entry: program.entry,
            stack_bottom: layout::STACK_TOP - domain.stack_size,
            stack_top: layout::STACK_TOP,
            ipc_buffer: layout::IPC_BUFFER,
            segments: program.segments.iter().map(segment).collect(),
            channels: channels.collect(),
            irqs: irqs.collect(),
            ioports: domain
                .ioports
                .iter()
                .map(|port| IoPortReport { id: port.id, first: port.first, last: port.last })
                .collect(),
            cspace: domain
                .caps
                .iter()
                .map(|slot| CapReport { slot: slot.slot, cap: cap(system, &slot.cap) })
                .collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Board {}", self.board)?;
        if let Some(image) = &self.image {
            writeln!(
                f,
                "Image of {:#x} bytes, {:#x} of them specification; {} capability slots, {:#x} bytes of objects",
                image.memory, image.specification, image.capability_slots, image.object_memory
            )?;
        }
        writeln!(f, "\nMemory regions")?;
        for region in &self.regions {
            let kind = if region.device { "device" } else { "memory" };
            writeln!(
                f,
                "  {:#014x}..{:#014x} {kind} {} (pages of {:#x})",
                region.paddr,
                region.paddr + region.size,
                region.name,
                region.page_size
            )?;
            if region.prefill > 0 {
                writeln!(f, "      prefilled with {:#x} bytes", region.prefill)?;
            }
            for map in &region.maps {
                let cached = if map.cached { "" } else { " uncached" };
                writeln!(f, "      {:#014x} {:3}{cached} in {}", map.vaddr, map.perms, map.pd)?;
            }
            for map in &region.io_maps {
                writeln!(f, "      {:#014x} {:3} for {}", map.iova, map.perms, map.io_address_space)?;
            }
        }
        for domain in &self.protection_domains {
            domain.text(f)?;
        }
        if !self.io_address_spaces.is_empty() {
            writeln!(f, "\nI/O address spaces")?;
        }
        for io_space in &self.io_address_spaces {
            writeln!(f, "  {}: device {}, domain id {}", io_space.name, io_space.device, io_space.domain_id)?;
        }
        Ok(())
    }
}

impl DomainReport {
    fn text(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut notes = String::new();
        match &self.parent {
            Some(parent) => write!(notes, "child of {parent}")?,
            None => write!(notes, "faults to the monitor")?,
        }
        writeln!(f, "\nProtection domain {} (number {}, {notes})", self.name, self.number)?;
        writeln!(f, "  priority {}, program {}, entry {:#x}", self.priority, self.program, self.entry)?;
        for segment in &self.segments {
            let (start, end) = (segment.vaddr, segment.vaddr + segment.size);
            writeln!(f, "  {start:#014x}..{end:#014x} {:3} segment", segment.perms)?;
        }
        writeln!(f, "  {:#014x}..{:#014x} rw  stack", self.stack_bottom, self.stack_top)?;
        writeln!(f, "  {:#014x} rw  IPC buffer", self.ipc_buffer)?;
        for channel in &self.channels {
            let (notify, pp) =
                (if channel.notify { " notifies" } else { "" }, if channel.pp { " calls" } else { "" });
            writeln!(f, "  channel {}: {} {}{notify}{pp}", channel.id, channel.pd, channel.other_id)?;
        }
        for irq in &self.irqs {
            writeln!(f, "  channel {}: interrupt, vector {}, {}", irq.id, irq.vector, irq.source)?;
        }
        for port in &self.ioports {
            writeln!(f, "  I/O ports {}: {:#x}..={:#x}", port.id, port.first, port.last)?;
        }
        for cap in &self.cspace {
            writeln!(f, "  slot {}: {}", cap.slot, cap.cap)?;
        }
        Ok(())
    }
}
