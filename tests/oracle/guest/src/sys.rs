// SPDX-License-Identifier: BSD-2-Clause
//! The system calls that the standard library has no function for. The only unsafe code of this program.
#![allow(unsafe_code, reason = "system calls through libc")]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Mounts a file system of the kernel's own.
pub(crate) fn mount(kind: &CStr, target: &CStr) -> io::Result<()> {
    // SAFETY: three strings that end in zero and live through the call; no data.
    checked(unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) })
        .map(drop)
}

/// Loads a module with its parameters.
pub(crate) fn load_module(file: &File, parameters: &str) -> io::Result<()> {
    let parameters = CString::new(parameters)?;
    // SAFETY: a descriptor that is open and a string that ends in zero, both living through the call.
    let result = unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), parameters.as_ptr(), 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Switches the machine off.
pub(crate) fn power_off() -> io::Result<()> {
    // SAFETY: no memory is passed.
    checked(unsafe { libc::reboot(libc::LINUX_REBOOT_CMD_POWER_OFF) }).map(drop)
}

/// Lets the command run with `root` as its root folder.
pub(crate) fn in_root(command: &mut Command, root: &str) -> io::Result<()> {
    let root = CString::new(root)?;
    let enter = move || {
        // SAFETY: strings that end in zero and live through the calls.
        checked(unsafe { libc::chroot(root.as_ptr()) })?;
        // SAFETY: as above.
        checked(unsafe { libc::chdir(c"/".as_ptr()) }).map(drop)
    };
    // SAFETY: between fork and exec it makes two system calls and allocates nothing.
    unsafe { command.pre_exec(enter) };
    Ok(())
}

/// Kills a process group.
pub(crate) fn kill_group(leader: u32) -> io::Result<()> {
    let group = libc::pid_t::try_from(leader).map_err(io::Error::other)?;
    // SAFETY: no memory is passed.
    checked(unsafe { libc::kill(-group, libc::SIGKILL) }).map(drop)
}

/// An argument of an ioctl.
///
/// # Safety
/// The type is what the kernel expects: `repr(C)`, valid for every bit pattern, without padding; addresses inside are
/// of memory that the kernel may access as the request says.
pub(crate) unsafe trait Argument {}

/// A DRM ioctl of number `number` (the driver's own start at 0x40) with an argument that goes in and comes out. One that
/// was interrupted is made again.
pub(crate) fn ioctl<T: Argument>(device: BorrowedFd<'_>, number: u8, argument: &mut T) -> io::Result<()> {
    /// DRM's letter.
    const TYPE: libc::c_ulong = b'd' as libc::c_ulong;
    /// Both directions.
    const READ_WRITE: libc::c_ulong = 3;
    let size = libc::c_ulong::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let request = READ_WRITE << 30 | size << 16 | TYPE << 8 | libc::c_ulong::from(number);
    loop {
        // SAFETY: the argument is as large as the request says, and what `Argument` promises.
        match checked(unsafe { libc::ioctl(device.as_raw_fd(), request, std::ptr::from_mut(argument)) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(drop),
        }
    }
}

/// Takes over a descriptor that the kernel made for us in an ioctl.
pub(crate) fn adopt(descriptor: i32) -> io::Result<OwnedFd> {
    checked(descriptor)?;
    // SAFETY: the kernel just made it, so nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Whether the descriptor becomes readable in this time, as a sync file does when its fence has signalled.
pub(crate) fn readable(fd: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let milliseconds = libc::c_int::try_from(limit.as_millis()).map_err(io::Error::other)?;
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, and the count says so.
    Ok(checked(unsafe { libc::poll(&raw mut poll, 1, milliseconds) })? == 1)
}

/// Memory that the GPU accesses too: every access is volatile.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: *mut u32,
    bytes: usize,
}

impl Mapping {
    /// Memory of this process that is in no file, page aligned.
    pub(crate) fn anonymous(bytes: usize) -> io::Result<Self> {
        Self::map(bytes, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    /// Memory of a file or device from `offset` on.
    pub(crate) fn of(fd: BorrowedFd<'_>, offset: u64, bytes: usize) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        Self::map(bytes, libc::MAP_SHARED, fd.as_raw_fd(), offset)
    }

    fn map(bytes: usize, flags: libc::c_int, fd: i32, offset: libc::off_t) -> io::Result<Self> {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: no address is asked for, so nothing that is there is replaced.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, rights, flags, fd, offset) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { address: address.cast(), bytes })
    }

    /// Its first address.
    pub(crate) fn address(&self) -> u64 {
        // CAST: an address has 64 bits here.
        self.address as u64
    }

    /// How many dwords there are.
    pub(crate) fn dwords(&self) -> usize {
        self.bytes / 4
    }

    /// Reads a dword.
    pub(crate) fn read(&self, index: usize) -> u32 {
        assert!(index < self.dwords(), "dword {index} of {}", self.dwords());
        // SAFETY: inside of the mapping, and aligned as the mapping is.
        unsafe { self.address.add(index).read_volatile() }
    }

    /// Writes a dword.
    pub(crate) fn write(&self, index: usize, value: u32) {
        assert!(index < self.dwords(), "dword {index} of {}", self.dwords());
        // SAFETY: as for `read`.
        unsafe { self.address.add(index).write_volatile(value) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range that was mapped; nothing borrows from it.
        let _ = unsafe { libc::munmap(self.address.cast(), self.bytes) };
    }
}
