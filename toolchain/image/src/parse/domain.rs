// SPDX-License-Identifier: BSD-2-Clause
//! `<protection_domain>` and what is only inside it.

use roxmltree::Node;

use super::{Context, cspace, devices, names, unsupported};
use crate::layout;
use crate::model::{
    BoardFileSymbols, DomainId, Grant, GrantClient, GrantTable, Map, Owner, Placed, ProtectionDomain, Setvar,
    SetvarValue,
};

/// The elements inside a domain, as far as they could be read.
#[derive(Default)]
struct Contents<'d> {
    program: Option<(Placed<String>, Option<Placed<String>>)>,
    cspace_seen: bool,
    children: Vec<Node<'d, 'd>>,
}

/// Reads a domain and its children into `domains`. `None` when any of it could not be read.
pub(super) fn parse<'d>(
    context: Context<'d>,
    node: Node<'d, 'd>,
    parent: Option<DomainId>,
    domains: &mut Vec<ProtectionDomain>,
) -> Option<()> {
    let xml = context.xml;
    let of_child: &[&str] = if parent.is_some() { &["id", "setvar_id"] } else { &[] };
    let own =
        ["name", "priority", "stack_size", "passive", "budget", "period", "smc", "cpu", "domain", "fpu"];
    xml.attributes(node, &[&own[..], of_child].concat());
    refuse_scheduling(context, node);

    let name = names::declared(xml, node);
    if name.as_deref() == Some("monitor") {
        xml.error(node, "the name \"monitor\" belongs to the domain that receives faults");
    }
    let priority = match xml.optional(node, "priority") {
        None => Some(0),
        Some(attr) => xml.number_in(&attr, 0..=layout::MAX_PRIORITY),
    };
    let stack_size = stack_size(context, node);

    let this = domains.len();
    let mut domain = ProtectionDomain {
        name: name.clone().unwrap_or_default(),
        place: xml.place(node),
        priority: priority.unwrap_or(0),
        stack_size: stack_size.unwrap_or(layout::STACK_DEFAULT),
        program: Placed { value: String::new(), place: xml.place(node) },
        symbols: None,
        maps: Vec::new(),
        irqs: Vec::new(),
        ioports: Vec::new(),
        setvars: Vec::new(),
        caps: Vec::new(),
        grant_tables: Vec::new(),
        grant_rows: Vec::new(),
        constants: Vec::new(),
        board_file: None,
        parent: None,
    };
    let mut complete = name.is_some() && priority.is_some() && stack_size.is_some();
    if let Some(parent) = parent {
        let id = xml.required(node, "id").and_then(|attr| xml.number_in(&attr, 0..=layout::MAX_ID));
        complete &= id.is_some();
        domain.parent = id.map(|id| (parent, id));
        if let (Some(symbol), Some(id)) = (xml.optional(node, "setvar_id"), id)
            && let Some(parent) = domains.get_mut(parent)
        {
            let symbol = symbol.placed(symbol.text.to_owned());
            parent.setvars.push(Setvar { symbol, value: SetvarValue::Number(id.into()) });
        }
    }

    let mut contents = Contents::default();
    for child in xml.children(node) {
        complete &= element(context, child, &mut domain, &mut contents).is_some();
    }
    match contents.program {
        Some((program, symbols)) => (domain.program, domain.symbols) = (program, symbols),
        None if complete => {
            xml.error(node, "a protection domain has one <program_image>");
            complete = false;
        }
        None => {}
    }
    domains.push(domain);
    for child in contents.children {
        complete &= parse(context, child, Some(this), domains).is_some();
    }
    complete.then_some(())
}

/// Refuses what this kernel's scheduler cannot do.
fn refuse_scheduling<'d>(context: Context<'d>, node: Node<'d, 'd>) {
    let xml = context.xml;
    let budgets = "the kernel schedules by priority and has no budgets";
    xml.unsupported(node, "budget", None, budgets);
    xml.unsupported(node, "period", None, budgets);
    xml.unsupported(node, "passive", Some("false"), "the kernel has no scheduling contexts to lend");
    xml.unsupported(node, "smc", Some("false"), "x86-64 has no secure monitor calls");
    xml.unsupported(node, "cpu", Some("0"), "the kernel runs on one processor");
    xml.unsupported(node, "domain", None, "the kernel is built with one scheduling domain");
    xml.unsupported(node, "fpu", Some("true"), "the kernel lets every thread use the FPU");
}

