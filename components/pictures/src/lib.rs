// SPDX-License-Identifier: BSD-2-Clause
//! The pictures of the demonstrations that compose: as steps, which a domain turns into blitter commands, and as pixels,
//! which the host computes by itself and compares with what the GPU left in memory.
//!
//! A step either fills a rectangle of the target or copies one from a source that somebody else has made:
//!
//! | picture | target | source |
//! | --- | --- | --- |
//! | [`share`] | the compositor's, 640x480 | the artist's tile, painted by the GPU, too |
//! | [`stream`] | 320x240, one for each of two buffers | the frame that the CPU has drawn |
#![no_std]
#![forbid(unsafe_code)]

pub mod share;
pub mod stream;

use gpu_client::blit::{BlitError, Commands, Rectangle, Surface};

/// Bytes of a pixel: 0xAARRGGBB, little-endian.
pub const PIXEL: usize = 4;

/// One step of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A rectangle of the target in one colour.
    Fill(Rectangle, u32),
    /// A rectangle of the source, to this place (left, top) of the target.
    Copy(Rectangle, u32, u32),
}

impl Step {
    /// Emits the blitter command.
    ///
    /// # Errors
    /// [`BlitError`] for a step outside its surfaces, or when there is no room.
    pub fn emit(
        self,
        commands: &mut Commands<'_>,
        target: Surface,
        source: Surface,
    ) -> Result<(), BlitError> {
        match self {
            Self::Fill(rectangle, colour) => commands.fill(target, rectangle, colour),
            Self::Copy(rectangle, x, y) => commands.copy(target, x, y, source, rectangle),
        }
    }

    /// Does the same with a CPU. Steps outside the pictures do nothing there.
    pub fn apply(self, target: &mut Pixels<'_>, source: &Pixels<'_>) {
        match self {
            Self::Fill(Rectangle { x0, y0, x1, y1 }, colour) => {
                for (x, y) in (y0..y1).flat_map(|y| (x0..x1).map(move |x| (x, y))) {
                    target.set(x, y, colour);
                }
            }
            Self::Copy(Rectangle { x0, y0, x1, y1 }, left, top) => {
                for (x, y) in (y0..y1).flat_map(|y| (x0..x1).map(move |x| (x, y))) {
                    target.set(left + x - x0, top + y - y0, source.get(x, y));
                }
            }
        }
    }
}

/// Pixels in a CPU's memory, row after row.
#[derive(Debug)]
pub struct Pixels<'a> {
    pixels: &'a mut [u32],
    width: u32,
}

impl<'a> Pixels<'a> {
    /// Pixels in rows of `width`.
    pub fn new(pixels: &'a mut [u32], width: u32) -> Self {
        Self { pixels, width }
    }

    fn index(&self, x: u32, y: u32) -> Option<usize> {
        (x < self.width).then_some(y as usize * self.width as usize + x as usize)
    }

    fn get(&self, x: u32, y: u32) -> u32 {
        self.index(x, y).and_then(|index| self.pixels.get(index)).copied().unwrap_or(0)
    }

    fn set(&mut self, x: u32, y: u32, colour: u32) {
        if let Some(pixel) = self.index(x, y).and_then(|index| self.pixels.get_mut(index)) {
            *pixel = colour;
        }
    }
}

/// A rectangle by its place and its size.
const fn rectangle(x: u32, y: u32, width: u32, height: u32) -> Rectangle {
    Rectangle { x0: x, y0: y, x1: x + width, y1: y + height }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashSet;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    /// What a CPU makes of the steps; that the builder takes each of them; how many bytes they are.
    fn check(steps: impl Iterator<Item = Step>, target: (u32, u32), source: (u32, u32)) -> (Vec<u32>, u32) {
        let (mut pixels, mut from) = (
            vec![0; (target.0 * target.1) as usize],
            (0..source.0 * source.1).map(|pixel| 0x5000_0000 | pixel).collect::<Vec<_>>(),
        );
        let surface =
            |(width, height): (u32, u32), address| Surface { address, pitch: width * 4, width, height };
        let (target_surface, source_surface) = (surface(target, 0x10_0000), surface(source, 0x100_0000));
        let mut dwords = vec![0; 2048];
        let mut commands = Commands::new(&mut dwords);
        let source = Pixels::new(&mut from, source.0);
        let mut picture = Pixels::new(&mut pixels, target.0);
        for step in steps {
            step.emit(&mut commands, target_surface, source_surface).unwrap();
            step.apply(&mut picture, &source);
        }
        let bytes = commands.finish().unwrap();
        (pixels, bytes)
    }

    #[test]
    fn every_pixel_of_every_picture_is_painted_and_the_commands_fit() {
        let (tile, bytes) = check(share::tile(), (share::TILE_WIDTH, share::TILE_HEIGHT), (1, 1));
        assert!(bytes <= 8192 && !tile.contains(&0), "{bytes}");
        let tile_size = (share::TILE_WIDTH, share::TILE_HEIGHT);
        let (picture, bytes) = check(share::composed(), (share::WIDTH, share::HEIGHT), tile_size);
        assert!(bytes <= 8192 && !picture.contains(&0), "{bytes}");
        for number in [0, 1, 2, 59, 60, 1000] {
            let size = (stream::SOURCE_WIDTH, stream::SOURCE_HEIGHT);
            let (frame, bytes) = check(stream::composed(number), (stream::WIDTH, stream::HEIGHT), size);
            assert!(bytes <= 4000 && !frame.contains(&0), "{bytes}");
        }
    }

    #[test]
    fn all_of_the_source_is_somewhere_in_a_composed_picture() {
        let size = (share::TILE_WIDTH, share::TILE_HEIGHT);
        let (picture, _) = check(share::composed(), (share::WIDTH, share::HEIGHT), size);
        let seen: HashSet<u32> = picture.into_iter().collect();
        assert!((0..size.0 * size.1).all(|pixel| seen.contains(&(0x5000_0000 | pixel))));
        let size = (stream::SOURCE_WIDTH, stream::SOURCE_HEIGHT);
        let (picture, _) = check(stream::composed(7), (stream::WIDTH, stream::HEIGHT), size);
        let seen: HashSet<u32> = picture.into_iter().collect();
        assert!((0..size.0 * size.1).all(|pixel| seen.contains(&(0x5000_0000 | pixel))));
    }

    #[test]
    fn a_frame_of_the_stream_differs_from_the_ones_before_it() {
        let mut frames = HashSet::new();
        for number in 0..stream::FRAMES {
            let mut pixels = vec![0_u32; (stream::WIDTH * stream::HEIGHT) as usize];
            stream::expected(number, &mut pixels);
            assert!(frames.insert(pixels), "frame {number} has been there before");
        }
    }

    #[test]
    fn steps_outside_the_pictures_do_nothing() {
        let (mut pixels, mut from) = ([7; 4], [9; 1]);
        let mut target = Pixels::new(&mut pixels, 2);
        Step::Fill(rectangle(1, 1, 5, 5), 1).apply(&mut target, &Pixels::new(&mut from, 1));
        assert_eq!(pixels, [7, 7, 7, 1]);
    }
}
