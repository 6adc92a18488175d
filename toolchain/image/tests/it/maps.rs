// SPDX-License-Identifier: BSD-2-Clause
//! Mistakes in regions and in where they are mapped or placed.

use crate::common::{Bench, Elf, RW, domain, refused};

fn region(name: &str, attributes: &str) -> String {
    format!("<memory_region name=\"{name}\" {attributes}/>\n")
}

fn map(region: &str, vaddr: &str, more: &str) -> String {
    format!("\n<map mr=\"{region}\" vaddr=\"{vaddr}\" {more}/>")
}

#[test]
fn sizes_are_whole_pages_and_not_empty() {
    for size in ["0", "0x1001"] {
        let message = Bench::new().refusal(&region("m", &format!("size=\"{size}\"")));
        assert!(message.contains("size is a multiple of the page size 0x1000 and not 0"), "{message}");
    }
    refused(
        &region("m", "size=\"0x1000\" page_size=\"0x200000\""),
        "system.xml:2:25: <memory_region>: size is a multiple of the page size 0x200000 and not 0, not 0x1000",
    );
}

#[test]
fn page_sizes_that_do_not_exist_are_refused() {
    refused(
        &region("m", "size=\"0x1000\" page_size=\"0x40000000\""),
        "system.xml:2:39: <memory_region>: page_size is 0x1000 or 0x200000, not 0x40000000",
    );
}

#[test]
fn a_region_without_size_and_prefill_is_refused() {
    refused(
        &region("m", ""),
        "system.xml:2:1: <memory_region>: the attribute \"size\" is missing, and there is no prefill_path to tell \
         the size",
    );
}

#[test]
fn prefill_files_exist_are_not_empty_and_fit() {
    let bench = Bench::new();
    bench.file("empty", b"");
    bench.file("long", &[7; 0x1001]);
    let a = domain("a", 1, "");
    for (attributes, message) in [
        (
            "size=\"0x1000\" prefill_path=\"none\"",
            "system.xml:2:39: <memory_region>: there is no file \"none\" in the search paths",
        ),
        (
            "size=\"0x1000\" prefill_path=\"empty\"",
            "system.xml:2:39: <memory_region>: the prefill file \"empty\" is empty",
        ),
        (
            "size=\"0x1000\" prefill_path=\"long\"",
            "system.xml:2:1: <memory_region>: the prefill file has 0x1001 bytes, the region only 0x1000",
        ),
        (
            "prefill_path=\"long\" phys_addr=\"0xf0000000\"",
            "system.xml:2:45: <memory_region>: a region of device memory cannot be prefilled",
        ),
    ] {
        assert_eq!(bench.refusal(&(region("m", attributes) + &a)), message);
    }
}

#[test]
fn addresses_are_aligned_to_pages() {
    refused(
        &(region("m", "size=\"0x1000\"") + &domain("a", 1, &map("m", "0x1000800", ""))),
        "system.xml:4:13: <map>: vaddr is a multiple of the page size 0x1000 of \"m\", not 0x1000800",
    );
    refused(
        &(region("m", "size=\"0x200000\" page_size=\"0x200000\"")
            + &domain("a", 1, &map("m", "0x1001000", ""))),
        "system.xml:4:13: <map>: vaddr is a multiple of the page size 0x200000 of \"m\", not 0x1001000",
    );
    refused(
        &region("m", "size=\"0x200000\" page_size=\"0x200000\" phys_addr=\"0xf0001000\""),
        "system.xml:2:62: <memory_region>: phys_addr is a multiple of the page size 0x200000, not 0xf0001000",
    );
}

#[test]
fn permissions_are_known_letters_and_include_reading() {
    for (perms, message) in [
        ("rq", "perms is made of the letters \"r\", \"w\", \"x\", not \"rq\""),
        ("", "perms is made of the letters \"r\", \"w\", \"x\", not \"\""),
        ("w", "perms needs \"r\": \"w\" cannot be had without"),
        ("wx", "perms needs \"r\": \"wx\" cannot be had without"),
    ] {
        let body = region("m", "size=\"0x1000\"")
            + &domain("a", 1, &map("m", "0x1000000", &format!("perms=\"{perms}\"")));
        refused(&body, &format!("system.xml:4:31: <map>: {message}"));
    }
}

#[test]
fn overlapping_maps_are_refused() {
    let regions = region("m", "size=\"0x3000\"") + &region("n", "size=\"0x1000\"");
    refused(
        &(regions + &domain("a", 1, &(map("m", "0x1000000", "") + &map("n", "0x1002000", "")))),
        "system.xml:6:13: <map>: \"n\" at 0x1002000 to 0x1003000 overlaps with \"m\" at 0x1000000 to 0x1003000",
    );
}

#[test]
fn maps_that_touch_are_accepted() {
    let regions = region("m", "size=\"0x3000\"") + &region("n", "size=\"0x1000\"");
    let body = regions + &domain("a", 1, &(map("m", "0x1000000", "") + &map("n", "0x1003000", "")));
    assert!(Bench::new().build(&body).is_ok());
}

