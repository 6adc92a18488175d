// SPDX-License-Identifier: BSD-2-Clause
//! Sending and receiving.

use super::syscall;
use crate::abi::transfer::{Call, NO_MESSAGE, exchange, send_only};
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
    exchange(Call::new(syscall::Recv, from, NO_MESSAGE))
}

#[inline]
pub(crate) fn nb_recv(from: CPtr, _: Reply) -> (MessageInfo, Badge) {
    exchange(Call::new(syscall::NBRecv, from, NO_MESSAGE))
}

#[inline]
pub(crate) fn call(to: CPtr, info: MessageInfo) -> MessageInfo {
    exchange(Call::new(syscall::Call, to, info)).0
}

#[inline]
pub(crate) fn reply_recv(from: CPtr, info: MessageInfo, _: Reply) -> (MessageInfo, Badge) {
    exchange(Call::new(syscall::ReplyRecv, from, info))
}

/// This kernel has no such call: two do the same, and a thread in between can only delay the second.
#[inline]
pub(crate) fn nb_send_recv(to: CPtr, info: MessageInfo, from: CPtr, reply: Reply) -> (MessageInfo, Badge) {
    nb_send(to, info);
    recv(from, reply)
}
