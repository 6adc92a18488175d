// SPDX-License-Identifier: BSD-2-Clause
//! A run as a list of accesses, and its repetition.
//!
//! A record is text, one event a line, so that two can be compared with common tools:
//!
//! ```text
//!   gpu tgl instant           first line: platform, timing; `keep` if power survives a full reset
//!   cr OFFSET LEN VALUE       configuration read, and what it gave
//!   cw OFFSET LEN VALUE       configuration write
//!   r BAR OFFSET SIZE VALUE   BAR read (BAR 0, 2 or 4), and what it gave
//!   w BAR OFFSET SIZE VALUE   BAR write
//!   s UNITS                   the model was given time to work
//!   dr ADDRESS BYTES          DMA read and the bytes that memory gave ("-": refused)
//!   dw ADDRESS BYTES          DMA write ("dx": compare and exchange, current and new)
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
use crate::{Bar, Gpu, Msi, Options, Timing, by_name};

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

impl Recorder {
    /// Writes to `out`, beginning with the line that names platform and timing.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, gpu: &str, options: &Options) -> Self {
        let recorder = Self { out: Arc::new(Mutex::new(out)) };
        let keep = if options.full_reset_keeps_power { " keep" } else { "" };
        recorder.line(&format!("gpu {gpu} {}{keep}", timing_name(options.timing)));
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
        let bytes = if result.is_ok() { hex(data) } else { "-".to_owned() };
        self.recorder.line(&format!("dw {address:x} {bytes}"));
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
        self.recorder.line(&format!("dx {address:x} {found}"));
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
    /// The next recorded event, if it is `kind` at `address`: its last field.
    fn next(&self, kind: &str, address: u64) -> Option<String> {
        let mut dma = self.0.lock().ok()?;
        let Some((number, fields)) = dma.expected.pop_front() else {
            dma.differences.push(format!("{kind} {address:x}: not in the record"));
            return None;
        };
        if let [found_kind, found_address, data] = fields.as_slice()
            && found_kind == kind
            && *found_address == format!("{address:x}")
        {
            return Some(data.clone());
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
            Some(text) if text == hex(data) => Ok(()),
            Some(text) if text == "-" => Err(MemoryError::Unbacked(address)),
            Some(text) => {
                self.differ(format!("dw {address:x}: was {text}, is {}", hex(data)));
                Ok(())
            }
            None => Err(MemoryError::Unbacked(address)),
        }
    }

    fn compare_exchange(&mut self, address: u64, _: usize, _: u64, _: u64) -> Result<u64, MemoryError> {
        self.next("dx", address)
            .and_then(|text| u64::from_str_radix(&text, 16).ok())
            .ok_or(MemoryError::Unbacked(address))
    }
}

/// Repeats a record against a fresh model; gives both.
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
    let [word, name, timing, rest @ ..] = first.as_slice() else {
        bail!("line 1: expected `gpu NAME TIMING`")
    };
    let platform =
        by_name(name).filter(|_| word == "gpu").with_context(|| format!("line 1: no GPU {name:?}"))?;
    let timing = [Timing::Instant, Timing::Deferred, Timing::Busy, Timing::Silent]
        .into_iter()
        .find(|known| timing_name(*known) == timing)
        .with_context(|| format!("line 1: no timing {timing:?}"))?;
    let dma = Arc::new(Mutex::new(Dma::default()));
    let full_reset_keeps_power = rest.iter().any(|word| word == "keep");
    let options = Options { timing, full_reset_keeps_power, ..options };
    let gpu = Gpu::new(platform, options, Box::new(ReplayMemory(Arc::clone(&dma))));
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
            self.replay.differences.push(format!("line {number}: {}: now {now:x}", fields.join(" ")));
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
    fn what_is_no_record_is_refused_with_its_line() {
        assert!(run("").unwrap_err().to_string().contains("empty"));
        assert!(run("gpu nv50 instant\n").unwrap_err().to_string().contains("line 1"));
        assert!(run("gpu tgl instant\nr 9 0 4 0\n").unwrap_err().to_string().contains("line 2"));
        assert!(run("gpu tgl instant\ncr zz 4 0\n").unwrap_err().to_string().contains("line 2"));
    }
}
