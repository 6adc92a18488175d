// SPDX-License-Identifier: BSD-2-Clause
//! The virtual machine: QEMU with the guest's memory in our hands, the device model at its side, and an eye on the clock.
//!
//! ```text
//!   this process ---- memfd: guest memory ----+
//!     |    ^                                  |
//!     |    '-- serial port, line by line -- QEMU --- qtest socket: interrupts ---.
//!     |                                       '--- socket pair: config, BARs --- gpu-model
//!     '-- starts, watches, ends both
//! ```
//!
//! A run ends in one of four ways: the guest writes its exit code to the debug-exit port, whoever watches the serial
//! port has seen enough, the deadline passes, or something breaks. The last two are errors. However it ends, no
//! process is left.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::grub;
use crate::model::{Gpu, Model, QTEST_SOCKET, Verdict};
use crate::process::{self, Process};
use crate::ram::GuestRam;
use crate::screen::Screenshot;
use crate::serial::{Line, NOTHING, find, follow, tail};
use crate::system::Image;
use crate::trace;

/// The emulator, as Debian names it.
const QEMU: &str = "qemu-system-x86_64";

/// More than any system says in its life; a domain that prints in a loop is stopped here rather than by a full disk.
const MAX_LINES: usize = 200_000;

/// How often the device model is looked at while the serial port is silent.
const CHECK: Duration = Duration::from_millis(200);

/// How long QEMU may take to end after it closed the serial port, or after the model ended.
const SETTLE: Duration = Duration::from_secs(5);

/// Why a run has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A process or file of the run could not be had.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody ended the run in time.
    #[error("the run was ended at its deadline of {limit:?}; last on the serial port:\n{tail}")]
    Deadline {
        /// The time that it had.
        limit: Duration,
        /// The last lines of the serial port.
        tail: String,
    },
    /// QEMU ended without the guest having asked for it: it crashed, refused its arguments, or the guest reset the
    /// machine.
    #[error("QEMU ended without the guest's exit code ({status})\n{said}last on the serial port:\n{tail}")]
    Qemu {
        /// Its exit status.
        status: ExitStatus,
        /// What it said.
        said: String,
        /// The last lines of the serial port.
        tail: String,
    },
    /// The device model went away under the guest.
    #[error("the device model ended during the run ({status})\n{said}")]
    Model {
        /// Its exit status.
        status: ExitStatus,
        /// The last that it said.
        said: String,
    },
    /// The guest does nothing but print.
    #[error("the guest printed more than {MAX_LINES} lines; the last:\n{tail}")]
    Flood {
        /// The last lines of the serial port.
        tail: String,
    },
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> RunError {
    let what = what.into();
    move |source| RunError::Io { what, source }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The guest wrote this code to the debug-exit port.
    Exit(u8),
    /// The watcher had seen enough.
    Stopped,
}

/// What is left of a run.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What the guest printed.
    pub lines: Vec<Line>,
    /// What the device model says, if one was attached.
    pub verdict: Option<Verdict>,
    /// The guest's memory as it was at the end.
    pub ram: GuestRam,
    /// The folder with the run's files.
    pub folder: PathBuf,
    /// From the start of QEMU to its end.
    pub duration: Duration,
    /// What was on the screen when the watcher had seen enough, if there is one ([`Machine::screen`]).
    pub screen: Option<Screenshot>,
}

impl Outcome {
    /// The first line that contains `text`.
    #[must_use]
    pub fn line(&self, text: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.text.contains(text))
    }

    /// The first line that contains `text`, whole or torn: where other domains printed in the middle of it, it is the one
    /// in which `text` begins. For what must have been said; what must not, [`Self::line`] does not find by mistake.
    #[must_use]
    pub fn told(&self, text: &str) -> Option<&Line> {
        find(&self.lines, text)
    }

    /// The last lines of the serial port, as an error message shows them.
    #[must_use]
    pub fn tail(&self) -> String {
        tail(&self.lines)
    }
}

