// SPDX-License-Identifier: BSD-2-Clause
//! The same description for a user's Microkit SDK: its own tool builds the image.
//!
//! Everything that decides is one: parsing, rules, placement. What differs is here, and small:
//!
//! | in system.xml | for the SDK's tool |
//! | --- | --- |
//! | `cap_frame_range`, `cap_cnode`, `cap_cspace_root`, `cap_io_space` | left out: domains there hold and receive no such capabilities |
//! | `<grant_table>` | written into a copy of the program, each range marked as mapped for the device from the start |
//! | what a domain that held the device's I/O address space may be lent | `<iomap>` of that `<io_address_space>`, at equal I/O addresses |
//! | `setvar_row` | the row by which a domain lends a region instead |
//! | `<constant>`, `<board_file>`, `${gpu.NAME}`, `${screen.NAME}` | written into the same copy, and filled in |
//! | a program that several domains have, with other values in each | a copy for each |
//! | a region without `phys_addr` whose address somebody needs | `phys_addr`, as placed by the board file |
//!
//! The rest of the file reaches the tool letter by letter, comments too.

mod description;
mod folder;
mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::board::Board;
use crate::diagnostic::Sink;
use crate::model::System;
use crate::{BuildError, Diagnostic, Report};

pub use folder::{Sdk, SdkError};

/// What an image is built from.
#[derive(Clone, Debug)]
pub struct SdkRequest {
    /// The system description.
    pub system: PathBuf,
    /// Folders with the files that it names, in order of preference.
    pub search_paths: Vec<PathBuf>,
    /// The board file.
    pub board: PathBuf,
    /// The SDK.
    pub sdk: Sdk,
    /// Where the description for the SDK's tool, the programs and the results go.
    pub folder: PathBuf,
}

/// A finished image.
#[derive(Clone, Debug)]
pub struct SdkImage {
    /// The kernel, as QEMU and multiboot loaders take it.
    pub kernel: PathBuf,
    /// The boot module.
    pub image: PathBuf,
    /// The description that the SDK's tool was given.
    pub description: PathBuf,
    /// Where everything went, as far as this tool knows.
    pub report: Report,
    /// What may be a mistake in the description.
    pub warnings: Vec<Diagnostic>,
}

/// Everything that the SDK's tool is given.
struct Prepared {
    description: String,
    programs: Vec<program::File>,
    report: Report,
}

/// Prepares the description and the programs, and runs the SDK's tool on them.
///
/// # Errors
/// The description or a file that it names is wrong, or the SDK's tool refuses it; the error has what it said.
pub fn build(request: &SdkRequest) -> Result<SdkImage, BuildError> {
    let board =
        Board::read(&request.board).map_err(|error| BuildError::Board(request.board.clone(), error))?;
    let text = fs::read_to_string(&request.system)
        .map_err(|error| BuildError::Unreadable(request.system.clone(), error))?;
    let sink = Sink::new(&request.system);
    let prepared = prepare(&text, request, &board, &sink).map_err(BuildError::Description)?;

    let folder = &request.folder;
    let programs = folder.join("programs");
    let write = |path: &Path, bytes: &[u8]| {
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(path, bytes))
            .map_err(|error| BuildError::Unwritable(path.to_owned(), error))
    };
    for program in &prepared.programs {
        write(&programs.join(&program.path), &program.bytes)?;
    }
    let description = folder.join("system.xml");
    write(&description, prepared.description.as_bytes())?;

    let image = folder.join("loader.img");
    let mut tool = Command::new(request.sdk.tool());
    tool.arg(&description).args(["--board", request.sdk.board(), "--config", request.sdk.config()]);
    tool.arg("-o").arg(&image).arg("-r").arg(folder.join("microkit.txt"));
    tool.arg("--search-path").arg(&programs).args(&request.search_paths);
    let failed = |said: String| BuildError::Tool(request.sdk.tool(), said);
    let output = tool.output().map_err(|error| failed(format!("it cannot be started: {error}")))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        return Err(failed(String::from_utf8_lossy(&said).trim().to_owned()));
    }
    Ok(SdkImage {
        kernel: request.sdk.kernel(),
        image,
        description,
        report: prepared.report,
        warnings: sink.into_warnings(),
    })
}

fn prepare(
    text: &str,
    request: &SdkRequest,
    board: &Board,
    sink: &Sink<'_>,
) -> Result<Prepared, Vec<Diagnostic>> {
    let text = &crate::fill_in(text, board, sink)?;
    let (system, paddrs) = crate::place_system(text, &request.search_paths, board, sink)?;
    check_grants(&system, sink);
    let (programs, files) = program::load(&system, &request.search_paths, &paddrs, sink);
    sink.finish_stage()?;
    let paths: Vec<_> = files.iter().map(|file| &*file.path).collect();
    let description = description::for_sdk(text, &system, &paddrs, &paths);
    let report = Report::new(&system, &programs, &paddrs, board, None);
    Ok(Prepared { description, programs: files, report })
}

/// What is granted is mapped for the device from the start.
fn check_grants(system: &System, sink: &Sink<'_>) {
    let tables = system.domains.iter().flat_map(|domain| &domain.grant_tables);
    for grant in tables.flat_map(|table| &table.grants) {
        crate::check::small_pages(system, sink, grant.region, &grant.channel.place);
    }
}

/// The description as the SDK's tool would be given it if no two domains had one program, for tests and for those who
/// paste it into their own.
///
/// # Errors
/// The description is wrong.
pub fn description(text: &str, search_paths: &[PathBuf], board: &Board) -> Result<String, Vec<Diagnostic>> {
    let sink = Sink::new(Path::new("system.xml"));
    let text = &crate::fill_in(text, board, &sink)?;
    let (system, paddrs) = crate::place_system(text, search_paths, board, &sink)?;
    let paths: Vec<_> = system.domains.iter().map(|domain| &*domain.program.value).collect();
    Ok(description::for_sdk(text, &system, &paddrs, &paths))
}

/// Whether a region's physical address has to be known when the image is built.
fn is_fixed(system: &System, region: usize) -> bool {
    use crate::model::SetvarValue;
    system.domains.iter().any(|domain| {
        domain.grant_tables.iter().flat_map(|table| &table.grants).any(|grant| grant.region == region)
            || domain
                .setvars
                .iter()
                .any(|setvar| matches!(setvar.value, SetvarValue::RegionPaddr(id) if id == region))
    })
}
