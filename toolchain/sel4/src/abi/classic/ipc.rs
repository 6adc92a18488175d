// SPDX-License-Identifier: BSD-2-Clause
//! Sending and receiving, and the invocation of kernel objects.
//!
//! The first four words of a message travel in registers; here they are loaded from the IPC buffer and
//! stored back, so that a program sees one array of words.
#![allow(unsafe_code, reason = "copies words between registers and the IPC buffer")]

use super::interface::syscall;
use super::layout::{IpcBuffer, MAX_EXTRA_CAPS, MAX_MESSAGE_WORDS};
use super::syscall::{Returned, enter};
use crate::error::{Error, Result};
use crate::ipc_buffer::unborrowed;
use crate::{Badge, CPtr, MessageInfo};

/// Where the authority to answer a call is kept. On this kernel it hangs on the thread itself, so the
/// value has no content; on kernels with reply objects it names one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply(());

impl Reply {
    /// The reply capability at this address, for kernels that have reply objects. Ignored here.
    pub const fn from_cptr(_: CPtr) -> Self {
        Self(())
    }
}

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
fn send_only(number: i64, to: CPtr, info: MessageInfo) {
    let buffer = unborrowed();
    enter(number, to.bits(), info.bits(), load(buffer));
}

/// Receives into the buffer, after sending what it holds where the call does both.
#[inline]
fn exchange(number: i64, cap: CPtr, info: MessageInfo) -> (MessageInfo, Badge) {
    let buffer = unborrowed();
    let Returned { badge, info, words } = enter(number, cap.bits(), info.bits(), load(buffer));
    store(buffer, words);
    (MessageInfo::from_bits(info), badge)
}

const NO_MESSAGE: MessageInfo = MessageInfo::new(0, 0, 0, 0);

#[inline]
pub(crate) fn send(to: CPtr, info: MessageInfo) {
    send_only(syscall::Send, to, info);
}

#[inline]
pub(crate) fn nb_send(to: CPtr, info: MessageInfo) {
    send_only(syscall::NBSend, to, info);
}

#[inline]
pub(crate) fn reply(_: Reply, info: MessageInfo) {
    send_only(syscall::Reply, CPtr::NULL, info);
}

#[inline]
pub(crate) fn recv(from: CPtr, _: Reply) -> (MessageInfo, Badge) {
    exchange(syscall::Recv, from, NO_MESSAGE)
}

#[inline]
pub(crate) fn nb_recv(from: CPtr, _: Reply) -> (MessageInfo, Badge) {
    exchange(syscall::NBRecv, from, NO_MESSAGE)
}

#[inline]
pub(crate) fn call(to: CPtr, info: MessageInfo) -> MessageInfo {
    exchange(syscall::Call, to, info).0
}

#[inline]
pub(crate) fn reply_recv(from: CPtr, info: MessageInfo, _: Reply) -> (MessageInfo, Badge) {
    exchange(syscall::ReplyRecv, from, info)
}

/// This kernel has no such call: two do the same, and a thread in between can only delay the second.
#[inline]
pub(crate) fn nb_send_recv(to: CPtr, info: MessageInfo, from: CPtr, reply: Reply) -> (MessageInfo, Badge) {
    nb_send(to, info);
    recv(from, reply)
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
    let Returned { info, words, .. } = enter(syscall::Call, service.bits(), info.bits(), registers);
    match Error::from_answer(MessageInfo::from_bits(info).label(), &words) {
        None => Ok(words),
        Some(error) => Err(error),
    }
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
