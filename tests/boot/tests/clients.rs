// SPDX-License-Identifier: BSD-2-Clause
//! Clients of the driver domain, on the real kernel with the device model attached.

use anyhow::{Result, ensure};
use boot::{Gpu, Kernel, Pieces, Timing};
use boot_tests::{System, workspace};

/// The driver domain and others.
fn pieces(packages: &[&str]) -> Result<Pieces> {
    Pieces::build(&workspace()?, Kernel::Debug, packages)
}

/// Boots a system with a GPU.
fn boots(system: System, gpu: Gpu) -> Result<()> {
    let model = boot::build_model(&workspace()?)?;
    let outcome = system.on(|machine| machine.gpu(gpu, model)).passes()?;
    let reports = outcome.verdict.map(|verdict| verdict.reports).unwrap_or_default();
    ensure!(reports.is_empty(), "a real GPU would have punished: {reports:?}");
    Ok(())
}

#[test]
fn a_client_with_a_full_ring_sleeps_until_its_last_batch_is_done() -> Result<()> {
    let system = System::of(&pieces(&["gpu-driver", "boot-domains"])?, "rings")?;
    boots(system, Gpu { timing: Timing::Realtime, ..Gpu::new("tgl") })
}

/// The README and the guide show it.
#[test]
fn the_smallest_client_lets_the_gpu_greet() -> Result<()> {
    for part in ["tgl", "skl"] {
        let pieces = pieces(&["gpu-driver", "hello-gpu"])?;
        let name = format!("hello-{part}");
        let system = System::described(&pieces, &name, "components/hello-gpu/system.xml")?;
        boots(system, Gpu::new(part))?;
    }
    let source = workspace()?.root().join("components/hello-gpu/src/main.rs");
    let lines = std::fs::read_to_string(source)?.lines().count();
    ensure!(lines < 60, "{lines} lines are not the smallest client");
    Ok(())
}
