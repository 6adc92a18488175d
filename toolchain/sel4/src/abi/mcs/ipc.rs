// SPDX-License-Identifier: BSD-2-Clause
//! Sending and receiving.

use super::syscall;
use crate::abi::transfer::{Call, NO_MESSAGE, exchange, send_only};
use crate::{Badge, CPtr, MessageInfo};

/// Where the authority to answer a call is kept: a reply object, which a receive fills.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply(CPtr);

impl Reply {
    /// The reply object whose capability is at this address. With NULL nothing can be answered.
    pub const fn from_cptr(cptr: CPtr) -> Self {
        Self(cptr)
    }

    /// The system call to receive with: without a reply object the kernel has others.
    fn receive(self, from: CPtr, with_reply: i64, without: i64) -> Call {
        let number = if self.0 == CPtr::NULL { without } else { with_reply };
        Call { reply: self.0.bits(), ..Call::new(number, from, NO_MESSAGE) }
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

/// To answer is to send to the reply object.
#[inline]
pub(crate) fn reply(reply: Reply, info: MessageInfo) {
    send_only(syscall::Send, reply.0, info);
}

#[inline]
pub(crate) fn recv(from: CPtr, reply: Reply) -> (MessageInfo, Badge) {
    exchange(reply.receive(from, syscall::Recv, syscall::Wait))
}

#[inline]
pub(crate) fn nb_recv(from: CPtr, reply: Reply) -> (MessageInfo, Badge) {
    exchange(reply.receive(from, syscall::NBRecv, syscall::NBWait))
}

#[inline]
pub(crate) fn call(to: CPtr, info: MessageInfo) -> MessageInfo {
    exchange(Call::new(syscall::Call, to, info)).0
}

#[inline]
pub(crate) fn reply_recv(from: CPtr, info: MessageInfo, reply: Reply) -> (MessageInfo, Badge) {
    exchange(Call { reply: reply.0.bits(), ..Call::new(syscall::ReplyRecv, from, info) })
}

/// One call does both. The capability that it names first is the one to receive from.
#[inline]
pub(crate) fn nb_send_recv(to: CPtr, info: MessageInfo, from: CPtr, reply: Reply) -> (MessageInfo, Badge) {
    exchange(Call { reply: reply.0.bits(), to: to.bits(), ..Call::new(syscall::NBSendRecv, from, info) })
}
