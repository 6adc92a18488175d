// SPDX-License-Identifier: BSD-2-Clause
//! Timeline in Chrome's trace event format, which chrome://tracing and Perfetto open.
//!
//! One track per engine (contexts, batches, semaphore waits, preemptions, resets), one for interrupts, one for
//! page-table and TLB events. Times are model time in microseconds.

use serde::Serialize;
use serde_json::{Value, json};

/// Most events that are kept.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Value::is_null")]
    args: Value,
}

/// Recorder; does nothing unless switched on.
#[derive(Debug, Default)]
pub struct Trace {
    on: bool,
    events: Vec<Event>,
    /// Names of the spans that are open, per engine.
    open: Vec<Vec<String>>,
}

impl Trace {
    /// Records if `on`; one track per name in `engines`.
    #[must_use]
    pub fn new<'a>(on: bool, engines: impl Iterator<Item = &'a str>) -> Self {
        let mut trace = Self { on, events: Vec::new(), open: Vec::new() };
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

    fn push(&mut self, name: String, ph: &'static str, time_ns: u64, track: Track, args: Value) {
        if self.events.len() < LIMIT {
            let s = (ph == "i").then_some("t");
            // Precision beyond 2^53 ns (104 days) does not matter.
            #[expect(clippy::cast_precision_loss, reason = "CAST: time for a display")]
            let ts = time_ns as f64 / 1000.0;
            self.events.push(Event { name, ph, ts, pid: 1, tid: track.id(), s, args });
        }
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
            if let Some(open) = self.open.get_mut(engine) {
                open.push(name.clone());
            }
            self.push(name, "B", time_ns, Track::Engine(engine), args);
        }
    }

    /// Closes the innermost span of an engine, if one is open beyond `depth`.
    pub fn end(&mut self, time_ns: u64, engine: usize, depth: usize) {
        if !self.on {
            return;
        }
        if let Some(open) = self.open.get_mut(engine)
            && open.len() > depth
            && let Some(name) = open.pop()
        {
            self.push(name, "E", time_ns, Track::Engine(engine), Value::Null);
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

    /// The whole file.
    #[must_use]
    pub fn json(&self) -> String {
        let file = json!({ "displayTimeUnit": "ns", "traceEvents": self.events });
        file.to_string()
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
    fn off_records_nothing() {
        let mut trace = Trace::new(false, ["rcs0"].into_iter());
        trace.instant(1, Track::Interrupts, || panic!("not called"));
        let file: Value = serde_json::from_str(&trace.json()).unwrap();
        assert_eq!(file["traceEvents"].as_array().unwrap().len(), 0);
    }
}
