// SPDX-License-Identifier: BSD-2-Clause
//! Mistakes in `<cspace>`, grant tables and I/O address spaces.

use crate::common::{Bench, Elf, domain, refused};

const REGION: &str = "<memory_region name=\"m\" size=\"0x3000\"/>\n";

/// The region m in line 2, the domain from line 3, its `<cspace>` in line 4.
fn cspace(inside: &str) -> String {
    format!("{REGION}{}", domain("a", 1, &format!("\n<cspace>{inside}</cspace>")))
}

#[test]
fn slots_lie_in_the_root_cnode_and_are_used_once() {
    for slot in [0, 64] {
        refused(
            &cspace(&format!("<cap_cspace_root slot=\"{slot}\"/>")),
            &format!("system.xml:4:26: <cap_cspace_root>: slot lies between 1 and 63, not {slot}"),
        );
    }
    refused(
        &cspace("<cap_cspace_root slot=\"5\"/>\n<cap_cnode slot=\"5\" size_bits=\"4\"/>"),
        "system.xml:5:1: <cap_cnode>: the slot 5 is taken in line 4",
    );
}

#[test]
fn cnodes_have_a_size_within_bounds() {
    for bits in [0, 17] {
        refused(
            &cspace(&format!("<cap_cnode slot=\"5\" size_bits=\"{bits}\"/>")),
            &format!("system.xml:4:29: <cap_cnode>: size_bits lies between 1 and 16, not {bits}"),
        );
    }
}

#[test]
fn unknown_capabilities_and_attributes_are_refused_by_name() {
    refused(
        &cspace("<cap_untyped slot=\"5\"/>"),
        "system.xml:4:9: <cap_untyped>: there is no such element here",
    );
    refused(
        &cspace("<cap_frame_range slot=\"5\" mr=\"m\" cached=\"true\"/>"),
        "system.xml:4:42: <cap_frame_range>: there is no attribute \"cached\" here",
    );
    refused(
        &cspace("<cap_frame_range slot=\"5\"/>"),
        "system.xml:4:9: <cap_frame_range>: the attribute \"mr\" is missing",
    );
    refused(
        &cspace("<cap_frame_range slot=\"5\" mr=\"m\" perms=\"rwx\"/>"),
        "system.xml:4:42: <cap_frame_range>: perms is made of the letters \"r\", \"w\", not \"rwx\"",
    );
}

#[test]
fn a_symbol_receives_one_value() {
    refused(
        &cspace(
            "<cap_frame_range slot=\"5\" mr=\"m\" setvar_size_bits=\"x\"/>\n\
             <cap_frame_range slot=\"6\" mr=\"m\" setvar_size_bits=\"x\"/>",
        ),
        "system.xml:5:34: <cap_frame_range>: the symbol \"x\" of \"a\" is set elsewhere, too",
    );
}

#[test]
fn the_size_of_a_prefill_needs_a_prefill() {
    let map = "\n<map mr=\"m\" vaddr=\"0x1000000\" setvar_prefill_size=\"x\"/>";
    refused(
        &format!("{REGION}{}", domain("a", 1, map)),
        "system.xml:4:31: <map>: the memory region \"m\" has no prefill_path",
    );
}

/// Domain a with a grant table, b at the other end of channel 1.
fn grant(table: &str, inside: &str) -> String {
    let table =
        format!("\n<grant_table symbol=\"grants\" count_symbol=\"x\">\n{table}\n</grant_table>{inside}");
    let channel = "<channel><end pd=\"a\" id=\"1\"/><end pd=\"b\" id=\"1\"/></channel>";
    format!("{REGION}{}\n{}\n{channel}", domain("a", 1, &table), domain("b", 1, ""))
}

/// A bench whose programs have room for two grants.
fn granting() -> Bench {
    let bench = Bench::new();
    bench.elf("a.elf", &Elf::program(&[("grants", 64), ("x", 8)]));
    bench
}

