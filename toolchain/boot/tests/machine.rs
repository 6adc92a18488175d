// SPDX-License-Identifier: BSD-2-Clause
//! How runs of a virtual machine end, with guests of a few hand-made instructions in place of a kernel.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use boot::{Ending, Gpu, Image, Line, Machine, RunError};

/// A guest under construction: 32-bit code without paging, as a multiboot loader starts it.
#[derive(Default)]
struct Guest {
    code: Vec<u8>,
}

impl Guest {
    fn then(mut self, bytes: &[u8]) -> Self {
        self.code.extend(bytes);
        self
    }

    /// Prints on the first serial port.
    fn print(self, text: &str) -> Self {
        // mov edx, 0x3f8
        let start = self.then(&[0xba, 0xf8, 0x03, 0, 0]);
        // mov al, byte; out dx, al
        text.bytes().fold(start, |guest, byte| guest.then(&[0xb0, byte, 0xee]))
    }

    /// Writes to the debug-exit port.
    fn exit(self, code: u8) -> Self {
        // mov edx, 0xf4; mov eax, code; out dx, eax
        self.then(&[0xba, 0xf4, 0, 0, 0, 0xb8, code, 0, 0, 0, 0xef])
    }

    /// mov dword ptr [address], value
    fn store(self, address: u32, value: u32) -> Self {
        self.then(&[0xc7, 0x05]).then(&address.to_le_bytes()).then(&value.to_le_bytes())
    }

    /// Jumps back to the start of the program.
    fn again(self) -> Self {
        let back = -(i32::try_from(self.code.len()).unwrap_or(i32::MAX) + 5);
        self.then(&[0xe9]).then(&back.to_le_bytes())
    }

    /// Asks the keyboard controller for a reset of the machine.
    fn reset(self) -> Self {
        // mov al, 0xfe; out 0x64, al
        self.then(&[0xb0, 0xfe, 0xe6, 0x64]).forever()
    }

    /// Stays where it is.
    fn forever(self) -> Self {
        self.then(&[0xeb, 0xfe])
    }

    /// An image with a multiboot header (Multiboot Specification 0.6.96, section 3.1) that says where to load it.
    fn image(self, folder: &PathBuf) -> Result<Image> {
        const MAGIC: u32 = 0x1bad_b002;
        const ADDRESSES_ARE_VALID: u32 = 1 << 16;
        const LOAD: u32 = 0x10_0000;
        const HEADER: u32 = 32;
        let end = LOAD + HEADER + u32::try_from(self.code.len())?;
        let checksum = 0_u32.wrapping_sub(MAGIC + ADDRESSES_ARE_VALID);
        let header = [MAGIC, ADDRESSES_ARE_VALID, checksum, LOAD, LOAD, end, end, LOAD + HEADER];
        let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(self.code);
        fs::create_dir_all(folder)?;
        let (kernel, system) = (folder.join("kernel"), folder.join("system"));
        fs::write(&kernel, bytes)?;
        fs::write(&system, "nothing that this guest looks at")?;
        Ok(Image { kernel, system, report: folder.join("report.json"), regions: vec![] })
    }
}

/// A folder of this test's own.
fn folder(test: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test)
}

fn run(
    test: &str,
    guest: Guest,
    change: impl FnOnce(Machine) -> Machine,
    watch: impl FnMut(&Line) -> ControlFlow<()>,
) -> Result<Result<boot::Outcome, RunError>> {
    let image = guest.image(&folder(test))?;
    let machine = Machine::new(folder(test).join("run")).deadline(Duration::from_secs(60));
    Ok(change(machine).run(&image, watch))
}

fn go_on(_: &Line) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn the_guests_exit_code_its_lines_and_its_memory_are_the_outcome() -> Result<()> {
    let guest = Guest::default().store(0x123_4567, 0xdead_beef).print("one\r\ntwo\n").exit(42).forever();
    let outcome = run("exit", guest, |machine| machine, go_on)??;
    ensure!(outcome.ending == Ending::Exit(42), "{:?}", outcome.ending);
    let lines: Vec<_> = outcome.lines.iter().map(|line| line.text.as_str()).collect();
    ensure!(lines == ["one", "two"], "{lines:?}");
    ensure!(outcome.ram.read(0x123_4567, 4)? == 0xdead_beef_u32.to_le_bytes());
    ensure!(fs::read(outcome.folder.join("serial.log"))? == b"one\r\ntwo\n");
    Ok(())
}

