// SPDX-License-Identifier: BSD-2-Clause
//! `test`: every test there is, counted into one closing line.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use boot::{Kernel, Pieces, Sdk, Workspace};

use crate::packages::{Packages, selection};
use crate::{Closing, oracle};

/// How many tests ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Totals {
    /// Adds what a line of `cargo test` says, if it is the closing line of one of its programs:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`.
    fn add(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for count in counts.1.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }

    /// Adds those of another run.
    fn join(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    fn line(self) -> String {
        let Self { passed, failed, skipped } = self;
        match skipped {
            0 => format!("{passed} passed, {failed} failed"),
            _ => format!("{passed} passed, {failed} failed, {skipped} skipped"),
        }
    }
}

/// Runs a `cargo test`, shows what it prints, and counts.
fn counted(command: &mut Command) -> Result<Totals> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let mut totals = Totals::default();
    let output = child.stdout.take().context("cargo's output")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cargo's output")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        totals.add(&line);
    }
    let status = child.wait().context("cargo's end")?;
    if !status.success() && totals.failed == 0 {
        // Something did not compile, or a test program died before it could count.
        totals.failed = 1;
    }
    Ok(totals)
}

/// The Microkit SDK that tests are to use, too; an empty name is none.
fn sdk() -> Result<Option<Sdk>> {
    let named = std::env::var_os("MICROKIT_SDK").filter(|folder| !folder.is_empty());
    Ok(named.map(|folder| Sdk::open(Path::new(&folder), "debug")).transpose()?)
}

/// Cargo, for tests of which some use that SDK.
fn cargo_test(workspace: &Workspace, sdk: Option<&Sdk>) -> Command {
    let mut cargo = workspace.cargo("test");
    match sdk {
        // Tests and build scripts run in folders of their own.
        Some(sdk) => cargo.env("MICROKIT_SDK", sdk.folder()),
        None => cargo.env_remove("MICROKIT_SDK"),
    };
    cargo
}

pub(crate) fn test(workspace: &Workspace) -> Result<Closing> {
    let sdk = sdk().context("MICROKIT_SDK")?;
    let packages = Packages::list(workspace)?;
    // The boot tests would build these themselves, but without a word.
    Pieces::build(
        workspace,
        Kernel::Debug,
        &[
            "boot-domains",
            "gpu-driver",
            "gpu-trace",
            "hello-gpu",
            "hello-c",
            "engines-c",
            "paint",
            "recover",
            "memory-server",
            "repaint",
            "conductor",
            "gpu-top",
            "artist",
            "compositor",
            "stream",
            "screen",
        ],
    )?;
    boot::build_model(workspace)?;
    workspace.step("tests: on the host, and of systems in QEMU");
    let mut cargo = cargo_test(workspace, sdk.as_ref());
    cargo.arg("--no-fail-fast").args(selection(packages.host.iter().chain(&packages.host_tested)));
    let mut totals = counted(&mut cargo)?;
    workspace.step("tests: of what differs on a Microkit SDK's kernel");
    let mut cargo = cargo_test(workspace, sdk.as_ref());
    // The tests pin the numbers of one configuration.
    cargo.env("MICROKIT_CONFIG", "debug");
    cargo.args(["--no-fail-fast", "-p", "sel4", "-p", "sel4-microkit", "-p", "microkit-ext"]);
    cargo.args(["--features", "microkit-ext/mcs"]);
    totals.join(counted(&mut cargo)?);
    ensure!(totals != Totals::default(), "no test ran");
    workspace.step("tests: of the device model, by Linux");
    // One of each of the generations whose i915 and model differ most.
    for gpu in ["tgl", "skl"] {
        totals.join(oracle(workspace, gpu));
    }
    Ok(Closing { line: totals.line(), success: totals.failed == 0 })
}

/// Lets Linux judge a part of the device model for half a minute, where its packages can be had: once by the probe and the
/// checks, once by the tests of IGT.
fn oracle(workspace: &Workspace, gpu: &str) -> Totals {
    match oracle::oracle(workspace, &oracle::Options::short(gpu)) {
        Ok((Closing { line, success }, with_tests)) => {
            println!("{line}");
            judged(success, with_tests)
        }
        Err(error) if error.is::<::oracle::Unreachable>() => {
            println!("oracle: SKIPPED, Linux has judged nothing: {error:#}");
            Totals { skipped: 2, ..Totals::default() }
        }
        // The machine did not come to its end, say; that is a failed test, and the others count all the same.
        Err(error) => {
            println!("oracle: FAILED: {error:#}");
            Totals { failed: 1, ..Totals::default() }
        }
    }
}

/// How a run of the oracle counts: two tests, of which the second is skipped where the programs are missing.
fn judged(success: bool, with_tests: bool) -> Totals {
    let skipped = u64::from(!with_tests);
    if success {
        Totals { passed: 2 - skipped, failed: 0, skipped }
    } else {
        Totals { passed: 0, failed: 1, skipped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up_and_others_do_not_count() {
        let mut totals = Totals::default();
        for line in [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test a_sentence ... ok",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out; finished in 1.00s",
        ] {
            totals.add(line);
        }
        assert_eq!(totals, Totals { passed: 13, failed: 2, skipped: 1 });
        assert_eq!(totals.line(), "13 passed, 2 failed, 1 skipped");
        assert_eq!(Totals { skipped: 0, ..totals }.line(), "13 passed, 2 failed");
    }

    #[test]
    fn a_run_of_the_oracle_without_its_tests_counts_one_as_skipped_and_a_failed_one_never_as_passed() {
        assert_eq!(judged(true, true), Totals { passed: 2, failed: 0, skipped: 0 });
        assert_eq!(judged(true, false), Totals { passed: 1, failed: 0, skipped: 1 });
        assert_eq!(judged(false, true), Totals { passed: 0, failed: 1, skipped: 0 });
        assert_eq!(judged(false, false), Totals { passed: 0, failed: 1, skipped: 1 });
    }

    #[test]
    fn a_command_that_fails_without_counting_is_one_failure() -> Result<()> {
        let mut silent = Command::new("sh");
        assert_eq!(counted(silent.args(["-c", "exit 101"]))?.failed, 1);
        let mut talking = Command::new("sh");
        talking.args(["-c", "echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored'; exit 101"]);
        assert_eq!(counted(&mut talking)?, Totals { passed: 1, failed: 2, skipped: 0 });
        Ok(())
    }
}
