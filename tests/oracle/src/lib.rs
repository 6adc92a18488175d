// SPDX-License-Identifier: BSD-2-Clause
//! The oracle: Linux, whose i915 knows Intel's GPUs and not this project, boots with the device model attached, and says
//! what it thinks of it.
//!
//! ```text
//!   Debian's mirror --> packages, unpacked --> initramfs: modules, libraries, programs, the list of jobs
//!                      (debian)                (modules, libraries, initramfs, jobs)       |
//!   gpu-model <---- QEMU: unmodified kernel, oracle-guest as the first process <-----------'
//!       |              '---- serial port ----> judge: i915's log and every job's end
//!       '---- rules that were broken --------> judge
//! ```
//!
//! Nothing is installed on the host and nothing that was fetched leaves `target/oracle`. The kernel and the benchmarks
//! come from Debian 12, the tests from Debian's unstable release, each unpacked in a root of its own.

mod debian;
mod initramfs;
mod jobs;
mod judge;
mod libraries;
mod modules;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use boot::{Ending, Gpu, Image, Machine, Timing, Workspace};

pub use debian::Unreachable;
use debian::{Release, Root};
use initramfs::Initramfs;
use jobs::{Job, Program};
pub use judge::Judgement;

/// The release with the kernel and the benchmarks.
const STABLE: Release = Release { suite: "bookworm", security: true };
/// The release with the tests.
const UNSTABLE: Release = Release { suite: "sid", security: false };
/// Where the tests' root is mounted.
const TESTS_ROOT: &str = "/sid";
/// Where both releases have the programs that the jobs name.
const PROGRAMS: &str = "usr/libexec/igt-gpu-tools";

/// The guest's memory. The programs lie in it twice while it boots.
const MEMORY: u64 = 1536 << 20;

/// The most seconds that a program may take of which is not known that it passes.
const SURVEYED: u32 = 40;

/// What shall be done.
#[derive(Clone, Debug)]
pub struct Options {
    /// The part that the device model is.
    pub gpu: String,
    /// Only i915's probe, the project's own checks, and the shortest tests.
    pub quick: bool,
    /// Run these tests in place of those that are known to pass (`PROGRAM@SUBTEST`), and do not fail when they do.
    pub survey: Option<PathBuf>,
    /// Only the jobs whose names contain one of these, where any are given.
    pub only: Vec<String>,
    /// Let the device model write a trace, for Perfetto.
    pub trace: bool,
    /// How long a run may take.
    pub deadline: Duration,
}

impl Options {
    fn wants(&self, job: &Job) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| job.name.contains(part.as_str()))
    }
}

/// What was found, and where the files of the run are.
#[derive(Debug)]
pub struct Report {
    /// What the log and the model say.
    pub judgement: Judgement,
    /// The versions of what judged.
    pub versions: Vec<String>,
    /// Whether the tests could be fetched.
    pub complete: bool,
    /// The run's folder.
    pub folder: PathBuf,
    /// From the start of QEMU to its end.
    pub duration: Duration,
}

/// Fetches what is not there yet, boots, and judges.
///
/// # Errors
/// When something could not be fetched or built, or the machine did not come to its end.
pub fn run(workspace: &Workspace, options: &Options) -> Result<Report> {
    let folder = workspace.target().join("oracle");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let guest = build_guest(workspace)?;
    let kernel = Root::obtain(workspace, &folder, &STABLE, "linux-image-amd64")?;
    let mut versions = vec![kernel.version_like("linux-image-6")?];
    let mut initramfs = Initramfs::new();
    let image = kernel_files(&kernel, &mut initramfs)?;
    initramfs.program("/init", &guest)?;
    initramfs.program("/oracle/guest", &guest)?;
    let mut jobs = vec![jobs::checks()];
    let mut roots = String::new();
    if !options.quick {
        let benchmarks = Root::obtain(workspace, &folder, &STABLE, "intel-gpu-tools")?;
        versions.push(benchmarks.version_like("intel-gpu-tools")?);
        if options.survey.is_none() {
            jobs.extend(jobs::benchmarks());
        }
        jobs.retain(|job| options.wants(job));
        add_programs(&mut initramfs, "", &benchmarks, &jobs)?;
    }
    let tests = match Root::obtain(workspace, &folder, &UNSTABLE, "igt-gpu-tools-tests") {
        Ok(root) => Some(root),
        // What there is still says much.
        Err(error) if error.is::<Unreachable>() => {
            workspace.step(&format!("{error:#}"));
            None
        }
        Err(error) => return Err(error),
    };
    if let Some(tests) = &tests {
        versions.push(tests.version_like("igt-gpu-tools-tests")?);
        jobs.extend(test_jobs(workspace, options)?);
        add_programs(&mut initramfs, TESTS_ROOT, tests, &jobs)?;
        roots = format!("{TESTS_ROOT}\n");
    }
    initramfs.file("/oracle/roots", roots.as_bytes());
    let lines: String = jobs.iter().map(Job::line).collect();
    initramfs.file("/oracle/jobs", lines.as_bytes());
    let system = folder.join(format!("initramfs-{}", options.gpu));
    initramfs.write(&system)?;
    let image = Image { kernel: image, system, report: PathBuf::new(), regions: vec![] };
    let report = boot(workspace, options, image, &jobs, versions)?;
    Ok(Report { complete: tests.is_some(), ..report })
}

