// SPDX-License-Identifier: BSD-2-Clause
//! Where regions are mapped, by domains and by devices.

use crate::diagnostic::{Place, Sink};
use crate::layout;
use crate::model::{PageSize, RegionId, System};

pub(super) fn check(system: &System, sink: &Sink<'_>) {
    for domain in &system.domains {
        let mut space = AddressSpace::new(system, sink, "vaddr", layout::map_top(domain.stack_size));
        for map in &domain.maps {
            space.add(map.region, map.vaddr.value, &map.vaddr.place);
        }
    }
    for io_space in &system.io_spaces {
        let mut space = AddressSpace::new(system, sink, "iovaddr", layout::IO_TOP);
        for map in &io_space.maps {
            small_pages(system, sink, map.region, &map.iova.place);
            space.add(map.region, map.iova.value, &map.iova.place);
        }
    }
    grants(system, sink);
    physical(system, sink);
}

/// The ranges of an address space so far.
struct AddressSpace<'s> {
    system: &'s System,
    sink: &'s Sink<'s>,
    attribute: &'static str,
    top: u64,
    ranges: Vec<(u64, u64, RegionId)>,
}

impl<'s> AddressSpace<'s> {
    fn new(system: &'s System, sink: &'s Sink<'s>, attribute: &'static str, top: u64) -> Self {
        Self { system, sink, attribute, top, ranges: Vec::new() }
    }

    fn add(&mut self, id: RegionId, start: u64, place: &Place) {
        let region = &self.system.regions[id];
        let attribute = self.attribute;
        // A page size that the description leaves open never grows past what the addresses allow.
        let page = if region.page_size_given { region.page_size } else { PageSize::Small };
        if !start.is_multiple_of(page.bytes()) {
            self.sink.error(
                place,
                format!(
                    "{attribute} is a multiple of the page size {:#x} of \"{}\", not {start:#x}",
                    page.bytes(),
                    region.name
                ),
            );
            return;
        }
        let end = start.checked_add(region.size).filter(|&end| end <= self.top);
        let Some(end) = end else {
            self.sink.error(
                place,
                format!(
                    "\"{}\" has {:#x} bytes and ends at or below {:#x}; from {start:#x} it reaches further",
                    region.name, region.size, self.top
                ),
            );
            return;
        };
        let overlap = self.ranges.iter().find(|(other, other_end, _)| start < *other_end && *other < end);
        if let Some(&(other_start, other_end, other)) = overlap {
            self.sink.error(
                place,
                format!(
                    "\"{}\" at {start:#x} to {end:#x} overlaps with \"{}\" at {other_start:#x} to {other_end:#x}",
                    region.name, self.system.regions[other].name
                ),
            );
        }
        self.ranges.push((start, end, id));
    }
}

/// What is mapped for a device from the start has small pages, as on a kernel that maps no others (seL4:
/// `decodeX86IOMapInvocation`). Pages that are lent one by one may be large: the embedded kernel maps those, too.
pub(crate) fn small_pages(system: &System, sink: &Sink<'_>, region: RegionId, place: &Place) {
    let region = &system.regions[region];
    if region.page_size != PageSize::Small {
        sink.error(
            place,
            format!(
                "what an I/O address space has from the start has pages of 0x1000 bytes; \"{}\" has larger ones",
                region.name
            ),
        );
    }
}

fn grants(system: &System, sink: &Sink<'_>) {
    let tables = system.domains.iter().flat_map(|domain| &domain.grant_tables);
    for grant in tables.flat_map(|table| &table.grants).filter(|grant| grant.mapped) {
        small_pages(system, sink, grant.region, &grant.channel.place);
    }
}

/// Two regions are never the same memory.
fn physical(system: &System, sink: &Sink<'_>) {
    let mut ranges: Vec<(u64, u64, &str)> = Vec::new();
    for region in &system.regions {
        let Some(paddr) = &region.paddr else { continue };
        let (start, end) = (paddr.value, paddr.value + region.size);
        let overlap = ranges.iter().find(|(other, other_end, _)| start < *other_end && *other < end);
        if let Some((other_start, other_end, name)) = overlap {
            sink.error(
                &paddr.place,
                format!(
                    "\"{}\" at {start:#x} to {end:#x} overlaps with \"{name}\" at {other_start:#x} to {other_end:#x}",
                    region.name
                ),
            );
        }
        ranges.push((start, end, &region.name));
    }
}
