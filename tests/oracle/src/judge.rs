// SPDX-License-Identifier: BSD-2-Clause
//! Reads the machine's log: what i915 complains about, how every job ended, and which tests succeeded.

use std::collections::{BTreeMap, BTreeSet};

use crate::jobs::{Expected, Job};

/// What no line of the kernel may contain, whatever runs. "Initialized i915" is also said about a GPU that is given up,
/// so the log is searched for what precedes that.
const NEVER: &[&str] = &[
    "CI tainted",
    "wedged",
    "WARNING: ",
    "BUG: ",
    "Call Trace",
    "Oops",
    "general protection fault",
    "soft lockup",
    "blocked for more than",
    "rcu_preempt detected stalls",
    "*ERROR*",
];

/// What only a test that makes engines hang may bring about: the reset with its reason, and the story of the hang, which
/// i915 writes when it has found time for it, with the process where one is known.
const RESET: &str = "Resetting ";
const HANG: &str = "GPU HANG";

/// A rule that i915 breaks and that stays a rule for others.
struct Excused {
    /// What its report starts with, and what is in it.
    start: &'static str,
    part: &'static str,
}

impl Excused {
    fn covers(&self, report: &str) -> bool {
        // The engine's name stands first.
        let rest = report.split_once(' ').map_or(report, |(_, rest)| rest);
        rest.starts_with(self.start) && report.contains(self.part)
    }
}

/// Reads that i915 makes without forcewake on real parts too:
/// - CONTEXT_STATUS_PTR, to pass some time between two stores to memory; the value is dropped (i915:
///   intel_execlists_submission.c, process_csb).
/// - EXECLIST_STATUS_UDW, in the handler of the interrupt that says that a batch waits for a semaphore, and when a hang is
///   captured (i915: intel_execlists_submission.c, execlists_irq_handler and active_ccid). The value names the context that
///   runs. A real part does not sleep while one does; ours shall not rely on it.
/// - The render engine's RING_BUFFER_HEAD, to let writes through the aperture arrive; the value is dropped (i915: intel_gt.c,
///   intel_gt_flush_ggtt_writes).
const EXCUSED: &[Excused] = &[
    Excused { start: "CONTEXT_STATUS_PTR ", part: "before it is accessed: read while" },
    Excused { start: "EXECLIST_STATUS_UDW ", part: "before it is accessed: read while" },
    Excused { start: "RING_BUFFER_HEAD (0x2034)", part: "before it is accessed: read while" },
];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Everything that makes the run a failure.
    pub complaints: Vec<String>,
    /// How many of the project's own checks there were and how many were ok.
    pub checks: (usize, usize),
    /// The programs other than tests that exited with 0.
    pub programs: Vec<String>,
    /// Every test that succeeded, listed or not.
    pub passed: BTreeSet<String>,
    /// The jobs that were run a second time, after the first had failed.
    pub repeated: Vec<String>,
    /// How many tests were listed.
    pub listed: usize,
    /// i915's interrupts.
    pub interrupts: u64,
}

/// Shows what is worth showing while the machine runs.
pub(crate) fn watch(line: &str) {
    let text = text_of(line);
    if let Some(said) = text.strip_prefix("oracle: ") {
        let worth = said.starts_with("| check") || said.starts_with("end ") || said.starts_with("interrupts");
        if worth {
            println!("  {}", said.trim_start_matches("| "));
        }
    } else if NEVER.iter().any(|sign| text.contains(sign)) {
        println!("  {text}");
    }
}

/// A line without the kernel's time and the serial port's end of line.
fn text_of(line: &str) -> &str {
    let line = line.trim_end();
    match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((time, text)) if time.trim().parse::<f64>().is_ok() => text,
        _ => line,
    }
}

