// SPDX-License-Identifier: BSD-2-Clause
//! What happens to an engine that does not go on.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::batch::Batch;
use super::{LIMIT, finish};
use crate::i915::{Device, Engine, param};

/// Milliseconds between the questions whether an engine still lives, and until one that does not give way is reset.
/// Linux' own are 2500 and 640 or more.
const SETTINGS: [&str; 2] = ["heartbeat_interval_ms", "preempt_timeout_ms"];
const HEARTBEAT: u32 = 200;
const PREEMPT: u32 = 100;

fn setting(engine: Engine, name: &str) -> PathBuf {
    PathBuf::from(format!("/sys/class/drm/card0/engine/{}/{name}", engine.name()))
}

/// Lets the kernel notice a hang sooner, until it is dropped: what runs afterwards finds Linux' own settings again.
struct Hurry {
    before: Vec<(PathBuf, String)>,
}

impl Hurry {
    fn engine(engine: Engine) -> Result<Self> {
        let mut this = Self { before: vec![] };
        for (name, value) in SETTINGS.into_iter().zip([HEARTBEAT, PREEMPT]) {
            let path = setting(engine, name);
            let before = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            fs::write(&path, value.to_string()).with_context(|| path.display().to_string())?;
            this.before.push((path, before));
        }
        Ok(this)
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        for (path, value) in &self.before {
            if let Err(error) = fs::write(path, value.trim()) {
                // The last check reads them all and fails.
                println!("{}: {error}", path.display());
            }
        }
    }
}

/// Waits until the kernel has written down how the engine hung, and clears that. It does so in its own time, and its
/// message would come in the middle of something else.
fn await_record() -> Result<()> {
    let path = "/sys/class/drm/card0/error";
    let deadline = Instant::now() + LIMIT;
    while fs::read(path)?.starts_with(b"No error state collected") {
        ensure!(Instant::now() < deadline, "the hang is not in {path}");
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::write(path, "1").context(path)
}

pub(super) fn hang_on_every_engine(device: &Device) -> Result<()> {
    for engine in device.engines()? {
        let _hurry = Hurry::engine(engine)?;
        let context = device.context(&[engine], None)?;
        let spin = device.buffer(4096)?;
        // Nowhere in it may the engine be given to somebody else.
        spin.fill(&Batch::new().jump(spin.address).0);
        context.submit(0, &spin, &[])?;
        finish(&spin).with_context(|| engine.name())?;
        let stats = context.reset_stats()?;
        ensure!(stats.active == 1 && stats.pending == 0, "{}: {stats:?}", engine.name());
        // The engine works again, also for this context.
        let (target, store) = (device.buffer(4096)?, device.buffer(4096)?);
        store.fill(&Batch::new().store(target.address, 21).end().0);
        let after = device.context(&[engine], None)?;
        after.submit(0, &store, &[&target])?;
        finish(&target)?;
        ensure!(target.memory.read(0) == 21, "{} is dead after its reset", engine.name());
        await_record().with_context(|| engine.name())?;
    }
    Ok(())
}

pub(super) fn innocent_survives(device: &Device) -> Result<()> {
    let engine = Engine::RENDER;
    let _hurry = Hurry::engine(engine)?;
    let guilty = device.context(&[engine], None)?;
    let innocent = device.context(&[engine], None)?;
    innocent.set(param::PERSISTENCE, 1)?;
    let (target, spin, store) = (device.buffer(4096)?, device.buffer(4096)?, device.buffer(4096)?);
    spin.fill(&Batch::new().jump(spin.address).0);
    store.fill(&Batch::new().store(target.address, 22).end().0);
    guilty.submit(0, &spin, &[])?;
    innocent.submit(0, &store, &[&target])?;
    finish(&target)?;
    ensure!(target.memory.read(0) == 22, "the innocent one's work is lost: {:#x}", target.memory.read(0));
    ensure!(guilty.reset_stats()?.active == 1, "guilty: {:?}", guilty.reset_stats()?);
    ensure!(innocent.reset_stats()?.active == 0, "innocent: {:?}", innocent.reset_stats()?);
    await_record()
}

/// What ran before has left nothing behind that makes Linux more patient or less.
pub(super) fn settings_are_linux_own(device: &Device) -> Result<()> {
    for engine in device.engines()? {
        for name in SETTINGS {
            let path = setting(engine, name);
            let found = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let own = fs::read_to_string(setting(engine, &format!(".defaults/{name}")))?;
            ensure!(found == own, "{}: {}, not {}", path.display(), found.trim(), own.trim());
        }
    }
    Ok(())
}
