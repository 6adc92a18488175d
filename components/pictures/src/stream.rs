// SPDX-License-Identifier: BSD-2-Clause
//! Frames that a CPU draws, and what the GPU composes of each.

use crate::{Pixels, Step, rectangle};

/// Pixels in a row of what the CPU draws.
pub const SOURCE_WIDTH: u32 = 160;
/// Its rows.
pub const SOURCE_HEIGHT: u32 = 120;
/// Pixels in a row of what the GPU composes.
pub const WIDTH: u32 = 320;
/// Its rows.
pub const HEIGHT: u32 = 240;
/// Frames of the stream. An even number, so that the last one is in the second of two buffers.
pub const FRAMES: u32 = 120;

const SOURCE_PIXELS: usize = SOURCE_WIDTH as usize * SOURCE_HEIGHT as usize;

/// The colour of a pixel of the frame that the CPU draws: a pattern that moves by a pixel each frame.
#[must_use]
pub const fn drawn(number: u32, x: u32, y: u32) -> u32 {
    let (across, down) = (x + number, y + 2 * number);
    let checker = ((across / 16) ^ (down / 16)) & 1;
    0xff00_0000 | (across & 0xff) << 16 | (down & 0xff) << 8 | (0x40 + 0x70 * checker)
}

/// What the GPU makes of frame `number`: a frame around it in a colour of its own, the drawn one twice, one over the
/// other, and a bar that tells how far the stream is.
pub fn composed(number: u32) -> impl Iterator<Item = Step> {
    let around = 0xff10_1020 + (number % 64) * 0x0002_0101;
    let whole = rectangle(0, 0, SOURCE_WIDTH, SOURCE_HEIGHT);
    let slide = number % 60;
    let bar = 8 + (WIDTH - 16) * (number % FRAMES + 1) / (FRAMES + 1);
    [
        Step::Fill(rectangle(0, 0, WIDTH, HEIGHT), around),
        Step::Copy(whole, 100 + slide, 50),
        Step::Fill(rectangle(8 + slide, 16, SOURCE_WIDTH + 8, SOURCE_HEIGHT + 8), 0xfff0_f0f0),
        Step::Copy(whole, 12 + slide, 20),
        Step::Fill(rectangle(8, HEIGHT - 24, WIDTH - 16, 12), 0xff40_4040),
        Step::Fill(rectangle(8, HEIGHT - 24, bar - 8, 12), 0xff50_c878),
    ]
    .into_iter()
}

/// Computes the composed frame `number`: `pixels` has [`WIDTH`] times [`HEIGHT`] of them.
pub fn expected(number: u32, pixels: &mut [u32]) {
    let mut frame = [0; SOURCE_PIXELS];
    for (index, pixel) in (0_u32..).zip(&mut frame) {
        *pixel = drawn(number, index % SOURCE_WIDTH, index / SOURCE_WIDTH);
    }
    let source = Pixels::new(&mut frame, SOURCE_WIDTH);
    let mut picture = Pixels::new(pixels, WIDTH);
    for step in composed(number) {
        step.apply(&mut picture, &source);
    }
}
