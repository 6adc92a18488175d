// SPDX-License-Identifier: BSD-2-Clause
//! What the documentation is made of: links, blocks of code, commands.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace;

/// The top of the tree.
///
/// # Errors
/// When the sources are gone.
pub fn root() -> Result<PathBuf> {
    Ok(workspace()?.root().to_owned())
}

/// A file's text.
///
/// # Errors
/// When it cannot be read; the error names it.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// The chapters of the guide, by the links of its summary.
///
/// # Errors
/// When there is no summary.
pub fn chapters() -> Result<Vec<PathBuf>> {
    let folder = root()?.join("docs/guide/src");
    let summary = read(&folder.join("SUMMARY.md"))?;
    Ok(links(&summary).map(|link| folder.join(link)).collect())
}

/// Targets of `[text](target)`.
pub fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
}

/// The lines of the fenced blocks of a language.
#[must_use]
pub fn block_lines(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut lines = vec![];
    let mut inside = false;
    for line in text.lines() {
        if line.trim_end() == fence {
            inside = true;
        } else if line.starts_with("```") {
            inside = false;
        } else if inside {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The commands that a page shows, each once: all lines of fenced blocks of `sh`, lines of indented blocks that call a program
/// of the tree, and such calls between backquotes. Comments and repeated blanks are left out; lines that end in a backslash
/// go on.
#[must_use]
pub fn commands(text: &str) -> Vec<String> {
    let is_ours = |text: &str| {
        let words = text.split_whitespace().skip_while(|word| word.contains('='));
        matches!(words.take(2).collect::<Vec<_>>()[..], ["make" | "cargo", _])
    };
    let mut lines = block_lines(text, "sh");
    let whole = text.replace("\\\n", " ");
    for line in whole.lines() {
        lines.extend(line.strip_prefix("    ").filter(|line| is_ours(line)).map(str::to_owned));
        // An ellipsis stands for what another command says in full.
        let quoted =
            line.split('`').skip(1).step_by(2).filter(|text| is_ours(text) && !text.ends_with("..."));
        lines.extend(quoted.map(str::to_owned));
    }
    let mut found: Vec<String> = vec![];
    for line in lines {
        let command = line.split(" #").next().unwrap_or_default();
        let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
        if !command.is_empty() && !found.contains(&command) {
            found.push(command);
        }
    }
    found
}
