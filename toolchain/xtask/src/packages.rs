// SPDX-License-Identifier: BSD-2-Clause
//! Which of the workspace's packages are for the host, and which for a protection domain.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use boot::Workspace;
use serde::Deserialize;

/// As much of `cargo metadata` as is needed here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_default_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    test: bool,
}

/// The workspace's packages, sorted by where they can be built.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packages {
    /// The default members: everything about them is for the host.
    pub(crate) host: Vec<String>,
    /// The others: built with the flags of protection domains.
    pub(crate) domain: Vec<String>,
    /// Those of the others that have a library whose own tests run on the host.
    pub(crate) host_tested: Vec<String>,
}

impl Packages {
    /// Asks cargo.
    pub(crate) fn list(workspace: &Workspace) -> Result<Self> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(workspace.root()).args(["metadata", "--no-deps", "--format-version", "1"]);
        let output = cargo.output().context("cannot start cargo")?;
        ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        Ok(Self::sort(metadata))
    }

    fn sort(metadata: Metadata) -> Self {
        let is_host = |package: &Package| metadata.workspace_default_members.contains(&package.id);
        let (host, domain): (Vec<_>, Vec<_>) = metadata.packages.iter().partition(|package| is_host(package));
        let has_tested_library = |package: &&&Package| {
            package.targets.iter().any(|target| {
                target.test
                    && target.kind.iter().any(|kind| ["lib", "rlib", "proc-macro"].contains(&kind.as_str()))
            })
        };
        let names = |packages: &[&Package]| packages.iter().map(|package| package.name.clone()).collect();
        let host_tested: Vec<_> = domain.iter().filter(has_tested_library).copied().collect();
        Self { host: names(&host), domain: names(&domain), host_tested: names(&host_tested) }
    }
}

/// `-p NAME` for each.
pub(crate) fn selection<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    names.into_iter().flat_map(|name| ["-p", name.as_str()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_outside_the_default_members_is_tested_on_the_host_unless_it_says_no() -> Result<()> {
        let metadata = serde_json::from_str(
            r#"{ "workspace_default_members": ["id-model"], "packages": [
                { "id": "id-model", "name": "model", "targets": [{ "kind": ["lib"], "test": true }] },
                { "id": "id-sel4", "name": "sel4", "targets": [{ "kind": ["lib"], "test": true }] },
                { "id": "id-macros", "name": "macros", "targets": [{ "kind": ["proc-macro"], "test": true }] },
                { "id": "id-quiet", "name": "quiet", "targets": [{ "kind": ["lib"], "test": false }] },
                { "id": "id-driver", "name": "driver", "targets": [{ "kind": ["bin"], "test": false }] }
            ] }"#,
        )?;
        let sorted = Packages::sort(metadata);
        assert_eq!(sorted.host, ["model"]);
        assert_eq!(sorted.domain, ["sel4", "macros", "quiet", "driver"]);
        assert_eq!(sorted.host_tested, ["sel4", "macros"]);
        assert_eq!(selection(&sorted.host_tested), ["-p", "sel4", "-p", "macros"]);
        Ok(())
    }
}
