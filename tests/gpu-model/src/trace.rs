// SPDX-License-Identifier: BSD-2-Clause
//! Timeline in Chrome's trace event format, which chrome://tracing and Perfetto open.
//!
//! One track per engine (contexts, batches, semaphore waits, preemptions, resets), one for interrupts, one for
//! page-table and TLB events. Times are model time in microseconds.

use serde::Serialize;
use serde_json::{Value, json};

/// Most events that are kept, but for the ends of the spans that were begun among them.
const LIMIT: usize = 1 << 20;

/// A track of the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// Engine by index.
    Engine(usize),
    /// Interrupts.
    Interrupts,
    /// Page tables and TLBs.
    Tables,
}

impl Track {
    const fn id(self) -> usize {
        match self {
            Self::Interrupts => 1,
            Self::Tables => 2,
            Self::Engine(index) => 10 + index,
        }
    }
}

/// One event of the format.
#[derive(Clone, Debug, Serialize)]
struct Event {
    name: String,
    ph: &'static str,
    /// Microseconds.
    ts: f64,
    pid: u32,
    tid: usize,
    /// Extent of a moment: `t` its track, `g` everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Value::is_null")]
    args: Value,
}

impl Event {
    fn new(name: String, ph: &'static str, time_ns: u64, track: Track, args: Value) -> Self {
        let s = (ph == "i").then_some("t");
        // Precision beyond 2^53 ns (104 days) does not matter.
        #[expect(clippy::cast_precision_loss, reason = "CAST: time for a display")]
        let ts = time_ns as f64 / 1000.0;
        Self { name, ph, ts, pid: 1, tid: track.id(), s, args }
    }
}

/// Recorder; does nothing unless switched on.
#[derive(Debug, Default)]
pub struct Trace {
    on: bool,
    events: Vec<Event>,
    /// The spans that are open, per engine.
    open: Vec<Vec<Span>>,
    limit: usize,
    /// Events that had no room.
    missing: u64,
}

/// A span that is open.
#[derive(Debug)]
struct Span {
    name: String,
    /// Its beginning had room.
    begun: bool,
    /// How often it was begun again while it was open.
    again: u64,
}

