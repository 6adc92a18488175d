// SPDX-License-Identifier: BSD-2-Clause
//! Builder of blitter batches.
//!
//! [`Commands`] writes into a slice of dwords that the client owns, and cannot emit a command that the
//! blitter would refuse: rectangles are checked against their surface, and [`Commands::finish`] ends
//! the batch and pads it to a multiple of 8 bytes. Encodings: PRM "2D Blitter" (Broadwell to Tiger
//! Lake, Volume 2a, XY_COLOR_BLT and XY_SRC_COPY_BLT).

/// `XY_COLOR_BLT`: client 2, opcode 0x50, 7 dwords; 32 bits a pixel, colour and alpha written.
const XY_COLOR_BLT: u32 = 2 << 29 | 0x50 << 22 | 0b11 << 20 | (7 - 2);
/// `XY_SRC_COPY_BLT`: client 2, opcode 0x53, 10 dwords; 32 bits a pixel, colour and alpha written.
const XY_SRC_COPY_BLT: u32 = 2 << 29 | 0x53 << 22 | 0b11 << 20 | (10 - 2);
/// `MI_BATCH_BUFFER_END`.
const MI_BATCH_BUFFER_END: u32 = 0x0a << 23;
/// Colour depth field: 32 bits a pixel.
const DEPTH_32: u32 = 3 << 24;
/// Raster operation "pattern copy".
const ROP_PATTERN_COPY: u32 = 0xf0 << 16;
/// Raster operation "source copy".
const ROP_SOURCE_COPY: u32 = 0xcc << 16;
/// Coordinates are signed 16-bit numbers, and so is the pitch.
const MAX_COORDINATE: u32 = 0x7fff;
/// Addresses have 48 bits; those of the upper half are sign-extended, which no surface needs.
pub(crate) const MAX_ADDRESS: u64 = 1 << 48;

/// Why a command was not emitted.
///
/// ```
/// use gpu_client::blit::{BlitError, Commands};
///
/// let mut dwords = [0; 4];
/// let mut commands = Commands::new(&mut dwords);
/// assert_eq!(commands.store_dword(0x2001, 7), Err(BlitError::Surface));
/// assert_eq!(commands.store_qword(0x2000, 7), Err(BlitError::BatchFull));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlitError {
    /// The dwords are used up.
    BatchFull,
    /// The rectangle is empty or leaves its surface.
    Rectangle,
    /// The surface's pitch, size or address is not one that the blitter can express.
    Surface,
}

impl core::fmt::Display for BlitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BatchFull => "the batch is full",
            Self::Rectangle => "the rectangle is empty or leaves its surface",
            Self::Surface => "the surface cannot be expressed in a blitter command",
        })
    }
}

impl core::error::Error for BlitError {}

/// A linear surface of 32-bit pixels in the context's address space.
///
/// ```
/// use gpu_client::blit::{BlitError, Commands, Rectangle, Surface};
///
/// let mut dwords = [0; 16];
/// let mut commands = Commands::new(&mut dwords);
/// // A row is longer than from one to the next.
/// let surface = Surface { address: 0, pitch: 128, width: 64, height: 1 };
/// let row = Rectangle { x0: 0, y0: 0, x1: 64, y1: 1 };
/// assert_eq!(commands.fill(surface, row, 0), Err(BlitError::Surface));
/// assert_eq!(commands.fill(Surface { pitch: 256, ..surface }, row, 0), Ok(()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surface {
    /// GPU virtual address of the first pixel, a multiple of 4. All of the surface lies below 2^48.
    pub address: u64,
    /// Bytes from one row to the next, a multiple of 4.
    pub pitch: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// A rectangle of pixels; `x1`, `y1` lie outside.
///
/// ```
/// use gpu_client::blit::{BlitError, Commands, Rectangle, Surface};
///
/// let surface = Surface { address: 0, pitch: 256, width: 64, height: 64 };
/// let mut dwords = [0; 16];
/// let empty = Rectangle { x0: 5, y0: 5, x1: 5, y1: 6 };
/// assert_eq!(Commands::new(&mut dwords).fill(surface, empty, 0), Err(BlitError::Rectangle));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    /// Left.
    pub x0: u32,
    /// Top.
    pub y0: u32,
    /// Right, exclusive.
    pub x1: u32,
    /// Bottom, exclusive.
    pub y1: u32,
}

