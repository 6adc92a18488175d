// SPDX-License-Identifier: BSD-2-Clause
//! `/proc/iomem`: `FIRST-LAST : NAME`, one range a line, indented below the range that it is part of.

use super::{Facts, GPU, Range};

impl Facts {
    /// Takes what a dump of `/proc/iomem` has. Where Linux hid the addresses, they read as zeros and are left out.
    pub fn add_iomem(&mut self, text: &str) {
        let mut bars = Vec::new();
        for line in text.lines() {
            let Some((range, name)) = line.split_once(" : ") else { continue };
            let Some(range) = Range::parse(range) else { continue };
            match name.trim() {
                // Parts of it (kernel code) are indented and have names of their own.
                "System RAM" if !line.starts_with(' ') => self.ram.push(range),
                "Graphics Stolen Memory" => self.stolen = Some(range),
                name if name.strip_prefix("0000:") == Some(GPU) => bars.push(range),
                name if name.starts_with("dmar") => self.iommus.push(range.first),
                _ => {}
            }
        }
        self.ram.sort_unstable();
        // The aperture is the larger of the two; a configuration dump knows them by number.
        bars.sort_by_key(|range| range.last - range.first);
        if let [registers, aperture] = bars[..] {
            self.registers.get_or_insert(registers);
            self.aperture.get_or_insert(aperture);
        }
    }
}