#[test]
fn a_grant_is_for_a_channel_that_exists() {
    assert_eq!(
        granting().refusal(&grant("<grant channel=\"2\" mr=\"m\"/>", "")),
        "system.xml:5:8: <grant>: \"a\" has no channel with the id 2"
    );
}

#[test]
fn a_grant_table_fits_its_symbol() {
    let grants = "<grant channel=\"1\" mr=\"m\"/>".repeat(3);
    assert_eq!(
        granting().refusal(&grant(&grants, "")),
        "system.xml:4:14: <grant_table>: the program \"a.elf\" has a symbol \"grants\" of 64 bytes; expected a multiple \
         of 32 and at least 96"
    );
    assert!(granting().build(&grant("<grant channel=\"1\" mr=\"m\"/>", "")).is_ok());
}

#[test]
fn a_client_of_a_grant_table_is_described_once_and_its_channels_exist() {
    let refusal = |table: &str| granting().refusal(&grant(table, ""));
    assert_eq!(
        refusal("<client channel=\"2\"/>"),
        "system.xml:5:9: <client>: \"a\" has no channel with the id 2"
    );
    assert_eq!(
        refusal("<client channel=\"1\" owner=\"3\"/>"),
        "system.xml:5:21: <client>: \"a\" has no channel with the id 3"
    );
    assert_eq!(
        refusal("<client channel=\"1\"/>\n<client channel=\"1\"/>"),
        "system.xml:6:9: <client>: the client of channel 1 is described in line 5"
    );
    assert_eq!(
        refusal("<client channel=\"1\" privileged=\"yes\"/>"),
        "system.xml:5:21: <client>: privileged is \"true\" or \"false\", not \"yes\""
    );
    assert_eq!(
        refusal("<client channel=\"1\" mr=\"m\"/>"),
        "system.xml:5:21: <client>: there is no attribute \"mr\" here"
    );
    let rows = "<client channel=\"1\" owner=\"none\"/><grant channel=\"1\" mr=\"m\"/>";
    assert!(granting().build(&grant(rows, "")).is_ok());
    assert!(refusal(&format!("{rows}<grant channel=\"1\" mr=\"m\"/>")).contains("at least 96"));
}

#[test]
fn a_grant_table_consists_of_grants() {
    assert_eq!(
        granting().refusal(&grant("<map/>", "")),
        "system.xml:5:1: <map>: there is no such element here"
    );
    assert_eq!(
        granting().refusal(&grant("<grant channel=\"1\" mr=\"m\" perms=\"w\"/>", "")),
        "system.xml:5:27: <grant>: perms needs \"r\": \"w\" cannot be had without"
    );
}

#[test]
fn large_pages_can_be_granted_but_are_not_mapped_for_a_device_from_the_start() {
    let space = "<io_address_space name=\"g\" peripheral_id=\"0:2.0\" domain_id=\"1\"/>\n";
    let holder = "<cspace><cap_io_space slot=\"1\" io_address_space=\"g\"/></cspace>";
    let body = |row: &str| {
        let large = "size=\"0x200000\" page_size=\"0x200000\"";
        grant(row, holder).replace("size=\"0x3000\"", large) + space
    };
    assert!(granting().build(&body("<grant channel=\"1\" mr=\"m\"/>")).is_ok());
    assert_eq!(
        granting().refusal(&body("<grant channel=\"1\" mr=\"m\" mapped=\"true\"/>")),
        "system.xml:5:8: <grant>: what an I/O address space has from the start has pages of 0x1000 bytes; \"m\" has \
         larger ones"
    );
}

#[test]
fn io_addresses_of_grants_stay_free() {
    // The only region of three pages lies at the top of the memory for regions.
    let space = "\n<io_address_space name=\"g\" peripheral_id=\"0:2.0\" domain_id=\"1\">\
                 <iomap mr=\"m\" iovaddr=\"0xbffe000\"/></io_address_space>";
    let holder = "<cspace><cap_io_space slot=\"1\" io_address_space=\"g\"/></cspace>";
    assert_eq!(
        granting().refusal(&(grant("<grant channel=\"1\" mr=\"m\"/>", holder) + space)),
        "system.xml:9:78: <iomap>: the I/O addresses 0xbffd000 to 0xc000000 are kept for \"m\", which the grant in \
         line 5 lets a domain map there"
    );
}

