// SPDX-License-Identifier: BSD-2-Clause
//! Context images: restore and save.
//!
//! A restore executes the register list of the image's second page, then loads the render pages. In the midst of that, where
//! INDIRECT_CTX_OFFSET says, it runs the indirect-context batch, and at its end the per-context batch: what the first
//! writes to registers that come later is overwritten by the context's own values. With restore inhibit (CTX_SR_CTL bit 0)
//! only the ring and page-directory registers are loaded and the rest keeps the engine's present state. A context that
//! is still in the engine, because it was the last to run, is not read again unless the descriptor forces it:
//! only its tail is. A save writes the complete list back, except the values that belong to the driver (tail,
//! start, control and CTX_SR_CTL).

use super::bus::EngineBus;
use super::descriptor::Descriptor;
use super::layout::{self, dword, hidden};
use crate::commands::{
    Access, CommandFault, EngineClass, Fault, FaultKind, Generation, Outcome, Space, StreamState,
};
use crate::device::Device;
use crate::ppgtt::Root;
use crate::registers::names;
use crate::report::Rule;

/// Dwords of the register page.
pub(crate) type Page = [u32; 1024];

/// Dwords of a cache line, the unit of INDIRECT_CTX_OFFSET (PRM vol 2c, INDIRECT_CTX_OFFSET, bits [15:6]).
const CACHE_LINE_DWORDS: usize = 16;

/// Commands that an indirect-context or per-context batch may have.
const CONTEXT_BATCH_LIMIT: u32 = 4096;

/// The render engine's MI_PREDICATE_SRC0 to MI_PREDICATE_RESULT: not in the documented register list, and kept for each
/// context all the same (IGT: gem_ctx_isolation.c, nonpriv_regs and the subtest preservation).
const PREDICATES: std::ops::Range<u32> = 0x2400..0x241c;

/// Why a context could not be loaded.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// A page of the image is not reachable.
    Fault(Fault),
    /// The image cannot be executed.
    Image(String),
    /// A batch of the context reset the engine.
    Reset,
}

/// One register of an image.
struct Slot {
    /// Dword of the offset in the page.
    at: usize,
    offset: u32,
    value: u32,
    relative: bool,
    essential: bool,
}

/// Reads the register list of a page.
fn parse(page: &[u32]) -> Result<Vec<Slot>, String> {
    let mut slots = Vec::new();
    let mut at = 0;
    while let Some(&header) = page.get(at) {
        at += 1;
        match header >> 23 {
            0 => {}
            0x0a => return Ok(slots),
            0x22 => {
                let essential = at <= layout::ESSENTIAL_END;
                let pairs = (header as usize & 0xff).div_ceil(2);
                for _ in 0..pairs {
                    let (Some(&offset), Some(&value)) = (page.get(at), page.get(at + 1)) else {
                        return Err(format!("the list of dword {:#x} runs beyond the page", at - 1));
                    };
                    slots.push(Slot {
                        at,
                        offset,
                        value,
                        relative: header & layout::RELATIVE != 0,
                        essential,
                    });
                    at += 2;
                }
            }
            _ => return Err(format!("dword {:#x} is {header:#010x}", at - 1)),
        }
    }
    Err("the list has no MI_BATCH_BUFFER_END".to_owned())
}

