// SPDX-License-Identifier: BSD-2-Clause
//! Speed of the model in a host test: `cargo run -p gpu-model --example bench`.
//!
//! Prints one line per figure: name, value, unit (per second of CPU time), and the floor that the project asks
//! for. Exit status 1 if one is below its floor.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a bench"
)]

#[path = "../tests/rig/mod.rs"]
mod rig;

use std::process::ExitCode;
use std::time::Duration;

use rig::{Rig, mi};

const BATCH: u64 = 0x1_0000_0000;
const TARGET: u64 = 0x2_0000_0000;
/// Bytes of the batches.
const BATCH_BYTES: u64 = 4 << 20;
/// Surface: 1024 by 1024 pixels of 32 bits.
const SIDE: u32 = 1024;

/// CPU time of this thread: other processes' share is not counted, though a core that is shared is slower.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned() as u32)
}

/// CPU seconds that `work` took.
fn seconds(work: impl FnOnce()) -> f64 {
    let start = cpu();
    work();
    (cpu() - start).as_secs_f64()
}

struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    floor: f64,
}

/// Millions of commands per second of a batch that repeats `command`.
fn commands(name: &'static str, command: &[u32], floor: f64) -> Figure {
    let mut rig = Rig::deferred("tgl");
    let mut context = rig.context("bcs0");
    let batch = rig.pages(BATCH_BYTES / 0x1000);
    let target = rig.pages(1);
    rig.map(&context, TARGET, target);
    for page in 0..BATCH_BYTES / 0x1000 {
        rig.map(&context, BATCH + page * 0x1000, batch + page * 0x1000);
    }
    let count = BATCH_BYTES / 4 / command.len() as u64 - 2;
    let mut at = batch;
    for dword in (0..count).flat_map(|_| command).chain(&[mi::BATCH_END, 0]) {
        assert!(rig.memory.set_u32(at, *dword));
        at += 4;
    }
    let mut best = 0.0f64;
    for _ in 0..5 {
        rig.emit(&mut context, &mi::batch(BATCH));
        rig.submit(&mut context);
        let time = seconds(|| assert!(rig.gpu.run_until_idle(u64::MAX)));
        best = best.max(count as f64 / time);
    }
    rig.assert_clean();
    Figure { name, value: best / 1e6, unit: "million/s", floor }
}

/// Gigabytes per second of a 4 MiB fill.
fn fill() -> Figure {
    let mut rig = Rig::deferred("tgl");
    let mut context = rig.context("bcs0");
    let bytes = u64::from(SIDE * SIDE * 4);
    let target = rig.pages(bytes / 0x1000);
    for page in 0..bytes / 0x1000 {
        rig.map(&context, TARGET + page * 0x1000, target + page * 0x1000);
    }
    let mut best = 0.0f64;
    for colour in 1..20 {
        rig.emit(&mut context, &mi::fill(TARGET, SIDE * 4, SIDE, SIDE, colour));
        rig.submit(&mut context);
        let time = seconds(|| assert!(rig.gpu.run_until_idle(u64::MAX)));
        best = best.max(bytes as f64 / time);
        assert_eq!(rig.memory.get_u32(target + bytes - 4), Some(colour));
    }
    rig.assert_clean();
    Figure { name: "colour fill", value: best / 1e9, unit: "GB/s", floor: 1.0 }
}

/// Millions of trapped register reads per second.
fn registers() -> Figure {
    let mut rig = Rig::new("tgl");
    let count = 1_000_000;
    let time = seconds(|| {
        for _ in 0..count {
            std::hint::black_box(rig.read(0x2_2098));
        }
    });
    Figure { name: "register reads", value: f64::from(count) / time / 1e6, unit: "million/s", floor: 0.0 }
}

/// Thousands of submissions per second: one store and a user interrupt each, handled.
fn submissions() -> Figure {
    let mut rig = Rig::new("tgl");
    let mut context = rig.context("bcs0");
    let status = rig.status_ggtt("bcs0");
    let count = 20_000;
    let time = seconds(|| {
        for seqno in 0..count {
            rig.emit(&mut context, &mi::flush_store(status + 0x100, seqno));
            rig.emit(&mut context, &[mi::USER_INTERRUPT, mi::NOOP]);
            rig.submit(&mut context);
            rig.service_all();
        }
    });
    let rate = f64::from(count) / time;
    rig.assert_clean();
    Figure { name: "submissions", value: rate / 1e3, unit: "thousand/s", floor: 0.0 }
}

fn main() -> ExitCode {
    let figures = [
        commands("MI_NOOP", &[mi::NOOP], 20.0),
        commands("MI_LOAD_REGISTER_IMM", &[0x1100_0001, 0x2_2600, 1], 20.0),
        commands("MI_STORE_DATA_IMM", &mi::store(TARGET, 7), 20.0),
        fill(),
        registers(),
        submissions(),
    ];
    let mut good = true;
    for Figure { name, value, unit, floor } in figures {
        let verdict = if value >= floor { "" } else { " TOO SLOW" };
        println!("gpu-model {name}: {value:.2} {unit} (floor {floor}){verdict}");
        good &= value >= floor;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
