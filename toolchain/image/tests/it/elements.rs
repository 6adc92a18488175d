// SPDX-License-Identifier: BSD-2-Clause
//! Mistakes in a single element: where it may stand, its attributes, their values.

use crate::common::{Bench, domain, refused};

/// A domain with one more attribute.
fn with(attribute: &str) -> String {
    format!("<protection_domain name=\"a\" {attribute}><program_image path=\"a.elf\"/></protection_domain>")
}

#[test]
fn text_that_is_not_xml_is_refused_where_it_breaks() {
    let message = Bench::new().build_whole("<system>\n  <memory_region\n</system>").unwrap_err();
    assert!(message.starts_with("system.xml:3:1: <system>: this is not well-formed XML: "), "{message}");
}

#[test]
fn another_root_element_is_refused() {
    let message = Bench::new().build_whole("<sistem/>").unwrap_err();
    assert_eq!(message, "system.xml:1:1: <sistem>: the outermost element is <system>");
}

#[test]
fn an_unknown_element_is_refused() {
    refused("<memory name=\"m\"/>", "system.xml:2:1: <memory>: there is no such element here");
}

#[test]
fn an_unknown_element_inside_a_domain_is_refused() {
    refused(&domain("a", 1, "\n<timer/>"), "system.xml:3:1: <timer>: there is no such element here");
}

#[test]
fn an_unknown_attribute_is_refused() {
    refused(
        "<memory_region name=\"m\" size=\"0x1000\" colour=\"red\"/>",
        "system.xml:2:39: <memory_region>: there is no attribute \"colour\" here",
    );
}

#[test]
fn a_missing_attribute_is_refused() {
    refused(
        "<memory_region size=\"0x1000\"/>",
        "system.xml:2:1: <memory_region>: the attribute \"name\" is missing",
    );
}

#[test]
fn text_between_elements_is_refused() {
    refused(
        &domain("a", 1, " hello"),
        "system.xml:2:72: <protection_domain>: there is text here where only elements may be",
    );
}

#[test]
fn elements_inside_an_element_that_has_none_are_refused() {
    refused(
        "<memory_region name=\"m\" size=\"0x1000\"><map/></memory_region>",
        "system.xml:2:39: <map>: <memory_region> has no elements inside",
    );
}

#[test]
fn all_mistakes_of_a_stage_come_at_once_in_the_order_of_the_file() {
    refused(
        "<memory_region name=\"m\" size=\"1\"/>\n<channel/>\n<memory_region name=\"n\" size=\"x\"/>",
        "system.xml:2:25: <memory_region>: size is a multiple of the page size 0x1000 and not 0, not 0x1\n\
         system.xml:3:1: <channel>: a channel has two <end>, not 0\n\
         system.xml:4:25: <memory_region>: size is a number from 0 to 2^64-1, decimal or hexadecimal with 0x, \
         not \"x\"",
    );
}

#[test]
fn a_system_without_domains_is_refused() {
    refused("", "system.xml:1:1: <system>: a system has at least one <protection_domain>");
}

#[test]
fn numbers_with_signs_are_refused() {
    for text in ["-1", "+1", "0x+1", "0x", "", "1 ", "18446744073709551616"] {
        let message = Bench::new().refusal(&with(&format!("priority=\"{text}\"")));
        assert!(message.contains("priority is a number from 0 to 2^64-1"), "{message}");
    }
}

#[test]
fn underscores_in_numbers_are_allowed() {
    let image = Bench::new().build(&with("stack_size=\"0x0001_0000\"")).unwrap();
    let domain = &image.report.protection_domains[0];
    assert_eq!(domain.stack_top - domain.stack_bottom, 0x1_0000);
}

#[test]
fn a_priority_of_the_monitor_is_refused() {
    refused(
        &with("priority=\"255\""),
        "system.xml:2:29: <protection_domain>: priority lies between 0 and 254, not 255",
    );
}