#[test]
fn exit_code_0_is_told_apart_from_qemus_own_failure() -> Result<()> {
    let guest = || Guest::default().print("up\n").exit(0).forever();
    let outcome = run("zero", guest(), |machine| machine, go_on)??;
    ensure!(outcome.ending == Ending::Exit(0), "{:?}", outcome.ending);
    let refused = run("refused", guest(), |machine| machine.device("no-such-device"), go_on)?;
    let Err(error) = refused else { bail!("QEMU accepted it") };
    ensure!(matches!(&error, RunError::Qemu { said, .. } if said.contains("no-such-device")), "{error}");
    Ok(())
}

#[test]
fn a_reset_is_an_error_and_not_a_second_boot() -> Result<()> {
    let Err(error) = run("reset", Guest::default().print("going\n").reset(), |machine| machine, go_on)?
    else {
        bail!("a reset passed for an end")
    };
    ensure!(matches!(&error, RunError::Qemu { tail, .. } if tail.contains("going")), "{error}");
    Ok(())
}

#[test]
fn a_guest_that_never_ends_is_ended_at_its_deadline() -> Result<()> {
    let limit = Duration::from_secs(3);
    let start = Instant::now();
    let guest = Guest::default().print("unfinished").forever();
    let Err(error) = run("deadline", guest, |machine| machine.deadline(limit), go_on)? else {
        bail!("it came to an end")
    };
    ensure!(matches!(&error, RunError::Deadline { tail, .. } if tail.contains("unfinished")), "{error}");
    ensure!(start.elapsed() < 3 * limit, "{:?}", start.elapsed());
    Ok(())
}

#[test]
fn a_guest_that_only_prints_is_ended() -> Result<()> {
    let guest = Guest::default().print(&"\n".repeat(500)).again();
    let Err(error) = run("flood", guest, |machine| machine, go_on)? else { bail!("it came to an end") };
    ensure!(matches!(error, RunError::Flood { .. }), "{error}");
    Ok(())
}

#[test]
fn the_watcher_sees_each_line_once_and_can_end_the_run() -> Result<()> {
    let mut seen = vec![];
    let guest = Guest::default().print("one\ntwo\nthree\n").forever();
    let outcome = run(
        "watch",
        guest,
        |machine| machine,
        |line| {
            seen.push(line.text.clone());
            if line.text == "two" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    )??;
    ensure!(outcome.ending == Ending::Stopped, "{:?}", outcome.ending);
    ensure!(seen == ["one", "two"], "{seen:?}");
    ensure!(outcome.told("three").is_some(), "what belongs to the last line is still taken in");
    Ok(())
}

#[test]
fn counting_instructions_makes_equal_runs_read_equal_times() -> Result<()> {
    // rdtsc; mov [0x200000], eax; mov [0x200004], edx
    let guest = || {
        let stamp = [0x0f, 0x31, 0xa3, 0, 0, 0x20, 0, 0x89, 0x15, 4, 0, 0x20, 0];
        Guest::default().print("up\n").then(&stamp).print("done\n").exit(0).forever()
    };
    let stamp = |test: &str| -> Result<Vec<u8>> {
        let outcome = run(test, guest(), Machine::counting_instructions, go_on)??;
        Ok(outcome.ram.read(0x20_0000, 8)?)
    };
    let (first, second) = (stamp("count-1")?, stamp("count-2")?);
    ensure!(first != [0; 8]);
    // The firmware waits for devices whose answers take host time, so the runs agree closely, not exactly.
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_f64, |sum, &byte| sum * 256.0 + f64::from(byte));
    let (first, second) = (number(&first), number(&second));
    ensure!((first - second).abs() < 0.2 * first, "{first} and {second} instructions");
    Ok(())
}

#[test]
fn a_device_model_that_gives_up_is_an_error_with_what_it_said() -> Result<()> {
    let program = folder("model").join("model.sh");
    fs::create_dir_all(folder("model"))?;
    fs::write(&program, "#!/bin/sh\necho no such part >&2\nexit 2\n")?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, executable)?;
    let guest = Guest::default().forever();
    let Err(error) = run("model", guest, |machine| machine.gpu(Gpu::new("tgl"), program), go_on)? else {
        bail!("the run went on without it")
    };
    ensure!(error.to_string().contains("no such part"), "{error}");
    Ok(())
}

#[test]
fn a_part_that_the_device_model_does_not_know_is_told_before_anything_boots() -> Result<()> {
    let program = folder("parts").join("model.sh");
    fs::create_dir_all(folder("parts"))?;
    fs::write(&program, "#!/bin/sh\n[ \"$1\" = platforms ] && printf 'skl\\ntgl\\n'\n")?;
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Gpu::new("tgl").check(&program)?;
    let Err(error) = Gpu::new("xyz").check(&program) else { bail!("it is taken for a part") };
    ensure!(error.to_string() == "there is no GPU xyz; there is skl, tgl", "{error}");
    Ok(())
}
