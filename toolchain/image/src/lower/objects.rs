// SPDX-License-Identifier: BSD-2-Clause
//! Which kernel objects there are.
//!
//! Order matters little and is chosen for the initialiser's sake: frames with a physical address come first
//! (the format demands it), then the larger objects before the smaller ones, so that little memory is lost to
//! alignment.

use image_spec::{Builder, IrqTrigger, Location, Object, Overflow, Polarity, SMALL_PAGE_BITS};

use super::paging;
use crate::board::Board;
use crate::layout;
use crate::model::{ExtraCap, IrqSource, PageSize, ProtectionDomain, System};
use crate::program::Program;

/// Object indices of a domain's own objects.
#[derive(Debug, Default)]
pub(super) struct DomainObjects {
    pub(super) root_cnode: u32,
    pub(super) system_cnode: u32,
    /// CNode of each entry of `<cspace>` that makes one.
    pub(super) extra_cnodes: Vec<Option<u32>>,
    pub(super) vspace: u32,
    /// Frames of each segment of the program.
    pub(super) segments: Vec<u32>,
    pub(super) stack: u32,
    pub(super) ipc_buffer: u32,
    /// Paging structures, in the order of [`paging::tables`].
    pub(super) tables: Vec<u32>,
    pub(super) tcb: u32,
    pub(super) notification: u32,
    pub(super) endpoint: u32,
    pub(super) irqs: Vec<u32>,
    pub(super) ioports: Vec<u32>,
}

/// Object indices.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) regions: Vec<u32>,
    pub(super) domains: Vec<DomainObjects>,
    pub(super) io_spaces: Vec<u32>,
    pub(super) monitor_endpoint: u32,
}

impl Objects {
    pub(super) fn create(
        spec: &mut Builder,
        system: &System,
        programs: &[Program],
        paddrs: &[u64],
        board: &Board,
    ) -> Result<Self, Overflow> {
        let mut objects = Self { regions: regions(spec, system, paddrs, board)?, ..Self::default() };
        objects.domains.resize_with(system.domains.len(), DomainObjects::default);
        let domains = || system.domains.iter().zip(programs);
        for ((domain, _), its) in domains().zip(&mut objects.domains) {
            cnodes(spec, system, domain, its)?;
        }
        for ((domain, program), its) in domains().zip(&mut objects.domains) {
            pages(spec, system, domain, program, its)?;
        }
        for ((domain, _), its) in domains().zip(&mut objects.domains) {
            let radix = layout::ROOT_CNODE_BITS;
            its.root_cnode = spec.object(&format!("{}: root CNode", domain.name), Object::CNode { radix })?;
            its.tcb = spec.object(&format!("{}: thread", domain.name), Object::Tcb)?;
        }
        for ((domain, _), its) in domains().zip(&mut objects.domains) {
            its.notification =
                spec.object(&format!("{}: notification", domain.name), Object::Notification)?;
        }
        for ((domain, _), its) in domains().zip(&mut objects.domains) {
            its.endpoint = spec.object(&format!("{}: endpoint", domain.name), Object::Endpoint)?;
        }
        objects.monitor_endpoint = spec.object("monitor: endpoint", Object::Endpoint)?;
        for io_space in &system.io_spaces {
            let (requester, domain) = (io_space.requester.0, io_space.domain_id);
            let name = format!("I/O address space {}", io_space.name);
            objects.io_spaces.push(spec.object(&name, Object::IoSpace { requester, domain })?);
        }
        for ((domain, _), its) in domains().zip(&mut objects.domains) {
            devices(spec, domain, its)?;
        }
        Ok(objects)
    }
}

fn frames(spec: &mut Builder, name: &str, bytes: u64) -> Result<u32, Overflow> {
    let count = u32::try_from(bytes.div_ceil(layout::PAGE)).map_err(|_| Overflow)?;
    spec.object(name, Object::Frames { size_bits: SMALL_PAGE_BITS, count, at: None })
}

