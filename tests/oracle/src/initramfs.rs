// SPDX-License-Identifier: BSD-2-Clause
//! The machine's first file system: an archive in cpio's `newc` form (Linux: Documentation/driver-api/early-userspace/
//! buffer-format.rst), uncompressed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Kinds and rights of entries, as in `st_mode`.
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;
const DEVICE: u32 = 0o020_600;

/// An archive that is being filled. Folders come by themselves.
#[derive(Debug, Default)]
pub(crate) struct Initramfs {
    /// By path without the leading slash, so that folders come before what is in them.
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    mode: u32,
    content: Vec<u8>,
    /// Major and minor number of a device.
    device: (u32, u32),
}

impl Initramfs {
    /// An archive with nothing but the console.
    pub(crate) fn new() -> Self {
        let mut this = Self::default();
        this.insert("/dev/console", Entry { mode: DEVICE, content: vec![], device: (5, 1) });
        this
    }

    fn insert(&mut self, path: &str, entry: Entry) {
        let path = path.trim_start_matches('/');
        for (at, _) in path.match_indices('/') {
            let folder = || Entry { mode: FOLDER, content: vec![], device: (0, 0) };
            self.entries.entry(path[..at].to_owned()).or_insert_with(folder);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// Adds a file with this content.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) {
        self.insert(path, Entry { mode: PROGRAM, content: content.to_vec(), device: (0, 0) });
    }

    /// Adds a copy of a file of the host, executable.
    pub(crate) fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| from.display().to_string())?;
        self.insert(path, Entry { mode: PROGRAM, content, device: (0, 0) });
        Ok(())
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.insert(path, Entry { mode: LINK, content: target.into(), device: (0, 0) });
    }

    /// Writes the archive.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut bytes = vec![];
        for (number, (name, entry)) in (1_u32..).zip(&self.entries) {
            append(&mut bytes, number, name, entry)?;
        }
        append(&mut bytes, 0, "TRAILER!!!", &Entry { mode: 0, content: vec![], device: (0, 0) })?;
        fs::write(path, bytes).with_context(|| path.display().to_string())
    }
}

fn append(bytes: &mut Vec<u8>, number: u32, name: &str, entry: &Entry) -> Result<()> {
    let size = u32::try_from(entry.content.len()).context("a file of 4 GiB")?;
    let name_size = u32::try_from(name.len() + 1)?;
    // inode, mode, user, group, links, time, size, device (2), device that it is (2), size of the name, checksum
    let fields = [number, entry.mode, 0, 0, 1, 0, size, 0, 0, entry.device.0, entry.device.1, name_size, 0];
    bytes.extend(b"070701");
    for field in fields {
        bytes.extend(format!("{field:08x}").bytes());
    }
    bytes.extend(name.bytes());
    bytes.push(0);
    pad(bytes);
    bytes.extend(&entry.content);
    pad(bytes);
    Ok(())
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpio_reads_the_archive() -> Result<()> {
        let mut initramfs = Initramfs::new();
        initramfs.file("/a/b/file", b"content");
        initramfs.link("/a/link", "b/file");
        let path = std::env::temp_dir().join(format!("oracle-initramfs-{}", std::process::id()));
        initramfs.write(&path)?;
        let bytes = fs::read(&path)?;
        fs::remove_file(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(text.matches("070701").count(), 7, "dev, console, a, a/b, the file, the link, the end");
        let positions: Vec<_> = ["a\0", "a/b\0", "a/b/file\0", "a/link\0", "TRAILER!!!\0"]
            .iter()
            .filter_map(|name| text.find(&format!("00000000{name}")))
            .collect();
        assert_eq!(positions.len(), 5);
        assert!(positions.is_sorted());
        Ok(())
    }
}
