// SPDX-License-Identifier: BSD-2-Clause
//! The device model itself, without a guest: commands, fills, register reads and submissions a second of processor time,
//! as a host test has them.

use anyhow::{Context, Result, ensure};
use boot::Workspace;

/// What each line of the model's own bench starts with.
const MARK: &str = "gpu-model ";

/// Runs the model's own bench, and answers its lines.
pub(super) fn figures(workspace: &Workspace) -> Result<String> {
    workspace.step("bench: device model");
    let mut cargo = workspace.cargo("run");
    cargo.args(["-q", "-p", "gpu-model", "--example", "bench"]);
    // It exits with 1 when a figure is below what the project asks for; the line says so, and a slow host is no error.
    let output = cargo.output().context("cannot start cargo")?;
    let text = lines(&String::from_utf8_lossy(&output.stdout));
    ensure!(!text.is_empty(), "it measured nothing:\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

fn lines(output: &str) -> String {
    output.lines().filter_map(|line| line.strip_prefix(MARK)).map(|line| format!("model: {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn the_models_figures_are_its_marked_lines() {
        let output = "something else\ngpu-model colour fill: 7.60 GB/s (floor 1)\n";
        assert_eq!(lines(output), "model: colour fill: 7.60 GB/s (floor 1)\n");
        assert_eq!(lines("error"), "");
    }
}
