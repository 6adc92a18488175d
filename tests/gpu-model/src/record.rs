// SPDX-License-Identifier: BSD-2-Clause
//! A run as a list of accesses, and its repetition.
//!
//! A record is text, one event a line, so that two can be compared with common tools:
//!
//! ```text
//!   gpu tgl instant           first line: platform, timing; then `keep` if power survives a full reset, `device=ID`
//!                             for another PCI device id, `lose=N` if the first N interrupts are lost,
//!                             `budget=N` if an access does another amount of work than is usual, `host` if the
//!                             clock was the host's
//!   cr OFFSET LEN VALUE       configuration read, and what it gave
//!   cw OFFSET LEN VALUE       configuration write
//!   r BAR OFFSET SIZE VALUE   BAR read (BAR 0, 2 or 4), and what it gave
//!   w BAR OFFSET SIZE VALUE   BAR write
//!   s UNITS                   the model was given time to work
//!   t NANOSECONDS             the clock was moved ahead
//!   timing NAME               when work happens was changed
//!   dr ADDRESS BYTES          DMA read and the bytes that memory gave ("-": refused)
//!   dw ADDRESS BYTES          DMA write ("-" after the bytes: refused)
//!   dx ADDRESS SIZE CURRENT NEW FOUND   DMA compare and exchange ("-": refused)
//!   m ADDRESS DATA            message-signalled interrupt
//!   reset                     the function was reset
//!   hide 0|1                  the upper halves of the BARs are hidden from QEMU's sizing
//! ```
//!
//! DMA is part of the record, so a replay needs no guest: memory answers what it answered then, and every
//! difference in what the model reads, writes or signals is told. All numbers are hexadecimal.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, bail};

use crate::memory::{GuestMemory, MemoryError};
use crate::registers::DECODED;
use crate::{Bar, ClockSource, Gpu, Msi, Options, Platform, Timing, by_name};

/// Differences after which a replay stops looking.
const DIFFERENCES: usize = 100;

/// Takes events; clones write to the same place.
#[derive(Clone)]
pub struct Recorder {
    out: Arc<Mutex<Box<dyn Write + Send>>>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// The first line of a record: which model was run, and how.
#[derive(Clone, Debug)]
pub struct Head {
    platform: &'static Platform,
    /// PCI device id, where it is not the platform's own.
    device_id: Option<u16>,
    timing: Timing,
    keeps_power: bool,
    lose_interrupts: u32,
    instant_budget: u64,
    clock: ClockSource,
}

/// What an access does where the head does not say it.
const USUAL_BUDGET: u64 = 200_000;

impl Head {
    /// Of a model that stands at its power-on.
    #[must_use]
    pub fn of(gpu: &Gpu) -> Self {
        let platform = gpu.platform();
        let usual = by_name(platform.name).map(|platform| platform.device_id);
        Self {
            platform,
            device_id: (usual != Some(platform.device_id)).then_some(platform.device_id),
            timing: gpu.options().timing,
            keeps_power: gpu.options().full_reset_keeps_power,
            lose_interrupts: gpu.interrupts_to_lose(),
            instant_budget: gpu.options().instant_budget,
            clock: gpu.options().clock,
        }
    }

    fn line(&self) -> String {
        let mut line = format!("gpu {} {}", self.platform.name, timing_name(self.timing));
        if self.keeps_power {
            line += " keep";
        }
        if let Some(id) = self.device_id {
            let _ = write!(line, " device={id:x}");
        }
        if self.lose_interrupts > 0 {
            let _ = write!(line, " lose={:x}", self.lose_interrupts);
        }
        if self.instant_budget != USUAL_BUDGET {
            let _ = write!(line, " budget={:x}", self.instant_budget);
        }
        if self.clock == ClockSource::Host {
            line += " host";
        }
        line
    }