#[test]
fn stack_sizes_out_of_bounds_or_not_aligned_are_refused() {
    refused(
        &with("stack_size=\"0x800\""),
        "system.xml:2:29: <protection_domain>: stack_size lies between 4096 and 16777216, not 2048",
    );
    refused(
        &with("stack_size=\"0x1001000\""),
        "system.xml:2:29: <protection_domain>: stack_size lies between 4096 and 16777216, not 16781312",
    );
    refused(
        &with("stack_size=\"0x1800\""),
        "system.xml:2:29: <protection_domain>: stack_size is a multiple of the page size 0x1000, not 0x1800",
    );
}

#[test]
fn what_the_scheduler_cannot_do_is_refused() {
    for (attribute, why) in [
        ("budget=\"1000\"", "the kernel schedules by priority and has no budgets"),
        ("period=\"1000\"", "the kernel schedules by priority and has no budgets"),
        ("passive=\"true\"", "the kernel has no scheduling contexts to lend"),
        ("smc=\"true\"", "x86-64 has no secure monitor calls"),
        ("cpu=\"1\"", "the kernel runs on one processor"),
        ("domain=\"d\"", "the kernel is built with one scheduling domain"),
        ("fpu=\"false\"", "the kernel lets every thread use the FPU"),
    ] {
        refused(
            &with(attribute),
            &format!("system.xml:2:29: <protection_domain>: {attribute} is not supported: {why}"),
        );
    }
}

#[test]
fn attributes_with_their_harmless_value_are_accepted() {
    for attribute in ["passive=\"false\"", "smc=\"false\"", "cpu=\"0\"", "fpu=\"true\""] {
        assert!(Bench::new().build(&with(attribute)).is_ok(), "{attribute}");
    }
}

#[test]
fn elements_that_this_kernel_has_no_means_for_are_refused() {
    refused(
        &domain("a", 1, "<virtual_machine name=\"v\"/>"),
        "system.xml:2:71: <virtual_machine>: virtual machines are not supported",
    );
    refused(
        "<domains/>",
        "system.xml:2:1: <domains>: scheduling domains are not supported: the kernel is built with one",
    );
    refused(
        &domain("a", 1, "\n<cspace><cap_sc slot=\"1\" pd=\"a\"/></cspace>"),
        "system.xml:3:9: <cap_sc>: the kernel has no scheduling contexts",
    );
    refused(
        "<memory_region name=\"m\" size=\"0x1000\" prefill_bootinfo=\"x86_vbe\"/>",
        "system.xml:2:39: <memory_region>: prefill_bootinfo=\"x86_vbe\" is not supported: this kernel hands no such \
         information on",
    );
}

#[test]
fn a_domain_has_exactly_one_program() {
    refused(
        "<protection_domain name=\"a\"/>",
        "system.xml:2:1: <protection_domain>: a protection domain has one <program_image>",
    );
    refused(
        &domain("a", 1, "\n<program_image path=\"b.elf\"/>"),
        "system.xml:3:1: <program_image>: there is another <program_image> in this protection domain",
    );
}

#[test]
fn a_domain_has_at_most_one_cspace() {
    refused(
        &domain("a", 1, "<cspace/>\n<cspace/>"),
        "system.xml:3:1: <cspace>: there is another <cspace> in this protection domain",
    );
}

#[test]
fn names_are_unique_short_and_not_empty() {
    let a = domain("a", 1, "");
    refused(
        &format!("{a}\n{a}"),
        "system.xml:3:20: <protection_domain>: there is another protection domain named \"a\"",
    );
    let region = "<memory_region name=\"m\" size=\"0x1000\"/>";
    refused(
        &format!("{region}\n{region}\n{a}"),
        "system.xml:3:16: <memory_region>: there is another memory region named \"m\"",
    );
    let space = |id| format!("<io_address_space name=\"s\" peripheral_id=\"0:{id}.0\" domain_id=\"{id}\"/>");
    refused(
        &format!("{}\n{}\n{a}", space(1), space(2)),
        "system.xml:3:19: <io_address_space>: there is another I/O address space named \"s\"",
    );
    refused(&domain("", 1, ""), "system.xml:2:20: <protection_domain>: name has between 1 and 63 bytes");
    refused(
        &domain(&"n".repeat(64), 1, ""),
        "system.xml:2:20: <protection_domain>: name has between 1 and 63 bytes",
    );
    assert!(Bench::new().build(&domain(&"n".repeat(63), 1, "")).is_ok());
}