impl Surface {
    fn check(&self) -> Result<(), BlitError> {
        let bytes = u64::from(self.pitch) * u64::from(self.height);
        let fits = self.width <= MAX_COORDINATE
            && self.height <= MAX_COORDINATE
            && self.pitch <= MAX_COORDINATE
            && self.pitch.is_multiple_of(4)
            && u64::from(self.pitch) >= u64::from(self.width) * 4
            && self.address.is_multiple_of(4)
            && self.address.checked_add(bytes).is_some_and(|end| end <= MAX_ADDRESS);
        fits.then_some(()).ok_or(BlitError::Surface)
    }

    fn check_inside(&self, rectangle: Rectangle) -> Result<(), BlitError> {
        self.check()?;
        let inside = rectangle.x0 < rectangle.x1
            && rectangle.y0 < rectangle.y1
            && rectangle.x1 <= self.width
            && rectangle.y1 <= self.height;
        inside.then_some(()).ok_or(BlitError::Rectangle)
    }
}

/// A batch under construction. It holds whole commands only: one that is refused leaves nothing.
///
/// ```
/// use gpu_client::blit::{Commands, Rectangle, Surface};
///
/// let picture = Surface { address: 0x4000_0000, pitch: 256, width: 64, height: 64 };
/// let mut dwords = [0; 32];
/// let mut commands = Commands::new(&mut dwords);
/// commands.fill(picture, Rectangle { x0: 0, y0: 0, x1: 64, y1: 32 }, 0xff33_6699)?;
/// commands.copy(picture, 0, 32, picture, Rectangle { x0: 0, y0: 0, x1: 64, y1: 32 })?;
/// let bytes = commands.finish()?;
/// assert_eq!(bytes, 4 * (7 + 10 + 1));
/// # Ok::<(), gpu_client::blit::BlitError>(())
/// ```
#[derive(Debug)]
pub struct Commands<'a> {
    dwords: &'a mut [u32],
    used: usize,
}

impl<'a> Commands<'a> {
    /// Starts a batch in `dwords`.
    ///
    /// ```
    /// use gpu_client::blit::{BlitError, Commands};
    ///
    /// let mut commands = Commands::new(&mut []);
    /// assert_eq!(commands.store_dword(0x2000, 7), Err(BlitError::BatchFull));
    /// ```
    pub const fn new(dwords: &'a mut [u32]) -> Self {
        Self { dwords, used: 0 }
    }

    /// Goes on with a batch of which `used` dwords are there already.
    ///
    /// ```
    /// use gpu_client::blit::Commands;
    ///
    /// let mut dwords = [0; 8];
    /// let mut commands = Commands::new(&mut dwords);
    /// commands.store_dword(0x2000, 7)?;
    /// let used = commands.used();
    /// let commands = Commands::resume(&mut dwords, used)?;
    /// assert_eq!(commands.finish()?, 24);
    /// # Ok::<(), gpu_client::blit::BlitError>(())
    /// ```
    ///
    /// # Errors
    /// [`BlitError::BatchFull`] if there are not so many.
    pub const fn resume(dwords: &'a mut [u32], used: usize) -> Result<Self, BlitError> {
        if used > dwords.len() {
            return Err(BlitError::BatchFull);
        }
        Ok(Self { dwords, used })
    }

