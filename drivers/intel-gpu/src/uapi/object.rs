// SPDX-License-Identifier: BSD-2-Clause
//! Objects: userptr, which are ranges of a client's address space whose pages the client lends, and those in the
//! driver's memory, whose pages are there from the start.
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
use super::interval::{Interval, NodeId};
use super::invalidate::Pages;
use super::lent::Chain;
use super::space::Binding;
use crate::handle::Id;
use crate::memory::{Cache, Object as Memory};

/// First byte after the user half of an x86-64 address space.
const USER_END: u64 = 1 << 47;

/// An object.
#[derive(Debug)]
pub(crate) struct Object {
    /// Who made it, and in whose address space the pages are.
    pub(crate) client: ClientId,
    /// Its memory, if that is the driver's.
    pub(crate) memory: Option<Memory>,
    /// The range in the address space; of an object in the driver's memory as many bytes, and nowhere.
    pub(crate) interval: Interval,
    /// Bytes.
    pub(crate) size: u64,
    /// Its place among the address space's ranges; `None` if it is not synchronised with its owner, or has none.
    pub(crate) range: Option<NodeId>,
    /// Where its pages are in their life.
    pub(crate) lending: Pages,
    /// Those that are here, from the start of the object.
    pub(crate) pages: Chain,
    /// A batch was submitted that says it writes them, since they were granted.
    pub(crate) dirty: bool,
    /// The GPU may only read.
    pub(crate) read_only: bool,
    /// How the GPU's accesses are cached, in every address space.
    pub(crate) cache: Cache,
    /// Chains of requests in flight that use it: requests that repeat a list share one (`run`).
    pub(crate) active: u32,
    /// Those of them that write it.
    pub(crate) writers: u32,
    /// Where it is bound: the first of a chain.
    pub(crate) bindings: Option<Id<Binding>>,
    /// Handles of clients. Without any it goes when it is idle.
    pub(crate) handles: u32,
    /// It is being created with a probe, and has no handle yet.
    pub(crate) probing: bool,
    /// It is in the queue of requests that the owner has not fetched.
    pub(crate) queued: bool,
    /// Clients that are to be woken when its pages are here or can be asked for again, or when the GPU is done with
    /// it, one bit each.
    pub(crate) waiters: u64,
    /// Clients that it was exported to, one bit each.
    pub(crate) exported_to: u64,
}

impl Object {
    /// An object that nobody uses and that has no page yet.
    pub(crate) const fn new(client: ClientId, interval: Interval, size: u64) -> Self {
        Self {
            client,
            memory: None,
            interval,
            size,
            range: None,
            lending: Pages::new(),
            pages: Chain::EMPTY,
            dirty: false,
            read_only: false,
            cache: Cache::Coherent,
            active: 0,
            writers: 0,
            bindings: None,
            handles: 0,
            probing: false,
            queued: false,
            waiters: 0,
            exported_to: 0,
        }
    }

    /// Number of pages of 4 KiB.
    pub(crate) const fn page_count(&self) -> u64 {
        self.size / PAGE_SIZE
    }

    /// First byte in the address space.
    pub(crate) const fn address(&self) -> u64 {
        self.interval.start()
    }

    /// Nobody can use it any more: it only waits for the GPU, or for its owner's answers.
    pub(crate) const fn is_dying(&self) -> bool {
        self.handles == 0 && !self.probing
    }
}

/// What a creation needs of the system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abilities {
    /// Bytes of a GPU address space.
    pub(crate) gpu_bytes: u64,
    /// The part enforces read-only entries.
    pub(crate) read_only: bool,
    /// The client may do without invalidation.
    pub(crate) privileged: bool,
    /// Somebody can invalidate the client's pages.
    pub(crate) owned: bool,
}

/// Checks the arguments of a creation, in the order in which i915 looked at them when the operation was new.
///
/// # Errors
/// `EINVAL` for unknown flags or two cache policies, a range that is empty or not page aligned; `E2BIG` for one that no GPU address
/// space can hold; `EFAULT` for one that wraps or leaves the user half of the address space; `ENODEV` for a
/// read-only one on a part that cannot enforce it, and for a synchronised one of a client whose pages nobody
/// can invalidate; `EPERM` for an unsynchronised one of a client that is not privileged.
pub(crate) fn check(create: &UserptrCreate, abilities: Abilities) -> Result<UserptrFlags, Errno> {
    let flags = UserptrFlags::from_bits(create.flags).ok_or(Errno::Inval)?;
    if flags.contains(UserptrFlags::UNCACHED | UserptrFlags::WRITE_THROUGH) {
        return Err(Errno::Inval);
    }
    let unaligned = (create.user_ptr | create.user_size) & (PAGE_SIZE - 1) != 0;
    if unaligned || create.user_size == 0 {
        return Err(Errno::Inval);
    }
    if create.user_size > abilities.gpu_bytes {
        return Err(Errno::TooBig);
    }
    let end = create.user_ptr.checked_add(create.user_size).ok_or(Errno::Fault)?;
    if end > USER_END {
        return Err(Errno::Fault);
    }
    if flags.contains(UserptrFlags::READ_ONLY) && !abilities.read_only {
        return Err(Errno::NoDev);
    }
    match flags.contains(UserptrFlags::UNSYNCHRONIZED) {
        true if !abilities.privileged => Err(Errno::Perm),
        false if !abilities.owned => Err(Errno::NoDev),
        _ => Ok(flags),
    }
}