/// The tests that shall be run.
fn test_jobs(workspace: &Workspace, options: &Options) -> Result<Vec<Job>> {
    let mut jobs = jobs::tests(&listed_tests(workspace, options)?)?;
    jobs.retain(|job| options.wants(job) && (!options.quick || jobs::SHORT.contains(&job.name.as_str())));
    if options.survey.is_some() {
        for test in &mut jobs {
            (test.attempts, test.seconds) = (1, test.seconds.min(SURVEYED));
        }
    }
    Ok(jobs)
}

fn boot(
    workspace: &Workspace,
    options: &Options,
    image: Image,
    jobs: &[Job],
    versions: Vec<String>,
) -> Result<Report> {
    let folder = workspace.target().join("oracle");
    let mut gpu = Gpu { timing: Timing::Realtime, trace: options.trace, ..Gpu::new(&options.gpu) };
    // i915 does not restore what a full reset loses by the documentation, and real parts work with it. What the
    // batches of test programs do wrong is their own affair.
    gpu.options = vec!["--full-reset-keeps-power".into(), "--allow-client-errors".into()];
    let machine = Machine::new(folder.join(format!("run-{}", options.gpu)))
        .memory(MEMORY)
        .deadline(options.deadline)
        .gpu(gpu, boot::build_model(workspace)?)
        // Without remapping of interrupts, which the model's way of sending them bypasses.
        .argument("-append")
        .argument("console=ttyS0,115200 loglevel=7 printk.devkmsg=on panic=-1 oops=panic intel_iommu=off intremap=off tsc=reliable");
    workspace.step(&format!("boot: Linux with GPU {}", options.gpu));
    let outcome = machine.run(&image, |line| {
        judge::watch(&line.text);
        ControlFlow::Continue(())
    })?;
    if outcome.ending != Ending::Exit(0) {
        bail!("the machine ended with {:?}; its last lines:\n{}", outcome.ending, outcome.tail());
    }
    let verdict = outcome.verdict.as_ref().context("no word from the device model")?;
    // Also where the demonstration leaves its own, to be compared with it.
    let run = workspace.target().join("run");
    fs::create_dir_all(&run).with_context(|| run.display().to_string())?;
    for place in [&folder, &run] {
        fs::copy(&verdict.files.registers, place.join("registers.txt")).context("the list of registers")?;
    }
    let lines: Vec<_> = outcome.lines.iter().map(|line| line.text.as_str()).collect();
    Ok(Report {
        judgement: Judgement::of(&lines, &verdict.reports, jobs),
        versions,
        complete: true,
        folder: outcome.folder,
        duration: outcome.duration,
    })
}

/// The file with the tests that pass on a part.
#[must_use]
pub fn passing_list(workspace: &Workspace, gpu: &str) -> PathBuf {
    workspace.root().join(format!("tests/oracle/passing-{gpu}.txt"))
}

fn listed_tests(workspace: &Workspace, options: &Options) -> Result<Vec<String>> {
    let path = options.survey.clone().unwrap_or_else(|| passing_list(workspace, &options.gpu));
    // A part without a list has the checks and the benchmarks.
    if options.survey.is_none() && !path.exists() {
        return Ok(vec![]);
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

/// The program that runs in the machine, without shared libraries.
fn build_guest(workspace: &Workspace) -> Result<PathBuf> {
    const TRIPLE: &str = "x86_64-unknown-linux-gnu";
    workspace.step("the machine's first process");
    let mut cargo = workspace.cargo("build");
    cargo.args(["-q", "-p", "oracle-guest", "--target", TRIPLE]);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static").env_remove("CARGO_ENCODED_RUSTFLAGS");
    workspace.run("the machine's first process", &mut cargo)?;
    Ok(workspace.target().join(TRIPLE).join("debug/oracle-guest"))
}

/// Puts i915 and what it needs into the machine, and says where the kernel is.
fn kernel_files(kernel: &Root, initramfs: &mut Initramfs) -> Result<PathBuf> {
    /// Probes a part whatever the module thinks of its maturity; the model has no GuC, and no display.
    const PARAMETERS: &str = "enable_guc=0 disable_display=1 modeset=1 force_probe=*";
    let image = kernel.only_file("boot", "vmlinuz-")?;
    let mut list = String::new();
    for module in modules::in_order(&kernel.path().join("lib/modules"), &["i915", "vgem"])? {
        let name = module.file_name().context("a module without name")?.to_string_lossy().into_owned();
        list += &if name == "i915.ko" { format!("{name} {PARAMETERS}\n") } else { format!("{name}\n") };
        initramfs.program(&format!("/oracle/ko/{name}"), &module)?;
    }
    initramfs.file("/oracle/modules", list.as_bytes());
    Ok(image)
}

/// Puts the programs that the jobs name in this root, and the libraries that those need, into the machine.
fn add_programs(initramfs: &mut Initramfs, place: &str, root: &Root, jobs: &[Job]) -> Result<()> {
    let here = if place.is_empty() { "/" } else { place };
    let mut programs: Vec<PathBuf> = vec![];
    for job in jobs.iter().filter(|job| job.root == here) {
        if let Program::Shipped(name) = &job.program {
            programs.push(Path::new(PROGRAMS).join(name));
        }
    }
    programs.sort();
    programs.dedup();
    for (file, from) in libraries::closure(root.path(), &programs)? {
        initramfs.program(&format!("{place}/{}", file.display()), &root.path().join(from))?;
    }
    // Both releases have the folders of libraries in /usr and links to them.
    for link in ["lib", "lib64", "bin"] {
        initramfs.link(&format!("{place}/{link}"), &format!("usr/{link}"));
    }
    Ok(())
}
