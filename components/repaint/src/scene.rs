// SPDX-License-Identifier: BSD-2-Clause
//! One frame after the other, each different from the ones before in every pixel: a list of rectangles that the GPU
//! fills, of which the last one that covers a pixel decides its colour.

use gpu_client::blit::Rectangle;

/// Pixels in a row, and rows.
pub(crate) const SIDE: u32 = 128;
/// Rectangles of a frame.
pub(crate) const RECTANGLES: usize = 12;

/// The rectangles of frame `number` of the client that has this `place`.
pub(crate) fn frame(number: u64, place: u64) -> [(Rectangle, u32); RECTANGLES] {
    core::array::from_fn(|index| {
        let word = mix(number << 16 | place << 8 | index as u64);
        // CAST: masked.
        #[allow(clippy::cast_possible_truncation)]
        let byte = |shift: u32| (word >> shift) as u32 & 0x7f;
        // The frame's number is in each colour, so that no pixel stays as it was.
        // CAST: masked.
        #[allow(clippy::cast_possible_truncation)]
        let colour = 0xff00_0000 | (word >> 40) as u32 & 0x00f8_f8f8 | stamp(number);
        let whole = Rectangle { x0: 0, y0: 0, x1: SIDE, y1: SIDE };
        if index == 0 {
            return (whole, colour);
        }
        let (x0, y0) = (byte(0) * 3 / 4, byte(7) * 3 / 4);
        let (x1, y1) = ((x0 + 8 + byte(14) / 2).min(SIDE), (y0 + 8 + byte(21) / 2).min(SIDE));
        (Rectangle { x0, y0, x1, y1 }, colour)
    })
}

/// Nine bits of a frame's number, three in each part of a colour.
const fn stamp(number: u64) -> u32 {
    // CAST: masked.
    #[allow(clippy::cast_possible_truncation)]
    let number = number as u32;
    number & 7 | (number >> 3 & 7) << 8 | (number >> 6 & 7) << 16
}

/// The finaliser of SplitMix64.
const fn mix(word: u64) -> u64 {
    let mut mixed = word.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

/// What pixel (x, y) must be.
pub(crate) fn expected(rectangles: &[(Rectangle, u32)], x: u32, y: u32) -> u32 {
    let covers = |r: &Rectangle| x >= r.x0 && x < r.x1 && y >= r.y0 && y < r.y1;
    rectangles.iter().rev().find(|(rectangle, _)| covers(rectangle)).map_or(0, |(_, colour)| *colour)
}
