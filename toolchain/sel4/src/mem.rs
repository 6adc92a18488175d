// SPDX-License-Identifier: BSD-2-Clause
//! The memory functions that compiled code calls.
//!
//! Three sizes of each: up to 15 bytes by two loads that may overlap, no loop; up to [`LONG`] bytes in
//! steps of 16; beyond, with the processor's string instruction in words (not bytes: a machine that counts
//! instructions counts every repetition). The loops are written in assembly because the compiler is free
//! to replace a loop that copies or fills by a call of the very function it is in.
#![allow(unsafe_code, reason = "these functions are what safe code is compiled to")]

use core::arch::asm;

/// From here on the start-up cost of the string instructions is paid back.
const LONG: usize = 256;

/// A load without alignment.
macro_rules! load {
    ($type:ty, $from:expr) => {
        $from.cast::<$type>().read_unaligned()
    };
}

/// A store without alignment.
macro_rules! store {
    ($type:ty, $to:expr, $value:expr) => {
        $to.cast::<$type>().write_unaligned($value)
    };
}

/// Copies fewer than 16 bytes. All loads come before all stores: the areas may overlap in any way.
///
/// # Safety
///
/// `from` is readable and `to` writable for `length` bytes.
#[inline(always)]
unsafe fn copy_short(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: within `length` bytes on both sides: two accesses of n bytes cover n to 2n.
    unsafe {
        if length >= 8 {
            let (first, last) = (load!(u64, from), load!(u64, from.add(length - 8)));
            store!(u64, to, first);
            store!(u64, to.add(length - 8), last);
        } else if length >= 4 {
            let (first, last) = (load!(u32, from), load!(u32, from.add(length - 4)));
            store!(u32, to, first);
            store!(u32, to.add(length - 4), last);
        } else if length >= 2 {
            let (first, last) = (load!(u16, from), load!(u16, from.add(length - 2)));
            store!(u16, to, first);
            store!(u16, to.add(length - 2), last);
        } else if length == 1 {
            *to = *from;
        }
    }
}

/// Copies upward. Where the areas overlap, `to` must be below `from`.
///
/// # Safety
///
/// `from` is readable and `to` writable for `length` bytes.
pub(crate) unsafe fn copy_forward(to: *mut u8, from: *const u8, length: usize) {
    if length < 16 {
        // SAFETY: the caller's promise.
        return unsafe { copy_short(to, from, length) };
    }
    // SAFETY: the last 16 bytes are read before anything is overwritten, and written last; what comes
    // before them is copied in whole steps that lie inside. A step is read before it is written, and
    // with `to` below `from` a later step's source is not yet overwritten.
    unsafe {
        let end = to.add(length - 16);
        let (tail, last) = (load!(u64, from.add(length - 16)), load!(u64, from.add(length - 8)));
        if length <= LONG {
            asm!(
                "2:",
                "mov {a}, [{from}]",
                "mov {b}, [{from} + 8]",
                "mov [{to}], {a}",
                "mov [{to} + 8], {b}",
                "add {from}, 16",
                "add {to}, 16",
                "cmp {to}, {end}",
                "jb 2b",
                a = out(reg) _,
                b = out(reg) _,
                from = inout(reg) from => _,
                to = inout(reg) to => _,
                end = in(reg) end,
                options(nostack),
            );
        } else {
            asm!(
                "rep movsq",
                inout("rcx") length / 8 => _,
                inout("rsi") from => _,
                inout("rdi") to => _,
                options(nostack, preserves_flags),
            );
        }
        store!(u64, end, tail);
        store!(u64, end.add(8), last);
    }
}

