// SPDX-License-Identifier: BSD-2-Clause
//! The slots of `<cspace>`, and what its elements refer to.

use std::collections::HashMap;

use crate::diagnostic::Sink;
use crate::layout;
use crate::model::{ExtraCap, System};

pub(super) fn check(system: &System, sink: &Sink<'_>) {
    for (id, domain) in system.domains.iter().enumerate() {
        for (symbol, region) in &domain.grant_rows {
            if system.grant_row(id, *region).is_none() {
                let name = &system.regions[*region].name;
                sink.error(
                    &symbol.place,
                    format!("no domain with a channel to this one has a <grant> of \"{name}\" over it"),
                );
            }
        }
        let mut slots = HashMap::new();
        for slot in &domain.caps {
            if let Some(line) = slots.insert(slot.slot, slot.place.line) {
                sink.error(&slot.place, format!("the slot {} is taken in line {line}", slot.slot));
            }
            if let ExtraCap::FrameRange { region, .. } = slot.cap {
                let region = &system.regions[region];
                if u64::from(region.cnode_bits()) > layout::MAX_CNODE_BITS {
                    sink.error(
                        &slot.place,
                        format!(
                            "a CNode holds at most 2^{} capabilities; \"{}\" has {} pages",
                            layout::MAX_CNODE_BITS,
                            region.name,
                            region.pages()
                        ),
                    );
                }
            }
        }
    }
}
