// SPDX-License-Identifier: BSD-2-Clause
//! The head of a specification.

use crate::codec::{Field, record};

/// The format's version; a reader takes no other.
pub const VERSION: u32 = 1;

/// The first eight bytes.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"mkimage\0");

record! {
    /// Place of a section.
    pub(crate) struct Section {
        /// First byte, counted from the start of the header.
        pub offset: u32,
        /// Records, or bytes for the pools.
        pub count: u32,
    }
}

record! {
    /// The header.
    pub(crate) struct Header {
        pub magic: u64,
        pub version: u32,
        pub total: u32,
        pub monitor_endpoint: u32,
        pub strings: Section,
        pub data: Section,
        pub objects: Section,
        pub fills: Section,
        pub tables: Section,
        pub maps: Section,
        pub caps: Section,
        pub irqs: Section,
        pub io_ranges: Section,
        pub io_maps: Section,
        pub threads: Section,
    }
}

/// Bytes of the header.
pub(crate) const HEADER_SIZE: usize = Header::SIZE;
