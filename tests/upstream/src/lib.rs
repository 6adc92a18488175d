// SPDX-License-Identifier: BSD-2-Clause
//! Domains here are written for rust-sel4's interface, so that its crates can take the place of this repository's through
//! cargo's `[patch]`.
//!
//! `standin/` has the signatures that rust-sel4 5.0.0 published, and nothing else: no bodies, and none of what this
//! repository's crates have besides. [`Place`] puts it there, in a workspace like one of this repository's whose `[patch]`
//! names it, and lets the compiler judge.

mod numbers;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use boot::Workspace;

pub use numbers::write_numbers;

/// What the tree's workspace has there: all but the crates whose places are taken, and those for the host alone.
const MEMBERS: &[&str] = &["components/*", "drivers/*", "toolchain/microkit-ext", "toolchain/sel4"];

/// The part of a manifest's line that a user changes, and what of the path stands before the folder's name.
const PATCHED: &str = "sel4-microkit = { path = \"";

/// The kernel that is compiled for.
#[derive(Clone, Copy, Debug)]
pub enum Kernel<'a> {
    /// This repository's.
    Embedded,
    /// A Microkit SDK's, whose folder this is; as much as [`write_numbers`] writes is enough.
    Sdk(&'a Path),
}

/// A workspace with another crate as `sel4-microkit`.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    target: PathBuf,
    config: PathBuf,
}

/// Every protection domain of the tree.
///
/// # Errors
/// The tree cannot be read.
pub fn domains(root: &Path) -> Result<Vec<String>> {
    crates(&root.join("components"))
}

/// The names of the folders with a crate in them.
fn crates(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    ensure!(!names.is_empty(), "{} has no crates", folder.display());
    Ok(names)
}

impl Place {
    /// The tree's workspace, with the crate in `standin` as `sel4-microkit`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn tree(workspace: &Workspace, standin: &Path) -> Result<Self> {
        let root = workspace.root();
        let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
        let manifest = with_members(&with_standin(&manifest, standin)?)?;
        let folders = ["components", "drivers", "tests", "toolchain"];
        Self::make(workspace, "workspace", root, &folders, &manifest)
    }

    /// The workspace of `examples/shared`, and the names of its domains.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn example(workspace: &Workspace, standin: &Path) -> Result<(Self, Vec<String>)> {
        let folder = workspace.root().join("examples/shared");
        let names = crates(&folder)?;
        let manifest = with_standin(&fs::read_to_string(folder.join("Cargo.toml"))?, standin)?;
        let manifest = manifest.replace("../..", &workspace.root().display().to_string());
        let folders: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok((Self::make(workspace, "example", &folder, &folders, &manifest)?, names))
    }

    /// A workspace of one program: `source`, which depends on `sel4-microkit` and nothing else.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn program(workspace: &Workspace, standin: &Path, source: &str) -> Result<Self> {
        let standin = canonical(standin)?;
        let manifest = format!(
            "[package]\nname = \"probe\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\nsel4-microkit = {{ path = {standin:?} }}\n\n\
             [profile.domain]\ninherits = \"release\"\npanic = \"abort\"\n"
        );
        let place = Self::make(workspace, "probe", workspace.root(), &[], &manifest)?;
        let _ = fs::remove_file(place.folder.join("Cargo.lock"));
        fs::create_dir_all(place.folder.join("src"))?;
        fs::write(place.folder.join("src/main.rs"), source)?;
        Ok(place)
    }

    fn make(
        workspace: &Workspace,
        name: &str,
        original: &Path,
        folders: &[&str],
        manifest: &str,
    ) -> Result<Self> {
        let place = workspace.target().join("upstream").join(name);
        fs::create_dir_all(&place)?;
        for name in folders {
            match symlink(original.join(name), place.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
                _ => {}
            }
        }
        fs::write(place.join("Cargo.toml"), manifest)?;
        fs::copy(original.join("Cargo.lock"), place.join("Cargo.lock"))?;
        let target = workspace.target().join("upstream/target");
        Ok(Self { folder: place, target, config: workspace.root().join("toolchain/domain.toml") })
    }

    /// Compiles packages for a kernel, and `features` of them with it; what the compiler says if it refuses.
    ///
    /// # Errors
    /// Cargo cannot be started.
    pub fn check(
        &self,
        kernel: Kernel<'_>,
        packages: &[String],
        features: &[&str],
    ) -> Result<Result<(), String>> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for name in
            ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "MICROKIT_SDK", "MICROKIT_CONFIG"]
        {
            cargo.env_remove(name);
        }
        let mut target = self.target.clone();
        if let Kernel::Sdk(folder) = kernel {
            target.set_extension("sdk");
            cargo.env("MICROKIT_SDK", folder).env("MICROKIT_CONFIG", "debug");
        }
        cargo.current_dir(&self.folder).args(["check", "-q", "--config"]).arg(&self.config);
        cargo.arg("--target-dir").arg(target).args(["--profile", "domain"]);
        cargo.args(packages.iter().flat_map(|package| ["-p", package]));
        cargo.args(features.iter().flat_map(|feature| ["--features", feature]));
        let output = cargo.output().context("cargo")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(if output.status.success() { Ok(()) } else { Err(said) })
    }
}

fn canonical(folder: &Path) -> Result<PathBuf> {
    folder.canonicalize().with_context(|| folder.display().to_string())
}

/// A manifest as a user would change it: another source of the one crate.
fn with_standin(manifest: &str, standin: &Path) -> Result<String> {
    let standin = canonical(standin)?;
    let start = manifest.find(PATCHED).context("the manifest has no patch")?;
    let end = start + manifest[start..].find('\n').context("no end")?;
    let rest = &manifest[end..];
    ensure!(!rest.contains(PATCHED), "the manifest names the crate twice");
    Ok(format!("{}sel4-microkit = {{ path = {standin:?} }}{rest}", &manifest[..start]))
}

/// The tree's manifest with those members that can be compiled without the crates whose places are taken.
fn with_members(manifest: &str) -> Result<String> {
    let quoted = |names: &[&str]| names.iter().map(|name| format!("    \"{name}\",\n")).collect::<String>();
    let list = |manifest: &str, key: &str, members: &str| -> Result<String> {
        let start = manifest.find(&format!("\n{key} = [\n")).with_context(|| format!("no {key}"))?;
        let end = start + manifest[start..].find("\n]\n").context("no end")?;
        Ok(format!("{}\n{key} = [\n{members}{}", &manifest[..start], &manifest[end + 1..]))
    };
    let manifest = list(manifest, "members", &quoted(MEMBERS))?;
    list(&manifest, "default-members", &quoted(&["drivers/gpu-protocol"]))
}
