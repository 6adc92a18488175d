// SPDX-License-Identifier: BSD-2-Clause
//! Functions: those of the headers are those of the library, and each of the Rust library has its like.

use std::collections::BTreeSet;

use crate::folder;

/// Names of functions that a text declares, each behind one of these words.
fn declared(text: &str, before: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        for word in before {
            if let Some(rest) = line.trim_start().strip_prefix(word)
                && let Some((name, _)) = rest.split_once('(')
                // A pointer to one has its name behind the bracket.
                && !name.is_empty()
            {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

/// How a function of the header begins.
const C: [&str; 2] = ["int ", "const char *"];

/// The library's own sources, or those of what a domain without Microkit's library has beside it.
fn sources(runtime: bool) -> String {
    let files = std::fs::read_dir(folder().join("src")).unwrap().map(|file| file.unwrap().path());
    let wanted = files.filter(|file| file.ends_with("runtime.rs") == runtime);
    wanted.map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn every_function_is_in_a_header_and_every_function_of_a_header_is_there() {
    let rust = ["pub unsafe extern \"C\" fn ", "pub extern \"C\" fn "];
    let header = std::fs::read_to_string(folder().join("include/gpu_client.h")).unwrap();
    let functions = declared(&header, &C);
    assert_eq!(functions, declared(&sources(false), &rust));
    assert!(functions.len() > 40, "{functions:?}");
    let header = std::fs::read_to_string(folder().join("microkit/microkit.h")).unwrap();
    let c = ["microkit_msginfo ", "void ", "uint64_t "];
    let mut names = declared(&header, &c);
    // The program's own.
    assert!(names.remove("init") && names.remove("notified"));
    assert_eq!(names, declared(&sources(true), &rust));
}

/// What there is in C for each function of the Rust library, by its file and name.
const COUNTERPARTS: &[(&str, &str)] = &[
    ("blit: new", "struct gpu_commands"),
    ("blit: resume", "struct gpu_commands"),
    ("blit: used", "struct gpu_commands"),
    ("blit: fill", "gpu_fill"),
    ("blit: copy", "gpu_copy"),
    ("blit: finish", "gpu_finish"),
    ("buffer: create_buffer", "gpu_buffer_create"),
    ("buffer: read", "gpu_buffer_read"),
    ("buffer: write", "gpu_buffer_write"),
    ("buffer: usage", "gpu_object_usage"),
    ("buffer: wait_idle", "gpu_object_wait_idle"),
    ("connection: connect", "gpu_connect"),
    ("connection: connect_afresh", "gpu_connect_afresh"),
    ("connection: engines", "gpu_engines"),
    ("connection: param", "gpu_param"),
    ("connection: create_vm", "gpu_vm_create"),
    ("connection: destroy_vm", "gpu_vm_destroy"),
    ("connection: create_context", "gpu_context_create"),
    ("connection: destroy_context", "gpu_context_destroy"),
    ("connection: create_userptr", "gpu_userptr_create"),
    ("connection: create_userptr_in", "gpu_userptr_create_in"),
    ("connection: close", "gpu_object_close"),
    ("connection: error_state", "gpu_error_state"),
    ("connection: transport", "struct gpu_transport"),
    ("context: new", "struct gpu_step"),
    ("context: flags", "struct gpu_step"),
    ("context: single_timeline", "struct gpu_step"),
    ("context: clone_of", "struct gpu_step"),
    ("context: in_vm", "struct gpu_step"),
    ("context: priority", "struct gpu_step"),
    ("context: engines", "struct gpu_step"),
    ("context: param", "struct gpu_step"),
    ("context: sseu", "struct gpu_step"),
    ("context: create_context_with", "gpu_context_create_with"),
    ("context: context_param", "gpu_context_param"),
    ("context: set_context_param", "gpu_context_set_param"),
    ("context: vm_of", "gpu_context_vm"),
    ("context: reset_counts", "gpu_context_resets"),
    ("engine_map: set_engines", "gpu_context_set_engines"),
    ("engine_map: engines_of", "gpu_context_engines"),
    ("mi: store_dword", "gpu_store_dword"),
    ("mi: store_qword", "gpu_store_qword"),
    ("mi: copy_dword", "gpu_copy_dword"),
    ("mi: flush_and_store", "gpu_flush_and_store"),
    ("mi: flush_and_stamp", "gpu_flush_and_stamp"),
    ("mi: arbitration_point", "gpu_arbitration_point"),
    ("mi: wait_until", "gpu_wait_until"),
    ("mi: semaphores", "gpu_semaphores"),
    ("owner: take_back", "gpu_take_back"),
    ("owner: look_at", "gpu_look_at"),
    ("owner: export", "gpu_object_export"),
    ("owner: import", "gpu_object_import"),
    ("owner: connect", "gpu_owner_connect"),
    ("owner: connect_afresh", "gpu_owner_connect_afresh"),
    ("owner: open", "gpu_owner_open"),
    // Of an owner; the one of a client is above.
    ("owner: take_back", "gpu_owner_take_back"),
    ("owner: work", "gpu_owner_work"),
    ("queue: queue_capacity", "gpu_queue_capacity"),
    ("queue: queued", "gpu_queued"),
    ("queue: enqueue", "gpu_enqueue"),
    ("queue: flush", "gpu_flush"),
    ("queue: next_answer", "gpu_next_answer"),
    ("queue: wait_answers", "gpu_wait_answers"),
    ("queue: ask_for_answers", "gpu_ask_for_answers"),
    ("queue: lend_for", "gpu_lend_for"),
    ("ranges: new", "gpu_ranges_init"),
    ("ranges: allocate", "gpu_ranges_allocate"),
    ("ranges: free", "gpu_ranges_free"),
    ("ranges: free_bytes", "gpu_ranges_free_bytes"),
    ("sseu: sseu", "gpu_context_sseu"),
    ("sseu: set_sseu", "gpu_context_set_sseu"),
    ("submission: submit", "gpu_submit"),
    // The batch says what it waits for.
    ("submission: submit_after", "gpu_submit"),
    ("submission: is_complete", "gpu_is_complete"),
    ("submission: wait", "gpu_wait"),
    ("userptr: create_userptr_with", "gpu_userptr_create_with"),
];

/// Files of the Rust library whose functions are for C in another form: what C's own transport and symbols are made of, and
/// handles, which are plain numbers there.
const OTHER_FILES: [&str; 6] = ["lib", "microkit", "payload", "raw", "symbols", "transport"];

/// Name and text of each file of the Rust library that has something for C.
fn rust_files() -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder().join("../gpu-client/src")).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(&path).unwrap())
    });
    files.filter(|(name, _)| !OTHER_FILES.contains(&name.as_str())).collect()
}

