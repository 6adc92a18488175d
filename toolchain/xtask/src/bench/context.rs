// SPDX-License-Identifier: BSD-2-Clause
//! The life of contexts: plain, with an address space of their own, and clones of everything; alone and among as many
//! others as a client may have. What they take of the driver's memory is counted on the host.

use anyhow::{Context, Result, ensure};
use boot::{Kernel, Workspace};

use super::{Peer, Subject};

pub(super) const SUBJECT: Subject = Subject {
    name: "context",
    description: "tests/boot/systems/bench_context.xml",
    packages: &["gpu-driver", "boot-domains"],
    gpu: true,
    kernel: Kernel::Release,
    only: &[],
    peer: &[
        // Linux: context created in a shared address space, first batch, destroyed.
        Peer { figure: "context-life-plain", value: 194_000.0 },
        Peer { figure: "context-life-clone-all", value: 194_000.0 },
    ],
};

/// What each line of the count starts with.
const MARK: &str = "context ";

/// Counts the pages of the driver's memory that contexts take, with the real driver core above the device model.
pub(super) fn memory(workspace: &Workspace) -> Result<String> {
    workspace.step("bench: context: counting memory");
    let mut cargo = workspace.cargo("run");
    cargo.args(["-q", "-p", "conformance", "--example", "context_memory"]);
    let output = cargo.output().context("cannot start cargo")?;
    let text = lines(&String::from_utf8_lossy(&output.stdout));
    ensure!(
        output.status.success() && !text.is_empty(),
        "it counted nothing:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

fn lines(output: &str) -> String {
    output.lines().filter(|line| line.starts_with(MARK)).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn the_figures_of_memory_are_the_marked_lines() {
        let output = "something else\ncontext on tgl: 6 pages\n";
        assert_eq!(lines(output), "context on tgl: 6 pages\n");
        assert_eq!(lines("error"), "");
    }
}
