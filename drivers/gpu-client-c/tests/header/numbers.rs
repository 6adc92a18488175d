// SPDX-License-Identifier: BSD-2-Clause
//! Sizes, offsets and numbers.

use std::fmt::Write as _;
use std::mem::{offset_of, size_of};

use gpu_client::mi::Comparison;
use gpu_client::{CLONE_ALL, CloneFlags, ContextParam, EngineClassInstance, Param, UserptrFlags};
use gpu_client_c::types::*;
use gpu_protocol::VERSION;

use crate::{accepts, folder};

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

/// Every number of the header, and what the library has.
const NUMBERS: &[(&str, u64)] = &[
    ("GPU_VERSION", VERSION as u64),
    ("GPU_DEVICE_WORDS", DEVICE_WORDS as u64),
    ("GPU_RANGES_WORDS", RANGES_WORDS as u64),
    ("GPU_PARAM_CHIPSET_ID", Param::ChipsetId as u64),
    ("GPU_PARAM_HAS_LLC", Param::HasLlc as u64),
    ("GPU_PARAM_HAS_PPGTT", Param::HasPpgtt as u64),
    ("GPU_PARAM_REVISION", Param::Revision as u64),
    ("GPU_PARAM_HAS_SCHEDULER", Param::HasScheduler as u64),
    ("GPU_PARAM_CS_TIMESTAMP_FREQUENCY", Param::CsTimestampFrequency as u64),
    ("GPU_DEFAULT_CONTEXT", gpu_client::Context::DEFAULT.handle() as u64),
    ("GPU_STEP_PARAM", STEP_PARAM as u64),
    ("GPU_STEP_CLONE", STEP_CLONE as u64),
    ("GPU_STEP_ENGINES", STEP_ENGINES as u64),
    ("GPU_STEP_SINGLE_TIMELINE", STEP_SINGLE_TIMELINE as u64),
    ("GPU_STEP_SSEU", STEP_SSEU as u64),
    ("GPU_ENGINE_NONE", EngineClassInstance::NONE.instance as u64),
    ("GPU_ENGINE_VIRTUAL", EngineClassInstance::VIRTUAL as u64),
    ("GPU_CLONE_ENGINES", CloneFlags::ENGINES.bits() as u64),
    ("GPU_CLONE_FLAGS", CloneFlags::FLAGS.bits() as u64),
    ("GPU_CLONE_SCHEDATTR", CloneFlags::SCHEDATTR.bits() as u64),
    ("GPU_CLONE_SSEU", CloneFlags::SSEU.bits() as u64),
    ("GPU_CLONE_TIMELINE", CloneFlags::TIMELINE.bits() as u64),
    ("GPU_CLONE_VM", CloneFlags::VM.bits() as u64),
    ("GPU_CLONE_ALL", CLONE_ALL.bits() as u64),
    ("GPU_CONTEXT_GTT_SIZE", ContextParam::GTT_SIZE),
    ("GPU_CONTEXT_NO_ERROR_CAPTURE", ContextParam::NO_ERROR_CAPTURE),
    ("GPU_CONTEXT_BANNABLE", ContextParam::BANNABLE),
    ("GPU_CONTEXT_PRIORITY", ContextParam::PRIORITY),
    ("GPU_CONTEXT_RECOVERABLE", ContextParam::RECOVERABLE),
    ("GPU_CONTEXT_VM", ContextParam::VM),
    ("GPU_CONTEXT_PERSISTENCE", ContextParam::PERSISTENCE),
    ("GPU_CONTEXT_WATCHDOG", ContextParam::WATCHDOG),
    ("GPU_BY_SLOT", BY_SLOT as u64),
    ("GPU_USERPTR_READ_ONLY", UserptrFlags::READ_ONLY.bits() as u64),
    ("GPU_USERPTR_PROBE", UserptrFlags::PROBE.bits() as u64),
    ("GPU_USERPTR_UNCACHED", UserptrFlags::UNCACHED.bits() as u64),
    ("GPU_USERPTR_WRITE_THROUGH", UserptrFlags::WRITE_THROUGH.bits() as u64),
    ("GPU_USERPTR_UNSYNCHRONIZED", UserptrFlags::UNSYNCHRONIZED.bits() as u64),
    ("GPU_OWNER_WORDS", OWNER_WORDS as u64),
    ("GPU_NO_ROW", NO_ROW),
    ("GPU_COMPLETE", COMPLETE as u64),
    ("GPU_STARTED", STARTED as u64),
    ("GPU_READ", READ as u64),
    ("GPU_WRITE", WRITE as u64),
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
    structure!(out, CBalanced, "struct gpu_balanced", siblings, sibling_count, slot, pad);
    structure!(out, CBond, "struct gpu_bond", engines, engine_count, master, slot, pad);
    structure!(
        out,
        CEngineMap,
        "struct gpu_engine_map",
        slots,
        slot_count,
        balanced,
        balanced_count,
        bonds,
        bond_count
    );
    structure!(out, Step, "struct gpu_step", kind, source, name, value, map, engine, sseu);
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
    for (name, value) in NUMBERS {
        writeln!(out, "_Static_assert({name} == {value}u, \"{name}\");").unwrap();
    }
    // Every number of the header is in the table.
    let header = std::fs::read_to_string(folder().join("include/gpu_client.h")).unwrap();
    for line in header.lines().filter_map(|line| line.strip_prefix("#define ")) {
        let mut words = line.split_whitespace();
        let (name, value) = (words.next().unwrap(), words.next());
        assert!(value.is_none() || NUMBERS.iter().any(|(known, _)| *known == name), "{name} is not compared");
    }
    accepts("numbers.c", &out, "-std=c11");
}

/// The values in the table whose names begin so.
fn values(prefix: &str) -> Vec<u64> {
    NUMBERS.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, value)| *value).collect()
}

/// What the test above cannot see is what the library has and the header lacks.
#[test]
fn every_parameter_and_every_flag_of_the_rust_library_is_a_number_of_the_header() {
    assert_eq!(values("GPU_PARAM_"), Param::ALL.map(|param| param as u64));
    let all = |prefix| values(prefix).iter().fold(0, |all, flag| all | flag);
    assert_eq!(all("GPU_USERPTR_"), UserptrFlags::all().bits().into());
    assert_eq!(all("GPU_CLONE_"), CloneFlags::all().bits().into());
    // Constants, which only the source lists. Two are structures, with functions of their own.
    let source = std::fs::read_to_string(folder().join("../gpu-protocol/src/context.rs")).unwrap();
    let (_, constants) = source.split_once("impl ContextParam {").unwrap();
    let (constants, _) = constants.split_once("\n}").unwrap();
    let constants = constants.lines().filter_map(|line| line.trim().strip_prefix("pub const "));
    let names = constants.map(|line| line.split(':').next().unwrap());
    let names: Vec<_> = names.filter(|name| !["SSEU", "ENGINES"].contains(name)).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in &names {
        assert!(NUMBERS.iter().any(|(known, _)| *known == format!("GPU_CONTEXT_{name}")), "{name}");
    }
    assert_eq!(values("GPU_CONTEXT_").len(), names.len());
}
