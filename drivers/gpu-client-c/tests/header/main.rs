// SPDX-License-Identifier: BSD-2-Clause
//! The headers say what the library has: sizes, offsets, numbers, functions. A C compiler is asked.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;

use gpu_client::mi::Comparison;
use gpu_client::{CLONE_ALL, CloneFlags, ContextParam, Param, UserptrFlags};
use gpu_client_c::types::*;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Lets a C compiler look at a source.
fn accepts(name: &str, source: &str, standard: &str) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, source).unwrap();
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Command::new(compiler)
        .args([standard, "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(folder().join("include"))
        .arg("-I")
        .arg(folder().join("microkit"))
        .arg(&file)
        .output()
        .expect("a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

macro_rules! structure {
    ($out:ident, $rust:ty, $c:literal $(, $field:ident $(as $name:literal)?)*) => {
        writeln!($out, "_Static_assert(sizeof({}) == {}, \"{}\");", $c, size_of::<$rust>(), $c).unwrap();
        $(
            let name = [stringify!($field) $(, $name)?].last().copied().unwrap();
            let at = offset_of!($rust, $field);
            writeln!($out, "_Static_assert(offsetof({}, {name}) == {at}, \"{} {name}\");", $c, $c).unwrap();
        )*
    };
}

#[test]
fn structures_and_numbers_of_the_header_are_the_librarys() {
    let mut out = String::from("#include \"gpu_client.h\"\n");
    structure!(out, Message, "struct gpu_message", label, words, count, capability);
    structure!(
        out,
        Callbacks,
        "struct gpu_transport",
        call,
        notify,
        sleep,
        cookie,
        message,
        message_size,
        points,
        rings,
        rings_size
    );
    structure!(out, Device, "struct gpu");
    structure!(out, CRanges, "struct gpu_ranges");
    structure!(out, CEngine, "struct gpu_engine", class as "class_", instance);
    structure!(out, Step, "struct gpu_step", kind, source, name, value, engines);
    structure!(out, CSseu, "struct gpu_sseu", slices, subslices, min_eus, max_eus, pad);
    structure!(out, COwner, "struct gpu_owner");
    structure!(out, CBacking, "struct gpu_backing", lend, back, cookie);
    structure!(out, CResets, "struct gpu_resets", resets, guilty, innocent);
    structure!(out, Memory, "struct gpu_memory", address, size, cnode, cnode_bits, page_bits, row);
    structure!(out, CObject, "struct gpu_object", handle, pad, memory);
    structure!(out, CFence, "struct gpu_fence", point, timeline, pad);
    structure!(out, CAfter, "struct gpu_after", fence, until, pad);
    structure!(out, CUse, "struct gpu_use", object, address, access, pad);
    structure!(
        out,
        CBatch,
        "struct gpu_batch",
        context,
        engine,
        code,
        start,
        length,
        objects,
        object_count,
        after,
        after_count,
        tag
    );
    structure!(out, CAnswer, "struct gpu_answer", tag, fence, error, pad);
    structure!(out, CCommands, "struct gpu_commands", dwords, capacity, used);
    structure!(out, CSurface, "struct gpu_surface", address, pitch, width, height, pad);
    structure!(out, CRectangle, "struct gpu_rectangle", x0, y0, x1, y1);
    let numbers: [(&str, u64); 51] = [
        ("GPU_DEVICE_WORDS", DEVICE_WORDS as u64),
        ("GPU_RANGES_WORDS", RANGES_WORDS as u64),
        ("GPU_PARAM_CHIPSET_ID", Param::ChipsetId as u64),
        ("GPU_PARAM_HAS_LLC", Param::HasLlc as u64),
        ("GPU_PARAM_HAS_PPGTT", Param::HasPpgtt as u64),
        ("GPU_PARAM_REVISION", Param::Revision as u64),
        ("GPU_PARAM_HAS_SCHEDULER", Param::HasScheduler as u64),
        ("GPU_PARAM_CS_TIMESTAMP_FREQUENCY", Param::CsTimestampFrequency as u64),
        ("GPU_DEFAULT_CONTEXT", gpu_client::Context::DEFAULT.handle().into()),
        ("GPU_STEP_PARAM", STEP_PARAM.into()),
        ("GPU_STEP_CLONE", STEP_CLONE.into()),
        ("GPU_STEP_ENGINES", STEP_ENGINES.into()),
        ("GPU_STEP_SINGLE_TIMELINE", STEP_SINGLE_TIMELINE.into()),
        ("GPU_CLONE_ENGINES", CloneFlags::ENGINES.bits().into()),
        ("GPU_CLONE_FLAGS", CloneFlags::FLAGS.bits().into()),
        ("GPU_CLONE_SCHEDATTR", CloneFlags::SCHEDATTR.bits().into()),
        ("GPU_CLONE_SSEU", CloneFlags::SSEU.bits().into()),
        ("GPU_CLONE_TIMELINE", CloneFlags::TIMELINE.bits().into()),
        ("GPU_CLONE_VM", CloneFlags::VM.bits().into()),
        ("GPU_CLONE_ALL", CLONE_ALL.bits().into()),
        ("GPU_CONTEXT_NO_ERROR_CAPTURE", ContextParam::NO_ERROR_CAPTURE),
        ("GPU_CONTEXT_BANNABLE", ContextParam::BANNABLE),
        ("GPU_CONTEXT_PRIORITY", ContextParam::PRIORITY),
        ("GPU_CONTEXT_RECOVERABLE", ContextParam::RECOVERABLE),
        ("GPU_CONTEXT_VM", ContextParam::VM),
        ("GPU_CONTEXT_PERSISTENCE", ContextParam::PERSISTENCE),
        ("GPU_BY_SLOT", BY_SLOT.into()),
        ("GPU_USERPTR_READ_ONLY", UserptrFlags::READ_ONLY.bits().into()),
        ("GPU_USERPTR_PROBE", UserptrFlags::PROBE.bits().into()),
        ("GPU_USERPTR_UNCACHED", UserptrFlags::UNCACHED.bits().into()),
        ("GPU_USERPTR_WRITE_THROUGH", UserptrFlags::WRITE_THROUGH.bits().into()),
        ("GPU_USERPTR_UNSYNCHRONIZED", UserptrFlags::UNSYNCHRONIZED.bits().into()),
        ("GPU_OWNER_WORDS", OWNER_WORDS as u64),
        ("GPU_NO_ROW", NO_ROW),
        ("GPU_COMPLETE", COMPLETE.into()),
        ("GPU_STARTED", STARTED.into()),
        ("GPU_READ", READ.into()),
        ("GPU_WRITE", WRITE.into()),
        ("GPU_RENDER", 0),
        ("GPU_VIDEO", 2),
        ("GPU_BLITTER", 3),
        ("GPU_VIDEO_ENHANCE", 4),
        ("GPU_GREATER", Comparison::Greater as u64),
        ("GPU_GREATER_OR_EQUAL", Comparison::GreaterOrEqual as u64),
        ("GPU_LESS", Comparison::Less as u64),
        ("GPU_LESS_OR_EQUAL", Comparison::LessOrEqual as u64),
        ("GPU_EQUAL", Comparison::Equal as u64),
        ("GPU_NOT_EQUAL", Comparison::NotEqual as u64),
        ("sizeof(int)", size_of::<core::ffi::c_int>() as u64),
        ("sizeof(size_t)", size_of::<usize>() as u64),
        ("sizeof(void *)", size_of::<*const u8>() as u64),
    ];
    for (name, value) in numbers {
        writeln!(out, "_Static_assert({name} == {value}u, \"{name}\");").unwrap();
    }
    // Every number of the header is in the table.
    let header = std::fs::read_to_string(folder().join("include/gpu_client.h")).unwrap();
    for line in header.lines().filter_map(|line| line.strip_prefix("#define ")) {
        let mut words = line.split_whitespace();
        let (name, value) = (words.next().unwrap(), words.next());
        assert!(value.is_none() || numbers.iter().any(|(known, _)| *known == name), "{name} is not compared");
    }
    accepts("numbers.c", &out, "-std=c11");
}

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

fn sources(files: &[&str]) -> String {
    files.iter().map(|file| std::fs::read_to_string(folder().join("src").join(file)).unwrap()).collect()
}

#[test]
fn every_function_is_in_a_header_and_every_function_of_a_header_is_there() {
    let rust = ["pub unsafe extern \"C\" fn ", "pub extern \"C\" fn "];
    let header = std::fs::read_to_string(folder().join("include/gpu_client.h")).unwrap();
    let library = sources(&[
        "commands.rs",
        "device.rs",
        "engines.rs",
        "objects.rs",
        "owner.rs",
        "ranges.rs",
        "submit.rs",
    ]);
    let functions = declared(&header, &["int "]);
    assert_eq!(functions, declared(&library, &rust));
    assert!(functions.len() > 40, "{functions:?}");
    let header = std::fs::read_to_string(folder().join("microkit/microkit.h")).unwrap();
    let c = ["microkit_msginfo ", "void ", "uint64_t "];
    let mut names = declared(&header, &c);
    // The program's own.
    assert!(names.remove("init") && names.remove("notified"));
    assert_eq!(names, declared(&sources(&["runtime.rs"]), &rust));
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
    // After the creation.
    ("context: sseu", "gpu_context_set_sseu"),
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

/// Public functions of the Rust library, as `file: name`, as often as there are some of that name.
fn rust_functions() -> Vec<String> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder().join("../gpu-client/src")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if OTHER_FILES.contains(&file.as_str()) {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines() {
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
    let functions = declared(&header, &["int "]);
    for (rust, c) in COUNTERPARTS {
        let there = match c.strip_prefix("struct ") {
            Some(_) => header.contains(&format!("{c} {{")),
            None => functions.contains(*c),
        };
        assert!(there, "{rust}: the header has no {c}");
    }
    let left: Vec<_> = functions.iter().filter(|name| !COUNTERPARTS.iter().any(|(_, c)| c == name)).collect();
    assert!(left.is_empty(), "{left:?} are nothing that Rust has");
}

#[test]
fn the_headers_are_c_that_a_compiler_takes_without_a_warning() {
    let program = "#include \"gpu_microkit.h\"\nGPU_MICROKIT_SYMBOLS;\nGPU_MEMORY_SYMBOLS(picture);\n\
        static struct gpu_microkit link;\nstatic struct gpu gpu;\n\
        void init(void) { struct gpu_transport transport = gpu_microkit(&link, 0);\n\
        struct gpu_memory memory = GPU_MEMORY(picture, 1); struct gpu_object object;\n\
        if (gpu_connect(&gpu, &transport) == 0) (void)gpu_userptr_create(&gpu, &memory, &object); }\n\
        void notified(microkit_channel channel) { (void)channel; }\n";
    accepts("program.c", program, "-std=c11");
    accepts("program17.c", program, "-std=c17");
}
