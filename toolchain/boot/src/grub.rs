// SPDX-License-Identifier: BSD-2-Clause
//! The way to boot that has a screen: GRUB, which sets a mode before it starts the kernel. QEMU's own loader (`-kernel`)
//! sets none.
//!
//! It boots from two disks: one with GRUB itself, the other with a tar archive of the kernel and the image, which GRUB
//! reads as a file system. GRUB drives the adapter by its registers (`video_bochs`) and not by the BIOS (`vbe`): with the
//! latter it would hand VBE's tables to the kernel, whose Multiboot structure has them at 64-bit pointers where they are
//! 32 bits wide (seL4 5.0.0: `multiboot.h`, `boot_sys.c`), so that it dies in its first instructions.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::system::Image;

/// Where Debian's package `grub-pc-bin` has GRUB for the BIOS.
const MODULES_FOLDER: &str = "/usr/lib/grub/i386-pc";
/// What it needs: disks, the archive, the kernel's format, the adapter.
const MODULES: [&str; 7] = ["biosdisk", "tar", "multiboot", "video", "video_bochs", "video_fb", "boot"];
/// The folder of the disks, in the run's folder, and the disks in it.
const FOLDER: &str = "boot";
const LOADER: &str = "grub.img";
const FILES: &str = "files.tar";
/// Sizes of disks: SeaBIOS does not read the end of one whose last cylinder is not whole.
const GRANULE: u64 = 1 << 20;

/// Makes the disks for an image in a run's folder, and tells QEMU of them. The mode is as GRUB's `gfxpayload` has it:
/// `640x480x32`.
pub(crate) fn disks(run: &Path, image: &Image, mode: &str, qemu: &mut Command) -> io::Result<()> {
    let folder = run.join(FOLDER);
    fs::create_dir_all(&folder)?;
    loader(&folder, mode)?;
    files(&folder, image)?;
    for (number, disk) in [LOADER, FILES].into_iter().enumerate() {
        let (id, path) = (format!("disk{number}"), Path::new(FOLDER).join(disk));
        qemu.arg("-drive").arg(format!("if=none,id={id},format=raw,file={}", path.display()));
        qemu.arg("-device").arg(format!("ide-hd,drive={id},bus=ide.{number}"));
    }
    Ok(())
}

/// The disk with GRUB.
fn loader(folder: &Path, mode: &str) -> io::Result<()> {
    // The kernel's header asks for any mode at all, which `multiboot` takes for the mode: what is to be is said behind it.
    let script =
        format!("set root=(hd1)\nmultiboot /kernel.elf\nmodule /system.elf\nset gfxpayload={mode}\nboot\n");
    let (config, core) = (folder.join("grub.cfg"), folder.join("grub.core"));
    fs::write(&config, script)?;
    let mut make = Command::new("grub-mkimage");
    make.args(["-O", "i386-pc", "-d", MODULES_FOLDER, "-p", "/", "-c"]).arg(&config).arg("-o").arg(&core);
    run(make.args(MODULES))?;
    // The boot sector loads what follows it.
    let disk = [fs::read(Path::new(MODULES_FOLDER).join("boot.img"))?, fs::read(&core)?].concat();
    fs::remove_file(&core)?;
    fs::write(folder.join(LOADER), disk)?;
    pad(&folder.join(LOADER))
}

/// The disk with what GRUB loads.
fn files(folder: &Path, image: &Image) -> io::Result<()> {
    let names = [("kernel.elf", &image.kernel), ("system.elf", &image.system)];
    for (name, file) in names {
        fs::copy(file, folder.join(name))?;
    }
    let mut tar = Command::new("tar");
    run(tar.current_dir(folder).args(["--format=ustar", "-cf", FILES]).args(names.map(|(name, _)| name)))?;
    for (name, _) in names {
        fs::remove_file(folder.join(name))?;
    }
    pad(&folder.join(FILES))
}

fn pad(disk: &Path) -> io::Result<()> {
    let file = File::options().write(true).open(disk)?;
    let length = file.metadata()?.len();
    file.set_len(length.next_multiple_of(GRANULE))
}

fn run(command: &mut Command) -> io::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let hint = if missing { " (`make setup` installs it)" } else { "" };
        io::Error::new(error.kind(), format!("{program}{hint}: {error}"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&output.stderr))))
}
