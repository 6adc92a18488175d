// SPDX-License-Identifier: BSD-2-Clause
//! `<cspace>`: further capabilities in the slots of a domain's root CNode.
//!
//! `cap_tcb` and `cap_vspace` are Microkit's. `cap_frame_range`, `cap_cnode`, `cap_cspace_root` and
//! `cap_io_space` are this project's, for domains that hand pages to each other at run time.

use roxmltree::Node;

use super::domain::add_setvar;
use super::{Context, unsupported};
use crate::layout;
use crate::model::{CapSlot, ExtraCap, ProtectionDomain, SetvarValue};

pub(super) fn parse<'d>(
    context: Context<'d>,
    node: Node<'d, 'd>,
    domain: &mut ProtectionDomain,
) -> Option<()> {
    let xml = context.xml;
    xml.attributes(node, &[]);
    let mut complete = true;
    for child in xml.children(node) {
        complete &= element(context, child, domain).is_some();
    }
    complete.then_some(())
}

fn element<'d>(context: Context<'d>, node: Node<'d, 'd>, domain: &mut ProtectionDomain) -> Option<()> {
    let xml = context.xml;
    let kind = node.tag_name().name();
    let own: &[&str] = match kind {
        "cap_frame_range" => &["mr", "perms", "setvar_size_bits", "setvar_row"],
        "cap_cnode" => &["size_bits"],
        "cap_cspace_root" => &[],
        "cap_io_space" => &["io_address_space"],
        "cap_tcb" | "cap_vspace" => &["pd"],
        "cap_sc" => {
            xml.error(node, "the kernel has no scheduling contexts");
            return None;
        }
        other => {
            unsupported(context, node, other);
            return None;
        }
    };
    xml.attributes(node, &[&["slot"], own].concat());
    xml.no_children(node);
    let slot = xml.required(node, "slot").and_then(|attr| xml.number_in(&attr, 1..=layout::MAX_SLOT));
    let cap = match kind {
        "cap_frame_range" => frame_range(context, node, domain),
        "cap_cnode" => {
            let attr = xml.required(node, "size_bits");
            let bits = attr.and_then(|attr| xml.number_in(&attr, 1..=layout::MAX_CNODE_BITS));
            bits.map(|size_bits| ExtraCap::CNode { size_bits })
        }
        "cap_cspace_root" => Some(ExtraCap::CspaceRoot),
        "cap_io_space" => context.names.io_space(xml, node, "io_address_space").map(ExtraCap::IoSpace),
        "cap_tcb" => context.names.domain(xml, node, "pd").map(ExtraCap::Tcb),
        _ => context.names.domain(xml, node, "pd").map(ExtraCap::VSpace),
    };
    domain.caps.push(CapSlot { slot: slot?, place: xml.place(node), cap: cap? });
    Some(())
}

fn frame_range<'d>(
    context: Context<'d>,
    node: Node<'d, 'd>,
    domain: &mut ProtectionDomain,
) -> Option<ExtraCap> {
    let region = context.names.region(context.xml, node, "mr");
    let perms = context.xml.perms(node, "rw", true);
    let (region, perms) = (region?, perms?);
    add_setvar(context, node, "setvar_size_bits", SetvarValue::CNodeBits(region), domain);
    if let Some(attr) = context.xml.optional(node, "setvar_row") {
        domain.grant_rows.push((attr.placed(attr.text.to_owned()), region));
    }
    Some(ExtraCap::FrameRange { region, perms })
}
