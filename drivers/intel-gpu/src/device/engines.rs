// SPDX-License-Identifier: BSD-2-Clause
//! Engine classes, instances and sets of them.

use core::fmt;

use super::Generation;

/// Class of an engine. The discriminant is the hardware's number in context descriptors and interrupt
/// identities (PRM: Context Descriptor Format, engine class).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum EngineClass {
    /// 3D and GPGPU, RCS.
    Render = 0,
    /// Video decode and encode, VCS.
    Video = 1,
    /// Video enhancement, VECS.
    VideoEnhance = 2,
    /// Blitter, BCS.
    Copy = 3,
}

impl EngineClass {
    /// The class of a hardware number.
    #[must_use]
    pub const fn from_hardware(value: u32) -> Option<Self> {
        match value {
            0 => Some(Self::Render),
            1 => Some(Self::Video),
            2 => Some(Self::VideoEnhance),
            3 => Some(Self::Copy),
            _ => None,
        }
    }

    /// The hardware's number.
    #[must_use]
    pub const fn hardware(self) -> u32 {
        // CAST: a fieldless enum's discriminant.
        self as u32
    }

    /// i915's uAPI number: render 0, copy 1, video 2, video enhance 3.
    #[must_use]
    pub const fn uapi(self) -> u16 {
        match self {
            Self::Render => 0,
            Self::Copy => 1,
            Self::Video => 2,
            Self::VideoEnhance => 3,
        }
    }
}

/// A physical engine: class and the hardware's instance number (a part may have VCS0 and VCS2 only).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineId {
    /// Class.
    pub class: EngineClass,
    /// Physical instance.
    pub instance: u8,
}

impl EngineId {
    /// Render engine.
    pub const RCS0: Self = Self { class: EngineClass::Render, instance: 0 };
    /// Copy engine.
    pub const BCS0: Self = Self { class: EngineClass::Copy, instance: 0 };
    /// First video engine.
    pub const VCS0: Self = Self { class: EngineClass::Video, instance: 0 };
    /// Second video engine of Gen8/9 GT3.
    pub const VCS1: Self = Self { class: EngineClass::Video, instance: 1 };
    /// Second video engine of Gen11/12.
    pub const VCS2: Self = Self { class: EngineClass::Video, instance: 2 };
    /// Video enhancement engine.
    pub const VECS0: Self = Self { class: EngineClass::VideoEnhance, instance: 0 };

    /// Every engine that some part of this driver has.
    pub const ALL: [Self; 6] = [Self::RCS0, Self::BCS0, Self::VCS0, Self::VCS1, Self::VCS2, Self::VECS0];

    /// Name as i915 prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match (self.class, self.instance) {
            (EngineClass::Render, _) => "rcs0",
            (EngineClass::Copy, _) => "bcs0",
            (EngineClass::Video, 0) => "vcs0",
            (EngineClass::Video, 1) => "vcs1",
            (EngineClass::Video, _) => "vcs2",
            (EngineClass::VideoEnhance, _) => "vecs0",
        }
    }

    /// Base of the engine's registers in BAR 0 (PRM: vol 2c, ring registers; i915: i915_reg.h bases).
    #[must_use]
    pub const fn mmio_base(self, generation: Generation) -> u32 {
        let media_at_1c0000 = generation.is_gen11_or_12();
        match (self.class, self.instance) {
            (EngineClass::Render, _) => 0x2000,
            (EngineClass::Copy, _) => 0x22000,
            (EngineClass::Video, 0) if media_at_1c0000 => 0x1c_0000,
            (EngineClass::Video, 0) => 0x12000,
            (EngineClass::Video, 1) if media_at_1c0000 => 0x1c_4000,
            (EngineClass::Video, 1) => 0x1c000,
            (EngineClass::Video, _) => 0x1d_0000,
            (EngineClass::VideoEnhance, _) if media_at_1c0000 => 0x1c_8000,
            (EngineClass::VideoEnhance, _) => 0x1a000,
        }
    }
}

impl fmt::Debug for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of physical engines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EngineSet(u8);

impl EngineSet {
    /// No engine.
    pub const EMPTY: Self = Self(0);

    /// A set of the given engines.
    #[must_use]
    pub const fn of(engines: &[EngineId]) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < engines.len() {
            set |= Self::bit(engines[at]);
            at += 1;
        }
        Self(set)
    }

    const fn bit(engine: EngineId) -> u8 {
        match (engine.class, engine.instance) {
            (EngineClass::Render, _) => 1,
            (EngineClass::Copy, _) => 2,
            (EngineClass::Video, 0) => 4,
            (EngineClass::Video, 1) => 8,
            (EngineClass::Video, _) => 16,
            (EngineClass::VideoEnhance, _) => 32,
        }
    }

    /// Whether `engine` is in the set.
    #[must_use]
    pub const fn contains(self, engine: EngineId) -> bool {
        self.0 & Self::bit(engine) != 0
    }

    /// Takes `engine` out.
    pub const fn remove(&mut self, engine: EngineId) {
        self.0 &= !Self::bit(engine);
    }

    /// The members: render, copy, video, video enhance.
    pub fn iter(self) -> impl Iterator<Item = EngineId> + Clone {
        EngineId::ALL.into_iter().filter(move |engine| self.contains(*engine))
    }
}
