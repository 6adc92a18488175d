// SPDX-License-Identifier: BSD-2-Clause
//! The description without what the SDK's tool does not know, and with what it needs instead. The text is
//! edited in place, so that lines and comments stay.

use std::fmt::Write as _;
use std::ops::Range;

use roxmltree::{Document, Node};

use super::is_fixed;
use crate::model::{IoSpaceId, System};

/// Elements of `<cspace>` that are this project's own.
const OWN_CAPS: &[&str] = &["cap_frame_range", "cap_cnode", "cap_cspace_root", "cap_io_space"];

/// One change of the text.
struct Edit {
    /// What is replaced; nothing where something is only put in.
    range: Range<usize>,
    text: String,
}

/// The text for the SDK's tool. `text` is what `system` was read from, `paths` where each domain's program is.
pub(super) fn for_sdk(text: &str, system: &System, paddrs: &[u64], paths: &[&str]) -> String {
    // It was read already, so it is well-formed.
    let Ok(document) = Document::parse(text) else { return text.to_owned() };
    let mut edits = Vec::new();
    // Positions are in the order of the file.
    let (mut region, mut io_space) = (0, 0);
    let mut paths = paths.iter().copied();
    for node in document.root_element().children().filter(Node::is_element) {
        match node.tag_name().name() {
            "memory_region" => {
                if system.regions[region].paddr.is_none() && is_fixed(system, region) {
                    let at = node.range().start + "<memory_region".len();
                    let text = format!(" phys_addr=\"{:#x}\"", paddrs[region]);
                    edits.push(Edit { range: at..at, text });
                }
                region += 1;
            }
            "io_address_space" => {
                edits.extend(lendable(text, node, &iomaps(system, io_space, paddrs)));
                io_space += 1;
            }
            "protection_domain" => edits.extend(domain(text, node, &mut paths)),
            _ => {}
        }
    }
    apply(text, edits)
}

/// The mappings of what may be lent, for the device whose I/O address space the lending domain would hold.
fn iomaps(system: &System, io_space: IoSpaceId, paddrs: &[u64]) -> Vec<String> {
    let mut maps = Vec::new();
    let mut seen = Vec::new();
    let holders = system.domains.iter().filter(|domain| System::holds_io_space(domain, io_space));
    for grant in holders.flat_map(|domain| &domain.grant_tables).flat_map(|table| &table.grants) {
        if seen.contains(&grant.region) {
            continue;
        }
        seen.push(grant.region);
        maps.push(format!(
            "<iomap mr=\"{}\" iovaddr=\"{:#x}\" perms=\"{}\" />",
            system.regions[grant.region].name, paddrs[grant.region], grant.perms
        ));
    }
    maps
}

/// Puts elements at the end of an element.
fn lendable(text: &str, node: Node<'_, '_>, elements: &[String]) -> Option<Edit> {
    if elements.is_empty() {
        return None;
    }
    let range = node.range();
    let indent = indent(text, range.start);
    let mut lines = String::new();
    for element in elements {
        let _ = writeln!(lines, "{indent}    {element}");
    }
    let whole = &text[range.clone()];
    if let Some(open) = whole.strip_suffix("/>") {
        let at = range.start + open.trim_end().len();
        let text = format!(">\n{lines}{indent}</{}>", node.tag_name().name());
        return Some(Edit { range: at..range.end, text });
    }
    // Before the line of the closing tag, if it has one to itself.
    let close = range.start + whole.rfind("</")?;
    let line = text[..close].rfind('\n').map_or(0, |newline| newline + 1);
    if text[line..close].trim().is_empty() {
        Some(Edit { range: line..line, text: lines })
    } else {
        Some(Edit { range: close..close, text: format!("\n{lines}{indent}") })
    }
}

/// Takes this project's own elements out of a domain and of its children, and says where its program is; `paths` go on
/// with this domain's.
fn domain<'p>(text: &str, domain: Node<'_, '_>, paths: &mut impl Iterator<Item = &'p str>) -> Vec<Edit> {
    let mut edits = Vec::new();
    let path = paths.next();
    for node in domain.children().filter(Node::is_element) {
        match node.tag_name().name() {
            "grant_table" | "constant" | "board_file" => edits.push(removal(text, node)),
            "cspace" => {
                let is_own = |node: &Node<'_, '_>| OWN_CAPS.contains(&node.tag_name().name());
                let (own, others): (Vec<_>, Vec<_>) =
                    node.children().filter(Node::is_element).partition(is_own);
                if others.is_empty() {
                    edits.push(removal(text, node));
                } else {
                    edits.extend(own.into_iter().map(|cap| removal(text, cap)));
                }
            }
            "program_image" => {
                if let Some((attribute, path)) = node.attribute_node("path").zip(path)
                    && attribute.value() != path
                {
                    edits.push(Edit { range: attribute.range_value(), text: path.to_owned() });
                }
            }
            _ => {}
        }
    }
    // Domains are counted as they start, parents before children.
    for node in domain.children().filter(|node| node.has_tag_name("protection_domain")) {
        edits.extend(self::domain(text, node, paths));
    }
    edits
}

/// Takes an element out, with its line where it has lines to itself.
fn removal(text: &str, node: Node<'_, '_>) -> Edit {
    let mut range = node.range();
    let start = text[..range.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[range.end..].find('\n').map(|newline| range.end + newline + 1);
    if let Some(end) = end
        && text[start..range.start].trim().is_empty()
        && text[range.end..end].trim().is_empty()
    {
        range = start..end;
    }
    Edit { range, text: String::new() }
}

/// The white space that the line of a position starts with.
fn indent(text: &str, at: usize) -> &str {
    let line = &text[text[..at].rfind('\n').map_or(0, |newline| newline + 1)..at];
    &line[..line.len() - line.trim_start().len()]
}

fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.range.start);
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for edit in edits {
        result.push_str(&text[done..edit.range.start]);
        result.push_str(&edit.text);
        done = edit.range.end;
    }
    result.push_str(&text[done..]);
    result
}
