// SPDX-License-Identifier: BSD-2-Clause
//! `parity`: which registers of the GT Linux's i915 leaves with another value than this driver, and why.

use anyhow::{Context as _, Result, ensure};
use boot::Workspace;

pub(crate) fn parity(workspace: &Workspace) -> Result<String> {
    workspace.step("parity: bringing up the driver on the device model");
    let mut cargo = workspace.cargo("test");
    cargo.args(["-q", "-p", "intel-gpu", "--test", "parity", "--", "--nocapture", "--test-threads=1"]);
    let output = cargo.output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (differences, summaries) = report(&text);
    for line in differences.iter().chain(&summaries) {
        println!("{line}");
    }
    let problems = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "not every difference is explained:\n{}\n{text}", problems.trim_end());
    ensure!(!summaries.is_empty(), "the comparison did not say how it went");
    let (recordings, found) = (summaries.len(), differences.len());
    Ok(format!("parity: ok: {recordings} recordings of Linux, {found} differences, each of them explained"))
}

/// The lines of the differences, and those with the counts.
fn report(output: &str) -> (Vec<&str>, Vec<&str>) {
    let differences = output.lines().filter(|line| line.starts_with("0x")).collect();
    (differences, output.lines().filter(|line| line.ends_with("unexplained")).collect())
}

#[cfg(test)]
mod tests {
    use super::report;

    #[test]
    fn differences_and_counts_are_found_among_what_the_test_harness_prints() {
        let output = "\nrunning 2 tests\n0x022080 on tgl: linux 0x1, ours 0x2: its own place (i915)\n\
                      tgl: 333 registers alike, 1 different, 0 unexplained\n.\n\
                      skl: 450 registers alike, 0 different, 0 unexplained\n.\ntest result: ok.\n";
        let (differences, summaries) = report(output);
        assert_eq!(differences, ["0x022080 on tgl: linux 0x1, ours 0x2: its own place (i915)"]);
        assert_eq!(summaries.len(), 2);
        assert!(summaries[1].starts_with("skl: 450 "));
        assert_eq!(report("error: no such test\n"), (vec![], vec![]));
    }
}