/// Copies downward. Where the areas overlap, `to` must be above `from`.
///
/// # Safety
///
/// `from` is readable and `to` writable for `length` bytes.
pub(crate) unsafe fn copy_backward(to: *mut u8, from: *const u8, length: usize) {
    if length < 16 {
        // SAFETY: the caller's promise.
        return unsafe { copy_short(to, from, length) };
    }
    // SAFETY: as in `copy_forward`, the other way round: the first 16 bytes are read first and written last.
    unsafe {
        let (head, second) = (load!(u64, from), load!(u64, from.add(8)));
        asm!(
            "2:",
            "sub {from}, 16",
            "sub {at}, 16",
            "mov {a}, [{from}]",
            "mov {b}, [{from} + 8]",
            "mov [{at}], {a}",
            "mov [{at} + 8], {b}",
            "cmp {at}, {stop}",
            "jae 2b",
            a = out(reg) _,
            b = out(reg) _,
            from = inout(reg) from.add(length) => _,
            at = inout(reg) to.add(length) => _,
            stop = in(reg) to.add(16),
            options(nostack),
        );
        store!(u64, to, head);
        store!(u64, to.add(8), second);
    }
}

/// Copies; the areas may overlap.
///
/// # Safety
///
/// `from` is readable and `to` writable for `length` bytes.
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    // How far `to` lies above `from`, modulo the address space: at least `length` when it is below, or
    // when they do not overlap.
    if to.addr().wrapping_sub(from.addr()) >= length {
        // SAFETY: the caller's promise; going up overwrites nothing that is still to be read.
        unsafe { copy_forward(to, from, length) }
    } else {
        // SAFETY: the caller's promise; `to` is above `from`.
        unsafe { copy_backward(to, from, length) }
    }
}

/// Fills with a byte.
///
/// # Safety
///
/// `to` is writable for `length` bytes.
pub(crate) unsafe fn fill(to: *mut u8, byte: u8, length: usize) {
    let word = u64::from(byte) * 0x0101_0101_0101_0101;
    let [b0, b1, b2, b3, ..] = word.to_ne_bytes();
    // SAFETY: every store lies inside; the ones at the end overlap what is filled already.
    unsafe {
        if length >= 16 {
            let end = to.add(length - 16);
            if length <= LONG {
                asm!(
                    "2:",
                    "mov [{to}], {word}",
                    "mov [{to} + 8], {word}",
                    "add {to}, 16",
                    "cmp {to}, {end}",
                    "jb 2b",
                    to = inout(reg) to => _,
                    word = in(reg) word,
                    end = in(reg) end,
                    options(nostack),
                );
            } else {
                asm!(
                    "rep stosq",
                    inout("rcx") length / 8 => _,
                    inout("rdi") to => _,
                    in("rax") word,
                    options(nostack, preserves_flags),
                );
            }
            store!(u64, end, word);
            store!(u64, end.add(8), word);
        } else if length >= 8 {
            store!(u64, to, word);
            store!(u64, to.add(length - 8), word);
        } else if length >= 4 {
            let half = u32::from_ne_bytes([b0, b1, b2, b3]);
            store!(u32, to, half);
            store!(u32, to.add(length - 4), half);
        } else if length >= 1 {
            *to = byte;
            *to.add(length / 2) = byte;
            *to.add(length - 1) = byte;
        }
    }
}

/// Compares as unsigned bytes: negative, zero or positive as `a` is less, equal or greater.
///
/// # Safety
///
/// Both are readable for `length` bytes.
pub(crate) unsafe fn compare(a: *const u8, b: *const u8, length: usize) -> i32 {
    let mut at = 0;
    // SAFETY: reads only below `length`.
    unsafe {
        while at + 8 <= length {
            let (x, y) = (load!(u64, a.add(at)), load!(u64, b.add(at)));
            if x != y {
                // The first byte that differs decides: it is the most significant one of these.
                return if x.swap_bytes() < y.swap_bytes() { -1 } else { 1 };
            }
            at += 8;
        }
        while at < length {
            let difference = i32::from(a.add(at).read_volatile()) - i32::from(b.add(at).read_volatile());
            if difference != 0 {
                return difference;
            }
            at += 1;
        }
    }
    0
}

