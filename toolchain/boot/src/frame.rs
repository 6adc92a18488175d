// SPDX-License-Identifier: BSD-2-Clause
//! A picture in guest memory, described by the domain that made it in a line such as
//! `frame: 640x480 stride=2560 format=XRGB8888` on the serial port, and written as a PNG file.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// The shape of a picture. Each pixel is a little-endian dword 0xXXRRGGBB, the XRGB8888 of DRM and of the blitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from the start of a row to the start of the next.
    pub stride: u32,
}

const BYTES_PER_PIXEL: u32 = 4;

/// Bounds of what is believed, so that a garbled line does not make a picture of gigabytes.
const MAX_SIDE: u32 = 16384;

impl Frame {
    /// Reads a description, `None` when the line is none.
    ///
    /// # Errors
    /// When the line starts as one but says something that is not understood.
    pub fn parse(line: &str) -> Result<Option<Self>> {
        let Some((_, words)) = line.split_once("frame: ") else { return Ok(None) };
        let shape = || format!("not `frame: WIDTHxHEIGHT stride=BYTES format=XRGB8888`: {line}");
        let mut words = words.split_whitespace();
        let (width, height) = words.next().and_then(|size| size.split_once('x')).with_context(shape)?;
        let stride = words.next().and_then(|word| word.strip_prefix("stride=")).with_context(shape)?;
        let format = words.next().and_then(|word| word.strip_prefix("format=")).with_context(shape)?;
        ensure!(format == "XRGB8888", "a picture in format {format}; only XRGB8888 is understood");
        let frame = Self {
            width: width.parse().with_context(shape)?,
            height: height.parse().with_context(shape)?,
            stride: stride.parse().with_context(shape)?,
        };
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&frame.width) || !sides.contains(&frame.height) {
            bail!("a picture of {}x{} pixels", frame.width, frame.height);
        }
        ensure!(frame.stride >= frame.width * BYTES_PER_PIXEL, "a stride shorter than a row: {line}");
        Ok(Some(frame))
    }

    /// How many bytes the picture takes in memory, from its first pixel to its last.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.stride) * u64::from(self.height - 1) + u64::from(self.width * BYTES_PER_PIXEL)
    }

    /// The pixels of `memory`, three bytes each: red, green, blue, without the gaps between rows.
    ///
    /// # Errors
    /// When there is less memory than the picture takes.
    fn rgb(&self, memory: &[u8]) -> Result<Vec<u8>> {
        ensure!(
            u64::try_from(memory.len())? >= self.bytes(),
            "{} bytes for a picture that takes {}",
            memory.len(),
            self.bytes()
        );
        let row = usize::try_from(self.width * BYTES_PER_PIXEL)?;
        let rows = memory.chunks(usize::try_from(self.stride)?).take(usize::try_from(self.height)?);
        let pixels = rows.flat_map(|bytes| bytes[..row].chunks_exact(4));
        Ok(pixels.flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect())
    }

    /// The pixels of `memory`, without the gaps between rows.
    ///
    /// # Errors
    /// When there is less memory than the picture takes.
    pub(crate) fn pixels(&self, memory: &[u8]) -> Result<Vec<u32>> {
        ensure!(u64::try_from(memory.len())? >= self.bytes(), "{} bytes for a picture", memory.len());
        let row = usize::try_from(self.width * BYTES_PER_PIXEL)?;
        let rows = memory.chunks(usize::try_from(self.stride)?).take(usize::try_from(self.height)?);
        let pixels = rows.flat_map(|bytes| bytes[..row].chunks_exact(4));
        Ok(pixels.map(|pixel| u32::from_le_bytes([pixel[0], pixel[1], pixel[2], pixel[3]])).collect())
    }

    /// Writes the picture in `memory` to a file.
    ///
    /// # Errors
    /// When there is less memory than the picture takes, or the file cannot be written.
    pub fn write_png(&self, memory: &[u8], path: &Path) -> Result<()> {
        write_rgb_png(path, self.width, self.height, &self.rgb(memory)?)
    }
}

