// SPDX-License-Identifier: BSD-2-Clause
//! `run`: boots a demonstration with the device model attached, and judges it.

use std::time::Duration;

use anyhow::Result;
use boot::{Demo, Gpu, Kernel, Machine, Workspace};
use clap::Args;

use crate::image::{BoardOptions, SdkOptions};
use crate::timeline;

/// Generous: a run takes a few seconds, the longest one half a minute, and the machine may be busy with something else.
const DEADLINE: Duration = Duration::from_secs(300);

#[derive(Args)]
pub(crate) struct Options {
    /// The part that the device model is, such as tgl (Tiger Lake) or skl (Skylake)
    #[arg(long, default_value = "tgl")]
    gpu: String,
    /// Which demonstration: paint, recover, migrate, share, stream, show or hello-c
    #[arg(long, default_value = "paint")]
    demo: String,
    /// Attach no GPU at all
    #[arg(long)]
    no_gpu: bool,
    /// Let the GPU show this PCI device id, such as 0xffff
    #[arg(long, value_parser = device_id, conflicts_with = "no_gpu")]
    device_id: Option<u16>,
    #[command(flatten)]
    board: BoardOptions,
    #[command(flatten)]
    sdk: SdkOptions,
}

fn device_id(text: &str) -> Result<u16, String> {
    let digits = text.strip_prefix("0x").ok_or("a hexadecimal number starting with 0x is needed")?;
    u16::from_str_radix(digits, 16).map_err(|error| error.to_string())
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<String> {
    let demo = Demo::named(&options.demo)?;
    let sdk = options.sdk.sdk()?;
    let board = options.board.file(workspace)?;
    let mut machine = Machine::new(workspace.target().join("run")).deadline(DEADLINE);
    let mut attached = "no GPU".to_owned();
    if !options.no_gpu {
        let gpu = Gpu { device_id: options.device_id, ..demo.gpu(&options.gpu) };
        let model = boot::build_model(workspace)?;
        gpu.check(&model)?;
        machine = machine.gpu(gpu, model);
        attached = format!("GPU {}", options.gpu);
    }
    if sdk.as_ref().is_some_and(|sdk| sdk.config() == "release") {
        machine = machine.silent();
    }
    let image = match &sdk {
        Some(sdk) => demo.build_with_sdk(workspace, sdk, &board, &workspace.target().join("image-sdk"))?,
        None => demo.build_on(workspace, Kernel::Debug, &board, &workspace.target().join("image"))?,
    };
    workspace.step(&format!("boot: {} with {attached}", demo.name));
    let ended = demo.run(&machine, &image, |line| {
        if !line.is_noise() {
            println!("  {:7.3}  {}", line.at.as_secs_f64(), line.text);
        }
    });
    let result = ended.and_then(|outcome| Ok((demo.judge(&image, &outcome)?, outcome)));
    // What there is to see is told before how it went, and wanted most where it was no success.
    let folder = workspace.target().join("run");
    timeline::tell(workspace, "run", &folder);
    if let Ok(names) = files(&folder) {
        println!("run: in {}: {}", workspace.shown(&folder), names.join(" "));
    }
    let (shown, outcome) = result?;
    if let Some(screen) = &outcome.screen {
        println!("run: the screen shows the picture: {}", workspace.shown(&screen.png));
    }
    Ok(format!(
        "run: ok: {} with {attached} in {:.1} s, picture {}x{} in {}",
        demo.name,
        outcome.duration.as_secs_f64(),
        shown.frame.width,
        shown.frame.height,
        workspace.shown(&shown.png),
    ))
}

/// The names of what a run left, in order.
fn files(folder: &std::path::Path) -> Result<Vec<String>> {
    let mut names = vec![];
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_id_is_hexadecimal_and_sixteen_bits_wide() {
        assert_eq!(device_id("0x9a49"), Ok(0x9a49));
        assert!(device_id("9a49").is_err());
        assert!(device_id("0x19a49").is_err());
        assert!(device_id("0x").is_err());
    }
}
