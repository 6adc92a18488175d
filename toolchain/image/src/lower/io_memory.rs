// SPDX-License-Identifier: BSD-2-Clause
//! I/O address spaces: what devices reach.
//!
//! Besides the `<iomap>`s, a domain that holds a device's I/O address space maps pages there itself, when they
//! are lent to it: at the I/O address that equals the physical one. The tables for that stand ready from the
//! start for all that its grant tables allow, so mapping a page never needs memory. What is granted as `mapped` is
//! mapped there from the start.

use image_spec::{Builder, IoMap, IoRange};

use super::objects::Objects;
use crate::diagnostic::Sink;
use crate::layout;
use crate::model::{Grant, IoSpaceId, System};

/// The grants that the holders of an I/O address space may map there.
fn grants(system: &System, io_space: IoSpaceId) -> impl Iterator<Item = &Grant> {
    let holders = system.domains.iter().filter(move |domain| System::holds_io_space(domain, io_space));
    holders.flat_map(|domain| &domain.grant_tables).flat_map(|table| &table.grants)
}

/// Notes what cannot be mapped at its physical address because the description maps something else there.
pub(crate) fn check(system: &System, paddrs: &[u64], sink: &Sink<'_>) {
    for (id, io_space) in system.io_spaces.iter().enumerate() {
        for grant in grants(system, id) {
            let region = &system.regions[grant.region];
            let (start, end) = (paddrs[grant.region], paddrs[grant.region] + region.size);
            if end > layout::IO_TOP {
                sink.error(
                    &grant.channel.place,
                    format!("\"{}\" lies at {start:#x}, beyond the I/O addresses", region.name),
                );
            }
            let overlap = io_space.maps.iter().find(|map| {
                let size = system.regions[map.region].size;
                map.iova.value < end && start < map.iova.value + size
            });
            if let Some(map) = overlap {
                sink.error(
                    &map.iova.place,
                    format!(
                        "the I/O addresses {start:#x} to {end:#x} are kept for \"{}\", which the grant in line {} \
                         lets a domain map there",
                        region.name, grant.channel.place.line
                    ),
                );
            }
        }
    }
}

pub(super) fn lower(spec: &mut Builder, system: &System, paddrs: &[u64], objects: &Objects) {
    for (id, space) in system.io_spaces.iter().enumerate() {
        let io_space = objects.io_spaces[id];
        for map in &space.maps {
            let (iova, size) = (map.iova.value, system.regions[map.region].size);
            let frames = objects.regions[map.region];
            spec.io_ranges.push(IoRange { io_space, frames, iova, size });
            spec.io_maps.push(IoMap { io_space, frames, iova, rights: map.perms.rights() });
        }
        for grant in grants(system, id) {
            let (iova, size) = (paddrs[grant.region], system.regions[grant.region].size);
            let frames = objects.regions[grant.region];
            spec.io_ranges.push(IoRange { io_space, frames, iova, size });
            if grant.mapped {
                spec.io_maps.push(IoMap { io_space, frames, iova, rights: grant.perms.rights() });
            }
        }
    }
}
