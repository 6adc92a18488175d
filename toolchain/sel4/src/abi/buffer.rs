// SPDX-License-Identifier: BSD-2-Clause
//! The IPC buffer: the same on all kernels that are spoken to here.

/// Words of a message.
// seL4: libsel4/include/sel4/constants.h
pub const MAX_MESSAGE_WORDS: usize = 120;
/// Capabilities that a message can carry. Only one arrives as a capability; others are unwrapped to
/// badges, or stop the transfer.
pub const MAX_EXTRA_CAPS: usize = 3;

/// Bytes of an IPC buffer, which is aligned to its size.
pub const IPC_BUFFER_SIZE: usize = 1024;

/// The memory through which a thread and the kernel exchange what does not fit the registers.
// seL4: libsel4/include/sel4/shared_types.h
#[derive(Debug)]
#[repr(C, align(1024))]
pub struct IpcBuffer {
    tag: u64,
    pub(super) words: [u64; MAX_MESSAGE_WORDS],
    user_data: u64,
    pub(super) caps_or_badges: [u64; MAX_EXTRA_CAPS],
    receive_cnode: u64,
    receive_index: u64,
    receive_depth: u64,
}

const _: () = assert!(size_of::<IpcBuffer>() == IPC_BUFFER_SIZE);

impl IpcBuffer {
    /// A buffer with nothing in it.
    pub const fn new() -> Self {
        Self {
            tag: 0,
            words: [0; MAX_MESSAGE_WORDS],
            user_data: 0,
            caps_or_badges: [0; MAX_EXTRA_CAPS],
            receive_cnode: 0,
            receive_index: 0,
            receive_depth: 0,
        }
    }

    /// The words of the message, sent or received.
    pub const fn words(&self) -> &[u64; MAX_MESSAGE_WORDS] {
        &self.words
    }

    /// The words of the message to send.
    pub const fn words_mut(&mut self) -> &mut [u64; MAX_MESSAGE_WORDS] {
        &mut self.words
    }

    /// The message as bytes.
    pub fn bytes(&self) -> &[u8] {
        layout_cast::bytes_of(&self.words)
    }

    /// The message to send as bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        layout_cast::bytes_of_mut(&mut self.words)
    }

    /// The capabilities to send along, as addresses; received: the badges of those that were unwrapped.
    pub const fn caps_or_badges(&self) -> &[u64; MAX_EXTRA_CAPS] {
        &self.caps_or_badges
    }

    /// The capabilities to send along.
    pub const fn caps_or_badges_mut(&mut self) -> &mut [u64; MAX_EXTRA_CAPS] {
        &mut self.caps_or_badges
    }

    /// Where an arriving capability goes; it stays set. The slot must be empty, else none arrives.
    pub const fn set_receive_slot(&mut self, slot: crate::Slot) {
        self.receive_cnode = slot.root.cptr().bits();
        self.receive_index = slot.index;
        self.receive_depth = slot.depth as u64;
    }

    /// Lets no capability arrive.
    pub const fn clear_receive_slot(&mut self) {
        self.receive_cnode = 0;
        self.receive_index = 0;
        self.receive_depth = 0;
    }
}

impl Default for IpcBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// Words seen as bytes.
mod layout_cast {
    #![allow(unsafe_code, reason = "reinterprets plain integers")]

    pub(super) fn bytes_of(words: &[u64]) -> &[u8] {
        // SAFETY: any byte of an integer is a valid u8, alignment only falls, the size is the same.
        unsafe { core::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
    }

    pub(super) fn bytes_of_mut(words: &mut [u64]) -> &mut [u8] {
        // SAFETY: as above, and any bytes make a valid integer.
        unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn the_buffer_is_laid_out_as_the_kernel_reads_it() {
        // seL4: libsel4/include/sel4/shared_types.h; the kernel indexes it as an array of words:
        // message from 1, capabilities from 122, receive slot at 125, 126, 127.
        assert_eq!(offset_of!(IpcBuffer, words), 8);
        assert_eq!(offset_of!(IpcBuffer, caps_or_badges), 122 * 8);
        assert_eq!(offset_of!(IpcBuffer, receive_cnode), 125 * 8);
        assert_eq!(offset_of!(IpcBuffer, receive_index), 126 * 8);
        assert_eq!(offset_of!(IpcBuffer, receive_depth), 127 * 8);
    }

    #[test]
    fn bytes_and_words_of_a_message_are_the_same_memory() {
        let mut buffer = IpcBuffer::new();
        buffer.words_mut()[1] = 0x1122_3344_5566_7788;
        assert_eq!(buffer.bytes()[8..10], [0x88, 0x77]);
        buffer.bytes_mut()[8] = 0xff;
        assert_eq!(buffer.words()[1], 0x1122_3344_5566_77ff);
        assert_eq!(buffer.bytes().len(), 960);
    }
}
