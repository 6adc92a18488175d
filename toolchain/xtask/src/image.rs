// SPDX-License-Identifier: BSD-2-Clause
//! `image`: what a user would put on a boot medium.

use anyhow::Result;
use boot::{Demo, Workspace};
use clap::Args;

use crate::KernelChoice;

#[derive(Args)]
pub(crate) struct Options {
    /// Which demonstration
    #[arg(long, default_value = "paint")]
    demo: String,
    /// Which configuration of the kernel
    #[arg(long, value_enum, default_value = "debug")]
    kernel: KernelChoice,
}

pub(crate) fn image(workspace: &Workspace, options: &Options) -> Result<String> {
    let folder = workspace.target().join("image");
    let image = Demo::named(&options.demo)?.build(workspace, options.kernel.into(), &folder)?;
    Ok(format!(
        "image: kernel {}, image {}, report {}",
        workspace.shown(&image.kernel),
        workspace.shown(&image.system),
        workspace.shown(&image.report.with_extension("txt")),
    ))
}
