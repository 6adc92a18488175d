// SPDX-License-Identifier: BSD-2-Clause
//! Program images: ELF files as memory contents with symbols.

use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

use object::LittleEndian;
use object::elf;
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};
use object::read::{Object as _, ObjectSymbol as _};
use thiserror::Error;

use crate::layout::PAGE;

/// Why a file is no program image.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// It is not a 64-bit little-endian ELF file, or a damaged one.
    #[error("it is no ELF file of this kind: {0}")]
    Elf(#[from] object::Error),
    /// It is for something else.
    #[error("{0}")]
    Unsuitable(String),
}

fn unsuitable<T>(message: impl Into<String>) -> Result<T, ProgramError> {
    Err(ProgramError::Unsuitable(message.into()))
}

/// A loadable segment, filled up with zeros to its size in memory.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) vaddr: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) write: bool,
    pub(crate) execute: bool,
}

impl Segment {
    /// First address of its first page.
    pub(crate) fn first_page(&self) -> u64 {
        self.vaddr / PAGE * PAGE
    }

    /// First address behind its last page. Reading a program has made sure that this does not wrap around.
    pub(crate) fn end_page(&self) -> u64 {
        (self.vaddr + self.bytes.len() as u64).next_multiple_of(PAGE)
    }
}

/// Where a symbol is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbol {
    pub(crate) vaddr: u64,
    pub(crate) size: u64,
    /// Whether the symbol table has the name more than once.
    ambiguous: bool,
}

/// The symbols of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Symbols(HashMap<String, Symbol>);

/// A program image.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) entry: u64,
    /// In ascending order; no two share a page.
    pub(crate) segments: Vec<Segment>,
    pub(crate) symbols: Symbols,
}

impl Symbols {
    fn of(file: &ElfFile64<'_, LittleEndian>) -> Result<Self, ProgramError> {
        let mut table: HashMap<String, Symbol> = HashMap::new();
        for symbol in file.symbols() {
            let Ok(name) = symbol.name() else { continue };
            if name.is_empty() || symbol.is_undefined() {
                continue;
            }
            let found = Symbol { vaddr: symbol.address(), size: symbol.size(), ambiguous: false };
            table.entry(name.to_owned()).and_modify(|known| known.ambiguous = true).or_insert(found);
        }
        if table.is_empty() {
            return unsuitable("it has no symbol table");
        }
        Ok(Self(table))
    }

    /// Only the symbols of a file.
    pub(crate) fn read(path: &Path) -> Result<Self, ProgramError> {
        let bytes = fs::read(path)?;
        Self::of(&ElfFile64::parse(&*bytes)?)
    }

    /// The symbol of a name that has the wanted size, or why there is none.
    pub(crate) fn find(
        &self,
        name: &str,
        fits: impl Fn(u64) -> bool,
        wanted: &str,
    ) -> Result<Symbol, String> {
        match self.0.get(name) {
            None => Err(format!("has no symbol \"{name}\"")),
            Some(symbol) if symbol.ambiguous => Err(format!("has several symbols \"{name}\"")),
            Some(symbol) if !fits(symbol.size) => {
                Err(format!("has a symbol \"{name}\" of {} bytes; expected {wanted}", symbol.size))
            }
            Some(&symbol) => Ok(symbol),
        }
    }
}

impl Program {
    /// Reads a program image.
    pub(crate) fn read(path: &Path) -> Result<Self, ProgramError> {
        Self::parse(&fs::read(path)?)
    }

    /// Reads a program image out of the bytes of its file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ProgramError> {
        let file = ElfFile64::<LittleEndian>::parse(bytes)?;
        let endian = LittleEndian;
        let header = file.elf_header();
        if header.e_machine(endian) != elf::EM_X86_64 {
            return unsuitable("it is not for x86-64");
        }
        if header.e_type(endian) != elf::ET_EXEC {
            return unsuitable(
                "it is not a static executable at fixed addresses (link it with -static -no-pie)",
            );
        }
        let mut segments = Vec::new();
        for program_header in file.elf_program_headers() {
            match program_header.p_type(endian) {
                elf::PT_INTERP => return unsuitable("it wants a dynamic linker (link it with -static)"),
                elf::PT_LOAD if program_header.p_memsz(endian) > 0 => {
                    segments.push(segment(bytes, program_header)?);
                }
                _ => {}
            }
        }
        segments.sort_by_key(|segment| segment.vaddr);
        for pair in segments.windows(2) {
            if let [below, above] = pair
                && below.end_page() > above.first_page()
            {
                return unsuitable(format!(
                    "the segments at {:#x} and {:#x} share a page (link it with -z separate-code)",
                    below.vaddr, above.vaddr
                ));
            }
        }
        let entry = header.e_entry(endian);
        let runs = |segment: &&Segment| {
            segment.execute && (segment.vaddr..segment.vaddr + segment.bytes.len() as u64).contains(&entry)
        };
        if segments.iter().find(runs).is_none() {
            return unsuitable(format!("its entry point {entry:#x} is in no executable segment"));
        }
        Ok(Self { entry, segments, symbols: Symbols::of(&file)? })
    }

    /// Overwrites the memory of a symbol, from its start.
    pub(crate) fn write(&mut self, symbol: Symbol, bytes: &[u8]) -> Result<(), String> {
        let target = self.segments.iter_mut().find_map(|segment| {
            let offset = usize::try_from(symbol.vaddr.checked_sub(segment.vaddr)?).ok()?;
            segment.bytes.get_mut(offset..offset.checked_add(bytes.len())?)
        });
        match target {
            Some(target) => {
                target.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(format!("has a symbol at {:#x}, which is in none of its segments", symbol.vaddr)),
        }
    }
}

fn segment(file: &[u8], header: &elf::ProgramHeader64<LittleEndian>) -> Result<Segment, ProgramError> {
    // Far more than any machine here has; keeps a damaged header from asking for all of the host's memory.
    const MAX_SEGMENT: u64 = 1 << 32;
    let endian = LittleEndian;
    let (vaddr, memory) = (header.p_vaddr(endian), header.p_memsz(endian));
    let in_bounds = memory <= MAX_SEGMENT && vaddr.checked_add(memory + PAGE).is_some();
    let Ok(contents) = header.data(endian, file) else {
        return unsuitable(format!("the segment at {vaddr:#x} reaches beyond the file"));
    };
    match usize::try_from(memory) {
        Ok(memory) if in_bounds && contents.len() <= memory => {
            let mut bytes = contents.to_vec();
            bytes.resize(memory, 0);
            let flags = header.p_flags(endian);
            Ok(Segment { vaddr, bytes, write: flags.contains(elf::PF_W), execute: flags.contains(elf::PF_X) })
        }
        _ => unsuitable(format!("the segment at {vaddr:#x} has an impossible size")),
    }
}
