// SPDX-License-Identifier: BSD-2-Clause
//! Capabilities as values: sending and receiving them, and moving them about in the domain's own space.
//!
//! A domain's space has two parts. The *system CNode* holds what channels and the like are made of. The
//! 63 *slots* of the root CNode are the `<cspace>` entries of system.xml: slot `N` holds what the entry
//! says. The address of the capability in slot `N` is [`slot(N)`](slot), for all kinds but one.
//!
//! The exception is CNodes (`cap_cnode`, `cap_frame_range`), because the kernel never stops at one while
//! bits of an address are left: an address that leads to a CNode goes on into it. This is what makes the
//! *contents* of the CNode in slot `N` addressable, by [`content(N, ..)`](content). The CNode itself has a
//! second capability, where addresses end: [`cnode(N)`](cnode). That one is what to invoke, send, or
//! receive into. `cap_cspace_root` gives only this second one, to the root CNode itself.
//!
//! | what | name of it | address |
//! | --- | --- | --- |
//! | capability in slot N that is no CNode | `slot(N)` | N << 58 |
//! | capability i in the CNode of 2^r in slot N | `content(N, r, i)` | N << 58 \| i << (58 − r) |
//! | the CNode of slot N itself | `cnode(N)` | 512 + N |
//! | slot i of that CNode, empty or not, to operate on | `place(N, r, i)` | |
//! | slot N itself, empty or not, to operate on | `root_place(R, N)` | |
//!
//! (`R` is the slot of the `cap_cspace_root`.) The rest of the system CNode, [`FREE_SLOTS`], is the domain's to
//! use through the same capability: there any capability, a received CNode too, has its number as address.

use sel4::cap::Endpoint;
use sel4::{MAX_EXTRA_CAPS, WORD_BITS};
use sel4_microkit::{Channel, MessageInfo};

use crate::layout::{ROOT_RADIX, SYSTEM_DEPTH, slot as system_slot, system};
use crate::thread;

pub use sel4::cap::{CNode, Frame, IoSpace};
pub use sel4::{CPtr, CapRights, Error, Slot};

/// Slots of a `<cspace>` are numbered 1 to this.
pub const MAX_SLOT: usize = (1 << ROOT_RADIX) - 1;

const BELOW_ROOT: u8 = WORD_BITS - ROOT_RADIX;

#[track_caller]
const fn check(slot: usize) -> usize {
    assert!(slot >= 1 && slot <= MAX_SLOT, "a cspace slot is 1 to 63");
    slot
}

/// The part of an address that selects a slot of the root CNode.
#[track_caller]
const fn select(slot: usize) -> u64 {
    (check(slot) as u64) << BELOW_ROOT
}

/// The address of the capability in slot `slot`, which is no CNode.
///
/// # Panics
///
/// Like all functions here, when `slot` is not 1 to 63.
#[track_caller]
pub const fn slot(slot: usize) -> CPtr {
    CPtr::new(select(slot))
}

/// The address of capability `index` in the CNode of 2^`radix` slots that lies in slot `slot`. Whatever
/// is there must not itself be a CNode.
///
/// # Panics
///
/// When the CNode has no such index, or cannot be as large as that.
#[track_caller]
pub const fn content(slot: usize, radix: u8, index: usize) -> CPtr {
    assert!(radix <= BELOW_ROOT && (index as u64) >> radix == 0, "no such index in the CNode");
    CPtr::new(select(slot) | ((index as u64) << (BELOW_ROOT - radix)))
}

/// The CNode of slot `slot` itself: to invoke, send, or receive into.
#[track_caller]
pub const fn cnode(slot: usize) -> CNode {
    CNode::from_cptr(system(system_slot::CNODE_HANDLE + check(slot)))
}

/// Place `index` of the CNode of 2^`radix` slots in slot `slot`, to copy, move or receive to or from.
///
/// # Panics
///
/// When the CNode has no such index.
#[track_caller]
pub const fn place(slot: usize, radix: u8, index: usize) -> Slot {
    assert!(radix < WORD_BITS && (index as u64) >> radix == 0, "no such index in the CNode");
    Slot::new(cnode(slot), index as u64, radix)
}

/// Slot `slot` of the domain's root CNode as a place, through the `cap_cspace_root` of slot `root`. A CNode
/// received here has addressable contents at once.
#[track_caller]
pub const fn root_place(root: usize, slot: usize) -> Slot {
    Slot::new(cnode(root), check(slot) as u64, ROOT_RADIX)
}

/// Slots of the system CNode that nothing else uses.
pub const FREE_SLOTS: core::ops::Range<usize> = system_slot::FREE;

/// The address of the capability in free slot `number` of the system CNode.
///
/// # Panics
///
/// When the slot is not one of [`FREE_SLOTS`].
#[track_caller]
pub const fn free(number: usize) -> CPtr {
    assert!(number >= FREE_SLOTS.start && number < FREE_SLOTS.end, "not a free slot of the system CNode");
    system(number)
}

/// Free slot `number` of the system CNode as a place, through the `cap_cspace_root` of slot `root`.
///
/// # Panics
///
/// When the slot is not one of [`FREE_SLOTS`].
#[track_caller]
pub const fn free_place(root: usize, number: usize) -> Slot {
    Slot::new(cnode(root), free(number).bits(), SYSTEM_DEPTH)
}

