// SPDX-License-Identifier: BSD-2-Clause
//! What a run looked like from the inside: the driver's trace, taken out of guest memory, and the device model's,
//! turned into files that a person opens.
//!
//! | file | for |
//! | --- | --- |
//! | `timeline.json` | Perfetto (ui.perfetto.dev) or chrome://tracing: driver and GPU as two processes |
//! | `timeline.txt` | a text log of the driver's events |
//! | `timeline.svg` | a picture of the driver's requests on their engines |
//!
//! A run leaves both traces in its folder as they are, `events.bin` and `trace.json`, however it ended, and the three files
//! are made of these two. Times are those of the driver since its first event ([`clocks`] says how the model's become such).

mod chrome;
mod clocks;
mod log;
mod svg;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use gpu_protocol::{TraceKind, TraceRecord};

pub(crate) use log::save;

use crate::machine::Outcome;
use crate::system::Image;

/// The driver's trace in the folder of a run: a [`gpu_protocol::TraceLog`] and its records, the oldest first.
pub const EVENTS: &str = "events.bin";

/// The device model's trace there.
pub(crate) const MODEL: &str = "trace.json";

/// One event of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Since the first one.
    pub(crate) ns: u64,
    pub(crate) kind: TraceKind,
    pub(crate) record: TraceRecord,
    /// The client, as far as it is known whose context it is.
    pub(crate) client: Option<u8>,
}

impl Event {
    /// Whether it is about the context that its record names.
    pub(crate) const fn is_of_context(kind: TraceKind) -> bool {
        matches!(
            kind,
            TraceKind::Accepted
                | TraceKind::Submitted
                | TraceKind::Entered
                | TraceKind::Left
                | TraceKind::Finished
        )
    }
}

/// The driver's trace of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trace {
    events: Vec<Event>,
    /// Earlier records whose places in the log later ones have taken.
    pub lost: u64,
}

impl Trace {
    /// Takes it out of the memory of a run. `None` if the system has no such domain.
    ///
    /// # Errors
    /// When what is there is no log.
    pub fn take(image: &Image, outcome: &Outcome) -> Result<Option<Self>> {
        let found = log::found(image, &outcome.ram)?;
        found.map(|(lost, records)| Ok(Self { lost, ..Self::of(&records)? })).transpose()
    }

    /// The trace that is kept in a file: [`EVENTS`] of a run, or a copy of the region `gpu_trace_log` from wherever the
    /// system ran.
    ///
    /// # Errors
    /// When the file cannot be read, or is no log.
    pub fn load(file: &Path) -> Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&bytes).with_context(|| file.display().to_string())
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether there is an event of a kind.
    #[must_use]
    pub fn has(&self, kind: TraceKind) -> bool {
        self.events.iter().any(|event| event.kind == kind)
    }

    /// The clients that there are events of a kind of, in order.
    #[must_use]
    pub fn clients(&self, kind: TraceKind) -> Vec<u8> {
        let of_kind = self.events.iter().filter(|event| event.kind == kind);
        let clients: std::collections::BTreeSet<_> = of_kind.filter_map(|event| event.client).collect();
        clients.into_iter().collect()
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let (lost, records) = log::in_order(bytes)?;
        Ok(Self { lost, ..Self::of(&records)? })
    }

    /// The trace of these records.
    ///
    /// # Errors
    /// When one is of no kind that there is.
    pub fn of(records: &[TraceRecord]) -> Result<Self> {
        let kinds: Vec<TraceKind> = records
            .iter()
            .map(|record| {
                TraceKind::from_number(record.kind)
                    .with_context(|| format!("there is no event of kind {}", record.kind))
            })
            .collect::<Result<_>>()?;
        let mut owners = std::collections::HashMap::new();
        let start = records.first().map_or(0, |record| record.time_ns);
        let mut events = Vec::with_capacity(records.len());
        for (index, (record, kind)) in records.iter().zip(&kinds).enumerate() {
            // A request is told of as it is submitted, and whose it is when all of it is accepted, which is before the next
            // one is submitted. The number of the context may have been somebody else's before.
            if *kind == TraceKind::Submitted {
                let rest = kinds[index + 1..].iter().zip(&records[index + 1..]);
                let accepted = rest
                    .take_while(|(kind, _)| **kind != TraceKind::Submitted)
                    .find(|(kind, next)| **kind == TraceKind::Accepted && next.context == record.context);
                if let Some((_, accepted)) = accepted {
                    owners.insert(record.context, accepted.client);
                }
            }
            let client = match record.client {
                TraceRecord::NONE if Event::is_of_context(*kind) => owners.get(&record.context).copied(),
                TraceRecord::NONE => None,
                client => Some(client),
            };
            let ns = record.time_ns.saturating_sub(start);
            events.push(Event { ns, kind: *kind, record: *record, client });
        }
        Ok(Self { events, lost: 0 })
    }

    /// What the three files say: Perfetto's with the device model's trace, if there is one, the log and the picture.
    ///
    /// # Errors
    /// When the model's trace is no trace.
    pub fn texts(&self, model: Option<&str>) -> Result<[String; 3]> {
        Ok([chrome::json(self, model)?, text::log(self), svg::picture(self)])
    }

    /// Writes the three files into a folder, with the device model's trace that is in the file `model`, if there is one, and
    /// returns their paths.
    ///
    /// # Errors
    /// When the model's trace cannot be read or is no trace, or a file cannot be written.
    pub fn write(&self, folder: &Path, model: Option<&Path>) -> Result<[PathBuf; 3]> {
        let read =
            |file: &Path| fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
        let text = model.map(read).transpose()?;
        let texts = self.texts(text.as_deref()).with_context(|| match model {
            Some(file) => file.display().to_string(),
            None => "the driver's trace".into(),
        })?;
        let files = ["timeline.json", "timeline.txt", "timeline.svg"].map(|name| folder.join(name));
        for (file, text) in files.iter().zip(texts) {
            fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(files)
    }

    /// Makes the three files of what a run left in its folder, however it ended. `None` if its system has no trace.
    ///
    /// # Errors
    /// As [`Trace::load`] and [`Trace::write`].
    pub fn of_folder(folder: &Path) -> Result<Option<(Self, [PathBuf; 3])>> {
        let [events, model] = [EVENTS, MODEL].map(|name| folder.join(name));
        if !events.exists() {
            return Ok(None);
        }
        let trace = Self::load(&events)?;
        let files = trace.write(folder, Some(&*model).filter(|file| file.exists()))?;
        Ok(Some((trace, files)))
    }
}

