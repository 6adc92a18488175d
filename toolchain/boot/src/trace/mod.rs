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
//! Driver and model have clocks of their own, each of which starts at its first event here.

mod chrome;
mod svg;
mod text;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use gpu_protocol::{TraceKind, TraceLog, TraceRecord};
use zerocopy::FromBytes;

use crate::machine::Outcome;
use crate::system::Image;

/// The region that the draining domain writes.
const REGION: &str = "gpu_trace_log";

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

/// The driver's trace of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trace {
    events: Vec<Event>,
    /// Records for which the log had no room.
    pub lost: u64,
}

impl Trace {
    /// Takes it out of the memory of a run. `None` if the system has no such domain.
    ///
    /// # Errors
    /// When what is there is no log.
    pub fn take(image: &Image, outcome: &Outcome) -> Result<Option<Self>> {
        let Ok(region) = image.region(REGION) else { return Ok(None) };
        let bytes = outcome.ram.read(region.paddr, region.size).context("the trace's memory")?;
        Self::parse(&bytes).map(Some)
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
        let (header, rest) = TraceLog::read_from_prefix(bytes).ok().context("the trace has no header")?;
        ensure!(header.magic == TraceLog::MAGIC, "the trace's memory holds something else");
        let count = usize::try_from(header.records)?;
        let records = rest.chunks_exact(size_of::<TraceRecord>()).take(count);
        let records: Vec<_> = records.map_while(|record| TraceRecord::read_from_bytes(record).ok()).collect();
        ensure!(records.len() == count, "the trace says {count} records and has room for {}", records.len());
        Ok(Self { lost: header.lost, ..Self::of(&records)? })
    }

    /// The trace of these records.
    ///
    /// # Errors
    /// When one is of no kind that there is.
    pub fn of(records: &[TraceRecord]) -> Result<Self> {
        let mut owners = std::collections::HashMap::new();
        let start = records.first().map_or(0, |record| record.time_ns);
        let event = |record: &TraceRecord| {
            let kind = TraceKind::from_number(record.kind)
                .with_context(|| format!("there is no event of kind {}", record.kind))?;
            let client = match record.client {
                TraceRecord::NONE => owners.get(&record.context).copied(),
                client => Some(client),
            };
            if let (TraceKind::Accepted, Some(client)) = (kind, client) {
                owners.insert(record.context, client);
            }
            Ok(Event { ns: record.time_ns.saturating_sub(start), kind, record: *record, client })
        };
        Ok(Self { events: records.iter().map(event).collect::<Result<_>>()?, lost: 0 })
    }

    /// What the three files say: Perfetto's with the device model's trace, if there is one, the log and the picture.
    ///
    /// # Errors
    /// When the model's trace is no trace.
    pub fn texts(&self, model: Option<&str>) -> Result<[String; 3]> {
        Ok([chrome::json(self, model)?, text::log(self), svg::picture(self)])
    }

    /// Writes the three files into the folder of the run, and returns their paths.
    ///
    /// # Errors
    /// When the model's trace is no trace, or a file cannot be written.
    pub fn write(&self, outcome: &Outcome) -> Result<[PathBuf; 3]> {
        let model =
            outcome.verdict.as_ref().and_then(|verdict| fs::read_to_string(&verdict.files.trace).ok());
        let files = ["timeline.json", "timeline.txt", "timeline.svg"].map(|name| outcome.folder.join(name));
        for (file, text) in files.iter().zip(self.texts(model.as_deref())?) {
            fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(files)
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
    use zerocopy::IntoBytes;

    use super::*;

    pub(crate) fn record(time_ns: u64, kind: TraceKind, engine: u8, a: u64, b: u64) -> TraceRecord {
        let client = if kind == TraceKind::Accepted { 1 } else { TraceRecord::NONE };
        TraceRecord { time_ns, kind: kind as u16, engine, client, context: 5, a, b }
    }

    fn log(records: &[TraceRecord], count: u64) -> Vec<u8> {
        let header = TraceLog { magic: TraceLog::MAGIC, records: count, lost: 3, rsvd: 0 };
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
    fn what_is_not_a_log_is_refused() {
        assert!(Trace::parse(&[0; 64]).is_err(), "no magic number");
        assert!(Trace::parse(&[0; 8]).is_err(), "no header");
        assert!(Trace::parse(&log(&[], 9)).is_err(), "more records than there is room for");
        let unknown = TraceRecord { kind: 99, ..record(0, TraceKind::Lost, 0, 0, 0) };
        assert!(Trace::parse(&log(&[unknown], 1)).is_err());
    }
}
