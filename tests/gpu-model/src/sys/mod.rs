// SPDX-License-Identifier: BSD-2-Clause
//! What needs the operating system's raw interfaces: mapped memory and inherited descriptors. The only unsafe
//! code of the crate.

#![allow(unsafe_code, reason = "mmap, shared memory and inherited descriptors; every other module is safe")]

mod region;

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

pub use region::Region;
use rustix::io;

/// Takes over a descriptor that the parent process left open under a number.
///
/// # Errors
/// It is one of the standard streams, or not open.
pub fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    if fd <= 2 || std::fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_err() {
        return Err(io::Errno::BADF);
    }
    // SAFETY: the number is an open descriptor (just looked up) that this program got on its command line and
    // uses nowhere else; called once per number, before any other descriptor could have taken it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_streams_and_closed_descriptors_are_not_taken() {
        assert_eq!(inherited(1).err(), Some(io::Errno::BADF));
        assert_eq!(inherited(-1).err(), Some(io::Errno::BADF));
        assert_eq!(inherited(9999).err(), Some(io::Errno::BADF));
    }
}
