// SPDX-License-Identifier: BSD-2-Clause
//! `<irq>` and `<ioport>`.

use roxmltree::Node;

use super::Context;
use super::domain::add_setvar;
use crate::layout;
use crate::model::{IoPort, Irq, IrqSource, ProtectionDomain, SetvarValue};

pub(super) fn irq<'d>(context: Context<'d>, node: Node<'d, 'd>, domain: &mut ProtectionDomain) -> Option<()> {
    let xml = context.xml;
    let id = xml.required(node, "id").and_then(|attr| xml.number_in(&attr, 0..=layout::MAX_CHANNEL));
    let vector = || {
        let attr = xml.required(node, "vector")?;
        xml.number_in(&attr, 0..=layout::MAX_VECTOR)
    };
    let (vector, source) = if let Some(attr) = xml.optional(node, "irq") {
        xml.sink.error(
            &attr.place,
            "interrupts have no plain numbers on x86-64; they have a \"pin\" (I/O APIC) or a \"pcidev\" (MSI)",
        );
        return None;
    } else if xml.optional(node, "pin").is_some() {
        (vector(), io_apic(context, node))
    } else if xml.optional(node, "pcidev").is_some() {
        (vector(), msi(context, node))
    } else {
        xml.error(node, "an interrupt has a \"pin\" (I/O APIC) or a \"pcidev\" (MSI)");
        return None;
    };
    let (id, vector, source) = (id?, vector?, source?);
    add_setvar(context, node, "setvar_id", SetvarValue::Number(u64::from(id)), domain);
    domain.irqs.push(Irq { id, place: xml.place(node), vector, source });
    Some(())
}

fn io_apic<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<IrqSource> {
    let xml = context.xml;
    xml.attributes(node, &["id", "setvar_id", "ioapic", "pin", "trigger", "polarity", "vector"]);
    xml.no_children(node);
    // seL4: CONFIG_MAX_NUM_IOAPIC is 1.
    let ioapic = match xml.optional(node, "ioapic") {
        None => Some(0),
        Some(attr) => xml.number_in(&attr, 0..=0),
    };
    let pin = xml.required(node, "pin").and_then(|attr| xml.number_in(&attr, 0..=layout::IOAPIC_PINS - 1));
    let level = match xml.optional(node, "trigger") {
        None => Some(true),
        Some(attr) => xml.word(&attr, &[("level", true), ("edge", false)]),
    };
    let low = match xml.optional(node, "polarity") {
        None => Some(false),
        Some(attr) => xml.word(&attr, &[("high", false), ("low", true)]),
    };
    Some(IrqSource::IoApic { ioapic: ioapic?, pin: pin?, level: level?, low: low? })
}

fn msi<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<IrqSource> {
    let xml = context.xml;
    xml.attributes(node, &["id", "setvar_id", "pcidev", "handle", "vector"]);
    xml.no_children(node);
    let requester = xml.required(node, "pcidev").and_then(|attr| xml.pci_device(&attr));
    let handle = xml.required(node, "handle").and_then(|attr| xml.number_in(&attr, 0..=u64::from(u32::MAX)));
    Some(IrqSource::Msi { requester: requester?, handle: handle? })
}

pub(super) fn ioport<'d>(
    context: Context<'d>,
    node: Node<'d, 'd>,
    domain: &mut ProtectionDomain,
) -> Option<()> {
    let xml = context.xml;
    xml.attributes(node, &["id", "setvar_id", "setvar_addr", "addr", "size"]);
    xml.no_children(node);
    let id = xml.required(node, "id").and_then(|attr| xml.number_in(&attr, 0..=layout::MAX_ID));
    let first: Option<u16> =
        xml.required(node, "addr").and_then(|attr| xml.number_in(&attr, 0..=u64::from(u16::MAX)));
    let size: Option<u64> = xml.required(node, "size").and_then(|attr| xml.number_in(&attr, 1..=0x1_0000));
    let (id, first, size) = (id?, first?, size?);
    let Ok(last) = u16::try_from(u64::from(first) + size - 1) else {
        xml.error(node, format!("I/O ports end at 0xffff; {size:#x} from {first:#x} reach further"));
        return None;
    };
    add_setvar(context, node, "setvar_id", SetvarValue::Number(u64::from(id)), domain);
    add_setvar(context, node, "setvar_addr", SetvarValue::Number(first.into()), domain);
    domain.ioports.push(IoPort { id, place: xml.place(node), first, last });
    Some(())
}
