// SPDX-License-Identifier: BSD-2-Clause
//! Reads the machine's log: what i915 complains about, how every job ended, and which tests succeeded.

use std::collections::{BTreeMap, BTreeSet};

use crate::jobs::{Expected, Job};
use crate::kernel_log::{Hangs, Line};

/// More tests than this that fail at first and pass when their program is run again are no accident: a model that loses
/// an interrupt now and then looks like this.
const MOST_FLAKY: usize = 5;

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
///
/// And a queue: a context that ran dry in the meantime, submitted again without a forced restore. i915 appends two NOOPs to
/// the last request when it does that (WaIdleLiteRestore), once; before the third time the engine may have read those too.
/// The workaround is for Broadwell and Skylake; ours shall not need it.
const EXCUSED: &[Excused] = &[
    Excused { start: "image ", part: "[EmptyRing; WaIdleLiteRestore]" },
    Excused { start: "CONTEXT_STATUS_PTR ", part: "before it is accessed: read while" },
    Excused { start: "EXECLIST_STATUS_UDW ", part: "before it is accessed: read while" },
    Excused { start: "RING_BUFFER_HEAD (0x2034)", part: "before it is accessed: read while" },
];

/// Rules that batches of IGT and its benchmarks break, on purpose or without harm:
/// - The invalid command of batches that shall hang (IGT: lib/igt_dummyload.c, IGT_SPIN_INVALID_CS).
/// - The benchmark gem_wsim stores into the status page, which no program may; parts make a NOOP of it.
/// - It also says of register offsets that they are relative to the engine, on parts before Gen11 too, which know no such
///   bits.
/// - gem_ctx_isolation writes whole values to every register that programs may write, also to CS_CHICKEN1 and on Gen9 to
///   CACHE_MODE_1 and COMMON_SLICE_CHICKEN2, of which only the bits count that the upper half enables.
const BY_PROGRAMS: &[Excused] = &[
    Excused {
        start: "reserved command type (0xdeadbeef): the command stream can be parsed to its end: ",
        part: "UnknownCommand",
    },
    Excused { start: "command 0x10800001: a non-privileged batch ", part: "turned into a NOOP" },
    Excused { start: "MI_LOAD_REGISTER_IMM (0x11080001): reserved header bits", part: "bits 0x80000 [" },
    Excused { start: "MI_LOAD_REGISTER_REG (0x150c0001): reserved header bits", part: "bits 0xc0000 [" },
    Excused { start: "MI_STORE_REGISTER_MEM (0x12080002): reserved header bits", part: "bits 0x80000 [" },
    Excused { start: "0x2580: a masked register needs the write-enable bits", part: "wrote 0x" },
    Excused { start: "0x7004: a masked register needs the write-enable bits", part: "wrote 0x" },
    Excused { start: "0x7014: a masked register needs the write-enable bits", part: "wrote 0x" },
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
    /// What a survey saw not succeed, and how it ended.
    pub failed: Vec<String>,
    /// The jobs that were run a second time, after the first had failed, with how the first ended.
    pub repeated: Vec<String>,
    /// The listed tests that passed only then.
    pub flaky: BTreeSet<String>,
    /// The rules that programs' batches broke, and how often.
    pub by_programs: BTreeMap<String, usize>,
    /// How many tests were listed.
    pub listed: usize,
    /// i915's interrupts.
    pub interrupts: u64,
}

/// Shows what is worth showing while the machine runs.
pub(crate) fn watch(line: &str) {
    let line = Line::of(line);
    let text = line.text;
    if let Some(said) = text.strip_prefix("oracle: ") {
        let worth = said.starts_with("| check") || said.starts_with("end ") || said.starts_with("interrupts");
        if worth {
            println!("  {}", said.trim_start_matches("| "));
        }
    } else if line.is_bad() {
        println!("  {text}");
    }
}

/// A job that runs, and what it said.
struct Running<'a> {
    job: &'a Job,
    /// Of all attempts.
    lines: Vec<&'a str>,
    /// How many of them are of an earlier attempt, if there was one.
    earlier: Option<usize>,
}

