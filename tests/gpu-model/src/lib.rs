// SPDX-License-Identifier: BSD-2-Clause
//! Device model of Intel integrated graphics, Gen8 to Gen12, independent of the driver.
//!
//! The GPU as a program sees it: PCI configuration space, registers with their side effects, forcewake, GGTT,
//! page-table walks with caching TLBs, command streamers, execlists, interrupts, faults and resets. It is strict:
//! what real hardware would punish is a [`Report`]. It runs inside host tests ([`Gpu`] above a [`VecMemory`]), or
//! behind QEMU's proxy device (the program `gpu-model`).
//!
//! ```text
//!   Gpu ──► Device ─┬─ config          PCI configuration space, MSI
//!                   ├─ mmio, reset     registers, with registers/ (file, forcewake, names) and interrupts/
//!                   ├─ access          translation: ggtt, ppgtt, tlb; faults
//!                   ├─ engine/         submission, contexts, execution ──► commands/ (the interpreter)
//!                   └─ report, trace, injection, clock
//! ```

pub mod clock;
pub mod commands;
pub mod config;
pub mod engine;
pub mod ggtt;
pub mod injection;
pub mod interrupts;
pub mod memory;
pub mod options;
pub mod platform;
pub mod ppgtt;
pub mod proxy;
pub mod record;
pub mod registers;
pub mod report;
pub mod sys;
pub mod tlb;
pub mod trace;

mod access;
mod device;
mod gpu;
mod mmio;
mod reset;

pub use config::Bar;
pub use engine::Activity;
pub use gpu::{EngineView, GGTT_OFFSET, Gpu};
pub use injection::Injection;
pub use interrupts::Msi;
pub use memory::{GuestMemory, MemoryError, VecMemory};
pub use options::{ClockSource, Options, Timing};
pub use platform::{Platform, by_device_id, by_name};
pub use report::{Notice, Report, Rule};
