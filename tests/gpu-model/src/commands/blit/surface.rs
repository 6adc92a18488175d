// SPDX-License-Identifier: BSD-2-Clause
//! Surfaces: where a byte of a row lies in memory.
//!
//! X tiles are 512 bytes by 8 rows, Y tiles 128 bytes by 32 rows in columns of 16 bytes; both fill one 4 KiB page,
//! and tiles follow each other along the pitch. Gen8 and later do not swizzle address bit 6 (Mesa isl, tile
//! dimensions; i915, fence and swizzle detection).

use super::super::bus::{Access, CommandBus, Space};
use super::super::exec::{Exec, Result, canonical, run_length};

/// Memory layout of a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tiling {
    Linear,
    X,
    Y,
}

impl Tiling {
    /// Bytes and rows of a tile; the pitch is a multiple of the first.
    pub(super) const fn tile(self) -> (i64, i64) {
        match self {
            Self::Linear => (1, 1),
            Self::X => (512, 8),
            Self::Y => (128, 32),
        }
    }
}

/// A surface of a blit, always in the context's own address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Surface {
    pub(super) base: u64,
    /// Bytes from row to row.
    pub(super) pitch: i64,
    pub(super) tiling: Tiling,
}

impl Surface {
    /// Address of byte `x` of row `y`, and how many of `length` bytes from there lie together.
    ///
    /// Tiled surfaces have no negative coordinates.
    pub(super) fn run(&self, x: i64, y: i64, length: usize) -> (u64, usize) {
        let (offset, run) = match self.tiling {
            Tiling::Linear => (y.wrapping_mul(self.pitch).wrapping_add(x), length),
            Tiling::X => {
                let tile = (y / 8).wrapping_mul(self.pitch * 8) + x / 512 * 4096;
                (tile + y % 8 * 512 + x % 512, 512 - to_usize(x % 512))
            }
            Tiling::Y => {
                let tile = (y / 32).wrapping_mul(self.pitch * 32) + x / 128 * 4096;
                (tile + x % 128 / 16 * 512 + y % 32 * 16 + x % 16, 16 - to_usize(x % 16))
            }
        };
        let address = canonical(self.base.wrapping_add_signed(offset));
        (address, run_length(address, run.min(length)))
    }

    /// Reads `row.len()` bytes from byte `x` of row `y`.
    pub(super) fn read<B: CommandBus + ?Sized>(
        &self,
        exec: &mut Exec<'_, B>,
        x: i64,
        y: i64,
        row: &mut [u8],
    ) -> Result<()> {
        let mut done = 0;
        while done < row.len() {
            let (address, run) = self.run(x + to_i64(done), y, row.len() - done);
            exec.bus.read(Space::Ppgtt, address, &mut row[done..done + run], Access::Read)?;
            done += run;
        }
        Ok(())
    }

    /// Writes `row` from byte `x` of row `y` on.
    pub(super) fn write<B: CommandBus + ?Sized>(
        &self,
        exec: &mut Exec<'_, B>,
        x: i64,
        y: i64,
        row: &[u8],
    ) -> Result<()> {
        let mut done = 0;
        while done < row.len() {
            let (address, run) = self.run(x + to_i64(done), y, row.len() - done);
            exec.bus.write(Space::Ppgtt, address, &row[done..done + run])?;
            exec.window.written(Space::Ppgtt, address, run as u64);
            done += run;
        }
        Ok(())
    }
}

/// A remainder of a tile dimension.
fn to_usize(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// A position in a row, below 2^20.
fn to_i64(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Surface, Tiling};

    #[test]
    fn an_x_tile_holds_eight_rows_of_512_bytes() {
        let surface = Surface { base: 0x1_0000, pitch: 1024, tiling: Tiling::X };
        assert_eq!(surface.run(0, 1, 4096), (0x1_0000 + 512, 512));
        assert_eq!(surface.run(512, 0, 4096), (0x1_0000 + 4096, 512));
        assert_eq!(surface.run(0, 8, 4096), (0x1_0000 + 8192, 512));
        assert_eq!(surface.run(515, 9, 100), (0x1_0000 + 8192 + 4096 + 512 + 3, 100));
    }

    #[test]
    fn a_y_tile_holds_columns_of_16_bytes_and_32_rows() {
        let surface = Surface { base: 0, pitch: 256, tiling: Tiling::Y };
        assert_eq!(surface.run(0, 1, 4096), (16, 16));
        assert_eq!(surface.run(16, 0, 4096), (512, 16));
        assert_eq!(surface.run(128, 0, 4096), (4096, 16));
        assert_eq!(surface.run(0, 32, 4096), (8192, 16));
        assert_eq!(surface.run(18, 33, 4096), (8192 + 512 + 16 + 2, 14));
    }

    #[test]
    fn runs_of_a_linear_surface_end_at_pages() {
        let surface = Surface { base: 0xff0, pitch: -64, tiling: Tiling::Linear };
        assert_eq!(surface.run(0, 0, 64), (0xff0, 16));
        assert_eq!(surface.run(16, 1, 64), (0xfc0, 64));
    }
}
