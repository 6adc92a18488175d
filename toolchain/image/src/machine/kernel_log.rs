// SPDX-License-Identifier: BSD-2-Clause
//! Linux's log of its boot (`dmesg`), which many have posted: memory map, BARs, stolen memory, I/O memory management
//! units. The lines are those of Linux 4.x to 6.x.

use super::{Facts, GPU, Range};

impl Facts {
    /// Takes what a kernel log has.
    ///
    /// # Errors
    /// The text has nothing of what was looked for.
    pub fn add_kernel_log(&mut self, text: &str) -> Result<(), String> {
        let before = self.clone();
        let gpu = format!("pci 0000:{GPU}: ");
        for line in text.lines() {
            if let Some((_, rest)) = line.split_once("BIOS-e820: [mem ")
                && let Some((range, kind)) = rest.split_once("] ")
                && kind.trim() == "usable"
            {
                self.ram.extend(Range::parse(range));
            } else if let Some((_, rest)) = line.split_once(&gpu) {
                self.add_gpu_line(rest);
            } else if let Some((_, rest)) = line.split_once("Reserving Intel graphics memory at ") {
                let range = rest.trim_start_matches("[mem ").trim_end_matches(']');
                self.stolen = Range::parse(range).or(self.stolen);
            } else if let Some((_, rest)) = line.split_once("reg_base_addr ") {
                let address = rest.split_whitespace().next().unwrap_or_default();
                self.iommus.extend(u64::from_str_radix(address, 16));
            } else if let Some((_, rest)) = line.split_once("DMI: ")
                && let Some((machine, _)) = rest.split_once(", BIOS")
            {
                self.name = Some(machine.split('/').next().unwrap_or(machine).trim().to_owned());
            }
        }
        if *self == before {
            return Err(
                "this is no kernel log from the start of a boot: it has neither memory nor a GPU".into()
            );
        }
        self.ram.sort_unstable();
        Ok(())
    }

    /// A line about the GPU: its identity, or `reg 0x10: [mem 0xFIRST-0xLAST 64bit]`, since 6.x `BAR 0 [mem ...]`.
    fn add_gpu_line(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("[8086:") {
            self.device = rest.get(..4).and_then(|id| u16::from_str_radix(id, 16).ok()).or(self.device);
        }
        let range = || {
            let (_, rest) = line.split_once("[mem ")?;
            Range::parse(rest.split([' ', ']']).next()?)
        };
        if line.starts_with("reg 0x10:") || line.starts_with("BAR 0 [") {
            self.registers = range().or(self.registers);
        } else if line.starts_with("reg 0x18:") || line.starts_with("BAR 2 [") {
            self.aperture = range().or(self.aperture);
        }
    }
}