    /// How many dwords the commands take so far.
    ///
    /// ```
    /// use gpu_client::blit::Commands;
    ///
    /// let mut dwords = [0; 8];
    /// let mut commands = Commands::new(&mut dwords);
    /// commands.arbitration_point()?;
    /// assert_eq!(commands.used(), 1);
    /// # Ok::<(), gpu_client::blit::BlitError>(())
    /// ```
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }

    /// Fills a rectangle with one colour.
    ///
    /// ```
    /// use gpu_client::blit::{BlitError, Commands, Rectangle, Surface};
    ///
    /// let screen = Surface { address: 0x4000_0000, pitch: 2560, width: 640, height: 480 };
    /// let mut dwords = [0; 16];
    /// let mut commands = Commands::new(&mut dwords);
    /// commands.fill(screen, Rectangle { x0: 0, y0: 0, x1: 640, y1: 480 }, 0xff00_2040)?;
    /// let beyond = commands.fill(screen, Rectangle { x0: 0, y0: 0, x1: 641, y1: 1 }, 0);
    /// assert_eq!(beyond, Err(BlitError::Rectangle));
    /// assert_eq!(commands.finish()?, 32);
    /// # Ok::<(), BlitError>(())
    /// ```
    ///
    /// # Errors
    /// See [`BlitError`]; nothing was emitted.
    pub fn fill(&mut self, target: Surface, rectangle: Rectangle, colour: u32) -> Result<(), BlitError> {
        target.check_inside(rectangle)?;
        let (low, high) = split(target.address);
        self.emit(&[
            XY_COLOR_BLT,
            DEPTH_32 | ROP_PATTERN_COPY | target.pitch,
            point(rectangle.x0, rectangle.y0),
            point(rectangle.x1, rectangle.y1),
            low,
            high,
            colour,
        ])
    }

    /// Copies a rectangle of `source` to (`x`, `y`) of `target`. The two may be the same surface if the
    /// rectangles do not overlap.
    ///
    /// ```
    /// use gpu_client::blit::{BlitError, Commands, Rectangle, Surface};
    ///
    /// let screen = Surface { address: 0x4000_0000, pitch: 2560, width: 640, height: 480 };
    /// let mut dwords = [0; 16];
    /// let mut commands = Commands::new(&mut dwords);
    /// let tile = Rectangle { x0: 0, y0: 0, x1: 64, y1: 64 };
    /// commands.copy(screen, 64, 0, screen, tile)?;
    /// assert_eq!(commands.copy(screen, 63, 0, screen, tile), Err(BlitError::Rectangle), "they overlap");
    /// # Ok::<(), BlitError>(())
    /// ```
    ///
    /// # Errors
    /// See [`BlitError`]; nothing was emitted. Overlap within one surface is [`BlitError::Rectangle`].
    pub fn copy(
        &mut self,
        target: Surface,
        x: u32,
        y: u32,
        source: Surface,
        rectangle: Rectangle,
    ) -> Result<(), BlitError> {
        source.check_inside(rectangle)?;
        let right = x.checked_add(rectangle.x1 - rectangle.x0).ok_or(BlitError::Rectangle)?;
        let bottom = y.checked_add(rectangle.y1 - rectangle.y0).ok_or(BlitError::Rectangle)?;
        target.check_inside(Rectangle { x0: x, y0: y, x1: right, y1: bottom })?;
        let overlap = target.address == source.address
            && x < rectangle.x1
            && rectangle.x0 < right
            && y < rectangle.y1
            && rectangle.y0 < bottom;
        if overlap {
            return Err(BlitError::Rectangle);
        }
        let (target_low, target_high) = split(target.address);
        let (source_low, source_high) = split(source.address);
        self.emit(&[
            XY_SRC_COPY_BLT,
            DEPTH_32 | ROP_SOURCE_COPY | target.pitch,
            point(x, y),
            point(right, bottom),
            target_low,
            target_high,
            point(rectangle.x0, rectangle.y0),
            source.pitch,
            source_low,
            source_high,
        ])
    }

    /// Ends the batch and returns its length in bytes, a multiple of 8.
    ///
    /// ```
    /// use gpu_client::blit::Commands;
    ///
    /// let mut dwords = [0xffff_ffff; 2];
    /// assert_eq!(Commands::new(&mut dwords).finish()?, 8);
    /// // The end, and a command that does nothing.
    /// assert_eq!(dwords, [0x0500_0000, 0]);
    /// # Ok::<(), gpu_client::blit::BlitError>(())
    /// ```
    ///
    /// # Errors
    /// [`BlitError::BatchFull`] if there is no room for the end.
    pub fn finish(mut self) -> Result<u32, BlitError> {
        self.emit(&[MI_BATCH_BUFFER_END])?;
        if !self.used.is_multiple_of(2) {
            self.emit(&[0])?;
        }
        u32::try_from(self.used * 4).map_err(|_| BlitError::BatchFull)
    }

    pub(crate) fn emit(&mut self, dwords: &[u32]) -> Result<(), BlitError> {
        let end = self.used + dwords.len();
        self.dwords.get_mut(self.used..end).ok_or(BlitError::BatchFull)?.copy_from_slice(dwords);
        self.used = end;
        Ok(())
    }
}

const fn point(x: u32, y: u32) -> u32 {
    y << 16 | x
}

