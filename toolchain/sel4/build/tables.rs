// SPDX-License-Identifier: BSD-2-Clause
//! Turns the kernel's interface descriptions into tables of names and numbers, and those into Rust.

use std::fmt::Write as _;

use super::conditions::Configuration;

/// A name of the kernel's and its number.
pub(crate) type Table = Vec<(String, i64)>;

/// Numbers the methods of the XML files one after another. Label 0 is no invocation; a method whose
/// condition does not hold takes no number (seL4: tools/invocation_header_gen.py).
pub(crate) fn invocation_labels(files: &[String], configuration: &Configuration) -> Result<Table, String> {
    let mut table = Table::new();
    for text in files {
        let document = parse(text)?;
        for method in document.descendants().filter(|node| node.has_tag_name("method")) {
            let name = method.attribute("id").ok_or("a method without an id")?;
            if configuration.holds(method.attribute("condition").unwrap_or(""))? {
                let label = table.len() + 1;
                table.push((name.to_owned(), label.try_into().map_err(|_| "too many methods")?));
            }
        }
    }
    Ok(table)
}

/// Numbers the system calls downward from −1, the same way (seL4: tools/syscall_header_gen.py).
pub(crate) fn syscalls(text: &str, configuration: &Configuration) -> Result<Table, String> {
    let mut table = Table::new();
    let document = parse(text)?;
    for group in document.descendants().filter(|node| node.has_tag_name("config")) {
        if configuration.holds(group.attribute("condition").unwrap_or(""))? {
            for call in group.children().filter(|node| node.has_tag_name("syscall")) {
                let name = call.attribute("name").ok_or("a system call without a name")?;
                let number = i64::try_from(table.len() + 1).map_err(|_| "too many system calls")?;
                table.push((name.to_owned(), -number));
            }
        }
    }
    Ok(table)
}

/// Numbers the members of the headers' enumerations. Each header has one `enum`, whose first member may
/// start from a count that an earlier header ended with.
pub(crate) fn object_types(headers: &[String], configuration: &Configuration) -> Result<Table, String> {
    let mut table = Table::new();
    for text in headers {
        enumeration(text, configuration, &mut table)?;
    }
    Ok(table)
}

fn enumeration(text: &str, configuration: &Configuration, table: &mut Table) -> Result<(), String> {
    let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with("typedef enum"));
    lines.next().ok_or("a header without an enumeration")?;
    // One entry per #if that is open: whether its lines count.
    let mut open = Vec::new();
    let mut next = 0;
    for line in lines {
        if line.starts_with('}') {
            return if open.is_empty() {
                Ok(())
            } else {
                Err("a conditional crosses the enumeration's end".into())
            };
        } else if let Some(name) = line.strip_prefix("#ifdef ") {
            open.push(configuration.is_defined(name.trim()));
        } else if line.starts_with("#endif") {
            open.pop().ok_or("an #endif without its #ifdef")?;
        } else if line.starts_with('#') {
            return Err(format!("a directive that is not understood: {line}"));
        } else if !line.is_empty() && open.iter().all(|counts| *counts) {
            let member = line.trim_end_matches(',');
            let (name, value) = match member.split_once('=') {
                Some((name, start)) => (name.trim(), number_of(table, start.trim())?),
                None => (member, next),
            };
            table.push((name.to_owned(), value));
            next = value + 1;
        }
    }
    Err("an enumeration without an end".into())
}

fn number_of(table: &Table, name: &str) -> Result<i64, String> {
    let entry = table.iter().find(|(known, _)| known == name);
    entry
        .map(|(_, number)| *number)
        .ok_or_else(|| format!("an enumeration starts from {name}, which is unknown"))
}

fn parse(text: &str) -> Result<roxmltree::Document<'_>, String> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    roxmltree::Document::parse_with_options(text, options)
        .map_err(|error| format!("interface description: {error}"))
}

/// One table as a module of constants.
pub(crate) fn render_module(text: &mut String, name: &str, kind: &str, table: &Table) -> std::fmt::Result {
    writeln!(text, "pub(crate) mod {name} {{")?;
    for (name, number) in table {
        writeln!(text, "    pub(crate) const {name}: {kind} = {number};")?;
    }
    writeln!(text, "}}")
}

/// The module that the crate includes. The constants keep the kernel's names.
pub(crate) fn render(
    labels: &Table,
    objects: &Table,
    syscalls: &Table,
    configuration: &Configuration,
) -> Result<String, String> {
    let mut text = String::new();
    render_module(&mut text, "label", "u64", labels)
        .and_then(|()| render_module(&mut text, "object_type", "u64", objects))
        .and_then(|()| render_module(&mut text, "syscall", "i64", syscalls))
        .map_err(|error| error.to_string())?;
    for (name, kind, option) in [
        ("RETYPE_FAN_OUT_LIMIT", "u64", "CONFIG_RETYPE_FAN_OUT_LIMIT"),
        ("MAX_BOOT_UNTYPEDS", "usize", "CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS"),
    ] {
        writeln!(text, "pub(crate) const {name}: {kind} = {};", configuration.number(option)?)
            .map_err(|error| error.to_string())?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(table: &Table) -> Vec<(&str, i64)> {
        table.iter().map(|(name, number)| (name.as_str(), *number)).collect()
    }

    #[test]
    fn labels_run_through_the_files_and_skip_methods_whose_condition_does_not_hold() {
        let files = [
            r#"<api><interface><method id="A"/><method id="B" condition="defined(X)"/></interface></api>"#,
            r#"<api><interface><method id="C"/><method id="D" condition="defined(Y)"/><method id="E"/></interface></api>"#,
        ];
        let table = invocation_labels(&files.map(str::to_owned), &Configuration::parse("#define X 1\n"));
        assert_eq!(numbers(&table.unwrap()), [("A", 1), ("B", 2), ("C", 3), ("E", 4)]);
    }

    #[test]
    fn system_calls_are_numbered_downward_in_document_order() {
        let text = r#"<syscalls><api><config><syscall name="Call"/><syscall name="Send"/></config></api>
            <debug><config condition="defined DEBUG"><syscall name="Put"/></config></debug></syscalls>"#;
        let release = syscalls(text, &Configuration::parse("")).unwrap();
        assert_eq!(numbers(&release), [("Call", -1), ("Send", -2)]);
        let debug = syscalls(text, &Configuration::parse("#define DEBUG 1\n")).unwrap();
        assert_eq!(numbers(&debug), [("Call", -1), ("Send", -2), ("Put", -3)]);
    }

    #[test]
    fn object_types_continue_from_header_to_header_and_respect_conditions() {
        let headers = [
            "#ifndef A\ntypedef enum a {\n    Untyped,\n    Tcb,\n    Count,\n} t;\n#endif",
            "typedef enum b {\n    Pdpt = Count,\n#ifdef HUGE\n    Huge,\n#endif\n    Frame,\n    End\n} u;",
        ];
        let table = object_types(&headers.map(str::to_owned), &Configuration::parse("")).unwrap();
        assert_eq!(
            numbers(&table),
            [("Untyped", 0), ("Tcb", 1), ("Count", 2), ("Pdpt", 2), ("Frame", 3), ("End", 4)]
        );
        let table =
            object_types(&headers.map(str::to_owned), &Configuration::parse("#define HUGE 1\n")).unwrap();
        assert_eq!(number_of(&table, "Frame"), Ok(4));
    }
}
