// SPDX-License-Identifier: BSD-2-Clause
//! A board file out of what Linux says of a machine, so that nobody types addresses off a screen.
//!
//! ```text
//!   /sys/bus/pci, /proc/iomem ─┐
//!   lspci -vvv -xxx, iomem ────┼─► Facts ─► board file
//!   kernel log ────────────────┘
//! ```
//!
//! Any of them alone may lack something: each reader fills in what it finds, and [`Facts::board_file`] says what is
//! still missing and which of the sources has it.

mod iomem;
mod kernel_log;
mod pci;

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::board::Span;
use crate::layout::IO_TOP;

/// What was found out about a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What the firmware calls the machine.
    pub name: Option<String>,
    /// PCI device id of the GPU.
    pub device: Option<u16>,
    /// BAR 0 of the GPU.
    pub registers: Option<Range>,
    /// BAR 2 of the GPU.
    pub aperture: Option<Range>,
    /// The GPU's register GGC at 0x50 of its configuration space.
    pub ggc: Option<u16>,
    /// Memory that the firmware set aside for the GPU.
    pub stolen: Option<Range>,
    /// Memory that a system may use. Ascending.
    pub ram: Vec<Range>,
    /// Register pages of the I/O memory management units.
    pub iommus: Vec<u64>,
}

/// Addresses from the first to the last, both included, as Linux writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// First address.
    pub first: u64,
    /// Last address.
    pub last: u64,
}

impl Range {
    fn span(self) -> Span {
        Span { start: self.first, end: self.last.saturating_add(1) }
    }

    /// Reads `0xFIRST-0xLAST`, with or without the 0x.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        let number = |text: &str| {
            let text = text.trim();
            u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
        };
        let (first, last) = (number(first)?, number(last)?);
        // Without the rights to see them, Linux shows zeros.
        (first <= last && last != 0).then_some(Self { first, last })
    }
}

/// Where the GPU is on every part: bus 0, device 2, function 0.
const GPU: &str = "00:02.0";

const MIB: u64 = 1 << 20;

