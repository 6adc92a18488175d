// SPDX-License-Identifier: BSD-2-Clause
//! Messages between domains: a description, and the message registers.

use sel4::Fault;

/// A message's label.
pub type MessageLabel = sel4::Word;

/// The value of a message register.
pub type MessageRegisterValue = sel4::Word;

/// Describes the message in the message registers.
#[derive(Debug, Clone)]
pub struct MessageInfo {
    inner: sel4::MessageInfo,
}

impl MessageInfo {
    /// A message with this label, of `count` registers.
    pub fn new(label: MessageLabel, count: usize) -> Self {
        Self::from_inner(sel4::MessageInfo::new(label, 0, 0, count))
    }

    /// The label. The kernel carries [`label_width`](Self::label_width) bits of it.
    pub fn label(&self) -> MessageLabel {
        self.inner.label()
    }

    /// How many bits of a label arrive.
    pub const fn label_width() -> usize {
        sel4::MessageInfo::LABEL_BITS as usize
    }

    /// How many registers the message has.
    pub fn count(&self) -> usize {
        self.inner.length()
    }

    /// The message as that of a fault.
    pub fn fault(&self) -> Fault {
        sel4::with_ipc_buffer(|buffer| {
            Fault::decode(self.inner, |i| buffer.words().get(i).copied().unwrap_or(0))
        })
    }

    #[doc(hidden)]
    pub fn from_inner(inner: sel4::MessageInfo) -> Self {
        Self { inner }
    }

    #[doc(hidden)]
    pub fn inner(&self) -> &sel4::MessageInfo {
        &self.inner
    }

    #[doc(hidden)]
    pub fn into_inner(self) -> sel4::MessageInfo {
        self.inner
    }
}

impl Default for MessageInfo {
    fn default() -> Self {
        Self::new(0, 0)
    }
}

/// Reads the message registers. Nothing may be sent meanwhile.
pub fn with_msg_regs<T>(f: impl FnOnce(&[MessageRegisterValue]) -> T) -> T {
    sel4::with_ipc_buffer(|buffer| f(buffer.words()))
}

/// Reads and writes the message registers. Nothing may be sent meanwhile.
pub fn with_msg_regs_mut<T>(f: impl FnOnce(&mut [MessageRegisterValue]) -> T) -> T {
    sel4::with_ipc_buffer_mut(|buffer| f(buffer.words_mut()))
}

/// Reads the message registers as bytes. Nothing may be sent meanwhile.
pub fn with_msg_bytes<T>(f: impl FnOnce(&[u8]) -> T) -> T {
    sel4::with_ipc_buffer(|buffer| f(buffer.bytes()))
}

/// Reads and writes the message registers as bytes. Nothing may be sent meanwhile.
pub fn with_msg_bytes_mut<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    sel4::with_ipc_buffer_mut(|buffer| f(buffer.bytes_mut()))
}

/// Writes message register `i`.
///
/// # Panics
///
/// When there is no such register.
#[track_caller]
pub fn set_mr(i: usize, value: MessageRegisterValue) {
    with_msg_regs_mut(|registers| registers[i] = value);
}

/// Reads message register `i`.
///
/// # Panics
///
/// When there is no such register.
#[track_caller]
pub fn get_mr(i: usize) -> MessageRegisterValue {
    with_msg_regs(|registers| registers[i])
}
