// SPDX-License-Identifier: BSD-2-Clause
//! What the machine shall run, one after the other.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::TESTS_ROOT;

/// A program of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The project's own.
    Checks,
    /// One of Debian's, by its path below the folder of its package.
    Shipped(String),
}

/// The programs of the short run: the basic things, in less than half a minute.
pub(crate) const SHORT: &[&str] =
    &["gem_exec_basic", "gem_exec_store", "gem_ctx_create", "gem_vm_create", "gem_workarounds"];

/// The most seconds that a program may take of which is not known that it passes.
const SURVEYED: u32 = 60;

/// What is expected of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It says that each of its checks is ok, and exits with 0.
    Checks,
    /// It exits with 0.
    Exit,
    /// Nothing: what of its tests succeeds is to be found out.
    Nothing,
    /// These tests of it succeed: `PROGRAM`, `PROGRAM@SUBTEST` or `PROGRAM@SUBTEST@PART`.
    Tests(BTreeSet<String>),
}

/// A program with its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Without spaces, its own; begins with the program's up to an `@`.
    pub(crate) name: String,
    pub(crate) seconds: u32,
    /// How often it is tried. A test of IGT may fail because the emulated machine, on a busy host, is too slow for the
    /// times that are written in it.
    pub(crate) attempts: u32,
    /// i915 records hangs.
    pub(crate) recorded: bool,
    pub(crate) root: &'static str,
    pub(crate) program: Program,
    pub(crate) arguments: Vec<String>,
    pub(crate) expected: Expected,
}

/// A reset that a test brings about on purpose. A hang anywhere else, or for another reason, is one that nobody meant.
#[derive(Debug)]
pub(crate) struct ResetOnPurpose {
    pub(crate) program: &'static str,
    /// What its subtest starts with.
    subtests: &'static str,
    /// What the reason starts with that i915 logs.
    pub(crate) reason: &'static str,
    /// Whether a subtest that passes without it is suspicious.
    pub(crate) always: bool,
}

impl ResetOnPurpose {
    const fn always(program: &'static str, subtests: &'static str, reason: &'static str) -> Self {
        Self { program, subtests, reason, always: true }
    }

    const fn sometimes(program: &'static str, subtests: &'static str, reason: &'static str) -> Self {
        Self { program, subtests, reason, always: false }
    }

    /// Whether it may happen in this subtest.
    pub(crate) fn is_in(&self, job: &Job, subtest: &str) -> bool {
        job.tests_of() == self.program && subtest.starts_with(self.subtests)
    }
}

/// i915's reasons: a batch does not give way to the heartbeat or to another context; the heartbeat itself does not come
/// back; an invalid command; through debugfs (IGT: lib/igt_gt.c, igt_force_gpu_reset).
const PREEMPTION: &str = "preemption time out";
const HEARTBEAT: &str = "stopped heartbeat";
const COMMAND: &str = "CS error";
const BY_HAND: &str = "Manually reset engine mask";

