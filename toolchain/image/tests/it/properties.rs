// SPDX-License-Identifier: BSD-2-Clause
//! What holds for every system that the tool accepts.

use std::fmt::Write as _;
use std::sync::OnceLock;

use proptest::prelude::*;

use crate::common::Bench;

/// Size in small pages, page size (none: left open), physical address in small pages (none: left open).
type Region = (u64, Option<bool>, Option<u64>);

/// Bounds of the bench's memory for regions, in small pages.
const RAM: std::ops::Range<u64> = 0x8000..0xc000;

fn region() -> impl Strategy<Value = Region> {
    let pages = prop_oneof![4 => 1u64..32, 2 => (1u64..8).prop_map(|large| large * 512), 1 => 1u64..0x4000];
    let page_size = prop_oneof![3 => Just(None), 1 => Just(Some(false)), 1 => Just(Some(true))];
    let paddr = prop_oneof![3 => Just(None), 1 => RAM.prop_map(Some)];
    (pages, page_size, paddr).prop_map(|(pages, page_size, paddr)| match page_size {
        Some(true) => (pages.next_multiple_of(512), page_size, paddr.map(|page| page / 512 * 512)),
        _ => (pages, page_size, paddr),
    })
}

fn describe(regions: &[Region]) -> String {
    let mut body = String::new();
    let mut maps = String::new();
    for (index, (pages, page_size, paddr)) in regions.iter().enumerate() {
        write!(body, "<memory_region name=\"r{index}\" size=\"{:#x}\"", pages << 12).unwrap();
        if let Some(large) = page_size {
            write!(body, " page_size=\"{:#x}\"", if *large { 0x20_0000 } else { 0x1000 }).unwrap();
        }
        if let Some(page) = paddr {
            write!(body, " phys_addr=\"{:#x}\"", page << 12).unwrap();
        }
        body.push_str("/>\n");
        write!(maps, "<map mr=\"r{index}\" vaddr=\"{:#x}\"/>", (index as u64 + 1) << 32).unwrap();
    }
    body + &crate::common::domain("a", 1, &maps)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn placed_regions_are_apart_aligned_and_inside_the_memory(regions in proptest::collection::vec(region(), 1..12)) {
        static BENCH: OnceLock<Bench> = OnceLock::new();
        let bench = BENCH.get_or_init(Bench::new);
        let image = match bench.build(&describe(&regions)) {
            Ok(image) => image,
            Err(message) => {
                // Fixed addresses may overlap or reach beyond the memory, and the rest may not fit.
                let known = ["overlaps with", "is neither memory", "in one piece"];
                prop_assert!(
                    message.lines().all(|line| known.iter().any(|text| line.contains(text))), "{message}"
                );
                return Ok(());
            }
        };
        let mut ranges = Vec::new();
        for (report, (pages, page_size, paddr)) in image.report.regions.iter().zip(&regions) {
            prop_assert_eq!(report.size, pages << 12);
            prop_assert!(report.paddr.is_multiple_of(report.page_size));
            prop_assert!(report.size.is_multiple_of(report.page_size));
            prop_assert!(RAM.start << 12 <= report.paddr && report.paddr + report.size <= RAM.end << 12);
            if let Some(large) = page_size {
                prop_assert_eq!(report.page_size, if *large { 0x20_0000 } else { 0x1000 });
            }
            if let Some(page) = paddr {
                prop_assert_eq!(report.paddr, page << 12);
            }
            ranges.push((report.paddr, report.paddr + report.size));
        }
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            prop_assert!(pair[0].1 <= pair[1].0, "{:x?}", pair);
        }
        // And the same again next time.
        let again = bench.build(&describe(&regions)).unwrap();
        prop_assert_eq!(again.elf, image.elf);
    }

    #[test]
    fn no_text_makes_the_tool_panic(text in "(<[a-z_]{0,9}( [a-z]{1,5}=\"[0-9a-fx:.-]{0,6}\"){0,3}/?>|</system>|[ a-z]){0,12}") {
        static BENCH: OnceLock<Bench> = OnceLock::new();
        let _ = BENCH.get_or_init(Bench::new).build(&text);
    }
}
