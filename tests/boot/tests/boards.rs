// SPDX-License-Identifier: BSD-2-Clause
//! The driver on a machine that its board file does not describe: it says at start which line is wrong.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use boot::{Demo, Ending, Gpu, Image, Kernel, Machine, Outcome, Pieces, Workspace};
use boot_tests::{DEADLINE, workspace};

/// The demonstration on a machine that is not what it was built for.
struct Run {
    outcome: Outcome,
    /// The board file's text, and its name with its folder's.
    board: (String, String),
}

/// What the demonstration is built with.
#[derive(Clone, Copy)]
enum Builder {
    Embedded,
    #[cfg(microkit_sdk)]
    Sdk,
}

impl Builder {
    /// The folder of a test.
    fn name(self, test: &str) -> String {
        match self {
            Self::Embedded => test.to_owned(),
            #[cfg(microkit_sdk)]
            Self::Sdk => format!("{test}-sdk"),
        }
    }

    fn deadline(self) -> Duration {
        match self {
            Self::Embedded => DEADLINE,
            #[cfg(microkit_sdk)]
            Self::Sdk => boot_tests::SDK_DEADLINE,
        }
    }

    fn image(self, workspace: &Workspace, board: &Path, description: &Path, folder: &Path) -> Result<Image> {
        let packages = ["gpu-driver", "gpu-trace", "paint"];
        match self {
            Self::Embedded => {
                let pieces = Pieces::build(workspace, Kernel::Debug, &packages)?;
                pieces.image_on(workspace, board, description, folder)
            }
            #[cfg(microkit_sdk)]
            Self::Sdk => {
                let sdk = boot_tests::sdk("debug")?;
                boot::SdkPieces::build(workspace, &sdk, &packages)?.image_on(
                    workspace,
                    board,
                    description,
                    folder,
                )
            }
        }
    }
}

/// Boots the demonstration with an edited board file and description until it ends, or until something says `enough`.
fn run(
    builder: Builder,
    test: &str,
    gpu: Gpu,
    board: impl FnOnce(String) -> String,
    description: impl FnOnce(String) -> String,
    enough: &str,
) -> Result<Run> {
    let workspace = workspace()?;
    let test = builder.name(test);
    let folder = workspace.target().join("boot-tests").join(&test);
    fs::create_dir_all(&folder)?;
    let edited = |name: &str, edit: Box<dyn FnOnce(String) -> String + '_>| -> Result<(PathBuf, String)> {
        let from = workspace.root().join(name);
        let text = fs::read_to_string(&from).with_context(|| from.display().to_string())?;
        let after = edit(text);
        let to = folder.join(from.file_name().context("a file")?);
        fs::write(&to, &after)?;
        Ok((to, after))
    };
    let (board, board_text) = edited("toolchain/image/boards/qemu-q35.toml", Box::new(board))?;
    let (description, _) = edited("system.xml", Box::new(description))?;
    let image = builder.image(&workspace, &board, &description, &folder.join("image"))?;
    let machine = Machine::new(folder.join("run")).deadline(builder.deadline());
    let machine = machine.gpu(gpu, boot::build_model(&workspace)?);
    let outcome = machine.run(&image, |line| {
        if line.text.contains(enough) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(Run { outcome, board: (board_text, format!("{test}/qemu-q35.toml")) })
}

impl Run {
    /// What a message says of a key of the GPU: where it stands.
    fn place(&self, key: &str) -> Result<String> {
        let (text, file) = &self.board;
        let line = text.lines().position(|line| line.starts_with(&format!("{key} = ")));
        let line = line.with_context(|| format!("no {key} in\n{text}"))? + 1;
        Ok(format!("`{key}` at {file}:{line}"))
    }

    /// Checks that a system without a usable GPU said why, naming the line to change, and ended by itself.
    fn refused(&self, key: &str, parts: &[&str]) -> Result<()> {
        let outcome = &self.outcome;
        ensure!(matches!(outcome.ending, Ending::Exit(1..)), "{:?}:\n{}", outcome.ending, outcome.tail());
        boot_tests::line_with(outcome, &[&["gpu_driver: error: ", &*self.place(key)?], parts].concat())?;
        Ok(())
    }
}

/// Replaces the one place where a text stands.
fn replaced(text: String, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} in\n{text}");
    text.replace(from, to)
}

/// What no line says.
const TO_THE_END: &str = "\0";

fn tells_registers(builder: Builder) -> Result<()> {
    let moved = "registers = { start = 0xfa00_0000, end = 0xfb00_0000 }";
    let board = |text| replaced(text, "registers = { start = 0xfd00_0000, end = 0xfe00_0000 }", moved);
    let run = run(builder, "board-registers", Gpu::new("tgl"), board, |text| text, TO_THE_END)?;
    run.refused("registers", &["BAR 0", "0xfd000000", "0xfa000000"])
}

#[test]
fn registers_that_are_elsewhere_are_told_with_both_addresses_and_the_line() -> Result<()> {
    tells_registers(Builder::Embedded)
}

