// SPDX-License-Identifier: BSD-2-Clause
//! What is on the virtual machine's screen: taken as a picture by QEMU itself, asked over its monitor protocol (QEMU:
//! `docs/interop/qmp-spec.txt`), and compared with the picture that should be there.

use std::fs;
use std::io::{self, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::frame::{Frame, difference, write_rgb_png};

/// The file that QEMU writes, and what it becomes.
const DUMP: &str = "screen.ppm";
const PICTURE: &str = "screen.png";

/// How long QEMU may take for an answer. It takes milliseconds, unless the machine is busy with something else.
const PATIENCE: Duration = Duration::from_secs(120);

/// A screenshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screenshot {
    width: u32,
    height: u32,
    /// Red, green and blue of each pixel.
    rgb: Vec<u8>,
    /// The file with it.
    pub png: PathBuf,
}

impl Screenshot {
    /// Asks QEMU for it, over a connection to its monitor that nobody has used yet. QEMU runs in `folder`.
    pub(crate) fn take(monitor: &UnixStream, folder: &Path) -> io::Result<Self> {
        monitor.set_read_timeout(Some(PATIENCE))?;
        let mut answers = BufReader::new(monitor);
        expect(&mut answers, "QMP")?;
        let mut ask = |command: Value| -> io::Result<()> {
            let mut to = monitor;
            to.write_all(format!("{command}\n").as_bytes())?;
            expect(&mut answers, "return")
        };
        ask(json!({ "execute": "qmp_capabilities" }))?;
        ask(json!({ "execute": "screendump", "arguments": { "filename": DUMP } }))?;
        let dump = folder.join(DUMP);
        let (width, height, rgb) =
            parse(&fs::read(&dump)?).ok_or_else(|| io::Error::other(format!("{DUMP} is no picture")))?;
        fs::remove_file(&dump)?;
        let png = folder.join(PICTURE);
        write_rgb_png(&png, width, height, &rgb).map_err(io::Error::other)?;
        Ok(Self { width, height, rgb, png })
    }

    /// Where it differs from a picture, if it does. The highest byte of a pixel is shown nowhere.
    pub(crate) fn difference(&self, frame: Frame, pixels: &[u32]) -> Option<String> {
        if (self.width, self.height) != (frame.width, frame.height) {
            return Some(format!("it has {}x{} pixels", self.width, self.height));
        }
        let shown = self.rgb.chunks_exact(3).map(|rgb| u32::from_be_bytes([0, rgb[0], rgb[1], rgb[2]]));
        let colours: Vec<_> = pixels.iter().map(|pixel| pixel & 0x00ff_ffff).collect();
        difference(frame.width, &shown.collect::<Vec<_>>(), &colours)
    }
}

/// Reads messages of the monitor up to one that has this member; others, but for errors, are events.
fn expect(answers: &mut impl io::BufRead, member: &str) -> io::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        if answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the monitor has ended"));
        }
        let message: Value = serde_json::from_str(&line)?;
        if let Some(error) = message.get("error") {
            return Err(io::Error::other(format!("the monitor says {error}")));
        }
        if message.get(member).is_some() {
            return Ok(());
        }
    }
}

/// A picture in the binary form of PPM with eight bits a colour: width, height, colours.
fn parse(bytes: &[u8]) -> Option<(u32, u32, Vec<u8>)> {
    let mut rest = bytes;
    let mut word = || {
        let start = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let length = rest[start..].iter().position(u8::is_ascii_whitespace)?;
        let word = &rest[start..start + length];
        rest = &rest[start + length..];
        std::str::from_utf8(word).ok()
    };
    (word()? == "P6").then_some(())?;
    let (width, height): (u32, u32) = (word()?.parse().ok()?, word()?.parse().ok()?);
    (word()? == "255").then_some(())?;
    // One blank ends the header.
    let rgb = rest.get(1..)?;
    let length = usize::try_from(u64::from(width) * u64::from(height) * 3).ok()?;
    (rgb.len() == length).then(|| (width, height, rgb.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_read_and_what_is_none_is_refused() {
        assert_eq!(parse(b"P6\n2 1\n255\n\x0abcdef"), Some((2, 1, b"\x0abcdef".to_vec())));
        assert_eq!(parse(b"P6\n2 1\n255\nabcde"), None, "too short");
        assert_eq!(parse(b"P5\n2 1\n255\nabcdef"), None);
        assert_eq!(parse(b"P6\n2 1"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn a_screen_that_shows_something_else_is_told() {
        let frame = Frame { width: 2, height: 1, stride: 8 };
        let shot = Screenshot { width: 2, height: 1, rgb: vec![1, 2, 3, 4, 5, 6], png: PathBuf::new() };
        assert_eq!(shot.difference(frame, &[0xff01_0203, 0x0004_0506]), None);
        let told = shot.difference(frame, &[0xff01_0203, 0xff04_0507]);
        assert_eq!(told.as_deref(), Some("pixel (1, 0) is 0x00040506 and not 0x00040507, one of 1"));
        let larger = Screenshot { width: 3, rgb: vec![0; 9], ..shot };
        assert_eq!(larger.difference(frame, &[0; 2]).as_deref(), Some("it has 3x1 pixels"));
    }

    #[test]
    fn events_are_passed_over_and_refusals_are_told_with_the_monitors_words() {
        let said =
            |text: &str, member| expect(&mut text.as_bytes(), member).map_err(|error| error.to_string());
        assert_eq!(said("{\"event\":\"RESUME\"}\n{\"return\":{}}\n", "return"), Ok(()));
        let refused = said("{\"error\":{\"class\":\"GenericError\",\"desc\":\"no console\"}}\n", "return");
        assert!(refused.is_err_and(|told| told.contains("no console")));
        assert_eq!(said("{\"event\":\"STOP\"}\n", "return"), Err("the monitor has ended".into()));
    }
}
