// SPDX-License-Identifier: BSD-2-Clause
//! What an engine writes to memory.

use anyhow::{Result, bail, ensure};

use super::batch::Batch;
use super::finish;
use crate::i915::{Device, Engine};
use crate::sys::Mapping;

/// General-purpose register 0 of the render engine, 64 bits; the next one is 8 bytes further (PRM: CS_GPR).
const RENDER_GPR: u32 = 0x2600;
/// The render engine's TIMESTAMP.
const RENDER_TIMESTAMP: u32 = 0x2358;

pub(super) fn every_engine(device: &Device) -> Result<()> {
    let engines = device.engines()?;
    ensure!(engines.len() >= 4, "only {} engines: {engines:?}", engines.len());
    let context = device.context(&engines, None)?;
    for (slot, engine) in (0_u64..).zip(&engines) {
        let target = device.buffer(4096)?;
        let batch = device.buffer(4096)?;
        let value = 0xc0de_0000 | u32::try_from(slot)?;
        batch.fill(&Batch::new().store(target.address + 8, value).end().0);
        context.submit(slot, &batch, &[&target])?;
        finish(&target)?;
        let memory: Vec<_> = (0..4).map(|dword| target.memory.read(dword)).collect();
        ensure!(memory == [0, 0, value, 0], "{} left {memory:x?}", engine.name());
    }
    Ok(())
}

pub(super) fn chain(device: &Device) -> Result<()> {
    let engines = super::unparsed(device)?;
    let context = device.context(&engines, None)?;
    for (slot, engine) in (0_u64..).zip(&engines) {
        let target = device.buffer(4096)?;
        let last = device.buffer(4096)?;
        let middle = device.buffer(4096)?;
        let first = device.buffer(4096)?;
        last.fill(&Batch::new().store(target.address + 8, 3).end().0);
        middle.fill(&Batch::new().store(target.address + 4, 2).jump(last.address).0);
        first.fill(&Batch::new().store(target.address, 1).jump(middle.address).0);
        context.submit(slot, &first, &[&target, &middle, &last])?;
        finish(&target)?;
        let memory: Vec<_> = (0..4).map(|dword| target.memory.read(dword)).collect();
        ensure!(memory == [1, 2, 3, 0], "{} left {memory:x?}", engine.name());
    }
    Ok(())
}

pub(super) fn many_empty_batches(device: &Device) -> Result<()> {
    const COUNT: usize = 1000;
    let engines = device.engines()?;
    let context = device.context(&engines, None)?;
    let batch = device.buffer(4096)?;
    batch.fill(&Batch::new().end().0);
    for slot in (0..u64::try_from(engines.len())?).cycle().take(COUNT) {
        context.submit(slot, &batch, &[])?;
    }
    finish(&batch)?;
    ensure!(!batch.busy()?, "waited for, and still busy");
    Ok(())
}

pub(super) fn arithmetic(device: &Device) -> Result<()> {
    /// MI_MATH: load SRCA and SRCB from R0 and R1, add or subtract, store the accumulator to R2 (PRM: ALU opcodes).
    const LOAD_A_R0: u32 = 0x080 << 20 | 0x20 << 10;
    const LOAD_B_R1: u32 = 0x080 << 20 | 0x21 << 10 | 1;
    const ADD: u32 = 0x100 << 20;
    const SUBTRACT: u32 = 0x101 << 20;
    const STORE_R2: u32 = 0x180 << 20 | 2 << 10 | 0x31;
    const LEFT: u64 = 0x1_ffff_fff0;
    const RIGHT: u64 = 0x2_0000_0020;
    let context = device.context(&[Engine::RENDER], None)?;
    for (operation, expected) in [(ADD, LEFT.wrapping_add(RIGHT)), (SUBTRACT, LEFT.wrapping_sub(RIGHT))] {
        let target = device.buffer(4096)?;
        let commands = device.buffer(4096)?;
        let mut batch = Batch::new();
        for (register, value) in [(RENDER_GPR, LEFT), (RENDER_GPR + 8, RIGHT)] {
            batch = batch.load_register(register, u32::try_from(value & 0xffff_ffff)?);
            batch = batch.load_register(register + 4, u32::try_from(value >> 32)?);
        }
        batch = batch.math(&[LOAD_A_R0, LOAD_B_R1, operation, STORE_R2]);
        batch = batch.store_register(RENDER_GPR + 16, target.address);
        batch = batch.store_register(RENDER_GPR + 20, target.address + 4);
        commands.fill(&batch.end().0);
        context.submit(0, &commands, &[&target])?;
        finish(&target)?;
        let result = u64::from(target.memory.read(0)) | u64::from(target.memory.read(1)) << 32;
        ensure!(result == expected, "{LEFT:#x} and {RIGHT:#x} became {result:#x}, not {expected:#x}");
    }
    Ok(())
}