impl Judgement {
    /// Judges a log and the rules that the device model saw broken.
    pub(crate) fn of(lines: &[&str], reports: &[String], jobs: &[Job]) -> Self {
        let mut this = Self::default();
        let mut current: Option<(&Job, Vec<&str>)> = None;
        let mut subtest = "";
        let mut ended = BTreeSet::new();
        let mut done = false;
        for line in lines {
            let text = text_of(line);
            let Some(said) = text.strip_prefix("oracle: ") else {
                if let Some(name) = started_subtest(text) {
                    subtest = name;
                }
                this.kernel_line(text, current.as_ref().map(|(job, _)| *job), subtest, jobs);
                continue;
            };
            if let Some(name) = said.strip_prefix("begin ") {
                // What passed in a first attempt has passed.
                let earlier = current.take().filter(|(job, _)| job.name == name);
                let fresh = || jobs.iter().find(|job| job.name == name).map(|job| (job, vec![]));
                current = earlier.or_else(fresh);
                subtest = "";
            } else if let Some(end) = said.strip_prefix("again ") {
                this.repeated.push(end.split(' ').next().unwrap_or(end).to_owned());
            } else if let Some(output) = said.strip_prefix("| ") {
                if let Some((_, lines)) = &mut current {
                    lines.push(output);
                }
            } else if let Some(end) = said.strip_prefix("end ") {
                if let Some((job, lines)) = current.take() {
                    ended.insert(job.name.clone());
                    this.job(job, &lines, end.strip_prefix(&job.name).unwrap_or(end).trim());
                }
            } else if let Some(count) = said.strip_prefix("interrupts ") {
                this.interrupts = count.parse().unwrap_or(0);
            } else if said == "done" {
                done = true;
            }
        }
        if !done {
            this.complain("the machine did not come to the end of its jobs");
        }
        for job in jobs.iter().filter(|job| !ended.contains(&job.name)) {
            this.complain(format!("{} did not end", job.name));
        }
        if this.interrupts == 0 {
            this.complain("i915 had no interrupt");
        }
        // What a program's batches do wrong is the program's affair.
        let mut broken: BTreeMap<&str, usize> = BTreeMap::new();
        for report in reports.iter().filter(|report| !report.starts_with("client: ")) {
            if !EXCUSED.iter().any(|excused| excused.covers(report)) {
                *broken.entry(report).or_default() += 1;
            }
        }
        for (report, count) in broken {
            let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
            this.complain(format!("the device model: {report}{times}"));
        }
        this
    }

    fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    fn kernel_line(&mut self, text: &str, job: Option<&Job>, subtest: &str, jobs: &[Job]) {
        let meant = if let Some((_, process)) =
            text.split_once(HANG).and_then(|(_, rest)| rest.split_once(", in "))
        {
            let process = process.split(" [").next().unwrap_or(process);
            jobs.iter().any(|job| job.process() == process && job.resets_at_all())
        } else if text.contains(HANG) {
            job.is_some_and(|job| job.resets(subtest, ""))
        } else if let Some((_, reason)) =
            text.split_once(RESET).and_then(|(_, rest)| rest.split_once(" for "))
        {
            job.is_some_and(|job| job.resets(subtest, reason))
        } else {
            true
        };
        if !meant || NEVER.iter().any(|sign| text.contains(sign)) {
            let when = job.map_or_else(|| "outside of jobs".into(), |job| format!("during {}", job.name));
            self.complain(format!("the kernel, {when}: {text}"));
        }
    }

    fn job(&mut self, job: &Job, lines: &[&str], end: &str) {
        match &job.expected {
            Expected::Checks => {
                let checks: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("check ")).collect();
                let failed: Vec<_> = checks.iter().filter(|check| !check.ends_with(": ok")).collect();
                self.checks = (checks.len(), checks.len() - failed.len());
                for check in &failed {
                    self.complain(format!("check {check}"));
                }
                // It counts at its end, so that one which died in the middle is noticed.
                let total = format!("checks: {0} of {0} ok", checks.len());
                if end != "0" || checks.is_empty() || !lines.contains(&total.as_str()) {
                    self.complain(format!("{} ended with {end}", job.name));
                }
            }
            Expected::Exit if end == "0" => self.programs.push(job.name.clone()),
            Expected::Exit => self.complain(format!("{} ended with {end}: {}", job.name, lines.join(" / "))),
            Expected::Tests(listed) => {
                let passed = successes(&job.name, lines);
                self.listed += listed.len();
                for missing in listed.difference(&passed) {
                    self.complain(format!(
                        "{missing} does not pass any more ({} ended with {end})",
                        job.name
                    ));
                }
                self.passed.extend(passed);
            }
        }
    }
}

