// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts.

use super::{IrqControl, IrqHandler, Notification};
use crate::abi::{invoke, label};
use crate::error::Result;
use crate::{MessageInfo, Slot};

/// What the processor's vector of interrupt 0 is: a device that sends its interrupts as messages
/// writes `MSI_VECTOR_BASE + vector` as data.
// seL4: libsel4/arch_include/x86/sel4/arch/constants.h, IRQ_OFFSET
pub const MSI_VECTOR_BASE: u64 = 0x30;

/// Highest vector that can be asked for.
// seL4: libsel4/arch_include/x86/sel4/arch/constants.h, VECTOR_MAX; src/arch/x86/object/interrupt.c accepts
// no more than irq_user_max - irq_user_min
pub const MAX_VECTOR: u64 = 107;

/// When a pin of the I/O APIC asks for service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Trigger {
    /// On a change of level.
    Edge,
    /// As long as the level holds.
    Level,
}

/// Which level of a pin of the I/O APIC is the active one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Polarity {
    /// High, or a rising edge.
    High,
    /// Low, or a falling edge.
    Low,
}

/// A pin of an I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IoApicPin {
    /// Number of the I/O APIC.
    pub io_apic: u64,
    /// Number of its pin.
    pub pin: u64,
    /// How it signals.
    pub trigger: Trigger,
    /// What is active.
    pub polarity: Polarity,
}

/// The source of interrupts that are messages. The kernel keeps this on record only: the message is
/// not checked against it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MsiSource {
    /// PCI bus.
    pub bus: u8,
    /// PCI device, less than 32.
    pub device: u8,
    /// PCI function, less than 8.
    pub function: u8,
    /// Which of the device's messages.
    pub handle: u64,
}

impl IrqControl {
    /// Makes the handler of a pin of the I/O APIC, delivered at `vector`, and puts it into `slot`.
    pub fn get_io_apic(self, slot: Slot, pin: IoApicPin, vector: u64) -> Result<()> {
        invoke(
            self.cptr(),
            label::X86IRQIssueIRQHandlerIOAPIC,
            [slot.root().cptr()],
            [
                slot.index(),
                u64::from(slot.depth()),
                pin.io_apic,
                pin.pin,
                u64::from(pin.trigger == Trigger::Level),
                u64::from(pin.polarity == Polarity::Low),
                vector,
            ],
        )?;
        Ok(())
    }

    /// Makes the handler of a message-signalled interrupt, delivered at `vector`, and puts it into
    /// `slot`. The device has to send [`MSI_VECTOR_BASE`]` + vector`.
    pub fn get_msi(self, slot: Slot, source: MsiSource, vector: u64) -> Result<()> {
        invoke(
            self.cptr(),
            label::X86IRQIssueIRQHandlerMSI,
            [slot.root().cptr()],
            [
                slot.index(),
                u64::from(slot.depth()),
                u64::from(source.bus),
                u64::from(source.device),
                u64::from(source.function),
                source.handle,
                vector,
            ],
        )?;
        Ok(())
    }
}

impl IrqHandler {
    /// The message that is [`ack`](Self::ack) when sent to the handler, for those who join it with another
    /// system call. The kernel's answer is lost then.
    pub const ACK_MESSAGE: MessageInfo = MessageInfo::new(label::IRQAckIRQ, 0, 0, 0);

    /// Lets the interrupt come again.
    #[inline]
    pub fn ack(self) -> Result<()> {
        invoke(self.cptr(), label::IRQAckIRQ, [], [])?;
        Ok(())
    }

    /// Has the interrupt signal this notification (capability: its badge). A copy is kept.
    pub fn set_notification(self, notification: Notification) -> Result<()> {
        invoke(self.cptr(), label::IRQSetIRQHandler, [notification.cptr()], [])?;
        Ok(())
    }

    /// Undoes [`set_notification`](Self::set_notification).
    pub fn clear(self) -> Result<()> {
        invoke(self.cptr(), label::IRQClearIRQHandler, [], [])?;
        Ok(())
    }
}
