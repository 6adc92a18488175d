// SPDX-License-Identifier: BSD-2-Clause
//! The domains with rust-sel4's interface.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use boot::{Verbosity, Workspace};
use upstream::{Kernel, Place};

fn standin() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("standin/sel4-microkit")
}

fn workspace() -> Result<Workspace> {
    Workspace::locate(Verbosity::Silent)
}

fn compiles(said: Result<(), String>, what: &str) -> Result<()> {
    match said {
        Ok(()) => Ok(()),
        Err(said) => bail!("{what} with rust-sel4's interface:\n{said}"),
    }
}

/// Every domain of the tree, what they are linked with beside the runtime, and the library for domains in C; for the
/// embedded kernel and for an SDK's.
fn packages(workspace: &Workspace) -> Result<Vec<String>> {
    let mut packages = upstream::domains(workspace.root())?;
    for known in ["gpu-driver", "paint", "memory-server"] {
        ensure!(packages.iter().any(|name| name == known), "{known} is not among {packages:?}");
    }
    packages.extend(["microkit-ext", "gpu-client-c"].map(str::to_owned));
    Ok(packages)
}

/// One test, because all compile in the same place: every domain compiles, and the check notices what it must.
#[test]
fn every_domain_compiles_with_rust_sel4s_interface_and_with_nothing_less() -> Result<()> {
    let workspace = workspace()?;
    let packages = packages(&workspace)?;
    let runtime = "gpu-client-c/runtime";
    let tree = Place::tree(&workspace, &standin())?;
    compiles(tree.check(Kernel::Embedded, &packages, &[runtime])?, "a domain for the embedded kernel")?;
    let numbers = workspace.target().join("upstream/numbers");
    upstream::write_numbers(&workspace, &numbers)?;
    let sdk = Kernel::Sdk(&numbers);
    compiles(tree.check(sdk, &packages, &[runtime, "microkit-ext/mcs"])?, "a domain for an SDK's kernel")?;

    // The system that is not built from the top-level Makefile.
    let (example, domains) = Place::example(&workspace, &standin())?;
    ensure!(domains == ["bank", "tile"], "{domains:?}");
    compiles(example.check(Kernel::Embedded, &domains, &[])?, "examples/shared for the embedded kernel")?;
    let features = ["bank/mcs", "tile/mcs"];
    compiles(example.check(sdk, &domains, &features)?, "examples/shared for an SDK's kernel")?;

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
    let tree = Place::tree(&workspace, &folder.join("sel4-microkit"))?;
    let said = tree.check(Kernel::Embedded, &packages, &[runtime])?;
    ensure!(
        said.is_err_and(|said| said.contains("notify")),
        "a method with another signature is not noticed"
    );
    Ok(())
}

/// A domain; `BODY` is its `init`'s, `ITEMS` stands beside it.
const PROGRAM: &str = "#![no_std]\n#![no_main]\nuse sel4_microkit::*;\nITEMS\n\
    #[protection_domain]\nfn init() -> NullHandler {\n    BODY\n    NullHandler::new()\n}\n";

/// What rust-sel4 5.0.0 takes, and what it does not although this repository's crate might.
#[test]
fn the_stand_in_takes_what_rust_sel4_takes_and_no_more() -> Result<()> {
    let workspace = workspace()?;
    let judge = |items: &str, body: &str| -> Result<Result<(), String>> {
        let source = PROGRAM.replace("ITEMS", items).replace("BODY", body);
        // What is compiled alone is refused for nothing but what is asked.
        Place::program(&workspace, &standin(), &source)?.check(Kernel::Embedded, &[], &[])
    };
    let taken = [
        "let _ = memory_region_symbol!(region: *mut u32);",
        "let _ = memory_region_symbol!(region: *mut u32, bytes = 4);",
        "let _ = memory_region_symbol!(region: *mut [u32], n = 4);",
        "let _: &'static u64 = var!(number: u64 = 7);",
        "debug_println!(); debug_println!(\"{}\", 1); debug_print!(\"{0}\", 2);",
        "let _ = ipc::recv(); let _ = pd_name(); let _ = pd_is_passive();",
        "let Ok(()) = Channel::new(1).irq_ack() else { panic!() };",
        "for channel in [Channel::new(1)] { channel.notify() }",
    ];
    // One after the other would take as many runs of the compiler; no two may have one symbol.
    let items: String = taken
        .iter()
        .enumerate()
        .map(|(index, body)| {
            let body = body.replace("(region", &format!("(region_{index}"));
            format!("#[allow(dead_code)]\nfn taken_{index}() {{\n    {body}\n}}\n")
        })
        .collect();
    compiles(judge(&items, "")?, "a use of everything")?;
    for (items, body, why) in [
        ("", "let _ = memory_region_symbol!(region: *mut [u32], n = 4, bytes = 16);", "no rules expected"),
        ("", "let _ = Channel::new(0).cap();", "no method named `cap`"),
        ("", "let info = MessageInfo::new(0, 0); let _ = (info, info);", "use of moved value"),
        ("", "let _ = pd_name_bytes();", "cannot find function `pd_name_bytes`"),
        ("", "let _ = ioport::IoPort::new(0);", "ioport"),
        ("", "let _: usize = get_mr(0);", "mismatched types"),
        (
            "#[protection_domain]\nfn another() -> NullHandler {\n    NullHandler::new()\n}",
            "",
            "__sel4_microkit__main",
        ),
        ("#[protection_domain]\nmod inner {\n    fn another() {}\n}", "", "goes on a function"),
        ("struct Mine;\nimpl Handler for Mine {\n    type Error = ();\n}", "", "`()` doesn't implement"),
    ] {
        let said = judge(items, body)?;
        let Err(said) = said else { bail!("rust-sel4 refuses {items}{body}") };
        ensure!(said.contains(why), "{items}{body} is refused, but not because of {why:?}:\n{said}");
    }
    Ok(())
}
