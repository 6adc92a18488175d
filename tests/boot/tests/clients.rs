// SPDX-License-Identifier: BSD-2-Clause
//! Clients of the driver domain, on the real kernel with the device model attached.

use anyhow::{Result, ensure};
use boot::{Gpu, Kernel, Pieces, Timing};
use boot_tests::{System, workspace};

/// A system with the driver domain, booted with a GPU.
fn boots(name: &str, gpu: Gpu) -> Result<()> {
    let workspace = workspace()?;
    let pieces = Pieces::build(&workspace, Kernel::Debug, &["gpu-driver", "boot-domains"])?;
    let model = boot::build_model(&workspace)?;
    let outcome = System::of(&pieces, name)?.on(|machine| machine.gpu(gpu, model)).passes()?;
    let reports = outcome.verdict.map(|verdict| verdict.reports).unwrap_or_default();
    ensure!(reports.is_empty(), "a real GPU would have punished: {reports:?}");
    Ok(())
}

#[test]
fn a_client_with_a_full_ring_sleeps_until_its_last_batch_is_done() -> Result<()> {
    boots("rings", Gpu { timing: Timing::Realtime, ..Gpu::new("tgl") })
}