pub(crate) const RESETS_ON_PURPOSE: &[ResetOnPurpose] = &[
    // Endless batches (guest/src/checks/recovery.rs).
    ResetOnPurpose::always("checks", "an endless batch is ended", PREEMPTION),
    ResetOnPurpose::always("checks", "an innocent context survives", PREEMPTION),
    // A batch with an invalid command (IGT: lib/igt_gt.c, igt_hang_ring).
    ResetOnPurpose::always("gem_busy", "hang", COMMAND),
    // Endless batches, to see what is recorded of them.
    ResetOnPurpose::always("gem_exec_capture", "capture", PREEMPTION),
    ResetOnPurpose::always("i915_hangman", "engine-engine-hang", PREEMPTION),
    // Batches that do not give way: held back by others, closed by their owners, with and without heartbeats.
    ResetOnPurpose::always("gem_exec_schedule", "preempt-hang", PREEMPTION),
    ResetOnPurpose::always("gem_exec_schedule", "preemptive-hang", PREEMPTION),
    ResetOnPurpose::always("gem_exec_fence", "busy-hang", PREEMPTION),
    ResetOnPurpose::sometimes("gem_exec_fence", "busy-hang", HEARTBEAT),
    ResetOnPurpose::always("gem_exec_fence", "wait-hang", PREEMPTION),
    ResetOnPurpose::sometimes("gem_exec_fence", "wait-hang", HEARTBEAT),
    ResetOnPurpose::always("gem_exec_fence", "await-hang", COMMAND),
    ResetOnPurpose::always("gem_exec_fence", "nb-await-hang", COMMAND),
    ResetOnPurpose::always("gem_ctx_persistence", "hostile", PREEMPTION),
    ResetOnPurpose::sometimes("gem_ctx_persistence", "hostile", HEARTBEAT),
    ResetOnPurpose::always("gem_ctx_persistence", "heartbeat-hang", PREEMPTION),
    ResetOnPurpose::always("gem_ctx_persistence", "heartbeat-hostile", PREEMPTION),
    ResetOnPurpose::always("gem_ctx_persistence", "legacy-engines-hostile", PREEMPTION),
    ResetOnPurpose::always("gem_ctx_persistence", "legacy-engines-hang", COMMAND),
    ResetOnPurpose::always("gem_ctx_persistence", "engines-hostile", PREEMPTION),
    ResetOnPurpose::always("gem_ctx_persistence", "engines-hang", COMMAND),
    ResetOnPurpose::always("gem_ctx_persistence", "saturated-hostile", PREEMPTION),
    // Contexts with a full ring, which are closed; IGT sets a preemption timeout of 50 ms (gem_ctx_persistence.c, do_test),
    // which the emulated processor does not always keep.
    ResetOnPurpose::sometimes("gem_ctx_persistence", "engines-queued", PREEMPTION),
    ResetOnPurpose::sometimes("gem_ctx_persistence", "legacy-engines-queued", PREEMPTION),
    ResetOnPurpose::always("gem_ctx_isolation", "preservation-reset", BY_HAND),
    ResetOnPurpose::always("gem_reset_stats", "shared-reset-domain", PREEMPTION),
    // Only the whole GPU is reset (the tests' own setting), which waits for heartbeats.
    ResetOnPurpose::always("gem_reset_stats", "reset-count", HEARTBEAT),
    ResetOnPurpose::always("gem_reset_stats", "unrelated", HEARTBEAT),
    ResetOnPurpose::always("gem_reset_stats", "close-pending", HEARTBEAT),
    ResetOnPurpose::always("gem_reset_stats", "defer-hangcheck", HEARTBEAT),
    // Engines that sleep by then are passed over without a word (i915: gt/intel_reset.c, intel_engine_reset).
    ResetOnPurpose::sometimes("gem_workarounds", "reset", BY_HAND),
    ResetOnPurpose::always("gem_ctx_exec", "basic-norecovery", BY_HAND),
    ResetOnPurpose::always("i915_hangman", "error-state-basic", BY_HAND),
];

/// The programs that look at what i915 records of a hang, or see to it themselves, and what those of their subtests that do
/// so start with. For others it shall not record any (its parameter `error_capture`): it holds a hung request, and what
/// waits for it, until that is done, which takes an emulated processor longer than some tests and i915 itself wait.
const RECORDED: &[(&str, &str)] =
    &[("checks", ""), ("gem_exec_capture", ""), ("i915_hangman", "error-state")];

/// Subtests that have a process of their own. i915 refuses new contexts to a client whose contexts hung nine times, each less than
/// a minute after the one before (i915: i915_file_private.h, I915_CLIENT_SCORE_BANNED). On five engines these bring about five
/// hangs, another subtest five more; whether one counts is a race with the end of its context.
const APART: &[(&str, &str)] = &[("gem_ctx_persistence", "legacy-engines-hang")];

impl Job {
    /// The program that its tests are named after.
    pub(crate) fn tests_of(&self) -> &str {
        self.name.split('@').next().unwrap_or_default()
    }

    /// The name that Linux gives its process.
    pub(crate) fn process(&self) -> &str {
        /// TASK_COMM_LEN without the end.
        const LONGEST: usize = 15;
        let name = match &self.program {
            Program::Checks => "guest",
            Program::Shipped(path) => path.rsplit('/').next().unwrap_or(path),
        };
        name.get(..LONGEST).unwrap_or(name)
    }

    /// As the machine's first process reads it.
    pub(crate) fn line(&self) -> String {
        let program = match &self.program {
            Program::Checks => "/oracle/guest".to_owned(),
            Program::Shipped(name) => format!("/{}/{name}", crate::PROGRAMS),
        };
        let Self { name, attempts, seconds, root, .. } = self;
        let capture = if self.recorded { 'Y' } else { 'N' };
        let mut line = format!("{name}\t{attempts}\t{seconds}\t{capture}\t{root}\t{program}");
        for argument in &self.arguments {
            line.push('\t');
            line += argument;
        }
        line.push('\n');
        line
    }
}

