// SPDX-License-Identifier: BSD-2-Clause
//! How single values and records look as bytes.
//!
//! A [`Field`] has a fixed size and is read from the front of a slice. Reading is strict: a value that
//! the writer would not have written (an unknown tag, a set bit in unused space) is refused.

#[cfg(feature = "write")]
use alloc::vec::Vec;

/// A value of fixed size in the specification.
pub(crate) trait Field: Sized {
    /// Bytes that the value takes.
    const SIZE: usize;

    /// Takes the value from the front of `bytes`; `None` when there are too few bytes or they are not
    /// a value of this type.
    fn get(bytes: &mut &[u8]) -> Option<Self>;

    /// Appends the value.
    #[cfg(feature = "write")]
    fn put(&self, out: &mut Vec<u8>);
}

macro_rules! integer_fields {
    ($($int:ty),*) => {$(
        impl Field for $int {
            const SIZE: usize = core::mem::size_of::<$int>();

            fn get(bytes: &mut &[u8]) -> Option<Self> {
                let (head, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(<$int>::from_le_bytes(*head))
            }

            #[cfg(feature = "write")]
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

integer_fields!(u8, u16, u32, u64);

impl Field for bool {
    const SIZE: usize = 1;

    fn get(bytes: &mut &[u8]) -> Option<Self> {
        match u8::get(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    #[cfg(feature = "write")]
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

/// Declares an enumeration that is one byte in the specification.
macro_rules! wire_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* $variant = $value,)+ }

        impl $crate::codec::Field for $name {
            const SIZE: usize = 1;

            fn get(bytes: &mut &[u8]) -> Option<Self> {
                match u8::get(bytes)? {
                    $($value => Some(Self::$variant),)+
                    _ => None,
                }
            }

            #[cfg(feature = "write")]
            fn put(&self, out: &mut alloc::vec::Vec<u8>) {
                out.push(match self { $(Self::$variant => $value,)+ });
            }
        }
    };
}

/// Declares a record: a structure whose fields stand one after the other.
macro_rules! record {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $ty:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis struct $name { $($(#[$fmeta])* pub $field: $ty,)+ }

        impl $crate::codec::Field for $name {
            const SIZE: usize = 0 $(+ <$ty as $crate::codec::Field>::SIZE)+;

            fn get(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: <$ty as $crate::codec::Field>::get(bytes)?,)+ })
            }

            #[cfg(feature = "write")]
            fn put(&self, out: &mut alloc::vec::Vec<u8>) {
                $($crate::codec::Field::put(&self.$field, out);)+
            }
        }
    };
}

pub(crate) use {record, wire_enum};
