// SPDX-License-Identifier: BSD-2-Clause
//! Raw memory that other parties access at the same time: a guest's CPU, a driver under test.
//!
//! A [`Region`] owns one `mmap`; all accesses are bounds-checked here and go through volatile or atomic operations
//! on raw pointers, never through references, because somebody else writes the same bytes.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::io;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// A mapping of shared memory.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is plain memory that is not tied to a thread; it lives until drop.
unsafe impl Send for Region {}
// SAFETY: all accesses are volatile or atomic accesses through raw pointers and no reference to the memory is
// ever formed, so concurrent use cannot break an invariant of safe code; torn bulk data is the users' business.
unsafe impl Sync for Region {}

impl Region {
    /// Zeroed anonymous memory of `len` bytes.
    ///
    /// # Errors
    /// The host has no memory, or `len` is 0.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        // SAFETY: a null hint with neither FIXED nor an existing object replaces no mapping.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::NORESERVE,
            )
        }?;
        Self::of(start.cast(), len)
    }

    /// Maps `len` bytes at `offset` of a file, shared.
    ///
    /// # Errors
    /// The file cannot be mapped so.
    pub fn file(fd: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<Self> {
        // SAFETY: a null hint without FIXED replaces no mapping.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::NORESERVE,
                fd,
                offset,
            )
        }?;
        Self::of(start.cast(), len)
    }

    fn of(start: *mut u8, len: usize) -> io::Result<Self> {
        Ok(Self { start: NonNull::new(start).ok_or(io::Errno::NOMEM)?, len })
    }

    /// Size in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Never true; a mapping has at least one byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Pointer to `len` bytes at `offset`, if they lie inside. It is valid as long as the region lives. What is
    /// read and written through it is shared with the device: use volatile accesses.
    #[must_use]
    pub fn pointer(&self, offset: usize, len: usize) -> Option<NonNull<u8>> {
        let end = offset.checked_add(len)?;
        // SAFETY: offset <= end <= len, so the result stays inside (or one past) the mapping.
        (end <= self.len).then(|| unsafe { self.start.add(offset) })
    }

    /// Copies out. `false` if the range is not inside.
    #[must_use]
    pub fn read(&self, offset: usize, buffer: &mut [u8]) -> bool {
        let Some(from) = self.pointer(offset, buffer.len()) else { return false };
        let aligned = from.as_ptr().addr();
        match buffer.len() {
            4 if aligned.is_multiple_of(4) => {
                // SAFETY: four bytes inside the mapping, aligned; atomic because others write them.
                let value = unsafe { AtomicU32::from_ptr(from.as_ptr().cast()) }.load(Ordering::Acquire);
                buffer.copy_from_slice(&value.to_ne_bytes());
            }
            8 if aligned.is_multiple_of(8) => {
                // SAFETY: eight bytes inside the mapping, aligned; atomic because others write them.
                let value = unsafe { AtomicU64::from_ptr(from.as_ptr().cast()) }.load(Ordering::Acquire);
                buffer.copy_from_slice(&value.to_ne_bytes());
            }
            // SAFETY: both ranges are valid for the length; the buffer is a unique reference, so they are
            // disjoint. Bytes that others write meanwhile may be torn, as on a bus.
            len => unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), buffer.as_mut_ptr(), len) },
        }
        true
    }

    /// Copies in. `false`, with no effect, if the range is not inside.
    #[must_use]
    pub fn write(&self, offset: usize, data: &[u8]) -> bool {
        let Some(to) = self.pointer(offset, data.len()) else { return false };
        let address = to.as_ptr().addr();
        if let (Ok(bytes), true) = (<[u8; 4]>::try_from(data), address.is_multiple_of(4)) {
            // SAFETY: four bytes inside the mapping, aligned; atomic because others read them.
            unsafe { AtomicU32::from_ptr(to.as_ptr().cast()) }
                .store(u32::from_ne_bytes(bytes), Ordering::Release);
        } else if let (Ok(bytes), true) = (<[u8; 8]>::try_from(data), address.is_multiple_of(8)) {
            // SAFETY: eight bytes inside the mapping, aligned; atomic because others read them.
            unsafe { AtomicU64::from_ptr(to.as_ptr().cast()) }
                .store(u64::from_ne_bytes(bytes), Ordering::Release);
        } else {
            // SAFETY: both ranges are valid for the length; `data` is safe memory, which never lies in the
            // mapping because no reference into it is ever made.
            unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), to.as_ptr(), data.len()) }
        }
        true
    }

    /// Compare and exchange of `size` 4 or 8 aligned bytes; returns what was there, or nothing if the range is
    /// not inside, not aligned or of another size.
    #[must_use]
    pub fn compare_exchange(&self, offset: usize, size: usize, current: u64, new: u64) -> Option<u64> {
        let at = self.pointer(offset, size)?;
        if !at.as_ptr().addr().is_multiple_of(size.max(1)) {
            return None;
        }
        match size {
            4 => {
                let (current, new) = (u32::try_from(current).ok()?, u32::try_from(new).ok()?);
                // SAFETY: four bytes inside the mapping, aligned.
                let cell = unsafe { AtomicU32::from_ptr(at.as_ptr().cast()) };
                let found = cell.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire);
                Some(u64::from(found.unwrap_or_else(|other| other)))
            }
            8 => {
                // SAFETY: eight bytes inside the mapping, aligned.
                let cell = unsafe { AtomicU64::from_ptr(at.as_ptr().cast()) };
                let found = cell.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire);
                Some(found.unwrap_or_else(|other| other))
            }
            _ => None,
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by this type with this length and nothing refers to it any more. An
        // error can only mean that it is not mapped, and then there is nothing to undo.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}
