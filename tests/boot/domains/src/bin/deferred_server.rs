// SPDX-License-Identifier: BSD-2-Clause
//! Leaves a notification to the event loop in every protected call.
#![no_std]
#![no_main]

use sel4_microkit::{
    Channel, DeferredAction, DeferredActionSlot, Handler, IrqAckError, MessageInfo, get_mr,
    protection_domain, set_mr,
};

#[derive(Default)]
struct Server {
    action: DeferredActionSlot,
}

#[protection_domain]
fn init() -> impl Handler {
    Server::default()
}

impl Handler for Server {
    type Error = IrqAckError;

    fn protected(&mut self, channel: Channel, _: MessageInfo) -> Result<MessageInfo, IrqAckError> {
        set_mr(0, get_mr(0) + 1000);
        self.action.defer_notify(channel)?;
        Ok(MessageInfo::new(0, 1))
    }

    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        self.action.take()
    }
}
