// SPDX-License-Identifier: BSD-2-Clause
//! The picture: a night, painted before the hang, and a sunrise, painted after it. The GPU executes the rectangles,
//! and [`expected`] says for one pixel what must come out, without looking at what the GPU did.

use gpu_client::blit::Rectangle;

/// Pixels in a row.
pub(crate) const WIDTH: u32 = 640;
/// Rows.
pub(crate) const HEIGHT: u32 = 480;

/// Where the sky ends.
const HORIZON: u32 = 320;
/// The sun's centre and radius.
const SUN: (u32, u32, u32) = (320, 300, 90);
/// Rows of the sun that one rectangle covers.
const SUN_ROWS: u32 = 4;
/// Most rectangles of a part.
const MAX_RECTANGLES: usize = 96;

/// Rectangles and their colours, 0xAARRGGBB, in order.
#[derive(Debug)]
pub(crate) struct Part {
    rectangles: [(Rectangle, u32); MAX_RECTANGLES],
    len: usize,
}

impl Part {
    const fn new() -> Self {
        Self { rectangles: [(Rectangle { x0: 0, y0: 0, x1: 0, y1: 0 }, 0); MAX_RECTANGLES], len: 0 }
    }

    /// What is before the hang: sky, stars, hills.
    pub(crate) fn night() -> Self {
        let mut part = Self::new();
        let bands = 16;
        let height = HORIZON / bands;
        for band in 0..bands {
            let colour = 0xff00_0000 | (8 + band * 3) << 16 | (10 + band * 2) << 8 | (40 + band * 5);
            part.fill(0, band * height, WIDTH, height, colour);
        }
        for star in 0..40 {
            part.fill(star * 97 % (WIDTH - 3), star * 61 % 200, 2, 2, 0xffe8_e8ff);
        }
        part.fill(0, HORIZON, WIDTH, HEIGHT - HORIZON, 0xff10_1c28);
        part
    }

    /// What is after it: the sun over the horizon, its reflection, a field in its light.
    pub(crate) fn sunrise() -> Self {
        let mut part = Self::new();
        let (x, y, radius) = SUN;
        let mut row = y - radius;
        while row + SUN_ROWS <= HORIZON {
            let distance = y.abs_diff(row + SUN_ROWS / 2);
            let half = (radius * radius).saturating_sub(distance * distance).isqrt();
            if half > 0 {
                part.fill(
                    x - half,
                    row,
                    2 * half,
                    SUN_ROWS,
                    0xffff_d060 - (row - (y - radius)) / SUN_ROWS * 0x200,
                );
            }
            row += SUN_ROWS;
        }
        for line in 0..14 {
            let half = 80 - line * 5;
            part.fill(x - half, HORIZON + 6 + line * 10, 2 * half, 3, 0xffc8_9040 - line * 0x0006_0402);
        }
        part
    }

    fn fill(&mut self, x: u32, y: u32, width: u32, height: u32, colour: u32) {
        if let Some(place) = self.rectangles.get_mut(self.len) {
            *place = (Rectangle { x0: x, y0: y, x1: x + width, y1: y + height }, colour);
            self.len += 1;
        }
    }

    /// The rectangles, in order.
    pub(crate) fn rectangles(&self) -> &[(Rectangle, u32)] {
        self.rectangles.get(..self.len).unwrap_or(&[])
    }

    /// The colour of a pixel, where this part covers it.
    fn colour(&self, x: u32, y: u32) -> Option<u32> {
        let covers = |rectangle: &Rectangle| {
            (rectangle.x0..rectangle.x1).contains(&x) && (rectangle.y0..rectangle.y1).contains(&y)
        };
        let found = self.rectangles().iter().rev().find(|(rectangle, _)| covers(rectangle));
        found.map(|(_, colour)| *colour)
    }
}

/// What pixel (x, y) must be after `parts`, or `before` where none of them painted.
pub(crate) fn expected(parts: &[&Part], x: u32, y: u32, before: u32) -> u32 {
    parts.iter().rev().find_map(|part| part.colour(x, y)).unwrap_or(before)
}
