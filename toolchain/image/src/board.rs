// SPDX-License-Identifier: BSD-2-Clause
//! What the tool has to know of a machine, out of a TOML file.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

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
    /// The screen as the boot loader sets it up, for descriptions that ask for it.
    pub screen: Option<Screen>,
    /// The file that all this stands in.
    #[serde(skip)]
    pub source: Source,
}

/// The keys whose lines a driver is told, in this order: those that its messages name.
pub(crate) const TOLD_KEYS: [&str; 5] = ["gpu.pci", "gpu.device", "gpu.registers", "gpu.gtt", "gpu.vector"];

/// A board file as messages name it, and what stands where in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    file: String,
    /// The line of each key, from 1: `memory`, `gpu.pci`, `ram`, `ram.0`.
    lines: BTreeMap<String, u32>,
}

impl Source {
    fn new(text: &str) -> Result<Self, toml::de::Error> {
        let mut lines = BTreeMap::new();
        note_lines(text, "", DeTable::parse(text)?.get_ref(), &mut lines);
        Ok(Self { file: String::new(), lines })
    }

    /// Its name with that of its folder, which is the same wherever the folder lies. Empty if it has not been read
    /// from a file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line of a key, from 1: `memory`, `gpu.pci`, or `ram.0` for an element of an array. 0 if there is no such key.
    #[must_use]
    pub fn line(&self, key: &str) -> u32 {
        self.lines.get(key).copied().unwrap_or(0)
    }
}

/// Notes the line of every key of a table, and of the elements of arrays.
fn note_lines(text: &str, prefix: &str, table: &DeTable<'_>, lines: &mut BTreeMap<String, u32>) {
    let line = |start: usize| {
        let before = text.get(..start).unwrap_or_default();
        u32::try_from(before.matches('\n').count() + 1).unwrap_or(u32::MAX)
    };
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        lines.insert(key.clone(), line(name.span().start));
        match value.get_ref() {
            DeValue::Table(inner) => note_lines(text, &format!("{key}."), inner, lines),
            DeValue::Array(elements) => {
                let element = |(index, element): (usize, &Spanned<DeValue<'_>>)| {
                    (format!("{key}.{index}"), line(element.span().start))
                };
                lines.extend(elements.iter().enumerate().map(element));
            }
            _ => {}
        }
    }
}

/// The last folder and the name of a path.
fn short_name(path: &Path) -> String {
    let parts: Vec<_> = path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    parts.into_iter().rev().filter(|part| *part != "/").collect::<Vec<_>>().join("/")
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
    fn check(&self, source: &Source) -> Result<(), BoardError> {
        let wrong = |key: &'static str, problem| {
            Err(BoardError::Gpu { line: source.line(&format!("gpu.{key}")), key, problem })
        };
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

/// A linear framebuffer of 32 bits a pixel (0xXXRRGGBB), in the mode that the boot loader is told to set.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Screen {
    /// Where its memory is: the adapter's BAR.
    pub memory: Span,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from row to row.
    pub stride: u32,
}

impl Screen {
    fn check(&self, source: &Source) -> Result<(), BoardError> {
        let wrong = |key: &'static str, problem| {
            Err(BoardError::Screen { line: source.line(&format!("screen.{key}")), key, problem })
        };
        if self.width == 0 || self.height == 0 {
            return wrong(if self.width == 0 { "width" } else { "height" }, "there is no pixel");
        }
        if u64::from(self.stride) < u64::from(self.width) * 4 || !self.stride.is_multiple_of(4) {
            return wrong("stride", "it is a multiple of 4 and at least four times the width");
        }
        if u64::from(self.stride) * u64::from(self.height) > self.memory.end - self.memory.start {
            return wrong("memory", "it is smaller than the mode");
        }
        Ok(())
    }

    /// The value that a description calls `screen.NAME`.
    fn value(&self, name: &str) -> Option<String> {
        Some(match name {
            "memory" => format!("{:#x}", self.memory.start),
            "memory_size" => format!("{:#x}", self.memory.end - self.memory.start),
            "width" => self.width.to_string(),
            "height" => self.height.to_string(),
            "stride" => self.stride.to_string(),
            _ => return None,
        })
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
    #[error("line {line}: [gpu] {key}: {problem}")]
    Gpu {
        /// The line, from 1.
        line: u32,
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A value of the screen cannot be.
    #[error("line {line}: [screen] {key}: {problem}")]
    Screen {
        /// The line, from 1.
        line: u32,
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A range is empty, not aligned to pages, or not in ascending order.
    #[error(
        "line {line}: the range {start:#x} to {end:#x} is empty, not aligned to pages or not above the one before"
    )]
    Span {
        /// The line, from 1.
        line: u32,
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
        let mut board = Self::parse(&fs::read_to_string(path)?)?;
        board.source.file = short_name(path);
        Ok(board)
    }

    /// Reads the text of a board file.
    ///
    /// # Errors
    /// The text makes no sense.
    pub fn parse(text: &str) -> Result<Self, BoardError> {
        let board = Self { source: Source::new(text)?, ..toml::from_str(text)? };
        for (name, spans) in [("ram", &board.ram), ("device", &board.device)] {
            let mut floor = 0;
            for (index, span) in spans.iter().enumerate() {
                board.check_span(*span, floor, &format!("{name}.{index}"))?;
                floor = span.end;
            }
        }
        if let Some(gpu) = &board.gpu {
            gpu.check(&board.source)?;
            board.check_span(gpu.registers, 0, "gpu.registers")?;
            for (key, span) in [("gpu.aperture", gpu.aperture), ("gpu.stolen", gpu.stolen)] {
                span.map_or(Ok(()), |span| board.check_span(span, 0, key))?;
            }
        }
        if let Some(screen) = &board.screen {
            board.check_span(screen.memory, 0, "screen.memory")?;
            screen.check(&board.source)?;
        }
        Ok(board)
    }

    fn check_span(&self, Span { start, end }: Span, floor: u64, key: &str) -> Result<(), BoardError> {
        if start < floor || start >= end || (start | end) % PAGE != 0 {
            return Err(BoardError::Span { line: self.source.line(key), start, end });
        }
        Ok(())
    }

    /// The value that a description calls `name`, such as `gpu.pci` or `screen.width`.
    fn value(&self, name: &str) -> Option<String> {
        match name.split_once('.')? {
            ("gpu", name) => self.gpu.as_ref()?.value(name),
            ("screen", name) => self.screen.as_ref()?.value(name),
            _ => None,
        }
    }

    /// Replaces every `${gpu.NAME}` and `${screen.NAME}` of a description by the board's value.
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
            let value = self.value(name).ok_or_else(|| (line, name.to_owned()))?;
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
            let line = BOARD.lines().position(|line| line.starts_with(key)).unwrap() + 1;
            assert!(error.starts_with(&format!("line {line}: [gpu] {key}: ")), "{error}");
        }
        let error = Board::parse(&BOARD.replace("0x60_3d00_0000", "0x60_3c00_0000")).unwrap_err();
        assert!(matches!(error, BoardError::Span { line: 11, .. }), "{error}");
        let error = Board::parse(&BOARD.replace("0x800_0000", "0x800_0001")).unwrap_err();
        assert!(matches!(error, BoardError::Span { line: 5, .. }), "{error}");
    }

    const SCREEN: &str = "