    fn parse(fields: &[String]) -> Result<Self> {
        let [word, name, timing, rest @ ..] = fields else { bail!("line 1: expected `gpu NAME TIMING`") };
        let platform =
            by_name(name).filter(|_| word == "gpu").with_context(|| format!("line 1: no GPU {name:?}"))?;
        let timing = timing_of(timing).with_context(|| format!("line 1: no timing {timing:?}"))?;
        let mut head = Self {
            platform,
            device_id: None,
            timing,
            keeps_power: false,
            lose_interrupts: 0,
            instant_budget: USUAL_BUDGET,
            clock: ClockSource::Stepped,
        };
        for word in rest {
            let wide = |text| u64::from_str_radix(text, 16).with_context(|| format!("line 1: {word}"));
            let number = |text| u32::try_from(wide(text)?).with_context(|| format!("line 1: {word}"));
            if word == "keep" {
                head.keeps_power = true;
            } else if word == "host" {
                head.clock = ClockSource::Host;
            } else if let Some(budget) = word.strip_prefix("budget=") {
                head.instant_budget = wide(budget)?;
            } else if let Some(id) = word.strip_prefix("device=") {
                let id = u16::try_from(number(id)?).with_context(|| format!("line 1: {word}"))?;
                head.device_id = Some(id);
            } else if let Some(count) = word.strip_prefix("lose=") {
                head.lose_interrupts = number(count)?;
            } else {
                bail!("line 1: no option {word:?}");
            }
        }
        Ok(head)
    }
}

impl Recorder {
    /// Writes to `out`, beginning with `head`.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, head: &Head) -> Self {
        let recorder = Self { out: Arc::new(Mutex::new(out)) };
        recorder.line(&head.line());
        recorder
    }

    /// Takes one event.
    pub fn line(&self, line: &str) {
        if let Ok(mut out) = self.out.lock() {
            // A full disk ends the record, not the run.
            let _ = writeln!(out, "{line}");
        }
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn flush(&self) -> Result<()> {
        match self.out.lock() {
            Ok(mut out) => out.flush().context("writing the record"),
            Err(_) => bail!("the record was abandoned"),
        }
    }

    /// A BAR access.
    pub fn bar(&self, write: bool, bar: Bar, offset: u64, size: u32, value: u64) {
        let kind = if write { "w" } else { "r" };
        self.line(&format!("{kind} {} {offset:x} {size:x} {value:x}", bar_number(bar)));
    }

    /// A configuration access.
    pub fn config(&self, write: bool, offset: u32, len: u32, value: u32) {
        self.line(&format!("c{} {offset:x} {len:x} {value:x}", if write { "w" } else { "r" }));
    }

    /// When work happens was changed.
    pub fn timing(&self, timing: Timing) {
        self.line(&format!("timing {}", timing_name(timing)));
    }

    /// A message.
    pub fn msi(&self, msi: Msi) {
        self.line(&format!("m {:x} {:x}", msi.address, msi.data));
    }
}

const fn bar_number(bar: Bar) -> u8 {
    match bar {
        Bar::Registers => 0,
        Bar::Aperture => 2,
        Bar::Io => 4,
    }
}

const fn timing_name(timing: Timing) -> &'static str {
    match timing {
        Timing::Instant => "instant",
        Timing::Deferred => "realtime",
        Timing::Busy => "busy",
        Timing::Silent => "silent",
    }
}

