// SPDX-License-Identifier: BSD-2-Clause
//! What the blitter does with pixels.

use anyhow::{Result, ensure};

use super::batch::{Area, Batch, Surface};
use super::finish;
use crate::i915::{Buffer, Device, Engine};

/// The pictures' shape, in pixels.
const WIDTH: u32 = 128;
const HEIGHT: u32 = 96;

fn picture(device: &Device) -> Result<Buffer<'_>> {
    device.buffer(usize::try_from(WIDTH * HEIGHT * 4)?)
}

fn surface(buffer: &Buffer<'_>) -> Surface {
    Surface { address: buffer.address, pitch: WIDTH * 4 }
}

/// Compares every pixel.
fn compare(buffer: &Buffer<'_>, expected: impl Fn(u32, u32) -> u32) -> Result<()> {
    for (index, (y, x)) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x))).enumerate() {
        let (found, expected) = (buffer.memory.read(index), expected(x, y));
        ensure!(found == expected, "pixel {x}, {y} is {found:#x}, not {expected:#x}");
    }
    Ok(())
}

pub(super) fn fill(device: &Device) -> Result<()> {
    const COLOUR: u32 = 0xff12_3456;
    let context = device.context(&[Engine::COPY], None)?;
    let target = picture(device)?;
    let commands = device.buffer(4096)?;
    let area = Area { left: 5, top: 7, right: 101, bottom: 90 };
    commands.fill(&Batch::new().fill(surface(&target), area, COLOUR).end().0);
    context.submit(0, &commands, &[&target])?;
    finish(&target)?;
    compare(&target, |x, y| if area.contains(x, y) { COLOUR } else { 0 })
}

pub(super) fn copy(device: &Device) -> Result<()> {
    let context = device.context(&[Engine::COPY], None)?;
    let (source, target) = (picture(device)?, picture(device)?);
    let pattern = |x: u32, y: u32| 0x8000_0000 | y << 12 | x;
    for (index, (y, x)) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x))).enumerate() {
        source.memory.write(index, pattern(x, y));
    }
    let commands = device.buffer(4096)?;
    let area = Area { left: 20, top: 30, right: 84, bottom: 62 };
    let (from_x, from_y) = (3, 11);
    let batch = Batch::new().copy(surface(&target), area, surface(&source), (from_x, from_y));
    commands.fill(&batch.end().0);
    context.submit(0, &commands, &[&target, &source])?;
    finish(&target)?;
    let moved = |x: u32, y: u32| pattern(x - area.left + from_x, y - area.top + from_y);
    compare(&target, |x, y| if area.contains(x, y) { moved(x, y) } else { 0 })
}
