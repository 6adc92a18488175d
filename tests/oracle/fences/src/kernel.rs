// SPDX-License-Identifier: BSD-2-Clause
//! vgem's interface to programs. The only unsafe code of this library.
#![allow(unsafe_code, reason = "system calls through libc")]

use std::ffi::{c_int, c_ulong};
use std::fs;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::PathBuf;

use crate::timeline::Fence;

/// Sizes and numbers as in Linux: include/uapi/drm/drm.h, drm_mode.h, vgem_drm.h and linux/dma-buf.h. A request has the
/// direction in its highest bits: 1 to the kernel, 3 both ways.
const fn request(direction: c_ulong, kind: u8, number: c_ulong, size: usize) -> c_ulong {
    // CAST: the largest structure here has 32 bytes; a letter has 8 bits.
    direction << 30 | (size as c_ulong) << 16 | (kind as c_ulong) << 8 | number
}

#[repr(C)]
#[derive(Default)]
struct CreateDumb {
    height: u32,
    width: u32,
    bpp: u32,
    flags: u32,
    handle: u32,
    pitch: u32,
    size: u64,
}

#[repr(C)]
#[derive(Default)]
struct CloseHandle {
    handle: u32,
    pad: u32,
}

#[repr(C)]
#[derive(Default)]
struct HandleToFile {
    handle: u32,
    flags: u32,
    file: i32,
}

#[repr(C)]
#[derive(Default)]
struct AttachFence {
    handle: u32,
    flags: u32,
    fence: u32,
    pad: u32,
}

#[repr(C)]
struct SignalFence {
    fence: u32,
    flags: u32,
}

#[repr(C)]
struct ExportSyncFile {
    flags: u32,
    file: i32,
}

/// What is passed to the kernel: the structures above, without padding.
trait Argument {
    const REQUEST: c_ulong;
}

impl Argument for CreateDumb {
    const REQUEST: c_ulong = request(3, b'd', 0xb2, size_of::<Self>());
}
impl Argument for CloseHandle {
    const REQUEST: c_ulong = request(1, b'd', 0x09, size_of::<Self>());
}
impl Argument for HandleToFile {
    const REQUEST: c_ulong = request(3, b'd', 0x2d, size_of::<Self>());
}
impl Argument for AttachFence {
    const REQUEST: c_ulong = request(3, b'd', 0x41, size_of::<Self>());
}
impl Argument for SignalFence {
    const REQUEST: c_ulong = request(1, b'd', 0x42, size_of::<Self>());
}
impl Argument for ExportSyncFile {
    const REQUEST: c_ulong = request(3, b'b', 2, size_of::<Self>());
}

fn ioctl<T: Argument>(file: c_int, argument: &mut T) -> Result<()> {
    loop {
        // SAFETY: the argument is a structure of the size and kind that the request says, with no address in it.
        if unsafe { libc::ioctl(file, T::REQUEST, std::ptr::from_mut(argument)) } == 0 {
            return Ok(());
        }
        let error = Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// A descriptor that the kernel just made for us.
fn adopt(file: i32) -> OwnedFd {
    // SAFETY: nobody else has it yet.
    unsafe { OwnedFd::from_raw_fd(file) }
}

/// vgem's device node.
pub(crate) fn node() -> Result<PathBuf> {
    for entry in fs::read_dir("/sys/devices/platform/vgem/drm")? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("card") {
            return Ok(PathBuf::from("/dev/dri").join(name));
        }
    }
    Err(Error::from_raw_os_error(libc::ENODEV))
}

/// Opens vgem; who gets the descriptor closes it.
pub(crate) fn open() -> Result<c_int> {
    Ok(fs::OpenOptions::new().read(true).write(true).open(node()?)?.into_raw_fd())
}

/// An open file of vgem, which somebody else owns.
pub(crate) struct Vgem(c_int);

impl Vgem {
    pub(crate) fn of(file: c_int) -> Self {
        Self(file)
    }

    /// A fence that did not signal yet, and a sync file of it.
    pub(crate) fn fence(&self) -> Result<(Fence, c_int)> {
        /// VGEM_FENCE_WRITE; DMA_BUF_SYNC_WRITE: every fence of the buffer.
        const WRITE: u32 = 1;
        const EVERY: u32 = 2;
        let mut buffer = CreateDumb { height: 1, width: 1024, bpp: 32, ..CreateDumb::default() };
        ioctl(self.0, &mut buffer)?;
        let made = self.fence_of(buffer.handle, WRITE, EVERY);
        // The fence lives in the open file, not in the buffer.
        ioctl(self.0, &mut CloseHandle { handle: buffer.handle, pad: 0 })?;
        made
    }

    fn fence_of(&self, handle: u32, write: u32, every: u32) -> Result<(Fence, c_int)> {
        // CAST: a flag.
        let flags = libc::O_CLOEXEC as u32;
        let mut shared = HandleToFile { handle, flags, file: -1 };
        ioctl(self.0, &mut shared)?;
        let buffer = adopt(shared.file);
        let mut attach = AttachFence { handle, flags: write, ..AttachFence::default() };
        ioctl(self.0, &mut attach)?;
        let mut export = ExportSyncFile { flags: every, file: -1 };
        ioctl(buffer.as_raw_fd(), &mut export)?;
        Ok((attach.fence, export.file))
    }

    pub(crate) fn signal(&self, fence: Fence) -> Result<()> {
        ioctl(self.0, &mut SignalFence { fence, flags: 0 })
    }
}

const _: () = assert!(size_of::<CreateDumb>() == 32);
