// SPDX-License-Identifier: BSD-2-Clause
//! `oracle`: lets Linux's own driver judge the device model.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use boot::Workspace;
use clap::Args;

use crate::Closing;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The part that the device model is: tgl (Tiger Lake) or skl (Skylake)
    #[arg(long, default_value = "tgl")]
    gpu: String,
    /// Only i915's probe, the project's own checks, and the shortest tests
    #[arg(long)]
    quick: bool,
    /// Run the tests of this file (PROGRAM@SUBTEST a line, with wildcards) and write those that pass to
    /// target/oracle/survey-GPU.txt
    #[arg(long, value_name = "FILE", conflicts_with = "quick")]
    survey: Option<PathBuf>,
    /// Only the jobs whose names contain this; may be repeated
    #[arg(long, value_name = "PART", conflicts_with = "quick")]
    only: Vec<String>,
    /// Let the device model write a trace for Perfetto
    #[arg(long)]
    trace: bool,
    /// Seconds that the machine may run
    #[arg(long, default_value_t = 900)]
    deadline: u64,
}

impl Options {
    /// The run that is part of the tests.
    pub(crate) fn short() -> Self {
        let (gpu, deadline) = ("tgl".into(), 300);
        Self { gpu, quick: true, survey: None, only: vec![], trace: false, deadline }
    }
}

pub(crate) fn oracle(workspace: &Workspace, options: &Options) -> Result<Closing> {
    let report = oracle::run(
        workspace,
        &oracle::Options {
            gpu: options.gpu.clone(),
            quick: options.quick,
            survey: options.survey.clone(),
            only: options.only.clone(),
            trace: options.trace,
            deadline: Duration::from_secs(options.deadline),
        },
    )?;
    let found = &report.judgement;
    println!("oracle: judged by {}", report.versions.join(", "));
    println!("oracle: in {}", workspace.shown(&report.folder));
    if options.survey.is_some() {
        let path = workspace.target().join(format!("oracle/survey-{}.txt", options.gpu));
        let text: String = found.passed.iter().map(|name| format!("{name}\n")).collect();
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        println!("oracle: {} tests pass, in {}", found.passed.len(), workspace.shown(&path));
    } else {
        for name in found.programs.iter().chain(&found.passed) {
            println!("  {name}");
        }
    }
    for name in &found.repeated {
        println!("oracle: {name} was run a second time");
    }
    for complaint in &found.complaints {
        println!("oracle: {complaint}");
    }
    let (checks, ok) = found.checks;
    // The short run is part of the tests, which do not fail for want of a network.
    let incomplete = !report.complete && !options.quick;
    if !report.complete {
        println!("oracle: the tests of IGT could not be fetched, and none of them is passed");
    }
    let success = found.complaints.is_empty() && !incomplete;
    let line = format!(
        "oracle: {}: GPU {}: {ok} of {checks} checks, {} benchmarks, {} tests passed ({} listed), {} interrupts, {:.1} s",
        if success {
            "ok".into()
        } else {
            format!("FAILED: {} complaints", found.complaints.len() + usize::from(incomplete))
        },
        options.gpu,
        found.programs.len(),
        found.passed.len(),
        found.listed,
        found.interrupts,
        report.duration.as_secs_f64(),
    );
    Ok(Closing { line, success })
}
