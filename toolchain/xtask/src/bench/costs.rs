// SPDX-License-Identifier: BSD-2-Clause
//! What the driver core does of its own above the device model, counted on the host: register accesses, writes to memory that
//! the GPU reads, page-table entries, nodes of a search for ranges. The tests that hold it to its bounds print what they counted.

use anyhow::{Context as _, Result, ensure};
use boot::Workspace;

use super::{Peer, Row};

/// i915 on the same model (`bench/mod.rs`).
const PEERS: &[Peer] = &[
    Peer { figure: "submission-alone-register-writes", value: 10.0 },
    Peer { figure: "submission-alone-register-reads", value: 4.0 },
    Peer { figure: "submission-alone-interrupts", value: 1.0 },
    Peer { figure: "start-register-writes", value: 1_002.0 },
    Peer { figure: "start-register-reads", value: 421.0 },
];

/// Runs the tests that count, and gives their figures.
pub(super) fn figures(workspace: &Workspace) -> Result<Vec<Row>> {
    workspace.step("bench: register accesses, memory writes and page tables, on the host");
    let mut rows = vec![];
    for target in [&["--test", "cost"][..], &["--lib", "a_gibibyte"], &["--lib", "a_lookup_among"]] {
        let mut cargo = workspace.cargo("test");
        cargo.args(["-q", "-p", "intel-gpu"]).args(target).args(["--", "--nocapture", "--test-threads=1"]);
        let output = cargo.output().context("cannot start cargo")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        rows.extend(parse(&String::from_utf8_lossy(&output.stdout)));
    }
    for peer in PEERS {
        ensure!(rows.iter().any(|row| row.name == peer.figure), "{} was not counted", peer.figure);
    }
    Ok(rows)
}

/// The lines `bench: NAME VALUE UNIT` of what tests print.
fn parse(output: &str) -> Vec<Row> {
    let row = |line: &str| {
        let (name, counted) = line.strip_prefix("bench: ")?.split_once(' ')?;
        let value: f64 = counted.split(' ').next()?.parse().ok()?;
        let peer = PEERS.iter().find(|peer| peer.figure == name);
        let peer = peer.map(|peer| (peer.value, value / peer.value));
        Some(Row { name: name.into(), counted: counted.into(), wall: String::new(), peer })
    };
    output.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn figures_are_found_among_what_the_test_harness_prints_and_held_against_linux() {
        let rows =
            parse("running 1 test\nbench: start-register-writes 501 writes\n.\nbench: bind 40 % of a copy\n");
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].counted.as_str(), rows[0].peer), ("501 writes", Some((1002.0, 0.5))));
        assert_eq!((rows[1].counted.as_str(), rows[1].peer), ("40 % of a copy", None));
    }
}