impl Trace {
    /// Records if `on`; one track per name in `engines`.
    #[must_use]
    pub fn new<'a>(on: bool, engines: impl Iterator<Item = &'a str>) -> Self {
        Self::bounded(on, engines, LIMIT)
    }

    fn bounded<'a>(on: bool, engines: impl Iterator<Item = &'a str>, limit: usize) -> Self {
        let mut trace = Self { on, events: Vec::new(), open: Vec::new(), limit, missing: 0 };
        if on {
            trace.name(Track::Interrupts, "interrupts");
            trace.name(Track::Tables, "page tables and TLBs");
            for (index, engine) in engines.enumerate() {
                trace.name(Track::Engine(index), engine);
                trace.open.push(Vec::new());
            }
        }
        trace
    }

    /// Is it recording?
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    fn name(&mut self, track: Track, name: &str) {
        self.push("thread_name".to_owned(), "M", 0, track, json!({ "name": name }));
    }

    /// Keeps an event if there is room. The first that has none leaves a mark in its place.
    fn push(&mut self, name: String, ph: &'static str, time_ns: u64, track: Track, args: Value) -> bool {
        if self.missing == 0 && self.events.len() < self.limit {
            self.keep(Event::new(name, ph, time_ns, track, args));
            return true;
        }
        if self.missing == 0 {
            let mark = format!("the timeline is cut here, after {} events", self.events.len());
            self.keep(Event { s: Some("g"), ..Event::new(mark, "i", time_ns, track, Value::Null) });
        }
        self.missing += 1;
        false
    }

    fn keep(&mut self, event: Event) {
        self.events.push(event);
    }

    /// A moment.
    pub fn instant(&mut self, time_ns: u64, track: Track, name: impl FnOnce() -> (String, Value)) {
        if self.on {
            let (name, args) = name();
            self.push(name, "i", time_ns, track, args);
        }
    }

    /// Opens a span on an engine's track, inside those that are open.
    pub fn begin(&mut self, time_ns: u64, engine: usize, name: impl FnOnce() -> (String, Value)) {
        if self.on {
            let (name, args) = name();
            let begun = self.push(name.clone(), "B", time_ns, Track::Engine(engine), args);
            if let Some(open) = self.open.get_mut(engine) {
                open.push(Span { name, begun, again: 0 });
            }
        }
    }

    /// Closes what is open beyond `depth` and opens a span in its place. When that is the one that is open there, it goes
    /// on, and its end says how often this happened: a batch that jumps to its own start for a second is one event.
    pub fn replace(
        &mut self,
        time_ns: u64,
        engine: usize,
        depth: usize,
        name: impl FnOnce() -> (String, Value),
    ) {
        if !self.on {
            return;
        }
        let (name, args) = name();
        self.end_all(time_ns, engine, depth + 1);
        if let Some(open) = self.open.get_mut(engine)
            && open.len() == depth + 1
            && let Some(last) = open.last_mut()
            && last.name == name
        {
            last.again += 1;
            return;
        }
        self.end_all(time_ns, engine, depth);
        self.begin(time_ns, engine, || (name, args));
    }

    /// Closes the innermost span of an engine, if one is open beyond `depth`.
    pub fn end(&mut self, time_ns: u64, engine: usize, depth: usize) {
        if !self.on {
            return;
        }
        if let Some(open) = self.open.get_mut(engine)
            && open.len() > depth
            && let Some(Span { name, begun, again }) = open.pop()
        {
            // The end of a span that was begun is kept whatever the room: there are no more of them than engines are deep.
            if begun {
                let args = if again == 0 { Value::Null } else { json!({ "begun again": again }) };
                self.keep(Event::new(name, "E", time_ns, Track::Engine(engine), args));
            }
        }
    }

    /// Closes all spans of an engine down to `depth`.
    pub fn end_all(&mut self, time_ns: u64, engine: usize, depth: usize) {
        while self.open.get(engine).is_some_and(|open| open.len() > depth) {
            self.end(time_ns, engine, depth);
        }
    }

    /// Number of open spans of an engine.
    #[must_use]
    pub fn depth(&self, engine: usize) -> usize {
        self.open.get(engine).map_or(0, Vec::len)
    }

    /// Events that are not in the timeline, which keeps about a million.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// The whole file.
    #[must_use]
    pub fn json(&self) -> String {
        /// The format's outermost object.
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct File<'a> {
            display_time_unit: &'static str,
            trace_events: &'a [Event],
        }
        let file = File { display_time_unit: "ns", trace_events: &self.events };
        // Nothing in an event can fail to be written: no map with keys other than strings, no failing implementation.
        serde_json::to_string(&file).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_nest_and_close() {
        let mut trace = Trace::new(true, ["rcs0", "bcs0"].into_iter());
        trace.begin(1000, 1, || ("context 1".to_owned(), Value::Null));
        trace.begin(2000, 1, || ("batch".to_owned(), Value::Null));
        trace.end_all(3000, 1, 0);
        let file: Value = serde_json::from_str(&trace.json()).unwrap();
        let events = file["traceEvents"].as_array().unwrap();
        let phases: Vec<_> = events.iter().filter(|e| e["tid"] == 11).map(|e| e["ph"].clone()).collect();
        assert_eq!(phases, ["M", "B", "B", "E", "E"]);
        assert_eq!(events.last().unwrap()["name"], "context 1");
        assert_eq!(events.last().unwrap()["ts"], 3.0);
    }

    #[test]
    fn a_span_that_takes_its_own_place_goes_on_and_counts() {
        let mut trace = Trace::new(true, ["rcs0"].into_iter());
        let span = |name: &str| (name.to_owned(), Value::Null);
        trace.begin(1000, 0, || span("context 1"));
        for time in 2..1_000_000 {
            trace.replace(time * 1000, 0, 1, || span("batch"));
        }
        trace.begin(1_000_000_000, 0, || span("wait"));
        trace.replace(1_000_001_000, 0, 1, || span("batch"));
        trace.replace(1_000_002_000, 0, 1, || span("another"));
        trace.end_all(1_000_003_000, 0, 0);
        let file: Value = serde_json::from_str(&trace.json()).unwrap();
        let told: Vec<_> = file["traceEvents"].as_array().unwrap().iter().skip(3).collect();
        let names: Vec<_> =
            told.iter().map(|e| (e["ph"].as_str().unwrap(), e["name"].as_str().unwrap())).collect();
        let wanted = [
            ("B", "context 1"),
            ("B", "batch"),
            ("B", "wait"),
            ("E", "wait"),
            ("E", "batch"),
            ("B", "another"),
            ("E", "another"),
            ("E", "context 1"),
        ];
        assert_eq!(names, wanted);
        assert_eq!(told[4]["args"]["begun again"], 999_998);
    }

    #[test]
    fn a_timeline_that_is_full_says_where_it_was_cut_and_ends_the_spans_that_it_began() {
        let mut trace = Trace::bounded(true, ["rcs0", "bcs0"].into_iter(), 7);
        let span = |name: &str| (name.to_owned(), Value::Null);
        trace.begin(1000, 0, || span("context 1")); // after the names of four tracks
        trace.begin(2000, 0, || span("batch"));
        trace.begin(3000, 1, || span("context 2"));
        assert_eq!(trace.missing(), 0);
        trace.begin(4000, 1, || span("lost"));
        trace.instant(5000, Track::Interrupts, || span("lost"));
        trace.end_all(6000, 1, 0);
        trace.end_all(7000, 0, 0);
        assert_eq!(trace.missing(), 2);
        let file: Value = serde_json::from_str(&trace.json()).unwrap();
        let told: Vec<_> = file["traceEvents"]
            .as_array()
            .unwrap()
            .iter()
            .skip(4)
            .map(|event| format!("{} {}", event["ph"].as_str().unwrap(), event["name"].as_str().unwrap()))
            .collect();
        let wanted = [
            "B context 1",
            "B batch",
            "B context 2",
            "i the timeline is cut here, after 7 events",
            "E context 2",
            "E batch",
            "E context 1",
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn off_records_nothing() {
        let mut trace = Trace::new(false, ["rcs0"].into_iter());
        trace.instant(1, Track::Interrupts, || panic!("not called"));
        let file: Value = serde_json::from_str(&trace.json()).unwrap();
        assert_eq!(file["traceEvents"].as_array().unwrap().len(), 0);
    }
}
