// SPDX-License-Identifier: BSD-2-Clause
//! `microkit-image`: the image tool's command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use image::sdk::{Sdk, SdkRequest};
use image::{Diagnostic, Report, Request};

/// Turns a system description and programs into a bootable image: for the embedded kernel, or with the tool of a
/// Microkit SDK.
#[derive(Parser)]
#[command(name = "microkit-image")]
struct Arguments {
    /// The system description.
    system: PathBuf,
    /// A folder with files that the description names. May be repeated; the current folder comes last.
    #[arg(long, value_name = "DIR")]
    search_path: Vec<PathBuf>,
    /// The board file.
    #[arg(long, value_name = "FILE.toml")]
    board: PathBuf,
    /// For the embedded kernel: the initialiser's program.
    #[arg(long, value_name = "ELF", required_unless_present = "microkit_sdk")]
    initialiser: Option<PathBuf>,
    /// The SDK to build with instead.
    #[arg(long, value_name = "DIR", conflicts_with = "initialiser")]
    microkit_sdk: Option<PathBuf>,
    /// The SDK's configuration of the kernel.
    #[arg(long, value_name = "NAME", default_value = "debug", requires = "microkit_sdk")]
    microkit_config: String,
    /// Where the image goes. With an SDK: the folder for loader.img, system.xml as its tool got it, and the programs.
    #[arg(short, value_name = "IMAGE.elf")]
    output: PathBuf,
    /// Where the report goes; a text form for people goes beside it, with the extension txt.
    #[arg(long, value_name = "REPORT.json")]
    report: PathBuf,
}

fn run(arguments: Arguments) -> Result<(), String> {
    let mut search_paths = arguments.search_path;
    search_paths.push(PathBuf::from("."));
    let write = |path: &Path, bytes: &[u8]| {
        fs::write(path, bytes).map_err(|error| format!("{}: cannot write it: {error}", path.display()))
    };
    let Arguments { system, board, output, .. } = arguments;
    let (report, warnings): (Report, Vec<Diagnostic>) = match arguments.microkit_sdk {
        Some(sdk) => {
            let sdk = Sdk::open(&sdk, &arguments.microkit_config).map_err(|error| error.to_string())?;
            let request = SdkRequest { system, search_paths, board, sdk, folder: output };
            let image = image::sdk::build(&request).map_err(|error| error.to_string())?;
            println!("{} and {}", image.kernel.display(), image.image.display());
            (image.report, image.warnings)
        }
        None => {
            let initialiser = arguments.initialiser.unwrap_or_default();
            let request = Request { system, search_paths, board, initialiser };
            let image = image::build(&request).map_err(|error| error.to_string())?;
            write(&output, &image.elf)?;
            (image.report, image.warnings)
        }
    };
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    write(&arguments.report, report.to_json().as_bytes())?;
    write(&image::text_report_path(&arguments.report), report.to_string().as_bytes())
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
