// SPDX-License-Identifier: BSD-2-Clause
//! The folder of an SDK, and whether it is one that can be used.

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The versions that a domain's layout and this tool's output were measured with.
const VERSIONS: &[&str] = &["2.3.0"];

/// The only board with an x86 processor and no virtual machines.
const BOARD: &str = "x86_64_generic";

/// What a folder has to be.
const EXPECTED: &str = "what is expected has VERSION, bin and board in it";

/// An SDK, looked through.
#[derive(Clone, Debug)]
pub struct Sdk {
    folder: PathBuf,
    version: String,
    config: String,
}

/// Why a folder cannot be used as SDK.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SdkError {
    /// It has no name.
    #[error("the name of the Microkit SDK's folder is empty; {EXPECTED}")]
    Empty,
    /// There is no such folder.
    #[error("{folder} is no Microkit SDK: there is no such folder{base}; {EXPECTED}")]
    NoFolder {
        /// The folder.
        folder: String,
        /// Where a relative one was looked for.
        base: String,
    },
    /// It lacks what every SDK has.
    #[error("{folder} is no Microkit SDK: there is no {missing} in it")]
    NotAnSdk {
        /// The folder.
        folder: String,
        /// What is missing.
        missing: &'static str,
    },
    /// Its version is another.
    #[error("{folder} is Microkit {found}; what is supported is {}", VERSIONS.join(", "))]
    Version {
        /// The folder.
        folder: String,
        /// What it is.
        found: String,
    },
    /// It was built without the board.
    #[error("{folder} has no board {BOARD}; it has {found}")]
    Board {
        /// The folder.
        folder: String,
        /// The boards that it has.
        found: String,
    },
    /// It was built without the configuration.
    #[error("{folder} has no configuration {wanted} of the board {BOARD}; it has {found}")]
    Config {
        /// The folder.
        folder: String,
        /// What was asked for.
        wanted: String,
        /// The configurations that it has.
        found: String,
    },
}

impl Sdk {
    /// Looks through the folder of an SDK.
    ///
    /// # Errors
    /// [`SdkError`] says what is wrong with it.
    pub fn open(folder: &Path, config: &str) -> Result<Self, SdkError> {
        let shown = || folder.display().to_string();
        if folder.as_os_str().is_empty() {
            return Err(SdkError::Empty);
        }
        if !folder.is_dir() {
            let here = std::env::current_dir().ok().filter(|_| folder.is_relative());
            let base = here.map(|here| format!(" in {}", here.display())).unwrap_or_default();
            return Err(SdkError::NoFolder { folder: shown(), base });
        }
        let missing = |missing| SdkError::NotAnSdk { folder: shown(), missing };
        let version = fs::read_to_string(folder.join("VERSION")).map_err(|_| missing("VERSION"))?;
        let version = version.trim().to_owned();
        // What follows the number, behind a plus or minus, is the build's.
        let number = version.split(['+', '-']).next().unwrap_or_default();
        if !VERSIONS.contains(&number) {
            return Err(SdkError::Version { folder: shown(), found: version });
        }
        if !folder.join("bin/microkit").is_file() {
            return Err(missing("bin/microkit"));
        }
        let board = folder.join("board").join(BOARD);
        if !board.is_dir() {
            return Err(SdkError::Board { folder: shown(), found: names(&folder.join("board")) });
        }
        if !board.join(config).is_dir() {
            return Err(SdkError::Config {
                folder: shown(),
                wanted: config.to_owned(),
                found: names(&board),
            });
        }
        // The tool is started elsewhere.
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Ok(Self { folder, version, config: config.to_owned() })
    }

    /// Its folder, absolute.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its name of the board.
    #[must_use]
    pub fn board(&self) -> &'static str {
        BOARD
    }

    /// Its name of the configuration: `debug` prints, `release` does not.
    #[must_use]
    pub fn config(&self) -> &str {
        &self.config
    }

    /// Its image tool.
    #[must_use]
    pub fn tool(&self) -> PathBuf {
        self.folder.join("bin/microkit")
    }

    /// Its kernel, in the form that QEMU's loader takes.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        self.folder.join("board").join(BOARD).join(&self.config).join("elf/sel4_32.elf")
    }
}

/// The names in a folder, for a message.
fn names(folder: &Path) -> String {
    let entries = fs::read_dir(folder).map(|entries| entries.flatten().collect()).unwrap_or_else(|_| vec![]);
    let mut names: Vec<_> =
        entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