/// The subtest that a program of IGT tells the kernel's log of: `[IGT] PROGRAM: starting subtest NAME`.
fn started_subtest(line: &str) -> Option<&str> {
    line.strip_prefix("[IGT] ")?.split_once(": starting subtest ").map(|(_, name)| name)
}

/// The tests of a program that say SUCCESS, by the names of the lists.
fn successes(program: &str, lines: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut subtest = "";
    for line in lines {
        if let Some(name) = line.strip_prefix("Starting subtest: ") {
            subtest = name;
        } else if let Some(name) = succeeded(line, "Dynamic subtest ") {
            found.insert(format!("{program}@{subtest}@{name}"));
        } else if let Some(name) = succeeded(line, "Subtest ") {
            found.insert(format!("{program}@{name}"));
        } else if line.starts_with("SUCCESS (") {
            found.insert(program.to_owned());
        }
    }
    found
}

/// The name in `KIND NAME: SUCCESS (1.234s)`.
fn succeeded<'a>(line: &'a str, kind: &str) -> Option<&'a str> {
    let (name, result) = line.strip_prefix(kind)?.split_once(": ")?;
    result.starts_with("SUCCESS").then_some(name)
}

#[cfg(test)]
mod unit {
    use super::*;

    fn jobs() -> Vec<Job> {
        let mut jobs = vec![crate::jobs::checks()];
        jobs.extend(crate::jobs::tests(&["t@a@rcs0".into(), "t@a".into()]).unwrap_or_default());
        jobs
    }

    const GOOD: &[&str] = &[
        "[    5.0] [drm] Initialized i915 1.6.0 20201103 for 0000:00:02.0 on minor 0",
        "[    6.1] oracle: begin checks",
        "[    6.2] oracle: | check one: ok",
        "[    6.3] i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:85dffffb, in guest [130]",
        "[    6.4] oracle: | checks: 1 of 1 ok",
        "[    6.5] oracle: end checks 0\r",
        "[    7.0] oracle: begin t",
        "[    7.1] oracle: | Starting subtest: a",
        "[    7.2] oracle: | Dynamic subtest rcs0: SUCCESS (0.010s)",
        "[    7.3] oracle: | Subtest a: SUCCESS (0.012s)",
        "[    7.4] oracle: end t 0",
        "[    8.0] oracle: interrupts 12",
        "[    8.1] oracle: done",
    ];

    fn with(line: usize, text: &'static str) -> Judgement {
        let mut lines = GOOD.to_vec();
        lines[line] = text;
        Judgement::of(&lines, &[], &jobs())
    }

    #[test]
    fn a_good_run_has_no_complaint() {
        let judgement = Judgement::of(GOOD, &["client: a batch".into()], &jobs());
        assert_eq!(judgement.complaints, [""; 0]);
        assert_eq!((judgement.checks, judgement.interrupts, judgement.listed), ((1, 1), 12, 2));
        assert_eq!(judgement.passed, BTreeSet::from(["t@a".into(), "t@a@rcs0".into()]));
    }

    #[test]
    fn each_thing_that_goes_wrong_is_one_complaint() {
        for (line, text) in [
            (0, "[    5.0] i915 0000:00:02.0: [drm:add_taint_for_CI [i915]] CI tainted:0x9 by intel_gt_init"),
            (0, "[    5.0] i915 0000:00:02.0: [drm] *ERROR* rcs'0 reset request timed out"),
            (0, "[    5.0] i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:85dffffb"),
            (3, "[    6.3] i915 0000:00:02.0: [drm] Resetting rcs0 for stopped heartbeat on rcs0"),
            (8, "[    7.2] oracle: | Dynamic subtest rcs0: SKIP (0.010s)"),
            (9, "[    7.3] oracle: | Subtest a: FAIL (0.012s)"),
            (11, "[    8.0] oracle: interrupts 0"),
            (12, "[    8.1] something else"),
            (4, "[    6.4] something else"),
        ] {
            assert_eq!(with(line, text).complaints.len(), 1, "{text}: {:?}", with(line, text).complaints);
        }
        assert_eq!(with(2, "[    6.2] oracle: | check one: FAILED: why").complaints.len(), 1);
        let judgement = Judgement::of(GOOD, &["RCS0 TAIL: not aligned".into()], &jobs());
        assert_eq!(judgement.complaints, ["the device model: RCS0 TAIL: not aligned"]);
    }

