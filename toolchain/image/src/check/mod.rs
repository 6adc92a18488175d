// SPDX-License-Identifier: BSD-2-Clause
//! The rules between the elements of a description. They are Microkit's, and this kernel's where it is stricter.

mod caps;
mod channels;
mod devices;
mod maps;

use std::collections::HashMap;

pub(crate) use maps::small_pages;

use crate::diagnostic::{Place, Sink};
use crate::layout;
use crate::model::System;

/// Notes every broken rule in the sink.
pub(crate) fn check(system: &System, sink: &Sink<'_>) {
    if system.domains.is_empty() {
        sink.error(&Place::whole(), "a system has at least one <protection_domain>");
    }
    if let Some(extra) = system.domains.get(layout::MAX_DOMAINS) {
        sink.error(&extra.place, format!("a system has at most {} protection domains", layout::MAX_DOMAINS));
    }
    children(system, sink);
    setvars(system, sink);
    channels::check(system, sink);
    devices::check(system, sink);
    maps::check(system, sink);
    caps::check(system, sink);
    unused_regions(system, sink);
}

/// A parent knows its children apart by their ids.
fn children(system: &System, sink: &Sink<'_>) {
    let mut seen = HashMap::new();
    for domain in &system.domains {
        if let Some((parent, id)) = domain.parent
            && let Some(other) = seen.insert((parent, id), &domain.name)
        {
            sink.error(
                &domain.place,
                format!("the child \"{other}\" of the same parent has the id {id}, too"),
            );
        }
    }
}

/// A symbol gets one value, and a prefill's size exists only with a prefill.
fn setvars(system: &System, sink: &Sink<'_>) {
    use crate::model::SetvarValue::PrefillSize;
    for domain in &system.domains {
        let mut seen: HashMap<_, ()> = HashMap::new();
        let rows = domain.grant_rows.iter().map(|(symbol, _)| symbol);
        let board_file = domain.board_file.iter().flat_map(|symbols| [&symbols.name, &symbols.lines]);
        for symbol in domain.constants.iter().map(|(symbol, _)| symbol).chain(rows).chain(board_file) {
            if seen.insert(&symbol.value, ()).is_some() {
                let name = &domain.name;
                sink.error(
                    &symbol.place,
                    format!("the symbol \"{}\" of \"{name}\" is set elsewhere, too", symbol.value),
                );
            }
        }
        for setvar in &domain.setvars {
            let symbol = &setvar.symbol;
            if seen.insert(&symbol.value, ()).is_some() {
                sink.error(
                    &symbol.place,
                    format!("the symbol \"{}\" of \"{}\" is set elsewhere, too", symbol.value, domain.name),
                );
            }
            if let PrefillSize(region) = setvar.value
                && system.regions[region].prefill.is_none()
            {
                let name = &system.regions[region].name;
                sink.error(&symbol.place, format!("the memory region \"{name}\" has no prefill_path"));
            }
        }
    }
}

/// A region that nothing refers to is probably a mistake.
fn unused_regions(system: &System, sink: &Sink<'_>) {
    use crate::model::{ExtraCap, SetvarValue};
    let mut used = vec![false; system.regions.len()];
    for domain in &system.domains {
        domain.maps.iter().for_each(|map| used[map.region] = true);
        for table in &domain.grant_tables {
            table.grants.iter().for_each(|grant| used[grant.region] = true);
        }
        for slot in &domain.caps {
            if let ExtraCap::FrameRange { region, .. } = slot.cap {
                used[region] = true;
            }
        }
        for setvar in &domain.setvars {
            if let SetvarValue::RegionPaddr(region) = setvar.value {
                used[region] = true;
            }
        }
    }
    for io_space in &system.io_spaces {
        io_space.maps.iter().for_each(|map| used[map.region] = true);
    }
    for (region, used) in system.regions.iter().zip(used) {
        if !used {
            sink.warn(&region.place, format!("nothing uses the memory region \"{}\"", region.name));
        }
    }
}
