// SPDX-License-Identifier: BSD-2-Clause
//! A [`Window`] is memory that somebody else sees too: device registers, a DMA region, memory shared
//! with another domain. Every access is one volatile access of its width, inside the bounds, so that a
//! domain above it needs no pointer of its own. This crate is where a domain's unsafe memory access is.
#![cfg_attr(not(test), no_std)]
// Raw memory is this crate's subject.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

use volatile::VolatilePtr;

/// A mapped range of memory with bounds.
#[derive(Debug)]
pub struct Window {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a window is the only access of this program to its memory (see `Window::new`), wherever it is
// moved to.
unsafe impl Send for Window {}

/// Widths that the hardware reads and writes in one access.
pub trait Word: Copy + sealed::Sealed {
    /// What an access outside the window reads.
    const ZERO: Self;
}

/// Bytes that the CPU's caches keep together.
const CACHE_LINE: usize = 64;

/// All stores before are visible to devices before any store after.
pub fn store_fence() {
    // SAFETY: MFENCE touches no memory. It orders CLFLUSH too, which SFENCE does only for CLFLUSHOPT.
    unsafe { core::arch::x86_64::_mm_mfence() }
}

/// No load after is satisfied before the loads before.
pub fn load_fence() {
    // SAFETY: LFENCE touches no memory.
    unsafe { core::arch::x86_64::_mm_lfence() }
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! word {
    ($($word:ty),*) => {$(
        impl sealed::Sealed for $word {}
        impl Word for $word {
            const ZERO: Self = 0;
        }
    )*};
}
word!(u8, u16, u32, u64);

impl Window {
    /// A window onto `len` bytes at `base`.
    ///
    /// # Safety
    /// The range is mapped, readable and writable (or only read through this window), for the rest of
    /// the program; it is aligned to 8 bytes and no Rust reference to any of it exists or will exist.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len }
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the window has no byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Address of the first byte.
    #[must_use]
    pub fn address(&self) -> usize {
        self.base.as_ptr() as usize
    }

    fn at<T: Word>(&self, offset: usize) -> Option<VolatilePtr<'_, T>> {
        let inside = offset.is_multiple_of(size_of::<T>())
            && offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.len);
        if !inside {
            return None;
        }
        // SAFETY: the offset is inside the window, and aligned because the base is (`Window::new`); the
        // memory is mapped and nobody holds a reference to it.
        Some(unsafe { VolatilePtr::new(self.base.add(offset).cast::<T>()) })
    }

    /// Reads one word. An offset that is unaligned or outside reads 0.
    #[must_use]
    pub fn read<T: Word>(&self, offset: usize) -> T {
        self.at::<T>(offset).map_or(T::ZERO, VolatilePtr::read)
    }

    /// Writes one word. An offset that is unaligned or outside writes nothing.
    pub fn write<T: Word>(&mut self, offset: usize, value: T) {
        if let Some(word) = self.at(offset) {
            word.write(value);
        }
    }

    /// The `index`th quadword as an atomic, for what two domains agree upon by order. `None` outside.
    #[must_use]
    pub fn atomic(&self, index: usize) -> Option<&AtomicU64> {
        let offset = index.checked_mul(size_of::<u64>())?;
        if !self.contains(offset, size_of::<u64>()) {
            return None;
        }
        // SAFETY: the word is inside the window and aligned, because the base is (`Window::new`); nobody
        // holds a reference to plain memory there, and the window's own accesses are single instructions
        // of x86-64, which are atomic for aligned words.
        Some(unsafe { AtomicU64::from_ptr(self.base.add(offset).cast::<u64>().as_ptr()) })
    }

    /// Copies bytes out. Returns false, with nothing copied, if the range is not inside.
    #[must_use]
    pub fn read_bytes(&self, offset: usize, bytes: &mut [u8]) -> bool {
        if !self.contains(offset, bytes.len()) {
            return false;
        }
        let mut position = 0;
        while position < bytes.len() {
            let left = bytes.len() - position;
            if left >= 8 && (offset + position).is_multiple_of(8) {
                let word = self.read::<u64>(offset + position).to_le_bytes();
                bytes[position..position + 8].copy_from_slice(&word);
                position += 8;
            } else {
                bytes[position] = self.read(offset + position);
                position += 1;
            }
        }
        true
    }

