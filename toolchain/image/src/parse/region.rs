// SPDX-License-Identifier: BSD-2-Clause
//! `<memory_region>`.

use std::fs;

use roxmltree::Node;

use super::{Context, names};
use crate::model::{MemoryRegion, PageSize};
use crate::search;
use crate::xml::Attr;

pub(super) fn parse<'d>(context: Context<'d>, node: Node<'d, 'd>) -> Option<MemoryRegion> {
    let xml = context.xml;
    xml.attributes(node, &["name", "size", "page_size", "phys_addr", "prefill_path", "prefill_bootinfo"]);
    xml.unsupported(node, "prefill_bootinfo", None, "this kernel hands no such information on");
    xml.no_children(node);

    let name = names::declared(xml, node);
    let given = match xml.optional(node, "page_size") {
        None => Some(None),
        Some(attr) => page_size(context, &attr).map(Some),
    };
    let page_size = given?.unwrap_or(PageSize::Small);
    let prefill = match xml.optional(node, "prefill_path") {
        None => Some(None),
        Some(attr) => prefill(context, &attr).map(Some),
    };
    let size = match (xml.optional(node, "size"), &prefill) {
        (Some(attr), _) => size(context, &attr, page_size),
        (None, Some(Some(bytes))) => Some((bytes.len() as u64).next_multiple_of(page_size.bytes())),
        (None, Some(None)) => {
            xml.error(
                node,
                "the attribute \"size\" is missing, and there is no prefill_path to tell the size",
            );
            None
        }
        (None, None) => None,
    };
    let paddr = match xml.optional(node, "phys_addr") {
        None => Some(None),
        Some(attr) => xml.number(&attr).map(|number| Some(attr.placed(number))),
    };

    let (name, size, prefill, paddr) = (name?, size?, prefill?, paddr?);
    if let Some(bytes) = &prefill
        && bytes.len() as u64 > size
    {
        xml.error(node, format!("the prefill file has {:#x} bytes, the region only {size:#x}", bytes.len()));
        return None;
    }
    if let Some(paddr) = &paddr {
        if !paddr.value.is_multiple_of(page_size.bytes()) {
            xml.sink.error(
                &paddr.place,
                format!(
                    "phys_addr is a multiple of the page size {:#x}, not {:#x}",
                    page_size.bytes(),
                    paddr.value
                ),
            );
            return None;
        }
        if paddr.value.checked_add(size).is_none() {
            xml.sink.error(&paddr.place, "the region's physical addresses wrap around");
            return None;
        }
    }
    let page_size_given = xml.optional(node, "page_size").is_some();
    Some(MemoryRegion { name, place: xml.place(node), size, page_size, page_size_given, paddr, prefill })
}

fn page_size<'d>(context: Context<'d>, attr: &Attr<'d>) -> Option<PageSize> {
    let bytes = context.xml.number(attr)?;
    let size = PageSize::from_bytes(bytes);
    if size.is_none() {
        context.xml.sink.error(&attr.place, format!("page_size is 0x1000 or 0x200000, not {bytes:#x}"));
    }
    size
}

fn size<'d>(context: Context<'d>, attr: &Attr<'d>, page_size: PageSize) -> Option<u64> {
    let bytes = context.xml.number(attr)?;
    if bytes == 0 || !bytes.is_multiple_of(page_size.bytes()) {
        context.xml.sink.error(
            &attr.place,
            format!("size is a multiple of the page size {:#x} and not 0, not {bytes:#x}", page_size.bytes()),
        );
        return None;
    }
    Some(bytes)
}

fn prefill<'d>(context: Context<'d>, attr: &Attr<'d>) -> Option<Vec<u8>> {
    let sink = context.xml.sink;
    let Some(path) = search::find(context.search_paths, attr.text) else {
        sink.error(&attr.place, format!("there is no file \"{}\" in the search paths", attr.text));
        return None;
    };
    match fs::read(&path) {
        Ok(bytes) if bytes.is_empty() => {
            sink.error(&attr.place, format!("the prefill file \"{}\" is empty", attr.text));
            None
        }
        Ok(bytes) => Some(bytes),
        Err(error) => {
            sink.error(&attr.place, format!("cannot read {}: {error}", path.display()));
            None
        }
    }
}