/// The name of an engine, as i915 has it.
pub(crate) fn engine_name(engine: u8) -> Option<String> {
    if engine == TraceRecord::NONE {
        return None;
    }
    let class = ["rcs", "bcs", "vcs", "vecs"].get(usize::from(engine >> 4)).unwrap_or(&"ccs");
    Some(format!("{class}{}", engine & 0xf))
}

/// What an event says beyond its name.
pub(crate) fn details(event: &Event) -> String {
    let TraceRecord { a, b, context, .. } = event.record;
    match event.kind {
        TraceKind::Lost => format!("{a} events are missing"),
        TraceKind::Accepted => format!("context {context}: timeline {a} will reach {b}"),
        TraceKind::Submitted => format!("context {context}: request {b} of timeline {a}"),
        TraceKind::Entered => format!("context {context}"),
        TraceKind::Left if a == 0 => format!("context {context}, with nothing more to do"),
        TraceKind::Left => format!("context {context}, preempted"),
        TraceKind::Finished => {
            let how = ["executed", "hung", "cancelled"].get((b >> 62) as usize).unwrap_or(&"");
            format!("context {context}: request {} of timeline {a}, {how}", b & (u64::MAX >> 2))
        }
        TraceKind::PagesAsked => format!("{b:#x} bytes at {a:#x}"),
        TraceKind::Invalidated => format!("{b:#x} bytes at {a:#x}"),
        TraceKind::Fault => format!("nothing answers at {a:#x}"),
        TraceKind::PagesGranted => format!("{b} pages at {a:#x}"),
        TraceKind::PagesReleased => format!("{b} pages"),
        TraceKind::Hang | TraceKind::EngineReset | TraceKind::GpuReset | TraceKind::TlbsInvalidated => {
            String::new()
        }
    }
}

