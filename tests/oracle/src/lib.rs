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
mod kernel_log;
mod libraries;
mod list;
mod modules;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use boot::{Ending, Gpu, Image, Machine, Timing, Workspace};

pub use debian::Unreachable;
use debian::{Release, Root};
use initramfs::Initramfs;
use jobs::{Job, Program};
pub use judge::Judgement;
use list::List;

/// The release with the kernel and the benchmarks.
const STABLE: Release = Release { suite: "bookworm", security: true };
/// The release with the tests.
const UNSTABLE: Release = Release { suite: "sid", security: false };
/// Where the tests' root is mounted.
const TESTS_ROOT: &str = "/sid";
/// Where both releases have the programs that the jobs name.
const PROGRAMS: &str = "usr/libexec/igt-gpu-tools";
/// A library that is loaded into every program of a root that has it (`guest/src/init.rs`), and what it needs.
const PRELOADED: &str = "/oracle/preload.so";
const PRELOADED_NEEDS: &str = "usr/lib/x86_64-linux-gnu/libgcc_s.so.1";

/// The guest's memory. The programs lie in it twice while it boots.
const MEMORY: u64 = 1536 << 20;

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
    /// Fetch nothing: what is not there yet counts as not to be had.
    pub offline: bool,
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
    /// Those with which the list of tests was made, where they were others.
    pub list_made_with: Vec<String>,
    /// How many tests the part's list has, and how many of the programs they are in were in the machine.
    pub listed: Listed,
    /// How many of the tests that passed there are of each kind that is to be judged.
    pub kinds: Vec<(&'static str, usize)>,
    /// The run's folder.
    pub folder: PathBuf,
    /// From the start of QEMU to its end.
    pub duration: Duration,
}

/// The list of tests, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The part has none.
    None,
    /// The programs could not be fetched: none of so many tests was run.
    Unreachable(usize),
    /// Of so many tests those that were asked for were run.
    Some(usize),
}

/// Fetches what is not there yet, boots, and judges.
///
/// # Errors
/// When something could not be fetched or built, or the machine did not come to its end.
pub fn run(workspace: &Workspace, options: &Options) -> Result<Report> {
    let folder = workspace.target().join("oracle");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let guest = build_guest(workspace)?;
    let obtain = |release: &Release, package: &str| {
        if options.offline {
            Root::fetched(&folder, release, package)
        } else {
            Root::obtain(workspace, &folder, release, package)
        }
    };
    let kernel = obtain(&STABLE, "linux-image-amd64")?;
    let list = passing_list(workspace, &options.gpu)?;
    let mut versions = vec![kernel.version_like("linux-image-6")?];
    let mut initramfs = Initramfs::new();
    let image = kernel_files(&options.gpu, &kernel, &mut initramfs)?;
    initramfs.program("/init", &guest)?;
    initramfs.program("/oracle/guest", &guest)?;
    let tests = match obtain(&UNSTABLE, "igt-gpu-tools-tests") {
        Ok(root) => Some(root),
        // What there is still says much.
        Err(error) if error.is::<Unreachable>() => {
            workspace.step(&format!("{error:#}"));
            None
        }
        Err(error) => return Err(error),
    };
    let mut jobs = vec![jobs::checks()];
    // The short run has them where there is nothing else.
    if !options.quick || tests.is_none() {
        match obtain(&STABLE, "intel-gpu-tools") {
            Ok(benchmarks) => {
                versions.push(benchmarks.version_like("intel-gpu-tools")?);
                if options.survey.is_none() {
                    jobs.extend(jobs::benchmarks());
                }
                jobs.retain(|job| options.wants(job));
                add_programs(&mut initramfs, "", &benchmarks, &jobs)?;
            }
            // The probe and the checks need nothing of it.
            Err(error) if options.quick && error.is::<Unreachable>() => workspace.step(&format!("{error:#}")),
            Err(error) => return Err(error),
        }
    }
    let mut roots = String::new();
    let mut listed = Listed::Unreachable(list.tests.len());
    if let Some(tests) = &tests {
        versions.push(tests.version_like("igt-gpu-tools-tests")?);
        jobs.extend(test_jobs(options, &list)?);
        add_programs(&mut initramfs, TESTS_ROOT, tests, &jobs)?;
        initramfs.program(&format!("{TESTS_ROOT}{PRELOADED}"), &build_fences(workspace)?)?;
        roots = format!("{TESTS_ROOT}\n");
        listed = Listed::Some(list.tests.len());
    }
    if list.tests.is_empty() {
        listed = Listed::None;
    }
    initramfs.file("/oracle/roots", roots.as_bytes());
    let lines: String = jobs.iter().map(Job::line).collect();
    initramfs.file("/oracle/jobs", lines.as_bytes());
    let system = folder.join(format!("initramfs-{}", options.gpu));
    initramfs.write(&system)?;
    let image = Image { kernel: image, system, report: PathBuf::new(), regions: vec![] };
    let other = |package: &&String| !versions.contains(package) && tests.is_some();
    let list_made_with = list.packages.iter().filter(other).cloned().collect();
    let report = boot(workspace, options, image, &jobs, versions)?;
    Ok(Report { listed, list_made_with, ..report })
}