impl Device {
    fn read_page(&mut self, index: usize, address: u64) -> Result<Box<Page>, Fault> {
        let mut bytes = [0; 4096];
        self.engine_read(index, Space::Ggtt, address, &mut bytes, Access::Read)?;
        let mut page = Box::new([0; 1024]);
        for (dword, bytes) in page.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *dword = u32::from_le_bytes(*bytes);
        }
        Ok(page)
    }

    /// Offset of an image register relative to the engine, if it is the engine's.
    fn image_register(&self, index: usize, slot: &Slot) -> Option<u32> {
        if slot.relative && self.platform.generation >= Generation::Gen11 {
            return Some(slot.offset & 0x1ffc);
        }
        let facts = self.engines.get(index)?.facts;
        let relative = (slot.offset & 0x007f_fffc).checked_sub(facts.engine.base)?;
        (relative < facts.mmio_size).then_some(relative)
    }

    /// Loads `descriptor`'s context into the engine.
    ///
    /// # Errors
    /// The engine cannot run it and hangs.
    pub(crate) fn load_context(&mut self, index: usize, descriptor: Descriptor) -> Result<(), LoadError> {
        let Some(engine) = self.engines.get(index) else { return Ok(()) };
        let warm = engine.loaded.is_some_and(|loaded| loaded.same_context(descriptor))
            && engine.saved.is_some()
            && !descriptor.force_restore();
        let stopped = engine.loaded.is_some() && self.starts_stopped(index);
        self.check_space(index, descriptor);
        let image = u64::from(descriptor.lrca()) + 0x1000;
        let page = self.read_page(index, image).map_err(LoadError::Fault)?;
        if warm {
            self.resume(index, descriptor, &page);
        } else {
            self.restore(index, descriptor, &page)?;
        }
        self.check_ring(index, descriptor);
        // A stopped engine passes its state on to whatever it still switches between, and back by way of the image of one
        // that it saved meanwhile: the driver's doing, who is about to reset it, but not its mistake. It is one if such an
        // image comes back after the reset (i915: `__reset_stop_ring`).
        let saved =
            self.engines.get(index).is_some_and(|engine| engine.stopped_images.contains(&descriptor.lrca()));
        if !stopped && !saved && self.starts_stopped(index) {
            let subject = format!("{}: image {:#x}", self.engine_name(index), descriptor.lrca());
            self.violation(Rule::StartsStopped, subject, "");
        }
        let now = self.now();
        if let Some(engine) = self.engines.get_mut(index) {
            engine.loaded = Some(descriptor);
            engine.saved = None;
            engine.fresh = true;
            engine.context_since = Some(now);
            let ccid = descriptor.lrca();
            self.set_engine_register(index, 0x180, ccid);
        }
        Ok(())
    }

    /// The context is still in the engine: takes the new tail.
    fn resume(&mut self, index: usize, descriptor: Descriptor, page: &Page) {
        let changed = self.engines.get(index).and_then(|engine| engine.saved.as_ref()).and_then(|saved| {
            saved
                .iter()
                .zip(page)
                .enumerate()
                .find(|(at, (old, new))| *at != dword::TAIL && old != new)
                .map(|(at, (old, new))| format!("dword {at:#x} was {old:#x}, is {new:#x}"))
        });
        if let Some(detail) = changed {
            let subject = format!("{}: image {:#x}", self.engine_name(index), descriptor.lrca());
            self.violation(Rule::ImageNotReloaded, subject, detail);
        }
        self.take_tail(index, page);
    }

    fn take_tail(&mut self, index: usize, page: &Page) {
        let tail = page[dword::TAIL];
        if let Some(engine) = self.engines.get_mut(index) {
            engine.stream.write_register(0x030, tail, u32::MAX);
        }
    }

    /// Lite restore: the running context is submitted again; only its tail is taken from the image.
    ///
    /// # Errors
    /// The image is not reachable.
    pub(crate) fn lite_restore(&mut self, index: usize, descriptor: Descriptor) -> Result<(), LoadError> {
        let image = u64::from(descriptor.lrca()) + 0x1000;
        let page = self.read_page(index, image).map_err(LoadError::Fault)?;
        self.take_tail(index, &page);
        if let Some(engine) = self.engines.get_mut(index) {
            engine.loaded = Some(descriptor);
        }
        Ok(())
    }

    /// Loads the whole image.
    fn restore(&mut self, index: usize, descriptor: Descriptor, page: &Page) -> Result<(), LoadError> {
        let Some(engine) = self.engines.get_mut(index) else { return Ok(()) };
        let class = engine.facts.engine.class;
        engine.stream = StreamState::new();
        engine.four_level = descriptor.addressing_mode() & 2 != 0;
        let subject = format!("{}: image {:#x}", self.engine_name(index), descriptor.lrca());
        let slots = parse(page).map_err(|problem| {
            self.violation(Rule::ImageFormat, subject.clone(), problem.clone());
            LoadError::Image(problem)
        })?;
        self.check_slots(index, &subject, page);
        let control = page[dword::CONTROL];
        let inhibit = control & control >> 16 & 1 != 0;
        if control & control >> 16 & 0x8 == 0 {
            self.violation(Rule::ContextControl, subject.clone(), format!("CTX_SR_CTL = {control:#x}"));
        }
        let (essential, rest): (Vec<_>, Vec<_>) = slots.into_iter().partition(|slot| slot.essential);
        self.load_slots(index, &subject, &essential);
        self.check_page_directories(index, descriptor);
        self.update_root(index);
        // Both registers are essential ones.
        let offset = (self.engine_register(index, 0x1c8) >> 6 & 0x3ff) as usize * CACHE_LINE_DWORDS;
        let (before, after): (Vec<_>, Vec<_>) = rest.into_iter().partition(|slot| slot.at < offset);
        if !inhibit {
            self.load_slots(index, &subject, &before);
        }
        self.indirect_batch(index)?;
        if !inhibit {
            self.load_slots(index, &subject, &after);
            // Where in these pages a real part keeps a register is not documented; no offset in use reaches into them.
            if class == EngineClass::Render {
                self.load_render_state(index, descriptor);
            }
        }
        // The list or the batch may have named page directories too.
        self.update_root(index);
        self.per_context_batch(index, false)
    }

    fn load_slots(&mut self, index: usize, subject: &str, slots: &[Slot]) {
        for slot in slots {
            match self.image_register(index, slot) {
                Some(relative) => self.load_register(index, relative, slot.value),
                None => self.violation(
                    Rule::ImageForeignRegister,
                    subject,
                    format!("dword {:#x} names register {:#x}", slot.at, slot.offset),
                ),
            }
        }
    }

    /// A register of an image, without the side effects that a write of the CPU has.
    fn load_register(&mut self, index: usize, relative: u32, value: u32) {
        let Some(engine) = self.engines.get_mut(index) else { return };
        let gen12 = self.platform.generation == Generation::Gen12;
        match relative {
            0x3a8 => engine.context_ticks = value,
            0x358 | 0x180 => {}
            hidden::FLAGS => {
                engine.stream.arbitration = value & hidden::ARBITRATION_OFF == 0;
                engine.stream.pre_parser_disabled = value & hidden::PRE_PARSER_OFF != 0;
            }
            hidden::SECOND_LOW if gen12 => _ = engine.stream.write_register(0x114, value, u32::MAX),
            hidden::SECOND_HIGH if gen12 => _ = engine.stream.write_register(0x11c, value, u32::MAX),
            hidden::SECOND_STATE if gen12 => _ = engine.stream.write_register(0x118, value, u32::MAX),
            _ if engine.stream.write_register(relative, value, u32::MAX) => {}
            _ => {
                let offset = engine.base() + relative;
                if names::is_masked_engine_register(relative) {
                    self.registers.set_masked(offset, value);
                } else {
                    self.registers.set(offset, value);
                }
            }
        }
    }

    /// Value of a register as a save writes it.
    fn saved_register(&self, index: usize, relative: u32) -> u32 {
        let Some(engine) = self.engines.get(index) else { return 0 };
        let gen12 = self.platform.generation == Generation::Gen12;
        match relative {
            0x3a8 => self.context_timestamp(index),
            0x358 => self.timestamp_low(),
            hidden::FLAGS => {
                (if engine.stream.arbitration { 0 } else { hidden::ARBITRATION_OFF })
                    | if engine.stream.pre_parser_disabled { hidden::PRE_PARSER_OFF } else { 0 }
            }
            hidden::SECOND_LOW if gen12 => engine.stream.read_register(0x114).unwrap_or(0),
            hidden::SECOND_HIGH if gen12 => engine.stream.read_register(0x11c).unwrap_or(0),
            hidden::SECOND_STATE if gen12 => engine.stream.read_register(0x118).unwrap_or(0),
            _ => engine.stream.read_register(relative).unwrap_or_else(|| {
                let value = self.registers.get(engine.base() + relative);
                if names::is_masked_engine_register(relative) { value | 0xffff_0000 } else { value }
            }),
        }
    }

    /// Writes the engine's state into the image of the loaded context.
    ///
    /// # Errors
    /// The image is not reachable.
    pub(crate) fn save_context(&mut self, index: usize) -> Result<(), Fault> {
        let generation = self.platform.generation;
        let Some(engine) = self.engines.get(index) else { return Ok(()) };
        let Some(descriptor) = engine.loaded else { return Ok(()) };
        let (base, class) = (engine.base(), engine.facts.engine.class);
        let groups = layout::groups(generation, class);
        let mut page = [None; 0x120];
        let mut end = 0;
        for group in groups {
            page[group.at] = Some(group.header(generation));
            for (n, &register) in group.registers.iter().enumerate() {
                let at = group.at + 1 + 2 * n;
                page[at] = Some(base + register);
                if !layout::NOT_SAVED.contains(&register) {
                    page[at + 1] = Some(self.saved_register(index, register));
                }
                end = at + 2;
            }
        }
        // NOOPs between the groups, so that the list is whole whatever the driver left there.
        let driver: Vec<usize> = groups.iter().flat_map(not_saved).collect();
        for (at, entry) in page.iter_mut().enumerate().take(end) {
            if entry.is_none() && !driver.contains(&at) {
                *entry = Some(0);
            }
        }
        page[end] = Some(layout::END);
        let image = u64::from(descriptor.lrca()) + 0x1000;
        self.write_runs(index, image, &page[..=end])?;
        if class == EngineClass::Render {
            self.save_render_state(index, descriptor)?;
        }
        let saved = self.read_page(index, image)?;
        let ticks = self.context_timestamp(index);
        let stopped = self.starts_stopped(index);
        if let Some(engine) = self.engines.get_mut(index) {
            if stopped {
                engine.stopped_images.insert(descriptor.lrca());
            } else {
                engine.stopped_images.remove(&descriptor.lrca());
            }
            engine.saved = Some(saved);
            engine.context_ticks = ticks;
            engine.context_since = None;
        }
        Ok(())
    }

    /// Writes the runs of dwords that are `Some`.
    fn write_runs(&mut self, index: usize, image: u64, page: &[Option<u32>]) -> Result<(), Fault> {
        let mut at = 0;
        for run in page.split(Option::is_none) {
            let bytes: Vec<u8> = run.iter().flatten().flat_map(|dword| dword.to_le_bytes()).collect();
            if !bytes.is_empty() {
                self.engine_write(index, Space::Ggtt, image + 4 * at, &bytes)?;
            }
            at += run.len() as u64 + 1;
        }
        Ok(())
    }

    /// Render registers outside the documented list, from the render pages.
    fn load_render_state(&mut self, index: usize, descriptor: Descriptor) {
        if self.render_registers.is_empty() {
            return;
        }
        let address = u64::from(descriptor.lrca()) + 0x1000 + 4 * layout::RENDER_EXTENSION as u64;
        // An image that was never saved has no extension; its registers get their defaults.
        let slots = self
            .read_page(index, address)
            .ok()
            .and_then(|page| (page[0] >> 23 == 0x22).then(|| parse(&page[..]).ok()).flatten());
        for (offset, default) in self.render_registers.clone() {
            let saved = slots.iter().flatten().find(|slot| slot.offset == offset);
            self.registers.set(offset, saved.map_or(default, |slot| slot.value));
        }
    }

    fn save_render_state(&mut self, index: usize, descriptor: Descriptor) -> Result<(), Fault> {
        // A predicate is the context's too, also one that only MI_PREDICATE wrote.
        for offset in PREDICATES.step_by(4) {
            if self.registers.get(offset) != 0 {
                self.render_registers.entry(offset).or_insert(0);
            }
        }
        if self.render_registers.is_empty() {
            return Ok(());
        }
        let pairs = u32::try_from(self.render_registers.len()).unwrap_or(1);
        let mut dwords = vec![Some(layout::LRI | (2 * pairs - 1))];
        for &offset in self.render_registers.keys() {
            dwords.extend([Some(offset), Some(self.registers.get(offset))]);
        }
        dwords.push(Some(layout::END));
        let address = u64::from(descriptor.lrca()) + 0x1000 + 4 * layout::RENDER_EXTENSION as u64;
        self.write_runs(index, address, &dwords)
    }

    /// A command of the render engine writes `offset`: remembers registers that belong to the context but not to
    /// the documented list, with the value they had before anybody wrote them.
    pub(crate) fn track_render_register(&mut self, offset: u32) {
        let context = matches!(offset, 0x2000..0x2800 | 0x5000..0x8300 | 0xb100..0xb200 | 0xe000..0xe800);
        if !context || self.render_registers.len() >= layout::RENDER_EXTENSION_MAX {
            return;
        }
        let relative = offset.wrapping_sub(0x2000);
        let listed = layout::groups(self.platform.generation, EngineClass::Render)
            .iter()
            .any(|group| group.registers.contains(&relative));
        let engine = names::engine_register(relative).is_some();
        if !(listed || engine && relative < 0x800) {
            let default = self.registers.get(offset);
            self.render_registers.entry(offset).or_insert(default);
        }
    }

    /// Runs the indirect-context batch of the context that is being loaded.
    fn indirect_batch(&mut self, index: usize) -> Result<(), LoadError> {
        let indirect = self.engine_register(index, 0x1c4);
        let (start, lines) = (indirect & 0xffff_ffc0, indirect & 0x3f);
        if lines == 0 {
            return Ok(());
        }
        self.context_batch(index, start, Some(lines * 64))
    }

    /// Runs the per-context batch of the loaded context; at a lite restore only one that asks for it.
    pub(crate) fn per_context_batch(&mut self, index: usize, lite: bool) -> Result<(), LoadError> {
        let per_context = self.engine_register(index, 0x1c0);
        if per_context & 1 == 0 || lite && per_context & 4 == 0 {
            return Ok(());
        }
        self.context_batch(index, per_context & 0xffff_ffc0, None)
    }

    /// Runs the batch at a GGTT address, which ends after so many bytes or with MI_BATCH_BUFFER_END.
    fn context_batch(&mut self, index: usize, start: u32, bytes: Option<u32>) -> Result<(), LoadError> {
        let mut stream = StreamState::context_batch(start, bytes);
        if let Some(engine) = self.engines.get_mut(index) {
            engine.was_reset = false;
        }
        for _ in 0..CONTEXT_BATCH_LIMIT {
            let step = stream.step(&mut EngineBus::new(self, index), 1);
            if let Some(engine) = self.engines.get_mut(index) {
                engine.restore_work += 1;
            }
            match step.outcome {
                Outcome::RingEmpty => return Ok(()),
                Outcome::BudgetSpent | Outcome::ArbitrationPoint => {}
                Outcome::Waiting(wait) => {
                    return Err(LoadError::Image(format!("context batch waits: {wait:?}")));
                }
                Outcome::Error(error) => return Err(LoadError::Image(format!("context batch: {error}"))),
                Outcome::Fault(CommandFault { fault, .. }) => return Err(LoadError::Fault(fault)),
                Outcome::Reset => return Err(LoadError::Reset),
            }
        }
        Err(LoadError::Image(format!("context batch at {start:#x} does not end")))
    }

    /// Takes the page-directory registers as the engine's address space.
    pub(crate) fn update_root(&mut self, index: usize) {
        let pdp = |n: u32| {
            let high = u64::from(self.engine_register(index, 0x274 + 8 * n));
            high << 32 | u64::from(self.engine_register(index, 0x270 + 8 * n) & !0xfff)
        };
        let pdps = [pdp(0), pdp(1), pdp(2), pdp(3)];
        if let Some(engine) = self.engines.get_mut(index) {
            let root = if engine.four_level { Root::Four(pdps[0]) } else { Root::Three(pdps) };
            engine.space = Some((engine.tlb.space(&root), root));
        }
    }

    fn check_slots(&mut self, index: usize, subject: &str, page: &Page) {
        let Some(engine) = self.engines.get(index) else { return };
        let (base, class) = (engine.base(), engine.facts.engine.class);
        let relative = self.platform.generation >= Generation::Gen11;
        let groups = layout::groups(self.platform.generation, class).iter();
        let wrong = groups.filter(|group| group.at < layout::ESSENTIAL_END).find_map(|group| {
            group.registers.iter().enumerate().find_map(|(n, register)| {
                let at = group.at + 1 + 2 * n;
                let found = page[at];
                let same = if relative { found & 0x1ffc == *register } else { found == base + register };
                (!same).then(|| format!("dword {at:#x} names {found:#x} instead of {:#x}", base + register))
            })
        });
        if let Some(detail) = wrong {
            self.violation(Rule::ImageSlot, subject, detail);
        }
    }

    fn check_space(&mut self, index: usize, descriptor: Descriptor) {
        let last = self.ggtt.size() - 0x1000;
        let pages = 2;
        if u64::from(descriptor.lrca()) + 0x1000 * (pages - 1) >= last {
            let subject = format!("{}: image {:#x}", self.engine_name(index), descriptor.lrca());
            self.violation(Rule::LastGgttPage, subject, "");
        }
    }

    fn check_page_directories(&mut self, index: usize, descriptor: Descriptor) {
        let count = match descriptor.addressing_mode() {
            3 => 1,
            1 => 4,
            _ => 0,
        };
        for n in 0..count {
            let low = self.engine_register(index, 0x270 + 8 * n);
            let high = self.engine_register(index, 0x274 + 8 * n);
            if (low == 0 && high == 0) || low & 0xfff != 0 {
                let subject = format!("{}: image {:#x}", self.engine_name(index), descriptor.lrca());
                self.violation(
                    Rule::PageDirectoryPointers,
                    subject,
                    format!("PDP{n} = {high:08x}_{low:08x}"),
                );
            }
        }
    }

    fn check_ring(&mut self, index: usize, descriptor: Descriptor) {
        let Some(engine) = self.engines.get(index) else { return };
        let stream = &engine.stream;
        let (head, tail, size) = (stream.head_offset(), stream.tail, stream.ring_size());
        let subject = format!("{}: image {:#x}", engine.facts.name, descriptor.lrca());
        let end = u64::from(stream.start) + u64::from(size);
        let (enabled, idle) = (stream.ring_enabled(), stream.is_idle());
        if !enabled {
            self.violation(Rule::RingDisabled, subject.clone(), "");
        }
        if tail % 8 != 0 {
            self.violation(Rule::TailAlignment, subject.clone(), format!("tail {tail:#x}"));
        }
        if head >= size || tail >= size {
            let detail = format!("head {head:#x}, tail {tail:#x}, size {size:#x}");
            self.violation(Rule::RingBounds, subject.clone(), detail);
        }
        if end > self.ggtt.size() - 0x1000 {
            self.violation(Rule::LastGgttPage, subject.clone(), format!("ring ends at {end:#x}"));
        }
        if idle && !descriptor.force_restore() {
            self.violation(Rule::EmptyRing, subject, format!("head = tail = {tail:#x}"));
        }
    }

    /// MI_MODE's STOP_RING is set.
    fn starts_stopped(&self, index: usize) -> bool {
        self.engine_register(index, 0x9c) & (1 << 8) != 0
    }
}

/// Dwords of a group's values that a save leaves alone.
fn not_saved(group: &layout::Group) -> impl Iterator<Item = usize> {
    let at = group.at;
    group
        .registers
        .iter()
        .enumerate()
        .filter(|(_, register)| layout::NOT_SAVED.contains(register))
        .map(move |(n, _)| at + 2 + 2 * n)
}

/// A fault of an image access, for hang reports.
impl From<LoadError> for String {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Fault(Fault { kind: FaultKind::Bus, address, .. }) => {
                format!("no memory behind GGTT {address:#x}")
            }
            LoadError::Fault(fault) => fault.to_string(),
            LoadError::Image(problem) => problem,
            LoadError::Reset => "the engine was reset".to_owned(),
        }
    }
}
