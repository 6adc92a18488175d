// SPDX-License-Identifier: BSD-2-Clause
//! `/proc/iomem`: `FIRST-LAST : NAME`, one range a line, indented below the range that it is part of.

use super::{Facts, GPU, Range};

impl Facts {
    /// Takes what a dump of `/proc/iomem` has.
    ///
    /// # Errors
    /// The text has no such lines, or Linux hid the addresses: it shows zeros to everybody but root.
    pub fn add_iomem(&mut self, text: &str) -> Result<(), String> {
        let (mut bars, mut lines, mut ranges) = (Vec::new(), 0, 0);
        for line in text.lines() {
            let Some((range, name)) = line.split_once(" : ") else { continue };
            lines += 1;
            let Some(range) = Range::parse(range) else { continue };
            ranges += 1;
            match name.trim() {
                // Parts of it (kernel code) are indented and have names of their own.
                "System RAM" if !line.starts_with(' ') => self.ram.push(range),
                "Graphics Stolen Memory" => self.stolen = Some(range),
                name if name.strip_prefix("0000:") == Some(GPU) => bars.push(range),
                name if name.starts_with("dmar") => self.iommus.push(range.first),
                _ => {}
            }
        }
        match (lines, ranges) {
            (0, _) => return Err("this is no /proc/iomem: it has no line FIRST-LAST : NAME".into()),
            (_, 0) => return Err("it has no addresses: read /proc/iomem as root".into()),
            _ => self.ram.sort_unstable(),
        }
        // The aperture is the larger of the two; a configuration dump knows them by number.
        bars.sort_by_key(|range| range.last - range.first);
        if let [registers, aperture] = bars[..] {
            self.registers.get_or_insert(registers);
            self.aperture.get_or_insert(aperture);
        }
        Ok(())
    }
}
