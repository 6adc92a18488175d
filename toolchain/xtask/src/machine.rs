// SPDX-License-Identifier: BSD-2-Clause
//! `boot`: boots any kernel and image with the device model attached.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use boot::{Ending, Gpu, Image, Machine, Workspace};
use clap::Args;

use crate::timeline;

#[derive(Args)]
pub(crate) struct Options {
    /// The kernel, in the form that QEMU's loader takes
    #[arg(long, value_name = "FILE")]
    kernel: PathBuf,
    /// What the kernel starts: the embedded kernel's image, or a Microkit SDK's loader.img
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// The part that the device model is
    #[arg(long, default_value = "tgl")]
    gpu: String,
    /// Seconds that the system has to end by itself
    #[arg(long, default_value_t = 120)]
    seconds: u64,
}

pub(crate) fn boot(workspace: &Workspace, options: &Options) -> Result<String> {
    let absolute = |path: &PathBuf| path.canonicalize().with_context(|| path.display().to_string());
    let (kernel, system) = (absolute(&options.kernel)?, absolute(&options.image)?);
    let image = Image::found(kernel, system)?;
    let gpu = Gpu::new(&options.gpu);
    let model = boot::build_model(workspace)?;
    gpu.check(&model)?;
    let folder = workspace.target().join("boot");
    let machine = Machine::new(&folder).silent().gpu(gpu, model);
    let ended = machine.deadline(Duration::from_secs(options.seconds)).run(&image, |line| {
        println!("  {:7.3}  {}", line.at.as_secs_f64(), line.text);
        if line.tells_of_a_break() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    timeline::tell(workspace, "boot", &folder);
    let outcome = ended?;
    ensure!(outcome.ending == Ending::Exit(0), "the system ended with {:?}", outcome.ending);
    let reports = outcome.verdict.map(|verdict| verdict.reports).unwrap_or_default();
    ensure!(reports.is_empty(), "a real GPU would have punished:\n{}", reports.join("\n"));
    Ok(format!("boot: ok: the system ended with code 0 after {:.1} s", outcome.duration.as_secs_f64()))
}
