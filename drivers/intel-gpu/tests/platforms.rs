// SPDX-License-Identifier: BSD-2-Clause
//! Every platform of the device model comes up and works on every engine.

mod machine;

use intel_gpu::Status;
use machine::{BATCH_END, Rig, store};

/// A store from every engine.
fn works(platform: &str) {
    let mut rig = Rig::new(platform);
    rig.check();
    let data = rig.object_at(0x10_0000, 1);
    let batch = rig.object_at(0x20_0000, 16);
    let engines: Vec<_> = rig.gpu.engines().collect();
    assert!(engines.len() >= 4, "{platform}: {engines:?}");
    for (slot, engine) in (0u32..).zip(&engines) {
        let context =
            rig.gpu.context_create(rig.account, engine.index, rig.vm, rig.timeline, 0).expect("memory");
        let mut dwords = store(0x10_0000 + u64::from(slot) * 4, 0x1000 + slot).to_vec();
        dwords.extend([BATCH_END, 0]);
        rig.write(&batch, &dwords);
        rig.submit(context, 0x20_0000, slot.into());
        rig.settle();
        let completions = rig.completions();
        assert_eq!(completions.len(), 1, "{platform} {}", engine.id);
        assert_eq!(completions[0].status, Status::Done);
        assert_eq!(rig.read(&data)[slot as usize], 0x1000 + slot, "{platform} {}", engine.id);
        rig.gpu.context_destroy(context).expect("exists");
    }
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
