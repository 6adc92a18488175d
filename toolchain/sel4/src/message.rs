// SPDX-License-Identifier: BSD-2-Clause
//! The word that describes a message.

use crate::abi::{MAX_EXTRA_CAPS, MAX_MESSAGE_WORDS, message_info};

/// What the kernel says of where a message or signal came from: the badge of the capability used.
pub type Badge = u64;

/// Describes a message: its label, its length in words, and its capabilities.
///
/// Values that do not fit are cut: the label to the kernel's label bits, the counts to their maxima,
/// which is what the kernel itself would do with them.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct MessageInfo(u64);

impl MessageInfo {
    /// Bits of a label that the kernel carries.
    pub const LABEL_BITS: u32 = message_info::LABEL.width();

    /// `caps_unwrapped` is a mask that only the kernel sets; pass 0 to send.
    pub const fn new(label: u64, caps_unwrapped: usize, extra_caps: usize, length: usize) -> Self {
        let extra_caps = if extra_caps < MAX_EXTRA_CAPS { extra_caps } else { MAX_EXTRA_CAPS };
        let length = if length < MAX_MESSAGE_WORDS { length } else { MAX_MESSAGE_WORDS };
        Self(
            message_info::LABEL.place(label)
                | message_info::CAPS_UNWRAPPED.place(caps_unwrapped as u64)
                | message_info::EXTRA_CAPS.place(extra_caps as u64)
                | message_info::LENGTH.place(length as u64),
        )
    }

    /// The word as the kernel gives it.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The word as the kernel takes it.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What the message is about; the kernel's own: an invocation, an error, or the kind of a fault.
    pub const fn label(self) -> u64 {
        message_info::LABEL.take(self.0)
    }

    /// Received: which extra capabilities arrived as badges, because they were to the very endpoint that
    /// the message came through. Bit `i` is capability `i`.
    #[allow(clippy::cast_possible_truncation, reason = "the field is narrow")]
    pub const fn caps_unwrapped(self) -> usize {
        // CAST: the field is 3 bits wide.
        message_info::CAPS_UNWRAPPED.take(self.0) as usize
    }

    /// How many capabilities were sent, or arrived (unwrapped ones included).
    #[allow(clippy::cast_possible_truncation, reason = "the field is narrow")]
    pub const fn extra_caps(self) -> usize {
        // CAST: the field is at most 2 bits wide.
        message_info::EXTRA_CAPS.take(self.0) as usize
    }

    /// How many words of the message there are, at most [`MAX_MESSAGE_WORDS`].
    #[allow(clippy::cast_possible_truncation, reason = "the field is narrow")]
    pub const fn length(self) -> usize {
        // CAST: the field is 7 bits wide.
        let length = message_info::LENGTH.take(self.0) as usize;
        if length < MAX_MESSAGE_WORDS { length } else { MAX_MESSAGE_WORDS }
    }
}

impl core::fmt::Debug for MessageInfo {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MessageInfo")
            .field("label", &self.label())
            .field("caps_unwrapped", &self.caps_unwrapped())
            .field("extra_caps", &self.extra_caps())
            .field("length", &self.length())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_survives_and_lies_where_the_kernel_expects_it() {
        let info = MessageInfo::new(0xabcde, 0b101, 2, 77);
        assert_eq!(
            (info.label(), info.caps_unwrapped(), info.extra_caps(), info.length()),
            (0xabcde, 5, 2, 77)
        );
        // seL4: libsel4/include/sel4/shared_types_64.bf
        assert_eq!(info.bits(), (0xabcde << 12) | (5 << 9) | (2 << 7) | 77);
        assert_eq!(MessageInfo::from_bits(info.bits()), info);
    }

    #[test]
    fn counts_that_do_not_fit_are_cut_to_their_maximum() {
        let info = MessageInfo::new(0, 0, 9, 1000);
        assert_eq!((info.extra_caps(), info.length()), (MAX_EXTRA_CAPS, MAX_MESSAGE_WORDS));
    }

    #[test]
    fn a_length_beyond_the_buffer_in_a_received_word_is_cut() {
        assert_eq!(MessageInfo::from_bits(127).length(), MAX_MESSAGE_WORDS);
    }
}