/// Writes pixels of three bytes each, red, green and blue, to a file.
pub(crate) fn write_rgb_png(path: &Path, width: u32, height: u32, pixels: &[u8]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(())
}

/// Where two pictures differ first, and in how many pixels.
pub(crate) fn difference(width: u32, found: &[u32], expected: &[u32]) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{} pixels for {}", found.len(), expected.len()));
    }
    let differ = || found.iter().zip(expected).enumerate().filter(|(_, (found, expected))| found != expected);
    let (index, (is, should)) = differ().next()?;
    let (x, y) = (index % width as usize, index / width as usize);
    Some(format!("pixel ({x}, {y}) is {is:#010x} and not {should:#010x}, one of {}", differ().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_wherever_it_stands_in_the_line() -> Result<()> {
        let frame = Frame { width: 640, height: 480, stride: 2560 };
        assert_eq!(Frame::parse("frame: 640x480 stride=2560 format=XRGB8888")?, Some(frame));
        assert_eq!(Frame::parse("paint: frame: 640x480 stride=2560 format=XRGB8888")?, Some(frame));
        assert_eq!(Frame::parse("paint: done")?, None);
        Ok(())
    }

    #[test]
    fn a_wrong_description_is_refused() {
        for line in [
            "frame: 640 stride=2560 format=XRGB8888",
            "frame: 640x480 stride=2560",
            "frame: 640x480 stride=2560 format=RGB565",
            "frame: 640x480 stride=2559 format=XRGB8888",
            "frame: 0x480 stride=2560 format=XRGB8888",
            "frame: 640x99999 stride=2560 format=XRGB8888",
        ] {
            assert!(Frame::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn pixels_lose_the_gaps_between_rows_and_turn_to_red_green_blue() -> Result<()> {
        let frame = Frame { width: 2, height: 2, stride: 12 };
        let memory = [
            0x10, 0x20, 0x30, 0xff, 0x11, 0x21, 0x31, 0xff, 9, 9, 9, 9, // a row and its gap
            0x12, 0x22, 0x32, 0xff, 0x13, 0x23, 0x33, 0xff, // the last row has none
        ];
        let expected = [0x30, 0x20, 0x10, 0x31, 0x21, 0x11, 0x32, 0x22, 0x12, 0x33, 0x23, 0x13];
        assert_eq!(frame.rgb(&memory)?, expected);
        assert_eq!(frame.pixels(&memory)?, [0xff30_2010, 0xff31_2111, 0xff32_2212, 0xff33_2313]);
        assert!(frame.rgb(&memory[..19]).is_err());
        Ok(())
    }

    #[test]
    fn the_first_pixel_that_differs_is_told_and_how_many_there_are() {
        assert_eq!(difference(2, &[1, 2, 3, 4], &[1, 2, 3, 4]), None);
        let told = difference(2, &[1, 2, 3, 5], &[1, 9, 3, 4]);
        assert_eq!(told.as_deref(), Some("pixel (1, 0) is 0x00000002 and not 0x00000009, one of 2"));
        assert!(difference(2, &[1, 2], &[1]).is_some());
    }

    #[test]
    fn a_written_picture_reads_back() -> Result<()> {
        let frame = Frame { width: 1, height: 2, stride: 4 };
        let path = std::env::temp_dir().join(format!("boot-frame-{}.png", std::process::id()));
        frame.write_png(&[1, 2, 3, 0, 4, 5, 6, 0], &path)?;
        let mut reader = png::Decoder::new(std::io::BufReader::new(File::open(&path)?)).read_info()?;
        let mut pixels = [0; 6];
        let info = reader.next_frame(&mut pixels)?;
        std::fs::remove_file(&path)?;
        assert_eq!((info.width, info.height), (1, 2));
        assert_eq!(pixels, [3, 2, 1, 6, 5, 4]);
        Ok(())
    }
}
