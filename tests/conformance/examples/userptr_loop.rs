// SPDX-License-Identifier: BSD-2-Clause
//! The loops of IGT's gem_userptr_benchmark, for `make bench`: objects of 64 KiB made and closed, and 64 KiB of nobody's
//! taken back, while there are more and more other objects. On the host, through the wire interface, in wall time: how
//! it grows is the figure, and what it is in instructions the booted system tells.

use std::time::{Duration, Instant};

use conformance::{Rig, Settings};
use gpu_protocol::Errno;
use intel_gpu::uapi::ClientLimits;

const SIZE: u64 = 64 << 10;
/// Where the object is that comes and goes, and where the others are.
const OURS: u64 = 0x4000_0000;
const OTHERS: u64 = 0x10_0000_0000;
const ROUNDS: u32 = 500;
const SAMPLES: usize = 9;

/// The median over several samples of what one round takes on average.
fn time(mut round: impl FnMut() -> Result<(), Errno>) -> Result<Duration, Errno> {
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        (0..ROUNDS).try_for_each(|_| round())?;
        samples.push(start.elapsed() / ROUNDS);
    }
    samples.sort_unstable();
    Ok(samples[SAMPLES / 2])
}

fn main() -> Result<(), Errno> {
    let mut settings = Settings::new("tgl");
    settings.limits[0] = ClientLimits { objects: 10_001, ..ClientLimits::DEFAULT };
    let mut rig = Rig::with(settings);
    let mut alive = 0;
    for count in [0, 1, 10, 100, 1_000, 10_000] {
        while alive < count {
            rig.userptr_create(0, OTHERS + alive * SIZE, SIZE)?;
            alive += 1;
        }
        let create = time(|| {
            let object = rig.userptr_create(0, OURS, SIZE)?;
            rig.close(0, object)
        })?;
        let invalidate = time(|| rig.invalidate(0, OURS, OURS + SIZE).map(drop))?;
        println!(
            "userptr on the host, {count} alive: {} ns to create and close 64 KiB, {} ns to invalidate what is nobody's",
            create.as_nanos(),
            invalidate.as_nanos()
        );
    }
    Ok(())
}
