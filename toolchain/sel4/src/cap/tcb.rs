// SPDX-License-Identifier: BSD-2-Clause
//! Threads.

use super::{Notification, Tcb};
use crate::abi::{self, UserContext, invoke, label};
use crate::error::Result;

impl Tcb {
    /// Writes all registers; `resume` lets the thread run on from there.
    pub fn write_registers(self, resume: bool, context: &UserContext) -> Result<()> {
        let mut arguments = [0; UserContext::COUNT + 2];
        arguments[0] = u64::from(resume);
        arguments[1] = UserContext::COUNT as u64;
        arguments[2..].copy_from_slice(&context.to_words());
        invoke(self.cptr(), label::TCBWriteRegisters, [], arguments)?;
        Ok(())
    }

    /// Reads all registers; `suspend` stops the thread first.
    pub fn read_registers(self, suspend: bool) -> Result<UserContext> {
        let mut words = [0; UserContext::COUNT];
        let arguments = [u64::from(suspend), UserContext::COUNT as u64];
        abi::invoke_long(self.cptr(), label::TCBReadRegisters, arguments, &mut words)?;
        Ok(UserContext::from_words(words))
    }

    /// Lets the thread run. What it was waiting for is given up and tried again.
    pub fn resume(self) -> Result<()> {
        invoke(self.cptr(), label::TCBResume, [], [])?;
        Ok(())
    }

    /// Stops the thread.
    pub fn suspend(self) -> Result<()> {
        invoke(self.cptr(), label::TCBSuspend, [], [])?;
        Ok(())
    }

    /// Lets the thread receive this notification's signals wherever it waits for a message.
    pub fn bind_notification(self, notification: Notification) -> Result<()> {
        invoke(self.cptr(), label::TCBBindNotification, [notification.cptr()], [])?;
        Ok(())
    }

    /// Undoes [`bind_notification`](Self::bind_notification).
    pub fn unbind_notification(self) -> Result<()> {
        invoke(self.cptr(), label::TCBUnbindNotification, [], [])?;
        Ok(())
    }
}
