// SPDX-License-Identifier: BSD-2-Clause
//! The guest's serial port: a log file for people, lines with times for whoever watches the run.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// One line of output, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// When its end arrived, counted from the start of QEMU.
    pub at: Duration,
}

/// What lines contain that report a program which cannot go on: of the monitor, of Microkit's monitor, of a domain's
/// runtime, of the kernel when nobody handles a fault, and of the kernel about itself.
const BREAKS: [&str; 6] = [
    "monitor: fault in ",
    "MON|ERROR: faulting PD: ",
    ": panicked at ",
    ": terminated with error: ",
    "Caught cap fault in send phase",
    "seL4 failed assertion",
];

impl Line {
    /// Whether it reports a program that cannot go on. The others may wait for that one for ever.
    #[must_use]
    pub fn tells_of_a_break(&self) -> bool {
        BREAKS.iter().any(|sign| self.text.contains(sign))
    }

    /// Whether it is one of some hundred that the kernel prints at each boot about tables that it makes.
    #[must_use]
    pub fn is_noise(&self) -> bool {
        self.text.starts_with("IOMMU: Create VTD context table")
    }
}

/// Copies `from` to `log` byte by byte and sends it on line by line, until its end or until nobody listens any more.
/// An unfinished last line is sent too. The times are counted from `start`.
pub(crate) fn follow(
    mut from: impl Read,
    mut log: File,
    start: Instant,
    to: &Sender<Line>,
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = match from.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if count == 0 {
            let last = finished(&line, start);
            if !last.text.is_empty() {
                // Nobody listening is as good a reason to end as the end itself.
                let _ = to.send(last);
            }
            return Ok(());
        }
        log.write_all(&chunk[..count])?;
        for &byte in &chunk[..count] {
            if byte == b'\n' {
                if to.send(finished(&line, start)).is_err() {
                    return Ok(());
                }
                line.clear();
            } else {
                line.push(byte);
            }
        }
    }
}

fn finished(line: &[u8], start: Instant) -> Line {
    // The kernel ends a line with the two characters in the other order, so the second one starts the next line.
    let text = String::from_utf8_lossy(line).trim_matches('\r').to_owned();
    Line { text, at: start.elapsed() }
}

/// How many lines may come between the parts of a torn one.
const MAX_BETWEEN: usize = 16;

/// The first line that contains `text`, whole or torn.
///
/// A domain prints character by character, and whoever preempts it in the middle of a line prints there. So `text` may begin
/// in one line, where another domain's line begins, or goes on that was torn before, and go on at the start of a later one.
/// Two lines that happen to look like that are taken for one: "fault in a: ..." and "b: done" for "fault in b: done".
pub(crate) fn find<'l>(lines: &'l [Line], text: &str) -> Option<&'l Line> {
    let whole = lines.iter().find(|line| line.text.contains(text));
    let torn = |mutual: bool| {
        let is_torn = |at: &usize| {
            splits(text).any(|(head, rest)| {
                let interrupted = |(place, _): (usize, _)| {
                    let other = &lines[*at].text[place + head.len()..];
                    begins_a_line(other) || mutual && !other.is_empty() && is_awaited(&lines[..*at])
                };
                lines[*at].text.match_indices(head).any(interrupted)
                    && goes_on(&lines[at + 1..], rest, mutual)
            })
        };
        (0..lines.len()).find(is_torn).map(|at| &lines[at])
    };
    whole.or_else(|| torn(false)).or_else(|| torn(true))
}

/// The rest of a torn line that is at least this long is also found in the middle of another, which it tears.
const LONG: usize = 8;

/// Whether one of the next lines begins with the rest of a torn one, or with a part of it where it is torn again; `mutual`:
/// or has it in its middle.
fn goes_on(lines: &[Line], rest: &str, mutual: bool) -> bool {
    lines.iter().enumerate().take(MAX_BETWEEN).any(|(at, line)| {
        let again = |(head, rest): (&str, &str)| {
            line.text.strip_prefix(head).is_some_and(begins_a_line) && goes_on(&lines[at + 1..], rest, mutual)
        };
        let inside = mutual && rest.len() >= LONG && line.text.contains(rest);
        line.text.starts_with(rest) || inside || splits(rest).any(again)
    })
}

/// Whether one of the last lines may be torn, so that its rest can come in the middle of any other: another one's beginning
/// stands behind its own.
fn is_awaited(lines: &[Line]) -> bool {
    let torn = |line: &Line| {
        let said = line.text.split_once(": ").map_or("", |(_, said)| said);
        said.char_indices().any(|(at, _)| begins_a_line(&said[at..]))
    };
    lines.iter().rev().take(MAX_BETWEEN).any(torn)
}

/// All ways of cutting a text into two parts that are not empty.
fn splits(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.char_indices().skip(1).map(|(at, _)| text.split_at(at))
}

/// Whether a text begins as a domain's line does, with its name and a colon.
fn begins_a_line(text: &str) -> bool {
    let name = text.split_once(": ").map_or("", |(name, _)| name);
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
}

/// What [`tail`] says of a port on which nothing was printed.
pub(crate) const NOTHING: &str = "(nothing at all)";

