// SPDX-License-Identifier: BSD-2-Clause
//! The binary system specification: what the image tool has decided, in the form in which the
//! initialiser carries it out.
//!
//! The image tool decides everything that can be decided before boot: which kernel objects exist,
//! which capability stands in which slot, which page is mapped where, which bytes a frame holds and
//! which physical pages a memory region occupies. The initialiser is left with the mechanical part:
//! it turns untyped memory into those objects and reports what it could not get.
//!
//! A specification is one block of bytes:
//!
//! ```text
//!   header     magic, version, total length, monitor endpoint,
//!              one {offset, count} per section
//!   sections   tables of records of fixed size, a string pool, a pool of frame contents
//! ```
//!
//! All integers are little-endian and unaligned. Records name each other by index: an *object index*
//! counts entries of the object table, a *capability index* counts capabilities, which is not the
//! same because one entry of frames stands for many. Capability index `i` lives in the i-th empty slot
//! of the initialiser's root CNode.
//!
//! [`Spec::parse`] checks all bounds, all enumerations and all cross references once, so that a reader
//! that holds a [`Spec`] meets no surprise later; it never panics, whatever the bytes are.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "write")]
extern crate alloc;

mod check;
mod codec;
mod header;
pub mod place;
mod reader;
mod records;
#[cfg(feature = "write")]
mod writer;

pub use header::VERSION;
pub use reader::{Records, Spec, SpecError, Table};
pub use records::{
    CapEntry, CapTransform, Fill, IoMap, IoRange, IrqBinding, IrqTrigger, Location, Map, Name, NamedObject,
    Object, PagingLevel, PagingTable, Polarity, Rights, Thread,
};
#[cfg(feature = "write")]
pub use writer::{Builder, Overflow};

/// log2 of the bytes in a small page.
pub const SMALL_PAGE_BITS: u8 = 12;
/// log2 of the bytes in a large page.
pub const LARGE_PAGE_BITS: u8 = 21;
