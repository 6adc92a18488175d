// SPDX-License-Identifier: BSD-2-Clause
//! Contexts and their address spaces.

use std::io;

use anyhow::{Context as _, Result, ensure};

use super::batch::Batch;
use super::finish;
use crate::i915::{Device, Engine, param};

/// Demands this error number.
fn refused<T>(what: &str, result: io::Result<T>, expected: i32) -> Result<()> {
    let found = result.err().map(|error| error.raw_os_error());
    ensure!(found == Some(Some(expected)), "{what} ended with {found:?}, not error {expected}");
    Ok(())
}

pub(super) fn life(device: &Device) -> Result<()> {
    let id = {
        let contexts: Vec<_> =
            (0..50).map(|_| device.context(&[Engine::RENDER], None)).collect::<Result<_>>()?;
        let mut ids: Vec<_> = contexts.iter().map(|context| context.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ensure!(ids.len() == contexts.len() && ids[0] != 0, "ids {ids:?}");
        ids[0]
    };
    refused("destroying a context again", device.destroy_context(id), libc::ENOENT)?;
    refused("destroying the default context", device.destroy_context(0), libc::ENOENT)
}

pub(super) fn separate_address_spaces(device: &Device) -> Result<()> {
    let first = device.context(&[Engine::RENDER], None)?;
    let second = device.context(&[Engine::RENDER], None)?;
    ensure!(first.get(param::GTT_SIZE)? == 1 << 48, "{:#x} bytes", first.get(param::GTT_SIZE)?);
    // One address, two buffers: each context writes its own.
    let mut targets = [device.buffer(4096)?, device.buffer(4096)?];
    targets[1].address = targets[0].address;
    for (index, context) in [&first, &second].into_iter().enumerate() {
        let commands = device.buffer(4096)?;
        let value = 100 + u32::try_from(index)?;
        commands.fill(&Batch::new().store(targets[index].address, value).end().0);
        context.submit(0, &commands, &[&targets[index]])?;
    }
    for (target, expected) in targets.iter().zip([100, 101]) {
        finish(target)?;
        ensure!(target.memory.read(0) == expected, "{} instead of {expected}", target.memory.read(0));
    }
    Ok(())
}

pub(super) fn shared_address_space(device: &Device) -> Result<()> {
    let vm = device.create_vm().context("vm create")?;
    let writer = device.context(&[Engine::RENDER], Some(vm))?;
    let other = device.context(&[Engine::COPY], Some(vm))?;
    let target = device.buffer(4096)?;
    let commands = device.buffer(4096)?;
    commands.fill(&Batch::new().store(target.address, 7).end().0);
    writer.submit(0, &commands, &[&target])?;
    finish(&target)?;
    // The other one does not name the target: it is bound in the address space that both have.
    let commands = device.buffer(4096)?;
    commands.fill(&Batch::new().store(target.address + 4, 8).end().0);
    other.submit(0, &commands, &[])?;
    finish(&commands)?;
    ensure!(target.memory.read(0) == 7 && target.memory.read(1) == 8, "not both wrote");
    // The parameter reads back as a new name of the same.
    let name = u32::try_from(writer.get(param::VM).context("get VM")?)?;
    device.destroy_vm(name).context("destroying the name that was read")?;
    device.destroy_vm(vm).context("destroying the first name")?;
    refused("destroying it again", device.destroy_vm(vm), libc::ENOENT)
}

pub(super) fn clone_is_refused(device: &Device) -> Result<()> {
    let source = device.context(&[Engine::RENDER], None)?;
    refused("clone", device.cloned(&source), libc::EINVAL)
}

pub(super) fn priorities(device: &Device) -> Result<()> {
    /// As `context_param` holds a negative one.
    const LOWEST: u64 = 0_u64.wrapping_sub(1023);
    let context = device.context(&[Engine::RENDER], None)?;
    for priority in [0, 1023, LOWEST, 512] {
        context.set(param::PRIORITY, priority)?;
        ensure!(context.get(param::PRIORITY)? == priority, "{:#x}", context.get(param::PRIORITY)?);
    }
    refused("priority 1024", context.set(param::PRIORITY, 1024), libc::EINVAL)?;
    ensure!(context.get(param::PRIORITY)? == 512, "a refused priority was taken");
    Ok(())
}
