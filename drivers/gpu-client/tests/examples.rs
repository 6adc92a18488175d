// SPDX-License-Identifier: BSD-2-Clause
//! Every public item of the library shows how it is used, and what it shows is run: by rustdoc, or, where it needs a
//! domain, by the boot tests' clients.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

/// What of a file runs only in a domain.
const IN_DOMAINS: [&str; 2] = ["microkit.rs", "symbols.rs"];

/// The public items of a source, each with what is written above it.
fn items(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut above = String::new();
    for line in source.lines().take_while(|line| !line.starts_with("#[cfg(test)]")) {
        let line = line.trim();
        if line.starts_with("///") || line.starts_with("#[") {
            above.push_str(line);
            above.push('\n');
            continue;
        }
        let declaration = line.strip_prefix("pub ").map(|rest| rest.trim_start_matches("const "));
        let kinds = ["fn ", "struct ", "enum ", "trait "];
        let macro_name = line.strip_prefix("macro_rules! ").filter(|_| above.contains("#[macro_export]"));
        let constant = line.strip_prefix("pub const ").filter(|rest| rest.contains(": "));
        let is_item = declaration.is_some_and(|rest| kinds.iter().any(|kind| rest.starts_with(kind)));
        if (is_item || macro_name.is_some() || constant.is_some()) && !above.contains("#[doc(hidden)]") {
            found.push((line.to_owned(), core::mem::take(&mut above)));
        }
        above.clear();
    }
    found
}

#[test]
fn every_public_item_has_an_example_and_all_that_need_no_domain_are_run() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut count, mut missing) = (0, Vec::new());
    for entry in fs::read_dir(sources).unwrap() {
        let file = entry.unwrap();
        let name = file.file_name().into_string().unwrap();
        for (item, above) in items(&fs::read_to_string(file.path()).unwrap()) {
            count += 1;
            let runs =
                above.contains("```\n") && !above.contains("no_run") && !above.contains("should_panic");
            let skipped = above.contains("```ignore");
            if !runs || skipped && !IN_DOMAINS.contains(&name.as_str()) {
                missing.push(format!("{name}: {item}"));
            }
        }
    }
    assert!(missing.is_empty(), "without an example that is run:\n{}", missing.join("\n"));
    assert!(count > 90, "only {count} items were found");
}

#[test]
fn an_item_without_an_example_is_noticed() {
    let source =
        "/// Text.\npub fn bare() {}\n/// ```\n/// ```\npub struct Shown;\npub(crate) fn inner() {}\n";
    let found = items(source);
    assert_eq!(found.len(), 2);
    assert!(!found[0].1.contains("```") && found[1].1.contains("```"));
}
