// SPDX-License-Identifier: BSD-2-Clause
//! Reports faults of domains that have no parent.
//!
//! A domain that has faulted is not answered, so it stays where it is; all others go on.

use core::convert::Infallible;
use core::fmt;

use image_spec::Thread;
use sel4::cap::{Endpoint, Tcb};
use sel4::{CPtr, Fault, MessageInfo, Reply, UserContext, with_ipc_buffer};

use crate::console::line;
use crate::failure::Failure;
use crate::objects::Objects;

/// Waits for faults, for good.
pub(crate) fn run(objects: &Objects<'_>) -> Result<Infallible, Failure> {
    let endpoint = Endpoint::from_cptr(objects.cptr(objects.spec.monitor_endpoint()));
    loop {
        let (info, badge) = endpoint.recv(Reply::from_cptr(CPtr::NULL));
        let fault = with_ipc_buffer(|buffer| {
            Fault::decode(info, |word| buffer.words().get(word).copied().unwrap_or(0))
        });
        // A domain's badge is its number + 1.
        let number = badge.checked_sub(1).and_then(|number| u32::try_from(number).ok());
        match number.and_then(|number| objects.spec.threads().get(number)) {
            Some(thread) => report(objects, &thread, &fault, info),
            None => line!("monitor: fault of nobody that is known (badge {badge:#x}): {fault}"),
        }
    }
}

fn report(objects: &Objects<'_>, thread: &Thread, fault: &Fault, info: MessageInfo) {
    let name = objects.spec.name(thread.name);
    if let Fault::Unknown(_) = fault {
        // Its capability to fault with lies in its own space, so a domain can send us what it likes.
        line!("monitor: fault in {name}: a message of its own with label {:#x}", info.label());
        return;
    }
    line!("monitor: fault in {name}: {}", Kind(fault));
    if let Fault::VirtualMemory { address, .. } = *fault
        && overflows(thread, address)
    {
        line!(
            "monitor:   the stack of {name} has overflown: its lowest address is {:#x}",
            thread.stack_bottom
        );
    }
    match Tcb::from_cptr(objects.cptr(thread.tcb)).read_registers(false) {
        Ok(registers) => print_registers(&registers),
        Err(error) => line!("monitor:   its registers cannot be read: {error}"),
    }
}

/// Whether an address lies in the page below a stack.
fn overflows(thread: &Thread, address: u64) -> bool {
    let guard = sel4::FrameSize::Small.bytes();
    address < thread.stack_bottom && thread.stack_bottom - address <= guard
}

fn print_registers(registers: &UserContext) {
    let rows = [
        [("rip", registers.rip), ("rsp", registers.rsp), ("rfl", registers.rflags), ("rbp", registers.rbp)],
        [("rax", registers.rax), ("rbx", registers.rbx), ("rcx", registers.rcx), ("rdx", registers.rdx)],
        [("rsi", registers.rsi), ("rdi", registers.rdi), ("r8 ", registers.r8), ("r9 ", registers.r9)],
        [("r10", registers.r10), ("r11", registers.r11), ("r12", registers.r12), ("r13", registers.r13)],
        [("r14", registers.r14), ("r15", registers.r15), ("fs ", registers.tls_base), ("   ", 0)],
    ];
    for [(a, a_value), (b, b_value), (c, c_value), (d, d_value)] in rows {
        if d.trim().is_empty() {
            line!("monitor:   {a} {a_value:016x} {b} {b_value:016x} {c} {c_value:016x}");
        } else {
            line!("monitor:   {a} {a_value:016x} {b} {b_value:016x} {c} {c_value:016x} {d} {d_value:016x}");
        }
    }
}

/// A fault in one line.
struct Kind<'f>(&'f Fault);

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.0 {
            Fault::VirtualMemory { instruction, address, fetch, status } => {
                // The processor tells fetches from reads only when pages can forbid execution, which this kernel leaves
                // off; but a fetch fails at the instruction's own address, and nobody else reads there.
                let access = match (fetch || address == instruction, status & 2 != 0) {
                    (true, _) => "instruction",
                    (false, true) => "write",
                    (false, false) => "read",
                };
                let state = if status & 1 != 0 { "not allowed" } else { "not mapped" };
                write!(
                    f,
                    "page fault at address {address:#x} ip {instruction:#x} ({access}, {state}, error code {status:#x})"
                )
            }
            Fault::UserException { instruction, stack, number, code } => write!(
                f,
                "exception {number}{} ip {instruction:#x} sp {stack:#x} (error code {code:#x})",
                exception_name(number)
            ),
            Fault::Capability { instruction, address, receiving } => {
                let phase = if receiving { "receiving" } else { "sending" };
                write!(f, "no capability at address {address:#x} ip {instruction:#x} ({phase})")
            }
            Fault::UnknownSyscall { instruction, number } => {
                write!(f, "unknown system call {number:#x} ip {instruction:#x}")
            }
            Fault::Unknown(label) => write!(f, "unknown kind {label}"),
        }
    }
}

/// What the processor's manual calls an exception (Intel SDM vol. 3, table 6-1).
fn exception_name(number: u64) -> &'static str {
    match number {
        0 => " (division)",
        1 => " (debug)",
        3 => " (breakpoint)",
        4 => " (overflow)",
        5 => " (bound range)",
        6 => " (invalid opcode)",
        7 => " (device not available)",
        10 => " (invalid TSS)",
        11 => " (segment not present)",
        12 => " (stack segment)",
        13 => " (general protection)",
        16 => " (x87 floating point)",
        17 => " (alignment)",
        19 => " (SIMD floating point)",
        _ => "",
    }
}
