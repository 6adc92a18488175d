// SPDX-License-Identifier: BSD-2-Clause
//! What the first process does.

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::sys;

/// A library that is loaded into every program of a root that has it.
const PRELOADED: &str = "/oracle/preload.so";

/// The port of QEMU's isa-debug-exit device.
const EXIT_PORT: u64 = 0xf4;

/// The kernel's log. A record has at most some thousand bytes; longer lines are cut.
struct Log(File);

impl Log {
    const LONGEST: usize = 800;

    fn say(&mut self, text: &str) {
        let end =
            text.char_indices().map(|(at, _)| at).take_while(|at| *at <= Self::LONGEST).last().unwrap_or(0);
        let text = if text.len() > Self::LONGEST { &text[..end] } else { text };
        // There is nobody else to tell.
        let _ = self.0.write_all(format!("<5>oracle: {text}\n").as_bytes());
    }
}

pub(crate) fn run() -> ExitCode {
    let code = match whole() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("oracle: init: {error:#}");
            1
        }
    };
    if let Ok(ports) = OpenOptions::new().write(true).open("/dev/port") {
        // Ends QEMU, so that nothing follows when it succeeds.
        let _ = ports.write_at(&[code], EXIT_PORT);
    }
    let _ = sys::power_off();
    ExitCode::FAILURE
}

fn whole() -> Result<()> {
    prepare("")?;
    let mut log = Log(OpenOptions::new().write(true).open("/dev/kmsg").context("/dev/kmsg")?);
    load_modules(&mut log)?;
    for root in fs::read_to_string("/oracle/roots").context("/oracle/roots")?.lines() {
        prepare(root)?;
    }
    for line in fs::read_to_string("/oracle/jobs").context("/oracle/jobs")?.lines() {
        let job = Job::parse(line)?;
        for left in (0..job.attempts).rev() {
            log.say(&format!("begin {}", job.name));
            let end = match job.run(&mut log) {
                Ok(end) => end,
                Err(error) => format!("error {error:#}"),
            };
            if end == "0" || left == 0 {
                log.say(&format!("end {} {end}", job.name));
                break;
            }
            log.say(&format!("again {} {end}", job.name));
        }
    }
    log.say(&format!("interrupts {}", interrupts()?));
    log.say("done");
    Ok(())
}

/// Mounts what programs expect below a root.
fn prepare(root: &str) -> Result<()> {
    let mounts: [(&CStr, &str); 5] = [
        (c"devtmpfs", "dev"),
        (c"proc", "proc"),
        (c"sysfs", "sys"),
        (c"debugfs", "sys/kernel/debug"),
        (c"tmpfs", "tmp"),
    ];
    for (kind, place) in mounts {
        let place = format!("{root}/{place}");
        fs::create_dir_all(&place).with_context(|| place.clone())?;
        let target = std::ffi::CString::new(place.clone())?;
        sys::mount(kind, &target).with_context(|| format!("mounting {place}"))?;
    }
    Ok(())
}

fn load_modules(log: &mut Log) -> Result<()> {
    log.say("begin modules");
    for line in fs::read_to_string("/oracle/modules").context("/oracle/modules")?.lines() {
        let (name, parameters) = line.split_once(' ').unwrap_or((line, ""));
        let path = format!("/oracle/ko/{name}");
        let file = File::open(&path).with_context(|| path.clone())?;
        sys::load_module(&file, parameters).with_context(|| format!("loading {name}"))?;
    }
    log.say("end modules 0");
    Ok(())
}

/// How many interrupts i915 has had.
fn interrupts() -> Result<u64> {
    let table = fs::read_to_string("/proc/interrupts").context("/proc/interrupts")?;
    let rows = table.lines().filter(|line| line.ends_with(" i915"));
    Ok(rows.filter_map(|row| row.split_whitespace().nth(1)?.parse::<u64>().ok()).sum())
}

/// A line of `/oracle/jobs`: name, how often it may be tried, seconds, whether i915 records hangs (Y or N), root folder, program, arguments; with tabs between.
struct Job<'a> {
    name: &'a str,
    attempts: u32,
    limit: Duration,
    capture: &'a str,
    root: &'a str,
    program: &'a str,
    arguments: Vec<&'a str>,
}

impl<'a> Job<'a> {
    fn parse(line: &'a str) -> Result<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next().with_context(|| format!("a field is missing in {line:?}"));
        let (name, attempts, seconds) = (next()?, next()?, next()?);
        let (capture, root, program) = (next()?, next()?, next()?);
        let attempts = attempts.parse().with_context(|| format!("attempts in {line:?}"))?;
        let limit = Duration::from_secs(seconds.parse().with_context(|| format!("seconds in {line:?}"))?);
        Ok(Self { name, attempts, limit, capture, root, program, arguments: fields.collect() })
    }

    fn run(&self, log: &mut Log) -> Result<String> {
        const CAPTURE: &str = "/sys/kernel/debug/dri/0/i915_params/error_capture";
        fs::write(CAPTURE, self.capture).context(CAPTURE)?;
        let deadline = Instant::now() + self.limit;
        let (reader, writer) = std::io::pipe()?;
        let mut command = Command::new(self.program);
        command.args(&self.arguments).env_clear().envs([
            ("PATH", "/usr/bin:/bin"),
            ("HOME", "/tmp"),
            ("IGT_KMOD_DIRTY", "1"),
        ]);
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
        if self.root != "/" {
            // The lists of libraries of both releases are apart: what is loaded into the tests is built for theirs.
            if Path::new(self.root).join(PRELOADED.trim_start_matches('/')).exists() {
                command.env("LD_PRELOAD", PRELOADED);
            }
            sys::in_root(&mut command, self.root)?;
        }
        let mut child = command.spawn().with_context(|| format!("starting {}", self.program))?;
        // It holds the writing ends of the pipe, which must not outlive the child.
        drop(command);
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                if to.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => log.say(&format!("| {line}")),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Self::kill(&mut child),
            }
        }
        // The pipe is closed; a process that closed its output and goes on is no better than a silent one.
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                // Whatever it left behind goes with it.
                let _ = sys::kill_group(child.id());
                return Ok(shown(status));
            }
            std::thread::yield_now();
        }
        Self::kill(&mut child)
    }

    fn kill(child: &mut Child) -> Result<String> {
        sys::kill_group(child.id()).context("killing")?;
        child.wait().context("waiting")?;
        Ok("deadline".into())
    }
}

fn shown(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".into(),
    }
}
