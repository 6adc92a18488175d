// SPDX-License-Identifier: BSD-2-Clause
//! The guest's memory, readable from outside while it runs and after it has ended.
//!
//! QEMU is given an anonymous file to use as the guest's RAM. Whoever has the file sees what the guest and its devices
//! wrote, without the guest's help; it outlives QEMU and is gone with the last descriptor.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};

/// Up to here q35 keeps all RAM in one piece below 4 GiB (QEMU: `hw/i386/pc_q35.c`, `lowmem`), so that a physical
/// address is the offset into the file.
pub(crate) const MAX_SIZE: u64 = 0x8000_0000;

/// The guest's physical memory from address 0 on.
#[derive(Debug)]
pub struct GuestRam {
    file: File,
    size: u64,
}

impl GuestRam {
    /// Zeroed memory of `size` bytes, of which only the touched pages cost anything.
    ///
    /// # Errors
    /// When the size is beyond [`MAX_SIZE`] or the system refuses.
    pub(crate) fn new(size: u64) -> io::Result<Self> {
        if size > MAX_SIZE {
            let text =
                format!("{size:#x} bytes of guest memory: the most that is one piece is {MAX_SIZE:#x}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let file = File::from(memfd_create("guest-ram", MemfdFlags::CLOEXEC)?);
        file.set_len(size)?;
        Ok(Self { file, size })
    }

    /// A descriptor of the same memory, to be inherited by QEMU.
    pub(crate) fn share(&self) -> io::Result<OwnedFd> {
        self.file.try_clone().map(OwnedFd::from)
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Copies `length` bytes from physical address `paddr` on.
    ///
    /// # Errors
    /// When any of them is outside the memory.
    pub fn read(&self, paddr: u64, length: u64) -> io::Result<Vec<u8>> {
        let outside = || {
            let text = format!(
                "{length:#x} bytes at {paddr:#x} are not within {:#x} bytes of guest memory",
                self.size
            );
            io::Error::new(io::ErrorKind::InvalidInput, text)
        };
        paddr.checked_add(length).filter(|&end| end <= self.size).ok_or_else(outside)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| outside())?];
        self.file.read_exact_at(&mut bytes, paddr)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_through_the_shared_descriptor_is_read() -> io::Result<()> {
        let ram = GuestRam::new(0x10_0000)?;
        File::from(ram.share()?).write_all_at(b"guest", 0xf_fffb)?;
        assert_eq!(ram.read(0xf_fffb, 5)?, b"guest");
        assert_eq!(ram.read(0, 3)?, [0; 3]);
        Ok(())
    }

    #[test]
    fn reading_outside_is_refused() -> io::Result<()> {
        let ram = GuestRam::new(0x1000)?;
        assert!(ram.read(0xfff, 1).is_ok());
        assert!(ram.read(0xfff, 2).is_err());
        assert!(ram.read(u64::MAX, 2).is_err());
        assert!(GuestRam::new(MAX_SIZE + 1).is_err());
        Ok(())
    }
}
