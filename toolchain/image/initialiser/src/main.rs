// SPDX-License-Identifier: BSD-2-Clause
//! The root task of an embedded image.
//!
//! The image tool has decided what there is (see [`image_spec`]); this program makes it so, in the order in
//! which one thing needs another:
//!
//! ```text
//!   objects    untyped memory -> objects, those with physical addresses first    objects.rs, memory.rs
//!   contents   bytes of programs and prefilled regions -> frames                 contents.rs
//!   spaces     tables and mappings of address spaces and I/O spaces              spaces.rs
//!   slots      capabilities -> CNodes, interrupts -> notifications               slots.rs
//!   threads    everything above -> threads; they start by priority               threads.rs
//!   monitor    waits for faults and reports them, for good                       monitor.rs
//! ```
//!
//! It runs at the highest priority, so no domain runs before the monitor waits for its faults. It keeps all
//! capabilities that it made: mappings last as long as the capability they were made with.
//!
//! Anything that fails ends the whole: it says which object could not be had and why, and where the board has
//! a port for it, ends the machine.
#![cfg_attr(any(sel4_domain, target_os = "none"), no_std, no_main)]
#![cfg_attr(not(any(sel4_domain, target_os = "none")), allow(dead_code, reason = "checked only, not run"))]

mod console;
mod contents;
mod failure;
mod memory;
mod monitor;
mod objects;
mod slots;
mod spaces;
mod start;
mod threads;

use image_spec::Spec;
use image_untyped::Block;
use sel4::BootInfo;

use crate::failure::Failure;
use crate::objects::Objects;

/// Sets the system up and monitors it.
fn run(boot_info: BootInfo<'_>, spec: &Spec<'static>) -> Result<core::convert::Infallible, Failure> {
    let mut room = [Block::NONE; memory::MAX_BLOCKS];
    let mut objects = Objects::new(boot_info, spec, &mut room)?;
    objects.create()?;
    contents::write(&mut objects)?;
    spaces::build(&mut objects)?;
    spaces::build_io(&mut objects)?;
    slots::fill(&mut objects)?;
    threads::configure(&objects)?;
    threads::start(&objects)?;
    monitor::run(&objects)
}

#[cfg(not(any(sel4_domain, target_os = "none")))]
fn main() {}
