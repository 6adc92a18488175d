// SPDX-License-Identifier: BSD-2-Clause
//! The GT sleeps when there is nothing to do, and wakes for work.

mod machine;

use intel_gpu::Status;
use intel_gpu::device::EngineClass;
use machine::{BATCH_END, Rig, range};

const PLATFORMS: [&str; 5] = ["bdw", "skl", "glk", "icl", "tgl"];

/// Forcewake requests and acknowledges: (request, acknowledge).
fn acknowledged(rig: &mut Rig) -> u32 {
    rig.model().read32(0x13_0044) & 1
}

fn let_idle(rig: &mut Rig) {
    for _ in 0..20 {
        if !rig.gpu.tick() {
            return;
        }
        rig.model().advance(20_000_000);
    }
    unreachable!("it never sleeps");
}

#[test]
fn an_idle_gpu_releases_its_power_domains_and_takes_them_for_the_next_request() {
    for platform in PLATFORMS {
        let mut rig = Rig::new(platform);
        let context = rig.context(EngineClass::Copy);
        let batch = rig.object_at(0x1000, 1);
        rig.write(&batch, &[BATCH_END]);
        for round in 0..3 {
            assert_eq!(acknowledged(&mut rig), 1, "{platform} is awake");
            rig.settle();
            let_idle(&mut rig);
            assert!(rig.gpu.is_parked());
            assert_eq!(acknowledged(&mut rig), 0, "{platform} sleeps");
            rig.submit(context, 0x1000, round);
            rig.settle();
            let done = rig.completions();
            assert_eq!(done.len(), 1, "{platform}");
            assert_eq!((done[0].cookie, done[0].status), (round, Status::Done));
        }
        rig.check();
    }
}

#[test]
fn an_invalidation_or_a_reset_wakes_a_sleeping_gpu() {
    for platform in PLATFORMS {
        let mut rig = Rig::new(platform);
        let context = rig.context(EngineClass::Copy);
        let batch = rig.object_at(0x1000, 1);
        rig.write(&batch, &[BATCH_END]);
        rig.submit(context, 0x1000, 1);
        rig.settle();
        let_idle(&mut rig);
        let unbinding = rig.gpu.unbind(rig.vm, range(0x1000, 1)).expect("exists");
        assert_eq!(rig.gpu.release(unbinding).expect("released").pages(), 1);
        let_idle(&mut rig);
        rig.gpu.reset().expect("the hardware answers");
        rig.check();
    }
}

#[test]
fn a_busy_gpu_does_not_power_down() {
    let mut rig = Rig::new("tgl");
    rig.set_timing(gpu_model::Timing::Busy);
    let context = rig.context(EngineClass::Copy);
    let batch = rig.object_at(0x1000, 1);
    rig.write(&batch, &[BATCH_END]);
    rig.submit(context, 0x1000, 1);
    rig.gpu.power_down();
    assert!(!rig.gpu.is_parked());
    assert!(rig.gpu.tick());
}

#[test]
fn render_c6_is_used_only_while_the_hardware_keeps_what_it_has_to_bring_back() {
    const CONTROL: u32 = 0xa090;
    const CONTEXT_INFO: u32 = 0x8504;
    for platform in ["bdw", "skl", "kbl"] {
        for (info, parked) in [(0, 0), (1, 0x4_0000)] {
            let mut rig = Rig::new(platform);
            rig.model().write32(CONTEXT_INFO, info);
            rig.gpu.power_down();
            assert_eq!(rig.model().counter(CONTROL).last, parked, "{platform}");
        }
    }
}