/// The cache policy that a client has chosen.
pub(crate) const fn cache(flags: UserptrFlags) -> Cache {
    if flags.contains(UserptrFlags::UNCACHED) {
        Cache::Uncached
    } else if flags.contains(UserptrFlags::WRITE_THROUGH) {
        Cache::WriteThrough
    } else {
        Cache::Coherent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Abilities = Abilities { gpu_bytes: 1 << 48, read_only: true, privileged: true, owned: true };

    fn create(user_ptr: u64, user_size: u64, flags: u32) -> UserptrCreate {
        UserptrCreate { user_ptr, user_size, flags, handle: 0 }
    }

    fn answer(user_ptr: u64, user_size: u64, flags: u32) -> Result<(), Errno> {
        check(&create(user_ptr, user_size, flags), ALL).map(drop)
    }

    #[test]
    fn a_null_address_without_memory_is_accepted() {
        assert_eq!(answer(0, 0x1000, 0), Ok(()));
    }

    #[test]
    fn unknown_flags_are_einval() {
        assert_eq!(answer(0x1000, 0x1000, 4), Err(Errno::Inval));
        assert_eq!(answer(0x1000, 0x1000, 1 << 18), Err(Errno::Inval));
    }

    #[test]
    fn two_cache_policies_are_einval() {
        let both = UserptrFlags::UNCACHED | UserptrFlags::WRITE_THROUGH;
        assert_eq!(answer(0x1000, 0x1000, both.bits()), Err(Errno::Inval));
        assert_eq!(answer(0x1000, 0x1000, UserptrFlags::UNCACHED.bits()), Ok(()));
        assert_eq!(answer(0x1000, 0x1000, UserptrFlags::WRITE_THROUGH.bits()), Ok(()));
    }

    #[test]
    fn an_empty_or_unaligned_range_is_einval() {
        assert_eq!(answer(0x1000, 0, 0), Err(Errno::Inval));
        assert_eq!(answer(0x1001, 0x1000, 0), Err(Errno::Inval));
        assert_eq!(answer(0x1000, 0x1001, 0), Err(Errno::Inval));
    }

    #[test]
    fn a_range_larger_than_the_gpus_address_space_is_e2big() {
        let small = Abilities { gpu_bytes: 1 << 32, ..ALL };
        assert_eq!(check(&create(0x1000, 0x1_0000_1000, 0), small), Err(Errno::TooBig));
    }

    #[test]
    fn a_range_that_wraps_or_leaves_the_user_half_is_efault() {
        assert_eq!(answer(u64::MAX - 0xfff, 0x1000, 0), Err(Errno::Fault));
        assert_eq!(answer(USER_END, 0x1000, 0), Err(Errno::Fault));
        assert_eq!(answer(USER_END - 0x1000, 0x2000, 0), Err(Errno::Fault));
        assert_eq!(answer(USER_END - 0x1000, 0x1000, 0), Ok(()));
    }

    #[test]
    fn each_flag_needs_its_ability() {
        let read_only = create(0x1000, 0x1000, UserptrFlags::READ_ONLY.bits());
        assert_eq!(check(&read_only, ALL), Ok(UserptrFlags::READ_ONLY));
        assert_eq!(check(&read_only, Abilities { read_only: false, ..ALL }), Err(Errno::NoDev));
        let unsynchronised = create(0x1000, 0x1000, UserptrFlags::UNSYNCHRONIZED.bits());
        assert_eq!(check(&unsynchronised, Abilities { privileged: false, ..ALL }), Err(Errno::Perm));
        assert!(check(&unsynchronised, Abilities { owned: false, ..ALL }).is_ok());
        let ordinary = create(0x1000, 0x1000, 0);
        assert_eq!(check(&ordinary, Abilities { owned: false, ..ALL }), Err(Errno::NoDev));
        assert!(check(&ordinary, Abilities { privileged: false, ..ALL }).is_ok());
    }
}