#[allow(clippy::cast_possible_truncation)]
const fn split(address: u64) -> (u32, u32) {
    // CAST: the two halves of the address.
    (address as u32, (address >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURFACE: Surface = Surface { address: 0x1_0000_2000, pitch: 256, width: 64, height: 32 };

    #[test]
    fn a_fill_is_seven_dwords_of_xy_color_blt() {
        let mut dwords = [0; 16];
        let mut commands = Commands::new(&mut dwords);
        commands.fill(SURFACE, Rectangle { x0: 1, y0: 2, x1: 11, y1: 22 }, 0xff11_2233).unwrap();
        assert_eq!(commands.finish(), Ok(32));
        assert_eq!(
            dwords[..9],
            [
                0x5430_0005,
                0x03f0_0100,
                0x0002_0001,
                0x0016_000b,
                0x0000_2000,
                0x0000_0001,
                0xff11_2233,
                0x0500_0000,
                0
            ]
        );
    }

    #[test]
    fn a_copy_is_ten_dwords_of_xy_src_copy_blt() {
        let mut dwords = [0xdead_beef; 16];
        let mut commands = Commands::new(&mut dwords);
        commands.copy(SURFACE, 32, 0, SURFACE, Rectangle { x0: 0, y0: 0, x1: 8, y1: 4 }).unwrap();
        assert_eq!(commands.finish(), Ok(48));
        assert_eq!(
            dwords[..12],
            [
                0x54f0_0008,
                0x03cc_0100,
                0x0000_0020,
                0x0004_0028,
                0x0000_2000,
                0x0000_0001,
                0x0000_0000,
                256,
                0x0000_2000,
                0x0000_0001,
                0x0500_0000,
                0
            ]
        );
    }

    #[test]
    fn a_rectangle_outside_its_surface_is_not_emitted() {
        let mut dwords = [0; 16];
        let mut commands = Commands::new(&mut dwords);
        for rectangle in [
            Rectangle { x0: 0, y0: 0, x1: 65, y1: 1 },
            Rectangle { x0: 0, y0: 0, x1: 1, y1: 33 },
            Rectangle { x0: 5, y0: 0, x1: 5, y1: 1 },
        ] {
            assert_eq!(commands.fill(SURFACE, rectangle, 0), Err(BlitError::Rectangle));
        }
        let wide = Surface { pitch: 0x8000, ..SURFACE };
        assert_eq!(commands.fill(wide, Rectangle { x0: 0, y0: 0, x1: 1, y1: 1 }, 0), Err(BlitError::Surface));
        assert_eq!(commands.finish(), Ok(8));
        assert_eq!(dwords[0], 0x0500_0000);
    }

    #[test]
    fn a_surface_that_does_not_end_within_48_bits_is_not_emitted() {
        let mut dwords = [0; 32];
        let mut commands = Commands::new(&mut dwords);
        let bytes = u64::from(SURFACE.pitch) * u64::from(SURFACE.height);
        let last = Surface { address: MAX_ADDRESS - bytes, ..SURFACE };
        let corner = Rectangle { x0: 0, y0: 0, x1: 1, y1: 1 };
        for address in [last.address + 4, MAX_ADDRESS, 1 << 60, u64::MAX - 3] {
            let beyond = Surface { address, ..SURFACE };
            assert_eq!(commands.fill(beyond, corner, 0), Err(BlitError::Surface), "{address:#x}");
            assert_eq!(commands.copy(beyond, 0, 0, SURFACE, corner), Err(BlitError::Surface));
            assert_eq!(commands.copy(SURFACE, 0, 0, beyond, corner), Err(BlitError::Surface));
        }
        assert_eq!(commands.used(), 0, "nothing was emitted");
        assert_eq!(
            (commands.fill(last, corner, 0), commands.copy(last, 0, 0, SURFACE, corner)),
            (Ok(()), Ok(()))
        );
    }

    #[test]
    fn an_overlapping_copy_within_a_surface_is_not_emitted() {
        let mut dwords = [0; 16];
        let mut commands = Commands::new(&mut dwords);
        let rectangle = Rectangle { x0: 0, y0: 0, x1: 8, y1: 8 };
        assert_eq!(commands.copy(SURFACE, 7, 7, SURFACE, rectangle), Err(BlitError::Rectangle));
        assert_eq!(commands.copy(SURFACE, 8, 0, SURFACE, rectangle), Ok(()));
    }

    #[test]
    fn a_full_batch_takes_no_half_command() {
        let mut dwords = [7; 6];
        let mut commands = Commands::new(&mut dwords);
        let rectangle = Rectangle { x0: 0, y0: 0, x1: 1, y1: 1 };
        assert_eq!(commands.fill(SURFACE, rectangle, 0), Err(BlitError::BatchFull));
        assert_eq!(dwords, [7; 6]);
    }
}