#[test]
fn the_stack_its_guard_page_and_the_ipc_buffer_stay_free() {
    // A stack of 0x2000 bytes below 0x7fffffffd000, with a guard page below it.
    let body = |vaddr| region("m", "size=\"0x1000\"") + &domain("a", 1, &map("m", vaddr, ""));
    for vaddr in ["0x7fffffffa000", "0x7fffffffb000", "0x7fffffffd000", "0x7fffffffe000", "0x800000000000"] {
        refused(
            &body(vaddr),
            &format!(
                "system.xml:4:13: <map>: \"m\" has 0x1000 bytes and ends at or below 0x7fffffffa000; from {vaddr} it \
                 reaches further"
            ),
        );
    }
    assert!(Bench::new().build(&body("0x7fffffff9000")).is_ok());
}

#[test]
fn addresses_that_wrap_around_are_refused() {
    let message = Bench::new()
        .refusal(&(region("m", "size=\"0x2000\"") + &domain("a", 1, &map("m", "0xfffffffffffff000", ""))));
    assert!(message.contains("it reaches further"), "{message}");
    refused(
        &region("m", "size=\"0x2000\" phys_addr=\"0xfffffffffffff000\""),
        "system.xml:2:39: <memory_region>: the region's physical addresses wrap around",
    );
}

#[test]
fn a_map_over_the_program_is_refused() {
    refused(
        &(region("m", "size=\"0x1000\"") + &domain("a", 1, &map("m", "0x402000", ""))),
        "system.xml:4:13: <map>: \"m\" at 0x402000 to 0x403000 overlaps with the program's segment at 0x402000 to \
         0x403000",
    );
}

#[test]
fn a_program_in_the_place_of_the_stack_is_refused() {
    let bench = Bench::new();
    let mut elf = Elf::program(&[]);
    elf.segments.push((0x7fff_ffff_b000, RW, vec![1], 0x1000));
    bench.elf("a.elf", &elf);
    assert_eq!(
        bench.refusal(&domain("a", 1, "")),
        "system.xml:2:57: <program_image>: the program's segment at 0x7fffffffb000 to 0x7fffffffc000 reaches the \
         stack; programs end at 0x7fffffffa000"
    );
}

#[test]
fn overlapping_physical_addresses_are_refused() {
    refused(
        &(region("m", "size=\"0x2000\" phys_addr=\"0xf0000000\"")
            + &region("n", "size=\"0x1000\" phys_addr=\"0xf0001000\"")
            + &domain("a", 1, "")),
        "system.xml:3:39: <memory_region>: \"n\" at 0xf0001000 to 0xf0002000 overlaps with \"m\" at 0xf0000000 to \
         0xf0002000",
    );
}

#[test]
fn physical_addresses_that_the_board_does_not_have_are_refused() {
    for paddr in ["0x1000", "0xc000000", "0xf1000000"] {
        let start = u64::from_str_radix(&paddr[2..], 16).unwrap();
        refused(
            &(region("m", &format!("size=\"0x1000\" phys_addr=\"{paddr}\"")) + &domain("a", 1, "")),
            &format!(
                "system.xml:2:39: <memory_region>: {paddr} to {:#x} is neither memory for regions nor device memory \
                 of the board bench",
                start + 0x1000
            ),
        );
    }
}

#[test]
fn a_region_larger_than_what_is_left_is_refused() {
    refused(
        &(region("m", "size=\"0x3000000\"") + &region("n", "size=\"0x2000000\"") + &domain("a", 1, "")),
        "system.xml:3:1: <memory_region>: \"n\" needs 0x2000000 bytes in one piece; of the 0x4000000 that the board \
         bench has for regions 0x3000000 are taken",
    );
    assert!(
        Bench::new()
            .build(
                &(region("m", "size=\"0x3000000\"")
                    + &region("n", "size=\"0x1000000\"")
                    + &domain("a", 1, ""))
            )
            .is_ok()
    );
}

#[test]
fn more_pages_than_capability_slots_are_refused() {
    // Many mappings of one region: each page takes a slot for each.
    let maps: String = (1..=40u64).map(|i| map("m", &format!("{:#x}", i << 32), "")).collect();
    refused(
        &(region("m", "size=\"0x1000000\" page_size=\"0x1000\"") + &domain("a", 1, &maps)),
        "system.xml:1:1: <system>: the system needs 164226 capability slots, the kernel offers 126976; larger pages \
         need fewer",
    );
}

#[test]
fn more_memory_than_the_board_has_is_refused() {
    let bench = Bench::new();
    bench.file("board.toml", crate::common::BOARD.replace("0x1000_0000\n", "0x140_0000\n").as_bytes());
    let mut elf = Elf::program(&[]);
    elf.segments.push((0x1000_0000, RW, vec![1], 0x90_0000));
    bench.elf("a.elf", &elf);
    let message = bench.refusal(&domain("a", 1, ""));
    assert!(message.starts_with("system.xml:1:1: <system>: the system needs 0x15"), "{message}");
    assert!(message.ends_with("the board bench has 0x1400000"), "{message}");
}

#[test]
fn a_region_where_the_image_lies_is_refused() {
    let bench = Bench::new();
    bench.file("long", &[7; 0x10_0000]);
    bench.file("board.toml", crate::common::BOARD.replace("0x40_0000", "0x7f0_0000").as_bytes());
    let body = region("m", "size=\"0x1000\" phys_addr=\"0x8000000\"")
        + &region("n", "prefill_path=\"long\"")
        + &domain("a", 1, "");
    let message = bench.refusal(&body);
    assert!(
        message.starts_with("system.xml:2:1: <memory_region>: \"m\" lies at 0x8000000, where the image is"),
        "{message}"
    );
}
