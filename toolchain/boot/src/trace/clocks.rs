// SPDX-License-Identifier: BSD-2-Clause
//! The device model's times as those of the driver. Each has a clock of its own: the driver's counts from its start, the
//! model's from its own, and where work is done within the access that starts it (`Timing::Instant`) only work counts.
//!
//! What both see is that an engine goes over to another context. The driver tells of it (`Entered`) just before it hands the
//! context over, and the model as the engine has loaded it. So each such moment says what the driver's clock showed when the
//! model's showed something, and between two of them the model's clock goes on from the first, though not past the second:
//! nothing is shown before what it came after.

use std::collections::BTreeMap;

use gpu_protocol::TraceKind;
use serde_json::Value;

use super::{Trace, engine_name};

/// What the two clocks show, both in microseconds.
#[derive(Debug, PartialEq)]
pub(crate) struct Clocks {
    /// Moments that both tell of: the model's time and the driver's, neither of which decreases.
    moments: Vec<(f64, f64)>,
    /// The model's first event, which is the start where there are no such moments.
    start: f64,
}

impl Clocks {
    /// Compares the driver's trace with the model's events.
    pub(crate) fn of(trace: &Trace, model: &[Value]) -> Self {
        let ours = entered(trace);
        let theirs = loaded(model);
        let mut moments: Vec<(f64, f64)> = vec![];
        for (engine, Entries { head, tail }) in &ours {
            let Some((times, cut)) = theirs.get(engine) else { continue };
            moments.extend(times.iter().copied().zip(head.iter().copied()));
            if !cut {
                moments.extend(times.iter().copied().rev().zip(tail.iter().copied().rev()));
            }
        }
        moments.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut latest = 0.0;
        moments.retain(|(_, driver)| {
            let in_order = *driver >= latest;
            latest = driver.max(latest);
            in_order
        });
        let first = model.iter().filter(|event| event["ph"] != "M").find_map(|event| event["ts"].as_f64());
        Self { moments, start: first.unwrap_or(0.0) }
    }

    /// The driver's time of an event of the model: 0 for what was before the driver's first.
    pub(crate) fn driver_us(&self, model_us: f64) -> f64 {
        let next = self.moments.partition_point(|(model, _)| *model <= model_us);
        let (model, driver) = match (self.moments.get(next.wrapping_sub(1)), self.moments.first()) {
            (Some(before), _) => *before,
            (None, Some(first)) => *first,
            (None, None) => (self.start, 0.0),
        };
        let limit = self.moments.get(next).map_or(f64::INFINITY, |(_, driver)| *driver);
        (driver + model_us - model).min(limit).max(0.0)
    }
}

/// When contexts were given to an engine, by the driver.
#[derive(Debug, Default)]
struct Entries {
    /// From the first one on, as long as none is missing.
    head: Vec<f64>,
    /// Up to the last one, where some before are missing.
    tail: Vec<f64>,
}

fn entered(trace: &Trace) -> BTreeMap<String, Entries> {
    let mut engines: BTreeMap<String, Entries> = BTreeMap::new();
    let mut complete = trace.lost == 0;
    for event in &trace.events {
        match event.kind {
            TraceKind::Lost => {
                complete = false;
                engines.values_mut().for_each(|entries| entries.tail.clear());
            }
            TraceKind::Entered => {
                let Some(engine) = engine_name(event.record.engine) else { continue };
                let entries = engines.entry(engine).or_default();
                let times = if complete { &mut entries.head } else { &mut entries.tail };
                times.push(microseconds(event.ns));
            }
            _ => {}
        }
    }
    engines
}

/// When engines had loaded contexts, by the model; and whether the end is missing. A context that is loaded once more under the
/// same number, because more work came for it as it was about to leave, has not left as far as the driver knows, who gives
/// another number each time.
fn loaded(model: &[Value]) -> BTreeMap<String, (Vec<f64>, bool)> {
    let mut tracks: BTreeMap<u64, String> = BTreeMap::new();
    let mut last: BTreeMap<u64, &str> = BTreeMap::new();
    let mut engines: BTreeMap<String, (Vec<f64>, bool)> = BTreeMap::new();
    for event in model {
        let name = event["name"].as_str().unwrap_or_default();
        match (event["ph"].as_str(), event["tid"].as_u64()) {
            (Some("M"), Some(track)) => {
                tracks.insert(track, event["args"]["name"].as_str().unwrap_or_default().to_owned());
            }
            (Some("B"), Some(track)) if name.starts_with("context ") => {
                if last.insert(track, name) == Some(name) {
                    continue;
                }
                let (Some(engine), Some(time)) = (tracks.get(&track), event["ts"].as_f64()) else { continue };
                engines.entry(engine.clone()).or_default().0.push(time);
            }
            // It is full: what follows are ends.
            (Some("i"), _) if event["s"] == "g" => engines.values_mut().for_each(|(_, cut)| *cut = true),
            _ => {}
        }
    }
    engines
}

