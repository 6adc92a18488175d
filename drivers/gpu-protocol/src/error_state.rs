// SPDX-License-Identifier: BSD-2-Clause
//! What was recorded of the first request that hung.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags! {
    /// Flags of [`ReadErrorState`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ReadErrorStateFlags: u32 {
        /// The record is forgotten after this piece has been copied; the next hang is recorded again (in Linux: a
        /// write to `/sys/class/drm/card0/error`).
        const CLEAR = 1 << 0;
    }
}

/// Copies a piece of the error state: text in the format of i915's `/sys/class/drm/card0/error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ReadErrorState {
    /// First byte of the text that is wanted.
    pub offset: u64,
    /// Offset in the message area where the text goes.
    pub buffer: u64,
    /// Most bytes to copy.
    pub length: u32,
    /// [`ReadErrorStateFlags`].
    pub flags: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_the_error_state_has_a_fixed_layout() {
        assert_eq!(size_of::<ReadErrorState>(), 24);
        assert_eq!(core::mem::offset_of!(ReadErrorState, length), 16);
    }
}
