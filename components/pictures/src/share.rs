// SPDX-License-Identifier: BSD-2-Clause
//! One domain's tile, and the picture that another one composes of it.

use crate::{Pixels, Step, rectangle};

/// Pixels in a row of the tile.
pub const TILE_WIDTH: u32 = 160;
/// Its rows.
pub const TILE_HEIGHT: u32 = 120;
/// Pixels in a row of the picture.
pub const WIDTH: u32 = 640;
/// Its rows.
pub const HEIGHT: u32 = 480;

/// Rings of the tile's target.
const RINGS: u32 = 12;
/// Bands of the backdrop.
const BANDS: u32 = 24;
/// Left and top of each copy of the tile.
const PLACES: [(u32, u32); 7] =
    [(40, 40), (240, 40), (440, 40), (140, 180), (340, 180), (40, 320), (440, 320)];
/// A part of the tile, and where it is repeated.
const MIDDLE: (u32, u32, u32, u32) = (40, 30, 80, 60);
const MIDDLE_PLACES: [(u32, u32); 2] = [(240, 350), (320, 350)];

/// The artist's tile: rings in one another, and squares in its corners.
pub fn tile() -> impl Iterator<Item = Step> {
    let rings = (0..RINGS).map(|ring| {
        let (x, y) = (ring * 6, ring * 5);
        let colour =
            if ring % 2 == 0 { 0xff12_2a4a + ring * 0x0012_0a04 } else { 0xfff2_b134 - ring * 0x0004_0602 };
        Step::Fill(rectangle(x, y, TILE_WIDTH - 2 * x, TILE_HEIGHT - 2 * y), colour)
    });
    let corners = [(2, 2), (TILE_WIDTH - 10, 2), (2, TILE_HEIGHT - 10), (TILE_WIDTH - 10, TILE_HEIGHT - 10)];
    let corners = (0_u32..).zip(corners).map(|(number, (x, y))| {
        let colour = 0xffd0_3030 + number * 0x0000_2830;
        Step::Fill(rectangle(x, y, 8, 8), colour)
    });
    rings.chain(corners)
}

/// The compositor's picture: a backdrop, shadows, the tile in seven places, and a part of it in two more.
pub fn composed() -> impl Iterator<Item = Step> {
    let height = HEIGHT / BANDS;
    let bands = (0..BANDS).map(move |band| {
        let colour = 0xff00_0000 | (16 + band * 4) << 16 | (40 + band * 5) << 8 | (70 + band * 3);
        Step::Fill(rectangle(0, band * height, WIDTH, height), colour)
    });
    let tiles = PLACES.into_iter().flat_map(|(x, y)| {
        let shadow = Step::Fill(rectangle(x + 8, y + 8, TILE_WIDTH, TILE_HEIGHT), 0xff0a_141e);
        [shadow, Step::Copy(rectangle(0, 0, TILE_WIDTH, TILE_HEIGHT), x, y)]
    });
    let (x, y, width, height) = MIDDLE;
    let middles = MIDDLE_PLACES
        .into_iter()
        .map(move |(left, top)| Step::Copy(rectangle(x, y, width, height), left, top));
    bands.chain(tiles).chain(middles)
}

/// Computes the composed picture: `pixels` has [`WIDTH`] times [`HEIGHT`] of them, `scratch` as many as the tile.
pub fn expected(pixels: &mut [u32], scratch: &mut [u32]) {
    let mut drawn = Pixels::new(scratch, TILE_WIDTH);
    for step in tile() {
        step.apply(&mut drawn, &Pixels::new(&mut [], 0));
    }
    let mut picture = Pixels::new(pixels, WIDTH);
    for step in composed() {
        step.apply(&mut picture, &drawn);
    }
}
