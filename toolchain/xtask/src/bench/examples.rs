// SPDX-License-Identifier: BSD-2-Clause
//! What the real driver core does above the device model on the host: examples of the conformance tests that print lines.

use anyhow::{Context, Result, ensure};
use boot::Workspace;

/// Programs, what is said of each while it runs, and what the lines start with that are its figures.
const EXAMPLES: [(&str, &str, &str); 2] = [
    // Pages of the driver's memory that contexts take.
    ("context_memory", "context: counting memory", "context "),
    // The loops of IGT's gem_userptr_benchmark.
    ("userptr_loop", "lend: on the host", "userptr "),
];

/// Runs them all.
pub(super) fn figures(workspace: &Workspace) -> Result<String> {
    let mut text = String::new();
    for (name, step, mark) in EXAMPLES {
        workspace.step(&format!("bench: {step}"));
        let mut cargo = workspace.cargo("run");
        cargo.args(["-q", "-p", "conformance", "--example", name]);
        let output = cargo.output().context("cannot start cargo")?;
        let lines = lines(&String::from_utf8_lossy(&output.stdout), mark);
        ensure!(
            output.status.success() && !lines.is_empty(),
            "{name} counted nothing:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text += &lines;
    }
    Ok(text)
}

fn lines(output: &str, mark: &str) -> String {
    output.lines().filter(|line| line.starts_with(mark)).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn the_figures_are_the_marked_lines() {
        let output = "something else\ncontext on tgl: 6 pages\n";
        assert_eq!(lines(output, "context "), "context on tgl: 6 pages\n");
        assert_eq!(lines("error", "context "), "");
    }
}
