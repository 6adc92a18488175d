// SPDX-License-Identifier: BSD-2-Clause
//! Every platform of the device model comes up, and stores and copies on every engine.

mod machine;

use gpu_model::Options;
use intel_gpu::Config;
use intel_gpu::Status;
use intel_gpu::address::DmaOffset;
use intel_gpu::device::EngineClass;
use intel_gpu::platform::DmaMemory;
use machine::{BATCH_END, Machine, Rig, store, va};

const SOURCE: u64 = 0x40_0000;
const COPIES: u64 = 0x50_0000;
/// Dwords that an engine copies.
const DWORDS: u32 = 32;

/// MI_COPY_MEM_MEM of [`DWORDS`] dwords: what every engine can.
fn copies(slot: u32) -> Vec<u32> {
    let at = |base: u64, index| u32::try_from(base).expect("below 4 GiB") + index * 4;
    let one = |index| [0x1700_0003, at(COPIES, slot * DWORDS + index), 0, at(SOURCE, index), 0];
    (0..DWORDS).flat_map(one).collect()
}

/// XY_SRC_COPY_BLT of a picture of 32 by 32 pixels of 32 bits.
fn copy_blt(to: u64, from: u64) -> [u32; 10] {
    let [to, from] = [to, from].map(|address| u32::try_from(address).expect("below 4 GiB"));
    [0x54f0_0008, 3 << 24 | 0xcc << 16 | 128, 0, 32 << 16 | 32, to, 0, 0, 128, from, 0]
}

/// A store and a copy from every engine; from the copy engine a rectangle, too.
fn works(platform: &str) {
    works_on(platform, Rig::new(platform));
}

fn works_on(platform: &str, mut rig: Rig) {
    let source = rig.object_at(SOURCE, 1);
    let pattern: Vec<u32> = (0..1024).map(|index| 0x5eed_0000 + index * 3).collect();
    rig.write(&source, &pattern);
    let copied = rig.object_at(COPIES, 1);
    let picture = rig.object_at(0x60_0000, 1);
    rig.check();
    let data = rig.object_at(0x10_0000, 1);
    let batch = rig.object_at(0x20_0000, 16);
    let engines: Vec<_> = rig.gpu.engines().collect();
    assert!(engines.len() >= 4, "{platform}: {engines:?}");
    for (slot, engine) in (0u32..).zip(&engines) {
        let context =
            rig.gpu.context_create(rig.account, engine.index, rig.vm, rig.timeline, 0).expect("memory");
        let mut dwords = store(0x10_0000 + u64::from(slot) * 4, 0x1000 + slot).to_vec();
        dwords.extend(copies(slot));
        if engine.id.class == EngineClass::Copy {
            dwords.extend(copy_blt(0x60_0000, SOURCE));
        }
        dwords.extend([BATCH_END, 0]);
        rig.write(&batch, &dwords);
        rig.submit(context, 0x20_0000, slot.into());
        rig.settle();
        let completions = rig.completions();
        assert_eq!(completions.len(), 1, "{platform} {}", engine.id);
        assert_eq!(completions[0].status, Status::Done);
        assert_eq!(rig.read(&data)[slot as usize], 0x1000 + slot, "{platform} {}", engine.id);
        let first = (slot * DWORDS) as usize;
        let copy = &rig.read(&copied)[first..first + DWORDS as usize];
        assert_eq!(copy, &pattern[..DWORDS as usize], "{platform} {}", engine.id);
        rig.gpu.context_destroy(context).expect("exists");
    }
    assert_eq!(rig.read(&picture), pattern, "{platform}: the blitter's copy");
    rig.check();
}

#[test]
fn broadwell_works_on_every_engine() {
    works("bdw");
}

#[test]
fn skylake_works_on_every_engine() {
    works("skl");
}

#[test]
fn kaby_lake_works_on_every_engine() {
    works("kbl");
}

#[test]
fn gemini_lake_works_on_every_engine() {
    works("glk");
}

#[test]
fn ice_lake_works_on_every_engine() {
    works("icl");
}

#[test]
fn tiger_lake_works_on_every_engine() {
    works("tgl");
}

#[test]
fn rocket_lake_works_on_every_engine() {
    works("rkl");
}

#[test]
fn alder_lake_works_on_every_engine() {
    works("adls");
}

/// With a CPU that keeps what it writes until it is flushed: nothing that the GPU reads is forgotten.
#[test]
fn gemini_lake_finds_everything_flushed_that_its_engines_read() {
    let machine = Machine::without_shared_cache("glk");
    works_on("glk", Rig::over(machine, Config::default()));
}

#[test]
fn without_a_shared_cache_the_gpu_finds_only_what_was_flushed() {
    let shared = Machine::new("skl", Options::default());
    for (mut machine, found) in [(Machine::without_shared_cache("glk"), 0), (shared, 7)] {
        let (at, place) = (DmaOffset(0x2040), machine::BASE + 0x2040);
        machine.write_u32(at, 7);
        assert_eq!((machine.read_u32(at), machine.memory.get_u32(place)), (7, Some(found)));
        machine.flush(DmaOffset(0x207c), 4);
        assert_eq!(machine.memory.get_u32(place), Some(7), "the whole line");
        // What the GPU writes is snooped.
        machine.write_u32(at, 8);
        assert!(machine.memory.set_u32(place, 9));
        assert_eq!(machine.read_u32(at), 9);
    }
}

/// The machine above judges the driver: one that forgets to flush what it writes into a batch leaves the engine with zeros.
#[test]
fn a_batch_that_is_not_flushed_does_not_run_on_a_part_without_a_shared_cache() {
    for (machine, stored) in
        [(Machine::without_shared_cache("glk"), 0), (Machine::new("skl", Options::default()), 5)]
    {
        let mut rig = Rig::over(machine, Config::default());
        let context = rig.context(EngineClass::Copy);
        let (batch, data) = (rig.object_at(0x1000, 1), rig.object_at(0x2000, 1));
        let end = [BATCH_END, 0, 0, 0];
        rig.write(&batch, &[[0; 4], end].concat());
        let place = rig.gpu.translate(rig.vm, va(0x1000)).expect("exists").expect("bound").0 - machine::BASE;
        for (index, dword) in store(0x2000, 5).into_iter().enumerate() {
            let at = DmaOffset(usize::try_from(place).expect("inside") + index * 4);
            rig.gpu.hardware_mut().write_u32(at, dword);
        }
        rig.submit(context, 0x1000, 1);
        rig.settle();
        assert_eq!(rig.read(&data)[0], stored);
    }
}
