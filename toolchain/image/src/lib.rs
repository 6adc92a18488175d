// SPDX-License-Identifier: BSD-2-Clause
//! Turns a system description and programs into a bootable image for the embedded kernel.
//!
//! The description is Microkit 2.3's `system.xml` with a few elements more (see [below](#the-format)). The stages:
//!
//! ```text
//!   parse      text -> System: names resolved, numbers read         errors of single elements
//!   check      rules between elements                               overlaps, ids, priorities, ...
//!   place      physical addresses of regions                        what does not fit
//!   programs   ELF files, patched with names, ids, addresses        missing files and symbols, overlaps
//!   lower      System + programs -> specification of kernel objects
//!   package    initialiser + specification -> image, report
//! ```
//!
//! Each stage notes all its mistakes with file, line, column and element; the next one runs only when there is
//! none. Whatever the description asks for and this kernel cannot give is refused, never ignored.
//!
//! # The format
//!
//! As in Microkit's manual, chapter "System Description File", with these limits:
//!
//! - channel and interrupt ids are 0 to 25: badges of this kernel have 28 bits;
//! - refused: `budget`, `period`, `passive`, `cpu`, `smc`, `fpu="false"`, `domain`, `<domains>`,
//!   `<virtual_machine>`, `prefill_bootinfo`, `<cap_sc>`;
//! - the page below a stack stays unmapped, so nothing can be mapped there.
//!
//! And with these additions. In `<cspace>`, all with `slot` 1 to 63 (capability pointer `slot << 58`):
//!
//! - `<cap_frame_range mr= perms= setvar_size_bits= setvar_row=>`: a CNode with one frame capability per page of the region, the
//!   page's number being the slot. It has 2^b slots, b at least 1 and as small as possible, and no guard; the
//!   symbol receives b. The first domain with a writable one holds the frames' original capabilities: revoking
//!   one takes the page from everybody else, but leaves that domain's own (first) mapping of it. The symbol of
//!   `setvar_row` receives all ones; of a region that is granted as `mapped`, and on a Microkit SDK, which gives no such
//!   capabilities, of every one, it receives the place among the grants over the domain's channel, counted from 0.
//! - `<cap_cnode size_bits=>`: an empty CNode with 2^size_bits slots, without guard.
//! - `<cap_cspace_root>`: the domain's own root CNode.
//! - `<cap_io_space io_address_space=>`: the I/O address space capability of that element.
//!
//! The kernel resolves an address through a CNode rather than stopping at it. So the CNodes of the first two have
//! their *contents* at `slot << 58 | index << (58 - b)`, and the CNodes of the first three themselves are the
//! capabilities `512 + slot` of the domain's system CNode (for the root CNode that is the only place).
//!
//! In `<protection_domain>`:
//!
//! - `<grant_table symbol= count_symbol=>` with `<grant channel= mr= perms= mapped=>`: writes which physical ranges may be lent
//!   to this domain over which channel. Each entry is four words: channel, physical address, size, and
//!   rights (bit 0 read, bit 1 write) with log2 of the page size in bits 15 to 8. When the domain holds an
//!   I/O address space, that one gets page tables for these ranges at equal I/O addresses; what is `mapped="true"`, it
//!   maps from the start (bit 2 of the rights), as everything is on a Microkit SDK. Before the grants stand the
//!   rows of `<client channel= owner= privileged=>`: who lends for the client on a channel of this domain and takes pages
//!   back. `owner` is the channel of a memory server, `none`, or left out: the client itself. Such a row is the client's
//!   channel, the owner's (all ones: nobody), 1 if it is privileged, and bit 63 alone.
//!
//! - `<constant symbol= value=>`: the symbol, of 8 bytes, receives the number.
//! - `<board_file symbol= lines_symbol=>`: for messages of a domain whose board file is another machine's. The first symbol,
//!   of 64 bytes, receives the board file's name, with its folder's, filled up with zeros (of a longer one, the end); the
//!   second one, five words, the lines of `pci`, `device`, `registers`, `gtt` and `vector` in its `[gpu]`, counted from 1.
//!
//! Anywhere, `${gpu.NAME}` stands for what the board file says of the GPU: `pci`, `requester` (the address as a
//! number), `device`, `registers`, `registers_size`, `aperture`, `aperture_size`, `gtt`, `vector`. `${screen.NAME}` stands for what it
//! says of the screen: `memory`, `memory_size`, `width`, `height`, `stride`.
//!
//! `setvar region_paddr` works for all regions: the tool chooses every physical address.
#![forbid(unsafe_code)]

pub mod board;
mod budget;
mod check;
mod diagnostic;
mod layout;
mod lower;
pub mod machine;
mod model;
mod package;
mod page_size;
mod parse;
mod patch;
mod placement;
mod program;
mod programs;
mod report;
pub mod sdk;
mod search;
mod xml;

use std::fs;
use std::path::{Path, PathBuf};

use image_spec::place::FailureExit;
use thiserror::Error;

use crate::board::{Board, BoardError};
use crate::budget::Budget;
use crate::diagnostic::Sink;
use crate::model::System;
use crate::program::Program;

pub use crate::diagnostic::{Diagnostic, Place};
pub use crate::program::ProgramError;
pub use crate::report::{
    CapReport, ChannelReport, DomainReport, ImageReport, IoMapReport, IoPortReport, IoSpaceReport, IrqReport,
    MapReport, RegionReport, Report, SegmentReport,
};

