// SPDX-License-Identifier: BSD-2-Clause
//! The domains' programs as files: what Microkit's tool demands of them, which needs no SDK to be seen.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use boot::{Kernel, Pieces};
use boot_tests::workspace;
use object::elf;
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{LittleEndian as LE, Object as _, ObjectSymbol as _};

/// Name and size of what the tool writes into every program (Microkit 2.3.0: `symbols.rs`).
const DEMANDED: [(&str, u64); 6] = [
    ("microkit_name", 64),
    ("microkit_passive", 1),
    ("microkit_irqs", 8),
    ("microkit_notifications", 8),
    ("microkit_pps", 8),
    ("microkit_ioports", 8),
];
const PAGE: u64 = 4096;

fn check(file: &[u8]) -> Result<()> {
    let program = ElfFile64::<LE>::parse(file)?;
    let header = program.elf_header();
    ensure!(header.e_type(LE) == elf::ET_EXEC && header.e_machine(LE) == elf::EM_X86_64);
    let headers = program.elf_program_headers();
    let interpreter = headers.iter().any(|header| header.p_type(LE) == elf::PT_INTERP);
    ensure!(!interpreter, "it names a dynamic linker");

    // No two segments share a page, and none is writable and executable.
    let mut segments: Vec<_> = headers.iter().filter(|header| header.p_type(LE) == elf::PT_LOAD).collect();
    segments.sort_by_key(|segment| segment.p_vaddr(LE));
    for pair in segments.windows(2) {
        let end = (pair[0].p_vaddr(LE) + pair[0].p_memsz(LE)).next_multiple_of(PAGE);
        let start = pair[1].p_vaddr(LE);
        ensure!(start / PAGE * PAGE >= end, "the segments before and at {start:#x} share a page");
    }
    let both = elf::PF_W | elf::PF_X;
    ensure!(segments.iter().all(|segment| segment.p_flags(LE) & both != both), "code can be written");

    for (name, size) in DEMANDED {
        let found: Vec<_> = program.symbols().filter(|symbol| symbol.name() == Ok(name)).collect();
        let [symbol] = &found[..] else { anyhow::bail!("{} symbols {name}", found.len()) };
        ensure!(symbol.size() == size, "{name} has {} bytes, not {size}", symbol.size());
        let (start, end) = (symbol.address(), symbol.address() + size);
        let holds = segments.iter().any(|segment| {
            let first = segment.p_vaddr(LE);
            // In the file, and not only in memory.
            segment.p_flags(LE) & elf::PF_W == elf::PF_W
                && start >= first
                && end <= first + segment.p_filesz(LE)
        });
        ensure!(holds, "{name} at {start:#x} is in no writable segment of the file");
    }
    Ok(())
}

#[test]
fn each_domains_program_has_what_microkits_tool_patches_and_segments_of_pages_of_their_own() -> Result<()> {
    let workspace = workspace()?;
    let mut domains = vec![];
    for entry in fs::read_dir(workspace.root().join("components"))? {
        let entry = entry?;
        // What several domains share has no program of its own.
        if entry.path().join("src/main.rs").exists() {
            domains.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    ensure!(domains.iter().any(|domain| domain == "gpu-driver"), "{domains:?}");
    let names: Vec<_> = domains.iter().map(String::as_str).collect();
    Pieces::build(&workspace, Kernel::Debug, &names)?;
    for domain in domains {
        let path = workspace.domain_dir(Kernel::Debug).join(&domain);
        let file = fs::read(&path).with_context(|| path.display().to_string())?;
        check(&file).with_context(|| domain)?;
    }
    Ok(())
}
