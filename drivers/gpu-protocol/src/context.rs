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
    /// Address-space size in bytes; get only.
    pub const GTT_SIZE: u64 = 3;
    /// No error state is captured when the context hangs: 0 or not.
    pub const NO_ERROR_CAPTURE: u64 = 4;
    /// Hangs can ban the context: 0 (`EPERM` unless the client is privileged) or not.
    pub const BANNABLE: u64 = 5;
    /// Scheduling priority, a signed number in −1023..=1023; above 0 only for a privileged client.
    pub const PRIORITY: u64 = 6;
    /// A structure: [`ContextSseu`].
    pub const SSEU: u64 = 7;
    /// The context goes on after a hang: 0 (its first hang bans it) or not.
    pub const RECOVERABLE: u64 = 8;
    /// Handle of the address space. Get makes a new handle.
    pub const VM: u64 = 9;
    /// A structure: [`EnginesHeader`] and the map's [`EngineClassInstance`]s. Size 0 sets the default map.
    pub const ENGINES: u64 = 10;
    /// Requests outlive the context's destruction: 0 (they are cancelled) or not.
    pub const PERSISTENCE: u64 = 11;
    /// This driver's own: microseconds that one request may run before its engine is reset and the context
    /// is guilty; 0: only the driver's own rules count. i915 has it for the administrator alone.
    pub const WATCHDOG: u64 = 1 << 32;
}

/// An engine as i915 names it: class (render 0, copy 1, video 2, video enhance 3) and instance within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EngineClassInstance {
    /// Class.
    pub class: u16,
    /// Present engines of the class, counted from 0.
    pub instance: u16,
}

impl EngineClassInstance {
    /// An empty slot of a map.
    pub const NONE: Self = Self { class: u16::MAX, instance: u16::MAX };
    /// What a map that is read back has as the instance of a load-balanced engine.
    pub const VIRTUAL: u16 = 0xfffe;

    /// An engine.
    #[must_use]
    pub const fn new(class: u16, instance: u16) -> Self {
        Self { class, instance }
    }
}

/// Most slots of a map of engines (i915: `I915_EXEC_RING_MASK` + 1).
pub const MAX_ENGINE_SLOTS: usize = 64;

/// Begins the structure of [`ContextParam::ENGINES`]; [`EngineClassInstance`]s follow, as many as the
/// parameter's size says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EnginesHeader {
    /// Offset of the first of a chain of [`LoadBalance`] and [`Bond`], or 0.
    pub extensions: u64,
}

/// Extension of a map of engines, name [`LoadBalance::NAME`]: an empty slot becomes an engine that is any
/// of its siblings. `num_siblings` [`EngineClassInstance`]s follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LoadBalance {
    /// Name 0.
    pub base: ExtensionHeader,
    /// The slot.
    pub engine_index: u16,
    /// Engines that follow.
    pub num_siblings: u16,
    /// 0.
    pub flags: u32,
    /// 0.
    pub mbz: u64,
}

impl LoadBalance {
    /// Its name.
    pub const NAME: u32 = 0;
}

/// Extension of a map of engines, name [`Bond::NAME`]: a request on the load-balanced slot that follows one on
/// `master` by a submit fence runs on one of the engines given here. `num_bonds` [`EngineClassInstance`]s
/// follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Bond {
    /// Name 1.
    pub base: ExtensionHeader,
    /// The engine of the other request.
    pub master: EngineClassInstance,
    /// The load-balanced slot.
    pub virtual_index: u16,
    /// Engines that follow.
    pub num_bonds: u16,
    /// 0.
    pub flags: u64,
    /// 0.
    pub mbz: [u64; 4],
}

impl Bond {
    /// Its name.
    pub const NAME: u32 = 1;
}

/// The structure of [`ContextParam::SSEU`]: how much of the part a context's engine powers. Settable on
/// Gen11 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ContextSseu {
    /// The engine, or with [`ContextSseu::ENGINE_INDEX`] the slot in `instance`.
    pub engine: EngineClassInstance,
    /// [`ContextSseu::ENGINE_INDEX`] exactly if the context has a map of its own.
    pub flags: u32,
    /// Bit s: slice s.
    pub slice_mask: u64,
    /// Bit n: subslice n of every slice.
    pub subslice_mask: u64,
    /// Fewest execution units of a subslice.
    pub min_eus_per_subslice: u16,
    /// Most execution units of a subslice.
    pub max_eus_per_subslice: u16,
    /// 0.
    pub rsvd: u32,
}

impl ContextSseu {
    /// `engine.instance` is a slot of the context's map.
    pub const ENGINE_INDEX: u32 = 1 << 0;
}

/// Asks how often a context was hit by resets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ResetStats {
    /// The context.
    pub ctx_id: u32,
    /// 0.
    pub flags: u32,
    /// Ignored; in the reply: resets of the GPU since the start, 0 unless the client is privileged.
    pub reset_count: u32,
    /// Ignored; in the reply: how often a batch of the context was found guilty of a hang.
    pub batch_active: u32,
    /// Ignored; in the reply: how often a batch of the context was lost to another one's hang and executed again.
    pub batch_pending: u32,
    /// 0.
    pub pad: u32,
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
        assert_eq!(size_of::<EngineClassInstance>(), 4);
        assert_eq!(size_of::<EnginesHeader>(), 8);
        assert_eq!(size_of::<LoadBalance>(), 48);
        assert_eq!(offset_of!(LoadBalance, mbz), 40);
        assert_eq!(size_of::<Bond>(), 80);
        assert_eq!(offset_of!(Bond, virtual_index), 36);
        assert_eq!(offset_of!(Bond, flags), 40);
        assert_eq!(size_of::<ContextSseu>(), 32);
        assert_eq!(offset_of!(ContextSseu, min_eus_per_subslice), 24);
        assert_eq!(size_of::<ResetStats>(), 24);
        assert_eq!(offset_of!(ResetStats, batch_active), 12);
    }

    #[test]
    fn clone_flags_are_the_six_bits_of_the_interface() {
        assert_eq!(CLONE_ALL.bits(), 0x3f);
        assert_eq!(CloneFlags::VM.bits(), 0x20);
    }
}
