// SPDX-License-Identifier: BSD-2-Clause
//! The model as a program that QEMU attaches to.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use gpu_model::memory::GuestRam;
use gpu_model::memory::vtd::Registers;
use gpu_model::platform::PLATFORMS;
use gpu_model::proxy::link::Link;
use gpu_model::proxy::qtest::Connector;
use gpu_model::proxy::server::{Served, Server};
use gpu_model::record;
use gpu_model::{ClockSource, Gpu, Options, Platform, Timing, by_name};

/// Intel integrated graphics for QEMU's x-pci-proxy-dev.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(
    after_help = "Exit status: 0 clean, 1 rules were broken, 2 the model could not run, or lost interrupts."
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Verb>,

    /// Platform: bdw, skl, kbl, glk, icl, tgl, rkl, adls
    #[arg(long, default_value = "tgl")]
    gpu: String,
    /// Descriptor number of this end of the socket pair whose other end QEMU's proxy device has
    #[arg(long, value_name = "N", required = true)]
    proxy_fd: Option<RawFd>,
    /// QEMU's qtest socket (-qtest unix:PATH,server=on,wait=off); may appear later. Without it no interrupts
    #[arg(long, value_name = "PATH")]
    qtest: Option<PathBuf>,
    /// Seconds to wait for the qtest socket
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    qtest_timeout: u64,
    /// Write the touched registers here
    #[arg(long, value_name = "FILE")]
    registers: Option<PathBuf>,
    /// Write a timeline (Chrome trace JSON) here
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write broken rules and notices here
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// When work happens
    #[arg(long, value_enum, default_value = "instant")]
    timing: TimingName,
    /// PCI device id to show in place of the platform's, such as 0xffff
    #[arg(long, value_name = "ID", value_parser = device_id)]
    device_id: Option<u16>,
    /// Rules broken by the content of client batches do not count for the exit status
    #[arg(long)]
    allow_client_errors: bool,
    /// Lose this many interrupts of the engines
    #[arg(long, value_name = "N", default_value_t = 0)]
    lose_interrupts: u32,
    /// Forcewake requests and PAT survive a full reset, as Linux's i915 expects
    #[arg(long)]
    full_reset_keeps_power: bool,
    /// Record every access here, for `gpu-model replay`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// What else the program does.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Repeat a record against the model and tell every difference
    Replay {
        /// What --record wrote
        file: PathBuf,
        /// Write the touched registers here
        #[arg(long, value_name = "FILE")]
        registers: Option<PathBuf>,
    },
    /// List the platforms, a name a line
    Platforms,
}

fn device_id(text: &str) -> Result<u16, String> {
    let digits = text.strip_prefix("0x").ok_or("a hexadecimal number that starts with 0x is needed")?;
    u16::from_str_radix(digits, 16).map_err(|error| error.to_string())
}

/// Timing names of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum TimingName {
    /// Work is done and its interrupt sent before the write that caused it is answered.
    Instant,
    /// Work happens beside the CPU; timestamps follow the host's clock.
    Realtime,
    /// Submissions are acknowledged, nothing completes.
    Busy,
    /// Nothing is acknowledged.
    Silent,
}

impl From<TimingName> for Timing {
    fn from(name: TimingName) -> Self {
        match name {
            TimingName::Instant => Self::Instant,
            TimingName::Realtime => Self::Deferred,
            TimingName::Busy => Self::Busy,
            TimingName::Silent => Self::Silent,
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("gpu-model: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Repeats a record; answers whether there was no difference.
fn repeat(file: &Path, registers: Option<&Path>) -> Result<bool> {
    let open = File::open(file).with_context(|| format!("opening {}", file.display()))?;
    let (replay, gpu) = record::replay(&mut BufReader::new(open), Options::default())
        .with_context(|| file.display().to_string())?;
    for difference in &replay.differences {
        println!("{difference}");
    }
    println!("{} accesses, {} differences", replay.accesses, replay.differences.len());
    save(registers, || gpu.register_listing())?;
    Ok(replay.differences.is_empty())
}

/// Runs the model; answers whether no rule was broken.
fn run(arguments: &Arguments) -> Result<bool> {
    match &arguments.command {
        Some(Verb::Replay { file, registers }) => return repeat(file, registers.as_deref()),
        Some(Verb::Platforms) => {
            PLATFORMS.iter().for_each(|platform| println!("{}", platform.name));
            return Ok(true);
        }
        None => {}
    }
    let Some(platform) = by_name(&arguments.gpu) else {
        let names: Vec<_> = PLATFORMS.iter().map(|platform| platform.name).collect();
        bail!("no platform {:?}; there are {}", arguments.gpu, names.join(", "));
    };
    let platform = match arguments.device_id {
        // Leaked: a platform is `'static`, and there is one in the life of this program.
        Some(device_id) => Box::leak(Box::new(Platform { device_id, ..*platform })),
        None => platform,
    };
    let options = Options {
        timing: Timing::from(arguments.timing),
        clock: match arguments.timing {
            TimingName::Realtime => ClockSource::Host,
            _ => ClockSource::Stepped,
        },
        trace: arguments.trace.is_some(),
        full_reset_keeps_power: arguments.full_reset_keeps_power,
        ..Options::default()
    };
    let number = arguments.proxy_fd.context("--proxy-fd is needed")?;
    let fd =
        gpu_model::sys::inherited(number).with_context(|| format!("descriptor {number} is not usable"))?;
    let mut gpu = Gpu::new(platform, options, Box::new(GuestRam::new()));
    gpu.injection().lose_interrupts = arguments.lose_interrupts;
    let iommu = Arc::new(Registers::default());
    let patience = Duration::from_secs(arguments.qtest_timeout);
    let connector = arguments.qtest.as_deref().map(|path| Connector::new(path, patience, Arc::clone(&iommu)));
    let mut server = Server::new(gpu, Link::new(fd), connector, Arc::clone(&iommu));
    if let Some(path) = &arguments.record {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        server = server.record(Box::new(BufWriter::new(file)));
    }
    let Served { gpu, delivery } = server.run()?;
    let clean = finish(arguments, &gpu, &iommu)?;
    delivery?;
    Ok(clean)
}

/// Writes the results; answers whether no rule was broken.
fn finish(arguments: &Arguments, gpu: &Gpu, iommu: &Registers) -> Result<bool> {
    let mut text = String::new();
    for report in gpu.reports() {
        let client = if report.client { "client: " } else { "" };
        let _ = writeln!(text, "{client}{report}");
    }
    let more = gpu.log().total().saturating_sub(gpu.reports().len() as u64);
    if more > 0 {
        let _ = writeln!(text, "note: {more} breaches more, of the same rules at the same places");
    }
    for fault in iommu.faults() {
        let kind = if fault.write { "write" } else { "read" };
        let _ = writeln!(text, "iommu: {kind} of {:#x}: {}", fault.address, fault.reason);
    }
    for notice in gpu.log().notices() {
        let _ = writeln!(text, "note: {}", notice.text);
    }
    let missing = gpu.trace_missing();
    if missing > 0 {
        let _ = writeln!(text, "note: the timeline is full: {missing} events are not in it");
    }
    save(arguments.report.as_deref(), || text)?;
    save(arguments.registers.as_deref(), || gpu.register_listing())?;
    save(arguments.trace.as_deref(), || gpu.trace())?;
    Ok(gpu.reports().iter().all(|report| report.client && arguments.allow_client_errors))
}

fn save(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<()> {
    match path {
        Some(path) => std::fs::write(path, text()).with_context(|| format!("writing {}", path.display())),
        None => Ok(()),
    }
}