impl Judgement {
    /// Judges a log and the rules that the device model saw broken.
    pub(crate) fn of(lines: &[&str], reports: &[String], jobs: &[Job]) -> Self {
        let mut this = Self::default();
        let mut hangs = Hangs::default();
        let mut current: Option<Running<'_>> = None;
        let mut subtest = "";
        let mut ended = BTreeSet::new();
        let (mut done, mut initialized) = (false, false);
        for line in lines {
            let line = Line::of(line);
            let Some(said) = line.text.strip_prefix("oracle: ") else {
                let job = current.as_ref().map(|running| running.job);
                if let Some(name) = started_subtest(line.text) {
                    subtest = name;
                    job.inspect(|job| hangs.subtest(job, subtest));
                }
                initialized |= line.text.contains("Initialized i915");
                if line.is_bad() || !hangs.is_meant(&line, job, subtest, jobs) {
                    let when =
                        job.map_or_else(|| "outside of jobs".into(), |job| format!("during {}", job.name));
                    this.complain(format!("the kernel, {when}: {}", line.text));
                }
                continue;
            };
            if let Some(name) = said.strip_prefix("begin ") {
                // What passed in a first attempt has passed.
                let again = current.take().filter(|running| running.job.name == name);
                let fresh = || {
                    let job = jobs.iter().find(|job| job.name == name)?;
                    Some(Running { job, lines: vec![], earlier: None })
                };
                current = again.or_else(fresh);
                subtest = "";
            } else if let Some(end) = said.strip_prefix("again ") {
                if let Some(running) = &mut current {
                    running.earlier = Some(running.lines.len());
                }
                this.repeated.push(end.to_owned());
            } else if let Some(output) = said.strip_prefix("| ") {
                if let Some(running) = &mut current {
                    running.lines.push(output);
                }
            } else if let Some(end) = said.strip_prefix("end ") {
                if let Some(running) = current.take() {
                    ended.insert(running.job.name.clone());
                    this.job(&running, end.strip_prefix(&running.job.name).unwrap_or(end).trim());
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
        if !initialized {
            this.complain("i915 did not say that it is initialized");
        }
        for job in jobs.iter().filter(|job| !ended.contains(&job.name)) {
            this.complain(format!("{} did not end", job.name));
        }
        if this.interrupts == 0 {
            this.complain("i915 had no interrupt");
        }
        this.complaints.extend(hangs.complaints());
        if this.flaky.len() > MOST_FLAKY {
            this.complain(format!("{} tests passed only when they were run again", this.flaky.len()));
        }
        this.rules(reports);
        this
    }

    /// The rules that the device model saw broken.
    fn rules(&mut self, reports: &[String]) {
        let mut broken: BTreeMap<String, usize> = BTreeMap::new();
        for report in reports {
            let excused = match report.strip_prefix("client: ") {
                Some(report) => {
                    let report = without_place(report);
                    let excused = BY_PROGRAMS.iter().any(|excused| excused.covers(&report));
                    *self.by_programs.entry(report).or_default() += 1;
                    excused
                }
                None => EXCUSED.iter().any(|excused| excused.covers(report)),
            };
            if !excused {
                *broken.entry(without_place(report)).or_default() += 1;
            }
        }
        for (report, count) in broken {
            let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
            self.complain(format!("the device model: {report}{times}"));
        }
    }

    fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    fn job(&mut self, running: &Running<'_>, end: &str) {
        let (job, lines) = (running.job, running.lines.as_slice());
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
            Expected::Nothing => {
                self.passed.extend(successes(job.tests_of(), lines));
                self.failed.extend(failures(job.tests_of(), lines));
                if !["0", "77"].contains(&end) {
                    self.failed.push(format!("{}: ended with {end}", job.name));
                }
            }
            Expected::Tests(listed) => {
                let passed = successes(job.tests_of(), lines);
                self.listed += listed.len();
                let mut failed = listed.difference(&passed).peekable();
                // Its tests are judged one by one, but a program that died or did not come to its end is no good one,
                // and of two attempts each may fail in another test.
                let fails = failed.peek().is_some() || running.earlier.is_some() && end == "98";
                if end != "0" && !fails {
                    self.complain(format!("{} ended with {end}, though its tests pass", job.name));
                }
                for missing in failed {
                    self.complain(format!(
                        "{missing} does not pass any more ({} ended with {end})",
                        job.name
                    ));
                }
                if let Some(earlier) = running.earlier {
                    let at_once = successes(job.tests_of(), lines.get(..earlier).unwrap_or_default());
                    self.flaky.extend(
                        listed.intersection(&passed).filter(|test| !at_once.contains(*test)).cloned(),
                    );
                }
                self.passed.extend(passed);
            }
        }
    }
}

/// A report without the place of its batch, which is another in every run.
fn without_place(report: &str) -> String {
    let Some((start, rest)) = report.split_once(" at Batch ") else { return report.to_owned() };
    rest.find(": ")
        .and_then(|end| rest.get(end..))
        .map_or_else(|| report.to_owned(), |end| format!("{start}{end}"))
}

/// The subtest that a program of IGT tells the kernel's log of: `[IGT] PROGRAM: starting subtest NAME`. The project's own
/// checks do likewise.
fn started_subtest(line: &str) -> Option<&str> {
    line.strip_prefix("[IGT] ")
        .or_else(|| line.strip_prefix("[checks] "))?
        .split_once(": starting subtest ")
        .map(|(_, name)| name)
}

/// The tests of a program that say SUCCESS, by the names of the lists. One whose fences signalled by themselves was not held
/// back as it wanted to be (`fences`), and did not succeed.
fn successes(program: &str, lines: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut subtest = "";
    let (mut expired, mut part_expired) = (false, false);
    for line in lines {
        if let Some(name) = line.strip_prefix("Starting subtest: ") {
            subtest = name;
            (expired, part_expired) = (false, false);
        } else if line.starts_with("Starting dynamic subtest: ") {
            part_expired = false;
        } else if line.starts_with("fences: EXPIRED") {
            (expired, part_expired) = (true, true);
        } else if let Some(name) = succeeded(line, "Dynamic subtest ").filter(|_| !part_expired) {
            found.insert(format!("{program}@{subtest}@{name}"));
        } else if let Some(name) = succeeded(line, "Subtest ").filter(|_| !expired) {
            found.insert(format!("{program}@{name}"));
        } else if line.starts_with("SUCCESS (") && !expired {
            found.insert(program.to_owned());
        }
    }
    found
}

/// The tests of a program that say anything else.
fn failures(program: &str, lines: &[&str]) -> Vec<String> {
    let mut subtest = "";
    let mut found = vec![];
    for line in lines {
        let ended = |kind: &str| {
            line.strip_prefix(kind)?.split_once(": ").filter(|(_, end)| !end.starts_with("SUCCESS"))
        };
        if let Some(name) = line.strip_prefix("Starting subtest: ") {
            subtest = name;
        } else if let Some((name, end)) = ended("Dynamic subtest ") {
            found.push(format!("{program}@{subtest}@{name}: {end}"));
        } else if let Some((name, end)) = ended("Subtest ") {
            found.push(format!("{program}@{name}: {end}"));
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
        "<6>[    5.0] [drm] Initialized i915 1.6.0 20201103 for 0000:00:02.0 on minor 0",
        "<13>[    6.1] oracle: begin checks",
        "<13>[    6.2] oracle: | check one: ok",
        "<13>[    6.3] [checks] checks: starting subtest an innocent context survives the reset of its engine",
        "<5>[    6.3] i915 0000:00:02.0: [drm] Resetting rcs0 for preemption time out",
        "<6>[    6.3] i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:85dffffb, in guest [130]",
        "<13>[    6.4] oracle: | checks: 1 of 1 ok",
        "<13>[    6.5] oracle: end checks 0\r",
        "<13>[    7.0] oracle: begin t",
        "<13>[    7.1] oracle: | Starting subtest: a",
        "<13>[    7.2] oracle: | Dynamic subtest rcs0: SUCCESS (0.010s)",
        "<13>[    7.3] oracle: | Subtest a: SUCCESS (0.012s)",
        "<13>[    7.4] oracle: end t 0",
        "<13>[    8.0] oracle: interrupts 12",
        "<13>[    8.1] oracle: done",
    ];
    /// Where `GOOD` is about the job `t`.
    const T: usize = 8;

    fn with(line: usize, text: &'static str) -> Judgement {
        let mut lines = GOOD.to_vec();
        lines[line] = text;
        Judgement::of(&lines, &[], &jobs())
    }

    #[test]
    fn a_good_run_has_no_complaint() {
        let judgement = Judgement::of(GOOD, &[], &jobs());
        assert_eq!(judgement.complaints, [""; 0]);
        assert_eq!((judgement.checks, judgement.interrupts, judgement.listed), ((1, 1), 12, 2));
        assert_eq!(judgement.passed, BTreeSet::from(["t@a".into(), "t@a@rcs0".into()]));
    }

    #[test]
    fn each_thing_that_goes_wrong_is_one_complaint() {
        for (line, text) in [
            (0, "i915 says nothing"),
            (
                1,
                "<5>[    5.0] i915 0000:00:02.0: [drm:add_taint_for_CI [i915]] CI tainted:0x9 by intel_gt_init",
            ),
            (2, "<13>[    6.2] oracle: | check one: FAILED: why"),
            (4, "<5>[    6.3] i915 0000:00:02.0: [drm] Resetting rcs0 for stopped heartbeat on rcs0"),
            (4, "<3>[    6.3] i915 0000:00:02.0: [drm] *ERROR* rcs'0 reset request timed out"),
            (6, "<13>[    6.4] something else"),
            (T + 2, "<13>[    7.2] oracle: | Dynamic subtest rcs0: SKIP (0.010s)"),
            (T + 3, "<13>[    7.3] oracle: | Subtest a: FAIL (0.012s)"),
            (T + 4, "<13>[    7.4] oracle: end t signal 11"),
            (T + 4, "<13>[    7.4] oracle: end t deadline"),
            (T + 4, "<13>[    7.4] oracle: end t 98"),
            (T + 4, "<13>[    7.4] oracle: end other 0"),
            (T + 5, "<13>[    8.0] oracle: interrupts 0"),
            (T + 6, "<13>[    8.1] something else"),
        ] {
            // A line that fails the run and stands in another's place may be missed there too.
            let complaints = with(line, text).complaints;
            assert!(!complaints.is_empty() && complaints.len() <= 3, "{text}: {complaints:?}");
        }
        let judgement = Judgement::of(GOOD, &["RCS0 TAIL: not aligned".into()], &jobs());
        assert_eq!(judgement.complaints, ["the device model: RCS0 TAIL: not aligned"]);
    }

    #[test]
    fn a_test_whose_fences_signalled_by_themselves_has_not_succeeded() {
        let lines = [
            "Starting subtest: a",
            "Starting dynamic subtest: rcs0",
            "fences: EXPIRED: a fence signalled by itself after ten seconds",
            "Dynamic subtest rcs0: SUCCESS (10.5s)",
            "Starting dynamic subtest: bcs0",
            "Dynamic subtest bcs0: SUCCESS (0.1s)",
            "Subtest a: SUCCESS (10.7s)",
            "Starting subtest: b",
            "Subtest b: SUCCESS (0.1s)",
        ];
        assert_eq!(successes("t", &lines), BTreeSet::from(["t@a@bcs0".into(), "t@b".into()]));
        assert_eq!(successes("t", &["fences: EXPIRED: why", "SUCCESS (1s)"]), BTreeSet::new());
    }

    #[test]
    fn what_programs_do_wrong_is_counted_and_a_complaint_where_nobody_knew_of_it() {
        let report = "client: RCS0 MI_MATH: not allowed".to_owned();
        let judgement = Judgement::of(GOOD, &[report.clone(), report], &jobs());
        assert_eq!(judgement.by_programs, BTreeMap::from([("RCS0 MI_MATH: not allowed".to_owned(), 2)]));
        assert_eq!(judgement.complaints, ["the device model: client: RCS0 MI_MATH: not allowed (2 times)"]);
    }

    #[test]
    fn what_igt_does_on_purpose_is_excused_and_nothing_like_it() {
        let complaints = |report: &str| Judgement::of(GOOD, &[report.into()], &jobs()).complaints.len();
        let hang = "client: vcs2: reserved command type (0xdeadbeef) at Batch Ppgtt 0xb62fd040: the command stream can be \
                    parsed to its end: UnknownCommand: command type bits [31:29] are not 0, 2 or 3 [EngineHang; PRM vol 2a]";
        assert_eq!(complaints(hang), 0);
        assert_eq!(complaints(&hang.replace("deadbeef", "deadbeed")), 1);
        assert_eq!(complaints(hang.trim_start_matches("client: ")), 1, "the driver's own");
        let index = "client: bcs0: command 0x10800001 at Batch Ppgtt 0x41058: a non-privileged batch uses unprivileged \
                     commands and registers only: turned into a NOOP [Privilege; PRM vol 2c, FORCE_TO_NONPRIV]";
        assert_eq!(complaints(index), 0);
        assert_eq!(complaints(&index.replace("0x10800001", "0x11000001")), 1);
        let relative = "client: bcs0: MI_LOAD_REGISTER_IMM (0x11080001) at Batch Ppgtt 0x2000: reserved header bits must be 0: \
                        bits 0x80000 [Command; PRM vol 2a, command reference]";
        assert_eq!(complaints(relative), 0);
        assert_eq!(complaints(&relative.replace("bits 0x80000", "bits 0x90000")), 1);
        assert_eq!(complaints(relative.trim_start_matches("client: ")), 1, "the driver's own");
        let masked = "client: register 0x2580: a masked register needs the write-enable bits [31:16] of what it changes: \
                      wrote 0x2 [MaskedWrite; PRM vol 2c, masked registers]";
        assert_eq!(complaints(masked), 0);
        assert_eq!(complaints(&masked.replace("0x2580", "0x2088")), 1);
    }

    #[test]
    fn a_reset_is_meant_where_a_test_does_it_on_purpose_and_nowhere_else() {
        let jobs = crate::jobs::tests(&["gem_busy@busy".into(), "gem_busy@hang".into(), "t@a".into()])
            .unwrap_or_default();
        let complaints = |subtest: &str, line: &str| {
            let started = format!("<13>[    1.0] [IGT] gem_busy: starting subtest {subtest}");
            let lines = ["oracle: begin gem_busy", &started, line];
            let judgement = Judgement::of(&lines, &[], &jobs);
            judgement.complaints.iter().filter(|complaint| complaint.contains("the kernel")).count()
        };
        let reset = "<5>[    1.0] i915 0000:00:02.0: [drm] Resetting rcs0 for CS error";
        let hang = "<6>[    1.0] i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:21524111";
        assert_eq!(complaints("hang", reset), 0);
        assert_eq!(complaints("hang", hang), 0);
        assert_eq!(complaints("busy", reset), 1);
        assert_eq!(complaints("busy", hang), 1);
        assert_eq!(
            complaints("hang", "i915 0000:00:02.0: [drm] Resetting rcs0 for stopped heartbeat on rcs0"),
            1
        );
        // It may come late, and then says whose it is.
        assert_eq!(complaints("busy", &format!("{hang}, in gem_busy [90]")), 0);
        assert_eq!(complaints("hang", &format!("{hang}, in t [90]")), 1);
    }

    #[test]
    fn a_test_that_makes_engines_hang_without_a_reset_is_a_complaint() {
        let said = |place: usize, text| with(place, text).complaints;
        let nothing = said(4, "<6>[    6.3] nothing");
        assert!(nothing.iter().any(|complaint| complaint.contains("none was reset")), "{nothing:?}");
        // Then the hang that was recorded has no reset either.
        assert!(
            nothing.iter().any(|complaint| complaint.contains("recorded 1 hangs and reset engines 0 times"))
        );
        assert_eq!(nothing.len(), 2, "{nothing:?}");
    }

    #[test]
    fn a_reset_in_one_subtest_does_not_stand_for_another() {
        let jobs = crate::jobs::tests(&["gem_busy@hang".into(), "gem_busy@hang-extended".into()])
            .unwrap_or_default();
        let complaints = |in_second: &str| {
            let lines = [
                "oracle: begin gem_busy",
                "[IGT] gem_busy: starting subtest hang",
                "i915 0000:00:02.0: [drm] Resetting rcs0 for CS error",
                "[IGT] gem_busy: starting subtest hang-extended",
                in_second,
            ];
            let found = Judgement::of(&lines, &[], &jobs).complaints;
            found.into_iter().filter(|complaint| complaint.contains("none was reset")).collect::<Vec<_>>()
        };
        assert_eq!(complaints("i915 0000:00:02.0: [drm] Resetting bcs0 for CS error"), [""; 0]);
        assert_eq!(
            complaints("nothing"),
            ["gem_busy@hang-extended makes an engine hang, and none was reset"]
        );
    }

    #[test]
    fn a_test_that_passes_at_the_second_attempt_passes_and_is_called_flaky() {
        let again = [
            "<13>[    7.4] oracle: again t 98",
            "<13>[    7.5] oracle: begin t",
            "<13>[    7.5] oracle: | Starting subtest: a",
        ];
        let fails = "<13>[    7.2] oracle: | Dynamic subtest rcs0: FAIL (0.010s)";
        let first = [&GOOD[..T + 2], &[fails, "<13>[    7.2] oracle: | Subtest a: FAIL (0.010s)"]].concat();
        let passes = [&first[..], &again, &GOOD[T + 2..]].concat();
        let judgement = Judgement::of(&passes, &[], &jobs());
        assert_eq!((judgement.complaints, judgement.repeated), (vec![], vec!["t 98".to_owned()]));
        assert_eq!(judgement.flaky, BTreeSet::from(["t@a".into(), "t@a@rcs0".into()]));
        let fails = [&first[..], &again, &[fails], &GOOD[T + 3..]].concat();
        assert_eq!(Judgement::of(&fails, &[], &jobs()).complaints.len(), 1);
    }

    #[test]
    fn more_flaky_tests_than_an_accident_makes_fail_the_run() {
        let names: Vec<_> = (0..=MOST_FLAKY).map(|number| format!("t@{number}")).collect();
        let jobs = crate::jobs::tests(&names).unwrap_or_default();
        let passes: Vec<_> =
            names.iter().map(|name| format!("oracle: | Subtest {}: SUCCESS (0.1s)", &name[2..])).collect();
        let complaints = |at_once: usize| {
            let mut lines = vec!["Initialized i915", "oracle: begin t"];
            lines.extend(passes.iter().take(at_once).map(String::as_str));
            lines.extend(["oracle: again t 98", "oracle: begin t"]);
            lines.extend(passes.iter().map(String::as_str));
            lines.extend(["oracle: end t 0", "oracle: interrupts 1", "oracle: done"]);
            Judgement::of(&lines, &[], &jobs).complaints
        };
        assert_eq!(complaints(1), [""; 0]);
        assert_eq!(complaints(0), ["6 tests passed only when they were run again"]);
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
    fn a_queue_that_ran_dry_is_excused_and_no_other_mistake_with_an_image() {
        let complaints = |report: &str| Judgement::of(GOOD, &[report.into()], &jobs()).complaints.len();
        let dry = "vcs2: image 0xfff4f000: a submitted context has head unequal tail unless it forces a restore: \
                   head = tail = 0x308 [EmptyRing; WaIdleLiteRestore]";
        assert_eq!(complaints(dry), 0);
        assert_eq!(complaints(&dry.replace("EmptyRing", "TailAlignment")), 1);
    }

    #[test]
    fn a_job_that_does_not_end_is_a_complaint() {
        let lines = [&GOOD[..T + 4], &GOOD[T + 5..]].concat();
        let judgement = Judgement::of(&lines, &[], &jobs());
        assert_eq!(judgement.complaints, ["t did not end"]);
    }
}
