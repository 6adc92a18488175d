// SPDX-License-Identifier: BSD-2-Clause
//! A [`Window`] is memory that somebody else sees too: device registers, a DMA region, memory shared
//! with another domain. Every access is one volatile access of its width, inside the bounds, so that a
//! domain above it needs no pointer of its own. This crate is where a domain's unsafe memory access is.
#![cfg_attr(not(test), no_std)]
// Raw memory is this crate's subject.
#![allow(unsafe_code)]

use core::marker::PhantomData;
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

/// Bytes from an offset to the next multiple of 8.
const fn to_quadword(offset: usize) -> usize {
    offset.wrapping_neg() % size_of::<u64>()
}

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

    /// `count` quadwords from the `index`th on as atomics. `None` if they do not all lie inside.
    #[inline]
    #[must_use]
    pub fn atomics(&self, index: usize, count: usize) -> Option<&[AtomicU64]> {
        let words = self.len / size_of::<u64>();
        if count > words || index > words - count {
            return None;
        }
        let first = self.base.as_ptr().wrapping_add(index * size_of::<u64>()).cast();
        // SAFETY: as in `atomic`, for each of the words, which all lie inside.
        Some(unsafe { core::slice::from_raw_parts(first, count) })
    }

    /// Writes words in a row, each in one access, from the first to the last. Unless all lie inside and the offset is
    /// aligned nothing is written.
    pub fn write_row<T: Word>(&mut self, offset: usize, values: impl ExactSizeIterator<Item = T>) {
        let Some(len) = values.len().checked_mul(size_of::<T>()) else { return };
        if !offset.is_multiple_of(size_of::<T>()) || !self.contains(offset, len) {
            return;
        }
        let mut at = self.base.as_ptr().wrapping_add(offset).cast::<T>();
        for value in values.take(len / size_of::<T>()) {
            // SAFETY: one of the words that were found to lie inside; aligned because the base is and the offset is.
            unsafe { at.write_volatile(value) };
            at = at.wrapping_add(1);
        }
    }

    /// `count` words from an offset on, to be written one after the other. None if the offset is not aligned or they do not
    /// all lie inside.
    #[inline]
    #[must_use]
    pub fn row<T: Word>(&mut self, offset: usize, count: usize) -> Row<'_, T> {
        let len = count.checked_mul(size_of::<T>());
        let inside =
            offset.is_multiple_of(size_of::<T>()) && len.is_some_and(|len| self.contains(offset, len));
        let at = self.base.as_ptr().wrapping_add(offset).cast();
        Row { at, left: if inside { count } else { 0 }, of: PhantomData }
    }

    /// Copies quadwords inside the window, each in one access, from the first to the last. Unless source and
    /// destination lie inside and are aligned nothing is copied.
    pub fn copy_row(&mut self, from: usize, to: usize, bytes: usize) {
        let aligned = (from | to | bytes).is_multiple_of(size_of::<u64>());
        if !aligned || !self.contains(from, bytes) || !self.contains(to, bytes) {
            return;
        }
        let base = self.base.as_ptr();
        let (mut source, mut destination) =
            (base.wrapping_add(from).cast::<u64>(), base.wrapping_add(to).cast::<u64>());
        for _ in 0..bytes / size_of::<u64>() {
            // SAFETY: both words lie inside, and are aligned because the base and the offsets are.
            unsafe { destination.write_volatile(source.read_volatile()) };
            (source, destination) = (source.wrapping_add(1), destination.wrapping_add(1));
        }
    }

    /// Copies bytes out, quadwords in one access each where the window's are aligned. Returns false, with nothing copied, if
    /// the range is not inside.
    #[inline]
    #[must_use]
    pub fn read_bytes(&self, offset: usize, bytes: &mut [u8]) -> bool {
        if !self.contains(offset, bytes.len()) {
            return false;
        }
        let (first, rest) = bytes.split_at_mut(to_quadword(offset).min(bytes.len()));
        let mut from = self.base.as_ptr().wrapping_add(offset);
        for byte in first {
            // SAFETY: inside, as was found above, and so are all below.
            *byte = unsafe { from.read_volatile() };
            from = from.wrapping_add(1);
        }
        let mut quadwords = rest.chunks_exact_mut(size_of::<u64>());
        for quadword in &mut quadwords {
            // SAFETY: aligned: what was not has been read already.
            quadword.copy_from_slice(&unsafe { from.cast::<u64>().read_volatile() }.to_le_bytes());
            from = from.wrapping_add(size_of::<u64>());
        }
        for byte in quadwords.into_remainder() {
            // SAFETY: as above.
            *byte = unsafe { from.read_volatile() };
            from = from.wrapping_add(1);
        }
        true
    }

    /// Copies bytes in, quadwords in one access each where the window's are aligned. Returns false, with nothing copied, if
    /// the range is not inside.
    #[inline]
    #[must_use]
    pub fn write_bytes(&mut self, offset: usize, bytes: &[u8]) -> bool {
        if !self.contains(offset, bytes.len()) {
            return false;
        }
        let (first, rest) = bytes.split_at(to_quadword(offset).min(bytes.len()));
        let mut to = self.base.as_ptr().wrapping_add(offset);
        for byte in first {
            // SAFETY: inside, as was found above, and so are all below.
            unsafe { to.write_volatile(*byte) };
            to = to.wrapping_add(1);
        }
        let quadwords = rest.chunks_exact(size_of::<u64>());
        let last = quadwords.remainder();
        for quadword in quadwords {
            let mut word = [0; size_of::<u64>()];
            word.copy_from_slice(quadword);
            // SAFETY: aligned: what was not has been written already.
            unsafe { to.cast::<u64>().write_volatile(u64::from_le_bytes(word)) };
            to = to.wrapping_add(size_of::<u64>());
        }
        for byte in last {
            // SAFETY: as above.
            unsafe { to.write_volatile(*byte) };
            to = to.wrapping_add(1);
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

/// Words of a window that are written from the first to the last: see [`Window::row`].
#[derive(Debug)]
pub struct Row<'a, T> {
    at: *mut T,
    left: usize,
    of: PhantomData<&'a mut Window>,
}

impl<T: Word> Row<'_, T> {
    /// Writes the next words, each in one access. Where there is no room for all of them nothing is written, now and later.
    #[inline]
    pub fn put<const N: usize>(&mut self, words: &[T; N]) {
        let Some(left) = self.left.checked_sub(N) else {
            self.left = 0;
            return;
        };
        self.left = left;
        for word in words {
            // SAFETY: `at` and the `left` words from it on were found to lie inside and to be aligned; the window is
            // borrowed meanwhile.
            unsafe { self.at.write_volatile(*word) };
            self.at = self.at.wrapping_add(1);
        }
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
    fn rows_are_written_and_copied_as_a_whole_or_not_at_all() {
        let mut memory = [0; 8];
        let mut window = window(&mut memory);
        window.write_row(4, [1_u32, 2, 3].into_iter());
        window.write_row(16, [4_u64, 5].into_iter());
        window.copy_row(16, 40, 16);
        // The end is outside, the offset is not aligned, the end is beyond all addresses.
        window.write_row(56, [9_u64, 9].into_iter());
        window.write_row(2, [9_u32].into_iter());
        window.write_row(usize::MAX - 7, [9_u64, 9].into_iter());
        window.copy_row(0, 56, 16);
        window.copy_row(4, 48, 8);
        let words = window
            .atomics(0, 8)
            .expect("inside")
            .iter()
            .map(|word| word.load(core::sync::atomic::Ordering::Relaxed));
        assert_eq!(words.collect::<Vec<_>>(), [1 << 32, 3 << 32 | 2, 4, 5, 0, 4, 5, 0]);
        assert!(window.atomics(7, 2).is_none() && window.atomics(usize::MAX, 1).is_none());
        assert!(
            window.atomics(1, usize::MAX / 8).is_none() && window.atomics(8, 0).is_some_and(<[_]>::is_empty)
        );
    }

    #[test]
    fn what_is_written_word_by_word_stays_in_its_row() {
        let mut memory = [0; 4];
        let mut window = window(&mut memory);
        let mut row = window.row(4, 3);
        row.put(&[1_u32]);
        row.put(&[2, 3]);
        row.put(&[9]);
        let mut row = window.row(16, 2);
        row.put(&[4_u32]);
        row.put(&[9, 9]);
        row.put(&[9]);
        // The end is outside, the offset is not aligned, the length is beyond all addresses.
        window.row(24, 3).put(&[9_u32]);
        window.row(18, 1).put(&[9_u32]);
        window.row(0, usize::MAX).put(&[9_u32]);
        assert_eq!(memory, [1 << 32, 3 << 32 | 2, 4, 0]);
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