/// The region m in line 2, an I/O address space in line 3, a domain.
fn io_space(attributes: &str, inside: &str) -> String {
    let space = format!("<io_address_space name=\"g\" {attributes}>{inside}</io_address_space>\n");
    format!("{REGION}{space}{}", domain("a", 1, ""))
}

#[test]
fn an_io_address_space_is_of_a_pci_device_with_a_domain_of_its_own() {
    refused(
        &io_space("peripheral_id=\"0:2\" domain_id=\"1\"", ""),
        "system.xml:3:28: <io_address_space>: peripheral_id is a PCI device as bus:device.function in hexadecimal, at \
         most ff:1f.7, not \"0:2\"",
    );
    refused(
        &io_space("peripheral_id=\"0:0.0\" domain_id=\"1\"", ""),
        "system.xml:3:28: <io_address_space>: the kernel has no I/O address space for the device 00:00.0",
    );
    for id in [0, 0x1_0000] {
        refused(
            &io_space(&format!("peripheral_id=\"0:2.0\" domain_id=\"{id}\""), ""),
            &format!("system.xml:3:50: <io_address_space>: domain_id lies between 1 and 65535, not {id}"),
        );
    }
    let second = |attributes| {
        io_space("peripheral_id=\"0:2.0\" domain_id=\"1\"", "")
            + &format!("\n<io_address_space name=\"h\" {attributes}/>")
    };
    refused(
        &second("peripheral_id=\"0:2.0\" domain_id=\"2\""),
        "system.xml:5:1: <io_address_space>: the device 00:02.0 has the I/O address space \"g\"",
    );
    refused(
        &second("peripheral_id=\"0:3.0\" domain_id=\"1\""),
        "system.xml:5:1: <io_address_space>: the domain_id 1 belongs to \"g\"",
    );
}

#[test]
fn io_maps_are_aligned_in_range_and_apart() {
    let device = "peripheral_id=\"0:2.0\" domain_id=\"1\"";
    let iomap = |iova, perms| format!("\n<iomap mr=\"m\" iovaddr=\"{iova}\" perms=\"{perms}\"/>");
    refused(
        &io_space(device, &iomap("0x800", "rw")),
        "system.xml:4:15: <iomap>: iovaddr is a multiple of the page size 0x1000 of \"m\", not 0x800",
    );
    refused(
        &io_space(device, &iomap("0x7fffffe000", "rw")),
        "system.xml:4:15: <iomap>: \"m\" has 0x3000 bytes and ends at or below 0x8000000000; from 0x7fffffe000 it \
         reaches further",
    );
    refused(
        &io_space(device, &(iomap("0x1000", "rw") + &iomap("0x3000", "r"))),
        "system.xml:5:15: <iomap>: \"m\" at 0x3000 to 0x6000 overlaps with \"m\" at 0x1000 to 0x4000",
    );
    refused(
        &io_space(device, &iomap("0x1000", "x")),
        "system.xml:4:32: <iomap>: perms is made of the letters \"r\", \"w\", not \"x\"",
    );
    refused(&io_space(device, "<map/>"), "system.xml:3:64: <map>: there is no such element here");
    assert!(Bench::new().build(&io_space(device, &iomap("0x1000", "w"))).is_ok());
}

#[test]
fn regions_of_large_pages_have_no_io_maps() {
    let body =
        io_space("peripheral_id=\"0:2.0\" domain_id=\"1\"", "\n<iomap mr=\"m\" iovaddr=\"0x200000\"/>")
            .replace("size=\"0x3000\"", "size=\"0x200000\" page_size=\"0x200000\"");
    refused(
        &body,
        "system.xml:4:15: <iomap>: what an I/O address space has from the start has pages of 0x1000 bytes; \"m\" \
         has larger ones",
    );
}
