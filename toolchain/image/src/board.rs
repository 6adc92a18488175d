// SPDX-License-Identifier: BSD-2-Clause
//! What the tool has to know of a machine, out of a TOML file.

use std::fs;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;

use crate::layout::{self, PAGE};

/// A machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// For the report.
    pub name: String,
    /// Bytes of memory altogether.
    pub memory: u64,
    /// Where the image may start to lie at the latest: the kernel puts it right behind itself.
    pub image_start: u64,
    /// Memory for memory regions. Ascending.
    pub ram: Vec<Span>,
    /// What the kernel hands out as device memory. Ascending.
    #[serde(default)]
    pub device: Vec<Span>,
    /// How the machine ends when the system cannot be set up.
    pub failure_exit: Option<FailureExit>,
    /// The GPU, for descriptions and drivers that ask for it.
    pub gpu: Option<Gpu>,
}

/// The GPU of a machine, as the firmware leaves it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// What it is called, for people.
    pub part: String,
    /// Its PCI device id.
    pub device: u16,
    /// Its PCI address as bus:device.function in hexadecimal.
    pub pci: String,
    /// Where its registers and GGTT entries are: BAR 0.
    pub registers: Span,
    /// Where its aperture is: BAR 2.
    pub aperture: Option<Span>,
    /// Bytes of GGTT entries that the firmware set aside.
    pub gtt: u64,
    /// Memory that the firmware set aside for it.
    pub stolen: Option<Span>,
    /// The interrupt vector that the system gives it.
    pub vector: u8,
}

impl Gpu {
    fn check(&self) -> Result<(), BoardError> {
        let wrong = |key, problem| Err(BoardError::Gpu { key, problem });
        if self.requester().is_none() {
            return wrong("pci", "it is bus:device.function in hexadecimal, such as \"0:2.0\"");
        }
        if !self.gtt.is_power_of_two() || self.gtt < 1 << 20 || self.gtt > 8 << 20 {
            return wrong("gtt", "the firmware sets 1, 2, 4 or 8 MiB aside");
        }
        if u64::from(self.vector) > layout::MAX_VECTOR {
            return wrong("vector", "it is at most 107");
        }
        Ok(())
    }

    /// The value that a description calls `gpu.NAME`.
    fn value(&self, name: &str) -> Option<String> {
        let size = |span: Span| span.end - span.start;
        let hex = |number: u64| format!("{number:#x}");
        Some(match name {
            "pci" => self.pci.clone(),
            "requester" => hex(self.requester()?),
            "device" => hex(self.device.into()),
            "registers" => hex(self.registers.start),
            "registers_size" => hex(size(self.registers)),
            "aperture" => hex(self.aperture?.start),
            "aperture_size" => hex(size(self.aperture?)),
            "gtt" => hex(self.gtt),
            "vector" => self.vector.to_string(),
            _ => return None,
        })
    }

    /// Its PCI requester id.
    fn requester(&self) -> Option<u64> {
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let (bus, rest) = self.pci.split_once(':')?;
        let (device, function) = rest.split_once('.')?;
        let (bus, device, function) = (number(bus)?, number(device)?, number(function)?);
        (bus < 0x100 && device < 0x20 && function < 8).then_some(bus << 8 | device << 3 | function)
    }
}

/// Physical addresses from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// First address.
    pub start: u64,
    /// First address behind.
    pub end: u64,
}

/// An I/O port that ends the machine.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureExit {
    /// The port, 32 bits wide.
    pub port: u16,
    /// What is written.
    pub value: u32,
}

