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
