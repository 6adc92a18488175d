// SPDX-License-Identifier: BSD-2-Clause
//! What the kernel itself says, and what of that makes a run a failure.

use std::collections::BTreeSet;

use crate::jobs::{Job, RESETS_ON_PURPOSE};

/// What no line of the kernel may contain, whatever runs and however it is meant. "Initialized i915" is also said about a
/// GPU that is given up, so the log is searched for what precedes that.
const NEVER: &[&str] = &[
    "CI tainted",
    "tainting kernel",
    "Tainted: ",
    "wedged",
    "WARNING: ",
    "BUG: ",
    "GEM_BUG_ON",
    "Call Trace",
    "Oops",
    "general protection fault",
    "soft lockup",
    "blocked for more than",
    "rcu_preempt detected stalls",
    "*ERROR*",
    "Fence expiration time out",
    "Unclaimed ",
    "probe of ",
];

/// What i915 says of an option that only Alder Lake-S is given, for want of firmware.
const ASKED_FOR: &str = "Setting dangerous option enable_guc - tainting kernel";

/// What no line of the kernel's graphics may contain.
const NEVER_OF_GRAPHICS: &[&str] = &["timed out", "ailed to ", "stuck"];

/// From this level on (Linux: include/linux/kern_levels.h) a line of the graphics is a warning, and one of the rest an error.
const WARNING: u32 = 4;
const ERROR: u32 = 3;

/// What only a test that makes engines hang may bring about: the reset with its reason, and the story of the hang, which
/// i915 writes when it has found time for it, with the process where one is known.
const RESET: &str = "Resetting ";
const HANG: &str = "GPU HANG";

/// A line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// The level of a line that the kernel itself wrote.
    level: Option<u32>,
    /// Without the level, the kernel's time and the serial port's end of line.
    pub(crate) text: &'a str,
}

impl<'a> Line<'a> {
    /// `<LEVEL>[ TIME] TEXT`, as `console_msg_format=syslog` writes it.
    pub(crate) fn of(line: &'a str) -> Self {
        let line = line.trim_end();
        let priority = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let (priority, line) = match priority.map(|(number, rest)| (number.parse::<u32>(), rest)) {
            Some((Ok(priority), rest)) => (Some(priority), rest),
            _ => (None, line),
        };
        let text = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            Some((time, text)) if time.trim().parse::<f64>().is_ok() => text,
            _ => line,
        };
        // Above the levels stands who wrote it; the kernel is 0.
        Self { level: priority.filter(|priority| *priority < 8), text }
    }

    fn is_of_graphics(&self) -> bool {
        // Names of tests say many things.
        if self.text.starts_with("[IGT] ") {
            return false;
        }
        ["i915", "[drm", "vgem"].iter().any(|name| self.text.contains(name))
    }

    /// Whether it makes every run a failure.
    pub(crate) fn is_bad(&self) -> bool {
        let has = |signs: &[&str]| signs.iter().any(|sign| self.text.contains(sign));
        let serious = |at_most| self.level.is_some_and(|level| level <= at_most);
        if self.text == ASKED_FOR {
            return false;
        }
        has(NEVER) || serious(ERROR) || self.is_of_graphics() && (serious(WARNING) || has(NEVER_OF_GRAPHICS))
    }
}

/// Keeps count of resets and hangs while a log is read.
#[derive(Debug, Default)]
pub(crate) struct Hangs {
    resets: usize,
    recorded: usize,
    /// The subtests that were started and make engines hang, and those in which an engine was reset.
    begun: BTreeSet<String>,
    explained: BTreeSet<String>,
}

impl Hangs {
    /// A job says that a subtest starts.
    pub(crate) fn subtest(&mut self, job: &Job, subtest: &str) {
        if RESETS_ON_PURPOSE.iter().any(|entry| entry.always && entry.is_in(job, subtest)) {
            self.begun.insert(format!("{}@{subtest}", job.name));
        }
    }

    /// Whether a line is the reset or hang of a test that brings it about on purpose, or neither reset nor hang.
    pub(crate) fn is_meant(
        &mut self,
        line: &Line<'_>,
        job: Option<&Job>,
        subtest: &str,
        jobs: &[Job],
    ) -> bool {
        if let Some((_, story)) = line.text.split_once(HANG) {
            self.recorded += 1;
            // Each is told once; it may come after its subtest, and even after its job, and then says whose it was.
            let process = story.split_once(", in ").and_then(|(_, rest)| rest.split(" [").next());
            return RESETS_ON_PURPOSE.iter().any(|entry| match process {
                Some(process) => {
                    jobs.iter().any(|job| job.process() == process && entry.program == job.tests_of())
                }
                None => job.is_some_and(|job| entry.is_in(job, subtest)),
            });
        }
        let reason = line.text.split_once(RESET).and_then(|(_, rest)| rest.split_once(" for "));
        let Some((_, reason)) = reason.filter(|_| line.is_of_graphics()) else { return true };
        self.resets += 1;
        let meant = |job: &&Job| {
            RESETS_ON_PURPOSE
                .iter()
                .any(|entry| reason.starts_with(entry.reason) && entry.is_in(job, subtest))
        };
        let Some(job) = job.filter(meant) else { return false };
        self.explained.insert(format!("{}@{subtest}", job.name));
        true
    }

