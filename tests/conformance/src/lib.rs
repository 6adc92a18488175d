// SPDX-License-Identifier: BSD-2-Clause
//! The driver's clients and everything around them, without seL4: a machine with the modelled GPU behind
//! an I/O memory management unit, a domain whose capabilities are plain values, and clients that speak
//! the wire or use the client library.
//!
//! ```text
//!   gpu-client ── Link ─┐
//!                       ├─► Rig ─► Driver::call ─► Gpu ─► Machine ─► gpu-model ─► Guarded memory
//!   raw wire ───────────┘     └──► Frames (the Domain): areas, points, capabilities ──┘
//! ```
//!
//! The memory that the GPU reaches is guarded: an access to a page that is neither the driver's nor lent
//! at that moment is a report of the model, so that a translation that outlives its page shows.

pub mod batch;
pub mod cost;
mod domain;
mod link;
mod machine;
mod owner;
mod rig;
pub mod wire;

pub use domain::{Capability, Domain, Frame, Iommu, RingMemory, SINGLE};
pub use link::{Link, Shared, client};
pub use machine::{BASE, DRIVER_PAGES, Machine};
pub use rig::{CLIENT_PAGES, Region, Rig, Settings, Snapshot, channel, client_memory};
