// SPDX-License-Identifier: BSD-2-Clause
//! Which paging structures an address space needs.

use std::collections::BTreeSet;

use image_spec::PagingLevel;

use crate::model::PageSize;

/// log2 of the bytes that a table of a level covers.
fn coverage_bits(level: PagingLevel) -> u32 {
    match level {
        PagingLevel::Pdpt => 39,
        PagingLevel::PageDirectory => 30,
        PagingLevel::PageTable => 21,
    }
}

/// The tables for ranges {start, bytes, page size}: each with the first address that it covers, a table after
/// the one above it.
pub(super) fn tables(ranges: &[(u64, u64, PageSize)]) -> Vec<(PagingLevel, u64)> {
    let mut tables = Vec::new();
    for level in [PagingLevel::Pdpt, PagingLevel::PageDirectory, PagingLevel::PageTable] {
        let bits = coverage_bits(level);
        let mut starts = BTreeSet::new();
        for &(start, bytes, page_size) in ranges {
            // Large pages stand in the page directory itself.
            if bytes > 0 && !(level == PagingLevel::PageTable && page_size == PageSize::Large) {
                starts.extend(start >> bits..=(start + bytes - 1) >> bits);
            }
        }
        tables.extend(starts.into_iter().map(|index| (level, index << bits)));
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use PagingLevel::{PageDirectory, PageTable, Pdpt};

    #[test]
    fn one_small_page_needs_one_table_of_each_level() {
        assert_eq!(
            tables(&[(0x7fff_ffff_e000, 0x1000, PageSize::Small)]),
            [(Pdpt, 0x7f80_0000_0000), (PageDirectory, 0x7fff_c000_0000), (PageTable, 0x7fff_ffe0_0000)]
        );
    }

    #[test]
    fn a_large_page_needs_no_page_table() {
        assert_eq!(tables(&[(0x20_0000, 0x40_0000, PageSize::Large)]), [(Pdpt, 0), (PageDirectory, 0)]);
    }

    #[test]
    fn a_range_across_a_boundary_needs_the_tables_of_both_sides_once() {
        let ranges = [(0x3fff_f000, 0x2000, PageSize::Small), (0x4000_1000, 0x1000, PageSize::Small)];
        assert_eq!(
            tables(&ranges),
            [
                (Pdpt, 0),
                (PageDirectory, 0),
                (PageDirectory, 0x4000_0000),
                (PageTable, 0x3fe0_0000),
                (PageTable, 0x4000_0000)
            ]
        );
    }
}