/// Nanoseconds for a display.
#[expect(clippy::cast_precision_loss, reason = "CAST: precision beyond 2^53 ns does not matter")]
pub(crate) fn microseconds(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use gpu_protocol::TraceRecord;
    use serde_json::json;

    use super::super::tests::record;
    use super::*;

    const BCS: u8 = 0x10;

    fn driver(events: &[(u64, TraceKind)]) -> Trace {
        let records: Vec<TraceRecord> =
            events.iter().map(|(us, kind)| record(us * 1000, *kind, BCS, 0, 0)).collect();
        Trace::of(&records).unwrap()
    }

    fn model(loads: &[f64]) -> Vec<Value> {
        let track =
            json!({ "name": "thread_name", "ph": "M", "ts": 0.0, "tid": 11, "args": { "name": "bcs0" } });
        let load = |(tag, us): (usize, &f64)| json!({ "name": format!("context {}", tag + 1), "ph": "B", "ts": us, "tid": 11 });
        std::iter::once(track).chain(loads.iter().enumerate().map(load)).collect()
    }

    fn shown(clocks: &Clocks, times: &[f64]) -> Vec<f64> {
        times.iter().map(|time| clocks.driver_us(*time)).collect()
    }

    #[test]
    fn what_the_gpu_does_is_shown_behind_the_context_that_the_driver_gave_it() {
        use TraceKind::{Entered, PagesAsked};
        let trace = driver(&[(100, PagesAsked), (150, Entered), (1150, Entered)]);
        // Stepped time: no more than 30 us of work.
        let clocks = Clocks::of(&trace, &model(&[10.0, 40.0]));
        assert_eq!(
            shown(&clocks, &[0.0, 5.0, 10.0, 25.0, 40.0, 47.0]),
            [40.0, 45.0, 50.0, 65.0, 1050.0, 1057.0]
        );
        // A clock that goes faster stops at the next moment.
        let clocks = Clocks::of(&trace, &model(&[5000.0, 7000.0]));
        assert_eq!(shown(&clocks, &[0.0, 5000.0, 6500.0, 7000.0]), [0.0, 50.0, 1050.0, 1050.0]);
    }

    #[test]
    fn a_trace_whose_beginning_is_lost_is_laid_over_the_models_end() {
        use TraceKind::Entered;
        let trace = Trace { lost: 5, ..driver(&[(0, Entered), (10, Entered)]) };
        let mut events = model(&[1.0, 2.0, 100.0, 110.0]);
        let clocks = Clocks::of(&trace, &events);
        assert_eq!(shown(&clocks, &[1.0, 100.0, 105.0, 115.0]), [0.0, 0.0, 5.0, 15.0]);
        // Where the model's end is missing, too, nobody knows: both begin at 0.
        events.push(json!({ "name": "cut", "ph": "i", "s": "g", "ts": 111.0, "tid": 11 }));
        assert_eq!(shown(&Clocks::of(&trace, &events), &[1.0, 3.0]), [0.0, 2.0]);
    }

    #[test]
    fn a_context_that_is_loaded_again_for_more_work_has_entered_once() {
        let trace = driver(&[(0, TraceKind::Entered), (1000, TraceKind::Entered)]);
        let mut events = model(&[50.0, 1050.0]);
        let mut again = events[1].clone();
        again["ts"] = json!(60.0);
        events.insert(2, again);
        assert_eq!(shown(&Clocks::of(&trace, &events), &[50.0, 60.0, 1050.0]), [0.0, 10.0, 1000.0]);
    }

    #[test]
    fn events_that_are_missing_in_the_middle_mislead_nobody() {
        use TraceKind::{Entered, Lost};
        let trace = driver(&[(0, Entered), (10, Lost), (1000, Entered)]);
        let clocks = Clocks::of(&trace, &model(&[50.0, 60.0, 70.0, 1050.0]));
        assert_eq!(shown(&clocks, &[50.0, 70.0, 1050.0]), [0.0, 20.0, 1000.0]);
    }

    #[test]
    fn times_never_go_back() {
        use TraceKind::Entered;
        let trace = driver(&[(0, Entered), (500, Entered), (700, Entered)]);
        let clocks = Clocks::of(&trace, &model(&[0.0, 600.0, 650.0]));
        let times: Vec<f64> = (0..70).map(|step| clocks.driver_us(f64::from(step) * 10.0)).collect();
        assert!(times.is_sorted(), "{times:?}");
    }
}
