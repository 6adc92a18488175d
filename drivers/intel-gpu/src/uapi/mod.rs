// SPDX-License-Identifier: BSD-2-Clause
//! What clients have of the GPU: handles, contexts, address spaces, objects made of their own pages, and
//! the dispatch of `gpu-protocol`'s operations.
//!
//! ```text
//!   Driver::call ─ driver.rs        one operation: read its structure once, check, do, reply
//!     ├─ context/                   contexts: values, clone, parameters, bans
//!     ├─ spaces.rs, space.rs        address spaces and their references
//!     ├─ objects.rs, object.rs      objects: create, close, export, import
//!     ├─ buffers.rs                 those in the driver's memory: create, read, write; busy, wait
//!     ├─ bindings.rs                objects in address spaces
//!     ├─ pages.rs, grants.rs        page requests and their answers
//!     ├─ lent.rs                    the pool of lent pages
//!     ├─ leaving.rs                 how pages leave: close, invalidation, deadline
//!     ├─ invalidate/                the state machine behind that, without I/O
//!     ├─ placing.rs                where the objects of a submission go
//!     ├─ error_state.rs             reading what was recorded of the first hang
//!     ├─ submit.rs, job.rs          submission, what a request keeps alive
//!     └─ completion.rs              completion, and who is told of it
//!   Driver::serve_rings ─ rings.rs  submissions out of shared memory, answers into it
//!     └─ run.rs                     requests that say what the one before said
//!   Driver::census ─ census.rs      counts of everything, for leak checks
//!   Driver::statistics              what the domain that watches the driver is shown
//!   Domain ─ domain.rs              what the domain around the core supplies
//! ```
//!
//! Below it, [`crate::Gpu`] knows nothing of clients. Every check comes before the first change, so that
//! an operation that fails has changed nothing.

mod area;
mod bindings;
mod buffers;
mod census;
mod client;
mod completion;
mod context;
mod departure;
mod domain;
mod driver;
mod error_state;
mod errors;
mod grants;
mod handles;
pub mod interval;
pub mod invalidate;
mod job;
mod leaving;
mod lent;
mod object;
mod objects;
mod pages;
mod placing;
mod rings;
mod run;
mod sizes;
mod space;
mod spaces;
mod statistics;
mod submit;

pub use census::{Census, ClientCensus};
pub use client::ClientLimits;
pub use domain::{ClientId, Domain, Frame, FrameError, Source};
pub use driver::{ClientConfig, Driver, DriverConfig};
pub use sizes::Sizes;
