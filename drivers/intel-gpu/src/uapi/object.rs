// SPDX-License-Identifier: BSD-2-Clause
//! Userptr objects: ranges of a client's address space whose pages the client lends.
//!
//! ```text
//!             first use                 last page granted
//!   Absent ───────────────► Requested ─────────────────────► Present
//!     ▲  ▲                     │   │                            │
//!     │  └── request refused ──┘   │ the object is closed       │ closed and idle
//!     │      (error kept for the   ▼                            ▼
//!     │       next use, once)   pages released            unbound, TLBs invalidated,
//!     └──────── error reported ─── Failed                 pages released
//! ```
//!
//! Creation looks at no page (*drm/i915: Introduce mapping of user pages into video memory*): they are
//! asked for at first use, which is answered with `EAGAIN` so that the event loop never waits.

use gpu_protocol::{Errno, PAGE_SIZE, UserptrCreate, UserptrFlags};

use super::domain::ClientId;
use super::interval::NodeId;
use super::lent::Chain;
use super::space::Binding;
use crate::handle::Id;

/// First byte after the user half of an x86-64 address space.
const USER_END: u64 = 1 << 47;

/// Where an object's pages are.
#[derive(Debug)]
pub(crate) enum Backing {
    /// Nobody has asked for them.
    Absent,
    /// The owner has been asked, or is about to be.
    Requested {
        /// Names the request; a grant repeats it.
        sequence: u64,
        /// The request has been handed to the owner.
        delivered: bool,
        /// What has been granted so far, from the start of the object.
        pages: Chain,
    },
    /// All are here, mapped for the device.
    Present {
        /// Pages in address order.
        pages: Chain,
    },
    /// The owner refused; the next use reports it.
    Failed(Errno),
}

/// A userptr object.
#[derive(Debug)]
pub(crate) struct Object {
    /// Whose pages.
    pub(crate) client: ClientId,
    /// First byte in the client's address space.
    pub(crate) address: u64,
    /// Bytes.
    pub(crate) size: u64,
    /// Its place among the client's ranges.
    pub(crate) range: Option<NodeId>,
    /// The pages.
    pub(crate) backing: Backing,
    /// Requests in flight that use it.
    pub(crate) active: u32,
    /// Where it is bound: the first of a chain.
    pub(crate) bindings: Option<Id<Binding>>,
    /// The client has closed it; it goes when it is idle.
    pub(crate) closed: bool,
}

impl Object {
    /// Number of pages.
    pub(crate) fn page_count(&self) -> u64 {
        self.size / PAGE_SIZE
    }
}

/// Checks the arguments of a creation, in the order in which i915 looked at them when the operation was new.
///
/// # Errors
/// `EINVAL` for unknown flags, a range that is empty or not page aligned; `EFAULT` for one that wraps or
/// leaves the user half of the address space; `E2BIG` for one that no GPU address space can hold;
/// `ENODEV` for what needs support that is not there.
pub(crate) fn check(create: &UserptrCreate, gpu_bytes: u64) -> Result<(), Errno> {
    let flags = UserptrFlags::from_bits(create.flags).ok_or(Errno::Inval)?;
    let unaligned = (create.user_ptr | create.user_size) & (PAGE_SIZE - 1) != 0;
    if unaligned || create.user_size == 0 {
        return Err(Errno::Inval);
    }
    if create.user_size > gpu_bytes {
        return Err(Errno::TooBig);
    }
    let end = create.user_ptr.checked_add(create.user_size).ok_or(Errno::Fault)?;
    if end > USER_END {
        return Err(Errno::Fault);
    }
    if !flags.is_empty() {
        // Read-only entries, probing and unsynchronised objects are refused, as a part or a system
        // without them refuses.
        return Err(Errno::NoDev);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(user_ptr: u64, user_size: u64, flags: u32) -> UserptrCreate {
        UserptrCreate { user_ptr, user_size, flags, handle: 0 }
    }

    #[test]
    fn a_null_address_without_memory_is_accepted() {
        assert_eq!(check(&create(0, 0x1000, 0), 1 << 48), Ok(()));
    }

    #[test]
    fn unknown_flags_are_einval() {
        assert_eq!(check(&create(0x1000, 0x1000, 4), 1 << 48), Err(Errno::Inval));
    }

    #[test]
    fn an_empty_or_unaligned_range_is_einval() {
        assert_eq!(check(&create(0x1000, 0, 0), 1 << 48), Err(Errno::Inval));
        assert_eq!(check(&create(0x1001, 0x1000, 0), 1 << 48), Err(Errno::Inval));
        assert_eq!(check(&create(0x1000, 0x1001, 0), 1 << 48), Err(Errno::Inval));
    }

    #[test]
    fn a_range_larger_than_the_gpus_address_space_is_e2big() {
        assert_eq!(check(&create(0x1000, 0x1_0000_1000, 0), 1 << 32), Err(Errno::TooBig));
    }

    #[test]
    fn a_range_that_wraps_or_leaves_the_user_half_is_efault() {
        assert_eq!(check(&create(u64::MAX - 0xfff, 0x1000, 0), 1 << 48), Err(Errno::Fault));
        assert_eq!(check(&create(USER_END, 0x1000, 0), 1 << 48), Err(Errno::Fault));
        assert_eq!(check(&create(USER_END - 0x1000, 0x2000, 0), 1 << 48), Err(Errno::Fault));
        assert_eq!(check(&create(USER_END - 0x1000, 0x1000, 0), 1 << 48), Ok(()));
    }

    #[test]
    fn what_needs_support_that_is_not_there_is_enodev() {
        for flag in [UserptrFlags::READ_ONLY, UserptrFlags::PROBE, UserptrFlags::UNSYNCHRONIZED] {
            assert_eq!(check(&create(0x1000, 0x1000, flag.bits()), 1 << 48), Err(Errno::NoDev));
        }
    }
}