    /// The resets that did not come, and hangs without one.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let missing = self.begun.difference(&self.explained);
        let mut found: Vec<_> =
            missing.map(|subtest| format!("{subtest} makes an engine hang, and none was reset")).collect();
        if self.recorded > self.resets {
            found.push(format!(
                "i915 recorded {} hangs and reset engines {} times",
                self.recorded, self.resets
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the logs of Linux 6.1 (Debian's 6.1.192-2) on the device model, on parts that work, and what i915's sources
    /// say where one does not.
    #[test]
    fn what_a_good_run_says_is_not_bad() {
        for line in [
            "<6>[    6.730696] i915 0000:00:02.0: [drm] Using Transparent Hugepages",
            "<6>[    6.722729] i915 0000:00:02.0: vgaarb: deactivate vga console",
            "<6>[    7.003368] [drm] Initialized i915 1.6.0 20201103 for 0000:00:02.0 on minor 0\r",
            "<5>[  243.225767] i915 0000:00:02.0: [drm] Resetting bcs0 for preemption time out",
            "<6>[  242.163966] i915 0000:00:02.0: [drm] GPU HANG: ecode 12:1:e77ffeff, in gem_exec_captur [131]",
            "<5>[    6.6] Setting dangerous option enable_guc - tainting kernel",
            "<4>[    1.266017] PCI: Using host bridge windows from ACPI; if necessary, use \"pci=nocrs\" and report a bug",
            "<13>[    9.0] [IGT] i915_hangman: finished subtest that failed to get stuck, SUCCESS",
        ] {
            assert!(!Line::of(line).is_bad(), "{line}");
        }
    }

    #[test]
    fn each_sign_of_trouble_is_bad() {
        for line in [
            "<5>[    5.0] i915 0000:00:02.0: [drm:add_taint_for_CI [i915]] CI tainted:0x9 by intel_gt_init+0xae/0x2d0 [i915]",
            "<5>[    6.6] Setting dangerous option force_probe - tainting kernel",
            "<4>[    5.0] CPU: 0 PID: 1 Comm: init Tainted: G     U  W          6.1.0-56-amd64 #1",
            "<3>[    5.0] i915 0000:00:02.0: [drm] *ERROR* GT0: Failed to initialize GPU, declaring it wedged!",
            "<6>[    5.0] i915 0000:00:02.0: [drm] device is wedged, see the log",
            "<4>[    5.0] WARNING: CPU: 0 PID: 79 at drivers/gpu/drm/i915/intel_uncore.c:1 f+0x1/0x2 [i915]",
            "<4>[    5.0] ------------[ cut here ]------------\nBUG: kernel NULL pointer dereference",
            "<0>[    5.0] GEM_BUG_ON(!execlists->active)",
            "<4>[    5.0] Call Trace:",
            "<6>[    5.0] Oops: 0000 [#1] PREEMPT SMP NOPTI",
            "<4>[    5.0] general protection fault, probably for non-canonical address 0x1",
            "<0>[    5.0] watchdog: BUG: soft lockup - CPU#0 stuck for 26s!",
            "<6>[    5.0] INFO: task kworker/u2:1:9 blocked for more than 120 seconds.",
            "<6>[    5.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            "<5>[   56.8] Fence expiration time out i915-0000:00:02.0:gem_ctx_exec[93]:2!",
            "<7>[    5.0] i915 0000:00:02.0: [drm] Unclaimed access detected prior to read register 0x1",
            "<6>[    5.0] i915: probe of 0000:00:02.0 failed with error -5",
            "<6>[    5.0] i915 0000:00:02.0: [drm] GT0: rcs0 reset request timed out: {request: 1, RESET_CTL: 1}",
            "<6>[    5.0] i915 0000:00:02.0: [drm] Failed to load a firmware",
            "<6>[    5.0] i915 0000:00:02.0: [drm] rcs0: the engine is stuck",
            // Only the level says so.
            "<4>[    5.0] i915 0000:00:02.0: [drm] Incorrect values",
            "<3>[    5.0] PCI: something else is broken",
        ] {
            assert!(Line::of(line).is_bad(), "{line}");
        }
    }

    #[test]
    fn a_line_is_known_with_and_without_level_and_time() {
        for line in ["<6>[    1.5] a b\r\n", "[    1.5] a b", "a b"] {
            assert_eq!(Line::of(line).text, "a b", "{line}");
        }
        assert_eq!(Line::of("<3>[    1.5] a").level, Some(3));
        // What a process wrote into the log.
        assert_eq!(Line::of("<11>[    1.5] a").level, None);
        assert_eq!(Line::of("<x>[y] a").text, "<x>[y] a");
    }
}
