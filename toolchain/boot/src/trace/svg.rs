// SPDX-License-Identifier: BSD-2-Clause
//! A picture: a row for each engine, with a pale bar for each request from its submission to its end and a solid one for each
//! time that a context was on the engine, in the client's colour; marks for everything that is about memory or a reset; and
//! the time below.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use gpu_protocol::{TraceKind, TraceRecord};

use super::{Event, Trace, details, engine_name, name};

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const ROW: f64 = 34.0;
const TOP: f64 = 56.0;
/// One for each client.
const COLOURS: [&str; 6] = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"];
/// The driver's own.
const NOBODY: &str = "#888888";

/// Where things are.
struct Plan {
    /// The engines' rows, by their numbers.
    rows: BTreeMap<u8, usize>,
    last_ns: u64,
}

impl Plan {
    fn of(trace: &Trace) -> Self {
        let engines: BTreeSet<u8> = trace.events.iter().map(|event| event.record.engine).collect();
        let engines = engines.into_iter().filter(|engine| *engine != TraceRecord::NONE);
        Self {
            rows: engines.zip(0..).collect(),
            last_ns: trace.events.last().map_or(1, |event| event.ns.max(1)),
        }
    }

    /// The row of an engine; that of memory is the last.
    fn row(&self, engine: u8) -> usize {
        self.rows.get(&engine).copied().unwrap_or(self.rows.len())
    }

    #[expect(clippy::cast_precision_loss, reason = "CAST: a place in a picture")]
    fn x(&self, ns: u64) -> f64 {
        LEFT + ns as f64 / self.last_ns as f64 * (WIDTH - LEFT - RIGHT)
    }

    #[expect(clippy::cast_precision_loss, reason = "CAST: a place in a picture")]
    fn y(row: usize) -> f64 {
        TOP + row as f64 * ROW
    }

    /// Below all rows.
    fn bottom(&self) -> f64 {
        Self::y(self.rows.len() + 1)
    }
}

/// The whole file.
pub(crate) fn picture(trace: &Trace) -> String {
    let plan = Plan::of(trace);
    let mut svg = String::new();
    frame(&mut svg, trace, &plan);
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(svg, "<!-- contexts on their engines -->");
    contexts(&mut svg, trace, &plan);
    let _ = writeln!(svg, "<!-- requests -->");
    requests(&mut svg, trace, &plan);
    let _ = writeln!(svg, "<!-- moments -->");
    moments(&mut svg, trace, &plan);
    svg.push_str("</svg>\n");
    svg
}

/// What is there without any event: names of rows and clients, and the time.
fn frame(svg: &mut String, trace: &Trace, plan: &Plan) {
    let bottom = plan.bottom();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\">pale: requests from submission to completion; solid: contexts on their engines; \
         {} in all</text>\n",
        bottom + 30.0,
        label(plan.last_ns, unit(plan.last_ns))
    );
    let clients: BTreeSet<u8> = trace.events.iter().filter_map(|event| event.client).collect();
    for (place, client) in (0_u32..).zip(clients) {
        let x = LEFT + 80.0 * f64::from(place);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"30\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"40\">client {client}</text>",
            colour(Some(client)),
            x + 16.0
        );
    }
    for (engine, row) in &plan.rows {
        let label = engine_name(*engine).unwrap_or_default();
        let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">{label}</text>", Plan::y(*row) + 18.0);
    }
    let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">memory</text>", Plan::y(plan.rows.len()) + 18.0);
    let step = step(plan.last_ns);
    let unit = unit(plan.last_ns);
    for ns in (0..=plan.last_ns).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let x = plan.x(ns);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {TOP}V{}\" stroke=\"#dddddd\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 4.0,
            bottom + 18.0,
            label(ns, unit)
        );
    }
}

/// What a nanosecond is divided by for a time of this length, and the unit's name.
const fn unit(length_ns: u64) -> (u64, &'static str) {
    match length_ns {
        0..20_000_000 => (1_000, "us"),
        20_000_000..20_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    }
}

/// A time in that unit, rounded down.
fn label(ns: u64, (divisor, name): (u64, &str)) -> String {
    format!("{} {name}", ns / divisor)
}

/// How far the lines of time are from each other: 1, 2 or 5 times a power of ten, four to ten times in all.
fn step(length_ns: u64) -> u64 {
    let mut power = 1;
    while length_ns / power >= 100 {
        power *= 10;
    }
    // 10 to 99 of these, or fewer where that is nanoseconds.
    match length_ns / power {
        0..20 => 2 * power,
        20..50 => 5 * power,
        _ => 10 * power,
    }
}

fn colour(client: Option<u8>) -> &'static str {
    client.map_or(NOBODY, |client| COLOURS[usize::from(client) % COLOURS.len()])
}

