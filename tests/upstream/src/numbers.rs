// SPDX-License-Identifier: BSD-2-Clause
//! The part of a Microkit SDK that compiling a domain reads: the numbers of its kernel's interface. That is enough to compile
//! for that kernel where there is no SDK; to link, and to run, takes a real one.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use boot::Workspace;
use serde_json::{Value, json};

/// Writes them into `folder`, from those that the tree keeps for its tests.
///
/// # Errors
/// They cannot be read or written.
pub fn write_numbers(workspace: &Workspace, folder: &Path) -> Result<()> {
    let kept = workspace.root().join("toolchain/sel4/build/published.json");
    let kept: Value = serde_json::from_str(&fs::read_to_string(kept)?)?;
    let board = folder.join("board/x86_64_generic/debug");
    fs::create_dir_all(board.join("include/sel4"))?;
    fs::create_dir_all(board.join("include/kernel"))?;
    fs::write(board.join("invocations_all.json"), kept["debug"]["labels"].to_string())?;
    let calls = kept["syscalls"].as_object().context("published.json has no system calls")?;
    let calls: String =
        calls.iter().map(|(name, number)| format!("    seL4_Sys{name} = {number},\n")).collect();
    fs::write(
        board.join("include/sel4/syscall.h"),
        format!("typedef enum {{\n{calls}}} seL4_Syscall_ID;\n"),
    )?;
    let configuration =
        json!({ "KERNEL_MCS": true, "SEL4_ARCH": "x86_64", "DEBUG_BUILD": true, "PRINTING": true });
    fs::write(board.join("include/kernel/gen_config.json"), configuration.to_string())?;
    Ok(())
}
