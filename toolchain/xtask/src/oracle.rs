// SPDX-License-Identifier: BSD-2-Clause
//! `oracle`: lets Linux's own driver judge the device model.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use boot::Workspace;
use clap::Args;
use oracle::{Listed, Report};

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
    /// Fetch no packages: judge by those that were fetched before
    #[arg(long)]
    offline: bool,
    /// Seconds that the machine may run
    #[arg(long, default_value_t = 2400)]
    deadline: u64,
}

impl Options {
    /// The run that is part of the tests, for a part.
    pub(crate) fn short(gpu: &str) -> Self {
        let (gpu, deadline) = (gpu.into(), 600);
        Self { gpu, quick: true, survey: None, only: vec![], trace: false, offline: false, deadline }
    }
}

/// Runs it, and says how it went and whether the tests of IGT were there.
pub(crate) fn oracle(workspace: &Workspace, options: &Options) -> Result<(Closing, bool)> {
    let report = oracle::run(
        workspace,
        &oracle::Options {
            gpu: options.gpu.clone(),
            quick: options.quick,
            survey: options.survey.clone(),
            only: options.only.clone(),
            trace: options.trace,
            offline: options.offline,
            deadline: Duration::from_secs(options.deadline),
        },
    )?;
    let found = &report.judgement;
    println!("oracle: judged by {}", report.versions.join(", "));
    for package in &report.list_made_with {
        println!("oracle: NOTE: the list of tests was made with {package}");
    }
    println!("oracle: in {}", workspace.shown(&report.folder));
    if options.survey.is_some() {
        let path = workspace.target().join(format!("oracle/survey-{}.txt", options.gpu));
        let passed = found.passed.iter().map(|name| format!("{name}\n"));
        let text: String = passed.chain(found.failed.iter().map(|end| format!("# {end}\n"))).collect();
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        println!("oracle: {} tests pass, in {}", found.passed.len(), workspace.shown(&path));
    } else {
        for name in found.programs.iter().chain(&found.passed) {
            println!("  {name}");
        }
        for (kind, count) in &report.kinds {
            println!("oracle: {count} tests of {kind}");
        }
    }
    for (rule, count) in &found.by_programs {
        println!("oracle: a program's batch, {count} times: {rule}");
    }
    for end in &found.repeated {
        println!("oracle: run a second time: {end}");
    }
    for test in &found.flaky {
        println!("oracle: FLAKY: {test} passed only then");
    }
    for complaint in &found.complaints {
        println!("oracle: {complaint}");
    }
    Ok((closing(options, &report), !matches!(report.listed, Listed::Unreachable(_))))
}

/// The last line, and whether all is well.
fn closing(options: &Options, report: &Report) -> Closing {
    let found = &report.judgement;
    // A full run without the tests is no full run. The short one is part of the tests, which do not fail for want of a
    // network; they count it as skipped.
    let incomplete = matches!(report.listed, Listed::Unreachable(_)) && !options.quick;
    let complaints = found.complaints.len() + usize::from(incomplete);
    let success = complaints == 0;
    let verdict = if success { "ok".into() } else { format!("FAILED: {complaints} complaints") };
    let asked = if options.quick {
        ", the short run"
    } else if !options.only.is_empty() || options.survey.is_some() {
        ", a part of the whole"
    } else {
        ""
    };
    let listed = match report.listed {
        Listed::None => "NO LIST OF TESTS for this part".into(),
        Listed::Unreachable(count) => {
            format!("0 TESTS RUN, {count} ARE LISTED: their package could not be fetched")
        }
        Listed::Some(count) => {
            let (passed, run) = (found.passed.len(), found.listed);
            format!(
                "{passed} tests passed, {} of them flaky ({run} run of {count} listed)",
                found.flaky.len()
            )
        }
    };
    let line = format!(
        "oracle: {verdict}: GPU {}{asked}: {} of {} checks, {} benchmarks, {listed}, {} interrupts, {:.1} s",
        options.gpu,
        found.checks.1,
        found.checks.0,
        found.programs.len(),
        found.interrupts,
        report.duration.as_secs_f64(),
    );
    Closing { line, success }
}

#[cfg(test)]
mod tests {
    use oracle::Judgement;

    use super::*;

    fn report(listed: Listed, judgement: Judgement) -> Report {
        Report {
            judgement,
            versions: vec![],
            list_made_with: vec![],
            listed,
            kinds: vec![],
            folder: PathBuf::new(),
            duration: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_run_without_the_tests_says_so_and_is_good_only_as_the_short_one() {
        let without =
            report(Listed::Unreachable(300), Judgement { checks: (24, 24), ..Judgement::default() });
        let short = closing(&Options::short("tgl"), &without);
        assert!(short.success);
        assert!(short.line.contains("0 TESTS RUN, 300 ARE LISTED"), "{}", short.line);
        let whole = closing(&Options { quick: false, ..Options::short("tgl") }, &without);
        assert!(!whole.success);
        assert!(
            whole.line.starts_with("oracle: FAILED: 1 complaints: GPU tgl: 24 of 24 checks"),
            "{}",
            whole.line
        );
    }

    #[test]
    fn the_closing_line_counts_what_was_run_what_is_listed_and_what_is_flaky() {
        let judgement = Judgement {
            passed: ["a@x".into(), "a@y".into()].into(),
            flaky: ["a@y".into()].into(),
            listed: 2,
            ..Judgement::default()
        };
        let line = closing(&Options::short("tgl"), &report(Listed::Some(9), judgement)).line;
        assert!(line.contains("2 tests passed, 1 of them flaky (2 run of 9 listed)"), "{line}");
        let bare = Options { quick: false, gpu: "bdw".into(), ..Options::short("tgl") };
        let line = closing(&bare, &report(Listed::None, Judgement::default())).line;
        assert!(line.contains("NO LIST OF TESTS"), "{line}");
    }

    #[test]
    fn one_complaint_is_enough() {
        let judgement =
            Judgement { complaints: vec!["i915 had no interrupt".into()], ..Judgement::default() };
        assert!(!closing(&Options::short("tgl"), &report(Listed::Some(9), judgement)).success);
    }
}
