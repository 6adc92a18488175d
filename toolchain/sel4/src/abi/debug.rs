// SPDX-License-Identifier: BSD-2-Clause
//! The system calls of a debug kernel. They go through the kernel's slow path and touch no message.

use super::buffer::MAX_MESSAGE_WORDS;
use super::{debug_call, syscall};
use crate::CPtr;
use crate::cap::Tcb;
use crate::ipc_buffer;

pub(crate) fn put_char(byte: u8) {
    debug_call(syscall::DebugPutChar, byte.into());
}

pub(crate) fn halt() {
    debug_call(syscall::DebugHalt, 0);
}

pub(crate) fn cap_identify(cap: CPtr) -> u64 {
    debug_call(syscall::DebugCapIdentify, cap.bits())
}

pub(crate) fn snapshot() {
    debug_call(syscall::DebugSnapshot, 0);
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
    debug_call(syscall::DebugNameThread, tcb.cptr().bits());
}