/// The project's own checks.
pub(crate) fn checks() -> Job {
    Job {
        name: "checks".into(),
        seconds: 300,
        attempts: 1,
        recorded: true,
        root: "/",
        program: Program::Checks,
        arguments: vec!["checks".into()],
        expected: Expected::Checks,
    }
}

/// intel-gpu-tools' benchmarks, as short as they can be had.
pub(crate) fn benchmarks() -> Vec<Job> {
    const EACH: &[(&str, &str)] = &[
        ("gem_exec_nop", "-r 1"),
        ("gem_exec_ctx", "-r 1 -b create"),
        ("gem_exec_ctx", "-r 1 -b switch"),
        ("gem_exec_fault", "-r 1 -t 1 -e rcs"),
        ("gem_exec_reloc", "-r 1"),
        ("gem_latency", "-t 1"),
        ("gem_syslatency", "-1 -t 1"),
        ("gem_wsim", "-r 5 -w 1.RCS.500-1000.0.0,1.BCS.500.-1.1"),
        ("gem_create", "-s 4096 -b -r 1"),
        ("gem_prw", "-r 5"),
        ("gem_set_domain", "-r 1"),
        // Idle: its busy batch names buffers by handle after it promised indices, which Linux refuses (ENOENT).
        ("gem_busy", "-r 1 -I"),
        ("gem_blt", "-r 1"),
        ("gem_userptr_benchmark", "--run-subtest userptr-sync"),
        ("intel_upload_blit_small", ""),
        ("intel_upload_blit_large", ""),
        ("intel_upload_blit_large_map", ""),
    ];
    let job = |(number, (program, arguments)): (usize, &(&str, &str))| Job {
        name: format!("benchmark-{}-{program}", number + 1),
        seconds: 60,
        attempts: 1,
        recorded: false,
        root: "/",
        program: Program::Shipped(format!("benchmarks/{program}")),
        arguments: arguments.split_whitespace().map(str::to_owned).collect(),
        expected: Expected::Exit,
    };
    EACH.iter().enumerate().map(job).collect()
}

/// Programs whose subtests run on these engines only, for want of time: of the registers of a context, the render
/// engine's are the ones that count.
pub(crate) const ONLY_ON: &[(&str, &str)] = &[("gem_ctx_isolation", "rcs0")];

/// One job for each program that the tests are in; two for one of whose tests only some want hangs recorded, or some are apart.
pub(crate) fn tests(names: &[String]) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = vec![];
    for name in names {
        let mut parts = name.split('@');
        let program = parts.next().unwrap_or_default();
        ensure!(!program.is_empty() && !name.contains([' ', '\t']), "not PROGRAM@SUBTEST: {name:?}");
        let subtest = parts.next();
        let mut recorded = RECORDED.iter().filter(|(known, _)| *known == program).peekable();
        let some_are = recorded.peek().is_some();
        // A survey's pattern may stand for tests of both sorts; those that look at records are not to fail for want of one.
        let subtest_or_all = subtest.unwrap_or_default();
        let recorded =
            recorded.any(|(_, start)| subtest_or_all.starts_with(start) || subtest_or_all.contains('*'));
        let apart = APART.iter().find(|apart| apart.0 == program && Some(apart.1) == subtest);
        let job_name = match apart {
            Some((_, subtest)) => format!("{program}@{subtest}"),
            None if some_are && !recorded => format!("{program}@unrecorded"),
            None => program.into(),
        };
        let known = jobs.iter().position(|job| job.name == job_name);
        let at = known.unwrap_or_else(|| {
            jobs.push(Job { name: job_name, recorded, ..test_job(program) });
            jobs.len() - 1
        });
        let Some(job) = jobs.get_mut(at) else { continue };
        if let Some(subtest) = subtest {
            job.add_subtest(subtest);
        }
        if let Expected::Tests(tests) = &mut job.expected {
            tests.insert(name.clone());
        }
    }
    Ok(jobs)
}

