// SPDX-License-Identifier: BSD-2-Clause
//! Mistakes in channels, interrupts and I/O ports.

use crate::common::{Bench, domain, refused};

/// Domains a (priority 1) and b (priority 2) in lines 2 and 3, then the text.
fn ab(rest: &str) -> String {
    format!("{}\n{}\n{rest}", domain("a", 1, ""), domain("b", 2, ""))
}

/// A channel in one line between the ends given by their attributes after `pd`.
fn channel(a: &str, b: &str) -> String {
    format!("<channel><end pd=\"a\" {a}/><end pd=\"b\" {b}/></channel>")
}

#[test]
fn a_channel_to_nowhere_is_refused() {
    refused(
        &ab("<channel><end pd=\"a\" id=\"1\"/><end pd=\"c\" id=\"1\"/></channel>"),
        "system.xml:4:35: <end>: there is no protection domain named \"c\"",
    );
}

#[test]
fn a_channel_has_two_ends() {
    let end = "<end pd=\"a\" id=\"1\"/>";
    refused(
        &ab(&format!("<channel>{end}</channel>")),
        "system.xml:4:1: <channel>: a channel has two <end>, not 1",
    );
    refused(
        &ab(&format!("<channel>{end}{end}{end}</channel>")),
        "system.xml:4:1: <channel>: a channel has two <end>, not 3",
    );
    refused(&ab("<channel><start/></channel>"), "system.xml:4:10: <start>: there is no such element here");
}

#[test]
fn a_channel_connects_two_domains() {
    refused(
        &ab("<channel><end pd=\"a\" id=\"1\"/><end pd=\"a\" id=\"2\"/></channel>"),
        "system.xml:4:1: <channel>: a channel connects two protection domains; both ends are \"a\"",
    );
}

#[test]
fn ids_that_have_no_bit_in_a_badge_are_refused() {
    refused(
        &ab(&channel("id=\"26\"", "id=\"1\"")),
        "system.xml:4:22: <end>: id lies between 0 and 25, not 26",
    );
    assert!(Bench::new().build(&ab(&channel("id=\"25\"", "id=\"1\""))).is_ok());
}

#[test]
fn an_id_is_used_once_in_a_domain() {
    refused(
        &ab(&format!("{}\n{}", channel("id=\"1\"", "id=\"1\""), channel("id=\"1\"", "id=\"2\""))),
        "system.xml:5:10: <end>: the id 1 of \"a\" is taken by the <end> in line 4",
    );
}

#[test]
fn an_interrupt_and_a_channel_do_not_share_an_id() {
    let a = domain("a", 1, "\n<irq id=\"1\" pin=\"2\" vector=\"3\"/>");
    let b = domain("b", 2, "");
    refused(
        &format!("{a}\n{b}\n{}", channel("id=\"1\"", "id=\"1\"")),
        "system.xml:5:10: <end>: the id 1 of \"a\" is taken by the <irq> in line 3",
    );
}

#[test]
fn protected_calls_go_to_higher_priorities_only() {
    refused(
        &ab(&channel("id=\"1\"", "id=\"1\" pp=\"true\"")),
        "system.xml:4:30: <end>: a protected call goes to a domain of higher priority: \"b\" has 2, \"a\" has 1",
    );
    let equal = format!("{}\n{}\n", domain("a", 2, ""), domain("b", 2, ""));
    refused(
        &(equal + &channel("id=\"1\" pp=\"true\"", "id=\"1\"")),
        "system.xml:4:10: <end>: a protected call goes to a domain of higher priority: \"a\" has 2, \"b\" has 2",
    );
    assert!(Bench::new().build(&ab(&channel("id=\"1\" pp=\"true\"", "id=\"1\""))).is_ok());
}

#[test]
fn protected_calls_in_both_directions_are_refused() {
    refused(
        &ab(&channel("id=\"1\" pp=\"true\"", "id=\"1\" pp=\"true\"")),
        "system.xml:4:1: <channel>: only one end of a channel makes protected calls; both have pp=\"true\"",
    );
}

