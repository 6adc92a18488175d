// SPDX-License-Identifier: BSD-2-Clause
//! Which shared libraries programs need, as the release's own loader finds them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where programs expect the loader, where it is (the former is a link that leads out of the root), and where the
/// libraries are.
const EXPECTED: &str = "usr/lib64/ld-linux-x86-64.so.2";
const LOADER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
const FOLDER: &str = "usr/lib/x86_64-linux-gnu";

/// The programs (paths in the root), their libraries, and the loader: for each path that the machine shall have, the one
/// in the root to copy from.
pub(crate) fn closure(root: &Path, programs: &[PathBuf]) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let root = fs::canonicalize(root).with_context(|| root.display().to_string())?;
    let loader = root.join(LOADER);
    let mut files = BTreeMap::from([(PathBuf::from(EXPECTED), PathBuf::from(LOADER))]);
    for program in programs {
        files.insert(program.clone(), program.clone());
        let mut command = Command::new(&loader);
        command.arg("--library-path").arg(root.join(FOLDER)).arg("--list").arg(root.join(program));
        let output = command.output().with_context(|| format!("starting {}", loader.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{}: {text}", program.display());
        for library in listed(&text) {
            // The name under which it is looked for, with the content of what that leads to.
            if let Ok(library) = Path::new(library).strip_prefix(&root) {
                files.insert(library.to_owned(), library.to_owned());
            }
        }
    }
    Ok(files)
}

/// The paths in what the loader prints: `NAME => PATH (ADDRESS)`.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(" => ")?;
        let (path, _) = rest.rsplit_once(" (")?;
        Some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_what_stands_behind_the_arrow() {
        let text = "\tlinux-vdso.so.1 (0x00007fff)\n\tlibigt.so.0 => /r/usr/lib/libigt.so.0 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 => /r/ld.so (0x00007e)\n";
        assert_eq!(listed(text).collect::<Vec<_>>(), ["/r/usr/lib/libigt.so.0", "/r/ld.so"]);
    }
}