/// When contexts were on engines, each at the lower edge of its row.
fn contexts(svg: &mut String, trace: &Trace, plan: &Plan) {
    let mut on: BTreeMap<(u8, u32), &Event> = BTreeMap::new();
    let mut bar = |start: &Event, end_ns: u64| {
        let (from, to) = (plan.x(start.ns), plan.x(end_ns));
        let _ = writeln!(
            svg,
            "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"6\" fill=\"{}\"><title>context {} on its \
             engine</title></rect>",
            Plan::y(plan.row(start.record.engine)) + 22.0,
            (to - from).max(0.5),
            colour(start.client),
            start.record.context
        );
    };
    for event in &trace.events {
        let place = (event.record.engine, event.record.context);
        match event.kind {
            TraceKind::Entered => drop(on.entry(place).or_insert(event)),
            TraceKind::Left => {
                if let Some(start) = on.remove(&place) {
                    bar(start, event.ns);
                }
            }
            _ => {}
        }
    }
    for start in on.values() {
        bar(start, plan.last_ns);
    }
}

/// Requests from their submission to their end, or to that of the picture.
fn requests(svg: &mut String, trace: &Trace, plan: &Plan) {
    let mut open: HashMap<(u64, u64), &Event> = HashMap::new();
    let mut bar = |from_ns: u64, to_ns: u64, event: &Event, outline: &str, what: &str| {
        let (from, to) = (plan.x(from_ns), plan.x(to_ns));
        let _ = writeln!(
            svg,
            "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"18\" fill=\"{}\" \
             fill-opacity=\"0.4\"{outline}><title>{what}</title></rect>",
            Plan::y(plan.row(event.record.engine)) + 3.0,
            (to - from).max(1.0),
            colour(event.client),
        );
    };
    for event in &trace.events {
        let TraceRecord { a, b, .. } = event.record;
        match event.kind {
            TraceKind::Submitted => drop(open.insert((a, b), event)),
            TraceKind::Finished => {
                let start = open.remove(&(a, b & (u64::MAX >> 2))).map_or(0, |start| start.ns);
                bar(start, event.ns, event, "", &details(event));
            }
            _ => {}
        }
    }
    let mut left: Vec<&Event> = open.into_values().collect();
    left.sort_by_key(|event| event.ns);
    for event in left {
        let what = format!("{}, not finished", details(event));
        bar(event.ns, plan.last_ns, event, " stroke=\"#cc0000\" stroke-dasharray=\"4\"", &what);
    }
}

/// Everything about memory and resets, and contexts that had to leave.
fn moments(svg: &mut String, trace: &Trace, plan: &Plan) {
    for event in &trace.events {
        let preempted = event.kind == TraceKind::Left && event.record.a != 0;
        if Event::is_of_context(event.kind) && !preempted {
            continue;
        }
        let bad = matches!(
            event.kind,
            TraceKind::Hang
                | TraceKind::Fault
                | TraceKind::EngineReset
                | TraceKind::GpuReset
                | TraceKind::Lost
        );
        let (at, y) = (plan.x(event.ns), Plan::y(plan.row(event.record.engine)));
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"{}\"><title>{}</title></line>",
            y + 1.0,
            y + 29.0,
            if bad { "#cc0000" } else { "#555555" },
            format!("{} {}", name(event.kind), details(event)).trim_end()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{record, sample};
    use super::*;

    #[test]
    fn a_request_is_a_bar_as_long_as_it_took_and_a_reset_a_red_line() {
        let svg = picture(&sample());
        // 4 of the 5 us that the picture is wide, and its context a little longer.
        assert!(
            svg.contains("<rect x=\"70.0\" y=\"59.0\" width=\"728.0\" height=\"18\" fill=\"#ee6677\""),
            "{svg}"
        );
        assert!(
            svg.contains("<rect x=\"70.0\" y=\"78.0\" width=\"819.0\" height=\"6\" fill=\"#ee6677\""),
            "{svg}"
        );
        assert_eq!(svg.matches("<line").count(), 1);
        assert!(svg.contains("stroke=\"#cc0000\"><title>GPU reset</title>"));
        assert!(svg.contains(">bcs0</text>") && svg.contains(">client 1</text>"));
    }

    #[test]
    fn a_request_that_never_ends_goes_on_to_the_end_of_the_picture() {
        const BCS: u8 = 0x10;
        let records = [
            record(1_000, TraceKind::Submitted, BCS, 2, 1),
            record(1_500, TraceKind::Entered, BCS, 0, 0),
            record(2_000, TraceKind::Accepted, TraceRecord::NONE, 0, 1),
            record(5_000, TraceKind::Hang, BCS, 0, 0),
        ];
        let svg = picture(&Trace::of(&records).unwrap());
        assert!(svg.contains("context 5: request 1 of timeline 2, not finished</title>"), "{svg}");
        assert!(
            svg.contains("<rect x=\"70.0\" y=\"59.0\" width=\"910.0\" height=\"18\" fill=\"#ee6677\""),
            "{svg}"
        );
        assert!(svg.contains("width=\"796.2\" height=\"6\""), "its context is still on the engine: {svg}");
    }

    #[test]
    fn the_lines_of_time_are_round_and_not_many() {
        for length in [1, 9, 10, 999, 5_000, 48_221_000, 1_610_997_945, 23_000_000_000, u64::MAX / 4] {
            let step = step(length);
            let digits = step.to_string();
            assert!(["1", "2", "5"].contains(&digits.trim_end_matches('0')), "{step}");
            assert!(length / step <= 10 && (length < 10 || length / step >= 4), "{length}: every {step}");
        }
        assert_eq!(label(48_221_000, unit(48_221_000)), "48 ms");
        assert_eq!(label(19_999_999, unit(19_999_999)), "19999 us");
    }
}