/// Memory regions, by ascending address.
fn regions(spec: &mut Builder, system: &System, paddrs: &[u64], board: &Board) -> Result<Vec<u32>, Overflow> {
    let mut order: Vec<usize> = (0..system.regions.len()).collect();
    order.sort_by_key(|&id| paddrs[id]);
    let mut objects = vec![0; order.len()];
    for id in order {
        let region = &system.regions[id];
        let object = Object::Frames {
            size_bits: region.page_size.bits(),
            count: u32::try_from(region.pages()).map_err(|_| Overflow)?,
            at: Some(Location { paddr: paddrs[id], device: !board.is_ram(paddrs[id], region.size) }),
        };
        objects[id] = spec.object(&format!("memory region {}", region.name), object)?;
    }
    Ok(objects)
}

/// CNodes apart from the root.
fn cnodes(
    spec: &mut Builder,
    system: &System,
    domain: &ProtectionDomain,
    its: &mut DomainObjects,
) -> Result<(), Overflow> {
    for slot in &domain.caps {
        let radix = match slot.cap {
            ExtraCap::FrameRange { region, .. } => Some(system.regions[region].cnode_bits()),
            ExtraCap::CNode { size_bits } => Some(size_bits),
            _ => None,
        };
        let name = format!("{}: CNode in slot {}", domain.name, slot.slot);
        let cnode = radix.map(|radix| spec.object(&name, Object::CNode { radix })).transpose()?;
        its.extra_cnodes.push(cnode);
    }
    let radix = layout::SYSTEM_CNODE_BITS;
    its.system_cnode = spec.object(&format!("{}: system CNode", domain.name), Object::CNode { radix })?;
    Ok(())
}

/// Objects of the size of a page.
fn pages(
    spec: &mut Builder,
    system: &System,
    domain: &ProtectionDomain,
    program: &Program,
    its: &mut DomainObjects,
) -> Result<(), Overflow> {
    let name = &domain.name;
    its.vspace = spec.object(&format!("{name}: address space"), Object::VSpace)?;
    for segment in &program.segments {
        let bytes = segment.end_page() - segment.first_page();
        its.segments.push(frames(spec, &format!("{name}: segment at {:#x}", segment.vaddr), bytes)?);
    }
    its.stack = frames(spec, &format!("{name}: stack"), domain.stack_size)?;
    its.ipc_buffer = frames(spec, &format!("{name}: IPC buffer"), layout::PAGE)?;
    for (level, _) in paging::tables(&ranges(system, domain, program)) {
        its.tables.push(spec.object(&format!("{name}: page tables"), Object::Paging(level))?);
    }
    Ok(())
}

/// Everything that is mapped in a domain's address space: start, bytes, page size.
pub(super) fn ranges(
    system: &System,
    domain: &ProtectionDomain,
    program: &Program,
) -> Vec<(u64, u64, PageSize)> {
    let segments = program
        .segments
        .iter()
        .map(|segment| (segment.first_page(), segment.end_page() - segment.first_page(), PageSize::Small));
    let maps = domain.maps.iter().map(|map| {
        let region = &system.regions[map.region];
        (map.vaddr.value, region.size, region.page_size)
    });
    let own = [
        (layout::STACK_TOP - domain.stack_size, domain.stack_size, PageSize::Small),
        (layout::IPC_BUFFER, layout::PAGE, PageSize::Small),
    ];
    segments.chain(maps).chain(own).collect()
}

/// Interrupts and I/O ports.
fn devices(spec: &mut Builder, domain: &ProtectionDomain, its: &mut DomainObjects) -> Result<(), Overflow> {
    for irq in &domain.irqs {
        let vector = irq.vector;
        let object = match irq.source {
            IrqSource::IoApic { ioapic, pin, level, low } => Object::IoApicIrq {
                ioapic,
                pin,
                trigger: if level { IrqTrigger::Level } else { IrqTrigger::Edge },
                polarity: if low { Polarity::Low } else { Polarity::High },
                vector,
            },
            IrqSource::Msi { requester, handle } => Object::MsiIrq { requester: requester.0, handle, vector },
        };
        its.irqs.push(spec.object(&format!("{}: interrupt {}", domain.name, irq.id), object)?);
    }
    for port in &domain.ioports {
        let object = Object::IoPorts { first: port.first, last: port.last };
        its.ioports.push(spec.object(&format!("{}: I/O ports {}", domain.name, port.id), object)?);
    }
    Ok(())
}
