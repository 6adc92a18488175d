// SPDX-License-Identifier: BSD-2-Clause
//! The domains with rust-sel4's interface.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use boot::{Verbosity, Workspace};

fn standin() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("standin/sel4-microkit")
}

/// One test, because both compile in the same place: every domain compiles, and the check notices what it must.
#[test]
fn every_domain_compiles_with_rust_sel4s_interface_and_with_nothing_less() -> Result<()> {
    let workspace = Workspace::locate(Verbosity::Silent)?;
    let domains = upstream::domains(workspace.root())?;
    for known in ["gpu-driver", "paint"] {
        ensure!(domains.iter().any(|name| name == known), "{known} is not among {domains:?}");
    }
    if let Err(said) = upstream::check(&workspace, &standin(), &domains)? {
        bail!("with rust-sel4's interface:\n{said}");
    }

    // One method that domains use is another one.
    let folder = workspace.target().join("upstream/less");
    let _ = fs::remove_dir_all(&folder);
    for name in ["sel4", "sel4-microkit", "macros"] {
        let (from, to) = (standin().join("..").join(name), folder.join(name));
        fs::create_dir_all(to.join("src"))?;
        for file in ["Cargo.toml", "src/lib.rs"] {
            let text = fs::read_to_string(from.join(file))?;
            fs::write(to.join(file), text.replace("pub fn notify(&self)", "pub fn notify(&self, _: ())"))?;
        }
    }
    let said = upstream::check(&workspace, &folder.join("sel4-microkit"), &domains)?;
    ensure!(
        said.is_err_and(|said| said.contains("notify")),
        "a method with another signature is not noticed"
    );
    Ok(())
}
