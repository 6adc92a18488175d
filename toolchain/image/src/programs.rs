// SPDX-License-Identifier: BSD-2-Clause
//! The programs of all domains: found, read, checked against the domains' maps, patched.

use std::path::PathBuf;

use crate::diagnostic::Sink;
use crate::layout;
use crate::model::{Placed, ProtectionDomain, System};
use crate::patch::{self, Target};
use crate::program::{Program, ProgramError, Symbols};
use crate::search;

/// Loads the program of each domain. What is wrong is in the sink, and then the answer is incomplete.
pub(crate) fn load(
    system: &System,
    search_paths: &[PathBuf],
    paddrs: &[u64],
    sink: &Sink<'_>,
) -> Vec<Program> {
    let mut programs = Vec::new();
    for (id, domain) in system.domains.iter().enumerate() {
        let Some(mut program) = read(&domain.program, search_paths, sink, Program::read) else { continue };
        let symbols = match &domain.symbols {
            None => None,
            Some(path) => match read(path, search_paths, sink, Symbols::read) {
                None => continue,
                found => found,
            },
        };
        check_layout(system, domain, &program, sink);
        let path = domain.symbols.as_ref().unwrap_or(&domain.program);
        let mut target = Target { program: &mut program, symbols: symbols.as_ref(), path: &path.value, sink };
        patch::patch(system, id, paddrs, &mut target);
        programs.push(program);
    }
    programs
}

/// A program with the bytes of its file.
pub(crate) fn read_with_file(
    path: &Placed<String>,
    search_paths: &[PathBuf],
    sink: &Sink<'_>,
) -> Option<(Program, Vec<u8>)> {
    read(path, search_paths, sink, |file| {
        let bytes = std::fs::read(file)?;
        Ok((Program::parse(&bytes)?, bytes))
    })
}

fn read<T>(
    path: &Placed<String>,
    search_paths: &[PathBuf],
    sink: &Sink<'_>,
    read: impl Fn(&std::path::Path) -> Result<T, ProgramError>,
) -> Option<T> {
    let Some(file) = search::find(search_paths, &path.value) else {
        sink.error(&path.place, format!("there is no file \"{}\" in the search paths", path.value));
        return None;
    };
    match read(&file) {
        Ok(it) => Some(it),
        Err(error) => {
            sink.error(&path.place, format!("the program \"{}\" cannot be used: {error}", path.value));
            None
        }
    }
}

/// Segments lie below the stack and apart from maps.
pub(crate) fn check_layout(system: &System, domain: &ProtectionDomain, program: &Program, sink: &Sink<'_>) {
    let top = layout::map_top(domain.stack_size);
    for segment in &program.segments {
        let (start, end) = (segment.first_page(), segment.end_page());
        if end > top {
            sink.error(
                &domain.program.place,
                format!(
                    "the program's segment at {start:#x} to {end:#x} reaches the stack; programs end at {top:#x}"
                ),
            );
        }
        for map in &domain.maps {
            let region = &system.regions[map.region];
            let (map_start, map_end) = (map.vaddr.value, map.vaddr.value + region.size);
            if map_start < end && start < map_end {
                sink.error(
                    &map.vaddr.place,
                    format!(
                        "\"{}\" at {map_start:#x} to {map_end:#x} overlaps with the program's segment at {start:#x} \
                         to {end:#x}",
                        region.name
                    ),
                );
            }
        }
    }
}