    /// Copies bytes in. Returns false, with nothing copied, if the range is not inside.
    #[must_use]
    pub fn write_bytes(&mut self, offset: usize, bytes: &[u8]) -> bool {
        if !self.contains(offset, bytes.len()) {
            return false;
        }
        let mut position = 0;
        while position < bytes.len() {
            let left = bytes.len() - position;
            if left >= 8 && (offset + position).is_multiple_of(8) {
                let mut word = [0; 8];
                word.copy_from_slice(&bytes[position..position + 8]);
                self.write(offset + position, u64::from_le_bytes(word));
                position += 8;
            } else {
                self.write(offset + position, bytes[position]);
                position += 1;
            }
        }
        true
    }

    /// Writes the cache lines of a range back to memory and drops them, for a reader or writer that does
    /// not snoop this CPU's caches. Lines outside the window are left alone.
    pub fn flush(&self, offset: usize, bytes: usize) {
        let end = offset.saturating_add(bytes).min(self.len);
        let mut line = offset - offset % CACHE_LINE;
        store_fence();
        while line < end {
            // SAFETY: the line lies in mapped memory: `line` is below the window's end, and a window is
            // a mapped range. CLFLUSH changes no memory contents.
            unsafe { core::arch::x86_64::_mm_clflush(self.base.as_ptr().add(line)) };
            line += CACHE_LINE;
        }
        store_fence();
    }

    fn contains(&self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(memory: &mut [u64]) -> Window {
        let base = NonNull::new(memory.as_mut_ptr().cast()).unwrap();
        // SAFETY: the slice outlives every window of these tests and is not touched meanwhile.
        unsafe { Window::new(base, size_of_val(memory)) }
    }

    #[test]
    fn a_word_is_read_where_it_was_written() {
        let mut memory = [0; 4];
        let mut window = window(&mut memory);
        window.write(4, 0x1122_3344_u32);
        window.write(8, u64::MAX);
        assert_eq!(window.read::<u32>(4), 0x1122_3344);
        assert_eq!(window.read::<u8>(5), 0x33);
        assert_eq!(window.read::<u64>(8), u64::MAX);
    }

    #[test]
    fn an_access_outside_or_unaligned_reads_zero_and_writes_nothing() {
        let mut memory = [u64::MAX; 2];
        let mut window = window(&mut memory);
        assert_eq!(window.read::<u32>(16), 0);
        assert_eq!(window.read::<u32>(14), 0);
        assert_eq!(window.read::<u32>(usize::MAX), 0);
        window.write(13, 0_u32);
        window.write(16, 0_u8);
        assert_eq!(memory, [u64::MAX; 2]);
    }

    #[test]
    fn bytes_are_copied_at_any_offset_and_never_partly() {
        let mut memory = [0; 8];
        let mut window = window(&mut memory);
        let text: Vec<u8> = (1..=40).collect();
        for offset in 0..=24 {
            assert!(window.write_bytes(offset, &text));
            let mut copy = [0; 40];
            assert!(window.read_bytes(offset, &mut copy));
            assert_eq!(copy[..], text[..]);
        }
        let mut untouched = [9; 4];
        assert!(!window.write_bytes(61, &text[..4]));
        assert!(!window.read_bytes(61, &mut untouched));
        assert!(!window.read_bytes(usize::MAX, &mut untouched));
        assert_eq!(untouched, [9; 4]);
        assert_eq!(window.read::<u8>(63), 40);
    }

    #[test]
    fn an_atomic_is_the_word_itself_and_never_outside() {
        let mut memory = [1, 2, 3];
        let window = window(&mut memory);
        let word = window.atomic(2).unwrap();
        word.store(9, core::sync::atomic::Ordering::Release);
        assert_eq!(window.read::<u64>(16), 9);
        assert!(window.atomic(3).is_none() && window.atomic(usize::MAX).is_none());
        assert!(window.atomic(usize::MAX / 8 + 1).is_none());
    }

    #[test]
    fn flushing_keeps_the_contents_and_stays_inside() {
        let mut memory = [0x55; 100];
        let window = window(&mut memory);
        window.flush(3, usize::MAX);
        window.flush(800, 1);
        assert!((0..100).all(|word| window.read::<u64>(word * 8) == 0x55));
    }
}
