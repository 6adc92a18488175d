// SPDX-License-Identifier: BSD-2-Clause
//! Text for people.
//!
//! A debug kernel prints for us. A release kernel does not, so there the bytes go to the first serial port
//! directly; the firmware or the machine has set it up.

use core::fmt::{self, Write as _};

use sel4::initial;

/// The first serial port (COM1): data, and line status, of which bit 5 says that data can be taken.
const DATA: u16 = 0x3f8;
const LINE_STATUS: u16 = 0x3fd;
const READY: u8 = 1 << 5;
/// How often the status is read before a byte is given up for lost. A byte takes 1.1 ms at the slowest usual rate
/// (9600 baud) and a read of a port at least 0.5 µs, so a port that exists is ready by then.
const MAX_POLLS: usize = 10_000;

struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if sel4::DEBUG_BUILD {
            return sel4::DebugWriter.write_str(text);
        }
        for byte in text.bytes() {
            // TIMEOUT: see MAX_POLLS. Without a port nothing can be told, and nothing else depends on it.
            for _ in 0..MAX_POLLS {
                if initial::IO_PORT.in8(LINE_STATUS).unwrap_or(READY) & READY != 0 {
                    break;
                }
            }
            let _ = initial::IO_PORT.out8(DATA, byte);
        }
        Ok(())
    }
}

/// Prints a line.
pub(crate) fn print_line(text: fmt::Arguments<'_>) {
    // The console answers no errors.
    let _ = writeln!(Console, "{text}");
}

/// Prints a line.
macro_rules! line {
    ($($arguments:tt)*) => { $crate::console::print_line(format_args!($($arguments)*)) };
}
pub(crate) use line;