/// A virtual machine, described.
#[derive(Clone, Debug)]
pub struct Machine {
    folder: PathBuf,
    memory: u64,
    cpu: String,
    deadline: Duration,
    gpu: Option<(Gpu, PathBuf)>,
    iommu: bool,
    silent: bool,
    /// The mode that the boot loader sets.
    screen: Option<String>,
    arguments: Vec<OsString>,
}

impl Machine {
    /// A machine of 512 MiB without GPU that has a minute to finish. The run's files go to `folder`, which is emptied
    /// first: serial.log, qemu.log, and what the device model leaves.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            memory: 512 << 20,
            cpu: "max".into(),
            deadline: Duration::from_secs(60),
            gpu: None,
            iommu: true,
            silent: false,
            screen: None,
            arguments: vec![],
        }
    }

    /// How many bytes of memory it has.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Leaves the I/O memory management unit out.
    #[must_use]
    pub fn without_iommu(mut self) -> Self {
        self.iommu = false;
        self
    }

    /// How long a run may take from the start of QEMU.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Attaches a GPU at PCI address 0:2.0, served by the device model `program`.
    #[must_use]
    pub fn gpu(mut self, gpu: Gpu, program: impl Into<PathBuf>) -> Self {
        self.gpu = Some((gpu, program.into()));
        self
    }

    /// Makes the guest's clock count instructions: the time-stamp counter advances by one per instruction, and equal
    /// runs read equal values. String instructions count once per element, as on a processor without the fast ones.
    #[must_use]
    pub fn counting_instructions(mut self) -> Self {
        self.cpu = "max,-erms".into();
        self.argument("-icount").argument("shift=0,sleep=off")
    }

    /// The kernel prints nothing, so that an exit code counts although nothing was printed.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Whether the kernel is one that prints nothing.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// Attaches a graphics adapter at PCI address 0:3.0, and boots by way of GRUB, which sets a mode of 32 bits a pixel. The
    /// screen is looked at when the watcher has seen enough.
    #[must_use]
    pub fn screen(mut self, width: u32, height: u32) -> Self {
        self.screen = Some(format!("{width}x{height}x32"));
        self
    }

    /// Attaches another device, in QEMU's words, such as `edu,addr=3.0`.
    #[must_use]
    pub fn device(self, device: &str) -> Self {
        self.argument("-device").argument(device)
    }

    /// Adds one more word to QEMU's command line.
    #[must_use]
    pub fn argument(mut self, word: impl Into<OsString>) -> Self {
        self.arguments.push(word.into());
        self
    }

    /// The folder with the run's files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Boots `image` and shows every line of its serial port to `watch`, which can end the run. When QEMU crashes
    /// before the guest has come to anything of ours (`died_switching_translation_on`), it is started anew, and
    /// `watch` sees the kernel's first lines again.
    ///
    /// # Errors
    /// When the run ends in any other way than by the guest's exit code or by the watcher.
    pub fn run(
        &self,
        image: &Image,
        mut watch: impl FnMut(&Line) -> ControlFlow<()>,
    ) -> Result<Outcome, RunError> {
        let mut starts = 1;
        loop {
            match self.run_once(image, &mut watch) {
                Err(RunError::Qemu { status, tail, .. })
                    if starts < STARTS && died_switching_translation_on(status, &tail) =>
                {
                    starts += 1;
                    eprintln!(
                        "QEMU crashed as the kernel switched the IOMMU on; started anew ({starts} of {STARTS})"
                    );
                }
                other => return other,
            }
        }
    }

    fn run_once(
        &self,
        image: &Image,
        watch: &mut dyn FnMut(&Line) -> ControlFlow<()>,
    ) -> Result<Outcome, RunError> {
        let mut running = self.start(image)?;
        let ended = running.watch(self.deadline, watch)?;
        let screen = match (&ended, &running.monitor) {
            (Ended::Stopped, Some(monitor)) => {
                Some(Screenshot::take(monitor, &self.folder).map_err(io_error("the screen"))?)
            }
            _ => None,
        };
        let duration = running.start.elapsed();
        running.end_qemu();
        // However it ended: it is what tells why.
        trace::save(image, &running.ram, &self.folder).map_err(io_error("the driver's trace"))?;
        let tail = || tail(&running.lines);
        let ending = match ended {
            Ended::Stopped => Ending::Stopped,
            Ended::Deadline | Ended::Flood => {
                let (limit, tail) = (self.deadline, tail());
                // It writes its files, and what it finds is not what the run fails for.
                let _ = running.model.map(Model::finish);
                return Err(match ended {
                    Ended::Deadline => RunError::Deadline { limit, tail },
                    _ => RunError::Flood { tail },
                });
            }
            Ended::Model(status) => {
                let said = running.model.as_ref().map(Model::said).unwrap_or_default();
                return Err(RunError::Model { status, said });
            }
            Ended::Qemu(status) => {
                let said = fs::read_to_string(self.folder.join("qemu.log")).unwrap_or_default();
                match exit_code(status, self.silent || !running.lines.is_empty(), &said) {
                    Some(code) => Ending::Exit(code),
                    None => return Err(RunError::Qemu { status, said, tail: tail() }),
                }
            }
        };
        let verdict = match running.model {
            Some(model) => Some(model.finish().map_err(io_error("the device model"))?),
            None => None,
        };
        Ok(Outcome {
            ending,
            lines: running.lines,
            verdict,
            ram: running.ram,
            folder: self.folder.clone(),
            duration,
            screen,
        })
    }

    fn start(&self, image: &Image) -> Result<Running, RunError> {
        let folder = &self.folder;
        let at_folder = || io_error(format!("cannot make the run's folder {}", folder.display()));
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at_folder()(error)),
            _ => fs::create_dir_all(folder).map_err(at_folder())?,
        }
        let ram = GuestRam::new(self.memory).map_err(io_error("guest memory"))?;
        let memory = ram.share().map_err(io_error("guest memory"))?;
        let mut command = self.command(image, &memory);
        let mut descriptors = vec![memory];
        let mut monitor = None;
        if let Some(mode) = &self.screen {
            grub::disks(folder, image, mode, &mut command).map_err(io_error("the boot loader's disks"))?;
            let (for_qemu, ours) = UnixStream::pair().map_err(io_error("socket pair"))?;
            let for_qemu = OwnedFd::from(for_qemu);
            command.arg("-chardev").arg(format!("socket,id=monitor,fd={}", process::number(&for_qemu)));
            command.args(["-mon", "chardev=monitor,mode=control", "-device", "VGA,addr=3.0"]);
            descriptors.push(for_qemu);
            monitor = Some(ours);
        }
        let mut model = None;
        if let Some((gpu, program)) = &self.gpu {
            let (for_qemu, for_model) = UnixStream::pair().map_err(io_error("socket pair"))?;
            let for_qemu = OwnedFd::from(for_qemu);
            command.arg("-device");
            command.arg(format!("x-pci-proxy-dev,id=gpu,fd={},addr=2.0", process::number(&for_qemu)));
            let qtest = format!("unix:{QTEST_SOCKET},server=on,wait=off");
            command.args(["-qtest", &qtest, "-qtest-log", "/dev/null"]);
            descriptors.push(for_qemu);
            let started = Model::start(program, gpu, folder, for_model.into());
            model = Some(started.map_err(io_error(format!("the device model {}", program.display())))?);
        }
        let log =
            |name: &str| File::create(folder.join(name)).map_err(io_error(format!("cannot write {name}")));
        let serial_log = log("serial.log")?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log("qemu.log")?);
        let start = Instant::now();
        let mut qemu =
            Process::start(command, descriptors).map_err(io_error(format!("cannot start {QEMU}")))?;
        let (to, incoming) = channel();
        if let Some(serial) = qemu.take_stdout() {
            // Ends by itself at the end of the stream, which QEMU's death brings about.
            std::thread::spawn(move || follow(serial, serial_log, start, &to));
        }
        Ok(Running { qemu, model, ram, incoming, lines: vec![], start, monitor })
    }

    fn command(&self, image: &Image, memory: &OwnedFd) -> Command {
        let mut command = Command::new(QEMU);
        command.current_dir(&self.folder).args(["-nodefaults", "-no-user-config", "-no-reboot"]);
        // Translation by the IOMMU needs the split interrupt chip of q35; the proxy device's protocol shares memory by
        // descriptor and handles one access at a time, hence the memory object and the single processor.
        // What no guest here uses is off: each function on the bus, and the memory of system management, is one more
        // address space to switch when translation goes on, and so a larger part of `died_switching_translation_on`.
        const Q35: &str = "q35,kernel-irqchip=split,memory-backend=mem,smbus=off,smm=off,vmport=off";
        // The boot loader's disks are on it.
        let sata = if self.screen.is_some() { "on" } else { "off" };
        command.args(["-accel", "tcg", "-machine", &format!("{Q35},sata={sata}")]);
        command.arg("-object").arg(format!(
            "memory-backend-file,id=mem,size={},share=on,mem-path=/proc/self/fd/{}",
            self.memory,
            process::number(memory)
        ));
        command.arg("-m").arg(format!("{}B", self.memory));
        command.args(["-cpu", &self.cpu, "-smp", "1"]);
        if self.iommu {
            command.args(["-device", "intel-iommu"]);
        }
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        command.args(["-display", "none", "-serial", "stdio"]);
        if self.screen.is_none() {
            command.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(&image.system);
        }
        command.args(&self.arguments);
        command
    }
}