fn timing_of(name: &str) -> Option<Timing> {
    [Timing::Instant, Timing::Deferred, Timing::Busy, Timing::Silent]
        .into_iter()
        .find(|known| timing_name(*known) == name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Memory whose accesses are recorded.
#[derive(Debug)]
pub struct RecordedMemory<M> {
    inner: M,
    recorder: Recorder,
}

impl<M: GuestMemory> RecordedMemory<M> {
    /// `inner`, with its accesses written to `recorder`.
    pub const fn new(inner: M, recorder: Recorder) -> Self {
        Self { inner, recorder }
    }
}

impl<M: GuestMemory> GuestMemory for RecordedMemory<M> {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        let result = self.inner.read(address, buffer);
        let bytes = if result.is_ok() { hex(buffer) } else { "-".to_owned() };
        self.recorder.line(&format!("dr {address:x} {bytes}"));
        result
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), MemoryError> {
        let result = self.inner.write(address, data);
        let refused = if result.is_ok() { "" } else { "-" };
        self.recorder.line(&format!("dw {address:x} {}{refused}", hex(data)));
        result
    }

    fn compare_exchange(
        &mut self,
        address: u64,
        size: usize,
        current: u64,
        new: u64,
    ) -> Result<u64, MemoryError> {
        let result = self.inner.compare_exchange(address, size, current, new);
        let found = result.map_or_else(|_| "-".to_owned(), |found| format!("{found:x}"));
        self.recorder.line(&format!("dx {address:x} {size:x} {current:x} {new:x} {found}"));
        result
    }
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Accesses made.
    pub accesses: u64,
    /// Differences to the record, oldest first, with line numbers.
    pub differences: Vec<String>,
}

/// DMA events of the access that is being repeated.
#[derive(Debug, Default)]
struct Dma {
    expected: VecDeque<(usize, Vec<String>)>,
    differences: Vec<String>,
}

/// Memory that answers as the record says.
struct ReplayMemory(Arc<Mutex<Dma>>);

impl ReplayMemory {
    /// The next recorded event, if it is `kind` at `address`: its other fields.
    fn next(&self, kind: &str, address: u64) -> Option<String> {
        let mut dma = self.0.lock().ok()?;
        let Some((number, fields)) = dma.expected.pop_front() else {
            dma.differences.push(format!("{kind} {address:x}: not in the record"));
            return None;
        };
        if let [found_kind, found_address, data @ ..] = fields.as_slice()
            && found_kind == kind
            && *found_address == format!("{address:x}")
        {
            return Some(data.join(" "));
        }
        let recorded: String = fields.join(" ").chars().take(100).collect();
        dma.differences.push(format!("line {number}: {recorded}: now {kind} {address:x}"));
        None
    }

    fn differ(&self, what: String) {
        if let Ok(mut dma) = self.0.lock() {
            dma.differences.push(what);
        }
    }
}

impl GuestMemory for ReplayMemory {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        let bytes = self.next("dr", address).and_then(|text| unhex(&text));
        match bytes {
            Some(bytes) if bytes.len() == buffer.len() => {
                buffer.copy_from_slice(&bytes);
                Ok(())
            }
            _ => Err(MemoryError::Unbacked(address)),
        }
    }

    fn write(&mut self, address: u64, data: &[u8]) -> Result<(), MemoryError> {
        match self.next("dw", address) {
            Some(text) => {
                let (was, refused) = text.strip_suffix('-').map_or((&*text, false), |was| (was, true));
                if was != hex(data) {
                    self.differ(format!("dw {address:x}: was {was}, is {}", hex(data)));
                }
                if refused { Err(MemoryError::Unbacked(address)) } else { Ok(()) }
            }
            None => Err(MemoryError::Unbacked(address)),
        }
    }

    fn compare_exchange(
        &mut self,
        address: u64,
        size: usize,
        current: u64,
        new: u64,
    ) -> Result<u64, MemoryError> {
        let text = self.next("dx", address).ok_or(MemoryError::Unbacked(address))?;
        let now = format!("{size:x} {current:x} {new:x}");
        let (then, found) = text.rsplit_once(' ').unwrap_or(("", &text));
        if then != now {
            self.differ(format!("dx {address:x}: was {then}, is {now} (size, current, new)"));
        }
        u64::from_str_radix(found, 16).map_err(|_| MemoryError::Unbacked(address))
    }
}

