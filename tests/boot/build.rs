// SPDX-License-Identifier: BSD-2-Clause
//! Tells the tests whether there is a Microkit SDK, so that those which need one are counted as skipped otherwise.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MICROKIT_SDK");
    println!("cargo::rustc-check-cfg=cfg(microkit_sdk)");
    if std::env::var_os("MICROKIT_SDK").is_some_and(|folder| !folder.is_empty()) {
        println!("cargo::rustc-cfg=microkit_sdk");
    }
}
