// SPDX-License-Identifier: BSD-2-Clause
//! The data path: requests and answers in two rings of shared memory.
//!
//! A client with a region for it (system.xml) shares two rings with the driver, whose mechanics are the
//! crate `gpu-ring`'s. It appends [`RingRequest`]s and notifies the driver if the ring says so; the driver
//! appends one [`RingAnswer`] for each and notifies the client if the ring says so. Both rings have the
//! same number of entries, as many as the region holds. `Connect` makes them empty, on both sides:
//! answers to what was requested before never come.
//!
//! The driver takes a request only while there is room for its answer and for those of all requests that it
//! has taken before. A ring whose indices contradict each other is not served any more until the next
//! `Connect`.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Submit;

/// Words of a [`RingRequest`].
pub const RING_REQUEST_WORDS: usize = size_of::<RingRequest>() / 8;
/// Words of a [`RingAnswer`].
pub const RING_ANSWER_WORDS: usize = size_of::<RingAnswer>() / 8;

bitflags! {
    /// Flags of [`RingRequest`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct RingFlags: u32 {
        /// Answer as soon as the request is taken or refused: the page of completed points then tells
        /// when it is done, and the client is notified as after a call. Otherwise the answer comes when
        /// the batch is done.
        const ANSWER_EARLY = 1 << 0;
    }
}

/// A submission in the ring of requests. What its offsets point to in the message area must stay there
/// until the driver has taken the request out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RingRequest {
    /// What to run.
    pub submit: Submit,
    /// The client's; comes back in the answer.
    pub user: u64,
    /// [`RingFlags`].
    pub flags: u32,
    /// 0.
    pub rsvd: u32,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RingAnswer {
    /// [`RingRequest::user`].
    pub user: u64,
    /// The point that the request has reached, or will reach; 0 if it was refused.
    pub point: u64,
    /// Its timeline's index in [`crate::CompletedPoints`]; 0 if it was refused.
    pub timeline: u32,
    /// 0, or the number of an [`crate::Errno`]: why it was refused, or `EIO` if it was stopped.
    pub errno: u32,
    /// 0.
    pub rsvd: u64,
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn ring_entries_have_a_fixed_layout() {
        assert_eq!((size_of::<RingRequest>(), RING_REQUEST_WORDS), (64, 8));
        assert_eq!((offset_of!(RingRequest, user), offset_of!(RingRequest, flags)), (48, 56));
        assert_eq!((size_of::<RingAnswer>(), RING_ANSWER_WORDS), (32, 4));
        assert_eq!((offset_of!(RingAnswer, timeline), offset_of!(RingAnswer, errno)), (16, 20));
    }
}