/// Repeats a record against a fresh model; gives both. Of `options` only the trace is used: the record says the others.
/// A record whose clock was the host's has other timestamps when it is repeated.
///
/// # Errors
/// The record cannot be read or is not one.
pub fn replay(record: &mut dyn BufRead, options: Options) -> Result<(Replay, Gpu)> {
    let lines: Vec<String> = record.lines().collect::<std::io::Result<_>>().context("reading the record")?;
    let mut lines = lines
        .iter()
        .enumerate()
        .map(|(n, line)| (n + 1, line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()));
    let Some((_, first)) = lines.next() else { bail!("the record is empty") };
    let head = Head::parse(&first)?;
    let Head { platform, device_id, timing, keeps_power, lose_interrupts, instant_budget, clock } = head;
    let platform = match device_id {
        // Leaked: a platform is `'static`, and a program replays a few records at most.
        Some(device_id) => Box::leak(Box::new(Platform { device_id, ..*platform })),
        None => platform,
    };
    let dma = Arc::new(Mutex::new(Dma::default()));
    let options = Options { timing, full_reset_keeps_power: keeps_power, instant_budget, clock, ..options };
    let mut gpu = Gpu::new(platform, options, Box::new(ReplayMemory(Arc::clone(&dma))));
    gpu.injection().lose_interrupts = lose_interrupts;
    let mut player = Player { gpu, dma, replay: Replay::default(), messages: VecDeque::new() };
    // An access comes after the DMA that it caused in the record (its result was known only then).
    for (number, fields) in lines {
        player.event(number, fields)?;
        if player.replay.differences.len() >= DIFFERENCES {
            break;
        }
    }
    Ok((player.replay, player.gpu))
}

struct Player {
    gpu: Gpu,
    dma: Arc<Mutex<Dma>>,
    replay: Replay,
    messages: VecDeque<(usize, Msi)>,
}

impl Player {
    fn event(&mut self, number: usize, fields: Vec<String>) -> Result<()> {
        let words: Vec<&str> = fields.iter().map(String::as_str).collect();
        let malformed = || format!("line {number}: {}", fields.join(" "));
        let field = |at: usize| -> Result<u64> {
            words.get(at).and_then(|word| u64::from_str_radix(word, 16).ok()).with_context(malformed)
        };
        let short = |at: usize| -> Result<u32> { u32::try_from(field(at)?).with_context(malformed) };
        match words.first().copied() {
            Some("dr" | "dw" | "dx") => {
                if let Ok(mut dma) = self.dma.lock() {
                    dma.expected.push_back((number, fields));
                }
                return Ok(());
            }
            Some("m") => {
                self.messages.push_back((number, Msi { address: field(1)?, data: short(2)? }));
                return Ok(());
            }
            Some("cr") => {
                let value = self.gpu.config_read(short(1)?, short(2)?);
                self.compare(number, &fields, u64::from(value), field(3)?);
            }
            Some("cw") => self.gpu.config_write(short(1)?, short(2)?, short(3)?),
            Some(kind @ ("r" | "w")) => {
                let bar = match field(1)? {
                    0 => Bar::Registers,
                    2 => Bar::Aperture,
                    4 => Bar::Io,
                    _ => bail!(malformed()),
                };
                if kind == "r" {
                    let value = self.gpu.bar_read(bar, field(2)?, short(3)?);
                    self.compare(number, &fields, value, field(4)?);
                } else {
                    self.gpu.bar_write(bar, field(2)?, short(3)?, field(4)?);
                }
            }
            Some("s") => _ = self.gpu.step(field(1)?),
            Some("t") => self.gpu.advance(field(1)?),
            Some("timing") => {
                let timing = words.get(1).and_then(|name| timing_of(name)).with_context(malformed)?;
                self.gpu.set_timing(timing);
            }
            Some("reset") => self.gpu.reset(),
            Some("hide") => self.gpu.hide_upper_bar_halves(field(1)? != 0),
            None => return Ok(()),
            Some(_) => bail!(malformed()),
        }
        self.replay.accesses += 1;
        self.settle(number);
        Ok(())
    }

    fn compare(&mut self, number: usize, fields: &[String], now: u64, then: u64) {
        if now != then {
            // A register is named, too: `r 0 OFFSET`, below the GGTT.
            let register = match fields {
                [kind, bar, offset, ..] if kind == "r" && bar == "0" => u32::from_str_radix(offset, 16).ok(),
                _ => None,
            };
            let register = register.filter(|offset| *offset < DECODED);
            let name =
                register.map_or(String::new(), |offset| format!(" {}", self.gpu.register_name(offset)));
            self.replay.differences.push(format!("line {number}:{name} {}: now {now:x}", fields.join(" ")));
        }
    }