/// One job for each line, `PROGRAM` or `PROGRAM@PATTERN`, of which is not known that it passes: none that hangs takes
/// others with it.
pub(crate) fn surveyed(lines: &[String]) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = vec![];
    for line in lines {
        for mut job in tests(std::slice::from_ref(line))? {
            ensure!(jobs.iter().all(|known| known.name != *line), "{line} is there twice");
            job.name.clone_from(line);
            (job.attempts, job.seconds) = (1, SURVEYED);
            job.expected = Expected::Nothing;
            jobs.push(job);
        }
    }
    Ok(jobs)
}

fn test_job(program: &str) -> Job {
    Job {
        name: program.into(),
        seconds: 60,
        attempts: 2,
        recorded: false,
        root: TESTS_ROOT,
        program: Program::Shipped(program.into()),
        arguments: vec![],
        expected: Expected::Tests(BTreeSet::new()),
    }
}

impl Job {
    /// Adds a subtest to the list that is its second argument, and time for it.
    fn add_subtest(&mut self, subtest: &str) {
        /// The most that a subtest may take.
        const SECONDS: u32 = 30;
        match self.arguments.get_mut(1) {
            None => {
                self.arguments = vec!["--run-subtest".into(), subtest.into()];
                if let Some((_, engine)) = ONLY_ON.iter().find(|(program, _)| *program == self.tests_of()) {
                    self.arguments.extend(["--dynamic-subtest".into(), (*engine).into()]);
                }
            }
            Some(list) if list.split(',').any(|known| known == subtest) => return,
            Some(list) => {
                list.push(',');
                list.push_str(subtest);
            }
        }
        self.seconds += SECONDS;
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn tests_of_one_program_are_one_job() -> Result<()> {
        let names = ["a@x@rcs0", "a@x@bcs0", "a@y", "b"].map(str::to_owned);
        let jobs = tests(&names)?;
        let isolation =
            tests(&["gem_ctx_isolation@clean@rcs0".into(), "gem_ctx_isolation@nonpriv@rcs0".into()])?;
        assert_eq!(isolation[0].arguments, ["--run-subtest", "clean,nonpriv", "--dynamic-subtest", "rcs0"]);
        let lines: Vec<_> = jobs.iter().map(Job::line).collect();
        let program = |name: &str| format!("/{}/{name}", crate::PROGRAMS);
        assert_eq!(lines[0], format!("a\t2\t120\tN\t/sid\t{}\t--run-subtest\tx,y\n", program("a")));
        assert_eq!(lines[1], format!("b\t2\t60\tN\t/sid\t{}\n", program("b")));
        assert_eq!(jobs[0].expected, Expected::Tests(names[..3].iter().cloned().collect()));
        assert!(tests(&["two words".into()]).is_err());
        Ok(())
    }

    #[test]
    fn hangs_are_recorded_for_the_tests_that_look_at_records_and_for_no_others() -> Result<()> {
        let names =
            ["i915_hangman@error-state-basic", "i915_hangman@engine-engine-hang@rcs0", "gem_busy@hang"];
        let jobs = tests(&names.map(str::to_owned))?;
        let found: Vec<_> =
            jobs.iter().map(|job| (job.name.as_str(), job.tests_of(), job.recorded)).collect();
        let expected = [
            ("i915_hangman", "i915_hangman", true),
            ("i915_hangman@unrecorded", "i915_hangman", false),
            ("gem_busy", "gem_busy", false),
        ];
        assert_eq!(found, expected);
        let captures: Vec<_> = jobs.iter().map(|job| job.line().split('\t').nth(3) == Some("Y")).collect();
        assert_eq!(captures, [true, false, false]);
        assert_eq!(checks().line().split('\t').nth(3), Some("Y"));
        Ok(())
    }

    #[test]
    fn subtests_that_would_have_their_client_banned_have_a_process_of_their_own() -> Result<()> {
        let names = ["engines-hang", "legacy-engines-hang", "legacy-engines-hang@blt", "engines-queued"];
        let jobs = tests(&names.map(|name| format!("gem_ctx_persistence@{name}")))?;
        let found: Vec<_> = jobs.iter().map(|job| (job.name.as_str(), job.arguments[1].as_str())).collect();
        let expected = [
            ("gem_ctx_persistence", "engines-hang,engines-queued"),
            ("gem_ctx_persistence@legacy-engines-hang", "legacy-engines-hang"),
        ];
        assert_eq!(found, expected);
        assert!(jobs.iter().all(|job| job.tests_of() == "gem_ctx_persistence"));
        Ok(())
    }
}
