// SPDX-License-Identifier: BSD-2-Clause
//! The `syscall` instruction with its registers: the only place where the program enters the kernel.
//!
//! Registers (seL4: libsel4/sel4_arch_include/x86_64/sel4/sel4_arch/syscalls_syscall.h): rdx number;
//! rdi capability in, badge out; rsi message word; r10 r8 r9 r15 the first four message words; r12 the
//! reply object; r13 what NBSendRecv sends to. The instruction itself clobbers rcx and r11, and the kernel
//! does not restore rsp: r14, which it does restore, holds it meanwhile.
#![allow(unsafe_code, reason = "system calls are made here")]

use core::arch::asm;

use crate::abi::transfer::{Call, Returned};

/// One system call with everything that any of them takes and returns.
#[inline(always)]
pub(crate) fn enter(call: Call) -> Returned {
    let Call { number, mut cap, mut info, words: [mut m0, mut m1, mut m2, mut m3], reply, to } = call;
    // SAFETY: the kernel changes only the registers listed, and the IPC buffer, to which no reference
    // exists at this time (`ipc_buffer::unborrowed` is asked by every caller that lets the kernel touch
    // it). What the call does to the program's memory is the capability's affair (see the crate's head).
    // Nothing is pushed: rsp is the same behind as before.
    unsafe {
        asm!(
            "mov r14, rsp",
            "syscall",
            "mov rsp, r14",
            in("rdx") number,
            inlateout("rdi") cap,
            inlateout("rsi") info,
            inlateout("r10") m0,
            inlateout("r8") m1,
            inlateout("r9") m2,
            inlateout("r15") m3,
            in("r12") reply,
            in("r13") to,
            lateout("rcx") _,
            lateout("r11") _,
            out("r14") _,
            options(nostack),
        );
    }
    Returned { badge: cap, info, words: [m0, m1, m2, m3] }
}