/// The names that compiled code calls them by.
#[cfg(any(sel4_domain, target_os = "none"))]
mod names {
    #![allow(missing_docs, clippy::missing_safety_doc, reason = "those of the C standard")]
    use core::ffi::c_char;

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        // SAFETY: as the C standard has it.
        unsafe { super::copy_forward(to, from, length) };
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        // SAFETY: as the C standard has it.
        unsafe { super::copy(to, from, length) };
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
        // CAST: the C standard has it converted to an unsigned char.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the C standard has it so"
        )]
        let byte = byte as u8;
        // SAFETY: as the C standard has it.
        unsafe { super::fill(to, byte, length) };
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, length: usize) -> i32 {
        // SAFETY: as the C standard has it.
        unsafe { super::compare(a, b, length) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, length: usize) -> i32 {
        // SAFETY: as the C standard has it.
        unsafe { super::compare(a, b, length) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn strlen(text: *const c_char) -> usize {
        let mut length = 0;
        // SAFETY: as the C standard has it; nothing behind the zero is read.
        while unsafe { text.add(length).read_volatile() } != 0 {
            length += 1;
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths around every boundary of the implementation.
    fn lengths() -> impl Iterator<Item = usize> {
        (0..=70).chain([127, 128, 129, 255, 256, 257, 258, 263, 264, 265, 300, 511, 1000, 4096, 4101])
    }

    fn pattern(length: usize) -> Vec<u8> {
        // Differs from byte to byte, and does not repeat with a period that a step could hide.
        (0..length).map(|i| ((i * 37 + i / 251) & 0xff).try_into().unwrap()).collect()
    }

    #[test]
    fn a_copy_is_equal_and_touches_nothing_else() {
        for length in lengths() {
            for (to, from) in [(0, 0), (1, 0), (0, 3), (7, 5)] {
                let source = pattern(length + 32);
                let mut target = vec![0xa5; length + 64];
                let mut expected = target.clone();
                expected[16 + to..16 + to + length].copy_from_slice(&source[from..from + length]);
                // SAFETY: both vectors are larger than what is copied.
                unsafe { copy_forward(target.as_mut_ptr().add(16 + to), source.as_ptr().add(from), length) };
                assert_eq!(target, expected, "length {length}, offsets {to}, {from}");
            }
        }
    }

    #[test]
    fn overlapping_areas_are_moved_as_if_through_a_buffer() {
        for length in lengths() {
            for distance in
                [-300_isize, -257, -64, -17, -16, -15, -8, -7, -1, 0, 1, 3, 8, 9, 16, 17, 63, 256, 400]
            {
                let mut memory = pattern(length + 1024);
                let from: usize = 512;
                let to = from.checked_add_signed(distance).unwrap();
                let mut expected = memory.clone();
                expected.copy_within(from..from + length, to);
                let base = memory.as_mut_ptr();
                // SAFETY: both areas lie inside the vector.
                unsafe { copy(base.add(to), base.add(from), length) };
                assert!(memory == expected, "length {length}, distance {distance}");
            }
        }
    }

    #[test]
    fn a_fill_covers_its_area_and_nothing_else() {
        for length in lengths() {
            for offset in [0, 1, 5] {
                let mut memory = pattern(length + 64);
                let mut expected = memory.clone();
                expected[16 + offset..16 + offset + length].fill(0x9c);
                // SAFETY: the area lies inside the vector.
                unsafe { fill(memory.as_mut_ptr().add(16 + offset), 0x9c, length) };
                assert_eq!(memory, expected, "length {length}, offset {offset}");
            }
        }
    }

    #[test]
    fn the_first_byte_that_differs_decides_a_comparison() {
        for length in lengths() {
            let a = pattern(length);
            // SAFETY: both are `length` bytes long.
            let compare = |a: &[u8], b: &[u8]| unsafe { compare(a.as_ptr(), b.as_ptr(), length) };
            assert_eq!(compare(&a, &a), 0);
            for at in 0..length {
                let mut b = a.clone();
                b[at] = b[at].wrapping_add(1);
                if at + 1 < length {
                    b[at + 1] = b[at + 1].wrapping_sub(1);
                }
                let expected = a.cmp(&b) as i32;
                assert_eq!(compare(&a, &b).signum(), expected, "length {length}, at {at}");
                assert_eq!(compare(&b, &a).signum(), -expected, "length {length}, at {at}");
            }
        }
    }
}
