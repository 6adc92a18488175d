// SPDX-License-Identifier: BSD-2-Clause
//! Context creation with its chain of extensions, destruction, parameters.
//!
//! Layouts: i915 `include/uapi/drm/i915_drm.h`; clone: *drm/i915: Allow userspace to clone contexts
//! on creation*.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Longest chain of extensions that is followed (i915: `i915_user_extensions.c`, 512); a longer or
/// looping one is `E2BIG`.
pub const MAX_EXTENSIONS: usize = 512;

/// Creates a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ContextCreate {
    /// Ignored; the handle is in the reply.
    pub ctx_id: u32,
    /// Bit 0: `extensions` is used; bit 1: one timeline for all engines; any other: `EINVAL`.
    pub flags: u32,
    /// Offset of the first [`ExtensionHeader`], or 0.
    pub extensions: u64,
}

impl ContextCreate {
    /// `extensions` holds a chain.
    pub const USE_EXTENSIONS: u32 = 1 << 0;
    /// All engines of the context share one timeline.
    pub const SINGLE_TIMELINE: u32 = 1 << 1;
}

/// Destroys a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ContextDestroy {
    /// The context; the default context 0 cannot be destroyed (`ENOENT`).
    pub ctx_id: u32,
    /// 0.
    pub pad: u32,
}

/// Head of every extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExtensionHeader {
    /// Offset of the next extension, or 0.
    pub next: u64,
    /// Which extension: a number of [`Extension`].
    pub name: u32,
    /// 0.
    pub flags: u32,
    /// 0.
    pub rsvd: [u32; 4],
}

/// The extensions of context creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Extension {
    /// [`CreateSetParam`].
    SetParam = 0,
    /// [`CreateClone`].
    Clone = 1,
}

/// One parameter of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ContextParam {
    /// The context; 0 inside an extension.
    pub ctx_id: u32,
    /// Bytes that `value` points to, for parameters that are structures.
    pub size: u32,
    /// Number of the parameter.
    pub param: u64,
    /// Its value, or the offset of a structure.
    pub value: u64,
}

impl ContextParam {
    /// Address-space size in bytes, read only.
    pub const GTT_SIZE: u64 = 3;
    /// Scheduling priority, −1023..=1023.
    pub const PRIORITY: u64 = 6;
    /// Handle of the address space.
    pub const VM: u64 = 9;
}

/// Extension: set a parameter of the context that is being created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CreateSetParam {
    /// Name [`Extension::SetParam`].
    pub base: ExtensionHeader,
    /// The parameter; its `ctx_id` is 0.
    pub param: ContextParam,
}

/// Extension: take parts of another context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CreateClone {
    /// Name [`Extension::Clone`].
    pub base: ExtensionHeader,
    /// The source.
    pub clone_id: u32,
    /// Which parts: [`CloneFlags`].
    pub flags: u32,
    /// 0.
    pub rsvd: u64,
}

bitflags! {
    /// What a clone takes from its source.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct CloneFlags: u32 {
        /// The map of engines, each with a fresh logical state.
        const ENGINES = 1 << 0;
        /// The flags a user can set (recoverable, bannable, ...).
        const FLAGS = 1 << 1;
        /// Scheduling attributes.
        const SCHEDATTR = 1 << 2;
        /// Slice and subslice configuration.
        const SSEU = 1 << 3;
        /// The timeline, shared.
        const TIMELINE = 1 << 4;
        /// The address space, shared.
        const VM = 1 << 5;
    }
}

/// Everything that a clone can take. The wire refuses bits it does not know, so "everything" is this
/// constant and not −1.
pub const CLONE_ALL: CloneFlags = CloneFlags::all();

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn context_structures_have_i915s_layout() {
        assert_eq!(size_of::<ContextCreate>(), 16);
        assert_eq!(offset_of!(ContextCreate, extensions), 8);
        assert_eq!(size_of::<ContextDestroy>(), 8);
        assert_eq!(size_of::<ExtensionHeader>(), 32);
        assert_eq!(offset_of!(ExtensionHeader, rsvd), 16);
        assert_eq!(size_of::<ContextParam>(), 24);
        assert_eq!(offset_of!(ContextParam, param), 8);
        assert_eq!(size_of::<CreateSetParam>(), 56);
        assert_eq!(size_of::<CreateClone>(), 48);
        assert_eq!(offset_of!(CreateClone, clone_id), 32);
        assert_eq!(offset_of!(CreateClone, rsvd), 40);
    }

    #[test]
    fn clone_flags_are_the_six_bits_of_the_interface() {
        assert_eq!(CLONE_ALL.bits(), 0x3f);
        assert_eq!(CloneFlags::VM.bits(), 0x20);
    }
}