/// What QEMU says and then goes on: warnings, that it sets no video mode for a kernel that can do with one (seL4's
/// Multiboot header, every boot; QEMU: `hw/i386/multiboot.c`), and accesses that the IOMMU refused (QEMU:
/// `hw/i386/intel_iommu.c`), which are for the guest to judge.
const REMARKS: [&str; 4] = [": warning: ", ": multiboot knows VBE.", ": vtd_", ": New fault is not recorded"];

/// The guest's exit code `c` makes QEMU end with status `c << 1 | 1`. Its own failures end with 1 too, which would be
/// code 0; but then it has said so, or the guest has not `started`.
fn exit_code(status: ExitStatus, started: bool, said: &str) -> Option<u8> {
    let code = u8::try_from(status.code()?).ok()?;
    let gave_up =
        || said.lines().any(|line| line.starts_with(QEMU) && !REMARKS.iter().any(|mark| line.contains(mark)));
    (code & 1 == 1 && started && !(code == 1 && gave_up())).then_some(code >> 1)
}

/// How often QEMU is started for one run. A busy machine loses one start in thirty to the crash beneath.
const STARTS: u32 = 5;

/// Whether QEMU fell over its own feet at the one place where QEMU 7.2 is known to: while the guest's write to the
/// IOMMU's command register switches address spaces, `x-pci-proxy-dev` lets go of the big lock to send the new memory map
/// (QEMU: `hw/remote/mpqemu-link.c`, `mpqemu_msg_send`), and `tcg_commit` of its read lock (QEMU: `softmmu/physmem.c`,
/// `cpu_reloading_memory_map`); when another thread frees the old map then, the subpage with the command register
/// is gone before the write to it has returned. No domain has run by then: the kernel has printed that it enables the unit,
/// or, when it prints nothing, nobody has.
fn died_switching_translation_on(status: ExitStatus, tail: &str) -> bool {
    let last = tail.lines().last().map(str::trim);
    status.signal() == Some(rustix::process::Signal::SEGV.as_raw())
        && last.is_none_or(|line| {
            line == NOTHING || line.starts_with("IOMMU ") && line.ends_with(": enabling...")
        })
}

