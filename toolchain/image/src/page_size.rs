// SPDX-License-Identifier: BSD-2-Clause
//! Page sizes that the description leaves open.
//!
//! As in Microkit, a region gets large pages when its size and all addresses that it is mapped at are aligned to
//! them, except when it is mapped for a device, which takes small pages only. Regions whose pages are handed out
//! one by one keep small pages, too.

use crate::model::{ExtraCap, PageSize, System};

/// Enlarges the pages of the regions that allow it.
pub(crate) fn choose(system: &mut System) {
    let mut pinned: Vec<bool> = system.regions.iter().map(|region| region.page_size_given).collect();
    for domain in &system.domains {
        for slot in &domain.caps {
            if let ExtraCap::FrameRange { region, .. } = slot.cap {
                pinned[region] = true;
            }
        }
        for grant in domain.grant_tables.iter().flat_map(|table| &table.grants) {
            pinned[grant.region] = true;
        }
    }
    for map in system.io_spaces.iter().flat_map(|io_space| &io_space.maps) {
        pinned[map.region] = true;
    }
    let large = PageSize::Large.bytes();
    for map in system.domains.iter().flat_map(|domain| &domain.maps) {
        pinned[map.region] |= !map.vaddr.value.is_multiple_of(large);
    }
    for (region, pinned) in system.regions.iter_mut().zip(pinned) {
        let paddr = region.paddr.as_ref().map_or(0, |paddr| paddr.value);
        if !pinned && (region.size | paddr).is_multiple_of(large) {
            region.page_size = PageSize::Large;
        }
    }
}
