// SPDX-License-Identifier: BSD-2-Clause
//! The developer's verbs behind the Makefile, one module each.
//!
//! Every verb prints a line per step and ends with one line that says how it went; only success exits with 0.

mod bench;
mod guide;
mod image;
mod lint;
mod machine;
mod oracle;
mod packages;
mod parity;
mod run;
mod test;
mod timeline;

use std::process::ExitCode;

use anyhow::Result;
use boot::{Kernel, Verbosity, Workspace};
use clap::{Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(name = "xtask", about = "Builds, boots, tests and measures the system.")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Boot a demonstration in QEMU; the picture that it makes goes to target/run/frame.png
    Run(run::Options),
    /// Boot any kernel and image in QEMU with a GPU attached
    Boot(machine::Options),
    /// Build the kernel and the image of a demonstration
    Image(image::Options),
    /// Turn the driver's trace of a run, and the device model's, into timeline.json, timeline.txt and timeline.svg beside it
    Timeline(timeline::Options),
    /// Run the host tests and the boot tests
    Test,
    /// Check format and lints, the reference and the guide
    Lint,
    /// Make the guide a book in target/guide, and follow every link in it
    Guide,
    /// Measure in guest instructions and in wall time
    Bench(bench::Options),
    /// Compare the registers that Linux's i915 leaves written with this driver's
    Parity,
    /// Let Linux's i915 and its tests judge the device model
    Oracle(oracle::Options),
}

/// The kernel's configuration, as a word on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum KernelChoice {
    /// Prints, and lets domains print
    Debug,
    /// Silent
    Release,
}

impl From<KernelChoice> for Kernel {
    fn from(choice: KernelChoice) -> Self {
        match choice {
            KernelChoice::Debug => Self::Debug,
            KernelChoice::Release => Self::Release,
        }
    }
}

fn main() -> ExitCode {
    let verb = Arguments::parse().verb;
    let (name, result) = match Workspace::locate(Verbosity::Steps) {
        Ok(workspace) => perform(&verb, &workspace),
        Err(error) => ("xtask", Err(error)),
    };
    match result {
        Ok(Closing { line, success }) => {
            println!("{line}");
            if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            // The whole story first; the last line is one line.
            let story = format!("{error:#}");
            let mut lines = story.lines();
            let summary = lines.next().unwrap_or("for an unknown reason").trim_end_matches(':');
            for line in lines {
                println!("{line}");
            }
            println!("{name}: FAILED: {summary}");
            ExitCode::FAILURE
        }
    }
}

/// The line that a verb closes with when it came to its end, and whether that was a good one.
struct Closing {
    line: String,
    success: bool,
}

impl From<String> for Closing {
    fn from(line: String) -> Self {
        Self { line, success: true }
    }
}

/// Does what the verb says; also the verb's name, for the closing line of one that breaks off.
fn perform(verb: &Verb, workspace: &Workspace) -> (&'static str, Result<Closing>) {
    match verb {
        Verb::Run(options) => ("run", run::run(workspace, options).map(Closing::from)),
        Verb::Boot(options) => ("boot", machine::boot(workspace, options).map(Closing::from)),
        Verb::Image(options) => ("image", image::image(workspace, options).map(Closing::from)),
        Verb::Timeline(options) => ("timeline", timeline::timeline(workspace, options).map(Closing::from)),
        Verb::Test => ("test", test::test(workspace)),
        Verb::Lint => ("lint", lint::lint(workspace).map(Closing::from)),
        Verb::Guide => ("guide", guide::guide(workspace).map(Closing::from)),
        Verb::Bench(options) => ("bench", bench::bench(workspace, options).map(Closing::from)),
        Verb::Parity => ("parity", parity::parity(workspace).map(Closing::from)),
        Verb::Oracle(options) => ("oracle", oracle::oracle(workspace, options).map(|(closing, _)| closing)),
    }
}
