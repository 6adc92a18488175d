// SPDX-License-Identifier: BSD-2-Clause
//! From sources to something that boots: kernel, programs of the domains, initialiser, image.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use image::sdk::{Sdk, SdkRequest};

use crate::workspace::Workspace;

/// The kernel's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernel {
    /// With its own messages and the system calls for debug output.
    #[default]
    Debug,
    /// Without: nothing appears on the serial port unless a domain drives it.
    Release,
}

impl Kernel {
    /// The name that the build script and the folders use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }

    /// Builds the kernel where that has not been done yet, and says where it is.
    ///
    /// # Errors
    /// When the build fails.
    pub fn build(self, workspace: &Workspace) -> Result<PathBuf> {
        let mut command = Command::new(workspace.root().join("toolchain/kernel/build.sh"));
        command.arg(self.name()).arg("--target-root").arg(workspace.target());
        workspace.run("kernel", &mut command)?;
        Ok(workspace.kernel_dir(self).join("kernel32.elf"))
    }
}

/// The programs out of which images are put together.
#[derive(Clone, Debug)]
pub struct Pieces {
    kernel: PathBuf,
    initialiser: PathBuf,
    programs: PathBuf,
}

impl Pieces {
    /// Builds the kernel, the initialiser and the programs of `packages`, as far as they are not up to date.
    ///
    /// # Errors
    /// When one of the builds fails.
    pub fn build(workspace: &Workspace, kernel: Kernel, packages: &[&str]) -> Result<Self> {
        let kernel_image = kernel.build(workspace)?;
        workspace.step(&format!("domains: {}, initialiser", packages.join(", ")));
        let mut cargo = workspace.domain_cargo("build", kernel);
        cargo.args(["-q", "-p", "initialiser"]);
        select(workspace, &mut cargo, packages);
        workspace.run("domains", &mut cargo)?;
        let programs = workspace.domain_dir(kernel);
        build_c_programs(workspace, packages, &programs)?;
        name_programs(&programs)
            .with_context(|| format!("cannot name programs in {}", programs.display()))?;
        Ok(Self { kernel: kernel_image, initialiser: programs.join("initialiser"), programs })
    }

    /// Puts the system that the file `description` describes together, in `folder`.
    ///
    /// # Errors
    /// When the image tool refuses the system.
    pub fn image(&self, workspace: &Workspace, description: &Path, folder: &Path) -> Result<Image> {
        self.image_on(workspace, &board_file(workspace, DEFAULT_BOARD)?, description, folder)
    }

    /// The same for the machine that the board file `board` describes; otherwise it is the one that QEMU is.
    ///
    /// # Errors
    /// When the image tool refuses the system.
    pub fn image_on(
        &self,
        workspace: &Workspace,
        board: &Path,
        description: &Path,
        folder: &Path,
    ) -> Result<Image> {
        let beside = description.parent().unwrap_or(Path::new(".")).to_owned();
        let request = image::Request {
            system: description.to_owned(),
            search_paths: vec![self.programs.clone(), beside],
            board: board.to_owned(),
            initialiser: self.initialiser.clone(),
        };
        let built = image::build(&request)?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let system = folder.join("system.elf");
        let changed = write(&system, &built.elf)?;
        let state = if changed { "" } else { " is up to date" };
        workspace.step(&format!("image: {}{state}", workspace.shown(&system)));
        finish(workspace, self.kernel.clone(), system, &built.report, &built.warnings, folder)
    }
}

/// The programs out of which a Microkit SDK's tool puts images together.
#[derive(Clone, Debug)]
pub struct SdkPieces {
    sdk: Sdk,
    programs: PathBuf,
}

impl SdkPieces {
    /// Builds the programs of `packages` for the SDK's kernel, as far as they are not up to date.
    ///
    /// # Errors
    /// When the build fails.
    pub fn build(workspace: &Workspace, sdk: &Sdk, packages: &[&str]) -> Result<Self> {
        workspace.step(&format!(
            "domains: {} for Microkit {}, {}, {}",
            packages.join(", "),
            sdk.version(),
            sdk.board(),
            sdk.config()
        ));
        let mut cargo = workspace.sdk_cargo("build", sdk);
        cargo.arg("-q");
        select(workspace, &mut cargo, packages);
        workspace.run("domains", &mut cargo)?;
        let programs = workspace.sdk_dir(sdk);
        build_c_programs(workspace, packages, &programs)?;
        name_programs(&programs)
            .with_context(|| format!("cannot name programs in {}", programs.display()))?;
        Ok(Self { sdk: sdk.clone(), programs })
    }