/// The last lines, indented, as an error message shows them.
pub(crate) fn tail(lines: &[Line]) -> String {
    /// Enough for a register dump of the kernel or of the monitor.
    const SHOWN: usize = 25;
    if lines.is_empty() {
        return format!("    {NOTHING}");
    }
    let told: Vec<_> = lines.iter().filter(|line| !line.is_noise()).collect();
    let shown = told[told.len().saturating_sub(SHOWN)..].iter().map(|line| format!("    {}", line.text));
    shown.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn lines_of(bytes: &[u8]) -> io::Result<(Vec<String>, Vec<u8>)> {
        let path = std::env::temp_dir().join(format!("boot-serial-{}-{}", std::process::id(), bytes.len()));
        let (to, lines) = mpsc::channel();
        follow(bytes, File::create(&path)?, Instant::now(), &to)?;
        drop(to);
        let log = std::fs::read(&path)?;
        std::fs::remove_file(&path)?;
        Ok((lines.iter().map(|line| line.text).collect(), log))
    }

    #[test]
    fn lines_lose_their_ends_and_the_log_keeps_every_byte() -> io::Result<()> {
        let bytes = b"one\r\n\ntw\xffo\n\rthree\nunfinished";
        let (lines, log) = lines_of(bytes)?;
        assert_eq!(lines, ["one", "", "tw\u{fffd}o", "three", "unfinished"]);
        assert_eq!(log, bytes);
        Ok(())
    }

    #[test]
    fn the_rest_of_a_line_end_is_no_line() -> io::Result<()> {
        assert_eq!(lines_of(b"one\n\r")?.0, ["one"]);
        Ok(())
    }

    #[test]
    fn lines_longer_than_a_read_stay_whole() -> io::Result<()> {
        let long = "x".repeat(10_000);
        let (lines, _) = lines_of(format!("{long}\n{long}\n").as_bytes())?;
        assert_eq!(lines, [long.clone(), long]);
        Ok(())
    }

    #[test]
    fn the_tail_is_the_end_and_says_when_there_is_none() {
        let lines: Vec<_> =
            (0..100).map(|n| Line { text: format!("line {n}"), at: Duration::ZERO }).collect();
        assert!(tail(&lines).ends_with("line 99"));
        assert!(!tail(&lines).contains("line 50\n"));
        assert!(tail(&[]).contains("nothing"));
    }

    fn as_lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line { text: (*text).into(), at: Duration::ZERO }).collect()
    }

    #[test]
    fn a_line_is_found_although_others_were_printed_in_the_middle_of_it() {
        let lines = as_lines(&[
            "ring_crowd: client gpu_driver: 64 completions",
            "ring_crowd: clgpu-top: 3 ms",
            "ient 3 is done",
            "2 isjudge: waits",
            " done",
        ]);
        assert_eq!(find(&lines, "ring_crowd: client 2 is done"), Some(&lines[0]));
        assert_eq!(find(&lines, "ring_crowd: client 3 is done"), Some(&lines[1]));
        assert_eq!(find(&lines, "64 completions"), Some(&lines[0]));
    }

    #[test]
    fn a_line_is_found_although_the_rest_of_a_torn_one_was_printed_in_the_middle_of_it() {
        let lines = as_lines(&[
            "lend_flags: an unprivileged clilend_flags: read-only pages are not to be had here",
            "lend_flags: a probe has the pages or an error",
            "lend_flags: an unsynchronised object keeps its pages until it ient gets no unsynchronised object",
            "s exported",
        ]);
        assert_eq!(find(&lines, "keeps its pages until it is exported"), Some(&lines[2]));
        assert_eq!(find(&lines, "an unprivileged client gets no unsynchronised object"), Some(&lines[0]));
        assert_eq!(find(&lines, "an unprivileged client gets an unsynchronised object"), None);
        assert_eq!(
            find(&lines[1..], "keeps its pages until it is exported"),
            None,
            "nothing was torn before"
        );
    }

    #[test]
    fn parts_that_no_other_line_stands_between_are_not_one_line() {
        let lines = as_lines(&["ring_crowd: client 1", "2 is done", "paint: client other: 1", "3 is done"]);
        assert_eq!(find(&lines, "client 2 is done"), None, "nobody else begins after its head");
        assert_eq!(find(&lines, "client 4 is done"), None);
        let far: Vec<_> =
            ["client top: 1"].into_iter().chain([""; MAX_BETWEEN]).chain(["2 is done"]).collect();
        assert_eq!(find(&as_lines(&far), "client 2 is done"), None, "too far away");
        assert_eq!(find(&[], "x"), None);
    }

    #[test]
    fn a_break_is_told_whoever_reports_it() {
        let line = |text: &str| Line { text: text.into(), at: Duration::ZERO };
        for text in [
            "monitor: fault in paint: read of address 0x0",
            "paint: panicked at components/paint/src/main.rs:1:2: no",
            "MON|ERROR: faulting PD: paint",
            "Caught cap fault in send phase at address 0x0",
        ] {
            assert!(line(text).tells_of_a_break(), "{text}");
        }
        assert!(!line("paint: no fault found").tells_of_a_break());
    }
}
