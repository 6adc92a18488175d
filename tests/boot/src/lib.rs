// SPDX-License-Identifier: BSD-2-Clause
//! What the boot tests have in common: the systems of `systems/`, put together from the domains of `domains/`, and
//! booted on the real kernel.
//!
//! A system passes when its judge says so with exit code 0. Each run leaves its serial.log, its image's report and
//! whatever else there is in `target/boot-tests/NAME`.

pub mod documents;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use boot::{Ending, Image, Kernel, Line, Machine, Outcome, Pieces, SdkPieces, Verbosity, Workspace};

/// A run takes two seconds. The rest is for a machine that is busy with other things: a deadline that passes is a hang.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// The same on the kernel of a Microkit SDK, whose boot alone takes as long as a whole run here.
pub const SDK_DEADLINE: Duration = Duration::from_secs(300);

/// The sources and where results go.
///
/// # Errors
/// When the sources are gone.
pub fn workspace() -> Result<Workspace> {
    Workspace::locate(Verbosity::Silent)
}

/// The Microkit SDK that the tests were built with.
///
/// # Errors
/// When there is none, or it has no such configuration.
pub fn sdk(config: &str) -> Result<boot::Sdk> {
    let folder = PathBuf::from(std::env::var_os("MICROKIT_SDK").context("MICROKIT_SDK is not set")?);
    ensure!(folder.is_absolute(), "MICROKIT_SDK is {}: an absolute path is expected", folder.display());
    Ok(boot::Sdk::open(&folder, config)?)
}

/// Variables that the test's own cargo and make pass down, and that mean something to those that it starts. Make takes its
/// variables from the environment, too.
pub const HANDED_DOWN: [&str; 8] = [
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "MICROKIT_SDK",
    "MICROKIT_BOARD",
    "MICROKIT_CONFIG",
    "CONFIG",
    "RUSTFLAGS",
];

/// `make` in a folder, as a user types it: without what the test's own cargo and make pass down.
#[must_use]
pub fn make(folder: &Path) -> Command {
    let mut make = Command::new("make");
    make.arg("-C").arg(folder).stdin(Stdio::null());
    for name in HANDED_DOWN {
        make.env_remove(name);
    }
    make
}

/// The kernel, the initialiser and the tests' domains, built once for all tests of a program.
fn pieces() -> Result<&'static Pieces> {
    static PIECES: OnceLock<Result<Pieces, String>> = OnceLock::new();
    let built = PIECES.get_or_init(|| {
        let pieces =
            workspace().and_then(|workspace| Pieces::build(&workspace, Kernel::Debug, &["boot-domains"]));
        pieces.map_err(|error| format!("{error:#}"))
    });
    built.as_ref().map_err(|error| anyhow!("{error}"))
}

/// The description of a system of `systems/`.
fn description(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.root().join("tests/boot/systems").join(name).with_extension("xml")
}

/// A system of `systems/`.
pub struct System {
    /// What it is booted on; tests attach what they need.
    pub machine: Machine,
    image: Image,
}

impl System {
    /// Builds the system that `systems/NAME.xml` describes.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn new(name: &str) -> Result<Self> {
        Self::variant(name, "")
    }

    /// The same, for one of several tests of that system, which may run at the same time.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn variant(name: &str, variant: &str) -> Result<Self> {
        Self::from_pieces(pieces()?, name, variant)
    }

    /// The same, out of pieces that the test has built.
    ///
    /// # Errors
    /// When it cannot be put together.
    pub fn of(pieces: &Pieces, name: &str) -> Result<Self> {
        Self::from_pieces(pieces, name, "")
    }

    /// The same, for one of several runs of that system.
    ///
    /// # Errors
    /// When it cannot be put together.
    pub fn variant_of(pieces: &Pieces, name: &str, variant: &str) -> Result<Self> {
        Self::from_pieces(pieces, name, &format!("-{variant}"))
    }

    /// The same, for the kernel of a Microkit SDK.
    ///
    /// # Errors
    /// When it cannot be put together.
    pub fn with_sdk(pieces: &SdkPieces, name: &str) -> Result<Self> {
        let workspace = workspace()?;
        let folder = workspace.target().join("boot-tests").join(format!("{name}-sdk"));
        let board = boot::board_file(&workspace, boot::DEFAULT_BOARD)?;
        let image =
            pieces.image_on(&workspace, &board, &description(&workspace, name), &folder.join("image"))?;
        Ok(Self { machine: Machine::new(folder.join("run")).deadline(SDK_DEADLINE), image })
    }

    /// A system that is described elsewhere: `description` is a path from the top of the tree.
    ///
    /// # Errors
    /// When it cannot be put together.
    pub fn described(pieces: &Pieces, name: &str, description: &str) -> Result<Self> {
        let workspace = workspace()?;
        let folder = workspace.target().join("boot-tests").join(name);
        let image = pieces.image(&workspace, &workspace.root().join(description), &folder.join("image"))?;
        Ok(Self { machine: Machine::new(folder.join("run")).deadline(DEADLINE), image })
    }

    fn from_pieces(pieces: &Pieces, name: &str, variant: &str) -> Result<Self> {
        let workspace = workspace()?;
        let folder = workspace.target().join("boot-tests").join(format!("{name}{variant}"));
        let image = pieces.image(&workspace, &description(&workspace, name), &folder.join("image"))?;
        Ok(Self { machine: Machine::new(folder.join("run")).deadline(DEADLINE), image })
    }

    /// Changes the machine.
    #[must_use]
    pub fn on(mut self, change: impl FnOnce(Machine) -> Machine) -> Self {
        self.machine = change(self.machine);
        self
    }

    /// What is booted.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Where a run leaves its files.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.machine.folder().to_owned()
    }

    /// Boots it until it ends or `enough` says so.
    ///
    /// # Errors
    /// When the run has no outcome.
    pub fn boot(&self, mut enough: impl FnMut(&Line) -> bool) -> Result<Outcome> {
        let watch =
            |line: &Line| if enough(line) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        Ok(self.machine.run(&self.image, watch)?)
    }

    /// Boots it and expects that it passes, with no domain broken on the way.
    ///
    /// # Errors
    /// When it does not.
    pub fn passes(&self) -> Result<Outcome> {
        let outcome = self.boot(Line::tells_of_a_break)?;
        expect_pass(&outcome)?;
        Ok(outcome)
    }
}

/// Checks that the judge of a run found that everything holds.
///
/// # Errors
/// When it did not, with the last lines of the serial port.
pub fn expect_pass(outcome: &Outcome) -> Result<()> {
    match outcome.ending {
        Ending::Exit(0) => Ok(()),
        Ending::Exit(code) => bail!("exit code {code}:\n{}", outcome.tail()),
        Ending::Stopped => bail!("a domain broke:\n{}", outcome.tail()),
    }
}

/// The line that contains all of `parts`; a single one may be torn ([`Outcome::told`]).
///
/// # Errors
/// When there is none.
pub fn line_with<'o>(outcome: &'o Outcome, parts: &[&str]) -> Result<&'o str> {
    let found = match parts {
        [text] => outcome.told(text),
        _ => outcome.lines.iter().find(|line| parts.iter().all(|part| line.text.contains(part))),
    };
    let found = found.with_context(|| format!("no line has {parts:?}:\n{}", outcome.tail()))?;
    Ok(&found.text)
}