[screen]
memory = { start = 0xf000_0000, end = 0xf020_0000 }
width = 640
height = 480
stride = 2560
";

    #[test]
    fn a_description_gets_the_screens_values() {
        let board = Board::parse(&format!("{BOARD}{SCREEN}")).unwrap();
        let filled = board.fill_in(
            "${screen.memory} ${screen.memory_size} ${screen.width} ${screen.height} ${screen.stride}",
        );
        assert_eq!(filled, Ok("0xf0000000 0x200000 640 480 2560".into()));
        assert_eq!(board.fill_in("\n${screen.colour}"), Err((2, "screen.colour".into())));
        assert_eq!(
            Board::parse(BOARD).unwrap().fill_in("${screen.width}"),
            Err((1, "screen.width".into())),
            "a board without one"
        );
    }

    #[test]
    fn values_of_the_screen_that_cannot_be_are_refused_by_their_key() {
        for (from, to, key) in [
            ("width = 640", "width = 0", "width"),
            ("height = 480", "height = 0", "height"),
            ("stride = 2560", "stride = 2556", "stride"),
            ("stride = 2560", "stride = 2562", "stride"),
            ("0xf020_0000", "0xf012_b000", "memory"),
        ] {
            let text = format!("{BOARD}{}", SCREEN.replace(from, to));
            let line = text.lines().position(|line| line.starts_with(key)).unwrap();
            let line = if key == "memory" { text.lines().count() - 3 } else { line + 1 };
            let error = Board::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {line}: [screen] {key}: ")), "{error}");
        }
        let text = format!("{BOARD}{}", SCREEN.replace("0xf000_0000", "0xf000_0800"));
        assert!(matches!(Board::parse(&text).unwrap_err(), BoardError::Span { .. }));
    }

    #[test]
    fn every_key_has_its_line_however_it_is_written() {
        let board = Board::parse(BOARD).unwrap();
        let lines = |board: &Board| TOLD_KEYS.map(|key| board.source.line(key));
        assert_eq!(lines(&board), [10, 9, 11, 12, 13]);
        assert_eq!(board.source.line("gpu.aperture"), 0, "there is none");
        assert_eq!(board.source.file(), "", "it comes from no file");
        let ram = "ram = [{ start = 0x800_0000, end = 0x1f00_0000 }]\n";
        let tables = "\n[[ram]]\nstart = 0x800_0000\nend = 0x900_0000\n[[ram]]\nstart = 0xa00_0000\nend = 0xb00_0000\n";
        let registers = "registers = { start = 0x60_3c00_0000, end = 0x60_3d00_0000 }\n";
        let below = "[gpu.registers]\nstart = 0x60_3c00_0000\nend = 0x60_3d00_0000\n";
        let text = BOARD.replace(ram, "").replace(registers, "").replace("[gpu]", &format!("{tables}[gpu]"));
        let text = format!("{text}{below}");
        let board = Board::parse(&text).unwrap();
        let at = |line: &str| {
            let before = text.lines().take_while(|other| !other.starts_with(line)).count();
            u32::try_from(before + 1).unwrap()
        };
        let expected = ["pci", "device", "[gpu.registers]", "gtt", "vector"].map(at);
        assert_eq!(lines(&board), expected, "{text}");
        let first = at("[[ram]]");
        assert_eq!([board.source.line("ram.0"), board.source.line("ram.1")], [first, first + 3], "{text}");
    }

    #[test]
    fn a_board_file_is_named_with_its_folder_alone() {
        for (path, name) in [
            ("/home/me/toolchain/image/boards/mine.toml", "boards/mine.toml"),
            ("boards/mine.toml", "boards/mine.toml"),
            ("mine.toml", "mine.toml"),
            ("/mine.toml", "mine.toml"),
        ] {
            assert_eq!(short_name(Path::new(path)), name);
        }
    }
}
