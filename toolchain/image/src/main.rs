// SPDX-License-Identifier: BSD-2-Clause
//! `microkit-image`: the image tool's command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use image::Request;

/// Turns a system description and programs into an image for the embedded kernel.
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
    /// The initialiser's program.
    #[arg(long, value_name = "ELF")]
    initialiser: PathBuf,
    /// Where the image goes.
    #[arg(short, value_name = "IMAGE.elf")]
    output: PathBuf,
    /// Where the report goes; a text form for people goes beside it, with the extension txt.
    #[arg(long, value_name = "REPORT.json")]
    report: PathBuf,
}

fn run(arguments: Arguments) -> Result<(), String> {
    let mut search_paths = arguments.search_path;
    search_paths.push(PathBuf::from("."));
    let request = Request {
        system: arguments.system,
        search_paths,
        board: arguments.board,
        initialiser: arguments.initialiser,
    };
    let image = image::build(&request).map_err(|error| error.to_string())?;
    for warning in &image.warnings {
        eprintln!("warning: {warning}");
    }
    let write = |path: &Path, bytes: &[u8]| {
        fs::write(path, bytes).map_err(|error| format!("{}: cannot write it: {error}", path.display()))
    };
    write(&arguments.output, &image.elf)?;
    write(&arguments.report, image.report.to_json().as_bytes())?;
    write(&image::text_report_path(&arguments.report), image.report.to_string().as_bytes())
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
