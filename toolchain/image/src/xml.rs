// SPDX-License-Identifier: BSD-2-Clause
//! Elements and attributes of the description, read with an eye to good messages.
//!
//! Every function that finds a mistake notes it in the [`Sink`] and answers `None`; the caller goes on with the
//! next element, so that one run shows all mistakes.

use std::ops::RangeInclusive;

use roxmltree::{Document, Node};

use crate::diagnostic::{Place, Sink};
use crate::model::{Perms, Placed, Requester};

/// An attribute's value and place.
#[derive(Clone, Debug)]
pub(crate) struct Attr<'d> {
    pub(crate) name: &'d str,
    pub(crate) text: &'d str,
    pub(crate) place: Place,
}

impl Attr<'_> {
    pub(crate) fn placed<T>(&self, value: T) -> Placed<T> {
        Placed { value, place: self.place.clone() }
    }
}

/// The description and where its mistakes are noted.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'d> {
    pub(crate) document: &'d Document<'d>,
    pub(crate) sink: &'d Sink<'d>,
}

impl<'d> Reader<'d> {
    fn place_at(&self, node: Node<'d, 'd>, byte: usize) -> Place {
        let at = self.document.text_pos_at(byte);
        Place { line: at.row, column: at.col, element: node.tag_name().name().to_owned() }
    }

    /// Where an element starts.
    pub(crate) fn place(&self, node: Node<'d, 'd>) -> Place {
        self.place_at(node, node.range().start)
    }

    /// An element as a whole is at fault.
    pub(crate) fn error(&self, node: Node<'d, 'd>, message: impl Into<String>) {
        self.sink.error(&self.place(node), message);
    }

    /// Refuses all attributes but the known ones.
    pub(crate) fn attributes(&self, node: Node<'d, 'd>, known: &[&str]) {
        for attribute in node.attributes() {
            if !known.contains(&attribute.name()) {
                let place = self.place_at(node, attribute.range().start);
                self.sink.error(&place, format!("there is no attribute \"{}\" here", attribute.name()));
            }
        }
    }

