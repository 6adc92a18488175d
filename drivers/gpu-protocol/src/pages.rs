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
    /// Whose address space: the client's channel, as the driver numbers it.
    pub space: u32,
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
        let flags = if self.write { 3 } else { 1 };
        [flags | u64::from(self.space) << 32, self.address, self.size, self.sequence]
    }

    /// From a reply's words; `None` if there was no request.
    #[must_use]
    pub fn from_words(words: [u64; 4]) -> Option<Self> {
        // CAST: the high half.
        let space = (words[0] >> 32) as u32;
        (words[0] & 1 != 0).then_some(Self {
            space,
            address: words[1],
            size: words[2],
            sequence: words[3],
            write: words[0] & 2 != 0,
        })
    }
}

/// Lends pages: the frame capabilities (of `GrantFrame`: the one frame that the message carries; `first` and
/// `cnode_bits` are then 0 and `count` is 1) at `first..first + count` of the CNode that the message
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

/// Lends pages by name, where the driver's image has them mapped for the GPU from the start: for systems in which
/// no capability can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GrantRegion {
    /// First byte of the range, page aligned.
    pub address: u64,
    /// The request's sequence number.
    pub sequence: u64,
    /// First byte in the region, page aligned.
    pub offset: u64,
    /// Which of the caller's rows of the grant table, counted from 0.
    pub region: u32,
    /// Number of pages of 4 KiB.
    pub count: u32,
    /// [`GrantFlags`].
    pub flags: u32,
    /// 0.
    pub rsvd: u32,
}

bitflags! {
    /// What the first word of an [`InvalidateReply`] says.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct InvalidateState: u64 {
        /// No engine reaches the pages any more, and the driver holds none of them.
        const DONE = 1 << 0;
        /// The GPU may have written some of them.
        const DIRTY = 1 << 1;
    }
}

/// The owner takes back the pages of a range of an address space.
///
/// From here on no grant that was made before counts, and no new use of the objects starts. What runs may
/// finish; what has not by the driver's deadline is stopped. The driver notifies the owner when a pending
/// invalidation is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Invalidate {
    /// First byte, page aligned.
    pub start: u64,
    /// First byte behind it, page aligned.
    pub end: u64,
    /// Whose address space: [`PageRequest::space`], or [`OWN_SPACE`].
    pub space: u32,
    /// 0.
    pub flags: u32,
}

/// The caller's own address space.
pub const OWN_SPACE: u32 = u32::MAX;

/// Asks how an invalidation stands. Once it has been told that one is done, the driver forgets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct InvalidateStatus {
    /// [`InvalidateReply::ticket`].
    pub ticket: u64,
    /// Whose address space, as in [`Invalidate`].
    pub space: u32,
    /// 0.
    pub rsvd: u32,
}

/// How an invalidation stands: the words of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidateReply {
    /// Done or pending, and what the GPU may have done.
    pub state: InvalidateState,
    /// Names the invalidation while it is pending.
    pub ticket: u64,
    /// Pages of 4 KiB that batches said they write, as far as they have been given back.
    pub dirty: u64,
}

impl InvalidateReply {
    /// The reply's words.
    #[must_use]
    pub const fn to_words(self) -> [u64; 3] {
        [self.state.bits(), self.ticket, self.dirty]
    }

    /// From a reply's words.
    #[must_use]
    pub const fn from_words(words: [u64; 4]) -> Self {
        Self { state: InvalidateState::from_bits_truncate(words[0]), ticket: words[1], dirty: words[2] }
    }

    /// The pages are the owner's again.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.state.contains(InvalidateState::DONE)
    }
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

/// One row of the grant table that the image tool writes into the driver domain: a range that the owner on a
/// channel may lend, or what a client is ([`GrantEntry::client`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GrantEntry {
    /// The owner's channel, as the driver numbers it; in the row of a client the client's.
    pub channel: u64,
    /// First byte, physical; in the row of a client the owner's channel, or all ones if nobody answers for it.
    pub paddr: u64,
    /// Bytes; in the row of a client bit 0: it is privileged.
    pub size: u64,
    /// Bit 0 read, bit 1 write, bit 2 mapped for the device from the start, bits 15..8 base-two logarithm of
    /// the page size; bit 63 alone: the row of a client.
    pub rights: u64,
}

/// What the system description says of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientEntry {
    /// Its channel.
    pub channel: u64,
    /// The channel of who owns its address space; `None`: nobody has an invalidation channel for it.
    pub owner: Option<u64>,
    /// It may make unsynchronised objects.
    pub privileged: bool,
}

impl ClientEntry {
    /// The row of the grant table.
    #[must_use]
    pub const fn to_row(self) -> GrantEntry {
        let paddr = match self.owner {
            Some(owner) => owner,
            None => u64::MAX,
        };
        GrantEntry { channel: self.channel, paddr, size: self.privileged as u64, rights: GrantEntry::CLIENT }
    }
}

impl GrantEntry {
    /// `rights` of the row of a client.
    pub const CLIENT: u64 = 1 << 63;

    /// What the row says of a client; `None` for one that says what may be lent.
    #[must_use]
    pub const fn client(&self) -> Option<ClientEntry> {
        if self.rights != Self::CLIENT {
            return None;
        }
        let owner = if self.paddr == u64::MAX { None } else { Some(self.paddr) };
        Some(ClientEntry { channel: self.channel, owner, privileged: self.size & 1 != 0 })
    }

    /// Whether the range is mapped for the device from the start, at its physical address.
    #[must_use]
    pub const fn is_mapped(&self) -> bool {
        self.rights & 4 != 0
    }

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
        assert_eq!(size_of::<GrantRegion>(), 40);
        assert_eq!(size_of::<Refuse>(), 24);
        assert_eq!(size_of::<Invalidate>(), 24);
        assert_eq!(size_of::<InvalidateStatus>(), 16);
        assert_eq!(size_of::<GrantEntry>(), 32);
    }

    #[test]
    fn a_page_request_survives_the_wire() {
        let request = PageRequest { space: 5, address: 0x1000, size: 0x2000, sequence: 9, write: true };
        assert_eq!(PageRequest::from_words(request.to_words()), Some(request));
        assert_eq!(PageRequest::from_words([0; 4]), None);
    }

    #[test]
    fn an_invalidations_reply_survives_the_wire() {
        for state in [InvalidateState::empty(), InvalidateState::DONE, InvalidateState::all()] {
            let reply = InvalidateReply { state, ticket: 5, dirty: 3 };
            let [state, ticket, dirty] = reply.to_words();
            assert_eq!(InvalidateReply::from_words([state, ticket, dirty, 0]), reply);
        }
    }

    #[test]
    fn the_row_of_a_client_is_told_from_a_range() {
        for (owner, privileged) in [(None, false), (Some(3), true), (Some(0), false)] {
            let client = ClientEntry { channel: 7, owner, privileged };
            assert_eq!(client.to_row().client(), Some(client));
            assert!(!client.to_row().writable() && !client.to_row().is_mapped());
        }
        assert_eq!(GrantEntry { channel: 7, paddr: 0, size: 0, rights: 3 | 12 << 8 }.client(), None);
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
