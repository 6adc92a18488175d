// SPDX-License-Identifier: BSD-2-Clause
//! Messages on the console of a debug kernel. With a release kernel the macros cost nothing: their
//! arguments are type-checked and not evaluated.

use core::fmt::{self, Write};

/// Prints to the debug console.
#[macro_export]
macro_rules! debug_print {
    ($($argument:tt)*) => {
        if $crate::_private::DEBUG_BUILD {
            $crate::_private::print(::core::format_args!($($argument)*));
        }
    };
}

/// Prints a line to the debug console.
#[macro_export]
macro_rules! debug_println {
    () => {
        $crate::debug_print!("\n")
    };
    ($($argument:tt)*) => {
        if $crate::_private::DEBUG_BUILD {
            $crate::_private::print(::core::format_args!("{}\n", ::core::format_args!($($argument)*)));
        }
    };
}

#[doc(hidden)]
pub fn print(arguments: fmt::Arguments<'_>) {
    // The console takes everything; an error could only come from an argument's own formatting.
    let _ = sel4::DebugWriter.write_fmt(arguments);
}
