// SPDX-License-Identifier: BSD-2-Clause
//! The first process of the oracle's machine.
//!
//! Called as `/init` it mounts what programs expect, loads the modules in the order of `/oracle/modules`, and runs the
//! jobs of `/oracle/jobs` one after the other, each with a deadline. Called as `oracle-guest checks` it is one of those
//! jobs: the project's own checks of the device model through i915's interface to programs.
//!
//! Everything that is said goes through the kernel's log (`/dev/kmsg`), so that i915's messages and the output of the
//! program that caused them arrive at the serial port in the order they happened, and whole lines at a time:
//!
//! ```text
//!   oracle: begin NAME               a job starts
//!   oracle: | TEXT                   a line that it printed
//!   oracle: end NAME 0               its exit status, or `signal N`, or `deadline`
//!   oracle: interrupts N             of i915, at the end
//!   oracle: done
//! ```

mod checks;
mod i915;
mod init;
mod sys;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("checks") => checks::run(),
        _ => init::run(),
    }
}