fn stack_size<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<u64> {
    let xml = context.xml;
    let Some(attr) = xml.optional(node, "stack_size") else { return Some(layout::STACK_DEFAULT) };
    let size: u64 = xml.number_in(&attr, layout::STACK_SIZES)?;
    if size.is_multiple_of(layout::PAGE) {
        return Some(size);
    }
    xml.sink.error(
        &attr.place,
        format!("stack_size is a multiple of the page size {:#x}, not {size:#x}", layout::PAGE),
    );
    None
}

/// Reads one element inside a domain.
fn element<'d>(
    context: Context<'d>,
    node: Node<'d, 'd>,
    domain: &mut ProtectionDomain,
    contents: &mut Contents<'d>,
) -> Option<()> {
    let xml = context.xml;
    match node.tag_name().name() {
        "program_image" => {
            if contents.program.is_some() {
                xml.error(node, "there is another <program_image> in this protection domain");
                return None;
            }
            contents.program = Some(program(context, node)?);
        }
        "map" => map(context, node, domain)?,
        "irq" => devices::irq(context, node, domain)?,
        "ioport" => devices::ioport(context, node, domain)?,
        "setvar" => setvar(context, node, domain)?,
        "cspace" => {
            if std::mem::replace(&mut contents.cspace_seen, true) {
                xml.error(node, "there is another <cspace> in this protection domain");
                return None;
            }
            cspace::parse(context, node, domain)?;
        }
        "constant" => domain.constants.push(constant(context, node)?),
        "board_file" => {
            if domain.board_file.is_some() {
                xml.error(node, "there is another <board_file> in this protection domain");
                return None;
            }
            domain.board_file = Some(board_file(context, node)?);
        }
        "grant_table" => domain.grant_tables.push(grant_table(context, node)?),
        "protection_domain" => contents.children.push(node),
        other => {
            unsupported(context, node, other);
            return None;
        }
    }
    Some(())
}

fn program<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<(Placed<String>, Option<Placed<String>>)> {
    let xml = context.xml;
    xml.attributes(node, &["path", "path_for_symbols"]);
    xml.no_children(node);
    let path = xml.required(node, "path")?;
    let symbols = xml.optional(node, "path_for_symbols");
    Some((path.placed(path.text.to_owned()), symbols.map(|attr| attr.placed(attr.text.to_owned()))))
}

fn map<'d>(context: Context<'d>, node: Node<'d, 'd>, domain: &mut ProtectionDomain) -> Option<()> {
    let xml = context.xml;
    xml.attributes(
        node,
        &["mr", "vaddr", "perms", "cached", "setvar_vaddr", "setvar_size", "setvar_prefill_size"],
    );
    xml.no_children(node);
    let region = context.names.region(xml, node, "mr");
    let vaddr = xml.required(node, "vaddr").and_then(|attr| Some(attr.placed(xml.number(&attr)?)));
    let perms = xml.perms(node, "rwx", true);
    let cached = xml.boolean(node, "cached", true);
    let (region, vaddr, perms, cached) = (region?, vaddr?, perms?, cached?);
    for (name, value) in [
        ("setvar_vaddr", SetvarValue::Number(vaddr.value)),
        ("setvar_size", SetvarValue::RegionSize(region)),
        ("setvar_prefill_size", SetvarValue::PrefillSize(region)),
    ] {
        add_setvar(context, node, name, value, domain);
    }
    domain.maps.push(Map { region, vaddr, perms, cached });
    Some(())
}

/// Notes that the symbol in an attribute, where there is one, gets a value.
pub(super) fn add_setvar<'d>(
    context: Context<'d>,
    node: Node<'d, 'd>,
    name: &str,
    value: SetvarValue,
    domain: &mut ProtectionDomain,
) {
    if let Some(attr) = context.xml.optional(node, name) {
        domain.setvars.push(Setvar { symbol: attr.placed(attr.text.to_owned()), value });
    }
}

