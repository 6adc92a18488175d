// SPDX-License-Identifier: BSD-2-Clause
//! The model as a PCI function of QEMU, behind `x-pci-proxy-dev`.
//!
//! ```text
//!   QEMU ──proxy socket──► [`link`] ──► [`server`] ──► Gpu ──DMA──► guest RAM (mapped files, behind VT-d)
//!     ▲                                    │
//!     └──────────qtest socket──────────────┘  MSI, INTx; VT-d registers read back
//! ```
//!
//! While QEMU waits for the answer to an access it serves nothing else, so the model never waits for QEMU inside
//! one: qtest commands are written without blocking and their replies are read by a thread.

pub mod link;
pub mod message;
pub mod qtest;
pub mod server;
