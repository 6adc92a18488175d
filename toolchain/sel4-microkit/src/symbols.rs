// SPDX-License-Identifier: BSD-2-Clause
//! Variables that the image tool writes into the program file.
//!
//! The tool finds them by name in the symbol table and patches their bytes, so they need three things:
//! space in the file (they are in `.data`, not `.bss`), a symbol that survives the linker, and readers
//! that the compiler cannot satisfy with the value it saw.
#![allow(unsafe_code, reason = "the symbols are exported by name, and read through an opaque pointer")]

use core::arch::asm;
use core::cell::UnsafeCell;
use core::str::Utf8Error;

/// A value that is changed in the program file, after compilation and before it runs.
#[repr(transparent)]
pub struct Patched<T>(UnsafeCell<T>);

// SAFETY: nothing in the running program writes it.
unsafe impl<T: Sync> Sync for Patched<T> {}

impl<T> Patched<T> {
    /// The value until the tool patches it.
    pub const fn new(default: T) -> Self {
        Self(UnsafeCell::new(default))
    }

    /// The value as patched.
    #[inline(always)]
    pub fn get(&self) -> &T {
        let mut pointer = self.0.get().cast_const();
        // SAFETY: no instruction at all; the compiler only loses track of what the pointer points to.
        unsafe { asm!("/* {0} */", inout(reg) pointer, options(pure, readonly, nostack, preserves_flags)) };
        // SAFETY: the pointer is still that of the cell, which nothing writes while the program runs.
        unsafe { &*pointer }
    }
}

/// Declares a symbol that the image tool gives a value (`setvar`), and returns a reference to it:
/// `var!(SYMBOL: TYPE = DEFAULT)` is a `&'static TYPE`.
///
/// The symbol is 8 bytes long if its type is: the tool patches no others with `setvar`.
#[macro_export]
macro_rules! var {
    ($(#[$attribute:meta])* $symbol:ident: $type:ty = $default:expr) => {{
        $(#[$attribute])*
        #[used]
        #[allow(non_upper_case_globals)]
        #[unsafe(no_mangle)]
        #[unsafe(link_section = ".data")]
        static $symbol: $crate::_private::Patched<$type> = $crate::_private::Patched::new($default);

        $symbol.get()
    }};
}

/// Declares a symbol that the image tool gives the address of a memory region, and returns a `NonNull`
/// to the region: `memory_region_symbol!(SYMBOL: *mut TYPE)`, or for arrays
/// `memory_region_symbol!(SYMBOL: *mut [TYPE], n = COUNT)`. With `bytes = SIZE` the size is checked.
///
/// # Panics
///
/// When the tool has not patched the symbol.
#[macro_export]
macro_rules! memory_region_symbol {
    ($(#[$attribute:meta])* $symbol:ident: *mut [$type:ty], n = $n:expr, bytes = $bytes:expr $(,)?) => {{
        assert!($bytes == $n * ::core::mem::size_of::<$type>());
        $crate::memory_region_symbol!($(#[$attribute])* $symbol: *mut [$type], n = $n)
    }};
    ($(#[$attribute:meta])* $symbol:ident: *mut [$type:ty], n = $n:expr $(,)?) => {
        ::core::ptr::NonNull::slice_from_raw_parts(
            $crate::memory_region_symbol!($(#[$attribute])* $symbol: *mut $type),
            $n,
        )
    };
    ($(#[$attribute:meta])* $symbol:ident: *mut $type:ty, bytes = $bytes:expr $(,)?) => {{
        assert!($bytes == ::core::mem::size_of::<$type>());
        $crate::memory_region_symbol!($(#[$attribute])* $symbol: *mut $type)
    }};
    ($(#[$attribute:meta])* $symbol:ident: *mut $type:ty $(,)?) => {
        ::core::ptr::NonNull::new(*$crate::var!($(#[$attribute])* $symbol: usize = 0) as *mut $type)
            .expect(concat!("no memory region was given for the symbol ", stringify!($symbol)))
    };
}

/// Whether this domain has no time of its own and runs on its callers'.
pub fn pd_is_passive() -> bool {
    *var!(microkit_passive: u8 = 0) != 0
}

/// Which channels are interrupts.
pub(crate) fn irqs() -> u64 {
    *var!(microkit_irqs: u64 = 0)
}

/// Which channels can be notified.
pub(crate) fn notifications() -> u64 {
    *var!(microkit_notifications: u64 = 0)
}

/// Which channels can be called.
pub(crate) fn pps() -> u64 {
    *var!(microkit_pps: u64 = 0)
}

/// Which I/O port ids there are.
#[allow(
    dead_code,
    reason = "the symbol is what counts: the tool demands it, and the crate microkit-ext reads it"
)]
pub(crate) fn ioports() -> u64 {
    *var!(microkit_ioports: u64 = 0)
}

/// Bytes of the name's field; a shorter name is filled up with zeros.
const NAME_BYTES: usize = 64;

/// The name of this domain in system.xml, as bytes.
pub fn pd_name_bytes() -> &'static [u8] {
    let name: &[u8; NAME_BYTES] = var!(microkit_name: [u8; NAME_BYTES] = [0; NAME_BYTES]);
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
    &name[..length]
}

/// The name of this domain in system.xml.
pub fn pd_name() -> Result<&'static str, Utf8Error> {
    core::str::from_utf8(pd_name_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpatched_program_has_no_name_no_channels_and_is_not_passive() {
        assert_eq!(pd_name(), Ok(""));
        assert_eq!([irqs(), notifications(), pps(), ioports()], [0; 4]);
        assert!(!pd_is_passive());
    }

    #[test]
    fn a_symbol_has_its_default_and_the_size_of_its_type() {
        let value: &'static u64 = var!(sel4_microkit_test_symbol: u64 = 7);
        assert_eq!(*value, 7);
        assert_eq!(size_of::<Patched<u64>>(), 8);
        assert_eq!(size_of::<Patched<[u8; NAME_BYTES]>>(), 64);
    }

    #[test]
    #[should_panic(expected = "no memory region was given for the symbol sel4_microkit_test_region")]
    fn a_region_that_was_not_given_is_noticed() {
        let _ = memory_region_symbol!(sel4_microkit_test_region: *mut [u32], n = 4, bytes = 16);
    }
}
