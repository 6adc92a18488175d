// SPDX-License-Identifier: BSD-2-Clause
//! How runs end: what the tests above rely on.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use boot::{Ending, RunError};
use boot_tests::System;

#[test]
fn a_domain_that_never_ends_is_ended_at_the_deadline_and_its_last_lines_shown() -> Result<()> {
    let limit = Duration::from_secs(5);
    let system = System::new("deadline")?.on(|machine| machine.deadline(limit));
    let start = Instant::now();
    let Err(error) = system.boot(|_| false) else { anyhow::bail!("the run came to an end") };
    ensure!((limit..limit * 2).contains(&start.elapsed()), "it took {:?}", start.elapsed());
    let error = error.downcast::<RunError>()?;
    ensure!(matches!(&error, RunError::Deadline { tail, .. } if tail.contains("spins: for ever")), "{error}");
    Ok(())
}

#[test]
fn whoever_watches_can_end_the_run() -> Result<()> {
    let outcome =
        System::variant("deadline", "-watched")?.boot(|line| line.text.contains("spins: for ever"))?;
    ensure!(outcome.ending == Ending::Stopped, "it ended with {:?}", outcome.ending);
    Ok(())
}

#[test]
fn a_machine_that_qemu_refuses_is_an_error_with_what_qemu_said() -> Result<()> {
    let system = System::variant("deadline", "-refused")?.on(|machine| machine.device("no-such-device"));
    let Err(error) = system.boot(|_| false) else { anyhow::bail!("QEMU accepted it") };
    let error = error.downcast::<RunError>()?;
    ensure!(matches!(&error, RunError::Qemu { said, .. } if said.contains("no-such-device")), "{error}");
    Ok(())
}
