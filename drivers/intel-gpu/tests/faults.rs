// SPDX-License-Identifier: BSD-2-Clause
//! What becomes of addresses at which a client has nothing: almost always scratch, which stops nothing; and a page fault
//! where the tables themselves are not there.

mod machine;

use gpu_model::{Bar, Options, Timing};
use intel_gpu::device::{EngineClass, EngineId};
use intel_gpu::memory::{AccountId, Cache};
use intel_gpu::{Config, ContextId, Status, Submission, VmId};
use machine::{BATCH_END, Rig, range, store, va};

const CODE: u64 = 0x20_0000;
/// In another table of each level than the code.
const DATA: u64 = 0x1243_4567_8000;
const SPIN: u64 = 0x30_0000;
/// Nothing is bound there.
const NOWHERE: u64 = 0x7000_0000;

const PLATFORMS: [&str; 8] = ["bdw", "skl", "kbl", "glk", "icl", "tgl", "rkl", "adls"];
/// Those on which RING_FAULT's numbers of engines are known.
const NAMING: [&str; 3] = ["bdw", "skl", "icl"];

fn rig(platform: &str) -> Rig {
    let options = Options { timing: Timing::Deferred, ..Options::default() };
    let config = Config { hang_ns: 50_000_000, preempt_timeout_ns: 20_000_000, ..Config::default() };
    Rig::with(platform, options, config)
}

/// A second client: its account, its address space, and a context on an engine.
fn client(rig: &mut Rig, class: EngineClass) -> (AccountId, VmId, ContextId) {
    let account = rig.gpu.account_create(400).expect("room");
    let vm = rig.gpu.vm_create(account).expect("memory");
    let timeline = rig.gpu.timeline_create().expect("memory");
    let engine = rig.engine(class);
    let context = rig.gpu.context_create(account, engine, vm, timeline, 0).expect("memory");
    (account, vm, context)
}

/// Binds a page with a batch at `at`, and one of data at `data`.
fn batch(rig: &mut Rig, vm: VmId, (at, data): (u64, u64), dwords: &[u32]) -> intel_gpu::memory::Object {
    let code = rig.gpu.object_allocate(rig.account, 1).expect("memory");
    rig.write(&code, dwords);
    rig.gpu.bind_object(vm, range(at, 1), &code, Cache::Coherent, false).expect("free");
    let object = rig.gpu.object_allocate(rig.account, 1).expect("memory");
    rig.gpu.bind_object(vm, range(data, 1), &object, Cache::Coherent, false).expect("free");
    object
}

fn submit(rig: &mut Rig, context: ContextId, at: u64, cookie: u64) {
    rig.gpu.submit(Submission { context, batch: va(at), waits: &[], cookie }).expect("accepted");
}

/// Lets time pass until so many requests have ended.
fn run(rig: &mut Rig, until: usize) -> Vec<(u64, Status)> {
    let done = rig.turns(5_000, until);
    assert!(done.len() >= until, "{done:?}");
    done
}

/// Takes the entry for an address out of the table of a level (1: the page's own entry; 4: the root's), behind the
/// driver's back.
fn knock_out(rig: &mut Rig, vm: VmId, at: u64, level: u32) {
    let mut table = rig.gpu.vm_page_directories(vm).expect("exists")[0];
    for upper in (level..=4).rev() {
        let entry = table + (at >> (3 + 9 * upper) & 511) * 8;
        let memory = &rig.gpu.hardware().memory;
        if upper == level {
            assert!(memory.set_u64(entry, 0));
        } else {
            table = memory.get_u64(entry).expect("a table") & 0xffff_ffff_f000;
        }
    }
}

/// The register that says whether there was a fault, as the device has it.
fn fault_register(rig: &mut Rig) -> u64 {
    let gen12 = rig.gpu.platform().generation == intel_gpu::device::Generation::Gen12;
    rig.model().bar_read(Bar::Registers, if gen12 { 0xcec4 } else { 0x4094 }, 4)
}

/// The number behind a word of the error state.
fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name)).expect("it is there");
    u64::from_str_radix(line.trim_start_matches(" 0x").split(' ').next().unwrap_or(""), 16).expect("a number")
}

#[test]
fn a_page_fault_is_counted_for_its_client_recorded_told_and_cleared() {
    for platform in PLATFORMS {
        for class in [EngineClass::Render, EngineClass::Copy, EngineClass::Video, EngineClass::VideoEnhance] {
            let level = 1 + class.hardware();
            let mut rig = rig(platform);
            let (account, vm, context) = client(&mut rig, class);
            let mut dwords = store(DATA, 1).to_vec();
            dwords.extend([BATCH_END, 0]);
            let _data = batch(&mut rig, vm, (CODE, DATA), &dwords);
            knock_out(&mut rig, vm, DATA, level);
            submit(&mut rig, context, CODE, 7);
            assert_eq!(run(&mut rig, 1), [(7, Status::Hang)], "{platform} {class:?}");
            assert_eq!(rig.gpu.statistics().faults, 1, "{platform} {class:?}");
            assert_eq!(rig.gpu.consumed(account).faults, 1, "{platform} {class:?}: whose it was");
            let other = rig.account;
            assert_eq!(rig.gpu.consumed(other).faults, 0, "{platform} {class:?}");
            let id = rig.gpu.engines().find(|engine| engine.id.class == class).expect("exists").id;
            assert_eq!(rig.gpu.hardware().faults, [(id, DATA)], "{platform} {class:?}: what the trace gets");
            assert_eq!(fault_register(&mut rig) & 1, 0, "{platform} {class:?}: ready for the next one");
            let text = rig.gpu.error_state().expect("recorded");
            let register = number(text, "FAULT_REG:");
            assert_eq!(
                register & 7,
                u64::from(level - 1) << 1 | 1,
                "{platform} {class:?}: valid, and the level"
            );
            assert_eq!(number(text, "FAULT_TLB_DATA:"), DATA >> 44, "{platform} {class:?}");
            // The batch that led there is in the record.
            assert!(text.contains(&format!("gtt_offset = 0x00000000 {CODE:08x}\n")), "{platform}: {text}");
        }
    }
}