/// Public functions of the Rust library, as `file: name`, as often as there are some of that name.
fn rust_functions() -> Vec<String> {
    let mut found = vec![];
    for (file, source) in rust_files() {
        for line in source.lines() {
            let function =
                ["    pub fn ", "    pub const fn "].iter().find_map(|start| line.strip_prefix(start));
            let name = function.map(|rest| rest.split(['(', '<']).next().unwrap());
            found.extend(name.map(|name| format!("{file}: {name}")));
        }
    }
    found.sort();
    found
}

#[test]
fn every_function_of_the_rust_library_has_its_like_in_c() {
    let mut known: Vec<_> = COUNTERPARTS.iter().map(|(rust, _)| (*rust).to_owned()).collect();
    known.sort();
    assert_eq!(rust_functions(), known);
    let header = std::fs::read_to_string(folder().join("include/gpu_client.h")).unwrap();
    let functions = declared(&header, &C);
    for (rust, c) in COUNTERPARTS {
        let there = match c.strip_prefix("struct ") {
            Some(_) => header.contains(&format!("{c} {{")),
            None => functions.contains(*c),
        };
        assert!(there, "{rust}: the header has no {c}");
    }
    // What Rust has as the `Display` of its errors.
    let others = ["gpu_error_name"];
    let unknown = |name: &str| !others.contains(&name) && !COUNTERPARTS.iter().any(|(_, c)| *c == name);
    let left: Vec<_> = functions.iter().filter(|name| unknown(name)).collect();
    assert!(left.is_empty(), "{left:?} are nothing that Rust has");
}

/// What there is in C for each structure with public fields of the Rust library, by its file and name.
const STRUCTURES: &[(&str, &str)] = &[
    ("blit: Rectangle", "struct gpu_rectangle"),
    ("blit: Surface", "struct gpu_surface"),
    // Its fields are two results.
    ("buffer: Usage", "gpu_object_usage"),
    ("context: ResetCounts", "struct gpu_resets"),
    ("engine_map: Balanced", "struct gpu_balanced"),
    ("engine_map: Bonded", "struct gpu_bond"),
    ("engine_map: EngineMap", "struct gpu_engine_map"),
    ("queue: Answer", "struct gpu_answer"),
    ("queue: Queued", "struct gpu_batch"),
    // An address, and the size that was asked for.
    ("ranges: Range", "gpu_ranges_allocate"),
    ("sseu: Sseu", "struct gpu_sseu"),
    ("submission: UsedObject", "struct gpu_use"),
];

#[test]
fn every_structure_of_the_rust_library_has_its_like_in_c() {
    let mut found = vec![];
    for (file, source) in rust_files() {
        for item in source.split("\npub struct ").skip(1) {
            let (item, _) = item.split_once("\n}").unwrap();
            if item.contains("\n    pub ") {
                found.push(format!("{file}: {}", item.split(['<', ' ']).next().unwrap()));
            }
        }
    }
    found.sort();
    assert_eq!(found, STRUCTURES.iter().map(|(rust, _)| (*rust).to_owned()).collect::<Vec<_>>());
    let header = std::fs::read_to_string(folder().join("include/gpu_client.h")).unwrap();
    for (rust, c) in STRUCTURES {
        let there = if c.starts_with("struct ") { format!("{c} {{") } else { format!("int {c}(") };
        assert!(header.contains(&there), "{rust}: the header has no {c}");
    }
}
