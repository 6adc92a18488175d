// SPDX-License-Identifier: BSD-2-Clause
//! Memory as engines and the aperture see it: translation, TLBs, faults.

use serde_json::json;

use crate::commands::{Access, Fault, FaultKind, Generation, Space};
use crate::device::Device;
use crate::interrupts::event;
use crate::ppgtt::{self, Finding, Switches};
use crate::report::Rule;
use crate::tlb::{Entry, SpaceId};
use crate::trace::Track;

/// A page's worth of offset.
const OFFSET: u64 = 0xfff;
/// Enables 64 KiB pages on Gen9 (GAMT ECO).
const LARGE_PAGE_ENABLE: u32 = 0x4080;
/// GTT cache.
const GTT_CACHE: u32 = 0x4024;

impl Device {
    /// Reads through an engine's translations. The range does not cross a page.
    ///
    /// # Errors
    /// Where the translation or the memory behind it failed.
    #[inline]
    pub(crate) fn engine_read(
        &mut self,
        index: usize,
        space: Space,
        address: u64,
        buffer: &mut [u8],
        access: Access,
    ) -> Result<(), Fault> {
        let entry =
            self.translate(index, space, address).map_err(|kind| Fault { space, address, access, kind })?;
        self.memory.read(entry.page | (address & OFFSET), buffer).map_err(|error| {
            self.refused = Some(error);
            Fault { space, address, access, kind: FaultKind::Bus }
        })
    }

    /// Writes through an engine's translations. The range does not cross a page. Writes to read-only pages are
    /// dropped where the part does so.
    ///
    /// # Errors
    /// Where the translation or the memory behind it failed.
    #[inline]
    pub(crate) fn engine_write(
        &mut self,
        index: usize,
        space: Space,
        address: u64,
        data: &[u8],
    ) -> Result<(), Fault> {
        let fault = |kind| Fault { space, address, access: Access::Write, kind };
        let entry = self.translate(index, space, address).map_err(fault)?;
        if !entry.writable {
            return self.read_only(index).map_err(fault);
        }
        self.memory.write(entry.page | (address & OFFSET), data).map_err(|error| {
            self.refused = Some(error);
            fault(FaultKind::Bus)
        })
    }

    /// Compare and exchange through an engine's translations.
    ///
    /// # Errors
    /// As for [`Device::engine_write`].
    pub(crate) fn engine_compare_exchange(
        &mut self,
        index: usize,
        space: Space,
        address: u64,
        size: usize,
        current: u64,
        new: u64,
    ) -> Result<u64, Fault> {
        let fault = |kind| Fault { space, address, access: Access::Write, kind };
        let entry = self.translate(index, space, address).map_err(fault)?;
        if !entry.writable {
            self.read_only(index).map_err(fault)?;
            let mut bytes = [0; 8];
            let size = size.min(8);
            self.engine_read(index, space, address, &mut bytes[..size], Access::Read)?;
            return Ok(u64::from_le_bytes(bytes));
        }
        self.memory.compare_exchange(entry.page | (address & OFFSET), size, current, new).map_err(|error| {
            self.refused = Some(error);
            fault(FaultKind::Bus)
        })
    }

    /// A write to a read-only page: dropped, or a fault on parts where read-only does not work.
    #[cold]
    fn read_only(&mut self, index: usize) -> Result<(), FaultKind> {
        if self.platform.read_only_pages {
            // CP_PRIV: privilege violation, also raised for writes to read-only pages.
            self.engine_error(index, 1 << 2);
            return Ok(());
        }
        Err(FaultKind::ReadOnly)
    }

    /// DMA page of an address, through the engine's TLB.
    #[inline]
    fn translate(&mut self, index: usize, space: Space, address: u64) -> Result<Entry, FaultKind> {
        let engine = self.engines.get_mut(index).ok_or(FaultKind::OutOfRange)?;
        let id = match (space, engine.space) {
            (Space::Ggtt, _) => SpaceId::GGTT,
            (Space::Ppgtt, Some((id, _))) => id,
            (Space::Ppgtt, None) => return Err(FaultKind::InvalidPml4e),
        };
        if address >> 48 != 0 {
            return Err(FaultKind::OutOfRange);
        }
        let page = address >> 12;
        if let Some(entry) = engine.tlb.find(id, page) {
            return Ok(entry);
        }
        let entry = self.walk(index, space, address)?;
        if let Some(engine) = self.engines.get_mut(index) {
            engine.tlb.insert(id, page, entry);
        }
        Ok(entry)
    }

    /// Translates by the tables in memory.
    #[cold]
    fn walk(&mut self, index: usize, space: Space, address: u64) -> Result<Entry, FaultKind> {
        if space == Space::Ggtt {
            return self.walk_ggtt(index, address);
        }
        let Some((_, root)) = self.engines.get(index).and_then(|engine| engine.space) else {
            return Err(FaultKind::InvalidPml4e);
        };
        let switches = Switches {
            large_pages: self.platform.generation != Generation::Gen9
                || self.registers.get(LARGE_PAGE_ENABLE) & 0xf == 0xf,
            gtt_cache: self.platform.generation < Generation::Gen12 && self.registers.get(GTT_CACHE) != 0,
        };
        let mut findings = Vec::new();
        let leaf = ppgtt::walk(&mut *self.memory, self.platform, &root, address, switches, &mut |finding| {
            findings.push(finding);
        });
        let name = self.engine_name(index);
        for finding in findings {
            match finding {
                Finding::Reserved { level, entry } => self.violation(
                    Rule::PpgttReserved,
                    format!("{name}: PPGTT level {level} entry for {address:#x}"),
                    format!("{entry:#x}"),
                ),
                Finding::PageSize { entry, reason } => self.violation(
                    Rule::PpgttPageSize,
                    format!("{name}: PPGTT entry for {address:#x}"),
                    format!("{entry:#x}: {reason}"),
                ),
            }
        }
        self.refused = None;
        let leaf = leaf?;
        let now = self.now();
        self.trace.instant(now, Track::Tables, || {
            (
                format!("{name} PPGTT fill"),
                json!({ "va": format!("{address:#x}"), "page": format!("{:#x}", leaf.page), "size": leaf.size }),
            )
        });
        Ok(Entry { page: leaf.page, writable: leaf.writable })
    }

