// SPDX-License-Identifier: BSD-2-Clause
//! The raster part of the blitter: rows of pixels, raster operations, write enables, overlap.
//!
//! A row is read, combined and written as a whole, so that source and destination may overlap inside a row. Rows
//! go from top to bottom, or from bottom to top where one surface is moved down over itself. After every row the
//! budget is checked; the row number is part of the stream's state, so that a blit continues in a later step.

use super::super::bus::CommandBus;
use super::super::exec::{Exec, Result, Stop};
use super::surface::Surface;

/// Bytes of a row that cost one unit of budget.
const BYTES_PER_UNIT: usize = 64;

/// Raster operation codes that need no evaluation (BR13 [23:16]; PRM vol 2a).
pub(super) const ROP_PATTERN: u8 = 0xf0;
pub(super) const ROP_SOURCE: u8 = 0xcc;

/// A rectangle; right and lower edge are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x1: i64,
    pub(super) y1: i64,
    pub(super) x2: i64,
    pub(super) y2: i64,
}

impl Rect {
    /// Width and height, 0 where the edges are not in order.
    pub(super) fn size(&self) -> (usize, u32) {
        let width = usize::try_from(self.x2 - self.x1).unwrap_or(0);
        let height = u32::try_from(self.y2 - self.y1).unwrap_or(0);
        if width == 0 || height == 0 { (0, 0) } else { (width, height) }
    }

    /// The common part.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        Self {
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
            x2: self.x2.min(other.x2),
            y2: self.y2.min(other.y2),
        }
    }

    pub(super) fn intersects(&self, other: &Self) -> bool {
        self.intersection(other).size() != (0, 0)
    }
}

/// Source of a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) surface: Surface,
    /// Pixel that goes to the left upper corner of the destination rectangle.
    pub(super) x: i64,
    pub(super) y: i64,
}

/// One blit, fully decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blit {
    pub(super) destination: Surface,
    pub(super) rect: Rect,
    /// Bytes per pixel, 1 to 16.
    pub(super) bytes: usize,
    pub(super) rop: u8,
    /// Bytes of each pixel that are written, by byte.
    pub(super) enabled: [bool; 16],
    /// Solid pattern colour.
    pub(super) colour: u32,
    pub(super) source: Option<Source>,
}

/// The truth table of a raster operation: entry `4 * pattern + 2 * source + destination`, as all ones or zeros.
type TruthTable = [u64; 8];

fn truth_table(code: u8) -> TruthTable {
    std::array::from_fn(|index| if code & 1 << index != 0 { u64::MAX } else { 0 })
}

/// Evaluates a raster operation bit by bit, as a tree of selections with one input a level.
#[inline]
fn evaluate(table: &TruthTable, pattern: u64, source: u64, destination: u64) -> u64 {
    let select = |input: u64, zero: u64, one: u64| zero ^ input & (zero ^ one);
    let [a, b, c, d, e, f, g, h] = *table;
    let by_source = |a, b, c, d| select(source, select(destination, a, b), select(destination, c, d));
    select(pattern, by_source(a, b, c, d), by_source(e, f, g, h))
}

/// Does the result depend on the destination, the source, the pattern?
pub(super) const fn uses_destination(code: u8) -> bool {
    code & 0x55 != code >> 1 & 0x55
}
pub(super) const fn uses_source(code: u8) -> bool {
    code & 0x33 != code >> 2 & 0x33
}
pub(super) const fn uses_pattern(code: u8) -> bool {
    code & 0x0f != code >> 4
}

impl Blit {
    /// Draws the rows that are left.
    pub(super) fn run<B: CommandBus + ?Sized>(&self, exec: &mut Exec<'_, B>) -> Result<()> {
        let (width, height) = self.rect.size();
        let length = width * self.bytes;
        let partial = !self.enabled[..self.bytes].iter().all(|&enabled| enabled);
        let combines = partial || !matches!(self.rop, ROP_PATTERN | ROP_SOURCE);
        let need_destination = partial || uses_destination(self.rop);
        let need_source = uses_source(self.rop);
        // Rows of zeros stand for operands that the operation does not have.
        let sized = |needed: bool| vec![0; if needed { length } else { 0 }];
        let pattern = if uses_pattern(self.rop) { self.pattern(length) } else { sized(combines) };
        let mask = if combines { self.write_mask(length) } else { Vec::new() };
        let mut source_row = sized(combines || need_source);
        let mut row = sized(combines);
        let upwards = self.upwards();
        let byte_x = |x: i64| x * i64::try_from(self.bytes).unwrap_or(1);

        let first = exec.state.blit_row;
        let mut done = first;
        while done < height {
            // At least one row in each step, or a small budget would never get further than the header.
            if exec.budget == 0 && done > first {
                exec.state.blit_row = done;
                return Err(Stop::Budget);
            }
            exec.budget = exec.budget.saturating_sub(1 + (length / BYTES_PER_UNIT) as u64);
            let line = i64::from(if upwards { height - 1 - done } else { done });
            // A fault in this row leaves the rows before it done.
            exec.state.blit_row = done;
            if let Some(source) = self.source.as_ref().filter(|_| need_source) {
                source.surface.read(exec, byte_x(source.x), source.y + line, &mut source_row)?;
            }
            let (x, y) = (byte_x(self.rect.x1), self.rect.y1 + line);
            if need_destination {
                self.destination.read(exec, x, y, &mut row)?;
            }
            if combines {
                self.combine(&pattern, &source_row, &mask, &mut row);
            }
            let result = match self.rop {
                _ if combines => &row,
                ROP_PATTERN => &pattern,
                _ => &source_row,
            };
            self.destination.write(exec, x, y, result)?;
            done += 1;
        }
        exec.state.blit_row = 0;
        Ok(())
    }