/// How a run came to its end.
enum Ended {
    Stopped,
    Deadline,
    Flood,
    Qemu(ExitStatus),
    Model(ExitStatus),
}

/// The processes of a run. Dropping it ends them, QEMU first.
struct Running {
    qemu: Process,
    model: Option<Model>,
    ram: GuestRam,
    incoming: Receiver<Line>,
    lines: Vec<Line>,
    start: Instant,
    /// To QEMU's monitor, if there is a screen.
    monitor: Option<UnixStream>,
}

impl Running {
    fn watch(
        &mut self,
        limit: Duration,
        watch: &mut dyn FnMut(&Line) -> ControlFlow<()>,
    ) -> Result<Ended, RunError> {
        let deadline = self.start + limit;
        let failed = || io_error("cannot wait for the run's processes");
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Ended::Deadline);
            }
            match self.incoming.recv_timeout(left.min(CHECK)) {
                Ok(line) => {
                    let flow = watch(&line);
                    self.lines.push(line);
                    if flow.is_break() {
                        self.linger();
                        return Ok(Ended::Stopped);
                    }
                    if self.lines.len() >= MAX_LINES {
                        return Ok(Ended::Flood);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let Some(model) = &mut self.model else { continue };
                    let Some(status) = model.ended().map_err(failed())? else { continue };
                    // It also ends because QEMU does, and may be the quicker of the two.
                    return Ok(match self.qemu.wait_until(Instant::now() + SETTLE).map_err(failed())? {
                        Some(status) => Ended::Qemu(status),
                        None => Ended::Model(status),
                    });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let settled = deadline.max(Instant::now() + SETTLE);
                    return Ok(match self.qemu.wait_until(settled).map_err(failed())? {
                        Some(status) => Ended::Qemu(status),
                        None => Ended::Deadline,
                    });
                }
            }
        }
    }
    /// Takes in what belongs to the line that ended the run: a fault is reported in several.
    fn linger(&mut self) {
        /// A silence of this length is the end of a report.
        const SILENCE: Duration = Duration::from_millis(100);
        self.take_in(SILENCE);
    }

    /// Ends QEMU if it is still there, and takes in what it had not finished printing.
    fn end_qemu(&mut self) {
        self.qemu.end();
        self.take_in(SETTLE);
    }

    /// Takes in lines until the port is silent for a while or closed; not many, as a guest may print for ever.
    fn take_in(&mut self, silence: Duration) {
        const LINES: usize = 50;
        for _ in 0..LINES {
            let Ok(line) = self.incoming.recv_timeout(silence) else { return };
            self.lines.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: i32, printed: &str, said: &str) -> Option<u8> {
        exit_code(ExitStatus::from_raw(status << 8), !printed.is_empty(), said)
    }

    #[test]
    fn only_a_crash_before_any_domain_has_run_is_started_anew() {
        let crash = ExitStatus::from_raw(11);
        let again = died_switching_translation_on;
        assert!(again(crash, "    Mapping kernel window is done\n    IOMMU 0x0: enabling..."));
        assert!(again(crash, &tail(&[])), "a kernel that prints nothing");
        assert!(!again(crash, "    IOMMU 0x0: enabling...\n    Starting node #1"), "the kernel got further");
        assert!(!again(crash, "    gpu_driver: up"), "a domain ran");
        assert!(!again(ExitStatus::from_raw(6), "    IOMMU 0x0: enabling..."), "another signal");
        assert!(!again(ExitStatus::from_raw(1 << 8), &tail(&[])), "an exit");
    }

    #[test]
    fn qemus_own_failure_is_not_the_guests_exit_code_0() {
        assert_eq!(code(1, "up", ""), Some(0));
        assert_eq!(code(1, "", ""), None, "nothing was booted");
        assert_eq!(code(1, "up", "qemu-system-x86_64: terminating: the proxy's socket is gone\n"), None);
        let warning = "qemu-system-x86_64: warning: TCG doesn't support requested feature\n";
        assert_eq!(code(1, "up", warning), Some(0));
        assert_eq!(code(1, "up", "qemu-system-x86_64: multiboot knows VBE. we don't\n"), Some(0));
        let refused =
            "qemu-system-x86_64: vtd_iommu_translate: detected translation failure (iova=0x200000)\n";
        assert_eq!(code(1, "up", refused), Some(0));
        let more = "qemu-system-x86_64: New fault is not recorded due to compression of faults\n";
        assert_eq!(code(1, "up", more), Some(0));
        assert_eq!(code(85, "up", "qemu-system-x86_64: whatever\n"), Some(42), "only a guest says that");
        assert_eq!(code(2, "up", ""), None, "no guest's code");
    }
}
