// SPDX-License-Identifier: BSD-2-Clause
//! Programs as the SDK's tool gets them: the file as it is, but for grant tables and constants.
//!
//! That tool finds the variables of Microkit's runtime by name and writes without asking for their size, so they
//! are checked here: each is there once, has its size, and lies in a writable segment. That no two segments share a
//! page, which it demands too, reading the program has made sure of.

use std::path::PathBuf;

use object::LittleEndian;
use object::elf;
use object::read::Object as _;
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};

use crate::diagnostic::Sink;
use crate::model::System;
use crate::patch::{self, Grants, Target};
use crate::program::Program;
use crate::programs;

/// Name and size of every variable that the SDK's tool writes (Microkit 2.3.0: `symbols.rs`).
const DEMANDED: [(&str, u64); 6] = [
    ("microkit_name", 64),
    ("microkit_passive", 1),
    ("microkit_irqs", 8),
    ("microkit_notifications", 8),
    ("microkit_pps", 8),
    ("microkit_ioports", 8),
];

/// The program of a domain as the SDK's tool gets it.
pub(super) struct File {
    /// Where it lies in the tool's search folder: as the description says, unless another domain has the same program
    /// with other contents.
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// Loads the program of each domain, in the order of the domains. What is wrong is in the sink, and then the answer is
/// incomplete.
pub(super) fn load(
    system: &System,
    search_paths: &[PathBuf],
    paddrs: &[u64],
    sink: &Sink<'_>,
) -> (Vec<Program>, Vec<File>) {
    let (mut loaded, mut files) = (Vec::new(), Vec::<File>::new());
    for (id, domain) in system.domains.iter().enumerate() {
        let Some((mut program, bytes)) = programs::read_with_file(&domain.program, search_paths, sink) else {
            continue;
        };
        programs::check_layout(system, domain, &program, sink);
        let problem = |problem: String| {
            sink.error(&domain.program.place, format!("the program \"{}\" {problem}", domain.program.value));
        };
        if domain.symbols.is_none() {
            DEMANDED.iter().filter_map(|&(name, size)| demand(&program, name, size).err()).for_each(problem);
        }
        let path = &domain.program.value;
        let mut target = Target { program: &mut program, symbols: None, path, sink };
        patch::constants(system, id, &mut target);
        patch::board_file(system, id, &mut target);
        patch::grant_rows(system, id, Grants::MappedFromTheStart, &mut target);
        patch::grant_tables(system, id, paddrs, Grants::MappedFromTheStart, &mut target);
        match with_segments(bytes, &program) {
            Ok(bytes) => {
                let taken = files.iter().any(|file| file.path == *path && file.bytes != bytes);
                let path = if taken { format!("{path}.{}", domain.name) } else { path.clone() };
                files.push(File { path, bytes });
            }
            Err(text) => problem(text),
        }
        loaded.push(program);
    }
    (loaded, files)
}

fn demand(program: &Program, name: &str, size: u64) -> Result<(), String> {
    let symbol = program.symbols.find(name, |found| found == size, &size.to_string())?;
    let holds = program.segments.iter().any(|segment| {
        segment.write
            && symbol.vaddr >= segment.vaddr
            && symbol.vaddr + size <= segment.vaddr + segment.bytes.len() as u64
    });
    if holds { Ok(()) } else { Err(format!("has its symbol \"{name}\" in no writable segment")) }
}

/// The file with the segments' contents as they are now.
fn with_segments(mut file: Vec<u8>, program: &Program) -> Result<Vec<u8>, String> {
    let mut places = Vec::new();
    {
        let parsed = ElfFile64::<LittleEndian>::parse(&*file).map_err(|error| error.to_string())?;
        for header in parsed.elf_program_headers() {
            if header.p_type(LittleEndian) == elf::PT_LOAD && header.p_memsz(LittleEndian) > 0 {
                let (offset, size) = header.file_range(LittleEndian);
                places.push((header.p_vaddr(LittleEndian), offset, size));
            }
        }
        debug_assert!(parsed.is_little_endian() && parsed.elf_header().is_class_64());
    }
    for (vaddr, offset, size) in places {
        let Some(segment) = program.segments.iter().find(|segment| segment.vaddr == vaddr) else { continue };
        let (Ok(offset), Ok(size)) = (usize::try_from(offset), usize::try_from(size)) else { continue };
        let (Some(contents), Some(rest)) = (segment.bytes.get(..size), segment.bytes.get(size..)) else {
            continue;
        };
        if rest.iter().any(|&byte| byte != 0) {
            return Err(
                "has a grant table or constant that is not in its file: give the variable a place in .data"
                    .into(),
            );
        }
        if let Some(target) = file.get_mut(offset..offset + size) {
            target.copy_from_slice(contents);
        }
    }
    Ok(file)
}
