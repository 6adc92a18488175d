// SPDX-License-Identifier: BSD-2-Clause
//! The driver's events as lines: microseconds, client, engine, what.

use std::fmt::Write as _;

use super::{Trace, details, engine_name, name};

/// The whole log.
pub(crate) fn log(trace: &Trace) -> String {
    let mut text = String::from("          us  client  engine  event\n");
    if trace.lost > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "({} earlier ones: the log keeps the latest)", trace.lost);
    }
    for event in &trace.events {
        let client = event.client.map_or("-".into(), |client| client.to_string());
        let engine = engine_name(event.record.engine).unwrap_or("-".into());
        let (whole, part) = (event.ns / 1000, event.ns % 1000);
        let line = format!("{} {}", name(event.kind), details(event));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{whole:8}.{part:03}  {client:>6}  {engine:>6}  {}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn each_event_is_a_line() {
        let text = log(&sample());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 6 + 1);
        assert_eq!(lines[1], "(3 earlier ones: the log keeps the latest)");
        assert_eq!(
            lines[5],
            "       4.000       1    bcs0  finished context 5: request 1 of timeline 2, executed"
        );
        assert_eq!(lines[7], "       5.000       -       -  GPU reset");
    }
}
