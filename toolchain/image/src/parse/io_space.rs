// SPDX-License-Identifier: BSD-2-Clause
//! `<io_address_space>`.

use roxmltree::Node;

use super::{Context, names, unsupported};
use crate::model::{IoAddressSpace, IoMap};

pub(super) fn parse<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<IoAddressSpace> {
    let xml = context.xml;
    xml.attributes(node, &["name", "peripheral_id", "domain_id"]);
    let name = names::declared(xml, node);
    let requester = xml.required(node, "peripheral_id").and_then(|attr| {
        let requester = xml.pci_device(&attr)?;
        // seL4: the requester id of an I/O space capability must not be the number that means "none".
        if requester.0 == 0 {
            xml.sink.error(&attr.place, "the kernel has no I/O address space for the device 00:00.0");
            return None;
        }
        Some(requester)
    });
    let domain_id =
        xml.required(node, "domain_id").and_then(|attr| xml.number_in(&attr, 1..=u64::from(u16::MAX)));
    let mut maps = Vec::new();
    let mut complete = true;
    for child in xml.children(node) {
        if child.tag_name().name() == "iomap" {
            let map = iomap(context, child);
            complete &= map.is_some();
            maps.extend(map);
        } else {
            unsupported(context, child, child.tag_name().name());
            complete = false;
        }
    }
    let (name, requester, domain_id) = (name?, requester?, domain_id?);
    complete.then_some(IoAddressSpace { name, place: xml.place(node), requester, domain_id, maps })
}

fn iomap<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<IoMap> {
    let xml = context.xml;
    xml.attributes(node, &["mr", "iovaddr", "perms"]);
    xml.no_children(node);
    let region = context.names.region(xml, node, "mr");
    let iova = xml.required(node, "iovaddr").and_then(|attr| Some(attr.placed(xml.number(&attr)?)));
    let perms = xml.perms(node, "rw", false);
    Some(IoMap { region: region?, iova: iova?, perms: perms? })
}
