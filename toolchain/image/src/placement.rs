// SPDX-License-Identifier: BSD-2-Clause
//! Where regions lie in physical memory.
//!
//! Every region is contiguous and its address is known at build time: the report, `setvar region_paddr` and grant
//! tables need it. Regions whose address the description leaves open are placed from the top of the board's
//! memory downwards, those with large pages first, then the larger ones, then in the order of the file. The
//! choice depends on nothing else, so a build repeats. From the top, because the kernel's blocks of untyped
//! memory are small there and only the blocks that are touched have to be cleared at boot.

use std::cmp::Reverse;

use crate::board::Board;
use crate::diagnostic::Sink;
use crate::model::{PageSize, System};

/// The physical address of each region; 0 for those that found no place, which the sink tells.
pub(crate) fn place(system: &System, board: &Board, sink: &Sink<'_>) -> Vec<u64> {
    let mut addresses = vec![0; system.regions.len()];
    // Taken ranges, ascending.
    let mut taken: Vec<(u64, u64)> = Vec::new();
    for (region, address) in system.regions.iter().zip(&mut addresses) {
        let Some(paddr) = &region.paddr else { continue };
        *address = paddr.value;
        if board.is_ram(paddr.value, region.size) {
            taken.push((paddr.value, paddr.value + region.size));
        } else if !board.is_device(paddr.value, region.size) {
            sink.error(
                &paddr.place,
                format!(
                    "{:#x} to {:#x} is neither memory for regions nor device memory of the board {}",
                    paddr.value,
                    paddr.value + region.size,
                    board.name
                ),
            );
        } else if region.prefill.is_some() {
            sink.error(&paddr.place, "a region of device memory cannot be prefilled");
        }
    }
    taken.sort_unstable();

    let mut open: Vec<usize> =
        (0..system.regions.len()).filter(|&id| system.regions[id].paddr.is_none()).collect();
    open.sort_by_key(|&id| (Reverse(system.regions[id].page_size), Reverse(system.regions[id].size)));
    for id in open {
        let region = &system.regions[id];
        match highest_gap(board, &taken, region.size, alignment(system, id)) {
            Some(start) => {
                addresses[id] = start;
                let range = (start, start + region.size);
                taken.insert(taken.partition_point(|other| *other < range), range);
            }
            None => {
                let total: u64 = board.ram.iter().map(|span| span.end - span.start).sum();
                let used: u64 = taken.iter().map(|(start, end)| end - start).sum();
                sink.error(
                    &region.place,
                    format!(
                        "\"{}\" needs {:#x} bytes in one piece; of the {total:#x} that the board {} has for \
                         regions {used:#x} are taken",
                        region.name, region.size, board.name
                    ),
                );
            }
        }
    }
    addresses
}

/// What the start of a region is a multiple of. Pages that may be lent become large entries of a device's page tables
/// where they lie side by side and aligned, whatever their own size is.
fn alignment(system: &System, id: usize) -> u64 {
    let region = &system.regions[id];
    let tables = system.domains.iter().flat_map(|domain| &domain.grant_tables);
    let lent = tables.flat_map(|table| &table.grants).any(|grant| grant.region == id);
    let large = PageSize::Large.bytes();
    if lent && region.size >= large { large } else { region.page_size.bytes() }
}

/// The highest start of a free range. `taken` is ascending.
fn highest_gap(board: &Board, taken: &[(u64, u64)], size: u64, align: u64) -> Option<u64> {
    for span in board.ram.iter().rev() {
        let mut ceiling = span.end;
        for &(start, end) in taken.iter().rev().filter(|(start, end)| *start < span.end && span.start < *end)
        {
            if let Some(address) = fit(end, ceiling, size, align) {
                return Some(address);
            }
            ceiling = start;
        }
        if let Some(start) = fit(span.start, ceiling, size, align) {
            return Some(start);
        }
    }
    None
}

/// The highest aligned start of `size` bytes between `floor` and `ceiling`.
fn fit(floor: u64, ceiling: u64, size: u64, align: u64) -> Option<u64> {
    let start = ceiling.checked_sub(size)? / align * align;
    (start >= floor).then_some(start)
}

/// Notes the regions that the image would overlap, given where it ends.
pub(crate) fn below(system: &System, paddrs: &[u64], board: &Board, image_end: u64, sink: &Sink<'_>) {
    for (region, &paddr) in system.regions.iter().zip(paddrs) {
        if board.is_ram(paddr, region.size) && paddr < image_end {
            sink.error(
                &region.place,
                format!(
                    "\"{}\" lies at {paddr:#x}, where the image is; it reaches to {image_end:#x}",
                    region.name
                ),
            );
        }
    }
}
