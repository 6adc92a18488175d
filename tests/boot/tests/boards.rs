// SPDX-License-Identifier: BSD-2-Clause
//! The driver on a machine that its board file does not describe: it says at start which key is wrong.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use boot::{Demo, Ending, Gpu, Kernel, Machine, Outcome, Pieces};
use boot_tests::{DEADLINE, workspace};

/// Boots the demonstration with an edited board file and description.
fn run(
    test: &str,
    gpu: Gpu,
    board: impl FnOnce(String) -> String,
    description: impl FnOnce(String) -> String,
) -> Result<Outcome> {
    let workspace = workspace()?;
    let folder = workspace.target().join("boot-tests").join(test);
    fs::create_dir_all(&folder)?;
    let edited = |name: &str, edit: Box<dyn FnOnce(String) -> String + '_>| -> Result<PathBuf> {
        let from = workspace.root().join(name);
        let text = fs::read_to_string(&from).with_context(|| from.display().to_string())?;
        let after = edit(text.clone());
        let to = folder.join(from.file_name().context("a file")?);
        fs::write(&to, after)?;
        Ok(to)
    };
    let board = edited("toolchain/image/boards/qemu-q35.toml", Box::new(board))?;
    let description = edited("system.xml", Box::new(description))?;
    let pieces = Pieces::build(&workspace, Kernel::Debug, &["gpu-driver", "gpu-trace", "paint"])?;
    let image = pieces.image_on(&workspace, &board, &description, &folder.join("image"))?;
    let machine = Machine::new(folder.join("run")).deadline(DEADLINE);
    let machine = machine.gpu(gpu, boot::build_model(&workspace)?);
    Ok(machine.run(&image, |_| std::ops::ControlFlow::Continue(()))?)
}

/// Replaces the one place where a text stands.
fn replaced(text: String, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} in\n{text}");
    text.replace(from, to)
}

/// Checks that a system without a usable GPU said why, naming what to change, and ended by itself.
fn refused(outcome: &Outcome, parts: &[&str]) -> Result<()> {
    ensure!(matches!(outcome.ending, Ending::Exit(1..)), "{:?}:\n{}", outcome.ending, outcome.tail());
    boot_tests::line_with(outcome, &[&["gpu_driver: error: "], parts].concat())?;
    Ok(())
}

#[test]
fn registers_that_are_elsewhere_are_told_with_both_addresses_and_the_key() -> Result<()> {
    let moved = "registers = { start = 0xfa00_0000, end = 0xfb00_0000 }";
    let board = |text| replaced(text, "registers = { start = 0xfd00_0000, end = 0xfe00_0000 }", moved);
    let outcome = run("board-registers", Gpu::new("tgl"), board, |text| text)?;
    refused(&outcome, &["BAR 0", "0xfd000000", "0xfa000000", "`registers` in [gpu] of the board file"])
}

#[test]
fn another_size_of_the_gtt_is_told_with_both_sizes_and_the_key() -> Result<()> {
    let board = |text| replaced(text, "gtt = 0x80_0000", "gtt = 0x40_0000");
    let outcome = run("board-gtt", Gpu::new("tgl"), board, |text| text)?;
    refused(&outcome, &["0x800000", "0x400000", "`gtt` in [gpu] of the board file"])
}

#[test]
fn another_part_is_told_with_both_ids_and_the_key() -> Result<()> {
    let board = |text| replaced(text, "device = 0\n", "device = 0x1916\n");
    let outcome = run("board-device", Gpu::new("tgl"), board, |text| text)?;
    refused(&outcome, &["8086:9a49", "8086:1916", "`device` in [gpu] of the board file"])
}

#[test]
fn a_wrong_pci_address_is_told_with_the_key() -> Result<()> {
    let board = |text| replaced(text, "pci = \"0:2.0\"", "pci = \"0:3.0\"");
    let outcome = run("board-pci", Gpu::new("tgl"), board, |text| text)?;
    refused(&outcome, &["no GPU at 00:03.0", "`pci` in [gpu] of the board file"])
}

/// The I/O address space is another device's, so every access of the GPU to memory is a fault.
#[test]
fn a_gpu_that_does_not_reach_memory_is_told_at_start_with_the_key() -> Result<()> {
    let description = |text| replaced(text, "peripheral_id=\"${gpu.pci}\"", "peripheral_id=\"0:4.0\"");
    let outcome = run("board-iommu", Gpu::new("tgl"), |text| text, description)?;
    refused(&outcome, &["did not complete its first request", "`pci` in [gpu] of the board file"])
}

#[test]
fn an_interrupt_that_never_comes_is_told_within_the_first_second_with_the_key() -> Result<()> {
    let gpu = Gpu { lost_interrupts: u32::MAX, ..Gpu::new("tgl") };
    // The client would end the machine sooner.
    let description = |text: String| text.replace("addr=\"0xf4\" size=\"4\"", "addr=\"0x80\" size=\"4\"");
    let workspace = workspace()?;
    let folder = workspace.target().join("boot-tests/board-interrupt");
    fs::create_dir_all(&folder)?;
    let system = folder.join("system.xml");
    fs::write(&system, description(fs::read_to_string(workspace.root().join("system.xml"))?))?;
    let pieces = Pieces::build(&workspace, Kernel::Debug, &["gpu-driver", "gpu-trace", "paint"])?;
    let image = pieces.image(&workspace, &system, &folder.join("image"))?;
    let machine = Machine::new(folder.join("run")).deadline(DEADLINE);
    let machine = machine.gpu(gpu, boot::build_model(&workspace)?);
    let told = "`vector` and `pci` in [gpu] of the board file";
    let outcome = machine.run(&image, |line| {
        if line.text.contains(told) {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        }
    })?;
    ensure!(outcome.ending == Ending::Stopped, "{:?}:\n{}", outcome.ending, outcome.tail());
    boot_tests::line_with(&outcome, &["gpu_driver: error: the GPU's interrupt does not come", told])?;
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
fn a_machine_with_too_little_memory_is_told_by_the_initialiser_with_the_address_and_the_key() -> Result<()> {
    let outcome = on_another_machine("board-memory", |machine| machine.memory(256 << 20))?;
    ensure!(outcome.ending == FAILURE, "{:?}:\n{}", outcome.ending, outcome.tail());
    let parts = ["initialiser: error: ", "no memory at the physical address 0x1", "see [[ram]]"];
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

/// Also for the boards that nobody has here.
#[test]
fn the_demonstration_is_built_for_every_board_of_the_tree() -> Result<()> {
    let workspace = workspace()?;
    let boards = boot::boards(&workspace)?;
    ensure!(boards.len() >= 3, "{boards:?}");
    for board in boards {
        let folder = workspace.target().join("boot-tests/boards").join(&board);
        let file = boot::board_file(&workspace, &board)?;
        let image = Demo::named("paint")?.build_on(&workspace, Kernel::Debug, &file, &folder)?;
        let registers = image.region("gpu_registers")?;
        let text = fs::read_to_string(&file)?.replace('_', "");
        let listed = text.contains(&format!("registers = {{ start = {:#x},", registers.paddr));
        ensure!(listed, "{board}: the registers are mapped from {:#x}", registers.paddr);
    }
    let unknown = boot::board_file(&workspace, "toaster").map_err(|error| error.to_string());
    ensure!(unknown.as_ref().is_err_and(|error| error.contains("there is elitebook-8079, ")), "{unknown:?}");
    Ok(())
}