/// The tests that shall be run.
fn test_jobs(options: &Options, list: &List) -> Result<Vec<Job>> {
    let mut jobs = match &options.survey {
        None => jobs::tests(&list.tests)?,
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            jobs::surveyed(&list::lines(&text).map(str::to_owned).collect::<Vec<_>>())?
        }
    };
    jobs.retain(|job| options.wants(job) && (!options.quick || jobs::SHORT.contains(&job.name.as_str())));
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
        .argument("console=ttyS0,115200 console_msg_format=syslog loglevel=7 printk.devkmsg=on panic=-1 oops=panic intel_iommu=off intremap=off tsc=reliable");
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
    let registers = fs::read_to_string(&verdict.files.registers).context("the list of registers")?;
    ensure!(is_register_list(&registers), "{}: not a list of registers", verdict.files.registers.display());
    let lines: Vec<_> = outcome.lines.iter().map(|line| line.text.as_str()).collect();
    let judgement = Judgement::of(&lines, &verdict.reports, jobs);
    Ok(Report {
        kinds: list::kinds(judgement.passed.iter()),
        judgement,
        versions,
        list_made_with: vec![],
        listed: Listed::None,
        folder: outcome.folder,
        duration: outcome.duration,
    })
}

/// The tests that pass on a part; none where nobody has looked for them yet.
fn passing_list(workspace: &Workspace, gpu: &str) -> Result<List> {
    let path = workspace.root().join(format!("tests/oracle/passing-{gpu}.txt"));
    if !path.exists() && !list::has_list(gpu) {
        return Ok(List::default());
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    List::parse(gpu, &text).with_context(|| path.display().to_string())
}

/// Whether every line is as `make run` leaves it, in the order of offsets: `0xOFFSET reads=N writes=N last=0xVALUE` for what
/// the CPU touched, then, as comments, `# command 0xOFFSET writes=N last=0xVALUE` for what commands of the engines wrote.
fn is_register_list(text: &str) -> bool {
    let number = |field: &str, name: &str| field.strip_prefix(name)?.parse::<u64>().ok();
    let hex = |field: &str| u64::from_str_radix(field.strip_prefix("0x")?, 16).ok();
    let line = |line: &str| {
        let (by_commands, offset, last) = match line.split(' ').collect::<Vec<_>>()[..] {
            [offset, reads, writes, last] => {
                number(reads, "reads=").and(number(writes, "writes="))?;
                (false, offset, last)
            }
            ["#", "command", offset, writes, last] => {
                number(writes, "writes=")?;
                (true, offset, last)
            }
            _ => return None,
        };
        hex(last.strip_prefix("last=")?)?;
        Some((by_commands, hex(offset)?))
    };
    let places: Option<Vec<_>> = text.lines().map(line).collect();
    places.is_some_and(|places| {
        places.first().is_some_and(|first| !first.0) && places.is_sorted_by(|one, other| one < other)
    })
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

/// The library that gives the tests fences of their own (`fences`).
fn build_fences(workspace: &Workspace) -> Result<PathBuf> {
    workspace.step("fences for the tests");
    let mut cargo = workspace.cargo("build");
    cargo.args(["-q", "-p", "oracle-fences"]);
    workspace.run("fences for the tests", &mut cargo)?;
    Ok(workspace.target().join("debug/liboracle_fences.so"))
}

/// Puts i915 and what it needs into the machine, and says where the kernel is.
fn kernel_files(gpu: &str, kernel: &Root, initramfs: &mut Initramfs) -> Result<PathBuf> {
    /// The model has no display.
    const PARAMETERS: &str = "disable_display=1 modeset=1";
    /// Where i915 would load firmware into a GuC, which the model has not (i915: intel_uc.c, uc_expand_default_options).
    /// It says of this that it taints the kernel.
    const WITH_GUC: &[&str] = &["adls"];
    let guc = if WITH_GUC.contains(&gpu) { " enable_guc=0" } else { "" };
    let image = kernel.only_file("boot", "vmlinuz-")?;
    let mut list = String::new();
    for module in modules::in_order(&kernel.path().join("lib/modules"), &["i915", "vgem"])? {
        let name = module.file_name().context("a module without name")?.to_string_lossy().into_owned();
        list += &if name == "i915.ko" { format!("{name} {PARAMETERS}{guc}\n") } else { format!("{name}\n") };
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
    if root.path().join(PRELOADED_NEEDS).exists() {
        programs.push(PRELOADED_NEEDS.into());
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

#[cfg(test)]
mod tests {
    use super::is_register_list;

    #[test]
    fn a_list_of_registers_has_a_line_for_each_in_order() {
        const GOOD: &str = "0x000d00 reads=1 writes=0 last=0xe\n0x00a188 reads=0 writes=12 last=0x10001\n";
        const BY_COMMANDS: &str = "# command 0x002088 writes=3 last=0x20002\n";
        assert!(is_register_list(GOOD));
        assert!(is_register_list(&[GOOD, BY_COMMANDS].concat()));
        assert!(!is_register_list(&[BY_COMMANDS, GOOD].concat()));
        assert!(!is_register_list(BY_COMMANDS));
        assert!(!is_register_list(&[GOOD, &BY_COMMANDS[2..]].concat()), "a line that is no comment");
        let swapped: Vec<_> = GOOD.lines().rev().collect();
        let wrong =
            ["", &swapped.join("\n"), &GOOD.replace("reads", "read"), &GOOD.replace("0xe", "e"), "0xd00"];
        for text in wrong {
            assert!(!is_register_list(text), "{text}");
        }
    }
}
