// SPDX-License-Identifier: BSD-2-Clause
//! The bootable image: the initialiser with the specification as one more segment.
//!
//! The result is the least that the kernel's loader needs: an ELF header, program headers, the segments' bytes.
//! The initialiser finds the specification through a variable (see [`image_spec::place`]).

use image_spec::place::{self, FailureExit};
use object::elf;

use crate::board::Source;
use crate::layout::PAGE;
use crate::patch::file_name;
use crate::program::{Program, Segment};

/// Bytes of memory, from its first address to its last in whole pages, of an image with a specification of this
/// length.
pub(crate) fn memory(initialiser: &Program, spec_len: usize) -> u64 {
    end(initialiser) + (spec_len as u64).next_multiple_of(PAGE) - start(initialiser)
}

fn start(program: &Program) -> u64 {
    program.segments.iter().map(Segment::first_page).min().unwrap_or(0)
}

fn end(program: &Program) -> u64 {
    program.segments.iter().map(Segment::end_page).max().unwrap_or(0)
}

/// Joins the two.
///
/// # Errors
/// The initialiser lacks one of the two variables; the text says which.
pub(crate) fn package(
    mut initialiser: Program,
    spec: Vec<u8>,
    exit: Option<FailureExit>,
    board: &Source,
) -> Result<Vec<u8>, String> {
    let vaddr = end(&initialiser);
    let symbol = initialiser.symbols.find(place::SYMBOL, |size| size == 24, "24")?;
    let words = [vaddr, spec.len() as u64, FailureExit::to_word(exit)].map(u64::to_le_bytes);
    initialiser.write(symbol, &words.concat())?;
    let lines = ["memory", "ram", "device"].map(|key| u64::from(board.line(key)).to_le_bytes());
    let whole = [&file_name(board.file())[..], &lines.concat()].concat();
    let size = whole.len() as u64;
    let symbol = initialiser.symbols.find(place::BOARD_SYMBOL, |found| found == size, &size.to_string())?;
    initialiser.write(symbol, &whole)?;
    initialiser.segments.push(Segment { vaddr, bytes: spec, write: false, execute: false });
    Ok(write_elf(&initialiser))
}

const HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;

fn write_elf(program: &Program) -> Vec<u8> {
    let mut headers = Vec::new();
    let mut body = Vec::new();
    let body_start =
        PAGE.max((HEADER + PROGRAM_HEADER * program.segments.len() as u64).next_multiple_of(PAGE));
    for segment in &program.segments {
        // Trailing zeros are left to the kernel, which clears the memory first.
        let len = segment.bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        // A byte's offset in the file and its address agree within a page.
        let misfit = (segment.vaddr.wrapping_sub(body_start + body.len() as u64)) % PAGE;
        body.extend(std::iter::repeat_n(0, usize::try_from(misfit).unwrap_or(0)));
        let offset = body_start + body.len() as u64;
        body.extend_from_slice(&segment.bytes[..len]);

        let mut flags = elf::PF_R.0;
        if segment.write {
            flags |= elf::PF_W.0;
        }
        if segment.execute {
            flags |= elf::PF_X.0;
        }
        headers.extend_from_slice(&elf::PT_LOAD.0.to_le_bytes());
        headers.extend_from_slice(&flags.to_le_bytes());
        let sizes = [offset, segment.vaddr, segment.vaddr, len as u64, segment.bytes.len() as u64, PAGE];
        sizes.iter().for_each(|word| headers.extend_from_slice(&word.to_le_bytes()));
    }

    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    file.resize(16, 0);
    let half = |file: &mut Vec<u8>, value: u16| file.extend_from_slice(&value.to_le_bytes());
    half(&mut file, elf::ET_EXEC.0);
    half(&mut file, elf::EM_X86_64.0);
    file.extend_from_slice(&1u32.to_le_bytes());
    for word in [program.entry, HEADER, 0] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(&0u32.to_le_bytes());
    let count = u16::try_from(program.segments.len()).unwrap_or(u16::MAX);
    // Sizes of this header and of a program header, number of those; no sections.
    for value in [64, 56, count, 64, 0, 0] {
        half(&mut file, value);
    }
    file.extend_from_slice(&headers);
    file.resize(usize::try_from(body_start).unwrap_or(0), 0);
    file.extend_from_slice(&body);
    file
}