    /// One row of the solid pattern.
    fn pattern(&self, length: usize) -> Vec<u8> {
        let colour = self.colour.to_le_bytes();
        let mut row = vec![0; length];
        for (byte, value) in row.iter_mut().zip(colour[..self.bytes.min(4)].iter().cycle()) {
            *byte = *value;
        }
        row
    }

    /// Bytes of a row that are written, as 0xff.
    fn write_mask(&self, length: usize) -> Vec<u8> {
        let enabled = self.enabled[..self.bytes].iter().map(|&enabled| if enabled { 0xff } else { 0 });
        enabled.cycle().take(length).collect()
    }

    /// Combines pattern, source and destination into `row`, which holds the destination, where `mask` is set. The
    /// slices are as long as `row`.
    fn combine(&self, pattern: &[u8], source: &[u8], mask: &[u8], row: &mut [u8]) {
        let table = truth_table(self.rop);
        let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let (words, rest) = row.as_chunks_mut::<8>();
        let (patterns, sources, masks) =
            (pattern.as_chunks::<8>(), source.as_chunks::<8>(), mask.as_chunks::<8>());
        let inputs = patterns.0.iter().zip(sources.0).zip(masks.0);
        for (out, ((pattern, source), mask)) in words.iter_mut().zip(inputs) {
            let (destination, mask) = (word(out), word(mask));
            let result = evaluate(&table, word(pattern), word(source), destination);
            *out = (destination ^ mask & (destination ^ result)).to_le_bytes();
        }
        let inputs = patterns.1.iter().zip(sources.1).zip(masks.1);
        for (out, ((&pattern, &source), &mask)) in rest.iter_mut().zip(inputs) {
            let [result, ..] = evaluate(&table, pattern.into(), source.into(), u64::from(*out)).to_le_bytes();
            *out ^= mask & (*out ^ result);
        }
    }

    /// Moving a surface down over itself goes from the last row to the first.
    fn upwards(&self) -> bool {
        self.source.is_some_and(|source| source.surface == self.destination && self.rect.y1 > source.y)
    }
}

#[cfg(test)]
mod tests {
    use super::{evaluate, truth_table, uses_destination, uses_pattern, uses_source};

    fn rop3(code: u8, pattern: u64, source: u64, destination: u64) -> u64 {
        evaluate(&truth_table(code), pattern, source, destination)
    }

    #[test]
    fn the_well_known_raster_operations_do_what_their_names_say() {
        let (p, s, d) = (0b1111_0000, 0b1100_1100, 0b1010_1010);
        assert_eq!(rop3(0xf0, p, s, d), p);
        assert_eq!(rop3(0xcc, p, s, d), s);
        assert_eq!(rop3(0xaa, p, s, d), d);
        assert_eq!(rop3(0x00, p, s, d), 0);
        assert_eq!(rop3(0xff, p, s, d), u64::MAX);
        assert_eq!(rop3(0x66, p, s, d), s ^ d);
        assert_eq!(rop3(0x5a, p, s, d), p ^ d);
        assert_eq!(rop3(0x88, p, s, d), s & d);
        assert_eq!(rop3(0xee, p, s, d), s | d);
        assert_eq!(rop3(0x55, p, s, d), !d);
        assert_eq!(rop3(0x96, p, s, d), p ^ s ^ d);
    }

    #[test]
    fn dependence_of_a_raster_operation_agrees_with_its_values() {
        for code in 0..=255 {
            let differs = |change: fn(u64, u64, u64) -> (u64, u64, u64)| {
                let (p, s, d) = (0xf0, 0xcc, 0xaa);
                let (p2, s2, d2) = change(p, s, d);
                rop3(code, p, s, d) & 0xff != rop3(code, p2, s2, d2) & 0xff
            };
            assert_eq!(uses_pattern(code), differs(|p, s, d| (!p, s, d)), "{code:#x}");
            assert_eq!(uses_source(code), differs(|p, s, d| (p, !s, d)), "{code:#x}");
            assert_eq!(uses_destination(code), differs(|p, s, d| (p, s, !d)), "{code:#x}");
        }
    }
}
