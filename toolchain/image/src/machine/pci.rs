// SPDX-License-Identifier: BSD-2-Clause
//! The GPU's configuration space: as bytes, as `lspci -vvv -xxx` prints it, and the sizes of its BARs, which only
//! `lspci`'s text and sysfs's `resource` have.

use super::{Facts, GPU, Range};

const INTEL: u16 = 0x8086;
/// Offset of the base class in configuration space, and the one of display controllers (PCI: "Class Code").
const CLASS: usize = 0x0b;
const DISPLAY: u8 = 3;

impl Facts {
    /// Takes what the first bytes of the GPU's configuration space have: 64 for everybody, all for root.
    ///
    /// # Errors
    /// What is there is no Intel GPU.
    pub fn add_config(&mut self, config: &[u8]) -> Result<(), String> {
        let half = |at: usize| {
            let bytes = config.get(at..at + 2)?;
            Some(u16::from_le_bytes([bytes[0], bytes[1]]))
        };
        let (Some(vendor), Some(device), Some(&class)) = (half(0), half(2), config.get(CLASS)) else {
            return Ok(());
        };
        if vendor != INTEL || class != DISPLAY {
            return Err(format!(
                "{GPU} is no Intel GPU, but {vendor:04x}:{device:04x} of class {class:#04x} (a GPU's is {DISPLAY:#04x})"
            ));
        }
        self.device = Some(device);
        // PRM: GGC, offset 0x50. Zero there means that the dump was cut, or that there is no GGTT.
        self.ggc = half(0x50).filter(|&ggc| ggc != 0).or(self.ggc);
        Ok(())
    }

    /// Takes the BARs out of sysfs's `resource`: a line `FIRST LAST FLAGS` for each.
    pub fn add_resources(&mut self, text: &str) {
        let bar = |index: usize| {
            let mut words = text.lines().nth(index)?.split_whitespace();
            Range::parse(&format!("{}-{}", words.next()?, words.next()?))
        };
        self.registers = bar(0).or(self.registers);
        self.aperture = bar(2).or(self.aperture);
    }

    /// Takes what `lspci -vvv -xxx` prints of the GPU.
    ///
    /// # Errors
    /// The text has nothing of a GPU.
    pub fn add_lspci(&mut self, text: &str) -> Result<(), String> {
        let (mut is_gpu, mut seen, mut functions) = (false, false, 0);
        let mut config = Vec::new();
        for line in text.lines() {
            if line.starts_with(|c: char| c.is_ascii_hexdigit()) && line.contains('.') {
                // A new function: its address, with or without the domain, and its name.
                let address = line.split_whitespace().next().unwrap_or_default();
                is_gpu = address.strip_prefix("0000:").unwrap_or(address) == GPU;
                seen |= is_gpu;
                functions += 1;
            } else if is_gpu {
                let line = line.trim();
                if let Some(rest) = line.strip_prefix("Region 0: Memory at ") {
                    self.registers = region(rest).or(self.registers);
                } else if let Some(rest) = line.strip_prefix("Region 2: Memory at ") {
                    self.aperture = region(rest).or(self.aperture);
                } else if let Some(bytes) = hex_line(line, config.len()) {
                    config.extend(bytes);
                }
            }
        }
        if !seen {
            return Err(format!(
                "this is no output of lspci -vvv -xxx with a GPU: of its {functions} functions none is {GPU}"
            ));
        }
        self.add_config(&config)
    }
}

/// `603c000000 (64-bit, non-prefetchable) [size=16M]`
fn region(text: &str) -> Option<Range> {
    let first = u64::from_str_radix(text.split_whitespace().next()?, 16).ok()?;
    let (_, size) = text.split_once("[size=")?;
    let size = size.split(']').next()?;
    let digits = size.trim_end_matches(['K', 'M', 'G']);
    let shift = match &size[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        _ => 30,
    };
    let size = digits.parse::<u64>().ok()?.checked_shl(shift)?;
    Some(Range { first, last: first.checked_add(size)?.checked_sub(1)? })
}

/// `50: c1 03 00 00 ...`: the sixteen bytes that follow the ones read.
fn hex_line(line: &str, read: usize) -> Option<Vec<u8>> {
    let (offset, bytes) = line.split_once(": ")?;
    if usize::from_str_radix(offset, 16).ok()? != read {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        bytes.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes.filter(|bytes| bytes.len() == 16)
}