/// What an image is built from.
#[derive(Clone, Debug)]
pub struct Request {
    /// The system description.
    pub system: PathBuf,
    /// Folders with the files that it names, in order of preference.
    pub search_paths: Vec<PathBuf>,
    /// The board file.
    pub board: PathBuf,
    /// The initialiser's program.
    pub initialiser: PathBuf,
}

/// A finished image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The root task, an ELF file for the boot loader.
    pub elf: Vec<u8>,
    /// Where everything went.
    pub report: Report,
    /// What may be a mistake in the description.
    pub warnings: Vec<Diagnostic>,
}

/// Why there is no image.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The description is wrong, or its programs do not fit it. At least one entry, in the order of the file.
    #[error("{}", lines(.0))]
    Description(Vec<Diagnostic>),
    /// The description cannot be read.
    #[error("{}: cannot read it: {}", .0.display(), .1)]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The board file is of no use.
    #[error("{}: {}", .0.display(), .1)]
    Board(PathBuf, #[source] BoardError),
    /// A result cannot be written.
    #[error("{}: cannot write it: {}", .0.display(), .1)]
    Unwritable(PathBuf, #[source] std::io::Error),
    /// The SDK's tool refuses the system.
    #[error("{} failed:\n{}", .0.display(), .1)]
    Tool(PathBuf, String),
    /// The initialiser is of no use.
    #[error("{}: {}", .0.display(), .1)]
    Initialiser(PathBuf, #[source] ProgramError),
}

fn lines(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n")
}

/// Builds an image.
///
/// # Errors
/// The description is wrong, a file is missing or of no use, or the board has no room for the system.
pub fn build(request: &Request) -> Result<Image, BuildError> {
    let board =
        Board::read(&request.board).map_err(|error| BuildError::Board(request.board.clone(), error))?;
    let unusable = |error| BuildError::Initialiser(request.initialiser.clone(), error);
    let initialiser = Program::read(&request.initialiser).map_err(unusable)?;
    let text = fs::read_to_string(&request.system)
        .map_err(|error| BuildError::Unreadable(request.system.clone(), error))?;

    let sink = Sink::new(&request.system);
    let (spec, report) =
        compile(&text, request, &board, &initialiser, &sink).map_err(BuildError::Description)?;
    let exit = board.failure_exit.map(|exit| FailureExit { port: exit.port, value: exit.value });
    let elf = package::package(initialiser, spec, exit, &board.source)
        .map_err(|problem| unusable(ProgramError::Unsuitable(format!("it {problem}"))))?;
    Ok(Image { elf, report, warnings: sink.into_warnings() })
}

/// The description with the board's values in it.
fn fill_in(text: &str, board: &Board, sink: &Sink<'_>) -> Result<String, Vec<Diagnostic>> {
    board.fill_in(text).or_else(|(line, name)| {
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        let place = Place { line, column: 1, element: "system".into() };
        sink.error(&place, format!("the board {} has no value for ${{{name}}}", board.name));
        sink.finish_stage().map(|()| String::new())
    })
}

/// From the description's text to a system that keeps all rules, with the physical address of each region.
fn place_system(
    text: &str,
    search_paths: &[PathBuf],
    board: &Board,
    sink: &Sink<'_>,
) -> Result<(System, Vec<u64>), Vec<Diagnostic>> {
    let parsed = parse::parse(text, search_paths, sink);
    sink.finish_stage()?;
    let mut system = System { board: board.source.clone(), ..parsed.unwrap_or_default() };
    check::check(&system, sink);
    sink.finish_stage()?;
    page_size::choose(&mut system);

    let paddrs = placement::place(&system, board, sink);
    sink.finish_stage()?;
    lower::check_io_memory(&system, &paddrs, sink);
    Ok((system, paddrs))
}

/// From the description's text to the specification and the report.
fn compile(
    text: &str,
    request: &Request,
    board: &Board,
    initialiser: &Program,
    sink: &Sink<'_>,
) -> Result<(Vec<u8>, Report), Vec<Diagnostic>> {
    let text = fill_in(text, board, sink)?;
    let (system, paddrs) = place_system(&text, &request.search_paths, board, sink)?;
    let programs = programs::load(&system, &request.search_paths, &paddrs, sink);
    sink.finish_stage()?;

    let refuse = |problem: String| {
        vec![Diagnostic { file: request.system.clone(), place: Place::whole(), message: problem }]
    };
    let lowered = lower::lower(&system, &programs, &paddrs, board);
    let spec = lowered.map_err(|overflow| refuse(overflow.to_string()))?;
    let bytes = spec.to_bytes().map_err(|overflow| refuse(overflow.to_string()))?;

    let memory = package::memory(initialiser, bytes.len());
    let budget = Budget::of(&spec, memory);
    budget.check(board).map_err(refuse)?;
    placement::below(&system, &paddrs, board, board.image_start + memory, sink);
    sink.finish_stage()?;

    let image = ImageReport {
        memory,
        specification: bytes.len() as u64,
        capability_slots: budget.slots,
        object_memory: budget.object_memory,
    };
    Ok((bytes, Report::new(&system, &programs, &paddrs, board, Some(image))))
}

/// Where the text form of a report goes: beside the JSON form, with the extension `txt`.
#[must_use]
pub fn text_report_path(json: &Path) -> PathBuf {
    json.with_extension("txt")
}
