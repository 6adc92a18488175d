// SPDX-License-Identifier: BSD-2-Clause
//! Context descriptor: the 64 bits that name a context in a submission.
//!
//! Source: PRM vol 2c, context descriptor format; i915: intel_lrc.h.

use crate::commands::Generation;

/// A context descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor {
    raw: u64,
    generation: Generation,
}

/// SW context id that means "no context" in Gen12 status events.
pub const NO_CONTEXT: u32 = 0x7ff;

impl Descriptor {
    const VALID: u64 = 1 << 0;
    const FORCE_RESTORE: u64 = 1 << 2;

    /// Out of the two dwords of a port.
    #[must_use]
    pub fn new(generation: Generation, low: u32, high: u32) -> Self {
        Self { raw: u64::from(low) | u64::from(high) << 32, generation }
    }

    /// The 64 bits.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.raw
    }

    /// Low dword.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "CAST: the low half is wanted")]
    pub const fn low(self) -> u32 {
        self.raw as u32
    }

    /// High dword.
    #[must_use]
    pub const fn high(self) -> u32 {
        (self.raw >> 32) as u32
    }

    /// The element is used.
    #[must_use]
    pub const fn valid(self) -> bool {
        self.raw & Self::VALID != 0
    }

    /// The whole image is to be reloaded, even of a context that is loaded.
    #[must_use]
    pub const fn force_restore(self) -> bool {
        self.raw & Self::FORCE_RESTORE != 0
    }

    /// Addressing mode, bits 4:3.
    #[must_use]
    pub const fn addressing_mode(self) -> u32 {
        (self.low() >> 3) & 3
    }

    /// GGTT address of the image.
    #[must_use]
    pub const fn lrca(self) -> u32 {
        self.low() & 0xffff_f000
    }

    /// Context id: 21 bits before Gen11, the software context id after.
    #[must_use]
    pub fn context_id(self) -> u32 {
        if self.generation >= Generation::Gen11 {
            (self.high() >> 5) & 0x7ff
        } else {
            self.high() & 0x1f_ffff
        }
    }

    /// Software counter (Gen11 and later).
    #[must_use]
    pub fn counter(self) -> u32 {
        if self.generation >= Generation::Gen11 { (self.high() >> 23) & 0x3f } else { 0 }
    }

    /// Engine class and instance that the descriptor names (Gen11 and later).
    #[must_use]
    pub fn engine(self) -> Option<(u32, u32)> {
        (self.generation >= Generation::Gen11).then(|| (self.high() >> 29, (self.high() >> 16) & 0x3f))
    }

    /// Reserved bits that are set.
    #[must_use]
    pub fn reserved(self) -> u64 {
        // Bit 5 is L3/LLC coherency on Gen8. [10:9] is the priority on Gen12; Linux writes it for the render
        // engines of all generations, so older ones ignore it.
        let low: u64 = if self.generation == Generation::Gen8 { 0x0800 } else { 0x0820 };
        let high: u64 = if self.generation >= Generation::Gen11 { 0x0040_001f } else { 0x0060_0000 };
        self.raw & (low | high << 32)
    }

    /// Do both name the same context?
    #[must_use]
    pub fn same_context(self, other: Self) -> bool {
        self.lrca() == other.lrca() && self.context_id() == other.context_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gen12_fields_are_where_the_submissions_of_linux_have_them() {
        // Linux 6.1 on a Tiger Lake, VCS2: high 0x20020020, low 0xfffdf11d.
        let descriptor = Descriptor::new(Generation::Gen12, 0xfffd_f11d, 0x2002_0020);
        assert!(descriptor.valid() && descriptor.force_restore());
        assert_eq!(descriptor.lrca(), 0xfffd_f000);
        assert_eq!(descriptor.engine(), Some((1, 2)));
        assert_eq!(descriptor.context_id(), 1);
        assert_eq!(descriptor.addressing_mode(), 3);
        assert_eq!(descriptor.reserved(), 0);
    }

    #[test]
    fn gen9_ids_have_21_bits() {
        let descriptor = Descriptor::new(Generation::Gen9, 0x0010_0119, 0x001f_1234);
        assert_eq!(descriptor.context_id(), 0x1f_1234);
        assert_eq!(descriptor.engine(), None);
        assert_eq!(descriptor.reserved(), 0);
        assert_ne!(Descriptor::new(Generation::Gen9, 0x139, 0).reserved(), 0);
        assert_eq!(Descriptor::new(Generation::Gen8, 0x139, 0).reserved(), 0);
    }
}