#[test]
fn a_fault_is_counted_for_the_engine_that_the_register_names_whichever_is_reset_first() {
    for platform in NAMING {
        let mut rig = rig(platform);
        let (faulty, vm, context) = client(&mut rig, EngineClass::Render);
        let mut dwords = store(DATA, 1).to_vec();
        dwords.extend([BATCH_END, 0]);
        let _data = batch(&mut rig, vm, (CODE, DATA), &dwords);
        knock_out(&mut rig, vm, DATA, 1);
        let (endless, vm, other) = client(&mut rig, EngineClass::Copy);
        let _spin = batch(&mut rig, vm, (SPIN, DATA), &[0x1880_0101, 0x30_0000, 0]);
        rig.gpu.context_set_watchdog(other, 5_000_000).expect("exists");
        submit(&mut rig, context, CODE, 1);
        submit(&mut rig, other, SPIN, 2);
        assert_eq!(run(&mut rig, 1), [(2, Status::Hang)], "{platform}");
        assert_eq!(rig.gpu.hardware().faults, [(EngineId::RCS0, DATA)], "{platform}");
        assert_eq!(run(&mut rig, 1), [(1, Status::Hang)], "{platform}");
        let counted = [faulty, endless].map(|account| rig.gpu.consumed(account).faults);
        assert_eq!((counted, rig.gpu.statistics().faults), ([1, 0], 1), "{platform}");
    }
}

/// MI_COPY_MEM_MEM of a dword.
fn copy(to: u64, from: u64) -> [u32; 5] {
    let half = |value: u64| u32::try_from(value & 0xffff_ffff).expect("32 bits");
    [0x1700_0003, half(to), half(to >> 32), half(from), half(from >> 32)]
}

#[test]
fn where_nothing_is_bound_reads_are_zero_writes_are_lost_and_no_other_client_sees_them() {
    for platform in PLATFORMS {
        let mut rig = rig(platform);
        let (writer, vm, context) = client(&mut rig, EngineClass::Copy);
        let mut dwords = copy(DATA, NOWHERE).to_vec();
        dwords.extend(store(NOWHERE, 0x5ec2e7));
        dwords.extend(store(NOWHERE + (1 << 39), 0x5ec2e7));
        dwords.extend(store(DATA + 4, 1));
        dwords.extend([BATCH_END, 0]);
        let data = batch(&mut rig, vm, (CODE, DATA), &dwords);
        rig.write(&data, &[0xdead_beef; 2]);
        let (reader, vm, second) = client(&mut rig, EngineClass::Copy);
        let mut dwords = copy(DATA, NOWHERE).to_vec();
        dwords.extend(copy(DATA + 4, 0x1_2345_6000));
        dwords.extend([BATCH_END, 0]);
        let seen = batch(&mut rig, vm, (CODE, DATA), &dwords);
        rig.write(&seen, &[0xdead_beef; 2]);
        submit(&mut rig, context, CODE, 1);
        submit(&mut rig, second, CODE, 2);
        assert_eq!(run(&mut rig, 2), [(1, Status::Done), (2, Status::Done)], "{platform}");
        assert_eq!(rig.read(&data)[..2], [0, 1], "{platform}");
        assert_eq!(rig.read(&seen)[..2], [0, 0], "{platform}");
        let counted = [writer, reader].map(|account| rig.gpu.consumed(account).faults);
        assert_eq!((counted, rig.gpu.statistics().faults), ([0, 0], 0), "{platform}");
        let own: Vec<String> =
            rig.model().reports().iter().filter(|report| !report.client).map(ToString::to_string).collect();
        assert!(own.is_empty(), "{platform}: {own:#?}");
    }
}

#[test]
fn a_write_to_a_page_that_may_only_be_read_is_dropped_and_stops_nothing() {
    for platform in ["bdw", "skl", "kbl", "glk"] {
        let mut rig = rig(platform);
        let (account, vm, context) = client(&mut rig, EngineClass::Copy);
        let mut dwords = store(NOWHERE, 1).to_vec();
        dwords.extend(store(DATA, 2));
        dwords.extend([BATCH_END, 0]);
        let data = batch(&mut rig, vm, (CODE, DATA), &dwords);
        let kept = rig.gpu.object_allocate(rig.account, 1).expect("memory");
        rig.write(&kept, &[7]);
        rig.gpu.bind_object(vm, range(NOWHERE, 1), &kept, Cache::Coherent, true).expect("enforced here");
        submit(&mut rig, context, CODE, 1);
        assert_eq!(run(&mut rig, 1), [(1, Status::Done)], "{platform}");
        assert_eq!((rig.read(&kept)[0], rig.read(&data)[0]), (7, 2), "{platform}");
        assert_eq!(rig.gpu.consumed(account).faults, 0, "{platform}");
    }
}
