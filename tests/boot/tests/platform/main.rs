// SPDX-License-Identifier: BSD-2-Clause
//! The platform itself: kernel, initialiser, image tool and runtime, without a GPU. Each test boots a system of a few
//! small domains.

mod devices;
mod faults;
mod messages;
mod runs;
