// SPDX-License-Identifier: BSD-2-Clause
//! `bench`: what the guest measures of itself, in instructions and in wall time.
//!
//! Domains print `bench: NAME VALUE UNIT`. A value in `ticks` is a difference of the time-stamp counter (or, for
//! something counted since the machine's start, the counter itself). Every system runs twice: with the counter advancing
//! by one per guest instruction, which is repeatable and is the figure to compare; and at full speed, where the
//! counter runs at a fixed rate and the figure depends on the machine. That rate comes from a system that
//! reports the counter as `bench: clock VALUE ticks` early and late in its run, held against the times at which the two
//! lines arrive. Other units are shown as they are.
//!
//! One module a subject; a new one is added to [`SUBJECTS`]. Where a subject knows what Linux's i915 needs for the same
//! thing, that and the ratio stand beside the figure.

mod call;
mod context;
mod costs;
mod crowd;
mod examples;
mod gpu;
mod lend;
mod model;
mod ranges;
mod ring;

use std::fmt::Write as _;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use boot::{Ending, Gpu, Image, Kernel, Line, Machine, Pieces, Workspace};

/// Counting instructions makes a guest several times slower.
const DEADLINE: Duration = Duration::from_secs(180);

/// The name of the value that tells the counter's rate.
const CLOCK: &str = "clock";

/// The rate is measured over at least this long, so that the serial port's delay of a millisecond does not show.
const CLOCK_SPAN: Duration = Duration::from_millis(300);

/// A system that measures something.
pub(crate) struct Subject {
    /// Names the folder of its runs.
    name: &'static str,
    /// The system description, from the top of the tree.
    description: &'static str,
    /// Packages with its domains.
    packages: &'static [&'static str],
    /// Whether a GPU is attached.
    gpu: bool,
    /// The kernel; the release one, without assertions, is what a product has, and what Linux is compared with.
    kernel: Kernel,
    /// Only figures whose names begin with one of these, where any are given.
    only: &'static [&'static str],
    /// What Linux needs for the same things.
    peer: &'static [Peer],
}

impl Subject {
    /// What those have in common that measure a client of the driver.
    const CLIENT: Self = Self {
        name: "",
        description: "",
        packages: &["gpu-driver", "boot-domains"],
        gpu: true,
        kernel: Kernel::Release,
        only: &[],
        peer: &[],
    };
}

/// A figure of Linux 6.1's i915: on the same model of Tiger Lake, in QEMU with one instruction counted as one nanosecond
/// (`-icount shift=0,sleep=off`), everything that the guest executes: client, kernel, driver.
pub(crate) struct Peer {
    /// The figure of ours that it is to be compared with.
    figure: &'static str,
    /// Instructions, or whatever the unit of the figure is.
    value: f64,
}

/// The systems, the one that tells the counter's rate first.
const SUBJECTS: &[Subject] = &[
    call::SUBJECT,
    gpu::START,
    gpu::SUBJECT,
    context::SUBJECT,
    ring::SUBJECT,
    lend::SUBJECT,
    ranges::SUBJECT,
    crowd::SUBJECT,
];

/// One `bench:` line.
#[derive(Clone, Debug, PartialEq)]
struct Value {
    name: String,
    value: f64,
    unit: String,
    at: Duration,
}

fn values(lines: &[Line]) -> Vec<Value> {
    lines.iter().filter_map(parse).collect()
}

fn parse(line: &Line) -> Option<Value> {
    let (_, words) = line.text.split_once("bench: ")?;
    let [name, value, unit] = words.split_whitespace().collect::<Vec<_>>()[..] else { return None };
    Some(Value { name: name.into(), value: value.parse().ok()?, unit: unit.into(), at: line.at })
}

/// Ticks per second, out of the first and the last clock line.
fn rate(values: &[Value]) -> Result<f64> {
    let mut clocks = values.iter().filter(|value| value.name == CLOCK);
    let first = clocks.next().context("no `bench: clock` line")?;
    let last = clocks.next_back().context("only one `bench: clock` line")?;
    let span = last.at.saturating_sub(first.at);
    ensure!(span >= CLOCK_SPAN, "the `bench: clock` lines are only {span:?} apart");
    Ok((last.value - first.value) / span.as_secs_f64())
}

/// One row of the table.
#[derive(Debug, PartialEq)]
struct Row {
    name: String,
    counted: String,
    wall: String,
    /// What Linux needs, and ours divided by it.
    peer: Option<(f64, f64)>,
}