/// Why a board file is of no use.
#[derive(Debug, Error)]
pub enum BoardError {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Io(#[from] std::io::Error),
    /// It is not TOML, or not of a board.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A value of the GPU cannot be.
    #[error("[gpu] {key}: {problem}")]
    Gpu {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A range is empty, not aligned to pages, or not in ascending order.
    #[error("the range {start:#x} to {end:#x} is empty, not aligned to pages or not above the one before")]
    Span {
        /// First address.
        start: u64,
        /// First address behind.
        end: u64,
    },
}

impl Span {
    /// As a range.
    #[must_use]
    pub fn range(self) -> Range<u64> {
        self.start..self.end
    }

    fn contains(self, start: u64, size: u64) -> bool {
        self.start <= start && start.checked_add(size).is_some_and(|end| end <= self.end)
    }
}

impl Board {
    /// Reads a board file.
    ///
    /// # Errors
    /// The file cannot be read or makes no sense.
    pub fn read(path: &Path) -> Result<Self, BoardError> {
        Self::parse(&fs::read_to_string(path)?)
    }

    /// Reads the text of a board file.
    ///
    /// # Errors
    /// The text makes no sense.
    pub fn parse(text: &str) -> Result<Self, BoardError> {
        let board: Self = toml::from_str(text)?;
        for spans in [&board.ram, &board.device] {
            let mut floor = 0;
            for &Span { start, end } in spans {
                if start < floor || start >= end || (start | end) % PAGE != 0 {
                    return Err(BoardError::Span { start, end });
                }
                floor = end;
            }
        }
        if let Some(gpu) = &board.gpu {
            gpu.check()?;
            for span in [Some(gpu.registers), gpu.aperture, gpu.stolen].into_iter().flatten() {
                let Span { start, end } = span;
                if start >= end || (start | end) % PAGE != 0 {
                    return Err(BoardError::Span { start, end });
                }
            }
        }
        Ok(board)
    }

    /// Replaces every `${gpu.NAME}` of a description by the board's value.
    ///
    /// # Errors
    /// Line, from 1, and text of the first one that the board has no value for.
    pub fn fill_in(&self, text: &str) -> Result<String, (usize, String)> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        let mut line = 1;
        while let Some((before, behind)) = rest.split_once("${") {
            line += before.matches('\n').count();
            result.push_str(before);
            let (name, behind) = behind.split_once('}').ok_or_else(|| (line, behind.to_owned()))?;
            let value = name.strip_prefix("gpu.").and_then(|name| self.gpu.as_ref()?.value(name));
            let value = value.ok_or_else(|| (line, name.to_owned()))?;
            result.push_str(&value);
            rest = behind;
        }
        result.push_str(rest);
        Ok(result)
    }

    /// Whether a range is memory that regions may occupy.
    #[must_use]
    pub fn is_ram(&self, start: u64, size: u64) -> bool {
        self.ram.iter().any(|span| span.contains(start, size))
    }

    /// Whether a range is device memory.
    #[must_use]
    pub fn is_device(&self, start: u64, size: u64) -> bool {
        self.device.iter().any(|span| span.contains(start, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOARD: &str = r#"
name = "desk"
memory = 0x2000_0000
image_start = 0x40_0000
ram = [{ start = 0x800_0000, end = 0x1f00_0000 }]

[gpu]
part = "Tiger Lake"
device = 0x9a49
pci = "0:2.0"
registers = { start = 0x60_3c00_0000, end = 0x60_3d00_0000 }
gtt = 0x80_0000
vector = 5
"#;

    #[test]
    fn a_description_gets_the_boards_values() {
        let board = Board::parse(BOARD).unwrap();
        let filled =
            board.fill_in("a=\"${gpu.pci}\" b=\"${gpu.requester}\"\nc=\"${gpu.registers}\" ${gpu.vector}");
        assert_eq!(filled, Ok("a=\"0:2.0\" b=\"0x10\"\nc=\"0x603c000000\" 5".into()));
        assert_eq!(board.fill_in("nothing to fill in"), Ok("nothing to fill in".into()));
    }

    #[test]
    fn a_value_that_the_board_lacks_is_told_with_its_line() {
        let board = Board::parse(BOARD).unwrap();
        assert_eq!(board.fill_in("\n\n a ${gpu.pci} ${gpu.aperture}"), Err((3, "gpu.aperture".into())));
        assert_eq!(board.fill_in("${memory}"), Err((1, "memory".into())));
        assert_eq!(board.fill_in("${gpu.pci"), Err((1, "gpu.pci".into())), "it has no end");
        let without = Board::parse(BOARD.split("[gpu]").next().unwrap()).unwrap();
        assert_eq!(without.fill_in("${gpu.pci}"), Err((1, "gpu.pci".into())));
    }

    #[test]
    fn values_of_the_gpu_that_cannot_be_are_refused_by_their_key() {
        for (from, to, key) in [
            ("\"0:2.0\"", "\"0:32.0\"", "pci"),
            ("gtt = 0x80_0000", "gtt = 0x81_0000", "gtt"),
            ("vector = 5", "vector = 108", "vector"),
        ] {
            let error = Board::parse(&BOARD.replace(from, to)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("[gpu] {key}: ")), "{error}");
        }
        let error = Board::parse(&BOARD.replace("0x60_3d00_0000", "0x60_3c00_0000")).unwrap_err();
        assert!(matches!(error, BoardError::Span { .. }), "{error}");
    }
}