impl Facts {
    /// Reads the running Linux.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read_running(root: &Path) -> Result<Self, String> {
        let mut facts = Self::default();
        let device = root.join("sys/bus/pci/devices/0000:00:02.0");
        let read = |name: &str| {
            let path = device.join(name);
            let hint = "there is no PCI function at 00:02.0, where Intel's GPUs are";
            fs::read(&path).map_err(|error| match error.kind() {
                ErrorKind::NotFound => format!("{}: {hint}", path.display()),
                _ => format!("{}: {error}", path.display()),
            })
        };
        let resources = read("resource")?;
        facts.add_config(&read("config")?)?;
        facts.add_resources(&String::from_utf8_lossy(&resources));
        let iomem = root.join("proc/iomem");
        let text = fs::read_to_string(&iomem).map_err(|error| format!("{}: {error}", iomem.display()))?;
        facts.add_iomem(&text).map_err(|problem| format!("{}: {problem}", iomem.display()))?;
        let field = |name: &str| fs::read_to_string(root.join("sys/class/dmi/id").join(name)).ok();
        if let (Some(vendor), Some(product)) = (field("sys_vendor"), field("product_name")) {
            facts.name = Some(format!("{} {}", vendor.trim(), product.trim()));
        }
        Ok(facts)
    }

    /// The text of the board file.
    ///
    /// # Errors
    /// What is missing, and where it is found.
    pub fn board_file(&self, name: Option<&str>, vector: u8) -> Result<String, String> {
        let needed = |what: &str, source: &str| format!("{what} is missing: {source}");
        let device = self.device.ok_or_else(|| {
            needed("the device id of the GPU at 00:02.0", "lspci has it with -xxx, and so has the kernel log")
        })?;
        let registers = self
            .registers
            .ok_or_else(|| needed("the GPU's BAR 0", "lspci has it with -vvv, and so has the kernel log"))?
            .span();
        let gtt = self.gtt().ok_or_else(|| needed("the size of the GTT", "lspci -xxx as root has it"))?;
        let ram = self.region_ram().ok_or_else(|| {
            needed("memory below 4 GiB", "/proc/iomem has it, read as root, and so has the kernel log")
        })?;
        let memory: u64 = self.ram.iter().map(|range| range.last - range.first + 1).sum();
        let name = name.or(self.name.as_deref()).unwrap_or("unnamed");

        let mut text = String::new();
        let span = |span: Span| format!("{{ start = {:#x}, end = {:#x} }}", span.start, span.end);
        let _ = writeln!(text, "name = {name:?}");
        let _ = writeln!(text, "memory = {memory:#x}");
        let _ = writeln!(text, "# The kernel is loaded to 1 MiB, and the image directly behind it.");
        let _ = writeln!(text, "image_start = 0x400000\n");
        let _ = writeln!(
            text,
            "# For memory regions: below lie the kernel and the image, above what the kernel takes."
        );
        let _ = writeln!(text, "[[ram]]\nstart = {:#x}\nend = {:#x}", ram.start, ram.end);
        for device in self.devices() {
            let _ = writeln!(text, "\n[[device]]\nstart = {:#x}\nend = {:#x}", device.start, device.end);
        }
        let _ = writeln!(text, "\n[gpu]\npart = {:?}", part(device));
        let _ = writeln!(text, "device = {device:#x}\npci = \"0:2.0\"\nregisters = {}", span(registers));
        if let Some(aperture) = self.aperture {
            let _ = writeln!(text, "aperture = {}", span(aperture.span()));
        }
        if self.ggc.is_none() {
            let _ = writeln!(text, "# What BAR 0 has room for: the register GGC was not in the dump.");
        }
        let _ = writeln!(text, "gtt = {gtt:#x}");
        if let Some(stolen) = self.stolen {
            let _ = writeln!(text, "stolen = {}", span(stolen.span()));
        }
        let _ = writeln!(text, "vector = {vector}");
        Ok(text)
    }

    /// Bytes of GGTT entries: what GGC says (PRM, "GMCH Graphics Control", bits 7:6: 2^n MiB), else what BAR 0 has
    /// room for, which is its upper half.
    fn gtt(&self) -> Option<u64> {
        match self.ggc {
            Some(ggc) => match ggc >> 6 & 3 {
                0 => None,
                log2 => Some(MIB << log2),
            },
            None => self.registers.map(|range| (range.last - range.first).div_ceil(2)),
        }
    }

    /// The largest memory below 4 GiB without what lies at its ends: the kernel and the image below, what the kernel
    /// takes for itself above.
    fn region_ram(&self) -> Option<Span> {
        const FLOOR: u64 = 128 * MIB;
        const KERNEL: u64 = 16 * MIB;
        const ALIGN: u64 = 2 * MIB;
        let usable = |range: &Range| {
            let end = (range.span().end.min(1 << 32)).saturating_sub(KERNEL) / ALIGN * ALIGN;
            Span { start: range.first.max(FLOOR).next_multiple_of(ALIGN), end }
        };
        let spans = self.ram.iter().map(usable).filter(|span| span.start < span.end);
        spans.max_by_key(|span| span.end - span.start)
    }

    /// What the kernel hands out as device memory: everything that is no memory, without what it keeps for itself
    /// (I/O APIC, I/O memory management units, local APIC).
    fn devices(&self) -> Vec<Span> {
        let page = |at: u64| Span { start: at, end: at + 0x1000 };
        let mut kept: Vec<Span> = self.ram.iter().map(|range| range.span()).collect();
        // Whole pages: what is partly memory is no device.
        kept.iter_mut().for_each(|span| {
            span.start = span.start / 0x1000 * 0x1000;
            span.end = span.end.next_multiple_of(0x1000);
        });
        kept.push(Span { start: 0, end: 0xa_0000 });
        kept.extend([page(0xfec0_0000), page(0xfee0_0000)]);
        kept.extend(self.iommus.iter().map(|&at| page(at)));
        kept.sort_by_key(|span| span.start);
        let mut devices = Vec::new();
        let mut at = 0;
        for span in kept.into_iter().chain([Span { start: IO_TOP, end: IO_TOP }]) {
            if span.start > at {
                devices.push(Span { start: at, end: span.start });
            }
            at = at.max(span.end);
        }
        devices
    }
}

/// The part's name, for people.
fn part(device: u16) -> String {
    let family = match device {
        0x1600..=0x163f => "Broadwell",
        0x1900..=0x193f => "Skylake",
        0x5900..=0x593f | 0x87c0 => "Kaby Lake",
        0x3e90..=0x3eaf => "Coffee Lake",
        0x3184 | 0x3185 => "Gemini Lake",
        0x8a50..=0x8a5f => "Ice Lake",
        0x9a40..=0x9aff => "Tiger Lake",
        0x4c80..=0x4c9f => "Rocket Lake",
        0x4680..=0x46af => "Alder Lake",
        _ => "Intel GPU",
    };
    format!("{family} (8086:{device:04x})")
}

#[cfg(test)]
mod tests;
