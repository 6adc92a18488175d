// SPDX-License-Identifier: BSD-2-Clause
//! Where the sources and the results are, and the commands that turn one into the other.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use image::sdk::Sdk;

use crate::system::Kernel;

/// How much is said about the steps of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// A line per step on standard output, and what the tools say.
    Steps,
    /// Nothing, unless a step fails: then what its tool said is part of the error.
    Silent,
}

/// The checked-out sources, and the folder for everything that is made from them.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
    verbosity: Verbosity,
}

impl Workspace {
    /// The workspace that this program was built from; results go to `CARGO_TARGET_DIR` where that is set, else to
    /// `target` in the root.
    ///
    /// # Errors
    /// When the sources are no longer where they were.
    pub fn locate(verbosity: Verbosity) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()
            .context("the sources that this program was built from are gone")?;
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            // Cargo understands a relative one against the folder it was started in, which is the root here.
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Ok(Self { root, target, verbosity })
    }

    /// The root of the sources, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The root of the results, absolute.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where cargo puts programs of protection domains for a kernel.
    #[must_use]
    pub fn domain_dir(&self, kernel: Kernel) -> PathBuf {
        self.domain_target(kernel).join("x86_64-unknown-linux-gnu/domain")
    }

    /// A domain that was built for one configuration of the kernel does not run on the other: system calls differ.
    fn domain_target(&self, kernel: Kernel) -> PathBuf {
        self.target.join(match kernel {
            Kernel::Debug => "domain",
            Kernel::Release => "domain-release",
        })
    }

    /// Where the build of the kernel leaves its results.
    #[must_use]
    pub fn kernel_dir(&self, kernel: Kernel) -> PathBuf {
        self.target.join("kernel").join(kernel.name())
    }

    /// A path as a person in the root folder would type it.
    #[must_use]
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// Says what happens now.
    pub fn step(&self, what: &str) {
        if self.verbosity == Verbosity::Steps {
            println!("{what}");
        }
    }

    /// Cargo, as for the host, without the settings that a surrounding cargo or a caller's shell passes down and that
    /// would make it build something else than at the last call.
    #[must_use]
    pub fn cargo(&self, verb: &str) -> Command {
        let mut command = self.bare_cargo(Kernel::Debug);
        command.arg(verb).arg("--target-dir").arg(&self.target);
        command
    }

    /// Cargo, as for protection domains on a kernel, which has to be built before.
    #[must_use]
    pub fn domain_cargo(&self, verb: &str, kernel: Kernel) -> Command {
        let mut command = self.bare_cargo(kernel);
        // After the verb: cargo does not pass what stands before it on to a verb that is a program of its own (clippy).
        command
            .arg(verb)
            .arg("--config")
            .arg(self.root.join("toolchain/domain.toml"))
            .arg("--target-dir")
            .arg(self.domain_target(kernel))
            .args(["--profile", "domain"]);
        // It would take the place of domain.toml's flags.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command
    }

    /// Cargo, as for protection domains on the kernel of a Microkit SDK. The packages follow, with `-p`.
    #[must_use]
    pub fn sdk_cargo(&self, verb: &str, sdk: &Sdk) -> Command {
        let mut command = self.bare_cargo(Kernel::Debug);
        command
            .arg(verb)
            .arg("--config")
            .arg(self.root.join("toolchain/domain.toml"))
            .arg("--target-dir")
            .arg(self.sdk_target(sdk))
            .args(["--profile", "domain", "-p", "microkit-ext", "--features", "microkit-ext/mcs"]);
        // Where the crate `sel4` learns that kernel's numbers.
        command.env("MICROKIT_SDK", sdk.folder());
        command.env("MICROKIT_BOARD", sdk.board()).env("MICROKIT_CONFIG", sdk.config());
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command
    }

    /// Where cargo puts programs of protection domains for an SDK's kernel.
    #[must_use]
    pub fn sdk_dir(&self, sdk: &Sdk) -> PathBuf {
        self.sdk_target(sdk).join("x86_64-unknown-linux-gnu/domain")
    }

    fn sdk_target(&self, sdk: &Sdk) -> PathBuf {
        self.target.join(format!("domain-sdk-{}", sdk.config()))
    }

    fn bare_cargo(&self, kernel: Kernel) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        // Where the crate `sel4` learns the kernel's numbers.
        command.env("SEL4_INTERFACES_DIR", self.kernel_dir(kernel).join("interfaces"));
        for (name, _) in std::env::vars_os() {
            let passed_down = name.to_str().is_some_and(|name| {
                ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
                    || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
            });
            if passed_down {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs a build step to its end.
    ///
    /// # Errors
    /// When the command cannot be started or fails; the error has what it said when nobody saw it.
    pub fn run(&self, what: &str, command: &mut Command) -> Result<()> {
        command.stdin(Stdio::null());
        let program = command.get_program().to_owned();
        let started = || format!("{what}: cannot start {}", OsStr::to_string_lossy(&program));
        match self.verbosity {
            Verbosity::Steps => {
                let status = command.status().with_context(started)?;
                if !status.success() {
                    bail!("{what}: {} failed ({status})", program.to_string_lossy());
                }
            }
            Verbosity::Silent => {
                let output = command.output().with_context(started)?;
                if !output.status.success() {
                    bail!(
                        "{what}: {} failed ({})\n{}{}",
                        program.to_string_lossy(),
                        output.status,
                        String::from_utf8_lossy(&output.stdout),
                        String::from_utf8_lossy(&output.stderr),
                    );
                }
            }
        }
        Ok(())
    }
}
