// SPDX-License-Identifier: BSD-2-Clause
//! The README's table of what the driver domain may do, against the description that gives it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The first and the second column of the table under a heading.
fn rows(text: &str, heading: &str) -> Vec<(String, String)> {
    let from = text.find(heading).unwrap_or_else(|| panic!("the README has no heading {heading:?}"));
    let lines = text[from..].lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let mut cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        (cells.next().unwrap(), cells.next().unwrap_or_default())
    });
    rows.collect()
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> &'a str {
    node.attribute(name).unwrap_or_else(|| panic!("{node:?} has no {name}"))
}

/// Every capability that the description gives a domain, by the name that it has there.
fn given(document: &Document<'_>, domain: &str) -> BTreeSet<String> {
    let mut given = BTreeSet::new();
    let system = document.root_element();
    let driver = system
        .children()
        .find(|node| node.has_tag_name("protection_domain") && node.attribute("name") == Some(domain))
        .unwrap();
    for node in driver.descendants().filter(Node::is_element) {
        match node.tag_name().name() {
            "map" => drop(given.insert(attribute(node, "mr").to_owned())),
            "irq" => drop(given.insert(attribute(node, "setvar_id").to_owned())),
            "ioport" => {
                let first = attribute(node, "addr").strip_prefix("0x").unwrap();
                let first = u32::from_str_radix(first, 16).unwrap();
                let last = first + attribute(node, "size").parse::<u32>().unwrap() - 1;
                given.extend([format!("{first:#x}"), format!("{last:#x}")]);
            }
            name if name.starts_with("cap_") => drop(given.insert(name.to_owned())),
            _ => {}
        }
    }
    for channel in system.children().filter(|node| node.has_tag_name("channel")) {
        let ends: Vec<_> =
            channel.children().filter(Node::is_element).map(|end| attribute(end, "pd")).collect();
        if ends.contains(&domain) {
            given.extend(ends.into_iter().filter(|end| *end != domain).map(str::to_owned));
        }
    }
    given
}

#[test]
fn the_readme_says_of_each_capability_of_the_driver_domain_why_it_has_it_and_of_no_other() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let system = fs::read_to_string(root().join("system.xml")).unwrap();
    let document = Document::parse(&system).unwrap();
    let rows = rows(&readme, "## What the driver domain may do, and why");
    let told: Vec<_> = rows.iter().flat_map(|(what, _)| quoted(what)).map(str::to_owned).collect();
    let unique: BTreeSet<_> = told.iter().cloned().collect();
    assert_eq!(unique.len(), told.len(), "something has two rows: {told:?}");
    assert_eq!(unique, given(&document, "gpu_driver"));
    for (what, why) in &rows {
        assert!(why.len() > 10, "no reason is given for {what}");
    }
    // What it may do with memory.
    for map in document.descendants().filter(|node| node.has_tag_name("map")) {
        if map.parent().and_then(|domain| domain.attribute("name")) != Some("gpu_driver") {
            continue;
        }
        let name = attribute(map, "mr");
        let (what, _) = rows.iter().find(|(what, _)| quoted(what).any(|quoted| quoted == name)).unwrap();
        let writes = attribute(map, "perms").contains('w');
        assert_eq!(what.contains("read and write"), writes, "{what}");
        assert_eq!(what.contains("uncached"), map.attribute("cached") == Some("false"), "{what}");
    }
}
