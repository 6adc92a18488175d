// SPDX-License-Identifier: BSD-2-Clause
//! Files that a description names.

use std::path::{Path, PathBuf};

/// The file that a relative path means: in the first search path that has it. An absolute path means itself.
pub(crate) fn find(search_paths: &[PathBuf], path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    if path.is_absolute() {
        return path.is_file().then(|| path.to_owned());
    }
    search_paths.iter().map(|folder| folder.join(path)).find(|candidate| candidate.is_file())
}
