// SPDX-License-Identifier: BSD-2-Clause
//! From the text of a system description to a [`System`].
//!
//! The elements refer to each other by name in any order, so the names are collected first and every
//! reference is resolved where it is read. Rules that concern a single element are checked here, rules between
//! elements in [`check`](crate::check).

mod channel;
mod cspace;
mod devices;
mod domain;
mod io_space;
mod names;
mod region;

use std::path::PathBuf;

use roxmltree::{Document, Node};

use crate::diagnostic::{Place, Sink};
use crate::model::{Setvar, SetvarValue, System};
use crate::xml::Reader;
use names::Names;

/// What all element parsers need.
#[derive(Clone, Copy)]
struct Context<'d> {
    xml: Reader<'d>,
    names: &'d Names<'d>,
    search_paths: &'d [PathBuf],
}

/// Reads a description. `None` when there are errors; they are in the sink.
pub(crate) fn parse(text: &str, search_paths: &[PathBuf], sink: &Sink<'_>) -> Option<System> {
    match Document::parse(text) {
        Ok(document) => parse_document(&document, search_paths, sink),
        Err(error) => {
            let at = error.pos();
            let place = Place { line: at.row, column: at.col, element: "system".into() };
            sink.error(&place, format!("this is not well-formed XML: {error}"));
            None
        }
    }
}

fn parse_document<'d>(
    document: &'d Document<'d>,
    search_paths: &'d [PathBuf],
    sink: &'d Sink<'d>,
) -> Option<System> {
    let xml = Reader { document, sink };
    let root = document.root_element();
    if root.tag_name().name() != "system" {
        xml.error(root, "the outermost element is <system>");
        return None;
    }
    xml.attributes(root, &[]);

    let names = Names::collect(xml, root);
    let context = Context { xml, names: &names, search_paths };
    let mut system = System::default();
    let mut complete = true;
    for node in xml.children(root) {
        complete &= match node.tag_name().name() {
            "memory_region" => region::parse(context, node).map(|it| system.regions.push(it)).is_some(),
            "protection_domain" => domain::parse(context, node, None, &mut system.domains).is_some(),
            "channel" => channel::parse(context, node).map(|it| system.channels.push(it)).is_some(),
            "io_address_space" => {
                io_space::parse(context, node).map(|it| system.io_spaces.push(it)).is_some()
            }
            other => {
                unsupported(context, node, other);
                false
            }
        };
    }
    if !complete {
        return None;
    }
    for channel in &mut system.channels {
        for end in &mut channel.ends {
            if let Some(symbol) = end.setvar_id.take() {
                let setvar = Setvar { symbol, value: SetvarValue::Number(end.id.into()) };
                system.domains[end.domain].setvars.push(setvar);
            }
        }
    }
    Some(system)
}

/// Refuses an element in a place where it cannot be.
fn unsupported<'d>(context: Context<'d>, node: Node<'d, 'd>, name: &str) {
    let why = match name {
        "virtual_machine" => "virtual machines are not supported",
        "domains" => "scheduling domains are not supported: the kernel is built with one",
        _ => "there is no such element here",
    };
    context.xml.error(node, why);
}