fn tells_gtt(builder: Builder) -> Result<()> {
    let board = |text| replaced(text, "gtt = 0x80_0000", "gtt = 0x40_0000");
    let run = run(builder, "board-gtt", Gpu::new("tgl"), board, |text| text, TO_THE_END)?;
    run.refused("gtt", &["0x800000", "0x400000"])
}

#[test]
fn another_size_of_the_gtt_is_told_with_both_sizes_and_the_line() -> Result<()> {
    tells_gtt(Builder::Embedded)
}

#[test]
fn another_part_is_told_with_both_ids_and_the_line() -> Result<()> {
    let board = |text| replaced(text, "device = 0\n", "device = 0x1916\n");
    let run = run(Builder::Embedded, "board-device", Gpu::new("tgl"), board, |text| text, TO_THE_END)?;
    run.refused("device", &["8086:9a49", "8086:1916"])
}

#[test]
fn a_wrong_pci_address_is_told_with_the_line() -> Result<()> {
    // The key moves, and so does what is told.
    let board = |text| format!("# Mine.\n\n{}", replaced(text, "pci = \"0:2.0\"", "pci = \"0:3.0\""));
    let run = run(Builder::Embedded, "board-pci", Gpu::new("tgl"), board, |text| text, TO_THE_END)?;
    run.refused("pci", &["no GPU at 00:03.0"])
}

/// The I/O address space is another device's, so every access of the GPU to memory is a fault.
fn tells_iommu(builder: Builder) -> Result<()> {
    let description = |text| replaced(text, "peripheral_id=\"${gpu.pci}\"", "peripheral_id=\"0:4.0\"");
    let run = run(builder, "board-iommu", Gpu::new("tgl"), |text| text, description, TO_THE_END)?;
    run.refused("pci", &["did not complete its first request"])
}

#[test]
fn a_gpu_that_does_not_reach_memory_is_told_at_start_with_the_line() -> Result<()> {
    tells_iommu(Builder::Embedded)
}

/// Boots the demonstration until something says `told`; its client, which would end the machine sooner, cannot.
fn until(builder: Builder, test: &str, gpu: Gpu, told: &str) -> Result<Run> {
    let description = |text: String| text.replace("addr=\"0xf4\" size=\"4\"", "addr=\"0x80\" size=\"4\"");
    let run = run(builder, test, gpu, |text| text, description, told)?;
    let outcome = &run.outcome;
    ensure!(outcome.ending == Ending::Stopped, "{:?}:\n{}", outcome.ending, outcome.tail());
    Ok(run)
}

fn tells_interrupt(builder: Builder) -> Result<()> {
    let gpu = Gpu { lost_interrupts: u32::MAX, ..Gpu::new("tgl") };
    let told = "gpu_driver: error: the GPU's interrupt does not come";
    let run = until(builder, "board-interrupt", gpu, told)?;
    let outcome = &run.outcome;
    boot_tests::line_with(outcome, &[told, &run.place("vector")?, &run.place("pci")?])?;
    Ok(())
}

#[test]
fn an_interrupt_that_never_comes_is_told_within_the_first_second_with_the_lines() -> Result<()> {
    tells_interrupt(Builder::Embedded)
}

fn has_its_interrupt(builder: Builder) -> Result<()> {
    until(builder, "board-interrupt-arrives", Gpu::new("tgl"), "gpu_driver: the GPU's interrupt arrives")
        .map(drop)
}

#[test]
fn the_interrupt_of_the_first_request_arrives() -> Result<()> {
    has_its_interrupt(Builder::Embedded)
}

#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn the_interrupt_of_the_first_request_arrives_on_microkits_kernel() -> Result<()> {
    #[cfg(microkit_sdk)]
    has_its_interrupt(Builder::Sdk)?;
    Ok(())
}

#[test]
fn completions_that_no_interrupt_tells_of_are_said() -> Result<()> {
    let gpu = Gpu { lost_interrupts: u32::MAX, ..Gpu::new("tgl") };
    let told = "gpu_driver: 1 times the GPU's interrupt did not tell of completions";
    until(Builder::Embedded, "board-interrupt-late", gpu, told).map(drop)
}

#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn what_is_wrong_with_a_board_is_told_with_its_line_on_microkits_kernel() -> Result<()> {
    #[cfg(microkit_sdk)]
    for tells in [tells_registers, tells_gtt, tells_iommu, tells_interrupt] {
        tells(Builder::Sdk)?;
    }
    Ok(())
}

/// Where the description has values of its own and asks for no lines, no line of a board file is named.
#[test]
fn without_the_lines_the_key_is_told() -> Result<()> {
    let board = |text| replaced(text, "gtt = 0x80_0000", "gtt = 0x40_0000");
    let element = "<board_file symbol=\"board_file\" lines_symbol=\"board_lines\" />";
    let description = |text| replaced(text, element, "");
    let run = run(Builder::Embedded, "board-no-lines", Gpu::new("tgl"), board, description, TO_THE_END)?;
    boot_tests::line_with(&run.outcome, &["gpu_driver: error: ", "see `gtt` in [gpu] of the board file"])?;
    Ok(())
}

