// SPDX-License-Identifier: BSD-2-Clause
//! What the boot tests' domains have in common.
//!
//! In each system one domain, the judge, sees the end of what is tested and says so with [`pass`], which ends QEMU
//! with the guest's exit code 0. Whatever does not hold is an `assert!` where it is noticed: the panic message on the
//! serial port ends the run as a failure. What never happens ends it at its deadline.
#![no_std]

pub mod counted;
pub mod edu;
pub mod lending;
pub mod pci;
pub mod restarting;

use core::ptr::NonNull;

use microkit_ext::ioport::IoPort;
use window::Window;

/// The judge's I/O port range with QEMU's debug-exit device.
const EXIT_PORT: IoPort = IoPort::new(0);

/// The device's address.
const EXIT_ADDRESS: u16 = 0xf4;

/// The judge's I/O port range with the serial port, in systems whose kernel may print nothing.
const SERIAL_PORT: IoPort = IoPort::new(1);

/// COM1's data register.
const SERIAL_ADDRESS: u16 = 0x3f8;

/// Writes to the serial port by itself, so that a release kernel does, too. The emulated port takes every byte at once.
#[derive(Debug)]
pub struct Serial;

impl core::fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.bytes().try_for_each(|byte| SERIAL_PORT.out8(SERIAL_ADDRESS, byte)).map_err(|_| core::fmt::Error)
    }
}

/// A figure for the bench, on any kernel.
pub fn figure(name: impl core::fmt::Display, value: impl core::fmt::Display, unit: &str) {
    use core::fmt::Write as _;
    writeln!(Serial, "bench: {name} {value} {unit}").expect("the system has the port");
}

/// Prints how much more one number is than another.
pub fn ratio(name: impl core::fmt::Display, ours: u64, theirs: u64) {
    // Two decimals without floating point, rounded up: a limit is not kept by rounding.
    let hundredths = (ours * 100).div_ceil(theirs.max(1));
    figure(name, format_args!("{}.{:02}", hundredths / 100, hundredths % 100), "times");
}

/// The middle one of some numbers.
pub fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// Ends the run as a success.
pub fn pass() -> ! {
    sel4_microkit::debug_println!("{}: pass", name());
    exit(0)
}

/// The name of this domain in its system.
#[must_use]
pub fn name() -> &'static str {
    sel4_microkit::pd_name().unwrap_or("a domain without name")
}

/// Ends the run with an exit code.
pub fn exit(code: u32) -> ! {
    let written = EXIT_PORT.out32(EXIT_ADDRESS, code);
    unreachable!("QEMU goes on after the debug-exit port was written ({written:?})")
}

/// The memory region that the image tool mapped at `vaddr` (`setvar_vaddr`), `size` bytes long (`setvar_size`).
#[must_use]
pub fn region(vaddr: usize, size: usize) -> Window {
    let base = NonNull::new(vaddr as *mut u8).expect("the image tool writes where the region is mapped");
    // SAFETY: both values are written by the image tool, which maps the region there for good, page aligned; the
    // domains make one window of each and no reference.
    #[allow(unsafe_code)]
    unsafe {
        Window::new(base, size)
    }
}

/// A word that differs from its neighbours and between patterns, for filling memory. (The finaliser of SplitMix64.)
#[must_use]
pub fn pattern(seed: u64, index: usize) -> u64 {
    let mut word = seed.wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Fills the 8-byte words `words` of `window` with a pattern.
pub fn fill(window: &mut Window, seed: u64, words: core::ops::Range<usize>) {
    for index in words {
        window.write(index * 8, pattern(seed, index));
    }
}

/// How many of the 8-byte words `words` of `window` are not what [`fill`] wrote.
#[must_use]
pub fn differences(window: &Window, seed: u64, words: core::ops::Range<usize>) -> usize {
    words.filter(|&index| window.read::<u64>(index * 8) != pattern(seed, index)).count()
}

/// The processor's time-stamp counter.
#[must_use]
pub fn ticks() -> u64 {
    // SAFETY: RDTSC touches no memory, and the kernel lets user mode execute it.
    #[allow(unsafe_code)]
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
}
