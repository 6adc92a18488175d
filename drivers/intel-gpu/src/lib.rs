// SPDX-License-Identifier: BSD-2-Clause
//! Core of the Intel GPU driver: GGTT, PPGTT, engines, contexts, submission; knows nothing of seL4.
//!
//! # Layers
//!
//! Generic over the machine ([`platform`]): register access, DMA memory, a clock. Below the uAPI there is
//! one type, [`Gpu`], with the operations listed here; everything that a client can be wrong about in
//! i915's terms (handles, flags, errno) is above it.
//!
//! | subject | operations of [`Gpu`] |
//! | --- | --- |
//! | start | [`init`](Gpu::init) brings the part up and returns why not; sizes of all pools are in [`Config`] |
//! | loop | [`interrupt`](Gpu::interrupt) on the MSI; [`tick`](Gpu::tick) while it answers `true`; then [`take_completion`](Gpu::take_completion) until `None` |
//! | accounts | [`account_create`](Gpu::account_create), [`account_destroy`](Gpu::account_destroy), [`account_usage`](Gpu::account_usage): who pays for page tables, contexts, objects |
//! | address spaces | [`vm_create`](Gpu::vm_create), [`vm_destroy`](Gpu::vm_destroy), [`vm_reserve`](Gpu::vm_reserve), [`vm_unreserve`](Gpu::vm_unreserve), [`vm_overlap`](Gpu::vm_overlap) |
//! | mappings | [`bind`](Gpu::bind), [`bind_object`](Gpu::bind_object), [`unbind`](Gpu::unbind), [`release`](Gpu::release), [`try_release`](Gpu::try_release), [`translate`](Gpu::translate) |
//! | driver memory | [`object_allocate`](Gpu::object_allocate), [`object_free`](Gpu::object_free), [`object_write`](Gpu::object_write), [`object_read`](Gpu::object_read) |
//! | timelines | [`timeline_create`](Gpu::timeline_create), [`timeline_destroy`](Gpu::timeline_destroy), [`timeline_completed`](Gpu::timeline_completed), [`timeline_issued`](Gpu::timeline_issued), [`is_signalled`](Gpu::is_signalled) |
//! | contexts | [`context_create`](Gpu::context_create), [`context_destroy`](Gpu::context_destroy), [`context_set_priority`](Gpu::context_set_priority), [`context_set_vm`](Gpu::context_set_vm), [`context_set_sseu`](Gpu::context_set_sseu), [`context_set_watchdog`](Gpu::context_set_watchdog), [`context_select`](Gpu::context_select), [`context_is_busy`](Gpu::context_is_busy) |
//! | ending them | [`context_ban`](Gpu::context_ban), [`context_ban_before`](Gpu::context_ban_before), [`context_cancel`](Gpu::context_cancel) |
//! | work | [`submit`](Gpu::submit), [`submit_fence`](Gpu::submit_fence) |
//! | recovery | [`reset`](Gpu::reset), [`is_wedged`](Gpu::is_wedged), [`error_state`](Gpu::error_state), [`error_state_clear`](Gpu::error_state_clear) |
//! | queries | [`engines`](Gpu::engines), [`engine`](Gpu::engine), [`platform`](Gpu::platform), [`fuses`](Gpu::fuses), [`ggtt_bytes`](Gpu::ggtt_bytes), [`vm_bytes`](Gpu::vm_bytes), [`statistics`](Gpu::statistics) |
//!
//! # Rules
//!
//! - No operation waits for the GPU's work; a few wait, bounded, for a register. A refused operation has
//!   changed nothing ([`Error`]).
//! - Nothing is allocated on the heap after [`Gpu::init`].
//! - A context is one engine's: the upper half makes one per slot of its engine map. Requests of one
//!   context run in order; so do those of one timeline, over all contexts on it.
//! - A [`Fence`] is a point on a timeline; it needs no reference count and stays complete when its
//!   timeline is gone.
//! - Binding needs no invalidation: every request begins with one. Unbinding does: [`Gpu::unbind`] returns an
//!   [`Unbinding`](memory::Unbinding), and the pages may be given back only against the
//!   [`Released`](memory::Released) that [`Gpu::release`] makes of it. Requests that still use the range
//!   when it is unbound read scratch; wait for them or ban their context first.
//! - Reserving a range and binding pages in it are separate: a range keeps its place while its pages
//!   come and go.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "fail-points"))]
extern crate std;

pub mod address;
pub mod device;
mod engine;
mod error;
#[cfg(feature = "fail-points")]
pub mod fail;
#[cfg(not(feature = "fail-points"))]
mod fail;
mod gpu;
pub mod handle;
mod index;
pub mod memory;
mod mmio;
pub mod platform;
#[cfg(test)]
mod testing;
pub mod trace;
pub mod uapi;

pub use error::{Error, InitError};
pub use gpu::*;
pub use handle::Id;