    /// After an access: its DMA and messages must be those of the record.
    fn settle(&mut self, number: usize) {
        if let Ok(mut dma) = self.dma.lock() {
            let mut found = std::mem::take(&mut dma.differences);
            self.replay.differences.append(&mut found);
            for (line, fields) in dma.expected.drain(..) {
                let what: String = fields.join(" ").chars().take(100).collect();
                self.replay
                    .differences
                    .push(format!("line {line}: {what}: not by the access of line {number}"));
            }
        }
        while let Some(msi) = self.gpu.take_msi() {
            match self.messages.pop_front() {
                Some((_, recorded)) if recorded == msi => {}
                other => {
                    self.replay.differences.push(format!("line {number}: {msi:x?} instead of {other:x?}"))
                }
            }
        }
        for (line, msi) in self.messages.drain(..) {
            self.replay.differences.push(format!("line {line}: {msi:x?} was not sent"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<Replay> {
        replay(&mut text.as_bytes(), Options::default()).map(|(replay, _)| replay)
    }

    #[test]
    fn a_record_that_agrees_has_no_differences() {
        let replay =
            run("gpu tgl instant\ncr 0 4 9a498086\ncw 4 2 6\nw 0 a188 4 10001\nr 0 130044 4 1\n").unwrap();
        assert_eq!(replay, Replay { accesses: 4, differences: vec![] });
    }

    #[test]
    fn every_kind_of_difference_is_told_with_its_line() {
        let replay =
            run("gpu tgl instant\ncr 0 4 12345678\ncw 4 2 6\nm fee00000 35\ndr 1000 00\nw 0 a188 4 10001\n");
        assert_eq!(
            replay.unwrap().differences,
            [
                "line 2: cr 0 4 12345678: now 9a498086",
                "line 5: dr 1000 00: not by the access of line 6",
                "line 4: Msi { address: fee00000, data: 35 } was not sent",
            ]
        );
    }

    #[test]
    fn dma_is_answered_from_the_record() {
        // An aperture read through GGTT entry 0.
        let text = "gpu skl instant\ncw 4 2 6\nw 0 800000 8 5001\nw 0 101008 4 1\ndr 5008 78563412\nr 2 8 4 12345678\n";
        assert_eq!(run(text).unwrap().differences, Vec::<String>::new());
    }

    #[test]
    fn a_read_that_differs_names_its_register() {
        let replay =
            run("gpu tgl instant\ncw 4 2 6\nw 0 a188 4 10001\nr 0 130044 4 0\nr 0 22098 4 5\n").unwrap();
        assert_eq!(
            replay.differences,
            [
                "line 4: register 0x130044 r 0 130044 4 0: now 1"
                    .replace("register 0x130044", &name(0x13_0044)),
                "line 5: BCS0 HWSTAM (0x22098) r 0 22098 4 5: now 0".to_owned(),
            ]
        );
    }

    fn name(offset: u32) -> String {
        let memory = Box::new(crate::VecMemory::new(0, 4096));
        Gpu::new(by_name("tgl").unwrap(), Options::default(), memory).register_name(offset)
    }

    #[test]
    fn the_head_repeats_the_device_id_lost_interrupts_the_budget_and_the_clock() {
        let text = "gpu tgl instant keep device=fffe lose=3 budget=10 host\ncr 0 4 fffe8086\n";
        let (replay, gpu) = replay(&mut text.as_bytes(), Options::default()).unwrap();
        assert_eq!(replay.differences, Vec::<String>::new());
        assert_eq!(Head::of(&gpu).line(), text.lines().next().unwrap());
        assert!(run("gpu tgl instant loose=3\n").unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_line() {
        assert!(run("").unwrap_err().to_string().contains("empty"));
        assert!(run("gpu nv50 instant\n").unwrap_err().to_string().contains("line 1"));
        assert!(run("gpu tgl instant\nr 9 0 4 0\n").unwrap_err().to_string().contains("line 2"));
        assert!(run("gpu tgl instant\ncr zz 4 0\n").unwrap_err().to_string().contains("line 2"));
    }
}
