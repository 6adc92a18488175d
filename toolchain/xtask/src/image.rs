// SPDX-License-Identifier: BSD-2-Clause
//! `image`: what a user would put on a boot medium.

use std::path::PathBuf;

use anyhow::Result;
use boot::{Demo, Sdk, Workspace};
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
    #[command(flatten)]
    board: BoardOptions,
    #[command(flatten)]
    sdk: SdkOptions,
}

/// The machine that an image is for.
#[derive(Args)]
pub(crate) struct BoardOptions {
    /// The name of a board in toolchain/image/boards, or the path of a board file
    #[arg(long, value_name = "BOARD", default_value = boot::DEFAULT_BOARD)]
    board: String,
}

impl BoardOptions {
    /// Its board file.
    pub(crate) fn file(&self, workspace: &Workspace) -> Result<PathBuf> {
        boot::board_file(workspace, &self.board)
    }
}

/// The Microkit SDK to build with, instead of the embedded kernel.
#[derive(Args)]
pub(crate) struct SdkOptions {
    /// The folder of a Microkit SDK
    #[arg(long, value_name = "DIR")]
    microkit_sdk: Option<PathBuf>,
    /// The SDK's configuration of the kernel, such as debug or release
    #[arg(long, value_name = "NAME", default_value = "debug")]
    config: String,
}

impl SdkOptions {
    /// The SDK, looked through; `None` for the embedded kernel.
    pub(crate) fn sdk(&self) -> Result<Option<Sdk>> {
        Ok(self.microkit_sdk.as_deref().map(|folder| Sdk::open(folder, &self.config)).transpose()?)
    }
}

pub(crate) fn image(workspace: &Workspace, options: &Options) -> Result<String> {
    let demo = Demo::named(&options.demo)?;
    let board = options.board.file(workspace)?;
    let image = match options.sdk.sdk()? {
        Some(sdk) => demo.build_with_sdk(workspace, &sdk, &board, &workspace.target().join("image-sdk"))?,
        None => demo.build_on(workspace, options.kernel.into(), &board, &workspace.target().join("image"))?,
    };
    Ok(format!(
        "image: kernel {}, image {}, report {}",
        workspace.shown(&image.kernel),
        workspace.shown(&image.system),
        workspace.shown(&image.report.with_extension("txt")),
    ))
}
