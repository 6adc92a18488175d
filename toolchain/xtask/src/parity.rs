// SPDX-License-Identifier: BSD-2-Clause
//! `parity`: which registers of the GT Linux's i915 leaves with another value than this driver, and why.

use anyhow::{Context, Result, ensure};
use boot::Workspace;

pub(crate) fn parity(workspace: &Workspace) -> Result<String> {
    workspace.step("parity: bringing up the driver on the device model");
    let mut cargo = workspace.cargo("test");
    cargo.args(["-q", "-p", "intel-gpu", "--test", "parity", "--", "--nocapture"]);
    let output = cargo.output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (differences, summary) = report(&text);
    for line in differences {
        println!("{line}");
    }
    let problems = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "not every difference is explained:\n{}", problems.trim_end());
    Ok(format!("parity: ok: {}", summary.context("the comparison did not say how it went")?))
}

/// The lines of the differences, and the one with the counts.
fn report(output: &str) -> (Vec<&str>, Option<&str>) {
    let differences = output.lines().filter(|line| line.starts_with("0x")).collect();
    (differences, output.lines().find(|line| line.ends_with("unexplained")))
}

#[cfg(test)]
mod tests {
    use super::report;

    #[test]
    fn differences_and_counts_are_found_among_what_the_test_harness_prints() {
        let output = "\nrunning 1 test\n0x022080: linux 0x1, ours 0x2: its own place\n\
                      333 registers alike, 1 different, 0 unexplained\n.\ntest result: ok.\n";
        let (differences, summary) = report(output);
        assert_eq!(differences, ["0x022080: linux 0x1, ours 0x2: its own place"]);
        assert_eq!(summary, Some("333 registers alike, 1 different, 0 unexplained"));
        assert_eq!(report("error: no such test\n"), (vec![], None));
    }
}