#[test]
fn the_name_of_the_monitor_is_taken() {
    refused(
        &domain("monitor", 1, ""),
        "system.xml:2:1: <protection_domain>: the name \"monitor\" belongs to the domain that receives faults",
    );
}

#[test]
fn references_to_nothing_are_refused() {
    refused(
        &domain("a", 1, "\n<map mr=\"m\" vaddr=\"0x1000000\"/>"),
        "system.xml:3:6: <map>: there is no memory region named \"m\"",
    );
    refused(
        &domain("a", 1, "\n<cspace><cap_tcb slot=\"1\" pd=\"b\"/></cspace>"),
        "system.xml:3:27: <cap_tcb>: there is no protection domain named \"b\"",
    );
    refused(
        &domain("a", 1, "\n<cspace><cap_io_space slot=\"1\" io_address_space=\"g\"/></cspace>"),
        "system.xml:3:32: <cap_io_space>: there is no I/O address space named \"g\"",
    );
    refused(
        &domain("a", 1, "\n<setvar symbol=\"x\" region_paddr=\"m\"/>"),
        "system.xml:3:20: <setvar>: there is no memory region named \"m\"",
    );
}

#[test]
fn more_domains_than_microkit_allows_are_refused() {
    let body: Vec<_> = (0..64).map(|i| domain(&format!("d{i}"), 1, "")).collect();
    refused(
        &body.join("\n"),
        "system.xml:65:1: <protection_domain>: a system has at most 63 protection domains",
    );
}

#[test]
fn children_have_an_id_and_parents_tell_them_apart() {
    let child = |name, id: &str| {
        format!(
            "\n<protection_domain name=\"{name}\" {id}><program_image path=\"b.elf\"/></protection_domain>"
        )
    };
    refused(
        &domain("a", 1, &child("b", "")),
        "system.xml:3:1: <protection_domain>: the attribute \"id\" is missing",
    );
    refused(
        &domain("a", 1, &child("b", "id=\"62\"")),
        "system.xml:3:29: <protection_domain>: id lies between 0 and 61, not 62",
    );
    refused(
        &domain("a", 1, &(child("b", "id=\"3\"") + &child("c", "id=\"3\""))),
        "system.xml:4:1: <protection_domain>: the child \"b\" of the same parent has the id 3, too",
    );
    refused(
        "<protection_domain name=\"a\" id=\"1\"><program_image path=\"a.elf\"/></protection_domain>",
        "system.xml:2:29: <protection_domain>: there is no attribute \"id\" here",
    );
}

#[test]
fn truth_values_are_true_or_false() {
    refused(
        &format!(
            "<memory_region name=\"m\" size=\"0x1000\"/>{}",
            domain("a", 1, "\n<map mr=\"m\" vaddr=\"0x1000000\" cached=\"no\"/>")
        ),
        "system.xml:3:31: <map>: cached is \"true\" or \"false\", not \"no\"",
    );
}

#[test]
fn a_board_file_that_a_program_cannot_be_told_of_is_refused() {
    refused(
        &domain("a", 1, "\n<board_file symbol=\"x\"/>"),
        "system.xml:3:1: <board_file>: the attribute \"lines_symbol\" is missing",
    );
    refused(
        &domain("a", 1, "\n<board_file symbol=\"x\" lines_symbol=\"y\"/>"),
        "system.xml:3:13: <board_file>: the program \"a.elf\" has a symbol \"x\" of 8 bytes; expected 64\n\
         system.xml:3:24: <board_file>: the program \"a.elf\" has a symbol \"y\" of 8 bytes; expected 40",
    );
    let twice = "\n<board_file symbol=\"x\" lines_symbol=\"y\"/>".repeat(2);
    refused(
        &domain("a", 1, &twice),
        "system.xml:4:1: <board_file>: there is another <board_file> in this protection domain",
    );
    let also = "\n<board_file symbol=\"x\" lines_symbol=\"y\"/><constant symbol=\"y\" value=\"1\"/>";
    refused(
        &domain("a", 1, also),
        "system.xml:3:24: <board_file>: the symbol \"y\" of \"a\" is set elsewhere, too",
    );
}