    /// The child elements. Text between them is refused.
    pub(crate) fn children(&self, node: Node<'d, 'd>) -> impl Iterator<Item = Node<'d, 'd>> + use<'d> {
        for text in node.children().filter(Node::is_text) {
            let content = text.text().unwrap_or_default();
            if let Some(start) = content.find(|c: char| !c.is_whitespace()) {
                let place = self.place_at(node, text.range().start + start);
                self.sink.error(&place, "there is text here where only elements may be");
            }
        }
        node.children().filter(Node::is_element)
    }

    /// Refuses all child elements.
    pub(crate) fn no_children(&self, node: Node<'d, 'd>) {
        for child in self.children(node) {
            let parent = node.tag_name().name();
            self.error(child, format!("<{parent}> has no elements inside"));
        }
    }

    /// An attribute that may be there.
    pub(crate) fn optional(&self, node: Node<'d, 'd>, name: &str) -> Option<Attr<'d>> {
        let attribute = node.attribute_node(name)?;
        let place = self.place_at(node, attribute.range().start);
        Some(Attr { name: attribute.name(), text: attribute.value(), place })
    }

    /// An attribute that must be there.
    pub(crate) fn required(&self, node: Node<'d, 'd>, name: &str) -> Option<Attr<'d>> {
        let attribute = self.optional(node, name);
        if attribute.is_none() {
            self.error(node, format!("the attribute \"{name}\" is missing"));
        }
        attribute
    }

    /// Refuses an attribute that Microkit knows and this tool does not support, unless it has the one value
    /// that changes nothing.
    pub(crate) fn unsupported(&self, node: Node<'d, 'd>, name: &str, harmless: Option<&str>, why: &str) {
        if let Some(attr) = self.optional(node, name)
            && Some(attr.text) != harmless
        {
            self.sink.error(&attr.place, format!("{name}=\"{}\" is not supported: {why}", attr.text));
        }
    }

    /// A number, decimal or hexadecimal with 0x; underscores may separate digits.
    pub(crate) fn number(&self, attr: &Attr<'d>) -> Option<u64> {
        let digits: String = attr.text.chars().filter(|&c| c != '_').collect();
        let number = match digits.strip_prefix("0x") {
            Some(hex) if hex.starts_with(|c: char| c.is_ascii_hexdigit()) => {
                u64::from_str_radix(hex, 16).ok()
            }
            None if digits.starts_with(|c: char| c.is_ascii_digit()) => digits.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.sink.error(
                &attr.place,
                format!(
                    "{} is a number from 0 to 2^64-1, decimal or hexadecimal with 0x, not \"{}\"",
                    attr.name, attr.text
                ),
            );
        }
        number
    }

    /// A number within bounds, as the type that holds them.
    pub(crate) fn number_in<T: TryFrom<u64>>(
        &self,
        attr: &Attr<'d>,
        bounds: RangeInclusive<u64>,
    ) -> Option<T> {
        let number = self.number(attr)?;
        if bounds.contains(&number)
            && let Ok(number) = T::try_from(number)
        {
            return Some(number);
        }
        self.sink.error(
            &attr.place,
            format!("{} lies between {} and {}, not {number}", attr.name, bounds.start(), bounds.end()),
        );
        None
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, attr: &Attr<'d>, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == attr.text);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.sink
                .error(&attr.place, format!("{} is {}, not \"{}\"", attr.name, list.join(" or "), attr.text));
        }
        found.map(|&(_, value)| value)
    }

    /// A truth value with a default.
    pub(crate) fn boolean(&self, node: Node<'d, 'd>, name: &str, default: bool) -> Option<bool> {
        match self.optional(node, name) {
            None => Some(default),
            Some(attr) => self.word(&attr, &[("true", true), ("false", false)]),
        }
    }

    /// Permissions out of `letters`; read and write when the attribute is not there. `read_needed` refuses
    /// what only writes, because the processor has no such mappings.
    pub(crate) fn perms(&self, node: Node<'d, 'd>, letters: &str, read_needed: bool) -> Option<Perms> {
        let Some(attr) = self.optional(node, "perms") else { return Some(Perms::READ_WRITE) };
        let letters_known = attr.text.chars().all(|c| letters.contains(c));
        let perms = Perms {
            read: attr.text.contains('r'),
            write: attr.text.contains('w'),
            execute: attr.text.contains('x'),
        };
        let list: Vec<_> = letters.chars().map(|c| format!("\"{c}\"")).collect();
        if !letters_known || attr.text.is_empty() {
            self.sink.error(
                &attr.place,
                format!("perms is made of the letters {}, not \"{}\"", list.join(", "), attr.text),
            );
            None
        } else if read_needed && !perms.read {
            self.sink
                .error(&attr.place, format!("perms needs \"r\": \"{}\" cannot be had without", attr.text));
            None
        } else {
            Some(perms)
        }
    }

    /// A PCI device as bus:device.function in hexadecimal.
    pub(crate) fn pci_device(&self, attr: &Attr<'d>) -> Option<Requester> {
        let part = |text: &str, max: u16| {
            let text = text.trim();
            let value = u16::from_str_radix(text, 16).ok();
            value.filter(|&value| value <= max && !text.starts_with('+'))
        };
        let device = || {
            let (bus, rest) = attr.text.split_once(':')?;
            let (device, function) = rest.split_once('.')?;
            Some(Requester(part(bus, 0xff)? << 8 | part(device, 0x1f)? << 3 | part(function, 7)?))
        };
        let found = device();
        if found.is_none() {
            self.sink.error(
                &attr.place,
                format!(
                    "{} is a PCI device as bus:device.function in hexadecimal, at most ff:1f.7, not \"{}\"",
                    attr.name, attr.text
                ),
            );
        }
        found
    }
}
