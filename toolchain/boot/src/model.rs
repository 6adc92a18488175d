// SPDX-License-Identifier: BSD-2-Clause
//! The device model's process: started before QEMU, waiting for it, and asked for its verdict afterwards.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::process::{self, Process};
use crate::workspace::Workspace;

/// The socket of QEMU's qtest protocol, in the run's folder and named from there: a socket's path may have only 107
/// bytes, which an absolute one can exceed.
pub(crate) const QTEST_SOCKET: &str = "qtest.sock";

/// How long the model may take to write its files once QEMU is gone. A long trace is tens of megabytes.
const FINISH_LIMIT: Duration = Duration::from_secs(20);

/// How completion is timed by the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// Work is done before the access that started it is answered.
    #[default]
    Instant,
    /// Work takes about the time that a real part takes.
    Realtime,
}

impl Timing {
    fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Realtime => "realtime",
        }
    }
}

/// The GPU to attach.
#[derive(Clone, Debug)]
pub struct Gpu {
    /// The model's name for the part, `tgl` or `skl`.
    pub part: String,
    /// How completion is timed.
    pub timing: Timing,
    /// A PCI device id to show in place of the part's own.
    pub device_id: Option<u16>,
    /// Whether a trace is written.
    pub trace: bool,
    /// How many interrupts of its engines are lost.
    pub lost_interrupts: u32,
    /// More words for the model's command line.
    pub options: Vec<String>,
}

impl Gpu {
    /// A part by its name, with its own id, instant completion and a trace.
    #[must_use]
    pub fn new(part: &str) -> Self {
        Self {
            part: part.into(),
            timing: Timing::default(),
            device_id: None,
            trace: true,
            lost_interrupts: 0,
            options: vec![],
        }
    }

    /// Every part that the device model can be.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn parts(program: &Path) -> anyhow::Result<Vec<String>> {
        let output = Command::new(program).arg("platforms").stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot start {}", program.display()))?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    /// Asks the device model whether it knows the part, before anything is booted.
    ///
    /// # Errors
    /// When it does not; the error lists the parts that there are.
    pub fn check(&self, program: &Path) -> anyhow::Result<()> {
        let known = Self::parts(program)?;
        ensure!(known.contains(&self.part), "there is no GPU {}; there is {}", self.part, known.join(", "));
        Ok(())
    }
}

/// The files that the model leaves in the run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// One line per register that was touched.
    pub registers: PathBuf,
    /// What the engines did, for Perfetto or chrome://tracing.
    pub trace: PathBuf,
    /// Accesses that a real part would have punished, one a line.
    pub report: PathBuf,
    /// What it said while it ran.
    pub log: PathBuf,
}

impl ModelFiles {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            registers: folder.join("registers.txt"),
            trace: folder.join("trace.json"),
            report: folder.join("strictness.txt"),
            log: folder.join("model.log"),
        }
    }
}

/// What the model has to say after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Every access that a real part would have punished, in the order they happened.
    pub reports: Vec<String>,
    /// The files that it left.
    pub files: ModelFiles,
}

/// Builds the device model where that has not been done yet, and says where its program is.
///
/// # Errors
/// When the build fails.
pub fn build_model(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    workspace.step("device model");
    let mut cargo = workspace.cargo("build");
    cargo.args(["-q", "-p", "gpu-model", "--bin", "gpu-model"]);
    workspace.run("device model", &mut cargo)?;
    Ok(workspace.target().join("debug/gpu-model"))
}

/// The running model.
#[derive(Debug)]
pub(crate) struct Model {
    process: Process,
    files: ModelFiles,
}

impl Model {
    /// Starts `program` in `folder` with its end of the proxy device's socket pair. It waits for QEMU's qtest socket.
    pub(crate) fn start(program: &Path, gpu: &Gpu, folder: &Path, proxy: OwnedFd) -> io::Result<Self> {
        let files = ModelFiles::new(folder);
        let mut command = Command::new(program);
        command.current_dir(folder).args(["--gpu", &gpu.part]).args(["--timing", gpu.timing.name()]);
        command.arg("--proxy-fd").arg(process::number(&proxy).to_string()).args(["--qtest", QTEST_SOCKET]);
        command.arg("--registers").arg(&files.registers).arg("--report").arg(&files.report);
        if gpu.trace {
            command.arg("--trace").arg(&files.trace);
        }
        if let Some(id) = gpu.device_id {
            command.arg("--device-id").arg(format!("{id:#06x}"));
        }
        command.arg("--lose-interrupts").arg(gpu.lost_interrupts.to_string());
        command.args(&gpu.options);
        let log = File::create(&files.log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { process: Process::start(command, vec![proxy])?, files })
    }

    /// Whether it has ended, which it must not before QEMU has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// The end of what it said.
    pub(crate) fn said(&self) -> String {
        /// Enough to see why it gave up.
        const SHOWN: usize = 2000;
        let log = fs::read(&self.files.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN)..]).into_owned()
    }

    /// Waits for its end, which follows QEMU's, and collects its verdict.
    pub(crate) fn finish(mut self) -> io::Result<Verdict> {
        let status = self.process.wait_until(Instant::now() + FINISH_LIMIT)?;
        let lines = match fs::read_to_string(&self.files.report) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        // A note is about what the model does not do, not about what the guest did.
        let reports: Vec<_> =
            lines.lines().filter(|line| !line.starts_with("note: ")).map(str::to_owned).collect();
        let complaint = match (status.map(|status| status.code()), reports.is_empty()) {
            (None, _) => format!("it did not end within {FINISH_LIMIT:?} after QEMU"),
            (Some(Some(0)), _) | (Some(Some(1)), false) => String::new(),
            (Some(Some(1)), true) => "it says that rules were broken, and not which".into(),
            (Some(Some(code)), _) => format!("it ended with exit status {code}"),
            (Some(None), _) => "it was ended by a signal".into(),
        };
        if !complaint.is_empty() {
            return Err(io::Error::other(format!("{complaint}\n{}", self.said())));
        }
        Ok(Verdict { reports, files: self.files })
    }
}