/// Lets capabilities arrive: the next message that carries one puts it into `place`, which must be empty
/// then. The setting stays, so after a capability arrived the next needs the place emptied or another
/// place set.
pub fn set_receive_slot(place: Slot) {
    thread::ready();
    sel4::with_ipc_buffer_mut(|buffer| buffer.set_receive_slot(place));
}

/// Lets no capability arrive. A message that carries one arrives without it.
pub fn clear_receive_slot() {
    thread::ready();
    sel4::with_ipc_buffer_mut(|buffer| buffer.clear_receive_slot());
}

/// Calls the domain at the other end with the message in the message registers and these capabilities,
/// at most [`MAX_EXTRA_CAPS`]. On the embedded kernel one of them arrives: the first.
///
/// # Panics
///
/// When there are more, or when system.xml does not allow calls on this channel.
#[track_caller]
pub fn pp_call_with_caps(channel: Channel, msg_info: MessageInfo, caps: &[CPtr]) -> MessageInfo {
    assert!(caps.len() <= MAX_EXTRA_CAPS, "a message carries at most 3 capabilities");
    // Panics if the channel cannot be called.
    let _ = channel.endpoint();
    thread::ready();
    sel4::with_ipc_buffer_mut(|buffer| {
        for (word, cap) in buffer.caps_or_badges_mut().iter_mut().zip(caps) {
            *word = cap.bits();
        }
    });
    let endpoint = Endpoint::from_cptr(system(system_slot::ENDPOINT + channel.index()));
    let answer = endpoint.call(sel4::MessageInfo::new(msg_info.label(), 0, caps.len(), msg_info.count()));
    MessageInfo::new(answer.label(), answer.length())
}

/// What a received message brought beside its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    count: usize,
    unwrapped: usize,
}

impl Received {
    /// Reads it off the message.
    pub fn of(msg_info: &MessageInfo) -> Self {
        let inner = msg_info.inner();
        Self { count: inner.extra_caps(), unwrapped: inner.caps_unwrapped() }
    }

    /// How many were transferred, in either form.
    pub fn count(self) -> usize {
        self.count
    }

    /// Whether a capability lies in the receive slot now.
    pub fn in_slot(self) -> bool {
        (0..self.count).any(|i| !self.is_unwrapped(i))
    }

    /// Whether number `i` was a capability to the endpoint that the message came through, and so arrived
    /// as its badge only: proof that its sender had it.
    pub fn is_unwrapped(self, i: usize) -> bool {
        i < self.count && self.unwrapped & (1 << i) != 0
    }

    /// The badge of number `i`, if it was unwrapped. Reads the IPC buffer: ask before the next system
    /// call that sends or receives.
    pub fn badge(self, i: usize) -> Option<sel4::Badge> {
        thread::ready();
        let badge = || sel4::with_ipc_buffer(|buffer| buffer.caps_or_badges().get(i).copied());
        if self.is_unwrapped(i) { badge() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_select_the_root_slot_with_their_highest_bits() {
        assert_eq!(slot(1).bits(), 0x0400_0000_0000_0000);
        assert_eq!(slot(63).bits(), 0xfc00_0000_0000_0000);
        assert_eq!(content(1, 10, 3).bits(), (1 << 58) | (3 << 48));
        assert_eq!(content(2, 58, 5).bits(), (2 << 58) | 5);
        assert_eq!(cnode(7).cptr().bits(), 519);
    }

    #[test]
    fn places_are_counted_from_the_cnode_they_are_in() {
        let inside = place(7, 10, 1023);
        assert_eq!((inside.root().cptr().bits(), inside.index(), inside.depth()), (519, 1023, 10));
        let root = root_place(9, 5);
        assert_eq!((root.root().cptr().bits(), root.index(), root.depth()), (521, 5, 6));
        let free = free_place(9, 600);
        assert_eq!((free.root().cptr().bits(), free.index(), free.depth()), (521, 600, 64));
    }

    #[test]
    #[should_panic(expected = "a cspace slot is 1 to 63")]
    fn slot_0_is_not_a_cspace_slot() {
        let _ = slot(0);
    }

    #[test]
    #[should_panic(expected = "no such index")]
    fn an_index_beyond_the_cnode_is_refused() {
        let _ = content(1, 4, 16);
    }

    #[test]
    fn what_arrived_is_told_apart_by_the_mask() {
        let message = |unwrapped, count| {
            Received::of(&MessageInfo::from_inner(sel4::MessageInfo::new(0, unwrapped, count, 0)))
        };
        assert_eq!(message(0, 0).count(), 0);
        assert!(!message(0, 0).in_slot());
        assert!(message(0, 1).in_slot() && !message(0, 1).is_unwrapped(0));
        assert!(!message(1, 1).in_slot() && message(1, 1).is_unwrapped(0));
        let both = message(0b01, 2);
        assert!(both.in_slot() && both.is_unwrapped(0) && !both.is_unwrapped(1));
        assert!(!message(0b10, 1).is_unwrapped(1), "a mask bit beyond the count means nothing");
    }
}
