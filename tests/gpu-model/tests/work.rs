// SPDX-License-Identifier: BSD-2-Clause
//! Work from submission to completion, on every platform.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod rig;

use gpu_model::Activity;
use gpu_model::platform::PLATFORMS;
use rig::{Rig, engines, mi};

const SEQNO: u32 = 0x1234;

#[test]
fn every_engine_of_every_platform_writes_a_breadcrumb_and_interrupts() {
    for platform in PLATFORMS {
        let mut rig = Rig::new(platform.name);
        for (name, _, class, instance) in engines(platform) {
            let mut context = rig.context(name);
            let status = rig.status_ggtt(name);
            let messages = rig.gpu.msi_count();
            rig.emit(&mut context, &mi::store_ggtt(status + 0x100, SEQNO));
            rig.emit(&mut context, &[mi::USER_INTERRUPT, mi::NOOP]);
            rig.submit(&mut context);

            let written = rig.memory.get_u32(rig.status_page(name) + 0x100);
            assert_eq!(written, Some(SEQNO), "{} {name}", platform.name);
            assert_eq!(rig.gpu.msi_count(), messages + 1, "one edge, one message");
            assert_eq!(rig.service_all(), [(class, instance, 0x101)], "{} {name}", platform.name);
            assert_eq!(rig.events(name).len(), 2);
            assert_eq!(rig.image_dword(&context, 5), context.tail, "the head is saved");
            assert_eq!(rig.gpu.engine(name).unwrap().activity, Activity::Idle);
        }
        rig.assert_clean();
    }
}

#[test]
fn a_batch_in_the_process_address_space_fills_memory() {
    for platform in PLATFORMS {
        let mut rig = Rig::new(platform.name);
        let mut context = rig.context("bcs0");
        let (batch, target) = (rig.pages(1), rig.pages(2));
        let (batch_va, target_va) = (0x1234_5000u64, 0x7fff_0000_0000u64);
        rig.map(&context, batch_va, batch);
        rig.map(&context, target_va, target);
        rig.map(&context, target_va + 0x1000, target + 0x1000);
        let mut dwords = mi::fill(target_va, 256, 64, 32, 0x00c0_ffee).to_vec();
        dwords.extend([mi::BATCH_END, 0]);
        for (i, dword) in dwords.iter().enumerate() {
            assert!(rig.memory.set_u32(batch + 4 * i as u64, *dword));
        }
        let status = rig.status_ggtt("bcs0");
        rig.emit(&mut context, &mi::INVALIDATE);
        rig.emit(&mut context, &mi::batch(batch_va));
        rig.emit(&mut context, &mi::flush_store(status + 0x100, SEQNO));
        rig.emit(&mut context, &[mi::USER_INTERRUPT, mi::ARB_CHECK]);
        rig.submit(&mut context);

        rig.assert_clean();
        assert_eq!(rig.memory.get_u32(rig.status_page("bcs0") + 0x100), Some(SEQNO), "{}", platform.name);
        for offset in (0..0x2000).step_by(4) {
            assert_eq!(
                rig.memory.get_u32(target + offset),
                Some(0x00c0_ffee),
                "{} {offset:#x}",
                platform.name
            );
        }
    }
}

#[test]
fn the_same_context_can_be_submitted_again_and_again() {
    for name in ["skl", "tgl"] {
        let mut rig = Rig::new(name);
        let mut context = rig.context("bcs0");
        let status = rig.status_ggtt("bcs0");
        // More than one time around the ring.
        for seqno in 1..3000 {
            rig.emit(&mut context, &mi::store_ggtt(status + 0x100, seqno));
            rig.submit(&mut context);
            assert_eq!(rig.memory.get_u32(rig.status_page("bcs0") + 0x100), Some(seqno));
        }
        rig.assert_clean();
    }
}