pub(super) fn registers_across_switches(device: &Device) -> Result<()> {
    const REGISTERS: u32 = 16;
    let contexts = [device.context(&[Engine::RENDER], None)?, device.context(&[Engine::RENDER], None)?];
    let value = |who: u32, register: u32| 0x5a00_0000 | who << 16 | register;
    for (who, context) in (1..).zip(&contexts) {
        let commands = device.buffer(4096)?;
        let load =
            |batch: Batch, register| batch.load_register(RENDER_GPR + 8 * register, value(who, register));
        commands.fill(&(0..REGISTERS).fold(Batch::new(), load).end().0);
        context.submit(0, &commands, &[])?;
        finish(&commands)?;
    }
    for (who, context) in (1..).zip(&contexts) {
        let target = device.buffer(4096)?;
        let commands = device.buffer(4096)?;
        let store = |batch: Batch, register: u32| {
            batch.store_register(RENDER_GPR + 8 * register, target.address + 4 * u64::from(register))
        };
        commands.fill(&(0..REGISTERS).fold(Batch::new(), store).end().0);
        context.submit(0, &commands, &[&target])?;
        finish(&target)?;
        for (index, register) in (0..REGISTERS).enumerate() {
            let (found, expected) = (target.memory.read(index), value(who, register));
            ensure!(found == expected, "context {who}, register {register}: {found:#x}, not {expected:#x}");
        }
    }
    Ok(())
}

pub(super) fn clock(device: &Device) -> Result<()> {
    let context = device.context(&[Engine::RENDER], None)?;
    let target = device.buffer(4096)?;
    for place in [0, 4] {
        let commands = device.buffer(4096)?;
        let batch = Batch::new().store_register(RENDER_TIMESTAMP, target.address + place);
        commands.fill(&batch.end().0);
        context.submit(0, &commands, &[&target])?;
        finish(&target)?;
    }
    let (before, after) = (target.memory.read(0), target.memory.read(1));
    ensure!(after.wrapping_sub(before).cast_signed() > 0, "it read {before:#x}, then {after:#x}");
    Ok(())
}

pub(super) fn userptr(device: &Device) -> Result<()> {
    let engines = device.engines()?;
    let context = device.context(&engines, None)?;
    let target = device.userptr(Mapping::anonymous(3 * 4096)?, 0)?;
    for (slot, engine) in (0_u64..).zip(&engines) {
        let commands = device.buffer(4096)?;
        // In the second and third page, so that their order matters.
        let places = [4096 + 8 * slot, 2 * 4096 + 8 * slot];
        let value = 0xabcd_0000 | u32::try_from(slot)?;
        let store = |batch: Batch, place: &u64| batch.store(target.address + place, value);
        commands.fill(&places.iter().fold(Batch::new(), store).end().0);
        context.submit(slot, &commands, &[&target])?;
        finish(&target)?;
        for place in places {
            let found = target.memory.read(usize::try_from(place / 4)?);
            ensure!(found == value, "{} left {found:#x} at {place:#x}", engine.name());
        }
    }
    ensure!((0..1024).all(|dword| target.memory.read(dword) == 0), "the first page was written");
    Ok(())
}

pub(super) fn userptr_refusals(device: &Device) -> Result<()> {
    /// PROBE: look whether there are pages.
    const PROBE: u32 = 2;
    let mut flags = vec![(1 << 5, Some(libc::EINVAL)), (0, None), (PROBE, None)];
    // UNSYNCHRONIZED is gone.
    flags.push((1 << 31, Some(libc::ENODEV)));
    for (flags, expected) in flags {
        let found = match device.userptr(Mapping::anonymous(4096)?, flags) {
            Ok(_) => None,
            Err(error) => error.raw_os_error(),
        };
        if found != expected {
            bail!("flags {flags:#x} ended with {found:?}, not {expected:?}");
        }
    }
    Ok(())
}
