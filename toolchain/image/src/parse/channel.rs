// SPDX-License-Identifier: BSD-2-Clause
//! `<channel>`.

use roxmltree::Node;

use super::{Context, unsupported};
use crate::layout;
use crate::model::{Channel, ChannelEnd};

pub(super) fn parse<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<Channel> {
    let xml = context.xml;
    xml.attributes(node, &[]);
    let mut ends = Vec::new();
    let mut complete = true;
    for child in xml.children(node) {
        if child.tag_name().name() == "end" {
            let end = end(context, child);
            complete &= end.is_some();
            ends.extend(end);
        } else {
            unsupported(context, child, child.tag_name().name());
            complete = false;
        }
    }
    if !complete {
        return None;
    }
    let count = ends.len();
    let Ok(ends) = <[ChannelEnd; 2]>::try_from(ends) else {
        xml.error(node, format!("a channel has two <end>, not {count}"));
        return None;
    };
    Some(Channel { ends, place: xml.place(node) })
}

fn end<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<ChannelEnd> {
    let xml = context.xml;
    xml.attributes(node, &["pd", "id", "pp", "notify", "setvar_id"]);
    xml.no_children(node);
    let domain = context.names.domain(xml, node, "pd");
    let id = xml.required(node, "id").and_then(|attr| xml.number_in(&attr, 0..=layout::MAX_CHANNEL));
    let pp = xml.boolean(node, "pp", false);
    let notify = xml.boolean(node, "notify", true);
    let setvar_id = xml.optional(node, "setvar_id").map(|attr| attr.placed(attr.text.to_owned()));
    Some(ChannelEnd { domain: domain?, id: id?, pp: pp?, notify: notify?, setvar_id, place: xml.place(node) })
}