fn setvar<'d>(context: Context<'d>, node: Node<'d, 'd>, domain: &mut ProtectionDomain) -> Option<()> {
    let xml = context.xml;
    xml.attributes(node, &["symbol", "region_paddr"]);
    xml.no_children(node);
    let symbol = xml.required(node, "symbol");
    let region = context.names.region(xml, node, "region_paddr");
    let (symbol, region) = (symbol?, region?);
    let symbol = symbol.placed(symbol.text.to_owned());
    domain.setvars.push(Setvar { symbol, value: SetvarValue::RegionPaddr(region) });
    Some(())
}

fn constant<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<(Placed<String>, u64)> {
    let xml = context.xml;
    xml.attributes(node, &["symbol", "value"]);
    xml.no_children(node);
    let symbol = xml.required(node, "symbol");
    let value = xml.required(node, "value").and_then(|attr| xml.number(&attr));
    let symbol = symbol?;
    Some((symbol.placed(symbol.text.to_owned()), value?))
}

fn board_file<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<BoardFileSymbols> {
    let xml = context.xml;
    xml.attributes(node, &["symbol", "lines_symbol"]);
    xml.no_children(node);
    let (name, lines) = (xml.required(node, "symbol"), xml.required(node, "lines_symbol"));
    let (name, lines) = (name?, lines?);
    Some(BoardFileSymbols {
        name: name.placed(name.text.to_owned()),
        lines: lines.placed(lines.text.to_owned()),
    })
}

fn grant_table<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<GrantTable> {
    let xml = context.xml;
    xml.attributes(node, &["symbol", "count_symbol"]);
    let symbol = xml.required(node, "symbol");
    let count_symbol = xml.required(node, "count_symbol");
    let (mut clients, mut grants) = (Vec::new(), Vec::new());
    let mut complete = true;
    for child in xml.children(node) {
        match child.tag_name().name() {
            "grant" => {
                let grant = grant(context, child);
                complete &= grant.is_some();
                grants.extend(grant);
            }
            "client" => {
                let client = grant_client(context, child);
                complete &= client.is_some();
                clients.extend(client);
            }
            other => {
                unsupported(context, child, other);
                complete = false;
            }
        }
    }
    let (symbol, count_symbol) = (symbol?, count_symbol?);
    complete.then_some(GrantTable {
        symbol: symbol.placed(symbol.text.to_owned()),
        count_symbol: count_symbol.placed(count_symbol.text.to_owned()),
        clients,
        grants,
    })
}

fn grant<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<Grant> {
    let xml = context.xml;
    xml.attributes(node, &["channel", "mr", "perms", "mapped"]);
    xml.no_children(node);
    let channel = xml.required(node, "channel").and_then(|attr| {
        let id = xml.number_in(&attr, 0..=layout::MAX_CHANNEL)?;
        Some(attr.placed(id))
    });
    let region = context.names.region(xml, node, "mr");
    let perms = xml.perms(node, "rw", true);
    let mapped = xml.boolean(node, "mapped", false);
    Some(Grant { channel: channel?, region: region?, perms: perms?, mapped: mapped? })
}

fn grant_client<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<GrantClient> {
    let xml = context.xml;
    xml.attributes(node, &["channel", "owner", "privileged"]);
    xml.no_children(node);
    let channel = xml.required(node, "channel").and_then(|attr| {
        let id = xml.number_in(&attr, 0..=layout::MAX_CHANNEL)?;
        Some(attr.placed(id))
    });
    let owner = match xml.optional(node, "owner") {
        None => Some(Owner::Itself),
        Some(attr) if attr.text == "none" => Some(Owner::Nobody),
        Some(attr) => {
            let id = xml.number_in(&attr, 0..=layout::MAX_CHANNEL);
            id.map(|id| Owner::Channel(attr.placed(id)))
        }
    };
    let privileged = xml.boolean(node, "privileged", false);
    Some(GrantClient { channel: channel?, owner: owner?, privileged: privileged? })
}
