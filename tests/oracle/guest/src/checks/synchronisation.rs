// SPDX-License-Identifier: BSD-2-Clause
//! Who waits for whom.
//!
//! What keeps an engine busy here polls a dword that the check writes (or another batch), so that nothing hangs on the
//! speed of the machine: a batch that has been released ends, and one that has not does not.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::batch::Batch;
use super::{LIMIT, finish};
use crate::i915::{Buffer, Device, Engine, param};
use crate::sys;

/// How long something is watched that must not happen.
const WATCHED: Duration = Duration::from_millis(50);

/// The dword of a buffer that its batches say "I run" in, and the one that they wait for.
const STARTED: u64 = 0;
const RELEASE: u64 = 64;

/// Says that it runs, and polls with a semaphore until it is released.
fn waits(control: &Buffer<'_>) -> Batch {
    Batch::new().store(control.address + STARTED, 1).wait_equal(control.address + RELEASE, 1)
}

fn release(control: &Buffer<'_>) {
    control.memory.write(16, 1);
}

fn await_start(control: &Buffer<'_>) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while control.memory.read(0) != 1 {
        ensure!(Instant::now() < deadline, "it does not start");
        std::thread::yield_now();
    }
    Ok(())
}

pub(super) fn wait_for_a_running_batch(device: &Device) -> Result<()> {
    let context = device.context(&[Engine::RENDER], None)?;
    let (control, commands) = (device.buffer(4096)?, device.buffer(4096)?);
    commands.fill(&waits(&control).end().0);
    context.submit(0, &commands, &[&control])?;
    await_start(&control)?;
    ensure!(!commands.wait(Duration::ZERO)?, "it is done before it was released");
    ensure!(commands.busy()?, "it runs and is not busy");
    let before = Instant::now();
    ensure!(!commands.wait(WATCHED)?, "it is done before it was released");
    ensure!(before.elapsed() >= WATCHED, "the wait ended after {:?}", before.elapsed());
    release(&control);
    finish(&commands)?;
    ensure!(!commands.busy()?, "it is done and busy");
    Ok(())
}

pub(super) fn fence_between_engines(device: &Device) -> Result<()> {
    let context = device.context(&[Engine::RENDER, Engine::COPY], None)?;
    let (control, target) = (device.buffer(4096)?, device.buffer(4096)?);
    let (first, second) = (device.buffer(4096)?, device.buffer(4096)?);
    first.fill(&waits(&control).end().0);
    second.fill(&Batch::new().store(target.address, 5).end().0);
    let running = context.submit_fenced(0, &first, &[&control], None)?;
    let waiting = context.submit_fenced(1, &second, &[&target], Some(running.as_fd()))?;
    await_start(&control)?;
    ensure!(!sys::readable(waiting.as_fd(), WATCHED)?, "the second did not wait");
    ensure!(target.memory.read(0) == 0, "the second ran");
    release(&control);
    ensure!(sys::readable(running.as_fd(), LIMIT)?, "the first does not end");
    ensure!(sys::readable(waiting.as_fd(), LIMIT)?, "the second does not end");
    ensure!(target.memory.read(0) == 5, "the second left {:#x}", target.memory.read(0));
    Ok(())
}

pub(super) fn semaphore_between_contexts(device: &Device) -> Result<()> {
    let vm = device.create_vm()?;
    let reader = device.context(&[Engine::RENDER], Some(vm))?;
    let writer = device.context(&[Engine::COPY], Some(vm))?;
    let (control, target) = (device.buffer(4096)?, device.buffer(4096)?);
    let (wait, signal) = (device.buffer(4096)?, device.buffer(4096)?);
    wait.fill(&waits(&control).store(target.address, 9).end().0);
    signal.fill(&Batch::new().store(control.address + RELEASE, 1).end().0);
    reader.submit(0, &wait, &[&target, &control])?;
    await_start(&control)?;
    ensure!(!target.wait(WATCHED)?, "it did not wait");
    // Does not name the control buffer, or the kernel would order the two.
    writer.submit(0, &signal, &[])?;
    finish(&target)?;
    ensure!(target.memory.read(0) == 9, "it left {:#x}", target.memory.read(0));
    device.destroy_vm(vm)?;
    Ok(())
}

pub(super) fn preemption(device: &Device) -> Result<()> {
    for engine in super::unparsed(device)? {
        let low = device.context(&[engine], None)?;
        low.set(param::PRIORITY, 0_u64.wrapping_sub(512))?;
        let high = device.context(&[engine], None)?;
        high.set(param::PRIORITY, 512)?;
        let (control, target) = (device.buffer(4096)?, device.buffer(4096)?);
        let (spin, store) = (device.buffer(4096)?, device.buffer(4096)?);
        // Without a semaphore, which would give the engine away by itself: it goes round until its jump is replaced.
        let round = Batch::new().store(control.address + STARTED, 1).arbitrate();
        let at = round.0.len();
        spin.fill(&round.jump(spin.address).0);
        low.submit(0, &spin, &[&control])?;
        await_start(&control)?;
        store.fill(&Batch::new().store(target.address, 11).end().0);
        high.submit(0, &store, &[&target])?;
        let result = finish(&target);
        let still = spin.busy()?;
        spin.memory.write(at, 0x0a << 23);
        finish(&spin)?;
        result?;
        ensure!(still, "{}: what was overtaken had ended by itself", engine.name());
        ensure!(target.memory.read(0) == 11, "{} left {:#x}", engine.name(), target.memory.read(0));
        let stats = low.reset_stats()?;
        ensure!(stats.active == 0, "{}: it was reset, not preempted", engine.name());
    }
    Ok(())
}

pub(super) fn timeslices(device: &Device) -> Result<()> {
    for engine in device.engines()? {
        // The first waits for what only the second does, and the second comes later with the same priority: both end
        // only when the engine is taken from the one that waits.
        let vm = device.create_vm()?;
        let first = device.context(&[engine], Some(vm))?;
        let second = device.context(&[engine], Some(vm))?;
        let control = device.buffer(4096)?;
        let (wait, signal) = (device.buffer(4096)?, device.buffer(4096)?);
        wait.fill(&waits(&control).end().0);
        signal.fill(&Batch::new().store(control.address + RELEASE, 1).end().0);
        first.submit(0, &wait, &[&control])?;
        await_start(&control)?;
        // Does not name the buffer, so that the kernel sees no order between the two.
        second.submit(0, &signal, &[])?;
        finish(&wait)?;
        ensure!(first.reset_stats()?.active == 0, "{}: a reset ended it", engine.name());
        device.destroy_vm(vm)?;
    }
    Ok(())
}
