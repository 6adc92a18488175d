// SPDX-License-Identifier: BSD-2-Clause
//! The names that a description declares, and references to them.

use std::collections::HashMap;

use roxmltree::Node;

use crate::layout;
use crate::model::{DomainId, IoSpaceId, RegionId};
use crate::xml::{Attr, Reader};

/// Positions of the named elements. Domains are numbered as they start in the file, parents before children.
#[derive(Default)]
pub(super) struct Names<'d> {
    regions: HashMap<&'d str, RegionId>,
    domains: HashMap<&'d str, DomainId>,
    io_spaces: HashMap<&'d str, IoSpaceId>,
}

impl<'d> Names<'d> {
    /// Collects all names and refuses those that are declared twice.
    pub(super) fn collect(xml: Reader<'d>, root: Node<'d, 'd>) -> Self {
        let mut names = Self::default();
        for node in root.descendants().filter(Node::is_element) {
            let (table, what) = match node.tag_name().name() {
                "memory_region" => (&mut names.regions, "memory region"),
                "protection_domain" => (&mut names.domains, "protection domain"),
                "io_address_space" => (&mut names.io_spaces, "I/O address space"),
                _ => continue,
            };
            let id = table.len();
            if let Some(attr) = xml.optional(node, "name")
                && table.insert(attr.text, id).is_some()
            {
                xml.sink.error(&attr.place, format!("there is another {what} named \"{}\"", attr.text));
            }
        }
        names
    }

    fn find(xml: Reader<'d>, table: &HashMap<&str, usize>, attr: &Attr<'d>, what: &str) -> Option<usize> {
        let found = table.get(attr.text).copied();
        if found.is_none() {
            xml.sink.error(&attr.place, format!("there is no {what} named \"{}\"", attr.text));
        }
        found
    }

    /// The region that an attribute names.
    pub(super) fn region(&self, xml: Reader<'d>, node: Node<'d, 'd>, name: &str) -> Option<RegionId> {
        Self::find(xml, &self.regions, &xml.required(node, name)?, "memory region")
    }

    /// The domain that an attribute names.
    pub(super) fn domain(&self, xml: Reader<'d>, node: Node<'d, 'd>, name: &str) -> Option<DomainId> {
        Self::find(xml, &self.domains, &xml.required(node, name)?, "protection domain")
    }

    /// The I/O address space that an attribute names.
    pub(super) fn io_space(&self, xml: Reader<'d>, node: Node<'d, 'd>, name: &str) -> Option<IoSpaceId> {
        Self::find(xml, &self.io_spaces, &xml.required(node, name)?, "I/O address space")
    }
}

/// The name that an element declares: not empty, and short enough for `microkit_name`.
pub(super) fn declared<'d>(xml: Reader<'d>, node: Node<'d, 'd>) -> Option<String> {
    let attr = xml.required(node, "name")?;
    if attr.text.is_empty() || attr.text.len() > layout::MAX_NAME {
        xml.sink.error(&attr.place, format!("name has between 1 and {} bytes", layout::MAX_NAME));
        return None;
    }
    Some(attr.text.to_owned())
}
