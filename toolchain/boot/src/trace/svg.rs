// SPDX-License-Identifier: BSD-2-Clause
//! A picture: a row for each engine, a bar for each request from submission to its end in its client's colour, and
//! marks for everything that is about memory or a reset.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use gpu_protocol::{TraceKind, TraceRecord};

use super::{Trace, details, engine_name, name};

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 70.0;
const ROW: f64 = 34.0;
const TOP: f64 = 40.0;
/// One for each client; black is nobody's.
const COLOURS: [&str; 6] = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"];

/// The whole file.
pub(crate) fn picture(trace: &Trace) -> String {
    let engines: BTreeSet<u8> = trace
        .events
        .iter()
        .map(|event| event.record.engine)
        .filter(|engine| *engine != TraceRecord::NONE)
        .collect();
    let rows: BTreeMap<u8, usize> = engines.iter().copied().zip(0..).collect();
    let last = trace.events.last().map_or(1, |event| event.ns.max(1));
    // CAST: places in a picture.
    #[expect(clippy::cast_precision_loss, reason = "CAST: places in a picture")]
    let (x, y) = (
        |ns: u64| LEFT + ns as f64 / last as f64 * (WIDTH - LEFT - 20.0),
        |row: usize| TOP + row as f64 * ROW,
    );
    let height = y(rows.len() + 1) + 30.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\">requests from submission to completion, {} us in all</text>\n",
        last / 1000
    );
    for (engine, row) in &rows {
        let label = engine_name(*engine).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">{label}</text>", y(*row) + 18.0);
    }
    let _ = writeln!(svg, "<text x=\"10\" y=\"{}\">memory</text>", y(rows.len()) + 18.0);
    let mut open: HashMap<(u64, u64), u64> = HashMap::new();
    for event in &trace.events {
        let TraceRecord { engine, a, b, .. } = event.record;
        match event.kind {
            TraceKind::Submitted => {
                open.insert((a, b), event.ns);
            }
            TraceKind::Finished => {
                let start = open.remove(&(a, b & (u64::MAX >> 2))).unwrap_or(event.ns);
                let (from, to) = (x(start), x(event.ns));
                let colour =
                    event.client.and_then(|client| COLOURS.get(usize::from(client))).unwrap_or(&"black");
                let row = rows.get(&engine).copied().unwrap_or(0);
                let _ = writeln!(
                    svg,
                    "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"22\" fill=\"{colour}\" \
                     fill-opacity=\"0.6\"><title>{}</title></rect>",
                    y(row) + 3.0,
                    (to - from).max(1.0),
                    details(event)
                );
            }
            TraceKind::Accepted | TraceKind::Entered => {}
            // Of those that leave, the ones that had to are worth a mark.
            TraceKind::Left if a == 0 => {}
            kind => {
                let row = rows.get(&engine).copied().unwrap_or(rows.len());
                let at = x(event.ns);
                let colour = if matches!(
                    kind,
                    TraceKind::Hang | TraceKind::Fault | TraceKind::EngineReset | TraceKind::GpuReset
                ) {
                    "#cc0000"
                } else {
                    "#555555"
                };
                let _ = writeln!(
                    svg,
                    "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\">\
                     <title>{} {}</title></line>",
                    y(row) + 2.0,
                    y(row) + 26.0,
                    name(kind),
                    details(event)
                );
            }
        }
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn a_request_is_a_bar_as_long_as_it_took_and_a_reset_a_red_line() {
        let svg = picture(&sample());
        // 4 of the 5 us that the picture is wide.
        assert!(
            svg.contains("<rect x=\"70.0\" y=\"43.0\" width=\"728.0\" height=\"22\" fill=\"#ee6677\""),
            "{svg}"
        );
        assert_eq!(svg.matches("<line").count(), 1);
        assert!(svg.contains("stroke=\"#cc0000\"><title>GPU reset </title>"));
        assert!(svg.contains(">bcs0</text>"));
    }
}
