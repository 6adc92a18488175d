// SPDX-License-Identifier: BSD-2-Clause
//! `lint`: format and lints, of the packages for the host and of those for protection domains.

use std::process::Command;

use anyhow::{Context, Result};
use boot::{Kernel, Workspace};

use crate::packages::{Packages, selection};

pub(crate) fn lint(workspace: &Workspace) -> Result<String> {
    let packages = Packages::list(workspace)?;
    workspace.step("lint: format");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace.root()).args(["fmt", "--all", "--check"]);
    workspace.run("lint", &mut cargo).context("the format differs from what `cargo fmt` makes")?;

    // The crate `sel4` reads the kernel's interface.
    Kernel::Debug.build(workspace)?;
    workspace.step("lint: packages for the host");
    let mut cargo = workspace.cargo("clippy");
    cargo.args(["-q", "--all-targets"]).args(selection(packages.host.iter().chain(&packages.host_tested)));
    cargo.args(["--", "-D", "warnings"]);
    workspace.run("lint", &mut cargo).context("the host's packages have lints")?;

    workspace.step("lint: packages for protection domains");
    let mut cargo = workspace.domain_cargo("clippy", Kernel::Debug);
    cargo.arg("-q").args(selection(&packages.domain)).args(["--", "-D", "warnings"]);
    workspace.run("lint", &mut cargo).context("the domains' packages have lints")?;
    Ok(format!("lint: ok: {} packages", packages.host.len() + packages.domain.len()))
}
