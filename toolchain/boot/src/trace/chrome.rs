// SPDX-License-Identifier: BSD-2-Clause
//! Chrome's trace event format, which chrome://tracing and Perfetto open: the driver as one process with a track for
//! each engine and one for everything else, beside the device model's process.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use gpu_protocol::{TraceKind, TraceRecord};
use serde_json::{Value, json};

use super::clocks::{Clocks, microseconds};
use super::{Event, Trace, details, engine_name, name};

/// The device model's process is number 1.
const DRIVER: u32 = 2;

/// The whole file. `model` is the device model's trace.
pub(crate) fn json(trace: &Trace, model: Option<&str>) -> Result<String> {
    let mut events = vec![
        json!({ "name": "process_name", "ph": "M", "pid": 1, "tid": 0, "args": { "name": "GPU (device model)" } }),
        json!({ "name": "process_name", "ph": "M", "pid": DRIVER, "tid": 0, "args": { "name": "driver" } }),
    ];
    if let Some(model) = model {
        let file: Value = serde_json::from_str(model).context("the device model's trace")?;
        let list = file.get("traceEvents").and_then(Value::as_array).context("the device model's trace")?;
        let clocks = Clocks::of(trace, list);
        for event in list {
            let mut event = event.clone();
            // Names of tracks are of no time.
            if event["ph"] != "M"
                && let Some(ts) = event["ts"].as_f64()
            {
                event["ts"] = json!(clocks.driver_us(ts));
            }
            events.push(event);
        }
    }
    let engines: BTreeSet<u8> = trace.events.iter().map(|event| event.record.engine).collect();
    for engine in engines {
        let name = engine_name(engine).unwrap_or_else(|| "memory and resets".into());
        events.push(
            json!({ "name": "thread_name", "ph": "M", "pid": DRIVER, "tid": engine, "args": { "name": name } }),
        );
    }
    events.extend(trace.events.iter().flat_map(driver_event));
    Ok(json!({ "displayTimeUnit": "ns", "traceEvents": events }).to_string())
}

/// A request is a span from submission to its end, by its timeline and number; anything else is a moment.
fn driver_event(event: &Event) -> Vec<Value> {
    let ts = microseconds(event.ns);
    let TraceRecord { engine, context, a, b, .. } = event.record;
    let number = b & (u64::MAX >> 2);
    let client = event.client.map_or_else(String::new, |client| format!("client {client}, "));
    let span = |ph: &str, timeline: u64| {
        json!({ "name": format!("context {context}"), "cat": "request", "ph": ph, "ts": ts, "pid": DRIVER,
            "tid": engine, "id": format!("{timeline}.{number}"),
            "args": { "what": format!("{client}request {number} of timeline {timeline}") } })
    };
    let moment = || {
        json!({ "name": name(event.kind), "ph": "i", "s": "t", "ts": ts, "pid": DRIVER, "tid": engine,
            "args": { "what": format!("{client}{}", details(event)) } })
    };
    match event.kind {
        TraceKind::Submitted => vec![span("b", a)],
        TraceKind::Finished if b >> 62 != 0 => vec![span("e", a), moment()],
        TraceKind::Finished => vec![span("e", a)],
        _ => vec![moment()],
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn a_request_is_a_span_and_the_models_events_are_at_the_drivers_times() -> Result<()> {
        let model = r#"{ "traceEvents": [
            { "name": "thread_name", "ph": "M", "ts": 0.0, "pid": 1, "tid": 11, "args": { "name": "bcs0" } },
            { "name": "context 1", "ph": "B", "ts": 50.0, "pid": 1, "tid": 11 },
            { "name": "context 1", "ph": "E", "ts": 52.5, "pid": 1, "tid": 11 }] }"#;
        let file: Value = serde_json::from_str(&json(&sample(), Some(model))?)?;
        let list = file["traceEvents"].as_array().context("a list")?;
        let of = |ph: &str| -> Vec<f64> {
            list.iter().filter(|event| event["ph"] == ph).filter_map(|event| event["ts"].as_f64()).collect()
        };
        assert_eq!((of("B"), of("E")), (vec![0.0], vec![2.5]));
        assert_eq!((of("b"), of("e")), (vec![0.0], vec![4.0]));
        assert_eq!(of("i"), [0.0, 1.0, 4.5, 5.0]);
        Ok(())
    }

    #[test]
    fn a_models_file_that_is_no_trace_is_refused() {
        assert!(json(&sample(), Some("{}")).is_err());
        assert!(json(&sample(), None).is_ok());
    }
}
