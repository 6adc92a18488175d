// SPDX-License-Identifier: BSD-2-Clause
//! What every system call that carries a message has in common, and the invocation of kernel objects.
//!
//! The first four words of a message travel in registers; here they are loaded from the IPC buffer and
//! stored back, so that a program sees one array of words.
#![allow(unsafe_code, reason = "copies words between registers and the IPC buffer")]

use super::buffer::{IpcBuffer, MAX_EXTRA_CAPS, MAX_MESSAGE_WORDS};
use super::{enter, syscall};
use crate::error::{Error, Result};
use crate::ipc_buffer::unborrowed;
use crate::{Badge, CPtr, MessageInfo};

/// Everything that goes into the kernel in registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    /// The system call.
    pub(crate) number: i64,
    /// The capability that it is made on.
    pub(crate) cap: u64,
    /// The message word.
    pub(crate) info: u64,
    /// The first words of the message.
    pub(crate) words: [u64; IN_REGISTERS],
    /// The reply object, on kernels that have them.
    pub(crate) reply: u64,
    /// Where a call that sends to one place and receives from another sends to, on kernels that have it.
    pub(crate) to: u64,
}

impl Call {
    /// A call without words, reply object and second destination.
    pub(super) const fn new(number: i64, cap: CPtr, info: MessageInfo) -> Self {
        Self { number, cap: cap.bits(), info: info.bits(), words: [0; IN_REGISTERS], reply: 0, to: 0 }
    }
}

/// What comes back in registers.
#[derive(Clone, Copy)]
pub(super) struct Returned {
    pub(super) badge: u64,
    pub(super) info: u64,
    pub(super) words: [u64; IN_REGISTERS],
}

/// A message without words and capabilities.
pub(super) const NO_MESSAGE: MessageInfo = MessageInfo::new(0, 0, 0, 0);

/// Words that travel in registers.
const IN_REGISTERS: usize = 4;

fn load(buffer: *mut IpcBuffer) -> [u64; IN_REGISTERS] {
    // SAFETY: `unborrowed` gave the pointer: valid, and no reference to it exists now.
    unsafe { (*buffer).words.first_chunk().copied() }.unwrap_or_default()
}

fn store(buffer: *mut IpcBuffer, words: [u64; IN_REGISTERS]) {
    // SAFETY: as in `load`.
    let slot = unsafe { &mut (*buffer).words }.first_chunk_mut();
    if let Some(slot) = slot {
        *slot = words;
    }
}

/// Sends what the buffer holds; nothing comes back.
#[inline]
pub(super) fn send_only(number: i64, to: CPtr, info: MessageInfo) {
    let buffer = unborrowed();
    enter(Call { words: load(buffer), ..Call::new(number, to, info) });
}

/// Receives into the buffer, after sending what it holds where the call does both.
#[inline]
pub(super) fn exchange(call: Call) -> (MessageInfo, Badge) {
    let buffer = unborrowed();
    let Returned { badge, info, words } = enter(Call { words: load(buffer), ..call });
    store(buffer, words);
    (MessageInfo::from_bits(info), badge)
}

/// Invokes the object behind `service`. Its answer is the first four words. The message words in the
/// buffer stay as they were, but for those that carry arguments beyond the fourth.
#[inline]
pub(crate) fn invoke<const CAPS: usize, const WORDS: usize>(
    service: CPtr,
    label: u64,
    caps: [CPtr; CAPS],
    arguments: [u64; WORDS],
) -> Result<[u64; IN_REGISTERS]> {
    const { assert!(CAPS <= MAX_EXTRA_CAPS && WORDS <= MAX_MESSAGE_WORDS) };
    let mut registers = [0; IN_REGISTERS];
    if CAPS > 0 || WORDS > IN_REGISTERS {
        let buffer = unborrowed();
        // SAFETY: `unborrowed` gave the pointer: valid, and no reference to it exists now.
        let buffer = unsafe { &mut *buffer };
        for (slot, cap) in buffer.caps_or_badges.iter_mut().zip(caps) {
            *slot = cap.bits();
        }
        for (i, argument) in arguments.iter().enumerate().skip(IN_REGISTERS) {
            buffer.words[i] = *argument;
        }
    }
    for (register, argument) in registers.iter_mut().zip(arguments) {
        *register = argument;
    }
    let info = MessageInfo::new(label, 0, CAPS, WORDS);
    let Returned { info, words, .. } =
        enter(Call { words: registers, ..Call::new(syscall::Call, service, info) });
    match Error::from_answer(MessageInfo::from_bits(info).label(), &words) {
        None => Ok(words),
        Some(error) => Err(error),
    }
}

/// Invokes by a send, which never waits, and brings no answer. Returns the first message register as the kernel leaves it,
/// which was `register` before.
#[cfg(not(feature = "mcs"))]
pub(crate) fn invoke_without_waiting(service: CPtr, label: u64, register: u64) -> u64 {
    let info = MessageInfo::new(label, 0, 0, 0);
    enter(Call { words: [register, 0, 0, 0], ..Call::new(syscall::NBSend, service, info) }).words[0]
}

/// Like [`invoke`] without capabilities, for an answer longer than four words: it fills `answer`.
pub(crate) fn invoke_long<const WORDS: usize>(
    service: CPtr,
    label: u64,
    arguments: [u64; WORDS],
    answer: &mut [u64],
) -> Result<()> {
    let words = invoke(service, label, [], arguments)?;
    let buffer = unborrowed();
    // SAFETY: `unborrowed` gave the pointer: valid, and no reference to it exists now.
    let rest = unsafe { &(*buffer).words };
    let all = words.iter().chain(rest.iter().skip(IN_REGISTERS));
    answer.iter_mut().zip(all).for_each(|(slot, word)| *slot = *word);
    Ok(())
}