/// What the initialiser ends the machine with: the board file's `failure_exit`.
const FAILURE: Ending = Ending::Exit(125);

/// Boots the demonstration on a machine that is not what its board file says.
fn on_another_machine(test: &str, machine: impl FnOnce(Machine) -> Machine) -> Result<Outcome> {
    let workspace = workspace()?;
    let folder = workspace.target().join("boot-tests").join(test);
    let image = Demo::named("paint")?.build(&workspace, Kernel::Debug, &folder.join("image"))?;
    let machine = machine(Machine::new(folder.join("run")).deadline(DEADLINE));
    let machine = machine.gpu(Gpu::new("tgl"), boot::build_model(&workspace)?);
    Ok(machine.run(&image, |_| std::ops::ControlFlow::Continue(()))?)
}

#[test]
fn a_machine_with_too_little_memory_is_told_by_the_initialiser_with_the_address_and_the_lines() -> Result<()>
{
    let outcome = on_another_machine("board-memory", |machine| machine.memory(256 << 20))?;
    ensure!(outcome.ending == FAILURE, "{:?}:\n{}", outcome.ending, outcome.tail());
    let text = fs::read_to_string(workspace()?.root().join("toolchain/image/boards/qemu-q35.toml"))?;
    let place = |key: &str, start: &str| -> Result<String> {
        let line = text.lines().position(|line| line.starts_with(start)).context(start.to_owned())? + 1;
        Ok(format!("{key} at boards/qemu-q35.toml:{line}"))
    };
    let (ram, memory) = (place("[[ram]]", "[[ram]]")?, place("`memory`", "memory = ")?);
    let parts = ["initialiser: error: ", "no memory at the physical address 0x1", &ram, &memory];
    boot_tests::line_with(&outcome, &parts)?;
    Ok(())
}

#[test]
fn a_machine_without_an_iommu_is_told_by_the_initialiser() -> Result<()> {
    let outcome = on_another_machine("board-no-iommu", Machine::without_iommu)?;
    ensure!(outcome.ending == FAILURE, "{:?}:\n{}", outcome.ending, outcome.tail());
    boot_tests::line_with(
        &outcome,
        &["initialiser: error: ", "gpu", "no I/O memory management unit: VT-d is off"],
    )?;
    Ok(())
}

/// Builds every demonstration for every board of the tree, and looks where it maps the GPU's registers.
fn builds_for_every_board(builder: Builder) -> Result<()> {
    let workspace = workspace()?;
    let boards = boot::boards(&workspace)?;
    ensure!(boards.len() >= 3, "{boards:?}");
    for board in boards {
        let folder = workspace.target().join("boot-tests").join(builder.name("boards")).join(&board);
        let file = boot::board_file(&workspace, &board)?;
        let text = fs::read_to_string(&file)?.replace('_', "");
        for demo in Demo::all() {
            let image = match builder {
                Builder::Embedded => demo.build_on(&workspace, Kernel::Debug, &file, &folder),
                #[cfg(microkit_sdk)]
                Builder::Sdk => demo.build_with_sdk(&workspace, &boot_tests::sdk("debug")?, &file, &folder),
            };
            #[cfg(microkit_sdk)]
            if matches!(builder, Builder::Sdk) && demo.is_for_the_embedded_kernel() {
                let said = image.err().map(|error| format!("{error:#}")).unwrap_or_default();
                ensure!(said.contains("runs on the embedded kernel only: "), "{}: {said}", demo.name);
                continue;
            }
            if demo.is_for_screens() && !text.contains("\n[screen]\n") {
                let said = image.err().map(|error| format!("{error:#}")).unwrap_or_default();
                ensure!(said.contains(" has no value for ${screen."), "{} for {board}: {said}", demo.name);
                continue;
            }
            let image = image.with_context(|| format!("{} for {board}", demo.name))?;
            let registers = image.region("gpu_registers")?;
            let listed = text.contains(&format!("registers = {{ start = {:#x},", registers.paddr));
            ensure!(listed, "{board}: {} maps the registers from {:#x}", demo.name, registers.paddr);
        }
    }
    Ok(())
}

/// Also for the boards that nobody has here.
#[test]
fn every_demonstration_is_built_for_every_board_of_the_tree() -> Result<()> {
    builds_for_every_board(Builder::Embedded)
}

#[test]
#[cfg_attr(not(microkit_sdk), ignore = "skipped: no MICROKIT_SDK")]
fn every_demonstration_is_built_for_every_board_of_the_tree_with_the_sdk() -> Result<()> {
    #[cfg(microkit_sdk)]
    builds_for_every_board(Builder::Sdk)?;
    Ok(())
}

#[test]
fn a_board_that_is_not_in_the_tree_is_refused_with_those_that_are() -> Result<()> {
    let unknown = boot::board_file(&workspace()?, "toaster").map_err(|error| error.to_string());
    ensure!(unknown.as_ref().is_err_and(|error| error.contains("elitebook-8079, ")), "{unknown:?}");
    Ok(())
}
