// SPDX-License-Identifier: BSD-2-Clause
//! What is mapped where in the domains' address spaces.

use image_spec::{Builder, Map, Object, Overflow, PagingTable, Rights};

use super::objects::{Objects, ranges};
use super::paging;
use crate::layout;
use crate::model::System;
use crate::program::Program;

pub(super) fn lower(
    spec: &mut Builder,
    system: &System,
    programs: &[Program],
    objects: &Objects,
) -> Result<(), Overflow> {
    // A mapping takes a capability of its own. One of each region takes the frames' original ones: its owner's, which
    // so survives when the owner revokes all others, or where there is no owner, the first.
    let owners: Vec<_> = (0..system.regions.len()).map(|region| system.owner(region)).collect();
    let mut mapped = vec![false; system.regions.len()];
    for (id, ((domain, program), its)) in
        system.domains.iter().zip(programs).zip(&objects.domains).enumerate()
    {
        let tables = paging::tables(&ranges(system, domain, program));
        for ((_, vaddr), &table) in tables.into_iter().zip(&its.tables) {
            spec.tables.push(PagingTable { table, vspace: its.vspace, vaddr });
        }

        let mut own = |frames, vaddr, rights| {
            let map = whole(spec, its.vspace, frames, vaddr, rights);
            spec.maps.push(map);
        };
        for (segment, &frames) in program.segments.iter().zip(&its.segments) {
            let rights = Rights { write: segment.write, ..Rights::READ };
            own(frames, segment.first_page(), rights);
        }
        own(its.stack, layout::STACK_TOP - domain.stack_size, Rights::READ_WRITE);
        own(its.ipc_buffer, layout::IPC_BUFFER, Rights::READ_WRITE);

        for map in &domain.maps {
            let frames = objects.regions[map.region];
            let may_take = owners[map.region].is_none_or(|owner| owner == id);
            let original = may_take && !std::mem::replace(&mut mapped[map.region], true);
            let whole = whole(spec, its.vspace, frames, map.vaddr.value, map.perms.rights());
            spec.maps.push(Map { cached: map.cached, original, ..whole });
        }
    }
    Ok(())
}

/// A mapping of all frames of an object, cached, with their original capabilities.
fn whole(spec: &Builder, vspace: u32, frames: u32, vaddr: u64, rights: Rights) -> Map {
    let object = spec.objects().get(frames as usize).map(|entry| entry.object);
    let count = object.map_or(0, Object::cap_count);
    Map { vspace, frames, first: 0, count, vaddr, rights, cached: true, original: true }
}
