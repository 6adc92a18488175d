// SPDX-License-Identifier: BSD-2-Clause
//! Submission and completion.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Most objects that one submission can name.
pub const MAX_OBJECTS: usize = 64;

/// Timelines that a client can have at a time: the length of its page of completed points.
pub const TIMELINES_PER_CLIENT: usize = 512;

bitflags! {
    /// Flags of [`Submit`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct SubmitFlags: u32 {
        /// The first object is the batch; otherwise the last is.
        const BATCH_FIRST = 1 << 0;
    }
}

bitflags! {
    /// Flags of [`SubmitObject`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ObjectFlags: u32 {
        /// The GPU writes the object.
        const WRITE = 1 << 0;
        /// `address` is where the object must be. Otherwise it is a hint: an object that is bound
        /// stays where it is, another one goes there if that is free, else anywhere, and the driver
        /// writes the address that it has into the entry.
        const PINNED = 1 << 1;
        /// Without [`Self::PINNED`]: the driver may choose an address beyond 4 GiB.
        const SUPPORTS_48B_ADDRESS = 1 << 2;
    }
}

/// Runs a batch (i915: `struct drm_i915_gem_execbuffer2`, without what only relocation needs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Submit {
    /// The context.
    pub context: u32,
    /// Slot of the context's map of engines. Of one without a map: 0 or 1 render, 2 video, 3 copy, 4 video enhance
    /// (`I915_EXEC_RING_MASK`); video with [`Submit::FIRST_VIDEO`], [`Submit::SECOND_VIDEO`], or neither for the first.
    pub engine: u32,
    /// Offset of an array of [`SubmitObject`].
    pub objects: u64,
    /// Its length, 1..=[`MAX_OBJECTS`].
    pub object_count: u32,
    /// First byte of the batch in its object, a multiple of 8.
    pub batch_start: u32,
    /// Bytes, a multiple of 8; 0: to the end of the object.
    pub batch_len: u32,
    /// [`SubmitFlags`].
    pub flags: u32,
    /// Offset of an array of [`Fence`] that must be reached before the batch runs.
    pub fences: u64,
    /// Its length.
    pub fence_count: u32,
    /// 0.
    pub rsvd: u32,
}

impl Submit {
    /// With the video engine of a context without a map: the first one (`I915_EXEC_BSD_RING1`).
    pub const FIRST_VIDEO: u32 = 1 << 13;
    /// With the video engine of a context without a map: the second one (`I915_EXEC_BSD_RING2`).
    pub const SECOND_VIDEO: u32 = 2 << 13;
}

/// An object that a batch uses, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SubmitObject {
    /// The object.
    pub handle: u32,
    /// [`ObjectFlags`].
    pub flags: u32,
    /// GPU virtual address, canonical, page aligned; written by the driver if it chose another one.
    pub address: u64,
}

/// A point of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Fence {
    /// Index in [`CompletedPoints`].
    pub timeline: u32,
    /// 0, or [`Fence::START`].
    pub flags: u32,
    /// The point.
    pub point: u64,
}

impl Fence {
    /// The batch waits until what the fence stands for is given to an engine, not until it is complete; which engine may
    /// then execute it is up to the bonds of its slot (i915: `I915_EXEC_FENCE_SUBMIT`). One fence of a submission.
    pub const START: u32 = 1 << 0;
}

/// The page that tells a client how far each of its timelines has come: quadword `n` is the last
/// completed point of timeline `n`. Points only grow. The driver writes, the client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CompletedPoints {
    /// Last completed points.
    pub points: [u64; TIMELINES_PER_CLIENT],
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn submission_structures_have_a_fixed_layout() {
        assert_eq!(size_of::<Submit>(), 48);
        assert_eq!(offset_of!(Submit, objects), 8);
        assert_eq!(offset_of!(Submit, fences), 32);
        assert_eq!(size_of::<SubmitObject>(), 16);
        assert_eq!(size_of::<Fence>(), 16);
        assert_eq!(size_of::<CompletedPoints>(), 4096);
    }
}