/// Pairs what two runs of one system reported.
fn rows(counted: &[Value], timed: &[Value], rate: f64, peers: &[Peer]) -> Result<Vec<Row>> {
    let mut rows = vec![];
    for value in counted.iter().filter(|value| value.name != CLOCK) {
        let twin = timed.iter().find(|twin| twin.name == value.name);
        let twin = twin.with_context(|| format!("{} was reported in one of two runs only", value.name))?;
        let peer = peers.iter().find(|peer| peer.figure == value.name);
        let peer = peer.map(|peer| (peer.value, value.value / peer.value));
        let (counted, wall) = if value.unit == "ticks" {
            (format!("{} instructions", value.value), time(twin.value / rate))
        } else {
            (format!("{} {}", value.value, value.unit), format!("{} {}", twin.value, twin.unit))
        };
        rows.push(Row { name: value.name.clone(), counted, wall, peer });
    }
    for peer in peers {
        ensure!(rows.iter().any(|row| row.name == peer.figure), "{} was not reported", peer.figure);
    }
    Ok(rows)
}

/// Seconds in a unit that leaves one to three digits before the point.
fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s if s >= 1e-6 => format!("{:.2} us", s * 1e6),
        s => format!("{:.0} ns", s * 1e9),
    }
}

fn table(rows: &[Row]) -> String {
    let mut cells = vec![["figure", "counted", "wall time", "Linux 6.1", "ratio"].map(String::from)];
    for row in rows {
        let (linux, ratio) = match row.peer {
            Some((linux, ratio)) => (format!("{linux}"), format!("{ratio:.2}")),
            None => (String::new(), String::new()),
        };
        cells.push([row.name.clone(), row.counted.clone(), row.wall.clone(), linux, ratio]);
    }
    let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for [name, numbers @ ..] in &cells {
        let mut line = format!("{name:0$}", widths[0]);
        for (number, width) in numbers.iter().zip(&widths[1..]) {
            // Writing to a string cannot fail.
            let _ = write!(line, "  {number:>width$}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn measure(machine: &Machine, image: &Image) -> Result<Vec<Value>> {
    let outcome = machine.run(image, |line| {
        if line.tells_of_a_break() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    match outcome.ending {
        Ending::Exit(0) => Ok(values(&outcome.lines)),
        Ending::Exit(code) => bail!("the system ended with code {code}; its last lines:\n{}", outcome.tail()),
        Ending::Stopped => bail!("a domain broke:\n{}", outcome.tail()),
    }
}

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these subjects, by the names of their folders in target/bench, and nothing on the host
    subjects: Vec<String>,
}

impl Options {
    fn wants(&self, subject: &Subject) -> bool {
        self.subjects.is_empty() || self.subjects.iter().any(|name| name == subject.name)
    }

    fn check(&self) -> Result<()> {
        for name in &self.subjects {
            let known: Vec<_> = SUBJECTS.iter().map(|subject| subject.name).collect();
            ensure!(known.contains(&name.as_str()), "no subject {name}: there are {}", known.join(", "));
        }
        Ok(())
    }
}

pub(crate) fn bench(workspace: &Workspace, options: &Options) -> Result<String> {
    options.check()?;
    let folder = workspace.target().join("bench");
    let model = boot::build_model(workspace)?;
    let mut table_rows = vec![];
    let mut ticks_per_second = None;
    for (place, bench) in SUBJECTS.iter().enumerate() {
        // The first one tells the counter's rate.
        if place > 0 && !options.wants(bench) {
            continue;
        }
        let pieces = Pieces::build(workspace, bench.kernel, bench.packages)?;
        let image =
            pieces.image(workspace, &workspace.root().join(bench.description), &folder.join(bench.name))?;
        let machine = |run: &str| {
            let machine = Machine::new(folder.join(bench.name).join(run)).deadline(DEADLINE);
            if bench.gpu {
                machine.gpu(Gpu { trace: false, ..Gpu::new("tgl") }, model.clone())
            } else {
                machine
            }
        };
        workspace.step(&format!("bench: {}: counting instructions", bench.name));
        let counted = measure(&machine("counted").counting_instructions(), &image)?;
        workspace.step(&format!("bench: {}: at full speed", bench.name));
        let timed = measure(&machine("timed"), &image)?;
        let rate = match ticks_per_second {
            Some(rate) => rate,
            None => *ticks_per_second.insert(rate(&timed)?),
        };
        let wanted = |value: &Value| {
            bench.only.is_empty() || bench.only.iter().any(|start| value.name.starts_with(start))
        };
        let counted: Vec<_> = counted.into_iter().filter(wanted).collect();
        table_rows.extend(rows(&counted, &timed, rate, bench.peer)?);
    }
    ensure!(!table_rows.is_empty(), "nothing was measured");
    let mut text = String::new();
    if options.subjects.is_empty() {
        table_rows.extend(costs::figures(workspace)?);
        text = examples::figures(workspace)? + &model::figures(workspace)?;
    }
    let text = table(&table_rows) + &text;
    print!("{text}");
    let report = folder.join("report.txt");
    write(&report, &text)?;
    Ok(format!("bench: ok: {} figures, also in {}", table_rows.len(), workspace.shown(&report)))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, milliseconds: u64) -> Line {
        Line { text: text.into(), at: Duration::from_millis(milliseconds) }
    }

    #[test]
    fn a_line_is_a_name_a_value_and_a_unit() {
        let parsed = parse(&line("caller: bench: round-trip 420 ticks", 5));
        let expected = Value {
            name: "round-trip".into(),
            value: 420.0,
            unit: "ticks".into(),
            at: Duration::from_millis(5),
        };
        assert_eq!(parsed, Some(expected));
        for text in ["round-trip 420 ticks", "bench: round-trip 420", "bench: round-trip many ticks"] {
            assert_eq!(parse(&line(text, 0)), None, "{text}");
        }
    }

    #[test]
    fn the_rate_comes_from_the_clock_lines_furthest_apart() -> Result<()> {
        let lines = [
            line("bench: clock 1000 ticks", 1000),
            line("bench: clock 1500 ticks", 1100),
            line("bench: other 9 ticks", 1200),
            line("bench: clock 3000 ticks", 2000),
        ];
        assert!((rate(&values(&lines))? - 2000.0).abs() < 1e-9);
        assert!(rate(&values(&lines[..1])).is_err(), "one is not enough");
        assert!(rate(&values(&lines[..2])).is_err(), "too close together");
        Ok(())
    }

    #[test]
    fn ticks_are_instructions_in_one_run_and_time_in_the_other() -> Result<()> {
        let counted = values(&[line("bench: clock 1 ticks", 0), line("bench: trip 400 ticks", 1)]);
        let timed = values(&[line("bench: trip 2000 ticks", 1)]);
        let expected = Row {
            name: "trip".into(),
            counted: "400 instructions".into(),
            wall: "2.00 us".into(),
            peer: None,
        };
        assert_eq!(rows(&counted, &timed, 1e9, &[])?, [expected]);
        assert!(rows(&counted, &[], 1e9, &[]).is_err(), "missing in the second run");
        Ok(())
    }

    #[test]
    fn a_figure_that_linux_has_too_stands_beside_its_ratio() -> Result<()> {
        let lines = values(&[line("bench: trip 400 ticks", 1), line("bench: reads 3 accesses", 1)]);
        let peers = [Peer { figure: "trip", value: 1000.0 }];
        let rows = rows(&lines, &lines, 1e9, &peers)?;
        assert_eq!(rows[0].peer, Some((1000.0, 0.4)));
        assert_eq!(rows[1].peer, None);
        let text = table(&rows);
        assert!(text.lines().nth(1).is_some_and(|line| line.ends_with("1000   0.40")), "{text}");
        let unknown = [Peer { figure: "other", value: 1.0 }];
        assert!(super::rows(&lines, &lines, 1e9, &unknown).is_err(), "compared with nothing");
        Ok(())
    }

    #[test]
    fn a_subject_is_measured_alone_by_its_name_and_an_unknown_one_refused() {
        let only = |name: &str| Options { subjects: vec![name.into()] };
        let all = Options { subjects: vec![] };
        assert!(all.check().is_ok() && SUBJECTS.iter().all(|subject| all.wants(subject)));
        assert!(only("lend").check().is_ok());
        assert_eq!(SUBJECTS.iter().filter(|subject| only("lend").wants(subject)).count(), 1);
        assert!(only("lent").check().is_err_and(|error| error.to_string().contains("lend")));
    }

    #[test]
    fn times_have_a_unit_that_suits_them() {
        assert_eq!(time(2.5), "2.50 s");
        assert_eq!(time(0.0025), "2.50 ms");
        assert_eq!(time(0.000_002_5), "2.50 us");
        assert_eq!(time(0.000_000_002), "2 ns");
    }
}
