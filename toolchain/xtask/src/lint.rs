// SPDX-License-Identifier: BSD-2-Clause
//! `lint`: format and lints, of the packages for the host and of those for protection domains; the reference, which has to be
//! made without a warning; and the guide, whose links have to lead somewhere.

use std::process::Command;

use anyhow::{Context, Result};
use boot::{Kernel, Workspace};

use crate::guide;
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
    cargo.arg("-q").args(selection(&packages.domain));
    // On the host it is without what only a domain can have.
    cargo.args(["-p", "gpu-client-c", "--features", "gpu-client-c/runtime", "--", "-D", "warnings"]);
    workspace.run("lint", &mut cargo).context("the domains' packages have lints")?;

    reference(workspace, &packages)?;
    println!("{}", guide::guide(workspace)?);
    Ok(format!("lint: ok: {} packages", packages.host.len() + packages.domain.len()))
}

/// Makes the reference of every package. Links that lead nowhere are warnings of rustdoc, and warnings are errors here.
fn reference(workspace: &Workspace, packages: &Packages) -> Result<()> {
    workspace.step("lint: the reference");
    // Flags for the compiler are none for rustdoc.
    for (mut cargo, packages, flags) in [
        (workspace.cargo("doc"), &packages.host, "-D warnings"),
        (workspace.domain_cargo("doc", Kernel::Debug), &packages.domain, "-D warnings --cfg=sel4_domain"),
    ] {
        cargo.args(["-q", "--no-deps"]).args(selection(packages)).env("RUSTDOCFLAGS", flags);
        workspace.run("lint", &mut cargo).context("the reference has warnings")?;
    }
    Ok(())
}
