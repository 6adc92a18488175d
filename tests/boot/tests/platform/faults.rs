// SPDX-License-Identifier: BSD-2-Clause
//! Domains that do what they may not.

use anyhow::{Result, ensure};
use boot_tests::{System, expect_pass, line_with};

/// Who breaks which rule in `faults.xml`, and what the monitor must say about it.
const FAULTS: &[(&str, &[&str])] = &[
    ("reads_nowhere", &["0x5dead0000"]),
    ("writes_nowhere", &["0x5dead0000"]),
    ("reads_kernel", &["0xffffff8000100000"]),
    ("reads_neighbour", &["0x60000000"]),
    ("writes_read_only", &["0x10000000"]),
    ("jumps_nowhere", &["0x5dead0000"]),
    ("uses_port", &["exception 13"]),
    ("halts", &["exception 13"]),
    // The stack's top is at 0x7fffffffd000, its four pages go down to 0x7fffffff9000.
    ("overflows_stack", &["0x7fffffff8"]),
];

#[test]
fn a_fault_is_reported_with_name_and_address_and_touches_nobody_else() -> Result<()> {
    let outcome = System::new("faults")?.boot(|_| false)?;
    expect_pass(&outcome)?;
    for (name, parts) in FAULTS {
        let report = format!("monitor: fault in {name}:");
        line_with(&outcome, &[&[report.as_str()], *parts].concat())?;
    }
    line_with(&outcome, &["panics: panicked at", "misbehave.rs"])?;
    for innocent in ["neighbour", "bystander"] {
        let report = format!("monitor: fault in {innocent}:");
        ensure!(outcome.line(&report).is_none(), "{innocent} faulted:\n{}", outcome.tail());
    }
    ensure!(outcome.line("got away with it").is_none(), "a rule was broken:\n{}", outcome.tail());
    Ok(())
}

#[test]
fn a_childs_fault_goes_to_its_parent_who_can_let_it_go_on() -> Result<()> {
    System::new("child_fault")?.passes().map(drop)
}

#[test]
fn a_domain_has_the_capabilities_that_it_was_given_and_no_other() -> Result<()> {
    System::new("slots")?.passes().map(drop)
}