    fn walk_ggtt(&mut self, index: usize, address: u64) -> Result<Entry, FaultKind> {
        let name = self.engine_name(index);
        let found = self.ggtt.find(address >> 12).ok_or(FaultKind::OutOfRange)?;
        if found.unflushed {
            self.violation(
                Rule::GgttFlush,
                format!("GGTT entry {:#x}", address >> 12),
                format!("used by {name} before the flush"),
            );
        }
        found.page.map(|page| Entry { page, writable: true }).ok_or(FaultKind::InvalidPte)
    }

    /// Forgets an engine's translations.
    pub(crate) fn invalidate_tlb(&mut self, index: usize, why: &'static str) {
        let now = self.now();
        let Some(engine) = self.engines.get_mut(index) else { return };
        let (name, entries) = (engine.facts.name, engine.tlb.len());
        engine.tlb.clear();
        self.trace.instant(now, Track::Tables, || {
            (format!("{name} TLB invalidated by {why}"), json!({ "entries": entries }))
        });
    }

    /// GFX_FLSH_CNTL: written GGTT entries become usable and cached ones are forgotten.
    pub(crate) fn flush_ggtt(&mut self) {
        self.ggtt.flush();
        for engine in &mut self.engines {
            engine.tlb.clear_ggtt();
        }
        let now = self.now();
        self.trace.instant(now, Track::Tables, || ("GGTT flush".to_owned(), serde_json::Value::Null));
    }

    /// An access of an engine failed, by what `subject` names: fault registers, interrupt, report. What tables say about
    /// memory and rights is the driver's; which addresses a batch uses is its client's.
    pub(crate) fn access_failed(&mut self, index: usize, subject: &str, fault: &Fault, client: bool) {
        self.record_fault(index, fault);
        match fault.kind {
            FaultKind::Bus => {
                let why = self.refused.take();
                let why =
                    why.map_or_else(|| "a page table is not in memory".to_owned(), |why| why.to_string());
                self.violation(Rule::Dma, subject, format!("{fault}: {why}"));
            }
            kind => {
                if kind == FaultKind::ReadOnly {
                    self.violation(Rule::PpgttReadOnly, subject, fault.to_string());
                }
                self.violation_by(client, Rule::TranslationFault, subject, fault.to_string());
            }
        }
    }

    /// Records a fault in the fault registers, unless one is there already, and raises the interrupt.
    pub(crate) fn record_fault(&mut self, index: usize, fault: &Fault) {
        let (register, data0, data1) = if self.platform.generation == Generation::Gen12 {
            (0xcec4, 0xceb8, 0xcebc)
        } else {
            (0x4094, 0x4b10, 0x4b14)
        };
        let facts = self.engines.get(index).map(|engine| engine.facts);
        let kind = match fault.kind {
            FaultKind::InvalidPde => 1,
            FaultKind::InvalidPdpe => 2,
            FaultKind::InvalidPml4e => 3,
            _ => 0,
        };
        let ggtt = u32::from(fault.space == Space::Ggtt);
        if self.registers.get(register) & 1 == 0 {
            let engine = u32::from(facts.map_or(0, |facts| facts.fault_id));
            let legacy_select = if self.platform.generation == Generation::Gen12 { 0 } else { ggtt << 11 };
            self.registers.set(register, 1 | kind << 1 | legacy_select | engine << 12);
            let low = u32::try_from((fault.address >> 12) & 0xffff_ffff).unwrap_or(0);
            let high = u32::try_from((fault.address >> 44) & 0xf).unwrap_or(0);
            self.registers.set(data0, low);
            self.registers.set(data1, high | ggtt << 4);
        }
        self.raise(index, event::PAGE_FAULT);
    }

    /// Sets error bits of an engine: ESR, and EIR with its interrupt where EMR does not mask them.
    pub(crate) fn engine_error(&mut self, index: usize, bits: u32) {
        let raw = self.engine_register(index, 0xb8) | bits;
        self.set_engine_register(index, 0xb8, raw);
        let unmasked = bits & !self.engine_register(index, 0xb4);
        if unmasked != 0 {
            let latched = self.engine_register(index, 0xb0) | unmasked;
            self.set_engine_register(index, 0xb0, latched);
            self.raise(index, event::ERROR);
        }
    }

    /// Aperture access of the CPU: DMA address of an aperture offset.
    pub(crate) fn aperture(&mut self, offset: u64) -> Option<u64> {
        let found = self.ggtt.find(offset >> 12)?;
        if found.unflushed {
            self.violation(
                Rule::GgttFlush,
                format!("GGTT entry {:#x}", offset >> 12),
                "used by the aperture",
            );
        }
        match found.page {
            Some(page) => Some(page | (offset & OFFSET)),
            None => {
                self.violation(Rule::Aperture, format!("aperture offset {offset:#x}"), "no present entry");
                None
            }
        }
    }
}
