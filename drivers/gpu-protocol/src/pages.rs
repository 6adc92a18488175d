// SPDX-License-Identifier: BSD-2-Clause
//! Lending pages and taking them back.
//!
//! The *owner* of an address space (the client itself, or a memory server) answers page requests with
//! grants. Sequence numbers make a grant recognisable that answers a request which is no longer
//! open: it is refused with `EAGAIN`.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags! {
    /// Flags of a [`Grant`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct GrantFlags: u32 {
        /// The GPU may write the pages.
        const WRITE = 1 << 0;
    }
}

/// What the driver asks the owner for. Not read from memory: its words are in the reply to
/// `NextPageRequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// First byte of the range in the client's address space.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// To be repeated in the grant.
    pub sequence: u64,
    /// The GPU will write the pages.
    pub write: bool,
}

impl PageRequest {
    /// The reply's words.
    #[must_use]
    pub fn to_words(self) -> [u64; 4] {
        [if self.write { 3 } else { 1 }, self.address, self.size, self.sequence]
    }

    /// From a reply's words; `None` if there was no request.
    #[must_use]
    pub fn from_words(words: [u64; 4]) -> Option<Self> {
        (words[0] & 1 != 0).then_some(Self {
            address: words[1],
            size: words[2],
            sequence: words[3],
            write: words[0] & 2 != 0,
        })
    }
}

/// Lends pages: the frame capabilities at `first..first + count` of the CNode that the message
/// carries stand behind `address..address + count * page size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Grant {
    /// First byte of the range, page aligned.
    pub address: u64,
    /// The request's sequence number.
    pub sequence: u64,
    /// Index of the first frame in the CNode.
    pub first: u32,
    /// Number of frames.
    pub count: u32,
    /// Base-two logarithm of the frames' size in bytes: 12 or 21.
    pub page_bits: u32,
    /// Radix of the CNode, so that the driver can address into it.
    pub cnode_bits: u32,
    /// [`GrantFlags`].
    pub flags: u32,
    /// 0.
    pub rsvd: u32,
}

/// Answers a page request with an error, which the client gets at its next use, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Refuse {
    /// The request's address.
    pub address: u64,
    /// The request's sequence number.
    pub sequence: u64,
    /// Number of an [`crate::Errno`].
    pub errno: u32,
    /// 0.
    pub rsvd: u32,
}

/// One row of the grant table that the image tool writes into the driver domain: what the client of a
/// channel may lend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GrantEntry {
    /// The client's channel, as the driver numbers it.
    pub channel: u64,
    /// First byte, physical.
    pub paddr: u64,
    /// Bytes.
    pub size: u64,
    /// Bit 0 read, bit 1 write, bits 15..8 base-two logarithm of the page size.
    pub rights: u64,
}

impl GrantEntry {
    /// Whether `size` bytes at `paddr` lie inside this row.
    #[must_use]
    pub fn contains(&self, paddr: u64, size: u64) -> bool {
        paddr >= self.paddr
            && paddr
                .checked_add(size)
                .is_some_and(|end| self.paddr.checked_add(self.size).is_some_and(|limit| end <= limit))
    }

    /// Whether the client may lend these pages for the GPU to write.
    #[must_use]
    pub const fn writable(&self) -> bool {
        self.rights & 2 != 0
    }

    /// Base-two logarithm of the size of the row's frames.
    #[must_use]
    pub const fn page_bits(&self) -> u32 {
        // CAST: masked to eight bits.
        ((self.rights >> 8) & 0xff) as u32
    }
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn page_structures_have_a_fixed_layout() {
        assert_eq!(size_of::<Grant>(), 40);
        assert_eq!(size_of::<Refuse>(), 24);
        assert_eq!(size_of::<GrantEntry>(), 32);
    }

    #[test]
    fn a_page_request_survives_the_wire() {
        let request = PageRequest { address: 0x1000, size: 0x2000, sequence: 9, write: true };
        assert_eq!(PageRequest::from_words(request.to_words()), Some(request));
        assert_eq!(PageRequest::from_words([0; 4]), None);
    }

    #[test]
    fn a_grant_row_contains_what_lies_inside_it_and_nothing_that_wraps() {
        let row = GrantEntry { channel: 1, paddr: 0x10_0000, size: 0x2000, rights: 3 | 12 << 8 };
        assert!(row.contains(0x10_1000, 0x1000));
        assert!(!row.contains(0x10_1000, 0x1001));
        assert!(!row.contains(0xf_f000, 0x1000));
        assert!(!row.contains(u64::MAX, 0x1000));
        assert_eq!(row.page_bits(), 12);
        assert!(row.writable());
    }
}
