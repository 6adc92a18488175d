// SPDX-License-Identifier: BSD-2-Clause
//! How a register is declared: a type per register with its PRM name, offset and typed fields. A field
//! of one register cannot be applied to another, an engine's register cannot be accessed without an
//! engine, and only a masked register has masked writes.

use core::marker::PhantomData;

/// A 32-bit register.
pub(crate) trait Register: Copy {
    /// Name in the PRM.
    #[cfg_attr(not(test), expect(dead_code, reason = "for test output"))]
    const NAME: &'static str;
    /// Offset in BAR 0, or from the engine's base.
    const OFFSET: u32;
    fn from_raw(raw: u32) -> Self;
    fn raw(self) -> u32;
}

/// A register that exists once.
pub(crate) trait Global: Register {}
/// A register that exists once per engine.
pub(crate) trait PerEngine: Register {}
/// Bits 31:16 are write enables of bits 15:0.
pub(crate) trait Masked: Register {}
/// A register of which `COUNT` follow each other at `STRIDE`.
pub(crate) trait Array: Register {
    const STRIDE: u32;
    const COUNT: u32;
}

/// Bits `hi..=lo` of register `R`.
pub(crate) struct Field<R> {
    pub(crate) hi: u32,
    pub(crate) lo: u32,
    of: PhantomData<fn() -> R>,
}

impl<R> Clone for Field<R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R> Copy for Field<R> {}

impl<R> Field<R> {
    pub(crate) const fn new(hi: u32, lo: u32) -> Self {
        Self { hi, lo, of: PhantomData }
    }

    /// The field's bits in place.
    pub(crate) const fn mask(self) -> u32 {
        (u32::MAX >> (31 - self.hi)) & (u32::MAX << self.lo)
    }

    /// `value` in place; bits that do not fit are cut off.
    pub(crate) const fn put(self, value: u32) -> u32 {
        value << self.lo & self.mask()
    }

    /// The field's value in `raw`.
    pub(crate) const fn get(self, raw: u32) -> u32 {
        (raw & self.mask()) >> self.lo
    }
}

/// Declares registers:
///
/// ```text
/// registers! {
///     /// What it is for.
///     engine masked MiMode "MI_MODE" @ 0x09c { STOP_RING: 8:8, MODE_IDLE: 9:9 }
///     global GfxMasterInterrupt "GFX_MSTR_IRQ" @ 0x190010 { ENABLE: 31:31 }
///     global array Fence "FENCE" @ 0x100000 + 8 * 32 { }
/// }
/// ```
macro_rules! registers {
    () => {};
    ($(#[$doc:meta])* global array $name:ident $prm:literal @ $offset:literal + $stride:literal * $count:literal
        { $($field:ident : $hi:literal : $lo:literal),* $(,)? } $($rest:tt)*) => {
        registers!(@declare [$(#[$doc])*] $name $prm $offset { $($field : $hi : $lo),* });
        impl $crate::mmio::register::Array for $name {
            const STRIDE: u32 = $stride;
            const COUNT: u32 = $count;
        }
        registers!($($rest)*);
    };
    ($(#[$doc:meta])* $kind:ident masked $name:ident $prm:literal @ $offset:literal
        { $($field:ident : $hi:literal : $lo:literal),* $(,)? } $($rest:tt)*) => {
        registers!(@declare [$(#[$doc])*] $name $prm $offset { $($field : $hi : $lo),* });
        registers!(@kind $kind $name);
        impl $crate::mmio::register::Masked for $name {}
        registers!($($rest)*);
    };
    ($(#[$doc:meta])* $kind:ident $name:ident $prm:literal @ $offset:literal
        { $($field:ident : $hi:literal : $lo:literal),* $(,)? } $($rest:tt)*) => {
        registers!(@declare [$(#[$doc])*] $name $prm $offset { $($field : $hi : $lo),* });
        registers!(@kind $kind $name);
        registers!($($rest)*);
    };
    (@kind global $name:ident) => { impl $crate::mmio::register::Global for $name {} };
    (@kind engine $name:ident) => { impl $crate::mmio::register::PerEngine for $name {} };
    (@declare [$(#[$doc:meta])*] $name:ident $prm:literal $offset:literal
        { $($field:ident : $hi:literal : $lo:literal),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default)]
        pub(crate) struct $name(pub(crate) u32);

        #[allow(dead_code, reason = "a register is declared whole, whichever fields are used")]
        impl $name {
            $(pub(crate) const $field: $crate::mmio::register::Field<Self> =
                $crate::mmio::register::Field::new($hi, $lo);)*

            /// Value of a field.
            pub(crate) const fn get(self, field: $crate::mmio::register::Field<Self>) -> u32 {
                field.get(self.0)
            }

            /// Whether any bit of a field is set.
            pub(crate) const fn is_set(self, field: $crate::mmio::register::Field<Self>) -> bool {
                self.0 & field.mask() != 0
            }

            /// This value with a field replaced.
            pub(crate) const fn with(self, field: $crate::mmio::register::Field<Self>, value: u32) -> Self {
                Self(self.0 & !field.mask() | field.put(value))
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!($prm, "({:#010x})"), self.0)
            }
        }

        impl $crate::mmio::register::Register for $name {
            const NAME: &'static str = $prm;
            const OFFSET: u32 = $offset;
            fn from_raw(raw: u32) -> Self { Self(raw) }
            fn raw(self) -> u32 { self.0 }
        }
    };
}
pub(crate) use registers;

#[cfg(test)]
mod tests {
    use super::*;

    registers! {
        /// A register of the test.
        global masked Sample "SAMPLE" @ 0x1234 { LOW: 3:0, HIGH: 31:28, BIT: 7:7 }
    }

    #[test]
    fn a_field_reads_and_replaces_exactly_its_bits() {
        let value = Sample(0xf000_008a);
        assert_eq!(value.get(Sample::HIGH), 0xf);
        assert_eq!(value.get(Sample::LOW), 0xa);
        assert!(value.is_set(Sample::BIT));
        assert_eq!(value.with(Sample::HIGH, 0x12).0, 0x2000_008a);
        assert_eq!(Sample::HIGH.mask(), 0xf000_0000);
        assert_eq!((Sample::NAME, Sample::OFFSET), ("SAMPLE", 0x1234));
    }
}
