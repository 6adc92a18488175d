// SPDX-License-Identifier: BSD-2-Clause
//! Mistakes in programs, and in the tool's other input files.

use crate::common::{Bench, DATA, Elf, RX, domain};
use image::{BuildError, build};

/// What the domain a is refused with when its program is this one.
fn refused(elf: &Elf) -> String {
    let bench = Bench::new();
    bench.elf("a.elf", elf);
    bench.refusal(
        &domain("a", 1, "\n<setvar symbol=\"x\" region_paddr=\"m\"/>\n<map mr=\"m\" vaddr=\"0x1000000\"/>")
            .replace("<protection_domain", "<memory_region name=\"m\" size=\"0x1000\"/>\n<protection_domain"),
    )
}

const PLACE: &str = "system.xml:3:57: <program_image>: the program \"a.elf\"";

#[test]
fn a_missing_program_is_refused() {
    let bench = Bench::new();
    let body = domain("a", 1, "").replace("a.elf", "none.elf");
    assert_eq!(
        bench.refusal(&body),
        "system.xml:2:57: <program_image>: there is no file \"none.elf\" in the search paths"
    );
}

#[test]
fn a_file_that_is_no_elf_file_is_refused() {
    let bench = Bench::new();
    bench.file("a.elf", b"#!/bin/sh\n");
    let message = bench.refusal(&domain("a", 1, ""));
    assert!(
        message.starts_with(
            "system.xml:2:57: <program_image>: the program \"a.elf\" cannot be used: it is no ELF file of this kind: "
        ),
        "{message}"
    );
}

#[test]
fn programs_for_other_machines_or_positions_are_refused() {
    let elf = Elf { machine: 183, ..Elf::program(&[("x", 8)]) };
    assert_eq!(refused(&elf), format!("{PLACE} cannot be used: it is not for x86-64"));
    let elf = Elf { kind: 3, ..Elf::program(&[("x", 8)]) };
    assert_eq!(
        refused(&elf),
        format!(
            "{PLACE} cannot be used: it is not a static executable at fixed addresses (link it with -static -no-pie)"
        )
    );
    let elf = Elf { interpreter: true, ..Elf::program(&[("x", 8)]) };
    assert_eq!(
        refused(&elf),
        format!("{PLACE} cannot be used: it wants a dynamic linker (link it with -static)")
    );
}

#[test]
fn an_entry_point_outside_the_code_is_refused() {
    let elf = Elf { entry: DATA, ..Elf::program(&[("x", 8)]) };
    assert_eq!(
        refused(&elf),
        format!("{PLACE} cannot be used: its entry point 0x402000 is in no executable segment")
    );
}

#[test]
fn segments_that_share_a_page_are_refused() {
    let mut elf = Elf::program(&[("x", 8)]);
    elf.segments.push((0x40_0800, RX, vec![1], 1));
    assert_eq!(
        refused(&elf),
        format!(
            "{PLACE} cannot be used: the segments at 0x400000 and 0x400800 share a page (link it with -z \
             separate-code)"
        )
    );
}

#[test]
fn a_stripped_program_is_refused() {
    let mut elf = Elf::program(&[]);
    elf.symbols.clear();
    assert_eq!(refused(&elf), format!("{PLACE} cannot be used: it has no symbol table"));
}

#[test]
fn a_program_without_the_runtime_is_refused() {
    let mut elf = Elf::program(&[("x", 8)]);
    elf.symbols.retain(|(name, ..)| name != "microkit_irqs");
    assert_eq!(refused(&elf), format!("{PLACE} has no symbol \"microkit_irqs\""));
}

#[test]
fn a_runtime_variable_of_another_size_is_refused() {
    let mut elf = Elf::program(&[("x", 8)]);
    elf.symbols[0].2 = 16;
    assert_eq!(refused(&elf), format!("{PLACE} has a symbol \"microkit_name\" of 16 bytes; expected 64"));
}

#[test]
fn the_symbol_of_a_setvar_exists_once_with_eight_bytes_in_a_segment() {
    let place = "system.xml:4:9: <setvar>: the program \"a.elf\"";
    assert_eq!(refused(&Elf::program(&[])), format!("{place} has no symbol \"x\""));
    assert_eq!(
        refused(&Elf::program(&[("x", 4)])),
        format!("{place} has a symbol \"x\" of 4 bytes; expected 8")
    );
    assert_eq!(refused(&Elf::program(&[("x", 8), ("x", 8)])), format!("{place} has several symbols \"x\""));
    let mut elf = Elf::program(&[("x", 8)]);
    elf.symbols.last_mut().unwrap().1 = 0x50_0000;
    assert_eq!(refused(&elf), format!("{place} has a symbol at 0x500000, which is in none of its segments"));
}

#[test]
fn a_damaged_program_is_refused_without_a_panic() {
    let bench = Bench::new();
    let whole = Elf::program(&[]).bytes();
    for len in (0..whole.len()).step_by(7) {
        bench.file("a.elf", &whole[..len]);
        let message = bench.refusal(&domain("a", 1, ""));
        assert!(message.starts_with("system.xml:2:57: <program_image>: the program \"a.elf\""), "{message}");
    }
    let mut elf = Elf::program(&[]);
    elf.segments[1].3 = u64::MAX;
    bench.elf("a.elf", &elf);
    let message = bench.refusal(&domain("a", 1, ""));
    assert!(message.ends_with("the segment at 0x402000 has an impossible size"), "{message}");
}

#[test]
fn a_missing_symbol_file_is_refused() {
    let body = domain("a", 1, "").replace("path=\"a.elf\"", "path=\"a.elf\" path_for_symbols=\"s.elf\"");
    assert_eq!(
        Bench::new().refusal(&body),
        "system.xml:2:70: <program_image>: there is no file \"s.elf\" in the search paths"
    );
}

#[test]
fn other_inputs_are_named_when_they_are_of_no_use() {
    let bench = Bench::new();
    assert!(
        matches!(build(&bench.request()), Err(BuildError::Unreadable(path, _)) if path.ends_with("system.xml"))
    );

    bench.file("board.toml", b"name = \"b\"\nmemory = 1\nimage_start = 0\nram = [{ start = 1, end = 2 }]");
    let message = bench.refusal("");
    assert_eq!(
        message,
        "board.toml: line 4: the range 0x1 to 0x2 is empty, not aligned to pages or not above the one before"
    );
    bench.file("board.toml", b"name = 1");
    assert!(bench.refusal("").starts_with("board.toml: TOML parse error"));
    bench.file("board.toml", crate::common::BOARD.as_bytes());

    bench.elf("initialiser", &Elf::program(&[]));
    assert_eq!(bench.refusal(&domain("a", 1, "")), "initialiser: it has no symbol \"image_spec_place\"");
    bench.file("initialiser", b"");
    assert!(bench.refusal("").starts_with("initialiser: it is no ELF file of this kind: "));
}
