// SPDX-License-Identifier: BSD-2-Clause
//! The system calls of a debug kernel. They go through the kernel's slow path and touch no message.

use super::interface::syscall;
use super::layout::MAX_MESSAGE_WORDS;
use super::syscall::enter;
use crate::CPtr;
use crate::cap::Tcb;
use crate::ipc_buffer;

pub(crate) fn put_char(byte: u8) {
    enter(syscall::DebugPutChar, byte.into(), 0, [0; 4]);
}

pub(crate) fn halt() {
    enter(syscall::DebugHalt, 0, 0, [0; 4]);
}

pub(crate) fn cap_identify(cap: CPtr) -> u64 {
    enter(syscall::DebugCapIdentify, cap.bits(), 0, [0; 4]).badge
}

pub(crate) fn snapshot() {
    enter(syscall::DebugSnapshot, 0, 0, [0; 4]);
}

pub(crate) fn name_thread(tcb: Tcb, name: &str) {
    // The kernel halts the machine when the name is not ended within the message.
    const LONGEST: usize = MAX_MESSAGE_WORDS * 8 - 1;
    ipc_buffer::with_ipc_buffer_mut(|buffer| {
        let name = name.as_bytes();
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len()).min(LONGEST);
        let bytes = buffer.bytes_mut();
        bytes[..length].copy_from_slice(&name[..length]);
        bytes[length] = 0;
    });
    enter(syscall::DebugNameThread, tcb.cptr().bits(), 0, [0; 4]);
}