    /// Lets the SDK's tool put the system that the file `description` describes together, in `folder`, for the machine
    /// that the board file `board` describes.
    ///
    /// # Errors
    /// When one of the tools refuses the system.
    pub fn image_on(
        &self,
        workspace: &Workspace,
        board: &Path,
        description: &Path,
        folder: &Path,
    ) -> Result<Image> {
        let beside = description.parent().unwrap_or(Path::new(".")).to_owned();
        let built = image::sdk::build(&SdkRequest {
            system: description.to_owned(),
            search_paths: vec![self.programs.clone(), beside],
            board: board.to_owned(),
            sdk: self.sdk.clone(),
            folder: folder.to_owned(),
        })?;
        workspace.step(&format!("image: {}", workspace.shown(&built.image)));
        finish(workspace, built.kernel, built.image, &built.report, &built.warnings, folder)
    }
}

/// The folder of a program in C, which is built by its Makefile and linked with the client library's archive.
fn c_program(workspace: &Workspace, package: &str) -> Option<PathBuf> {
    let folders = ["examples", "tests/boot/c"].map(|folder| workspace.root().join(folder).join(package));
    folders.into_iter().find(|folder| folder.join("main.c").is_file())
}

/// Lets cargo build `packages`, and for those in C the archive that they are linked with.
fn select(workspace: &Workspace, cargo: &mut Command, packages: &[&str]) {
    let (in_c, in_rust): (Vec<&str>, Vec<&str>) =
        packages.iter().partition(|package| c_program(workspace, package).is_some());
    for package in in_rust {
        cargo.args(["-p", package]);
    }
    if !in_c.is_empty() {
        cargo.args(["-p", "gpu-client-c", "--features", "gpu-client-c/runtime"]);
    }
}

/// Builds the programs in C among `packages`, beside the others.
fn build_c_programs(workspace: &Workspace, packages: &[&str], programs: &Path) -> Result<()> {
    for folder in packages.iter().filter_map(|package| c_program(workspace, package)) {
        let variable = |name: &str, value: &Path| format!("{name}={}", value.display());
        let name = folder.file_name().unwrap_or_default();
        let mut make = Command::new("make");
        make.arg("-s").arg("-C").arg(&folder).arg(programs.join(name).with_extension("elf")).args([
            variable("BUILD_DIR", programs),
            variable("INTEL_GPU", workspace.root()),
            variable("INTEL_GPU_CLIENT_C", &programs.join("libgpu_client_c.a")),
        ]);
        // What a surrounding make hands down is not meant for this one; and the archive has its own runtime, whichever
        // kernel it is for.
        for name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MICROKIT_SDK", "MICROKIT_CONFIG", "MICROKIT_BOARD"]
        {
            make.env_remove(name);
        }
        workspace.run("programs in C", &mut make)?;
    }
    Ok(())
}

/// The board that QEMU is.
pub const DEFAULT_BOARD: &str = "qemu-q35";

/// The board file that a user means: a path, or the name of one in the tree.
///
/// # Errors
/// When there is none of that name; the error lists those that there are.
pub fn board_file(workspace: &Workspace, board: &str) -> Result<PathBuf> {
    if board.contains('/') || Path::new(board).extension().is_some() {
        return Ok(PathBuf::from(board));
    }
    let folder = workspace.root().join("toolchain/image/boards");
    let file = folder.join(board).with_extension("toml");
    if file.is_file() {
        return Ok(file);
    }
    bail!("there is no board {board}; there is {} (or the path of a file)", boards(workspace)?.join(", "))
}