/// What a kind of event is called.
pub(crate) const fn name(kind: TraceKind) -> &'static str {
    match kind {
        TraceKind::Lost => "lost",
        TraceKind::Accepted => "accepted",
        TraceKind::Submitted => "submitted",
        TraceKind::Entered => "entered",
        TraceKind::Left => "left",
        TraceKind::Finished => "finished",
        TraceKind::Hang => "hang",
        TraceKind::Fault => "page fault",
        TraceKind::Invalidated => "pages taken back",
        TraceKind::EngineReset => "engine reset",
        TraceKind::GpuReset => "GPU reset",
        TraceKind::PagesAsked => "pages asked for",
        TraceKind::PagesGranted => "pages granted",
        TraceKind::PagesReleased => "pages released",
        TraceKind::TlbsInvalidated => "TLBs invalidated",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use gpu_protocol::TraceLog;
    use zerocopy::IntoBytes as _;

    use super::*;

    pub(crate) fn record(time_ns: u64, kind: TraceKind, engine: u8, a: u64, b: u64) -> TraceRecord {
        let client = if kind == TraceKind::Accepted { 1 } else { TraceRecord::NONE };
        TraceRecord { time_ns, kind: kind as u16, engine, client, context: 5, a, b }
    }

    pub(crate) fn log(records: &[TraceRecord], count: u64) -> Vec<u8> {
        let header = TraceLog { records: count, lost: 3, ..TraceLog::EMPTY };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend(records.as_bytes());
        bytes.extend([0; 64]);
        bytes
    }

    /// One request from acceptance to its end.
    pub(crate) fn sample() -> Trace {
        const BCS: u8 = 0x10;
        const NONE: u8 = TraceRecord::NONE;
        let records = [
            record(1_000, TraceKind::Submitted, BCS, 2, 1),
            record(1_000, TraceKind::Entered, BCS, 0, 0),
            record(2_000, TraceKind::Accepted, NONE, 0, 1),
            record(5_000, TraceKind::Finished, BCS, 2, 1),
            record(5_500, TraceKind::Left, BCS, 0, 0),
            record(6_000, TraceKind::GpuReset, NONE, 0, 0),
        ];
        Trace::parse(&log(&records, 6)).unwrap()
    }

    #[test]
    fn a_log_is_read_back_with_times_from_its_first_event_and_the_contexts_client() {
        let trace = sample();
        assert_eq!((trace.len(), trace.lost), (6, 3));
        let times: Vec<_> = trace.events.iter().map(|event| event.ns).collect();
        assert_eq!(times, [0, 0, 1_000, 4_000, 4_500, 5_000]);
        assert_eq!(trace.events[3].client, Some(1), "its context was accepted for client 1");
        assert!(trace.has(TraceKind::Left) && !trace.has(TraceKind::Hang));
        assert_eq!((trace.clients(TraceKind::Finished), trace.clients(TraceKind::Hang)), (vec![1], vec![]));
    }

    #[test]
    fn a_request_is_its_clients_from_its_submission_on_whoever_had_the_contexts_number_before() {
        let trace = sample();
        let clients: Vec<_> = trace.events.iter().map(|event| event.client).collect();
        assert_eq!(clients, [Some(1), Some(1), Some(1), Some(1), Some(1), None], "a reset is nobody's");

        let by = |client: u8, record: TraceRecord| TraceRecord { client, ..record };
        let accepted = record(0, TraceKind::Accepted, TraceRecord::NONE, 0, 1);
        let submitted = record(0, TraceKind::Submitted, 0x10, 2, 1);
        let other = TraceRecord { context: 6, ..submitted };
        let records = [
            // The driver's own.
            TraceRecord { context: 0, ..submitted },
            submitted,
            by(2, accepted),
            other,
            by(3, TraceRecord { context: 6, ..accepted }),
            submitted,
            by(4, accepted),
            // The next one is cut off.
            submitted,
        ];
        let clients: Vec<_> = Trace::of(&records).unwrap().events.iter().map(|event| event.client).collect();
        let expected = [None, Some(2), Some(2), Some(3), Some(3), Some(4), Some(4), Some(4)];
        assert_eq!(clients, expected);
    }

    #[test]
    fn what_is_not_a_log_is_refused() {
        let told = |bytes: &[u8]| Trace::parse(bytes).unwrap_err().to_string();
        assert_eq!(told(&[0; 64]), "there is no trace: it begins otherwise");
        assert_eq!(told(&[0; 8]), "there is no trace: it is too short");
        assert_eq!(told(&log(&[], 9)), "the trace says 9 records and has room for 2");
        let unknown = TraceRecord { kind: 99, ..record(0, TraceKind::Lost, 0, 0, 0) };
        assert_eq!(told(&log(&[unknown], 1)), "there is no event of kind 99");
        let round = TraceLog { first: 7, ..TraceLog::EMPTY };
        assert_eq!(told(round.as_bytes()), "the oldest record is said to be number 7 of 0");
    }
}
