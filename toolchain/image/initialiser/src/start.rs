// SPDX-License-Identifier: BSD-2-Clause
//! From the kernel's first instruction for us to [`run`](crate::run).
#![allow(unsafe_code, reason = "entry point, and memory that is found through addresses")]

use core::cell::UnsafeCell;
use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use image_spec::Spec;
use image_spec::place::{self, FailureExit};
use image_untyped::Block;
use sel4::{BootInfo, IpcBuffer};

use crate::failure::{self, Failure};
use crate::memory;

/// What the image tool tells us in [`image_spec::place`]: address and length of the specification, failure exit.
// SAFETY: no other symbol of the program has this name.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "a name for the image tool")]
static image_spec_place: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

/// What the image tool tells us of the board file, as [`image_spec::place`] says.
#[repr(C)]
struct BoardFile {
    name: [AtomicU8; place::BOARD_NAME],
    lines: [AtomicUsize; 3],
}

// SAFETY: no other symbol of the program has this name.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "a name for the image tool")]
static image_board_file: BoardFile = BoardFile {
    name: [const { AtomicU8::new(0) }; place::BOARD_NAME],
    lines: [const { AtomicUsize::new(0) }; 3],
};

/// A key of the board file, with its place in it where that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    Memory,
    Ram,
    Device,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [memory, ram, device] = &image_board_file.lines;
        let (key, line) = match self {
            Self::Memory => ("`memory`", memory),
            Self::Ram => ("[[ram]]", ram),
            Self::Device => ("[[device]]", device),
        };
        let name = image_board_file.name.each_ref().map(|byte| byte.load(Ordering::Relaxed));
        let name = name.split(|byte| *byte == 0).next().and_then(|name| core::str::from_utf8(name).ok());
        match (name, line.load(Ordering::Relaxed)) {
            (Some(name), line @ 1..) => write!(f, "{key} at {name}:{line}"),
            _ => write!(f, "{key} of the board file"),
        }
    }
}

fn place(word: usize) -> usize {
    image_spec_place.get(word).map_or(0, |word| word.load(Ordering::Relaxed))
}

/// Tells why we cannot go on, and ends.
fn fail(failure: fmt::Arguments<'_>) -> ! {
    failure::end(failure, FailureExit::from_word(place(2) as u64))
}

/// Bytes of the stack. Half of it is for the accounts of memory; calls go some ten deep with some hundred bytes each.
const STACK_SIZE: usize = 64 * 1024;

const _: () = assert!(memory::MAX_BLOCKS * size_of::<Block>() <= STACK_SIZE / 2);

#[repr(C, align(4096))]
struct Stack(UnsafeCell<[u8; STACK_SIZE]>);

// SAFETY: only the one thread touches it, as its stack.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_SIZE]));

/// The kernel starts us here, with the address of the boot information in rdi and no stack.
#[cfg(any(sel4_domain, target_os = "none"))]
// SAFETY: no other symbol of the program has this name.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    core::arch::naked_asm!(
        "lea rsp, [rip + {stack} + {size}]",
        "xor ebp, ebp",
        "call {begin}",
        "ud2",
        stack = sym STACK,
        size = const STACK_SIZE,
        begin = sym begin,
    )
}

extern "C" fn begin(boot_info: *const u8) -> ! {
    // SAFETY: the kernel passes the address of its boot information, which stays.
    let boot_info = match unsafe { BootInfo::from_pointer(boot_info) } {
        Ok(boot_info) => boot_info,
        // Without it there is no IPC buffer: no invocation can be made, and only a debug kernel can tell anybody.
        Err(_) => {
            let _ = sel4::DebugWriter.write_str("initialiser: error: the boot information makes no sense\n");
            failure::stop()
        }
    };
    // SAFETY: the kernel maps the buffer of this thread, the only one of this program, at this address.
    unsafe { sel4::set_ipc_buffer(boot_info.ipc_buffer() as *mut IpcBuffer) };

    let spec = match Spec::parse(specification()) {
        Ok(spec) => spec,
        Err(error) => fail(format_args!("{}", Failure::Spec(error))),
    };
    match crate::run(boot_info, &spec) {
        Ok(never) => match never {},
        Err(error) => fail(format_args!("{error}")),
    }
}

/// The bytes that the image tool added to this program.
fn specification() -> &'static [u8] {
    let [address, len] =
        [&image_spec_place[0], &image_spec_place[1]].map(|word| word.load(Ordering::Relaxed));
    if len == 0 {
        return &[];
    }
    // SAFETY: the image tool put a segment of this length at this address, which the kernel loaded with the
    // rest of the image; nothing writes to it.
    unsafe { core::slice::from_raw_parts(address as *const u8, len) }
}

#[cfg(any(sel4_domain, target_os = "none"))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    static PANICKED: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);
    if PANICKED.swap(true, Ordering::Relaxed) {
        // The panic came out of telling about a panic.
        failure::stop();
    }
    fail(format_args!("{info}"))
}
