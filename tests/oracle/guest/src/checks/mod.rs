// SPDX-License-Identifier: BSD-2-Clause
//! The project's own checks of the device model, made through i915: `check NAME: ok` or `check NAME: FAILED: why` for
//! each, and a line with the count at the end.

mod batch;
mod contexts;
mod copies;
mod recovery;
mod stores;
mod synchronisation;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::i915::{Buffer, Device, Engine, getparam};

/// Longer than anything takes that is not stuck. The machine is emulated, and not always alone on its host.
const LIMIT: Duration = Duration::from_secs(60);

/// PCI ids of the parts that differ from the others in what is checked here.
const BROADWELL: i32 = 0x1616;
const GEMINI_LAKE: i32 = 0x3185;

type Check = fn(&Device) -> Result<()>;

/// Every check by name.
const CHECKS: &[(&str, Check)] = &[
    ("parameters describe the part", parameters),
    ("every engine stores a dword", stores::every_engine),
    ("engines run chains of batches", stores::chain),
    ("a thousand empty batches retire", stores::many_empty_batches),
    ("the render engine computes with its registers", stores::arithmetic),
    ("registers keep their values across a switch of contexts", stores::registers_across_switches),
    ("the engine's clock moves on", stores::clock),
    ("a buffer of the program's own memory is written", stores::userptr),
    ("userptr refuses what is no page", stores::userptr_refusals),
    ("the blitter fills a rectangle and nothing beside it", copies::fill),
    ("the blitter copies a rectangle", copies::copy),
    ("contexts come, go, and are not found afterwards", contexts::life),
    ("contexts have address spaces of their own", contexts::separate_address_spaces),
    ("contexts can share an address space", contexts::shared_address_space),
    ("clone is refused since Linux 5.14", contexts::clone_is_refused),
    ("priorities are kept within their bounds", contexts::priorities),
    ("waiting for what runs takes as long as was asked", synchronisation::wait_for_a_running_batch),
    ("a fence holds back another engine", synchronisation::fence_between_engines),
    ("a semaphore holds back another context", synchronisation::semaphore_between_contexts),
];

/// Those of what Linux does by preemption, which it does not do on Broadwell (its sysfs has no preempt_timeout_ms there).
const OF_PREEMPTION: &[(&str, Check)] = &[
    ("a higher priority overtakes what runs", synchronisation::preemption),
    ("equal priorities share an engine by time", synchronisation::timeslices),
    ("an endless batch is ended and its context found guilty", recovery::hang_on_every_engine),
    ("an innocent context survives the reset of its engine", recovery::innocent_survives),
    ("engines have Linux' own settings", recovery::settings_are_linux_own),
];

pub(crate) fn run() -> ExitCode {
    let mut failures = 0;
    let checks =
        match Device::open().and_then(|device| device.getparam(getparam::CHIPSET_ID).map_err(Into::into)) {
            Ok(BROADWELL) => CHECKS.to_vec(),
            _ => [CHECKS, OF_PREEMPTION].concat(),
        };
    for (name, check) in &checks {
        // As programs of IGT do, so that what the kernel says can be told to belong to it. Where that cannot be written,
        // a reset is one that nobody meant.
        let _ = std::fs::write("/dev/kmsg", format!("<5>[checks] checks: starting subtest {name}\n"));
        // Each has the device for itself, so that one's contexts are gone before the next.
        match Device::open().and_then(|device| check(&device)) {
            Ok(()) => println!("check {name}: ok"),
            Err(error) => {
                failures += 1;
                println!("check {name}: FAILED: {error:#}");
            }
        }
    }
    println!("checks: {} of {} ok", checks.len() - failures, checks.len());
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Waits for a batch that has to end.
fn finish(buffer: &Buffer<'_>) -> Result<()> {
    ensure!(buffer.wait(LIMIT)?, "not done within {LIMIT:?}");
    Ok(())
}

/// The engines that run a program's own batch. On Gen9, Linux parses batches of the copy engine, lets none leave its buffer,
/// and runs a copy, which a program that changes its batch does not reach (i915: i915_cmd_parser.c).
fn unparsed(device: &Device) -> Result<Vec<Engine>> {
    let mut engines = device.engines()?;
    if device.getparam(getparam::CMD_PARSER_VERSION)? > 0 {
        engines.retain(|engine| *engine != Engine::COPY);
    }
    Ok(engines)
}

fn parameters(device: &Device) -> Result<()> {
    let id = std::fs::read_to_string("/sys/bus/pci/devices/0000:00:02.0/device")?;
    let id = i32::from_str_radix(id.trim().trim_start_matches("0x"), 16)?;
    let get = |param: i32| device.getparam(param).with_context(|| format!("parameter {param}"));
    ensure!(get(getparam::CHIPSET_ID)? == id, "chipset {:#x}, PCI says {id:#x}", get(getparam::CHIPSET_ID)?);
    let has_cache = i32::from(id != GEMINI_LAKE);
    ensure!(get(getparam::HAS_LLC)? == has_cache, "last-level cache: {}", get(getparam::HAS_LLC)?);
    ensure!(get(getparam::HAS_ALIASING_PPGTT)? == 2, "no address space of its own for each context");
    ensure!(get(getparam::HAS_GPU_RESET)? == 2, "no reset of single engines");
    // Enabled, priorities, preemption, semaphores.
    let scheduler = if id == BROADWELL { 0xb } else { 0xf };
    ensure!(
        get(getparam::HAS_SCHEDULER)? & 0xf == scheduler,
        "scheduler {:#x}",
        get(getparam::HAS_SCHEDULER)?
    );
    ensure!(get(getparam::HAS_EXEC_FENCE)? == 1, "no fences");
    ensure!(get(getparam::HAS_CONTEXT_ISOLATION)? & 1 == 1, "the render engine does not isolate contexts");
    ensure!(get(getparam::CS_TIMESTAMP_FREQUENCY)? > 0, "the engine's clock stands");
    ensure!(
        device.getparam(9999).is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL)),
        "9999 exists"
    );
    Ok(())
}
