// SPDX-License-Identifier: BSD-2-Clause
//! What the tool has to know of a machine, out of a TOML file.

use std::fs;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;

use crate::layout::PAGE;

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
        Ok(board)
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