#[test]
fn interrupts_are_of_a_pin_or_of_a_device() {
    for (attributes, message) in [
        (
            "id=\"1\" irq=\"33\"",
            "system.xml:3:13: <irq>: interrupts have no plain numbers on x86-64; they have a \"pin\" (I/O APIC) or a \
             \"pcidev\" (MSI)",
        ),
        ("id=\"1\"", "system.xml:3:1: <irq>: an interrupt has a \"pin\" (I/O APIC) or a \"pcidev\" (MSI)"),
        ("id=\"1\" pin=\"2\"", "system.xml:3:1: <irq>: the attribute \"vector\" is missing"),
        (
            "id=\"1\" pin=\"2\" vector=\"3\" handle=\"4\"",
            "system.xml:3:32: <irq>: there is no attribute \"handle\" here",
        ),
        ("id=\"26\" pin=\"2\" vector=\"3\"", "system.xml:3:6: <irq>: id lies between 0 and 25, not 26"),
        ("id=\"1\" pin=\"24\" vector=\"3\"", "system.xml:3:13: <irq>: pin lies between 0 and 23, not 24"),
        (
            "id=\"1\" pin=\"2\" vector=\"108\"",
            "system.xml:3:21: <irq>: vector lies between 0 and 107, not 108",
        ),
        (
            "id=\"1\" pin=\"2\" vector=\"3\" ioapic=\"1\"",
            "system.xml:3:32: <irq>: ioapic lies between 0 and 0, not 1",
        ),
        (
            "id=\"1\" pin=\"2\" vector=\"3\" trigger=\"both\"",
            "system.xml:3:32: <irq>: trigger is \"level\" or \"edge\", not \"both\"",
        ),
        (
            "id=\"1\" pin=\"2\" vector=\"3\" polarity=\"up\"",
            "system.xml:3:32: <irq>: polarity is \"high\" or \"low\", not \"up\"",
        ),
        (
            "id=\"1\" pcidev=\"0:20.0\" handle=\"0\" vector=\"3\"",
            "system.xml:3:13: <irq>: pcidev is a PCI device as bus:device.function in hexadecimal, at most ff:1f.7, \
             not \"0:20.0\"",
        ),
        (
            "id=\"1\" pcidev=\"2.0\" handle=\"0\" vector=\"3\"",
            "system.xml:3:13: <irq>: pcidev is a PCI device as bus:device.function in hexadecimal, at most ff:1f.7, \
             not \"2.0\"",
        ),
        (
            "id=\"1\" pcidev=\"0:2.0\" handle=\"0x100000000\" vector=\"3\"",
            "system.xml:3:28: <irq>: handle lies between 0 and 4294967295, not 4294967296",
        ),
    ] {
        refused(&domain("a", 1, &format!("\n<irq {attributes}/>")), message);
    }
}

#[test]
fn vectors_and_pins_belong_to_one_domain() {
    let irq = |id, pin, vector| format!("\n<irq id=\"{id}\" pin=\"{pin}\" vector=\"{vector}\"/>");
    refused(
        &domain("a", 1, &(irq(1, 2, 3) + &irq(2, 4, 3))),
        "system.xml:4:1: <irq>: the vector 3 belongs to an <irq> of \"a\"",
    );
    refused(
        &format!("{}\n{}", domain("a", 1, &irq(1, 2, 3)), domain("b", 1, &irq(1, 2, 5))),
        "system.xml:5:1: <irq>: the pin 2 belongs to an <irq> of \"a\"",
    );
}

#[test]
fn io_ports_lie_in_range_and_apart() {
    let port = |id, addr, size| format!("\n<ioport id=\"{id}\" addr=\"{addr}\" size=\"{size}\"/>");
    refused(
        &domain("a", 1, &port(62, "0xcf8", 8)),
        "system.xml:3:9: <ioport>: id lies between 0 and 61, not 62",
    );
    refused(
        &domain("a", 1, &port(1, "0xcf8", 0)),
        "system.xml:3:29: <ioport>: size lies between 1 and 65536, not 0",
    );
    refused(
        &domain("a", 1, &port(1, "0x10000", 1)),
        "system.xml:3:16: <ioport>: addr lies between 0 and 65535, not 65536",
    );
    refused(
        &domain("a", 1, &port(1, "0xfffc", 5)),
        "system.xml:3:1: <ioport>: I/O ports end at 0xffff; 0x5 from 0xfffc reach further",
    );
    refused(
        &domain("a", 1, &(port(1, "0xcf8", 8) + &port(1, "0x60", 1))),
        "system.xml:4:1: <ioport>: \"a\" has another <ioport> with the id 1",
    );
    refused(
        &format!("{}\n{}", domain("a", 1, &port(1, "0xcf8", 8)), domain("b", 1, &port(1, "0xcff", 1))),
        "system.xml:5:1: <ioport>: the ports 0xcff to 0xcff overlap with 0xcf8 to 0xcff of \"a\"",
    );
    assert!(Bench::new().build(&domain("a", 1, &port(1, "0xfffc", 4))).is_ok());
}
