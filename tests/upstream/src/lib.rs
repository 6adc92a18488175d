// SPDX-License-Identifier: BSD-2-Clause
//! Domains here are written for rust-sel4's interface, so that its crates can take the place of this repository's through
//! cargo's `[patch]`.
//!
//! `standin/` has the signatures that rust-sel4 5.0.0 published, and nothing else: no bodies, and none of what this
//! repository's crates have besides. [`check`] puts it there, in a workspace like this one whose `[patch]` names it, and
//! lets the compiler judge.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use boot::Workspace;

/// What the workspace has of the tree: all but the crates whose places are taken, and those for the host alone.
const MEMBERS: &[&str] = &["components/*", "drivers/*", "toolchain/microkit-ext"];

/// The line of the workspace's manifest that a user changes.
const PATCHED: &str = "sel4-microkit = { path = \"toolchain/sel4-microkit\" }";

/// Every protection domain of the tree.
///
/// # Errors
/// The tree cannot be read.
pub fn domains(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("components"))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    ensure!(!names.is_empty(), "components/ is empty");
    Ok(names)
}

/// Compiles packages with the crate in `standin` as `sel4-microkit`; what the compiler says if it refuses.
///
/// # Errors
/// The workspace cannot be made, or cargo not be started.
pub fn check(workspace: &Workspace, standin: &Path, packages: &[String]) -> Result<Result<(), String>> {
    let root = workspace.root();
    let folder = workspace.target().join("upstream");
    let copy = folder.join("workspace");
    fs::create_dir_all(&copy)?;
    for name in ["components", "drivers", "tests", "toolchain"] {
        match symlink(root.join(name), copy.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    fs::write(copy.join("Cargo.toml"), with_standin(&manifest, standin)?)?;
    fs::copy(root.join("Cargo.lock"), copy.join("Cargo.lock"))?;

    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&copy).args(["check", "-q", "--config", "toolchain/domain.toml", "--target-dir"]);
    cargo.arg(folder.join("target")).args(["--profile", "domain", "-p", "microkit-ext"]);
    cargo.args(packages.iter().flat_map(|package| ["-p", package]));
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR"] {
        cargo.env_remove(name);
    }
    let output = cargo.output().context("cargo")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(if output.status.success() { Ok(()) } else { Err(said) })
}

/// The manifest of the workspace as a user would change it: other members, another source of the one crate.
fn with_standin(manifest: &str, standin: &Path) -> Result<String> {
    let quoted = |names: &[&str]| names.iter().map(|name| format!("    \"{name}\",\n")).collect::<String>();
    let list = |manifest: &str, key: &str, members: &str| -> Result<String> {
        let start = manifest.find(&format!("\n{key} = [\n")).with_context(|| format!("no {key}"))?;
        let end = start + manifest[start..].find("\n]\n").context("no end")?;
        Ok(format!("{}\n{key} = [\n{members}{}", &manifest[..start], &manifest[end + 1..]))
    };
    let manifest = list(manifest, "members", &quoted(MEMBERS))?;
    let manifest = list(&manifest, "default-members", &quoted(&["drivers/gpu-protocol"]))?;
    ensure!(manifest.matches(PATCHED).count() == 1, "the manifest has no line {PATCHED:?}");
    let standin: PathBuf = standin.canonicalize().with_context(|| standin.display().to_string())?;
    Ok(manifest.replace(PATCHED, &format!("sel4-microkit = {{ path = {standin:?} }}")))
}
