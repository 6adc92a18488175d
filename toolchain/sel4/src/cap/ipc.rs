// SPDX-License-Identifier: BSD-2-Clause
//! Messages and signals. What is sent lies in the IPC buffer, and what is received arrives there.

use super::{Endpoint, Notification};
use crate::abi::{self, Reply};
use crate::{Badge, CPtr, MessageInfo};

impl Endpoint {
    /// Sends, and waits until someone receives.
    #[inline]
    pub fn send(self, info: MessageInfo) {
        abi::send(self.cptr(), info);
    }

    /// Sends if someone is waiting, else does nothing.
    #[inline]
    pub fn nb_send(self, info: MessageInfo) {
        abi::nb_send(self.cptr(), info);
    }

    /// Sends, and waits for the answer.
    #[inline]
    pub fn call(self, info: MessageInfo) -> MessageInfo {
        abi::call(self.cptr(), info)
    }

    /// Waits for a message, or for a signal to the notification that is bound to this thread. Only the
    /// badge tells which; after a signal the message word means nothing. An earlier call that is still
    /// unanswered can no longer be answered.
    #[inline]
    pub fn recv(self, reply: Reply) -> (MessageInfo, Badge) {
        abi::recv(self.cptr(), reply)
    }

    /// Like [`recv`](Self::recv), but returns at once, with badge 0, when nothing is there.
    #[inline]
    pub fn nb_recv(self, reply: Reply) -> (MessageInfo, Badge) {
        abi::nb_recv(self.cptr(), reply)
    }

    /// Answers the call received last, then receives.
    #[inline]
    pub fn reply_recv(self, info: MessageInfo, reply: Reply) -> (MessageInfo, Badge) {
        abi::reply_recv(self.cptr(), info, reply)
    }

    /// Sends to `to` if someone is waiting there (a notification always takes it), then receives.
    #[inline]
    pub fn nb_send_recv(self, to: CPtr, info: MessageInfo, reply: Reply) -> (MessageInfo, Badge) {
        abi::nb_send_recv(to, info, self.cptr(), reply)
    }
}

impl Reply {
    /// Answers the call received last.
    #[inline]
    pub fn send(self, info: MessageInfo) {
        abi::reply(self, info);
    }
}

impl Notification {
    /// Sets the flags of this capability's badge. Never waits.
    #[inline]
    pub fn signal(self) {
        abi::send(self.cptr(), MessageInfo::new(0, 0, 0, 0));
    }

    /// Waits for flags; returns all that were set, and clears them.
    #[inline]
    pub fn wait(self) -> Badge {
        abi::recv(self.cptr(), Reply::from_cptr(CPtr::NULL)).1
    }

    /// Returns the flags that are set, 0 when none is, and clears them.
    #[inline]
    pub fn poll(self) -> Badge {
        abi::nb_recv(self.cptr(), Reply::from_cptr(CPtr::NULL)).1
    }
}
