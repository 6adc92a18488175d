// SPDX-License-Identifier: BSD-2-Clause
//! Address spaces and buffer objects.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Creates an address space (i915: `struct drm_i915_gem_vm_control`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VmCreate {
    /// 0; no extension is defined (`EINVAL`).
    pub extensions: u64,
    /// 0.
    pub flags: u32,
    /// Ignored; the handle is in the reply.
    pub vm_id: u32,
}

/// Drops a client's handle of an address space; contexts that use it keep it alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VmDestroy {
    /// 0.
    pub extensions: u64,
    /// 0.
    pub flags: u32,
    /// The handle.
    pub vm_id: u32,
}

bitflags! {
    /// Flags of [`UserptrCreate`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct UserptrFlags: u32 {
        /// The GPU may only read; `ENODEV` where the part cannot enforce it.
        const READ_ONLY = 1 << 0;
        /// Have the pages before there is a handle: `EAGAIN` while their owner is being asked, `EFAULT` when it
        /// has none. The same creation again tells.
        const PROBE = 1 << 1;
        /// The GPU accesses it past all caches (i915: `I915_CACHING_NONE`): the client flushes what it has written
        /// itself. Without this the GPU's accesses are coherent with the processor's caches, on every part.
        const UNCACHED = 1 << 16;
        /// The GPU reads through its caches and writes through them to memory (i915: `I915_CACHING_DISPLAY`); as
        /// `UNCACHED` where the part has no such attribute. Not together with `UNCACHED`.
        const WRITE_THROUGH = 1 << 17;
        /// No invalidation: for privileged clients.
        const UNSYNCHRONIZED = 1 << 31;
    }
}

/// Makes an object out of the client's own pages (i915: `struct drm_i915_gem_userptr`).
///
/// The range is one of the client's address space; its pages are acquired at first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct UserptrCreate {
    /// First byte, page aligned.
    pub user_ptr: u64,
    /// Bytes, a multiple of the page size, not 0.
    pub user_size: u64,
    /// [`UserptrFlags`].
    pub flags: u32,
    /// Ignored; the handle is in the reply.
    pub handle: u32,
}

/// Drops a client's handle of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GemClose {
    /// The object.
    pub handle: u32,
    /// 0.
    pub pad: u32,
}

/// Lets another client import an object. The creator's owner can still take its pages back, whoever uses it.
///
/// An unsynchronised object becomes an ordinary one by it: `EINVAL` where that overlaps another object, `EAGAIN`
/// where the other is only waiting for outstanding page requests to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GemExport {
    /// The object.
    pub handle: u32,
    /// The other client's channel, as the driver numbers it.
    pub peer: u32,
}

/// Makes a handle of an object that another client exported to this one. A client that has a handle of it
/// already gets that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GemImport {
    /// What the export returned.
    pub name: u64,
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn memory_structures_have_i915s_layout() {
        assert_eq!(size_of::<VmCreate>(), 16);
        assert_eq!(offset_of!(VmCreate, vm_id), 12);
        assert_eq!(size_of::<VmDestroy>(), 16);
        assert_eq!(size_of::<UserptrCreate>(), 24);
        assert_eq!(offset_of!(UserptrCreate, flags), 16);
        assert_eq!(size_of::<GemClose>(), 8);
        assert_eq!(size_of::<GemExport>(), 8);
        assert_eq!(size_of::<GemImport>(), 8);
        // i915's READ_ONLY, PROBE and UNSYNCHRONIZED, and the two of this interface where i915 has none.
        assert_eq!(UserptrFlags::all().bits(), 0x8003_0003);
    }
}
