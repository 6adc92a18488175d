// SPDX-License-Identifier: BSD-2-Clause
//! The picture: a list of operations. The GPU executes it, and [`expected`] says for one pixel what must
//! come out, without looking at what the GPU did.

use gpu_client::blit::Rectangle;

/// Pixels in a row.
pub(crate) const WIDTH: u32 = 640;
/// Rows.
pub(crate) const HEIGHT: u32 = 480;

/// One step of painting.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A rectangle in one colour, 0xAARRGGBB.
    Fill(Rectangle, u32),
    /// A rectangle of what was painted so far, copied to (x, y).
    Copy(Rectangle, u32, u32),
}

/// Most steps that a scene has room for.
const MAX_STEPS: usize = 224;

/// The horizon: above it the town, below it what the copy repeats.
const HORIZON: u32 = 300;
/// Height of the strip that is repeated below the horizon.
const STRIP: u32 = 120;

/// Letters, five by seven, a row a byte, most significant of the five bits left.
const LETTERS: [[u8; 7]; 9] = [
    [0b00000, 0b01111, 0b10000, 0b01110, 0b00001, 0b11110, 0b00000], // s
    [0b00000, 0b01110, 0b10001, 0b11111, 0b10000, 0b01110, 0b00000], // e
    [0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111, 0b00000], // L
    [0b10010, 0b10010, 0b10010, 0b11111, 0b00010, 0b00010, 0b00000], // 4
    [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b00000], // space
    [0b01110, 0b10001, 0b10000, 0b10111, 0b10001, 0b01110, 0b00000], // G
    [0b11110, 0b10001, 0b11110, 0b10000, 0b10000, 0b10000, 0b00000], // P
    [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110, 0b00000], // U
    [0b00100, 0b00100, 0b00100, 0b00100, 0b00000, 0b00100, 0b00000], // !
];

/// Left edge, width and height of each house.
const HOUSES: [(u32, u32, u32); 8] = [
    (20, 70, 90),
    (100, 50, 60),
    (160, 80, 110),
    (250, 60, 75),
    (320, 90, 100),
    (420, 50, 115),
    (480, 70, 70),
    (560, 60, 95),
];

/// The steps, in order.
#[derive(Debug)]
pub(crate) struct Scene {
    steps: [Step; MAX_STEPS],
    len: usize,
}

impl Scene {
    /// Composes the picture.
    pub(crate) fn new() -> Self {
        let nothing = Step::Fill(Rectangle { x0: 0, y0: 0, x1: WIDTH, y1: HEIGHT }, 0xff00_0000);
        let mut scene = Self { steps: [nothing; MAX_STEPS], len: 0 };
        scene.sky();
        scene.fill(510, 40, 70, 70, 0xffff_d27f);
        scene.town();
        scene.push(Step::Copy(
            Rectangle { x0: 0, y0: HORIZON - STRIP, x1: WIDTH, y1: HORIZON },
            0,
            HORIZON + 20,
        ));
        scene.title();
        scene
    }

    /// The steps, in order.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps[..self.len]
    }

    fn push(&mut self, step: Step) {
        if let Some(place) = self.steps.get_mut(self.len) {
            *place = step;
            self.len += 1;
        }
    }

    fn fill(&mut self, x: u32, y: u32, width: u32, height: u32, colour: u32) {
        self.push(Step::Fill(Rectangle { x0: x, y0: y, x1: x + width, y1: y + height }, colour));
    }

    fn sky(&mut self) {
        let bands = 20;
        let height = HORIZON / bands;
        for band in 0..bands {
            let red = 20 + band * 10;
            let green = 24 + band * 6;
            let blue = 80 + band * 4;
            self.fill(0, band * height, WIDTH, height, 0xff00_0000 | red << 16 | green << 8 | blue);
        }
        self.fill(0, HORIZON, WIDTH, HEIGHT - HORIZON, 0xff1b_2a41);
    }

    fn town(&mut self) {
        for (number, (x, width, height)) in (0_u32..).zip(HOUSES) {
            let top = HORIZON - height;
            self.fill(x, top, width, height, 0xff20_2030 + number * 0x0004_0302);
            let mut y = top + 8;
            while y + 10 < HORIZON - 6 {
                let mut column = x + 8;
                while column + 8 < x + width {
                    // Some windows are dark.
                    if (column * 7 + y * 3) % 5 > 1 {
                        self.fill(column, y, 8, 10, 0xffff_e9a0);
                    }
                    column += 20;
                }
                y += 24;
            }
        }
    }

    fn title(&mut self) {
        let scale = 8;
        for (number, letter) in [0_usize, 1, 2, 3, 4, 5, 6, 7, 8].into_iter().enumerate() {
            // CAST: nine letters.
            #[allow(clippy::cast_possible_truncation)]
            let left = 40 + number as u32 * 6 * scale;
            for (row, bits) in (0_u32..).zip(LETTERS[letter]) {
                let mut column = 0;
                while column < 5 {
                    let mut run = 0;
                    while column + run < 5 && bits & (0b10000 >> (column + run)) != 0 {
                        run += 1;
                    }
                    if run > 0 {
                        self.fill(left + column * scale, 60 + row * scale, run * scale, scale, 0xffff_ffff);
                    }
                    column += run.max(1);
                }
            }
        }
    }
}

const fn inside(rectangle: Rectangle, x: u32, y: u32) -> bool {
    x >= rectangle.x0 && x < rectangle.x1 && y >= rectangle.y0 && y < rectangle.y1
}

/// What pixel (x, y) must be after `steps`, or `before` where none of them painted.
pub(crate) fn expected(steps: &[Step], x: u32, y: u32, before: u32) -> u32 {
    let (mut x, mut y) = (x, y);
    for step in steps.iter().rev() {
        match *step {
            Step::Fill(rectangle, colour) if inside(rectangle, x, y) => return colour,
            Step::Copy(source, left, top) => {
                let target = Rectangle {
                    x0: left,
                    y0: top,
                    x1: left + source.x1 - source.x0,
                    y1: top + source.y1 - source.y0,
                };
                if inside(target, x, y) {
                    // From here on the question is what the source pixel was at that time.
                    (x, y) = (source.x0 + x - left, source.y0 + y - top);
                }
            }
            Step::Fill(..) => {}
        }
    }
    before
}
