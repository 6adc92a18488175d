// SPDX-License-Identifier: BSD-2-Clause
//! From start to a picture in memory, above the device model.

mod machine;

use intel_gpu::Status;
use intel_gpu::device::EngineClass;
use machine::{BATCH_END, Rig, color_blt};

const SURFACE: u64 = 0x1_2345_6000;
const BATCH: u64 = 0x7f00_0000_0000;

fn paints(platform: &str) {
    let mut rig = Rig::new(platform);
    rig.check();
    let context = rig.context(EngineClass::Copy);
    let surface = rig.object_at(SURFACE, 16);
    let batch = rig.object_at(BATCH, 1);
    // 128 x 128 pixels: a field, and a square in it.
    let mut dwords = Vec::new();
    dwords.extend(color_blt(SURFACE, 512, (0, 0, 128, 128), 0xff20_4060));
    dwords.extend(color_blt(SURFACE, 512, (32, 16, 64, 48), 0xffee_dd00));
    dwords.extend([BATCH_END, 0]);
    rig.write(&batch, &dwords);
    let submitted = rig.submit(context, BATCH, 0xc0ffee);
    rig.settle();
    let completions = rig.completions();
    assert_eq!(completions.len(), 1, "{platform}");
    assert_eq!(completions[0].status, Status::Done);
    assert_eq!((completions[0].cookie, completions[0].fence), (0xc0ffee, submitted.fence));
    assert!(rig.gpu.is_signalled(submitted.fence));
    let pixels = rig.read(&surface);
    for (at, pixel) in pixels.iter().enumerate() {
        let (x, y) = (at % 128, at / 128);
        let inside = (32..64).contains(&x) && (16..48).contains(&y);
        assert_eq!(*pixel, if inside { 0xffee_dd00 } else { 0xff20_4060 }, "{platform}: {x},{y}");
    }
    assert!(rig.gpu.statistics().interrupts > 0, "completion came by interrupt");
    rig.check();
}

#[test]
fn tiger_lake_paints_a_picture_into_bound_pages() {
    paints("tgl");
}

#[test]
fn skylake_paints_a_picture_into_bound_pages() {
    paints("skl");
}
