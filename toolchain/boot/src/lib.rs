// SPDX-License-Identifier: BSD-2-Clause
//! Builds the pieces of a system, boots it in QEMU with the device model attached, and watches it.
//!
//! [`Workspace`] knows where everything is; [`Pieces`] are the programs and [`Image`] what they become; a [`Machine`]
//! runs an image and returns an [`Outcome`]. [`Demo`] is all of it for the system that `make run` boots.

mod demo;
mod frame;
mod grub;
mod machine;
mod model;
mod process;
mod ram;
mod screen;
mod serial;
mod system;
mod trace;
mod workspace;

pub use demo::{Demo, Shown};
pub use frame::Frame;
pub use image::sdk::Sdk;
pub use machine::{Ending, Machine, Outcome, RunError};
pub use model::{Gpu, ModelFiles, Timing, Verdict, build_model};
pub use ram::GuestRam;
pub use screen::Screenshot;
pub use serial::Line;
pub use system::{DEFAULT_BOARD, Image, Kernel, Pieces, Region, SdkPieces, board_file, boards};
pub use trace::{EVENTS, Trace};
pub use workspace::{Verbosity, Workspace};
