// SPDX-License-Identifier: BSD-2-Clause
//! Finds the files that describe the kernel's interface.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Names a folder that `toolchain/kernel/build.sh` filled.
pub(crate) const DIRECTORY_VARIABLE: &str = "SEL4_INTERFACES_DIR";

/// The files, in the order in which the kernel numbers through them: generic, then those of the
/// processor mode (`sel4_arch`: x86_64), then those of the processor family (`arch`: x86).
pub(crate) struct Interfaces {
    invocations: [PathBuf; 3],
    object_types: [PathBuf; 3],
    syscalls: PathBuf,
    configuration: Vec<PathBuf>,
}

impl Interfaces {
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let singles = std::iter::once(&self.syscalls).chain(&self.configuration);
        self.invocations.iter().chain(&self.object_types).chain(singles)
    }

    pub(crate) fn invocations(&self) -> Result<Vec<String>, String> {
        self.invocations.iter().map(|path| read(path)).collect()
    }

    pub(crate) fn object_types(&self) -> Result<Vec<String>, String> {
        self.object_types.iter().map(|path| read(path)).collect()
    }

    pub(crate) fn syscalls(&self) -> Result<String, String> {
        read(&self.syscalls)
    }

    pub(crate) fn configuration(&self) -> Result<String, String> {
        self.configuration.iter().map(|path| read(path)).collect()
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

pub(crate) fn locate() -> Result<Interfaces, String> {
    if let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) {
        let directory = PathBuf::from(directory);
        if !directory.is_absolute() {
            return Err(format!("{DIRECTORY_VARIABLE} is not absolute: {}", directory.display()));
        }
        if !directory.join("sel4.xml").is_file() {
            return Err(format!(
                "{DIRECTORY_VARIABLE} names {}, which has no sel4.xml: run toolchain/kernel/build.sh",
                directory.display()
            ));
        }
        return Ok(in_build_output(&directory));
    }
    let package =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo set no CARGO_MANIFEST_DIR")?);
    let built = package.join("../../target/kernel/debug/interfaces");
    if built.join("sel4.xml").is_file() {
        return Ok(in_build_output(&built));
    }
    let kernel = package.join("../kernel");
    Ok(in_source(&source(&kernel)?, &kernel))
}

fn in_build_output(directory: &Path) -> Interfaces {
    let files = |names: [&str; 3]| names.map(|name| directory.join(name));
    Interfaces {
        invocations: files(["sel4.xml", "sel4_arch-sel4arch.xml", "arch-sel4arch.xml"]),
        object_types: files(["objecttype.h", "sel4_arch-objecttype.h", "arch-objecttype.h"]),
        syscalls: directory.join("syscall.xml"),
        configuration: vec![directory.join("autoconf.h")],
    }
}

fn in_source(source: &Path, kernel: &Path) -> Interfaces {
    let library = source.join("libsel4");
    let files = |names: [&str; 3]| names.map(|name| library.join(name));
    Interfaces {
        invocations: files([
            "include/interfaces/sel4.xml",
            "sel4_arch_include/x86_64/interfaces/sel4arch.xml",
            "arch_include/x86/interfaces/sel4arch.xml",
        ]),
        object_types: files([
            "include/sel4/objecttype.h",
            "sel4_arch_include/x86_64/sel4/sel4_arch/objecttype.h",
            "arch_include/x86/sel4/arch/objecttype.h",
        ]),
        syscalls: library.join("include/api/syscall.xml"),
        configuration: ["config/base.h", "config/debug.h"].map(|name| kernel.join(name)).into(),
    }
}

/// Asks cargo where the crate with the kernel's source lies, fetching it if need be.
fn source(kernel: &Path) -> Result<PathBuf, String> {
    let manifest = kernel.join("source/Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--quiet", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(&manifest)
        .output()
        .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "the kernel's interface description was not found: {DIRECTORY_VARIABLE} is not set, \
             toolchain/kernel/build.sh has not run, and cargo cannot fetch the source: {}",
            String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ")
        ));
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    packages
        .iter()
        .find(|package| package["name"] == "sel4-sys")
        .and_then(|package| package["manifest_path"].as_str())
        .and_then(|path| Path::new(path).parent())
        .map(|directory| directory.join("seL4"))
        .ok_or_else(|| format!("{} does not lead to the crate sel4-sys", manifest.display()))
}