    #[test]
    fn a_reset_is_meant_where_a_test_does_it_on_purpose_and_nowhere_else() {
        let jobs = crate::jobs::tests(&["gem_busy@busy".into(), "gem_busy@hang".into(), "t@a".into()])
            .unwrap_or_default();
        let complaints = |subtest: &str, line: &str| {
            let started = format!("[IGT] gem_busy: starting subtest {subtest}");
            let lines = ["oracle: begin gem_busy", &started, line];
            let judgement = Judgement::of(&lines, &[], &jobs);
            judgement.complaints.iter().filter(|complaint| complaint.contains("the kernel")).count()
        };
        let reset = "i915 0000:00:02.0: [drm] Resetting rcs0 for CS error";
        assert_eq!(complaints("hang", reset), 0);
        assert_eq!(complaints("hang", "i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:21524111"), 0);
        assert_eq!(complaints("busy", reset), 1);
        assert_eq!(complaints("busy", "i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:21524111"), 1);
        assert_eq!(
            complaints("hang", "i915 0000:00:02.0: [drm] Resetting rcs0 for stopped heartbeat on rcs0"),
            1
        );
        // It may come late, and then says whose it is.
        assert_eq!(
            complaints("busy", "i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:0, in gem_busy [90]"),
            0
        );
        assert_eq!(complaints("hang", "i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:0, in t [90]"), 1);
    }

    #[test]
    fn a_test_that_passes_at_the_second_attempt_passes_and_is_told() {
        let again =
            ["[    7.4] oracle: again t 98", "[    7.5] oracle: begin t", "oracle: | Starting subtest: a"];
        let fails = "[    7.2] oracle: | Dynamic subtest rcs0: FAIL (0.010s)";
        let first = [&GOOD[..8], &[fails, "oracle: | Subtest a: FAIL (0.010s)"]].concat();
        let passes = [&first[..], &again, &GOOD[8..]].concat();
        let judgement = Judgement::of(&passes, &[], &jobs());
        assert_eq!((judgement.complaints, judgement.repeated), (vec![], vec!["t".to_owned()]));
        let fails = [&first[..], &again, &[fails], &GOOD[9..]].concat();
        assert_eq!(Judgement::of(&fails, &[], &jobs()).complaints.len(), 1);
    }

    #[test]
    fn only_the_reads_that_linux_makes_without_forcewake_are_excused() {
        let complaints = |register: &str, access: &str| {
            let rule = "the register's forcewake domain must be awake before it is accessed";
            let report =
                format!("{register}: {rule}: {access} while Render sleeps [Forcewake; i915: intel_uncore.c]");
            Judgement::of(GOOD, &[report], &jobs()).complaints.len()
        };
        for register in [
            "RCS0 CONTEXT_STATUS_PTR (0x23a0)",
            "BCS0 EXECLIST_STATUS_UDW (0x22238)",
            "RCS0 RING_BUFFER_HEAD (0x2034)",
        ] {
            assert_eq!(complaints(register, "read"), 0, "{register}");
            assert_eq!(complaints(register, "wrote 0x1"), 1, "{register}");
        }
        assert_eq!(complaints("BCS0 RING_BUFFER_HEAD (0x22034)", "read"), 1);
    }

    #[test]
    fn a_job_that_does_not_end_is_a_complaint() {
        let lines = [&GOOD[..10], &GOOD[11..]].concat();
        let judgement = Judgement::of(&lines, &[], &jobs());
        assert_eq!(judgement.complaints, ["t did not end"]);
    }
}
