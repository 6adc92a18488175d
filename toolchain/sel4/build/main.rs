// SPDX-License-Identifier: BSD-2-Clause
//! Derives the numbers of the kernel's interface from the kernel's own description of it: invocation
//! labels, object types and system calls. No number of these three kinds is typed in for a domain.
//!
//! With the feature `mcs` the description is that of a Microkit SDK (`sdk`). Otherwise it is the embedded
//! kernel's, and is looked for in this order:
//! 1. the folder named by `SEL4_INTERFACES_DIR` (what `toolchain/kernel/build.sh` leaves in
//!    `interfaces/`): it also says whether the kernel is a debug build, with its debug system calls;
//! 2. `target/kernel/debug/interfaces` of this repository;
//! 3. the crate that carries the kernel's source, together with the debug configuration, so that the
//!    workspace builds and tests on a machine that has never built the kernel.

mod conditions;
mod locate;
mod sdk;
mod tables;

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed={}", locate::DIRECTORY_VARIABLE);
    if let Err(error) = run() {
        println!("cargo::error={error}");
    }
}

fn run() -> Result<(), String> {
    println!("cargo::rustc-check-cfg=cfg(debug_kernel, microkit_sdk)");
    println!("cargo::rerun-if-env-changed={}", sdk::SDK);
    if sdk::folder()?.is_some() {
        // Tests that need an SDK are counted as skipped without.
        println!("cargo::rustc-cfg=microkit_sdk");
    }
    let (text, is_debug) = match std::env::var_os("CARGO_FEATURE_MCS") {
        Some(_) => sdk::interface()?,
        None => embedded()?,
    };
    if is_debug {
        println!("cargo::rustc-cfg=debug_kernel");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?);
    std::fs::write(out.join("interface.rs"), text)
        .map_err(|error| format!("cannot write interface.rs: {error}"))
}

/// The module with the embedded kernel's numbers, and whether it is a debug build.
fn embedded() -> Result<(String, bool), String> {
    let interfaces = locate::locate()?;
    for file in interfaces.files() {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let configuration = conditions::Configuration::parse(&interfaces.configuration()?);
    let labels = tables::invocation_labels(&interfaces.invocations()?, &configuration)?;
    let objects = tables::object_types(&interfaces.object_types()?, &configuration)?;
    let syscalls = tables::syscalls(&interfaces.syscalls()?, &configuration)?;
    let text = tables::render(&labels, &objects, &syscalls, &configuration)?;
    Ok((text, configuration.is_defined("CONFIG_DEBUG_BUILD")))
}