/// The names of the boards in the tree.
///
/// # Errors
/// When their folder cannot be read.
pub fn boards(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root().join("toolchain/image/boards");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = vec![];
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Writes the reports and says what there is to say of an image.
fn finish(
    workspace: &Workspace,
    kernel: PathBuf,
    system: PathBuf,
    report: &image::Report,
    warnings: &[image::Diagnostic],
    folder: &Path,
) -> Result<Image> {
    let json = folder.join("report.json");
    write(&json, report.to_json().as_bytes())?;
    write(&image::text_report_path(&json), report.to_string().as_bytes())?;
    for warning in warnings {
        workspace.step(&format!("warning: {warning}"));
    }
    let region = |region: &image::RegionReport| Region {
        name: region.name.clone(),
        paddr: region.paddr,
        size: region.size,
        mapped: region.maps.iter().map(|map| map.pd.clone()).collect(),
    };
    Ok(Image { kernel, system, report: json, regions: report.regions.iter().map(region).collect() })
}

/// Writes a file unless it has these contents already; whether it had not.
fn write(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

/// Gives every program in cargo's output folder a second name that ends in `.elf`, as system descriptions call them.
fn name_programs(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let path = entry.path();
        if !metadata.is_file() || metadata.permissions().mode() & 0o100 == 0 || path.extension().is_some() {
            continue;
        }
        let name = path.with_extension("elf");
        // A link to the name, not to the file: cargo replaces the file. So one that is there stays right.
        match symlink(entry.file_name(), &name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What QEMU boots.
#[derive(Clone, Debug)]
pub struct Image {
    /// The kernel, as QEMU's loader takes it.
    pub kernel: PathBuf,
    /// The initialiser with everything that it sets up.
    pub system: PathBuf,
    /// Where the image tool put everything, for programs; for people there is a `.txt` beside it.
    pub report: PathBuf,
    /// Its memory regions.
    pub regions: Vec<Region>,
}

/// A memory region's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its name in the description.
    pub name: String,
    /// The physical address of its first byte.
    pub paddr: u64,
    /// Its bytes.
    pub size: u64,
    /// The domains that map it.
    pub mapped: Vec<String>,
}

impl Image {
    /// What the image tool has made elsewhere: the kernel, the image, and where its regions are, if the tool's report is beside
    /// the image.
    ///
    /// # Errors
    /// When there is a report that cannot be read, or is none.
    pub fn found(kernel: PathBuf, system: PathBuf) -> Result<Self> {
        let report = system.with_file_name("report.json");
        let regions = match fs::read_to_string(&report) {
            Ok(text) => regions(&text).with_context(|| report.display().to_string())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", report.display())),
        };
        Ok(Self { kernel, system, report, regions })
    }

    /// Where the region `name` is.
    ///
    /// # Errors
    /// When the system has no such region.
    pub fn region(&self, name: &str) -> Result<&Region> {
        let found = self.regions.iter().find(|region| region.name == name);
        found.with_context(|| format!("the system has no memory region {name}"))
    }

    /// The domains that map the region `name`.
    ///
    /// # Errors
    /// When the system has no such region.
    pub fn mapped(&self, name: &str) -> Result<&[String]> {
        Ok(&self.region(name)?.mapped)
    }
}

/// The regions in a report of the image tool.
fn regions(report: &str) -> Result<Vec<Region>> {
    let report: serde_json::Value = serde_json::from_str(report)?;
    let list = report["regions"].as_array().context("it has no regions")?;
    let region = |region: &serde_json::Value| {
        let maps = region["maps"].as_array().into_iter().flatten();
        Some(Region {
            name: region["name"].as_str()?.to_owned(),
            paddr: region["paddr"].as_u64()?,
            size: region["size"].as_u64()?,
            mapped: maps.filter_map(|map| Some(map["pd"].as_str()?.to_owned())).collect(),
        })
    };
    list.iter().map(|it| region(it).with_context(|| format!("this is no region: {it}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_read_back_out_of_a_report_and_what_is_no_report_is_refused() -> Result<()> {
        let map = image::MapReport { pd: "paint".into(), vaddr: 0x4000, perms: "rw".into(), cached: true };
        let place = image::RegionReport {
            name: "frame".into(),
            paddr: 0x1000,
            size: 0x2000,
            page_size: 0x1000,
            device: false,
            prefill: 0,
            maps: vec![map],
            io_maps: vec![],
        };
        let report = image::Report {
            board: "board".into(),
            image: None,
            regions: vec![place],
            protection_domains: vec![],
            io_address_spaces: vec![],
        };
        let expected =
            Region { name: "frame".into(), paddr: 0x1000, size: 0x2000, mapped: vec!["paint".into()] };
        assert_eq!(regions(&report.to_json())?, [expected]);
        for wrong in ["", "{}", r#"{ "regions": [{ "name": "x" }] }"#] {
            assert!(regions(wrong).is_err(), "{wrong}");
        }
        Ok(())
    }
}
