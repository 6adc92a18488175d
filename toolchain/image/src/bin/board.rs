// SPDX-License-Identifier: BSD-2-Clause
//! `microkit-board`: writes the board file of a machine.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use image::board::Board;
use image::machine::Facts;

/// Writes a machine's board file: of the running Linux (as root, for /proc/iomem), or of saved dumps.
#[derive(Parser)]
#[command(name = "microkit-board")]
struct Arguments {
    /// A saved `lspci -vvv -xxx`, taken as root
    #[arg(long, value_name = "FILE")]
    lspci: Option<PathBuf>,
    /// A saved /proc/iomem, taken as root
    #[arg(long, value_name = "FILE")]
    iomem: Option<PathBuf>,
    /// A saved kernel log (dmesg) from the start of the boot
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The board's name, where the machine's own is not wanted
    #[arg(long)]
    name: Option<String>,
    /// The interrupt vector for the GPU, 0 to 107, that no other <irq> of the system has
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(..=107))]
    vector: u8,
    /// Where the board file goes
    #[arg(short, value_name = "BOARD.toml")]
    output: PathBuf,
}

/// What is wrong with a file.
fn named(path: &Path, problem: &dyn Display) -> String {
    format!("{}: {problem}", path.display())
}

fn run(arguments: &Arguments) -> Result<String, String> {
    let read = |path: &Path| {
        let bytes = fs::read(path).map_err(|error| named(path, &error))?;
        Ok::<_, String>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let Arguments { lspci, iomem, log, .. } = arguments;
    let mut facts = Facts::default();
    let mut sources = vec![];
    if lspci.is_none() && iomem.is_none() && log.is_none() {
        facts = Facts::read_running(Path::new("/"))?;
        sources.push("the running Linux".to_owned());
    }
    if let Some(path) = log {
        facts.add_kernel_log(&read(path)?).map_err(|problem| named(path, &problem))?;
    }
    if let Some(path) = iomem {
        // It is of the machine as it was used, so it goes before the log's.
        facts.ram.clear();
        facts.add_iomem(&read(path)?).map_err(|problem| named(path, &problem))?;
    }
    if let Some(path) = lspci {
        facts.add_lspci(&read(path)?).map_err(|problem| named(path, &problem))?;
    }
    sources.extend([lspci, iomem, log].into_iter().flatten().map(|path| path.display().to_string()));
    let board = facts.board_file(arguments.name.as_deref(), arguments.vector)?;
    let text = format!("# Written by microkit-board from {}.\n\n{board}", sources.join(", "));
    let gpu = Board::parse(&text).map_err(|error| format!("the dumps make no sense: {error}"))?.gpu;
    fs::write(&arguments.output, &text).map_err(|error| named(&arguments.output, &error))?;
    let gpu = gpu.map_or_else(String::new, |gpu| {
        format!(": {}, registers at {:#x}, vector {}", gpu.part, gpu.registers.start, gpu.vector)
    });
    Ok(format!("board: {}{gpu}", arguments.output.display()))
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("microkit-board: {message}");
            ExitCode::FAILURE
        }
    }
}
