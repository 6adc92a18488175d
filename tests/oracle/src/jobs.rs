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

/// What is expected of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It says that each of its checks is ok, and exits with 0.
    Checks,
    /// It exits with 0.
    Exit,
    /// These tests of it succeed: `PROGRAM`, `PROGRAM@SUBTEST` or `PROGRAM@SUBTEST@PART`.
    Tests(BTreeSet<String>),
}

/// A program with its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Without spaces, its own.
    pub(crate) name: String,
    pub(crate) seconds: u32,
    /// How often it is tried. A test of IGT may fail because the emulated machine, on a busy host, is too slow for the
    /// times that are written in it.
    pub(crate) attempts: u32,
    pub(crate) root: &'static str,
    pub(crate) program: Program,
    pub(crate) arguments: Vec<String>,
    pub(crate) expected: Expected,
}

/// A reset that a test brings about on purpose: the program, what its subtest starts with, and the reason that i915
/// logs. A hang anywhere else, or for another reason, is one that nobody meant.
const RESETS_ON_PURPOSE: &[(&str, &str, &str)] = &[
    // Endless batches that do not give way to the heartbeat (guest/src/checks/recovery.rs).
    ("checks", "", "preemption time out"),
    // A batch with an invalid command (IGT: lib/igt_gt.c, igt_hang_ring).
    ("gem_busy", "hang", "CS error"),
    // Batches that do not give way to the heartbeat, to see what is recorded of them.
    ("gem_exec_capture", "capture", "preemption time out"),
    ("i915_hangman", "engine-engine-hang", "preemption time out"),
    // Through debugfs (IGT: lib/igt_gt.c, igt_force_gpu_reset).
    ("gem_workarounds", "reset", "Manually reset engine mask"),
    ("gem_ctx_exec", "basic-norecovery", "Manually reset engine mask"),
    ("i915_hangman", "error-state-basic", "Manually reset engine mask"),
];

impl Job {
    /// Whether it resets engines on purpose, in this subtest and for this reason; an empty reason is any.
    pub(crate) fn resets(&self, subtest: &str, reason: &str) -> bool {
        RESETS_ON_PURPOSE.iter().any(|(job, start, why)| {
            self.name == *job && subtest.starts_with(start) && (reason.is_empty() || reason.starts_with(why))
        })
    }

    /// Whether it does so in any subtest.
    pub(crate) fn resets_at_all(&self) -> bool {
        RESETS_ON_PURPOSE.iter().any(|(job, ..)| self.name == *job)
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
        let mut line = format!("{name}\t{attempts}\t{seconds}\t{root}\t{program}");
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
        root: "/",
        program: Program::Shipped(format!("benchmarks/{program}")),
        arguments: arguments.split_whitespace().map(str::to_owned).collect(),
        expected: Expected::Exit,
    };
    EACH.iter().enumerate().map(job).collect()
}

/// One job for each program that the tests are in.
pub(crate) fn tests(names: &[String]) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = vec![];
    for name in names {
        let mut parts = name.split('@');
        let program = parts.next().unwrap_or_default();
        ensure!(!program.is_empty() && !name.contains([' ', '\t']), "not PROGRAM@SUBTEST: {name:?}");
        let known = jobs.iter().position(|job| job.name == program);
        let at = known.unwrap_or_else(|| {
            jobs.push(test_job(program));
            jobs.len() - 1
        });
        let Some(job) = jobs.get_mut(at) else { continue };
        if let Some(subtest) = parts.next() {
            job.add_subtest(subtest);
        }
        if let Expected::Tests(tests) = &mut job.expected {
            tests.insert(name.clone());
        }
    }
    Ok(jobs)
}

fn test_job(program: &str) -> Job {
    Job {
        name: program.into(),
        seconds: 60,
        attempts: 2,
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
            None => self.arguments = vec!["--run-subtest".into(), subtest.into()],
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
        let lines: Vec<_> = jobs.iter().map(Job::line).collect();
        let program = |name: &str| format!("/{}/{name}", crate::PROGRAMS);
        assert_eq!(lines[0], format!("a\t2\t120\t/sid\t{}\t--run-subtest\tx,y\n", program("a")));
        assert_eq!(lines[1], format!("b\t2\t60\t/sid\t{}\n", program("b")));
        assert_eq!(jobs[0].expected, Expected::Tests(names[..3].iter().cloned().collect()));
        assert!(tests(&["two words".into()]).is_err());
        Ok(())
    }
}
